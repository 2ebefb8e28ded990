"""Compiled loops over many symbols with the chains of `chain_kernels`: states, terms, matches."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import Int, jit
from arproc.models.ngram.backoff.draw_kernels import invert
from arproc.models.ngram.suffix.chain_kernels import begin, child, fill, put, step, symbol_at


@jit
def walk(
    model: tuple,
    chains: np.ndarray,
    sizes: np.ndarray,
    x: np.ndarray,
    low: Int,
    high: Int,
    uniforms: np.ndarray,
    table: np.ndarray,
) -> None:
    """Take rows through the columns low ... high-1 of some symbols, given or drawn.

    Args:
        model: see above.
        chains: int64 [N, D, 3] with D at least high - low more than any size; taken further in
            place.
        sizes: int64 [N], likewise.
        x: int64 [N, K], the symbols; written where they are drawn.
        low: the first column.
        high: one beyond the last.
        uniforms: float64 [N, K] to draw from, or [0, 0].
        table: float64 [N, K + 1, V], gets the probabilities before each of the columns and after
            them; or [0, 0, 0].
    """
    drawing, telling = len(uniforms) > 0, len(table) > 0
    row = np.empty(model[6])
    one = np.empty((chains.shape[1], 3), np.int64)
    two = np.empty((chains.shape[1], 3), np.int64)
    for i in range(len(chains)):
        size = sizes[i]
        put(chains[i], one, size)
        for k in range(low, high):
            if telling or drawing:
                fill(model, one, size, row)
            if telling:
                _tell(row, table[i, k])
            if drawing:
                x[i, k] = invert(row, uniforms[i, k])
            size = step(model, one, size, x[i, k], 1, two)[1]
            one, two = two, one
        if telling:
            fill(model, one, size, row)
            _tell(row, table[i, high])
        put(one, chains[i], size)
        sizes[i] = size


@jit
def _tell(row: np.ndarray, out: np.ndarray) -> None:
    for w in range(len(row)):
        out[w] = row[w]


@jit
def locate(model: tuple, x: np.ndarray, marked: bool, chain: np.ndarray) -> int:
    """Write the chain after the symbols x [T] from the start; gives its size.

    Args:
        model: see above.
        x: the symbols.
        marked: whether a mark stands before them.
        chain: int64 [at least T + 2, 3].
    """
    other = np.empty_like(chain)
    size = begin(model, marked, chain)
    here = True  # whether the chain is in `chain` and not in `other`
    for w in x:
        if here:
            size = step(model, chain, size, np.int64(w), 1, other)[1]
        else:
            size = step(model, other, size, np.int64(w), 1, chain)[1]
        here = not here
    if not here:
        put(other, chain, size)
    return size


@jit
def roomy(array: np.ndarray, rows: Int) -> np.ndarray:
    """A chain's array, or a larger one with the same beginning."""
    if rows <= len(array):
        return array
    larger = np.empty((2 * rows, 3), np.int64)
    put(array, larger, len(array))
    return larger


@jit
def terms(
    model: tuple,
    values: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    chains: np.ndarray,
    sizes: np.ndarray,
    which: np.ndarray,
    out: np.ndarray,
) -> None:
    """The chain rule's terms of parts of sequences.

    Args:
        model: see above.
        values: int64, flat symbols, the ends among them.
        first: int64 [R], where each part begins in `values` and `out`.
        last: int64 [R], where it ends.
        chains: int64 [M, D, 3], chains that parts begin with.
        sizes: int64 [M], how much of each counts.
        which: int64 [R], the chain that each part begins with.
        out: float64 [total], gets the terms.
    """
    one, two = np.empty((64, 3), np.int64), np.empty((64, 3), np.int64)
    for i in range(len(first)):
        size = sizes[which[i]]
        one = roomy(one, size)
        put(chains[which[i]], one, size)
        for t in range(first[i], last[i]):
            two = roomy(two, size + 1)
            p, size = step(model, one, size, np.int64(values[t]), 1, two)
            out[t] = np.log(p)
            one, two = two, one


@jit
def matches(
    model: tuple,
    values: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    marked: bool,
    out: np.ndarray,
) -> None:
    """The raw statistics before each symbol, out int64 [total, 4].

    The length of the longest suffix of the history that a symbol follows in the text, how often
    it does, how often it is the symbol itself; and how long the longest suffix is, the symbol
    included, that ends with the symbol.
    """
    text, symbols = model[0], model[6]
    one, two = np.empty((64, 3), np.int64), np.empty((64, 3), np.int64)
    for i in range(len(first)):
        size = begin(model, marked, one)
        for t in range(first[i], last[i]):
            w = np.int64(values[t])
            k, count, low, high, length = size, np.int64(0), np.int64(0), np.int64(0), np.int64(0)
            while count == 0 and k > 0:
                k -= 1
                low, high, length = one[k, 0], one[k, 1], one[k, 2]
                ends = child(model, low, high, length, symbols)
                count = high - low - (ends[1] - ends[0])
                if symbol_at(text, model[1][low] + length) < 0:
                    count -= 1  # the text ends with this context
            a, b = child(model, low, high, length, w)
            two = roomy(two, size + 1)
            size = step(model, one, size, w, 1, two)[1]
            one, two = two, one
            out[t, 0], out[t, 1], out[t, 2] = length, count, b - a
            out[t, 3] = one[size - 1, 2]
