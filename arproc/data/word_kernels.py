"""Compiled loops over the bytes of a text: its words counted, and turned into numbers.

Words are what stands between ASCII white space. A table of words is an open hash table: `slots`
(int32, a power of two of them) holds the words' numbers, -1 where free, and a word's bytes are
blob[offsets[i]:offsets[i+1]].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import Int, jit

SEED = np.uint64(14695981039346656037)
PRIME = np.uint64(1099511628211)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_NEWLINE = 10


@jit
def is_space(byte: Int) -> Any:
    """Whether a byte is white space of ASCII."""
    return byte == 32 or (9 <= byte <= 13)


@jit
def spread(h: np.uint64) -> np.uint64:
    """The hash of a word's bytes (FNV-1a) with all its bits in the lowest ones."""
    h *= _MIX
    return h ^ (h >> np.uint64(32))


@jit
def find(
    raw: np.ndarray,
    begin: Int,
    end: Int,
    h: np.uint64,
    slots: np.ndarray,
    tags: np.ndarray,
    offsets: np.ndarray,
    blob: np.ndarray,
) -> Int:
    """The slot of the word raw[begin:end], or the free one where it belongs."""
    mask = len(slots) - 1
    at = np.int64(h & np.uint64(mask))
    tag = np.uint32(h >> np.uint64(32))
    while True:
        word = slots[at]
        if word < 0:
            return at
        if tags[at] == tag:
            first = offsets[word]
            length = offsets[word + 1] - first
            if length == end - begin:
                same = True
                for i in range(length):
                    if blob[first + i] != raw[begin + i]:
                        same = False
                        break
                if same:
                    return at
        at = (at + 1) & mask


@jit
def insert(
    slots: np.ndarray, tags: np.ndarray, offsets: np.ndarray, blob: np.ndarray, words: int
) -> None:
    """Put the first `words` words of a blob into empty slots."""
    for word in range(words):
        h = SEED
        for i in range(offsets[word], offsets[word + 1]):
            h = (h ^ np.uint64(blob[i])) * PRIME
        h = spread(h)
        at = find(blob, offsets[word], offsets[word + 1], h, slots, tags, offsets, blob)
        slots[at] = word
        tags[at] = np.uint32(h >> np.uint64(32))


@jit
def collect(
    raw: np.ndarray,
    begin: int,
    end: int,
    slots: np.ndarray,
    tags: np.ndarray,
    offsets: np.ndarray,
    blob: np.ndarray,
    count: np.ndarray,
    size: np.ndarray,
) -> int:
    """Count the words of raw[begin:end], adding those that are new to the table.

    Args:
        raw: uint8, the text.
        begin: the first byte.
        end: one beyond the last.
        slots: int32, the table.
        tags: uint32, for each slot the high half of its word's hash.
        offsets: int64, where each word's bytes begin.
        blob: uint8, the bytes.
        count: int64, how often each word occurs.
        size: int64 [1], how many words there are.

    Returns:
        `end`, or where it stopped because the table needs to grow.
    """
    p = begin
    while p < end:
        while p < end and is_space(raw[p]):
            p += 1
        if p == end:
            break
        first = p
        h = SEED
        while p < end and not is_space(raw[p]):
            h = (h ^ np.uint64(raw[p])) * PRIME
            p += 1
        h = spread(h)
        at = find(raw, first, p, h, slots, tags, offsets, blob)
        word = np.int64(slots[at])
        if word < 0:
            word = size[0]
            used = offsets[word]
            full = 2 * (word + 2) > len(slots) or word + 2 > len(offsets) or word >= len(count)
            if full or used + p - first > len(blob):
                return first
            put(raw[first:p], blob[used:])
            offsets[word + 1] = used + p - first
            slots[at] = word
            tags[at] = np.uint32(h >> np.uint64(32))
            size[0] = word + 1
        count[word] += 1
    return end


@jit
def look_up(
    raw: np.ndarray,
    begin: int,
    end: int,
    slots: np.ndarray,
    tags: np.ndarray,
    offsets: np.ndarray,
    blob: np.ndarray,
    numbers: np.ndarray,
    missing: int,
    out: np.ndarray,
    lengths: np.ndarray,
) -> tuple[int, int]:
    """The numbers of the words of raw[begin:end], and how many each line has.

    Args:
        raw: uint8, the text; its lines end with a newline, the last one with `end`.
        begin: the first byte.
        end: one beyond the last.
        slots: int32, the table.
        tags: uint32, for each slot the high half of its word's hash.
        offsets: int64, where each word's bytes begin.
        blob: uint8, the bytes.
        numbers: int32, the number of each word in the table.
        missing: the number of words that are not there.
        out: gets the numbers.
        lengths: int64, gets the number of words of each line.

    Returns:
        How many words and how many lines there were.
    """
    p = begin
    o = 0
    line = 0
    words = 0
    while p < end:
        byte = raw[p]
        if byte == _NEWLINE:
            lengths[line] = words
            line += 1
            words = 0
            p += 1
            continue
        if is_space(byte):
            p += 1
            continue
        first = p
        h = SEED
        while p < end and not is_space(raw[p]):
            h = (h ^ np.uint64(raw[p])) * PRIME
            p += 1
        word = slots[find(raw, first, p, spread(h), slots, tags, offsets, blob)]
        out[o] = missing if word < 0 else numbers[word]
        o += 1
        words += 1
    lengths[line] = words
    return o, line + 1


@jit
def measure(raw: np.ndarray, begin: int, end: int) -> tuple[int, int]:
    """How many words, and how many newlines, stand in raw[begin:end]."""
    words = 0
    lines = 0
    space = True
    for p in range(begin, end):
        now = is_space(raw[p])
        words += space and not now
        lines += raw[p] == _NEWLINE
        space = now
    return words, lines
