"""The incremental side of NADE: a known site adds its weights to the hidden units' inputs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.state import State
from arproc.errors import DataError
from arproc.models.neural.vectors.nade_drawing import compiles_draws, draw_sites
from arproc.models.neural.vectors.nade_network import NADENetwork
from arproc.models.neural.vectors.networks import RevealingNetwork

__all__ = ["NADEState"]


class NADEState(State):
    """What is known of some vectors: the inputs [N, H] of the first hidden layer.

    Appending a site adds a row of weights to them and changes nothing else, so it costs O(H).

    Args:
        network: the network.
        inputs: the inputs; None sums them up when they are needed, from the history.
    """

    def __init__(self, network: RevealingNetwork, inputs: Tensor | None = None) -> None:
        self.network, self.inputs = network, inputs

    @property
    def block(self) -> int:  # type: ignore[override]
        """The compiled sampler takes a whole vector at once."""
        return self.network.sites

    def _conditional(self) -> Distribution:
        known = self.history.uniform_length
        site = self.lengths if known is None else known
        return self._distribution(self.network.at(self._summed(), site, self.context))

    def _append(self, x: Tensor) -> NADEState:
        if self.history.stop == self.network.sites:  # right-aligned: the longest row's elements
            raise DataError(f"a vector has {self.network.sites} sites, and all are known.")
        known = self.history.uniform_length
        site = self.lengths if known is None else known
        return NADEState(self.network, self.network.reveal(self._summed(), x, site))

    def _extend(self, x: Tensor, lengths: Tensor | None) -> tuple[Distribution, NADEState]:
        sites, known = self.network.sites, self.history.uniform_length
        after = self.lengths + (x.shape[1] if lengths is None else lengths)
        if bool((after > sites).any()):
            raise DataError(f"a vector has {sites} sites; these would be more.")
        if known is None or known + x.shape[1] > sites:
            return self._extend_ragged(x), NADEState(self.network)
        columns, inputs = self.network.along(self._summed(), x, known, self.context)
        # a column behind the last site says nothing, and nobody may ask for it
        site = min(known + x.shape[1], sites - 1)
        last = self.network.at(inputs, site, self.context)
        columns = torch.cat([columns, last[:, None]], dim=1)
        return self._distribution(columns), NADEState(
            self.network, inputs if lengths is None else None
        )

    def _extend_ragged(self, x: Tensor) -> Distribution:
        """The conditionals along x where rows have unequal lengths: whole vectors are scored."""
        sites = self.network.sites
        joined, _ = self.history.extend(x).padded()
        joined = F.pad(joined[:, :sites], (0, max(sites - joined.shape[1], 0)))
        parameters = self.network(joined, self.context)
        column = self.lengths[:, None] + torch.arange(x.shape[1] + 1, device=x.device)
        rows = torch.arange(self.n, device=x.device)[:, None]
        return self._distribution(parameters[rows, column.clamp(max=sites - 1)])

    def _select(self, rows: Tensor) -> NADEState:
        return NADEState(self.network, None if self.inputs is None else self.inputs[rows])

    def _truncate(self, lengths: Tensor) -> NADEState:
        return NADEState(self.network)

    def advance(self, uniforms: Tensor) -> tuple[Tensor, State]:
        known, network = self.history.uniform_length, self.network
        room = known is not None and known + uniforms.shape[1] <= network.sites
        if known is None or not room or not isinstance(network, NADENetwork):
            return self._advance_by_sites(uniforms) if room else super().advance(uniforms)
        if not compiles_draws(network):
            return super().advance(uniforms)
        drawn = draw_sites(network, self._summed(), uniforms, known, network.offsets(self.context))
        x = drawn.to(uniforms.device, self.law.space.dtype)
        return x, self._carry(NADEState(network), self.history.extend(x), self.context)

    def _advance_by_sites(self, uniforms: Tensor) -> tuple[Tensor, State]:
        """Draws of a table's columns, each in its own width."""
        inputs, known, drawn = self._summed(), self.history.uniform_length or 0, []
        dtype = self.law.space.dtype
        for k, u in enumerate(uniforms.unbind(1)):
            count = torch.full((self.n,), known + k, device=u.device)
            x = self.network.draws_at(inputs, known + k, u, self.context, count).to(dtype)
            inputs = self.network.reveal(inputs, x, known + k)
            drawn.append(x)
        x = torch.stack(drawn, dim=1) if drawn else self.history.slots[:, :0]
        return x, self._carry(
            NADEState(self.network, inputs), self.history.extend(x), self.context
        )

    # ---- inner parts --------------------------------------------------------------------------

    def _summed(self) -> Tensor:
        """The inputs; anew where gradients are asked for that the cached ones do not carry."""
        traced = torch.is_grad_enabled() and next(self.network.parameters()).requires_grad
        if self.inputs is None or (traced and not self.inputs.requires_grad):
            x, lengths = self.history.padded()
            x = F.pad(x, (0, self.network.sites - x.shape[1]))
            seen = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
            self.inputs = self.network.known(x, seen, self.context)
        return self.inputs

    def _distribution(self, parameters: Tensor) -> Distribution:
        return self.network.values.distribution(parameters)
