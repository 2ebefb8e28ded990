"""Forecast tables: quantiles, dates carried on, simulation against closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from torch.distributions import Distribution

import arproc
from arproc.errors import ParameterError, UnsupportedError
from arproc.forecasting import future_index

SERIES = arproc.AR.from_parameters([0.8], mean=5.0, sigma2=2.0).sample(1, length=200, seed=0)[0]
MODEL = arproc.AR(1).fit(SERIES)


class Simulated(arproc.AR):
    """An AR that knows no closed form."""

    def _predictive(self, state: object, horizon: int) -> Distribution | None:
        return None


INDEXES = {
    "months": (pd.date_range("2020-01", periods=200, freq="MS"), "2036-09-01"),
    "month ends": (pd.date_range("2020-01", periods=200, freq="ME"), "2036-09-30"),
    "business days": (pd.bdate_range("2024-01-05", periods=200), "2024-10-11"),
    "hours with a time zone": (
        pd.date_range("2024-03-30", periods=200, freq="h", tz="Europe/Berlin"),
        "2024-04-07 09:00:00+02:00",
    ),
    "periods": (pd.period_range("1990Q1", periods=200, freq="Q"), "2040Q1"),
    "years as numbers": (pd.Index(range(1700, 1900)), "1900"),
    "a step of five": (pd.RangeIndex(0, 1000, 5), "1000"),
}


@pytest.mark.parametrize("name", INDEXES)
def test_the_dates_are_carried_on(name: str) -> None:
    index, first = INDEXES[name]
    forecast = MODEL.forecast(pd.Series(SERIES, index=index), 3)
    assert str(forecast.index[0]) in (first, f"{first} 00:00:00")
    assert forecast.index.is_monotonic_increasing
    assert len(forecast) == 3


def test_an_irregular_index_is_counted_on() -> None:
    dates = pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-05", "2020-02-01"])
    assert list(future_index(dates, 2)) == [1, 2]


def test_columns_are_the_mean_and_the_quantiles_asked_for() -> None:
    forecast = MODEL.forecast(SERIES, 4, quantiles=(0.1, 0.5, 0.9))
    assert list(forecast.columns) == ["mean", 0.1, 0.5, 0.9]
    assert (forecast[0.1] < forecast[0.5]).all()
    assert (forecast[0.5] < forecast[0.9]).all()


def test_simulation_agrees_with_the_closed_form() -> None:
    simulated = Simulated(1).fit(SERIES)
    exact = MODEL.forecast(SERIES, 8)
    drawn = simulated.forecast(SERIES, 8, seed=1, n_paths=20_000)
    scale = (exact[0.95] - exact[0.05]).to_numpy()[:, None]
    assert np.abs((drawn - exact).to_numpy() / scale).max() < 0.02
    pd.testing.assert_frame_equal(drawn, simulated.forecast(SERIES, 8, seed=1, n_paths=20_000))


def test_intervals_widen_to_the_stationary_law() -> None:
    far = MODEL.forecast(SERIES, 200).iloc[-1]
    deviation = (MODEL.sigma2_ / (1 - MODEL.coef_[0] ** 2)) ** 0.5
    assert far["mean"] == pytest.approx(MODEL.mean_, rel=1e-6)
    assert far[0.95] - far["mean"] == pytest.approx(1.6448536 * deviation, rel=1e-6)


def test_a_panel_is_indexed_by_series() -> None:
    frame = pd.DataFrame({"a": SERIES[:50], "b": SERIES[50:100]})
    forecast = MODEL.forecast(frame, 2)
    assert forecast.index.names == ["series", "step"]
    pd.testing.assert_frame_equal(
        forecast.loc["b"], MODEL.forecast(frame["b"], 2), check_names=False
    )


def test_a_series_forecast_does_not_depend_on_its_company() -> None:
    simulated = Simulated(1).fit(SERIES)
    both = simulated.forecast([SERIES[:50], SERIES[:90]], 3, seed=4)
    assert both.loc[0].to_numpy() == pytest.approx(
        simulated.forecast(SERIES[:50], 3, seed=4).to_numpy()
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"horizon": 0}, "horizon must be at least 1"),
        ({"horizon": 2.5}, "horizon must be an integer"),
        ({"horizon": 1, "quantiles": (0.5, 1.0)}, "quantiles must lie"),
        ({"horizon": 1, "n_paths": 1}, "n_paths must be at least 2"),
    ],
)
def test_wrong_calls_are_named(call: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        MODEL.forecast(SERIES, **call)


def test_text_has_no_forecast() -> None:
    letters = arproc.NGram(1, tokens="char", smoothing="additive").fit("abab")
    with pytest.raises(UnsupportedError, match=r"sample\(prefix"):
        letters.forecast("ab", 2)
