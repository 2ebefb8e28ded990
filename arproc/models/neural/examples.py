"""What the neural laws of examples of one size (vectors, images) share: how they are trained."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from arproc.contract.sequences import Sequences
from arproc.data import intake
from arproc.data.form import Layout
from arproc.errors import DataError
from arproc.models.neural.context import ContextLaw
from arproc.spaces import check_values
from arproc.training import Augmentation, Batches, Loss, Training, seed_of

__all__ = ["Batch", "ExampleLaw", "Examples", "examples_objective"]

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


class ExampleLaw(ContextLaw):
    """Base of the neural laws of examples of one size.

    A subclass writes `_loss` and its layout; the other hooks have defaults.

    Attributes:
        shape_: the shape of one example, as the user gave it.
    """

    takes_weights = True
    takes_augment = True

    #: How many held-out examples are scored at once; None takes a batch.
    rows_at_once: ClassVar[int | None] = None

    shape_: tuple[int, ...]

    def _opened(self, data: Any) -> Any:
        return intake.opened(data)

    @abstractmethod
    def _loss(
        self,
        network: nn.Module,
        x: Tensor,
        context: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Mean nats a site, for examples x [N, sites] under a context [N, c] or none."""

    def _held_out_loss(
        self,
        network: nn.Module,
        x: Tensor,
        context: Tensor | None,
        generator: torch.Generator,
    ) -> float:
        """The loss on held-out examples; the generator's draws are always the same."""
        return float(self._loss(network, x, context, generator))

    def _check_examples(self, network: nn.Module, x: Tensor, name: str) -> None:
        """Raise `DataError` for examples [n, sites] that the network can not model."""

    def _begin(self, network: nn.Module, examples: Examples) -> None:
        """What a network learns of the training data before the first step."""

    def _before_validation(self, network: nn.Module, examples: Examples) -> None:
        """What has to be up to date before held-out examples are scored."""

    def _most_held_out(self) -> int:
        """How many held-out examples are scored at most."""
        return self._settings.batch_size * self._settings.validation_batches

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> None:
        self.n_context_ = 0 if context is None else context.shape[1]
        layout = self._layout_of(sequences.space)
        assert layout is not None
        examples = Examples(sequences, context, self._settings, layout)
        self._train(sequences.given(context), examples_objective(self, examples, validation))
        self._end(examples)

    def _end(self, examples: Examples) -> None:
        """What a network learns of the training data after the last step."""


def examples_objective(
    law: ExampleLaw, examples: Examples, validation: Sequences | None
) -> Callable[[nn.Module], tuple[Loss, Callable[[], float] | None]]:
    """What `NeuralProcess._train` takes, for a law of examples of one size.

    Args:
        law: whose losses these are.
        examples: the training data.
        validation: held-out data with their context, of which `law._most_held_out()` are scored.
    """

    def objective(network: nn.Module) -> tuple[Loss, Callable[[], float] | None]:
        law._check_examples(network, examples.x, "data")
        law._begin(network, examples)

        def loss(step: int, generator: torch.Generator) -> Tensor:
            x, context = examples.batch(step)
            if examples.settings.augment is not None:
                law._check_examples(network, x, "what augment gave")
            return law._loss(network, x, context, generator)

        if validation is None:
            return loss, None
        seed = seed_of(examples.settings.seed, _STREAM_VALIDATION)
        device, at_once = examples.settings.device, law.rows_at_once
        held_out = _some(validation, law._most_held_out(), seed)
        law._check_examples(network, held_out.x, "validation")
        blocks = torch.arange(len(held_out.x)).split(at_once or examples.settings.batch_size)

        def score() -> float:
            law._before_validation(network, examples)
            same, total = torch.Generator().manual_seed(seed), 0.0
            for rows in blocks:
                given = None if held_out.context is None else held_out.context[rows].to(device)
                x = held_out.x[rows].to(device)
                total += law._held_out_loss(network, x, given, same) * len(rows)
            return total / len(held_out.x)

        return loss, score

    return objective


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
