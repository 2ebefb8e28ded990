"""One text of words scored in one compiled call: what is asked a million times, one at a time.

Handing an array to compiled code takes a tenth of a microsecond, and a model has a dozen. So the
kernel gets one number: the address of a table of their addresses and lengths.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from arproc.compiled.jit import carray, entry, jit, pointer
from arproc.data.word_kernels import PRIME, SEED, find, is_space, spread
from arproc.models.ngram.backoff.query_kernels import follow_one

__all__ = ["text_scorer"]

#: Of eleven arrays the addresses and lengths, and three numbers.
_ENTRIES = 25


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
    model = (*arrays[1:6], arrays[8])
    # alive as long as the function is, which knows no more than their addresses
    held = [np.ascontiguousarray(array) for array in (*model, *words)]
    numbers = [n for array in held for n in (array.ctypes.data, len(array))]
    table = np.array([*numbers, missing, start, end], np.int64)
    address = table.ctypes.data
    kernel = _kernel(model[0].dtype.name, model[3].dtype.name)
    scorer = partial(entry(kernel, address, b""), address)
    scorer.held = table, held  # type: ignore[attr-defined]
    return scorer


@cache
def _kernel(symbols: str, reals: str) -> Callable[[int, bytes], float]:
    """The compiled loop for symbols and log-probabilities of these types."""
    integer: Any = getattr(np, symbols)
    real: Any = getattr(np, reals)

    @jit
    def score(address: int, text: bytes) -> float:
        table = carray(pointer(address), (_ENTRIES,), np.int64)
        symbol = carray(pointer(table[0]), (table[1],), integer)
        link = carray(pointer(table[2]), (table[3],), np.int32)
        first_child = carray(pointer(table[4]), (table[5],), np.int32)
        log_prob = carray(pointer(table[6]), (table[7],), real)
        back_off = carray(pointer(table[8]), (table[9],), real)
        index = carray(pointer(table[10]), (table[11],), np.int32)
        slots = carray(pointer(table[12]), (table[13],), np.int32)
        tags = carray(pointer(table[14]), (table[15],), np.uint32)
        offsets = carray(pointer(table[16]), (table[17],), np.int64)
        blob = carray(pointer(table[18]), (table[19],), np.uint8)
        numbers = carray(pointer(table[20]), (table[21],), np.int32)
        missing, s, end = table[22], table[23], table[24]
        total = 0.0
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
            w = missing if word < 0 else np.int64(numbers[word])
            if w < 0:
                return np.nan
            term, s = follow_one(symbol, link, first_child, log_prob, back_off, index, s, w)
            total += term
        if end >= 0:
            term, s = follow_one(symbol, link, first_child, log_prob, back_off, index, s, end)
            total += term
        return total

    return score
