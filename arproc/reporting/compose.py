"""`report`: the leaderboard, calibration, pictures and samples of some models on one page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arproc.contract.places import write_text
from arproc.data.texts import listed
from arproc.errors import (
    ParameterError,
    check_choice,
    check_count,
    check_integer,
    check_list,
    check_names,
)
from arproc.evaluation import Fidelity
from arproc.evaluation.likelihood import BY
from arproc.process import Model
from arproc.process.model import require_fitted
from arproc.reporting import calibration, looks, ranking, resemblance, summary
from arproc.reporting import samples as drawn
from arproc.reporting.case import Case
from arproc.reporting.page import Section, page
from arproc.reporting.pictures import require_matplotlib

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Report", "report"]


@dataclass(frozen=True)
class Report:
    """A page, and what stands on it.

    Attributes:
        html: the whole page, which needs no other file.
        leaderboard: the table of `arproc.compare`; of one model alone, its cost.
        findings: the summary, a sentence or two each.
        caveats: what the figures do not say.
    """

    html: str
    leaderboard: pd.DataFrame
    findings: tuple[str, ...]
    caveats: tuple[str, ...]

    def save(self, path: str | Path) -> None:
        """Write the page to a file, whole or not at all.

        Raises:
            ParameterError: there is no such place.
            StorageError: the disk is full, or fails.
        """
        write_text(path, self.html)

    def __repr__(self) -> str:
        return f"<Report on {len(self.leaderboard)} model(s), {len(self.html):,} characters>"

    def __str__(self) -> str:
        return "\n".join([*self.findings, *(f"note: {caveat}" for caveat in self.caveats)])


def report(
    models: Mapping[str, Model],
    data: Any,
    *,
    title: str = "Models of sequences, compared",
    context: Any = None,
    offset: Any = None,
    given: int | None = None,
    complete: bool | None = None,
    reference: str | None = None,
    unit: str | None = None,
    by: str = "auto",
    train: Any = None,
    fidelity: Fidelity | Mapping[str, Fidelity] | None = None,
    samples: int = 3,
    length: int | None = None,
    shape: tuple[int, ...] | None = None,
    seed: int = 0,
) -> Report:
    """Models and how they do on some data, as one page of HTML that needs no network.

    On it are a summary in plain words with its caveats; the leaderboard of `arproc.compare`;
    calibration (PIT values and the coverage of intervals) of the models that have conditionals; a
    forecast of one series of numbers where `given` says where it begins, and what surprised the
    best model; draws of each model beside the data; and what `arproc.fidelity` found. What a model
    can not show, the page says with the reason.

    Args:
        models: fitted models by name, one or more.
        data: what to judge them by: nothing that any of them was fitted or chosen on.
        title: of the page.
        context: for the models that take one.
        offset: at which step the sequences begin, for models with a trend or seasons.
        given: score only what follows the first `given` elements.
        complete: False for pieces cut out of longer sequences.
        reference: the model the others are compared with; by default the best.
        unit: of the costs, as for `compare`.
        by: what errors are taken over: "sequence", "element" or "auto".
        train: what the models were fitted on, several sequences: then copies of these among the
            data are counted, and the costs without them told.
        fidelity: a result of `arproc.fidelity`, or several by the names of what they judged.
        samples: how many draws of each model are shown (of images and tables twelve).
        length: of draws of free length; by default that of the data, 400 at most.
        shape: of one image, (h, w), (h, w, 3) or (3, h, w), where the data are vectors of pixels.
        seed: of the draws, and of the PIT values of discrete elements.

    Returns:
        A `Report`: `.save("report.html")` writes the page, `print` shows the summary.

    Raises:
        ParameterError: an argument has a wrong value.
        NotComparableError: the models' likelihoods are not of the same thing.
        MissingDependencyError: matplotlib is not installed.

    Example:
        >>> import arproc
        >>> train, test = [0.3, 0.2, -0.4, -0.1, 0.3, 0.2], [0.1, 0.2, -0.1, -0.2, 0.1]
        >>> models = {f"AR({p})": arproc.AR(p).fit(train) for p in (0, 1)}
        >>> found = arproc.report(models, test, title="Two walks")
        >>> found.save("report.html")
        >>> found.html[:15]
        '<!DOCTYPE html>'
    """
    checked = _checked_models(models)
    if not isinstance(title, str) or not title.strip():
        raise ParameterError(f"title must be a str that says something; got {title!r}.")
    check_choice("by", by, BY)
    results = _checked_fidelity(fidelity)
    case = Case(
        models=checked,
        data=listed(data, space=next(iter(checked.values())).space),
        context=context,
        offset=offset,
        given=None if given is None else check_integer("given", given, minimum=0),
        complete=complete,
        samples=check_count("samples", samples, minimum=1),
        length=None if length is None else check_count("length", length, minimum=1),
        shape=_checked_shape(shape),
        seed=check_integer("seed", seed, minimum=0),
    )
    _check_pixels(case)
    require_matplotlib()
    table = ranking.ranked(
        case, {"reference": _known(reference, checked), "unit": unit, "by": by, "train": train}
    )
    calibrated = calibration.calibrations(case)
    found = summary.findings(table, calibrated, results)
    beware = summary.caveats(case, table, calibrated)
    sections = _sections(case, table, calibrated, results)
    about = f"{len(checked)} model(s): {', '.join(checked)}."
    html = page(title, about, [summary.section(found, beware), *sections], _END)
    return Report(html, table, tuple(found), tuple(beware))


_END = (
    "Log-likelihoods are natural logarithms (nats) unless a unit says bits. This file is whole: "
    "it loads nothing from any network."
)


def _sections(
    case: Case,
    table: pd.DataFrame,
    calibrated: list[calibration.Calibration],
    results: dict[str, Fidelity],
) -> list[Section]:
    best = str(table.index[0])
    discrete = case.models[best].space.measure != "density"
    parts = [
        ranking.section(table),
        calibration.section(calibrated, discrete),
        looks.section(case, best),
        drawn.section(case),
        resemblance.section(results) if results else None,
    ]
    return [part for part in parts if part is not None]


def _checked_models(models: Any) -> dict[str, Model]:
    if not isinstance(models, Mapping) or not models:
        came = f"{type(models).__name__}" + (" of none" if isinstance(models, Mapping) else "")
        raise ParameterError(
            f"models must be a dict of fitted models by name, {{'a': model}}; got {came}."
        )
    for name, model in models.items():
        if not isinstance(model, Model):
            raise ParameterError(
                f"model {name!r} must be a fitted arproc model; got {type(model).__name__}."
            )
        require_fitted(model)
    return check_names("models", models)


def _checked_shape(shape: Any) -> tuple[int, ...] | None:
    if shape is None:
        return None
    sides = tuple(check_integer("shape", side, minimum=1) for side in check_list("shape", shape))
    colour = len(sides) == 3 and 3 in (sides[0], sides[2])
    if len(sides) != 2 and not colour:
        raise ParameterError(f"shape must be (h, w), (h, w, 3) or (3, h, w); got {shape!r}.")
    return sides


def _check_pixels(case: Case) -> None:
    """Refuse a shape that the models' examples have not."""
    for name, model in case.models.items():
        size = model.space.length
        if case.shape is not None and math.prod(case.shape) != size:
            has = "no fixed size" if size is None else f"{size} elements"
            raise ParameterError(
                f"shape is {case.shape}, {math.prod(case.shape)} pixels, but the examples of "
                f"{name!r} have {has}."
            )


def _known(reference: Any, models: dict[str, Model]) -> str | None:
    if reference is None:
        return None
    if not isinstance(reference, str) or reference not in models:
        names = ", ".join(map(repr, models))
        raise ParameterError(f"reference must be one of {names}; got {reference!r}.")
    return reference


def _checked_fidelity(given: Any) -> dict[str, Fidelity]:
    if given is None:
        return {}
    results = dict(given) if isinstance(given, Mapping) else {"Synthetic data": given}
    for name, result in results.items():
        if not isinstance(result, Fidelity):
            raise ParameterError(
                "fidelity must be what arproc.fidelity(train, holdout, synthetic) gave, or a dict "
                f"of such results by name; got {type(result).__name__} for {name!r}."
            )
    return check_names("fidelity", results)
