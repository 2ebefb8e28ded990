"""Counting n-grams: from flat symbols to the trie of all n-grams with their counts.

The trie is kept in breadth-first order, which turns it into flat arrays: n-gram 0 is the empty
one, the single symbols follow, then the pairs sorted by first and second symbol, and so on. The
n-grams that continue n-gram i by one symbol are then neighbours, `first_child[i]` to
`first_child[i+1]`, sorted by that symbol; and `link[i]` is n-gram i without its first symbol,
the shorter context that one backs off to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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

    symbols: int
    terminates: bool = False
    unknown: int | None = None

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
        symbol: int32 [n], the last symbol of each n-gram.
        link: int32 [n], each n-gram without its first symbol.
        first_child: int32 [levels[N] + 1], where the continuations of each n-gram begin.
        count: int64 [n], how often it occurs.
        adjusted: int64 [n], Kneser-Ney's count: of the highest order and of what begins with
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

    Each order refines the one below: positions are kept sorted by the k-gram that begins there,
    and every group of equal k-grams is split by the symbol that follows. So the time is about
    that of one pass over the text an order, and the trie comes out in its final order.

    Args:
        text: int32 [T] as `lay_out` gives it.
        order: the highest order.
        alphabet: the symbols' numbers.
    """
    from arproc.ngram import count_kernels as kernels

    size = alphabet.size
    positions, starts = kernels.sort_by_symbol(text, size)
    node = text + np.int32(1)
    symbol = [np.array([-1], np.int32), np.arange(size, dtype=np.int32)]
    link = [np.zeros(1 + size, np.int32)]
    count = [np.array([len(positions)]), np.diff(starts)]
    first_child = [np.ones(1, np.int32)]
    levels = [0, 1, 1 + size]
    for k in range(1, order):
        grown = kernels.refine(text, k, positions, starts, node, levels[-1], size, k == order - 1)
        symbol.append(grown[0])
        link.append(grown[1])
        first_child.append(grown[2])
        positions, starts, node = grown[3:]
        count.append(np.diff(starts))
        levels.append(levels[-1] + len(grown[0]))
    first_child.append(np.array([levels[-1]], np.int32))
    counts = Counts(
        alphabet,
        np.array(levels, np.int64),
        np.concatenate(symbol),
        np.concatenate(link),
        np.concatenate(first_child),
        np.concatenate(count),
        np.zeros(levels[-1], np.int64),
        np.full(order + 1, -1, np.int64),
    )
    _adjust(counts, text)
    return counts


def _adjust(counts: Counts, text: np.ndarray) -> None:
    """Fill `adjusted` and `newest`."""
    from arproc.ngram import count_kernels as kernels

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
    """The n-grams that KenLM reads last: the greatest from the last symbol backwards.

    Its `lmplz` numbers words as they first appear and, when the counts of adjusted counts are
    tallied, takes the plain count of the very last n-gram of each order. For equal discounts we
    do as it does; no more than one n-gram an order is concerned.
    """
    from arproc.ngram import count_kernels as kernels

    alphabet = counts.alphabet
    rank = np.append(kernels.first_seen(text, alphabet.size), 0) + 3
    rank[alphabet.end], rank[alphabet.begin], rank[-1] = 2, 1, 1
    if alphabet.unknown is not None:
        rank[alphabet.unknown] = 0
    text_rank = rank[text]
    at = np.flatnonzero(text_rank == text_rank.max())
    length = 1
    while length < counts.order - 1 and text[at[0] - length + 1] != alphabet.begin:
        before = text_rank[at - length]
        at = at[before == before.max()]
        length += 1
    for k in range(1, length + 1):
        begin = np.array([at[0] - k + 1])
        path = kernels.descend(text, begin, k, counts.symbol, counts.first_child)
        counts.newest[k] = path[0, k - 1]
