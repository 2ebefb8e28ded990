"""Sums of products of every series of a panel, gaps or not, compiled (with numba)."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.small_kernels import dot, scale

__all__ = ["gram_of", "gram_with_gaps", "products", "scale_with_gaps"]


@jit
def gram_of(
    y: np.ndarray, n: int, lags: np.ndarray, columns: np.ndarray, gram: np.ndarray
) -> None:
    """The lower triangle of the normal equations: the lags, the columns, and last the target."""
    k, q = len(lags), len(columns)
    p = lags[k - 1] if k else 0
    count, last = n - p, k + q
    if k == p:  # all lags: one row of lag sums gives the others
        for j in range(k + 1):
            gram[last, j - 1 if j else last] = dot(y, p, y, p - j, count)
        for i in range(k):
            for j in range(i + 1):
                if j:
                    before = gram[i - 1, j - 1]
                else:
                    before = gram[last, i - 1 if i else last]
                gram[i, j] = before + y[p - 1 - i] * y[p - 1 - j] - y[n - 1 - i] * y[n - 1 - j]
    else:
        gram[last, last] = dot(y, p, y, p, count)
        for i in range(k):
            gram[last, i] = dot(y, p, y, p - lags[i], count)
            for j in range(i + 1):
                gram[i, j] = dot(y, p - lags[i], y, p - lags[j], count)
    for a in range(q):
        for i in range(k):
            gram[k + a, i] = dot(columns[a], p, y, p - lags[i], count)
        for b in range(a + 1):
            gram[k + a, k + b] = dot(columns[a], p, columns[b], p, count)
        gram[last, k + a] = dot(columns[a], p, y, p, count)


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
