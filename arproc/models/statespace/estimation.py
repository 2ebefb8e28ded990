r"""Maximum likelihood of seasonal ARIMA processes with regressors.

The coefficients are written through partial autocorrelations :math:`\tanh z` (Monahan 1984), so
every z is stationary and invertible. The regression (mean, slope and regressors) and the
innovation variance are concentrated out: given the coefficients the regressors pass through the
same filter as the data, and least squares of the innovations gives them. What is minimised is

.. math::
    f(z) = \log S(z) / n + \frac{1}{n} \sum_t \log F_t,

S the sum of squares :math:`\sum v_t^2 / F_t`. Several series add to one f. Where nothing is
missing that is a problem for `arproc.gaussian.arma`, whatever the number of series; where
something is, the maximum that it finds with the gaps filled is where the search here begins.

References:
    Harvey (1989), sections 3.3 and 3.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from arproc.errors import DataError
from arproc.gaussian.arma import FAR, Orders, maximise
from arproc.gaussian.filtering import Filter
from arproc.inference.delta import carried

__all__ = ["SarimaEstimate", "estimate"]

_STEP = 1e-5  # of the differences that give the gradient
_WIDE = 2e-3  # of those that give the Hessian
_INSIDE = 1.5  # |z| of a start: nothing moves any more far out
_ROUNDING = 1e-13  # against the data, what is no noise
_NO_NOISE = (
    "data is constant, or without any noise once differenced and freed of its trend and "
    "regressors: no innovation variance can be estimated."
)


class SarimaEstimate(NamedTuple):
    """What was estimated.

    Attributes:
        coef: AR, MA, seasonal AR and seasonal MA coefficients.
        beta: of the regressors, [c].
        sigma2: the innovation variance.
        covariance: of (beta, all coefficients, sigma2); nan where the likelihood's maximum is on
            the boundary.
        used: how many elements the likelihood is of.
    """

    coef: list[np.ndarray]
    beta: np.ndarray
    sigma2: float
    covariance: np.ndarray
    used: int


@dataclass
class _Rows:
    """Rows that pass through the filter together: data and regressors, [C, N, T]."""

    columns: np.ndarray
    counts: np.ndarray
    seen: np.ndarray | None

    def sums(self, kalman: Filter) -> tuple[np.ndarray, float, int]:
        """Sum of products of the innovations over F [C, C], sum of log F, how many."""
        c, n, steps = self.columns.shape
        rest, variance = kalman.innovations(self.columns.reshape(c * n, steps), self.seen)
        valid = np.isfinite(variance) & (True if self.seen is None else self.seen)
        inside = (np.arange(steps) < self.counts[:, None]) & valid
        weight = np.where(inside, 1.0 / np.where(valid, variance, 1.0), 0.0)
        rest = np.where(inside, rest.reshape(c, n, steps), 0.0)
        products = np.einsum("ant,bnt,nt->ab", rest, rest, weight, optimize=c > 2)
        logs = float((inside * np.log(np.where(valid, variance, 1.0))).sum())
        return products, logs, int(inside.sum())


class _Profile(NamedTuple):
    value: float
    beta: np.ndarray
    sum_squares: float
    precision: np.ndarray
    used: int


class _Problem:
    """The concentrated likelihood of scaled data."""

    def __init__(self, orders: Orders, rows: list[_Rows]) -> None:
        self.orders = orders
        self.rows = rows

    def at(self, z: np.ndarray) -> _Profile:
        coef = self.orders.coefficients(z)
        plain = Filter(self.orders.represent(coef, differenced=True))
        whole = None
        products, logs, used = np.zeros(()), 0.0, 0
        for rows in self.rows:
            if rows.seen is not None and whole is None:
                whole = Filter(self.orders.represent(coef))
            more, log, count = rows.sums(plain if rows.seen is None or whole is None else whole)
            products, logs, used = products + more, logs + log, used + count
        precision, cross = products[1:, 1:], products[1:, 0]
        beta = np.linalg.solve(precision, cross) if len(cross) else np.zeros(0)
        squares = float(products[0, 0] - cross @ beta)
        value = math.log(squares) + logs / used if squares > 0 else -math.inf
        return _Profile(value, beta, squares, precision, used)

    def value(self, z: np.ndarray) -> float:
        """What is minimised; infinite where z has no law that can be computed."""
        try:
            value = self.at(z).value
        except np.linalg.LinAlgError:  # so near a unit root that the start has no covariance
            return math.inf
        return math.inf if math.isnan(value) else value

    def gradient(self, z: np.ndarray) -> np.ndarray:
        found = np.array([(self.value(z + h) - self.value(z - h)) / (2 * _STEP)
                          for h in _STEP * np.eye(len(z))])  # fmt: skip
        return np.nan_to_num(found, nan=0.0)

    def hessian(self, z: np.ndarray) -> np.ndarray:
        """By central differences of the value, the fourth-order error taken off the diagonal."""
        size, out = len(z), np.zeros((len(z), len(z)))
        steps = _WIDE * np.eye(size)
        centre = self.value(z)
        for i in range(size):
            near = self.value(z + steps[i]) + self.value(z - steps[i]) - 2 * centre
            far = self.value(z + 2 * steps[i]) + self.value(z - 2 * steps[i]) - 2 * centre
            out[i, i] = (16 * near - far) / (12 * _WIDE**2)
            for j in range(i):
                a, b = steps[i] + steps[j], steps[i] - steps[j]
                cross = self.value(z + a) + self.value(z - a)
                cross -= self.value(z + b) + self.value(z - b)
                out[i, j] = out[j, i] = cross / (4 * _WIDE**2)
        return out


def estimate(
    series: list[np.ndarray], design: list[np.ndarray], orders: Orders, names: list[str]
) -> SarimaEstimate:
    """Fit one process to several series.

    Args:
        series: values, nan where missing, [T] each.
        design: the regressors of each, [T, c].
        orders: of the process.
        names: the regressors' names, for messages.

    Raises:
        DataError: too few values, regressors that the differences make collinear or zero, or
            values that the process passes through exactly.
    """
    if all(np.isnan(value).all() for value in series):
        raise DataError("data has nothing but missing values; expected some elements.")
    y, x, scale, back, shift = _scaled(series, design, orders, names)
    problem = _Problem(orders, list(_blocks(y, x, orders)))
    size, zero = sum(orders.blocks), np.zeros(sum(orders.blocks))
    at = problem.at(zero)
    if at.used <= size + len(at.beta) + 1:
        raise DataError(
            f"data has {at.used} element(s) beyond the first {orders.n_given} given ones; "
            f"expected more than the {size + len(at.beta) + 1} parameters. Lower the orders."
        )
    _require_noise(at)
    z = zero
    gaps = any(np.isnan(value).any() for value in y)
    whole = _together(y, x, orders)
    found = maximise(orders, *whole, np.array([0, len(whole[1]) - 1]))
    if size:
        z = found.z[0]
        if gaps:
            starts = (z.clip(-_INSIDE, _INSIDE), zero + 0.05)
            z = min((_minimise(problem, start) for start in starts), key=problem.value)
        at = problem.at(z)
        _require_noise(at)
    covariance = _covariance(problem, z) if gaps else found.covariances(orders)[0]
    move = np.eye(len(covariance))
    c = len(back)
    move[:c, :c] = back * scale
    move[-1, -1] = scale**2
    return SarimaEstimate(
        orders.coefficients(z),
        shift + back @ at.beta * scale,
        at.sum_squares / at.used * scale**2,
        carried(move, covariance),
        at.used,
    )


def _require_noise(at: _Profile) -> None:
    if not at.sum_squares > _ROUNDING**2 * at.used:
        raise DataError(_NO_NOISE)


def _scaled(
    series: list[np.ndarray], design: list[np.ndarray], orders: Orders, names: list[str]
) -> tuple[list[np.ndarray], list[np.ndarray], float, np.ndarray, np.ndarray]:
    """Data of unit size about a rough fit, and regressors orthonormal once differenced.

    Returns:
        y, x; the scale; the matrix from the new regressors' coefficients to the old ones', and the
        rough fit's coefficients.
    """
    c = design[0].shape[1]
    moved = np.concatenate([orders.difference(part.T).T for part in design])
    size = np.sqrt((moved**2).mean(axis=0)) if len(moved) else np.ones(c)
    whole = np.sqrt(np.concatenate([part**2 for part in design]).mean(axis=0))
    still = [name for name, a, b in zip(names, size, whole, strict=True) if not a > 1e-12 * b]
    if still:
        raise DataError(
            f"the regressor {still[0]} is zero once differenced (d = {orders.d}, D = "
            f"{orders.seasonal_d}), so its coefficient has no meaning; leave it out."
        )
    back = np.eye(c)
    if c:
        r = np.linalg.qr(moved / size, mode="r")
        if len(moved) < c or np.abs(np.diag(r)).min() <= 1e-11 * np.abs(r).max():
            raise DataError(
                f"the regressors {', '.join(names)} are perfectly collinear once differenced; "
                "leave one of them out."
            )
        back = np.linalg.inv(r) * math.sqrt(len(moved)) / size[:, None]
    x = [part @ back for part in design]
    rough = _rough(series, x)
    y = [value - part @ rough for value, part in zip(series, x, strict=True)]
    if orders.n_given:
        y = [value - value[np.isfinite(value)][:1].sum() for value in y]
    steps = np.concatenate([orders.difference(value) for value in y])
    steps = steps[np.isfinite(steps)]
    spread = float(np.sqrt((steps**2).mean())) if len(steps) else 0.0
    scale = spread or float(np.nanstd(np.concatenate(y)))
    if not scale > _ROUNDING * float(np.nanmax(np.abs(np.concatenate(series)))):
        raise DataError(_NO_NOISE)
    return [value / scale for value in y], x, scale, back, back @ rough


def _rough(series: list[np.ndarray], x: list[np.ndarray]) -> np.ndarray:
    """Least squares of the levels: only to have small numbers, so any answer will do."""
    y, columns = np.concatenate(series), np.concatenate(x)
    seen = np.isfinite(y)
    if not columns.shape[1] or not seen.any():
        return np.zeros(columns.shape[1])
    return np.linalg.lstsq(columns[seen], y[seen], rcond=None)[0]


def _blocks(y: list[np.ndarray], x: list[np.ndarray], orders: Orders) -> Iterator[_Rows]:
    """Whole series, differenced, in one block; each with missing values in one of its own."""
    whole = []
    for value, part in zip(y, x, strict=True):
        columns = np.concatenate([value[None], part.T])
        if np.isnan(value).any():
            seen = ~np.isnan(value)
            yield _Rows(columns[:, None], np.array([len(value)]), seen)
        elif len(value) > orders.n_given:
            whole.append(orders.difference(columns))
    if whole:
        counts = np.array([part.shape[1] for part in whole])
        padded = np.zeros((len(whole[0]), len(whole), int(counts.max())))
        for i, part in enumerate(whole):
            padded[:, i, : counts[i]] = part
        yield _Rows(padded, counts, None)


def _together(
    y: list[np.ndarray], x: list[np.ndarray], orders: Orders
) -> tuple[np.ndarray, np.ndarray]:
    """The differences of all rows, one after the other [1 + c, total], and where each begins.

    Gaps are filled by straight lines: good enough for a start.
    """
    parts = []
    for value, part in zip(y, x, strict=True):
        seen, place = np.isfinite(value), np.arange(len(value))
        if len(value) > orders.n_given and seen.any():
            full = value if seen.all() else np.interp(place, place[seen], value[seen])
            parts.append(orders.difference(np.concatenate([full[None], part.T])))
    counts = [part.shape[1] for part in parts]
    return np.concatenate(parts, axis=1), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


# ---- the maximum ----------------------------------------------------------------------------


def _minimise(problem: _Problem, start: np.ndarray) -> np.ndarray:
    from scipy import optimize

    with np.errstate(all="ignore"):
        found = optimize.minimize(
            problem.value, start, jac=problem.gradient, method="BFGS",
            options={"gtol": 1e-8, "maxiter": 500},
        )  # fmt: skip
    return found.x.clip(-FAR, FAR)


def _covariance(problem: _Problem, z: np.ndarray) -> np.ndarray:
    """The covariance of (beta, coefficients, sigma2), scaled data: see `linear` for the idea.

    The inverse Hessian in z, carried to the parameters by how they move with z, plus what the
    regression and the variance vary given z.
    """
    at = problem.at(z)
    c, q, n = len(at.beta), len(z), at.used
    sigma2 = at.sum_squares / n
    covariance = np.zeros((c + q + 1, c + q + 1))
    if c:
        covariance[:c, :c] = sigma2 * np.linalg.inv(at.precision)
    covariance[-1, -1] = 2 * sigma2**2 / n
    if not q:
        return covariance
    hessian = problem.hessian(z)
    unknown = np.full_like(covariance, math.nan)
    if np.abs(z).max() > 0.5 * FAR or not np.isfinite(hessian).all():
        return unknown
    if np.linalg.eigvalsh(hessian)[0] <= 1e-9:
        return unknown
    try:
        moved = _slopes(lambda at: _reported(problem, at), z)
    except np.linalg.LinAlgError:
        return unknown
    return covariance + moved.T @ np.linalg.inv(hessian) @ moved * (2 / n)


def _reported(problem: _Problem, z: np.ndarray) -> np.ndarray:
    at = problem.at(z)
    return np.r_[at.beta, np.concatenate(problem.orders.coefficients(z)), at.sum_squares / at.used]


def _slopes(function: Callable[[np.ndarray], np.ndarray], z: np.ndarray) -> np.ndarray:
    """How the numbers of a function move with z, [q, outputs]."""
    return np.stack([(function(z + h) - function(z - h)) / (2 * _STEP)
                     for h in _STEP * np.eye(len(z))])  # fmt: skip
