"""Automata over bytes as automata over symbols, whose texts they read."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from weakref import WeakKeyDictionary

import numpy as np

from arproc.data.token_texts import TokenTexts, token_texts
from arproc.sampling.constraints.acceptor import Alphabet, FiniteAcceptor
from arproc.sampling.constraints.tables import ByteTable, Deadline

__all__ = ["SortedTexts", "text_acceptor"]


class SortedTexts:
    """The texts of symbols in the order of their bytes, for one walk over all of them.

    Args:
        texts: of each symbol; None where it has none.
    """

    def __init__(self, texts: Sequence[bytes | None]) -> None:
        listed = sorted((text, number) for number, text in enumerate(texts) if text)
        self.size = len(texts)
        self.numbers = np.array([number for _, number in listed], np.int64)
        lengths = np.array([len(text) for text, _ in listed], np.int64)
        self.begin = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self.blob = np.frombuffer(b"".join(text for text, _ in listed), np.uint8)
        self.shared = np.zeros(len(listed), np.int64)
        for i in range(1, len(listed)):
            self.shared[i] = _alike(listed[i - 1][0], listed[i][0])
        self.path = np.zeros(int(lengths.max(initial=0)) + 1, np.int32)

    def sized(self, size: int) -> SortedTexts:
        """The same among so many symbols, of which the last ones have no texts."""
        other = copy(self)
        other.size = size
        return other

    def targets(self, table: np.ndarray, state: int) -> np.ndarray:
        """The state after each symbol, -1 for none, int32 [size]."""
        from arproc.compiled.interpreted import suited
        from arproc.sampling.constraints import walk_kernels

        out = np.full(self.size, -1, np.int32)
        suited(walk_kernels, len(self.numbers)).walk(
            table, state, self.blob, self.begin, self.shared, self.numbers, self.path, out
        )
        return out


_SORTED: WeakKeyDictionary[TokenTexts, tuple[SortedTexts, SortedTexts]] = WeakKeyDictionary()


def _alike(a: bytes, b: bytes) -> int:
    n = min(len(a), len(b))
    return next((i for i in range(n) if a[i] != b[i]), n)


def text_acceptor(
    table: ByteTable, alphabet: Alphabet, name: str, deadline: Deadline
) -> FiniteAcceptor:
    """An automaton over bytes, over the symbols of a law that have texts."""
    texts = token_texts(alphabet.vocabulary)
    if texts not in _SORTED:
        _SORTED[texts] = SortedTexts(texts.first), SortedTexts(texts.later)
    first, later = (part.sized(alphabet.size) for part in _SORTED[texts])
    if texts.first is texts.later:
        return FiniteAcceptor(
            alphabet, name, lambda s: later.targets(table.targets, s), table.accepting,
            table.start, deadline,
        )  # fmt: skip
    # where a text begins its symbols read otherwise: one more state, which is left at once
    begin = len(table.accepting)

    def targets(state: int) -> np.ndarray:
        if state == begin:
            return first.targets(table.targets, table.start)
        return later.targets(table.targets, state)

    accepting = np.append(table.accepting, table.accepting[table.start])
    return FiniteAcceptor(alphabet, name, targets, accepting, begin, deadline)
