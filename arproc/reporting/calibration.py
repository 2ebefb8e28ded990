"""Whether the models' probabilities are right: PIT values, and how often intervals cover."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from arproc.errors import ArprocError
from arproc.evaluation import pit, uniformity
from arproc.evaluation.calibration import flatten
from arproc.evaluation.several import holm
from arproc.plot import pit_histogram
from arproc.process import Process
from arproc.reporting.case import Case
from arproc.reporting.page import Section, escaped, items, paragraph, table
from arproc.reporting.pictures import picture
from arproc.spaces import Categorical, Space

__all__ = ["Calibration", "calibrations", "section"]

#: Central intervals whose coverage is told.
LEVELS = (0.5, 0.8, 0.95)
#: Below this, adjusted for the number of models, a departure counts.
ALPHA = 0.05
_MOST_DRAWN = 6
#: Of many sequences the first ones are looked at, about so many elements: enough for any test.
_ELEMENTS = 10_000


@dataclass(frozen=True)
class Calibration:
    """What the PIT values of one model show.

    Attributes:
        model: its name.
        values: the values, one array a sequence (and component).
        coverage: how many of them are in each of the central intervals, as shares.
        uniform: the p-value of their being uniform.
        independent: that of their being independent along sequences.
        departs: whether they are not uniform, all models considered.
        verdict: in words.
        problem: why there are no values; None where there are.
        n_first: how many of the sequences they are of, where there are more; else None.
    """

    model: str
    values: list[np.ndarray]
    coverage: tuple[float, ...]
    uniform: float
    independent: float
    departs: bool
    verdict: str
    problem: str | None = None
    n_first: int | None = None


def calibrations(case: Case) -> list[Calibration]:
    """That of every model; those without PIT values say why."""
    found: list[list[np.ndarray] | str] = [_values(case, name) for name in case.models]
    tests = [uniformity(v) if isinstance(v, list) else None for v in found]
    adjusted = holm(np.array([math.nan if t is None else t.ks_p_value for t in tests])).tolist()
    results = []
    for name, values, test, p in zip(case.models, found, tests, adjusted, strict=True):
        if isinstance(values, str) or test is None:
            results.append(Calibration(name, [], (), math.nan, math.nan, False, "–", str(values)))
            continue
        joined = np.concatenate(values)
        shares = tuple(float((np.abs(joined - 0.5) <= level / 2).mean()) for level in LEVELS)
        departs = p < ALPHA
        verdict = _departure(joined, case.models[name].space) if departs else "none found"
        tested = (test.ks_p_value, test.ljung_box_p_value, departs, verdict)
        first = _first(case, name)
        results.append(Calibration(name, values, shares, *tested, n_first=first))
    return results


def _values(case: Case, name: str) -> list[np.ndarray] | str:
    """The PIT values of what is scored; or why there are none."""
    model = case.models[name]
    if not isinstance(model, Process):
        return f"it has no conditionals: {model.no_conditional}"
    sequences, first = case.sequences(name), _first(case, name)
    if first is not None:
        sequences = sequences.select(torch.arange(first))
    context = case.context_of(name, first)
    try:
        values = pit(model, sequences, context=context, offset=case.offset, seed=case.seed)
    except ArprocError as error:
        return str(error)
    skip = case.starts_at(name) - model.n_given
    rows = [row[skip:] for row in _by_sequence(values, sequences.form.kind)]
    flat = [row for row in flatten(rows) if len(row)]
    if sum(map(len, flat)) < 2:
        return "fewer than two elements have a value"
    return flat


def _first(case: Case, name: str) -> int | None:
    """How many sequences have elements enough; None where all are looked at."""
    sequences = case.sequences(name)
    ends = torch.cumsum(sequences.lengths, 0)
    count = int((ends < _ELEMENTS).sum()) + 1
    one_offset = case.offset is None or isinstance(case.offset, int)
    return count if count < len(sequences) and one_offset else None


def _by_sequence(values: Any, kind: str) -> list[np.ndarray]:
    """What `pit` gave as an array for each sequence, [T] or [T, d]."""
    if isinstance(values, list):
        return [np.asarray(row.cpu() if hasattr(row, "cpu") else row) for row in values]
    array = np.asarray(values.cpu() if hasattr(values, "cpu") else values)
    if hasattr(values, "columns"):
        return list(array.T if kind == "frame" else array)
    return [array]


def _departure(values: np.ndarray, space: Space) -> str:
    """How values that are not uniform differ from those that are."""
    if isinstance(space, Categorical) or space.measure == "mixed":
        return "the probabilities of some symbols are wrong"
    n = len(values)
    shift = (values.mean() - 0.5) * math.sqrt(12 * n)
    spread = (((values - 0.5) ** 2).mean() - 1 / 12) * math.sqrt(180 * n)
    if max(abs(shift), abs(spread)) < 2:
        return "the shape of the conditionals is wrong"
    if abs(shift) >= abs(spread):
        return "the data lie higher" if shift > 0 else "the data lie lower"
    return "too narrow: too sure" if spread > 0 else "too wide: not sure enough"


def section(found: list[Calibration], discrete: bool) -> Section:
    """Calibration as a part of the page.

    Args:
        found: of every model.
        discrete: whether elements are discrete, and so the values randomised.
    """
    body = paragraph(
        "Each element has a place in the distribution that the model gave it, between 0 (below "
        "all that was expected) and 1 (above): its PIT value. If the model is right these are "
        "uniform: the histogram is level, and half of the elements lie in the central halves."
    )
    if discrete:
        body += paragraph(
            "The elements are discrete, so each value is drawn at random within its step. The "
            "order of symbols means nothing; a level histogram is needed but says little there."
        )
    columns = ["model", *(f"in central {level:.0%}" for level in LEVELS)]
    columns += ["uniform: p", "independent: p", "departure"]
    usable = [c for c in found if c.problem is None]
    if usable:
        rows = [[c.model, *(f"{share:.1%}" for share in c.coverage), float(c.uniform),
                 float(c.independent), c.verdict] for c in usable]  # fmt: skip
        body += table(
            columns,
            rows,
            "Coverage, and p-values of Kolmogorov and Smirnov's and of Ljung and Box's tests. A "
            f"departure counts where the first is below {ALPHA:g}, adjusted for the number of "
            "models.",
        )
    cut = {c.n_first for c in usable if c.n_first is not None}
    if cut:
        body += paragraph(f"These are of the first {max(cut):,} sequences, which are enough.")
    body += "".join(_picture(c) for c in usable[:_MOST_DRAWN])
    if len(usable) > _MOST_DRAWN:
        body += paragraph(f"Histograms of the first {_MOST_DRAWN} models are shown.")
    problems = [f"{c.model} has no PIT values: {c.problem}" for c in found if c.problem]
    body += items(problems) if problems else ""
    return Section("calibration", "Calibration", body)


def _picture(one: Calibration) -> str:
    told = ", ".join(
        f"{share:.0%} in the central {level:.0%}"
        for share, level in zip(one.coverage, LEVELS, strict=True)
    )
    return f"<h3>{escaped(one.model)}</h3>" + picture(
        lambda: pit_histogram(one.values),
        f"Histogram of the PIT values of {one.model}: {told}; departure: {one.verdict}.",
        "Level if calibrated; a hump: too wide, a trough: too narrow, a slope: to one side.",
    )
