"""Indexes of series and time, and data frames of other libraries."""

import numpy as np
import pandas as pd
import pytest

from arproc import AR, MADE, VAR, KernelDensity, MarkovSwitchingAR, Panel, Training
from arproc.errors import DataError

RNG = np.random.default_rng(0)
DAYS = pd.date_range("2020-01-01", periods=50)
WIDE = pd.DataFrame({"a": RNG.normal(size=50), "b": RNG.normal(size=50)}, DAYS)
STACKED = pd.concat({name: WIDE[name] for name in WIDE}, names=["id", "day"])


class Foreign:
    """A data frame of another library: no index, and the interchange protocol alone."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def __dataframe__(self, *arguments, **more):
        return self.frame.__dataframe__(*arguments, **more)


class ForeignColumn:
    """A column of such a library."""

    dtype = "Float64"

    def __init__(self, column: pd.Series) -> None:
        self.column = column

    def to_frame(self) -> Foreign:
        return Foreign(self.column.to_frame())


def test_an_index_of_series_and_time_is_several_series():
    model = AR(1).fit(STACKED)
    np.testing.assert_allclose(model.coef_, AR(1).fit(WIDE).coef_)
    np.testing.assert_allclose(AR(1).fit(STACKED.swaplevel()).coef_, model.coef_)
    np.testing.assert_allclose(AR(1).fit(STACKED.to_frame()).coef_, model.coef_)
    table = model.forecast(STACKED, 1)
    assert [(name, str(day.date())) for name, day in table.index] == [
        ("a", "2020-02-20"), ("b", "2020-02-20"),
    ]  # fmt: skip
    panel = Panel(AR(1)).fit(STACKED)
    assert panel.names_ == ["a", "b"]
    vectors = pd.concat({"x": WIDE, "y": WIDE + RNG.normal(size=(50, 2))}, names=["id", "day"])
    np.testing.assert_allclose(
        VAR(1).fit(vectors).coef_, VAR(1).fit([vectors.loc["x"], vectors.loc["y"]]).coef_
    )
    with pytest.raises(DataError, match="2 levels and 2 columns"):
        AR(1).fit(pd.concat({"p": STACKED, "q": STACKED}, axis=1))
    with pytest.raises(DataError, match="the last is no time"):
        AR(1).fit(pd.Series([1.0, 2.0], pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])))


def test_frames_of_other_libraries_are_read_as_pandas():
    dated = WIDE.rename_axis("day").reset_index()
    want = VAR(1).fit(WIDE)
    model = VAR(1).fit(Foreign(dated))
    np.testing.assert_allclose(model.coef_, want.coef_)
    table = model.forecast(Foreign(dated[["day", "b", "a"]]), 1)
    np.testing.assert_allclose(table, want.forecast(WIDE, 1))
    assert str(table.index[0].date()) == "2020-02-20"
    np.testing.assert_allclose(
        AR(1).fit(ForeignColumn(WIDE["a"])).coef_, AR(1).fit(WIDE["a"]).coef_
    )
    long = dated.melt("day", var_name="unique_id", value_name="y").rename(columns={"day": "ds"})
    forecast = Panel(AR(1)).fit(Foreign(long)).forecast(horizon=1)
    np.testing.assert_allclose(forecast, Panel(AR(1)).fit(WIDE).forecast(horizon=1))
    rows = KernelDensity().fit(WIDE.reset_index(drop=True))
    np.testing.assert_allclose(rows.log_prob(Foreign(WIDE[["b", "a"]])), rows.log_prob(WIDE))


def test_polars_and_arrow_are_read_as_pandas():
    """The libraries themselves, which change what they offer from one version to the next."""
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    dated = WIDE.rename_axis("ds").reset_index()
    long = dated.melt("ds", var_name="unique_id", value_name="y")
    want = Panel(AR(1)).fit(WIDE).forecast(horizon=2)
    kinds = {
        "polars": pl.from_pandas,
        "Arrow": pa.Table.from_pandas,
        "pandas of Arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    }
    for make in kinds.values():
        wide = make(dated) if make is not kinds["pandas of Arrow"] else make(WIDE)
        for frame in (make(long), wide):
            found = Panel(AR(1)).fit(frame).forecast(horizon=2)
            if not isinstance(found, pd.DataFrame):  # panels answer in kind
                assert type(found) is type(frame)
                found = found.to_pandas()
                found = found.set_index(list(found.columns[:2]))
            np.testing.assert_allclose(found, want)
            assert list(found.index) == list(want.index)
        table, wanted = VAR(1).fit(wide).forecast(wide, 2), VAR(1).fit(WIDE).forecast(WIDE, 2)
        if not isinstance(table, pd.DataFrame):  # so does every process
            assert type(table) is type(wide)
            table = table.to_pandas().set_index("ds")
            assert table.columns[0] == "a mean"
            table.columns = wanted.columns
        np.testing.assert_allclose(table, wanted)
        assert list(table.index) == list(wanted.index)
        assert list(table.columns.unique(0)) == ["a", "b"]
    gap = WIDE["a"].where(np.arange(50) != 7)
    fits = [
        AR(1).fit(data).coef_
        for data in (
            gap, pl.Series("a", gap.to_numpy()).fill_nan(None), pa.array(gap, from_pandas=True),
            gap.convert_dtypes(dtype_backend="pyarrow"),
        )
    ]  # fmt: skip
    np.testing.assert_allclose(fits[1:], [fits[0]] * 3)
    with pytest.raises(DataError, match=r"\.collect\(\) it first"):
        AR(1).fit(pl.from_pandas(WIDE).lazy())


def test_forecasts_paths_and_gaps_are_answered_in_kind():
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    gap = WIDE.drop(index=DAYS[7]).reindex(DAYS)
    dated = gap.rename_axis("day").reset_index().assign(day=[day.date() for day in WIDE.index])
    chain = MarkovSwitchingAR.from_parameters([[0.9, 0.1], [0.2, 0.8]], [0.5], mean=[0.0, 1.0])
    calls = {
        "forecast": lambda x: AR(1).fit(x).forecast(x, 2),
        "sample_paths": lambda x: AR(1).fit(x).sample_paths(x, 2, 3, seed=0),
        "impute": lambda x: AR(1).fit(x).impute(x),
        "impute by regimes": lambda x: chain.impute(x),
    }
    for name, call in calls.items():
        several, one = call(gap), call(gap["a"].reset_index(drop=True))
        for table in (pl.from_pandas(dated), pa.Table.from_pandas(dated, preserve_index=False)):
            found, kind = call(table), type(table)
            assert type(found) is kind, name
            frame = found.to_pandas()
            assert list(frame.columns[:2]) == ["series", "day"], name
            assert frame["series"].tolist() == several.index.get_level_values(0).tolist()
            type_of = (lambda t: t["day"].type) if kind is pa.Table else (lambda t: t["day"].dtype)
            assert type_of(found) == type_of(table), name
            np.testing.assert_allclose(frame.iloc[:, 2:].to_numpy(float), several)
        values = gap["a"].to_numpy()
        for column, kind in (
            (pl.Series("a", values), pl.DataFrame), (pa.array(values), pa.Table),
        ):  # fmt: skip
            found = call(column)
            assert type(found) is kind, name
            frame = found.to_pandas()
            assert frame["step"].tolist() == list(one.index), name
            np.testing.assert_allclose(frame.iloc[:, 1:].to_numpy(float), one)


def test_a_table_of_polars_is_one():
    pl = pytest.importorskip("polars")
    frame = pd.DataFrame({
        "height": [1.7, None, 1.8, 1.6] * 5, "town": ["a", "b", "a", None] * 5,
        "visits": [1, 2, 50, 7] * 5,
    })  # fmt: skip
    model = MADE((4,), training=Training(steps=5)).fit(frame)
    again = MADE((4,), training=Training(steps=5)).fit(pl.from_pandas(frame))
    np.testing.assert_allclose(again.log_prob(pl.from_pandas(frame)), model.log_prob(frame))
    shuffled = pl.from_pandas(frame)[["visits", "town", "height"]]
    np.testing.assert_allclose(model.log_prob(shuffled), model.log_prob(frame))
