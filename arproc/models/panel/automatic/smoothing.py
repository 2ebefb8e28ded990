"""Exponential smoothing of every series of a panel: candidates with laws of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from arproc.compiled.threads import shares, threaded
from arproc.models.panel.automatic.seasons import Seasons, decompose
from arproc.models.panel.data import PanelData

__all__ = [
    "FAMILIES",
    "LEVEL",
    "LOG",
    "Ahead",
    "Scaled",
    "ahead",
    "known_of",
    "next_of_walk",
    "scaled",
]

#: The scale in which a series' law is normal: its logarithm where all its values are positive.
LEVEL, LOG = 0, 1
_PREPARED = 1000  # steps, for which what does not depend on the data is computed ahead
_FLOOR = 0.05  # a mean below this share of the least value so far has no logarithm
_ALPHA = (0.05, 0.15, 0.3, 0.5, 0.75, 1.0, 1.2)
_RATIO = (0.0, 0.05, 0.15, 0.4, 0.8)
_WEAK, _STRONG = 1.0, 64.0
#: Alpha, beta / alpha, phi and the precision of the first slope, for the points of each family.
_GRID: dict[str, list[tuple[float, float, float, float]]] = {
    "walk": [(1.0, 0.0, 0.0, _WEAK)],
    "level": [(a, 0.0, 0.0, _WEAK) for a in _ALPHA],
    "walk with drift": [(1.0, 0.0, 1.0, _WEAK)],
    "drift": [(a, 0.0, 1.0, _WEAK) for a in _ALPHA],
    "small drift": [(a, 0.0, 1.0, _STRONG) for a in _ALPHA],
    "damped trend": [(a, r, p, _WEAK) for a in _ALPHA for r in _RATIO for p in (0.8, 0.9, 0.97)],
}
FAMILIES = tuple(_GRID)


class Ahead(NamedTuple):
    """Laws of what follows each series, in its own scale, by candidate.

    Attributes:
        mean: [N, K, horizon]; nan where a candidate has no fit.
        deviation: standard deviations, [N, K, horizon].
        shocks: what a shock of one step ahead leaves of itself, the first 1, [N, K, horizon].
    """

    mean: np.ndarray
    deviation: np.ndarray
    shocks: np.ndarray


@dataclass(frozen=True)
class Scaled:
    """A panel in the scales of its laws, its seasons taken off.

    Attributes:
        log: of which series the logarithms are modelled, bool [N].
        values: deseasonalised, in the scale, [total].
        seasons: of the series; see `decompose`.
        lengths: how many values of each series are known, int64 [N].
        offsets: where each begins, int64 [N + 1].
        least: the least value of each series so far, [N].
    """

    log: np.ndarray
    values: np.ndarray
    seasons: Seasons
    lengths: np.ndarray
    offsets: np.ndarray
    least: np.ndarray


def scaled(
    table: PanelData, log: np.ndarray, periods: Sequence[int], left_out: np.ndarray
) -> Scaled:
    """The series without their last values, in the scales of their laws.

    Args:
        table: the panel.
        log: of which series the logarithms are modelled, bool [N].
        periods: the seasons' lengths.
        left_out: how many of the last values of each are not known, int64 [N].
    """
    logged = np.repeat(log, table.lengths)
    values = np.where(logged, np.log(np.where(logged, table.values, 1.0)), table.values)
    lengths = table.lengths - left_out
    seasons = decompose(values, table.offsets, lengths, periods)
    least = np.fmin.reduceat(np.where(known_of(table, left_out), table.values, np.nan),
                             table.offsets[:-1])  # fmt: skip
    return Scaled(log, values, seasons, lengths, table.offsets, least)


def known_of(table: PanelData, left_out: np.ndarray) -> np.ndarray:
    """Which values are not among the last ones of their series that are left out, [total]."""
    stops = table.offsets[1:] - left_out
    return np.arange(len(table.values)) < np.repeat(stops, table.lengths)


def ahead(series: Scaled, levels: Scaled, horizon: int) -> Ahead:
    """The candidates' laws of the next steps; of logarithms both those of these and of levels.

    So a season multiplies in one half of the candidates and is added in the other. A law of the
    level of a positive series becomes one of its logarithm with the same median and the same
    relative spread.

    Args:
        series: the panel.
        levels: the same with no logarithms, of which those are read that `series` has in them.
        horizon: how many steps.
    """
    own = _smoothed(series, horizon, np.ones(len(series.log), np.bool_))
    other = _smoothed(levels, horizon, series.log)
    floor = np.maximum(_FLOOR * series.least, 1e-300)[:, None, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        median = np.maximum(other.mean, floor)
        relative = np.log1p(other.deviation / median)
        moved = Ahead(np.log(median), relative, other.shocks)
    for part, same in zip(moved, own, strict=True):  # a level has one scale
        part[~series.log] = same[~series.log]
    return Ahead(*(np.concatenate(pair, axis=1) for pair in zip(own, moved, strict=True)))


def next_of_walk(series: Scaled) -> tuple[np.ndarray, np.ndarray]:
    """Means and deviations of the random walk's next values, in the series' scales, [N]."""
    made = _smoothed(series, 1, np.ones(len(series.log), np.bool_), ("walk",))
    return made.mean[:, 0, 0], made.deviation[:, 0, 0]


def _smoothed(
    series: Scaled,
    horizon: int,
    wanted: np.ndarray,
    families: Sequence[str] = FAMILIES,
) -> Ahead:
    """The laws of the series that are wanted, with their seasons; nan for the others."""
    from arproc.compiled.interpreted import suited
    from arproc.models.panel.automatic import smoothing_kernels

    points = np.array([point for name in families for point in _GRID[name]])
    edges = np.cumsum([0, *(len(_GRID[name]) for name in families)])
    alpha, ratio, phi, precision = np.ascontiguousarray(points.T)
    grid = (alpha, alpha * ratio, phi, precision, edges)
    n, shape = len(series.lengths), (len(series.lengths), len(families), horizon)
    mean, variance, shocks = np.empty(shape), np.empty(shape), np.empty(shape)
    known, stops = np.zeros(n, np.bool_), series.offsets[:-1] + series.lengths
    work = np.where(wanted, series.lengths + horizon, 0).cumsum() * len(alpha)
    # interpreted, a value takes all points at once
    kernels = suited(smoothing_kernels, 40.0 * int(series.lengths.sum()) + 400.0 * n)
    tables = kernels.prepare(*grid[:3], min(int(series.lengths.max(initial=0)), _PREPARED))
    whole = (series.values, series.offsets, stops, wanted)
    out = (mean, variance, shocks, known)
    threaded(lambda a, b: kernels.smooth(*whole, a, b, *grid, *tables, *out), shares(work))
    for part in (mean, variance, shocks):
        part[~known] = np.nan
    mean += series.seasons.after(series.lengths, horizon)[:, None]
    return Ahead(mean, np.sqrt(variance), shocks)
