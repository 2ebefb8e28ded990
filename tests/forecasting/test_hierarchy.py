"""The series of a hierarchy and how they add up, from a table that says what each is part of."""

import numpy as np
import pandas as pd
import pytest

from arproc import aggregate
from arproc.errors import DataError, ParameterError

DAYS = pd.date_range("2024-01-01", periods=4)
STORES = [("north", "a"), ("north", "b"), ("south", "a"), ("south", "c")]
SALES = pd.concat(
    [
        pd.DataFrame({"region": r, "store": s, "ds": DAYS, "y": np.arange(4.0) + 10.0**i})
        for i, (r, s) in enumerate(STORES)
    ]
).sample(frac=1, random_state=0)


def wide(table: pd.DataFrame) -> pd.DataFrame:
    return table.pivot(index="ds", columns="unique_id", values="y")


def test_levels_are_sums_of_their_parts():
    table, summing = aggregate(SALES, ["region", "store"])
    assert table.columns.tolist() == ["unique_id", "ds", "y"]
    names = ["total", "north", "south", "north/a", "north/b", "south/a", "south/c"]
    assert summing.index.tolist() == names
    assert summing.columns.tolist() == names[3:]
    found = wide(table)
    np.testing.assert_allclose(found[names], found[names[3:]] @ summing.T.to_numpy())
    np.testing.assert_allclose(found["total"], 1111 + 4 * np.arange(4))
    np.testing.assert_allclose(found["south"], 1100 + 2 * np.arange(4))


def test_groups_may_cross():
    table, summing = aggregate(SALES, [["region"], ["store"], ["region", "store"]])
    assert summing.loc["a"].to_dict() == {"north/a": 1, "north/b": 0, "south/a": 1, "south/c": 0}
    np.testing.assert_allclose(wide(table)["a"], 101 + 2 * np.arange(4))


def test_a_sum_without_all_parts_is_missing_unless_told():
    gap = SALES[(SALES["store"] != "b") | (SALES["ds"] != DAYS[1])]
    found = wide(aggregate(gap, ["region", "store"])[0])
    assert found["north"].isna().tolist() == found["total"].isna().tolist() == [0, 1, 0, 0]
    assert not found["south"].isna().any()
    filled = wide(aggregate(gap, ["region", "store"], fill=0.0)[0])
    assert filled["north"].tolist() == [11.0, 2.0, 15.0, 17.0]


def test_names_of_columns_are_the_users():
    named = SALES.rename(columns={"ds": "day", "y": "sold"})
    columns = ("series", "day", "sold")
    table, _ = aggregate(named[named["store"] == "a"], ["region"], columns, total="all")
    assert table.columns.tolist() == list(columns)
    assert table["series"].unique().tolist() == ["all", "north", "south"]


WRONG = {
    "no column": (SALES, ["region", "shop"], DataError, "no column 'shop'"),
    "no levels": (SALES, [], ParameterError, "levels must be a list"),
    "text": (SALES, "region", ParameterError, "levels must be a list"),
    "finest": (SALES, [["region", "store"], ["region"]], ParameterError, "the finest must be"),
    "no part": (SALES.assign(region=None), ["region", "store"], DataError, "rows without a 'regi"),
    "one name": (SALES.replace("c", "north"), [["region"], ["store"], ["region", "store"]],
                 DataError, "would be called 'north'"),
    "twice": (SALES, ["region"], DataError, "more than one row"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(case):
    data, levels, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        aggregate(data, levels)
