"""What the networks of vectors, and the laws that hold them, share."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Self

import numpy as np
import torch
from torch import Tensor

from arproc.contract.checked import Number
from arproc.contract.sequences import Sequences
from arproc.contract.storable import storable
from arproc.data.form import Layout
from arproc.data.vectors import order_of, relative_order
from arproc.errors import DataError, UnsupportedError
from arproc.models.neural.base import NetworkLaw
from arproc.models.neural.examples import ExampleNetwork, Examples
from arproc.models.neural.vectors.heads import CategoricalHead, Head

__all__ = ["VectorLaw", "VectorNetwork", "plain"]

#: How many outputs of the network are in memory at once while vectors are scored.
_BLOCK_NUMBERS = 2**22


class VectorNetwork(ExampleNetwork):
    """A network that gives the parameters of every site of a vector given the sites before it.

    Attributes:
        values: how a site's value enters the network, and what the outputs say of it.
        knows_orders: whether it is trained for other orders of the sites than its own.
        takes_any_order: whether it is trained for all.
    """

    rows_at_once = 1024
    held_out_batches = 32  # vectors are scored fast

    values: Head
    knows_orders: bool = False
    takes_any_order: bool = False

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Finished parameters [N, sites, outputs] for vectors x [N, sites]."""

    @abstractmethod
    def reordered(self, order: Sequence[int]) -> dict[str, Tensor]:
        """The parameters and buffers of this network with its sites in another order.

        Args:
            order: site `order[k]` of this network is the k-th of the other.
        """

    def in_order(self, order: Sequence[int]) -> Self:
        """A network of its own with these sites in another order, see `reordered`."""
        other, tensors = copy.deepcopy(self), self.reordered(order)
        other.load_state_dict({name: tensors[name] for name in other.state_dict()})
        return other

    @staticmethod
    def reordered_values(tensors: dict[str, Tensor], index: list[int]) -> dict[str, Tensor]:
        """The same with what the head holds of each site in another order."""
        for name in ("shift", "size", "floor", "begin", "forbidden"):
            if f"values.{name}" in tensors:
                tensors[f"values.{name}"] = tensors[f"values.{name}"][index]
        return tensors

    # ---- what it is trained by ----------------------------------------------------------------

    def loss(self, x: Tensor, context: Tensor | None, generator: torch.Generator) -> Tensor:
        return -self.values.log_prob(self(x, context), x).mean()

    def prepare(self, examples: Examples) -> None:
        self.values.learn(examples.whole().x)

    def check(self, x: Tensor, name: str) -> None:
        if not isinstance(self.values, CategoricalHead):
            return
        levels = (~self.values.forbidden).sum(1).cpu()
        highest = x.amax(0).cpu()
        if bool((highest >= levels).any()):
            site = int((highest >= levels).nonzero()[0])
            raise DataError(
                f"{name} has the value {int(highest[site])} where the levels are 0 ... "
                f"{int(levels[site]) - 1} (site {site} of the ordering)."
            )


@storable
@dataclass(frozen=True, eq=False, repr=False)
class VectorLaw(NetworkLaw):
    """The law of vectors of one size whose conditionals a network gives, site by site.

    Attributes:
        seed: of the order that `in_order("random")` means.
    """

    network: VectorNetwork
    layout: Layout = field(kw_only=True)
    seed: Annotated[int, Number(low=0)] = field(kw_only=True)

    @property
    def takes_any_order(self) -> bool:  # type: ignore[override]
        return self.network.takes_any_order

    def log_prob_terms(self, sequences: Sequences, context: Tensor | None) -> Tensor:
        """Whole vectors by one pass of the network; of parts of vectors by their states."""
        network = self.network
        if bool((sequences.lengths != network.sites).any()) or not len(sequences):
            return super().log_prob_terms(sequences, context)
        size = max(1, _BLOCK_NUMBERS // (network.sites * network.values.outputs))
        batches = sequences.padded()[0].split(size)
        given = [None] * len(batches) if context is None else context.split(size)
        found = []
        for part, condition in zip(batches, given, strict=True):
            x = part.to(self.device)
            found.append(network.values.log_prob(network(x, condition), x).double())
        return found[0].flatten() if len(found) == 1 else torch.cat(found).flatten()

    def in_order(self, ordering: str | Sequence[int]) -> Self:
        self.require_orders("in_order")
        order = order_of(ordering, self.layout.length, self.seed)
        relative = relative_order(self.layout, order or range(self.layout.length))
        layout = replace(self.layout, order=order)
        return replace(self, network=self.network.in_order(relative), layout=layout)

    def require_orders(self, call: str) -> None:
        """Raise `UnsupportedError` unless the network knows other orders than its own."""
        if not self.network.knows_orders:
            raise UnsupportedError(
                f"{call} asks for other orders than the one this "
                f"{type(self).__name__.removesuffix('Law')} was trained for; construct it with "
                "order_agnostic=True."
            )


def plain(x: Tensor) -> np.ndarray:
    """A tensor as compiled code reads it."""
    return x.detach().cpu().contiguous().numpy()
