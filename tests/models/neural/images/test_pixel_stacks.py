"""What holds for the layers of every model of images: causality, and that parts make the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import assert_close
from torch.nn import functional as F

from arproc.models.neural.images.pixel_heads import ChannelHead, LevelHead
from arproc.models.neural.images.pixel_network import PixelNetwork, Stacks
from arproc.models.neural.images.pixelcnn import GatedStacks
from arproc.models.neural.images.pixelcnnpp import PlusStacks
from arproc.models.neural.images.pixelsnail import SnailStacks, attend
from arproc.models.neural.images.raster import Carry

#: Every kind of layer, for images of this many rows and columns: kind -> makes the stacks
KINDS = {
    "first gated layer": lambda inputs, shape: gated(inputs, 0),
    "gated layers": lambda inputs, shape: gated(inputs, 3),
    "residual blocks": lambda inputs, shape: plus(inputs, shape, 1),
    "two resolutions": lambda inputs, shape: plus(inputs, shape, 2),
    "three resolutions": lambda inputs, shape: plus(inputs, shape, 3),
    "attention alone": lambda inputs, shape: snail(inputs, shape, 0),
    "blocks with attention": lambda inputs, shape: snail(inputs, shape, 1),
}
#: Those whose features see every pixel before, in an image of five by five.
FAR = {k: v for k, v in KINDS.items() if k not in ("first gated layer", "residual blocks")}
FAR["gated layers"] = lambda inputs, shape: gated(inputs, 6)


def gated(inputs: int, layers: int) -> Stacks:
    return GatedStacks(inputs, layers=layers, width=4, kernel=3, first_kernel=5, context=0)


def plus(inputs: int, shape: tuple[int, int], resolutions: int) -> Stacks:
    return PlusStacks(
        inputs, shape[1], width=3, blocks=2, resolutions=resolutions, context=0, dropout=0.0
    )


def snail(inputs: int, shape: tuple[int, int], residuals: int) -> Stacks:
    return SnailStacks(
        inputs, shape, width=4, blocks=2, residuals=residuals, keys=3, values=5, context=0,
        dropout=0.0,
    )  # fmt: skip


def shaken(stacks: Stacks) -> Stacks:
    """Random weights, large enough that every input counts."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in stacks.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) / p.shape[-1] ** 0.5)
    return stacks.double().eval()


def features_of(stacks: Stacks, x: torch.Tensor) -> torch.Tensor:
    """The features [N, H, W, width] of whole images of inputs [N, H, W, inputs]."""
    offsets = stacks.offsets(None)
    links = stacks.above(F.pad(x, (0, 0, 0, 0, 1, 0))[:, :-1], Carry(0, 0), offsets)
    return stacks.along(F.pad(x, (0, 0, 1, 0))[:, :, :-1], links, Carry(0, 0), offsets)


def slopes(stacks: Stacks, shape: tuple[int, int]) -> torch.Tensor:
    """How much each pixel's features [pixels] depend on each pixel [pixels]: the Jacobian."""
    x = torch.randn(1, *shape, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = torch.autograd.functional.jacobian(lambda y: features_of(stacks, y)[0], x)
    return found.abs().sum(dim=(2, 3, 6)).flatten(0, 1).flatten(1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(4, 5), (5, 4), (1, 3)])
def test_the_jacobian_is_zero_from_a_pixel_itself_on(kind, shape):
    stacks = shaken(KINDS[kind](2, shape))
    found = slopes(stacks, shape)
    assert bool((found.triu() == 0).all())
    assert bool((found.diagonal(-1) > 0)[: shape[1] - 1].all())  # the pixel just before it counts


@pytest.mark.parametrize("kind", FAR)
def test_no_pixel_before_is_out_of_sight(kind):
    stacks = shaken(FAR[kind](2, (5, 5)))
    before = torch.ones(25, 25).tril(-1).bool()
    assert bool((slopes(stacks, (5, 5))[before] > 0).all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(4, 5), (5, 4), (1, 6), (6, 1), (7, 8)])
def test_reading_in_parts_of_any_size_gives_the_features_of_the_whole(kind, shape):
    head = ChannelHead(LevelHead(3), 2, 4, 3)
    stacks = KINDS[kind](head.inputs, shape)
    network = PixelNetwork((*shape, 2), shaken(stacks).float(), head)
    rng = np.random.default_rng(3)
    pixels = torch.from_numpy(rng.integers(0, 3, (2, *shape, 2)))
    with torch.no_grad():
        whole, x = network.features(pixels).flatten(1, 2), pixels.flatten(1, 2)
        for most in (2, 7, 20):
            cache, begin = network.start(2, None), 0
            found = [cache.features[:, None]]
            while begin < network.pixels:
                end = min(network.pixels, begin + int(rng.integers(1, most)))
                features, cache = network.read(cache, x[:, begin:end])
                found.append(features)
                begin = end
            assert_close(torch.cat(found, dim=1)[:, :-1], whole, scale=100)


def test_attention_over_parts_is_attention_over_all():
    rng = torch.Generator().manual_seed(0)
    known = torch.randn(2, 9, 7, generator=rng).double()
    query = torch.randn(2, 9, 3, generator=rng).double()
    whole = attend(query, [known], 3)
    scores = (query @ known[..., :3].mT / 3**0.5).masked_fill(
        torch.ones(9, 9).triu(1).bool(), -torch.inf
    )
    assert_close(whole, torch.softmax(scores, -1) @ known[..., 3:])
    assert_close(attend(query[:, 5:], [known[:, :4], known[:, 4:]], 3), whole[:, 5:])
    assert_close(attend(query[:, 8:], [known[:, :4], known[:, 4:]], 3), whole[:, 8:])
