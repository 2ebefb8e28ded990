"""The longest verbatim copy of training data in each unit, by a suffix array."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from arproc.evaluation.synthetic.pool import Pool
from arproc.evaluation.synthetic.sets import HOLDOUT, SYNTHETIC
from arproc.evaluation.synthetic.statistics import kernels_for
from arproc.models.ngram.suffix.suffixes import suffix_array

__all__ = ["Copies", "longest_copies", "tokens_of"]


class Copies(NamedTuple):
    """Of each unit its longest copy of others.

    Attributes:
        length: of the copy, in elements, int64 [N].
        begin: where it begins in the pool's flat arrays; -1 where there is none.
        source: where in them what was copied begins.
    """

    length: np.ndarray
    begin: np.ndarray
    source: np.ndarray


def tokens_of(pool: Pool) -> np.ndarray:
    """A number for each element, the same for equal ones alone, int64 [total].

    An element is a symbol, a number, a vector, a row or an image.
    """
    if pool.codes is not None:
        return pool.codes
    assert pool.values is not None
    import pandas as pd

    bits = (np.nan_to_num(pool.values, nan=np.inf) + 0.0).view(np.uint64)  # -0 is 0
    code = bits[:, 0]
    for j in range(1, bits.shape[1]):
        code = _mixed(code) ^ bits[:, j]
    return pd.factorize(_mixed(code) if bits.shape[1] > 1 else code)[0]


def _mixed(code: np.ndarray) -> np.ndarray:
    """Numbers of 64 bits scattered over all of them, one to one (splitmix64)."""
    code = (code ^ (code >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    code = (code ^ (code >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return code ^ (code >> np.uint64(31))


def longest_copies(pool: Pool) -> tuple[Copies, Copies]:
    """The longest copy of train in each unit of the other sets; and of any other unit in each.

    Linear in the length of all sets together: matches are read off the suffix array of all of
    them at once (Abouelhoda, Kurtz and Ohlebusch 2004, "Replacing suffix trees with enhanced
    suffix arrays"). A copy does not go beyond its sequence, in either.
    """
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.suffix import suffix_kernels

    text, where = _shared(tokens_of(pool), pool)
    suffixes = suited(suffix_kernels, 20 * len(text))
    order = suffix_array(text)
    common = suffixes.common_prefixes(text, order)
    back = np.full(len(text), -1, np.int64)
    back[where] = np.arange(len(where))
    unit = np.full(len(text), -1, np.int32)
    unit[where] = pool.unit
    mark = np.where(text == 0, np.arange(len(text)), len(text))
    # how far it is to the next mark, which is in no copy
    free = np.minimum.accumulate(mark[::-1])[::-1] - np.arange(len(text))
    fresh = unit >= pool.of(HOLDOUT, SYNTHETIC)[0]  # the units of train come first
    found = []
    for owner, sources in ((fresh.astype(np.int32), int(fresh.argmax())), (unit, len(text))):
        own = kernels_for(40 * len(text))
        length, source = np.zeros(len(text), np.int32), np.full(len(text), -1, np.int32)
        own.matches(order, common, owner, sources, length, source)
        matched = np.minimum(length, free)[where]
        size, begin, origin = own.longest(matched, source[where], pool.end, pool.offsets)
        found.append(Copies(size, begin, np.where(origin >= 0, back[origin], -1)))
    return found[0], found[1]


def _shared(tokens: np.ndarray, pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    """The text that can match: marks where sequences end, and one for each run of other tokens.

    Tokens that stand once alone are in no copy, and of real numbers there are few others.

    Returns:
        The text, int32 with 0 for marks; and where in it each token stands.
    """
    twice = np.bincount(tokens) > 1
    code = np.where(twice[tokens], np.cumsum(twice)[tokens], 0).astype(np.int32)
    begins = np.ones(len(tokens), dtype=bool)  # of sequences
    begins[1:] = pool.end[1:] != pool.end[:-1]
    kept = (code > 0) | begins
    kept[1:] |= code[:-1] > 0
    # a sequence that begins with a token that counts has a mark before it
    where = np.cumsum(kept.astype(np.int64) + (begins & (code > 0))) - 1
    text = np.zeros(int(where[-1]) + 2, np.int32)
    text[where[kept]] = code[kept]
    return text, where
