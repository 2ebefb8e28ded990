from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal

import arproc
from arproc.contract.state import State
from arproc.errors import DataError, NotFittedError, ParameterError
from arproc.gaussian.levinson import autocovariances, pacf_to_coef
from arproc.models.autoregression import simulation
from arproc.models.autoregression.ar import AR
from arproc.testing import check_process

NORMAL = MultivariateNormal(
    torch.tensor([50.0, 60.0], dtype=torch.float64),
    torch.tensor([[900.0, 500.0], [500.0, 800.0]], dtype=torch.float64),
)

# parts of a series, and others, are scored as if each began where that of fit did
pytestmark = pytest.mark.filterwarnings("ignore::arproc.errors.PlaceWarning")
MODELS = {
    "mle": AR(3),
    "line": AR(2, "ct"),
    "white": AR(0, "n"),
    "ols": AR(2, method="ols"),
    "yule-walker": AR(4, method="yule-walker"),
    "given": AR(3, initial="given"),
    "given line": AR(1, "ct", initial="given"),
    "normal start": AR(2, "ct", initial=NORMAL),
}


@pytest.fixture(scope="module")
def sunspots():
    import statsmodels.api as sm

    return sm.datasets.sunspots.load_pandas().data.set_index("YEAR")["SUNACTIVITY"]


@pytest.fixture(params=MODELS)
def model(request, sunspots):
    prototype = MODELS[request.param]
    return AR(**prototype.get_params()).fit(sunspots)


# ---- the contract's fast paths against the derived ones -----------------------------------------


def test_the_fast_likelihood_is_the_derived_one(model, sunspots):
    x = sunspots.to_numpy()
    data = [x, x[:30], x[100 : 101 + model.n_given]]
    sequences = model.sequences(data)
    derived = model.law_.derived_log_prob_terms(sequences, None)
    np.testing.assert_allclose(model.law_.log_prob_terms(sequences, None), derived, atol=1e-11)
    sums = [terms.sum() for terms in model.log_prob_terms(data)]
    np.testing.assert_allclose(model.log_prob(data), sums, rtol=1e-12)
    np.testing.assert_allclose(model.log_prob(x), sums[0], rtol=1e-12)
    block = model.log_prob(np.stack([x[:50], x[50:100]]))
    np.testing.assert_allclose(block, [model.log_prob(x[:50]), model.log_prob(x[50:100])])


@pytest.mark.parametrize("compile_from", [0, 10**9])
def test_fast_draws_are_the_derived_ones(model, compile_from, monkeypatch):
    monkeypatch.setattr(simulation, "COMPILE_FROM", compile_from)
    prefix = np.linspace(10.0, 60.0, max(model.n_given, 1))
    states = [model.start([prefix, prefix + 5.0])]
    if model.n_given == 0:
        states += [model.start(2), model.start([prefix, np.linspace(1.0, 30.0, 7)])]
    u = torch.from_numpy(np.random.default_rng(0).random((2, 40)))
    u[0, 0], u[1, 1], u[0, 2] = 1e-14, 1 - 1e-14, 1e-200
    for state in states:
        x, after = state.advance(u)
        want, _ = State.advance(state, u)
        torch.testing.assert_close(x, want, rtol=1e-11, atol=1e-9)
        columns, again = state.extend(x)
        torch.testing.assert_close(after.conditional.loc, again.conditional.loc)
        torch.testing.assert_close(columns.loc[:, -1], after.conditional.loc)


def test_compiled_draws_over_many_chunks(monkeypatch):
    model = AR.from_parameters([0.5, -0.3, 0.2], mean=3.0, slope=0.01)
    plain = model.sample(2, length=10_000, seed=1)
    monkeypatch.setattr(simulation, "COMPILE_FROM", 0)
    np.testing.assert_allclose(model.sample(2, length=10_000, seed=1), plain, atol=1e-9)


def test_the_contract(model, sunspots):
    check_process(model, sunspots, length=96)


@pytest.mark.parametrize("coef", [[], [1.2], [1.0, 0.0, -0.2, 0.15]])
def test_the_contract_of_given_parameters(coef):
    check_process(AR.from_parameters(coef, initial="given" if coef else "stationary"), length=96)


def test_saved_and_loaded(model, sunspots, tmp_path):
    model.save(tmp_path / "model.arproc")
    again = arproc.load(tmp_path / "model.arproc")
    assert again.log_prob(sunspots) == model.log_prob(sunspots)
    np.testing.assert_array_equal(again.covariance_, model.covariance_)
    assert again.summary() == model.summary()


# ---- likelihood ---------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 5])
def test_log_prob_is_statsmodels(sunspots, order):
    from statsmodels.tsa.arima.model import ARIMA

    model = AR(order).fit(sunspots)
    reference = ARIMA(sunspots.to_numpy(), order=(order, 0, 0))
    theirs = reference.loglike(np.r_[model.mean_, model.coef_, model.sigma2_])
    assert model.log_prob(sunspots) == pytest.approx(theirs, rel=1e-8)
    assert model.log_likelihood_ == pytest.approx(theirs, rel=1e-8)
    filtered = reference.smooth(np.r_[model.mean_, model.coef_, model.sigma2_])
    np.testing.assert_allclose(model.residuals(sunspots), filtered.resid, rtol=1e-6, atol=1e-8)


def test_given_likelihood_is_the_conditional_one(sunspots):
    from statsmodels.tsa.ar_model import AutoReg

    model, reference = AR(3, initial="given").fit(sunspots), AutoReg(sunspots.to_numpy(), 3).fit()
    np.testing.assert_allclose(model.coef_, reference.params[1:], rtol=1e-9)
    assert model.log_prob(sunspots) == pytest.approx(reference.llf, rel=1e-10)
    assert model.n_observations_ == 306
    assert len(model.log_prob_terms(sunspots)) == 306
    assert list(model.residuals(sunspots).index) == list(sunspots.index[3:])
    np.testing.assert_allclose(model.residuals(sunspots), reference.resid, rtol=1e-8, atol=1e-9)


def test_a_normal_start_is_that_normal(sunspots):
    model = AR(2, "ct", initial=NORMAL).fit(sunspots)
    first = np.array([40.0, 70.0])
    assert model.log_prob(first) == pytest.approx(float(NORMAL.log_prob(torch.from_numpy(first))))
    alone = float(
        MultivariateNormal(NORMAL.loc[:1], NORMAL.covariance_matrix[:1, :1]).log_prob(
            torch.tensor([40.0], dtype=torch.float64)
        )
    )
    assert model.log_prob([40.0]) == pytest.approx(alone)
    given_model = AR(2, "ct", initial="given").fit(sunspots)
    np.testing.assert_allclose(model.coef_, given_model.coef_)
    x = sunspots.to_numpy()
    rest = model.log_prob(x) - model.log_prob(x[:2])
    assert rest == pytest.approx(given_model.log_prob(x), rel=1e-12)


def test_gradients_through_the_model():
    coef = torch.tensor([0.5, -0.2], dtype=torch.float64, requires_grad=True)
    mean = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    sigma2 = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    x = torch.randn(9, dtype=torch.float64, requires_grad=True)

    def function(x, coef, mean, sigma2):
        return AR.from_parameters(coef, mean, sigma2).log_prob(x)

    assert torch.autograd.gradcheck(function, (x, coef, mean, sigma2))
    single = torch.randn(9, requires_grad=True)
    AR.from_parameters([0.5]).log_prob(single).backward()
    assert single.grad.dtype == torch.float32


# ---- forecasts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "trend"), [(0, "c"), (2, "c"), (3, "ct"), (9, "n")])
def test_forecast_is_statsmodels(sunspots, order, trend):
    from statsmodels.tsa.arima.model import ARIMA

    model = AR(order, trend).fit(sunspots)
    head = {"n": [], "c": [model.mean_], "ct": [model.mean_ - model.slope_, model.slope_]}[trend]
    theirs = ARIMA(sunspots.to_numpy(), order=(order, 0, 0), trend=trend).smooth(
        np.r_[head, model.coef_, model.sigma2_]
    )
    want = theirs.get_forecast(30).summary_frame(alpha=0.1)
    got = model.forecast(sunspots, 30)
    np.testing.assert_allclose(got["mean"], want["mean"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got[0.05], want["mean_ci_lower"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got[0.95], want["mean_ci_upper"], rtol=1e-6, atol=1e-6)
    assert got.index[0] == 2009


@given(
    st.lists(st.floats(-0.9, 0.9), max_size=4),
    st.integers(0, 6),
    st.integers(1, 7),
    st.booleans(),
)
def test_forecast_is_the_conditional_of_the_joint_normal(pacf, known, horizon, line):
    coef = pacf_to_coef(np.array(pacf))
    model = AR.from_parameters(coef, mean=1.5, sigma2=0.8, slope=0.2 if line else 0.0)
    size = known + horizon
    gamma = autocovariances(coef, 0.8, size)
    covariance = gamma[np.abs(np.subtract.outer(np.arange(size), np.arange(size)))]
    m = 1.5 + (0.2 if line else 0.0) * np.arange(size)
    x = np.random.default_rng(0).normal(size=known) + 1
    gain = np.linalg.solve(covariance[:known, :known], covariance[:known, known:]).T
    mean = m[known:] + gain @ (x - m[:known])
    variance = np.diag(covariance[known:, known:] - gain @ covariance[:known, known:])
    got = model.law_.predictive(model.start(x if known else 1), horizon)
    np.testing.assert_allclose(got.mean[0], mean, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(got.variance[0], variance, rtol=1e-6)


def test_forecasts_of_ragged_histories_and_of_samples_agree():
    model = AR.from_parameters([0.6, -0.5, 0.3], mean=2.0)
    histories = [np.array([1.0]), np.array([1.0, 4.0, 0.5, 2.5, 3.0])]
    table = model.forecast(histories, 4)
    for i, history in enumerate(histories):
        alone = model.forecast(history, 4)
        np.testing.assert_allclose(table.loc[i].to_numpy(), alone.to_numpy())
        draws = model.sample(40_000, length=4, prefix=history, seed=i)
        error = draws.std(axis=0) / np.sqrt(len(draws))
        assert (np.abs(draws.mean(axis=0) - alone["mean"]) < 5 * error).all()
        below = (draws < alone[0.05].to_numpy()).mean(axis=0)
        assert (np.abs(below - 0.05) < 5 * np.sqrt(0.05 * 0.95 / len(draws))).all()


# ---- samples ------------------------------------------------------------------------------------


def test_samples_have_the_stationary_covariance():
    model = AR.from_parameters([0.5, -0.4], mean=1.0, sigma2=2.0)
    x = model.sample(50_000, length=4, seed=0) - 1.0
    gamma = autocovariances(np.array([0.5, -0.4]), 2.0, 3)
    want = gamma[np.abs(np.subtract.outer(np.arange(4), np.arange(4)))]
    np.testing.assert_allclose(x.T @ x / len(x), want, atol=5 * want[0, 0] * np.sqrt(2 / len(x)))


def test_a_row_is_the_same_in_any_batch_and_length():
    model = AR.from_parameters([0.5, -0.4])
    many, few = model.sample(5, length=60, seed=4), model.sample(2, length=25, seed=4)
    np.testing.assert_allclose(many[:2, :25], few, rtol=1e-12)
    assert np.abs(many - model.sample(5, length=60, seed=5)).min() > 0


def test_explosive_processes_continue_a_prefix():
    model = AR.from_parameters([1.1], initial="given")
    x = model.sample(1, length=50, prefix=[100.0], seed=0)[0]
    assert x[-1] > 5000
    np.testing.assert_allclose(model.forecast([100.0], 3)["mean"], 100 * 1.1 ** np.arange(1, 4))
    with pytest.raises(DataError, match="prefix"):
        model.sample(1, length=5)
    with pytest.raises(DataError, match="given"):
        model.forecast([], 5)


def test_a_unit_root_with_drift():
    x = 100 + 0.5 * np.arange(300) + np.random.default_rng(0).normal(size=300).cumsum()
    nan = float("nan")
    law = replace(
        AR(1, initial="given").fit(x).law_, coef=np.ones(1), mean=nan, drive=np.array([0.5])
    )
    model = AR.of(law, order=1)
    assert np.isnan(model.mean_)
    assert model.intercept_ == 0.5
    residuals = np.diff(x) - 0.5
    np.testing.assert_allclose(model.residuals(x), residuals, atol=1e-10)
    np.testing.assert_allclose(model.forecast(x, 3)["mean"], x[-1] + 0.5 * np.arange(1, 4))
    want = -0.5 * (residuals**2 / model.sigma2_ + np.log(2 * np.pi * model.sigma2_)).sum()
    assert model.log_prob(x) == pytest.approx(want)


# ---- errors and forms ---------------------------------------------------------------------------


def test_explosive_least_squares_says_what_to_do():
    x = 1.1 ** np.arange(60) + np.random.default_rng(0).normal(size=60)
    with pytest.raises(ParameterError, match=r"initial='given'.*method='mle'"):
        AR(1, method="ols").fit(x)
    assert AR(1, method="ols", initial="given").fit(x).coef_[0] > 1


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"order": -1}, "order"),
        ({"order": 1.5}, "order"),
        ({"order": 1, "trend": "cttt"}, "trend"),
        ({"order": 1, "method": "newton"}, "method"),
        ({"order": 1, "initial": "zero"}, "initial"),
        ({"order": 3, "initial": NORMAL}, "initial"),
    ],
)
def test_wrong_arguments_are_named(wrong, name):
    with pytest.raises(ParameterError, match=name):
        AR(**wrong).fit(np.arange(20.0) ** 2)


@pytest.mark.parametrize("bad", [-np.inf, np.inf])
def test_data_that_are_not_finite_are_refused(bad):
    with pytest.raises(DataError, match="finite"):
        AR(1).fit([1.0, bad, 3.0, 2.0, 5.0])


def test_unfitted_and_short():
    with pytest.raises(NotFittedError, match="fit"):
        AR(1).log_prob([1.0, 2.0])
    with pytest.raises(NotFittedError, match="fit"):
        AR(1).summary()
    with pytest.raises(DataError, match="too short"):
        AR(5).fit([1.0, 2.0, 4.0])
    model = AR(2, initial="given").fit(np.random.default_rng(0).normal(size=50))
    with pytest.raises(DataError, match="too short"):
        model.log_prob([1.0])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint16, bool, np.float32])
def test_integer_and_short_types(dtype):
    x = np.random.default_rng(0).integers(0, 120, size=80).astype(dtype)
    if dtype is bool:
        x = np.arange(80) % 3 == 0
    model = AR(1).fit(x)
    same = AR(1).fit(x.astype(float))
    np.testing.assert_array_equal(model.coef_, same.coef_)
    assert model.log_prob(x) == same.log_prob(x.astype(float))


def test_several_sequences_are_pooled():
    rng = np.random.default_rng(0)
    panel = rng.normal(size=(3, 40)).cumsum(axis=1)
    model = AR(2).fit(panel)
    assert model.log_likelihood_ == pytest.approx(model.log_prob(panel).sum())
    assert model.n_observations_ == 120
    # no pooled parameters near them are likelier
    for step in (-0.02, 0.02):
        moved = AR.from_parameters(
            model.coef_ + step * np.array([1, -1]), model.mean_, model.sigma2_
        )
        assert moved.log_prob(panel).sum() < model.log_likelihood_


def test_summary_and_criteria(sunspots):
    from statsmodels.tsa.arima.model import ARIMA

    model = AR(2).fit(sunspots)
    theirs = ARIMA(sunspots.to_numpy(), order=(2, 0, 0)).fit()
    for name in ("aic", "aicc", "bic", "hqic"):
        assert model.information_criterion(name) == pytest.approx(getattr(theirs, name), rel=1e-5)
    text = model.summary()
    for word in ("AR(2)", "exact maximum likelihood", "mean", "ar.L2", "sigma2", "std err", "309"):
        assert word in text
    assert max(len(line) for line in text.splitlines()) <= 80
    with pytest.raises(ParameterError, match="criterion"):
        model.information_criterion("dic")
    assert "given parameters" in AR.from_parameters([0.5]).summary()


def test_from_parameters_refuses_what_is_no_process():
    with pytest.raises(ParameterError, match="stationary"):
        AR.from_parameters([1.5])
    with pytest.raises(ParameterError, match="sigma2"):
        AR.from_parameters([0.5], sigma2=0.0)
    with pytest.raises(ParameterError, match="coef"):
        AR.from_parameters([np.nan])


def test_scikit_learn_chooses_an_order(sunspots):
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

    search = GridSearchCV(AR(1), {"order": [0, 2]}, cv=TimeSeriesSplit(3))
    search.fit(sunspots.to_numpy())
    assert search.best_params_ == {"order": 2}
    assert clone(AR(3, "ct", initial="given")).get_params()["initial"] == "given"
