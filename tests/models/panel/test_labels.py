"""Panels whose series differ in length and dates: long tables, rows for all, no history."""

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc import AR, AutoPanel, Panel, Transformed
from arproc.errors import DataError, ParameterError
from arproc.transforms import Difference

RNG = np.random.default_rng(0)


def walk(n: int, start: str) -> pd.Series:
    return pd.Series(RNG.normal(size=n).cumsum(), pd.date_range(start, periods=n))


GOOD = {"a": walk(100, "2020-01-01"), "b": walk(60, "2021-05-01")}
ALL = GOOD | {"flat": pd.Series(1.0, pd.date_range("2022-01-01", periods=50)), "short": walk(5, "2023-01-01")}  # noqa: E501 # fmt: skip
CANDIDATES = [AR(1), AR(3), Transformed(AR(1), Difference())]
LONG = pd.concat(
    [pd.DataFrame({"id": k, "day": v.index, "val": v.to_numpy()}) for k, v in GOOD.items()]
).sample(frac=1, random_state=0)
COLUMNS = ("id", "day", "val")


def days(table: pd.DataFrame, name: str) -> list[str]:
    return [str(day.date()) for day in table.loc[name].index]


def test_series_that_no_candidate_fits_keep_their_rows_and_dates(tmp_path):
    with pytest.raises(DataError, match="'short' has 5 values"):
        AutoPanel(CANDIDATES, validation=10).fit(ALL)
    with pytest.raises(DataError, match="no candidate has a fit for series 'flat'"):
        AutoPanel(CANDIDATES, validation=10).fit({k: ALL[k] for k in ("a", "flat")})
    model = AutoPanel(CANDIDATES, validation=10, errors="keep").fit(ALL)
    table = model.forecast(2)
    assert days(table, "a") == ["2020-04-10", "2020-04-11"]
    assert days(table, "b") == ["2021-06-30", "2021-07-01"]
    assert days(table, "short") == ["2023-01-06", "2023-01-07"]
    assert table.loc[["a", "b"]].notna().all(axis=None)
    assert table.loc[["flat", "short"]].isna().all(axis=None)
    assert [status == "ok" for status in model.status_] == [True, True, False, False]
    assert "constant" in table.attrs["status"]["flat"]
    pd.testing.assert_frame_equal(model.forecast(2, history=ALL), table)
    model.save(tmp_path / "model.arproc")
    pd.testing.assert_frame_equal(arproc.load(tmp_path / "model.arproc").forecast(2), table)
    alone = AutoPanel(CANDIDATES, validation=10).fit(GOOD)
    np.testing.assert_allclose(alone.weights_, model.weights_[:2])
    np.testing.assert_allclose(alone.forecast(2)["mean"], table.loc[["a", "b"], "mean"])


def test_panels_keep_rows_for_all_and_need_no_history():
    table = Panel(AR(1), errors="keep").fit(ALL).forecast(horizon=1)
    assert days(table, "flat") == ["2022-02-20"]
    assert table.loc["flat"].isna().all(axis=None)
    each = Panel(CANDIDATES[2]).fit(GOOD)
    got = each.forecast(horizon=2)
    pd.testing.assert_frame_equal(got, each.forecast(horizon=2, history=GOOD))
    assert days(got, "b") == ["2021-06-30", "2021-07-01"]


def test_long_tables_have_any_names_and_dates_that_are_dates():
    want = Panel(AR(1)).fit(GOOD).forecast(horizon=1)
    panel = Panel(AR(1), columns=COLUMNS)
    np.testing.assert_allclose(panel.fit(LONG).forecast(horizon=1), want)
    np.testing.assert_allclose(panel.forecast(horizon=1, history=LONG), want)
    text = LONG.assign(day=LONG["day"].dt.strftime("%Y-%m-%d"))
    np.testing.assert_allclose(panel.fit(text).forecast(horizon=1), want)
    german = LONG.assign(day=[f"{day.day}.{day.month}.{day.year}" for day in LONG["day"]])
    with pytest.raises(DataError, match=r"times of text in 'day'.*no ISO dates.*to_datetime"):
        panel.fit(german)
    with pytest.raises(DataError, match=r"no column called 'unique_id'.*columns=.*\['id', 'day'"):
        Panel(AR(1)).fit(LONG)
    with pytest.raises(ParameterError, match="columns must be three names"):
        Panel(AR(1), columns=("id", "day")).fit(LONG)


def test_steps_that_a_long_table_leaves_out_are_missing():
    rows = LONG["day"].isin(pd.to_datetime(["2020-01-15", "2021-06-02"]))
    gaps = {name: series.copy() for name, series in GOOD.items()}
    gaps["a"].loc["2020-01-15"], gaps["b"].loc["2021-06-02"] = np.nan, np.nan
    want = Panel(AR(1)).fit(gaps)
    panel = Panel(AR(1), columns=COLUMNS).fit(LONG[~rows])
    assert panel.lengths_.tolist() == [100, 60]
    np.testing.assert_allclose(panel.log_likelihoods_, want.log_likelihoods_)
