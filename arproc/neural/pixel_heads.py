"""From a pixel's features to the distributions of its channels, each given those before it."""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution

from arproc.distributions import Categorical
from arproc.neural.blocks import MaskedLinear
from arproc.neural.heads import Head

__all__ = ["ChannelHead", "LevelHead", "PixelHead"]

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

    def encode(self, x: Tensor, first: int = 0) -> Tensor:
        if self.channels > 1:
            return F.one_hot(x.long(), self.levels).flatten(-2).to(torch.get_default_dtype())
        return (2 * x / (self.levels - 1) - 1).to(torch.get_default_dtype())

    def distribution(self, parameters: Tensor) -> Distribution:
        return Categorical(parameters)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        found = -F.cross_entropy(parameters.flatten(0, -2), x.long().flatten(), reduction="none")
        return found.reshape(x.shape)


class PixelHead(nn.Module):
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
        return self.values.finish(raw.reshape(*shape, self.channels, -1))

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
            known = self.values.encode(x.reshape(-1, c)).reshape(*x.shape[:-1], -1)
            hidden = hidden + F.linear(known, self.earlier.weight[own, : known.shape[-1]])
        raw = torch.matmul(F.relu(hidden), self.weight[c]) + self.bias[c]
        return self.values.distribution(self.values.finish(raw))
