"""The incremental side of MADE: each known site settles some units of the network, for good."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.state import State
from arproc.errors import DataError
from arproc.models.neural.vectors.made_drawing import compiles_draws, draw_sites
from arproc.models.neural.vectors.masks import MaskedNetwork
from arproc.models.neural.vectors.table_head import TableHead

__all__ = ["MADEState"]


class _Arena:
    """Inputs and units of each layer [N, size], the sites they know, the context's offsets."""

    __slots__ = ("buffers", "offsets", "tip")

    def __init__(self, buffers: list[Tensor], tip: int, offsets: list[Tensor]) -> None:
        self.buffers, self.tip, self.offsets = buffers, tip, offsets


class MADEState(State):
    """What is known of some vectors: the units of the network that the known sites settle.

    Appending a site computes the units that it settles and nothing else, so a whole draw costs one
    pass of the network. Units are settled for good: states share them, and truncating is free.

    Args:
        network: the network.
        arena: the settled units; None makes them when they are needed, from the history.
    """

    def __init__(self, network: MaskedNetwork, arena: _Arena | None = None) -> None:
        self.network, self.arena = network, arena

    @property
    def block(self) -> int:  # type: ignore[override]
        """The compiled sampler takes a whole vector at once."""
        return self.network.sites

    def _conditional(self) -> Distribution:
        known = self.history.uniform_length
        if known is None or self._traced():
            x, lengths = self.history.padded()
            scores = self.network(self._widened(x), self.context)
            return self._distribution(scores[torch.arange(self.n, device=x.device), lengths])
        arena = self._settled(known)
        return self._distribution(self.network.site_scores(arena.buffers, known, arena.offsets))

    def _append(self, x: Tensor) -> MADEState:
        known = self.history.uniform_length
        if self.history.stop == self.network.sites:  # right-aligned: the longest row's elements
            raise DataError(f"a vector has {self.network.sites} sites, and all are known.")
        if known is None or self._traced():
            return MADEState(self.network)
        arena = self._settled(known)
        locked = arena.buffers[0].is_inference() and not torch.is_inference_mode_enabled()
        if arena.tip != known or locked:  # another state has gone on from here
            arena = _Arena([b.clone() for b in arena.buffers], known, arena.offsets)
        self.network.settle(arena.buffers, x, known + 1, arena.offsets)
        arena.tip = known + 1
        return MADEState(self.network, arena)

    def _extend(self, x: Tensor, lengths: Tensor | None) -> tuple[Distribution, MADEState]:
        before, sites = self.lengths, self.network.sites
        after = before + (x.shape[1] if lengths is None else lengths)
        if bool((after > sites).any()):
            raise DataError(f"a vector has {sites} sites; these would be more.")
        joined, _ = self.history.extend(x).padded()
        offsets = self.network.offsets(self.context)
        units = self.network.activations(self._widened(joined[:, :sites]), offsets)
        scores = self.network.scores(units, offsets)
        column = before[:, None] + torch.arange(x.shape[1] + 1, device=x.device)
        rows = torch.arange(self.n, device=x.device)[:, None]
        # a column behind the last site says nothing, and nobody may ask for it
        columns = self._distribution(scores[rows, column.clamp(max=sites - 1)])
        known = self.history.uniform_length
        if known is None or lengths is not None or self._traced():
            return columns, MADEState(self.network)
        arena = _Arena(units, known + x.shape[1], offsets)
        return columns, MADEState(self.network, arena)

    def _select(self, rows: Tensor) -> MADEState:
        if self.arena is None or self.history.uniform_length is None:
            return MADEState(self.network)
        buffers, offsets = ([b[rows] for b in p] for p in (self.arena.buffers, self.arena.offsets))
        chosen = _Arena(buffers, self.history.uniform_length, offsets)
        return MADEState(self.network, chosen)

    def _truncate(self, lengths: Tensor) -> MADEState:
        even = self.history.uniform_length is not None and bool((lengths == lengths[0]).all())
        return MADEState(self.network, self.arena if even else None)

    def advance(self, uniforms: Tensor) -> tuple[Tensor, State]:
        known, network = self.history.uniform_length, self.network
        room = known is not None and known + uniforms.shape[1] <= network.sites
        if room and isinstance(network.values, TableHead):
            return self._advance_by_sites(network.values, known or 0, uniforms)
        if known is None or not room or not compiles_draws(network):
            return super().advance(uniforms)
        offsets = None if self.context is None else network.offsets(self.context)
        drawn = draw_sites(network, self.history.slots, uniforms, offsets)
        x = drawn.to(uniforms.device, self.law.space.dtype)
        state = MADEState(network)
        return x, self._carry(state, self.history.extend(x), self.context)

    def _advance_by_sites(
        self, head: TableHead, known: int, uniforms: Tensor
    ) -> tuple[Tensor, State]:
        """Draws of a table's columns, each in its own width."""
        settled = self._settled(known)
        buffers, offsets = [b.clone() for b in settled.buffers], settled.offsets
        drawn, dtype = [], self.law.space.dtype
        for k, u in enumerate(uniforms.unbind(1), start=known):
            x = head.draw(self.network.site_raw(buffers, k, offsets), k, u).to(dtype)
            self.network.settle(buffers, x, k + 1, offsets)
            drawn.append(x)
        x = torch.stack(drawn, dim=1) if drawn else self.history.slots[:, :0]
        state = MADEState(self.network, _Arena(buffers, known + len(drawn), offsets))
        return x, self._carry(state, self.history.extend(x), self.context)

    # ---- inner parts --------------------------------------------------------------------------

    def _settled(self, known: int) -> _Arena:
        if self.arena is None:
            offsets = self.network.offsets(self.context)
            units = self.network.activations(self._widened(self.history.slots), offsets)
            self.arena = _Arena(units, known, offsets)
        return self.arena

    def _widened(self, x: Tensor) -> Tensor:
        """Values x [N, T] with zeros for the sites that are not known: no output sees them."""
        return F.pad(x, (0, self.network.sites - x.shape[1]))

    def _distribution(self, parameters: Tensor) -> Distribution:
        return self.network.values.distribution(parameters)

    def _traced(self) -> bool:
        return torch.is_grad_enabled() and self.network.head.weight.requires_grad
