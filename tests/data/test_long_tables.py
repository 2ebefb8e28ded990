"""Long tables: any order, any labels, whatever is wrong with a series said of that series."""

import numpy as np
import pandas as pd
import pytest

from arproc.data.long_tables import LONG, read_long
from arproc.errors import DataError, ParameterError

DAYS = pd.date_range("2024-01-01", periods=6)
TABLE = pd.DataFrame(
    {"unique_id": ["b"] * 6 + ["a"] * 6, "ds": [*DAYS, *DAYS], "y": np.arange(12.0)}
)
A, B = np.arange(6.0, 12.0), np.arange(6.0)


def rows(table: pd.DataFrame, **options):
    found = read_long(table, "data", LONG, **options)
    ends = zip(found.offsets[:-1], found.offsets[1:], strict=True)
    return found, dict(zip(found.names, [found.values[i:j] for i, j in ends], strict=True))


def test_rows_and_columns_come_in_any_order():
    _, want = rows(TABLE)
    np.testing.assert_array_equal(want["a"], A)
    np.testing.assert_array_equal(want["b"], B)
    for table in (
        TABLE.sample(frac=1, random_state=1)[["y", "ds", "unique_id"]],
        TABLE.assign(other="x"),
        TABLE.assign(unique_id=TABLE["unique_id"].astype("category")),
    ):
        found, same = rows(table)
        assert found.names == ["a", "b"]
        for name in "ab":
            np.testing.assert_array_equal(same[name], want[name])
        assert len(found.indexes) == 1  # one for all, as they are the same
        assert found.indexes[0].freqstr == "D"


def test_a_sorted_table_is_not_copied():
    table = TABLE.sort_values(["unique_id", "ds"]).reset_index(drop=True)
    found, _ = rows(table)
    assert np.shares_memory(found.values, table["y"].to_numpy())


@pytest.mark.parametrize("names", [[2, 10], [0.5, 1.5], [("x", 1), ("x", 2)]])
def test_names_of_any_kind_are_sorted_as_what_they_are(names):
    table = TABLE.assign(unique_id=[names[1]] * 6 + [names[0]] * 6)
    found, _ = rows(table)
    assert found.names == names
    np.testing.assert_array_equal(found.values[:6], A)


def test_steps_that_are_left_out_are_missing():
    found, values = rows(TABLE.drop([7, 8]))
    np.testing.assert_array_equal(values["a"], [6, np.nan, np.nan, 9, 10, 11])
    np.testing.assert_array_equal(values["b"], B)
    assert list(found.indexes[0]) == list(DAYS)
    numbered = TABLE.assign(ds=[0, 5, 10, 15, 20, 25] * 2).drop([7])
    np.testing.assert_array_equal(rows(numbered)[1]["a"], [6, np.nan, 8, 9, 10, 11])


def test_what_is_too_short_to_have_a_step_has_that_of_the_others():
    few = pd.DataFrame({"unique_id": "c", "ds": DAYS[[0, 3]], "y": [1.0, 2.0]})
    one = pd.DataFrame({"unique_id": "d", "ds": DAYS[[4]], "y": [3.0]})
    found, values = rows(pd.concat([TABLE, few, one]))
    np.testing.assert_array_equal(values["c"], [1, np.nan, np.nan, 2])
    assert [index.freqstr for index in found.indexes] == ["D"] * 4


def test_a_series_may_have_a_step_of_its_own():
    months = pd.date_range("2020-01", periods=5, freq="MS")
    monthly = pd.DataFrame({"unique_id": "m", "ds": months, "y": np.arange(5.0)})
    found, values = rows(pd.concat([TABLE, monthly]))
    assert [index.freqstr for index in found.indexes] == ["D", "D", "MS"]
    np.testing.assert_array_equal(values["m"], np.arange(5.0))
    sold = pd.DataFrame({"unique_id": "s", "ds": DAYS[[0, 2, 5]], "y": [1.0, 2.0, 3.0]})
    _, values = rows(pd.concat([TABLE, sold]))  # a row where something was sold
    np.testing.assert_array_equal(values["s"], [1, np.nan, 2, np.nan, np.nan, 3])


def test_freq_is_the_step_of_all():
    weekly = TABLE[TABLE["ds"].isin(DAYS[::2])]
    _, values = rows(weekly, freq="D")
    np.testing.assert_array_equal(values["a"], [6, np.nan, 8, np.nan, 10])
    with pytest.raises(
        DataError, match=r"series 'a': it has the label 2024-01-02.*freq='2D'.*1 m"
    ):
        rows(TABLE, freq="2D")
    with pytest.raises(ParameterError, match="freq must be a positive number"):
        rows(TABLE.assign(ds=[*range(6)] * 2), freq="D")


def test_values_of_any_numeric_kind():
    from decimal import Decimal

    exact = [Decimal(str(x)) for x in TABLE["y"]]
    for y in (exact, [None, *exact[1:]], TABLE["y"].astype("Int64"), TABLE["y"].astype("Float32")):
        _, values = rows(TABLE.assign(y=y))
        np.testing.assert_array_equal(values["a"], A)
    gone = TABLE["y"].astype("Float64").where(TABLE.index != 7)
    np.testing.assert_array_equal(rows(TABLE.assign(y=gone))[1]["a"], [6, np.nan, *A[2:]])


def mixed(table: pd.DataFrame, column: str, row: int, value: object) -> pd.DataFrame:
    found = table.assign(**{column: table[column].astype(object)})
    found.loc[row, column] = value
    return found


FAULTS = {
    "a row that came twice": (
        pd.concat([TABLE, TABLE.iloc[[8]]], ignore_index=True),
        r"more than one row for unique_id 'a' at ds 2024-01-03 00:00:00 \(rows 8 and 12\)",
    ),
    "no time": (mixed(TABLE, "ds", 8, pd.NaT), r"without a time in 'ds' \(row 8\)"),
    "no number": (mixed(TABLE, "y", 8, "?"), r"it has '\?' for a number in 'y' \(row 8\)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_series_that_can_not_be_read_is_named_and_stops_no_other(fault):
    table, reason = FAULTS[fault]
    with pytest.raises(DataError, match=r"data, series 'a': .*" + reason):
        rows(table)
    found, values = rows(table.sample(frac=1, random_state=0).sort_index(), keep=True)
    np.testing.assert_array_equal(values["b"], B)
    assert len(values["a"]) == 0
    assert list(found.faults) == [0]


WRONG = {
    "column twice": (pd.concat([TABLE, TABLE[["y"]]], axis=1), "more than one column called 'y'"),
    "no name": (mixed(TABLE, "unique_id", 3, None), r"without a name in 'unique_id' \(row 3\)"),
    "text for numbers": (TABLE.assign(y=TABLE["y"].astype(str)), "no numbers in 'y'"),
    "complex": (TABLE.assign(y=TABLE["y"] * 1j), "no numbers in 'y'"),
    "no rows": (TABLE[:0], "has no rows"),
    "kinds of times": (
        mixed(TABLE, "ds", 9, "x"),
        "of several kinds: Timestamp in row 0, str in row 9",
    ),
    "zones": (
        mixed(TABLE, "ds", 6, pd.Timestamp("2024-01-01", tz="Asia/Tokyo")),
        r"more than one zone in 'ds': no zone in row 0 .*, Asia/Tokyo in row 6",
    ),
    "truth for times": (TABLE.assign(ds=True), "no times"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_with_a_table_is_said(fault):
    table, reason = WRONG[fault]
    with pytest.raises(DataError, match=reason):
        rows(table)
