"""DataFrames to numbers and back, whatever is in them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from data.tables.strategies import frames
from hypothesis import given, settings
from hypothesis.strategies import randoms
from pandas.testing import assert_frame_equal, assert_series_equal

from arproc.contract.sequences import Sequences
from arproc.data.form import Layout
from arproc.data.tables import table_of
from arproc.errors import DataError


def read(frame, space, order=None, **more) -> Sequences:
    return Sequences.of(frame, space, layout=Layout((len(space.columns),), order), **more)


@settings(max_examples=150, deadline=None)
@given(frames(), randoms(use_true_random=False))
def test_a_table_comes_back_as_it_was(frame, random):
    space = table_of(frame)
    order = list(range(frame.shape[1]))
    random.shuffle(order)
    layout = Layout((len(order),), tuple(order))
    sequences = Sequences.of(frame, space, layout=layout)
    assert_frame_equal(sequences.restore(layout), frame)
    assert_frame_equal(sequences.restore(), frame.iloc[:, order])
    shuffled = frame[random.sample(list(frame.columns), len(order))]
    again = Sequences.of(shuffled, space, layout=layout)  # columns are known by their names
    torch.testing.assert_close(again.values, sequences.values, equal_nan=True)
    numbers = layout.from_sites(sequences.padded()[0])
    as_array = Sequences.of(numbers.numpy(), space, layout=layout)
    torch.testing.assert_close(as_array.values, sequences.values, equal_nan=True)


def small() -> pd.DataFrame:
    return (
        pd.DataFrame(
            {"age": [30, 41, 67, 20] * 4, "city": ["Oslo", None, "Rome", "Oslo"] * 4},
            index=[*"abcdefghijklmnop"],
        )
        .astype({"city": "string"})
        .assign(size=lambda d: np.arange(16) / 3)
    )


def test_the_index_and_a_single_row_keep_their_form():
    frame = small()
    space = table_of(frame, {"age": "count"})
    back = read(frame, space).restore(Layout((3,)))
    assert_frame_equal(back, frame)
    row = read(frame.iloc[2], space)
    assert row.form.single
    assert row.values.tolist() == [67.0, 1.0, 2 / 3]


def test_numbers_of_each_entry_come_back_beside_the_frame_s_labels():
    """What `log_prob_terms` gives: a frame for a frame, a row of it for a row."""
    frame = small()
    space = table_of(frame, {"age": "count"})
    several, row = read(frame.iloc[2:4], space), read(frame.iloc[2], space)
    found = several.form.per_element(torch.arange(6.0), several.offsets)
    want = pd.DataFrame([[0, 1, 2], [3, 4, 5]], [*"cd"], frame.columns, dtype=np.float32)
    assert_frame_equal(found, want)
    alone = row.form.per_element(torch.arange(3.0), row.offsets)
    assert_series_equal(alone, want.iloc[0])


def test_dtypes_of_entries_that_do_not_fit_are_widened():
    frame = pd.DataFrame({"n": np.arange(100, dtype=np.int8)})
    space = table_of(frame)
    x = torch.tensor([[1000.0], [3.0]])
    found = Sequences(x.flatten(), torch.tensor([0, 1, 2]), space, form=read(frame, space).form)
    found.form = replace(found.form, indexes=())
    assert found.restore().n.tolist() == [1000, 3]
    assert found.restore().n.dtype == np.int64


def test_objects_and_narrow_dtypes_come_back():
    frame = pd.DataFrame(
        {
            "o": pd.Series(["x", None, "y"] * 5, dtype=object),
            "f": np.linspace(0, 1, 15, dtype=np.float32),
            "u": np.arange(15, dtype=np.uint8),
            "b": pd.Series([True, None, False] * 5, dtype=object),
        }
    )
    back = read(frame, table_of(frame)).restore(Layout((4,)))
    assert back.dtypes.equals(frame.dtypes)
    assert_frame_equal(back.fillna("?"), frame.fillna("?"))


def test_numbers_of_another_kind_than_their_dtype_are_not_cut():
    frame = pd.DataFrame(
        {
            "i": np.arange(15),
            "n": pd.array([*range(14), None], dtype="Int64"),
            "k": pd.Categorical(np.arange(15)),
            "t": [str(j) for j in range(15)],
        }
    )
    for kind, dtypes in (("real", ["float64", "Float64", "float64", "float64"]),
                         ("count", ["int64", "Int64", "int64", "int64"])):  # fmt: skip
        space = table_of(frame, [kind] * 4)
        assert [column.dtype for column in space.columns] == dtypes
        x = torch.tensor([[3.75 if kind == "real" else 3.0] * 4])
        form = read(frame, space).form
        back = Sequences(x.flatten(), torch.tensor([0, 4]), space, form=replace(form, indexes=()))
        assert back.restore().iloc[0].tolist() == x[0].tolist()
        assert back.restore().dtypes.astype(str).to_list() == dtypes


BAD = {
    "an unknown label": (
        lambda d: d.assign(city="Bonn"), "unknown label.*'Bonn'.*'city'.*'Oslo', 'Rome'"
    ),
    "a missing value where there was none": (
        lambda d: d.assign(age=[np.nan, *d.age[1:]]), "'age': 1 missing value"
    ),
    "half a count": (lambda d: d.assign(age=d.age + 0.5), "'age': expected counts"),
    "a negative count": (lambda d: d.assign(age=-d.age), "'age': expected counts"),
    "infinity": (lambda d: d.assign(size=np.inf), "'size': infinity"),
    "text for numbers": (lambda d: d.assign(size="big"), "'size'.*numbers"),
    "a column too few": (lambda d: d.drop(columns="age"), r"lacks the column\(s\) \['age'\]"),
    "a column too many": (lambda d: d.assign(extra=1), r"has the column\(s\) \['extra'\]"),
    "another name": (lambda d: d.rename(columns={"age": "years"}), "'years'"),
    "a name twice": (
        lambda d: d.set_axis(["age", "size", "size"], axis=1), "more than one column named 'size'"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_rows_are_refused_with_the_columns_name(what):
    change, words = BAD[what]
    space = table_of(small(), {"age": "count"})
    with pytest.raises(DataError, match=words):
        read(change(small()), space)


def test_a_prefix_has_the_first_columns_in_the_order_of_generation():
    space = table_of(small(), {"age": "count"})
    order = (2, 0, 1)
    known = read(small()[["age", "size"]], space, order, partial=True)
    assert known.padded()[0][:2].tolist() == [[0.0, 30.0], [1 / 3, 41.0]]
    assert list(known.restore().columns) == ["size", "age"]
    with pytest.raises(DataError, match=r"not the first.*\['size', 'age', 'city'\]"):
        read(small()[["age"]], space, order, partial=True)
