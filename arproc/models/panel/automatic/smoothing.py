"""Exponential smoothing of every series of a panel: candidates with laws of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from arproc.compiled.threads import shares, threaded
from arproc.models.panel.automatic.seasons import season_of
from arproc.models.panel.data import PanelData

__all__ = ["FAMILIES", "LEVEL", "LOG", "Ahead", "Scaled", "ahead", "scaled"]

#: The scale in which a series' law is normal: its logarithm where all its values are positive.
LEVEL, LOG = 0, 1
_FLOOR = 0.05  # a mean below this share of the least value so far has no logarithm
_ENOUGH, _SPIKE = 12, 12.0  # values, among which one stands out by so many median changes
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
        seasons: of each series, one cycle; see `season_of`.
        lengths: how many values of each series are known, int64 [N].
        offsets: where each begins, int64 [N + 1].
        least: the least value of each series so far, [N].
    """

    log: np.ndarray
    values: np.ndarray
    seasons: list[np.ndarray]
    lengths: np.ndarray
    offsets: np.ndarray
    least: np.ndarray

    def season(self, i: int, horizon: int) -> np.ndarray:
        """The season of the steps that follow series i."""
        cycle = self.seasons[i]
        return cycle[(self.lengths[i] + np.arange(horizon)) % len(cycle)]


def scaled(table: PanelData, log: np.ndarray, periods: list[int], left_out: np.ndarray) -> Scaled:
    """The series without their last values, in the scales of their laws.

    Args:
        table: the panel.
        log: of which series the logarithms are modelled, bool [N].
        periods: the seasons' lengths.
        left_out: how many of the last values of each are not known, int64 [N].
    """
    values = np.where(np.repeat(log, table.lengths), table.values, 1.0)
    values = np.where(np.repeat(log, table.lengths), np.log(values), table.values)
    lengths, least, seasons = table.lengths - left_out, np.full(len(table), np.nan), []
    for i, (a, n) in enumerate(zip(table.offsets[:-1].tolist(), lengths.tolist(), strict=True)):
        x = values[a : a + n]
        cycle = season_of(x, periods)
        spikes = _spikes(x - np.resize(cycle, n))
        if spikes.any():
            x[spikes] = np.nan
            cycle = season_of(x, periods)
        if len(cycle) > 1:
            x -= np.resize(cycle, n)
        seasons.append(cycle)
        if n:
            least[i] = np.fmin.reduce(table.values[a : a + n])
    return Scaled(log, values, seasons, lengths, table.offsets, least)


def _spikes(x: np.ndarray) -> np.ndarray:
    """Which values stand alone, far from both neighbours: they tell nothing of what follows."""
    found = np.zeros(len(x), bool)
    if len(x) < _ENOUGH:
        return found
    up, down = x[1:-1] - x[:-2], x[1:-1] - x[2:]
    with np.errstate(invalid="ignore"):
        size = np.nanmedian(np.abs(np.diff(x))) if (~np.isnan(up)).any() else 0.0
        least = np.minimum(np.abs(up), np.abs(down))
        found[1:-1] = (up * down > 0) & (least > _SPIKE * size) & (size > 0)
    return found


def ahead(series: Scaled, horizon: int) -> Ahead:
    """The candidates' laws of the next steps; of logarithms both those of these and of levels.

    A law of the level of a positive series becomes one of its logarithm with the same median and
    the same relative spread.
    """
    own = _smoothed(series.values, series, horizon)
    logged = np.repeat(series.log, np.diff(series.offsets))
    levels = np.exp(
        np.where(logged, series.values, 0.0)
    )  # a level that is no logarithm is not read
    other = _smoothed(levels, series, horizon)
    floor = np.maximum(_FLOOR * series.least, 1e-300)[:, None, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        median = np.maximum(other.mean, floor)
        relative = np.log1p(other.deviation / median)
        moved = Ahead(np.log(median), relative, other.shocks)
    for part, same in zip(moved, own, strict=True):  # a level has one scale
        part[~series.log] = same[~series.log]
    both = Ahead(*(np.concatenate(pair, axis=1) for pair in zip(own, moved, strict=True)))
    for i in range(len(series.lengths)):
        if len(series.seasons[i]) > 1:
            both.mean[i] += series.season(i, horizon)
    return both


def _smoothed(values: np.ndarray, series: Scaled, horizon: int) -> Ahead:
    from arproc.compiled.interpreted import suited
    from arproc.models.panel.automatic import smoothing_kernels

    points = np.array([point for family in _GRID.values() for point in family])
    edges = np.cumsum([0, *(len(family) for family in _GRID.values())])
    alpha, ratio, phi, precision = np.ascontiguousarray(points.T)
    grid = (alpha, alpha * ratio, phi, precision, edges)
    n, shape = len(series.lengths), (len(series.lengths), len(_GRID), horizon)
    mean, variance, shocks = np.empty(shape), np.empty(shape), np.empty(shape)
    known, stops = np.empty(n, np.bool_), series.offsets[:-1] + series.lengths
    work = series.lengths.cumsum() * len(alpha) * 25
    # interpreted, a value takes all points at once
    kernels = suited(smoothing_kernels, 40.0 * int(series.lengths.sum()) + 400.0 * n)
    whole = (values, series.offsets, stops)
    out = (mean, variance, shocks, known)
    threaded(lambda a, b: kernels.smooth(*whole, a, b, *grid, *out), shares(work))
    for part in (mean, variance, shocks):
        part[~known] = np.nan
    return Ahead(mean, np.sqrt(variance), shocks)
