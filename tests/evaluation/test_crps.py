from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from evaluation.toys import (
    Chain,
    CorrelatedPairs,
    GaussianAR,
    MeanShift,
    PoissonAR,
    Ready,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate as scipy_integrate
from torch import distributions as td

from arproc.distributions import Categorical, Mixture, cdf
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.evaluation import crps, crps_of, crps_paths, crps_quantiles
from arproc.evaluation.closed_forms import scored
from arproc.evaluation.quadrature import integrate
from arproc.spaces import Ordinal

Y = torch.tensor([-3.0, -0.4, 0.0, 0.7, 2.0, 9.0], dtype=torch.float64)
ONE = torch.ones(6, dtype=torch.float64)
LOC = torch.tensor([0.0, 0.3, -1.0, 0.7, 5.0, 0.0], dtype=torch.float64)
SCALE = torch.tensor([1.0, 0.2, 3.0, 1.0, 0.5, 2.0], dtype=torch.float64)
THREE = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64).expand(6, 3)
PARTS = td.Normal(LOC[:, None] + torch.tensor([-2.0, 0.0, 1.0]), SCALE[:, None].expand(6, 3))


def affine(base):
    return td.TransformedDistribution(base, [td.AffineTransform(1.5, -2.0)])


CLOSED = {
    "normal": (td.Normal(LOC, SCALE), lambda s: s.crps_normal(Y, LOC, SCALE)),
    "laplace": (td.Laplace(LOC, SCALE), lambda s: s.crps_laplace(Y, LOC, SCALE)),
    "t": (td.StudentT(3.5 * ONE, LOC, SCALE), lambda s: s.crps_t(Y, 3.5 * ONE, LOC, SCALE)),
    "mixture": (
        td.MixtureSameFamily(td.Categorical(THREE), PARTS),
        lambda s: s.crps_mixnorm(Y, PARTS.loc, PARTS.scale, THREE),
    ),
    "our mixture": (
        Mixture([td.Normal(LOC, SCALE), td.Normal(-LOC, ONE)], torch.tensor([0.3, 0.7]).log()),
        lambda s: s.crps_mixnorm(
            Y,
            torch.stack([LOC, -LOC], 1),
            torch.stack([SCALE, ONE], 1),
            torch.tensor([[0.3, 0.7]]).expand(6, 2),
        ),
    ),
    "log-normal": (td.LogNormal(LOC, SCALE), lambda s: s.crps_lognormal(Y.abs(), LOC, SCALE)),
    "affine": (
        affine(td.Laplace(LOC, SCALE)),
        lambda s: 2 * s.crps_laplace((1.5 - Y) / 2, LOC, SCALE),
    ),
}  # fmt: skip


def numbers(value):
    return np.asarray(value, dtype=float)


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_against_scoringrules(name, sr):
    distribution, reference = CLOSED[name]
    y = Y.abs() if name == "log-normal" else Y
    with np.errstate(divide="ignore"):
        expected = numbers(reference(_Plain(sr)))
    assert numbers(crps_of(distribution, y)) == pytest.approx(expected, rel=1e-6, abs=1e-8)


class _Plain:
    """scoringrules given NumPy arrays."""

    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        return lambda *args: getattr(self.module, name)(*[numbers(a) for a in args])


CONTINUOUS = {
    **{name: case[0] for name, case in CLOSED.items()},
    "gumbel": td.Gumbel(LOC, SCALE, validate_args=False),
    "cauchy": td.Cauchy(LOC, SCALE),
    "t with one degree": td.StudentT(ONE, LOC, SCALE),
    "uniform": td.Uniform(LOC, LOC + SCALE, validate_args=False),
    "far apart": Mixture(
        [td.Laplace(LOC - 50, SCALE / 50), td.Normal(LOC + 50, SCALE)],
        torch.tensor([0.5, 0.5]).log(),
    ),
}


def by_definition(distribution, i, y):
    """The integral of (F(z) - 1{z >= y})^2 by adaptive quadrature, cut at y and by decades."""

    def square(z, above):
        at = torch.full((6,), z, dtype=torch.float64)
        return (float(cdf(distribution, at)[i]) - above) ** 2

    steps = np.concatenate([[0], np.logspace(-3, 1, 9), np.linspace(12, 110, 50), [1e4]])
    below = [(y - b, y - a) for a, b in pairwise(steps)]
    above = [(y + a, y + b) for a, b in pairwise(steps)]
    return sum(
        scipy_integrate.quad(square, low, high, args=(side,), limit=200)[0]
        for side, panels in ((0, below), (1, above))
        for low, high in panels
    )


@pytest.mark.parametrize("name", ["gumbel", "uniform", "far apart", "mixture"])
def test_integrals_against_brute_force(name):
    distribution = CONTINUOUS[name]
    value, error = integrate(distribution, Y)
    for i in (1, 4):
        exact = by_definition(distribution, i, float(Y[i]))
        assert abs(float(value[i]) - exact) <= float(error[i]) + 1e-7 * exact + 1e-9


@pytest.mark.parametrize("name", CLOSED)
def test_integrals_against_closed_forms(name):
    distribution = CONTINUOUS[name]
    y = Y.abs() if name == "log-normal" else Y
    exact, none = scored(distribution, y)
    value, error = integrate(distribution, y)
    assert not none.any()
    assert ((value - exact).abs() <= error + 1e-7 * exact).all()
    assert (error <= 2e-4 * exact + 1e-5).all()


def test_cauchy_against_its_integral():
    # E|X - y| does not exist, the integral does; at the median of a standard Cauchy it is
    # 2 integral_0^inf (1/2 - arctan(z) / pi)^2 dz = 2 ln 2 / pi
    value, _ = scored(td.Cauchy(ONE, 2 * ONE), ONE)
    assert numbers(value) == pytest.approx(2 * 2 * math.log(2) / math.pi, rel=1e-6)
    student, _ = scored(td.StudentT(ONE, ONE, 2 * ONE), ONE)
    assert numbers(student) == pytest.approx(numbers(value), rel=1e-6)


def test_many_degrees_of_freedom_are_normal():
    for df in (1e4, 1e8, 1e12):
        value = crps_of(td.StudentT(df * ONE, LOC, SCALE), Y)
        assert numbers(value) == pytest.approx(
            numbers(crps_of(td.Normal(LOC, SCALE), Y)), rel=1 / df + 1e-6
        )


# ---- counts and levels -------------------------------------------------------------------


def summed(distribution, x, top):
    k = torch.arange(top, dtype=torch.float64)
    return float(((cdf(distribution, k) - (k >= x).double()) ** 2).sum() + max(-x, 0))


@pytest.mark.parametrize("rate", [0.1, 3.0, 40.0, 500.0, 20000.0])
def test_poisson_against_its_sum(rate):
    """scoringrules gives NaN from a mean of 360 on, where its Bessel functions overflow."""
    one = td.Poisson(torch.tensor(rate, dtype=torch.float64))
    for x in (0.0, rate // 1, rate // 1 + 30):
        exact = summed(one, x, int(2 * rate + 100))
        assert float(crps_of(one, x)) == pytest.approx(exact, rel=1e-7)
        value, error = integrate(one, torch.tensor(x, dtype=torch.float64))
        assert abs(float(value) - exact) <= float(error) + 1e-9 * exact


def test_counts_against_scoringrules(sr):
    x = np.array([0.0, 1.0, 4.0, 15.0])
    rate = torch.tensor([0.5, 3.0, 4.0, 9.0], dtype=torch.float64)
    assert numbers(crps_of(td.Poisson(rate), x)) == pytest.approx(
        sr.crps_poisson(x, numbers(rate))
    )
    # torch's probs is the probability of one more, scoringrules' that of stopping
    negative = td.NegativeBinomial(*torch.tensor([2.5, 0.6], dtype=torch.float64))
    expected = sr.crps_negbinom(x, 2.5, 0.4)
    assert numbers(crps_of(negative, x)) == pytest.approx(expected, rel=1e-8)


def test_a_mixture_of_counts_is_summed():
    parts = [td.Poisson(torch.tensor(m, dtype=torch.float64)) for m in (2.0, 300.0)]
    both = Mixture(parts, torch.tensor([0.4, 0.6], dtype=torch.float64).log())
    for x in (0.0, 2.0, 150.0, 600.0):
        assert float(crps_of(both, x)) == pytest.approx(summed(both, x, 1000), rel=1e-8)


@given(st.lists(st.floats(-4, 4), min_size=2, max_size=6), st.integers(0, 5))
def test_levels_are_summed(logits, x):
    x = min(x, len(logits) - 1)
    probs = np.exp(logits) / np.exp(logits).sum()
    gaps = (probs.cumsum() - (np.arange(len(probs)) >= x)) ** 2
    distribution = Categorical(torch.tensor(logits, dtype=torch.float64))
    assert float(crps_of(distribution, x)) == pytest.approx(gaps.sum(), abs=1e-12)


WHOLE = {
    "Categorical": Categorical(torch.tensor([0.3, -1.0, 0.5, 0.0], dtype=torch.float64)),
    "Bernoulli": td.Bernoulli(torch.tensor(0.3, dtype=torch.float64)),
    "Poisson": td.Poisson(torch.tensor(2.5, dtype=torch.float64)),
    "NegativeBinomial": td.NegativeBinomial(
        torch.tensor(2.5, dtype=torch.float64), torch.tensor(0.6, dtype=torch.float64)
    ),
    "Geometric": td.Geometric(torch.tensor(0.4, dtype=torch.float64)),
    "Binomial": td.Binomial(5, torch.tensor(0.4, dtype=torch.float64)),
    "mixture": Mixture(
        [td.Poisson(torch.tensor(m, dtype=torch.float64)) for m in (2.0, 9.0)],
        torch.tensor([0.4, 0.6], dtype=torch.float64).log(),
    ),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("x", [-3.0, -0.25, 0.0, 0.5, 1.0, 1.75, 2.5, 6.25, 20.0])
def test_what_a_law_of_whole_numbers_can_not_give(name, x):
    """The integral of (F(z) - 1{z >= x})^2, piece by piece: F and the indicator are constant."""
    law = WHOLE[name]
    last = {"Categorical": 3, "Bernoulli": 1, "Binomial": 5}.get(name, 200)
    mass = law.log_prob(torch.arange(last + 1.0, dtype=torch.float64)).exp().numpy()
    edges = np.unique(np.r_[-10.0, np.arange(last + 1.0), x, last + 100.0])
    below = np.array([mass[: int(np.floor(z)) + 1].sum() if z >= 0 else 0.0 for z in edges[:-1]])
    expected = ((below - (edges[:-1] >= x)) ** 2 * np.diff(edges)).sum()
    assert float(crps_of(law, x)) == pytest.approx(expected, abs=1e-7)


def test_a_stretched_law_of_whole_numbers():
    law = td.TransformedDistribution(WHOLE["Poisson"], [td.AffineTransform(1.0, 0.5)])
    assert float(crps_of(law, 1.7)) == pytest.approx(0.5 * float(crps_of(WHOLE["Poisson"], 1.4)))


def test_binary_is_the_brier_score():
    p = torch.tensor([0.1, 0.8])
    assert numbers(crps_of(td.Bernoulli(p), [0.0, 1.0])) == pytest.approx([0.01, 0.04], rel=1e-6)


# ---- processes ----------------------------------------------------------------------------


def test_one_step_ahead_of_a_process(sr):
    x = GaussianAR(0.6).sample(3, 20, seed=1)
    loc = np.concatenate([np.zeros((3, 1)), 0.6 * x[:, :-1]], axis=1)
    scale = np.concatenate([np.full((3, 1), 1 / 0.8), np.ones((3, 19))], axis=1)
    assert np.stack(crps(GaussianAR(0.6), x)) == pytest.approx(sr.crps_normal(x, loc, scale))
    series = pd.Series(x[0], index=range(3, 23))
    value, error = crps(GaussianAR(0.6, given=1), series, return_error=True)
    assert value.index.tolist() == list(range(4, 23))
    assert not error.any()
    counts = [[1, 3], [4, 0, 2]]
    value = crps(PoissonAR(), counts)
    assert value[1] == pytest.approx(sr.crps_poisson(np.array([4.0, 0, 2]), np.array([1.0, 3, 1])))


class Gumbels(Ready):
    """Independent standard Gumbel values, in float32."""

    window_length = 0

    def __init__(self):
        self.space_ = GaussianAR().space_

    def window(self, ctx, position):
        return td.Gumbel(torch.zeros(position.shape), torch.ones(position.shape))


class Levels(Chain):
    """A chain of ordered levels."""

    def __init__(self):
        super().__init__([[0.5, 0.25, 0.25]] * 3)
        self.space_ = Ordinal(levels=3)


def test_integrated_scores_state_their_error():
    value, error = crps(Gumbels(), [0.3, -1.0, 4.0], return_error=True)
    assert (error > 0).all()
    assert (error < 1e-5).all()
    assert value[0] == pytest.approx(0.276441, abs=1e-6)


def test_ordered_levels_of_a_process():
    assert crps(Levels(), [0, 2]) == pytest.approx([0.25 + 1 / 16, 0.25 + 9 / 16])


def test_the_right_model_scores_best_on_average():
    x = GaussianAR(0.6).sample(30, 100, seed=2)
    right = np.mean(crps(GaussianAR(0.6), x))
    for wrong in (GaussianAR(0.3), GaussianAR(0.6, 1.3), GaussianAR(0.6, 0.7)):
        assert right < np.mean(crps(wrong, x))


def test_what_has_no_crps_is_told():
    with pytest.raises(UnsupportedError, match="ordered scalars"):
        crps(Chain([[0.5, 0.5]] * 2), [0, 1])
    with pytest.raises(UnsupportedError, match="ordered scalars"):
        crps(CorrelatedPairs(), [[0.0, 1.0]])
    with pytest.raises(ParameterError, match="crps needs a Process"):
        crps(MeanShift(), np.zeros(3))
    with pytest.raises(ParameterError, match="Distribution of scalars"):
        crps_of(td.MultivariateNormal(torch.zeros(2), torch.eye(2)), torch.zeros(2))


# ---- forecasts ----------------------------------------------------------------------------


def test_quantiles_against_scoringrules_and_the_closed_form(sr):
    rng = np.random.default_rng(0)
    levels = np.arange(1, 100) / 100
    y = rng.normal(size=200)
    table = np.tile(torch.special.ndtri(torch.tensor(levels)).numpy(), (200, 1))
    ours = crps_quantiles(table, y, levels=levels)
    exact = numbers(crps_of(td.Normal(torch.zeros(200), torch.ones(200)), y))
    assert ours.mean() == pytest.approx(exact.mean(), rel=5e-3)
    middle = (np.arange(20) + 0.5) / 20  # where every level stands for as much as any other
    table = rng.normal(size=(200, 20))
    expected = sr.crps_quantile(y, np.sort(table), middle)
    assert crps_quantiles(np.sort(table), y, levels=middle) == pytest.approx(expected)


def test_quantiles_of_a_forecast_table():
    index = pd.period_range("2020", periods=2, freq="Y")
    table = pd.DataFrame({"mean": [0.0, 0.0], 0.75: [1.0, 2.0], 0.25: [-1.0, 0.0]}, index=index)
    y = pd.Series([3.0, 1.0], index=index)
    assert crps_quantiles(table, y) == pytest.approx([2.5, 0.25 + 0.25])
    with pytest.raises(DataError, match="score the same steps"):
        crps_quantiles(table, y.set_axis(index + 1))
    with pytest.raises(DataError, match=r"has 1 value\(s\); the forecast has 2"):
        crps_quantiles(table, [1.0])
    with pytest.raises(DataError, match="expected a DataFrame"):
        crps_quantiles(np.zeros((2, 3)), y)
    with pytest.raises(DataError, match=r"lie in \(0, 1\)"):
        crps_quantiles(np.zeros((2, 1)), [1.0, 2.0], levels=[1.0])


def test_paths_against_scoringrules_and_their_law(sr):
    rng = np.random.default_rng(0)
    paths, y = rng.normal(size=(50, 30)), rng.normal(size=30)
    expected = sr.crps_ensemble(y, paths.T, estimator="fair")
    assert crps_paths(paths, y) == pytest.approx(expected)
    # unbiased: 4000 ensembles of 5 average to the closed form within 4 standard errors
    many = np.array([crps_paths(rng.normal(size=(5, 1)), [0.5])[0] for _ in range(4000)])
    exact = float(crps_of(td.Normal(0.0, 1.0), 0.5))
    assert many.mean() == pytest.approx(exact, abs=4 * many.std() / math.sqrt(4000))
    with pytest.raises(DataError, match="at least 2 paths"):
        crps_paths([[1.0]], [1.0])
