"""What models of elements of any kind share: heads, scales, covariates, and how they learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from arproc.contract.context import ContextForm
from arproc.contract.sequences import Sequences
from arproc.errors import (
    DataError,
    ParameterError,
    check_choice,
    check_flag,
    check_integer,
    check_number,
)
from arproc.models.neural.base import NeuralProcess
from arproc.models.neural.sequences.crops import BatchesOfCrops
from arproc.models.neural.sequences.element_choice import HEADS, element_of, space_of
from arproc.models.neural.sequences.element_law import ElementLaw
from arproc.models.neural.sequences.element_network import ElementNetwork
from arproc.models.neural.sequences.elements import Element
from arproc.models.neural.sequences.stretch_losses import held_out_loss, placed, scale_of, scored
from arproc.models.neural.sequences.stretches import Stretch, Stretches
from arproc.process import Fit
from arproc.spaces import Categorical, Count, Real, Space
from arproc.training import Objective, seed_of

__all__ = ["ElementProcess"]

_STREAM = 3
_BLOCK = 128


class ElementProcess(NeuralProcess):
    """Base of the processes of elements of any kind; `RNN` says what the parameters mean.

    A subclass stores `width`, `head`, `tokens`, `end`, `components`, `min_scale`, `scaling`,
    `block`, `dropout`, `conditioned`, `classes`, `covariates` and `training`, and gives the
    network to `_learnt_elements`; and `own_draws`, if it takes them.
    """

    takes_weights = False

    width: int
    head: str
    tokens: Any
    end: bool | None
    components: int
    min_scale: float
    scaling: int | str | None
    block: int | None
    dropout: float
    own_draws: float = 0.0
    covariates: bool

    #: How many elements before the terms of a stretch fill the network's memory.
    _lead: int = 0

    # ---- space and parameters -----------------------------------------------------------------

    @property
    def context_kind(self) -> Literal["static", "steps"] | None:  # type: ignore[override]
        return "steps" if self.covariates else super().context_kind

    def _context_form(self) -> ContextForm | None:
        form = ContextForm("steps") if self.covariates else super()._context_form()
        scaled = form is not None and self.scaling == "context"
        return replace(form, sizes=1) if form is not None and scaled else form

    def _opened(self, data: Any) -> Any:
        return data  # a str is text

    def _element_space(self, data: Any) -> Space:
        space = space_of(data, self.head, self.tokens, self.end)
        if self.scaling is not None and not isinstance(space, (Real, Count)):
            raise ParameterError(
                f"scaling is for real numbers and counts; the data are {space.describe()}."
            )
        return space

    def _check_elements(self) -> None:
        self._check_context_parameters()
        check_choice("head", self.head, HEADS)
        check_flag("covariates", self.covariates)
        check_integer("components", self.components, minimum=1)
        if self.block is not None:
            check_integer("block", self.block, minimum=1)
        check_number("dropout", self.dropout, low=0, below=1)
        check_number("own_draws", self.own_draws, low=0, high=1)
        check_number("min_scale", self.min_scale, low=0)
        if self.covariates and (self.conditioned or self.classes is not None):
            raise ParameterError(
                "covariates says that the context is by steps, conditioned and classes that it is "
                "one a sequence; use one of them (and repeat in every step what is one a "
                "sequence)."
            )
        self._check_scaling()

    def _check_scaling(self) -> None:
        if self.scaling is None:
            return
        if isinstance(self.scaling, str):
            check_choice("scaling", self.scaling, ("context",))
            if self.classes is not None or self.context_kind is None:
                raise ParameterError(
                    "scaling='context' needs a context whose first number is the scale: "
                    "conditioned=True or covariates=True."
                )
            return
        check_integer("scaling", self.scaling, minimum=1)

    @property
    def _given(self) -> int:
        """How many first elements are given."""
        return int(self.scaling) if isinstance(self.scaling, int) else 0

    # ---- learning -----------------------------------------------------------------------------

    def _element(self, space: Space, hidden: Any = None) -> Element:
        """A new element of the space, for the network's width."""
        return element_of(
            space, self.head, self.width, components=self.components, hidden=hidden,
            min_scale=float(self.min_scale),
        )  # fmt: skip

    def _learnt_elements(
        self,
        build: Callable[[int], ElementNetwork],
        sequences: Sequences,
        validation: Sequences | None,
        context: Tensor | None,
    ) -> tuple[ElementLaw, Fit]:
        """The law of a network that is trained on stretches of the sequences.

        Args:
            build: the network, conditioned on so many numbers.
            sequences: the training data.
            validation: held-out data with their context.
            context: of the training data.
        """
        for held, name in ((sequences, "data"), (validation, "validation")):
            if held is not None and not len(held.values):
                raise DataError(f"{name} is empty: none of its sequences has an element.")
        for held, name in ((sequences, "data"), (validation, "validation")):
            if held is not None:
                held.require_length(self._given + bool(self._given), name)
        space, form = sequences.space, self._learnt_form(context)
        block, settings = self.block or _BLOCK, self._settings
        stretches = Stretches(sequences, context, block, self._given, settings, self._lead)

        batches = BatchesOfCrops(stretches, settings)

        def objective(network: ElementNetwork) -> Objective:
            self._learn_elements(network, stretches)

            def loss(drawn: Stretch, _: torch.Generator) -> Tensor:
                total, terms = scored(network, drawn, self._given, float(self.own_draws))
                return -total / max(terms, 1)

            score = None
            if validation is not None:
                held_out = Stretches(
                    validation, validation.context, block, self._given, settings, self._lead
                )
                score = held_out_loss(network, held_out, settings)
            return Objective(
                lambda step, generator: stretches.augmented(batches(step, generator), step),
                loss,
                Stretch.terms,
                validation=score,
            )

        network, fit = self._trained(
            lambda: build(0 if form is None else form.size or 0),
            sequences.given(context), objective, augments=True,
            epoch=-(-stretches.count // settings.batch_size),
        )  # fmt: skip
        return ElementLaw(network, space, form, n_given=self._given), fit

    def _learn_elements(self, network: ElementNetwork, stretches: Stretches) -> None:
        """Let the head learn place and size of the data, of some stretches."""
        if isinstance(stretches.space, Categorical):
            return
        generator = torch.Generator().manual_seed(seed_of(self._settings.seed, _STREAM, 1))
        drawn = stretches(1024, generator)
        drawn = placed(drawn, network.start.device)
        scale = scale_of(network, drawn, self._given)
        chosen = drawn.counted
        network.element.learn(
            drawn.x[:, 1:][chosen], None if scale is None else scale.masked(chosen)
        )
