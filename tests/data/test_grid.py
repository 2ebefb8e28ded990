"""Many times at once as steps of a calendar, and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from arproc.data.grid import calendar_of_series, labels_of, steps_of
from arproc.errors import DataError


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2020-01-31", periods=30, freq="ME"),
        pd.date_range("2020-01-01", periods=30, freq="2MS"),
        pd.date_range("2020-01-01", periods=30, freq="3D"),
        pd.date_range("2020-01-03", periods=30, freq="W-FRI"),
        pd.date_range("2020-01-01", periods=30, freq="B"),
        pd.date_range("2020-03-28", periods=30, freq="h", tz="Europe/Berlin"),
        pd.date_range("2020-03-20", periods=30, freq="D", tz="Europe/Berlin"),
        pd.Index(np.arange(7, 100, 3)),
        pd.Index(0.25 * np.arange(30)),
    ],
)
def test_there_and_back(index):
    calendar = calendar_of_series(index[5:20], np.array([0, 15]), "data")
    steps, on = steps_of(calendar, index)
    assert on.all()
    np.testing.assert_array_equal(steps, np.arange(len(index)) - 5)
    back = labels_of(calendar, steps[::-1])
    assert (back == index[::-1]).all()


def test_what_is_between_two_steps_is_none():
    months = pd.DatetimeIndex(["2020-01-01", "2020-02-01", "2020-02-02", pd.NaT])
    calendar = calendar_of_series(
        pd.date_range("2019-01-01", periods=5, freq="MS"), np.array([0, 5]), "x"
    )
    steps, on = steps_of(calendar, months)
    assert on.tolist() == [True, True, False, False]
    assert steps[:2].tolist() == [12, 13]
    assert not steps_of(calendar, months[3:])[1].any()
    numbers = calendar_of_series(pd.Index([0, 2, 4]), np.array([0, 3]), "x")
    assert steps_of(numbers, pd.Index([2, 3, -4]))[1].tolist() == [True, False, True]


def test_most_series_tell_the_step():
    days = [pd.date_range("2020-01-01", periods=9, freq="D") for _ in range(3)]
    odd = pd.DatetimeIndex(["2020-01-01 07:13", "2020-01-04 08:00", "2020-02-01 11:00"])
    times, starts = days[0].append([odd, *days[1:]]), np.array([0, 9, 12, 21, 30])
    assert calendar_of_series(times, starts, "data").freq == "D"
    assert calendar_of_series(times, starts, "data", freq="D").freq == "D"
    with pytest.raises(DataError, match="without a regular step"):
        calendar_of_series(odd, np.array([0, 3]), "data")
    for none in (odd[:1], pd.Index(["a", "b"])):
        with pytest.raises(DataError, match="tell no step"):
            calendar_of_series(none, np.array([0, len(none)]), "data")
