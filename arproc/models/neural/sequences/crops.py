"""Crops: the stretches of sequences that a network of symbols is trained on."""

from __future__ import annotations

from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from arproc.contract.sequences import Sequences
from arproc.training import Training, seed_of

__all__ = ["BatchesOfCrops", "CropBatch", "Crops", "IGNORED", "shifted"]

#: The target that the loss leaves out (torch's own default in `cross_entropy`).
IGNORED = -100
B_co = TypeVar("B_co", covariant=True)
_STREAM_BUCKET = 10


class CropBatch(NamedTuple):
    """Some crops.

    Attributes:
        inputs: int64 [n, at most block].
        targets: the same size; `IGNORED` beyond the end of a shorter sequence.
        rows: which sequences they are of, int64 [n].
    """

    inputs: Tensor
    targets: Tensor
    rows: Tensor

    def terms(self) -> int:
        """How many targets count."""
        return int((self.targets != IGNORED).sum())


class Places(NamedTuple):
    """Where some crops begin.

    Attributes:
        rows: of which sequences, int64 [n].
        first: at which of its terms, int64 [n].
        unknown: whether the start symbol stands for what came before, bool [n].
    """

    rows: Tensor
    first: Tensor
    unknown: Tensor


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
        sequences: of a categorical space.
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

    def __call__(self, n: int, generator: torch.Generator) -> CropBatch:
        """Draw n crops.

        Args:
            n: how many.
            generator: of the draws, whose next numbers say which.
        """
        return self.read(self.draw(n, generator))

    def draw(self, n: int, generator: torch.Generator) -> Places:
        """Where n crops begin, by the generator's next numbers."""
        u = torch.rand(3, n, dtype=torch.float64, generator=generator)
        row = torch.searchsorted(self.cumulated, u[0] * self.cumulated[-1], right=True)
        row = row.clamp(max=len(self.terms) - 1)
        room = (self.terms[row] - self.block).clamp(min=0)
        # places before the first and beyond the last one fall on these
        spread = torch.where(room > 0, room + 2 * self.block - 1, 1)
        first = (u[1] * spread).long() - torch.where(room > 0, self.block - 1, 0)
        return Places(row, first.clamp(min=0).minimum(room), u[2] < 0.5)

    def read(self, places: Places) -> CropBatch:
        """The crops that begin there."""
        inputs, targets = self._read(places.rows, places.first)
        if self.stream:
            inputs[places.unknown, 0] = self.start
        return CropBatch(inputs, targets, places.rows)

    def lengths_of(self, places: Places) -> Tensor:
        """How many terms the crops there have, int64 [n]."""
        return (self.terms[places.rows] - places.first).clamp(max=self.block)

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


class _Drawn(Protocol[B_co]):
    """What batches are drawn of: `Crops`, and what is drawn as they are."""

    def __call__(self, n: int, generator: torch.Generator) -> B_co: ...
    def draw(self, n: int, generator: torch.Generator) -> Places: ...
    def lengths_of(self, places: Places) -> Tensor: ...
    def read(self, places: Places) -> B_co: ...


class BatchesOfCrops(Generic[B_co]):
    """The crops of each step, a function of the seed and the step.

    With `Training(bucket=k)` the crops of k steps are drawn together, sorted by their lengths and
    cut into k batches of about as many terms, which come in an order of chance: little of a batch
    is padding, and no crop counts for more than another.

    Args:
        crops: what is drawn from.
        settings: batch size, seed, and `bucket`.

    Example:
        >>> from arproc.spaces import Categorical
        >>> rows = [[0] * 2, [0] * 8] * 10
        >>> crops = Crops(Sequences.of(rows, Categorical(2, end_symbol=1)), block=16)
        >>> batches = BatchesOfCrops(crops, Training(batch_size=4, bucket=8))
        >>> sorted({batches(step, None).inputs.shape[1] for step in range(8)})
        [3, 9]
    """

    def __init__(self, crops: _Drawn[B_co], settings: Training) -> None:
        self.crops, self.settings = crops, settings
        self._window: tuple[int, list[Places]] = (-1, [])

    def __call__(self, step: int, generator: torch.Generator) -> B_co:
        bucket = self.settings.bucket
        if bucket == 1:
            return self.crops(self.settings.batch_size, generator)
        window = step // bucket
        if self._window[0] != window:
            self._window = window, self._cut(window)
        return self.crops.read(self._window[1][step % bucket])

    def _cut(self, window: int) -> list[Places]:
        """The places of the batches of a window."""
        bucket, seed = self.settings.bucket, self.settings.seed
        generator = torch.Generator().manual_seed(seed_of(seed, _STREAM_BUCKET, window))
        places = self.crops.draw(bucket * self.settings.batch_size, generator)
        lengths, order = self.crops.lengths_of(places).sort(stable=True)
        ends = torch.linspace(0, float(lengths.sum()), bucket + 1, dtype=torch.float64)[1:-1]
        cuts = torch.searchsorted(lengths.cumsum(0).double(), ends).tolist()
        # every batch has a row: cuts rise, and leave one for each that follows
        for i in range(len(cuts)):
            least = cuts[i - 1] + 1 if i else 1
            cuts[i] = min(max(cuts[i], least), len(order) - (len(cuts) - i))
        parts = order.tensor_split(cuts)
        shuffled = torch.randperm(bucket, generator=generator).tolist()
        return [Places(*(field[parts[k]] for field in places)) for k in shuffled]


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
