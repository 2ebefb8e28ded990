"""The hash table of what continues the n-grams that many symbols continue."""

from __future__ import annotations

import numpy as np

__all__ = ["index_of", "slots_for"]


def index_of(symbol: np.ndarray, first_child: np.ndarray) -> np.ndarray:
    """The hash table of the continuations of nodes that have many, int32 [slots]."""
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.backoff import query_kernels

    kernels = suited(query_kernels, 4 * len(symbol))
    widths = np.diff(first_child[1:])
    index = np.full(slots_for(int(widths[widths > kernels.WIDE].sum())), -1, np.int32)
    kernels.fill_index(symbol, first_child, index)
    return index


def slots_for(entries: int) -> int:
    """How many slots a hash table of so many entries has."""
    return entries * 17 // 10 + 1
