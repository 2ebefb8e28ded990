"""CountAR against statsmodels, closed forms, and itself."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import special, stats

import arproc
from arproc import CountAR
from arproc.errors import DataError, ParameterError
from arproc.models.discrete.count_fit import CountData
from arproc.models.discrete.count_kernels import digamma


def truth(**parameters) -> CountAR:
    return CountAR.from_parameters(
        **({"intercept": 1.0, "coef": [0.3], "feedback": [0.4]} | parameters)
    )


def series(n: int = 400, seed: int = 0, **parameters) -> np.ndarray:
    return truth(**parameters).sample(1, length=n, seed=seed)[0]


def lagged(x, p):
    return np.column_stack([x[p - i : len(x) - i] for i in range(1, p + 1)]), x[p:]


@pytest.mark.parametrize("link", ["identity", "log"])
def test_without_feedback_it_is_a_generalised_linear_model(link):
    import statsmodels.api as sm

    x = series(feedback=[], coef=[0.3, 0.2])
    model = CountAR(2, link=link, initial="given").fit(x)
    lags, target = lagged(x, 2)
    function = sm.families.links.Identity() if link == "identity" else sm.families.links.Log()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        regressors = sm.add_constant(lags if link == "identity" else np.log1p(lags))
        peer = sm.GLM(target, regressors, family=sm.families.Poisson(function)).fit(tol=1e-14)
    np.testing.assert_allclose(model.estimates_, peer.params, rtol=1e-7)
    assert model.log_likelihood_ == pytest.approx(peer.llf, rel=1e-12)
    if link == "log":  # the canonical link: expected and observed information agree
        errors = np.sqrt(np.diag(model.covariance_))
        np.testing.assert_allclose(errors, peer.bse, rtol=1e-6)


def test_negative_binomial_is_that_of_statsmodels():
    import statsmodels.api as sm

    x = series(dispersion=0.3)
    model = CountAR(2, link="log", family="negative_binomial", initial="given").fit(x)
    lags, target = lagged(x, 2)
    peer = sm.NegativeBinomial(target, sm.add_constant(np.log1p(lags))).fit(
        disp=0, method="newton", maxiter=200
    )
    np.testing.assert_allclose(model.estimates_, peer.params, rtol=1e-6)
    assert model.log_likelihood_ == pytest.approx(peer.llf, rel=1e-12)
    np.testing.assert_allclose(np.sqrt(np.diag(model.covariance_)), peer.bse, rtol=1e-5)


def test_regressors_are_those_of_a_generalised_linear_model():
    import statsmodels.api as sm

    x = series()
    z = np.random.default_rng(0).normal(size=(400, 2))
    model = CountAR(1, link="log", initial="given", regressors="recursion").fit(x, context=z)
    lags, target = lagged(x, 1)
    regressors = np.column_stack([np.ones(399), np.log1p(lags), z[1:]])
    peer = sm.GLM(target, regressors, family=sm.families.Poisson()).fit(tol=1e-14)
    np.testing.assert_allclose(model.estimates_, peer.params, rtol=1e-6)
    future = np.vstack([z, z[:3]])
    table = model.forecast(x, 3, seed=0, context=future)
    assert table.shape == (3, 4)


@pytest.mark.parametrize("link", ["identity", "log"])
@pytest.mark.parametrize("dispersion", [0.0, 0.7])
def test_likelihood_is_the_recursion_written_out(link, dispersion):
    parameters = {"intercept": 0.5, "coef": [0.3, 0.1], "feedback": [0.2, 0.15], "link": link}
    model = CountAR.from_parameters(**parameters, dispersion=dispersion, start_mean=2.0)
    x = np.array([3, 0, 1, 7, 2, 2])
    enter = np.log1p if link == "log" else np.asarray
    lags, past = [enter(2.0)] * 2, [np.log(2.0) if link == "log" else 2.0] * 2
    total, rates = 0.0, []
    for count in x:
        eta = 0.5 + 0.3 * lags[0] + 0.1 * lags[1] + 0.2 * past[0] + 0.15 * past[1]
        rate = np.exp(eta) if link == "log" else eta
        rates.append(rate)
        if dispersion:
            size = 1 / dispersion
            total += stats.nbinom.logpmf(count, size, size / (size + rate))
        else:
            total += stats.poisson.logpmf(count, rate)
        lags, past = [enter(float(count)), lags[0]], [eta, past[0]]
    assert model.log_prob(x) == pytest.approx(total, rel=1e-10)
    np.testing.assert_allclose(model.conditionals(x).mean[0], rates, rtol=1e-10)


@pytest.mark.parametrize("log_link", [True, False])
@pytest.mark.parametrize("dispersed", [True, False])
@pytest.mark.parametrize("skip", [0, 2])
def test_score_is_the_derivative_of_the_likelihood(log_link, dispersed, skip):
    x = series(60).astype(float)
    z = np.random.default_rng(1).random((60, 1))
    data = CountData(x, z, np.array([0, 40, 60]), 2, 2, log_link, dispersed, 2.5, skip)
    full = np.array([0.4, 0.2, 0.1, 0.3, 0.1, 0.2, -0.5])[: 6 + dispersed]
    gradient = data.score(full)[1]
    for i in range(len(full)):
        step = np.zeros(len(full))
        step[i] = 1e-6
        slope = (data.score(full + step)[0] - data.score(full - step)[0]) / 2e-6
        assert gradient[i] == pytest.approx(slope, rel=1e-6, abs=1e-5)


def test_digamma():
    for x in (1e-3, 0.5, 3.0, 17.0, 1e6):
        assert digamma(x) == pytest.approx(special.digamma(x), rel=1e-12)


def test_marginal_mean_of_an_ingarch():
    """Ferland, Latour and Oraichi (2006), section 2: omega / (1 - sum of coefficients)."""
    model = truth()
    assert model.start_ == pytest.approx(1 / 0.3)
    draws = model.sample(4000, length=30, seed=1)
    assert draws[:, -1].mean() == pytest.approx(1 / 0.3, abs=0.15)
    # from the mean, one step ahead, every mean is the marginal mean
    assert float(model.conditional().mean) == pytest.approx(1 / 0.3)


@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_fit_finds_the_truth_and_no_neighbour_is_better(family):
    x = series(4000, seed=3, dispersion=0.3 * (family != "poisson"))
    model = CountAR((1, 1), family=family).fit(x)
    assert model.converged_
    assert abs(model.coef_[0] - 0.3) < 0.06
    assert abs(model.feedback_[0] - 0.4) < 0.12
    assert model.log_likelihood_ == pytest.approx(model.log_prob(x), rel=1e-12)
    for shift in ([0.01, 0, 0], [0, 0.005, 0], [0, 0, 0.005], [0.01, 0, -0.005]):
        near = CountAR.from_parameters(
            model.intercept_ + shift[0], model.coef_ + shift[1], model.feedback_ + shift[2],
            model.dispersion_, start_mean=model.start_,
        )  # fmt: skip
        assert near.log_prob(x) < model.log_likelihood_


@pytest.mark.filterwarnings("ignore:the standard errors of")
def test_estimates_keep_the_constraints():
    rng = np.random.default_rng(0)
    for x in (rng.poisson(4, 150), np.cumsum(rng.poisson(1, 150))):
        model = CountAR((1, 1)).fit(x)
        assert model.intercept_ > 0
        assert min(model.coef_[0], model.feedback_[0]) >= 0
        assert model.coef_.sum() + model.feedback_.sum() < 1
        assert np.isfinite(model.log_likelihood_)


def test_several_sequences_are_pooled():
    x, y = series(150, seed=7), series(90, seed=8)
    model = CountAR((1, 1)).fit([x, y])
    assert model.log_likelihood_ == pytest.approx(model.log_prob(x) + model.log_prob(y))
    assert model.n_observations_ == 240


def test_forecasts_are_counts_with_dates():
    x = pd.Series(series(100), index=pd.date_range("2021-01-04", periods=100, freq="B"))
    table = CountAR().fit(x).forecast(x, 4, seed=1)
    assert (table[[0.05, 0.5, 0.95]] % 1 == 0).all().all()
    assert table.index[0] > x.index[-1]


def test_one_step_ahead_is_exact():
    x = series()
    model = CountAR(family="negative_binomial").fit(x)
    rate, size = float(model.conditional(x).mean), 1 / model.dispersion_
    table = model.forecast(x, 1, quantiles=(0.05, 0.95))
    assert table["mean"].iloc[0] == pytest.approx(rate, rel=1e-12)
    want = stats.nbinom.ppf([0.05, 0.95], size, size / (size + rate))
    np.testing.assert_array_equal(table[[0.05, 0.95]].iloc[0], want)


def test_first_forecast_mean_is_the_intensity():
    x, model = series(), truth()
    rate = float(model.conditional(x).mean)
    table = model.forecast(x, 2, seed=0, n_paths=20_000)
    assert table["mean"].iloc[0] == pytest.approx(rate, rel=0.03)
    # the mean two steps ahead is omega + (alpha + beta) lambda
    assert table["mean"].iloc[1] == pytest.approx(1 + 0.7 * rate, rel=0.03)


def test_a_saved_fit_is_the_same(tmp_path):
    x = series(120)
    model = CountAR((1, 1), family="negative_binomial").fit(x)
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    assert again.log_prob(x) == model.log_prob(x)
    assert again.summary() == model.summary()


def test_a_refused_refit_and_other_parameters_change_nothing():
    x = series(120)
    model = CountAR((1, 1)).fit(x)
    state, likelihood, summary = model.start(x), model.log_prob(x), model.summary()
    with pytest.raises(DataError, match="more than the 3 parameters"):
        model.fit([1, 2])
    model.set_params(order=3, link="log", initial="given", start_mean=9.0)
    assert model.log_prob(x) == likelihood
    assert model.summary() == summary
    assert float(state.conditional.mean[0]) == float(model.conditional(x).mean)


def test_regressors_of_known_parameters():
    model = truth(regression=[2.0], start_mean=3.0)
    z = np.array([[0.0], [1.0]])
    assert float(model.conditional([4], context=z).mean) == pytest.approx(
        1.0 + 0.3 * 4 + 0.4 * (1.0 + 0.7 * 3.0) + 2.0
    )
    with pytest.raises(DataError, match=r"negative values \(the least is -1\)"):
        model.log_prob([4, 2], context=-z)
    with pytest.raises(DataError, match="2 numbers for each step; the model takes 1"):
        model.log_prob([4, 2], context=np.hstack([z, z]))


def test_steps_and_kernel_agree_for_ragged_prefixes():
    model = truth(link="log", intercept=0.3)
    prefixes = [series(5), series(12, seed=2)]
    state = model.start(prefixes)
    alone = [model.conditional(prefix).mean for prefix in prefixes]
    torch.testing.assert_close(state.conditional.mean, torch.stack(alone))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: CountAR().fit(np.zeros(50, dtype=int)), DataError, "no event"),
        (lambda: CountAR().fit(np.full(50, 3)), DataError, "constant"),
        (lambda: CountAR().fit([1, 2, 0]), DataError, "more than the"),
        (lambda: CountAR().fit([1, -2, 0, 3, 4]), DataError, "count"),
        (lambda: CountAR().fit([1, 2.5, 0, 3, 4]), DataError, "fraction"),
        (lambda: CountAR((1, 2, 3)).fit(series(50)), ParameterError, "order"),
        (lambda: CountAR(link="probit").fit(series(50)), ParameterError, "link"),
        (lambda: CountAR(regressors=True).fit(series(50)), ParameterError, "None .* 'recursion'"),
        (lambda: CountAR(start_mean=0.0).fit(series(50)), ParameterError, "start_mean"),
        (lambda: CountAR.from_parameters(1.0, [1.2]), ParameterError, "stationary mean"),
        (lambda: CountAR.from_parameters(1.0, [-0.2]), ParameterError, "negative"),
        (
            lambda: CountAR(regressors="recursion").fit(series(50), context=-np.ones((50, 1))),
            DataError,
            "negative",
        ),
        (lambda: CountAR(regressors="recursion").fit(series(50)), ParameterError, "context"),
    ],
)
def test_bad_input_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_sequences_without_a_past_tell_nothing_of_it():
    """A column [N, 1] is N series of one count; its coefficients would stay where they began."""
    column = np.random.default_rng(0).poisson(4, (80, 1))
    with pytest.raises(
        DataError, match=r"1 element\(s\).*expected more than 1\. One series is an"
    ):
        CountAR().fit(column)
    with pytest.raises(DataError, match="expected more than 3"):
        CountAR((3, 0)).fit(column.reshape(-1, 2))
    CountAR((0, 0)).fit(column)
