"""MADE: a masked autoencoder for vectors of binary, categorical, ordinal or real values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from arproc import intake
from arproc.errors import DataError, ParameterError, check_choice, check_integer
from arproc.neural.base import NeuralProcess
from arproc.neural.heads import (
    BernoulliHead,
    CategoricalHead,
    DiscretisedLogisticHead,
    Head,
    MixtureHead,
)
from arproc.neural.made_state import MADEState
from arproc.neural.masks import MaskedNetwork
from arproc.sequences import Layout, Sequences
from arproc.spaces import Binary, Categorical, Ordinal, Real, Space
from arproc.states import State
from arproc.training import Batches, Loss, Training, seed_of

__all__ = ["MADE"]

_STREAM_ORDER, _STREAM_VALIDATION = 4, 5
_MOST_LEVELS = 2**16
_REAL = ("normal", "normal_mixture", "logistic_mixture", "student_t")
_HEADS = ("auto", "bernoulli", "categorical", "discretised_logistic", *_REAL)


class MADE(NeuralProcess):
    r"""Masked autoencoder for distribution estimation (Germain, Gregor, Murray, Larochelle 2015).

    A law of vectors, :math:`p(x) = \prod_j p(x_{o_j} | x_{o_1} \ldots x_{o_{j-1}})`, in the
    ordering o. One pass of a network gives all conditionals, since masks keep each output from
    seeing its own site and later ones.

    Args:
        hidden: sizes of the hidden layers.
        head: the distribution of a site: "bernoulli" (zeros and ones), "categorical" (levels
            without an order), "discretised_logistic" (ordered levels, such as grey values; a
            mixture, Salimans et al. 2017), or of a real value "normal", "normal_mixture",
            "logistic_mixture" or "student_t" (RNADE's conditionals, Uria et al. 2013). "auto"
            takes "bernoulli" for zeros and ones, "categorical" for other whole numbers, and
            "normal_mixture" for floating-point data with fractions.
        levels: how many values a site takes, one number or one for each site (sites then have
            different numbers, and a level that a site does not have gets probability zero). None
            takes one more than the largest value.
        components: how many components a mixture has.
        min_scale: what the scales of real values are at least, in the unit of the data. Rounded
            data have no bounded density; half the rounding step is a sound choice for them.
        residual: whether each hidden layer but the first adds to the one before it; they then
            have equal sizes.
        direct: whether the conditionals also depend on the earlier values directly.
        ordering: "natural" (for images: row by row); "random", drawn from the training's seed; or
            a permutation, whose j-th entry is the (flat) position of the j-th site.
        conditioned: whether each vector is conditioned on a context: `context` is then a vector
            [N, c], such as a one-hot label, in every call that takes data.
        training: how it is trained.

    Example:
        >>> import arproc, numpy as np
        >>> x = np.array([[0, 0, 1], [1, 1, 0]] * 20)
        >>> model = arproc.MADE((8,), training=arproc.Training(steps=200, lr=0.02)).fit(x)
        >>> np.exp(model.log_prob(np.array([[0, 0, 1], [1, 0, 1]]))).round(1)
        array([0.5, 0. ])
    """

    shape_: tuple[int, ...]
    n_context_: int
    _shape: tuple[int, ...]

    def __init__(
        self,
        hidden: Sequence[int] = (500,),
        *,
        head: str = "auto",
        levels: int | Sequence[int] | None = None,
        components: int = 10,
        min_scale: float = 0.0,
        residual: bool = False,
        direct: bool = False,
        ordering: str | Sequence[int] = "natural",
        conditioned: bool = False,
        training: Training | None = None,
    ) -> None:
        self.hidden = hidden
        self.head = head
        self.levels = levels
        self.components = components
        self.min_scale = min_scale
        self.residual = residual
        self.direct = direct
        self.ordering = ordering
        self.conditioned = conditioned
        self.training = training

    @property
    def context_kind(self) -> Literal["static"] | None:  # type: ignore[override]
        return "static" if self.conditioned else None

    # ---- space and layout ---------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        self._check_parameters()
        if isinstance(data, Sequences):
            self._shape = (data.space.length or 0,)
            return data.space
        x = intake._to_tensor(data.to_numpy() if hasattr(data, "to_numpy") else data, "data")
        shape = tuple(x.shape[1:] if x.ndim > 1 else x.shape)
        length = int(np.prod(shape, dtype=np.int64))
        if length == 0:
            raise DataError(
                f"data has shape {tuple(x.shape)}; expected vectors [N, D] of some size."
            )
        self._shape = shape
        head = self.head
        if head == "auto":
            fractions = x.is_floating_point() and bool((x != x.floor()).any())
            finite = bool(torch.isfinite(x.double()).all())
            head = "normal_mixture" if fractions and finite and self.levels is None else "levels"
        if head in _REAL:
            return Real(length=length)
        return self._finite_space(x, length, head)

    def _finite_space(self, x: Tensor, length: int, head: str) -> Space:
        levels = self._levels(length)
        if levels is None:
            highest = float(x.double().max()) if len(x) else 1.0
            if highest > _MOST_LEVELS:
                raise DataError(
                    f"data has values up to {highest:g}; MADE models sites of at most "
                    f"{_MOST_LEVELS} levels, 0, 1, 2 ..."
                )
            levels = [2 if not highest > 1 else int(highest) + 1]
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
        sizes = self._sizes()
        for i, size in enumerate(sizes):
            check_integer(f"hidden[{i}]", size, minimum=1)
        check_choice("head", self.head, _HEADS)
        check_integer("components", self.components, minimum=1)
        if not 0 <= self.min_scale < float("inf"):
            raise ParameterError(f"min_scale must be 0 or more; got {self.min_scale!r}.")
        if self.residual and len(set(sizes)) > 1:
            raise ParameterError(
                f"residual=True adds each hidden layer to the one before it, so they must have "
                f"equal sizes; got hidden={self.hidden!r}."
            )

    def _sizes(self) -> tuple[int, ...]:
        return (self.hidden,) if isinstance(self.hidden, int) else tuple(self.hidden)

    def _levels(self, length: int) -> list[int] | None:
        """The levels of each site as the user gave them."""
        if self.levels is None:
            return None
        if isinstance(self.levels, int):
            return [check_integer("levels", self.levels, minimum=2)] * length
        levels = [check_integer(f"levels[{j}]", k, minimum=1) for j, k in enumerate(self.levels)]
        if len(levels) != length:
            raise ParameterError(
                f"levels has {len(levels)} entries; the data have {length} sites."
            )
        return levels

    def _order(self, length: int) -> tuple[int, ...] | None:
        if isinstance(self.ordering, str):
            if self.ordering == "natural":
                return None
            if self.ordering == "random":
                seed = seed_of(self._settings.seed, _STREAM_ORDER)
                generator = torch.Generator().manual_seed(seed)
                return tuple(torch.randperm(length, generator=generator).tolist())
        elif sorted(int(j) for j in self.ordering) == list(range(length)):
            return tuple(int(j) for j in self.ordering)
        raise ParameterError(
            f'ordering must be "natural", "random" or a permutation of 0 ... {length - 1}; got '
            f"{self.ordering!r}."
        )

    def _layout_of(self, space: Space) -> Layout:
        length = space.length or 0
        shape = self.__dict__.get("_shape") or self.__dict__.get("shape_") or (length,)
        return Layout(shape, self._order(length))

    # ---- learning -----------------------------------------------------------------------------

    def _network(self, space: Space) -> MaskedNetwork:
        return MaskedNetwork(
            space.length or 0,
            self._head(space),
            self._sizes(),
            residual=self.residual,
            direct=self.direct,
            context=self.__dict__.get("n_context_", 0),
        )

    def _head(self, space: Space) -> Head:
        length = space.length or 0
        if isinstance(space, Real):
            kind = "normal_mixture" if self.head == "auto" else self.head
            mixture = kind.endswith("_mixture")
            components = self.components if mixture else 1
            return MixtureHead(length, kind.removesuffix("_mixture"), components, self.min_scale)
        if isinstance(space, Ordinal):
            return DiscretisedLogisticHead(space.levels, self.components)
        if isinstance(space, Binary):
            return BernoulliHead()
        levels = self._levels(length) or [space.size or 0] * length
        return CategoricalHead([levels[j] for j in self._order(length) or range(length)])

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> None:
        settings = self._settings
        x, _ = sequences.padded()
        self.n_context_ = 0 if context is None else context.shape[1]
        if validation is not None and context is not None:
            raise ParameterError(
                "validation has no context of its own yet; leave it out for a conditional MADE."
            )

        def objective(network: nn.Module) -> tuple[Loss, Callable[[], float] | None]:
            assert isinstance(network, MaskedNetwork)
            _check_levels(network, x)
            network.values.learn(x)
            batches = Batches(len(x), settings.batch_size, settings.seed)

            def loss(step: int, _: torch.Generator) -> Tensor:
                rows = batches(step)
                return _loss(network, x[rows], None if context is None else context[rows])

            return loss, None if validation is None else self._validation(network, validation)

        self._train(sequences, objective)
        self.shape_ = self.__dict__.pop("_shape", (x.shape[1],))

    def _validation(self, network: MaskedNetwork, held_out: Sequences) -> Callable[[], float]:
        """The mean loss on (at most so many of) the validation data."""
        settings = self._settings
        x, _ = held_out.padded()
        most = settings.batch_size * max(settings.validation_batches, 32)
        generator = torch.Generator().manual_seed(seed_of(settings.seed, _STREAM_VALIDATION))
        x = x[torch.randperm(len(x), generator=generator)[:most]] if len(x) > most else x
        return lambda: float(
            sum(float(_loss(network, part)) * len(part) for part in x.split(1024)) / len(x)
        )

    # ---- conditionals -------------------------------------------------------------------------

    def _start(self, n: int, context: Tensor | None) -> State:
        network = self._fitted()
        assert isinstance(network, MaskedNetwork)
        return MADEState(network)


def _loss(network: MaskedNetwork, x: Tensor, context: Tensor | None = None) -> Tensor:
    """Mean nats a site, for vectors x [N, sites]."""
    device = network.head.weight.device
    x = x.to(device)
    scores = network(x, None if context is None else context.to(device))
    return -network.values.log_prob(scores, x).mean()


def _check_levels(network: MaskedNetwork, x: Tensor) -> None:
    if not isinstance(network.values, CategoricalHead):
        return
    levels = (~network.values.forbidden).sum(1).cpu()
    highest = x.amax(0).cpu()
    if bool((highest >= levels).any()):
        site = int((highest >= levels).nonzero()[0])
        raise DataError(
            f"data has the value {int(highest[site])} where the levels are 0 ... "
            f"{int(levels[site]) - 1} (site {site} of the ordering)."
        )
