"""A network over images in raster order: whole ones, or what a few more pixels add."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from arproc.contract.checked import sentences
from arproc.contract.storable import StorableModule
from arproc.data.form import Layout
from arproc.models.neural.examples import ExampleNetwork
from arproc.models.neural.images.pixel_heads import PixelHead
from arproc.models.neural.images.raster import Carry, choose
from arproc.spaces import Space

__all__ = ["PixelCache", "PixelNetwork", "Stacks"]


class Stacks(StorableModule):
    """The layers that turn the pixels before a pixel into its features.

    What a pixel sees is read in two steps: whole rows tell the row below them what is above it
    (`above`), and a row reads itself column by column (`along`). Both are told where they are by a
    `Carry`, which also holds what they have read before; so one definition serves whole images in
    training and single pixels in drawing.

    Attributes:
        features: how many features a pixel has.
    """

    features: int

    @abstractmethod
    def offsets(self, context: Tensor | None) -> Any:
        """What a context [N, c] adds in the layers; nested lists of tensors [N, ...] or None."""

    @abstractmethod
    def above(self, x: Tensor, carry: Carry, offsets: Any) -> Any:
        """What rows of pixels tell the row below each.

        Args:
            x: rows [N, R, W, inputs]; zeros stand for the one above the image.
            carry: of the rows before; `carry.row` is the first row that is told.
            offsets: of the context.

        Returns:
            Nested lists of tensors [N, ...], which `along` takes.
        """

    @abstractmethod
    def along(self, x: Tensor, links: Any, carry: Carry, offsets: Any) -> Tensor:
        """The features [N, R, K, features] of the pixels that follow the pixels x in their rows.

        Args:
            x: pixels [N, R, K, inputs]; zeros stand for the one before the first of a row. Either
                whole rows, or a part of one.
            links: what `above` tells these rows.
            carry: of the pixels before; its row and column are those of the first features.
            offsets: of the context.
        """

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices inside the layers, which Muon trains."""
        return [p for p in self.parameters() if p.ndim == 2]


@dataclass(frozen=True)
class PixelCache:
    """What the network keeps of the pixels so far; nothing in it is ever written to.

    Attributes:
        row: of the next pixel.
        column: of the next pixel.
        features: of the next pixel, [N, features].
        upper: the inputs of the row above, [N, 1, W, inputs].
        above: what was carried of the rows above that.
        links: what the row of the next pixel gets from above.
        carried: what is carried once `upper` has been read.
        start: what is carried of the pixels before this row.
        left: what is carried of the pixels before.
        line: the inputs of this row's pixels so far, [N, K, inputs] each.
        offsets: what the context adds.
    """

    row: int
    column: int
    features: Tensor
    upper: Tensor
    above: dict[str, Any]
    links: Any
    carried: dict[str, Any]
    start: dict[str, Any]
    left: dict[str, Any]
    line: tuple[Tensor, ...]
    offsets: Any

    def pixels(self, columns: int) -> int:
        """How many pixels have been read of images this wide."""
        return self.row * columns + self.column

    def select(self, rows: Tensor) -> PixelCache:
        """The cache of the images with these numbers."""
        parts = {k: choose(v, rows) for k, v in vars(self).items() if k not in ("row", "column")}
        return PixelCache(self.row, self.column, **parts)


class PixelNetwork(ExampleNetwork):
    """The stacks, and the head that turns a pixel's features into its channels' distributions.

    Args:
        shape: rows, columns and channels of an image.
        stacks: gives the features.
        head: gives the distributions.
    """

    def __init__(self, shape: tuple[int, int, int], stacks: Stacks, head: PixelHead) -> None:
        super().__init__()
        self.rows, self.columns, self.channels = shape
        self.pixels = self.rows * self.columns
        self.sites = self.pixels * self.channels
        self.stacks, self.head = stacks, head

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit together; see `NeuralLaw.problems`."""
        yield from sentences(
            (self.head.channels != self.channels, "the head is for pixels of other channels"),
            (min(self.rows, self.columns, self.channels) < 1, "the images have no pixels"),
        )

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices inside the layers, which Muon trains."""
        return self.stacks.hidden_weights()

    def loss(self, x: Tensor, context: Tensor | None, generator: torch.Generator) -> Tensor:
        return -self.log_prob(x, context).mean()

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The log-probability of every channel of images x [N, sites] given those before, nats."""
        pixels = x.reshape(len(x), self.rows, self.columns, self.channels)
        features = self.features(pixels, context)
        with torch.autocast(x.device.type, enabled=False):  # probabilities are never rounded
            return self.head.log_prob(features.float(), pixels).reshape(x.shape)

    def features(self, pixels: Tensor, context: Tensor | None = None) -> Tensor:
        """The features [N, H, W, features] of every pixel of whole images [N, H, W, channels]."""
        inputs, offsets = self.head.encode(pixels), self.stacks.offsets(context)
        upper = torch.cat([torch.zeros_like(inputs[:, :1]), inputs[:, :-1]], dim=1)
        links = self.stacks.above(upper, Carry(0, 0), offsets)
        return self.stacks.along(_shifted(inputs), links, Carry(0, 0), offsets)

    # ---- in parts -----------------------------------------------------------------------------

    def start(self, n: int, context: Tensor | None) -> PixelCache:
        """The cache of n images without pixels."""
        like = next(self.parameters())
        upper = like.new_zeros((n, 1, self.columns, self.head.inputs))
        none = like.new_zeros((n, self.stacks.features))
        offsets = self.stacks.offsets(context)
        return self._begin_row(PixelCache(0, 0, none, upper, {}, None, {}, {}, {}, (), offsets))

    def read(self, cache: PixelCache, pixels: Tensor) -> tuple[Tensor, PixelCache]:
        """Read more pixels [N, P, channels].

        Returns:
            The features [N, P, features] of the pixels that follow each of them (meaningless
            behind the last of an image), and the cache after them.
        """
        inputs, parts = self.head.encode(pixels), []
        while inputs.shape[1]:
            left = inputs.shape[1]
            rows = 0 if cache.column else left // self.columns
            # a row alone is read like a part of one
            count = rows * self.columns if rows > 1 else min(left, self.columns - cache.column)
            read = self._read_rows if rows > 1 else self._read_columns
            features, cache = read(cache, inputs[:, :count])
            parts.append(features)
            inputs = inputs[:, count:]
        if len(parts) == 1:
            return parts[0], cache
        none = cache.features.new_zeros((len(pixels), 0, self.stacks.features))
        return torch.cat([none, *parts], dim=1), cache

    def _read_columns(self, cache: PixelCache, inputs: Tensor) -> tuple[Tensor, PixelCache]:
        """Pixels [N, K, inputs] of one row, to its end at most."""
        begin, column = cache.column + 1, cache.column + inputs.shape[1]
        line = (*cache.line, inputs)
        ends = column == self.columns
        ahead = inputs[:, :-1] if ends else inputs
        features = cache.features.new_zeros((len(inputs), 0, self.stacks.features))
        if ahead.shape[1]:
            carry = Carry(cache.row, begin, cache.left)
            found = self.stacks.along(ahead[:, None], cache.links, carry, cache.offsets)
            features = found[:, 0]
            cache = replace(cache, left=carry.after)
        if not ends:
            now = replace(cache, column=column, features=features[:, -1], line=line)
            return features, now
        row = line[0] if len(line) == 1 else torch.cat(line, dim=1)
        cache = self._next_row(cache, cache.row + 1, row[:, None], cache.carried)
        return torch.cat([features, cache.features[:, None]], dim=1), cache

    def _read_rows(self, cache: PixelCache, inputs: Tensor) -> tuple[Tensor, PixelCache]:
        """Whole rows [N, R W, inputs], from the beginning of one."""
        rows = inputs.shape[1] // self.columns
        block = inputs.unflatten(1, (rows, self.columns))
        upper = torch.cat([cache.upper, block[:, :-1]], dim=1)
        carry = Carry(cache.row, 0, cache.above)
        links = self.stacks.above(upper, carry, cache.offsets)
        left = Carry(cache.row, 0, cache.start)
        features = self.stacks.along(_shifted(block), links, left, cache.offsets).flatten(1, 2)
        cache = replace(cache, left=left.after)
        row = cache.row + block.shape[1]
        cache = self._next_row(cache, row, block[:, -1:], carry.after)
        return torch.cat([features[:, 1:], cache.features[:, None]], dim=1), cache

    def _next_row(
        self, cache: PixelCache, row: int, upper: Tensor, above: dict[str, Any]
    ) -> PixelCache:
        """The cache at the beginning of a row, the one above it being `upper`."""
        none = torch.zeros_like(cache.features)
        cache = replace(cache, row=row, column=0, features=none, upper=upper, above=above, line=())
        return cache if row == self.rows else self._begin_row(cache)

    def _begin_row(self, cache: PixelCache) -> PixelCache:
        """What the row gets from above, and the features of its first pixel."""
        carry = Carry(cache.row, 0, cache.above)
        links = self.stacks.above(cache.upper, carry, cache.offsets)
        left = Carry(cache.row, 0, cache.left)
        x = torch.zeros_like(cache.upper[:, :, :1])
        features = self.stacks.along(x, links, left, cache.offsets)[:, 0, 0]
        return replace(
            cache,
            links=links,
            carried=carry.after,
            start=cache.left,
            left=left.after,
            features=features,
        )


def _shifted(inputs: Tensor) -> Tensor:
    """The pixels before those of rows [N, R, W, inputs], zeros before the first of a row."""
    first = torch.zeros_like(inputs[:, :, :1])
    return torch.cat([first, inputs[:, :, :-1]], dim=2)
