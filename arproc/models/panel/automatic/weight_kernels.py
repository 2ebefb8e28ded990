"""Compiled parts of combining forecasts: weighted medians, and the errors of combinations."""

from __future__ import annotations

from functools import partial

import numpy as np

from arproc.compiled.jit import Int, jit

__all__ = ["gradient", "medians"]

_ROWS = 256  # are taken together, so that what is known of them stays near


@jit
def _order(values: np.ndarray, order: np.ndarray, n: Int) -> None:
    """Put the numbers of candidates into the order of their values."""
    for i in range(1, n):
        k, j = order[i], i
        while j > 0 and values[order[j - 1]] > values[k]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = k


@jit
def _median(values: np.ndarray, weights: np.ndarray, order: np.ndarray, n: Int) -> float:
    """The weighted median of the first n of an order, between their middles linearly.

    Equal values are one, of their weights' sum: in which order they come is none of its business.
    """
    before, place, gone, i = np.nan, 0.0, 0.0, 0
    while i < n:
        value, weight = values[order[i]], 0.0
        while i < n and values[order[i]] == value:
            weight += weights[order[i]]
            i += 1
        if not weight > 0:
            continue
        middle = gone + weight / 2
        if middle >= 0.5 and np.isnan(before):
            return value
        if middle >= 0.5:
            return before + (0.5 - place) / (middle - place) * (value - before)
        before, place = value, middle
        gone += weight
    return before


@jit
def medians(
    made: np.ndarray, weights: np.ndarray, begin: Int, end: Int, found: np.ndarray
) -> None:
    """Weighted medians over the candidates of the series from `begin` to `end`.

    Args:
        made: [N, K, h]; nan only where a weight is 0.
        weights: by several choices, [C, N, K].
        begin: the first series.
        end: the last, excluded.
        found: where they go, [C, N, h]; nan where no candidate has a weight.
    """
    k = made.shape[1]
    values, order = np.empty(k), np.empty(k, np.int64)
    for i in range(begin, end):
        for h in range(made.shape[2]):
            n = 0
            for j in range(k):
                values[j] = made[i, j, h]
                if not np.isnan(values[j]):
                    order[n] = j
                    n += 1
            _order(values, order, n)
            for c in range(len(weights)):
                found[c, i, h] = _median(values, weights[c, i], order, n)


# Each its own function: so they compile to instructions on several numbers at once.
_FAST = {"contract", "reassoc"}


@partial(jit, fastmath=_FAST)
def _add(weight: float, column: np.ndarray, total: np.ndarray) -> None:
    for i in range(len(column)):
        total[i] += weight * column[i]


@partial(jit, fastmath=_FAST)
def _signs(rest: np.ndarray) -> float:
    """The sum of absolute values, in whose place their signs are put."""
    total = 0.0
    for i in range(len(rest)):
        x = rest[i]
        total += abs(x)
        rest[i] = 1.0 if x > 0 else (-1.0 if x < 0 else 0.0)
    return total


@partial(jit, fastmath=_FAST)
def _dot(a: np.ndarray, b: np.ndarray) -> float:
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


def _descent(columns: np.ndarray, weights: np.ndarray, slope: np.ndarray) -> float:
    """The mean absolute value of a weighted sum, and its gradient in the weights.

    Args:
        columns: the terms of the sums, [K, R].
        weights: [K].
        slope: where the gradient goes, [K].
    """
    k, n = columns.shape
    work, loss = np.empty(_ROWS), 0.0
    for j in range(k):
        slope[j] = 0.0
    for a in range(0, n, _ROWS):
        b = min(a + _ROWS, n)
        rest = work[: b - a]
        for i in range(b - a):
            rest[i] = 0.0
        for j in range(k):
            _add(weights[j], columns[j, a:b], rest)
        loss += _signs(rest)
        for j in range(k):
            slope[j] += _dot(columns[j, a:b], rest)
    for j in range(k):
        slope[j] /= n
    return loss / n


def _plain_descent(columns: np.ndarray, weights: np.ndarray, slope: np.ndarray) -> float:
    rest = weights @ columns
    slope[:] = columns @ np.sign(rest) / len(rest)
    return float(np.abs(rest).mean())


gradient = jit(_descent, _plain_descent)
