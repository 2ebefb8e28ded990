"""Compiled loops of the trie of counts: made of sorted windows level by level, and looked up."""

from __future__ import annotations

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import Int, jit


@jit
def shared(
    keys: np.ndarray, i: Int, other: np.ndarray, j: Int, widths: np.ndarray, bits: int
) -> Int:
    """How many symbols window i of `keys` and window j of `other` begin with alike."""
    alike = 0
    for k in range(keys.shape[0]):
        differ = keys[k, i] ^ other[k, j]
        if differ == 0:
            alike += widths[k]
            continue
        shift = bits * (widths[k] - 1)
        while differ >> np.uint64(shift) == 0:
            alike += 1
            shift -= bits
        return alike
    return alike


@jit
def depth(keys: np.ndarray, i: Int, widths: np.ndarray, bits: int) -> Int:
    """How many symbols window i has before its sequence ends."""
    found = 0
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    for k in range(keys.shape[0] - 1, -1, -1):
        word = keys[k, i]
        if word == 0:
            continue
        empty = 0
        while word & mask == 0:
            word >>= np.uint64(bits)
            empty += 1
        found = widths[k] - empty
        for j in range(k):
            found += widths[j]
        return found
    return found


@jit
def count_nodes(
    keys: np.ndarray,
    starts: np.ndarray,
    kept: np.ndarray,
    first: int,
    last: int,
    widths: np.ndarray,
    bits: int,
    nodes: np.ndarray,
) -> None:
    """How many n-grams of each order begin with each symbol: nodes int64 [symbols, N + 1]."""
    for w in range(first, last):
        for i in range(starts[w], starts[w] + kept[w]):
            alike = shared(keys, i - 1, keys, i, widths, bits) if i > starts[w] else 0
            for k in range(alike, depth(keys, i, widths, bits)):
                nodes[w, k + 2] += 1


@jit
def fill_levels(
    keys: np.ndarray,
    times: np.ndarray,
    starts: np.ndarray,
    kept: np.ndarray,
    first: int,
    last: int,
    widths: np.ndarray,
    bits: int,
    nodes: np.ndarray,
    symbol: np.ndarray,
    count: np.ndarray,
    first_child: np.ndarray,
) -> None:
    """Write the n-grams that begin with the symbols first ... last-1, their counts and places.

    Args:
        keys: uint64 [words, n], sorted windows.
        times: uint32 [n], how often each occurs.
        starts: int64 [symbols + 1], where each symbol's windows begin.
        kept: int64 [symbols], how many there are.
        first: the first symbol.
        last: one beyond the last.
        widths: int64 [words], how many symbols each word holds.
        bits: of one symbol.
        nodes: int64 [symbols, N + 1], the number of the first k-gram that begins with a symbol.
        symbol: [total], gets the last symbol of each n-gram.
        count: uint32 [total], gets its count.
        first_child: int32 [contexts + 1], gets where its continuations begin.
    """
    order = nodes.shape[1] - 1
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    following = np.empty(order + 1, np.int64)  # the next number at each level
    code = np.empty(order + 1, np.uint64)
    for w in range(first, last):
        put(nodes[w], following)
        if order > 1:
            first_child[1 + w] = following[2]
        for i in range(starts[w], starts[w] + kept[w]):
            alike = shared(keys, i - 1, keys, i, widths, bits) if i > starts[w] else 0
            deep = depth(keys, i, widths, bits)
            k = 2
            for j in range(keys.shape[0]):
                word = keys[j, i]
                for t in range(widths[j] - 1, -1, -1):
                    code[k + t] = word & mask
                    word >>= np.uint64(bits)
                k += widths[j]
            for k in range(2, deep + 2):
                if k >= alike + 2:
                    node = following[k]
                    following[k] = node + 1
                    symbol[node] = np.int64(code[k]) - 1
                    count[node] = 0
                    if k < order:
                        first_child[node] = following[k + 1]
                count[following[k] - 1] += times[i]


@jit
def connect(
    first: int, last: int, symbol: np.ndarray, link: np.ndarray, child: np.ndarray
) -> None:
    """The links of the continuations of contexts first ... last-1: they without a first symbol.

    Where h w is an n-gram, so is the shorter h' w, and both lists of continuations are sorted:
    each is found from where the one before it stood, in steps that double.

    Args:
        first: the first context, of at least one symbol.
        last: one beyond the last context.
        symbol: [n], the last symbol of each n-gram.
        link: int32 [n]; those of the contexts are there, those of their continuations are written.
        child: int32 [contexts + 1], where each n-gram's continuations begin.
    """
    for h in range(first, last):
        low = np.int64(child[link[h]])
        end = np.int64(child[link[h] + 1])
        for i in range(child[h], child[h + 1]):
            w = symbol[i]
            step = 1
            while low + step < end and symbol[low + step] <= w:
                low += step
                step <<= 1
            while step > 0:
                if low + step < end and symbol[low + step] <= w:
                    low += step
                step >>= 1
            link[i] = low


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
        count: uint32 [m], gets the counts added.
        begin: the first n-gram of order 2.
    """
    for i in range(begin, len(link)):
        count[link[i]] += np.uint32(1)


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
