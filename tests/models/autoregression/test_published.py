"""The fits that R prints (its help pages and documents that show their output), and statsmodels'.

R divides the innovation variance of its Yule-Walker fits by n - p - 1 instead of n.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from arproc import AR


@pytest.fixture(scope="module")
def r_data(shared_data):
    import pandas as pd

    def read(name):
        table = pd.read_csv(shared_data / "rdatasets" / f"{name}.csv")
        return table["value"].to_numpy(dtype=float, copy=True)

    return read


SERIES = ("sunspots", "nile", "co2", "realgdp", "lh", "lynx", "LakeHuron", "AirPassengers")


@pytest.fixture(scope="module")
def series(request):
    """A function from a name to the series."""
    import statsmodels.api as sm

    def read(name):
        if name == "sunspots":
            return sm.datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(copy=True)
        if name == "nile":
            return sm.datasets.nile.load_pandas().data["volume"].to_numpy(copy=True)
        if name == "co2":  # the weeks that were not measured are left out here
            weeks = sm.datasets.co2.load_pandas().data["co2"]
            return weeks.dropna().to_numpy()[::4].copy()
        if name == "realgdp":
            return 100 * np.diff(np.log(sm.datasets.macrodata.load_pandas().data["realgdp"]))
        return request.getfixturevalue("r_data")(name)

    return read


# ---- R's ar -------------------------------------------------------------------------------------


def adjusted(model, n):
    """The innovation variance of R's Yule-Walker."""
    return model.sigma2_ * n / (n - len(model.coef_) - 1)


def test_r_ar_of_lh(r_data):
    x = r_data("lh")
    model = AR(3, method="yule-walker").fit(x)
    np.testing.assert_allclose(model.coef_, [0.6534, -0.0636, -0.2269], atol=6e-5)
    assert adjusted(model, 48) == pytest.approx(0.1959, abs=6e-5)
    model = AR(3, method="burg").fit(x)
    np.testing.assert_allclose(model.coef_, [0.6588, -0.0608, -0.2234], atol=6e-5)
    assert model.sigma2_ == pytest.approx(0.1786, abs=6e-5)
    model = AR(1, method="ols", initial="given").fit(x)
    assert model.coef_[0] == pytest.approx(0.586, abs=6e-4)
    assert model.sigma2_ == pytest.approx(0.2016, abs=6e-5)
    # R's intercept is of the series less its mean
    level = model.intercept_ - x.mean() * (1 - model.coef_[0])
    assert level == pytest.approx(0.006234, abs=6e-7)


def test_r_ar_of_lake_huron(r_data):
    x = r_data("LakeHuron")
    model = AR(2, method="yule-walker").fit(x)
    # with four digits in Brockwell and Davis, Introduction to Time Series, section 5.1
    np.testing.assert_allclose(model.coef_, [1.0538, -0.2668], atol=6e-5)
    assert model.sigma2_ == pytest.approx(0.4920, abs=6e-5)
    assert adjusted(model, 98) == pytest.approx(0.508, abs=6e-4)
    model = AR(2, method="burg").fit(x)
    np.testing.assert_allclose(model.coef_, [1.0449, -0.2456], atol=6e-5)
    assert model.sigma2_ == pytest.approx(0.479, abs=6e-4)
    model = AR(2, method="mle").fit(x)
    np.testing.assert_allclose(model.coef_, [1.044, -0.250], atol=6e-4)
    assert model.mean_ == pytest.approx(579.04, abs=1e-2)
    assert model.sigma2_ == pytest.approx(0.479, abs=6e-4)
    table = AR(2).fit(x).forecast(x, 10)
    ahead = [9.79, 9.59, 9.43, 9.31, 9.23, 9.17, 9.13, 9.10, 9.08, 9.07]
    np.testing.assert_allclose(table["mean"] - 570, ahead, atol=6e-3)
    error = (table[0.95] - table[0.5]) / 1.6448536269514722
    errors = [0.69, 1.00, 1.16, 1.23, 1.27, 1.29, 1.29, 1.30, 1.30, 1.30]
    np.testing.assert_allclose(error, errors, atol=6e-3)


# ---- R's arima ----------------------------------------------------------------------------------


def test_r_arima_of_lake_huron(r_data):
    model = AR(2).fit(r_data("LakeHuron"))
    np.testing.assert_allclose(model.coef_, [1.0436, -0.2495], atol=6e-5)
    assert model.mean_ == pytest.approx(579.0473, abs=6e-5)
    errors = np.sqrt(np.diag(model.covariance_))
    np.testing.assert_allclose(errors[:3], [0.3319, 0.0983, 0.1008], atol=6e-5)
    assert model.sigma2_ == pytest.approx(0.4788, abs=6e-5)
    assert model.log_likelihood_ == pytest.approx(-103.63, abs=6e-3)
    assert model.information_criterion("aic") == pytest.approx(215.27, abs=6e-3)


@pytest.mark.parametrize("way", ["regressor", "trend"])
def test_r_arima_of_lake_huron_with_a_regressor(r_data, way):
    x = r_data("LakeHuron")  # 1875 to 1972; the regressor is time - 1920
    year = np.arange(1875.0, 1973.0) - 1920
    if way == "regressor":
        model = AR(2, regressors="mean").fit(x, context=year)
        slope, level = model.beta_[0], model.mean_
    else:
        model = AR(2, "ct").fit(x)
        slope, level = model.slope_, model.mean_ + 45 * model.slope_
    np.testing.assert_allclose(model.coef_, [1.0048, -0.2913], atol=5e-5)
    assert slope == pytest.approx(-0.0216, abs=5e-5)
    assert level == pytest.approx(579.0994, abs=5e-4)
    assert model.sigma2_ == pytest.approx(0.4566, abs=5e-5)
    assert model.log_likelihood_ == pytest.approx(-101.20, abs=5e-3)
    assert model.information_criterion("aic") == pytest.approx(212.40, abs=6e-3)


def test_r_arima_of_lh(r_data):
    x = r_data("lh")
    model = AR(1).fit(x)
    assert model.coef_[0] == pytest.approx(0.5739, abs=5e-5)
    assert model.mean_ == pytest.approx(2.4133, abs=5e-5)
    assert model.sigma2_ == pytest.approx(0.1975, abs=5e-5)
    assert model.log_likelihood_ == pytest.approx(-29.38, abs=5e-3)
    assert model.information_criterion("aic") == pytest.approx(64.76, abs=5e-3)
    model = AR(3).fit(x)
    np.testing.assert_allclose(model.coef_, [0.6448, -0.0634, -0.2198], atol=6e-5)
    assert model.mean_ == pytest.approx(2.3931, abs=6e-5)
    assert model.sigma2_ == pytest.approx(0.1787, abs=5e-5)
    assert model.log_likelihood_ == pytest.approx(-27.09, abs=5e-3)
    assert model.information_criterion("aic") == pytest.approx(64.18, abs=5e-3)


def test_fable_least_squares_of_lh(r_data):
    model = AR(3, method="ols", initial="given").fit(r_data("lh"))
    np.testing.assert_allclose(model.coef_, [0.6578, -0.0658, -0.2348], atol=5e-5)
    assert model.intercept_ == pytest.approx(1.5375, abs=5e-5)
    assert model.sigma2_ == pytest.approx(0.1905, abs=5e-5)


def test_r_arima_of_lynx(r_data):
    model = AR(2).fit(np.log10(r_data("lynx")))
    np.testing.assert_allclose(model.coef_, [1.3776, -0.7399], atol=5e-5)
    assert model.mean_ == pytest.approx(2.9038, abs=5e-5)
    assert model.sigma2_ == pytest.approx(0.0511, abs=5e-5)
    assert model.log_likelihood_ == pytest.approx(6.50, abs=5e-3)


# ---- statsmodels, on every series ---------------------------------------------------------------


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("order", [1, 4])
def test_exact_maximum_likelihood_is_statsmodels(series, name, order):
    from statsmodels.tsa.arima.model import ARIMA

    x = series(name)
    x = x - x.mean()  # the level of CO2 is 30 times its spread, which costs the filter digits
    model = AR(order).fit(x)
    theirs = ARIMA(x, order=(order, 0, 0))
    parameters = np.r_[model.mean_, model.coef_, model.sigma2_]
    result = theirs.smooth(parameters)
    assert model.log_likelihood_ == pytest.approx(result.llf, rel=1e-6)
    want = result.get_forecast(12).summary_frame(alpha=0.1)
    got = model.forecast(x, 12)
    size = x.std()
    np.testing.assert_allclose(got["mean"] / size, want["mean"] / size, rtol=1e-6, atol=1e-6)
    for level, bound in ((0.05, "mean_ci_lower"), (0.95, "mean_ci_upper")):
        np.testing.assert_allclose(got[level] / size, want[bound] / size, rtol=1e-6, atol=1e-6)
    # their optimiser finds nothing better
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        best = theirs.fit(start_params=parameters, cov_type="none")
    assert best.llf <= model.log_likelihood_ + 1e-6 * abs(model.log_likelihood_)


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("order", [1, 4, 12])
def test_the_other_methods_are_statsmodels(series, name, order):
    from statsmodels.regression.linear_model import burg, yule_walker
    from statsmodels.tsa.ar_model import AutoReg

    x = series(name)
    theirs = AutoReg(x, order).fit()
    model = AR(order, method="ols", initial="given").fit(x)
    np.testing.assert_allclose(model.coef_, theirs.params[1:], rtol=1e-6, atol=1e-8)
    assert model.sigma2_ == pytest.approx(theirs.sigma2, rel=1e-8)
    assert model.log_likelihood_ == pytest.approx(theirs.llf, rel=1e-8)
    errors = np.sqrt(np.diag(model.covariance_))[:-1]
    np.testing.assert_allclose(errors, theirs.bse, rtol=1e-6)
    same = AR(order, method="conditional-mle", initial="given").fit(x)
    np.testing.assert_array_equal(same.coef_, model.coef_)
    want = theirs.get_prediction(len(x), len(x) + 7).predicted_mean
    np.testing.assert_allclose(model.forecast(x, 8)["mean"], want, rtol=1e-7)
    coef = burg(x, order)[0]
    np.testing.assert_allclose(AR(order, method="burg").fit(x).coef_, coef, rtol=1e-6, atol=1e-9)
    for ours, rule in (("yule-walker", "mle"), ("yule-walker-adjusted", "adjusted")):
        coef, sigma = yule_walker(x, order, method=rule, result_object=False)
        model = AR(order, method=ours, initial="given").fit(x)
        np.testing.assert_allclose(model.coef_, coef, rtol=1e-6, atol=1e-9)
        assert model.sigma2_ == pytest.approx(sigma**2, rel=1e-8)
