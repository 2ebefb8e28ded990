"""Masked linear maps: blocks of a staircase give what the masked product gives, gradients too."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from arproc.models.neural.vectors.masked_linear import MaskedLinear


def staircase(outputs: int, inputs: int, first: int = 0) -> torch.Tensor:
    """Row i sees the first so many inputs, more from row to row; the last ones are never seen."""
    reach = first + torch.arange(outputs) * (inputs - first - 7) // outputs
    return torch.arange(inputs) < reach[:, None]


LAYERS = {
    "from nothing on": MaskedLinear(staircase(811, 680)),
    "without a bias": MaskedLinear(staircase(740, 750, 9), bias=False),
    "few rows": MaskedLinear(staircase(40, 14_000)),
    "no staircase": MaskedLinear(torch.rand(750, 750) < 0.5),
    "small": MaskedLinear(staircase(500, 600)),
}


def plain(layer: MaskedLinear, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, layer.weight * layer.mask, layer.bias)


def test_only_large_staircases_are_cut():
    assert [len(layer.steps(12)) for layer in LAYERS.values()] == [3, 3, 1, 0, 0]
    assert [len(layer.steps(900)) for layer in LAYERS.values()] == [6, 6, 1, 0, 0]
    assert len(MaskedLinear(staircase(4000, 200)).steps(12)) == 8
    for axis in range(2):
        assert not MaskedLinear(staircase(800, 800).flip(axis)).steps(12)


@pytest.mark.parametrize("vectors", [4, 90])
@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients_are_those_of_the_masked_product(name, vectors):
    layer = LAYERS[name].double()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, vectors, layer.in_features, dtype=torch.float64, generator=generator)
    x.requires_grad_()
    torch.testing.assert_close(layer(x), plain(layer, x))
    wanted = [x, *layer.parameters()]
    found, expected = (
        torch.autograd.grad((f(x) ** 3).sum(), wanted) for f in (layer, lambda x: plain(layer, x))
    )
    torch.testing.assert_close(found, expected)
    assert bool((found[1][layer.mask == 0] == 0).all())
    layer.float()


def test_gradients_of_gradients_and_of_a_few_inputs():
    layer = LAYERS["from nothing on"].double()
    x = torch.randn(6, 680, dtype=torch.float64, requires_grad=True)
    second = []
    for f in (layer, lambda x: plain(layer, x)):
        (first,) = torch.autograd.grad((f(x) ** 3).sum(), x, create_graph=True)
        second.append(torch.autograd.grad(first.square().sum(), [x, layer.weight]))
    torch.testing.assert_close(*second)
    fixed = torch.randn(6, 680, dtype=torch.float64)  # asks for no gradient of its own
    (found,) = torch.autograd.grad(layer(fixed).square().sum(), layer.weight)
    (expected,) = torch.autograd.grad(plain(layer, fixed).square().sum(), layer.weight)
    torch.testing.assert_close(found, expected)
    layer.float()


def test_products_in_bfloat16():
    layer = LAYERS["from nothing on"].float()
    x = torch.randn(6, 680)
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = layer(x), plain(layer, x)
        assert found.dtype == expected.dtype == torch.bfloat16
        (gradient,) = torch.autograd.grad(layer(x).float().square().sum(), layer.weight)
    assert gradient.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
