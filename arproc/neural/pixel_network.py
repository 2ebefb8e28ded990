"""A network over images in raster order: whole ones, or what a few more pixels add."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from arproc.neural.gated import GatedStacks
from arproc.neural.pixel_heads import PixelHead
from arproc.neural.raster import Carry, choose

__all__ = ["Memory", "PixelNetwork"]


@dataclass(frozen=True)
class Memory:
    """What the network keeps of the pixels so far; nothing in it is ever written to.

    Attributes:
        row: of the next pixel.
        column: of the next pixel.
        features: of the next pixel, [N, features].
        links: what the row of the next pixel gets from above, layer by layer.
        above: the last rows that the convolutions have read.
        left: the last columns of this row that they have read.
        line: the inputs of this row's pixels so far, [N, K, inputs] each.
        offsets: what the context adds.
    """

    row: int
    column: int
    features: Tensor
    links: list[Tensor]
    above: dict[str, Tensor]
    left: dict[str, Tensor]
    line: tuple[Tensor, ...] = ()
    offsets: list[Any] = field(default_factory=list)

    def pixels(self, columns: int) -> int:
        """How many pixels have been read of images this wide."""
        return self.row * columns + self.column

    def select(self, rows: Tensor) -> Memory:
        """The memory of the images with these numbers."""
        parts = {name: choose(getattr(self, name), rows) for name in _TENSORS}
        return replace(self, **parts)


_TENSORS = ("features", "links", "above", "left", "line", "offsets")


class PixelNetwork(nn.Module):
    """The stacks, and the head that turns a pixel's features into its channels' distributions.

    Args:
        shape: rows, columns and channels of an image.
        stacks: gives the features.
        head: gives the distributions.
    """

    def __init__(self, shape: tuple[int, int, int], stacks: GatedStacks, head: PixelHead) -> None:
        super().__init__()
        self.rows, self.columns, self.channels = shape
        self.pixels = self.rows * self.columns
        self.sites = self.pixels * self.channels
        self.stacks, self.head = stacks, head

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices inside the layers, which Muon trains."""
        return self.stacks.hidden_weights()

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The log-probability of every channel of images x [N, sites] given those before, nats."""
        pixels = x.reshape(len(x), self.rows, self.columns, self.channels)
        features = self.features(pixels, context)
        with torch.autocast(x.device.type, enabled=False):  # probabilities are never rounded
            return self.head.log_prob(features.float(), pixels).reshape(x.shape)

    def features(self, pixels: Tensor, context: Tensor | None = None) -> Tensor:
        """The features [N, H, W, features] of every pixel of whole images [N, H, W, channels]."""
        stacks, inputs = self.stacks, self.head.encode(pixels)
        offsets = stacks.offsets(context)
        links = stacks.first_links(len(pixels), self.columns, offsets)
        if self.rows > 1:
            below = stacks.above(inputs[:, :-1], Carry(1), offsets)
            links = [torch.cat(pair, dim=1) for pair in zip(links, below, strict=True)]
        return stacks.along(_shifted(inputs), links, Carry(2))

    # ---- in parts -----------------------------------------------------------------------------

    def begin(self, n: int, context: Tensor | None) -> Memory:
        """The memory of n images without pixels."""
        offsets = self.stacks.offsets(context)
        links = self.stacks.first_links(n, self.columns, offsets)
        none = links[0].new_zeros((n, self.stacks.features))
        return self._begin_row(Memory(0, 0, none, links, {}, {}, offsets=offsets))

    def read(self, memory: Memory, pixels: Tensor) -> tuple[Tensor, Memory]:
        """Read more pixels [N, P, channels].

        Returns:
            The features [N, P, features] of the pixels that follow each of them (meaningless
            behind the last of an image), and the memory after them.
        """
        inputs, parts = self.head.encode(pixels), []
        while inputs.shape[1]:
            left = inputs.shape[1]
            rows = 0 if memory.column else left // self.columns
            # a row alone is read like a part of one
            count = rows * self.columns if rows > 1 else min(left, self.columns - memory.column)
            read = self._read_rows if rows > 1 else self._read_columns
            features, memory = read(memory, inputs[:, :count])
            parts.append(features)
            inputs = inputs[:, count:]
        if len(parts) == 1:
            return parts[0], memory
        none = memory.features.new_zeros((len(pixels), 0, self.stacks.features))
        return torch.cat([none, *parts], dim=1), memory

    def _read_columns(self, memory: Memory, inputs: Tensor) -> tuple[Tensor, Memory]:
        """Pixels [N, K, inputs] of one row, to its end at most."""
        column = memory.column + inputs.shape[1]
        line = (*memory.line, inputs)
        ends = column == self.columns
        ahead = inputs[:, :-1] if ends else inputs
        features = memory.features.new_zeros((len(inputs), 0, self.stacks.features))
        if ahead.shape[1]:
            carry = Carry(2, memory.left)
            begin = memory.column + 1
            links = [part[:, :, begin : begin + ahead.shape[1]] for part in memory.links]
            features = self.stacks.along(ahead[:, None], links, carry)[:, 0]
            memory = replace(memory, left=carry.after)
        if not ends:
            now = replace(memory, column=column, features=features[:, -1], line=line)
            return features, now
        row = line[0] if len(line) == 1 else torch.cat(line, dim=1)
        memory = self._end_rows(memory, row[:, None])
        return torch.cat([features, memory.features[:, None]], dim=1), memory

    def _read_rows(self, memory: Memory, inputs: Tensor) -> tuple[Tensor, Memory]:
        """Whole rows [N, R W, inputs]."""
        block = inputs.unflatten(1, (-1, self.columns))
        after = self._end_rows(memory, block)
        links = [
            torch.cat([own, below[:, :-1]], dim=1)
            for own, below in zip(memory.links, after.links, strict=True)
        ]
        features = self.stacks.along(_shifted(block), links, Carry(2)).flatten(1, 2)
        # the rows above have told each row what it needs; the last of them goes on
        after = replace(after, links=[part[:, -1:] for part in after.links])
        after = after if after.row == self.rows else self._begin_row(after)
        return torch.cat([features[:, 1:], after.features[:, None]], dim=1), after

    def _end_rows(self, memory: Memory, block: Tensor) -> Memory:
        """After whole rows [N, R, W, inputs]: what they tell those below, one row each."""
        row = memory.row + block.shape[1]
        if block.shape[1] == 1 and row == self.rows:  # there is none below
            return replace(memory, row=row, column=0, line=())
        carry = Carry(1, memory.above)
        links = self.stacks.above(block, carry, memory.offsets)
        none = torch.zeros_like(memory.features)
        memory = Memory(row, 0, none, links, carry.after, {}, offsets=memory.offsets)
        return memory if block.shape[1] > 1 else self._begin_row(memory)

    def _begin_row(self, memory: Memory) -> Memory:
        """The features of a row's first pixel."""
        shape = (len(memory.features), 1, 1, self.head.inputs)
        carry = Carry(2)
        links = [part[:, :, :1] for part in memory.links]
        features = self.stacks.along(memory.features.new_zeros(shape), links, carry)
        return replace(memory, features=features[:, 0, 0], left=carry.after)


def _shifted(inputs: Tensor) -> Tensor:
    """The pixels before those of rows [N, R, W, inputs], zeros before the first of a row."""
    first = inputs.new_zeros((*inputs.shape[:2], 1, inputs.shape[3]))
    return torch.cat([first, inputs[:, :, :-1]], dim=2)
