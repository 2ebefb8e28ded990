"""PianoRoll: frames of notes by one small network for every note."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from arproc.contract.sequences import Sequences
from arproc.errors import DataError, check_integer
from arproc.models.neural.sequences.element_law import ElementLaw
from arproc.models.neural.sequences.element_process import ElementProcess
from arproc.models.neural.sequences.elements import RollElement
from arproc.models.neural.sequences.roll_network import RollNetwork
from arproc.models.neural.vectors.tied import TiedFrames
from arproc.process import Fit
from arproc.spaces import BinaryVector, Space
from arproc.training import Training

__all__ = ["PianoRoll"]


class PianoRoll(ElementProcess):
    r"""Polyphonic music: frames [T, keys] of the notes that sound at a time.

    Every key has the same network, which sees the last frames and the lower keys of this one at
    their distance from its own (tied parallel networks, Johnson 2017), so that what is learnt of
    a chord or a step is known in every octave and key; of the pitch itself there is only what is
    added to each key's units. The chain rule runs from the lowest key of a frame to the highest:
    the likelihood is exact, in nats a piece. The neighbours in a frame must be neighbours in
    pitch; for other vectors of zeros and ones take `RNN`.

    Within a frame that is the chain rule of an RNN-NADE (Boulanger-Lewandowski, Bengio and Vincent
    2012). It sees `order` frames, the pitch classes
    of the last fifteen or so, and, since music repeats itself, the frame that followed when the
    piece last went as it does now, `memory` frames back at most. A clock can be given with each
    frame as covariates.

    Args:
        order: how many frames before it are seen.
        reach: how many keys to either side are seen in each.
        octave: how many keys make an octave.
        width: how many units each key has in each of two layers.
        memory: how many frames back a repeated passage is looked for; 0 for not at all.
        block: how many frames a training stretch has; None takes 24.
        dropout: the share of units that is dropped in training; a third of it of the notes heard.
        conditioned: whether each piece is conditioned on a vector: `context` [N, c].
        classes: how many labels there are, where it is conditioned on its label: `context` [N].
        covariates: whether each frame is conditioned on what is known of it beforehand, such as
            the beat: `context` [N, T, c].
        training: how it is trained. Its `augment` gets pieces of sequences [n, T, keys].

    Example:
        >>> import numpy as np
        >>> import arproc
        >>> scale = np.eye(24)[np.array([0, 2, 4, 5, 7, 9, 11, 12] * 20)]  # a note a frame
        >>> training = arproc.Training(steps=60, batch_size=8, lr=0.02)
        >>> model = arproc.PianoRoll(order=2, reach=12, width=8, training=training).fit([scale])
        >>> bool(model.log_prob([scale[:40]]) / 40 > -1.0)
        True
    """

    no_missing = (
        "PianoRoll takes none: a frame is what sounds, and what is seen of a frame that was not "
        "recorded has no closed form. Pass the pieces between the gaps as a list."
    )

    law_: ElementLaw
    network_: RollNetwork

    #: Of `ElementProcess`: all elements are frames.
    head, tokens, end, scaling = "nade", None, None, None
    components, min_scale = 1, 0.0

    def __init__(
        self,
        order: int = 8,
        reach: int = 18,
        octave: int = 12,
        width: int = 96,
        memory: int = 256,
        *,
        block: int | None = None,
        dropout: float = 0.0,
        conditioned: bool = False,
        classes: int | None = None,
        covariates: bool = False,
        training: Training | None = None,
    ) -> None:
        self.order = order
        self.reach = reach
        self.octave = octave
        self.width = width
        self.memory = memory
        self.block = block
        self.dropout = dropout
        self.conditioned = conditioned
        self.classes = classes
        self.covariates = covariates
        self.training = training

    @property
    def _lead(self) -> int:  # type: ignore[override]
        return max(2 * self.order, self.memory)

    def _infer_space(self, data: Any) -> Space:
        for name in ("order", "octave", "width"):
            check_integer(name, getattr(self, name), minimum=1)
        for name in ("reach", "memory"):
            check_integer(name, getattr(self, name), minimum=0)
        self._check_elements()
        space = self._element_space(data)
        if not isinstance(space, BinaryVector):
            raise DataError(
                f"data are {space.describe()} elements; expected frames of zeros and ones, "
                "[T, keys] or a list of them."
            )
        return space

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> tuple[ElementLaw, Fit]:
        keys = sequences.space.event_shape[0]

        def build(size: int) -> RollNetwork:
            frames = TiedFrames(
                keys, self.order, self.reach, self.octave, self.width, float(self.dropout),
                recalls=self.memory > 0,
            )  # fmt: skip
            return RollNetwork(RollElement(frames), memory=self.memory, context=size)

        return self._learnt_elements(build, sequences, validation, context)
