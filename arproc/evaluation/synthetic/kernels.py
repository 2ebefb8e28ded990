"""Compiled steps of counting different n-grams and of finding the longest copies."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import Int, jit


@jit
def different(
    slot: np.ndarray, bounds: np.ndarray, units: np.ndarray, stamp: np.ndarray, mark: Int
) -> int:
    """How many different n-grams some units have.

    Args:
        slot: of each n-gram, int64 [n].
        bounds: where the n-grams of each unit begin, int64 [N + 1].
        units: which ones.
        stamp: int32 [slots], none of which is `mark` yet.
        mark: a number for this set.
    """
    found = 0
    for u in units:
        for i in range(bounds[u], bounds[u + 1]):
            if stamp[slot[i]] != mark:
                stamp[slot[i]] = mark
                found += 1
    return found


@jit
def matches(
    order: np.ndarray,
    common: np.ndarray,
    owner: np.ndarray,
    sources: Int,
    length: np.ndarray,
    source: np.ndarray,
) -> None:
    """Of each position the longest prefix that begins in another owner's part of the text too.

    Args:
        order: the suffix array of a text, int32 [n].
        common: what neighbours in it share, int32 [n + 1].
        owner: of each position, int32 [n]: the same for positions that do not copy each other.
        sources: only the text below here may have been copied.
        length: int32 [n], filled: how long the longest match is.
        source: the same, where it begins; -1 where nothing matches.
    """
    n = len(order)
    for turn in range(2):  # the nearest source above in the order, and below
        last, shared = -1, 0
        other, apart = -1, 0  # the nearest of another owner than `last`
        for step in range(n):
            i = step if turn == 0 else n - 1 - step
            if step > 0:
                between = common[i] if turn == 0 else common[i + 1]
                shared, apart = min(shared, between), min(apart, between)
            p = order[i]
            found, size = last, shared
            if last >= 0 and owner[last] == owner[p]:
                found, size = other, apart
            if found >= 0 and size > length[p]:
                length[p], source[p] = size, found
            if p < sources:
                if last >= 0 and owner[last] != owner[p]:
                    other, apart = last, shared
                last, shared = p, 1 << 30


@jit
def longest(
    length: np.ndarray, source: np.ndarray, end: np.ndarray, bounds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each unit its longest copy: how long, where it begins, and where its source does.

    Args:
        length: of the match at each position, int32 [n].
        source: where it begins.
        end: where the sequence of each position ends, int64 [n]; no copy goes on beyond.
        bounds: of the units, int64 [N + 1].
    """
    n = len(bounds) - 1
    most = np.zeros(n, np.int64)
    at = np.full(n, -1, np.int64)
    origin = np.full(n, -1, np.int64)
    for u in range(n):
        for p in range(bounds[u], bounds[u + 1]):
            size = min(np.int64(length[p]), end[p] - p)
            if size > most[u]:
                most[u], at[u], origin[u] = size, p, source[p]
    return most, at, origin


@jit
def summed(x: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums over units of numbers, NaN left out, and how many there are, [N] each."""
    n = len(offsets) - 1
    total, number = np.zeros(n), np.zeros(n)
    for u in range(n):
        for i in range(offsets[u], offsets[u + 1]):
            if x[i] == x[i]:
                total[u] += x[i]
                number[u] += 1
    return total, number


@jit
def lagged(x: np.ndarray, offsets: np.ndarray, lags: Int) -> tuple[np.ndarray, np.ndarray]:
    """Sums over units of products at lags 0 ... lags, and their numbers, [N, lags + 1] each."""
    n = len(offsets) - 1
    total, number = np.zeros((n, lags + 1)), np.zeros((n, lags + 1))
    for u in range(n):
        a, b = offsets[u], offsets[u + 1]
        for lag in range(min(lags, b - a - 1) + 1):
            found, count = 0.0, 0
            for i in range(a + lag, b):
                product = x[i] * x[i - lag]
                if product == product:
                    found += product
                    count += 1
            total[u, lag], number[u, lag] = found, count
    return total, number


@jit
def crossed(
    x: np.ndarray, offsets: np.ndarray, first: np.ndarray, second: np.ndarray, lags: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sums over units of products of two columns, the second `lag` steps later, [N, k] each."""
    n = len(offsets) - 1
    total, number = np.zeros((n, len(lags))), np.zeros((n, len(lags)))
    for u in range(n):
        for k in range(len(lags)):
            found, count = 0.0, 0
            for i in range(offsets[u] + lags[k], offsets[u + 1]):
                product = x[i - lags[k], first[k]] * x[i, second[k]]
                if product == product:
                    found += product
                    count += 1
            total[u, k], number[u, k] = found, count
    return total, number


@jit
def predicting(x: np.ndarray, offsets: np.ndarray, order: Int) -> tuple[np.ndarray, np.ndarray]:
    """Sums of products of a step, the `order` steps before it and one, and how many steps.

    Args:
        x: finite numbers [total, d].
        offsets: of the units.
        order: how many steps before.

    Returns:
        [N, m * m] with m = (order + 1) d + 1: the step itself first, then the one before it;
        and [N, 1].
    """
    n, d = len(offsets) - 1, x.shape[1]
    m = (order + 1) * d + 1
    total, number = np.zeros((n, m * m)), np.zeros((n, 1))
    z = np.ones(m)
    for u in range(n):
        for i in range(offsets[u] + order, offsets[u + 1]):
            for lag in range(order + 1):
                for j in range(d):
                    z[lag * d + j] = x[i - lag, j]
            for a in range(m):
                for b in range(a + 1):
                    total[u, a * m + b] += z[a] * z[b]
            number[u, 0] += 1
        for a in range(m):
            for b in range(a):
                total[u, b * m + a] = total[u, a * m + b]
    return total, number


@jit
def nearest(
    product: np.ndarray, norms: np.ndarray, skip: Int, value: np.ndarray, place: np.ndarray
) -> None:
    """The nearest points of each row, by |b|^2 - 2 a b.

    Of equally near ones those that follow the row's own place are taken, so that none is
    everybody's neighbour.

    Args:
        product: a b of each pair, float32 [n, m].
        norms: |b|^2, float32 [m].
        skip: row i is not its own neighbour `i + skip`; -1 where rows are no points of these.
        value: float32 [n, k], filled, the nearest first.
        place: int64 [n, k], filled.
    """
    n, m = product.shape
    k = value.shape[1]
    for i in range(n):
        for j in range(k):
            value[i, j], place[i, j] = np.inf, -1
        last = np.float32(np.inf)
        shift = (i + max(skip, 0)) % m
        for step in range(m):
            j = step + shift
            if j >= m:
                j -= m
            found = norms[j] - 2 * product[i, j]
            if found < last and not (skip >= 0 and j == i + skip):
                at = k - 1
                while at > 0 and value[i, at - 1] > found:
                    value[i, at], place[i, at] = value[i, at - 1], place[i, at - 1]
                    at -= 1
                value[i, at], place[i, at] = found, j
                last = value[i, k - 1]
