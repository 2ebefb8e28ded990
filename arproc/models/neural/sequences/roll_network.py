"""The network behind `PianoRoll`: what sounded lately, as numbers for tied frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from arproc.contract.checked import sentences
from arproc.data.form import Layout
from arproc.models.neural.sequences.element_network import ElementNetwork
from arproc.models.neural.sequences.elements import RollElement
from arproc.spaces import Space

__all__ = ["Heard", "RollNetwork"]

#: The share of what is remembered of the classes that is left after one more frame.
_FADING = 0.93


class Heard(NamedTuple):
    """What is remembered of the frames so far.

    Attributes:
        frames: the last ones but one window's first, [N, window - 1, sites].
        lately: how often each class of sites sounded, the more the later, [N, octave].
    """

    frames: Tensor
    lately: Tensor


class RollNetwork(ElementNetwork):
    """The last frames and a fading count of their classes: nothing of it is learnt.

    Args:
        element: how frames are described by these.
        context: how many numbers each sequence, or each of its steps, is conditioned on; they
            reach the units of all sites alike.

    Example:
        >>> from arproc.models.neural.vectors.tied import TiedFrames
        >>> element = RollElement(TiedFrames(sites=5, window=2, reach=1, octave=3, width=4))
        >>> network = RollNetwork(element)
        >>> x = element.embed(torch.ones(1, 3, 5), None)
        >>> units, heard = network.run(x, network.begin(1))
        >>> units.shape, heard.frames.shape, heard.lately.shape
        (torch.Size([1, 3, 17]), torch.Size([1, 1, 5]), torch.Size([1, 3]))
    """

    element: RollElement

    def __init__(self, element: RollElement, *, context: int = 0) -> None:
        super().__init__(element, context, False, element.network.width)

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit together; see `NeuralLaw.problems`."""
        frames = self.element.network
        wrong = self.element.width != frames.sites + frames.width
        yield from sentences((wrong, "the inputs have another width than the frames"))

    def begin(self, n: int) -> Heard:
        frames = self.element.network
        return Heard(
            self.start.new_zeros((n, frames.window - 1, frames.sites)),
            self.start.new_zeros((n, frames.octave)),
        )

    def select(self, memory: Heard, rows: Tensor) -> Heard:
        return Heard(*(part[rows] for part in memory))

    def run(
        self, inputs: Tensor, memory: Heard, lengths: Tensor | None = None
    ) -> tuple[Tensor, Heard]:
        described, many = self.element.network, inputs.shape[1]
        came, side = inputs.split((described.sites, described.width), dim=2)
        frames = torch.cat([memory.frames, came], dim=1)
        lately = [memory.lately]
        for classes in described.folded(came).unbind(1):
            lately.append(_FADING * lately[-1] + (1 - _FADING) * classes)
        remembered = torch.stack(lately, dim=1)
        windows = frames.unfold(1, described.window, 1).transpose(2, 3).flatten(2)
        units = torch.cat([windows, remembered[:, 1:], side], dim=2)
        if lengths is None:
            return units, Heard(frames[:, many:], remembered[:, -1])
        rows = torch.arange(len(inputs), device=inputs.device)
        kept = lengths[:, None] + torch.arange(described.window - 1, device=inputs.device)
        return units, Heard(frames[rows[:, None], kept], remembered[rows, lengths])
