"""Calendar features: where a date stands in its cycles."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc.errors import DataError, ParameterError


def test_cycles_come_round_and_keep_the_dates():
    hours = pd.date_range("2024-01-05", periods=24 * 7 * 2, freq="h")
    table = arproc.calendar_features(hours, ["hour", "weekday", "weekend"])
    assert table.index.equals(hours)
    assert list(table) == ["hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "weekend"]
    week = 24 * 7
    np.testing.assert_allclose(table[:week], table[week:], atol=1e-12)
    np.testing.assert_allclose(table["hour_sin"][:3], np.sin(2 * np.pi * np.arange(3) / 24))
    assert table["weekend"].groupby(hours.day_of_week).first().tolist() == [0] * 5 + [1] * 2


def test_of_periods_and_of_data_with_dates():
    months = pd.period_range("2023-01", periods=12, freq="M")
    table = arproc.calendar_features(pd.Series(range(12), months), "month")
    assert table.index.equals(months)
    np.testing.assert_allclose(table["month_cos"].iloc[6], -1.0)


def test_what_has_no_dates_is_refused():
    with pytest.raises(DataError, match="expected dates"):
        arproc.calendar_features(pd.RangeIndex(5))
    with pytest.raises(ParameterError, match="features has 'minute'"):
        arproc.calendar_features(pd.date_range("2024", periods=2), ["minute"])
