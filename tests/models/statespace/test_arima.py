"""ARIMA against statsmodels at run time, R's published fits, and closed forms."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

import arproc
from arproc import AR, ARIMA
from arproc.errors import DataError, ParameterError
from arproc.gaussian.filtering import Filter
from arproc.gaussian.representation import represent

R_FITS = {  # what R prints for these data, with the digits it prints
    "lh": (
        (1, 0, 1), None,
        {"ar.L1": 0.4522, "ma.L1": 0.1982, "mean": 2.4101, "sigma2": 0.1923}, -28.76, 65.52,
    ),
    "LakeHuron": (
        (2, 0, 0), "mean",
        {"ar.L1": 1.0048, "ar.L2": -0.2913, "mean": 579.0994, "x1": -0.0216, "sigma2": 0.4566},
        -101.20, 212.40,
    ),
}  # fmt: skip


def air_passengers(shared_data):
    table = pd.read_csv(shared_data / "rdatasets" / "AirPassengers.csv")
    index = pd.period_range("1949-01", periods=len(table), freq="M")
    return pd.Series(np.log(table["value"].to_numpy(dtype=float)), index=index)


def co2():
    return arproc.datasets.co2().train.to_numpy(copy=True)


def nile():
    import statsmodels.api as sm

    return sm.datasets.nile.load_pandas().data["volume"].to_numpy(copy=True)


def macro():
    import statsmodels.api as sm

    table = sm.datasets.macrodata.load_pandas().data
    return table["infl"].to_numpy(copy=True), table[["unemp", "tbilrate"]].to_numpy(copy=True)


def sarimax(y, model, design=None):
    """statsmodels' model of the same law, its filter never cut short."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    reference = SARIMAX(
        y, exog=design, order=model.order, seasonal_order=model.seasonal_order,
        use_exact_diffuse=True, simple_differencing=False,
    )  # fmt: skip
    reference.ssm.tolerance = 0
    return reference


def fit_quietly(reference, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return reference.fit(disp=0, maxiter=500, cov_type="none", **settings)


CASES = {
    "CO2": ((1, 1, 1), (0, 1, 1, 12), co2),
    "Nile, local level": ((0, 1, 1), (0, 0, 0, 0), nile),
    "Nile, ARMA": ((1, 0, 2), (0, 0, 0, 0), nile),
    "twice integrated": ((2, 2, 1), (0, 0, 0, 0), lambda: co2()[:80]),
    "seasonal with both parts": ((1, 0, 1), (1, 1, 1, 4), lambda: macro()[0]),
}


@pytest.mark.filterwarnings("ignore:the standard errors of")
@pytest.mark.parametrize("name", CASES)
def test_statsmodels_sees_the_same_law_and_no_better_one(name):
    order, seasonal, data = CASES[name]
    y = data()
    model = ARIMA(order, seasonal, trend="n").fit(y)
    reference, m = sarimax(y, model), model.n_given
    terms = reference.loglikeobs(model.estimates_)
    np.testing.assert_allclose(model.log_prob_terms(y), terms[m:], rtol=1e-8, atol=1e-8)
    assert model.log_prob(y) == pytest.approx(terms[m:].sum(), rel=1e-9)
    fitted = fit_quietly(reference)
    theirs = reference.loglikeobs(fitted.params)[m:].sum()
    assert model.log_likelihood_ >= theirs - 1e-7 * abs(theirs)
    after = reference.smooth(model.estimates_, cov_type="none").get_forecast(30)
    table = model.forecast(y, 30, quantiles=(0.025, 0.975))
    np.testing.assert_allclose(table["mean"], after.predicted_mean, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(table[[0.025, 0.975]], after.conf_int(), rtol=1e-7, atol=1e-7)


def test_the_airline_model(shared_data):
    y = air_passengers(shared_data)
    model = ARIMA((0, 1, 1), (0, 1, 1, 12)).fit(y)
    np.testing.assert_allclose(model.estimates_[:2], [-0.4018, -0.5569], atol=6e-5)  # R's
    assert model.log_likelihood_ == pytest.approx(244.70, abs=0.005)  # R's
    reference = sarimax(y.to_numpy(), model)
    terms = reference.loglikeobs(model.estimates_)[13:]
    assert model.log_prob(y) == pytest.approx(terms.sum(), rel=1e-10)
    after = reference.smooth(model.estimates_, cov_type="none").get_forecast(24)
    table = model.forecast(y, 24, quantiles=(0.025, 0.975))
    np.testing.assert_allclose(table["mean"], after.predicted_mean, rtol=1e-9)
    np.testing.assert_allclose(table[[0.025, 0.975]], after.conf_int(), rtol=1e-9)
    assert list(table.index[:2].astype(str)) == ["1961-01", "1961-02"]


@pytest.mark.parametrize("name", R_FITS)
def test_published_fits_of_r(shared_data, name):
    order, regressors, numbers, log_likelihood, aic = R_FITS[name]
    table = pd.read_csv(shared_data / "rdatasets" / f"{name}.csv")
    context = table[["time"]].to_numpy() - 1920.0 if regressors else None
    y = table["value"].to_numpy(copy=True)
    model = ARIMA(order, regressors=regressors).fit(y, context=context)
    found = dict(zip(model.names_, model.estimates_, strict=True))
    for parameter, value in numbers.items():
        assert found[parameter] == pytest.approx(value, abs=6e-5)
    assert model.log_likelihood_ == pytest.approx(log_likelihood, abs=0.006)
    assert model.information_criterion("aic") == pytest.approx(aic, abs=0.006)


@pytest.mark.parametrize(
    ("order", "seasonal", "trend"),
    [
        ((1, 0, 1), (0, 0, 0, 0), "ct"),
        ((1, 1, 0), (1, 0, 0, 4), "t"),
        ((0, 1, 2), (0, 0, 0, 0), "n"),
    ],
)
def test_regressors_as_in_statsmodels(order, seasonal, trend):
    y, x = macro()
    model = ARIMA(order, seasonal, trend=trend, regressors="mean").fit(y[:180], context=x[:180])
    powers = {"n": [], "t": [1], "ct": [0, 1]}[trend]
    design = np.hstack([np.arange(203.0)[:, None] ** np.array(powers, dtype=int), x])
    reference, m = sarimax(y[:180], model, design[:180]), model.n_given
    terms = reference.loglikeobs(model.estimates_)[m:]
    ours = model.log_prob_terms(y[:180], context=x[:180])
    np.testing.assert_allclose(ours, terms, rtol=1e-8, atol=1e-8)
    fitted = fit_quietly(reference)
    assert model.log_likelihood_ >= reference.loglikeobs(fitted.params)[m:].sum() - 1e-6
    smoothed = reference.smooth(model.estimates_, cov_type="none")
    after = smoothed.get_forecast(23, exog=design[180:])
    table = model.forecast(y[:180], 23, quantiles=(0.025, 0.975), context=x)
    np.testing.assert_allclose(table["mean"], after.predicted_mean, rtol=1e-8)
    np.testing.assert_allclose(table[[0.025, 0.975]], after.conf_int(), rtol=1e-7)


def test_standard_errors_are_statsmodels():
    from statsmodels.tools.numdiff import approx_fprime, approx_hess3

    y, x = macro()
    model = ARIMA((1, 0, 1), regressors="mean").fit(y, context=x)
    reference = sarimax(y, model, np.hstack([np.ones((len(y), 1)), x]))
    information = -approx_hess3(model.estimates_, reference.loglike)
    wanted = np.sqrt(np.diag(np.linalg.inv(information)))
    errors = np.sqrt(np.diag(model.covariance_))
    np.testing.assert_allclose(errors, wanted, rtol=1e-3)
    np.testing.assert_allclose(model.parameter_table()["std_error"], errors)
    scores = approx_fprime(model.estimates_, reference.loglikeobs, centered=True)
    products = np.linalg.inv(scores.T @ scores)
    found = model.covariance("opg", y, context=x)
    np.testing.assert_allclose(np.sqrt(np.diag(found)), np.sqrt(np.diag(products)), rtol=1e-3)


@pytest.mark.parametrize("gaps", [[3, 40, 41, 42], [0, 5, 12, 13, 14, 30], [1, 99]])
@pytest.mark.parametrize(
    ("d", "seasonal_d", "ar"), [(0, 0, [0.6]), (1, 0, [0.5, 0.2]), (1, 1, []), (2, 0, [0.3])]
)
def test_the_filter_of_gaps_is_statsmodels(gaps, d, seasonal_d, ar):
    y = np.random.default_rng(0).normal(size=100).cumsum()
    y[gaps] = np.nan
    model = ARIMA((len(ar), d, 1), (0, seasonal_d, 1, 4))
    form = represent(
        np.array(ar), np.array([0.4]), np.zeros(0), np.array([-0.5]), (d, seasonal_d), 4
    )
    rest, variance = Filter(form).innovations(y[None], ~np.isnan(y))
    wanted = sarimax(y, model).loglikeobs(np.r_[ar, 0.4, -0.5, 1.0])
    terms = -0.5 * (np.log(2 * np.pi * variance) + rest[0] ** 2 / variance)
    given = np.isinf(variance) & ~np.isnan(y)
    scored = ~np.isinf(variance) & ~np.isnan(y)
    assert given.sum() == d + 4 * seasonal_d  # each difference takes one element
    np.testing.assert_allclose(terms[scored], wanted[scored], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("differences", [(0, 0), (1, 0), (1, 1), (2, 1)])
def test_the_filter_of_gaps_without_gaps_is_the_table(differences):
    form = represent(
        np.array([0.5, -0.2]), np.array([0.7]), np.array([0.3]), np.array([0.4]), differences, 3
    )
    y = np.random.default_rng(1).normal(size=(2, 80))
    law = Filter(form)
    rest, variance = law.innovations(y)
    same, scale = law.innovations(y, np.ones(80, dtype=bool))
    np.testing.assert_allclose(scale, variance, rtol=1e-9)
    finite = np.isfinite(variance)
    np.testing.assert_allclose(same[:, finite], rest[:, finite], rtol=1e-9, atol=1e-9)


MISSING = {
    "ARMA": ((1, 0, 1), (0, 0, 0, 0), [5, 6, 7, 60]),
    "integrated": ((1, 1, 1), (0, 0, 0, 0), [0, 1, 50, 199]),
    "seasonal": ((0, 1, 1), (0, 1, 1, 4), [2, 9, 100, 101, 102, 103, 104]),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_values_as_in_statsmodels(name):
    order, seasonal, gaps = MISSING[name]
    y = macro()[0]
    y[gaps] = np.nan
    with warnings.catch_warnings():  # the seasonal one's maximum is on a bound
        warnings.filterwarnings("ignore", "the standard errors")
        model = ARIMA(order, seasonal, trend="n").fit(y)
    reference = sarimax(y, model)
    given = np.isinf(model.law_.filter.innovations(y[None], ~np.isnan(y))[1])
    terms = np.where(given, 0.0, reference.loglikeobs(model.estimates_))
    np.testing.assert_allclose(
        model.log_prob_terms(y), terms[model.n_given :], rtol=1e-8, atol=1e-8
    )
    assert model.n_observations_ == len(y) - len(gaps) - model.n_given
    assert model.score(y) == pytest.approx(terms.sum() / model.n_observations_, rel=1e-9)
    fitted = fit_quietly(reference)
    theirs = np.where(given, 0.0, reference.loglikeobs(fitted.params)).sum()
    assert model.log_likelihood_ >= theirs - 1e-7 * abs(theirs)
    after = reference.smooth(model.estimates_, cov_type="none").get_forecast(12)
    table = model.forecast(y, 12, quantiles=(0.025, 0.975))
    np.testing.assert_allclose(table["mean"], after.predicted_mean, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(table[[0.025, 0.975]], after.conf_int(), rtol=1e-7, atol=1e-7)
    rest = model.residuals(y)
    assert np.isnan(rest).sum() == sum(gap >= model.n_given for gap in gaps)


@pytest.mark.parametrize("gaps", [[], [3, 80, 81, 150]])
@pytest.mark.parametrize(
    ("order", "terms"),
    [
        ((1, 0, 1), {"trend": "ctt", "fourier": {7: 1}}),
        ((0, 1, 1), {"seasonal": 4}),
        ((1, 0, 0), {"trend": "n", "seasonal": 4, "regressors": "mean"}),
    ],
)
def test_seasons_waves_and_parabolas_as_in_statsmodels(order, terms, gaps):
    y, x = macro()
    context = x if "regressors" in terms else None
    y[gaps] = np.nan
    model = ARIMA(order, **terms).fit(y, context=context)
    powers = 3 if terms.get("trend") == "ctt" else 0

    def design_at(t, beside):
        columns = [t**power for power in range(powers)]
        if "seasonal" in terms:
            columns += [t % 4 == j for j in range(1 if order[1] else 0, 4)]
        if "fourier" in terms:
            columns += [np.sin(2 * np.pi * t / 7), np.cos(2 * np.pi * t / 7)]
        return np.column_stack([*columns, *([] if beside is None else beside.T)]).astype(float)

    design = design_at(np.arange(203.0), context)
    assert model.terms_ == model.names_[min(powers, 2) : design.shape[1]]
    reference = sarimax(y, model, design)
    given = np.isinf(model.law_.filter.innovations(y[None], ~np.isnan(y))[1])
    found = np.where(given, 0.0, reference.loglikeobs(model.estimates_))
    np.testing.assert_allclose(
        model.log_prob_terms(y, context=context), found[order[1] :], rtol=1e-7, atol=1e-7
    )
    theirs = fit_quietly(reference, start_params=model.estimates_).params
    assert found.sum() >= np.where(given, 0.0, reference.loglikeobs(theirs)).sum() - 1e-6
    both = None if context is None else np.r_[context, context[:6]]
    ahead = model.forecast(y, 6, context=both)
    after = design_at(np.arange(203.0, 209.0), None if context is None else context[:6])
    expected = reference.smooth(model.estimates_, cov_type="none").get_forecast(6, exog=after)
    np.testing.assert_allclose(ahead["mean"], expected.predicted_mean, rtol=1e-7, atol=1e-7)


def test_a_series_with_gaps_beside_one_without():
    y, x = macro()
    holed = y.copy()
    holed[[3, 80, 81]] = np.nan
    both, context = np.stack([y, holed]), np.stack([x, 2 * x])
    model = ARIMA((1, 1, 1), regressors="mean").fit(both, context=context)
    alone = [model.log_prob(part, context=c) for part, c in zip(both, context, strict=True)]
    np.testing.assert_allclose(model.log_prob(both, context=context), alone, rtol=1e-12)
    assert model.log_likelihood_ == pytest.approx(sum(alone), rel=1e-12)
    assert model.n_observations_ == 2 * 203 - 3 - 2


def test_what_gaps_leave_without_a_law():
    model = ARIMA.from_parameters([0.5], d=1)
    with pytest.raises(DataError, match="so many elements are missing"):
        model.conditional([np.nan, np.nan])
    assert model.log_prob([np.nan, 3.0]) == 0.0  # the first that is there is given
    season = ARIMA.from_parameters(seasonal_d=1, period=3)
    held = [1.0, 2.0, np.nan, 1.0, 2.0, np.nan]  # the third season was never there
    assert np.isfinite(season.forecast(held, 2)["mean"]).all()
    with pytest.raises(DataError, match="one to come has no law yet"):
        season.forecast(held, 3)
    with pytest.raises(DataError, match="data has nothing but missing values"):
        ARIMA((1, 0, 0)).fit([np.nan] * 10)


def test_terms_are_told_where_they_begin_and_refused_where_they_say_nothing():
    y = macro()[0]
    model = ARIMA((0, 1, 1), seasonal=4, trend="t").fit(y)
    assert model.terms_ == ["s(2,4)", "s(3,4)", "s(4,4)"]
    given = ARIMA.from_parameters(
        ma=model.ma_, d=1, slope=model.slope_, beta=model.beta_, seasonal=4, sigma2=model.sigma2_
    )
    assert given.log_prob(y, offset=0) == pytest.approx(model.log_likelihood_, rel=1e-12)
    later = model.log_prob(y[6:], offset=6)
    assert later == pytest.approx(given.log_prob(y[6:], offset=2), rel=1e-12)  # a season later
    assert abs(later - given.log_prob(y[6:], offset=1)) > 1e-3
    with pytest.raises(DataError, match=r"s\(2,4\) is zero once differenced"):
        ARIMA((0, 0, 1), (0, 1, 0, 4), seasonal=4).fit(y)
    with pytest.raises(ParameterError, match="trend is 't'"):
        ARIMA((1, 0, 0), trend="t", seasonal=4).fit(y)
    with pytest.raises(ParameterError, match="expected 3 for"):
        ARIMA.from_parameters([0.5], beta=[1.0], seasonal=4)
    gone = y.copy()
    gone[1::4] = np.nan  # one of the seasons
    with pytest.raises(DataError, match="collinear over the elements that were observed"):
        ARIMA((1, 0, 0), seasonal=4).fit(gone)


def test_several_series_are_pooled():
    y, x = macro()
    one = ARIMA((1, 1, 1), regressors="mean").fit(y, context=x)
    two = ARIMA((1, 1, 1), regressors="mean").fit(np.stack([y, y]), context=np.stack([x, x]))
    np.testing.assert_allclose(two.estimates_, one.estimates_, rtol=1e-5)
    np.testing.assert_allclose(two.covariance_, one.covariance_ / 2, rtol=1e-3, atol=1e-9)
    assert two.log_likelihood_ == pytest.approx(2 * one.log_likelihood_, rel=1e-9)
    parts = [y[:50], y[50:120], y[120:]]
    pooled = ARIMA((1, 0, 1)).fit(parts)
    here = pooled.log_likelihood_
    assert here == pytest.approx(sum(pooled.log_prob(part) for part in parts), rel=1e-12)
    for ar, ma in ((0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01)):
        other = ARIMA.from_parameters(
            pooled.ar_ + ar, pooled.ma_ + ma, mean=pooled.mean_, sigma2=pooled.sigma2_
        )
        assert other.log_prob(parts).sum() < here


@pytest.mark.parametrize("scale", [1e-12, 1e12])
@pytest.mark.parametrize("order", [(1, 0, 1), (1, 1, 1)])
def test_any_scale(scale, order):
    y = macro()[0]
    base, other = ARIMA(order).fit(y), ARIMA(order).fit(scale * y)
    np.testing.assert_allclose(other.ar_, base.ar_, atol=1e-5)
    assert other.sigma2_ == pytest.approx(scale**2 * base.sigma2_, rel=1e-6)
    moved = base.log_likelihood_ - base.n_observations_ * np.log(scale)
    assert other.log_likelihood_ == pytest.approx(moved, rel=1e-9, abs=1e-6)


def test_the_likelihood_is_that_of_the_differences():
    y = co2()[:120]
    model = ARIMA.from_parameters([0.3], [0.4], 1, seasonal_ma=[-0.5], seasonal_d=1, period=12)
    plain = ARIMA.from_parameters([0.3], [0.4], seasonal_ma=[-0.5], period=12)
    w = np.diff(y)
    w = w[12:] - w[:-12]
    assert model.n_given == 13
    np.testing.assert_allclose(model.log_prob_terms(y), plain.log_prob_terms(w), rtol=1e-9)


def test_the_law_is_the_normal_law_of_its_autocovariances():
    ar, ma = np.array([0.7, -0.3]), np.array([0.4])
    model = ARIMA.from_parameters(ar, ma, mean=2.0, sigma2=1.7)
    psi = [1.0, ma[0] + ar[0]]
    for _ in range(400):
        psi.append(ar[0] * psi[-1] + ar[1] * psi[-2])
    weights = np.array(psi)
    gamma = np.array([1.7 * weights[h:] @ weights[: len(weights) - h] for h in range(12)])
    covariance = gamma[np.abs(np.subtract.outer(np.arange(12), np.arange(12)))]
    law = torch.distributions.MultivariateNormal(
        torch.full((12,), 2.0).double(), torch.from_numpy(covariance)
    )
    x = torch.from_numpy(model.sample(1, 12, seed=0)[0])
    assert model.log_prob(x.numpy()) == pytest.approx(float(law.log_prob(x)), rel=1e-10)


@pytest.mark.filterwarnings("ignore:the standard errors of")
def test_a_moving_average_with_a_unit_root_is_fitted():
    y = np.random.default_rng(1).normal(size=200)  # differenced once too often
    model = ARIMA((0, 1, 1)).fit(y)
    assert model.ma_[0] == pytest.approx(-1.0, abs=1e-3)
    reference = sarimax(y, model)
    terms = reference.loglikeobs(model.estimates_)[1:]
    assert model.log_likelihood_ == pytest.approx(terms.sum(), rel=1e-8)


def test_residuals_and_summary():
    y = pd.Series(nile(), index=pd.period_range("1871", periods=100, freq="Y"))
    model = ARIMA((0, 1, 1)).fit(y)
    rest = model.residuals(y, standardised=True)
    assert list(rest.index) == list(y.index[1:])
    assert float((rest**2).mean()) == pytest.approx(1.0, rel=1e-6)  # that is what sigma2 is
    text = model.summary()
    assert "ARIMA(0, 1, 1)" in text
    assert "the first 1 given" in text
    assert "ARIMA(1, 0, 0)" in ARIMA.from_parameters([0.5]).summary()


def test_parameters_that_change_after_a_fit_wait_for_the_next_one():
    y, x = macro()
    model = ARIMA((1, 0, 1), (0, 0, 1, 4), regressors="mean").fit(y, context=x)
    summary, terms = model.summary(), model.log_prob_terms(y, context=x)
    model.set_params(order=(2, 1, 0), seasonal_order=(0, 0, 0, 0), trend="t", regressors=None)
    np.testing.assert_array_equal(model.log_prob_terms(y, context=x), terms)
    assert model.n_given == 0
    assert model.summary() == summary
    model.forecast(y, 3, context=np.concatenate([x, x[-3:]]))
    model.residuals(y, context=x)
    model.covariance("opg", y, context=x)
    assert model.fit(y).n_given == 1
    with pytest.raises(DataError, match="data is constant"):
        model.fit(np.ones(40))
    assert model.summary().lstrip().startswith("ARIMA(2, 1, 0)")


def test_saved_and_loaded(tmp_path):
    y, x = macro()
    model = ARIMA((1, 1, 1), regressors="mean").fit(y, context=x)
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    assert again.log_prob(y, context=x) == model.log_prob(y, context=x)
    np.testing.assert_array_equal(again.covariance_, model.covariance_)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"order": (1, 0)}, r"order must be \(p, d, q\)"),
        ({"order": (1, -1, 0)}, "order must be at least 0"),
        ({"seasonal_order": (1, 0, 0, 1)}, "seasonal_order must have a period"),
        ({"order": (1, 1, 0), "trend": "c"}, "vanishes in the 1 differences"),
        ({"order": (0, 2, 1), "trend": "t"}, "a slope vanishes in the 2 differences"),
        ({"trend": "line"}, "trend must be one of"),
        ({"regressors": "recursion"}, "regressors must be one of 'mean'"),
    ],
)
def test_wrong_parameters(parameters, message):
    context = np.ones((50, 1)) if "regressors" in parameters else None
    with pytest.raises(ParameterError, match=message):
        ARIMA(**parameters).fit(np.arange(50.0) ** 2 % 7, context=context)


@pytest.mark.parametrize(
    ("data", "context", "message"),
    [
        (np.full(30, 3.0), None, "data is constant"),
        (np.arange(30.0), None, "data is constant"),
        (np.array([1.0, 2.0, 4.0, 3.0]), None, r"data has 3 element\(s\) beyond the first 1"),
        (np.arange(30.0) ** 2 % 7, np.ones((30, 1)), "the regressor x1 is zero once differenced"),
        (
            np.arange(30.0) ** 2 % 7,
            np.outer(np.arange(30.0) ** 2, [1, 2]),
            "x1, x2 are perfectly collinear",
        ),
    ],
)
def test_data_that_say_nothing(data, context, message):
    trend = "t" if context is None else "n"
    model = ARIMA((1, 1, 1), trend=trend, regressors=None if context is None else "mean")
    with pytest.raises(DataError, match=message):
        model.fit(data, context=context)


def test_wrong_laws_and_contexts():
    with pytest.raises(ParameterError, match="ar must have a stationary law"):
        ARIMA.from_parameters([1.1])
    with pytest.raises(ParameterError, match="sigma2 must be positive"):
        ARIMA.from_parameters(sigma2=0.0)
    with pytest.raises(ParameterError, match="ma must be a list of finite numbers"):
        ARIMA.from_parameters(ma=[np.nan])
    model = ARIMA.from_parameters(beta=[1.0, 2.0])
    with pytest.raises(DataError, match="context has 1 numbers for each step; the model takes 2"):
        model.log_prob([1.0, 2.0], context=np.ones((2, 1)))
    with pytest.raises(DataError, match="context has no step 2"):
        _ = model.start([[1.0, 2.0]], context=np.ones((1, 2, 2))).conditional


@pytest.mark.parametrize("order", [(2, 0, 1), (3, 0, 1)])
def test_a_search_that_touches_unit_roots_goes_on(order):
    """A sine with noise draws the AR roots to the unit circle, where no start has a covariance."""
    x = np.sin(np.arange(300) / 5) + 0.1 * np.random.default_rng(0).normal(size=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of standard errors that are not known
        model = ARIMA(order).fit(x)
    assert np.isfinite(model.log_likelihood_)
    assert model.log_likelihood_ > AR(order[0]).fit(x).log_likelihood_ - 1e-3
