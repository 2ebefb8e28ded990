"""Compiled loops over pieces of a job on disk: merging runs, writing levels, looking up blocks."""

from __future__ import annotations

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import jit
from arproc.models.ngram.backoff.query_kernels import WIDE, slot_of
from arproc.models.ngram.counting.level_kernels import depth, shared
from arproc.models.ngram.counting.window_kernels import sort_places


@jit
def compact(keys: np.ndarray, times: np.ndarray, starts: np.ndarray, kept: np.ndarray) -> int:
    """Move the windows that were kept together, in place; says how many there are."""
    o = 0
    for w in range(len(kept)):
        for i in range(starts[w], starts[w] + kept[w]):
            times[o] = times[i]
            for j in range(keys.shape[0]):
                keys[j, o] = keys[j, i]
            o += 1
    return o


@jit
def distribute(
    block: np.ndarray,
    block_times: np.ndarray,
    width: np.ndarray,
    fill: np.ndarray,
    keys: np.ndarray,
    times: np.ndarray,
) -> None:
    """Put the windows of a run into their buckets.

    Args:
        block: uint64 [words, n], windows of the run, bucket by bucket.
        block_times: uint32 [n], how often each occurs.
        width: int64 [buckets], how many each bucket has.
        fill: int64 [buckets], where the next one of each bucket goes; is moved on.
        keys: uint64 [words, total], gets the windows.
        times: uint32 [total], gets how often each occurs.
    """
    at = 0
    for b in range(len(width)):
        for _ in range(width[b]):
            o = fill[b]
            fill[b] = o + 1
            times[o] = block_times[at]
            for j in range(block.shape[0]):
                keys[j, o] = block[j, at]
            at += 1


@jit
def merge(
    keys: np.ndarray,
    times: np.ndarray,
    starts: np.ndarray,
    widths: np.ndarray,
    bits: int,
    kept: np.ndarray,
) -> None:
    """Sort the windows within each bucket and merge equal ones, adding their times, in place.

    Args:
        keys: uint64 [words, n].
        times: uint32 [n].
        starts: int64 [buckets + 1], where each bucket begins.
        widths: int64 [words], how many symbols each word holds.
        bits: of one symbol.
        kept: int64 [buckets], gets how many different windows each has.
    """
    words = keys.shape[0]
    widest = 0
    for b in range(len(kept)):
        widest = max(widest, starts[b + 1] - starts[b])
    scratch = np.empty(2 * widest, np.uint64)
    other = np.empty(widest, np.uint32)
    for b in range(len(kept)):
        begin, end = starts[b], starts[b + 1]
        n = end - begin
        place = sort_places(keys, begin, end, widths, bits, scratch)
        for j in range(words):
            for i in range(n):
                scratch[i] = keys[j, begin + place[i]]
            put(scratch[:n], keys[j, begin:end])
        for i in range(n):
            other[i] = times[begin + place[i]]
        o = begin - 1
        for i in range(begin, end):
            same = i > begin
            for j in range(words):
                same = same and keys[j, i] == keys[j, o]
            if same:
                times[o] += other[i - begin]
            else:
                o += 1
                times[o] = other[i - begin]
                for j in range(words):
                    keys[j, o] = keys[j, i]
        kept[b] = o + 1 - begin


@jit
def append_levels(
    keys: np.ndarray,
    times: np.ndarray,
    starts: np.ndarray,
    kept: np.ndarray,
    widths: np.ndarray,
    bits: int,
    goes_on: bool,
    previous: np.ndarray,
    before: np.ndarray,
    used: np.ndarray,
    symbol: np.ndarray,
    count: np.ndarray,
    child: np.ndarray,
    singles: np.ndarray,
) -> None:
    """Write the n-grams of some buckets behind those that are open, level by level.

    Args:
        keys: uint64 [words, n], sorted windows.
        times: uint32 [n], how often each occurs.
        starts: int64 [buckets + 1], where each bucket begins.
        kept: int64 [buckets], how many windows it has.
        widths: int64 [words], how many symbols each word holds.
        bits: of one symbol.
        goes_on: whether the first bucket goes on with the symbol of the last call's last one.
        previous: uint64 [words, 1], that bucket's last window; gets the last one of this call.
        before: int64 [N + 1], how many n-grams of each order have been written away.
        used: int64 [N + 1], how many are in the arrays below; is moved on.
        symbol: int32 [N + 1, room], gets the last symbols.
        count: uint32 [N + 1, room], gets the counts.
        child: uint32 [N + 1, room], gets the first continuations, as numbers within their order.
        singles: int64 [buckets, 2], gets of each symbol its first continuation and its count
            (of a bucket that goes on, only what is added to its count).
    """
    order = len(used) - 1
    words = keys.shape[0]
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    code = np.empty(order + 1, np.int64)
    for b in range(len(kept)):
        first = not (goes_on and b == 0)
        singles[b, 0] = before[2] + used[2]
        singles[b, 1] = 0
        for i in range(starts[b], starts[b] + kept[b]):
            alike = 0 if first else shared(keys, i, previous, 0, widths, bits)
            first = False
            deep = depth(keys, i, widths, bits)
            k = 2
            for j in range(words):
                word = keys[j, i]
                previous[j, 0] = word
                for t in range(widths[j] - 1, -1, -1):
                    code[k + t] = np.int64(word & mask) - 1
                    word >>= np.uint64(bits)
                k += widths[j]
            singles[b, 1] += times[i]
            for k in range(2, deep + 2):
                if k >= alike + 2:
                    node = used[k]
                    used[k] = node + 1
                    symbol[k, node] = code[k]
                    count[k, node] = 0
                    if k < order:
                        child[k, node] = before[k + 1] + used[k + 1]
                count[k, used[k] - 1] += times[i]


@jit
def connect_block(
    low: int,
    high: int,
    block_child: np.ndarray,
    block_symbol: np.ndarray,
    parent_link: np.ndarray,
    child: np.ndarray,
    symbol: np.ndarray,
    link: np.ndarray,
) -> None:
    """The links of the continuations of some contexts whose own links lie in a block.

    Args:
        low: the first context of the block.
        high: one beyond its last.
        block_child: int64 [high - low + 1], where their continuations begin.
        block_symbol: the last symbols of those.
        parent_link: uint32 [contexts], the links of the contexts that are looked at.
        child: int64 [contexts + 1], where their continuations begin, the first one at 0.
        symbol: the last symbols of those.
        link: uint32, gets their links.
    """
    base = block_child[0]
    for h in range(len(parent_link)):
        g = np.int64(parent_link[h])
        if g < low or g >= high:
            continue
        at = block_child[g - low] - base
        end = block_child[g - low + 1] - base
        for i in range(child[h], child[h + 1]):
            w = symbol[i]
            step = 1
            while at + step < end and block_symbol[at + step] <= w:
                at += step
                step <<= 1
            while step > 0:
                if at + step < end and block_symbol[at + step] <= w:
                    at += step
                step >>= 1
            link[i] = base + at


@jit
def count_block(link: np.ndarray, low: int, count: np.ndarray) -> None:
    """Count the links that lead into a block: count uint32 [high - low] gets them added."""
    for i in range(len(link)):
        j = np.int64(link[i]) - low
        if 0 <= j < len(count):
            count[j] += np.uint32(1)


@jit
def gather_block(link: np.ndarray, low: int, values: np.ndarray, out: np.ndarray) -> None:
    """What stands in a block where the links lead, written to `out` [len(link)]."""
    for i in range(len(link)):
        j = np.int64(link[i]) - low
        if 0 <= j < len(values):
            out[i] = values[j]


@jit
def count_wide(child: np.ndarray) -> int:
    """How many continuations belong to contexts that have many."""
    total = 0
    for h in range(len(child) - 1):
        width = child[h + 1] - child[h]
        if width > WIDE:
            total += width
    return total


@jit
def fill_index(
    first: int, base: int, child: np.ndarray, symbol: np.ndarray, index: np.ndarray
) -> None:
    """Put the continuations of wide contexts into the hash table.

    Args:
        first: the number of the first context that is looked at.
        base: the number of its first continuation.
        child: int64 [contexts + 1], where their continuations begin, the first one at 0.
        symbol: the last symbols of those.
        index: int32 [slots], -1 where free.
    """
    for h in range(len(child) - 1):
        if child[h + 1] - child[h] > WIDE:
            for i in range(child[h], child[h + 1]):
                at = slot_of(first + h, symbol[i], len(index))
                while index[at] >= 0:
                    at = at + 1 if at + 1 < len(index) else 0
                index[at] = base + i


@jit
def fill_index_block(
    first: int,
    base: int,
    child: np.ndarray,
    symbol: np.ndarray,
    slots: int,
    low: int,
    block: np.ndarray,
    spilt: np.ndarray,
    spills: int,
) -> int:
    """As `fill_index`, those alone whose search begins in a block of the table.

    Args:
        first: the number of the first context that is looked at.
        base: the number of its first continuation.
        child: int64 [contexts + 1], where their continuations begin, the first one at 0.
        symbol: the last symbols of those.
        slots: how many slots the whole table has.
        low: the block's first slot.
        block: int32, the block, -1 where free.
        spilt: int32, gets what finds no room before the block's end.
        spills: how many of these there are already.

    Returns:
        How many there are now.
    """
    for h in range(len(child) - 1):
        if child[h + 1] - child[h] > WIDE:
            for i in range(child[h], child[h + 1]):
                at = slot_of(first + h, symbol[i], slots) - low
                if at < 0 or at >= len(block):
                    continue
                while at < len(block) and block[at] >= 0:
                    at += 1
                if at < len(block):
                    block[at] = base + i
                else:
                    spilt[spills] = base + i
                    spills += 1
    return spills


@jit
def place_first(block: np.ndarray, numbers: np.ndarray) -> int:
    """Put numbers into the first free slots of a block; says how many found one."""
    at = 0
    for i in range(len(numbers)):
        while at < len(block) and block[at] >= 0:
            at += 1
        if at == len(block):
            return i
        block[at] = numbers[i]
    return len(numbers)
