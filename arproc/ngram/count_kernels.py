"""Compiled loops of counting: one pass a level over positions sorted by their k-gram."""

from __future__ import annotations

import numpy as np

from arproc.jit import jit

_LOW = np.int64(0xFFFFFFFF)


@jit
def sort_by_symbol(text: np.ndarray, symbols: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions sorted by their symbol, stably, and where each symbol's begin.

    Args:
        text: int32 [T], symbols 0 ... symbols-1, and -1 between sequences.
        symbols: how many symbols there are.

    Returns:
        order int32 [positions], starts int64 [symbols + 1].
    """
    starts = np.zeros(symbols + 1, np.int64)
    for w in text:
        if w >= 0:
            starts[w + 1] += 1
    for w in range(symbols):
        starts[w + 1] += starts[w]
    fill = starts[:-1].copy()
    order = np.empty(starts[symbols], np.int32)
    for p in range(len(text)):
        w = text[p]
        if w >= 0:
            order[fill[w]] = p
            fill[w] += 1
    return order, starts


@jit
def _sort_group(packed: np.ndarray, m: int, bits: int, scratch: np.ndarray) -> np.ndarray:
    """Sort packed[:m] by the symbol in the high half; the positions in the low one ascend.

    Few by insertion, many by radix, both stable. Returns which array holds the result.
    """
    if m <= 64:
        for i in range(1, m):
            item = packed[i]
            j = i - 1
            while j >= 0 and packed[j] > item:
                packed[j + 1] = packed[j]
                j -= 1
            packed[j + 1] = item
        return packed
    counters = np.empty(256, np.int64)
    for shift in range(32, 32 + bits, 8):
        counters[:] = 0
        for i in range(m):
            counters[(packed[i] >> shift) & 255] += 1
        before = 0
        for digit in range(256):
            here = counters[digit]
            counters[digit] = before
            before += here
        for i in range(m):
            digit = (packed[i] >> shift) & 255
            scratch[counters[digit]] = packed[i]
            counters[digit] += 1
        packed, scratch = scratch, packed
    return packed


@jit
def refine(
    text: np.ndarray,
    k: int,
    order: np.ndarray,
    starts: np.ndarray,
    node: np.ndarray,
    first_id: int,
    symbols: int,
    last: bool,
) -> tuple[np.ndarray, ...]:
    """From the k-grams to the (k+1)-grams: split each group of positions by the next symbol.

    Args:
        text: int32 [T], -1 between sequences and at the end.
        k: the length of the k-grams.
        order: int32, positions sorted by the k-gram that begins there.
        starts: int64 [n_k + 1], where the positions of each k-gram begin in `order`.
        node: int32 [T], the k-gram that begins at each position.
        first_id: the number of the first (k+1)-gram.
        symbols: how many symbols there are.
        last: whether no longer k-grams are wanted, so that `node` need not be renewed.

    Returns:
        symbol int32 [n], link int32 [n] (the (k+1)-gram without its first symbol), first_child
        int32 [n_k], and order, starts, node of the (k+1)-grams.
    """
    total = len(order)
    groups = len(starts) - 1
    widest = 0
    for g in range(groups):
        widest = max(widest, starts[g + 1] - starts[g])
    packed = np.empty(widest, np.int64)
    scratch = np.empty(widest, np.int64)
    bits = 0
    while symbols >> bits:
        bits += 1
    symbol = np.empty(total, np.int32)
    link = np.empty(total, np.int32)
    new_starts = np.empty(total + 1, np.int64)
    new_order = np.empty(total, np.int32)
    new_node = np.empty(0 if last else len(text), np.int32)
    first_child = np.empty(groups, np.int32)
    n = 0
    out = 0
    for g in range(groups):
        first_child[g] = first_id + n
        m = 0
        for i in range(starts[g], starts[g + 1]):
            p = order[i]
            w = text[p + k]
            if w >= 0:
                packed[m] = (np.int64(w) << 32) | np.int64(p)
                m += 1
        ordered = _sort_group(packed, m, bits, scratch)
        previous = np.int64(-1)
        for i in range(m):
            w64 = ordered[i] >> 32
            p = np.int32(ordered[i] & _LOW)
            if w64 != previous:
                previous = w64
                symbol[n] = w64
                link[n] = node[p + 1]
                new_starts[n] = out
                n += 1
            new_order[out] = p
            if not last:
                new_node[p] = first_id + n - 1
            out += 1
    new_starts[n] = out
    return (
        symbol[:n].copy(),
        link[:n].copy(),
        first_child,
        new_order[:out],
        new_starts[: n + 1].copy(),
        new_node,
    )


@jit
def first_seen(text: np.ndarray, symbols: int) -> np.ndarray:
    """Where each symbol first stands in the text, int64 [symbols]; -1 where it never does."""
    first = np.full(symbols, -1, np.int64)
    for p in range(len(text)):
        w = text[p]
        if w >= 0 and first[w] < 0:
            first[w] = p
    return first


@jit
def count_extensions(link: np.ndarray, count: np.ndarray, begin: np.ndarray) -> None:
    """For each n-gram of lower order, how many different symbols stand before it.

    Args:
        link: int32 [n], each n-gram without its first symbol.
        count: int64 [m], gets the counts added.
        begin: the first n-gram of order 2.
    """
    for i in range(begin, len(link)):
        count[link[i]] += 1


@jit
def descend(
    text: np.ndarray, begins: np.ndarray, order: int, symbol: np.ndarray, first_child: np.ndarray
) -> np.ndarray:
    """The n-grams of order 1 to `order` that begin at the given positions of the text.

    Returns:
        int32 [len(begins), order]; 0 where the sequence ends before.
    """
    found = np.zeros((len(begins), order), np.int32)
    for row in range(len(begins)):
        node = 0
        for k in range(order):
            p = begins[row] + k
            if p >= len(text) or text[p] < 0:
                break
            low, high = first_child[node], first_child[node + 1]
            while low < high:
                middle = (low + high) >> 1
                if symbol[middle] < text[p]:
                    low = middle + 1
                else:
                    high = middle
            node = low
            found[row, k] = node
    return found
