"""Counting n-grams: from flat symbols to the trie of all n-grams with their counts.

The trie is kept in breadth-first order, which turns it into flat arrays: n-gram 0 is the empty
one, the single symbols follow, then the pairs sorted by first and second symbol, and so on. The
n-grams that continue n-gram i by one symbol are then neighbours, `first_child[i]` to
`first_child[i+1]`, sorted by that symbol; and `link[i]` is n-gram i without its first symbol,
the shorter context that one backs off to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch

from arproc.compiled.threads import shares, threaded
from arproc.contract.checked import Number
from arproc.errors import DataError

__all__ = ["Alphabet", "Counts", "count_ngrams", "lay_out"]


@dataclass(frozen=True)
class Alphabet:
    """Which numbers stand for what inside the tables.

    Symbols come first, then the end symbol where the process terminates, and last the begin
    symbol `<s>`, which is a context only and never predicted.

    Args:
        symbols: how many symbols can be predicted, the end included.
        terminates: whether the last of these is the end symbol.
        unknown: the number of `<unk>`, or None in a closed vocabulary.
    """

    symbols: Annotated[int, Number(low=1, high=2**31 - 2)]
    terminates: bool = False
    unknown: Annotated[int | None, Number(low=0)] = None

    @property
    def end(self) -> int:
        """The end symbol, or -1 for a stream."""
        return self.symbols - 1 if self.terminates else -1

    @property
    def begin(self) -> int:
        """The begin symbol, or -1 for a stream, whose first context is the empty one."""
        return self.symbols if self.terminates else -1

    @property
    def size(self) -> int:
        """How many numbers there are in all."""
        return self.symbols + int(self.terminates)


@dataclass(frozen=True)
class Counts:
    """All n-grams of order 1 to N, in breadth-first order, with their counts.

    Attributes:
        alphabet: the symbols' numbers.
        levels: int64 [N + 2]; the k-grams are the numbers levels[k] to levels[k+1].
        symbol: [n], the last symbol of each n-gram; uint16 where that is enough, else int32.
        link: int32 [n], each n-gram without its first symbol.
        first_child: int32 [levels[N] + 1], where the continuations of each n-gram begin.
        count: uint32 [n], how often it occurs.
        adjusted: uint32 [n], Kneser-Ney's count: of the highest order and of what begins with
            `<s>` the count itself, of the others the number of different symbols before it
            (the beginning of a text counts as one).
        newest: int64 [N + 1], of order k the k-gram that KenLM tallies by its plain count.
    """

    alphabet: Alphabet
    levels: np.ndarray
    symbol: np.ndarray
    link: np.ndarray
    first_child: np.ndarray
    count: np.ndarray
    adjusted: np.ndarray
    newest: np.ndarray

    @property
    def order(self) -> int:
        """The highest order N."""
        return len(self.levels) - 2


def lay_out(
    values: np.ndarray, offsets: np.ndarray, complete: np.ndarray, alphabet: Alphabet
) -> np.ndarray:
    """The sequences one after the other with begin, end and a -1 behind each, int32 [T].

    Args:
        values: flat symbols [total].
        offsets: int64 [N + 1], where each sequence begins.
        complete: bool [N], whether its end was seen.
        alphabet: which symbols begin and end it.
    """
    lengths = np.diff(offsets)
    before = int(alphabet.terminates)
    ends = complete.astype(np.int64) if alphabet.terminates else np.zeros(len(lengths), np.int64)
    sizes = lengths + before + ends + 1
    first = np.concatenate([[0], np.cumsum(sizes)])
    if first[-1] >= 2**31:
        raise DataError(
            f"The data hold {first[-1]:,} symbols, ends included; this counts up to 2,147,483,647."
        )
    text = np.full(first[-1], -1, dtype=np.int32)
    if len(lengths) == 1:
        text[before : before + lengths[0]] = values
    else:
        shift = first[:-1] + before - offsets[:-1]
        text[np.arange(len(values)) + np.repeat(shift, lengths)] = values
    if alphabet.terminates:
        text[first[:-1]] = alphabet.begin
        text[(first[1:] - 2)[complete]] = alphabet.end
    return text


def count_ngrams(text: np.ndarray, order: int, alphabet: Alphabet) -> Counts:
    """Count all n-grams of order 1 to `order` that lie within one sequence.

    The windows of `order` symbols are put into buckets by their first symbol and sorted, which
    puts them into the order of the trie; one pass over them then writes its levels. Threads share
    the buckets.

    Args:
        text: int32 [T] as `lay_out` gives it.
        order: the highest order.
        alphabet: the symbols' numbers.
    """
    counts = _levels(windows_of(text, len(text), order, alphabet.size), alphabet, order)
    _connect(counts)
    _adjust(counts, text)
    return counts


@dataclass(frozen=True)
class Windows:
    """The windows of a text by their first symbol, sorted, equal ones merged; `window_kernels`.

    Attributes:
        keys: uint64 [words, n], the windows.
        times: uint32 [n], how often each occurs.
        starts: int64 [symbols + 1], where the windows of each symbol begin.
        kept: int64 [symbols], how many there are from there on.
        widths: int64 [words], how many symbols each word of a window holds.
        bits: of one symbol.
    """

    keys: np.ndarray
    times: np.ndarray
    starts: np.ndarray
    kept: np.ndarray
    widths: np.ndarray
    bits: int


def windows_of(text: np.ndarray, own: int, order: int, symbols: int) -> Windows:
    """The windows of order-1 symbols behind each of the first `own` symbols of a text."""
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.counting import window_kernels

    kernels = suited(window_kernels, 6 * own * order)
    bits = symbols.bit_length()
    widths = word_widths(order - 1, bits)
    edges = np.linspace(0, own, torch.get_num_threads() + 1).astype(np.int64)
    parts = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    found = threaded(lambda a, b: kernels.histogram(text, a, b, symbols), parts)
    starts = np.concatenate([[0], np.cumsum(np.sum(found, axis=0))])
    kept = np.diff(starts)
    keys = np.empty((len(widths), starts[-1]), np.uint64)
    times = np.empty(starts[-1] if len(widths) else 0, np.uint32)
    if len(widths) == 0:
        return Windows(keys, times, starts, kept, widths, bits)
    fills = np.cumsum([starts[:-1], *found[:-1]], axis=0)
    threaded(
        lambda a, b, fill: kernels.scatter(text, a, b, widths, bits, fill, keys),
        [(a, b, fill.copy()) for (a, b), fill in zip(parts, fills, strict=True)],
    )
    threaded(
        lambda a, b: kernels.sort_and_count(keys, starts, a, b, widths, bits, times, kept),
        shares(starts[1:]),
    )
    return Windows(keys, times, starts, kept, widths, bits)


def word_widths(symbols: int, bits: int) -> np.ndarray:
    """How many of a window's symbols each of its words of 64 bits holds, int64 [words]."""
    per_word = 64 // bits
    full, rest = divmod(symbols, per_word)
    return np.array([per_word] * full + [rest] * (rest > 0), np.int64)


def _levels(windows: Windows, alphabet: Alphabet, order: int) -> Counts:
    """The trie of sorted windows; links and adjusted counts are still empty."""
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.counting import level_kernels

    kernels = suited(level_kernels, 20 * windows.keys.size)
    w, size = windows, alphabet.size
    nodes = np.zeros((size, order + 1), np.int64)
    parts = shares(np.cumsum(w.kept))
    if order > 1:
        threaded(
            lambda a, b: kernels.count_nodes(
                w.keys, w.starts, w.kept, a, b, w.widths, w.bits, nodes
            ),
            parts,
        )
    sizes = [1, size, *nodes.sum(0)[2:].tolist()]
    levels = np.concatenate([[0], np.cumsum(sizes)])
    check_size(int(levels[-1]))
    symbol = np.empty(levels[-1], symbol_type(size))
    symbol[0], symbol[1 : 1 + size] = 0, np.arange(size)
    count = np.empty(levels[-1], np.uint32)
    count[0], count[1 : 1 + size] = w.starts[-1], np.diff(w.starts)
    first_child = np.empty(levels[order] + 1, np.int32)
    first_child[0], first_child[-1] = 1, levels[-1]
    if order > 1:
        begins = levels[None, :-1] + np.cumsum(nodes, axis=0) - nodes
        places = (w.widths, w.bits, begins, symbol, count, first_child)
        threaded(
            lambda a, b: kernels.fill_levels(w.keys, w.times, w.starts, w.kept, a, b, *places),
            parts,
        )
    return Counts(
        alphabet, levels, symbol, np.zeros(levels[-1], np.int32), first_child, count,
        np.zeros(levels[-1], np.uint32), np.full(order + 1, -1, np.int64),
    )  # fmt: skip


def check_size(ngrams: int) -> None:
    """Refuse more n-grams than their numbers can count.

    Raises:
        DataError: there are too many.
    """
    if ngrams >= 2**31:
        raise DataError(
            f"The data hold {ngrams:,} different n-grams; a model has up to {2**31 - 1:,}. Use a "
            "smaller order, fewer symbols (min_count), or less text."
        )


def symbol_type(size: int) -> type[np.uint16 | np.int32]:
    """The smallest kind of integer that numbers the symbols of an alphabet."""
    return np.uint16 if size <= 1 << 16 else np.int32


def _connect(counts: Counts) -> None:
    """Fill the links, level by level: each needs those of its context."""
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.counting import level_kernels

    kernels = suited(level_kernels, len(counts.symbol))
    levels, child, link = counts.levels, counts.first_child, counts.link
    if counts.order > 1:
        pairs = slice(int(levels[2]), int(levels[3]))
        link[pairs] = counts.symbol[pairs]
        link[pairs] += 1
    for k in range(2, counts.order):
        low, high = int(levels[k]), int(levels[k + 1])
        threaded(
            lambda a, b, low=low: kernels.connect(low + a, low + b, counts.symbol, link, child),
            shares(child[low + 1 : high + 1].astype(np.int64) - child[low]),
        )


def _adjust(counts: Counts, text: np.ndarray) -> None:
    """Fill `adjusted` and `newest`."""
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.counting import level_kernels

    kernels = suited(level_kernels, 10 * len(text))
    alphabet, levels, adjusted = counts.alphabet, counts.levels, counts.adjusted
    kernels.count_extensions(counts.link, adjusted, levels[2])
    adjusted[levels[counts.order] :] = counts.count[levels[counts.order] :]
    if alphabet.terminates:
        low = 1 + alphabet.begin
        adjusted[low] = 0
        high = low + 1
        for _ in range(counts.order - 2):
            low, high = int(counts.first_child[low]), int(counts.first_child[high])
            adjusted[low:high] = counts.count[low:high]
        _find_newest(counts, text)
    else:
        begins = np.flatnonzero(np.concatenate([[-1], text[:-1]]) < 0)
        begins = begins[text[begins] >= 0]
        beginning = kernels.descend(
            text, begins, counts.order - 1, counts.symbol, counts.first_child
        )
        adjusted[np.unique(beginning[beginning > 0])] += 1


def _find_newest(counts: Counts, text: np.ndarray) -> None:
    """Fill `newest`: the n-grams that KenLM reads last.

    Its `lmplz` numbers words as they first appear and, when the counts of adjusted counts are
    tallied, takes the plain count of the very last n-gram of each order. For equal discounts we
    do as it does; no more than one n-gram an order is concerned.
    """
    from arproc.compiled.interpreted import suited
    from arproc.models.ngram.counting import level_kernels

    kernels = suited(level_kernels, 10 * len(text))
    seen = kernels.first_seen(text, counts.alphabet.size)
    _, symbols = newest(text, seen, counts.order, counts.alphabet)
    for k in range(1, len(symbols) + 1):
        gram = np.array(symbols[:k][::-1], np.int32)
        path = kernels.descend(gram, np.zeros(1, np.int64), k, counts.symbol, counts.first_child)
        counts.newest[k] = path[0, k - 1]


def newest(
    text: np.ndarray, seen: np.ndarray, order: int, alphabet: Alphabet
) -> tuple[list[int], list[int]]:
    """The greatest n-gram of a text, read from its last symbol backwards, up to order N-1.

    Symbols are compared as KenLM numbers them: `<unk>`, `<s>`, `</s>`, and words as they appear.

    Args:
        text: int32 [T] as `lay_out` gives it.
        seen: int64 [alphabet.size], where each symbol first stands.
        order: the highest order N.
        alphabet: the symbols' numbers.

    Returns:
        The ranks of its symbols, by which it is compared, and the symbols.
    """
    rank = np.append(seen, 0) + 3
    rank[alphabet.end], rank[alphabet.begin], rank[-1] = 2, 1, 1
    if alphabet.unknown is not None:
        rank[alphabet.unknown] = 0
    text_rank = rank[text]
    best = int(text_rank.max())
    ranks, at = [best], np.flatnonzero(text_rank == best)
    while len(ranks) < order - 1 and ranks[-1] != 1:
        before = text_rank[at - len(ranks)]
        ranks.append(int(before.max()))
        at = at[before == before.max()]
    return ranks, [int(text[at[0] - k]) for k in range(len(ranks))]
