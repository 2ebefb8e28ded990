"""Compiled parts of panel fits: scaling, lag sums, small matrices. Importing this imports numba.

Every routine works on one series that lies in the cache, with room handed in by the caller; no
memory is asked for inside a loop over series.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit

__all__ = [
    "autocovariances",
    "backwards",
    "cholesky",
    "dot",
    "forwards",
    "invert",
    "log_determinant",
    "mean_of",
    "scale",
    "start_terms",
    "step_down",
]

#: Sums may be taken in any order, which is what lets them be vectorised; nan stays nan.
SUMS = {"reassoc", "contract", "nsz"}


def _dot(a: np.ndarray, i: int, b: np.ndarray, j: int, count: int) -> float:
    """The sum of a[i + t] * b[j + t] over t < count."""
    first, second = a[i : i + count], b[j : j + count]  # so that no index can be negative
    total = 0.0
    for t in range(count):
        total += first[t] * second[t]
    return total


def _plain_dot(a: np.ndarray, i: int, b: np.ndarray, j: int, count: int) -> float:
    return float(a[i : i + count] @ b[j : j + count])


dot = jit(_dot, _plain_dot, fastmath=SUMS)


def _total(x: np.ndarray) -> float:
    total = 0.0
    for t in range(len(x)):
        total += x[t]
    return total


total = jit(_total, lambda x: float(x.sum()), fastmath=SUMS)


def _shift(x: np.ndarray, level: float, y: np.ndarray) -> float:
    """Take the level off: y = x - level; gives the sum of squares."""
    squares = 0.0
    for t in range(len(x)):
        v = x[t] - level
        y[t] = v
        squares += v * v
    return squares


def _plain_shift(x: np.ndarray, level: float, y: np.ndarray) -> float:
    y[: len(x)] = x - level
    return float(y[: len(x)] @ y[: len(x)])


shift = jit(_shift, _plain_shift, fastmath=SUMS)


@jit
def scale(x: np.ndarray, columns: np.ndarray, y: np.ndarray, center: np.ndarray) -> float:
    """Bring a series without gaps to mean 0 and size 1: y = (x - columns' center) / size.

    Args:
        x: the series [n].
        columns: the regressors of the mean, none, 1, or 1 and a multiple of t: [q, at least n].
        y: where the result goes, [at least n].
        center: where the least-squares coefficients of the columns go, [q].

    Returns:
        The size, the root mean square of what is left; 0 where nothing is, or nothing but
        rounding; nan where a value is.
    """
    n, q = len(x), len(columns)
    level = total(x) / n if q else 0.0
    squares = shift(x, level, y)
    if q:
        center[0] = level
    if q == 2:
        middle = total(columns[1, :n]) / n
        rise = dot(columns[1], 0, y, 0, n) / (
            dot(columns[1], 0, columns[1], 0, n) - n * middle * middle
        )
        center[0], center[1] = level - rise * middle, rise
        squares = 0.0
        for t in range(n):
            y[t] -= rise * (columns[1, t] - middle)
            squares += y[t] * y[t]
    size = np.sqrt(squares / n)
    if not np.isfinite(size):
        return np.nan
    # rounding leaves about 1e-16 of the level; the careful way decides what lies near it
    if not (1e-75 < size < 1e75) or size < 1e-12 * abs(level):
        return 0.0
    inverse = 1.0 / size
    for t in range(n):
        y[t] *= inverse
    return size


@jit
def cholesky(a: np.ndarray, k: int, least: float) -> bool:
    """The lower factor of the leading k x k block in its place; False where it is not positive.

    Nor is it taken for positive where those before it leave of a diagonal element no more than
    the share `least`: of collinear columns that is rounding, of either sign.
    """
    for j in range(k):
        whole = d = a[j, j]
        for h in range(j):
            d -= a[j, h] * a[j, h]
        if not d > least * whole:
            return False
        d = np.sqrt(d)
        a[j, j] = d
        for i in range(j + 1, k):
            v = a[i, j]
            for h in range(j):
                v -= a[i, h] * a[j, h]
            a[i, j] = v / d
    return True


@jit
def forwards(factor: np.ndarray, k: int, x: np.ndarray) -> None:
    """Solve L z = x, in the place of the first k numbers of x."""
    for i in range(k):
        for j in range(i):
            x[i] -= factor[i, j] * x[j]
        x[i] /= factor[i, i]


@jit
def backwards(factor: np.ndarray, k: int, x: np.ndarray) -> None:
    """Solve L' z = x likewise; after `forwards` that is the solution of L L' z = x."""
    for i in range(k - 1, -1, -1):
        for j in range(i + 1, k):
            x[i] -= factor[j, i] * x[j]
        x[i] /= factor[i, i]


@jit
def invert(factor: np.ndarray, k: int, inverse: np.ndarray) -> None:
    """The inverse of L L' from its lower factor; the factor is used up."""
    for j in range(k):  # L^-1 in the place of L
        factor[j, j] = 1.0 / factor[j, j]
        for i in range(j + 1, k):
            v = 0.0
            for h in range(j, i):
                v -= factor[i, h] * factor[h, j]
            factor[i, j] = v / factor[i, i]
    for i in range(k):
        for j in range(i + 1):
            v = 0.0
            for h in range(i, k):
                v += factor[h, i] * factor[h, j]
            inverse[i, j] = v
            inverse[j, i] = v


@jit
def step_down(phi: np.ndarray, levels: np.ndarray) -> float:
    """The predictors of every order: `levels[k - 1, :k]` from the last k values.

    Returns:
        The largest modulus of a partial autocorrelation (of those found, if one is 1 or more:
        what lies below means nothing then, and is left out).
    """
    p = len(phi)
    largest = 0.0
    for i in range(p):
        levels[p - 1, i] = phi[i]
    for k in range(p, 0, -1):
        r = levels[k - 1, k - 1]
        largest = max(largest, abs(r)) if r == r else np.inf
        if not largest < 1.0:
            return largest
        inverse = 1.0 / ((1.0 - r) * (1.0 + r))
        for i in range(k - 1):
            levels[k - 2, i] = (levels[k - 1, i] + r * levels[k - 1, k - 2 - i]) * inverse
    return largest


@jit
def autocovariances(levels: np.ndarray, p: int, sigma2: float, gamma: np.ndarray) -> None:
    """Of a stationary process, at the lags 0 ... p - 1, from its predictors."""
    variance = sigma2
    for k in range(p):
        r = levels[k, k]
        variance /= (1.0 - r) * (1.0 + r)
    gamma[0] = variance
    for k in range(1, p):
        r = levels[k - 1, k - 1]
        value = r * variance
        if k > 1:
            for i in range(k - 1):
                value += levels[k - 2, i] * gamma[k - 1 - i]
        gamma[k] = value
        variance *= (1.0 - r) * (1.0 + r)


@jit
def log_determinant(levels: np.ndarray, p: int) -> float:
    """sum_k k log(1 - r_k^2): minus the log determinant of the first p values' covariance."""
    value = 0.0
    for k in range(1, p + 1):
        r = levels[k - 1, k - 1]
        value += k * np.log1p(-r * r)
    return value


@jit
def start_terms(y: np.ndarray, levels: np.ndarray, p: int) -> float:
    """The quadratic form of the first p values: squared errors, each over its own variance.

    Args:
        y: the first p values, the mean taken off.
        levels: from `step_down`.
        p: the order.
    """
    value, factor = 0.0, 1.0
    for t in range(p - 1, -1, -1):
        r = levels[t, t]
        factor *= (1.0 - r) * (1.0 + r)
        error = y[t]
        for i in range(t):
            error -= levels[t - 1, i] * y[t - 1 - i]
        value += factor * error * error
    return value


@jit
def mean_of(
    phi_sum: float, weighted: float, intercept: float, drift: float
) -> tuple[float, float]:
    """Level at t = 0 and slope of the mean of a recursion; nan for a unit root.

    Args:
        phi_sum: the sum of the coefficients.
        weighted: the sum of lag times coefficient.
        intercept: the recursion's constant.
        drift: the recursion's coefficient of t.
    """
    if intercept == 0 and drift == 0:
        return 0.0, 0.0
    left = 1.0 - phi_sum
    if abs(left) < 1e-12:
        return np.nan, np.nan
    slope = drift / left
    return (intercept - slope * weighted) / left, slope
