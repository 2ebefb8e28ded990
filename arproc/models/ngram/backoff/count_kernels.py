"""Compiled loops over the trie of counts: extensions to the left, and looking n-grams up."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit


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
