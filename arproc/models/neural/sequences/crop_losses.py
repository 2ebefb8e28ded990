"""The losses of a decoder of symbols on crops: of a training step, and of held-out data."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from arproc.contract.sequences import Sequences
from arproc.models.neural.sequences.ahead import ahead_loss
from arproc.models.neural.sequences.crops import Crops
from arproc.models.neural.sequences.network import SequenceNetwork
from arproc.training import Training, seed_of

__all__ = ["context_of", "crop_loss", "crops_of", "held_out_loss"]

_STREAM = 3
#: What the guesses at later symbols weigh beside those at the next.
_AHEAD = 0.3


def held_out_loss(
    network: SequenceNetwork, held_out: Sequences, block: int, settings: Training
) -> Callable[[], float]:
    """The mean loss on a fixed set of crops of the validation data."""
    generator = torch.Generator().manual_seed(seed_of(settings.seed, _STREAM))
    crops = Crops(held_out, block)
    batches = min(
        -(-crops_of(held_out, block) // settings.batch_size), settings.validation_batches
    )
    drawn = [crops(settings.batch_size, generator) for _ in range(batches)]

    def score() -> float:
        total = terms = 0.0
        for batch in drawn:
            kept, given = batch.terms(), context_of(held_out.context, batch.rows)
            total += float(crop_loss(network, batch.inputs, batch.targets, given)) * kept
            terms += kept
        return total / terms

    return score


def crops_of(sequences: Sequences, block: int) -> int:
    """How many crops hold all terms of some sequences."""
    return int(sequences.n_terms.double().div(block).ceil().sum())


def context_of(context: Tensor | None, rows: Tensor) -> Tensor | None:
    """The contexts of some sequences."""
    return None if context is None else context[rows.to(context.device)]


def crop_loss(
    network: SequenceNetwork, inputs: Tensor, targets: Tensor, context: Tensor | None = None
) -> Tensor:
    """Mean nats a term; what is trained counts the heads for later symbols as well."""
    device = next(network.parameters()).device
    inputs, targets = inputs.to(device), targets.to(device)
    weights = network.weights()
    hidden = network.whole(inputs, weights, None if context is None else context.to(device))
    scores = network.scores(hidden, weights)
    own = F.cross_entropy(scores.flatten(0, 1).float(), targets.flatten())
    if not network.ahead or not network.training:
        return own
    return own + _AHEAD * ahead_loss(network, hidden, targets, weights)
