"""What the density models of vectors share: spaces, orderings, heads, and how they learn."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from arproc.contract.sequences import Sequences
from arproc.data.form import Layout
from arproc.data.vectors import level_count, order_of, vectors_of
from arproc.errors import ParameterError, check_array, check_choice, check_integer
from arproc.models.neural.vectors.given_any import AnyGivenAny
from arproc.models.neural.vectors.heads import (
    BernoulliHead,
    CategoricalHead,
    DiscretisedLogisticHead,
    Head,
    MixtureHead,
)
from arproc.models.neural.vectors.networks import VectorLaw, VectorNetwork
from arproc.process import Fit
from arproc.spaces import Binary, Categorical, Ordinal, Real, Space

__all__ = ["REAL_HEADS", "VectorProcess", "hidden_sizes"]

REAL_HEADS = ("normal", "normal_mixture", "logistic_mixture", "student_t")
_HEADS = ("auto", "bernoulli", "categorical", "discretised_logistic", *REAL_HEADS)


class VectorProcess(AnyGivenAny):
    """Base of the processes of fixed-size vectors, whose elements are the vector's sites.

    A subclass stores `head`, `levels`, `components`, `min_scale`, `ordering`, `conditioned`,
    `classes`, `hidden` and `training` (see `MADE` for what they mean), writes `_network` and
    names its law's class.
    """

    law_class: ClassVar[type[VectorLaw]]

    law_: VectorLaw
    network_: VectorNetwork
    shape_: tuple[int, ...]
    _shape: tuple[int, ...]

    hidden: int | Sequence[int]
    head: str
    levels: int | Sequence[int] | None
    components: int
    min_scale: float | Sequence[float]
    ordering: str | Sequence[int]

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
        floors = check_array("min_scale", self.min_scale)
        numbers = floors.ndim < 2
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
        return Layout(vars(self).get("_shape", (length,)), self._order(length))

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
        single: Any = kind.removesuffix("_mixture")  # one of the head's kinds: `fit` looked
        return MixtureHead(len(order), single, components, floors)

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

    @abstractmethod
    def _network(self, space: Space, context: int) -> VectorNetwork:
        """A new network for vectors of this space, conditioned on so many numbers."""

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> tuple[VectorLaw, Fit]:
        space, size = sequences.space, 0 if context is None else context.shape[1]
        network, fit = self._trained_on_examples(
            lambda: self._network(space, size), sequences, validation, context
        )
        form, layout = self._learnt_form(context), self._layout_of(space)
        seed = self._settings.seed
        return self.law_class(network, space, form, layout=layout, seed=seed), fit

    # ---- all orders ---------------------------------------------------------------------------

    def in_order(self, ordering: str | Sequence[int]) -> Self:
        """The law of the same network in another order of the sites: a process of its own.

        Args:
            ordering: "natural", "random" or a permutation, as for the constructor.

        Returns:
            A fitted model with a copy of the weights.
        """
        law = self.law_.in_order(ordering)
        params = self.get_params(deep=False) | {"ordering": law.layout.order or "natural"}
        return type(self).of(law, self.fit_, **params)


def hidden_sizes(hidden: int | Sequence[int]) -> tuple[int, ...]:
    """The sizes of the hidden layers, checked."""
    # an array of no axes is a number
    several = isinstance(hidden, Sequence) or (isinstance(hidden, np.ndarray) and hidden.ndim > 0)
    sizes: tuple[Any, ...] = tuple(hidden) if several else (hidden,)  # type: ignore[arg-type]
    return tuple(check_integer(f"hidden[{i}]", s, minimum=1) for i, s in enumerate(sizes))
