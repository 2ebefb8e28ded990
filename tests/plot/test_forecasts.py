"""Pictures of forecasts and of their calibration."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest
from evaluation.toys import GaussianAR
from plot.subjects import FOUND, SERIES

from arproc import plot
from arproc.errors import DataError

# ---- forecasts ---------------------------------------------------------------------------


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_fan_has_its_intervals_and_joins_the_history():
    ax = plot.forecast_fan(SERIES, FOUND.forecast, actual=[1.0, 2.0])
    assert legend(ax) == ["history", "actual", "median forecast", "90% interval", "50% interval"]
    assert ax.get_ylabel() == "level [m]"
    median = next(line for line in ax.lines if line.get_label() == "median forecast")
    assert median.get_ydata() == pytest.approx([1.5, *FOUND.forecast[0.5]])
    wide, narrow = (c.get_paths()[0].get_extents() for c in ax.collections)
    assert wide.y0 == pytest.approx(FOUND.forecast[0.05].min())
    assert wide.y1 == pytest.approx(max(FOUND.forecast[0.95].max(), 1.5))
    assert narrow.height < wide.height
    last = matplotlib.dates.num2date(median.get_xdata()[-1].astype("datetime64[D]").astype(float))
    assert last.year == 2007


def test_odd_quantiles_are_lines():
    table = GaussianAR().forecast([1.0, 2.0], 2, quantiles=(0.1, 0.7), seed=1)
    ax = plot.forecast_fan([1.0, 2.0], table)
    assert legend(ax) == ["history", "mean forecast", "0.1 quantile", "0.7 quantile"]
    assert ax.get_xlabel() == "step"
    assert list(ax.lines[1].get_xdata()) == [1, 2, 3]


def test_dates_without_a_step_are_counted():
    days = pd.to_datetime(["2001-01-01", "2001-01-05", "2001-01-06"])
    history = pd.Series([1.0, 2.0, 3.0], index=days)
    ax = plot.forecast_fan(history, GaussianAR().forecast(history.to_numpy(), 2, seed=1))
    assert list(ax.lines[0].get_xdata()) == [-2, -1, 0]
    assert list(ax.lines[1].get_xdata()) == [0, 1, 2]


def test_forecasts_of_vectors_are_drawn_by_component():
    columns = pd.MultiIndex.from_product([["rate", "gap"], ["mean", 0.1, 0.9]])
    table = pd.DataFrame(np.ones((2, 6)), columns=columns, index=[3, 4])
    with pytest.raises(DataError, match=r"of 2 components; draw one, forecast\['rate'\]"):
        plot.forecast_fan([1.0, 2.0, 3.0], table)
    assert plot.forecast_fan([1.0, 2.0, 3.0], table["rate"]).lines


def test_wrong_forecasts_are_refused():
    two = pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 1.0]})
    with pytest.raises(DataError, match=r"forecast is of 2 series; draw one, forecast.loc\['a'\]"):
        plot.forecast_fan(two["a"], GaussianAR().forecast(two, 2, seed=1))
    with pytest.raises(DataError, match=r"DataFrame that Process\.forecast gives"):
        plot.forecast_fan(SERIES, np.zeros(3))
    with pytest.raises(DataError, match="at most the 3 steps"):
        plot.forecast_fan(SERIES, FOUND.forecast, actual=np.zeros(4))
    with pytest.raises(DataError, match=r"expected one series \[T\]"):
        plot.forecast_fan(two, FOUND.forecast)


# ---- calibration -------------------------------------------------------------------------


def test_bars_are_densities_and_the_band_is_binomial():
    values = np.concatenate([np.full(30, 0.05), np.linspace(0.001, 0.999, 170)])
    ax = plot.pit_histogram(values, bins=10)
    heights = [bar.get_height() for bar in ax.containers[0]]
    assert np.mean(heights) == pytest.approx(1.0)
    assert heights[0] == pytest.approx(47 * 10 / 200)
    from scipy.stats import binom

    lines = sorted(line.get_ydata()[0] for line in ax.lines)
    expected = [binom.ppf(0.025, 200, 0.1) / 20, 1.0, binom.ppf(0.975, 200, 0.1) / 20]
    assert lines == pytest.approx(expected)
    assert "n = 200" in ax.get_title()


def test_several_sequences_are_one_histogram():
    ax = plot.pit_histogram([np.array([0.1, 0.2]), np.array([0.9])])
    assert "n = 3;" in ax.get_title()
    with pytest.raises(DataError, match="PIT values"):
        plot.pit_histogram([3.0])
