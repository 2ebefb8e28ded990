"""Making a back-off model from n-grams that are given by their parents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.counting.counts import Alphabet

__all__ = ["assemble", "parents"]


def parents(trie: Trie) -> np.ndarray:
    """The n-gram that each n-gram continues by one symbol, int64 [n]; of the empty one 0."""
    first = trie.first_child.astype(np.int64)
    above = np.repeat(np.arange(len(first) - 1), np.diff(first))
    return np.concatenate([[0], above])


def assemble(
    alphabet: Alphabet,
    levels: Sequence[int] | np.ndarray,
    parent: np.ndarray,
    symbol: np.ndarray,
    log_prob: np.ndarray,
    back_off: np.ndarray,
    like: Trie,
) -> Trie:
    """The trie of some n-grams in breadth-first order, their links found.

    Args:
        alphabet: the symbols' numbers.
        levels: where the k-grams begin, [N + 2].
        parent: the n-gram that each continues, [n]; the numbers do not decrease.
        symbol: the last symbol of each, [n]; increasing among those of one parent.
        log_prob: [n], nats.
        back_off: log-weights [n] (those of the longest n-grams are not used).
        like: a trie whose numbers are held in the types that are wanted.
    """
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.backoff import query_kernels

    kernels = suited(query_kernels, 8 * len(symbol))
    contexts = int(levels[-2])
    first = np.searchsorted(parent[1:], np.arange(contexts + 1)) + 1
    trie = Trie(
        alphabet,
        np.asarray(levels, like.levels.dtype),
        symbol.astype(np.promote_types(like.symbol.dtype, np.min_scalar_type(alphabet.size))),
        np.zeros(len(symbol), like.link.dtype),
        first.astype(like.first_child.dtype),
        log_prob.astype(like.log_prob.dtype),
        back_off[:contexts].astype(like.back_off.dtype),
    )
    kernels.connect(trie.arrays)
    return trie
