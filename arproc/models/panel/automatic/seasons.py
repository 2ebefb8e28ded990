"""Which seasons a panel has, and what each series' season is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from arproc.compiled.threads import shares, threaded
from arproc.models.panel.data import PanelData

__all__ = ["Seasons", "decompose", "find_periods"]

_SERIES = 2000  # so many, spread over the panel, are enough to find its seasons
_LONGEST = 400
_CLEAR = 0.15  # a difference of autocorrelations below this is no season


def find_periods(table: PanelData) -> list[int]:
    """The lengths of the seasons that the changes of the series have in common, increasing.

    The autocorrelations of the changes (of logarithms where all values are positive) are averaged
    over the series. A season is a lag at whose multiples they are clearly higher than half way
    between these; a longer one is a multiple of it at which, and at twice which, they are higher
    than at the multiples beside.

    Example:
        >>> from arproc.models.panel.data import read
        >>> t, rng = np.arange(120), np.random.default_rng(0)
        >>> rows = [np.sin(2 * np.pi * t / 12) + 0.3 * rng.normal(size=120) for _ in range(5)]
        >>> find_periods(read(rows))
        [12]
    """
    mean, weight = _autocorrelations(table)
    top = len(mean) - 1
    strength = np.zeros(max(top // 2 + 1, 1))
    for k in range(2, top // 2):
        at = np.arange(k, top + 1, k)
        between = at - k // 2
        if not (weight[at].sum() and weight[between].sum()):
            continue  # nothing was observed so far apart, as where every second value is missing
        clear = mean[at] @ weight[at] / weight[at].sum()
        clear -= mean[between] @ weight[between] / weight[between].sum()
        if clear > max(_CLEAR, 4 / np.sqrt(weight[at].sum())) and min(mean[k], mean[2 * k]) > 0:
            strength[k] = clear
    peaks = (strength[1:-1] > strength[:-2]) & (strength[1:-1] >= strength[2:])
    found = np.flatnonzero(peaks & (strength[1:-1] > 0.6 * strength.max())) + 1
    if not len(found):
        return []
    short, error = int(found[0]), 1 / np.sqrt(np.maximum(weight, 1.0))
    for k in range(2 * short, (top - short) // 2 + 1, short):
        twice = 2 * k
        if all(
            mean[m] > max(mean[m - short], mean[m + short]) + max(4 * error[m], 0.005)
            for m in (k, twice)
        ):
            return [short, k]
    return [short]


def _autocorrelations(table: PanelData) -> tuple[np.ndarray, np.ndarray]:
    """The mean autocorrelation of the changes by lag, and of how many pairs it is."""
    from arproc.compiled.interpreted import suited
    from arproc.models.panel.automatic import season_kernels

    longest = int(min(table.lengths.max() // 2, _LONGEST)) if len(table) else 0
    total, weight = np.zeros(longest + 1), np.zeros(longest + 1)
    rows = np.unique(np.linspace(0, len(table) - 1, min(_SERIES, len(table))).astype(int))
    kernels = suited(season_kernels, 3.0 * int(table.lengths[rows].sum()))
    kernels.correlate(table.values, table.offsets, rows, longest, total, weight)
    with np.errstate(invalid="ignore"):
        return np.where(weight > 0, total / weight, 0.0), weight


class Seasons(NamedTuple):
    """One cycle of the sum of each series' seasons, one after the other.

    Attributes:
        cycles: what is taken from x_t, at t modulo the cycle's length.
        edges: where each series' begins, int64 [N + 1]; one without a season has a cycle of 0.
    """

    cycles: np.ndarray
    edges: np.ndarray

    def after(self, lengths: np.ndarray, horizon: int) -> np.ndarray:
        """The seasons of the steps after so many, [N, horizon]."""
        at = (lengths[:, None] + np.arange(horizon)) % np.diff(self.edges)[:, None]
        return self.cycles[self.edges[:-1, None] + at]


def decompose(
    values: np.ndarray,
    offsets: np.ndarray,
    lengths: np.ndarray,
    periods: Sequence[int],
) -> Seasons:
    """The seasons of many series, for one cycle of the longest that each is long enough for.

    Classical decomposition about a moving average, one season after the other, the last cycles
    counting more; each is shrunk by how much of its variance is more than the noise of its means
    would give, and further where few cycles tell of that noise. What stands alone, far from both
    neighbours, is made missing before they are found for good.

    Args:
        values: the series one after the other, nan where a value is missing. Their seasons are
            taken off, and the values that stand alone become nan, in place.
        offsets: where each begins, int64 [N + 1].
        lengths: how many of the values of each are known, int64 [N].
        periods: the seasons' lengths, increasing.

    Example:
        >>> x = np.tile([0.0, 1.0], 20)
        >>> decompose(x, np.array([0, 40]), np.array([40]), [2]).cycles
        array([-0.5,  0.5])
        >>> x[:4]
        array([0.5, 0.5, 0.5, 0.5])
    """
    from arproc.compiled.interpreted import suited
    from arproc.models.panel.automatic import season_kernels

    sizes, length = np.ones(len(lengths), np.int64), 1
    for period in periods:
        length = period if period % length == 0 else period * length
        sizes[lengths >= 2 * period + 1] = length
    edges = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    found = Seasons(np.zeros(int(edges[-1])), edges)
    kernels = suited(season_kernels, (3.0 + 12.0 * len(periods)) * int(lengths.sum()))
    lags = np.asarray(periods, np.int64)
    whole = (values, offsets, lengths)
    threaded(
        lambda a, b: kernels.decompose(*whole, a, b, lags, *found),
        shares(lengths.cumsum() * (100 + int(lags.sum()))),
    )
    return found
