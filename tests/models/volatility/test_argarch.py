"""ARGARCH against the arch package at run time, closed forms, and its own simulations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import arproc
from arproc import ARGARCH
from arproc.errors import DataError, ParameterError
from arproc.models.volatility import innovations as laws

TRUE = ARGARCH.from_parameters(
    [0.2], 0.1, omega=0.1, alpha=[0.08], gamma=[0.06], beta=[0.85],
    innovations="student_t", nu=6.0,
)  # fmt: skip
KINDS = ("normal", "student_t", "laplace", "mixture")
PARAMETERS = {
    "normal": {},
    "student_t": {"nu": 5.0},
    "laplace": {},
    "mixture": {"weights": [0.7, 0.3], "means": [0.3, -0.7], "scales": [0.6, 1.4]},
}


def returns(n=1500, seed=1):
    return TRUE.sample(1, n, prefix=[0.0], seed=seed)[0]


def inflation():
    import statsmodels.api as sm

    return sm.datasets.macrodata.load_pandas().data["infl"].to_numpy(copy=True)


# ---- against arch -------------------------------------------------------------------------------

ARCH_CASES = [
    (data, volatility, law)
    for data in ("simulated", "inflation")
    for volatility in ("constant", "arch", "garch", "gjr")
    for law in ("normal", "student_t")
    # of the second series two are enough
    if data == "simulated" or (volatility, law) in (("constant", "student_t"), ("arch", "normal"))
]


def arch_model(x, volatility, law):
    univariate = pytest.importorskip("arch.univariate", reason="arch is not installed (dev extra)")
    orders = {"arch": (1, 0, 0), "garch": (1, 0, 1), "gjr": (1, 1, 1)}
    variance = univariate.ConstantVariance()
    if volatility in orders:
        variance = univariate.GARCH(*orders[volatility])
    noise = univariate.StudentsT() if law == "student_t" else univariate.Normal()
    return univariate.ARX(x, lags=1, volatility=variance, distribution=noise, rescale=False)


@pytest.mark.parametrize(("data", "volatility", "law"), ARCH_CASES)
def test_arch_fits_the_same(data, volatility, law):
    x = returns() if data == "simulated" else inflation()
    reference = arch_model(x, volatility, law)
    settings = {"ftol": 1e-12, "maxiter": 1000}
    found = reference.fit(disp="off", options=settings)
    model = ARGARCH(1, law, volatility).fit(x)
    assert model.log_likelihood_ >= found.loglikelihood - 1e-7
    assert model.log_likelihood_ == pytest.approx(found.loglikelihood, rel=1e-8)
    np.testing.assert_allclose(model.estimates_, found.params, rtol=2e-3, atol=2e-4)
    errors = model.parameter_table()["std_error"]
    np.testing.assert_allclose(errors, found.std_err, rtol=2e-2)
    classic = ARGARCH(1, law, volatility, covariance_kind="observed").fit(x)
    again = reference.fit(disp="off", options=settings, cov_type="classic")
    np.testing.assert_allclose(classic.parameter_table()["std_error"], again.std_err, rtol=2e-2)


@pytest.mark.parametrize("law", ["normal", "student_t"])
@pytest.mark.parametrize("volatility", ["constant", "arch", "garch", "gjr"])
def test_arch_says_the_same_of_given_parameters(volatility, law):
    """Log-likelihood and volatilities to rounding, at our estimates."""
    x = returns()
    model = ARGARCH(1, law, volatility).fit(x)
    reference = arch_model(x, volatility, law)
    there = reference.fix(model.estimates_)
    sigma = model.conditional_volatility(x)
    if volatility == "constant":
        np.testing.assert_allclose(sigma, np.sqrt(model.omega_), rtol=1e-12)
    else:
        # arch's backcast at fixed parameters is of their residuals, ours of least squares'
        settle = 400
        theirs = np.asarray(there.conditional_volatility)[1:]
        np.testing.assert_allclose(sigma[settle:], theirs[settle:], rtol=1e-8)
    z = model.residuals(x, standardised=True)
    np.testing.assert_allclose(
        z[400:], np.asarray(there.std_resid)[1:][400:], rtol=1e-7, atol=1e-8
    )


# ---- closed forms -------------------------------------------------------------------------------


def by_hand(model, x, log_density):
    """The law as it is written, one term after the other."""
    p, h, e, total = model.order, [], [], []
    past = lambda values, i, start: values[-i] if len(values) >= i else start  # noqa: E731
    for t in range(p, len(x)):
        loc = (
            model.intercept_
            + model.drift_ * t
            + sum(c * x[t - 1 - i] for i, c in enumerate(model.coef_))
        )
        v = model.omega_
        for i, a in enumerate(model.alpha_):
            v += a * past([r**2 for r in e], i + 1, model.backcast_)
        for i, g in enumerate(model.gamma_):
            v += g * past([r**2 * (r < 0) for r in e], i + 1, model.backcast_ / 2)
        for i, b in enumerate(model.beta_):
            v += b * past(h, i + 1, model.backcast_)
        h.append(v)
        e.append(x[t] - loc)
        total.append(log_density(e[-1] / v**0.5) - 0.5 * np.log(v))
    return np.array(total)


DENSITIES = {
    "normal": stats.norm.logpdf,
    "student_t": lambda z: stats.t.logpdf(z, 5.0, scale=(3 / 5) ** 0.5),
    "laplace": lambda z: stats.laplace.logpdf(z, scale=0.5**0.5),
}


@pytest.mark.parametrize("law", DENSITIES)
def test_the_likelihood_is_the_written_one(law):
    model = ARGARCH.from_parameters(
        [0.3, -0.2], 0.5, 0.01, omega=0.2, alpha=[0.1, 0.05], gamma=[0.1], beta=[0.4, 0.2],
        innovations=law, **PARAMETERS[law],
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=60)
    wanted = by_hand(model, x, DENSITIES[law])
    np.testing.assert_allclose(model.log_prob_terms(x), wanted, rtol=1e-10)


@pytest.mark.parametrize("law", KINDS)
def test_innovations_have_mean_zero_and_variance_one(law):
    model = ARGARCH.from_parameters(innovations=law, **PARAMETERS[law])
    first = model.conditional()
    assert float(first.mean) == pytest.approx(0.0, abs=1e-12)
    assert float(first.variance) == pytest.approx(1.0, rel=1e-12)
    grid = torch.linspace(-60, 60, 400_001, dtype=torch.float64)
    density = first.log_prob(grid).exp()
    assert float(torch.trapezoid(density * grid, grid)) == pytest.approx(0.0, abs=1e-6)
    assert float(torch.trapezoid(density * grid**2, grid)) == pytest.approx(1.0, abs=2e-3)


@given(st.sampled_from(KINDS), st.integers(0, 5))
def test_the_estimation_has_the_distributions_density_and_its_slopes(law, seed):
    rng = np.random.default_rng(seed)
    noise = laws.make(law, 3)
    low, high = (np.array([bound[i] for bound in noise.bounds]).clip(-2, 20) for i in (0, 1))
    psi = low + (high - low) * rng.uniform(0.2, 0.8, len(low)) if len(low) else np.zeros(0)
    z = rng.normal(size=7) * 2
    unit = torch.ones(7, dtype=torch.float64)
    wanted = noise.distribution(0 * unit, unit, psi).log_prob(torch.from_numpy(z))
    at = noise.density(z, psi)
    np.testing.assert_allclose(at.value, wanted, rtol=1e-9)
    step = 1e-6
    slope = (noise.density(z + step, psi).value - noise.density(z - step, psi).value) / (2 * step)
    np.testing.assert_allclose(at.slope, slope, rtol=1e-5, atol=1e-7)
    for i, h in enumerate(step * np.eye(len(psi))):
        moved = noise.density(z, psi + h).value - noise.density(z, psi - h).value
        np.testing.assert_allclose(at.moved[:, i], moved / (2 * step), rtol=1e-5, atol=1e-6)


# ---- estimation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("law", KINDS)
@pytest.mark.parametrize("volatility", ["constant", "arch", "garch", "gjr"])
def test_nothing_near_the_estimate_is_better(law, volatility):
    x = returns(700, seed=2)
    model = ARGARCH(1, law, volatility).fit(x)
    assert model.log_likelihood_ == pytest.approx(model.log_prob(x), rel=1e-12)
    best = model.log_likelihood_
    for name in ("coef", "intercept", "omega", "alpha", "gamma", "beta", "psi"):
        value = getattr(model.law_, name)
        if np.size(value) == 0 or (name == "psi" and law != "student_t"):
            continue
        for factor in (0.97, 1.03):
            if name in ("alpha", "gamma") and float(value[0]) < 1e-6:
                continue
            moved = ARGARCH.of(replace(model.law_, **{name: value * factor}))
            assert moved.log_prob(x) < best + 1e-6


def test_the_true_parameters_are_found():
    x = TRUE.sample(1, 20_000, prefix=[0.0], seed=5)[0]
    model = ARGARCH(1, "student_t", "gjr").fit(x)
    truth = np.array([0.1, 0.2, 0.1, 0.08, 0.06, 0.85, 6.0])
    z = (model.estimates_ - truth) / np.sqrt(np.diag(model.covariance_))
    assert np.abs(z).max() < 3.5


def test_a_skewed_mixture_is_found():
    true = ARGARCH.from_parameters([0.4], innovations="mixture", **PARAMETERS["mixture"])
    x = true.sample(1, 5000, prefix=[0.0], seed=1)[0]
    model = ARGARCH(1, "mixture", "constant", trend="n").fit(x)
    assert model.log_likelihood_ >= true.log_prob(x)
    assert stats.skew(model.residuals(x)) < -0.2
    order = np.argsort(model.scales_)
    np.testing.assert_allclose(model.scales_[order], true.scales_, atol=0.1)
    np.testing.assert_allclose(model.means_[order], true.means_, atol=0.15)


def test_several_series_are_pooled():
    x = returns(900)
    one = ARGARCH(1, "student_t").fit(x)
    two = ARGARCH(1, "student_t").fit([x, x])
    np.testing.assert_allclose(two.estimates_, one.estimates_, rtol=1e-4)
    np.testing.assert_allclose(two.covariance_, one.covariance_ / 2, rtol=1e-2, atol=1e-8)
    parts = [x[:200], x[200:900]]
    pooled = ARGARCH(1).fit(parts)
    assert pooled.log_likelihood_ == pytest.approx(sum(pooled.log_prob(part) for part in parts))


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_any_scale(scale):
    x = returns(800)
    base, other = ARGARCH(1).fit(x), ARGARCH(1).fit(scale * x)
    np.testing.assert_allclose(other.alpha_, base.alpha_, rtol=1e-4)
    np.testing.assert_allclose(other.beta_, base.beta_, rtol=1e-4)
    assert other.omega_ == pytest.approx(scale**2 * base.omega_, rel=1e-3)
    moved = base.log_likelihood_ - base.n_observations_ * np.log(scale)
    assert other.log_likelihood_ == pytest.approx(moved, rel=1e-9, abs=1e-6)


# ---- what follows -------------------------------------------------------------------------------


def test_forecasts_have_the_variances_of_the_recursion():
    model = ARGARCH.from_parameters([0.5], omega=0.2, alpha=[0.15], beta=[0.7])
    x = np.array([0.0, 3.0, -2.0])
    h = float(model.conditional(x).variance)
    paths = np.asarray(model.sample(100_000, 4, prefix=x, seed=0))
    wanted, spread = [], []
    for k in range(4):
        spread.append(h if k == 0 else 0.2 + 0.85 * spread[-1])
        wanted.append(sum(0.25 ** (k - j) * spread[j] for j in range(k + 1)))
    np.testing.assert_allclose(paths.var(axis=0), wanted, rtol=0.04)
    means = -2.0 * 0.5 ** np.arange(1, 5)
    np.testing.assert_allclose(paths.mean(axis=0), means, atol=0.03)
    table = model.forecast(x, 4, seed=0)
    np.testing.assert_allclose(table["mean"], means, atol=0.2)


def test_series_keep_their_index_and_models_their_numbers(tmp_path):
    index = pd.date_range("2024-01-01", periods=300, freq="D")
    x = pd.Series(returns(300), index=index)
    model = ARGARCH(1, "mixture", "gjr").fit(x)
    assert list(model.conditional_volatility(x).index) == list(index[1:])
    assert "AR(1)-GJR(1, 1, 1)" in model.summary()
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    assert again.log_prob(x) == model.log_prob(x)
    assert model.persistence == again.persistence < 1
    assert TRUE.stationary_variance == pytest.approx(0.1 / 0.04)


def test_what_was_learnt_does_not_change_with_the_settings():
    x = returns(300)
    model = ARGARCH(1, "student_t", "gjr").fit(x)
    want = (model.log_prob(x), model.summary(), model.persistence, model.n_given)
    model.set_params(order=3, innovations="mixture", volatility="arch", components=4, trend="n")
    assert (model.log_prob(x), model.summary(), model.persistence, model.n_given) == want
    assert not hasattr(model, "weights_")
    with pytest.raises(ValueError, match="read-only"):
        model.alpha_[0] = 0.0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"order": -1}, "order must be at least 0"),
        ({"innovations": "cauchy"}, "innovations must be one of"),
        ({"volatility": "egarch"}, "volatility must be one of"),
        ({"trend": "t"}, "trend must be one of"),
        ({"volatility_order": (1, 1, 1)}, "volatility_order of 'garch' must be like"),
        ({"volatility_order": 2}, "volatility_order must be three numbers"),
        ({"innovations": "mixture", "components": 1}, "components must be at least 2"),
        ({"covariance_kind": "none"}, "covariance_kind must be one of"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        ARGARCH(**parameters).fit(returns(50))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"omega": 0.0}, "omega must be a number above 0"),
        ({"alpha": [0.1], "gamma": [-0.2]}, "must not be negative"),
        ({"alpha": [0.2], "beta": [0.8]}, "backcast must be given"),
        ({"backcast": -1.0}, "backcast must be a number above 0"),
        ({"innovations": "student_t", "nu": 2.0}, "nu must be a number above 2"),
        ({"innovations": "mixture"}, "weights, means and scales are needed"),
        (
            {"innovations": "mixture", "weights": [1.0], "means": [0.0], "scales": [1.0]},
            "of one length of at least 2",
        ),
    ],
)
def test_parameters_without_a_law(given, message):
    with pytest.raises(ParameterError, match=message):
        ARGARCH.from_parameters(**given)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.full(50, 2.0), "data"),
        (np.zeros(50), "data"),
        (np.arange(4.0) ** 2, r"data has 3 element\(s\) beyond the first 1 given"),
        (np.arange(50.0), "data"),
    ],
)
def test_data_that_say_nothing(x, message):
    with pytest.raises(DataError, match=message):
        ARGARCH(1).fit(x)


def test_constant_data_are_named_as_such():
    with pytest.raises(DataError, match="data are constant"):
        ARGARCH(1).fit(np.ones(60))


def test_a_parameter_on_its_bound_leaves_the_others_their_errors():
    """White noise has no news in its variance: alpha stands at 0, and with it alone no error."""
    x = np.random.default_rng(0).normal(size=300)
    with pytest.warns(UserWarning, match=r"standard errors of .* are not known \(nan\): these"):
        model = ARGARCH(1, volatility="arch").fit(x)
    errors = np.sqrt(np.diag(model.covariance_))
    bound = np.array([name.startswith("alpha") for name in model.names_])
    assert float(model.alpha_[0]) == pytest.approx(0, abs=1e-6)
    assert np.isnan(errors[bound]).all()
    assert np.isfinite(errors[~bound]).all()
    # those of white noise with a known form of the variance: an AR(1)'s coefficient, and others
    assert errors[model.names_.index("ar.L1")] == pytest.approx(300**-0.5, rel=0.2)
    assert model.wald_test("ar.L1 = 0").p_value > 0.001
    with pytest.raises(ParameterError, match="not known"):
        model.wald_test(f"{model.names_[int(bound.argmax())]} = 0")
