"""Whether the numbers of a trie lead to where they may, and stand in their order.

`model` is always the tuple `Trie.arrays`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from arproc.compiled.threads import shares, threaded
from arproc.contract.checked import sentences
from arproc.models.ngram.backoff.index import slots_for

__all__ = ["wrong_index", "wrong_links", "wrong_page"]

#: A logarithm of a probability may be above 0 by rounding.
_ROUNDING = 1e-6


def wrong_page(model: tuple, size: int, begin: int, end: int) -> Iterator[str]:
    """What is wrong with the n-grams from `begin` to before `end`, of an alphabet of `size`."""
    levels, contexts = model[0], min(end, len(model[5]))
    if begin < contexts:
        yield from _wrong_contexts(model, begin, contexts)
    first = max(begin, 1)  # the empty one has no symbol, and no link
    symbol, link, log_prob = (model[i][first:end] for i in (1, 2, 4))
    at = np.arange(first, end)
    level = np.searchsorted(levels, at, side="right") - 1
    yield from sentences(
        (bool(((link < 0) | (link >= levels[level])).any()), "a link does not lead to a "
         "shorter n-gram"),
        (bool(((symbol < 0) | (symbol >= size)).any()), "a symbol is not in the alphabet"),
        (bool((symbol[level == 1] != at[level == 1] - 1).any()), "the single symbols are not all"),
        (bool(np.isnan(log_prob).any()), "a probability is not a number"),
        (bool((log_prob > _ROUNDING).any()), "a probability is above one"),
    )  # fmt: skip


def _wrong_contexts(model: tuple, begin: int, end: int) -> Iterator[str]:
    """What is wrong with the contexts of a page, and the order of what continues them."""
    children = model[3][begin : end + 1].astype(np.int64)
    weight = model[5][begin:end]
    yield from sentences(
        (bool((np.diff(children) < 0).any()) or children[0] < 1 or children[-1] > len(model[1]),
         "continuations are out of order"),
        (bool(np.isnan(weight).any() or (weight == np.inf).any()), "a back-off weight is not a "
         "number"),
    )  # fmt: skip
    symbol = model[1][children[0] : children[-1]].astype(np.int64)
    inner = np.ones(len(symbol), bool)
    starts = children[:-1] - children[0]
    inner[starts[starts < len(symbol)]] = False  # where a context's continuations begin
    yield from sentences(
        (bool((np.diff(symbol)[inner[1:]] <= 0).any()), "continuations are not sorted")
    )


def wrong_links(model: tuple) -> Iterator[str]:
    """Whether each n-gram links to its longest suffix; what is looked for is in the index."""
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.backoff import query_kernels

    levels, link, first_child = model[0], model[2], model[3]
    kernels = suited(query_kernels, 10 * len(link))
    single = slice(1, int(levels[2]))
    parts = shares(first_child[2:].astype(np.int64)) if len(first_child) > 2 else []
    fine = not link[single].any() and all(
        threaded(lambda a, b: kernels.links_hold(model, a + 1, b + 1), parts)
    )
    yield from sentences((not fine, "a link does not lead to the longest suffix"))


def wrong_index(model: tuple) -> Iterator[str]:
    """Whether the hash table has the continuations of wide nodes, each where it is found."""
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.backoff import query_kernels

    symbol, first_child, index = model[1], model[3], model[8]
    kernels = suited(query_kernels, 5 * len(symbol))
    widths = np.diff(first_child[1:])
    wide = int(widths[widths > kernels.WIDE].sum(dtype=np.int64))
    held = int(np.count_nonzero(index >= 0))
    fine = len(index) == slots_for(wide) and held == wide
    fine = fine and not (index < -1).any() and not (index >= len(symbol)).any()
    fine = fine and (wide == 0 or bool(kernels.all_found(symbol, first_child, index)))
    yield from sentences((not fine, "the index of continuations is not that of the n-grams"))
