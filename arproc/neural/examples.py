"""Training on whole examples of a fixed size, in batches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from arproc.errors import ParameterError
from arproc.sequences import Sequences
from arproc.training import Batches, Loss, Training, seed_of

__all__ = ["examples_objective"]

_STREAM_VALIDATION = 5

#: The mean loss, nats an element, of examples x [N, sites] under a context [N, c] or none.
ExampleLoss = Callable[[nn.Module, Tensor, Tensor | None], Tensor]


def examples_objective(
    sequences: Sequences,
    validation: Sequences | None,
    context: Tensor | None,
    settings: Training,
    loss: ExampleLoss,
) -> Callable[[nn.Module], tuple[Loss, Callable[[], float] | None]]:
    """What `NeuralProcess._train` takes, for a law of examples of a fixed size.

    Args:
        sequences: the training data, all of one length.
        validation: held-out data, of which so many batches are scored as the settings say.
        context: of the training data.
        settings: batch size, seed and so on.
        loss: of a batch.
    """
    if validation is not None and context is not None:
        raise ParameterError(
            "validation has no context of its own yet; leave it out for a conditional model."
        )
    x = sequences.padded()[0]

    def objective(network: nn.Module) -> tuple[Loss, Callable[[], float] | None]:
        batches = Batches(len(x), settings.batch_size, settings.seed)
        device = next(network.parameters()).device

        def of_batch(step: int, _: torch.Generator) -> Tensor:
            rows = batches(step)
            given = None if context is None else context[rows].to(device)
            return loss(network, x[rows].to(device), given)

        if validation is None:
            return of_batch, None
        held_out = _some(validation.padded()[0], settings)

        def score() -> float:
            parts = held_out.split(settings.batch_size)
            total = sum(len(part) * float(loss(network, part.to(device), None)) for part in parts)
            return total / len(held_out)

        return of_batch, score

    return objective


def _some(x: Tensor, settings: Training) -> Tensor:
    """At most as many rows of x as a validation may take, the same ones each time."""
    most = settings.batch_size * settings.validation_batches
    if len(x) <= most:
        return x
    generator = torch.Generator().manual_seed(seed_of(settings.seed, _STREAM_VALIDATION))
    return x[torch.randperm(len(x), generator=generator)[:most]]
