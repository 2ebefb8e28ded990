"""ARIMA of a whole panel in one computation is ARIMA of each series."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arproc
from arproc import ARIMA, Panel
from arproc.errors import DataError
from arproc.models.panel.moving import FittedMoving
from arproc.transforms import Log, Transformed


def panel(n=5, length=90, seed=0):
    rng = np.random.default_rng(seed)
    season = np.sin(2 * np.pi * np.arange(length + 3) / 4)
    rows = []
    for i in range(n):
        e = rng.normal(size=length + 3)
        w = e[1:] + (0.2 * i - 0.4) * e[:-1]
        rows.append(np.cumsum(w)[: length - 7 * i] + season[: length - 7 * i] + 100 * i)
    return {f"s{i}": row for i, row in enumerate(rows)}


@pytest.mark.parametrize(
    ("order", "seasonal", "trend"),
    [
        ((1, 1, 1), (0, 0, 0, 0), None),
        ((0, 1, 1), (0, 1, 1, 4), None),
        ((2, 0, 0), (1, 0, 0, 4), None),  # about a mean
        ((1, 1, 0), (0, 0, 0, 0), "t"),  # a drift
        ((0, 1, 0), (0, 0, 0, 0), None),  # nothing to search
        ((0, 0, 2), (0, 0, 0, 0), "n"),
    ],
)
def test_every_series_is_fitted_as_alone_or_better(order, seasonal, trend):
    data, process = panel(), ARIMA(order, seasonal, trend)
    fitted = Panel(process).fit(data)
    assert isinstance(fitted.learnt_, FittedMoving)
    later = fitted.forecast(horizon=6, quantiles=(0.1, 0.9))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        alone = {name: ARIMA(order, seasonal, trend).fit(row) for name, row in data.items()}
    likely = fitted.log_prob(data)
    for i, (name, row) in enumerate(data.items()):
        assert fitted.log_likelihoods_[i] >= alone[name].log_likelihood_ - 1e-6
        assert likely[name] == pytest.approx(fitted.log_likelihoods_[i], rel=1e-9)
        one = fitted[name]
        assert one.log_prob(row) == pytest.approx(likely[name], rel=1e-9)
        expected = one.forecast(row, horizon=6, quantiles=(0.1, 0.9))
        np.testing.assert_allclose(later.loc[name], expected, rtol=1e-9, atol=1e-9)
        if abs(fitted.log_likelihoods_[i] - alone[name].log_likelihood_) < 1e-6:
            same = alone[name]
            np.testing.assert_allclose(one.estimates_, same.estimates_, rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(one.covariance_, same.covariance_, rtol=2e-2, atol=1e-6)


KINDS = [
    ((1, 1, 1), (0, 0, 0, 0), {}),
    ((0, 1, 1), (0, 1, 1, 4), {}),
    ((1, 0, 0), (0, 0, 0, 0), {"trend": "ct"}),
    ((0, 0, 1), (0, 0, 0, 0), {"trend": "ctt", "fourier": {7: 1}}),
    ((0, 1, 1), (0, 0, 0, 0), {"trend": "t", "seasonal": 4}),
]


@settings(max_examples=5, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 2**31), st.booleans(), st.booleans())
def test_gaps_terms_and_covariates_are_those_of_each_series_alone(kind, seed, beside, log):
    order, seasonal, terms = kind
    rng = np.random.default_rng(seed)
    rows = {}
    for name, row in panel(3, 48, seed).items():
        x, gone = row / 100, rng.choice(np.arange(1, len(row) - 1), int(rng.integers(6)), False)
        x[gone] = np.nan
        rows[name] = np.exp(x / 4) if log else x
    covariate = {name: rng.normal(size=(len(row) + 3, 1)) for name, row in rows.items()}
    process = ARIMA(order, seasonal, **terms, regressors="mean" if beside else None)
    process = Transformed(process, Log()) if log else process
    frames = [
        pd.DataFrame({"unique_id": n, "ds": np.arange(len(x)), "y": x, "p": covariate[n][:-3, 0]})
        for n, x in rows.items()
    ]
    data = pd.concat(frames) if beside else rows
    fitted = Panel(process, covariates=["p"] if beside else None).fit(data)
    assert isinstance(fitted.learnt_, FittedMoving)
    future = None
    if beside:
        steps = {name: np.arange(len(x), len(x) + 3) for name, x in rows.items()}
        future = pd.concat(
            pd.DataFrame({"unique_id": n, "ds": steps[n], "p": covariate[n][-3:, 0]}) for n in rows
        )
    made = fitted.forecast(horizon=3, quantiles=(0.1,), future=future)
    likely = fitted.log_prob(data, offset=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for name, row in rows.items():
            own = covariate[name] if beside else None
            past = None if own is None else own[:-3]
            alone = process.clone().fit(row, context=past)
            one = fitted[name]
            assert alone.log_prob(row, context=past) == pytest.approx(likely[name], abs=1e-8)
            same = one.log_prob(row, context=past, offset=0)
            assert same == pytest.approx(likely[name], rel=1e-9, abs=1e-9)
            expected = alone.forecast(row, 3, (0.1,), context=own)
            np.testing.assert_allclose(made.loc[name], expected, rtol=1e-6, atol=1e-6)


def test_gaps_short_and_constant_series_are_told_apart():
    data = panel(3) | {"still": np.ones(40), "short": np.array([1.0, 3.0])}
    data["s1"][20:24] = np.nan
    fitted = Panel(ARIMA((0, 1, 1)), errors="keep").fit(data)
    assert [status == "ok" for status in fitted.status_] == [True, True, True, False, False]
    alone = ARIMA((0, 1, 1)).fit(data["s1"])
    assert fitted.log_likelihoods_[1] == pytest.approx(alone.log_likelihood_, abs=1e-6)
    assert fitted.log_prob({"s1": data["s1"]})["s1"] == pytest.approx(alone.log_likelihood_)
    expected = alone.forecast(data["s1"], horizon=3)
    made = fitted.forecast(horizon=3)
    np.testing.assert_allclose(made.loc["s1"], expected, rtol=1e-6)
    assert np.isnan(made.loc["still"].to_numpy()).all()
    with pytest.raises(DataError, match="'still'"):
        Panel(ARIMA((0, 1, 1))).fit(data)


def test_logarithms_are_modelled_together(tmp_path):
    data = {name: np.exp(row / 50) for name, row in panel(3).items()}
    process = Transformed(ARIMA((0, 1, 1)), Log())
    fitted = Panel(process).fit(data)
    assert isinstance(fitted.learnt_, FittedMoving)
    made = fitted.forecast(horizon=3, history=data)
    for name, row in data.items():
        alone = Transformed(ARIMA((0, 1, 1)), Log()).fit(row)
        assert fitted.log_prob(data)[name] == pytest.approx(alone.log_prob(row), rel=1e-8)
        np.testing.assert_allclose(made.loc[name], alone.forecast(row, horizon=3), rtol=1e-4)
    fitted.save(tmp_path / "panel.arproc")
    again = arproc.load(tmp_path / "panel.arproc")
    np.testing.assert_array_equal(again.forecast(horizon=3), fitted.forecast(horizon=3))
    fitted.forget_covariances()
    assert np.isnan(fitted["s1"].fit_.notes["process"].covariance_).all()


def test_neither_scale_nor_thread_nor_neighbour_matters():
    data = panel(4)
    fitted = Panel(ARIMA((1, 1, 1))).fit(data)
    large = Panel(ARIMA((1, 1, 1))).fit({name: 1e9 * row for name, row in data.items()})
    np.testing.assert_allclose(
        large.coefficients_["ma.L1"], fitted.coefficients_["ma.L1"], rtol=1e-6, atol=1e-6
    )
    single = Panel(ARIMA((1, 1, 1))).fit({"s2": data["s2"]})
    assert single.log_likelihoods_[0] == fitted.log_likelihoods_[2]


def test_extreme_series_are_fitted_or_named_and_stop_none():
    walk = np.random.default_rng(0).normal(size=60).cumsum()
    data = {
        "plain": walk, "huge": 1e70 * walk, "far": walk + 1e12, "jump": np.r_[np.zeros(59), 1.0],
        "turns": np.tile([1.0, -1.0], 30), "grows": 1.5 ** np.arange(60), "one": np.ones(1),
        "gone": np.full(9, np.nan),
    }  # fmt: skip
    fitted = Panel(ARIMA((1, 1, 1)), errors="keep").fit(data)
    status = dict(zip(fitted.names_, fitted.status_, strict=True))
    assert {name for name in data if status[name] != "ok"} == {"huge", "one", "gone"}
    assert "sigma2" in status["huge"]
    made = fitted.forecast(horizon=3)
    for name in ("plain", "far", "jump", "turns", "grows"):
        assert np.isfinite(made.loc[name].to_numpy()).all()
        assert np.isfinite(fitted[name].log_prob(data[name]))
    seasonal = Panel(ARIMA((0, 1, 1), (0, 1, 0, 12))).fit({"a": walk})
    with pytest.raises(DataError, match="13"):
        seasonal.log_prob({"a": walk[:5]})
    with pytest.raises(DataError, match="13"):
        seasonal.forecast(3, history={"a": walk[:5]})


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("order", "seasonal"),
    [((1, 0, 0), (0, 0, 0, 0)), ((0, 1, 1), (0, 0, 0, 0)), ((0, 0, 1), (0, 1, 0, 7))],
)
def test_regressors_that_differ_where_nothing_was_observed_are_refused(order, seasonal, seed):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=60).cumsum()
    y[30] = np.nan
    x = rng.normal(size=(60, 2))
    process = ARIMA(order, seasonal, regressors="mean")
    assert np.isfinite(process.clone().fit(y, context=x).beta_).all()
    x[:, 1] = 2 * x[:, 0]
    x[30, 1] += 5
    with pytest.raises(DataError, match="collinear"):
        process.clone().fit(y, context=x)
