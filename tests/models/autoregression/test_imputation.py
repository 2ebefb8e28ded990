"""Missing elements given all that was observed: against normal laws, statsmodels, and draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.arima.model import ARIMA

from arproc import AR
from arproc.errors import DataError
from arproc.gaussian.levinson import autocovariances

COEF = [0.5, -0.3, 0.2]


def gappy(n: int = 80, seed: int = 0) -> np.ndarray:
    x = AR.from_parameters(COEF, mean=3.0, sigma2=2.0).sample(1, n, seed=seed)[0]
    x[np.random.default_rng(seed).random(n) < 0.3] = np.nan
    x[20:30] = x[0] = x[-2:] = np.nan
    return x


def test_the_smoothed_moments_are_the_normal_conditional_ones():
    model, x = AR.from_parameters(COEF, mean=1.0, sigma2=2.0, slope=0.1), gappy()
    n, gone = len(x), np.isnan(x)
    gamma = autocovariances(np.array(COEF), 2.0, n - 1)
    sigma = gamma[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]
    mean = 1 + 0.1 * np.arange(n)
    weight = sigma[np.ix_(gone, ~gone)] @ np.linalg.inv(sigma[np.ix_(~gone, ~gone)])
    rest = sigma[np.ix_(gone, gone)] - weight @ sigma[np.ix_(~gone, gone)]
    table = model.impute(x)
    np.testing.assert_allclose(
        table["mean"][gone], mean[gone] + weight @ (x - mean)[~gone], rtol=1e-10
    )
    np.testing.assert_allclose(table["std"][gone], np.sqrt(np.diag(rest)), rtol=1e-10)
    np.testing.assert_array_equal(table["mean"][~gone], x[~gone])
    assert (table["std"][~gone] == 0).all()
    draws = model.impute(x, n_draws=20_000, seed=3).to_numpy()
    np.testing.assert_array_equal(draws[~gone], np.repeat(x[~gone, None], 20_000, axis=1))
    np.testing.assert_allclose(np.cov(draws[gone]), rest, atol=0.12)
    np.testing.assert_allclose(draws[gone].mean(1), table["mean"][gone], atol=0.06)


@pytest.mark.parametrize("trend", ["c", "ct"])
def test_statsmodels_smooths_to_the_same(trend):
    x = gappy(200)
    model = AR(3, trend=trend).fit(x)
    theirs = model.estimates_.copy()
    if trend == "ct":
        theirs[0] -= theirs[1]
    reference = ARIMA(x, order=(3, 0, 0), trend=trend)
    smoothed = reference.smooth(theirs)
    level = model.mean_ + model.slope_ * np.arange(200)
    gone, table = np.isnan(x), model.impute(x)
    state = smoothed.smoother_results
    np.testing.assert_allclose(
        table["mean"][gone], (state.smoothed_state[0] + level)[gone], rtol=1e-7
    )
    np.testing.assert_allclose(
        table["std"][gone], np.sqrt(state.smoothed_state_cov[0, 0][gone]), rtol=1e-7
    )


def test_the_likelihood_of_what_was_observed_by_another_way():
    """p(observed) = p(all, the missing at their mean) / p(these | observed)."""
    from arproc.models.autoregression.imputation import missing_given_observed

    for model in (
        AR.from_parameters(COEF, mean=1.0),
        AR.from_parameters([1.6, -0.6], initial="given"),
        AR.from_parameters([0.7], beta=[1.0, 0.5], fourier={7: 1}),
    ):
        x = gappy()
        x[:2] = [1.0, 2.0]
        sequences = model.sequences(x, missing=True)
        found = missing_given_observed(sequences.values, model.law_.recursion, model.n_given)
        filled = model.impute(x)["mean"].to_numpy()
        at_mean = np.log(found.factor[0]).sum() - 0.5 * len(found.mean) * np.log(2 * np.pi)
        assert model.log_prob(x) == pytest.approx(model.log_prob(filled) - at_mean, rel=1e-11)


def test_gaps_at_the_end_are_forecasts():
    model = AR.from_parameters(COEF, mean=1.0)
    x = np.append([0.5, np.nan, 2.0, 1.0], [np.nan] * 6)
    table = model.forecast(x[:4], 6, quantiles=(0.8413447460685429,))
    imputed = model.impute(x)[4:]
    np.testing.assert_allclose(imputed["mean"], table["mean"], rtol=1e-10)
    np.testing.assert_allclose(imputed["std"], table.iloc[:, 1] - table["mean"], rtol=1e-9)


def test_regressors_enter_the_mean():
    rng = np.random.default_rng(0)
    context = rng.normal(size=(60, 2))
    x = context @ [3.0, -1.0] + AR.from_parameters([0.6], mean=2.0).sample(1, 60, seed=0)[0]
    x[10:15] = np.nan
    model = AR(1, regressors="mean").fit(x, context=context)
    plain = AR.from_parameters(model.coef_, 0.0, model.sigma2_)
    level = model.mean_ + context @ model.beta_
    np.testing.assert_allclose(
        model.impute(x, context=context)["mean"], plain.impute(x - level)["mean"] + level
    )


def test_tables_keep_the_users_index_and_draws_their_rows():
    x = gappy(40)
    model, dates = AR.from_parameters(COEF), pd.date_range("2020", periods=40, freq="h", tz="CET")
    one = model.impute(pd.Series(x, dates))
    assert one.index.equals(dates)
    frame = pd.DataFrame({"a": x, "b": x[::-1]}, index=dates)
    several = model.impute(frame)
    pd.testing.assert_frame_equal(several.loc["a"], one, check_names=False, check_freq=False)
    few, many = (model.impute(frame, n_draws=k, seed=5) for k in (2, 7))
    np.testing.assert_array_equal(few, many[[0, 1]])
    np.testing.assert_array_equal(few.loc["a"], model.impute(frame["a"], n_draws=2, seed=5))


def test_nothing_missing_and_everything():
    model = AR.from_parameters([0.5], mean=2.0, sigma2=0.75)
    whole = model.impute([1.0, 2.0, 4.0])
    assert whole["mean"].tolist() == [1.0, 2.0, 4.0]
    none = model.impute([np.nan] * 4)
    np.testing.assert_allclose(none, [[2.0, 1.0]] * 4, rtol=1e-12)
    np.testing.assert_allclose(AR.from_parameters([], mean=1.5).impute([np.nan]), [[1.5, 1.0]])
    given = AR.from_parameters([1.0], initial="given")
    with pytest.raises(DataError, match="given"):
        given.impute([np.nan, 1.0])
    bridge = given.impute([0.0, np.nan, np.nan, 3.0])
    np.testing.assert_allclose(bridge["mean"], [0, 1, 2, 3], rtol=1e-12)
    np.testing.assert_allclose(bridge["std"] ** 2, [0, 2 / 3, 2 / 3, 0], rtol=1e-12)
