"""A convolutional network over images whose pixels come in any order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.contract.checked import Array, sentences
from arproc.contract.storable import storable
from arproc.data.form import Layout
from arproc.models.neural.channels import axis_problems
from arproc.models.neural.given import Given
from arproc.models.neural.vectors.agnostic import AgnosticNetwork
from arproc.models.neural.vectors.agnostic_law import AgnosticLaw
from arproc.models.neural.vectors.heads import Head
from arproc.spaces import Space

__all__ = ["AgnosticImageLaw", "AgnosticImageNetwork"]

#: How many features are in memory at once while whole images are scored.
_NUMBERS = 2**24


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


class AgnosticImageNetwork(AgnosticNetwork):
    """Convolutions over what is known of an image, and over which of it is known.

    An order-agnostic law (Uria, Murray and Larochelle 2014; Hoogeboom et al. 2022, ARDM): one
    network tells all pixels that are not known, each as if it came next. What is known is the
    values of all elements in raster order, zeros where unknown, and which are known, [N, 2 sites].

    Args:
        shape: rows, columns and channels of an image.
        head: what the outputs say of an element.
        layers: gated layers after the first.
        width: features of each.
        kernel: theirs, odd.
        first_kernel: that of the first layer, odd.
        context: how many numbers each image is conditioned on; they reach every gate.
    """

    knows_orders = takes_any_order = True
    place: Annotated[Tensor, Array("sites", kind="int64", low=0)]

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
        super().__init__()
        self.rows, self.columns, self.channels = shape
        self.sites, self.width, self.values = math.prod(shape), width, head
        # of each site, in the order of generation, its place in raster order
        self.register_buffer("place", torch.arange(self.sites))
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

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit together; see `NeuralLaw.problems`."""
        places = sorted(self.place.tolist())
        yield from sentences(
            (places != list(range(self.sites)), "the places of the sites are no permutation"),
        )

    def reordered(self, order: Sequence[int]) -> dict[str, Tensor]:
        tensors = dict(self.named_parameters()) | dict(self.named_buffers())
        tensors["place"] = self.place[list(order)]
        return tensors

    # ---- what is known ------------------------------------------------------------------------

    def begin(self, n: int, context: Tensor | None = None) -> Tensor:
        return self.last.weight.new_zeros((n, 2 * self.sites))

    def reveal(self, a: Tensor, x: Tensor, site: int | Tensor) -> Tensor:
        rows = torch.arange(len(a), device=a.device)
        place = self.place[site].expand(len(a))
        value, seen = a[:, : self.sites].clone(), a[:, self.sites :].clone()
        value[rows, place], seen[rows, place] = x.to(a.dtype), 1.0
        return torch.cat([value, seen], dim=1)

    def known(self, x: Tensor, seen: Tensor, context: Tensor | None = None) -> Tensor:
        back = self.place.argsort()
        known = seen.to(self.last.weight.dtype)
        value = torch.where(seen, x.to(known.dtype), 0.0)
        return torch.cat([value[:, back], known[:, back]], dim=1)

    # ---- what follows from it -----------------------------------------------------------------

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

    def at(
        self,
        a: Tensor,
        site: int | Tensor,
        context: Tensor | None = None,
        count: Tensor | None = None,
    ) -> Tensor:
        size = max(1, _NUMBERS // (2 * self.width * self.sites))
        sites = torch.as_tensor(site, device=a.device).expand(len(a))
        parts = []
        for rows in torch.arange(len(a), device=a.device).split(size):
            given = None if context is None else context[rows]
            every = self.every(a[rows], sites[rows], given)
            parts.append(every[torch.arange(len(rows), device=a.device), sites[rows]])
        none = a.new_zeros((0, self.values.outputs))
        return torch.cat(parts) if parts else none

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.along(self.begin(len(x), context), x, 0, context)[0]

    def along(
        self, a: Tensor, x: Tensor, first: int, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        before, count = [a], x.shape[1]
        for k in range(count):
            before.append(self.reveal(before[-1], x[:, k], first + k))
        if not count:
            return a.new_zeros((len(a), 0, self.values.outputs)), a
        inputs = torch.stack(before[:-1], dim=1).flatten(0, 1)
        sites = (first + torch.arange(count, device=a.device)).repeat(len(a))
        given = None if context is None else context.repeat_interleave(count, 0)
        return self.at(inputs, sites, given).unflatten(0, (len(a), count)), before[-1]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class AgnosticImageLaw(AgnosticLaw):
    """The law of images whose pixels come in any order.

    Attributes:
        network: gives the elements' distributions.
        channel_axis: which axis of the user's images holds the channels, or None.
    """

    network: AgnosticImageNetwork
    channel_axis: int | None = None

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        shape, axis = self.layout.shape, self.channel_axis
        channels = 1 if axis is None or axis >= len(shape) else shape[axis]
        sides = tuple(side for i, side in enumerate(shape) if i != axis)
        own = (self.network.rows, self.network.columns, self.network.channels)
        yield from sentences(
            *axis_problems(axis, self.layout),
            ((*sides, channels) != own, f"the images are {list(shape)}, the network for {own}"),
        )
