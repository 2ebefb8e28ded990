"""Crops: the stretches of sequences that a network of symbols is trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from arproc.contract.sequences import Sequences

__all__ = ["Crops", "IGNORED", "shifted"]

#: The target that the loss leaves out (torch's own default in `cross_entropy`).
IGNORED = -100


class Crops:
    """Random stretches of `block` consecutive terms of some sequences.

    The input of a term is the element before it; that of a sequence's first term is the start
    symbol. A crop is a stretch of terms with these inputs and nothing earlier, so only its first
    input can be the start symbol: exactly where

    - the crop begins at the beginning of its sequence, or
    - (streams only, for half of the crops) what came before is taken to be unknown.

    The law of a stream is thus that of a stretch which begins at any moment, and the start symbol
    says "nothing before this is known". Crops that go without it teach the network what it meets
    further on, when the start has left its window.

    A sequence is drawn in proportion to the crops that it holds, but at least once; within one,
    every place is as likely, save that the first and last `block` terms come up to twice as often.

    Args:
        sequences: of a categorical space; of any, where only `places` is asked for.
        block: how many terms a crop has (fewer where the whole sequence has fewer).

    Attributes:
        start: the start symbol, the number after the last symbol of the space.

    Example:
        >>> from arproc.spaces import Categorical
        >>> sequences = Sequences.of([[0, 1, 0, 1, 0, 1]], Categorical(2), complete=False)
        >>> crops = Crops(sequences, block=3)
        >>> inputs, targets, rows = crops(4, torch.Generator().manual_seed(0))
        >>> inputs.shape, bool((inputs[:, 1:] == targets[:, :-1]).all()), rows.tolist()
        (torch.Size([4, 3]), True, [0, 0, 0, 0])
    """

    def __init__(self, sequences: Sequences, block: int) -> None:
        space = sequences.space
        self.block, self.stream = block, not space.terminates and space.length is None
        self.start: int = space.size or 0
        self.end = 0 if space.end is None else space.end
        self.values = sequences.values.cpu()
        self.begins, self.lengths = sequences.offsets[:-1], sequences.lengths
        self.terms = sequences.n_terms
        self.cumulated = (self.terms.double() / block).clamp(min=1).cumsum(0)

    def __call__(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw n crops.

        Args:
            n: how many.
            generator: of the draws, whose next numbers say which.

        Returns:
            Inputs and targets, int64 [n, at most block], a target being `IGNORED` beyond the end
            of a shorter sequence; and which sequences they are of, int64 [n].
        """
        row, first, fresh = self.places(n, generator)
        inputs, targets = self._read(row, first)
        inputs[fresh, 0] = self.start
        return inputs, targets, row

    def places(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Which crops come next: their sequences, their first terms, and what begins, bool, [n].

        A crop begins where nothing before it is known: at the beginning of its sequence, or, in
        half of those of a stream, anywhere.
        """
        u = torch.rand(3, n, dtype=torch.float64, generator=generator)
        row = torch.searchsorted(self.cumulated, u[0] * self.cumulated[-1], right=True)
        row = row.clamp(max=len(self.terms) - 1)
        room = (self.terms[row] - self.block).clamp(min=0)
        # places before the first and beyond the last one fall on these
        spread = torch.where(room > 0, room + 2 * self.block - 1, 1)
        first = (u[1] * spread).long() - torch.where(room > 0, self.block - 1, 0)
        first = first.clamp(min=0).minimum(room)
        return row, first, (first == 0) | (self.stream & (u[2] < 0.5))

    def _read(self, row: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        width = min(self.block, int(self.terms[row].max()))
        term = first[:, None] + torch.arange(width)
        place = self.begins[row][:, None] + term
        last = len(self.values) - 1
        ends = term == self.lengths[row][:, None]
        targets = self.values[place.clamp(max=last)].long().masked_fill(ends, self.end)
        targets = targets.masked_fill(term >= self.terms[row][:, None], IGNORED)
        before = self.values[(place - 1).clamp(0, last)].long()
        return before.masked_fill(term == 0, self.start), targets


def shifted(x: Tensor, start: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets of whole sequences x [n, T]: the start symbol and all but the last.

    Example:
        >>> inputs, targets = shifted(torch.tensor([[0, 1, 1]]), start=2)
        >>> inputs.tolist(), targets.tolist()
        ([[2, 0, 1]], [[0, 1, 1]])
    """
    targets = x.long()
    first = torch.full_like(targets[:, :1], start)
    return torch.cat([first, targets[:, :-1]], dim=1), targets
