"""How much of a text stood in it before: copies spoil what is learnt by leaving one out."""

from __future__ import annotations

import numpy as np

__all__ = ["MUCH", "Repeats", "share_of"]

#: A text of which so much is copies counts as repeated.
MUCH = 0.25
#: What is shorter repeats by nature (answers in a dialogue): of lines, and of parts of a stream.
_LINE, _PART = 5, 24
#: Of fewer lines nothing is said.
_FEW = 50
#: At most so many different lines are kept; of a longer text a sample by their hashes.
_ROOM = 1 << 18
#: A stream is cut where the last so many symbols have a hash that one in so many have.
_BEFORE, _EVERY = 12, 32
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Repeats:
    """Counts copies of lines, or of parts of a stream, in a text that comes piece by piece.

    Args:
        stream: whether the text has no ends, so that it is cut by what stands in it.
    """

    def __init__(self, stream: bool) -> None:
        self.stream = stream
        self._mask = np.uint64(0)
        self._hash, self._size = np.zeros(0, np.uint64), np.zeros(0, np.int64)
        self._times = np.zeros(0, np.int64)

    def add(self, text: np.ndarray) -> None:
        """One more piece: symbols as `lay_out` has them, a -1 behind each sequence."""
        values = text.astype(np.uint64) + np.uint64(2)
        cuts = np.flatnonzero(text < 0)
        if self.stream:
            cuts = np.union1d(cuts, _content_cuts(values))
        begin = np.concatenate([[0], cuts + 1])
        begin = begin[begin < len(text)]
        size = np.diff(np.append(begin, len(text)))
        hashes = _hashes(values, begin, size)
        kept = (size >= (_PART if self.stream else _LINE)) & (hashes & self._mask == 0)
        self._merge(hashes[kept], size[kept])

    def _merge(self, hashes: np.ndarray, size: np.ndarray) -> None:
        every = np.concatenate([self._hash, hashes])
        self._hash, first, back = np.unique(every, return_index=True, return_inverse=True)
        times = np.concatenate([self._times, np.ones(len(hashes), np.int64)])
        self._times = np.bincount(back, times, len(self._hash)).astype(np.int64)
        self._size = np.concatenate([self._size, size])[first]
        while len(self._hash) > _ROOM:
            self._mask = self._mask * np.uint64(2) + np.uint64(1)
            kept = self._hash & self._mask == 0
            self._hash, self._size, self._times = (
                column[kept] for column in (self._hash, self._size, self._times)
            )

    @property
    def share(self) -> float:
        """The share of the symbols that stand in copies; 0 where there are few lines."""
        if self._times.sum() < _FEW:
            return 0.0
        return float(1 - self._size.sum() / (self._size * self._times).sum())


def share_of(text: np.ndarray, stream: bool) -> float:
    """The share of a text, as `lay_out` has it, that stands in copies of lines before.

    Example:
        >>> lines = np.arange(600).reshape(100, 6)
        >>> lines[:, -1] = -1
        >>> share_of(np.concatenate([lines, lines]).reshape(-1).astype(np.int32), stream=False)
        0.5
    """
    repeats = Repeats(stream)
    step = 1 << 22
    edges = [0]
    while edges[-1] < len(text):
        stop = edges[-1] + step
        ends: np.ndarray = np.flatnonzero(text[stop : stop + step] < 0)
        edges.append(min(stop + int(ends[0]) + 1 if len(ends) else stop, len(text)))
        repeats.add(text[edges[-2] : edges[-1]])
    return repeats.share


def _hashes(values: np.ndarray, begin: np.ndarray, size: np.ndarray) -> np.ndarray:
    """A hash of each part of the values, uint64."""
    if not len(begin):
        return np.zeros(0, np.uint64)
    place = (np.arange(len(values)) - np.repeat(begin, size)).astype(np.uint64)
    return _mixed(np.add.reduceat(_mixed(values * _MIX + _mixed(place + np.uint64(1))), begin))


def _content_cuts(values: np.ndarray) -> np.ndarray:
    """Places in a stream that depend on the symbols before them alone."""
    n = len(values) - _BEFORE
    if n <= 0:
        return np.zeros(0, np.int64)
    total = np.zeros(n, np.uint64)
    for j in range(_BEFORE):
        total = total * _MIX + values[j : j + n]
    return np.flatnonzero(_mixed(total) % np.uint64(_EVERY) == 0) + _BEFORE - 1


def _mixed(h: np.ndarray) -> np.ndarray:
    """Numbers spread over all bits (the finaliser of SplitMix64, Steele et al. 2014)."""
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))
