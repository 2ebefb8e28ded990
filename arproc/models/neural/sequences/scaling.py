"""The scale of each series of a panel, in which a network sees it (DeepAR, Salinas et al. 2020).

A scale is read off the first values of a series, which are then given and not scored, or comes
with the context. One read off the values being scored would be no likelihood.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor

__all__ = ["Scale", "context_scale", "prefix_scale"]


class Scale(NamedTuple):
    """Where zero and one of a series' own unit lie: a value is `place + size * z`.

    Attributes:
        place: float64 [N, 1] of series, or [N, K] of each of their steps.
        size: likewise, above 0.
    """

    place: Tensor
    size: Tensor

    def select(self, rows: Tensor) -> Self:
        """Those of some rows."""
        return type(self)(self.place[rows], self.size[rows])

    def masked(self, chosen: Tensor) -> Self:
        """Those of chosen entries, bool [N, K]: [n]."""
        place, size = (part.expand(chosen.shape)[chosen] for part in self)
        return type(self)(place, size)


def prefix_scale(x: Tensor, counts: bool) -> Scale:
    """The scale of the first values x [N, k] of each series.

    Of real values mean and standard deviation; where all are equal the size is that of their
    mean, or 1. Of counts, which have no place to move, one more than the mean.

    Example:
        >>> prefix_scale(torch.tensor([[1.0, 3.0], [5.0, 5.0]]), counts=False).size.tolist()
        [[1.0], [5.0]]
    """
    x = x.double()
    most = x.abs().amax(1, keepdim=True).clamp(min=1.0)  # so that squares are finite
    if counts:
        return Scale(torch.zeros_like(most), 1.0 + (x / most).mean(1, keepdim=True) * most)
    place = (x / most).mean(1, keepdim=True)
    size = ((x / most) - place).square().mean(1, keepdim=True).sqrt()
    level = place.abs()
    flat = size <= 1e-9 * level
    size = torch.where(flat, torch.where(level > 0, level, 1.0 / most), size)
    return Scale(place * most, size * most)


def context_scale(context: Tensor) -> Scale:
    """The scale that the first number of a context [N, c] or [N, K, c] is: a size about zero."""
    size = context[..., 0].double()
    size = size[:, None] if size.ndim == 1 else size
    return Scale(torch.zeros_like(size), size)
