"""Symbols by the compiled loop and by torch's calls."""

import numpy as np
import pytest
import torch
from torch import distributions as td

from arproc.distributions import Categorical, draw_into, draws, from_uniform
from arproc.errors import DataError


def by_torch(scores, u, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(draws, "_COMPILE_FROM", 10**9)
        return from_uniform(Categorical(scores), u)


@pytest.fixture(autouse=True)
def compiled(monkeypatch):
    monkeypatch.setattr(draws, "_COMPILE_FROM", 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("symbols", [1, 2, 27, 300])
def test_the_loop_draws_what_torch_draws(symbols, dtype, monkeypatch):
    generator = torch.Generator().manual_seed(symbols)
    scores = 3 * torch.randn(200, symbols, generator=generator).to(dtype)
    scores[:, 1:][torch.rand(200, symbols - 1, generator=generator) < 0.3] = -torch.inf
    scores += 1000 * torch.randn(200, 1, generator=generator).to(dtype)  # any level will do
    u = torch.rand(200, dtype=torch.float64, generator=generator)
    expected = by_torch(scores, u, monkeypatch)
    assert torch.equal(from_uniform(Categorical(scores), u), expected)
    assert torch.equal(from_uniform(td.Categorical(logits=scores), u), expected)
    spread = scores[:1].expand(200, symbols)
    assert torch.equal(from_uniform(Categorical(spread), u), by_torch(spread, u, monkeypatch))
    out = np.full((200, 3), -1)
    assert draw_into(Categorical(scores), np.stack([u, u * 0], axis=1), 0, out, 1)
    assert out.tolist() == [[-1, x, -1] for x in expected.tolist()]


def test_extreme_uniforms_stay_inside():
    scores = torch.tensor([[-torch.inf, 0.0, 0.0, -torch.inf]]).expand(2, 4)
    u = torch.tensor([2.0**-53, 1 - 2.0**-53], dtype=torch.float64)
    assert from_uniform(Categorical(scores), u).tolist() == [1, 2]


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_scores_that_are_no_numbers_are_an_error(wrong):
    scores = torch.tensor([[0.0, 1.0], [wrong, 0.0]])
    u = torch.tensor([0.5, 0.5], dtype=torch.float64)
    with pytest.raises(DataError, match="probabilities are not numbers"):
        from_uniform(Categorical(scores), u)
    with pytest.raises(DataError, match="probabilities are not numbers"):
        from_uniform(Categorical(torch.full((2, 3), -torch.inf)), u)


@pytest.mark.parametrize(
    "conditional",
    [
        td.Normal(torch.zeros(2), 1.0),
        Categorical(torch.zeros(2, 3, 4)),
        Categorical(torch.zeros(1, 4)),
        Categorical(torch.zeros(2, 4, dtype=torch.bfloat16)),
        Categorical(torch.zeros(2, 5000)),
    ],
)
def test_other_conditionals_are_left_to_torch(conditional):
    out = np.full((2, 1), -1)
    assert not draw_into(conditional, np.full((2, 1), 0.5), 0, out, 0)
    assert (out == -1).all()


def test_few_draws_do_not_load_the_compiler(monkeypatch):
    monkeypatch.setattr(draws, "_COMPILE_FROM", 2)
    monkeypatch.setattr(draws, "_draws", 0)
    monkeypatch.setattr(draws, "_loop", lambda: pytest.fail("loaded"))
    u = torch.tensor([0.4], dtype=torch.float64)
    for _ in range(2):
        assert from_uniform(Categorical(torch.zeros(1, 3)), u).tolist() == [1]
    with pytest.raises(pytest.fail.Exception, match="loaded"):
        from_uniform(Categorical(torch.zeros(1, 3)), u)
