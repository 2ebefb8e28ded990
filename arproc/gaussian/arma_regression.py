r"""Regressions with ARIMA errors, one or thousands at once, by exact maximum likelihood.

The coefficients are written through partial autocorrelations :math:`\tanh z` (Monahan 1984), so
every z is stationary and invertible. The regression (trend, seasons, regressors) and the
innovation variance are concentrated out: given the coefficients the columns pass through the same
filter as the data, and least squares of the innovations gives them. A problem is one or more
series under one law; series may have gaps (nan). See `arma_objective` for what is minimised.

References:
    Harvey (1989), sections 3.3 and 3.4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from arproc.errors import DataError
from arproc.gaussian.arma import Orders, at_zero, joined, maximise

__all__ = ["Fits", "Problem", "fit_each"]

#: Series [T], nan where an element is missing, each with its columns [T, c].
Problem = Sequence[tuple[np.ndarray, np.ndarray]]

_ROUNDING = 1e-13  # against the data, what is no noise
_NO_NOISE = (
    "data is constant, or without any noise once differenced and freed of its trend and "
    "regressors: no innovation variance can be estimated."
)
_COLLINEAR = (
    "the terms and regressors are collinear over the elements that were observed; leave one of "
    "them out."
)


class Fits(NamedTuple):
    """What was estimated of G problems; nan where there is no fit.

    Attributes:
        beta: the columns' coefficients, [G, c].
        coef: of the four polynomials, in the order of `Orders.blocks`, [G, k].
        sigma2: the innovation variances, [G].
        covariance: of (beta, coef, sigma2), [G, c + k + 1, c + k + 1]; nan too where the maximum
            lies on a boundary.
        log_likelihood: nats, [G].
        used: of how many elements that is, int64 [G].
        faults: why problems have no fit, by their numbers.
    """

    beta: np.ndarray
    coef: np.ndarray
    sigma2: np.ndarray
    covariance: np.ndarray
    log_likelihood: np.ndarray
    used: np.ndarray
    faults: dict[int, str]


class _Scaled(NamedTuple):
    """A problem as it is fitted.

    Attributes:
        rows: the data about a rough fit and of unit size, and columns that are orthonormal once
            differenced, [1 + c, T]; of differences, but with gaps.
        torn: which rows have gaps.
        scale: what the data were divided by.
        back: from coefficients of these columns to those of the user's, [c, c].
        rough: the rough fit, in the latter, [c].
    """

    rows: list[np.ndarray]
    torn: list[bool]
    scale: float
    back: np.ndarray
    rough: np.ndarray


def fit_each(orders: Orders, problems: Sequence[Problem], names: Sequence[str]) -> Fits:
    """Fit every problem.

    Args:
        orders: of all of them.
        problems: of each the series and their columns.
        names: what the columns are called, for messages, [c].

    Example:
        >>> x = np.cumsum(np.sin(np.arange(60.0) ** 2))
        >>> x[20:23] = np.nan
        >>> orders = Orders(0, 1, 1, 0, 0, 0, 0)
        >>> found = fit_each(orders, [[(x, np.zeros((60, 0)))]], [])
        >>> found.used.tolist(), found.faults
        ([56], {})
    """
    n, k, c = len(problems), sum(orders.blocks), len(names)
    found = Fits(
        np.full((n, c), np.nan), np.full((n, k), np.nan), np.full(n, np.nan),
        np.full((n, c + k + 1, c + k + 1), np.nan), np.full(n, np.nan), np.zeros(n, np.int64), {},
    )  # fmt: skip
    made: dict[int, _Scaled] = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for g, problem in enumerate(problems):
            try:
                made[g] = _scaled(problem, orders, names)
            except DataError as error:
                found.faults[g] = str(error)
    made = _enough(made, orders, found)
    if made:
        _maxima(made, orders, found)
    return found


def _flat(made: dict[int, _Scaled]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Columns, offsets, groups and torn rows of all problems; see `maximise`."""
    columns, offsets = joined([row for one in made.values() for row in one.rows])
    groups = np.concatenate([[0], np.cumsum([len(one.rows) for one in made.values()])])
    torn = np.array([gaps for one in made.values() for gaps in one.torn], dtype=np.bool_)
    return columns, offsets, groups.astype(np.int64), torn


def _enough(made: dict[int, _Scaled], orders: Orders, found: Fits) -> dict[int, _Scaled]:
    """The problems that have more elements than parameters, and noise."""
    if not made:
        return made
    at = at_zero(orders, *_flat(made))
    count, kept = sum(orders.blocks) + found.beta.shape[1] + 1, {}
    for j, (g, one) in enumerate(made.items()):
        if at.used[j] <= count:
            found.faults[g] = (
                f"data has {at.used[j]} element(s) beyond the first {orders.n_given} given ones; "
                f"expected more than the {count} parameters. Lower the orders."
            )
        elif at.squares[j] > _ROUNDING**2 * at.used[j] and math.isfinite(at.value[j]):
            kept[g] = one
        else:
            found.faults[g] = _no_maximum(float(at.squares[j]))
    return kept


def _no_maximum(squares: float) -> str:
    """Why a problem has no likelihood: no noise, or no regression."""
    if math.isfinite(squares):
        return _NO_NOISE
    return _COLLINEAR


def _maxima(made: dict[int, _Scaled], orders: Orders, found: Fits) -> None:
    """Fit problems that are in good order, into `found`."""
    best = maximise(orders, *_flat(made))
    n, c = np.maximum(best.used, 1), found.beta.shape[1]
    noise = best.squares / n
    good = np.isfinite(best.value) & (noise > _ROUNDING**2)
    which = np.array(list(made))
    for j in np.flatnonzero(~good).tolist():
        found.faults[int(which[j])] = _no_maximum(float(best.squares[j]))
    if not good.any():
        return
    at, listed = which[good], [one for one, kept in zip(made.values(), good, strict=True) if kept]
    scale, back = np.array([one.scale for one in listed]), np.stack([one.back for one in listed])
    kept = type(best)(*(part[good] for part in best))
    n, noise = n[good], noise[good]
    pushes = (back @ (scale[:, None] * kept.beta)[..., None])[..., 0]
    found.beta[at] = np.stack([one.rough for one in listed]) + pushes
    found.coef[at] = np.concatenate(orders.coefficients(kept.z), axis=-1)
    with np.errstate(over="ignore", invalid="ignore"):
        found.sigma2[at] = noise * scale**2
        move = np.tile(np.eye(found.covariance.shape[1]), (len(at), 1, 1))
        move[:, :c, :c] = back * scale[:, None, None]
        move[:, -1, -1] = scale**2
        found.covariance[at] = move @ kept.covariances(orders) @ np.swapaxes(move, 1, 2)
    likely = -0.5 * n * (kept.value + 1 + np.log(2 * np.pi / n)) - n * np.log(scale)
    found.log_likelihood[at], found.used[at] = likely, n


def _scaled(problem: Problem, orders: Orders, names: Sequence[str]) -> _Scaled:
    """A problem as it is fitted; `DataError` where it can not be."""
    series, torn, firsts, largest = [], [], [], 0.0
    for y, x in problem:
        seen = np.isfinite(y)
        there = y if seen.all() else y[seen]
        if len(there):
            series.append((y, x))
            torn.append(len(there) < len(y))
            firsts.append(there[0])
            largest = max(largest, float(np.abs(there).max()))
    if not series:
        raise DataError("data has nothing but missing values; expected some elements.")
    c = len(names)
    back, rough = np.eye(c), np.zeros(c)
    if c:
        back = _orthonormal([x for _, x in series], orders, names)
        series = [(y, x @ back) for y, x in series]
        if any(torn):
            _require_told_apart(series, orders)
        rough = _rough(series, orders)
        series = [(y - x @ rough, x) for y, x in series]
        firsts = [y[np.isfinite(y)][0] for y, _ in series]
    if orders.n_given:  # differences know no level
        both = zip(series, firsts, strict=True)
        series = [(y - first, x - x[0] if c else x) for (y, x), first in both]
    steps = [orders.difference(y) for y, _ in series]
    flat = steps[0] if len(steps) == 1 else np.concatenate(steps)
    flat = flat[np.isfinite(flat)] if any(torn) else flat
    spread = math.sqrt(float(flat @ flat) / len(flat)) if len(flat) else 0.0
    scale = spread or float(np.nanstd(np.concatenate([y for y, _ in series])))
    if not (scale > _ROUNDING * largest and scale > 1e-150):
        raise DataError(_NO_NOISE)
    rows, gaps = [], []
    for (y, x), step, missing in zip(series, steps, torn, strict=True):
        if not missing and not len(step):
            continue
        row = (y if missing else step)[None] / scale
        if c:
            row = np.concatenate([row, x.T if missing else orders.difference(x.T)])
        rows.append(row)
        gaps.append(missing)
    if not rows:
        rows, gaps = [np.zeros((1 + c, 0))], [False]
    return _Scaled(rows, gaps, scale, back, back @ rough)


def _orthonormal(columns: list[np.ndarray], orders: Orders, names: Sequence[str]) -> np.ndarray:
    """The matrix that makes columns [T, c] orthonormal once they are differenced."""
    moved = np.concatenate([orders.difference(part.T) for part in columns], axis=1).T
    size = np.sqrt((moved**2).mean(axis=0)) if len(moved) else np.ones(len(names))
    whole = np.sqrt(np.concatenate([part**2 for part in columns]).mean(axis=0))
    still = [name for name, a, b in zip(names, size, whole, strict=True) if not a > 1e-12 * b]
    if still:
        raise DataError(
            f"the regressor {still[0]} is zero once differenced (d = {orders.d}, D = "
            f"{orders.seasonal_d}), so its coefficient has no meaning; leave it out."
        )
    r = np.linalg.qr(moved / size, mode="r")
    if len(moved) < len(names) or np.abs(np.diag(r)).min() <= 1e-11 * np.abs(r).max():
        raise DataError(
            f"the regressors {', '.join(names)} are perfectly collinear once differenced; "
            "leave one of them out."
        )
    return np.linalg.inv(r) * math.sqrt(len(moved)) / size[:, None]


def _require_told_apart(series: Problem, orders: Orders) -> None:
    """Refuse columns that are collinear over the elements that were observed.

    They are so beside what the differences take for unknown: of each series a straight line and
    the like, and a pattern of one season.
    """
    left = []
    for y, x in series:
        seen = np.isfinite(y)
        time, seasons = np.linspace(-1.0, 1.0, len(y)), np.eye(max(orders.period, 1))
        place = seasons[np.arange(len(y)) % len(seasons)]
        free = [place * time[:, None] ** i for i in range(orders.seasonal_d)]
        powers = orders.seasonal_d + np.arange(orders.d)
        unknown = np.concatenate([*free, time[:, None] ** powers], axis=1)[seen]
        left.append(x[seen] - unknown @ np.linalg.lstsq(unknown, x[seen], rcond=None)[0])
    rows = np.concatenate(left)
    size = np.sqrt(np.concatenate([x**2 for _, x in series]).mean(axis=0))
    r = np.linalg.qr(rows / size, mode="r")
    if len(rows) < rows.shape[1] or np.abs(np.diag(r)).min() <= 1e-9 * math.sqrt(len(rows)):
        raise DataError(_COLLINEAR)


def _rough(series: Problem, orders: Orders) -> np.ndarray:
    """Least squares of the differences, gaps filled: only to have small numbers, [c]."""
    total, count = np.zeros(series[0][1].shape[1]), 0
    for y, x in series:
        seen, place = np.isfinite(y), np.arange(len(y))
        full = y if seen.all() else np.interp(place, place[seen], y[seen])
        step = orders.difference(full)
        total, count = total + orders.difference(x.T) @ step, count + len(step)
    return total / max(count, 1)
