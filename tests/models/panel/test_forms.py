"""Panels in every form that forecasters keep them in, and their forecasts in the same."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc import AR, AutoPanel, Panel
from arproc.errors import DataError, ParameterError
from arproc.models.panel.data import read

RNG = np.random.default_rng(0)
DAYS = pd.date_range("2024-01-01", periods=40, name="ds")
WIDE = pd.DataFrame(RNG.normal(size=(40, 3)).cumsum(axis=0) + 20, DAYS, list("abc"))
LONG = WIDE.melt(ignore_index=False, var_name="unique_id", value_name="y").reset_index()
WANT = Panel(AR(1)).fit(WIDE).forecast(horizon=2)


class Stream:
    """A table of some library that hands out Arrow's stream and nothing else."""

    def __init__(self, table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def arrow(frame: pd.DataFrame):
    return pytest.importorskip("pyarrow").Table.from_pandas(frame, preserve_index=False)


FORMS = {
    "wide": lambda: WIDE,
    "wide, times in a column": lambda: WIDE.reset_index(),
    "wide, of decimals": lambda: WIDE.map(lambda x: Decimal(repr(x))),
    "long": lambda: LONG.sample(frac=1, random_state=0),
    "long, by name": lambda: LONG.set_index("unique_id"),
    "long, by time": lambda: LONG.set_index("ds"),
    "long, by both, with others": lambda: LONG.assign(town="x").set_index(["unique_id", "ds"]),
    "dict": lambda: {name: WIDE[name] for name in WIDE},
    "list": lambda: [WIDE[name] for name in WIDE],
    "stream": lambda: Stream(arrow(LONG)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_panel(form):
    table = Panel(AR(1)).fit(FORMS[form]()).forecast(horizon=2)
    pd.testing.assert_frame_equal(table, WANT, check_names=False, check_freq=False)
    long = form in ("long", "long, by name", "long, by time", "long, by both, with others")
    assert list(table.index.names) == ["unique_id" if long else "series", "ds"]


@pytest.mark.parametrize("model", [Panel(AR(1)), AutoPanel(), AutoPanel([AR(1)], validation=5)])
def test_a_table_has_the_names_of_the_users(model):
    named = LONG.rename(columns={"unique_id": "shop", "ds": "day", "y": "sold"})
    model = model.clone().set_params(columns=("shop", "day", "sold")).fit(named)
    table = model.forecast(horizon=2)
    assert list(table.index.names) == ["shop", "day"]
    assert table.reset_index().columns.tolist() == ["shop", "day", "mean", 0.05, 0.5, 0.95]
    assert list(model.forecast(horizon=2, history=WIDE).index.names) == ["series", "ds"]


def kinds_of_arrow():
    pa = pytest.importorskip("pyarrow")
    names, days = pa.array(LONG["unique_id"]), pa.array(LONG["ds"])
    zone = pa.timestamp("ms", "Europe/Oslo")
    yield names.dictionary_encode(), days
    yield pa.array(LONG["unique_id"].map({"a": 1, "b": 2, "c": 10}), pa.int16()), days
    yield names, days.cast(pa.date32())
    yield names, pa.array(LONG["ds"].dt.tz_localize("Europe/Oslo")).cast(zone)


@pytest.mark.parametrize("kind", range(4))
def test_tables_of_arrow_and_polars_are_answered_in_kind(kind, tmp_path):
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    names, days = list(kinds_of_arrow())[kind]
    table = pa.table({"y": LONG["y"].to_numpy(), "ds": days, "unique_id": names, "other": days})
    for given in (table, pl.from_arrow(table)):
        model = Panel(AR(1)).fit(given)
        found = model.forecast(horizon=2)
        assert type(found) is type(given)
        labels = ["unique_id", "ds"]
        assert found.select(labels).schema == given.select(labels).schema
        columns = found.to_pandas()
        np.testing.assert_allclose(columns.iloc[:, 2:], WANT)
        assert columns.columns.tolist() == ["unique_id", "ds", "mean", "0.05", "0.5", "0.95"]
        assert columns["ds"].map(str).str[:10].tolist()[:2] == ["2024-02-10", "2024-02-11"]
        model.save(tmp_path / "m.arproc")
        assert arproc.load(tmp_path / "m.arproc").forecast(horizon=2).equals(found)
        ours = model.forecast(horizon=2, history=given.to_pandas())
        assert isinstance(ours, pd.DataFrame)  # the form of the history
        stream = model.forecast(horizon=2, history=table.to_reader())
        assert stream.equals(model.forecast(horizon=2, history=table))


def test_numbers_of_arrow_and_polars_are_read_where_they_lie():
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    table = arrow(LONG)
    for given in (table, pl.from_arrow(table)):
        values = read(given).values
        column = given.to_arrow()["y"] if isinstance(given, pl.DataFrame) else given["y"]
        (chunk,) = pa.chunked_array(column).chunks
        address, buffer = values.__array_interface__["data"][0], chunk.buffers()[1]
        assert buffer.address <= address < buffer.address + buffer.size


def test_missing_values_are_none_or_nan():
    gone = WIDE.copy()
    gone.loc[DAYS[7]] = np.nan
    lists = {x: [None if np.isnan(v) else v for v in gone[x].tolist()] for x in gone}
    want = Panel(AR(1)).fit(gone)
    for data in (lists, LONG[LONG["ds"] != DAYS[7]]):
        np.testing.assert_allclose(Panel(AR(1)).fit(data).coefficients_.iloc[:, :3],
                                   want.coefficients_.iloc[:, :3])  # fmt: skip


def test_what_is_wrong_is_said_of_the_series():
    with pytest.raises(DataError, match=r"data\['b'\] is out of order: 2024-02-08 .* after"):
        Panel(AR(1)).fit({"a": WIDE["a"], "b": WIDE["b"][::-1]})
    with pytest.raises(DataError, match="more than one column called 'a'"):
        Panel(AR(1)).fit(WIDE.set_axis([*"aab"], axis=1))


BAD = {
    "long": pd.concat([LONG, pd.DataFrame({"unique_id": "z", "ds": DAYS[[3, 3]], "y": 1.0})]),
    "empty": pd.concat([LONG, pd.DataFrame({"unique_id": "z", "ds": DAYS[:3], "y": np.nan})]),
    "infinite": pd.concat([LONG, pd.DataFrame({"unique_id": "z", "ds": DAYS[:3], "y": np.inf})]),
    "dict": {name: WIDE[name] for name in WIDE} | {"z": WIDE["b"][::-1]},
}
REASONS = {"long": "more than one row", "empty": "no values", "infinite": "infinite",
           "dict": "out of order"}  # fmt: skip


@pytest.mark.parametrize("form", BAD)
@pytest.mark.parametrize("kind", ["one", "auto", "given"])
def test_what_can_not_be_read_keeps_its_row_and_its_reason(form, kind, tmp_path):
    def make(errors):
        if kind == "one":
            return Panel(AR(1), errors=errors)
        if kind == "auto":
            return AutoPanel(errors=errors)
        return AutoPanel([AR(1), AR(2)], validation=5, errors=errors)

    with pytest.raises(DataError, match="'z'"):
        make("raise").fit(BAD[form])
    model = make("keep").fit(BAD[form])
    table, want = model.forecast(horizon=2), make("raise").fit(WIDE).forecast(horizon=2)
    assert table.loc["z"].isna().all(axis=None)
    assert len(table.loc["z"]) == 2
    assert pd.Series([table.attrs["status"]["z"]]).str.contains(REASONS[form]).all()
    assert model.status_[-1] == table.attrs["status"]["z"]
    np.testing.assert_allclose(table.loc[["a", "b", "c"]], want)
    model.save(tmp_path / "m.arproc")
    again = arproc.load(tmp_path / "m.arproc")
    pd.testing.assert_frame_equal(again.forecast(horizon=2), table, check_freq=False)
    known = model.forecast(horizon=2, history=BAD[form])
    pd.testing.assert_frame_equal(known, table, check_freq=False)
    if kind == "auto":
        assert np.isnan(model.sample_paths(2, n=3, seed=0)).all(axis=(1, 2)).tolist() == [
            False, False, False, True,
        ]  # fmt: skip
    if kind != "one":
        assert model.summary()["status"].tolist() == model.status_
        assert not model.weights_[-1].any()


def test_freq_says_the_step_of_the_times():
    weekly = WIDE[::7]
    model = Panel(AR(1), freq="D").fit(weekly)
    assert model.lengths_.tolist() == [36] * 3
    assert model.forecast(horizon=1).index[0][1] == pd.Timestamp("2024-02-06")
    long = LONG[LONG["ds"].isin(weekly.index)]
    pd.testing.assert_frame_equal(
        Panel(AR(1), freq="D").fit(long).forecast(horizon=1).rename_axis(["series", "ds"]),
        model.forecast(horizon=1),
        check_freq=False,
    )
    few = {name: WIDE[name].iloc[[0, 2]] for name in WIDE}  # two dates tell no step
    table = AutoPanel(freq="D").fit(few).forecast(1)
    assert {day for _, day in table.index} == {pd.Timestamp("2024-01-04")}
    with pytest.raises(ParameterError, match="freq is the step of labelled data"):
        Panel(AR(1), freq="D").fit(WIDE.to_numpy().T)


def test_a_backtest_reads_what_its_panel_reads():
    named = LONG.rename(columns={"unique_id": "shop"})[LONG["ds"].isin(DAYS[::3])]
    model = Panel(AR(1), columns=("shop", "ds", "y"), freq="3D")
    table = arproc.evaluation.backtest(model, named, horizon=1, start=12)
    assert table["time"].unique().tolist() == list(DAYS[36::3])
