"""The incremental side of MADE: each known site settles some units of the network, for good."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from arproc.distributions import Categorical
from arproc.errors import DataError
from arproc.neural.masks import MaskedNetwork
from arproc.states import State

__all__ = ["MADEState"]


class _Arena:
    """Inputs and units of every layer, [N, size] each, and how many sites they know."""

    __slots__ = ("buffers", "tip")

    def __init__(self, buffers: list[Tensor], tip: int) -> None:
        self.buffers, self.tip = buffers, tip


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
            scores = self.network(self._widened(x))
            return self._distribution(scores[torch.arange(self.n, device=x.device), lengths])
        last = self._settled(known).buffers[-1]
        return self._distribution(self.network.site_scores(last, known))

    def _append(self, x: Tensor) -> MADEState:
        known = self.history.uniform_length
        if self.history.stop == self.network.sites:  # right-aligned: the longest row's elements
            raise DataError(f"a vector has {self.network.sites} sites, and all are known.")
        if known is None or self._traced():
            return MADEState(self.network)
        arena = self._settled(known)
        locked = arena.buffers[0].is_inference() and not torch.is_inference_mode_enabled()
        if arena.tip != known or locked:  # another state has gone on from here
            arena = _Arena([b.clone() for b in arena.buffers], known)
        self.network.settle(arena.buffers, x, known + 1)
        arena.tip = known + 1
        return MADEState(self.network, arena)

    def _extend(self, x: Tensor, lengths: Tensor | None) -> tuple[Distribution, MADEState]:
        before, sites = self.lengths, self.network.sites
        after = before + (x.shape[1] if lengths is None else lengths)
        if bool((after > sites).any()):
            raise DataError(f"a vector has {sites} sites; these would be more.")
        joined, _ = self.history.extend(x).padded()
        units = self.network.activations(self._widened(joined[:, :sites]))
        scores = self.network.scores(units[-1])
        column = before[:, None] + torch.arange(x.shape[1] + 1, device=x.device)
        rows = torch.arange(self.n, device=x.device)[:, None]
        # a column behind the last site says nothing, and nobody may ask for it
        columns = self._distribution(scores[rows, column.clamp(max=sites - 1)])
        known = self.history.uniform_length
        if known is None or lengths is not None or self._traced():
            return columns, MADEState(self.network)
        arena = _Arena(units, known + x.shape[1])
        return columns, MADEState(self.network, arena)

    def _select(self, rows: Tensor) -> MADEState:
        if self.arena is None or self.history.uniform_length is None:
            return MADEState(self.network)
        chosen = _Arena([b[rows] for b in self.arena.buffers], self.history.uniform_length)
        return MADEState(self.network, chosen)

    def _truncate(self, lengths: Tensor) -> MADEState:
        even = self.history.uniform_length is not None and bool((lengths == lengths[0]).all())
        return MADEState(self.network, self.arena if even else None)

    def advance(self, uniforms: Tensor) -> tuple[Tensor, State]:
        known = self.history.uniform_length
        if known is None or known + uniforms.shape[1] > self.network.sites:
            return super().advance(uniforms)
        from arproc.neural.made_kernels import draw

        network = self.network
        layers = [*network.layers, network.head]
        drawn = draw(
            self.history.slots.long().cpu().contiguous().numpy(),
            uniforms.cpu().contiguous().numpy(),
            tuple(layer.weight.detach().cpu().numpy() for layer in layers),
            tuple(layer.bias.detach().cpu().numpy() for layer in layers),
            np.array(network.settled),
            network.forbidden.cpu().numpy(),
            network.binary,
        )
        x = torch.from_numpy(drawn).to(uniforms.device, self.process.space.dtype)
        state = MADEState(network)
        return x, self._carry(state, self.history.extend(x), self.context)

    # ---- inner parts --------------------------------------------------------------------------

    def _settled(self, known: int) -> _Arena:
        if self.arena is None:
            units = self.network.activations(self._widened(self.history.slots))
            self.arena = _Arena(units, known)
        return self.arena

    def _widened(self, x: Tensor) -> Tensor:
        """Values x [N, T] with zeros for the sites that are not known: no output sees them."""
        return F.pad(x, (0, self.network.sites - x.shape[1]))

    def _distribution(self, scores: Tensor) -> Distribution:
        if self.network.binary:
            return Bernoulli(logits=scores[..., 0], validate_args=False)
        return Categorical(scores)

    def _traced(self) -> bool:
        return torch.is_grad_enabled() and self.network.head.weight.requires_grad
