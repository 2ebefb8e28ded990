"""The lazy Categorical against torch's own, and where it is right and torch's is not."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra.numpy import arrays
from torch import distributions as td

from arproc.distributions import (
    Categorical,
    DiscretisedLogisticMixture,
    as_categorical,
    from_uniform,
    mix,
)
from arproc.errors import UnsupportedError

finite = st.floats(-30, 30)
impossible = st.just(-np.inf)


@st.composite
def scores(draw: st.DrawFn) -> torch.Tensor:
    """Scores [2, K], perhaps some of them impossible, at least one in a row not."""
    k = draw(st.integers(1, 6))
    x = draw(arrays(np.float64, (2, k), elements=finite | impossible))
    x[:, draw(st.integers(0, k - 1))] = draw(finite)
    return torch.from_numpy(x)


@given(x=scores(), shift=st.floats(-1e3, 1e3))
def test_it_is_torchs_with_logits(x, shift):
    ours = Categorical(x + shift)
    theirs = td.Categorical(logits=x, validate_args=False)
    symbols = torch.arange(x.shape[1])[:, None].expand(-1, 2)
    want = theirs.log_prob(symbols)
    # torch clamps impossible symbols; minus infinity is meant and stays
    want = want.masked_fill(x.T.isneginf(), -torch.inf)
    for _ in range(2):  # before and after `logits` are cached
        torch.testing.assert_close(ours.log_prob(symbols), want, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(ours.logits, want.T, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.probs, theirs.probs, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(ours.entropy(), theirs.entropy(), rtol=1e-6, atol=1e-6)
    assert bool((ours.probs.gather(1, ours.mode[:, None])[:, 0] == ours.probs.amax(1)).all())


@given(x=scores(), u=st.lists(st.floats(0, 1, exclude_min=True, exclude_max=True), min_size=2, max_size=2))  # fmt: skip # noqa: E501
def test_a_draw_is_never_impossible(x, u):
    drawn = from_uniform(Categorical(x), torch.tensor(u, dtype=torch.float64))
    assert drawn.dtype == torch.int64
    assert bool(torch.isfinite(x.gather(1, drawn[:, None])).all())


def test_extreme_uniforms_respect_impossible_ends():
    x = torch.tensor([-torch.inf, 0.0, 0.0, -torch.inf])
    for u, want in ((2.0**-53, 1), (1 - 2.0**-53, 2)):
        assert from_uniform(Categorical(x), torch.tensor(u, dtype=torch.float64)) == want


def test_log_prob_broadcasts_as_torchs_does():
    x = torch.randn(3, 1, 5, generator=torch.Generator().manual_seed(0))
    value = torch.tensor([0, 4])
    torch.testing.assert_close(
        Categorical(x).log_prob(value), td.Categorical(logits=x).log_prob(value)
    )
    assert Categorical(x).expand((3, 7)).batch_shape == (3, 7)


def test_torchs_own_tools_work_on_it():
    x = torch.tensor([[0.0, 1.0, -torch.inf], [2.0, 0.0, 0.0]])
    ours, other = Categorical(x), Categorical(torch.zeros(2, 3))
    assert ours.enumerate_support().shape == (3, 2)
    assert ours.support.check(torch.tensor([0, 2])).all()
    want = (ours.probs * (ours.logits - other.logits)).nan_to_num(0).sum(-1)
    torch.testing.assert_close(td.kl_divergence(ours, other), want)
    assert td.Independent(ours, 1).log_prob(torch.tensor([1, 0])).shape == ()
    for shape in ((), (4,), (0,), (2, 3)):
        torch.manual_seed(0)
        assert ours.sample(shape).shape == (*shape, 2)
    torch.manual_seed(0)
    assert int((ours.sample((1000,))[:, 0] == 2).sum()) == 0
    assert "Categorical" in repr(ours)


def test_gradients_are_finite_beside_impossible_symbols():
    x = torch.tensor([[0.3, -torch.inf, 1.2]], dtype=torch.float64, requires_grad=True)
    Categorical(x).log_prob(torch.tensor([2])).sum().backward()
    p = torch.softmax(x.detach(), -1)
    torch.testing.assert_close(x.grad, torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64) - p)


def test_gradients_through_a_mixture_where_all_call_a_symbol_impossible():
    x = torch.tensor([0.3, -0.1, 1.2], dtype=torch.float64, requires_grad=True)
    masked = x.masked_fill(torch.tensor([False, True, False]), -torch.inf)
    halves = torch.tensor([0.5, 0.5]).log()
    mixture = mix([Categorical(masked), Categorical(2 * masked)], halves)
    assert mixture.probs[1] == 0
    mixture.log_prob(torch.tensor(0)).backward()
    assert bool(torch.isfinite(x.grad).all())
    assert x.grad[1] == 0


def test_what_has_finitely_many_values_becomes_categorical():
    logits = torch.tensor([0.5, -2.0])
    bits = as_categorical(td.Bernoulli(logits=logits))
    torch.testing.assert_close(bits.probs[:, 1], torch.sigmoid(logits))
    with pytest.raises(UnsupportedError, match="Normal is not a distribution over finitely many"):
        as_categorical(td.Normal(0.0, 1.0))


def test_moments():
    x = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64).log()
    torch.testing.assert_close(float(Categorical(x).mean), 1.6)
    torch.testing.assert_close(float(Categorical(x).variance), 0.44)


def test_a_discretised_mixture_is_one_over_its_levels():
    rng = torch.Generator().manual_seed(0)
    parts = torch.randn((3, 5, 4), generator=rng, dtype=torch.float64)
    mixture = DiscretisedLogisticMixture(parts[0], 3 + 4 * parts[1], parts[2], levels=7)
    found = as_categorical(mixture)
    levels = torch.arange(7)[:, None].expand(-1, 5)
    torch.testing.assert_close(found.log_prob(levels), mixture.log_prob(levels))
    torch.testing.assert_close(found.mean, mixture.mean)
