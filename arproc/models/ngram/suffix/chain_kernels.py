"""Compiled loops of asking a suffix array what followed the longest suffixes of a history.

`model` is always the tuple `InfiniGramLaw.arrays`: text, suffix array, common prefixes, preceding
symbols, followers, first symbols (see `Suffixes.arrays`), the number of symbols, the discounts
float64 [R, 3] and the probabilities of single symbols float64 [V].

A *chain* is int64 [D, 3]: for each suffix of the history that is looked at, from the empty one to
the longest that occurs in the text, where its interval begins and ends and how long it is. Of
suffixes that occur at the very same places only the longest is there.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import Int, jit
from arproc.models.ngram.suffix.suffix_kernels import slot

#: Lengths of contexts from which on their discounts are others.
_BOUNDS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 18, 32)
LENGTHS = len(_BOUNDS) + 1
#: How many rows of discounts there are.
ROWS = 2 * LENGTHS
#: No probability is less: after a run of a thousand equal symbols a product would become zero.
FLOOR = 1e-300


@jit
def row_of(length: Int, different: Int) -> Int:
    """Which row of the discounts is that of a context, by its length and how much followed it."""
    b = 0
    for bound in _BOUNDS:
        b += int(length >= bound)
    return b if different > 1 else b + LENGTHS


# ---- one context --------------------------------------------------------------------------------


@jit
def symbol_at(text: np.ndarray, p: Int) -> Int:
    """The symbol at position p, or -1 beyond the text."""
    return np.int64(text[p]) if p < len(text) else np.int64(-1)


@jit
def child(model: tuple, low: Int, high: Int, length: Int, w: Int) -> tuple[Int, Int]:
    """The interval of a context followed by symbol w; empty where it never was."""
    text, order, first = model[0], model[1], model[5]
    if length == 0:
        return first[w], first[w + 1]
    if symbol_at(text, order[low] + length) > w or symbol_at(text, order[high - 1] + length) < w:
        return low, low
    a, b = low, high
    while a < b:
        middle = (a + b) >> 1
        if symbol_at(text, order[middle] + length) < w:
            a = middle + 1
        else:
            b = middle
    return a, _run_end(text, order, a, high, length, w)


@jit
def _run_end(text: np.ndarray, order: np.ndarray, a: Int, high: Int, length: Int, w: Int) -> Int:
    """Where the suffixes from a on with symbol w at `length` end; near ends are found fast."""
    stride, b = 1, a
    while b < high and symbol_at(text, order[b] + length) <= w:
        a = b + 1
        b += stride
        stride *= 2
    b = min(b, high)
    while a < b:
        middle = (a + b) >> 1
        if symbol_at(text, order[middle] + length) <= w:
            a = middle + 1
        else:
            b = middle
    return a


@jit
def preceding(model: tuple, low: Int, high: Int) -> Int:
    """N1+: how many different symbols stand before an interval's suffixes."""
    if high - low == 1:
        return np.int64(1)
    return np.int64(model[3][slot(model[2], low, high)])


@jit
def figures(model: tuple, low: Int, high: Int, length: Int) -> tuple[Int, Int, Int, Int]:
    """A context's total, and how many symbols followed it with a count of 1, of 2, of more."""
    text, order, after = model[0], model[1], model[4]
    left, right = symbol_at(text, order[low] + length), symbol_at(text, order[high - 1] + length)
    if left == right:  # one symbol alone follows, or the mark
        if left < 0 or left == model[6]:
            return 0, 0, 0, 0
        n = preceding(model, low, high)
        return n, np.int64(n == 1), np.int64(n == 2), np.int64(n > 2)
    at = slot(model[2], low, high)
    one, two = np.int64(after[at, 1]), np.int64(after[at, 2])
    return np.int64(after[at, 0]), one, two, np.int64(after[at, 3]) - one - two


@jit
def less(discounts: np.ndarray, row: Int, c: Int) -> float:
    """What a count of c >= 1 keeps after its discount."""
    return c - discounts[row, min(c, 3) - 1]


@jit
def escape(discounts: np.ndarray, row: Int, n: Int, one: Int, two: Int, more: Int) -> float:
    """The share of a context's probability that goes to the shorter one."""
    taken = discounts[row, 0] * one + discounts[row, 1] * two + discounts[row, 2] * more
    return taken / n


# ---- a chain ------------------------------------------------------------------------------------


@jit
def put(source: np.ndarray, target: np.ndarray, rows: Int) -> None:
    """Copy the first rows of a table (a plain loop compiles five times as fast as a slice)."""
    for i in range(rows):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


@jit
def begin(model: tuple, marked: bool, chain: np.ndarray) -> int:
    """Write the chain before the first symbol: the empty context, and the mark; gives its size."""
    text, first, symbols = model[0], model[5], model[6]
    chain[0, 0], chain[0, 1], chain[0, 2] = 0, len(text), 0
    if marked:
        chain[1, 0], chain[1, 1], chain[1, 2] = first[symbols], first[symbols + 1], 1
    return 2 if marked else 1


@jit
def step(
    model: tuple, chain: np.ndarray, size: Int, w: Int, least: Int, grown: np.ndarray
) -> tuple[float, int]:
    """Follow symbol w: its probability, and the size of the chain after it.

    Args:
        model: see above.
        chain: int64 [D, 3].
        size: how much of it counts.
        w: the symbol.
        least: contexts that occur less often do not go into the new chain.
        grown: int64 [at least size + 1, 3], gets the new chain.
    """
    discounts, single = model[7], model[8]
    put(chain, grown, 1)
    m, p, found = 1, single[w], True
    for k in range(size):
        low, high, length = chain[k, 0], chain[k, 1], chain[k, 2]
        c = np.int64(0)
        if found:
            a, b = child(model, low, high, length, w)
            found = a < b
            if found:
                c = preceding(model, a, b)
                if b - a >= least:
                    if m > 1 and grown[m - 1, 1] - grown[m - 1, 0] == b - a:
                        m -= 1  # at the same places: the longer one stands for both
                    grown[m, 0], grown[m, 1], grown[m, 2] = a, b, length + 1
                    m += 1
        if k == 0:
            continue  # the single symbols' probabilities are there
        n, one, two, more = figures(model, low, high, length)
        if n > 0:
            row = row_of(length, one + two + more)
            p *= escape(discounts, row, n, one, two, more)
            if c > 0:
                p += less(discounts, row, c) / n
    return max(p, FLOOR), m


@jit
def fill(model: tuple, chain: np.ndarray, size: Int, out: np.ndarray) -> None:
    """Probabilities of every next symbol, out [V]."""
    text, order, symbols, discounts = model[0], model[1], model[6], model[7]
    single = model[8]
    for w in range(symbols):
        out[w] = single[w]
    for k in range(1, size):
        low, high, length = chain[k, 0], chain[k, 1], chain[k, 2]
        n, one, two, more = figures(model, low, high, length)
        if n == 0:
            continue
        row = row_of(length, one + two + more)
        share = escape(discounts, row, n, one, two, more)
        for w in range(symbols):
            out[w] *= share
        a = low
        while a < high:
            w = symbol_at(text, order[a] + length)
            b = _run_end(text, order, a, high, length, w)
            if 0 <= w < symbols:
                out[w] += less(discounts, row, preceding(model, a, b)) / n
            a = b
    for w in range(symbols):
        out[w] = max(out[w], FLOOR)


@jit
def singles(model: tuple, out: np.ndarray) -> None:
    """Probabilities of the single symbols, out [V], with the uniform distribution behind them."""
    text, first, symbols, discounts = model[0], model[5], model[6], model[7]
    n, one, two, more = figures(model, 0, len(text), 0)
    row = row_of(0, one + two + more)
    share = escape(discounts, row, n, one, two, more) if n > 0 else 1.0
    for w in range(symbols):
        out[w] = share / symbols
        if n > 0 and first[w] < first[w + 1]:
            out[w] += less(discounts, row, preceding(model, first[w], first[w + 1])) / n
