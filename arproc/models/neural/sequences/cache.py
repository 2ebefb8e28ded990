"""The keys and values that attention has computed so far: a window of them, shared by states."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from arproc.models.neural.sequences.network import SequenceNetwork

__all__ = ["SLACK", "KeyValueCache"]

#: How many elements a state can be truncated by before what it needs has been dropped.
SLACK = 64


class _Arena:
    """A buffer [layers, 2, N, kv_heads, capacity, dim] and how many of its slots are written."""

    __slots__ = ("data", "layers", "places", "tip")

    def __init__(self, data: Tensor, tip: int, places: Tensor | None = None) -> None:
        self.data, self.tip, self.places = data, tip, places
        self.layers = [layer.unbind(0) for layer in data.unbind(0)]


class KeyValueCache:
    """An immutable view of an append-only arena of keys and values.

    Slot s holds the input at position `s + shift` in all rows alike; or, where rows differ, that
    at position `table[i, s]` of row i, and -1 where it holds nothing: rows are shorter, or were
    taken back. What is taken back stays in the arena, hidden, so that going back copies nothing.
    Keys are stored rotated by their absolute positions, so they never change. A slot is never
    written twice: a cache that would have to overwrite what another has written copies first,
    without what is hidden. Only the last `window + SLACK` inputs are carried into a new arena, so
    an endless
    generation needs bounded memory.

    Args:
        network: whose keys and values they are.
        data: [layers, 2, N, kv_heads, slots, dim].
        shift: the position in slot 0 where rows agree.
        table: positions, int64 [N, slots], where they do not; those of a row are all from some one
            to its last, each once, in the order of the slots.
        counts: how many inputs each row has had, int64 [N], where they do not agree.
    """

    __slots__ = ("_counts", "arena", "network", "shift", "stop", "table")

    def __init__(
        self,
        network: SequenceNetwork,
        data: Tensor,
        shift: int = 0,
        table: Tensor | None = None,
        counts: Tensor | None = None,
    ) -> None:
        self.network, self.stop, self.shift = network, data.shape[-2], shift
        self.table, self._counts = table, counts
        self.arena = _Arena(data, self.stop)

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
    ) -> KeyValueCache:
        """A cache of the slots before `stop` of an arena."""
        cache = KeyValueCache.__new__(KeyValueCache)
        cache.network, cache.arena, cache.stop = self.network, arena, stop
        cache.shift, cache.table, cache._counts = shift, table, counts
        return cache

    @property
    def kept(self) -> int:
        """How many inputs are carried into a new arena."""
        return self.network.window + SLACK

    @property
    def n(self) -> int:
        """The number of rows."""
        return self.arena.data.shape[2]

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
        weights: Any,
        offset: Tensor | None = None,
        before: Tensor | None = None,
    ) -> tuple[Tensor, KeyValueCache]:
        """Run the network over more inputs.

        Args:
            inputs: symbols [N, T]; vectors [N, T, width] where these are its inputs.
            weights: those of `network.weights()`.
            offset: of the context, [N, width]; see `network.offset`.
            before: the symbols before the inputs that the network looks up, see `network.added`.

        Returns:
            What the last layer says after each input [N, T, width], and the cache after them.
        """
        network, count = self.network, inputs.shape[1]
        traced = torch.is_grad_enabled() and (
            self.arena.data.requires_grad or inputs.requires_grad or network.traced(weights)
        )
        home = self if traced else self._with_room(count)
        arena, stop, end = home.arena, home.stop, home.stop + count
        begin, mask, places, after = home._next(count, inputs.device, traced)
        grown: list[Tensor] = []

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = arena.layers[layer]
            if traced:  # autograd forbids writing into what it may still need
                keys = torch.cat([keys[:, :, :stop], k], dim=2)
                values = torch.cat([values[:, :, :stop], v], dim=2)
                grown.append(torch.stack([keys, values]))
            else:
                keys.narrow(2, stop, count).copy_(k)
                values.narrow(2, stop, count).copy_(v)
            keys = keys.narrow(2, begin, end - begin)
            values = values.narrow(2, begin, end - begin)
            return network.attention(q, keys, values, mask)

        added = network.added(inputs, before, offset)
        hidden = network.hidden(inputs, places, weights, attend, added)
        if traced:
            return hidden, KeyValueCache(network, torch.stack(grown), home.shift, *after)
        arena.tip = end
        return hidden, home._view(arena, end, home.shift, *after)

    def _next(
        self, count: int, device: torch.device, traced: bool
    ) -> tuple[int, Tensor | None, Tensor, tuple[Tensor | None, Tensor | None]]:
        """Where `count` more inputs stand and what they see.

        Returns:
            The first slot that any of them sees; which of the slots from there each sees, or None
            for all; their places; the table and the counts after them, if rows differ.
        """
        network, stop, end = self.network, self.stop, self.stop + count
        if self.table is None or self._counts is None:
            begin = max(stop + 1 - network.window, 0)
            places = self.arena.places
            if traced or places is None:
                places = _places(network, self.shift, end, device)
            mask = None
            if count > 1 or not network.plain:  # one query sees just its window
                position = torch.arange(begin, end, device=device) + self.shift
                mask = network.mask(position[stop - begin :], position)
            return begin, mask, places.narrow(-2, stop, count), (None, None)
        query = self._counts[:, None] + torch.arange(count, device=device)
        table = torch.cat([self.table, query], dim=1)
        begin = _first_of(table >= query[:, :1] + 1 - network.window, stop)
        key = table[:, begin:]
        mask = network.mask(query, key)
        if count == 1 and network.plain and bool(mask.all()):
            mask = None
        return begin, mask, network.places(query), (table, self._counts + count)

    def _with_room(self, count: int) -> KeyValueCache:
        """This cache in an arena that has `count` free slots behind it."""
        arena, data = self.arena, self.arena.data
        locked = data.is_inference() and not torch.is_inference_mode_enabled()
        if arena.tip == self.stop and self.stop + count <= data.shape[-2] and not locked:
            return self
        if self.table is not None:
            rows = torch.arange(self.n, device=data.device)
            whole = self.gather(rows, torch.zeros_like(rows))
        else:
            whole = self
        keep = min(whole.stop, self.kept)
        drop = whole.stop - keep
        capacity = 2 * keep + count + 16
        fresh = data.new_empty((*data.shape[:4], capacity, data.shape[-1]))
        fresh[..., :keep, :] = whole.arena.data[..., drop : whole.stop, :].detach()
        table = None if whole.table is None else whole.table[:, drop:]
        places = None
        if table is None:
            places = _places(self.network, whole.shift + drop, capacity, data.device).detach()
        moved = _Arena(fresh, keep, places)
        return self._view(moved, keep, whole.shift + drop, table, whole._counts)

    # ---- rows ---------------------------------------------------------------------------------

    def select(self, rows: Tensor) -> KeyValueCache:
        """The cache of these rows."""
        if self.table is None or self._counts is None:
            low = max(self.stop - self.kept, 0)
            data = self.arena.data[:, :, :, :, low : self.stop][:, :, rows]
            return KeyValueCache(self.network, data, self.shift + low)
        table, counts = self.table[rows], self._counts[rows]
        low = _first_of(table >= (counts - self.kept)[:, None].clamp(min=0), self.stop)
        data = self.arena.data[:, :, :, :, low : self.stop][:, :, rows]
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
            return self._view(self.arena, self.stop - most, self.shift)
        if most > SLACK:
            return self.gather(torch.arange(len(drop), device=drop.device), drop)
        table = table.masked_fill(table >= left[:, None], -1)
        return self._view(self.arena, self.stop, 0, table, left)

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
        data = self.arena.data.permute(2, 4, 0, 1, 3, 5)[rows[:, None], slot]
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
        return self._view(self.arena, self.stop, int(table[0, 0]))

    def rows_that_end(
        self, lengths: Tensor, begin: int, stop: int
    ) -> list[tuple[Tensor, KeyValueCache]]:
        """The rows whose length lies in the inputs begin ... stop-1 just fed, and their caches."""
        ends = (lengths <= stop) & ((lengths > begin) | (begin == 0))
        rows = ends.nonzero()[:, 0]
        return [(rows, self.gather(rows, stop - lengths[rows]))] if len(rows) else []

    @staticmethod
    def concatenate(parts: list[KeyValueCache]) -> KeyValueCache:
        """The rows of several caches of one network, one after another."""
        stop = max(part.stop for part in parts)
        blocks, tables, counts = [], [], []
        for part in parts:
            data = part.arena.data[..., : part.stop, :]
            gap = stop - part.stop
            # what is missing is masked, but must be finite
            blocks.append(torch.nn.functional.pad(data, (0, 0, gap, 0)))
            table, count = part._positions()
            tables.append(torch.nn.functional.pad(table, (gap, 0), value=-1))
            counts.append(count)
        data = torch.cat(blocks, dim=2)
        joined = KeyValueCache(parts[0].network, data, 0, torch.cat(tables), torch.cat(counts))
        return joined._evened()


def _first_of(wanted: Tensor, stop: int) -> int:
    """The first slot that is wanted in any row of bool [N, slots]; `stop` where none is."""
    found = wanted.any(0)
    return int(found.int().argmax()) if bool(found.any()) else stop


def _places(network: SequenceNetwork, shift: int, count: int, device: torch.device) -> Tensor:
    """The places of slots 0 ... count-1, [count, k]."""
    return network.places(torch.arange(count, device=device) + shift)
