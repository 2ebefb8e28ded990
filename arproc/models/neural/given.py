"""Where a context enters a network: one linear map for every model, of standardised numbers."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from arproc.contract.checked import Array
from arproc.data.robust import FAR, standard_of

__all__ = ["Given", "given_by", "learn_contexts"]


class Given(nn.Linear):
    """What a context [N, c] adds to some units, [N, units]: a linear map, without a constant.

    The map is of the context less its place and over its size in the training data
    (`arproc.data.robust.standard_of`), so that an income of 40,000 beside an age says as much as
    both standardised. A number that is only ever 0 or 1 there (a label's row of the identity, a
    dummy) enters as it is.

    Args:
        context: how many numbers a context has.
        units: how many units it reaches.

    Example:
        >>> layer = Given(1, 3)
        >>> layer.learn(torch.tensor([[30_000.0], [50_000.0]]))
        >>> torch.equal(layer(torch.tensor([[50_000.0]])), layer.weight.T)
        True
    """

    place: Annotated[Tensor, Array("numbers")]
    size: Annotated[Tensor, Array("numbers", above=0)]

    def __init__(self, context: int, units: int) -> None:
        super().__init__(context, units, bias=False)
        # in float64: a date in seconds has more digits than float32
        self.register_buffer("place", torch.zeros(context, dtype=torch.float64))
        self.register_buffer("size", torch.ones(context, dtype=torch.float64))

    def learn(self, context: Tensor) -> None:
        """Learn the place and the size of the training data's context [N, c]."""
        place, size, _ = standard_of(context)
        dummy = ((context == 0) | (context == 1)).all(0)
        self.place.copy_(place.masked_fill(dummy, 0.0))
        self.size.copy_(size.masked_fill(dummy, 1.0))

    def forward(self, context: Tensor) -> Tensor:
        z = ((context - self.place) / self.size).clamp(-FAR, FAR)
        return super().forward(z.to(self.weight.dtype))


def given_by(context: int, units: int, driven: bool) -> nn.Linear:
    """A `Given`; or, where a context is another network's units, a plain linear map of them.

    Units are of size one already, and what is learnt of a user's context is not of them.
    """
    return nn.Linear(context, units, bias=False) if driven else Given(context, units)


def learn_contexts(network: nn.Module, context: Tensor) -> None:
    """Let every part of a network that a context enters learn its place and size.

    Args:
        network: the network.
        context: of the training data, [N, c] or [N, T, c]; its last numbers are the inputs where
            the first are something else (a scale).
    """
    for part in network.modules():
        if isinstance(part, Given):
            part.learn(context[..., -part.in_features :].flatten(0, -2))
