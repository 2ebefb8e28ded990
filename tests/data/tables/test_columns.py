"""How the kinds of columns are told, from dtypes and values and by hand; the space they make."""

import numpy as np
import pandas as pd
import pytest
import torch

from arproc.data.tables import Column, Kind, Lattice, Table, table_of
from arproc.errors import DataError, ParameterError
from arproc.spaces import Categorical, Count, Integer, Interval, Ordinal, Real


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
            "zeros and ones": MANY % 2,
            "few floats with a gap": np.where(MANY == 4, np.nan, MANY % 2),
            "nullable": pd.array([None, *MANY[1:]], dtype="Int64"),
            "text": [f"label {k % 4}" for k in MANY],
            "truth": MANY > 3,
            "category": pd.Categorical(MANY % 2, categories=[0, 1, 2]),
            "objects": pd.Series([None, *(k / 3 for k in MANY[1:])], dtype=object),
        }
    )
    table = table_of(frame)
    want = ["real", "count", "count", "integer", "count", *["categorical"] * 2, "count",
            *["categorical"] * 3, "real"]  # fmt: skip
    assert [column.space.kind for column in table.columns] == want
    by_name = {column.name: column for column in table.columns}
    gone = {"few floats with a gap", "nullable", "objects"}
    assert {name for name, column in by_name.items() if column.missing} == gone
    assert by_name["zeros and ones"].labels == (0, 1)
    assert by_name["truth"].labels == (False, True)
    assert by_name["category"].labels == (0, 1, 2)  # the last is not in the data, but declared
    assert by_name["text"].labels == tuple(f"label {k}" for k in range(4))


def test_kinds_are_told_by_hand_by_name_or_in_a_list():
    frame = pd.DataFrame({"a": MANY, "b": MANY % 3, "c": MANY})
    asked = {"a": "real", "b": "count", "c": "categorical"}
    assert kinds(frame, asked) == list(asked.values())
    assert kinds(frame, ["integer", "auto", "real"]) == ["integer", "count", "real"]
    assert table_of(frame, asked).columns[2].labels == tuple(range(30))


def test_arrays_hold_a_category_as_its_number():
    x = np.stack([MANY / 7, MANY % 3, MANY, np.where(MANY == 2, np.nan, MANY % 2)], axis=1)
    for data in (x, torch.as_tensor(x), np.ma.masked_invalid(x)):
        table = table_of(data)
        found = [(c.name, c.space, c.missing, c.labels) for c in table.columns]
        assert found == [
            (0, Real(), False, None),
            (1, Count(), False, None),
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
    "times asked to be numbers": (
        pd.DataFrame({"t": pd.date_range("2020-01-01", periods=3)}), {"t": "real"}, DataError,
        "'t'.*dtype",
    ),
    "no times": (pd.DataFrame({"t": [1, 2]}), {"t": "time"}, DataError, "'t'.*to_datetime"),
    "an end inside": (
        pd.DataFrame({"a": [1, 5]}), {"a": Kind(low=2)}, DataError, "'a'.*from 1 to 5.*ends 2"
    ),
    "ends that are none": (
        pd.DataFrame({"a": [1, 5]}), {"a": Kind(low=7, high=6)}, ParameterError, "'a'.*below high"
    ),
    "no point of the lattice": (
        pd.DataFrame({"a": [0.5, 0.7]}), {"a": Kind(step=0.5)}, DataError, "'a'.*0.7.*steps of 0.5"
    ),
    "no lattice": (
        pd.DataFrame({"a": [1 / 3, 0.7]}), {"a": "lattice"}, DataError, "'a'.*four decimals"
    ),
    "an argument of no kind": (
        pd.DataFrame({"a": [1, 5]}), {"a": {"lowest": 2}}, ParameterError, "'lowest'.*low"
    ),
    "other of numbers": (
        pd.DataFrame({"a": [1, 5]}), {"a": {"kind": "count", "other": 2}}, ParameterError, "other"
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


# ---- numbers as people have them ------------------------------------------------------------


def held(values, asked="auto") -> Column:
    return table_of(pd.DataFrame({"a": values}), {"a": asked}).columns[0]


RNG = np.random.default_rng(0)
HUNDRED = np.arange(100)


def test_decimals_are_a_lattice_where_many_have_them():
    cents = held(RNG.gamma(2, 20, 100).round(2))
    assert (cents.space, cents.lattice) == (Count(), Lattice(0, 1, 100))
    assert held(RNG.normal(size=100).round(1)).space == Integer()
    assert held(HUNDRED * 2.5).lattice == Lattice(0, 25, 10)
    assert held(HUNDRED * 1000).lattice == Lattice(0, 1000, 1)
    assert held(HUNDRED % 5 * 20).lattice is None  # too few to say that 30 can not be
    for real in (HUNDRED / 7, HUNDRED[:40] / 4, RNG.normal(size=100)):
        assert held(real).space == Real()
    assert held(HUNDRED / 4, "real").space == Real()


def test_frequent_values_are_atoms():
    often = RNG.random(1000) < 0.31
    balance = np.where(often, 0.0, RNG.normal(100, 20, 1000))
    for asked in ("auto", "real"):
        assert held(balance, asked).atoms == (0.0,)
    assert held(balance, Kind(atoms=None)).atoms == ()
    assert held(balance, Kind(atoms=[0, 100])).atoms == (0.0, 100.0)
    assert Table((held(balance, "real"),)).measure == "mixed"
    rates = held(RNG.choice([0.1, 0.25, 0.5], 300))
    assert rates.atoms == (10.0, 25.0, 50.0)
    assert held(HUNDRED % 7).atoms == tuple(range(7))
    assert held(HUNDRED % 7, "count").atoms == ()
    assert held(RNG.integers(18, 80, 500)).atoms == ()  # none stands out


def test_ends_are_the_spaces():
    ages = RNG.integers(18, 80, 200)
    ages[:2] = 18, 79
    young = held(ages, Kind(low="data"))
    assert (young.space, young.lattice) == (Count(), Lattice(18, 1))
    assert held(ages, Kind(low=18, high=100)).space == Ordinal(83)
    assert held(ages, Kind(high=100)).space == Ordinal(101)  # and none below 0
    upper = held(ages - 50, Kind(high=50))
    assert (upper.space, upper.lattice) == (Count(), Lattice(50, -1))
    assert held(RNG.random(100), Kind(low=0)).space == Interval(low=0.0)


def test_small_counts_are_counts_of_which_more_may_come():
    kids = held(HUNDRED % 7)
    assert kids.space == Count()
    assert held(HUNDRED % 2).space == Categorical(2)


def test_a_label_may_stand_for_those_that_training_did_not_see():
    cities = ["Oslo"] * 5 + ["Rome"] * 5 + ["Bari"]
    column = held(cities, Kind(other="elsewhere", min_count=2))
    assert column.labels == ("Oslo", "Rome", "elsewhere")
    assert column.other == "elsewhere"


def test_labels_belong_to_categories():
    with pytest.raises(ParameterError, match="labels"):
        Column("a", Real(), labels=("x",))
    with pytest.raises(ParameterError, match="more than one column named 'a'"):
        Table((Column("a", Real()), Column("a", Count())))
