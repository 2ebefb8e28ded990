"""Compiled steps of building a suffix array by induced sorting, and the table of common prefixes.

Nong, Zhang and Chan (2009), "Linear suffix array construction by almost pure induced-sorting"
(SA-IS). A suffix is of type S if it is smaller than the one that begins a symbol later, else of
type L; an S whose neighbour to the left is an L is *leftmost* (LMS). Sorting the leftmost ones
sorts all others in two passes. The last symbol is 0 and appears nowhere else.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import Int, jit


@jit
def types(text: np.ndarray) -> np.ndarray:
    """Whether each suffix is of type S, bool [n]."""
    n = len(text)
    small = np.zeros(n, np.bool_)
    small[n - 1] = True
    for i in range(n - 2, -1, -1):
        small[i] = text[i] < text[i + 1] or (text[i] == text[i + 1] and small[i + 1])
    return small


@jit
def leftmost(small: np.ndarray) -> np.ndarray:
    """The positions of the LMS suffixes in the order of the text, int32."""
    count = 0
    for i in range(1, len(small)):
        count += small[i] and not small[i - 1]
    out = np.empty(count, np.int32)
    count = 0
    for i in range(1, len(small)):
        if small[i] and not small[i - 1]:
            out[count] = i
            count += 1
    return out


@jit
def induce(text: np.ndarray, small: np.ndarray, bounds: np.ndarray, lms: np.ndarray) -> np.ndarray:
    """The suffix array, int32 [n], that these LMS suffixes induce.

    Args:
        text: int32 [n].
        small: what `types` gave.
        bounds: int64 [symbols + 1], where the suffixes of each first symbol begin.
        lms: the LMS positions, sorted as far as they are known to be.
    """
    n = len(text)
    order = np.full(n, -1, np.int32)
    symbols = len(bounds) - 1
    place = np.empty(symbols, np.int64)
    for c in range(symbols):
        place[c] = bounds[c + 1]
    for j in range(len(lms) - 1, -1, -1):
        c = text[lms[j]]
        place[c] -= 1
        order[place[c]] = lms[j]
    for c in range(symbols):
        place[c] = bounds[c]
    for i in range(n):  # type L from the left
        j = order[i] - 1
        if j >= 0 and not small[j]:
            c = text[j]
            order[place[c]] = j
            place[c] += 1
    for c in range(symbols):
        place[c] = bounds[c + 1]
    for i in range(n - 1, -1, -1):  # type S from the right
        j = order[i] - 1
        if j >= 0 and small[j]:
            c = text[j]
            place[c] -= 1
            order[place[c]] = j
    return order


@jit
def _same(text: np.ndarray, small: np.ndarray, a: Int, b: Int) -> bool:
    """Whether the LMS substrings at a and b (up to the next LMS position) are equal."""
    n = len(text)
    if a == n - 1 or b == n - 1:
        return False
    k = 0
    while True:
        if text[a + k] != text[b + k] or small[a + k] != small[b + k]:
            return False
        if k > 0:
            ends_a = small[a + k] and not small[a + k - 1]
            if ends_a != (small[b + k] and not small[b + k - 1]):
                return False
            if ends_a:
                return True
        k += 1


@jit
def name(
    text: np.ndarray, small: np.ndarray, order: np.ndarray, lms: np.ndarray
) -> tuple[np.ndarray, int]:
    """The LMS substrings by their rank, in the order of the text, and how many ranks there are.

    Args:
        text: int32 [n].
        small: what `types` gave.
        order: a suffix array in which LMS *substrings* are sorted.
        lms: the LMS positions in the order of the text.
    """
    names = np.full(len(text), -1, np.int32)
    last, rank = -1, -1
    for i in range(len(text)):
        p = order[i]
        if p > 0 and small[p] and not small[p - 1]:
            if last < 0 or not _same(text, small, last, p):
                rank += 1
            names[p], last = rank, p
    return names[lms], rank + 1


@jit
def common_prefixes(text: np.ndarray, order: np.ndarray) -> np.ndarray:
    """How many first symbols neighbouring suffixes share, int32 [n + 1]; -1 at both borders.

    Kaerkkaeinen, Manzini and Puglisi (2009), "Permuted longest-common-prefix array".
    """
    n = len(text)
    before = np.empty(n, np.int32)  # the suffix before each in the array, then what they share
    before[order[0]] = -1
    for i in range(1, n):
        before[order[i]] = order[i - 1]
    shared = 0
    for p in range(n):
        q = before[p]
        if q < 0:
            shared = 0
        else:
            while p + shared < n and q + shared < n and text[p + shared] == text[q + shared]:
                shared += 1
        before[p] = shared
        shared = max(shared - 1, 0)
    out = np.empty(n + 1, np.int32)
    for i in range(n):
        out[i] = before[order[i]]
    out[0] = out[n] = -1
    return out


@jit
def followers(
    text: np.ndarray, order: np.ndarray, common: np.ndarray, mark: Int
) -> tuple[np.ndarray, np.ndarray]:
    """Of each repeated string: how many different symbols precede it, and what follows it.

    The strings that occur more than once are the intervals of the suffix array whose suffixes
    share that many symbols (Abouelhoda, Kurtz and Ohlebusch 2004); each has a slot of its own,
    see `slot`. They are met here from the longest up, on a stack. How many different symbols
    stand before the suffixes of an interval is its size less the number of neighbours (in the
    order of the array) with equal symbols before them that it holds (Hui 1992, "Color set size
    problem").

    Args:
        text: int32 [n].
        order: its suffix array.
        common: what `common_prefixes` gave.
        mark: the symbol that bounds sequences. It is no symbol that follows; and before a mark
            nothing stands, so that what begins with it is counted as often as it occurs.

    Returns:
        The number of preceding symbols int32 [n]; and int32 [n, 4]: with N1+ of a string's
        continuation the number of different symbols before *that*, the sum of these, how many
        continuations have 1, how many 2, and how many continuations there are.
    """
    n = len(text)
    before = np.ones(n, np.int32)
    after = np.zeros((n, 4), np.int32)
    low, depth = np.empty(64, np.int64), np.empty(64, np.int64)
    pairs, tally = np.empty(64, np.int64), np.empty((64, 4), np.int64)
    last = np.full(mark + 2, -1, np.int64)
    top = -1
    for i in range(n):
        closing = common[i + 1]
        if top < 0 or closing > depth[top]:
            top += 1
            if top + 1 >= len(low):
                low, depth = _doubled(low), _doubled(depth)
                pairs, tally = _doubled(pairs), np.concatenate((tally, tally))
            low[top], depth[top], pairs[top], tally[top, :] = i, closing, 0, 0
        p = order[i]
        if p > 0 and text[p] != mark:
            preceding = text[p - 1]
            if last[preceding] >= 0:
                a, b = 0, top  # the deepest open interval that holds the neighbour too
                while a < b:
                    middle = (a + b + 1) >> 1
                    if low[middle] <= last[preceding]:
                        a = middle
                    else:
                        b = middle - 1
                pairs[a] += 1
            last[preceding] = i
        _tell(tally[top], text, p + depth[top], 1, mark)
        while top >= 0 and depth[top] > closing:
            begin, repeated = low[top], pairs[top]
            different = i + 1 - begin - repeated
            at = slot(common, begin, i + 1)
            before[at] = different
            for j in range(4):
                after[at, j] = tally[top, j]
            top -= 1
            if closing < 0 and top < 0:
                break
            if top < 0 or depth[top] < closing:
                top += 1
                low[top], depth[top], pairs[top], tally[top, :] = begin, closing, 0, 0
            pairs[top] += repeated
            _tell(tally[top], text, order[begin] + depth[top], different, mark)
    return before, after


@jit
def _doubled(array: np.ndarray) -> np.ndarray:
    return np.concatenate((array, array))


@jit
def _tell(tally: np.ndarray, text: np.ndarray, p: Int, different: Int, mark: Int) -> None:
    """Count a continuation by the symbol at p that so many symbols precede."""
    if p < len(text) and text[p] != mark:
        tally[0] += different
        tally[1] += different == 1
        tally[2] += different == 2
        tally[3] += 1


@jit
def slot(common: np.ndarray, low: Int, high: Int) -> Int:
    """Where the figures of an interval low ... high-1 stand: at one of its ends, its own.

    Of the intervals that begin at `low` only the widest is bounded more tightly on the left, and
    of those that end at `high - 1` only the widest on the right.
    """
    return low if common[low] >= common[high] else high - 1
