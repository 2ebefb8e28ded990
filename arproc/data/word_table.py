"""Words of large texts, counted and numbered by compiled loops on all threads.

`arproc.data.vocabulary` does the same with dictionaries for texts too small to be worth loading
the compiler.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from arproc.compiled.threads import threaded

__all__ = [
    "LARGE",
    "WordTable",
    "all_text",
    "count_words",
    "joined",
    "word_at",
]

#: Texts of at least so many bytes are read by compiled loops.
LARGE = 1 << 16


@dataclass
class WordTable:
    """Words and their hash table; see `word_kernels`.

    Attributes:
        slots: int32, the words' numbers at their places, -1 where free.
        tags: uint32, for each slot the high half of its word's hash.
        offsets: int64 [n + 1 or more], where each word's bytes begin.
        blob: uint8, the bytes of all words.
        count: int64, how often each word occurred (where words were counted).
        size: int64 [1], how many words there are.
    """

    slots: np.ndarray
    tags: np.ndarray
    offsets: np.ndarray
    blob: np.ndarray
    count: np.ndarray
    size: np.ndarray

    @classmethod
    def empty(cls) -> WordTable:
        """No words yet, and room for some."""
        table = cls(*(np.zeros(0, np.int64),) * 5, np.zeros(1, np.int64))
        table.offsets, table.blob = np.zeros(1, np.int64), np.zeros(0, np.uint8)
        table._grow(1 << 12)
        return table

    @classmethod
    def of(cls, words: Sequence[bytes]) -> WordTable:
        """The table of some words, all different."""
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return cls.of_blob(np.frombuffer(b"".join(words), np.uint8), offsets)

    @classmethod
    def of_blob(cls, blob: np.ndarray, offsets: np.ndarray) -> WordTable:
        """The table of the words blob[offsets[i]:offsets[i+1]], all different."""
        words = len(offsets) - 1
        count = np.zeros(words, np.int64)
        table = cls(*_slots(words), offsets, blob.copy(), count, np.array([words]))
        table._insert()
        return table

    @property
    def words(self) -> list[bytes]:
        """The words, in order of their numbers."""
        raw, edges = self.blob.tobytes(), self.offsets[: int(self.size[0]) + 1].tolist()
        return [raw[a:b] for a, b in pairwise(edges)]

    def collect(self, raw: np.ndarray, begin: int, end: int) -> None:
        """Count the words of raw[begin:end] too."""
        from arproc.compiled.interpreted import suited
        from arproc.data import word_kernels

        raw = _read_only(raw)
        kernels = suited(word_kernels, 2 * (end - begin))
        while True:
            begin = kernels.collect(
                raw, begin, end, self.slots, self.tags, self.offsets, self.blob, self.count,
                self.size,
            )  # fmt: skip
            if begin == end:
                return
            self._grow(2 * len(self.slots), longest=_word_length(raw, begin, end))

    def look_up(
        self, raw: np.ndarray, numbers: np.ndarray, missing: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of all words of a text, and how many of them each line has.

        Args:
            raw: uint8, the text; lines are parted by newlines.
            numbers: int32, the number of each word of this table.
            missing: the number of words that are not here.

        Returns:
            int64 [words] and int64 [lines].
        """
        from arproc.compiled.interpreted import suited
        from arproc.data import word_kernels

        raw, parts = _read_only(raw), _line_parts(raw)
        kernels = suited(word_kernels, 3 * len(raw))
        sizes = np.array(threaded(lambda a, b: kernels.measure(raw, a, b), parts))
        words = np.concatenate([[0], np.cumsum(sizes[:, 0])])
        lines = np.concatenate([[0], np.cumsum(sizes[:, 1])])
        lines[-1] += 1  # the last line has no newline; within, a part's last line is the next's
        out, lengths = np.empty(words[-1], np.int64), np.empty(lines[-1], np.int64)

        def one(i: int, a: int, b: int) -> None:
            last = i == len(parts) - 1
            own = lengths[lines[i] : lines[i + 1]] if last else np.empty(sizes[i, 1] + 1, np.int64)
            kernels.look_up(
                raw, a, b, self.slots, self.tags, self.offsets, self.blob, numbers, missing,
                out[words[i] : words[i + 1]], own,
            )  # fmt: skip
            if not last:
                lengths[lines[i] : lines[i + 1]] = own[:-1]

        threaded(one, [(i, a, b) for i, (a, b) in enumerate(parts)])
        return out, lengths

    def _grow(self, slots: int, longest: int = 0) -> None:
        self.slots, self.tags = _slots(slots // 2)
        n = len(self.slots) // 2 + 2
        self.offsets = _longer(self.offsets, n)
        self.count = _longer(self.count, n)
        self.blob = _longer(self.blob, max(16 * n, len(self.blob)) + longest)
        self._insert()

    def _insert(self) -> None:
        from arproc.compiled.interpreted import suited
        from arproc.data import word_kernels

        kernels = suited(word_kernels, 2 * len(self.blob))
        kernels.insert(self.slots, self.tags, self.offsets, self.blob, int(self.size[0]))


def count_words(raw: np.ndarray) -> WordTable:
    """The different words of a text in the order of first appearance, counted.

    Args:
        raw: uint8, the text.
    """
    parts = _line_parts(raw)
    tables = [WordTable.empty() for _ in parts]
    threaded(lambda table, part: table.collect(raw, *part), zip(tables, parts, strict=True))
    first = tables[0]
    for other in tables[1:]:
        _merge(first, other)
    return first


def _merge(table: WordTable, other: WordTable) -> None:
    """Add the words and counts of another table."""
    n = int(other.size[0])
    blob = np.full(int(other.offsets[n]) + n, ord(" "), np.uint8)  # the words, parted by blanks
    places = np.repeat(np.arange(n), np.diff(other.offsets[: n + 1]))
    used = int(other.offsets[n])
    blob[np.arange(used) + places] = other.blob[:used]
    before = table.count.copy()
    table.collect(blob, 0, len(blob))
    before = _longer(before, len(table.count))
    found, _ = table.look_up(blob, np.arange(int(table.size[0]), dtype=np.int32), -1)
    table.count[:] = before
    table.count[found] += other.count[:n]


def all_text(texts: Iterable[object]) -> bool:
    """Whether all of them are strings."""
    return all(issubclass(kind, str) for kind in set(map(type, texts)))


def joined(texts: Iterable[str]) -> np.ndarray:
    """Texts as the lines of one, uint8; a newline within a text is white space like any other."""
    listed = list(texts)
    whole = "\n".join(listed)
    if whole.count("\n") != len(listed) - 1:
        whole = "\n".join(text.replace("\n", " ") for text in listed)
    return np.frombuffer(whole.encode("utf-8", "surrogatepass"), np.uint8)


def word_at(raw: np.ndarray, line: int, position: int) -> bytes:
    """The word at a position of a line of a text."""
    begin = 0
    for _ in range(line):
        begin = _next_newline(raw, begin)
    return raw[begin : _next_newline(raw, begin)].tobytes().split()[position]


def _line_parts(raw: np.ndarray) -> list[tuple[int, int]]:
    """The text in a part for each thread, cut behind newlines."""
    threads = torch.get_num_threads() if len(raw) > LARGE else 1
    edges = [0]
    for cut in np.linspace(0, len(raw), threads + 1)[1:-1].astype(np.int64).tolist():
        newline = _next_newline(raw, max(cut, edges[-1]))
        if newline < len(raw):
            edges.append(newline)
    edges.append(len(raw))
    return list(pairwise(edges))


def _next_newline(raw: np.ndarray, at: int) -> int:
    """The position behind the next newline, or the end."""
    while at < len(raw):
        found = np.flatnonzero(raw[at : at + LARGE] == ord("\n"))
        if len(found):
            return at + int(found[0]) + 1
        at += LARGE
    return len(raw)


def _word_length(raw: np.ndarray, begin: int, end: int) -> int:
    """The length of the word that begins there."""
    length = 1024
    while True:
        piece = raw[begin : min(begin + length, end)].tobytes()
        word = piece.split(None, 1)[0]
        if len(word) < length or begin + length >= end:
            return len(word)
        length *= 16


def _read_only(raw: np.ndarray) -> np.ndarray:
    """The same bytes as a plain array that can not be written: the kernels' one kind of text."""
    plain = np.asarray(raw).view()
    plain.flags.writeable = False
    return plain


def _slots(words: int) -> tuple[np.ndarray, np.ndarray]:
    """Empty slots for so many words, at least half of them free; and their tags."""
    capacity = 1 << max(6, (2 * words - 1).bit_length())
    return np.full(capacity, -1, np.int32), np.zeros(capacity, np.uint32)


def _longer(array: np.ndarray, size: int) -> np.ndarray:
    longer = np.zeros(max(size, len(array)), array.dtype)
    longer[: len(array)] = array
    return longer
