"""From a pixel's features to the distributions of its channels, each given those before it."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution

from arproc.contract.checked import sentences
from arproc.contract.storable import StorableModule
from arproc.data.form import Layout
from arproc.distributions import Categorical
from arproc.distributions.logistic import DiscretisedLogisticMixture
from arproc.models.neural.vectors.heads import Head
from arproc.models.neural.vectors.masked_linear import MaskedLinear
from arproc.spaces import Space

__all__ = ["ChannelHead", "ColourMixtureHead", "LevelHead", "PixelHead"]

#: Up to how many levels a softmax's input is one-hot; beyond it is the place on the scale.
_ONE_HOT = 16


class LevelHead(Head):
    """A softmax over the levels 0 ... levels-1 (van den Oord et al. 2016a, section 3.3).

    Args:
        levels: how many levels there are.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = self.outputs = levels
        self.channels = levels if levels <= _ONE_HOT else 1

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        yield from sentences(
            (space.size != self.levels, f"{self.levels} levels are not the space")
        )

    def encode(self, x: Tensor, first: int | Tensor = 0) -> Tensor:
        if self.channels > 1:
            return F.one_hot(x.long(), self.levels).flatten(-2).to(torch.get_default_dtype())
        return (2 * x / (self.levels - 1) - 1).to(torch.get_default_dtype())

    def distribution(self, parameters: Tensor) -> Distribution:
        return Categorical(parameters)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        found = -F.cross_entropy(parameters.flatten(0, -2), x.long().flatten(), reduction="none")
        return found.reshape(x.shape)


class PixelHead(StorableModule):
    """The distributions of a pixel's channels from its features.

    Attributes:
        channels: how many channels a pixel has.
        inputs: how many numbers a pixel is, where it enters the network.
    """

    channels: int
    inputs: int

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Pixels [..., channels] as the network's inputs [..., inputs]."""

    @abstractmethod
    def distribution(self, features: Tensor, x: Tensor) -> Distribution:
        """The distributions of all channels, batch [..., channels].

        Args:
            features: of the pixels, [..., features].
            x: their values [..., channels]; a channel's law depends on those before it.
        """

    @abstractmethod
    def channel(self, features: Tensor, x: Tensor) -> Distribution:
        """The distribution of the next channel, batch [...], from the channels x [..., known]."""

    def log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        """The log-probabilities of the values x [..., channels], nats, float32 or finer."""
        return self.distribution(features, x).log_prob(x)


class ChannelHead(PixelHead):
    """A layer that sees the pixel's features and its earlier channels, then the parameters.

    Splitting every layer's features among the channels (van den Oord et al. 2016a, section 3.2)
    says no more than this does: there, too, a channel sees all pixels before, and the channels
    before it in its own. Here the convolutions are shared, and are computed once a pixel.

    Args:
        values: the distribution of a channel, and how its value enters the network.
        channels: how many channels there are.
        features: how many features a pixel has.
        width: of the layer, for each channel.
    """

    def __init__(self, values: Head, channels: int, features: int, width: int) -> None:
        super().__init__()
        self.values, self.channels, self.width = values, channels, width
        self.inputs = channels * values.channels + 1
        self.first = nn.Linear(features, channels * width)
        before = torch.arange(channels).repeat_interleave(values.channels)
        unit = torch.arange(channels).repeat_interleave(width)
        self.earlier = MaskedLinear(unit[:, None] > before, bias=False) if channels > 1 else None
        start = values.bias()
        start = torch.zeros(values.outputs) if start is None else start
        self.weight = nn.Parameter(torch.zeros(channels, width, values.outputs))
        self.bias = nn.Parameter(start.repeat(channels, 1))

    def encode(self, x: Tensor) -> Tensor:
        flat = self.values.encode(x.reshape(-1, self.channels))
        # a one, which tells a pixel from the border's zeros
        return F.pad(flat, (0, 1), value=1.0).reshape(*x.shape[:-1], self.inputs)

    def parameters_of(self, features: Tensor, x: Tensor) -> Tensor:
        """The finished parameters [..., channels, outputs]; see `distribution`."""
        shape = x.shape[:-1]
        hidden = self.first(F.relu(features)).reshape(-1, self.channels * self.width)
        if self.earlier is not None:
            known = self.values.encode(x.reshape(-1, self.channels))
            hidden = hidden + self.earlier(known)
        hidden = F.relu(hidden).reshape(-1, self.channels, self.width).transpose(0, 1)
        raw = torch.bmm(hidden, self.weight).transpose(0, 1) + self.bias
        return self.values.finish(raw.reshape(*shape, self.channels, raw.shape[-1]))

    def distribution(self, features: Tensor, x: Tensor) -> Distribution:
        return self.values.distribution(self.parameters_of(features, x))

    def log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        return self.values.log_prob(self.parameters_of(features, x), x)

    def channel(self, features: Tensor, x: Tensor) -> Distribution:
        c, width = x.shape[-1], self.width
        own = slice(c * width, (c + 1) * width)
        hidden = F.linear(F.relu(features), self.first.weight[own], self.first.bias[own])
        if c:
            assert self.earlier is not None
            known = self.values.encode(x.reshape(-1, c))
            known = known.reshape(*x.shape[:-1], known.shape[1])
            hidden = hidden + F.linear(known, self.earlier.weight[own, : known.shape[-1]])
        raw = torch.matmul(F.relu(hidden), self.weight[c]) + self.bias[c]
        return self.values.distribution(self.values.finish(raw))


class ColourMixtureHead(PixelHead):
    r"""A mixture of logistics over the ordered levels of a pixel's channels together.

    PixelCNN++'s distribution (Salimans et al. 2017, eq. 2 and 3): one component is chosen for the
    pixel, and a channel's location is linear in the channels before it. So the conditional of a
    channel is a mixture too, whose weights are those of the components after the channels before:
    :math:`w_k \propto \pi_k \prod_{c' < c} P_k(x_{c'} | x_{<c'})`.

    Args:
        levels: how many levels a channel has.
        components: how many components.
        channels: how many channels a pixel has.
        features: how many features a pixel has.
    """

    def __init__(self, levels: int, components: int, channels: int, features: int) -> None:
        super().__init__()
        self.levels, self.components, self.channels = levels, components, channels
        self.inputs = channels + 1
        self.pairs = channels * (channels - 1) // 2
        self.scale = max((levels - 1) / 2, 0.5)
        self.last = nn.Linear(features, components * (1 + 2 * channels + self.pairs))
        nn.init.zeros_(self.last.weight)
        place = 2 * (torch.arange(components) + 0.5) / components - 1
        start = torch.zeros(1 + 2 * channels + self.pairs, components)
        start[1 : channels + 1] = place  # components begin spread over the levels
        start[channels + 1 : 2 * channels + 1] = -math.log(max(components, 2))
        with torch.no_grad():
            self.last.bias.copy_(start.flatten())

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit together; see `NeuralLaw.problems`."""
        yield from sentences(
            (space.size != self.levels, f"{self.levels} levels are not the space")
        )

    def encode(self, x: Tensor) -> Tensor:
        return F.pad(self._scaled(x), (0, 1), value=1.0)

    def distribution(self, features: Tensor, x: Tensor) -> Distribution:
        return self._stacked(features, x, range(self.channels))

    def channel(self, features: Tensor, x: Tensor) -> Distribution:
        found = self._stacked(features, x, range(x.shape[-1], x.shape[-1] + 1))
        return found.map(lambda t: t[..., 0, :])

    def _scaled(self, x: Tensor) -> Tensor:
        """Levels as numbers from -1 to 1."""
        return ((x - (self.levels - 1) / 2) / self.scale).to(torch.get_default_dtype())

    def _stacked(self, features: Tensor, x: Tensor, channels: range) -> DiscretisedLogisticMixture:
        """The distributions of some channels from those before them, batch [..., channels]."""
        raw = self.last(F.elu(features)).unflatten(-1, (-1, self.components))
        sizes = [1, self.channels, self.channels, self.pairs]
        logits, locs, widths, slopes = raw.split(sizes, dim=-2)
        weights, scaled = torch.log_softmax(logits[..., 0, :], dim=-1), self._scaled(x)
        found, pair = [], 0
        for c in range(channels.stop):
            loc = locs[..., c, :]
            for earlier in range(c):
                slope = torch.tanh(slopes[..., pair, :])
                loc, pair = loc + slope * scaled[..., earlier, None], pair + 1
            loc = (self.levels - 1) / 2 + self.scale * loc
            # in levels; a scale far below a bin's width changes nothing but the gradients
            log_scale = (widths[..., c, :] + math.log(self.scale)).clamp(min=-5.0)
            if c in channels:
                found.append((weights, loc, log_scale))
            if c + 1 < channels.stop:
                one = torch.zeros_like(loc)[..., None]
                each = DiscretisedLogisticMixture(
                    one, loc[..., None], log_scale[..., None], self.levels
                )
                weights = weights + each.log_prob(x[..., c, None])
        parts = [torch.stack(part, dim=-2) for part in zip(*found, strict=True)]
        return DiscretisedLogisticMixture(parts[0], parts[1], parts[2], self.levels)
