"""The network behind `WaveNet`: gated layers of dilated causal convolutions, and their queues.

A layer reads what came into it a few steps apart. Of a sequence that is read in parts, the last
inputs of each layer are kept in a queue, so one more sample costs one pass through the layers and
no sample is read twice (Paine et al. 2016).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.contract.checked import sentences
from arproc.contract.storable import StorableModule
from arproc.data.form import Layout
from arproc.models.neural.given import Given
from arproc.models.neural.images.pixel_heads import LevelHead
from arproc.models.neural.images.raster import gated
from arproc.models.neural.vectors.heads import DiscretisedLogisticHead, Head
from arproc.spaces import Space

__all__ = ["SLACK", "DilatedLayer", "WaveNetwork"]

#: How many inputs a queue keeps beyond those that its layer reads, so that states can go back.
SLACK = 65
#: Up to how many levels each has a vector of its own beside its place on the scale.
_EMBEDDED = 1024
# Features keep their size through the layers at first: the half in the hyperbolic tangent (whose
# argument is halved) begins so much larger, and a gate's outputs, of size 0.42 then, are doubled.
_TANGENT, _AFTER_GATE = 3.5, 2.0


class DilatedLayer(nn.Module):
    """One gated layer: `tanh(a / 2) sigmoid(b)` of a causal convolution, and where it goes.

    Args:
        width: features in, and added to them for the next layer.
        skip: features for the sum over layers.
        kernel: how many inputs it reads.
        dilation: how many steps these lie apart.
        context: how many numbers a sequence, or a step, is conditioned on.
        last: whether no layer follows.
        share: of the sum over layers that this one makes at first.
    """

    def __init__(
        self,
        width: int,
        skip: int,
        kernel: int,
        dilation: int,
        context: int,
        last: bool,
        share: float,
    ) -> None:
        super().__init__()
        self.width, self.kernel, self.dilation = width, kernel, dilation
        self.gate = nn.Linear(kernel * width, 2 * width)
        self.out = nn.Linear(width, skip if last else skip + width, bias=False)
        self.given = Given(context, 2 * width) if context else None
        with torch.no_grad():
            size = (3 / self.gate.in_features) ** 0.5
            self.gate.weight.uniform_(-size, size)[:width] *= _TANGENT
            self.gate.bias.zero_()
            size = _AFTER_GATE * (3 / width) ** 0.5
            self.out.weight.uniform_(-size, size)[:skip] *= share

    @property
    def reach(self) -> int:
        """How many inputs before the present one it reads."""
        return (self.kernel - 1) * self.dilation

    def forward(self, x: Tensor, count: int, context: Tensor | None) -> Tensor:
        """The last `count` outputs [N, count, skip (+ width)] for inputs x [N, T, width].

        Args:
            x: at least `count + reach` inputs.
            count: how many outputs there are.
            context: [N, 1, c] or [N, count, c], or None.
        """
        first = x.shape[1] - count - self.reach
        taps = [x[:, first + i * self.dilation :][:, :count] for i in range(self.kernel)]
        z = self.gate(torch.cat(taps, dim=-1))
        if context is not None and self.given is not None:
            z = z + self.given(context)
        found: Tensor = self.out(gated(z))
        return found


class WaveNetwork(StorableModule):
    r"""Samples in, the distribution of the next sample out (van den Oord et al. 2016).

    The input at position 0 is a vector of its own, and that at position j + 1 is of the sample
    :math:`x_j`; before position 0 each layer reads zeros.

    Args:
        levels: how many values a sample has.
        dilations: of the layers, from the first to the last.
        width: features that go from layer to layer.
        skip: features of the sum over layers, and of the hidden layer behind it.
        kernel: how many inputs a layer reads.
        components: how many logistics a mixture has; 0 for a softmax over the levels.
        context: how many numbers a sequence, or a step, is conditioned on; they reach each gate.
    """

    def __init__(
        self,
        levels: int,
        *,
        dilations: tuple[int, ...],
        width: int,
        skip: int,
        kernel: int,
        components: int,
        context: int = 0,
    ) -> None:
        super().__init__()
        self.levels, self.width, self.skip = levels, width, skip
        self.values: Head = (
            DiscretisedLogisticHead(levels, components) if components else LevelHead(levels)
        )
        self.start = nn.Parameter(torch.zeros(width))
        self.scale = nn.Linear(1, width)
        own = levels <= _EMBEDDED
        self.embedding = nn.Parameter(torch.zeros(levels, width)) if own else None
        share = len(dilations) ** -0.5
        self.layers = nn.ModuleList(
            DilatedLayer(width, skip, kernel, d, context, i + 1 == len(dilations), share)
            for i, d in enumerate(dilations)
        )
        self.hidden = nn.Linear(skip, skip)
        self.last = nn.Linear(skip, self.values.outputs)
        start = self.values.bias()
        with torch.no_grad():
            self.last.weight.zero_()
            self.last.bias.zero_() if start is None else self.last.bias.copy_(start)

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit together; see `NeuralLaw.problems`."""
        yield from sentences(
            (space.size != self.levels, f"the network is of {self.levels} levels, the space of "
             f"{space.size}"),
            (any(not 1 <= layer.dilation <= 2**20 for layer in self.stack), "a dilation is out of "
             "range"),
        )  # fmt: skip

    @property
    def stack(self) -> list[DilatedLayer]:
        """The layers."""
        return list(self.layers)  # type: ignore[arg-type]

    @property
    def receptive(self) -> int:
        """How many samples before a sample have a part in its distribution."""
        return 1 + sum(layer.reach for layer in self.stack)

    @property
    def kept(self) -> list[int]:
        """How many inputs of each layer are kept in its queue."""
        return [layer.reach + SLACK for layer in self.stack]

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices inside the layers, which Muon trains."""
        named = self.named_parameters()
        inner = ("gate.weight", "out.weight", "hidden.weight")
        return [weight for name, weight in named if name.endswith(inner)]

    def table(self) -> Tensor:
        """The input of each level, and that of position 0 behind them, [levels + 1, width]."""
        level = torch.arange(self.levels, device=self.start.device)
        place = (2 * level / max(self.levels - 1, 1) - 1).to(self.start.dtype)
        found = self.scale(place[:, None])
        found = found if self.embedding is None else found + self.embedding
        return torch.cat([found, self.start[None]])

    def forward(self, inputs: Tensor, context: Tensor | None = None) -> Tensor:
        """What describes the sample after each input.

        Args:
            inputs: samples from position 0 on, where `levels` stands for the start, [N, T].
            context: [N, c], or [N, T, c] by steps.

        Returns:
            The head's finished parameters, [N, T, outputs].
        """
        x, total = F.embedding(inputs, self.table()), None
        context = by_steps(context)
        for layer in self.stack:
            padded = F.pad(x, (0, 0, layer.reach, 0))
            x, total = self._joined(x, total, layer(padded, x.shape[1], context))
        assert total is not None
        return self.described(total)

    def described(self, total: Tensor) -> Tensor:
        """The head's finished parameters from the sum over layers [..., skip]."""
        raw = self.last(F.relu(self.hidden(F.relu(total))))
        return self.values.finish(raw)

    def feed(self, inputs: Tensor, queue: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Read more inputs [N, K] after those in a queue.

        Args:
            inputs: samples; `levels` stands for the start.
            queue: the last inputs of each layer, the layers one after another, [N, kept, width].
            context: [N, c], or [N, K, c] of these steps.

        Returns:
            The sums over layers [N, K, skip], and each layer's queue followed by its K inputs.
        """
        x, total = F.embedding(inputs, self.table()), None
        context, grown = by_steps(context), []
        for layer, old in zip(self.stack, queue.split(self.kept, dim=1), strict=True):
            joined = torch.cat([old, x], dim=1)
            grown.append(joined)
            x, total = self._joined(x, total, layer(joined, x.shape[1], context))
        assert total is not None
        return total, torch.cat(grown, dim=1)

    def _joined(self, x: Tensor, total: Tensor | None, out: Tensor) -> tuple[Tensor, Tensor]:
        """The next layer's inputs, and the sum over layers so far."""
        skip = out[..., : self.skip]
        total = skip if total is None else total + skip
        return (x + out[..., self.skip :] if out.shape[-1] > self.skip else x), total


def by_steps(context: Tensor | None) -> Tensor | None:
    """A context [N, c] as one of a single step [N, 1, c], which all steps share."""
    return context[:, None] if context is not None and context.ndim == 2 else context
