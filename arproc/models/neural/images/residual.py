"""Gated residual blocks of PixelCNN++ and PixelSNAIL, over what a carry lets them see."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.models.neural.given import Given
from arproc.models.neural.images.raster import Carry, PlaneConv, concat_elu

__all__ = ["GatedResidual", "Look", "rows_above", "square", "place"]

#: What a convolution named so sees of a plane: the plane and what came before it.
Look = Callable[[str, Tensor], Tensor]


class GatedResidual(nn.Module):
    r"""`x + a * sigmoid(b)`, a and b from two convolutions (Salimans et al. 2017, section 2.3).

    The activation before each is `concat_elu`. The last convolution starts near zero, so that a
    deep stack begins as the identity.

    Args:
        name: under which its convolutions carry.
        features: of x.
        rows: of the kernels.
        columns: of the kernels.
        extra: features of another plane that is added inside (a shortcut); 0 for none.
        context: how many numbers each image is conditioned on.
        padding: how many columns of zeros stand on either side.
        dropout: the share of the inner features that is dropped in training.
    """

    def __init__(
        self,
        name: str,
        features: int,
        rows: int = 1,
        columns: int = 1,
        *,
        extra: int = 0,
        context: int = 0,
        padding: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.name, self.dropout = name, dropout
        self.first = PlaneConv(2 * features, features, rows, columns, padding=padding)
        self.second = PlaneConv(2 * features, 2 * features, rows, columns, padding=padding)
        self.extra = PlaneConv(2 * extra, features, bias=False) if extra else None
        self.given = Given(context, 2 * features) if context else None
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def offset(self, context: Tensor | None) -> Tensor | None:
        """What a context [N, c] adds before the gate, [N, 1, 1, 2 features]."""
        if context is None or self.given is None:
            return None
        return self.given(context)[:, None, None]

    def forward(
        self, x: Tensor, look: Look, extra: Tensor | None = None, offset: Tensor | None = None
    ) -> Tensor:
        """The block's output for x [N, R, K, features]."""
        c = self.first(concat_elu(look(f"{self.name}.1", x)))
        if self.extra is not None:
            assert extra is not None
            c = c + self.extra(concat_elu(extra))
        if self.training and self.dropout:
            c = F.dropout(c, self.dropout)
        y = self.second(concat_elu(look(f"{self.name}.2", c)))
        a, b = (y if offset is None else y + offset).chunk(2, dim=-1)
        return x + a * torch.sigmoid(b)


def rows_above(carry: Carry) -> Look:
    """Looks one row up, for kernels of two rows."""
    return lambda name, x: carry.rows(name, x, 1)


def square(carry: Carry, width: int) -> Look:
    """Looks one row up and one column to the left, in a plane of this width."""
    return lambda name, x: carry.window(name, x, width)


def place(_: str, x: Tensor) -> Tensor:
    """Looks at each place alone."""
    return x
