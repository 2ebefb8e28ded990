"""What the density models of vectors share: spaces, orderings, heads, and how they learn."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from arproc.contract.sequences import Sequences
from arproc.data.form import Layout
from arproc.data.vectors import level_count, order_of, relative_order, vectors_of
from arproc.errors import DataError, ParameterError, UnsupportedError, check_choice, check_integer
from arproc.models.neural.base import NeuralProcess
from arproc.models.neural.examples import ExampleLaw, Examples
from arproc.models.neural.vectors.heads import (
    BernoulliHead,
    CategoricalHead,
    DiscretisedLogisticHead,
    Head,
    MixtureHead,
)
from arproc.spaces import Binary, Categorical, Ordinal, Real, Space

__all__ = [
    "REAL_HEADS",
    "VectorNetwork",
    "VectorProcess",
    "hidden_sizes",
    "plain",
]

#: How many outputs of the network are in memory at once while vectors are scored.
_BLOCK_NUMBERS = 2**22
REAL_HEADS = ("normal", "normal_mixture", "logistic_mixture", "student_t")
_HEADS = ("auto", "bernoulli", "categorical", "discretised_logistic", *REAL_HEADS)


class VectorNetwork(nn.Module):
    """A network that gives the parameters of every site of a vector given the sites before it.

    Attributes:
        sites: how many sites there are.
        values: how a site's value enters the network, and what the outputs say of it.
    """

    sites: int
    values: Head

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Finished parameters [N, sites, outputs] for vectors x [N, sites]."""

    @abstractmethod
    def reordered(self, order: Sequence[int], hidden: Sequence[Tensor] = ()) -> dict[str, Tensor]:
        """The parameters and buffers of this network with its sites in another order.

        Args:
            order: site `order[k]` of this network is the k-th of the other.
            hidden: likewise for the units of each hidden layer; they stay by default.
        """

    @staticmethod
    def reordered_values(tensors: dict[str, Tensor], index: list[int]) -> dict[str, Tensor]:
        """The same with what the head holds of each site in another order."""
        for name in ("values.shift", "values.size", "values.floor", "values.forbidden"):
            if name in tensors:
                tensors[name] = tensors[name][index]
        return tensors


class VectorProcess(ExampleLaw, NeuralProcess):
    """Base of the processes of fixed-size vectors, whose elements are the vector's sites.

    A subclass stores `head`, `levels`, `components`, `min_scale`, `ordering`, `conditioned`,
    `classes`, `hidden` and `training`, and writes `_network` and `_start`; see `MADE` for what
    they mean.
    """

    rows_at_once = 1024

    _shape: tuple[int, ...]

    hidden: int | Sequence[int]
    head: str
    levels: int | Sequence[int] | None
    components: int
    min_scale: float | Sequence[float]
    ordering: str | Sequence[int]
    #: Whether the network is trained for all orders of the sites (or how many of them).
    order_agnostic: bool | int = False

    # ---- space and layout ---------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        self._check_parameters()
        if isinstance(data, Sequences):
            self._shape = (data.space.length or 0,)
            return data.space
        x, shape = vectors_of(data)
        length = math.prod(shape)
        self._shape = shape
        head = self.head
        if head == "auto":
            fractions = x.is_floating_point() and bool((x != x.floor()).any())
            finite = bool(torch.isfinite(x.double()).all())
            head = "normal_mixture" if fractions and finite and self.levels is None else "levels"
        if head in REAL_HEADS:
            return Real(length=length)
        return self._finite_space(x, length, head)

    def _finite_space(self, x: Tensor, length: int, head: str) -> Space:
        levels = self._levels(length)
        if levels is None:
            levels = [level_count(x, 'For real values (finite ones) pass head="normal_mixture".')]
        if head == "discretised_logistic":
            if len(set(levels)) > 1:
                raise ParameterError(
                    f"head='discretised_logistic' takes one number of levels for all sites; got "
                    f"levels={self.levels!r}."
                )
            return Ordinal(levels[0], length=length)
        if head == "bernoulli" or (head == "levels" and set(levels) == {2}):
            return Binary(length=length)
        return Categorical(max(levels), length=length)

    def _check_parameters(self) -> None:
        self._sizes()
        self._check_context_parameters()
        check_choice("head", self.head, _HEADS)
        check_integer("components", self.components, minimum=1)
        floors = np.asarray(self.min_scale)
        numbers = floors.dtype.kind in "iuf" and floors.ndim < 2
        if not numbers or not bool((np.isfinite(floors) & (floors >= 0)).all()):
            raise ParameterError(
                f"min_scale must be 0 or more, one number or one for each position; got "
                f"{self.min_scale!r}."
            )

    def _sizes(self) -> tuple[int, ...]:
        return hidden_sizes(self.hidden)

    def _levels(self, length: int) -> list[int] | None:
        """The levels of each site as the user gave them."""
        if self.levels is None:
            return None
        if not isinstance(self.levels, (Sequence, np.ndarray)):
            return [check_integer("levels", self.levels, minimum=2)] * length
        levels = [check_integer(f"levels[{j}]", k, minimum=1) for j, k in enumerate(self.levels)]
        if len(levels) != length:
            raise ParameterError(
                f"levels has {len(levels)} entries; the data have {length} sites."
            )
        return levels

    def _order(self, length: int) -> tuple[int, ...] | None:
        return order_of(self.ordering, length, self._settings.seed)

    def _layout_of(self, space: Space) -> Layout:
        length = space.length or 0
        shape = self.__dict__.get("_shape") or self.__dict__.get("shape_") or (length,)
        return Layout(shape, self._order(length))

    # ---- learning -----------------------------------------------------------------------------

    def _real_head(self, order: Sequence[int]) -> MixtureHead:
        """The densities of real sites that stand in the user's data at these positions."""
        kind = "normal_mixture" if self.head == "auto" else self.head
        components = self.components if kind.endswith("_mixture") else 1
        floors = np.asarray(self.min_scale, dtype=np.float64).flatten().tolist()
        if len(floors) not in (1, len(order)):
            raise ParameterError(
                f"min_scale has {len(floors)} numbers; expected one, or {len(order)}, one for "
                "each position."
            )
        floors = [floors[j] for j in order] if len(floors) > 1 else floors * len(order)
        return MixtureHead(len(order), kind.removesuffix("_mixture"), components, floors)

    def _head(self, space: Space) -> Head:
        length = space.length or 0
        if isinstance(space, Real):
            return self._real_head(self._order(length) or range(length))
        if isinstance(space, Ordinal):
            return DiscretisedLogisticHead(space.levels, self.components)
        if isinstance(space, Binary):
            return BernoulliHead()
        levels = self._levels(length) or [space.size or 0] * length
        return CategoricalHead([levels[j] for j in self._order(length) or range(length)])

    def _check_examples(self, network: nn.Module, x: Tensor, name: str) -> None:
        assert isinstance(network, VectorNetwork)
        _check_levels(network, x, name)

    def _begin(self, network: nn.Module, examples: Examples) -> None:
        assert isinstance(network, VectorNetwork)
        network.values.learn(examples.whole().x)

    def _loss(
        self,
        network: nn.Module,
        x: Tensor,
        context: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        assert isinstance(network, VectorNetwork)
        return -network.values.log_prob(network(x, context), x).mean()

    def _most_held_out(self) -> int:
        # vectors are scored fast
        return self._settings.batch_size * max(self._settings.validation_batches, 32)

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> None:
        super()._fit(sequences, validation=validation, context=context)
        self.shape_ = self.__dict__.pop("_shape", (sequences.space.length or 0,))

    # ---- the law ------------------------------------------------------------------------------

    def _log_prob_terms(self, sequences: Sequences, context: Tensor | None) -> Tensor:
        """Whole vectors by one pass of the network; of parts of vectors by their states."""
        network, sites = self._fitted(), self.space.length or 0
        assert isinstance(network, VectorNetwork)
        if bool((sequences.lengths != sites).any()) or not len(sequences):
            return super()._log_prob_terms(sequences, context)
        size = max(1, _BLOCK_NUMBERS // (network.sites * network.values.outputs))
        batches = sequences.padded()[0].split(size)
        given = [None] * len(batches) if context is None else context.split(size)
        found = []
        for part, condition in zip(batches, given, strict=True):
            x = part.to(self.device)
            found.append(network.values.log_prob(network(x, condition), x).double())
        return found[0].flatten() if len(found) == 1 else torch.cat(found).flatten()

    # ---- all orders ---------------------------------------------------------------------------

    @property
    def takes_any_order(self) -> bool:  # type: ignore[override]
        # one that was trained for some orders knows no others
        return self.order_agnostic is True

    def in_order(self, ordering: str | Sequence[int]) -> Self:
        """The law of the same network in another order of the sites: a process of its own.

        Args:
            ordering: "natural", "random" or a permutation, as for the constructor.

        Returns:
            A fitted model with a copy of the weights.
        """
        network, layout = self._any_order("in_order")
        order = order_of(ordering, layout.length, self._settings.seed)
        params = self.get_params(deep=False) | {"ordering": order or "natural"}
        model = type(self)(**params)
        for name, value in vars(self).items():
            if name.endswith("_") and name != "network_":
                setattr(model, name, value)
        tensors = self._reordered(network, layout, order or range(layout.length))
        model.network_ = model._build_module("network_").to(self.device)
        kept = model.network_.state_dict()
        model.network_.load_state_dict({name: tensors[name] for name in kept})
        model.network_.eval()
        return model

    def _reordered(
        self, network: VectorNetwork, layout: Layout, order: Sequence[int]
    ) -> dict[str, Tensor]:
        """The tensors of the network in another order than the layout's."""
        return network.reordered(relative_order(layout, order))

    def _any_order(self, call: str) -> tuple[VectorNetwork, Layout]:
        """The network and the layout of a model that knows every order, or an error."""
        network, layout = self._fitted(), self.layout
        if not self.order_agnostic:
            raise UnsupportedError(
                f"{call} asks for other orders than the one this {type(self).__name__} was "
                "trained for; construct it with order_agnostic=True."
            )
        assert isinstance(network, VectorNetwork)
        assert layout is not None
        return network, layout


def hidden_sizes(hidden: int | Sequence[int]) -> tuple[int, ...]:
    """The sizes of the hidden layers, checked."""
    sizes = tuple(hidden) if isinstance(hidden, (Sequence, np.ndarray)) else (hidden,)
    return tuple(check_integer(f"hidden[{i}]", s, minimum=1) for i, s in enumerate(sizes))


def _check_levels(network: VectorNetwork, x: Tensor, name: str) -> None:
    if not isinstance(network.values, CategoricalHead):
        return
    levels = (~network.values.forbidden).sum(1).cpu()
    highest = x.amax(0).cpu()
    if bool((highest >= levels).any()):
        site = int((highest >= levels).nonzero()[0])
        raise DataError(
            f"{name} has the value {int(highest[site])} where the levels are 0 ... "
            f"{int(levels[site]) - 1} (site {site} of the ordering)."
        )


def plain(x: Tensor) -> np.ndarray:
    """A tensor as compiled code reads it."""
    return x.detach().cpu().contiguous().numpy()
