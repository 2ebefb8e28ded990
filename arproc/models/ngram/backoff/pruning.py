"""Fewer n-grams: those that are cut off by their counts, or by what their removal would cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arproc.errors import ParameterError, UnsupportedError, check_list, check_number
from arproc.models.ngram.backoff.trie import Trie
from arproc.models.ngram.counting.counts import Counts

__all__ = ["cut_offs", "kept_by_count", "kept_by_entropy", "pruned", "renormalised", "without"]


def cut_offs(prune: int | Sequence[int], order: int) -> list[int]:
    """The cut-off of each order, from what the user gave: as `lmplz --prune` takes it.

    Args:
        prune: n-grams seen at most so often are left out; one number for the orders above 1, or
            one for each order from 1 on, the last one also for all orders beyond.
        order: the highest order.

    Raises:
        ParameterError: single symbols would be cut, or the numbers decrease.
    """
    single = isinstance(prune, (int, np.integer))
    listed: list[Any] = [0, prune] if single else check_list("prune", prune)
    fine = bool(listed) and all(
        isinstance(c, (int, np.integer)) and not isinstance(c, bool) and c >= 0 for c in listed
    )
    if not fine or isinstance(prune, bool):
        raise ParameterError(
            f"prune must be a whole number of at least 0, or one for each order; got {prune!r}."
        )
    if listed[0] != 0:
        raise ParameterError(
            f"prune begins with {listed[0]}: single symbols can not be cut off by it, so expected "
            "0 for order 1; use Tokens(min_count=...) to turn rare symbols into <unk>."
        )
    if len(listed) > order and len(listed) > 2:
        raise ParameterError(f"prune has {len(listed)} numbers; the model has {order} orders.")
    if sorted(listed) != listed:
        raise ParameterError(
            f"prune must not decrease from one order to the next; got {prune!r}. A longer n-gram "
            "is never seen more often than its parts."
        )
    return [int(c) for c in (listed + [listed[-1]] * order)[:order]]


def kept_by_count(counts: Counts, cuts: Sequence[int]) -> np.ndarray:
    """Which n-grams were seen more often than the cut-off of their order, bool [n]."""
    threshold = np.repeat([-1, -1, *cuts[1:]], np.diff(counts.levels))
    return counts.count > threshold


def pruned(trie: Trie, threshold: float) -> Trie:
    """See `NGram.pruned`."""
    check_number("threshold", threshold, low=0)
    if not trie.interpolated and trie.order > 1:
        raise UnsupportedError(
            "Additive smoothing does not back off, so what an n-gram leaves out is not given "
            "by shorter ones; fit with another smoothing to prune."
        )
    return renormalised(without(trie, kept_by_entropy(trie, threshold)))


def kept_by_entropy(trie: Trie, threshold: float) -> np.ndarray:
    """Which n-grams remain when those go that raise perplexity by less than a share, bool [n].

    From the longest ones down, as in SRILM's `-prune`; each is judged as if it were the only one
    to go, by the model's own probabilities.
    """
    from arproc.models.ngram.backoff import edit_kernels as kernels

    alphabet, levels = trie.alphabet, trie.levels
    history = kernels.histories(trie.arrays, alphabet.begin, alphabet.end)
    kept, cost = np.ones(len(trie.symbol), bool), np.full(len(trie.symbol), np.inf)
    for k in range(trie.order, 1, -1):
        kernels.losses(trie.arrays, levels[k - 1], levels[k], history, kept, cost)
        own = slice(int(levels[k]), int(levels[k + 1]))
        kept[own] = np.expm1(np.minimum(cost[own], 700.0)) >= threshold
    return kept


def without(trie: Trie, kept: np.ndarray) -> Trie:
    """The trie of the n-grams that are kept, with the probabilities and weights they had.

    Args:
        trie: a back-off model.
        kept: bool [n]; what begins an n-gram that is kept is kept.
    """
    from arproc.models.ngram.backoff import query_kernels

    contexts = len(trie.back_off)
    before = np.concatenate([[0], np.cumsum(kept)])
    inner = kept[:contexts]
    first_child = np.append(before[trie.first_child[:-1][inner]], before[-1]).astype(np.int32)
    smaller = Trie(
        trie.alphabet, before[trie.levels], trie.symbol[kept], np.zeros(before[-1], np.int32),
        first_child, trie.log_prob[kept], trie.back_off[inner],
    )  # fmt: skip
    query_kernels.connect(smaller.arrays)
    return smaller


def renormalised(trie: Trie) -> Trie:
    """The same n-grams, with the back-off weights that make their probabilities add up to one."""
    from arproc.models.ngram.backoff import edit_kernels as kernels

    kernels.renormalise(trie.arrays)
    return trie
