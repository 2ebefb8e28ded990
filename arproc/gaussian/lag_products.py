"""Sums of lag products of whole series, and the regressions of all orders by them, compiled.

Importing this imports numba.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.small_kernels import cholesky, dot

__all__ = ["gram_of", "nested_factor"]


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
def nested_factor(
    values: np.ndarray, lengths: np.ndarray, lags: np.ndarray, columns: np.ndarray, well: float
) -> tuple[np.ndarray, bool]:
    """The Cholesky factor of the products of the columns, the lags one by one, and the target.

    Its last row holds how much of the target each of them takes away, after those before it.

    Args:
        values: the sequences one after the other, [total].
        lengths: elements in each, all more than the largest lag, int64 [N].
        lags: in the order in which they come, int64 [k].
        columns: [q, total].
        well: the share of each, at the least, that those before it must leave.

    Returns:
        Lower triangular [q + k + 1, q + k + 1], and whether it may be trusted.
    """
    k, q = len(lags), len(columns)
    order, last, start = np.argsort(lags), k + q, 0
    ordered = lags[order]
    gram, factor = np.empty((last + 1, last + 1)), np.zeros((last + 1, last + 1))
    place = np.empty(last + 1, np.int64)  # where what `gram_of` gives stands in the factor
    place[:k], place[k:last], place[last] = q + order, np.arange(q), last
    for n in lengths:
        part = slice(start, start + n)
        gram_of(values[part], n, ordered, np.ascontiguousarray(columns[:, part]), gram)
        start += n
        for i in range(last + 1):
            for j in range(i + 1):
                a, b = place[i], place[j]
                factor[max(a, b), min(a, b)] += gram[i, j]
    return factor, cholesky(factor, last + 1, well)
