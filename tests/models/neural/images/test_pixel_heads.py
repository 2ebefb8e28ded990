"""The laws of a pixel's channels: joint mixtures of logistics, softmaxes, what a channel sees."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from helpers import assert_close
from scipy.special import expit, log_softmax

from arproc.models.neural.images.pixel_heads import ChannelHead, ColourMixtureHead, LevelHead
from arproc.models.neural.vectors.heads import BernoulliHead

HEADS = {
    "bernoulli": lambda channels: ChannelHead(BernoulliHead(), channels, 5, 4),
    "few levels": lambda channels: ChannelHead(LevelHead(4), channels, 5, 4),
    "many levels": lambda channels: ChannelHead(LevelHead(30), channels, 5, 4),
    "mixture": lambda channels: ColourMixtureHead(30, 3, channels, 5),
}


def head_of(kind: str, channels: int) -> torch.nn.Module:
    head = HEADS[kind](channels)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in head.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
    return head.requires_grad_(False)


def pixels(kind: str, channels: int, n: int = 6) -> torch.Tensor:
    levels = {"bernoulli": 2, "few levels": 4}.get(kind, 30)
    x = torch.from_numpy(np.random.default_rng(1).integers(0, levels, (n, channels)))
    return x.float() if kind == "bernoulli" else x


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_channel_alone_is_its_column_of_all(kind, channels):
    head, x = head_of(kind, channels), pixels(kind, channels)
    features = torch.randn(6, 5)
    every = head.log_prob(features, x)
    for c in range(channels):
        assert_close(head.channel(features, x[:, :c]).log_prob(x[:, c]), every[:, c], scale=10)


@pytest.mark.parametrize("kind", HEADS)
def test_a_channel_does_not_see_itself_nor_those_after(kind):
    head, x = head_of(kind, 3), pixels(kind, 3)
    features = torch.randn(6, 5)
    other = x.clone()
    other[:, 1:] = (x[:, 1:] + 1) % 2
    one, two = (head.distribution(features, y).log_prob(x) for y in (x, other))
    assert bool((one[:, :2] == two[:, :2]).all())
    assert bool((one[:, 2] != two[:, 2]).any())


def test_a_pixel_has_the_mass_of_the_joint_mixture():
    """Salimans et al. 2017, equations 2 and 3, written out with NumPy in float64."""
    levels, components = 5, 3
    head = ColourMixtureHead(levels, components, 3, 4).double()
    torch.manual_seed(0)
    torch.nn.init.normal_(head.last.weight)
    features = torch.randn(1, 4, dtype=torch.float64)
    raw = head.last(torch.nn.functional.elu(features)).detach().numpy().reshape(-1, components)
    weights = np.exp(log_softmax(raw[0]))
    scale = (levels - 1) / 2

    def component(x: int, loc: np.ndarray, width: np.ndarray) -> np.ndarray:
        s = np.maximum(np.exp(width) * scale, np.exp(-5))
        upper = expit((x + 0.5 - loc) / s) if x < levels - 1 else 1.0
        lower = expit((x - 0.5 - loc) / s) if x > 0 else 0.0
        return upper - lower

    total = 0.0
    for red, green, blue in itertools.product(range(levels), repeat=3):
        r, g = red / scale - 1, green / scale - 1
        a, b, c = np.tanh(raw[7:10])
        means = raw[1], raw[2] + a * r, raw[3] + b * r + c * g
        parts = [
            component(value, scale + scale * mean, width)
            for value, mean, width in zip((red, green, blue), means, raw[4:7], strict=True)
        ]
        want = float((weights * np.prod(parts, axis=0)).sum())
        total += want
        got = head.log_prob(features, torch.tensor([[red, green, blue]])).sum().exp()
        assert float(got.detach()) == pytest.approx(want, rel=1e-5, abs=1e-9)
    assert total == pytest.approx(1.0)


def test_a_softmax_of_many_levels_sees_the_place_of_a_level_and_one_of_few_the_level():
    assert LevelHead(256).channels == 1
    assert LevelHead(256).encode(torch.tensor([[0, 255]])).tolist() == [[-1.0, 1.0]]
    assert LevelHead(3).encode(torch.tensor([[2, 0]])).tolist() == [[0, 0, 1, 1, 0, 0]]
