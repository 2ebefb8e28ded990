"""Sequences longer than a network has positions: they go on in a fresh pass.

Learned positions end at some limit P. The element after n inputs is predicted from all of them
while n <= P; an input beyond that finds no place, and the last P // 2 inputs are read anew, as if
they stood at the beginning, before it. So every element has a distribution, whatever came before,
and one more element costs about as much as before on average.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from arproc.models.neural.sequences.cache import KeyValueCache
from arproc.models.neural.sequences.few_inputs import Weights

__all__ = ["passes", "refreshed", "room"]


def passes(inputs: Tensor, limit: int, carried: int) -> Tensor:
    """How many fresh passes there have been after so many inputs.

    Example:
        >>> passes(torch.tensor([1, 6, 7, 9, 10]), limit=6, carried=3).tolist()
        [0, 0, 1, 1, 2]
    """
    return ((inputs - carried - 1) // (limit - carried)).clamp(min=0)


def room(cache: KeyValueCache) -> int | None:
    """How many more inputs find a place in every row; None where there is no end to them."""
    limit = cache.network.limit
    return None if limit is None else limit - int(torch.as_tensor(cache.counts).max())


def refreshed(
    cache: KeyValueCache, recent: Tensor, weights: Weights, offset: Tensor | None
) -> KeyValueCache:
    """The cache with rows that are full read anew.

    Args:
        cache: of N rows.
        recent: their last `network.carried` inputs, after the symbols before them that the network
            looks up with them, [N, reach + carried].
        weights: those of the network.
        offset: of the context, [N, width].
    """
    network, counts = cache.network, cache.counts
    if isinstance(counts, int):
        return _read(network, recent, weights, offset)
    full = counts >= (network.limit or 0)
    rows, others = full.nonzero()[:, 0], (~full).nonzero()[:, 0]
    fresh = _read(network, recent[rows], weights, None if offset is None else offset[rows])
    if not len(others):
        return fresh
    joined = KeyValueCache.concatenate([fresh, cache.select(others)])
    return joined.select(torch.cat([rows, others]).argsort())


def _read(network: Any, recent: Tensor, weights: Weights, offset: Tensor | None) -> KeyValueCache:
    empty = KeyValueCache.empty(network, len(recent))
    before, inputs = recent[:, : network.reach], recent[:, network.reach :]
    return empty.feed(inputs, weights, offset, before)[1] if inputs.shape[1] else empty
