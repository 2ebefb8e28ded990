"""A convolutional network over images whose pixels come in any order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.contract.checked import sentences
from arproc.contract.storable import storable
from arproc.models.neural.given import Given
from arproc.models.neural.vectors.heads import Head
from arproc.models.neural.vectors.known_sites import KnownSitesLaw, KnownSitesNetwork

__all__ = ["AgnosticImageLaw", "AgnosticImageNetwork"]


class _Block(nn.Module):
    """A gated residual layer that sees all neighbours of a pixel.

    Args:
        width: features in and out.
        kernel: odd.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(width, 2 * width, kernel, padding=kernel // 2)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, offset: Tensor | None) -> Tensor:
        found = self.inner(F.elu(x))
        value, gate = (found if offset is None else found + offset).chunk(2, dim=1)
        return x + self.out(torch.tanh(value) * torch.sigmoid(gate))


class AgnosticImageNetwork(KnownSitesNetwork):
    """Convolutions over what is known of an image, and over which of it is known.

    The user's own order of the elements is the raster order.

    Args:
        shape: rows, columns and channels of an image.
        head: what the outputs say of an element.
        layers: gated layers after the first.
        width: features of each.
        kernel: theirs, odd.
        first_kernel: that of the first layer, odd.
        context: how many numbers each image is conditioned on; they reach every gate.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        head: Head,
        *,
        layers: int,
        width: int,
        kernel: int,
        first_kernel: int,
        context: int = 0,
    ) -> None:
        super().__init__(math.prod(shape), width)
        self.rows, self.columns, self.channels = shape
        self.values = head
        inputs = self.channels * (head.channels + 1) + 3
        self.first = nn.Conv2d(inputs, width, first_kernel, padding=first_kernel // 2)
        self.blocks = nn.ModuleList(_Block(width, kernel) for _ in range(layers))
        self.last = nn.Conv2d(width, self.channels * head.outputs, 1)
        start = head.bias()
        with torch.no_grad():
            self.last.weight.zero_()
            assert self.last.bias is not None
            self.last.bias.copy_(
                torch.zeros_like(self.last.bias) if start is None else start.repeat(self.channels)
            )
        self.given = Given(context, 2 * width * max(layers, 1)) if context else None

    def every(self, a: Tensor, count: Tensor, context: Tensor | None = None) -> Tensor:
        n, shape = len(a), (self.rows, self.columns)
        value, known = a.chunk(2, dim=1)
        seen = known.unflatten(1, (*shape, self.channels))
        encoded = self.values.encode(value).to(a.dtype)
        encoded = encoded.unflatten(1, (*shape, self.channels, -1)) * seen[..., None]
        planes = [encoded.flatten(3), seen, self._frame(n, a)]
        x = self.first(torch.cat(planes, dim=3).permute(0, 3, 1, 2))
        for block, offset in zip(self.blocks, self._offsets(context), strict=True):
            x = block(x, offset)
        raw = self.last(F.elu(x)).permute(0, 2, 3, 1).float()
        raw = raw.reshape(n, self.sites, self.values.outputs)[:, self.place]
        return self.values.finish(raw)

    def _frame(self, n: int, like: Tensor) -> Tensor:
        """Where a pixel lies, and ones, by which layers know the border, [n, H, W, 3]."""
        down, across = (
            torch.linspace(-1, 1, side, dtype=like.dtype, device=like.device)
            for side in (self.rows, self.columns)
        )
        grid = torch.meshgrid(down, across, indexing="ij")
        return torch.stack([*grid, torch.ones_like(grid[0])], dim=-1).expand(n, -1, -1, -1)

    def _offsets(self, context: Tensor | None) -> list[Tensor | None]:
        """What a context [N, c] adds to each layer's gates, [N, 2 width, 1, 1] each."""
        if context is None or self.given is None:
            return [None] * len(self.blocks)
        return list(self.given(context)[..., None, None].split(2 * self.width, dim=1))[
            : len(self.blocks)
        ]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class AgnosticImageLaw(KnownSitesLaw):
    """The law of images whose pixels come in any order, of the network's own size.

    Attributes:
        network: gives the pixels' distributions.
        channel_axis: see `KnownSitesLaw`.
    """

    network: AgnosticImageNetwork

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        shape, axis = self.layout.shape, self.channel_axis
        channels = 1 if axis is None or axis >= len(shape) else shape[axis]
        sides = tuple(side for i, side in enumerate(shape) if i != axis)
        own = (self.network.rows, self.network.columns, self.network.channels)
        yield from sentences(
            ((*sides, channels) != own, f"the images are {list(shape)}, the network for {own}"),
        )
