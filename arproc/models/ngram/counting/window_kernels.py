"""Compiled loops over windows: every position's next symbols packed into words, sorted, counted.

A window is what follows one symbol: the next N-1 symbols, as numbers 1 ... V of `bits` bits each
(0 where the sequence has ended), the first one highest. `per_word` of them fill a word of 64 bits;
a window has as many words as it needs, the last one holds the rest. So windows compare as
numbers do, and equal n-grams are neighbours once they are sorted.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import jit

_ONE = np.uint64(1)


@jit
def histogram(text: np.ndarray, begin: int, end: int, symbols: int) -> np.ndarray:
    """How often each symbol stands in text[begin:end], int64 [symbols]; -1 is none."""
    count = np.zeros(symbols, np.int64)
    for p in range(begin, end):
        if text[p] >= 0:
            count[text[p]] += 1
    return count


@jit
def scatter(
    text: np.ndarray,
    begin: int,
    end: int,
    widths: np.ndarray,
    bits: int,
    fill: np.ndarray,
    keys: np.ndarray,
) -> None:
    """Put the window behind each position of text[begin:end] into the bucket of its symbol.

    Args:
        text: int32 [T], symbols, and -1 between sequences.
        begin: the first position.
        end: one beyond the last.
        widths: int64 [words], how many symbols each word holds.
        bits: of one symbol.
        fill: int64 [symbols], where the next window of each symbol goes; is moved on.
        keys: uint64 [words, n], gets the windows.
    """
    words = len(widths)
    key = np.zeros(words, np.uint64)
    shift = np.uint64(bits)
    mask = (_ONE << shift) - _ONE
    top = np.empty(words, np.uint64)
    reach = 0
    for j in range(words):
        top[j] = np.uint64(bits * (widths[j] - 1))
        reach += widths[j]
    for p in range(min(len(text), end + reach) - 1, begin - 1, -1):
        w = text[p]
        if p < end and w >= 0:
            at = fill[w]
            fill[w] = at + 1
            for j in range(words):
                keys[j, at] = key[j]
        if w < 0:
            for j in range(words):
                key[j] = 0
        else:
            carry = np.uint64(w + 1)
            for j in range(words):
                out = key[j] & mask
                key[j] = (key[j] >> shift) | (carry << top[j])
                carry = out


@jit
def _radix(a: np.ndarray, b: np.ndarray, n: int, used: int) -> bool:
    """Sort a[:n] by its lowest `used` bits, eleven at a time; says whether b has the result."""
    differ = np.uint64(0)
    for i in range(1, n):
        differ |= a[i] ^ a[0]
    counters = np.empty(2048, np.int64)
    swapped = False
    for start in range(0, used, 11):
        shift = np.uint64(start)
        if (differ >> shift) & np.uint64(2047) == 0:
            continue
        counters[:] = 0
        for i in range(n):
            counters[(a[i] >> shift) & np.uint64(2047)] += 1
        before = 0
        for digit in range(2048):
            here = counters[digit]
            counters[digit] = before
            before += here
        for i in range(n):
            digit = (a[i] >> shift) & np.uint64(2047)
            b[counters[digit]] = a[i]
            counters[digit] += 1
        a, b = b, a
        swapped = not swapped
    return swapped


@jit
def _shell(a: np.ndarray) -> None:
    """Sort few words in place (Shell 1959): its code compiles faster than numba's own sort."""
    gap = len(a) // 2
    while gap > 0:
        for i in range(gap, len(a)):
            word = a[i]
            j = i
            while j >= gap and a[j - gap] > word:
                a[j] = a[j - gap]
                j -= gap
            a[j] = word
        gap = 1 if gap == 2 else gap * 5 // 11


@jit
def _sort_single(a: np.ndarray, used: int, scratch: np.ndarray) -> None:
    """Sort words: few by comparing, many by radix."""
    n = len(a)
    if n <= 3 * used:  # measured: the digits of the radix cost as much as comparing so many
        _shell(a)
    elif _radix(a, scratch, n, used):
        put(scratch[:n], a)


@jit
def _radix_pairs(
    a: np.ndarray, x: np.ndarray, b: np.ndarray, y: np.ndarray, n: int, used: int
) -> bool:
    """As `_radix`, carrying x along (into y)."""
    differ = np.uint64(0)
    for i in range(1, n):
        differ |= a[i] ^ a[0]
    digits = 256 if n < 4096 else 2048
    step = 8 if n < 4096 else 11
    low = np.uint64(digits - 1)
    counters = np.empty(digits, np.int64)
    swapped = False
    for start in range(0, used, step):
        shift = np.uint64(start)
        if (differ >> shift) & low == 0:
            continue
        counters[:] = 0
        for i in range(n):
            counters[(a[i] >> shift) & low] += 1
        before = 0
        for digit in range(digits):
            here = counters[digit]
            counters[digit] = before
            before += here
        for i in range(n):
            digit = (a[i] >> shift) & low
            at = counters[digit]
            counters[digit] = at + 1
            b[at] = a[i]
            y[at] = x[i]
        a, b = b, a
        x, y = y, x
        swapped = not swapped
    return swapped


@jit
def less(keys: np.ndarray, i: int, other: np.ndarray, j: int) -> bool:
    """Whether window i of `keys` [words, n] comes before window j of `other`."""
    for k in range(keys.shape[0]):
        if keys[k, i] != other[k, j]:
            return keys[k, i] < other[k, j]
    return False


@jit
def sort_places(
    keys: np.ndarray, begin: int, end: int, widths: np.ndarray, bits: int, scratch: np.ndarray
) -> np.ndarray:
    """The places of windows begin ... end-1 in sorted order, from 0 on: int32.

    Few by insertion, many by radix, word by word from the last.

    Args:
        keys: uint64 [words, n].
        begin: the first window.
        end: one beyond the last.
        widths: int64 [words], how many symbols each word holds.
        bits: of one symbol.
        scratch: uint64 [at least 2 (end - begin)].
    """
    n = end - begin
    place = np.empty(n, np.int32)
    for i in range(n):
        place[i] = i
    if n <= 24:
        for i in range(1, n):
            j = i
            while j > 0 and less(keys, begin + i, keys, begin + place[j - 1]):
                place[j] = place[j - 1]
                j -= 1
            place[j] = i
        return place
    other = np.empty(n, np.int32)
    a, b = scratch[:n], scratch[n : 2 * n]
    for j in range(keys.shape[0] - 1, -1, -1):
        for i in range(n):
            a[i] = keys[j, begin + place[i]]
        if _radix_pairs(a, place, b, other, n, widths[j] * bits):
            place, other = other, place
    return place


@jit
def _sort_several(
    keys: np.ndarray, begin: int, end: int, widths: np.ndarray, bits: int, scratch: np.ndarray
) -> None:
    """Sort windows of several words."""
    place = sort_places(keys, begin, end, widths, bits, scratch)
    for j in range(keys.shape[0]):
        for i in range(end - begin):
            scratch[i] = keys[j, begin + place[i]]
        put(scratch[: end - begin], keys[j, begin:end])


@jit
def _merge(keys: np.ndarray, begin: int, end: int, count: np.ndarray) -> int:
    """Keep one of equal neighbours and count them: how many are left."""
    words = keys.shape[0]
    o = begin - 1
    for i in range(begin, end):
        same = i > begin
        for j in range(words):
            same = same and keys[j, i] == keys[j, o]
        if same:
            count[o] += np.uint32(1)
        else:
            o += 1
            count[o] = 1
            for j in range(words):
                keys[j, o] = keys[j, i]
    return o + 1 - begin


@jit
def _widest(starts: np.ndarray, first: int, last: int) -> int:
    """How many windows the symbol of first ... last-1 that has most of them has."""
    widest = 0
    for w in range(first, last):
        widest = max(widest, starts[w + 1] - starts[w])
    return widest


def sort_and_count(
    keys: np.ndarray,
    starts: np.ndarray,
    first: int,
    last: int,
    widths: np.ndarray,
    bits: int,
    count: np.ndarray,
    kept: np.ndarray,
) -> None:
    """Sort the windows of the symbols first ... last-1 and merge equal ones, in place.

    Windows of one word and of several have loops of their own: one of them has to be compiled.

    Args:
        keys: uint64 [words, n].
        starts: int64 [symbols + 1], where each symbol's windows begin.
        first: the first symbol.
        last: one beyond the last.
        widths: int64 [words], how many symbols each word holds.
        bits: of one symbol.
        count: uint32 [n], gets how often each window occurs.
        kept: int64 [symbols], gets how many different windows a symbol has, from starts on.
    """
    if len(widths) == 1:
        _count_single(keys, starts, first, last, int(widths[0]) * bits, count, kept)
    else:
        _count_several(keys, starts, first, last, widths, bits, count, kept)


@jit
def _count_single(
    keys: np.ndarray,
    starts: np.ndarray,
    first: int,
    last: int,
    used: int,
    count: np.ndarray,
    kept: np.ndarray,
) -> None:
    scratch = np.empty(_widest(starts, first, last), np.uint64)
    for w in range(first, last):
        begin, end = starts[w], starts[w + 1]
        _sort_single(keys[0, begin:end], used, scratch)
        kept[w] = _merge(keys, begin, end, count)


@jit
def _count_several(
    keys: np.ndarray,
    starts: np.ndarray,
    first: int,
    last: int,
    widths: np.ndarray,
    bits: int,
    count: np.ndarray,
    kept: np.ndarray,
) -> None:
    scratch = np.empty(2 * _widest(starts, first, last), np.uint64)
    for w in range(first, last):
        begin, end = starts[w], starts[w + 1]
        _sort_several(keys, begin, end, widths, bits, scratch)
        kept[w] = _merge(keys, begin, end, count)
