"""Columns of times in whatever way they are written."""

import datetime

import pandas as pd
import pytest

from arproc.data.times import times_of
from arproc.errors import DataError

DAYS = pd.Series(pd.date_range("2024-03-30", periods=3), name="ds")


@pytest.mark.parametrize(
    "given",
    [
        DAYS,
        DAYS.dt.strftime("%Y-%m-%d"),
        DAYS.dt.strftime("%Y/%m/%d"),
        DAYS.dt.strftime("%Y-%m-%d").astype("category"),
        DAYS.dt.date,
        DAYS.astype(object),
        pd.Series(
            [datetime.datetime(2024, 3, 30 + i) for i in range(2)] + [DAYS[2]], dtype=object
        ),
    ],
    ids=["dates", "text", "slashes", "categories", "date", "objects", "datetime"],
)
def test_dates_are_dates(given):
    given = given.rename("ds")
    assert times_of(given, "data").tolist() == DAYS.tolist()
    assert times_of(given.iloc[::-1], "data").tolist() == DAYS.tolist()[::-1]
    gone = times_of(given.astype(object).where(given.index != 1), "data")
    assert gone.isna().tolist() == [False, True, False]


def test_a_zone_stays():
    local = DAYS.dt.tz_localize("Europe/Oslo")
    text = local.dt.tz_convert("UTC").map(pd.Timestamp.isoformat)
    assert str(times_of(local.astype(object), "data").dt.tz) == "Europe/Oslo"
    assert times_of(text, "data").tolist() == local.tolist()
    with pytest.raises(DataError, match=r"UTC\+01:00 in row 0 .*UTC\+02:00 in row 2 "):
        times_of(local.map(pd.Timestamp.isoformat), "data")  # the clock was changed between


@pytest.mark.parametrize("kind", ["periods", "numbers", "objects", "durations"])
def test_other_times_are_what_they_are(kind):
    given = {
        "periods": DAYS.dt.to_period("D").astype(object),
        "numbers": pd.Series([3, 4, 5], name="ds"),
        "objects": pd.Series([3, 4, 5], dtype=object, name="ds"),
        "durations": DAYS - DAYS[0],
    }[kind]
    found = times_of(given, "data")
    assert found.tolist() == given.tolist()
    assert found.dtype != object


def test_text_in_another_order_is_refused_with_its_rows():
    german = pd.Series(["2024-03-30", "31.3.2024"], name="day")
    with pytest.raises(DataError, match=r"'day', such as '31.3.2024' \(row 1\), that are no ISO"):
        times_of(german, "data")
