"""Sums of products of every series of a panel, gaps or not, compiled (with numba)."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.lag_products import gram_of
from arproc.gaussian.small_kernels import backwards, cholesky, dot, forwards, scale

__all__ = [
    "beside",
    "gram_with_gaps",
    "products",
    "regress",
    "scale_with_gaps",
    "uncentre",
]

#: What the columns before it leave of a column's squares, at the least.
_WELL = 1e-9


@jit
def beside(
    covariates: np.ndarray, centred: bool, first: int, table: np.ndarray, middle: np.ndarray,
    size: np.ndarray,
) -> bool:  # fmt: skip
    """The covariates of a series as columns of size 1, about 0 where they are `centred`.

    Args:
        covariates: [n, c].
        centred: whether there is a constant beside them.
        first: the row of the table that the first goes to.
        table: the columns, [first + c, at least n].
        middle: what was taken off, [c].
        size: what they were divided by, [c].

    Returns:
        Whether each of them varies, or, where they are not centred, is there at all.
    """
    n, c = covariates.shape
    for j in range(c):
        total = 0.0
        for t in range(n):
            total += covariates[t, j]
        level = total / n if centred else 0.0
        squares, largest = 0.0, 0.0
        for t in range(n):
            value = covariates[t, j] - level
            table[first + j, t] = value
            squares += value * value
            largest = max(largest, abs(covariates[t, j]))
        middle[j], size[j] = level, np.sqrt(squares / n)
        if not (size[j] > 1e-10 * largest and size[j] < 1e75):
            return False
        for t in range(n):
            table[first + j, t] /= size[j]
    return True


@jit
def regress(table: np.ndarray, n: int, gram: np.ndarray, found: np.ndarray) -> float:
    """Take off a series what is linear in the columns beside it, and bring the rest to size 1.

    Args:
        table: the series and the columns, [1 + q, at least n].
        n: the length.
        gram: room, [q, q].
        found: the coefficients, [q].

    Returns:
        What the rest was divided by; 0 where the columns are collinear, or nothing is left.
    """
    q = len(found)
    for a in range(q):
        for b in range(a + 1):
            gram[a, b] = dot(table[a + 1], 0, table[b + 1], 0, n)
        found[a] = dot(table[a + 1], 0, table[0], 0, n)
    if not cholesky(gram, q, _WELL):
        return 0.0
    forwards(gram, q, found)
    backwards(gram, q, found)
    squares = 0.0
    for t in range(n):
        value = table[0, t]
        for a in range(q):
            value -= found[a] * table[a + 1, t]
        table[0, t] = value
        squares += value * value
    size = np.sqrt(squares / n)
    if not size > 1e-10:
        return 0.0
    for t in range(n):
        table[0, t] /= size
    return size


@jit
def uncentre(covariance: np.ndarray, q: int, middle: np.ndarray) -> None:
    """From a constant beside centred covariates to one beside them as they are.

    Args:
        covariance: of the constant, first, of others up to q, of the covariates' coefficients ...
        q: how many terms there are before these.
        middle: what was taken off them, [c].
    """
    m = len(covariance)
    for j in range(len(middle)):
        for i in range(m):
            covariance[0, i] -= middle[j] * covariance[q + j, i]
    for j in range(len(middle)):
        for i in range(m):
            covariance[i, 0] -= middle[j] * covariance[i, q + j]


@jit
def gram_with_gaps(
    y: np.ndarray, n: int, lags: np.ndarray, columns: np.ndarray, gram: np.ndarray, row: np.ndarray
) -> int:
    """The same over the elements that are known and whose lags are; gives how many these are."""
    k, q = len(lags), len(columns)
    p, last, used = (lags[k - 1] if k else 0), k + q, 0
    gram[: last + 1, : last + 1] = 0.0
    for t in range(p, n):
        row[last] = y[t]
        known = y[t] == y[t]
        for i in range(k):
            row[i] = y[t - lags[i]]
            known = known and row[i] == row[i]
        if not known:
            continue
        used += 1
        for a in range(q):
            row[k + a] = columns[a, t]
        for i in range(last + 1):
            for j in range(i + 1):
                gram[i, j] += row[i] * row[j]
    return used


@jit
def scale_with_gaps(x: np.ndarray, y: np.ndarray, q: int, center: np.ndarray) -> float:
    """Mean 0 and size 1 of what is known; gives the size, or 0 where there is none."""
    known, level = 0, 0.0
    for t in range(len(x)):
        if x[t] == x[t]:
            known += 1
            level += x[t]
    if not known:
        return 0.0
    level = level / known if q else 0.0
    squares = 0.0
    for t in range(len(x)):
        y[t] = x[t] - level
        if y[t] == y[t]:
            squares += y[t] * y[t]
    size = np.sqrt(squares / known)
    if not (1e-75 < size < 1e75) or size < 1e-12 * abs(level):
        return 0.0
    center[:] = 0.0
    if q:
        center[0] = level
    for t in range(len(x)):
        y[t] /= size
    return size


@jit
def products(
    values: np.ndarray,
    offsets: np.ndarray,
    begin: int,
    end: int,
    lags: np.ndarray,
    columns: np.ndarray,
    gram: np.ndarray,
    counts: np.ndarray,
    center: np.ndarray,
    unit: np.ndarray,
) -> None:
    """Sums of products of the lags, the columns and last the target, of the scaled series.

    Args:
        values: all series, one after the other; nan where a value is missing.
        offsets: where each begins, int64 [N + 1].
        begin: the first series.
        end: the one after the last.
        lags: the lags, increasing [k].
        columns: the regressors by position, [q, T].
        gram: the sums, [N, k + q + 1, k + q + 1].
        counts: over how many rows, int64 [N]; 0 where the series is too short or constant.
        center: what was taken off each series, [N, q].
        unit: what each was divided by, [N].
    """
    k, q = len(lags), len(columns)
    p = lags[k - 1] if k else 0
    y, row = np.empty(columns.shape[1]), np.empty(k + q + 1)
    for s in range(begin, end):
        counts[s] = 0
        x = values[offsets[s] : offsets[s + 1]]
        n = len(x)
        if n <= p:
            continue
        size = scale(x, columns, y, center[s])
        gaps = size != size
        if gaps:
            size = scale_with_gaps(x, y, q, center[s])
        unit[s] = size
        if size == 0.0:
            continue
        out = gram[s]
        if gaps:
            counts[s] = gram_with_gaps(y, n, lags, columns, out, row)
        else:
            gram_of(y, n, lags, columns, out)
            counts[s] = n - p
        for i in range(k + q + 1):
            for j in range(i):
                out[j, i] = out[i, j]
