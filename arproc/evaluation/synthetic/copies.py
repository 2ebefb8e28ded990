"""The longest verbatim copy of training data in each unit, by a suffix array."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from arproc.evaluation.synthetic.pool import HOLDOUT, SYNTHETIC, Pool
from arproc.evaluation.synthetic.statistics import kernels_for

__all__ = ["Copies", "longest_copies", "tokens_of"]


class Copies(NamedTuple):
    """Of each unit of the pool that is not of train its longest copy of train.

    Attributes:
        units: which units, int64 [m].
        length: of the copy, in elements, [m].
        begin: where it begins in the pool's flat arrays; -1 where there is none.
        source: where in them what was copied begins.
    """

    units: np.ndarray
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


def longest_copies(pool: Pool) -> Copies:
    """The longest copies of train in the units of the other sets.

    Linear in the length of all sets together: matches are read off the suffix array of all of
    them at once (Abouelhoda, Kurtz and Ohlebusch 2004, "Replacing suffix trees with enhanced
    suffix arrays"). A copy does not go beyond its sequence, in either.
    """
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.suffix import suffix_kernels
    from arproc.models.ngram.suffix.suffixes import suffix_array

    units = pool.of(HOLDOUT, SYNTHETIC)
    first = int(pool.offsets[units[0]])  # the units of train come first
    text, where, sources = _shared(tokens_of(pool), pool.end, first)
    suffixes = suited(suffix_kernels, 20 * len(text))
    order = suffix_array(text)
    common = suffixes.common_prefixes(text, order)
    own = kernels_for(20 * len(text))
    length = np.zeros(len(text) - sources, np.int32)
    source = np.full(len(text) - sources, -1, np.int32)
    own.matches(order, common, sources, length, source)
    place = where[first:] - sources
    bounds = pool.offsets[units[0] :] - first
    # marks share no first symbol with anything that counts
    matched = np.where(text[where[first:]] > 0, length[place], 0)
    size, begin, origin = own.longest(matched, source[place], pool.end[first:] - first, bounds)
    back = np.zeros(len(text), np.int64)
    back[where] = np.arange(len(where))
    return Copies(
        units,
        size,
        np.where(begin >= 0, begin + first, -1),
        np.where(origin >= 0, back[origin], -1),
    )


def _shared(
    tokens: np.ndarray, end: np.ndarray, first: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """The text that can match: marks where sequences end, and one for each run of other tokens.

    Tokens that do not stand on both sides are in no copy, and of real numbers there are few others.

    Returns:
        The text, int32 with 0 for marks; where in it each token stands; and where in it the part
        after train begins.
    """
    n = int(tokens.max()) + 1
    both = (np.bincount(tokens[:first], minlength=n) > 0) & (
        np.bincount(tokens[first:], minlength=n) > 0
    )
    number = np.cumsum(both)
    code = np.where(both[tokens], number[tokens], 0).astype(np.int32)
    begins = np.ones(len(tokens), dtype=bool)  # of sequences
    begins[1:] = end[1:] != end[:-1]
    kept = (code > 0) | begins
    kept[1:] |= code[:-1] > 0
    # a sequence that begins with a token of both sides has a mark before it
    marked = begins & (code > 0)
    steps = kept.astype(np.int64) + marked
    where = np.cumsum(steps) - 1
    text = np.zeros(int(where[-1]) + 2, np.int32)
    text[where[kept]] = code[kept]
    return text, where, int(where[first] - marked[first])
