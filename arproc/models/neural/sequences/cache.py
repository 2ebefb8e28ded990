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

    Rows are right-aligned: their newest inputs share a slot, and the one in slot s of row i has
    the position `s + shift[i]`. Keys are stored rotated by their absolute positions, so they never
    change. A slot is never written twice: a cache that would have to overwrite what another has
    written copies first. Only the last `window + SLACK` slots are carried into a new arena, so an
    endless generation needs bounded memory.

    Args:
        network: whose keys and values they are.
        data: [layers, 2, N, kv_heads, slots, dim], right-aligned.
        shift: a row's position in slot 0: an int where all rows agree, else int64 [N].
    """

    __slots__ = ("arena", "network", "ragged_until", "shift", "stop")

    def __init__(self, network: SequenceNetwork, data: Tensor, shift: int | Tensor) -> None:
        self.network, self.stop, self.shift = network, data.shape[-2], shift
        self.arena = _Arena(data, self.stop)
        # below this slot some rows have inputs and others not yet
        self.ragged_until = -int(shift.min()) if isinstance(shift, Tensor) else 0

    @classmethod
    def empty(cls, network: SequenceNetwork, n: int) -> KeyValueCache:
        """The cache of n rows without inputs."""
        weight = next(network.parameters())
        shape = (len(network.layers), 2, n, network.kv_heads, 0, network.dim)
        return cls(network, weight.new_empty(shape), 0)

    def _view(self, arena: _Arena, stop: int, drop: int = 0) -> KeyValueCache:
        """A cache in `arena`, whose slots are these less the first `drop`."""
        cache = KeyValueCache.__new__(KeyValueCache)
        cache.network, cache.arena, cache.stop = self.network, arena, stop
        cache.shift = self.shift + drop if drop else self.shift
        cache.ragged_until = self.ragged_until - drop
        return cache

    @property
    def kept(self) -> int:
        """How many slots are carried into a new arena."""
        return self.network.window + SLACK

    # ---- attention ----------------------------------------------------------------------------

    def feed(
        self, inputs: Tensor, weights: Any, offset: Tensor | None = None
    ) -> tuple[Tensor, KeyValueCache]:
        """Run the network over more inputs.

        Args:
            inputs: symbols [N, T].
            weights: those of `network.weights()`.
            offset: of the context, [N, width]; see `network.offset`.

        Returns:
            The scores of what comes after each input [N, T, symbols], and the cache after them.
        """
        network, count = self.network, inputs.shape[1]
        traced = torch.is_grad_enabled() and (
            self.arena.data.requires_grad or network.traced(weights)
        )
        home = self if traced else self._with_room(count)
        arena, stop = home.arena, home.stop
        begin, end = max(stop + 1 - network.window, 0), stop + count
        mask = home._mask(begin, stop, end)
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

        places = arena.places
        if traced or places is None:
            places = _places(network, home.shift, end, inputs.device)
        places = places.narrow(-2, stop, count)
        scores = network.run(inputs, places, weights, attend, offset)
        if traced:
            return scores, KeyValueCache(network, torch.stack(grown), home.shift)
        arena.tip = end
        return scores, home._view(arena, end)

    def _mask(self, begin: int, stop: int, end: int) -> Tensor | None:
        """Which of the slots begin ... end-1 the queries in stop ... end-1 see."""
        if end - stop == 1 and begin >= self.ragged_until and self.network.plain:
            return None  # one query, and the slots are just its window
        slot = torch.arange(begin, end, device=self.arena.data.device)
        if isinstance(self.shift, int):
            position = slot + self.shift
            return self.network.mask(position[stop - begin :], position)
        position = slot + self.shift[:, None]
        return self.network.mask(position[:, stop - begin :], position)

    def _with_room(self, count: int) -> KeyValueCache:
        """This cache in an arena that has `count` free slots behind it."""
        arena, data = self.arena, self.arena.data
        locked = data.is_inference() and not torch.is_inference_mode_enabled()
        if arena.tip == self.stop and self.stop + count <= data.shape[-2] and not locked:
            return self
        keep = min(self.stop, self.kept)
        drop = self.stop - keep
        capacity = 2 * keep + count + 16
        fresh = data.new_empty((*data.shape[:4], capacity, data.shape[-1]))
        fresh[..., :keep, :] = data[..., drop : self.stop, :].detach()
        places = _places(self.network, self.shift + drop, capacity, data.device).detach()
        return self._view(_Arena(fresh, keep, places), keep, drop)

    # ---- rows ---------------------------------------------------------------------------------

    def select(self, rows: Tensor) -> KeyValueCache:
        """The cache of these rows."""
        low = max(self.stop - self.kept, 0)
        data = self.arena.data[:, :, :, :, low : self.stop][:, :, rows]
        shift = self.shift + low if isinstance(self.shift, int) else self.shift[rows] + low
        return KeyValueCache(self.network, data, shift)

    def truncate(self, drop: Tensor) -> KeyValueCache | None:
        """The cache as it was `drop[i]` inputs ago in row i; None where that is forgotten."""
        most = int(drop.max())
        first = self.shift if isinstance(self.shift, int) else int(self.shift.max())
        if self.stop - most < self.network.window and first > 0:
            return None
        if most == int(drop.min()):
            return self._view(self.arena, self.stop - most)
        return self.gather(torch.arange(len(drop), device=drop.device), drop)

    def gather(self, rows: Tensor, drop: Tensor) -> KeyValueCache:
        """The cache of these rows as it was `drop[i]` inputs ago in the i-th of them."""
        stop = min(self.stop - int(drop.min()), self.kept)
        slot = torch.arange(stop, device=drop.device)
        index = self.stop - drop[:, None] - stop + slot  # the old slot of a new one
        data = self.arena.data.permute(2, 4, 0, 1, 3, 5)[rows[:, None], index.clamp(min=0)]
        shift = self.shift if isinstance(self.shift, int) else self.shift[rows]
        data = data.permute(2, 3, 0, 4, 1, 5).contiguous()
        return KeyValueCache(self.network, data, shift + self.stop - drop - stop)

    @staticmethod
    def concatenate(parts: list[KeyValueCache]) -> KeyValueCache:
        """The rows of several caches of one network, one after another."""
        stop = max(part.stop for part in parts)
        blocks, shifts = [], []
        for part in parts:
            data = part.arena.data[..., : part.stop, :]
            # what is missing is masked, but must be finite
            blocks.append(torch.nn.functional.pad(data, (0, 0, stop - part.stop, 0)))
            n = data.shape[2]
            shift = torch.as_tensor(part.shift, device=data.device).expand(n)
            shifts.append(shift - (stop - part.stop))
        return KeyValueCache(parts[0].network, torch.cat(blocks, dim=2), torch.cat(shifts))


def _places(
    network: SequenceNetwork, shift: int | Tensor, count: int, device: torch.device
) -> Tensor:
    """The places of slots 0 ... count-1: [count, k], or [N, count, k]."""
    slot = torch.arange(count, device=device)
    return network.places(slot + shift if isinstance(shift, int) else slot + shift[:, None])
