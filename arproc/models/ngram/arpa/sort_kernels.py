"""Compiled loops from the n-grams of an ARPA file, in any order, to a trie's breadth-first one."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import Int, jit


@jit
def _compare(a: np.ndarray, i: Int, b: np.ndarray, j: Int, width: Int) -> int:
    """-1, 0 or 1 as the first `width` numbers of row i of a are less, equal or greater."""
    for column in range(width):
        if a[i, column] != b[j, column]:
            return -1 if a[i, column] < b[j, column] else 1
    return 0


@jit
def first_fault(ids: np.ndarray) -> Int:
    """The first row of ids [n, k] that is not greater than the one before, or -1."""
    for i in range(1, len(ids)):
        if _compare(ids, i - 1, ids, i, ids.shape[1]) >= 0:
            return i
    return -1


@jit
def sort_rows(ids: np.ndarray, size: Int) -> np.ndarray:
    """The permutation, int32 [n], that sorts rows of numbers below `size`, stably.

    One counting sort a column, from the last to the first (radix sort).
    """
    n = len(ids)
    order, other = np.empty(n, np.int32), np.empty(n, np.int32)
    for i in range(n):
        order[i] = i
    for column in range(ids.shape[1] - 1, -1, -1):
        fill = np.zeros(size + 1, np.int64)
        for i in range(n):
            fill[ids[i, column] + 1] += 1
        for w in range(size):
            fill[w + 1] += fill[w]
        for j in range(n):
            w = ids[order[j], column]
            other[fill[w]] = order[j]
            fill[w] += 1
        order, other = other, order
    return order


@jit
def taken(
    order: np.ndarray, ids: np.ndarray, log_prob: np.ndarray, back_off: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ids, log_prob and back_off (which may be empty) with their rows in this order."""
    rows, width = np.empty_like(ids), ids.shape[1]
    p, weight = np.empty_like(log_prob), np.empty_like(back_off)
    for i in range(len(order)):
        j = np.int64(order[i])
        for column in range(width):
            rows[i, column] = ids[j, column]
        p[i] = log_prob[j]
        if len(back_off) > 0:
            weight[i] = back_off[j]
    return rows, p, weight


@jit
def join(above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All (k-1)-grams that are here or begin a k-gram.

    Args:
        above: int32 [n, k-1], sorted, all different.
        below: int32 [m, k], sorted.

    Returns:
        Of each, sorted: which row of `above` it is, or -1, int32 [u]; its numbers, int32 [u,
        k-1]; and where the rows of `below` that it begins begin, int32 [u + 1].
    """
    n, m, width = len(above), len(below), above.shape[1]
    missing, i, j = 0, 0, 0
    while j < m:  # how many, so that the usual case, none, costs no memory
        while i < n and _compare(above, i, below, j, width) < 0:
            i += 1
        missing += i == n or _compare(above, i, below, j, width) > 0
        j += 1
        while j < m and _compare(below, j - 1, below, j, width) == 0:
            j += 1
    source, first = np.empty(n + missing, np.int32), np.empty(n + missing + 1, np.int32)
    rows = above if missing == 0 else np.empty((n + missing, width), np.int32)
    i, j = 0, 0
    for u in range(n + missing):
        first[u] = j
        here = 1 if i == n else (-1 if j == m else _compare(above, i, below, j, width))
        source[u] = i if here <= 0 else -1
        if missing > 0:
            for column in range(width):
                rows[u, column] = above[i, column] if here <= 0 else below[j, column]
        i += here <= 0
        if here >= 0:
            j += 1
            while j < m and _compare(below, j - 1, below, j, width) == 0:
                j += 1
    first[n + missing] = m
    return source, rows, first
