"""How the kinds of columns are told, from dtypes and values and by hand; the space they make."""

import numpy as np
import pandas as pd
import pytest
import torch

from arproc.data.tables import Column, Table, table_of
from arproc.errors import DataError, ParameterError
from arproc.spaces import Categorical, Count, Integer, Real


def kinds(data, asked=None) -> list[str]:
    return [column.space.kind for column in table_of(data, asked).columns]


MANY = np.arange(30)


def test_kinds_follow_from_dtypes_and_values():
    frame = pd.DataFrame(
        {
            "fractions": MANY / 7,
            "whole floats": MANY * 1.0,
            "counts": MANY,
            "negative": MANY - 5,
            "few": MANY % 3,
            "few floats with a gap": np.where(MANY == 4, np.nan, MANY % 2),
            "nullable": pd.array([None, *MANY[1:]], dtype="Int64"),
            "text": [f"label {k % 4}" for k in MANY],
            "truth": MANY > 3,
            "category": pd.Categorical(MANY % 2, categories=[0, 1, 2]),
            "objects": pd.Series([None, *(k / 3 for k in MANY[1:])], dtype=object),
        }
    )
    table = table_of(frame)
    want = ["real", "count", "count", "integer", *["categorical"] * 2, "count",
            *["categorical"] * 3, "real"]  # fmt: skip
    assert [column.space.kind for column in table.columns] == want
    by_name = {column.name: column for column in table.columns}
    gone = {"few floats with a gap", "nullable", "objects"}
    assert {name for name, column in by_name.items() if column.missing} == gone
    assert by_name["few"].labels == (0, 1, 2)
    assert by_name["truth"].labels == (False, True)
    assert by_name["category"].labels == (0, 1, 2)  # the last is not in the data, but declared
    assert by_name["text"].labels == tuple(f"label {k}" for k in range(4))


def test_kinds_are_told_by_hand_by_name_or_in_a_list():
    frame = pd.DataFrame({"a": MANY, "b": MANY % 3, "c": MANY})
    asked = {"a": "real", "b": "count", "c": "categorical"}
    assert kinds(frame, asked) == list(asked.values())
    assert kinds(frame, ["integer", "auto", "real"]) == ["integer", "categorical", "real"]
    assert table_of(frame, asked).columns[2].labels == tuple(range(30))


def test_arrays_hold_a_category_as_its_number():
    x = np.stack([MANY / 7, MANY % 3, MANY, np.where(MANY == 2, np.nan, MANY % 2)], axis=1)
    for data in (x, torch.as_tensor(x), np.ma.masked_invalid(x)):
        table = table_of(data)
        found = [(c.name, c.space, c.missing, c.labels) for c in table.columns]
        assert found == [
            (0, Real(), False, None),
            (1, Categorical(3), False, None),
            (2, Count(), False, None),
            (3, Categorical(2), True, None),
        ]
    assert kinds(x, {1: "count", 3: "real"}) == ["real", "count", "count", "real"]
    assert table_of(x, {2: "categorical"}).columns[2].space == Categorical(30)


def test_a_table_is_equal_to_one_of_the_same_columns():
    one = Table((Column("a", Real()), Column("b", Count(), missing=True)))
    assert one == Table((Column("a", Real(), dtype="float32"), Column("b", Count(), True)))
    for other in (
        Table((Column("a", Real()), Column("b", Count()))),
        Table((Column("a", Real()), Column("c", Count(), True))),
        Table((Column("a", Real()), Column("b", Integer(), True))),
        Table((Column("b", Count(), True), Column("a", Real()))),
    ):
        assert one != other
        assert one.difference(other)
    assert not one.difference(one)
    assert hash(one) == hash(Table(one.columns))
    assert Column("x", Categorical(2), labels=("a", "b")) != Column(
        "x", Categorical(2), labels=("b", "a")
    )


def test_measure_length_and_rest_are_those_of_the_columns():
    real, count, gap = Column("r", Real()), Column("c", Count()), Column("g", Real(), True)
    assert Table((real,)).measure == "density"
    assert Table((count,)).measure == "mass"
    assert Table((real, count)).measure == Table((gap,)).measure == "mixed"
    table = Table((real, count, gap))
    assert table.length == 3
    assert table.rest(1).columns == (count, gap)
    assert table.rest(1, order=(2, 0, 1)).columns == (real, count)
    assert not Table((real, count)).holds_missing


def test_what_an_entry_can_not_be_is_said_with_the_columns_name():
    table = Table(
        (Column("r", Real()), Column("c", Count(), True), Column("k", Categorical(2)),
         Column("i", Integer()))
    )  # fmt: skip
    good = torch.tensor([0.5, np.nan, 1, -3], dtype=torch.float64)
    assert table.problem_at(good.repeat(2), None) is None
    assert table.problem_at(good[[2, 0]], torch.tensor([2, 0])) is None
    for place, value, words in (
        (0, np.nan, "'r': 1 missing value"),
        (0, np.inf, "'r': infinity"),
        (1, 0.5, "'c': expected counts"),
        (1, -1, "'c': expected counts"),
        (2, 2, "'k': expected symbols from 0 to 1"),
        (3, 0.5, "'i': expected whole numbers"),
    ):
        bad = good.clone()
        bad[place] = value
        assert words in table.problem_at(bad, None)


BAD = {
    "no rows": (pd.DataFrame({"a": []}), None, DataError, "0 rows"),
    "an empty column": (pd.DataFrame({"a": [1.0], "b": [None]}), None, DataError, "'b'"),
    "the same name twice": (
        pd.DataFrame([[1, 2]], columns=["a", "a"]), None, DataError, "more than one column.*'a'"
    ),
    "times": (
        pd.DataFrame({"t": pd.date_range("2020-01-01", periods=3)}), None, DataError, "'t'.*dtype"
    ),
    "objects of no kind": (pd.DataFrame({"a": [(1,), (2,)]}), None, DataError, "'a'.*tuple"),
    "text asked to be real": (
        pd.DataFrame({"a": ["x", "y"]}), {"a": "real"}, DataError, "'a'.*the kind 'real'.*numbers"
    ),
    "a kind that is none": (
        pd.DataFrame({"a": [1, 2]}), {"a": "reel"}, ParameterError, r"columns\['a'\]"
    ),
    "a column that is not there": (
        pd.DataFrame({"a": [1, 2]}), {"b": "real"}, ParameterError, "names 'b'"
    ),
    "too few kinds": (pd.DataFrame({"a": [1], "b": [2]}), ["real"], ParameterError, "1 kinds"),
    "a kind for all": (pd.DataFrame({"a": [1]}), "real", ParameterError, "dict of names"),
    "categories that are no numbers 0, 1 ...": (
        np.array([[0.5], [1.0]]), {0: "categorical"}, DataError, "column 0.*DataFrame"
    ),
    "a vector": (np.zeros(3), ["real"], DataError, r"\[N, D\]"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_tables_are_refused_in_words(what):
    data, asked, error, words = BAD[what]
    with pytest.raises(error, match=words):
        table_of(data, asked)


def test_labels_belong_to_categories():
    with pytest.raises(ParameterError, match="labels"):
        Column("a", Real(), labels=("x",))
    with pytest.raises(ParameterError, match="more than one column named 'a'"):
        Table((Column("a", Real()), Column("a", Count())))
