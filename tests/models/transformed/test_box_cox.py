"""The Box-Cox transform: normalised, its lambda by likelihood, its means integrals."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import integrate, stats

import arproc
from arproc.errors import DataError, ParameterError
from arproc.models.transformed.box_cox_mean import box_cox_mean
from arproc.testing import check_process
from arproc.transforms import BoxCox, Difference, Log, Transformed

F64 = torch.float64
X = arproc.AR.from_parameters([0.6], mean=1.0).sample(1, length=150, seed=4)[0]


def one(x: float) -> torch.Tensor:
    return torch.tensor([x], dtype=F64)


# ---- laws that are cut -----------------------------------------------------------------------


# ---- likelihood ------------------------------------------------------------------------------


@pytest.mark.parametrize("lmbda", [0.5, -0.7])
def test_the_likelihood_is_that_of_the_cut_law(lmbda: float) -> None:
    y = np.exp(X / 3)
    model = Transformed(arproc.AR(1), BoxCox(lmbda)).fit(y)
    inner = arproc.AR(1).fit((y**lmbda - 1) / lmbda)
    z = (y**lmbda - 1) / lmbda
    terms = inner.conditionals(z)
    m, s = terms.loc[0].numpy(), terms.scale[0].numpy()
    cut = stats.norm.logcdf(np.sign(lmbda) * (m + 1 / lmbda) / s)
    want = stats.norm.logpdf(z, m, s) - cut + (lmbda - 1) * np.log(y)
    np.testing.assert_allclose(model.log_prob_terms(y), want, rtol=1e-9)
    assert model.log_prob(y) == pytest.approx(want.sum(), rel=1e-12)


def test_lambda_nought_is_the_logarithm() -> None:
    y = np.exp(X)
    model, logs = (Transformed(arproc.AR(1), t).fit(y) for t in (BoxCox(0.0), Log()))
    assert model.log_prob(y) == pytest.approx(logs.log_prob(y), rel=1e-12)
    pd.testing.assert_frame_equal(model.forecast(y, 4), logs.forecast(y, 4))
    near = Transformed(arproc.AR(1), BoxCox(1e-9)).fit(y)
    assert near.log_prob(y) == pytest.approx(logs.log_prob(y), rel=1e-6)


def test_independent_values_get_scipys_lambda() -> None:
    """AR(0) far from the cut: scipy's profile likelihood."""
    y = np.random.default_rng(0).gamma(9.0, size=400)
    model = Transformed(arproc.AR(0), BoxCox()).fit(y)
    want, lmbda = stats.boxcox(y)
    assert model.transform_.lambda_ == pytest.approx(lmbda, abs=2e-4)
    llf = stats.boxcox_llf(lmbda, y) - len(y) / 2 * (1 + np.log(2 * np.pi))
    assert model.log_prob(y) == pytest.approx(llf, abs=1e-4)
    assert len(want) == len(y)


@pytest.mark.parametrize("name", ["AirPassengers", "lynx"])
def test_lambda_of_real_series_is_the_best_on_a_grid(name: str, shared_data) -> None:
    y = pd.read_csv(shared_data / "rdatasets" / f"{name}.csv")["value"].to_numpy(float)
    order, rest = (2, None) if name == "lynx" else (1, Difference(12))

    def chain(lmbda):
        return BoxCox(lmbda) if rest is None else BoxCox(lmbda) | rest

    best = Transformed(arproc.AR(order), chain(None)).fit(y)
    grid = np.linspace(best.transform_.lambda_ - 0.2, best.transform_.lambda_ + 0.2, 9)
    worth = [Transformed(arproc.AR(order), chain(float(g))).fit(y).log_prob(y) for g in grid]
    assert int(np.argmax(worth)) == 4
    assert best.log_prob(y) == pytest.approx(worth[4], abs=1e-3)
    assert best.log_prob(y) >= max(worth) - 1e-3


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_scale_of_the_data_does_not_matter(scale: float) -> None:
    y = (8 + X) ** 2
    plain, scaled = (Transformed(arproc.AR(1), BoxCox()).fit(v) for v in (y, scale * y))
    assert scaled.transform_.lambda_ == pytest.approx(plain.transform_.lambda_, abs=1e-4)
    want = plain.log_prob(y) - len(y) * np.log(scale)
    assert scaled.log_prob(scale * y) == pytest.approx(want, rel=1e-6)
    np.testing.assert_allclose(
        scaled.forecast(scale * y, 3, seed=0), scale * plain.forecast(y, 3, seed=0), rtol=1e-3
    )


# ---- forecasts -------------------------------------------------------------------------------


@pytest.mark.parametrize("lmbda", [2.0, 0.5, 0.05, -0.5, -1.5, -2.0])
@pytest.mark.parametrize("centre", [-6.0, -0.5, 1.0, 5.0, 12.0])
def test_means_are_integrals(lmbda: float, centre: float) -> None:
    """`centre` counts standard deviations from the cut to the mode of the uncut law."""
    scale = 0.3
    got = float(box_cox_mean(one(centre * scale * np.sign(lmbda) - 1 / lmbda), one(scale), lmbda))
    if -1 <= lmbda < 0 and stats.norm.cdf(-centre) >= 1e-16:
        assert got == np.inf
        return
    power = 1.0 if lmbda > 0 else abs(lmbda) / max(abs(lmbda) - 1, 0.5)
    low = max(centre - 9.5, 0.0) if -1 <= lmbda < 0 else 0.0
    log_mass = stats.norm.logcdf(centre)

    def integrand(v: float) -> float:
        u = v**power
        value = np.log(abs(lmbda) * scale * u) / lmbda + stats.norm.logpdf(u - centre) - log_mass
        return float(np.exp(value) * power * v ** (power - 1))

    ends = np.array([low, max(centre, 0.05), max(centre, 0.0) + 15]) ** (1 / power)
    want = sum(
        integrate.quad(integrand, max(a, 1e-12), b, epsrel=1e-12, epsabs=0, limit=500)[0]
        for a, b in pairwise(ends)
    )
    assert got == pytest.approx(want, rel=1e-7)


def test_a_known_value_is_its_own_mean() -> None:
    x = one(1.5)
    assert float(box_cox_mean(x, 0 * x, -0.5)) == pytest.approx((1 - 0.75) ** -2)
    assert float(box_cox_mean(x, 0 * x, 0.5)) == pytest.approx(1.75**2)


@pytest.mark.parametrize("lmbda", [0.5, 0.2, -0.4])
def test_forecasts_far_from_the_cut_are_closed_and_agree_with_paths(lmbda: float) -> None:
    y = (lmbda * (2 + X / 9) / 2 + 1) ** (1 / lmbda) if lmbda > 0 else np.exp(X / 20)
    model = Transformed(arproc.AR(1), BoxCox(lmbda)).fit(y)
    assert model.law_.joint(model.start(y), 5) is not None
    table = model.forecast(y, 5, quantiles=(0.1, 0.9))
    inner = model.process_.forecast((y**lmbda - 1) / lmbda, 5, quantiles=(0.1, 0.9))
    for q in (0.1, 0.9):
        np.testing.assert_allclose(table[q], (lmbda * inner[q] + 1) ** (1 / lmbda), rtol=1e-9)
    paths = model.sample_paths(y, 5, 40_000, seed=0)
    error = paths.std(axis=1) / 200
    assert (np.abs(paths.mean(axis=1) - table["mean"]) < 5 * error).all()


def test_forecasts_near_the_cut_are_simulated_and_one_step_is_exact() -> None:
    y = np.exp(X / 2)
    model = Transformed(arproc.AR(1), BoxCox(1.0)).fit(y)  # y - 1, which can not be below -1
    assert model.law_.joint(model.start(y), 5) is None
    first = model.forecast(y, 1, quantiles=(0.05, 0.5))
    law = model.conditional(y).base_dist.base
    m, s = float(law.loc), float(law.scale)
    want = stats.truncnorm((-1 - m) / s, np.inf, m + 1, s)
    np.testing.assert_allclose(first.to_numpy()[0], [want.mean(), *want.ppf([0.05, 0.5])])
    table = model.forecast(y, 5, seed=0, n_paths=4000)
    assert (table > 0).all(axis=None)
    np.testing.assert_allclose(table.iloc[0]["mean"], want.mean(), rtol=0.05)


def test_a_mean_that_is_infinite_is_said_to_be() -> None:
    y = np.exp(X / 2)
    model = Transformed(arproc.AR(1), BoxCox(-0.6)).fit(y)
    assert np.isinf(model.forecast(y, 1)["mean"].iloc[0])
    calm = Transformed(arproc.AR(1), BoxCox(-0.6)).fit(np.exp(X / 50))
    assert np.isfinite(calm.forecast(np.exp(X / 50), 3)["mean"]).all()


def test_a_scenario_on_the_transformed_scale() -> None:
    y = np.exp(X / 20)
    model = Transformed(arproc.AR(1), BoxCox(-0.4)).fit(y)
    known = np.array([np.nan, 1.1, np.nan])
    table = model.forecast(y, 3, quantiles=(0.2,), known=known)
    inner = model.process_.forecast(
        (y**-0.4 - 1) / -0.4, 3, quantiles=(0.2,), known=(known**-0.4 - 1) / -0.4
    )
    np.testing.assert_allclose(table[0.2], (1 - 0.4 * inner[0.2]) ** (1 / -0.4))
    near = Transformed(arproc.AR(1), BoxCox(1.0)).fit(np.exp(X / 2))
    drawn = near.forecast(np.exp(X / 2), 3, known=[np.nan, 0.2, np.nan], seed=0)
    assert drawn.attrs["effective_sample_size"] > 100
    assert (drawn > 0).all(axis=None)


def test_a_scenario_that_draws_the_rest_to_the_cut_is_simulated() -> None:
    y = 8 + X
    model = Transformed(arproc.AR(1), BoxCox(1.0)).fit(y)  # y - 1, which can not be below -1
    assert model.law_.joint(model.start(y), 3) is not None
    assert not model.forecast(y, 3, known=[np.nan, 8.0, np.nan]).attrs
    low = model.forecast(y, 3, known=[np.nan, 2.5, np.nan], n_paths=60_000, seed=0)
    assert low.attrs["effective_sample_size"] > 300
    assert (low > 0).all(axis=None)


def test_with_several_series_a_prefix_and_saving(tmp_path) -> None:
    parts = [np.exp(X[:70] / 4), np.exp(X[70:] / 4)]
    model = Transformed(arproc.AR(1), BoxCox()).fit(parts)
    model.save(tmp_path / "m.arproc")
    np.testing.assert_array_equal(
        arproc.load(tmp_path / "m.arproc").log_prob(parts), model.log_prob(parts)
    )
    report = check_process(model.condition(parts[0][:5]), only=["normalisation", "forecast"])
    assert report.passed == ["normalisation", "forecast"]


def test_what_box_cox_can_not_take_is_named() -> None:
    with pytest.raises(DataError, match="values above 0; the least is -1"):
        Transformed(arproc.AR(0), BoxCox()).fit([1.0, -1.0, 2.0])
    with pytest.raises(ParameterError, match="lmbda must be a finite number"):
        Transformed(arproc.AR(0), BoxCox("a")).fit([1.0, 3.0, 2.0])
    with pytest.raises(ParameterError, match="bounds must be two numbers, the lower first"):
        Transformed(arproc.AR(0), BoxCox(bounds=(1, -1))).fit([1.0, 3.0, 2.0])


@pytest.mark.parametrize("lmbda", [-1.0, -0.5, -0.999])
@pytest.mark.parametrize("centre", [8.25, 8.6, 9.4, 9.6, 12.0])
def test_a_mean_whose_cut_is_out_of_reach_is_a_number(lmbda, centre):
    got = float(box_cox_mean(one(-centre - 1 / lmbda), one(1.0), lmbda))
    z = np.linspace(-8.2, 8.2, 200_001)
    u = -lmbda * (centre + z)
    want = np.trapezoid(u ** (1 / lmbda) * stats.norm.pdf(z), z)
    assert got == pytest.approx(want, rel=1e-7)
