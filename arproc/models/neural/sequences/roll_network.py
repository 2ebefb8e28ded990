"""The network behind `PianoRoll`: what sounded lately, as numbers for tied frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from arproc.contract.checked import Array, sentences
from arproc.data.form import Layout
from arproc.models.neural.sequences.element_network import ElementNetwork
from arproc.models.neural.sequences.elements import RollElement
from arproc.spaces import Space

__all__ = ["Heard", "RollNetwork"]

#: The share of what is remembered of the classes that is left after one more frame.
_FADING = 0.93
#: More frames that are as they were say no more.
_LONG = 64


class Heard(NamedTuple):
    """What is remembered of the frames so far.

    Attributes:
        frames: the last ones, [N, back, sites].
        lately: how often each class of sites sounded, the more the later, [N, octave].
        codes: a number for each of the last frames, the same for equal ones, int64 [N, memory];
            0 where there was none.
        runs: how many frames up to each of these are those up to the last one, int64 [N, memory],
            the last one itself left out.
    """

    frames: Tensor
    lately: Tensor
    codes: Tensor
    runs: Tensor


class RollNetwork(ElementNetwork):
    """The last frames, a fading count of their classes, and what followed them before.

    Nothing of it is learnt. With `memory` the passage is looked for that ended with the most of
    the last frames (of equally good ones the latest): the frame that followed it is expected.

    Args:
        element: how frames are described by these.
        memory: how many frames back it is looked for; 0 for not at all.
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
    factors: Annotated[Tensor, Array("element.network.sites", kind="int64")]

    def __init__(self, element: RollElement, *, memory: int = 0, context: int = 0) -> None:
        super().__init__(element, context, False, element.network.width)
        self.memory = memory
        self.back = max(memory, element.network.window - 1)
        generator = torch.Generator().manual_seed(0)
        factors = torch.randint(1, 2**61, (element.network.sites,), generator=generator)
        self.register_buffer("factors", factors)

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit together; see `NeuralLaw.problems`."""
        frames = self.element.network
        yield from sentences(
            (
                self.element.width != frames.sites + frames.width,
                "the inputs have another width than the frames",
            ),
            (
                (frames.faith is None) != (self.memory == 0),
                "a frame is expected without a memory, or remembered for nothing",
            ),
        )

    def begin(self, n: int) -> Heard:
        frames, zeros = self.element.network, self.start.new_zeros
        none = self.factors.new_zeros((n, self.memory))
        return Heard(zeros((n, self.back, frames.sites)), zeros((n, frames.octave)), none, none)

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
        first = self.back + 1 - described.window
        windows = frames[:, first:].unfold(1, described.window, 1).transpose(2, 3).flatten(2)
        parts = [windows, remembered[:, 1:], side]
        codes, runs = memory.codes, memory.runs
        if self.memory:
            codes = torch.cat([codes, self._codes(came)], dim=1)
            at, faith, runs = self._recalled(codes, runs, many, lengths)
            expected = frames[:, -many - self.memory :]
            expected = expected.gather(1, at[..., None].expand(-1, -1, described.sites))
            parts = [expected * faith[..., 1:], windows, remembered[:, 1:], faith, side]
        units = torch.cat(parts, dim=2)
        if lengths is None:
            last = codes[:, codes.shape[1] - self.memory :]
            return units, Heard(frames[:, many:], remembered[:, -1], last, runs)
        rows = torch.arange(len(inputs), device=inputs.device)[:, None]
        kept = lengths[:, None] + torch.arange(self.back, device=inputs.device)
        last = codes[rows, kept[:, : self.memory]]
        return units, Heard(frames[rows, kept], remembered[rows[:, 0], lengths], last, runs)

    def _codes(self, frames: Tensor) -> Tensor:
        """A number above 0 for each of frames [N, K, sites], int64 [N, K]."""
        found = ((frames > 0.5) * self.factors).sum(2)  # modulo 2^64
        return found.masked_fill(found == 0, 1)

    def _recalled(
        self, codes: Tensor, runs: Tensor, many: int, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The passages that end as each of the last `many` frames does.

        Args:
            codes: of the remembered frames and these, [N, memory + many].
            runs: see `Heard`.
            many: how many frames came.
            lengths: of how many of them a row's runs are returned; None for all.

        Returns:
            Where among the last memory + many frames the one stands that followed, [N, many]; two
            numbers for how much speaks for it [N, many, 2], of which the second is 1 where there
            is one; and the runs.
        """
        place = torch.arange(self.memory, device=codes.device)
        best, found = [], runs
        for k in range(many):
            same = codes[:, k : k + self.memory] == codes[:, k + self.memory, None]
            runs = (runs + 1) * same
            best.append((runs * self.memory + place).amax(1))
            if lengths is not None:
                found = torch.where((lengths == k + 1)[:, None], runs, found)
        ranked = torch.stack(best, dim=1)
        longest = (ranked // self.memory).to(self.start.dtype)
        at = ranked % self.memory + torch.arange(1, many + 1, device=codes.device)
        faith = torch.stack(
            [longest.clamp(max=_LONG).log1p(), (longest > 0).to(longest.dtype)], dim=2
        )
        return at, faith, runs if lengths is None else found
