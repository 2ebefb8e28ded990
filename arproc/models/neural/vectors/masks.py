"""A network whose output j depends on the inputs before j alone, by masks on its weights."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from arproc.contract.checked import Number, sentences
from arproc.contract.storable import storable
from arproc.data.form import Layout
from arproc.data.vectors import order_of
from arproc.models.neural.given import given_by
from arproc.models.neural.vectors.heads import Head
from arproc.models.neural.vectors.masked_linear import MaskedLinear
from arproc.models.neural.vectors.networks import VectorNetwork
from arproc.spaces import Space
from arproc.training import seed_of

__all__ = ["MaskSampling", "MaskedNetwork"]

_STREAM_MASKS = 6
_ORDERS_HELD_OUT = 8


@storable
@dataclass(frozen=True)
class MaskSampling:
    """The orders of the sites that a network is trained for, each with masks of its own.

    Attributes:
        own: in which order the network's sites stand, a permutation of their positions.
        orders: those that it is trained for; none means all.
        seed: of the masks.
    """

    own: tuple[int, ...]
    orders: tuple[tuple[int, ...], ...]
    seed: Annotated[int, Number(low=0)]

    def problems(self) -> Iterator[str]:
        """What does not fit together; see `arproc.contract.checked`."""
        sites = list(range(len(self.own)))
        wrong = any(sorted(order) != sites for order in (self.own, *self.orders))
        yield from sentences((wrong, "an order is no permutation of the sites"))

    @classmethod
    def of_so_many(cls, own: tuple[int, ...], count: int | None, seed: int) -> MaskSampling:
        """For the network's own order and others drawn from the seed; None for all."""
        if count is None:
            return cls(own, (), seed)
        seeds = [seed_of(seed, _STREAM_MASKS, k) for k in range(1, count)]
        others = [order_of("random", len(own), seed) or own for seed in seeds]
        return cls(own, (own, *others), seed)

    @cached_property
    def _place(self) -> list[int]:
        return np.argsort(self.own).tolist()

    def relative(self, order: Sequence[int]) -> list[int]:
        """Which site of the network each site of an order is."""
        return [self._place[position] for position in order]

    def draw(self, generator: torch.Generator) -> tuple[int, ...]:
        """One of the orders, by chance."""
        if not self.orders:
            return tuple(torch.randperm(len(self.own), generator=generator).tolist())
        return self.orders[int(torch.randint(len(self.orders), (), generator=generator))]

    def held_out(self) -> Sequence[tuple[int, ...]]:
        """A few of the orders, always the same, for held-out examples."""
        if self.orders:
            return self.orders[:_ORDERS_HELD_OUT]
        seeds = range(_ORDERS_HELD_OUT)
        return [order_of("random", len(self.own), seed) or () for seed in seeds]

    def units(self, order: Sequence[int], sizes: Sequence[int]) -> list[Tensor]:
        """In which order the units of each hidden layer rise in degree: a function of the order.

        This is the sampling of masks: where a unit stands decides what it sees.
        """
        digest = hashlib.blake2b(np.array(order, dtype=np.int64).tobytes(), digest_size=8).digest()
        seed = seed_of(self.seed, _STREAM_MASKS, int.from_bytes(digest, "little"))
        generator = torch.Generator().manual_seed(seed)
        return [torch.randperm(size, generator=generator) for size in sizes]


class MaskedNetwork(VectorNetwork):
    r"""The masked autoencoder of Germain et al. 2015: all conditionals of a vector in one pass.

    Input j (0, 1, ...) has the degree j + 1, and a hidden unit of degree d depends on the first d
    sites: it sees what has a degree of at most d. The output of site j sees degrees of at most j.
    Degrees rise along a layer, so the units that the first k sites settle are its first ones, and
    an incremental state only ever appends.

    Args:
        sites: how many sites there are.
        head: how a site's value enters the network, and what its outputs say of it.
        hidden: sizes of the hidden layers.
        residual: whether each hidden layer but the first adds to the one before it, as in a
            residual network; they must have equal sizes.
        direct: whether the outputs also depend on the inputs directly.
        context: how many numbers each vector is conditioned on; they reach every unit.
        masks: where it is trained for many orders of the sites, which.
        driven: whether the context is another network's units, rather than a user's.

    Example:
        >>> from arproc.models.neural.vectors.heads import BernoulliHead
        >>> network = MaskedNetwork(3, BernoulliHead(), (4,))
        >>> network(torch.tensor([[0.0, 1.0, 1.0]])).shape
        torch.Size([1, 3, 1])
    """

    def __init__(
        self,
        sites: int,
        head: Head,
        hidden: Sequence[int],
        *,
        residual: bool = False,
        direct: bool = False,
        context: int = 0,
        masks: MaskSampling | None = None,
        driven: bool = False,
    ) -> None:
        super().__init__()
        self.sites, self.residual, self.masks = sites, residual, masks
        self.knows_orders = masks is not None
        self.takes_any_order = masks is not None and not masks.orders
        self.channels, self.outputs = head.channels, head.outputs
        self.values = head
        self.inputs, outputs = head.widths(sites)
        self.hidden = tuple(hidden)
        # the outputs of site k are those from rows[k] to before rows[k + 1]
        self.rows = [0, *itertools.accumulate(outputs)]
        degrees, out = self._degrees(), _repeated(outputs)
        self.layers = nn.ModuleList(
            MaskedLinear(after[:, None] >= before) for before, after in itertools.pairwise(degrees)
        )
        self.head = MaskedLinear(out[:, None] >= degrees[-1])
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():
            start = head.biases(sites)
            self.head.bias.copy_(torch.zeros(len(out)) if start is None else start)
        self.direct = MaskedLinear(out[:, None] >= degrees[0], bias=False) if direct else None
        if self.direct is not None:
            nn.init.zeros_(self.direct.weight)
        sizes = [*hidden, len(out)] if context else []
        self.given = nn.ModuleList(given_by(context, size, driven) for size in sizes)

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit together; see `NeuralLaw.problems`."""
        own = self.sites if self.masks is None else len(self.masks.own)
        yield from sentences((own != self.sites, f"the masks are of {own} sites"))

    def _degrees(self) -> list[Tensor]:
        """The degrees of the inputs and of each hidden layer's units."""
        most = max(self.sites - 1, 1)
        rising = [1 + torch.arange(size) * most // size for size in self.hidden]
        return [_repeated(self.inputs) + 1, *rising]

    @cached_property
    def settled(self) -> list[list[int]]:
        """How many inputs ([0]) or units of layer l ([l]) have a degree of at most k ([l][k])."""
        k = torch.arange(self.sites + 1)
        return [torch.searchsorted(d, k, right=True).tolist() for d in self._degrees()]

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices between hidden layers, which Muon trains."""
        return [layer.weight for layer in self.layers[1:]]  # type: ignore[misc]

    # ---- other orders -------------------------------------------------------------------------

    def in_order(self, order: Sequence[int]) -> Self:
        other = super().in_order(order)
        if self.masks is not None:
            own = tuple(self.masks.own[site] for site in order)
            other.masks = other.arguments["masks"] = replace(self.masks, own=own)
        return other

    def reordered(
        self, order: Sequence[int], hidden: Sequence[Tensor] | None = None
    ) -> dict[str, Tensor]:
        """See `VectorNetwork`; with the hidden units in other places other weights count.

        Args:
            order: of the sites.
            hidden: of the units of each layer; by default as the masks of that order ask.
        """
        if hidden is None:
            hidden = self._hidden(order)
        site = torch.tensor(list(order))
        blocks = [
            site[:, None] * size + torch.arange(size) for size in (self.channels, self.outputs)
        ]
        inputs, outputs = (block.flatten() for block in blocks)
        tensors = dict(self.named_parameters()) | dict(self.named_buffers())
        before = inputs
        for i, after in enumerate(hidden):
            tensors[f"layers.{i}.weight"] = tensors[f"layers.{i}.weight"][after][:, before]
            tensors[f"layers.{i}.bias"] = tensors[f"layers.{i}.bias"][after]
            if self.given:
                tensors[f"given.{i}.weight"] = tensors[f"given.{i}.weight"][after]
            before = after
        tensors["head.weight"] = tensors["head.weight"][outputs][:, before]
        tensors["head.bias"] = tensors["head.bias"][outputs]
        if self.direct is not None:
            tensors["direct.weight"] = tensors["direct.weight"][outputs][:, inputs]
        if self.given:
            last = f"given.{len(self.layers)}.weight"
            tensors[last] = tensors[last][outputs]
        return self.reordered_values(tensors, site.tolist())

    def _hidden(self, order: Sequence[int]) -> list[Tensor]:
        """Which unit of each hidden layer stands at each place where the sites stand in an order.

        Units that are added to each other stay together.
        """
        if self.masks is None:
            return [torch.arange(size) for size in self.hidden]
        own = self.masks.own
        here, there = (
            self.masks.units(o, self.hidden) for o in (own, [own[site] for site in order])
        )
        moved = [a.argsort()[b] for a, b in zip(here, there, strict=True)]
        return moved[:1] * len(moved) if self.residual else moved

    def loss(self, x: Tensor, context: Tensor | None, generator: torch.Generator) -> Tensor:
        if self.masks is None:
            return super().loss(x, context, generator)
        return self.loss_in(self.masks.draw(generator), x, context)

    def held_out_loss(
        self, x: Tensor, context: Tensor | None, generator: torch.Generator
    ) -> float:
        if self.masks is None:
            return super().held_out_loss(x, context, generator)
        losses = [float(self.loss_in(order, x, context)) for order in self.masks.held_out()]
        return sum(losses) / len(losses)

    def loss_in(self, order: Sequence[int], x: Tensor, context: Tensor | None) -> Tensor:
        """Mean nats a site in another order of positions, for vectors x [N, sites] in its own."""
        assert self.masks is not None
        relative = self.masks.relative(order)
        x = x[:, relative]
        parameters = functional_call(self, self.reordered(relative), (x, context))
        return -self.values.log_prob(parameters, x).mean()

    # ---- whole vectors ------------------------------------------------------------------------

    def offsets(self, context: Tensor | None) -> list[Tensor]:
        """What a context [N, c] adds to each hidden layer and to the outputs, [N, size] each."""
        if context is None:
            return []
        return [layer(context) for layer in self.given]

    def activations(self, x: Tensor, offsets: Sequence[Tensor] = ()) -> list[Tensor]:
        """The inputs and every hidden layer's units for whole vectors x [N, sites]."""
        found = [self.values.encode(x)]
        for i, layer in enumerate(self.layers):
            before = layer(found[-1])
            after = F.relu(before + offsets[i] if offsets else before)
            found.append(found[-1] + after if self.residual and i else after)
        return found

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The parameters of every site given those before it, for vectors x [N, sites].

        Returns:
            [N, sites, outputs], finished: what `values.distribution` takes.
        """
        offsets = self.offsets(context)
        return self.scores(self.activations(x, offsets), offsets)

    def terms(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        offsets = self.offsets(context)
        return self.values.terms(self.raw(self.activations(x, offsets), offsets), x)

    def scores(self, units: list[Tensor], offsets: Sequence[Tensor] = ()) -> Tensor:
        """The parameters [N, sites, outputs] from `activations`."""
        return self.values.finish(self.values.split(self.raw(units, offsets)))

    def raw(self, units: list[Tensor], offsets: Sequence[Tensor] = ()) -> Tensor:
        """The outputs, flat, from `activations`."""
        raw = self.head(units[-1])
        if self.direct is not None:
            raw = raw + self.direct(units[0])
        return raw + offsets[-1] if offsets else raw

    # ---- one site at a time -------------------------------------------------------------------

    def settle(
        self, buffers: list[Tensor], x: Tensor, k: int, offsets: Sequence[Tensor] = ()
    ) -> None:
        """Write the value x [N] of site k - 1 and the units that the first k sites settle.

        Args:
            buffers: inputs and units of each layer, [N, size], those of degrees below k in place.
            x: values.
            k: how many sites are known then.
            offsets: of the context.
        """
        begin, end = self.settled[0][k - 1], self.settled[0][k]
        buffers[0][:, begin:end] = self.values.encode(x[:, None], k - 1)
        for i, layer in enumerate(self.layers):
            before, units, settled = buffers[i], buffers[i + 1], self.settled[i + 1]
            low, high = settled[k - 1], settled[k]
            if high > low:
                # no mask: these units see all that has been settled, and nothing else is there
                weight = layer.weight[low:high, :end]  # type: ignore[index]
                bias = layer.bias[low:high]  # type: ignore[index]
                found = F.linear(before[:, :end], weight, bias)
                found = F.relu(found + offsets[i][:, low:high] if offsets else found)
                residual = self.residual and i
                units[:, low:high] = found + before[:, low:high] if residual else found
            end = high

    def site_scores(self, units: list[Tensor], k: int, offsets: Sequence[Tensor] = ()) -> Tensor:
        """The parameters [N, outputs] of site k, from buffers that k sites have settled."""
        raw = self.site_raw(units, k, offsets)
        return self.values.finish(self.values.split(raw, k), k)

    def site_raw(self, units: list[Tensor], k: int, offsets: Sequence[Tensor] = ()) -> Tensor:
        """The outputs [N, size] of site k, from buffers that k sites have settled."""
        rows = slice(self.rows[k], self.rows[k + 1])
        seen = self.settled[-1][k]
        raw = F.linear(units[-1][:, :seen], self.head.weight[rows, :seen], self.head.bias[rows])
        if self.direct is not None:
            seen = self.settled[0][k]
            raw = raw + F.linear(units[0][:, :seen], self.direct.weight[rows, :seen])
        if offsets:
            raw = raw + offsets[-1][:, rows]
        return raw


def _repeated(counts: Sequence[int]) -> Tensor:
    """Each number 0, 1, ... so many times."""
    times = torch.tensor(counts)
    return torch.arange(len(counts)).repeat_interleave(times, output_size=sum(counts))
