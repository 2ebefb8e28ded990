"""MADE: a masked autoencoder for vectors of binary or categorical values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc import intake
from arproc.errors import DataError, ParameterError, check_integer
from arproc.neural.base import NeuralProcess
from arproc.neural.made_state import MADEState
from arproc.neural.masks import MaskedNetwork
from arproc.sequences import Layout, Sequences
from arproc.spaces import Binary, Categorical, Space
from arproc.states import State
from arproc.training import Batches, Loss, Training, seed_of

__all__ = ["MADE"]

_STREAM_ORDER, _STREAM_VALIDATION = 4, 5
_MOST_LEVELS = 2**16


class MADE(NeuralProcess):
    r"""Masked autoencoder for distribution estimation (Germain, Gregor, Murray, Larochelle 2015).

    A density of vectors, :math:`p(x) = \prod_j p(x_{o_j} | x_{o_1} \ldots x_{o_{j-1}})`, in the
    ordering o. One pass of a network gives all conditionals, since masks keep each output from
    seeing its own site and later ones. Its sites are Bernoulli or categorical.

    Args:
        hidden: sizes of the hidden layers.
        levels: how many values a site takes, one number or one for each site (sites then have
            different numbers, and a level that a site does not have gets probability zero). None
            takes binary sites where the data are zeros and ones, else one more than the largest.
        ordering: "natural" (for images: row by row); "random", drawn from the training's seed; or
            a permutation, whose j-th entry is the (flat) position of the j-th site.
        training: how it is trained.

    Example:
        >>> import arproc, numpy as np
        >>> x = np.array([[0, 0, 1], [1, 1, 0]] * 20)
        >>> model = arproc.MADE((8,), training=arproc.Training(steps=200, lr=0.02)).fit(x)
        >>> np.exp(model.log_prob(np.array([[0, 0, 1], [1, 0, 1]]))).round(1)
        array([0.5, 0. ])
    """

    shape_: tuple[int, ...]
    _shape: tuple[int, ...]

    def __init__(
        self,
        hidden: Sequence[int] = (500,),
        *,
        levels: int | Sequence[int] | None = None,
        ordering: str | Sequence[int] = "natural",
        training: Training | None = None,
    ) -> None:
        self.hidden = hidden
        self.levels = levels
        self.ordering = ordering
        self.training = training

    # ---- space and layout ---------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        sizes = [self.hidden] if isinstance(self.hidden, int) else list(self.hidden)
        for i, size in enumerate(sizes):
            check_integer(f"hidden[{i}]", size, minimum=1)
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
        levels = self._levels(length)
        if levels is None:
            highest = float(x.double().max()) if len(x) else 1.0
            if highest > _MOST_LEVELS:
                raise DataError(
                    f"data has values up to {highest:g}; MADE models sites of at most "
                    f"{_MOST_LEVELS} levels, 0, 1, 2 ..."
                )
            levels = [2 if not highest > 1 else int(highest) + 1]
        if set(levels) == {2}:
            return Binary(length=length)
        return Categorical(max(levels), length=length)

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
        length = space.length or 0
        levels = None
        if not isinstance(space, Binary):
            levels = self._levels(length) or [space.size or 0] * length
            levels = [levels[j] for j in self._order(length) or range(length)]
        hidden = (self.hidden,) if isinstance(self.hidden, int) else tuple(self.hidden)
        return MaskedNetwork(length, levels, hidden)

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> None:
        settings = self._settings
        x, _ = sequences.padded()

        def objective(network: nn.Module) -> tuple[Loss, Callable[[], float] | None]:
            assert isinstance(network, MaskedNetwork)
            _check_levels(network, x)
            batches = Batches(len(x), settings.batch_size, settings.seed)

            def loss(step: int, _: torch.Generator) -> Tensor:
                return _loss(network, x[batches(step)])

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


def _loss(network: MaskedNetwork, x: Tensor) -> Tensor:
    """Mean nats a site, for vectors x [N, sites]."""
    x = x.to(network.head.weight.device)
    scores = network(x)
    if network.binary:
        return F.binary_cross_entropy_with_logits(scores[..., 0], x.to(scores.dtype))
    return F.cross_entropy(scores.flatten(0, 1).float(), x.long().flatten())


def _check_levels(network: MaskedNetwork, x: Tensor) -> None:
    if network.binary:
        return
    levels = (~network.forbidden).sum(1).cpu()
    highest = x.amax(0).cpu()
    if bool((highest >= levels).any()):
        site = int((highest >= levels).nonzero()[0])
        raise DataError(
            f"data has the value {int(highest[site])} where the levels are 0 ... "
            f"{int(levels[site]) - 1} (site {site} of the ordering)."
        )
