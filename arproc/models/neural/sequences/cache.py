"""The keys and values that attention has computed so far: a window of them, shared by states."""

from __future__ import annotations

import torch
from torch import Tensor

from arproc.models.neural.sequences.few_inputs import Known, Weights
from arproc.models.neural.sequences.network import SequenceNetwork

__all__ = ["SLACK", "KeyValueCache"]

#: How many elements a state can be truncated by before what it needs has been dropped.
SLACK = 64
#: Rows are copied out of an arena that is so many times as large.
_SPARSE = 4


class _Arena:
    """A buffer [layers, 2, rows, kv_heads, capacity, dim].

    Of its slots so many are written (`tip`), and so many of its rows are taken; the rest is for
    rows that join.
    """

    __slots__ = ("data", "layers", "places", "taken", "tip")

    def __init__(self, data: Tensor, tip: int, taken: int, places: Tensor | None = None) -> None:
        self.data, self.tip, self.taken, self.places = data, tip, taken, places
        self.layers = [layer.unbind(0) for layer in data.unbind(0)]

    @property
    def spare(self) -> int:
        """How many rows are free."""
        return self.data.shape[2] - self.taken


class KeyValueCache:
    """An immutable view of an append-only arena of keys and values.

    Slot s holds the input at position `s + shift` in all rows alike; or, where rows differ, that
    at position `table[i, s]` of row i, and -1 where it holds nothing: rows are shorter, or were
    taken back. What is taken back stays in the arena, hidden, so that going back copies nothing.
    Keys are stored rotated by their absolute positions, so they never change. A slot is never
    written twice: a cache that would have to overwrite what another has written copies first,
    without what is hidden. Rows that leave stay there as well, and rows that join are written
    beside the others where there is room, so that coming and going costs little. Only the last
    `window + SLACK` inputs are carried into a new arena, so an endless generation needs bounded
    memory.

    Args:
        network: whose keys and values they are.
        data: [layers, 2, N, kv_heads, slots, dim].
        shift: the position in slot 0 where rows agree.
        table: positions, int64 [N, slots], where they do not; those of a row are all from some one
            to its last, each once, in the order of the slots.
        counts: how many inputs each row has had, int64 [N], where they do not agree.
    """

    __slots__ = ("_counts", "arena", "network", "rows", "shift", "stop", "table")

    #: Which rows of the arena these are, int64 [N], each once; None for all.
    rows: Tensor | None

    def __init__(
        self,
        network: SequenceNetwork,
        data: Tensor,
        shift: int = 0,
        table: Tensor | None = None,
        counts: Tensor | None = None,
    ) -> None:
        self.network, self.stop, self.shift = network, data.shape[-2], shift
        self.table, self._counts, self.rows = table, counts, None
        self.arena = _Arena(data, self.stop, data.shape[2])

    @classmethod
    def empty(cls, network: SequenceNetwork, n: int) -> KeyValueCache:
        """The cache of n rows without inputs."""
        weight = next(network.parameters())
        shape = (len(network.layers), 2, n, network.kv_heads, 0, network.dim)
        return cls(network, weight.new_empty(shape), 0)

    def _view(
        self,
        arena: _Arena,
        stop: int,
        shift: int = 0,
        table: Tensor | None = None,
        counts: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> KeyValueCache:
        """A cache of the slots before `stop` of rows of an arena."""
        cache = KeyValueCache.__new__(KeyValueCache)
        cache.network, cache.arena, cache.stop, cache.rows = self.network, arena, stop, rows
        cache.shift, cache.table, cache._counts = shift, table, counts
        return cache

    @property
    def kept(self) -> int:
        """How many inputs are carried into a new arena."""
        return self.network.window + SLACK

    @property
    def n(self) -> int:
        """The number of rows."""
        return self.arena.data.shape[2] if self.rows is None else len(self.rows)

    def _data(self, first: int = 0) -> Tensor:
        """Keys and values in the slots from `first` on, [layers, 2, N, kv_heads, slots, dim]."""
        data = self.arena.data[..., first : self.stop, :]
        return data if self.rows is None else data.index_select(2, self.rows)

    @property
    def counts(self) -> int | Tensor:
        """How many inputs there were, of all rows or int64 [N]: the next input's position."""
        return self.stop + self.shift if self._counts is None else self._counts

    def _positions(self) -> tuple[Tensor, Tensor]:
        """The table and the counts, in this form where rows agree as well."""
        if self.table is not None and self._counts is not None:
            return self.table, self._counts
        slot = torch.arange(self.stop, device=self.arena.data.device) + self.shift
        counts = torch.full((self.n,), self.stop + self.shift, device=slot.device)
        return slot.expand(self.n, -1), counts

    # ---- attention ----------------------------------------------------------------------------

    def feed(
        self,
        inputs: Tensor,
        weights: Weights,
        offset: Tensor | None = None,
        before: Tensor | None = None,
    ) -> tuple[Tensor, KeyValueCache]:
        """Run the network over more inputs.

        Args:
            inputs: symbols [N, T]; vectors [N, T, width] where these are its inputs.
            weights: those of the network.
            offset: of the context, [N, width]; see `network.offset`.
            before: the symbols before the inputs that the network looks up, see `network.added`.

        Returns:
            What the last layer says after each input [N, T, width], and the cache after them.
        """
        network, count = self.network, inputs.shape[1]
        traced = weights.traced() or (
            torch.is_grad_enabled() and (self.arena.data.requires_grad or inputs.requires_grad)
        )
        home = self if traced else self._with_room(count)
        arena, stop, end = home.arena, home.stop, home.stop + count
        table, counts = home._after(count)
        added = network.added(inputs, before, offset)
        few = None if traced else weights.few(self.n * count)
        if few is not None:
            known = Known(arena.data, home.rows, table, home.shift, stop)
            found = few.run(network, inputs, added, known)
            arena.tip = end
            return found, home._view(arena, end, home.shift, table, counts, home.rows)
        places = home._places(count, table, traced)
        x = network.entered(network.embedded_by(inputs, weights.plain), places, added)
        begin, mask = home._seen(count, table)
        rows, grown = home.rows, []

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = arena.layers[layer]
            if traced:  # autograd forbids writing into what it may still need
                if rows is not None:
                    keys, values = keys[rows], values[rows]
                keys = torch.cat([keys[:, :, :stop], k], dim=2)
                values = torch.cat([values[:, :, :stop], v], dim=2)
                grown.append(torch.stack([keys, values]))
            elif rows is None:
                keys.narrow(2, stop, count).copy_(k)
                values.narrow(2, stop, count).copy_(v)
            else:
                keys.narrow(2, stop, count).index_copy_(0, rows, k.to(keys.dtype))
                values.narrow(2, stop, count).index_copy_(0, rows, v.to(values.dtype))
                keys, values = keys[rows], values[rows]
            keys = keys.narrow(2, begin, end - begin)
            values = values.narrow(2, begin, end - begin)
            return network.attention(q, keys, values, mask)

        hidden = network.finished(network.through(x, places, weights.plain, attend))
        if traced:
            return hidden, KeyValueCache(network, torch.stack(grown), home.shift, table, counts)
        arena.tip = end
        return hidden, home._view(arena, end, home.shift, table, counts, rows)

    def _after(self, count: int) -> tuple[Tensor | None, Tensor | None]:
        """The table and the counts after `count` more inputs."""
        if self.table is None or self._counts is None:
            return None, None
        query = self._counts[:, None] + torch.arange(count, device=self.arena.data.device)
        return torch.cat([self.table, query], dim=1), self._counts + count

    def _places(self, count: int, table: Tensor | None, traced: bool) -> Tensor:
        """The places of `count` more inputs, of which there is the table after them."""
        network, stop = self.network, self.stop
        if table is not None:
            return network.places(table[:, stop:])
        places = self.arena.places
        if traced or places is None:
            places = _places(network, self.shift, stop + count, self.arena.data.device)
        return places.narrow(-2, stop, count)

    def _seen(self, count: int, table: Tensor | None) -> tuple[int, Tensor | None]:
        """The first slot that any of `count` more inputs sees, and which each sees from there.

        None stands for all.
        """
        network, stop, end = self.network, self.stop, self.stop + count
        if table is None:
            begin = max(stop + 1 - network.window, 0)
            if count == 1 and network.plain:  # one query sees just its window
                return begin, None
            position = torch.arange(begin, end, device=self.arena.data.device) + self.shift
            return begin, network.mask(position[stop - begin :], position)
        query = table[:, stop:]
        begin = _first_of(table >= query[:, :1] + 1 - network.window, stop)
        mask = network.mask(query, table[:, begin:])
        if count == 1 and network.plain and bool(mask.all()):
            return begin, None
        return begin, mask

    def _with_room(self, count: int) -> KeyValueCache:
        """This cache in an arena that has `count` free slots behind it."""
        arena, data = self.arena, self.arena.data
        locked = data.is_inference() and not torch.is_inference_mode_enabled()
        if arena.tip == self.stop and self.stop + count <= data.shape[-2] and not locked:
            return self
        n = self.n
        if self.table is not None:
            rows = torch.arange(n, device=data.device)
            whole = self.gather(rows, torch.zeros_like(rows))
        else:
            whole = self
        keep = min(whole.stop, self.kept)
        drop = whole.stop - keep
        capacity = 2 * keep + count + 16
        held = n if data.shape[2] == n else 2 * n  # where rows come and go there is room for more
        fresh = data.new_empty((*data.shape[:2], held, data.shape[3], capacity, data.shape[-1]))
        fresh[:, :, :n, :, :keep] = whole._data(drop).detach()
        table = None if whole.table is None else whole.table[:, drop:]
        places = None
        if table is None:
            places = _places(self.network, whole.shift + drop, capacity, data.device).detach()
        moved = _Arena(fresh, keep, n, places)
        own = None if held == n else torch.arange(n, device=data.device)
        return self._view(moved, keep, whole.shift + drop, table, whole._counts, own)

    # ---- rows ---------------------------------------------------------------------------------

    def select(self, rows: Tensor) -> KeyValueCache:
        """The cache of these rows."""
        table = None if self.table is None else self.table[rows]
        counts = None if self._counts is None else self._counts[rows]
        own = rows if self.rows is None else self.rows[rows]
        if _SPARSE * len(own) >= self.arena.data.shape[2] and len(own.unique()) == len(own):
            return self._view(self.arena, self.stop, self.shift, table, counts, own)
        if table is None or counts is None:
            low = max(self.stop - self.kept, 0)
            data = self.arena.data[:, :, :, :, low : self.stop][:, :, own]
            return KeyValueCache(self.network, data, self.shift + low)
        low = _first_of(table >= (counts - self.kept)[:, None].clamp(min=0), self.stop)
        data = self.arena.data[:, :, :, :, low : self.stop][:, :, own]
        return KeyValueCache(self.network, data, 0, table[:, low:], counts)

    def truncate(self, drop: Tensor) -> KeyValueCache | None:
        """The cache as it was `drop[i]` inputs ago in row i; None where that is forgotten."""
        table, counts = self._positions()
        left = counts - drop
        held = (table >= 0).sum(1) - drop  # the last so many of those left
        if bool(((held < self.network.window) & (held < left)).any()):
            return None
        most = int(drop.max())
        if self.table is None and most == int(drop.min()) and (most == 0 or most > SLACK):
            return self._view(self.arena, self.stop - most, self.shift, rows=self.rows)
        if most > SLACK:
            return self.gather(torch.arange(len(drop), device=drop.device), drop)
        table = table.masked_fill(table >= left[:, None], -1)
        return self._view(self.arena, self.stop, 0, table, left, self.rows)

    def gather(self, rows: Tensor, drop: Tensor) -> KeyValueCache:
        """The cache of these rows as it was `drop[i]` inputs ago in the i-th of them.

        In slots of its own: the newest inputs share one, and nothing is hidden between others.
        """
        table, counts = (part[rows] for part in self._positions())
        held = (table >= 0).sum(1) - drop
        stop = min(int(held.max()), self.kept) if len(rows) else 0
        rank = (held - stop)[:, None] + torch.arange(stop, device=drop.device)
        # a stable sort puts what is empty in front and leaves the rest in order
        order = (table >= 0).int().argsort(dim=1, stable=True)
        ahead = (self.stop - (table >= 0).sum(1))[:, None]
        slot = order.gather(1, (ahead + rank).clamp(min=0)) if stop else rank
        own = rows if self.rows is None else self.rows[rows]
        data = self.arena.data.permute(2, 4, 0, 1, 3, 5)[own[:, None], slot]
        data = data.permute(2, 3, 0, 4, 1, 5).contiguous()
        found = table.gather(1, slot).masked_fill(rank < 0, -1) if stop else rank
        return KeyValueCache(self.network, data, 0, found, counts - drop)._evened()

    def _evened(self) -> KeyValueCache:
        """This cache without a table, if its rows agree."""
        table, counts = self.table, self._counts
        if table is None or counts is None or not len(counts) or not self.stop:
            return self
        if bool((counts != counts[0]).any()) or bool((table < 0).any()):
            return self
        return self._view(self.arena, self.stop, int(table[0, 0]), rows=self.rows)

    def rows_that_end(
        self, lengths: Tensor, begin: int, stop: int
    ) -> list[tuple[Tensor, KeyValueCache]]:
        """The rows whose length lies in the inputs begin ... stop-1 just fed, and their caches."""
        ends = (lengths <= stop) & ((lengths > begin) | (begin == 0))
        rows = ends.nonzero()[:, 0]
        return [(rows, self.gather(rows, stop - lengths[rows]))] if len(rows) else []

    @staticmethod
    def concatenate(parts: list[KeyValueCache]) -> KeyValueCache:
        """The rows of several caches of one network, one after another.

        They are written beside the rows of one of them where its arena has room; else all go into
        a new one, with room for as many again.
        """
        stop, n = max(part.stop for part in parts), sum(part.n for part in parts)
        positions = [part._positions() for part in parts]
        pad = torch.nn.functional.pad
        gaps = [stop - part.stop for part in parts]
        table = torch.cat(
            [pad(own, (gap, 0), value=-1) for (own, _), gap in zip(positions, gaps, strict=True)]
        )
        counts = torch.cat([count for _, count in positions])
        if torch.is_grad_enabled() and any(part.arena.data.requires_grad for part in parts):
            # what is missing is masked, but must be finite
            blocks = [
                pad(part._data(), (0, 0, gap, 0)) for part, gap in zip(parts, gaps, strict=True)
            ]
            joined = KeyValueCache(parts[0].network, torch.cat(blocks, dim=2), 0, table, counts)
            return joined._evened()
        data = parts[0].arena.data
        host = next((part for part in parts if part._has_room_for(n - part.n, stop)), None)
        if host is None:
            shape = (*data.shape[:2], 2 * n, data.shape[3], 2 * stop + 16, data.shape[-1])
            arena = _Arena(data.new_empty(shape), stop, 0)
        else:
            arena = host.arena
        rows = []
        for part, gap in zip(parts, gaps, strict=True):
            if part is host and host.rows is not None:
                rows.append(host.rows)
                continue
            first, arena.taken = arena.taken, arena.taken + part.n
            room = arena.data[:, :, first : arena.taken]
            room[..., :gap, :] = 0  # masked, but it must be finite
            room[..., gap:stop, :] = part._data()
            rows.append(torch.arange(first, arena.taken, device=data.device))
        joined = parts[0]._view(arena, stop, 0, table, counts, torch.cat(rows))
        return joined._evened()

    def _has_room_for(self, n: int, stop: int) -> bool:
        """Whether so many rows of at most `stop` slots can be written beside these."""
        data = self.arena.data
        locked = data.is_inference() and not torch.is_inference_mode_enabled()
        return (
            self.rows is not None
            and self.arena.spare >= n
            and self.stop == stop
            and data.shape[-2] > stop
            and not locked
        )


def _first_of(wanted: Tensor, stop: int) -> int:
    """The first slot that is wanted in any row of bool [N, slots]; `stop` where none is."""
    found = wanted.any(0)
    return int(found.int().argmax()) if bool(found.any()) else stop


def _places(network: SequenceNetwork, shift: int, count: int, device: torch.device) -> Tensor:
    """The places of slots 0 ... count-1, [count, k]."""
    return network.places(torch.arange(count, device=device) + shift)
