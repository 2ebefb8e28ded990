"""WaveNet: dilated causal convolutions over the samples of a waveform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from arproc.contract.sequences import Sequences
from arproc.data.arrays import to_tensor
from arproc.errors import DataError, ParameterError, check_choice, check_flag, check_integer
from arproc.models.neural.base import NeuralProcess
from arproc.models.neural.waves.crops import Crop, WaveCrops
from arproc.models.neural.waves.law import WaveNetLaw
from arproc.models.neural.waves.network import WaveNetwork
from arproc.process import Fit
from arproc.spaces import Ordinal, Space
from arproc.training import Objective, Training, seed_of

__all__ = ["WaveNet"]

_STREAM = 3
_HEADS = ("categorical", "discretised_logistic")
_MOST_LEVELS = 2**16
#: How many layers may be: beyond this neither queues nor dilations are of any use.
_MOST_LAYERS = 1000


class WaveNet(NeuralProcess):
    r"""Dilated causal convolutions over ordered levels: the codes of a waveform's samples.

    A layer reads its input at `kernel` places that lie d steps apart, and d is 1, 2, 4 ... and 1
    again after `cycle` layers, so what a sample depends on grows exponentially with the layers.
    Each is gated, :math:`\tanh(W_f * x + V_f c) \odot \sigma(W_g * x + V_g c)`, adds to the next
    one's input and to the sum from which the sample's distribution comes (van den Oord et al.
    2016). The likelihood is the mass of the codes, so `arproc.evaluate` and `compare` give bits a
    sample. Queues of each layer's last inputs make one more sample cost one pass through the
    layers (Paine et al. 2016).

    Sequences are streams of any length: `log_prob` of T samples is that of all sounds that begin
    so. `arproc.audio` reads sound files and makes codes of waveforms.

    Args:
        layers: how many layers.
        width: features that go from layer to layer.
        kernel: how many inputs a layer reads, 2 or more.
        cycle: after how many layers the dilations begin again.
        skip: features of the sum over layers and of the hidden layer behind it; None takes
            `width`.
        head: the distribution of a sample: "categorical", a softmax over the levels, or
            "discretised_logistic", a mixture of `components` over ordered levels.
        levels: how many levels a sample has, 0 ... levels-1: 256 codes of 8 bits.
        components: how many components a mixture has.
        block: how many terms a stretch has that training draws from inside a sequence.
        conditioned: True where each sequence is conditioned on a vector: `context` [N, c] in every
            call that takes data. "steps" where each *sample* is: `context` [N, T, c], features
            such as a spectrum's brought to the rate of the samples (`arproc.audio.upsampled`);
            those of steps to come are not seen, unless you put them into the vector.
        classes: how many classes there are, where each sequence is conditioned on its label
            (speaker, word): `context` is then the labels [N], 0 ... classes-1.
        training: how it is trained.

    Example:
        >>> import arproc, numpy as np
        >>> wave = np.sin(2 * np.pi * np.arange(400) / 20)
        >>> codes = arproc.audio.encode(wave, levels=16)
        >>> model = arproc.WaveNet(4, 8, levels=16, block=64,
        ...                        training=arproc.Training(steps=60, batch_size=4, lr=0.01))
        >>> model.fit(codes).sample(2, length=30, seed=0).shape
        (2, 30)
        >>> bool(arproc.evaluate(model, codes).bits_per_element < 2)      # of 4
        True
    """

    conditioned: bool | str  # type: ignore[assignment]

    law_: WaveNetLaw
    network_: WaveNetwork

    def __init__(
        self,
        layers: int = 20,
        width: int = 32,
        *,
        kernel: int = 2,
        cycle: int = 10,
        skip: int | None = None,
        head: str = "categorical",
        levels: int = 256,
        components: int = 10,
        block: int = 2048,
        conditioned: bool | str = False,
        classes: int | None = None,
        training: Training | None = None,
    ) -> None:
        self.layers = layers
        self.width = width
        self.kernel = kernel
        self.cycle = cycle
        self.skip = skip
        self.head = head
        self.levels = levels
        self.components = components
        self.block = block
        self.conditioned = conditioned
        self.classes = classes
        self.training = training

    @property
    def receptive_field_(self) -> int:
        """How many samples before it a sample depends on."""
        return self.law_.network.receptive

    # ---- space and context --------------------------------------------------------------------

    @property
    def context_kind(self) -> Literal["static", "steps"] | None:  # type: ignore[override]
        return "steps" if self.conditioned == "steps" else super().context_kind

    def _infer_space(self, data: Any) -> Space:
        self._check()
        _refuse_waveforms(data)
        return Ordinal(levels=self.levels)

    def _check(self) -> None:
        if self.conditioned != "steps":
            check_flag("conditioned", self.conditioned)
        elif self.classes is not None:
            raise ParameterError(
                'classes says that the context is a label of the sequence, conditioned="steps" '
                "that it is a vector of each sample; use one of them (a label of the whole may "
                "stand in the vector of each sample)."
            )
        self._check_context_parameters()
        for name in ("layers", "width", "cycle", "components", "block"):
            check_integer(name, getattr(self, name), minimum=1)
        check_integer("kernel", self.kernel, minimum=2)
        check_integer("levels", self.levels, minimum=2)
        if self.skip is not None:
            check_integer("skip", self.skip, minimum=1)
        check_choice("head", self.head, _HEADS)
        for name, most in (("layers", _MOST_LAYERS), ("cycle", 20), ("levels", _MOST_LEVELS)):
            if getattr(self, name) > most:
                raise ParameterError(f"{name} must be {most} at most; got {getattr(self, name)}.")

    # ---- learning -----------------------------------------------------------------------------

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> tuple[WaveNetLaw, Fit]:
        for held, name in ((sequences, "data"), (validation, "validation")):
            if held is not None and not len(held.values):
                raise DataError(f"{name} is empty: none of its sequences has an element.")
        form, settings = self._learnt_form(context), self._settings
        dilations = tuple(2 ** (i % self.cycle) for i in range(self.layers))
        receptive = 1 + (self.kernel - 1) * sum(dilations)
        crops = WaveCrops(sequences, self.block, receptive, self.levels)

        def build() -> WaveNetwork:
            return WaveNetwork(
                self.levels,
                dilations=dilations,
                width=self.width,
                skip=self.skip or self.width,
                kernel=self.kernel,
                components=self.components if self.head == "discretised_logistic" else 0,
                context=0 if form is None else form.size or 0,
            )

        def objective(network: WaveNetwork) -> Objective:
            score = None
            if validation is not None:
                score = _score(network, validation, self.block, settings)
            return Objective(
                lambda _, generator: crops(settings.batch_size, generator),
                lambda crop, _: _loss(network, crop, context),
                Crop.terms,
                validation=score,
            )

        epoch = -(-crops.pieces // settings.batch_size)
        network, fit = self._trained(build, sequences.given(context), objective, epoch=epoch)
        return WaveNetLaw(network, sequences.space, form), fit


def _refuse_waveforms(data: Any) -> None:
    """Raise `DataError` for what looks like a waveform rather than its codes."""
    first = data[0] if isinstance(data, (list, tuple)) and data else data
    kind = getattr(getattr(first, "dtype", None), "kind", None)
    if kind != "f":
        return
    x = to_tensor(first, "data")
    if x.numel() and bool((x != x.floor()).any()) and bool(x.abs().max() <= 1):
        raise DataError(
            "data are real numbers between -1 and 1, as a waveform's samples are; expected its "
            "codes. Make them by arproc.audio.encode(data), and waveforms of codes by decode."
        )


def _score(
    network: WaveNetwork, held_out: Sequences, block: int, settings: Training
) -> Callable[[], float]:
    """The mean loss on a fixed set of stretches of the validation data."""
    generator = torch.Generator().manual_seed(seed_of(settings.seed, _STREAM))
    crops = WaveCrops(held_out, block, network.receptive, network.levels)
    batches = min(-(-crops.pieces // settings.batch_size), settings.validation_batches)
    drawn = [crops(settings.batch_size, generator) for _ in range(batches)]

    def score() -> float:
        total = terms = 0.0
        for crop in drawn:
            kept = int(crop.counted.sum())
            total += float(_loss(network, crop, held_out.context)) * kept
            terms += kept
        return total / terms

    return score


def _loss(network: WaveNetwork, crop: Crop, context: Tensor | None) -> Tensor:
    """Mean nats a term."""
    device = network.start.device
    if context is not None:
        rows = crop.rows.to(context.device)
        context = context[rows]
        if context.ndim == 3:
            step = crop.first[:, None] + torch.arange(crop.inputs.shape[1])
            step = step.clamp(max=context.shape[1] - 1).to(context.device)
            context = context.gather(1, step[..., None].expand(-1, -1, context.shape[2]))
        context = context.to(device)
    parameters = network(crop.inputs.to(device), context)
    with torch.autocast(device.type, enabled=False):  # probabilities are never rounded
        counted = crop.counted.to(device)
        found = network.values.log_prob(
            parameters[counted].float(), crop.targets.to(device)[counted]
        )
        return -found.mean()
