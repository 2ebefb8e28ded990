"""PixelCNN++: two streams at several resolutions, and a mixture of logistics over colours."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from arproc.errors import check_integer
from arproc.models.neural.images.images import ImageProcess
from arproc.models.neural.images.pixel_network import Stacks
from arproc.models.neural.images.raster import Carry, PlaneConv
from arproc.models.neural.images.residual import GatedResidual, Look, rows_above, square

__all__ = ["PixelCNNPP", "PlusStacks"]


@dataclass(eq=False, repr=False)
class PixelCNNPP(ImageProcess):
    """PixelCNN++ (Salimans, Karpathy, Chen and Kingma 2017).

    A law of images in raster order, as `PixelCNN`. One stream of gated residual blocks reads the
    rows above, another one the pixels to the left too; both are taken down to lower resolutions
    and up again, with shortcuts between blocks of the same one, so that a pixel sees far at little
    cost. An upsampled feature is a linear map of the one that covers it, for each of its four
    places. Colours and grey levels come from a mixture of logistics, one component for all of a
    pixel's channels.

    An element is one channel of a pixel, of which the mixture gives the exact conditional. Drawing
    computes each feature of each block once.

    Args:
        blocks: residual blocks of each stream at each resolution, on the way down.
        width: features of each block.
        resolutions: how many resolutions, each of half the rows and columns of the one before.
        head: "discretised_logistic" (the paper's) or "categorical" (a softmax); zeros and ones
            have a Bernoulli law in either case.
        dropout: the share of the blocks' inner features that is dropped in training.
        head_width, levels, components, channel_axis, conditioned, classes, training: as of every
            model of images; see `PixelCNN`.

    Example:
        >>> import arproc, numpy as np
        >>> x = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
        >>> quick = arproc.Training(steps=2, batch_size=4)
        >>> model = arproc.PixelCNNPP(1, 8, resolutions=2, channel_axis="last", training=quick)
        >>> model.fit(x).sample(2, seed=0).shape
        (2, 4, 4, 3)
    """

    blocks: int = 5
    width: int = 160
    _: KW_ONLY
    resolutions: int = 3
    head: str = "discretised_logistic"
    dropout: float = 0.0

    def _check_parameters(self) -> None:
        super()._check_parameters()
        for name in ("blocks", "resolutions"):
            check_integer(name, getattr(self, name), minimum=1)

    def _stacks(self, inputs: int, shape: tuple[int, int], context: int) -> PlusStacks:
        return PlusStacks(
            inputs,
            shape[1],
            width=self.width,
            blocks=self.blocks,
            resolutions=self.resolutions,
            context=context,
            dropout=self.dropout,
        )


class _Links(NamedTuple):
    """What rows get from above at one resolution, [N, R, W, width] each.

    Attributes:
        down: of the blocks on the way down.
        low: at half the resolution; None where no even row is among these.
        up: of the blocks on the way up.
    """

    down: list[Tensor]
    low: Any
    up: list[Tensor]


class _Stream(nn.Module):
    """The blocks of one stream at one resolution, and its ways to the next lower one.

    Args:
        name: under which its convolutions carry.
        width: features.
        blocks: on the way down; there is one more on the way up, where there is a way down.
        kernel: rows and columns of the kernels.
        padding: columns of zeros on either side.
        extra: features of what each block on the way down is given besides.
        lowest: whether there is no lower resolution.
        context: how many numbers each image is conditioned on.
        dropout: the share of the inner features that is dropped in training.
    """

    def __init__(
        self,
        name: str,
        width: int,
        blocks: int,
        kernel: tuple[int, int],
        padding: int,
        extra: int,
        lowest: bool,
        context: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.name = name

        def block(i: int, way: str, given: int) -> GatedResidual:
            return GatedResidual(
                f"{name}.{way}{i}", width, *kernel, extra=given, context=context,
                padding=padding, dropout=dropout,
            )  # fmt: skip

        self.down = nn.ModuleList(block(i, "down", extra) for i in range(blocks))
        count = blocks if lowest else blocks + 1
        self.up = nn.ModuleList(block(i, "up", extra + width) for i in range(count))
        if not lowest:
            self.shrink = PlaneConv(width, width, *kernel, padding=padding, stride=2)
            self.grow = PlaneConv(width, 4 * width)

    def blocks(self) -> list[GatedResidual]:
        """All blocks, in the order of `offsets`."""
        return cast("list[GatedResidual]", [*self.down, *self.up])

    def shrunk(self, x: Tensor, look: Look, carry: Carry) -> Tensor | None:
        """X at its even rows and columns, by the convolution that skips the others; or None."""
        seen = look(f"{self.name}.shrink", x)
        # the first even row and column: those before x are in `seen` too
        seen = seen[:, carry.row % 2 :, (carry.column % 2 if self._looks_left else 0) :]
        rows, columns = self.shrink.kernel
        if seen.shape[1] < rows or seen.shape[2] + 2 * self.shrink.padding < columns:
            return None
        return self.shrink(seen)

    @property
    def _looks_left(self) -> bool:
        return not self.shrink.padding

    def grown(self, low: Tensor | None, x: Tensor, carry: Carry, width: int) -> Tensor:
        """What the lower resolution says at the places of x [N, R, K, width]."""
        grown = None if low is None else self.grow(low)
        rows, columns = x.shape[1:3]
        covered = carry.spread(f"{self.name}.grow", grown, (rows, columns), width)
        n, r, k, four = covered.shape
        fine = (
            covered.view(n, r, k, 2, 2, four // 4)
            .transpose(2, 3)
            .reshape(n, 2 * r, 2 * k, four // 4)
        )
        top, left = carry.row % 2, carry.column % 2
        return fine[:, top : top + rows, left : left + columns]


class PlusStacks(Stacks):
    """PixelCNN++'s layers (Salimans, Karpathy, Chen and Kingma 2017, figure 2).

    One stream reads the rows above; the other reads also the pixels to the left, and at each block
    what the first one found. Both go down to half the rows and columns, `resolutions - 1` times,
    and up again, where each block is given what its counterpart on the way down found. At half
    the resolution a feature stands at an even row and column and sees the pixels before it, so
    it may speak to the four places from there on.

    Args:
        inputs: numbers a pixel.
        columns: of an image.
        width: features of a pixel.
        blocks: residual blocks at each resolution.
        resolutions: how many resolutions.
        context: how many numbers each image is conditioned on.
        dropout: the share of the inner features that is dropped in training.
    """

    def __init__(
        self,
        inputs: int,
        columns: int,
        *,
        width: int,
        blocks: int,
        resolutions: int,
        context: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.features, self.columns, self.resolutions = width, columns, resolutions
        self.rows_in = PlaneConv(inputs, width, 2, 3, padding=1)
        self.up_in = PlaneConv(inputs, width, 1, 3, padding=1)
        self.left_in = PlaneConv(inputs, width, bias=False)

        def streams(kind: str, kernel: tuple[int, int], padding: int, extra: int) -> nn.ModuleList:
            return nn.ModuleList(
                _Stream(
                    f"{kind}{level}", width, blocks, kernel, padding, extra,
                    level == resolutions - 1, context, dropout,
                )
                for level in range(resolutions)
            )  # fmt: skip

        self.rows = streams("rows", (2, 3), 1, 0)
        self.pixels = streams("pixels", (2, 2), 0, width)

    def offsets(self, context: Tensor | None) -> Any:
        return [
            [[block.offset(context) for block in cast("_Stream", stream).blocks()] for stream in s]
            for s in (self.rows, self.pixels)
        ]

    def above(self, x: Tensor, carry: Carry, offsets: Any) -> Any:
        u = self.rows_in(carry.rows("in", x, 1))
        return self.up_in(x), self._rows(0, u, carry, offsets[0])[1]

    def _rows(self, level: int, u: Tensor, carry: Carry, offsets: Any) -> tuple[Tensor, _Links]:
        """The stream of rows from one resolution on: its features, and all of them for `along`."""
        stream, own = cast("_Stream", self.rows[level]), iter(offsets[level])
        look, width = rows_above(carry), self._width(level)
        found, down, up = [u], [], []
        for block in stream.down:
            u = block(u, look, offset=next(own))
            found.append(u)
            down.append(u)
        links = None
        if level + 1 < self.resolutions:
            low = stream.shrunk(u, look, carry)
            if low is not None:
                low, links = self._rows(level + 1, low, carry.halved(), offsets)
            u = stream.grown(low, u, carry, width)
        else:
            u = found.pop()
        for block in stream.up:
            u = block(u, look, found.pop(), next(own))
            up.append(u)
        return u, _Links(down, links, up)

    def along(self, x: Tensor, links: Any, carry: Carry, offsets: Any) -> Tensor:
        first, rows = links
        columns = slice(carry.column, carry.column + x.shape[2])
        h = first[:, :, columns] + self.left_in(x)
        return self._pixels(0, h, rows, carry, offsets[1])

    def _pixels(self, level: int, h: Tensor, links: _Links, carry: Carry, offsets: Any) -> Tensor:
        """The stream of pixels from one resolution on."""
        stream, own = cast("_Stream", self.pixels[level]), iter(offsets[level])
        width = self._width(level)
        look = square(carry, width)
        columns = slice(carry.column, carry.column + h.shape[2])
        found = [h]
        for block, above in zip(stream.down, links.down, strict=True):
            h = block(h, look, above[:, :, columns], next(own))
            found.append(h)
        if level + 1 < self.resolutions:
            low = stream.shrunk(h, look, carry)
            if low is not None:
                low = self._pixels(level + 1, low, links.low, carry.halved(), offsets)
            h = stream.grown(low, h, carry, width)
        else:
            h = found.pop()
        for block, above in zip(stream.up, links.up, strict=True):
            h = block(h, look, torch.cat([above[:, :, columns], found.pop()], dim=-1), next(own))
        return h

    def _width(self, level: int) -> int:
        """How many columns there are at a resolution."""
        return -(-self.columns // 2**level)
