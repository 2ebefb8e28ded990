"""Differences between two laws on the same data, sequence by sequence or place by place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from arproc.contract.reading import is_read_in_order
from arproc.evaluation.bootstrap import Interval, Resampling
from arproc.evaluation.comparable import same_elements
from arproc.evaluation.standard_errors import MeanError, of_ratio, of_series, t_quantile
from arproc.evaluation.tally import Tally
from arproc.evaluation.text_units import byte_ends

__all__ = ["Difference", "over_sequences", "paired_difference"]


class Difference(NamedTuple):
    """How much more a law costs per unit than another: above zero is worse.

    Attributes:
        value: the difference.
        se: its standard error; NaN where it is not known.
        low95: of its 95% interval.
        high95: likewise.
    """

    value: float
    se: float
    low95: float
    high95: float

    def row(self, unit: str) -> dict[str, float]:
        """Columns of a table, named by the unit."""
        names = ("difference", "se", "low95", "high95")
        return {f"{name}_{unit}": value for name, value in zip(names, self, strict=True)}


def paired_difference(
    tally: Tally,
    base: Tally,
    sizes: np.ndarray,
    scale: float = 1.0,
    by: str = "auto",
    resampling: Resampling | None = None,
) -> Difference:
    """The difference of two laws' costs; 0 of a law to itself.

    Args:
        tally: of the law.
        base: of the one that it is compared with.
        sizes: how many units each sequence has, [N].
        scale: by what nats are multiplied.
        by: what errors are taken over: "sequence", "element" or "auto".
        resampling: of the bootstrap; None for intervals of Student's law.
    """
    if tally is base:
        return Difference(0.0, 0.0, 0.0, 0.0)
    with np.errstate(invalid="ignore"):
        apart = (base.log_prob - tally.log_prob) * scale
    pair = _paired(tally, base) if tally.along(by) and base.along(by) else None
    if pair is None:
        return over_sequences(apart, sizes, resampling)
    with np.errstate(invalid="ignore"):
        terms = (pair[1] - pair[0]) * scale
    share = len(terms) / float(sizes.sum())  # of a mean over places, per unit
    if resampling is None or not np.isfinite(terms).all():
        error = of_series(terms)
        interval = _student(MeanError(error.se * share, error.df))
    else:
        interval = Interval(*(share * part for part in resampling.of_series(terms)))
    return _around(apart, sizes, interval)


def over_sequences(
    apart: np.ndarray, sizes: np.ndarray, resampling: Resampling | None
) -> Difference:
    """The same from differences [N] of sequences, which are taken for independent."""
    with np.errstate(invalid="ignore"):
        if resampling is None:
            interval = _student(of_ratio(apart, sizes))
        else:
            interval = resampling.of_ratio(apart, sizes)
    return _around(apart, sizes, interval)


def _student(error: MeanError) -> Interval:
    reach = t_quantile(error.df) * error.se
    return Interval(error.se, reach, reach)


def _around(apart: np.ndarray, sizes: np.ndarray, interval: Interval) -> Difference:
    with np.errstate(invalid="ignore"):
        value = float(apart.sum()) / float(sizes.sum())
    return Difference(value, interval.se, value - interval.below, value + interval.above)


def _paired(tally: Tally, base: Tally) -> tuple[np.ndarray, np.ndarray] | None:
    """Terms of both at the same places, in nats: element by element, or byte by byte of text."""
    if tally.terms is None or base.terms is None:
        return None
    if same_elements(tally.sequences.space, base.sequences.space):
        orders = [None if t.law.layout is None else t.law.layout.order for t in (tally, base)]
        return (tally.terms, base.terms) if orders[0] == orders[1] else None
    placed = [_by_byte(t) for t in (tally, base)]
    if placed[0] is None or placed[1] is None:
        return None
    return placed[0], placed[1]


def _by_byte(tally: Tally) -> np.ndarray | None:
    """Each term at its element's last byte (the end's at the text's), zeros between; [bytes]."""
    ends = byte_ends(tally.sequences) if is_read_in_order(tally.law.law_) else None
    if ends is None or tally.terms is None or not len(ends):
        return None
    sequences = tally.sequences
    element = np.arange(len(sequences.values)) + np.repeat(
        (sequences.term_offsets - sequences.offsets)[:-1].numpy(), sequences.lengths.numpy()
    )
    is_element = np.zeros(len(tally.terms), dtype=bool)
    is_element[element] = True
    # an end's term stands right after its sequence's last element
    place = ends[np.maximum(is_element.cumsum() - 1, 0)] - 1
    return np.bincount(place, weights=tally.terms, minlength=int(ends[-1]))
