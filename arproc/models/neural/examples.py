"""How networks of examples of one size (vectors, images) are trained."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from arproc.contract.sequences import Sequences
from arproc.contract.storable import StorableModule
from arproc.data.form import Layout
from arproc.errors import DataError
from arproc.spaces import check_values
from arproc.training import Augmentation, Batches, Objective, Training, seed_of

__all__ = ["Batch", "ExampleNetwork", "Examples", "examples_objective"]

_STREAM_VALIDATION, _STREAM_AUGMENT, _STREAM_WHOLE = 5, 7, 8
#: How many bytes of training data are kept where the network is, rather than moved by batches.
_RESIDENT = 2**28
#: How many examples are augmented at once where all are.
_ROWS = 4096


class Batch(NamedTuple):
    """Some examples, where the network is.

    Attributes:
        x: [n, sites], in the order of generation.
        context: what each is conditioned on, [n, c], or None.
    """

    x: Tensor
    context: Tensor | None


class Examples:
    """Training data of one size: the batch of each step, augmented where the settings say so.

    Args:
        sequences: the examples, with their weights.
        context: [N, c] or None.
        settings: batch size, seed, device and augmentation.
        layout: of an example in the user's array, in whose shape it is augmented.
    """

    def __init__(
        self, sequences: Sequences, context: Tensor | None, settings: Training, layout: Layout
    ) -> None:
        self.space, self.settings, self.layout = sequences.space, settings, layout
        self.batches = Batches(
            len(sequences), settings.batch_size, settings.seed, sequences.weights
        )
        x, augment = _marked(sequences), settings.augment
        if augment is not None:
            if sequences.seen is not None:
                raise DataError(
                    "data have missing values, which augment can not change; fill them, or leave "
                    "Training(augment=) out."
                )
            x = x.detach().cpu()
            if isinstance(augment, Augmentation):
                augment.check((len(x), *layout.shape))
        elif x.numel() * x.element_size() <= _RESIDENT:
            x = x.to(settings.device)
        self.x = x
        self.context = None if context is None else context.to(settings.device)

    def batch(self, step: int) -> Batch:
        """The batch of a step, a function of the seed and the step."""
        rows = self.batches(step)
        x = self.x[rows.to(self.x.device)]
        if self.settings.augment is not None:
            x = self._augmented(x, rows, seed_of(self.settings.seed, _STREAM_AUGMENT, step))
        return self._placed(x, rows)

    def whole(self) -> Batch:
        """As many rows as there are examples, each as often as its weight says, augmented."""
        rows = self.batches.rows()
        x = self.x[rows.to(self.x.device)]
        if self.settings.augment is not None:
            parts = [
                self._augmented(x[k], rows[k], seed_of(self.settings.seed, _STREAM_WHOLE, i))
                for i, k in enumerate(torch.arange(len(x)).split(_ROWS))
            ]
            x = torch.cat(parts)
        return self._placed(x, rows)

    def _placed(self, x: Tensor, rows: Tensor) -> Batch:
        given = None if self.context is None else self.context[rows.to(self.context.device)]
        return Batch(x.to(self.settings.device), given)

    def _augmented(self, x: Tensor, rows: Tensor, seed: int) -> Tensor:
        """The examples x [n, sites] as `Training(augment=)` changes them, checked."""
        assert self.settings.augment is not None
        shape = (len(x), *self.layout.shape)
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            found = self.settings.augment(
                self.layout.from_sites(x), rows, torch.Generator().manual_seed(seed)
            )
        found = torch.as_tensor(found) if isinstance(found, np.ndarray) else found
        if not isinstance(found, Tensor) or tuple(found.shape) != shape:
            came = type(found).__name__
            came = f"shape {list(found.shape)}" if isinstance(found, Tensor) else f"a {came}"
            raise DataError(
                f"augment gave {came} for examples of shape {list(shape)}; expected a tensor of "
                "the same shape."
            )
        found = found.to(torch.uint8) if found.dtype == torch.bool else found
        check_values(found, self.space, "what augment gave")
        return self.layout.to_sites(found.to(device="cpu", dtype=self.space.dtype))


class ExampleNetwork(StorableModule):
    """Base of the networks of examples of one size: what such a network is trained by.

    A subclass writes `loss`; the other hooks have defaults.

    Attributes:
        sites: how many elements an example has.
    """

    #: How many held-out examples are scored at once; None takes a batch.
    rows_at_once: ClassVar[int | None] = None
    #: How many batches of held-out examples are scored at most, if not more by the settings.
    held_out_batches: ClassVar[int] = 0

    sites: int

    @abstractmethod
    def loss(self, x: Tensor, context: Tensor | None, generator: torch.Generator) -> Tensor:
        """Mean nats a site, for examples x [N, sites] under a context [N, c] or none."""

    def held_out_loss(
        self, x: Tensor, context: Tensor | None, generator: torch.Generator
    ) -> float:
        """The loss on held-out examples; the generator's draws are always the same."""
        return float(self.loss(x, context, generator))

    def check(self, x: Tensor, name: str) -> None:
        """Raise `DataError` for examples [n, sites] that the network can not model."""

    def prepare(self, examples: Examples) -> None:
        """Learn what there is to learn of the training data before the first step."""

    def refresh(self, examples: Examples) -> None:
        """Bring up to date what held-out examples are scored with, and the finished network."""


def examples_objective(
    network: ExampleNetwork, examples: Examples, validation: Sequences | None
) -> Objective:
    """What a network of examples of one size is trained by.

    Args:
        network: whose losses these are.
        examples: the training data.
        validation: held-out data with their context, of which some batches are scored.
    """
    network.check(examples.x, "data")
    network.prepare(examples)
    settings = examples.settings

    def batch(step: int, _: torch.Generator) -> Batch:
        found = examples.batch(step)
        if settings.augment is not None:
            network.check(found.x, "what augment gave")
        return found

    def loss(batch: Batch, generator: torch.Generator) -> Tensor:
        return network.loss(batch.x, batch.context, generator)

    def refresh() -> None:
        network.refresh(examples)

    if validation is None:
        return Objective(batch, loss, refresh=refresh)
    seed = seed_of(settings.seed, _STREAM_VALIDATION)
    batches = max(settings.validation_batches, network.held_out_batches)
    held_out = _some(validation, settings.batch_size * batches, seed)
    network.check(held_out.x, "validation")
    blocks = torch.arange(len(held_out.x)).split(network.rows_at_once or settings.batch_size)

    def score() -> float:
        same, total = torch.Generator().manual_seed(seed), 0.0
        for rows in blocks:
            given = held_out.context
            given = None if given is None else given[rows].to(settings.device)
            x = held_out.x[rows].to(settings.device)
            total += network.held_out_loss(x, given, same) * len(rows)
        return total / len(held_out.x)

    return Objective(batch, loss, validation=score, refresh=refresh)


def _marked(sequences: Sequences) -> Tensor:
    """The examples [N, sites]; what was not observed is NaN, and -1 among whole numbers."""
    x = sequences.padded()[0]
    if sequences.seen is None:
        return x
    mark = float("nan") if x.is_floating_point() else -1
    return x.masked_fill(~sequences.seen.to(x.device), mark)


def _some(validation: Sequences, most: int, seed: int) -> Batch:
    """At most so many of the held-out examples, the same ones each time."""
    x, context = _marked(validation), validation.context
    if len(x) <= most:
        return Batch(x, context)
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:most]
    return Batch(x[rows], None if context is None else context[rows])
