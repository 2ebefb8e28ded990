"""An append-only store of what came so far, shared by the states that grew out of each other.

Rows are *right-aligned*: row i occupies the slots `first[i] ... stop-1` of one buffer. So
appending one element to every row writes one column whatever the rows' lengths, a window of
the last W elements is one slice, and no row is padded in between. A slot is never written
twice: a state that would have to overwrite what another has written copies first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["Room", "Track"]


class _Arena:
    """The shared buffer [N, capacity, *shape] and how many of its slots are written.

    What is written goes through `raw`, the same memory: autograd must not take it for a change of
    what it saved, which are other slots.
    """

    __slots__ = ("data", "raw", "tip")

    def __init__(self, data: torch.Tensor, tip: int) -> None:
        self.data, self.raw = data, data.data
        self.tip = tip

    def __reduce__(self) -> tuple[type[_Arena], tuple[torch.Tensor, int]]:
        return _Arena, (self.data, self.tip)  # the two go on sharing their memory


class Track:
    """An immutable view `[N, 0..length_i, *shape]` of an append-only buffer.

    Every method returns a new `Track`; the old one stays valid.

    Args:
        data: the elements, right-aligned, [N, stop, *shape].
        first: the first slot of each row, int64 [N], or None where all rows begin at slot 0.

    Example:
        >>> track = Track.empty(2, (), torch.int64, "cpu").append(torch.tensor([3, 4]))
        >>> longer = track.extend(torch.tensor([[5, 6], [7, 0]]), torch.tensor([2, 1]))
        >>> longer.lengths.tolist(), longer.tail(3, padding=-1).tolist()
        ([3, 2], [[3, 5, 6], [-1, 4, 7]])
    """

    __slots__ = ("_arena", "first", "stop")

    def __init__(self, data: torch.Tensor, first: torch.Tensor | None = None) -> None:
        self._arena = _Arena(data, data.shape[1])
        self.stop = data.shape[1]
        self.first = first

    @classmethod
    def empty(
        cls, n: int, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str
    ) -> Track:
        """A track of n rows without elements."""
        return cls(torch.empty((n, 0, *shape), dtype=dtype, device=device))

    @classmethod
    def _view(cls, arena: _Arena, stop: int, first: torch.Tensor | None) -> Track:
        track = cls.__new__(cls)
        track._arena, track.stop, track.first = arena, stop, first
        return track

    @classmethod
    def join(cls, tracks: Sequence[Track]) -> Track:
        """The rows of several tracks, one after another.

        Example:
            >>> one, two = Track(torch.tensor([[1, 2]])), Track(torch.tensor([[3]]))
            >>> Track.join([one, two]).tail(2).tolist()
            [[1, 2], [0, 3]]
        """
        stop = max(track.stop for track in tracks)
        blocks = []
        for track in tracks:
            gap = track.slots.new_zeros((track.n, stop - track.stop, *track.slots.shape[2:]))
            blocks.append(torch.cat([gap, track.slots], dim=1))
        lengths = torch.cat([track.lengths for track in tracks])
        return cls(torch.cat(blocks), _first_or_none(stop - lengths))

    # ---- reading ---------------------------------------------------------------------------

    @property
    def n(self) -> int:
        return self._arena.data.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        return self._arena.data.dtype

    @property
    def device(self) -> torch.device:
        return self._arena.data.device

    @property
    def event_shape(self) -> torch.Size:
        """The shape of one element."""
        return self._arena.data.shape[2:]

    @property
    def slots(self) -> torch.Tensor:
        """The right-aligned elements [N, stop, *shape]; slots before `first` hold rubbish."""
        return self._arena.data[:, : self.stop]

    @property
    def lengths(self) -> torch.Tensor:
        """How many elements each row has, int64 [N]."""
        if self.first is None:
            return torch.full((self.n,), self.stop, device=self._arena.data.device)
        return self.stop - self.first

    @property
    def uniform_length(self) -> int | None:
        """The one length of all rows, or None where they differ."""
        return self.stop if self.first is None else None

    def tail(self, count: int, padding: float = 0) -> torch.Tensor:
        """The last `count` elements, right-aligned [N, count, *shape]; missing ones `padding`."""
        kept = self._arena.data[:, max(self.stop - count, 0) : self.stop]
        if self.first is not None:
            slot = torch.arange(self.stop - kept.shape[1], self.stop, device=kept.device)
            missing = slot < self.first[:, None]
            kept = kept.masked_fill(missing.view(*missing.shape, *[1] * (kept.ndim - 2)), padding)
        if kept.shape[1] < count:
            fill = kept.new_full((self.n, count - kept.shape[1], *kept.shape[2:]), padding)
            kept = torch.cat([fill, kept], dim=1)
        return kept

    def padded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The elements left-aligned [N, longest, *shape], and their lengths [N]."""
        if self.first is None:
            return self.slots, self.lengths
        lengths = self.lengths
        index = self.first[:, None] + torch.arange(int(lengths.max()), device=lengths.device)
        return _gather(self.slots, index.clamp(max=self.stop - 1)), lengths

    # ---- growing and choosing --------------------------------------------------------------

    def append(self, x: torch.Tensor) -> Track:
        """One more element in every row, x [N, *shape]."""
        if self._needs_gradients(x):
            return self._grow(x[:, None])
        stop = self.stop + 1
        arena = self._arena_for(stop)
        arena.raw[:, self.stop] = x.detach() if x.requires_grad else x
        arena.tip = stop
        return Track._view(arena, stop, self.first)

    def extend(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> Track:
        """More elements, x [N, K, *shape]; of row i only the first `lengths[i]` count."""
        if lengths is None or bool((lengths == x.shape[1]).all()):
            return self._grow(x)
        total = self.lengths + lengths
        stop = int(total.max()) if self.n else 0
        # e: which element of its row a slot of the result holds
        e = torch.arange(stop, device=x.device) - (stop - total)[:, None]
        old = e + (self.stop - self.lengths)[:, None]
        new = e - self.lengths[:, None] + self.stop
        index = torch.where(e < self.lengths[:, None], old, new).clamp(min=0)
        joined = torch.cat([self.slots, x.to(self._arena.data.dtype)], dim=1)
        return Track(_gather(joined, index), _first_or_none(stop - total))

    def select(self, rows: torch.Tensor) -> Track:
        """The rows with these numbers, in this order; they may repeat."""
        first = None if self.first is None else _first_or_none(self.first[rows])
        data = self.slots[rows]
        if first is not None and len(first) and int(first.min()) > 0:
            shift = int(first.min())
            data, first = data[:, shift:], _first_or_none(first - shift)
        return Track(data, first)

    def truncate(self, lengths: torch.Tensor) -> Track:
        """Only the first `lengths[i]` elements of row i."""
        if self.first is None and len(lengths) and bool((lengths == lengths[0]).all()):
            return Track._view(self._arena, int(lengths[0]), None)
        stop = int(lengths.max()) if self.n else 0
        begin = self.stop - self.lengths
        slot = torch.arange(stop, device=lengths.device) - (stop - lengths)[:, None]
        index = (begin[:, None] + slot).clamp(min=0)
        return Track(_gather(self.slots, index), _first_or_none(stop - lengths))

    def _grow(self, x: torch.Tensor) -> Track:
        stop = self.stop + x.shape[1]
        if stop == self.stop:
            return self
        if self._needs_gradients(x):
            return Track(torch.cat([self.slots, x], dim=1), self.first)
        arena = self._arena_for(stop)
        arena.raw[:, self.stop : stop] = x.detach()
        arena.tip = stop
        return Track._view(arena, stop, self.first)

    def _needs_gradients(self, x: torch.Tensor) -> bool:
        """Whether autograd will follow elements, and so forbids writing where it may look."""
        return torch.is_grad_enabled() and (x.requires_grad or self._arena.data.requires_grad)

    def room(self, count: int) -> Room:
        """Slots for `count` more elements of every row, to be written one after another."""
        return Room(self._arena_for(self.stop + count), self.stop, count, self.first)

    def _arena_for(self, stop: int) -> _Arena:
        """Where the slots up to `stop` may be written: the own buffer, or a copy of it."""
        arena = self._arena
        if arena.tip != self.stop or stop > arena.data.shape[1]:
            return self._copy(max(2 * stop, 16))
        return arena

    def _copy(self, capacity: int) -> _Arena:
        old = self._arena.raw
        data = old.new_empty((old.shape[0], capacity, *old.shape[2:]))
        data[:, : self.stop] = old[:, : self.stop]
        return _Arena(data, self.stop)


class Room:
    """Slots behind a track that one writer fills, and the tracks that they make.

    As long as it is open the buffer counts as full, so that whatever else grows out of its tracks
    copies it.

    Attributes:
        columns: the slots, one tensor [N, *shape] each.
        memory: all slots of the buffer [N, capacity, *shape].
        begin: which of these comes first.

    Example:
        >>> track = Track(torch.tensor([[1], [2]]))
        >>> room = track.room(2)
        >>> _ = room.columns[0].copy_(torch.tensor([3, 4]))
        >>> room.close(1).slots.tolist(), track.slots.tolist()
        ([[1, 3], [2, 4]], [[1], [2]])
    """

    __slots__ = ("_arena", "_first", "begin", "columns", "memory")

    def __init__(self, arena: _Arena, begin: int, count: int, first: torch.Tensor | None) -> None:
        self._arena, self._first, self.begin = arena, first, begin
        self.memory = arena.raw
        self.columns = self.memory[:, begin : begin + count].unbind(1)
        arena.tip = begin + count

    def grown(self, count: int) -> Track:
        """The track with the first `count` of the slots, which are written."""
        return Track._view(self._arena, self.begin + count, self._first)

    def close(self, count: int) -> Track:
        """The last track, `grown`; the slots behind it are free again."""
        self._arena.tip = self.begin + count
        return self.grown(count)


def _gather(data: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """data[i, index[i, j]] for data [N, S, *shape] and index [N, J]."""
    rows = torch.arange(data.shape[0], device=data.device)[:, None]
    return data[rows, index]


def _first_or_none(first: torch.Tensor) -> torch.Tensor | None:
    return first if bool(first.any()) else None
