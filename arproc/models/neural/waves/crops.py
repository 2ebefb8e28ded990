"""Stretches of sequences that a network with a finite receptive field is trained on, exactly."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from arproc.contract.sequences import Sequences

__all__ = ["Crop", "WaveCrops"]


class Crop(NamedTuple):
    """Stretches of some sequences, padded behind to the length of the longest.

    Attributes:
        inputs: [n, T]; `start` at a sequence's beginning.
        targets: the sample that follows each input, [n, T].
        counted: whether a target is a term of the loss, bool [n, T].
        rows: the sequences, [n].
        first: the place of the first target in its sequence, [n].
    """

    inputs: Tensor
    targets: Tensor
    counted: Tensor
    rows: Tensor
    first: Tensor

    def terms(self) -> int:
        """How many targets count."""
        return int(self.counted.sum())


class WaveCrops:
    """Random stretches whose every term sees all that the law lets it see.

    The first inputs of a stretch that begins inside a sequence are read only, so what is trained
    is the law of whole sequences, whatever the size of the stretches.

    Args:
        sequences: of whole numbers, with their weights.
        block: how many terms a stretch has inside a sequence; one at its beginning has more.
        receptive: how many inputs a term sees, its own included.
        start: the input at position 0.

    Attributes:
        pieces: how many stretches hold all terms.

    Example:
        >>> from arproc.spaces import Ordinal
        >>> sequences = Sequences.of([[0, 1, 2, 3, 4, 5, 6]], Ordinal(7))
        >>> crops = WaveCrops(sequences, block=2, receptive=2, start=7)
        >>> crop = crops(1, torch.Generator().manual_seed(0))
        >>> bool((crop.inputs[:, 1:] == crop.targets[:, :-1]).all()), crop.inputs.shape
        (True, torch.Size([1, 3]))
    """

    def __init__(self, sequences: Sequences, block: int, receptive: int, start: int) -> None:
        self.block, self.receptive, self.start = block, receptive, start
        self.values = sequences.values.cpu()
        self.begins, self.lengths = sequences.offsets[:-1].cpu(), sequences.lengths.cpu()
        over = (self.lengths - self.width).clamp(min=0)
        self._each = 1 + -(-over // block)
        share = self._each.double() * (self.lengths > 0)
        if sequences.weights is not None:
            share = share * sequences.weights.cpu()
        self._cumulated = share.cumsum(0)
        self.pieces = int(self._each[share > 0].sum())

    @property
    def width(self) -> int:
        """How many targets a stretch has at most."""
        return self.receptive - 1 + self.block

    def __call__(self, n: int, generator: torch.Generator) -> Crop:
        """Draw n stretches; the generator's next numbers say which."""
        u = torch.rand(3, n, dtype=torch.float64, generator=generator)
        last = int((self._cumulated < self._cumulated[-1]).sum())
        rows = torch.searchsorted(self._cumulated, u[0] * self._cumulated[-1], right=True)
        rows = rows.clamp(max=last)
        piece = (u[1] * self._each[rows]).long()
        shift = (u[2] * self.block).long()
        first = (piece * self.block - shift).minimum(self.lengths[rows] - self.width)
        return self.read(rows, torch.where(piece > 0, first, 0).clamp(min=0))

    def read(self, rows: Tensor, first: Tensor) -> Crop:
        """The stretches of these sequences [n] from these places [n] on."""
        width = int((self.lengths[rows] - first).clamp(max=self.width).max())
        column = torch.arange(width)
        place = first[:, None] + column
        inside = place < self.lengths[rows][:, None]
        flat = (self.begins[rows][:, None] + place).clamp(max=len(self.values) - 1)
        targets = self.values[flat].long()
        before = self.values[(flat - 1).clamp(min=0)].long()
        inputs = before.masked_fill(place == 0, self.start)
        warm = (first[:, None] > 0) & (column < self.receptive - 1)
        return Crop(inputs, targets, inside & ~warm, rows, first)
