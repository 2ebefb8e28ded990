"""`evaluate`: the likelihood of some data in every unit that it has, with standard errors."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import check_choice
from arproc.evaluation.standard_errors import of_ratio, of_series
from arproc.evaluation.tally import Tally, count
from arproc.evaluation.twins import check_near, twins_of, twins_told
from arproc.process import Model

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Evaluation", "evaluate", "mean_cost"]

BY = ("auto", "sequence", "element")


@dataclass(frozen=True)
class Evaluation:
    """How probable some data are under a model. Units are in the names.

    `log_prob_nats` is higher for a better model; every figure per element, byte or dimension is
    a cost, -log p, and lower is better. What does not apply is None: perplexity and bits per
    byte of a density, bits per byte of data that are no text (or lost some: `notes` says what).

    Attributes:
        log_prob_nats: the total log-probability (of mass or of density).
        measure: "mass", "density" or, of tables with both, "mixed".
        n_sequences: how many sequences.
        n_elements: how many terms were counted, the ends among them, given and missing values not.
        n_ends: how many of them are the ends of sequences.
        n_bytes: bytes of UTF-8 text that they are over.
        nats_per_element: -log_prob_nats / n_elements; `_se` is its standard error.
        bits_per_element: the same in bits.
        perplexity: exp(nats_per_element).
        bits_per_byte: bits per byte of the text: the unit that tokenisations share.
        bits_per_dim: bits per scalar, of sequences of fixed size.
        error_from: what the standard errors are taken over.
        notes: what is counted and what is not, in words.
        n_twins: how many sequences are equal (or near) to one of the training data; None where
            these were not given.
        nats_per_element_without_twins: of the other sequences alone; None where there are none.
        bits_per_byte_without_twins: likewise.
        bits_per_dim_without_twins: likewise.
        bits_per_byte_is_bound: whether the text's own figure is at most this one: of the ways in
            which the tokens can spell it, one alone was scored.
    """

    log_prob_nats: float
    measure: str
    n_sequences: int
    n_elements: int
    n_ends: int
    n_bytes: int | None
    nats_per_element: float
    nats_per_element_se: float
    bits_per_element: float
    bits_per_element_se: float
    perplexity: float | None
    perplexity_se: float | None
    bits_per_byte: float | None
    bits_per_byte_se: float | None
    bits_per_dim: float | None
    bits_per_dim_se: float | None
    error_from: str
    notes: tuple[str, ...]
    n_twins: int | None = None
    nats_per_element_without_twins: float | None = None
    bits_per_byte_without_twins: float | None = None
    bits_per_dim_without_twins: float | None = None
    bits_per_byte_is_bound: bool = False

    def to_frame(self, name: str = "model") -> pd.DataFrame:
        """One row of a table, its index the model's `name`; without the notes."""
        import pandas as pd

        row = {key: value for key, value in asdict(self).items() if key != "notes"}
        return pd.DataFrame([row], index=pd.Index([name], name="model"))

    def __str__(self) -> str:
        lines = [f"log_prob_nats     {self.log_prob_nats:.4f} ({self.measure})"]
        for name in (
            "nats_per_element", "bits_per_element", "perplexity", "bits_per_byte", "bits_per_dim",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None:
                alone = getattr(self, f"{name}_without_twins", None)
                more = "" if alone is None else f" ({alone:.4f} without twins)"
                if name == "bits_per_byte" and self.bits_per_byte_is_bound:
                    more += " (an upper bound)"
                error = getattr(self, name + "_se")
                lines.append(f"{name:<17} {value:.4f} ± {error:.4f}{more}")
        counted = f"{self.n_elements} elements of {self.n_sequences} sequence(s)"
        lines.append(f"{'over':<17} {counted}; ± is one standard error, {self.error_from}")
        lines += [f"{'note' if i == 0 else '':<17} {note}" for i, note in enumerate(self.notes)]
        return "\n".join(lines)


def evaluate(
    model: Model,
    data: Any,
    *,
    context: Any = None,
    offset: Any = None,
    given: int | None = None,
    complete: bool | None = None,
    by: str = "auto",
    train: Any = None,
    near: float = 0.0,
) -> Evaluation:
    """The exact likelihood of `data` under `model`, in comparable units.

    Elements that are missing (NaN, where the model takes them) are neither scored nor counted.
    Standard errors are over sequences (a ratio estimator) where there are ten or more; with
    fewer they are taken along the sequences and allow for dependence between elements (see
    `standard_errors.of_series`).

    Args:
        model: a fitted law.
        data: sequences in any form the model takes; text as the strings themselves, so that its
            bytes can be counted.
        context: what the sequences are conditioned on, for models that take it.
        offset: at which step the sequences begin, for models with a trend or seasons, as for
            `log_prob`.
        given: score only what follows the first `given` elements of each sequence; by default
            what the model itself takes as given.
        complete: False for pieces cut out of longer sequences: no end terms are counted.
        by: what standard errors are taken over: "sequence", "element" or "auto".
        train: what the model was fitted on, several sequences: then it is said how many of the
            test sequences are equal to one of these, and how the others score.
        near: how much a copy of a training sequence may differ and still count as one; see
            `twins.twins_of`.

    Returns:
        The figures; `print` shows them all, `.to_frame()` is a row of a table.

    Example:
        >>> import arproc
        >>> model = arproc.AR(1, trend="n").fit([0.3, -0.2, 0.4, 0.1, -0.3, 0.2])
        >>> result = arproc.evaluate(model, [0.1, 0.2, -0.1])
        >>> result.n_elements, round(-result.log_prob_nats / 3 - result.nats_per_element, 12)
        (3, 0.0)
    """
    check_choice("by", by, BY)
    near = check_near(near, train)
    tally = count(model, data, context=context, offset=offset, given=given, complete=complete)
    twins = None if train is None else twins_of(tally, train, near)
    along = tally.along(by)
    total = -float((tally.terms if along and tally.terms is not None else tally.log_prob).sum())
    figures = {"nats_per_element": mean_cost(tally, tally.counts, by)}
    figures["bits_per_element"] = _in_bits(figures["nats_per_element"])
    mass = tally.sequences.space.measure == "mass"
    for name, sizes in (("bits_per_byte", tally.sizes if mass else None),
                        ("bits_per_dim", tally.dims)):  # fmt: skip
        if sizes is not None and sizes.sum():
            figures[name] = _in_bits(mean_cost(tally, sizes, by))
    if mass:
        nats, se = figures["nats_per_element"]
        perplexity = math.exp(nats) if nats < 700 else math.inf
        figures["perplexity"] = (perplexity, perplexity * se)
    values: dict[str, Any] = {}
    for name in ("nats_per_element", "bits_per_element", "perplexity", "bits_per_byte",
                 "bits_per_dim"):  # fmt: skip
        values[name], values[name + "_se"] = figures.get(name, (None, None))
    return Evaluation(
        log_prob_nats=-total,
        measure=tally.sequences.space.measure,
        n_sequences=len(tally.sequences),
        n_elements=int(tally.counts.sum()),
        n_ends=tally.ends,
        n_bytes=None if tally.sizes is None else int(tally.sizes.sum()),
        error_from=_error_from(tally, along),
        notes=_notes(tally) if twins is None else (*_notes(tally), twins_told(twins, near)),
        bits_per_byte_is_bound=tally.is_bound and values["bits_per_byte"] is not None,
        **values,
        **({} if twins is None else _without(tally, twins)),
    )


def _without(tally: Tally, twins: np.ndarray) -> dict[str, Any]:
    """How many twins there are, and the costs per unit of all other sequences."""
    found: dict[str, Any] = {"n_twins": int(twins.sum())}
    cost = -tally.log_prob[~twins].sum()
    mass = tally.sequences.space.measure == "mass"
    for name, sizes, scale in (
        ("nats_per_element", tally.counts, 1.0),
        ("bits_per_byte", tally.sizes if mass else None, math.log(2)),
        ("bits_per_dim", tally.dims, math.log(2)),
    ):
        if sizes is not None and sizes[~twins].sum():
            found[f"{name}_without_twins"] = float(cost / sizes[~twins].sum() / scale)
    return found


def mean_cost(tally: Tally, sizes: np.ndarray, by: str = "auto") -> tuple[float, float]:
    """The cost in nats per unit, and its standard error; `sizes` [N] are the sequences' units."""
    total = float(sizes.sum())
    if tally.along(by) and tally.terms is not None:
        cost = -tally.terms
        return float(cost.sum()) / total, of_series(cost).se * len(cost) / total
    cost = -tally.log_prob
    return float(cost.sum()) / total, of_ratio(cost, sizes).se


def _in_bits(figure: tuple[float, float]) -> tuple[float, float]:
    return figure[0] / math.log(2), figure[1] / math.log(2)


def _error_from(tally: Tally, along: bool) -> str:
    if along and tally.terms is not None:
        return "along the sequence(s), dependence allowed for"
    n = len(tally.sequences)
    return f"over {n} sequences" if n > 1 else "not known from one sequence"


def _notes(tally: Tally) -> tuple[str, ...]:
    notes = []
    if tally.ends:
        notes.append(f"{tally.ends} end term(s) are counted among the elements")
    if tally.given:
        notes.append(f"the first {tally.given} element(s) of each sequence are given, not scored")
    if tally.missing:
        notes.append(f"{tally.missing} element(s) are missing: neither scored nor counted")
    if tally.text is not None and tally.sizes is None:
        problem = tally.text.problem or "the first elements are given"
        notes.append(f"no bits per byte: {problem}")
    elif tally.is_bound:
        notes.append(
            "the tokens can spell a text in many ways and one was scored, so its probability is "
            "at least this, and bits per byte are an upper bound"
        )
    impossible = ~np.isfinite(tally.log_prob)
    if impossible.any():
        row = int(impossible.argmax())
        notes.append(
            f"{int(impossible.sum())} sequence(s) have probability zero, the first is {row}"
        )
    measure = tally.sequences.space.measure
    if measure != "mass":
        part = " in some columns" if measure == "mixed" else ""
        notes.append(f"of a density{part}: it moves with the data's scale and can be below zero")
    return tuple(notes)
