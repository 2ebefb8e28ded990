"""Lattices, ends, labels for the unseen, dates and times: in and out as they were."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from arproc import MADE, Training
from arproc.contract.sequences import Sequences
from arproc.data.form import Layout
from arproc.data.tables import Kind, read_table, table_of
from arproc.data.tables.lattice import lattice_of
from arproc.errors import DataError, ParameterError

RNG = np.random.default_rng(0)
DAYS = pd.Timestamp("2020-01-01") + pd.to_timedelta(RNG.integers(0, 900, 60), unit="D")


def trip(frame, asked=None):
    space = table_of(frame, asked)
    layout = Layout((frame.shape[1],))
    sequences = Sequences.of(frame, space, layout=layout)
    return space, sequences.padded()[0].numpy(), sequences.restore(layout)


def with_gap(values) -> pd.Series:
    series = pd.Series(values)
    series[3] = None
    return series


TIMES = {
    "days": (pd.Series(DAYS), "D"),
    "days with a gap": (with_gap(DAYS), "D"),
    "nanoseconds' dtype": (pd.Series(DAYS).astype("datetime64[ns]"), "D"),
    "minutes": (pd.Series(DAYS + pd.Timedelta("7min")), "min"),
    "a zone": (with_gap(DAYS + pd.Timedelta("7h")).dt.tz_localize("Europe/Oslo"), "h"),
    "midnights of a zone": (pd.Series(DAYS).dt.tz_localize("Europe/Oslo"), "D"),
    "spans": (with_gap(DAYS - DAYS[0] + pd.Timedelta("3s")), "s"),
    "months": (pd.Series(DAYS).dt.to_period("M"), "M"),
    "Python's dates": (with_gap([day.date() for day in DAYS]), "D"),
    "Python's times": (
        pd.Series([dt.time(k % 24, k) for k in range(60)], dtype=object), "min"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TIMES)
def test_times_come_back_as_they_were(what):
    series, unit = TIMES[what]
    frame = pd.DataFrame({"t": series})
    space, held, back = trip(frame)
    assert space.columns[0].unit == unit
    assert space.columns[0].missing == bool(series.isna().any())
    assert back.dtypes.equals(frame.dtypes)
    there = frame.t.notna()
    assert (back.t[there] == frame.t[there]).all()
    assert back.t.isna().equals(frame.t.isna())
    assert (np.isnan(held[:, 0]) == series.isna()).all()


def test_times_of_another_unit_or_kind_are_refused():
    frame = pd.DataFrame({"t": DAYS})
    space = table_of(frame)
    for data, words in (
        (frame + pd.Timedelta("1h"), r"'t'.*whole units 'D'.*dt.floor"),
        (frame.assign(t=5), r"'t'.*datetime"),
        (frame.assign(t="2020-01-01"), r"'t'.*to_datetime"),
    ):
        with pytest.raises(DataError, match=words):
            Sequences.of(data, space, layout=Layout((1,)))


def test_ends_of_times_are_times():
    frame = pd.DataFrame({"t": DAYS})
    column = table_of(frame, {"t": Kind(low="2019-12-31")}).columns[0]
    assert column.lattice.values(np.zeros(1))[0] == 18261
    with pytest.raises(DataError, match=r"'t'.*beyond"):
        table_of(frame, {"t": {"low": "2021-01-01"}})
    with pytest.raises(ParameterError, match=r"an end of column 't'.*'soon'"):
        table_of(frame, {"t": {"low": "soon"}})


def test_points_of_a_lattice_come_back_to_the_last_digit():
    frame = pd.DataFrame(
        {"price": RNG.gamma(2, 30, 200).round(2), "debt": (RNG.normal(size=200) * 1e6).round(1),
         "age": RNG.integers(18, 90, 200), "share": (RNG.random(200) * 50).round(2).astype("f4")}
    )  # fmt: skip
    asked = {"age": Kind(low=18), "debt": Kind(high=1e7)}
    space, held, back = trip(frame.drop(columns="share"), asked)
    assert_frame_equal(back, frame.drop(columns="share"))
    assert (held == np.round(held)).all()
    assert held.min() >= 0
    for column, value, words in (
        ("price", 5.123, r"5.123.*'price'.*steps of 0.01.*no probability"),
        ("age", 17, r"'age': expected numbers in steps of 1 from 18"),
        ("debt", 2e7, r"'debt'.*at most 1e\+07"),
    ):
        bad = frame.drop(columns="share")
        bad[column] = bad[column].astype(float)
        bad.loc[5, column] = value
        with pytest.raises(DataError, match=words):
            Sequences.of(bad, space, layout=Layout((3,)))


def test_unseen_labels_are_the_other_one():
    frame = pd.DataFrame({"city": ["Oslo", "Rome"] * 30, "k": pd.Categorical(["a", "b"] * 30)})
    space = table_of(frame, {name: {"other": "else"} for name in frame})
    new = pd.DataFrame({"city": ["Bonn", "Rome", None], "k": ["b", "c", "a"]})
    new = new[:2]
    back = Sequences.of(new, space, layout=Layout((2,))).restore(Layout((2,)))
    assert back.city.tolist() == ["else", "Rome"]
    assert back.k.tolist() == ["b", "else"]


def test_a_file_is_read_whole(tmp_path):
    frame = pd.DataFrame(
        {"n": [1, 2], "x": [0.5, None], "city": ["Oslo", "Rome"], "b": [True, False],
         "day": pd.to_datetime(["2020-01-03", "2021-05-05"]), "no day": ["2020-01-03", "soon"]}
    )  # fmt: skip
    for name in ("t.csv", "t.csv.gz"):
        frame.to_csv(tmp_path / name, index=False)
        assert_frame_equal(read_table(tmp_path / name), frame, check_dtype=False)
        assert read_table(tmp_path / name).day.dtype.kind == "M"
    with pytest.raises(DataError, match="no file"):
        read_table(tmp_path / "u.csv")
    with pytest.raises(DataError, match=r"expected \.csv"):
        read_table(tmp_path / "u.txt")


@pytest.mark.parametrize("size", [1e-9, 1e-3, 1.0, 3e4, 1e6, 1e9, 1e13])
def test_real_numbers_of_any_size_are_no_lattice(size):
    """From 5e4 on each was, within 1e-9 of its size, one of four decimals."""
    x = np.exp(np.random.default_rng(0).normal(3.0, 0.4, 200))
    assert lattice_of(x * size) is None
    kinds = {"columns": {"x": "real"}}
    table, other = pd.DataFrame({"x": x}), pd.DataFrame({"x": x * size})
    models = [
        MADE((4,), training=Training(steps=2), **how).fit(data)
        for data, how in ((table, {}), (other, {}), (other, kinds))
    ]
    want, made, told = (m.log_prob(d) for m, d in zip(models, (table, other, other), strict=True))
    np.testing.assert_allclose(made, want - np.log(size), atol=1e-9)
    np.testing.assert_array_equal(made, told)


@pytest.mark.parametrize("decimals", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("size", [1.0, 1e4, 1e7, 1e10])
def test_the_last_decimal_is_found_at_any_size(decimals, size):
    rng = np.random.default_rng(1)
    x = np.round(size + rng.normal(size=100), decimals)
    found = lattice_of(x)
    assert (found.step, found.per) == (1, 10**decimals)
    noisy = (x / 3) * 3  # a step of arithmetic away
    assert not found.off(noisy).any()
    np.testing.assert_array_equal(found.values(found.numbers(noisy)), x)
    assert found.off(x + 0.01 / 10**decimals).all()


def test_a_value_between_the_points_of_a_lattice_is_refused_at_any_size():
    cents = np.round(np.random.default_rng(0).normal(7e7, 1e6, 200), 2)
    model = MADE((3,), training=Training(steps=1)).fit(pd.DataFrame({"price": cents}))
    with pytest.raises(DataError, match=r"none of the numbers in steps of 0\.01"):
        model.log_prob(pd.DataFrame({"price": [7e7 + 0.004]}))


@pytest.mark.parametrize("dtype", ["float32", "Float32"])
@pytest.mark.parametrize("size", [1.0, 1e3, 1e5, 1e6, 1e9])
def test_numbers_of_a_narrow_dtype_are_real_where_their_steps_are_its_own(dtype, size):
    x = np.exp(np.random.default_rng(0).normal(3.0, 0.4, 200)) * size
    frame = pd.DataFrame({"x": pd.Series(x, dtype=dtype)})
    space = table_of(frame)
    assert space.columns[0].describe() == "real"
    assert space.columns[0].dtype == dtype


@pytest.mark.parametrize("dtype", ["float32", "float64", "Float32"])
@pytest.mark.parametrize("step", [1, 1000])
def test_whole_numbers_of_floats_are_counts(dtype, step):
    x = np.random.default_rng(0).integers(0, 5000, 200) * step
    frame = pd.DataFrame({"x": pd.Series(x, dtype=dtype)})
    assert table_of(frame).columns[0].space.kind == "count"


@pytest.mark.parametrize("kind", [None, {"x": "real"}, {"x": Kind("real", low=0)}])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_numbers_are_named(kind, value):
    frame = pd.DataFrame({"x": np.append(np.random.default_rng(0).random(60), value)})
    with pytest.raises(DataError, match="column 'x' of data has 1 infinite value"):
        table_of(frame, kind)
