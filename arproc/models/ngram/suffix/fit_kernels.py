"""Compiled loops of fitting discounts: what each context says of a symbol, and the likelihood.

`model` is the tuple of `chain_kernels`.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from arproc.compiled.jit import Int, jit
from arproc.models.ngram.suffix import plain
from arproc.models.ngram.suffix.chain_kernels import (
    FLOOR,
    begin,
    child,
    escape,
    figures,
    less,
    preceding,
    put,
    row_of,
    step,
)
from arproc.models.ngram.suffix.walk_kernels import roomy


@jit
def evidence(
    model: tuple,
    values: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    warm: np.ndarray,
    marked: np.ndarray,
    left_out: bool,
    room: Int,
) -> tuple[np.ndarray, np.ndarray]:
    """What each context of some positions says of the symbol there.

    Args:
        model: see above; its discounts are not used.
        values: int64, flat symbols, the ends among them.
        first: int64 [R], where the parts begin.
        last: int64 [R], where they end.
        warm: int64 [R], from where on each part's positions are taken: what is before only brings
            the chain to its length.
        marked: bool [R], whether a mark stands before them.
        left_out: whether the positions are of the text itself, and each is left out when it is
            predicted.
        room: at most so many rows.

    Returns:
        int64 [T + 1], where each position's rows begin; int32 [rows, 6]: the symbol's count in the
        context, the context's total, how many symbols have a count of 1, of 2, of more there, and
        the row of its discounts.
    """
    one, two = np.empty((64, 3), np.int64), np.empty((64, 3), np.int64)
    raw = np.empty(64, np.int64)
    positions = 0
    for i in range(len(first)):
        positions += last[i] - warm[i]
    begins, rows = np.zeros(positions + 1, np.int64), np.empty((1024, 6), np.int32)
    least = 2 if left_out else 1
    t, o = 0, 0
    for i in range(len(first)):
        size = begin(model, marked[i], one)
        if left_out and size == 2 and one[1, 1] - one[1, 0] < 3:
            size = 1  # one sequence alone: its beginning is not seen again
        for at in range(first[i], last[i]):
            w = np.int64(values[at])
            if at >= warm[i]:
                if o + size > room:
                    return begins[: t + 1], rows[:o]
                if o + size > len(rows):
                    larger = np.empty((2 * (o + size), 6), np.int32)
                    put(rows, larger, o)
                    rows = larger
                if size + 1 > len(raw):
                    raw = np.empty(2 * size + 2, np.int64)
                _gather(model, one, size, w, left_out, raw, rows[o : o + size])
                o += size
                t += 1
                begins[t] = o
            two = roomy(two, size + 1)
            size = step(model, one, size, w, least, two)[1]
            one, two = two, one
    return begins, rows[:o]


@jit
def _gather(
    model: tuple,
    chain: np.ndarray,
    size: Int,
    w: Int,
    left_out: bool,
    raw: np.ndarray,
    rows: np.ndarray,
) -> None:
    """The rows of `evidence` at one position; `raw` is room for size + 1 numbers.

    To leave out one occurrence takes one from a count if the next longer context has the symbol
    only there (from the longest always: all longer ones are the occurrence itself).
    """
    found = True
    raw[size] = 1
    for k in range(size):
        low, high, length = chain[k, 0], chain[k, 1], chain[k, 2]
        n, one, two, more = figures(model, low, high, length)
        rows[k, 0], rows[k, 1], rows[k, 2], rows[k, 3], rows[k, 4] = 0, n, one, two, more
        raw[k] = 0
        if found:
            a, b = child(model, low, high, length, w)
            found = a < b
            if found:
                raw[k] = b - a
                rows[k, 0] = preceding(model, a, b)
    for k in range(size):
        if left_out and raw[k + 1] == 1 and rows[k, 0] > 0:
            c = rows[k, 0]
            rows[k, 0] -= 1
            rows[k, 1] -= 1
            rows[k, 1 + min(c, 3)] -= 1
            if c > 1:
                rows[k, 1 + min(c - 1, 3)] += 1
        rows[k, 5] = row_of(chain[k, 2], rows[k, 2] + rows[k, 3] + rows[k, 4])


@partial(jit, plain=plain.likelihood)
def likelihood(
    begins: np.ndarray, rows: np.ndarray, symbols: Int, discounts: np.ndarray, slope: np.ndarray
) -> float:
    """The log-likelihood of the symbols of `evidence`, and its slope in the discounts, [R, 3]."""
    slope[:] = 0.0
    total = 0.0
    below = np.empty(64)
    for t in range(len(begins) - 1):
        low, high = begins[t], begins[t + 1]
        if high - low > len(below):
            below = np.empty(2 * (high - low))
        p = 1.0 / symbols
        for k in range(low, high):
            below[k - low] = p
            c, n, b = rows[k, 0], rows[k, 1], rows[k, 5]
            if n > 0:
                p *= escape(discounts, b, n, rows[k, 2], rows[k, 3], rows[k, 4])
                if c > 0:
                    p += less(discounts, b, np.int64(c)) / n
        p = max(p, FLOOR)
        total += np.log(p)
        factor = 1.0 / p
        for k in range(high - 1, low - 1, -1):
            c, n, b = rows[k, 0], rows[k, 1], rows[k, 5]
            if n > 0:
                for j in range(3):
                    slope[b, j] += factor * below[k - low] * rows[k, 2 + j] / n
                if c > 0:
                    slope[b, min(c, 3) - 1] -= factor / n
                factor *= escape(discounts, b, n, rows[k, 2], rows[k, 3], rows[k, 4])
    return total
