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
from arproc.distributions import from_uniform, present
from arproc.errors import DataError, UnsupportedError
from arproc.models.neural.base import NetworkLaw
from arproc.models.neural.examples import ExampleNetwork, Examples
from arproc.models.neural.vectors.heads import CategoricalHead, Head

__all__ = ["RevealingNetwork", "VectorLaw", "VectorNetwork", "plain", "subsets"]

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

    def terms(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The chain rule's terms [N, sites] of vectors x [N, sites], nats."""
        return self.values.log_prob(self(x, context), x)

    def loss(self, x: Tensor, context: Tensor | None, generator: torch.Generator) -> Tensor:
        return -self.terms(x, context).mean()

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


class RevealingNetwork(VectorNetwork):
    """A network whose first layer sums up the known sites, one after another in any order.

    What is known of vectors is then the inputs a [N, H] of that layer.
    """

    @abstractmethod
    def begin(self, n: int, context: Tensor | None = None) -> Tensor:
        """The first layer's inputs [N, H] where no site is known."""

    @abstractmethod
    def reveal(self, a: Tensor, x: Tensor, site: int | Tensor) -> Tensor:
        """The inputs [N, H] once the value x [N] of a site (of each row its own) is known too."""

    @abstractmethod
    def known(self, x: Tensor, seen: Tensor, context: Tensor | None = None) -> Tensor:
        """The inputs [N, H] from the sites of x [N, sites] where `seen` is true."""

    @abstractmethod
    def at(
        self,
        a: Tensor,
        site: int | Tensor,
        context: Tensor | None = None,
        count: Tensor | None = None,
    ) -> Tensor:
        """The finished parameters [N, outputs] of a site, from the inputs a [N, H].

        Args:
            a: the inputs from the sites that are known.
            site: which one, one for all rows or int64 [N].
            context: what the vectors are conditioned on.
            count: how many sites are known, int64 [N]; by default all those before `site`.
        """

    @abstractmethod
    def along(
        self, a: Tensor, x: Tensor, first: int, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The parameters of the sites from `first` on, whose values x [N, T] come one by one.

        Args:
            a: the inputs [N, H] from the sites before `first`.
            x: values of the sites first ... first + T - 1.
            first: the first site.
            context: what the vectors are conditioned on.

        Returns:
            Finished parameters [N, T, outputs] of these sites, and the inputs after them [N, H].
        """

    def terms_at(
        self, a: Tensor, site: Tensor, values: Tensor, context: Tensor | None, count: Tensor
    ) -> Tensor:
        """The log-probabilities of the values [N] of a site of each row, nats, float64 [N]."""
        return self.values.log_prob(self.at(a, site, context, count), values).double()

    def draws_at(
        self,
        a: Tensor,
        site: int | Tensor,
        u: Tensor,
        context: Tensor | None,
        count: Tensor,
        *,
        given_present: bool = False,
    ) -> Tensor:
        """The values [N] of a site of each row that the uniforms u [N] stand for.

        Args:
            a: the inputs from the sites that are known.
            site: which one, one for all rows or int64 [N].
            u: float64 [N].
            context: what the vectors are conditioned on.
            count: how many sites are known, int64 [N].
            given_present: whether entries are drawn given that they are not missing.
        """
        law = self.values.distribution(self.at(a, site, context, count))
        return from_uniform(present(law) if given_present else law, u)


def subsets(n: int, sites: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Which sites of each of n vectors are known, bool [n, sites], and how many, int64 [n].

    A number below `sites` by chance, and that many sites by chance: one number in each n-th of
    the range, which makes estimates less noisy.
    """
    place = torch.rand((n, sites), generator=generator).argsort(1)
    spread = torch.randperm(n, generator=generator) + torch.rand(n, generator=generator)
    count = (spread * (sites / n)).long().clamp(max=sites - 1)
    return place < count[:, None], count


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
    def numbers(self) -> int:
        return max(super().numbers, self.network.values.outputs)

    @property
    def takes_any_order(self) -> bool:  # type: ignore[override]
        return self.network.takes_any_order

    def log_prob_terms(self, sequences: Sequences, context: Tensor | None) -> Tensor:
        """Whole vectors by one pass of the network; of parts of vectors by their states."""
        network = self.network
        if bool((sequences.lengths != network.sites).any()) or not len(sequences):
            return super().log_prob_terms(sequences, context)
        size = max(1, _BLOCK_NUMBERS // sum(network.values.widths(network.sites)[1]))
        batches = sequences.padded()[0].split(size)
        given = [None] * len(batches) if context is None else context.split(size)
        found = []
        for part, condition in zip(batches, given, strict=True):
            x = part.to(self.device)
            found.append(network.terms(x, condition).double())
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
