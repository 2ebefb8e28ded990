"""The law of a network of every order of its sites."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.distributions import index
from arproc.models.neural.vectors.agnostic import AgnosticNetwork
from arproc.models.neural.vectors.nade_given import RevealingLaw
from arproc.models.neural.vectors.nade_state import NADEState

__all__ = ["AgnosticLaw"]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class AgnosticLaw(RevealingLaw):
    """The law that an `AgnosticNetwork` gives."""

    network: AgnosticNetwork

    def start(self, n: int, context: Tensor | None) -> State:
        return NADEState(self.network, self.network.begin(n, context))

    def each_next(self, x: Tensor, context: Tensor | None) -> Distribution | None:
        network, (n, known) = self.network, x.shape
        if not network.takes_any_order:
            return None
        seen = (torch.arange(network.sites, device=x.device) < known).expand(n, -1)
        inner = network.known(F.pad(x, (0, network.sites - known)), seen, context)
        count = torch.full((n,), known, device=x.device)
        every = network.every(inner, count, context)
        columns: Distribution = network.values.distribution(every)
        return index(columns, (slice(None), slice(known, None)))
