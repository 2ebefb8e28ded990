"""cdf, quantile and draws from uniforms of every scalar conditional, against scipy."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from distributions.kinds import KINDS, density
from hypothesis import given, settings
from torch import distributions as td

from arproc.contract.randomness import Uniforms
from arproc.distributions import Mixture, atom, cdf, from_uniform, quantile
from arproc.errors import UnsupportedError

F64 = torch.float64
every = pytest.mark.parametrize("name", sorted(KINDS))
unit = st.floats(1e-9, 1 - 1e-9, exclude_min=True, exclude_max=True)


def grid(name: str) -> torch.Tensor:
    """Points [k, 3] over the bulk and the tails of the kind, whole ones where it is discrete."""
    kind = KINDS[name]
    if kind.discrete:
        return torch.arange(-2.0, 60.0, dtype=F64)[:, None].expand(-1, 3)
    q = torch.tensor([1e-6, 1e-3, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999, 1 - 1e-6], dtype=F64)
    return quantile(kind.build(F64), q[:, None].expand(-1, 3))


def expected(name: str, x: torch.Tensor) -> np.ndarray:
    laws = KINDS[name].reference()
    return np.stack([law.cdf(x[:, i].numpy()) for i, law in enumerate(laws)], axis=-1)


@every
@pytest.mark.parametrize(("dtype", "tolerance"), [(F64, 1e-11), (torch.float32, 3e-5)])
def test_cdf_is_scipys(name, dtype, tolerance):
    x = grid(name)
    if "counts" in name or name == "Poisson":
        tolerance = max(tolerance, 1e-8)  # torch's incomplete gamma function has 9 digits
    got = cdf(KINDS[name].build(dtype), x.to(dtype))
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected(name, x), rtol=tolerance, atol=tolerance)


@every
def test_log_prob_is_scipys(name):
    x = grid(name)
    if KINDS[name].discrete:  # the values that all of them can take
        x = torch.arange(2.0 if name in ("Bernoulli", "Binomial") else 4.0)[:, None].expand(-1, 3)
    got = KINDS[name].build(F64).log_prob(x.to(F64)).exp()
    laws = KINDS[name].reference()
    want = np.stack([density(law, x[:, i].numpy()) for i, law in enumerate(laws)], axis=-1)
    floor = 1e-15 if name == "torch Categorical" else 0  # torch's own clamps at log(eps)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=floor)


@every
@given(q=st.lists(unit, min_size=3, max_size=3))
@settings(max_examples=15)
def test_quantile_is_the_smallest_x_whose_cdf_reaches_q(name, q):
    distribution = KINDS[name].build(F64)
    q = torch.tensor(q, dtype=F64)
    x = quantile(distribution, q)
    assert x.dtype == F64
    if KINDS[name].discrete:
        assert bool((x == x.round()).all())
        assert bool((cdf(distribution, x) >= q).all())
        assert bool((cdf(distribution, x - 1) < q).all())
    else:
        np.testing.assert_allclose(cdf(distribution, x), q, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", [n for n, kind in sorted(KINDS.items()) if kind.discrete])
def test_at_a_step_of_the_cdf_the_quantile_is_the_step(name):
    distribution = KINDS[name].build(F64)
    x = torch.tensor([1.0, 1.0, 1.0], dtype=F64)
    step = cdf(distribution, x)
    step = torch.where(step < 1, step, 0.5)
    reached = quantile(distribution, step)
    assert bool((cdf(distribution, reached) >= step).all())
    assert bool((reached <= 1).all())


@every
@pytest.mark.parametrize("dtype", [F64, torch.float32])
def test_draws_follow_the_law(name, dtype):
    """Kolmogorov-Smirnov (chi-square where discrete) at a fixed seed; false alarm 1e-6 each."""
    from scipy import stats

    u = Uniforms(11).block(torch.arange(20_000), 0, 3)[:, :, None][..., 0]
    distribution = KINDS[name].build(dtype).expand((20_000, 3))
    x = from_uniform(distribution, u).double().numpy()
    assert np.isfinite(x).all()
    for i, law in enumerate(KINDS[name].reference()):
        if not KINDS[name].discrete:
            assert stats.kstest(x[:, i], law.cdf).pvalue > 1e-6
            continue
        edges = np.unique(np.quantile(x[:, i], np.linspace(0, 1, 20)))
        mass = np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]]))
        counts = np.histogram(x[:, i], np.concatenate([[-np.inf], edges + 0.5, [np.inf]]))[0]
        kept = mass > 1e-9
        assert counts[~kept].sum() == 0
        if kept.sum() > 1:
            share = mass[kept] / mass[kept].sum()
            assert stats.chisquare(counts[kept], share * counts.sum()).pvalue > 1e-6


@every
def test_extreme_uniforms_give_finite_draws_inside_the_support(name):
    distribution = KINDS[name].build(torch.float32)
    for u in (2.0**-53, 1 - 2.0**-53):
        x = from_uniform(distribution, torch.full((3,), u, dtype=F64))
        assert bool(torch.isfinite(x).all())
        assert bool(torch.isfinite(distribution.log_prob(x.to(torch.float32))).all())


@every
def test_scalars_and_whole_numbers_are_broadcast(name):
    distribution = KINDS[name].build(F64)
    one = cdf(distribution, torch.tensor(1.0, dtype=F64))
    assert one.shape == (3,)
    assert torch.equal(one, cdf(distribution, torch.ones(3, dtype=F64)))
    median = quantile(distribution, torch.tensor(0.5, dtype=F64))
    assert torch.equal(median, quantile(distribution, torch.full((3,), 0.5, dtype=F64)))
    if KINDS[name].discrete:
        assert torch.equal(cdf(distribution, torch.tensor([1, 1, 1])), one)


def test_float32_conditionals_are_drawn_from_in_full_precision():
    """A float32 cdf reaches one at 5.4 standard deviations; draws must not stop there."""
    u = torch.tensor([1 - 1e-12], dtype=F64)
    for build in (
        lambda d: td.Poisson(torch.tensor([4.0], dtype=d)),
        lambda d: td.NegativeBinomial(
            torch.tensor([4.0], dtype=d), logits=torch.tensor([0.0], dtype=d)
        ),
        lambda d: td.StudentT(torch.tensor([30.0], dtype=d)),
    ):
        exact, single = from_uniform(build(F64), u), from_uniform(build(torch.float32), u)
        np.testing.assert_allclose(single, exact, rtol=1e-5)


@pytest.mark.parametrize("value", [torch.inf, torch.nan, 1e300])
def test_a_diverged_count_does_not_hang(value):
    q = torch.tensor([0.1, 0.9], dtype=F64)
    wild = td.Poisson(torch.tensor([value, 3.0], dtype=F64), validate_args=False)
    assert quantile(wild, q)[1] == 5


def test_values_below_the_support_have_probability_zero():
    below = torch.tensor(-3.0)
    for kind in (td.Exponential, td.HalfNormal):
        assert cdf(kind(torch.tensor(1.0), validate_args=False), below) == 0
    positive, real = td.LogNormal(0.0, 1.0, validate_args=False), td.Normal(0.0, 1.0)
    assert cdf(positive, below) == 0
    halves = torch.tensor([0.5, 0.5]).log()
    assert cdf(Mixture([positive, real], halves), below) == cdf(real, below) / 2


def test_subclasses_with_a_cdf_of_their_own_keep_it():
    x = torch.tensor([0.1, 1.0, 3.0], dtype=F64)
    half = td.HalfNormal(torch.tensor(2.0, dtype=F64))
    assert torch.equal(cdf(half, x), half.cdf(x))
    np.testing.assert_allclose(quantile(half, cdf(half, x)), x, rtol=1e-9)


def test_what_has_no_closed_form_says_so():
    for call in (cdf, quantile):
        with pytest.raises(UnsupportedError, match=r"arproc knows no .* for VonMises; register"):
            call(td.VonMises(torch.tensor(0.0), torch.tensor(1.0)), torch.tensor(0.5))


@pytest.mark.parametrize("name", ["Normal", "LogNormal", "MixtureSameFamily", "Mixture"])
def test_gradients_through_log_prob_and_cdf(name):
    x = torch.tensor([0.7, 0.8, 0.9], dtype=F64, requires_grad=True)
    distribution = KINDS[name].build(F64)
    assert torch.autograd.gradcheck(distribution.log_prob, (x,))
    slope = torch.autograd.grad(cdf(distribution, x).sum(), x)[0]
    np.testing.assert_allclose(slope, distribution.log_prob(x).exp().detach(), rtol=1e-6)


def test_the_mass_of_a_single_real_number_is_zero_where_the_number_lies():
    law = td.Normal(torch.zeros(2, 1, device="meta"), 1.0, validate_args=False)
    mass = atom(law, torch.zeros(3, device="meta"))
    assert mass.device.type == "meta"
    assert mass.shape == (2, 3)
