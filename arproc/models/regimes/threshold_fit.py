"""Least squares for threshold autoregressions: thresholds and delay by search."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from arproc.errors import DataError

__all__ = ["Rows", "Split", "critical_value", "search"]

_GRID = 400  # places of thresholds that are tried in all combinations


@dataclass(frozen=True)
class Rows:
    """Regressors and targets, sorted by the threshold variable.

    Attributes:
        regressors: trend columns, then lags, [n, q + p].
        target: what they explain, [n].
        variable: the threshold variable, ascending, [n].
        columns: which of the regressors each regime uses.
        least: how many rows each regime must keep.
    """

    regressors: np.ndarray
    target: np.ndarray
    variable: np.ndarray
    columns: list[np.ndarray]
    least: int

    @classmethod
    def sorted(
        cls,
        regressors: np.ndarray,
        target: np.ndarray,
        variable: np.ndarray,
        columns: list[np.ndarray],
        trim: float,
    ) -> Rows:
        """The rows in the order of the threshold variable, with the trimming in numbers."""
        order = np.argsort(variable, kind="stable")
        widest = max(len(part) for part in columns)
        least = max(math.ceil(trim * len(target)), widest + 1)
        if least * len(columns) > len(target):
            raise DataError(
                f"data has {len(target)} elements beyond the given ones; expected at least "
                f"{least * len(columns)}, {least} for each of the {len(columns)} regimes. Lower "
                "order, regimes or trim."
            )
        return cls(regressors[order], target[order], variable[order], columns, least)

    def squares(self, regime: int, first: int, last: int) -> float:
        """The residual sum of squares of a regime that holds rows `first` to before `last`."""
        x = self.regressors[first:last, self.columns[regime]]
        y = self.target[first:last]
        return float(np.sum((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2))

    def profile(self, regime: int, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Where rows `first` to `last` may split into regimes `regime` and the next, and the sums.

        The sums of squares of all splits at once, from cumulated second moments: each row enters
        and leaves once, whatever the number of thresholds tried.

        Returns:
            The numbers of rows at which the upper regime may begin, int64 [m], and the residual
            sums of squares of both regimes together, [m].
        """
        low, high = first + self.least, last - self.least
        places = np.arange(low, high + 1)
        places = places[self.variable[places - 1] < self.variable[np.minimum(places, last - 1)]]
        if not len(places):
            return places, np.empty(0)
        w = np.hstack([self.regressors[first:last], self.target[first:last, None]])
        below = np.cumsum(w[:, :, None] * w[:, None, :], axis=0)[places - first - 1]
        above = w.T @ w - below
        total = _left(below, self.columns[regime]) + _left(above, self.columns[regime + 1])
        return places, total


def _left(moments: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Residual sums of squares from second moments of (regressors, target), [m, c + 1, c + 1]."""
    cross = moments[:, columns, -1]
    if not len(columns):
        return moments[:, -1, -1]
    inner = moments[:, columns[:, None], columns]
    # a regime may hold collinear rows: the least of ridges keeps the others' sums exact
    size = inner.diagonal(axis1=1, axis2=2).mean(axis=1)[:, None, None]
    solved = np.linalg.solve(inner + 1e-13 * size * np.eye(len(columns)), cross[..., None])
    return moments[:, -1, -1] - np.einsum("mc,mc->m", cross, solved[..., 0])


@dataclass(frozen=True)
class Split:
    """Rows cut into regimes.

    Attributes:
        bounds: the rows at which regimes begin and end, [k + 1].
        squares: the residual sum of squares.
        profiles: for each threshold the values it may have and the sums of squares there, the
            others held, [m, 2].
    """

    bounds: np.ndarray
    squares: float
    profiles: list[np.ndarray]


def search(rows: Rows) -> Split:
    """The thresholds with the least sum of squares (Tong 1983; Hansen 1997).

    One threshold: over every value of the threshold variable inside the trimming. Several: the
    least sum over all combinations of up to 400 values, by dynamic programming (Bai and Perron
    2003), then over every value of each threshold in turn until none moves; so with more values
    than that the minimum is one that no single threshold can improve.
    """
    k, n = len(rows.columns), len(rows.target)
    if k == 1:
        return Split(np.array([0, n]), rows.squares(0, 0, n), [])
    bounds = _first_bounds(rows, k, n)
    best = math.inf
    for _ in range(50):
        for i in range(1, k):
            places, sums = rows.profile(i - 1, bounds[i - 1], bounds[i + 1])
            if len(places):
                bounds[i] = int(places[np.argmin(sums)])
        total = sum(rows.squares(r, bounds[r], bounds[r + 1]) for r in range(k))
        if total >= best * (1 - 1e-12):
            break
        best = total
    profiles = []
    for i in range(1, k):
        places, sums = rows.profile(i - 1, bounds[i - 1], bounds[i + 1])
        held = rows.squares(i - 1, bounds[i - 1], bounds[i])
        held += rows.squares(i, bounds[i], bounds[i + 1])
        rest = best - held
        profiles.append(np.stack([rows.variable[places - 1], sums + rest], axis=1))
    return Split(np.array(bounds), best, profiles)


def _first_bounds(rows: Rows, k: int, n: int) -> list[int]:
    """Bounds to begin with: the best over a grid of places."""
    places = np.arange(rows.least, n - rows.least + 1)
    places = places[rows.variable[places - 1] < rows.variable[np.minimum(places, n - 1)]]
    if len(places) > _GRID:
        places = places[np.linspace(0, len(places) - 1, _GRID).round().astype(int)]
    places = np.concatenate([[0], places, [n]])
    w = np.hstack([rows.regressors, rows.target[:, None]])
    moments = np.zeros((n + 1, w.shape[1], w.shape[1]))
    np.cumsum(w[:, :, None] * w[:, None, :], axis=0, out=moments[1:])
    moments = moments[places]
    best, chosen = np.full(len(places), math.inf), []
    best[0] = 0.0
    for r in range(k):
        after, came = np.full(len(places), math.inf), np.zeros(len(places), dtype=int)
        for i in np.flatnonzero(np.isfinite(best)).tolist():
            ends = np.flatnonzero(places >= places[i] + rows.least)
            if r == k - 1:
                ends = ends[ends == len(places) - 1]
            if not len(ends):
                continue
            total = best[i] + _left(moments[ends] - moments[i], rows.columns[r])
            better = total < after[ends]
            after[ends[better]], came[ends[better]] = total[better], i
        best = after
        chosen.append(came)
    if not math.isfinite(best[-1]):
        raise DataError(
            "the threshold variable takes too few values to tell the regimes apart: too many "
            "elements are equal. Lower regimes or trim."
        )
    at, bounds = len(places) - 1, [n]
    for came in reversed(chosen):
        at = int(came[at])
        bounds.append(int(places[at]))
    return bounds[::-1]


def critical_value(level: float) -> float:
    """The quantile of Hansen's likelihood ratio for a threshold (2000, theorem 2).

    Example:
        >>> round(critical_value(0.95), 2)
        7.35
    """
    return -2 * math.log(1 - math.sqrt(level))
