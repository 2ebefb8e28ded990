"""What is said of symbols and text: frequencies, n-grams, repeats, how many different ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from arproc.evaluation.synthetic.dynamics import bins, run_lengths
from arproc.evaluation.synthetic.pool import Pool
from arproc.evaluation.synthetic.relabelling import Moments, Relabelling
from arproc.evaluation.synthetic.statistics import kernels_for, shares, tallied

__all__ = ["bigrams", "coded", "distinct", "frequencies", "gone", "ngrams", "repeats", "words_of"]

#: How many symbols, pairs and longer n-grams are told apart; the others are one.
MOST_SYMBOLS, PAIRED, MOST_NGRAMS = 64, 24, 256
#: In how many units different n-grams are counted.
MOST_COUNTED = 1000
_SLOTS = 1 << 21


def coded(pool: Pool) -> np.ndarray:
    """The elements as symbols, int64 [total]: numbers by the part of the range they lie in."""
    return pool.codes if pool.codes is not None else bins(pool, pool.numeric[0])


def words_of(pool: Pool) -> Pool | None:
    """A pool of text by words, runs of letters and digits and what stands alone between blanks."""
    assert pool.codes is not None
    symbols = np.array(pool.symbols, dtype=str)
    blank = np.char.isspace(symbols)[pool.codes]
    begins = ~blank
    begins[1:] &= blank[:-1] | (pool.unit[1:] != pool.unit[:-1])
    start = np.flatnonzero(begins)
    if not len(start):
        return None
    ends = ~blank
    ends[:-1] &= blank[1:] | (pool.unit[1:] != pool.unit[:-1])
    stop = np.flatnonzero(ends) + 1
    text = "".join(symbols[pool.codes])
    words = [text[a:b] for a, b in zip(start.tolist(), stop.tolist(), strict=True)]
    import pandas as pd

    codes, found = pd.factorize(np.array(words, dtype=object))
    lengths = np.bincount(pool.unit[start], minlength=pool.n)
    return replace(
        pool,
        codes=codes,
        symbols=list(found),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        place=pool.place[start],
        end=pool.end[start],
        kept={},
    )


def _few(pool: Pool, code: np.ndarray, most: int) -> tuple[np.ndarray, list[str]]:
    """The most frequent symbols by their rank, the others as one more; and their names."""
    counts = np.bincount(code[code >= 0])
    order = np.argsort(-counts, kind="stable")[:most]
    table = np.full(len(counts), len(order))
    table[order] = np.arange(len(order))
    told = [repr(pool.symbols[k]) if len(pool.symbols) else f"part {k + 1}" for k in order]
    return np.where(code >= 0, table[code], -1), [*told, "any other"]


def frequencies(pool: Pool) -> Moments:
    """The share of each of the frequent symbols."""
    code, names = _few(pool, coded(pool), MOST_SYMBOLS)
    return shares([f"share of {name}" for name in names], tallied(pool, code, len(names)))


def bigrams(pool: Pool) -> Moments:
    """The joint law of neighbouring symbols."""
    code, names = _few(pool, coded(pool), PAIRED)
    k = len(names)
    fine = pool.follows(1) & (code[1:] >= 0) & (code[:-1] >= 0)
    pair = np.where(fine, code[:-1] * k + code[1:], -1)
    told = [f"share of {a} before {b}" for a in names for b in names]
    return shares(told, tallied(pool, pair, k * k, pool.unit[1:]))


def _hashed(pool: Pool, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Each n-gram's slot, and where it begins; those within one unit."""
    code = coded(pool)
    size = max(len(code) - n + 1, 0)
    slot = np.zeros(size, np.uint64)
    for i in range(n):  # multiplicative hashing: two n-grams in a thousand share a slot
        slot = (slot + code[i : i + size].astype(np.uint64) + np.uint64(1)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        slot ^= slot >> np.uint64(29)
    begin = np.flatnonzero(pool.unit[n - 1 :] == pool.unit[:size]) if size else np.zeros(0, int)
    return (slot[begin] % np.uint64(_SLOTS)).astype(np.int64), begin


def ngrams(pool: Pool, n: int) -> Moments | str:
    """The shares of the most frequent n-grams."""
    slot, begin = _hashed(pool, n)
    if not len(slot):
        return f"no unit has {n} elements"
    counts = np.bincount(slot, minlength=_SLOTS)
    order = np.argsort(-counts, kind="stable")[:MOST_NGRAMS]
    order = order[counts[order] > 1]
    if not len(order):
        return f"no {n} symbols follow each other twice"
    table = np.full(_SLOTS, len(order))
    table[order] = np.arange(len(order))
    first = np.zeros(_SLOTS, np.int64)
    first[slot[::-1]] = begin[::-1]
    names = [f"share of {_told(pool, first[k], n)}" for k in order]
    tally = tallied(pool, table[slot], len(order) + 1, pool.unit[begin])
    return shares([*names, f"share of the rarer {n}-grams"], tally)


def _told(pool: Pool, begin: int, n: int) -> str:
    assert pool.codes is not None
    parts = [pool.symbols[k] for k in pool.codes[begin : begin + n].tolist()]
    if all(isinstance(part, str) for part in parts):
        blank = "" if pool.kind == "text" and all(len(part) == 1 for part in parts) else " "
        return repr(blank.join(parts))
    return repr(tuple(parts))


def repeats(pool: Pool) -> Moments:
    """How long one symbol is repeated."""
    return run_lengths(pool, coded(pool), "of runs of one symbol")


# ---- how many different ones ----------------------------------------------------------------


def distinct(pool: Pool, n: int, dealt: Relabelling) -> tuple[np.ndarray, np.ndarray]:
    """How many different n-grams each of two equal numbers of units has, under each way [1 + R].

    Where sets are of different sizes some units of the larger one stand for it.
    """
    slot, begin = _hashed(pool, n)
    unit = pool.unit[begin]
    bounds = np.searchsorted(unit, np.arange(pool.n + 1))
    ways = len(dealt.dealt)
    equal = min(len(dealt.tested), len(dealt.others), MOST_COUNTED)
    rng = np.random.default_rng(0)
    kernels = kernels_for(2 * ways * equal * max(len(slot) // pool.n, 1))
    mine, theirs = np.empty(ways), np.empty(ways)
    stamp = np.zeros(_SLOTS, np.int32)
    mark = 0
    for i in range(ways):
        for found, side in ((mine, dealt.dealt[i]), (theirs, ~dealt.dealt[i])):
            units = rng.permutation(dealt.units[side])[:equal]
            mark += 1
            found[i] = kernels.different(slot, bounds, units, stamp, mark)
    return mine, theirs


def gone(pool: Pool, others: np.ndarray, tested: np.ndarray) -> tuple[str, int, float] | None:
    """The symbol (or category) whose absence from the tested units is the least likely.

    Of `c` units of the pool that have it none among m of N has the probability
    C(N - c, m) / C(N, m), where the two sets are of one law.

    Returns:
        It in words, how many of the other units have it, and that probability times the number of
        symbols (Bonferroni); None where there are no symbols.
    """
    from scipy.special import gammaln

    found: list[tuple[str, int, float]] = []
    number = 0
    both = np.concatenate([others, tested])
    total, m = len(both), len(tested)
    for has, names in _presence(pool):
        number += len(names)
        mine = has[tested].sum(0)
        all_of = has[both].sum(0)
        for k in np.flatnonzero((mine == 0) & (all_of > 0)):
            c = int(all_of[k])
            chance = (
                gammaln(total - c + 1) + gammaln(total - m + 1)
                - gammaln(total - c - m + 1) - gammaln(total + 1)
            ) if total - c >= m else -np.inf  # fmt: skip
            found.append((names[k], c, float(np.exp(chance))))
    if not number:
        return None
    if not found:
        return "none", 0, 1.0
    name, c, p = min(found, key=lambda one: one[2])
    return name, c, min(1.0, p * number)


def _presence(pool: Pool) -> list[tuple[np.ndarray, list[str]]]:
    """Which symbols each unit has, bool [N, k], and their names."""
    if pool.codes is not None:
        counts = np.bincount(pool.codes)
        order = np.argsort(-counts, kind="stable")[:1000]
        table = np.full(len(counts), -1)
        table[order] = np.arange(len(order))
        tally = tallied(pool, table[pool.codes], len(order))
        return [(tally > 0, [repr(pool.symbols[k]) for k in order])]
    found = []
    assert pool.values is not None
    for j, labels in enumerate(pool.labels):
        if labels is not None:
            code = np.nan_to_num(pool.values[:, j], nan=-1).astype(np.int64)
            tally = tallied(pool, code, len(labels))
            found.append((tally > 0, [f"{label!r}{pool.column(j)}" for label in labels]))
    return found
