"""Stretches: the pieces of sequences of any elements that a recurrent network is trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from arproc.contract.sequences import Sequences
from arproc.errors import DataError
from arproc.models.neural.sequences.crops import Crops, Places
from arproc.spaces import BinaryVector, check_values
from arproc.training import Augmentation, Training, seed_of

__all__ = ["Stretch", "Stretches"]

_STREAM_AUGMENT = 7


class Stretch(NamedTuple):
    """Some pieces of sequences, each with the element before it.

    Attributes:
        x: elements [n, 1 + T, *event], the first being the one before the piece.
        fresh: where nothing before the piece is known, bool [n]; then `x[:, 0]` says nothing.
        counted: which of the T terms are scored, bool [n, T].
        context: of the pieces [n, c], or of their terms [n, T, c]; or None.
        rows: which sequences they are of, int64 [n].
    """

    x: Tensor
    fresh: Tensor
    counted: Tensor
    context: Tensor | None
    rows: Tensor

    def terms(self) -> int:
        """How many terms are scored."""
        return int(self.counted.sum())


class Stretches:
    """Random stretches of `block` consecutive terms, drawn as `Crops` are.

    Where there are several pieces of frames, each begins where it begins: none is taken for a
    part of a longer one of which nothing before is known, as streams are.

    With `given` first elements, which are not scored, a stretch has these before its terms and
    begins at them: it is a series of its own, wherever in its sequence it lies. With `lead`, a
    stretch from within a sequence has that many elements before its terms, which are not scored
    either: they fill the memory of a network that could not do without. No stretch has more than
    `block` terms that are scored.

    Args:
        sequences: the data.
        context: [N, c] or [N, T, c], or None.
        block: how many terms are scored at most.
        given: how many elements before them are given.
        settings: the seed, and what changes the pieces of each batch.
        lead: how many more stand before those of a stretch from within a sequence.

    Example:
        >>> from arproc.spaces import Real
        >>> sequences = Sequences.of([[0.0, 1.0, 2.0, 3.0, 4.0]], Real())
        >>> stretches = Stretches(sequences, None, block=2, given=1, settings=Training())
        >>> piece = stretches(4, torch.Generator().manual_seed(0))
        >>> piece.x.shape, piece.counted[0].tolist(), bool(piece.fresh.all())
        (torch.Size([4, 4]), [False, True, True], True)
    """

    def __init__(
        self,
        sequences: Sequences,
        context: Tensor | None,
        block: int,
        given: int,
        settings: Training,
        lead: int = 0,
    ) -> None:
        self.space, self.given, self.lead = sequences.space, given, lead
        self.block, self.width = block, given + lead + block
        self.settings, self.context = settings, context
        self.crops = Crops(sequences, given + block)
        # one series is cut out of a longer one, several pieces of music begin where they begin
        whole = isinstance(sequences.space, BinaryVector) and len(sequences) > 1
        self.unknown = self.crops.stream and not whole
        augment = settings.augment
        if isinstance(augment, Augmentation):
            longest = int(sequences.lengths.max())
            augment.check((len(sequences), longest, *self.space.event_shape))

    @property
    def count(self) -> int:
        """How many stretches hold all terms."""
        terms = (self.crops.terms - self.given).clamp(min=0)
        return int(terms.double().div(self.block).ceil().sum())

    def __call__(self, n: int, generator: torch.Generator) -> Stretch:
        """Draw n stretches, by the generator's next numbers."""
        return self.read(self.crops.draw(n, generator))

    def draw(self, n: int, generator: torch.Generator) -> Places:
        """Where n stretches begin."""
        return self.crops.draw(n, generator)

    def lengths_of(self, places: Places) -> Tensor:
        """How many terms the stretches there have, int64 [n]."""
        return self.crops.lengths_of(places)

    def read(self, places: Places) -> Stretch:
        """The stretches that begin there."""
        row, first = places.rows, places.first
        unknown = places.unknown & self.unknown
        begin = torch.where(unknown, first, (first - self.lead).clamp(min=0))
        fresh = (begin == 0) | unknown | bool(self.given)
        x, counted = self._read(row, begin)
        term = begin[:, None] + torch.arange(counted.shape[1])
        counted &= (term >= first[:, None]) & (term < first[:, None] + self.given + self.block)
        return Stretch(x, fresh, counted, self._context_of(row, begin, counted.shape[1]), row)

    def augmented(self, drawn: Stretch, step: int) -> Stretch:
        """The same as `Training(augment=)` changes it in a step of the training."""
        if self.settings.augment is None:
            return drawn
        return drawn._replace(x=self._augmented(drawn.x, drawn.rows, step))

    def _read(self, row: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        crops = self.crops
        width = min(self.width, int(crops.terms[row].max()))
        term = first[:, None] + torch.arange(-1, width)
        place = (crops.begins[row][:, None] + term).clamp(0, max(len(crops.values) - 1, 0))
        x = crops.values[place].to(self.space.dtype)
        outside = (term < 0) | (term >= crops.terms[row][:, None])
        x = x.masked_fill(outside.reshape(*outside.shape, *[1] * (x.ndim - 2)), 0)
        if self.space.terminates:
            ends = term == crops.lengths[row][:, None]
            x = x.masked_fill(ends & ~outside, crops.end)
        counted = ~outside[:, 1:]
        counted[:, : self.given] = False
        return x, counted

    def _context_of(self, row: Tensor, first: Tensor, width: int) -> Tensor | None:
        if self.context is None or self.context.ndim == 2:
            return None if self.context is None else self.context[row]
        step = (first[:, None] + torch.arange(width)).clamp(max=self.context.shape[1] - 1)
        return self.context[row[:, None], step]

    def _augmented(self, x: Tensor, rows: Tensor, step: int) -> Tensor:
        """The pieces as `Training(augment=)` changes them, checked."""
        augment: Callable[..., object] | None = self.settings.augment
        assert augment is not None
        generator = torch.Generator().manual_seed(
            seed_of(self.settings.seed, _STREAM_AUGMENT, step)
        )
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            found = augment(x.clone(), rows, generator)
        found = torch.as_tensor(found) if isinstance(found, np.ndarray) else found
        if not isinstance(found, Tensor) or found.shape != x.shape:
            came = type(found).__name__
            came = f"shape {list(found.shape)}" if isinstance(found, Tensor) else f"a {came}"
            raise DataError(
                f"augment gave {came} for pieces of sequences of shape {list(x.shape)}; expected "
                "a tensor of the same shape."
            )
        found = found.to(torch.uint8) if found.dtype == torch.bool else found
        check_values(found.flatten(0, 1), self.space, "what augment gave")
        return found.detach().cpu().to(self.space.dtype)
