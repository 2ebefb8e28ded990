"""Networks of every order that read the values that are known, and which these are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from arproc.contract.checked import Array, sentences
from arproc.contract.storable import storable
from arproc.data.form import Layout
from arproc.models.neural.channels import axis_problems
from arproc.models.neural.vectors.agnostic import AgnosticNetwork
from arproc.models.neural.vectors.agnostic_law import AgnosticLaw
from arproc.spaces import Space

__all__ = ["KnownSitesLaw", "KnownSitesNetwork"]

#: How many features are in memory at once while whole examples are scored.
_NUMBERS = 2**24


class KnownSitesNetwork(AgnosticNetwork):
    """One pass over an example tells all sites that are not known, each as if it came next.

    An order-agnostic law (Uria, Murray and Larochelle 2014; Hoogeboom et al. 2022, ARDM). What is
    known is the values of all sites in the user's own order, zeros where unknown, and which are
    known, [N, 2 sites]. A subclass writes `every`, of sites in the order of generation; `place`
    says where these stand in the user's own order.

    Args:
        sites: how many elements an example has.
        width: how many features each has inside the network.
    """

    knows_orders = takes_any_order = True
    place: Annotated[Tensor, Array("sites", kind="int64", low=0)]

    def __init__(self, sites: int, width: int) -> None:
        super().__init__()
        self.sites, self.width = sites, width
        # of each site, in the order of generation, its place in the user's own order
        self.register_buffer("place", torch.arange(sites))

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit together; see `NeuralLaw.problems`."""
        places = sorted(self.place.tolist())
        yield from sentences(
            (places != list(range(self.sites)), "the places of the sites are no permutation"),
        )

    def reordered(self, order: Sequence[int]) -> dict[str, Tensor]:
        tensors = dict(self.named_parameters()) | dict(self.named_buffers())
        tensors["place"] = self.place[list(order)]
        return tensors

    # ---- what is known ------------------------------------------------------------------------

    def begin(self, n: int, context: Tensor | None = None) -> Tensor:
        return next(self.parameters()).new_zeros((n, 2 * self.sites))

    def reveal(self, a: Tensor, x: Tensor, site: int | Tensor) -> Tensor:
        rows = torch.arange(len(a), device=a.device)
        place = self.place[site].expand(len(a))
        value, seen = a[:, : self.sites].clone(), a[:, self.sites :].clone()
        value[rows, place], seen[rows, place] = x.to(a.dtype), 1.0
        return torch.cat([value, seen], dim=1)

    def known(self, x: Tensor, seen: Tensor, context: Tensor | None = None) -> Tensor:
        back = self.place.argsort()
        known = seen.to(next(self.parameters()).dtype)
        value = torch.where(seen, x.to(known.dtype), 0.0)
        return torch.cat([value[:, back], known[:, back]], dim=1)

    # ---- what follows from it -----------------------------------------------------------------

    @abstractmethod
    def every(self, a: Tensor, count: Tensor, context: Tensor | None = None) -> Tensor:
        """See `AgnosticNetwork`; how many sites are known is read off the inputs."""

    def one(self, a: Tensor, site: Tensor, context: Tensor | None) -> Tensor:
        """The finished parameters [N, outputs] of one site of each row."""
        return self.every(a, site, context)[torch.arange(len(a), device=a.device), site]

    def at(
        self,
        a: Tensor,
        site: int | Tensor,
        context: Tensor | None = None,
        count: Tensor | None = None,
    ) -> Tensor:
        size = max(1, _NUMBERS // (2 * self.width * self.sites))
        sites = torch.as_tensor(site, device=a.device).expand(len(a))
        parts = [a.new_zeros((0, self.values.outputs))]
        for rows in torch.arange(len(a), device=a.device).split(size):
            given = None if context is None else context[rows]
            parts.append(self.one(a[rows], sites[rows], given))
        return torch.cat(parts)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.along(self.begin(len(x), context), x, 0, context)[0]

    def along(
        self, a: Tensor, x: Tensor, first: int, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        before, count = [a], x.shape[1]
        for k in range(count):
            before.append(self.reveal(before[-1], x[:, k], first + k))
        if not count:
            return a.new_zeros((len(a), 0, self.values.outputs)), a
        inputs = torch.stack(before[:-1], dim=1).flatten(0, 1)
        sites = (first + torch.arange(count, device=a.device)).repeat(len(a))
        given = None if context is None else context.repeat_interleave(count, 0)
        return self.at(inputs, sites, given).unflatten(0, (len(a), count)), before[-1]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class KnownSitesLaw(AgnosticLaw):
    """The law of examples of one size whose elements come in any order.

    Attributes:
        network: gives the elements' distributions.
        channel_axis: which axis of the user's images holds the channels, or None.
    """

    network: KnownSitesNetwork
    channel_axis: int | None = None

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        yield from sentences(*axis_problems(self.channel_axis, self.layout))
