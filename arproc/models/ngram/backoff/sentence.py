"""One text of words scored in one compiled call: what is asked a million times, one at a time.

The arrays are handed over as arrays, each checked by numba: a kernel that was given their
addresses alone took 2.9 microseconds for a text of twelve words where this one takes 3.0, which
is not worth code that would follow any address.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import numpy as np

from arproc.compiled.interpreted import suited
from arproc.compiled.jit import Int, jit
from arproc.data.word_kernels import PRIME, SEED, find, is_space, spread
from arproc.models.ngram.backoff.query_kernels import follow_one

__all__ = ["text_scorer"]


def text_scorer(
    arrays: tuple, words: tuple[np.ndarray, ...], missing: int, start: int, end: int
) -> Callable[[bytes], float]:
    """A function from a text in UTF-8 to its log-probability, its end included.

    Args:
        arrays: `Trie.arrays` of a model with interpolation.
        words: slots, tags, offsets, blob and numbers of the words; see `arproc.data.word_table`.
        missing: the number of words that are not among them.
        start: the state before the first word.
        end: the end's number, or -1 where there is none.

    Returns:
        The function; it gives nats, and NaN where a word may not stand there (its number is
        below 0).
    """
    held = [np.ascontiguousarray(array) for array in (*arrays[1:6], arrays[8], *words)]
    given = (*held, missing, start, end)
    here = sys.modules[__name__]
    loops = suited(here, 0)
    if loops is here:
        return partial(score, *given)

    def scored(text: bytes) -> float:
        nonlocal loops
        if loops is not here:  # once it is compiled nobody asks any more
            loops = suited(here, 5 * len(text))
        return loops.score(*given, text)

    return scored


@jit
def score(
    symbol: np.ndarray,
    link: np.ndarray,
    first_child: np.ndarray,
    log_prob: np.ndarray,
    back_off: np.ndarray,
    index: np.ndarray,
    slots: np.ndarray,
    tags: np.ndarray,
    offsets: np.ndarray,
    blob: np.ndarray,
    numbers: np.ndarray,
    missing: Int,
    start: Int,
    end: Int,
    text: bytes,
) -> float:
    """The log-probability of a text; see `text_scorer`."""
    total = 0.0
    s = np.int64(start)
    p = 0
    while p < len(text):
        if is_space(text[p]):
            p += 1
            continue
        first = p
        h = SEED
        while p < len(text) and not is_space(text[p]):
            h = (h ^ np.uint64(text[p])) * PRIME
            p += 1
        word = slots[find(text, first, p, spread(h), slots, tags, offsets, blob)]
        w = np.int64(missing) if word < 0 else np.int64(numbers[word])
        if w < 0:
            return np.nan
        term, s = follow_one(symbol, link, first_child, log_prob, back_off, index, s, w)
        total += term
    if end >= 0:
        term, s = follow_one(
            symbol, link, first_child, log_prob, back_off, index, s, np.int64(end)
        )
        total += term
    return total
