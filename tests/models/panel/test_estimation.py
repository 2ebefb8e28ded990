"""Estimates of all series at once are those of each alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arproc import AR, Panel
from arproc.errors import DataError
from arproc.models.panel import estimation
from arproc.models.panel.together import FittedTogether


def series(seed, gaps=True, n=3):
    rng = np.random.default_rng(seed)
    rows = {}
    for i in range(n):
        x = AR.from_parameters([0.4, 0.2], mean=3.0).sample(1, 80 - 9 * i, seed=seed + i)[0]
        if gaps:
            x[rng.choice(np.arange(1, len(x) - 1), int(rng.integers(1, 9)), replace=False)] = (
                np.nan
            )
        rows[f"s{i}"] = (x + 0.02 * np.arange(len(x))) * 10.0 ** rng.integers(-3, 4)
    return rows


@pytest.fixture
def no_care(monkeypatch):
    """No series is fitted by itself."""

    def care(*_):
        raise AssertionError("a series was fitted alone")

    monkeypatch.setattr(estimation, "care", care)


@pytest.mark.usefixtures("no_care")
@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 3), st.sampled_from(["n", "c", "ct"]), st.booleans())
def test_exact_likelihoods_with_gaps(seed, order, trend, beside):
    rows, rng = series(seed), np.random.default_rng(seed)
    price = {name: rng.normal(size=len(x)) for name, x in rows.items()}
    process = AR(order, trend=trend, regressors="mean" if beside else None)
    data = rows
    if beside:
        data = pd.concat(
            pd.DataFrame({"unique_id": n, "ds": np.arange(len(x)), "y": x, "p": price[n]})
            for n, x in rows.items()
        )
    panel = Panel(process, covariates=["p"] if beside else None).fit(data)
    assert isinstance(panel.learnt_, FittedTogether)
    for i, (name, x) in enumerate(rows.items()):
        alone = process.clone().fit(x, context=price[name][:, None] if beside else None)
        one = panel[name]
        # the search alone is cut where the descent left is 1e-9
        assert panel.log_likelihoods_[i] == pytest.approx(alone.log_likelihood_, abs=1e-8)
        size = np.sqrt(np.diag(alone.covariance_))
        np.testing.assert_allclose(one.estimates_ / size, alone.estimates_ / size, atol=2e-5)
        np.testing.assert_allclose(one.covariance_, alone.covariance_, rtol=1e-3, atol=1e-5)
        assert one.names_[: len(alone.names_) - 2] == one.names_[: len(one.names_) - 2]
        assert one.n_observations_ == alone.n_observations_
        assert one.intercept_ == pytest.approx(alone.intercept_, rel=1e-4, abs=1e-7 * size[-1])


@pytest.mark.usefixtures("no_care")
@settings(max_examples=8, deadline=None)
@given(
    st.integers(0, 2**31),
    st.sampled_from(["yule-walker", "yule-walker-adjusted", "burg"]),
    st.sampled_from([0, 1, 3, [1, 4]]),
    st.sampled_from(["n", "c", "ct"]),
    st.sampled_from(["stationary", "given"]),
)
def test_yule_walker_and_burg(seed, method, order, trend, initial):
    order = 4 if method == "burg" and order == [1, 4] else order
    rows = series(seed, gaps=False)
    process = AR(order, trend, method, initial)
    panel = Panel(process).fit(rows)
    assert isinstance(panel.learnt_, FittedTogether)
    made = panel.forecast(horizon=3, quantiles=(0.9,))
    for i, (name, x) in enumerate(rows.items()):
        alone, one = process.clone().fit(x), panel[name]
        np.testing.assert_allclose(one.estimates_, alone.estimates_, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(one.covariance_, alone.covariance_, rtol=1e-7, atol=1e-14)
        assert panel.log_likelihoods_[i] == pytest.approx(alone.log_likelihood_, rel=1e-10)
        assert panel.n_observations_[i] == alone.n_observations_
        expected = alone.forecast(x, 3, (0.9,))
        np.testing.assert_allclose(made.loc[name], expected, rtol=1e-9, atol=1e-12)


def test_what_moments_do_not_take_is_told():
    rows = {"torn": np.r_[series(0, False)["s0"], np.nan, 1.0], "still": np.ones(30)}
    for name, message in (("torn", "does not take"), ("still", "constant")):
        with pytest.raises(DataError, match=message):
            Panel(AR(2, method="burg")).fit({name: rows[name]})


@pytest.mark.usefixtures("no_care")
@pytest.mark.parametrize("gaps", [False, True])
def test_least_squares_of_white_noise(gaps):
    rows = series(5, gaps)
    panel = Panel(AR(0, trend="n", method="ols")).fit(rows)
    for i, x in enumerate(rows.values()):
        known = x[~np.isnan(x)]
        assert panel.coefficients_["sigma2"].iloc[i] == pytest.approx(np.mean(known**2))
        assert panel.coefficients_["n"].iloc[i] == len(known)
        mass = -0.5 * len(known) * (np.log(2 * np.pi * np.mean(known**2)) + 1)
        assert panel.log_likelihoods_[i] == pytest.approx(mass)
