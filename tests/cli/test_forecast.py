"""`arproc forecast` on tables of many series: every form in, the same names and times out."""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Run

from arproc import AutoPanel

DAYS = pd.date_range("2024-01-01", periods=30, name="ds")
WIDE = pd.DataFrame(
    np.random.default_rng(0).normal(size=(30, 3)).cumsum(axis=0), DAYS, ["001", "2", "NA"]
)
LONG = WIDE.melt(ignore_index=False, var_name="unique_id", value_name="y").reset_index()


@functools.cache
def wanted() -> pd.DataFrame:
    return AutoPanel().fit(LONG).forecast(2)


def read(path: Path) -> pd.DataFrame:
    if path.suffix != ".csv":
        return pytest.importorskip("pyarrow.parquet").read_table(path).to_pandas()
    return pd.read_csv(path, keep_default_na=False, dtype={"unique_id": str}, parse_dates=["ds"])


@pytest.mark.parametrize("given", ["csv", "parquet", "arrow", "tsv"])
@pytest.mark.parametrize("asked", ["csv", "parquet"])
def test_a_table_of_series_is_forecast_whole(run: Run, tmp_path: Path, given: str, asked: str):
    source = tmp_path / f"panel.{given}"
    if given in ("csv", "tsv"):
        LONG.to_csv(source, index=False, sep="," if given == "csv" else "\t")
    else:
        pytest.importorskip("pyarrow")
        (LONG.to_parquet if given == "parquet" else LONG.to_feather)(source)
    result = run("forecast", source, "--horizon", 2, "--out", f"next.{asked}")
    assert result == (0, "", "")
    found = read(tmp_path / f"next.{asked}")
    assert found["unique_id"].tolist() == [name for name, _ in wanted().index]
    assert found["ds"].tolist() == [day for _, day in wanted().index]
    np.testing.assert_allclose(found[["mean", "0.05", "0.5", "0.95"]], wanted())
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"next.{asked}", f"panel.{given}"]


def test_columns_have_names_and_a_saved_panel_goes_on(run: Run, tmp_path: Path):
    named = LONG.set_axis(["day", "shop", "sold"], axis=1)
    named.to_csv(tmp_path / "sales.csv", index=False)
    names = ("--id", "shop", "--time", "day", "--value", "sold")
    first = run("forecast", "sales.csv", *names, "--horizon", 1, "-q", 0.1, "--save", "m.arproc")
    assert first.out.startswith("shop,day,mean,0.1\n001,2024-01-31,")
    again = run("forecast", "m.arproc", "sales.csv", "--horizon", 1, "-q", 0.1)
    assert again.out == first.out


def test_a_wide_table_is_one_too(run: Run, tmp_path: Path):
    WIDE.to_csv(tmp_path / "wide.csv")
    result = run("forecast", "wide.csv", "--horizon", 2)
    assert result.out.splitlines()[0] == "series,ds,mean,0.05,0.5,0.95"
    assert [line.split(",")[0] for line in result.out.splitlines()[1::2]] == ["001", "2", "NA"]


def test_a_series_that_can_not_be_read_is_named_and_keeps_its_rows(run: Run, tmp_path: Path):
    bad = LONG.assign(y=LONG["y"].astype(object))
    bad.loc[40, "y"] = "much"
    pd.concat([bad, bad.iloc[[5]]]).to_csv(tmp_path / "bad.csv", index=False)
    result = run("forecast", "bad.csv", "--horizon", 2)
    assert result.code == 0
    assert result.err.splitlines()[0] == "2 of 3 series have no forecast:"
    assert "001: it has more than one row for unique_id '001' at ds 2024-01-06" in result.err
    assert "2: it has 'much' for a number in 'y' (row 40)" in result.err
    rows = result.out.splitlines()
    assert rows[1:5] == ["001,,,,,", "001,,,,,", "2,,,,,", "2,,,,,"]
    assert rows[5].startswith("NA,2024-01-31,")


def test_a_table_larger_than_memory_goes_part_by_part(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("arproc.scale.memory._MOST", 2)  # partitions of two series
    bad = LONG.sort_values(["unique_id", "ds"], ignore_index=True)
    pd.concat([bad.iloc[:1], bad]).to_parquet(tmp_path / "panel.parquet", index=False)
    asked = ("panel.parquet", "--horizon", 2, "--memory", "2GB", "--out", "next.parquet")
    result = run("forecast", *asked)
    assert (result.code, result.out) == (0, "")
    lines = [line for line in result.err.splitlines() if "series/s" not in line]
    assert lines[0] == "1 of 3 series have no forecast:"
    assert lines[1].startswith("001: ")
    found = read(tmp_path / "next.parquet")
    assert found["unique_id"].tolist() == ["001", "001", "2", "2", "NA", "NA"]
    assert found["mean"].isna().tolist() == [True, True, False, False, False, False]
    want = AutoPanel().fit(LONG[LONG["unique_id"] != "001"]).forecast(2)
    np.testing.assert_allclose(found.iloc[2:][["mean", "0.05", "0.5", "0.95"]], want)


@pytest.mark.usefixtures("one_code")
def test_covariates_are_columns_and_a_table_of_what_is_to_come(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rng = np.random.default_rng(1)
    told = LONG.assign(promo=rng.integers(0, 2, 90), price=rng.normal(size=90))
    told["y"] += 5 * told["promo"]
    plan = pd.DataFrame({"ds": np.tile(pd.date_range("2024-01-31", periods=2), 3)})
    plan["unique_id"] = np.repeat(["001", "2", "NA"], 2)
    plan = plan.assign(promo=[0, 1, 1, 0, 1, 1], price=0.5)
    model = AutoPanel(covariates=["promo", "price"]).fit(told)
    want = model.forecast(2, future=plan)
    told.to_csv(tmp_path / "sales.csv", index=False)
    plan.to_csv(tmp_path / "plan.csv", index=False)
    plan[plan["unique_id"] != "2"].to_csv(tmp_path / "some.csv", index=False)
    asked = ("sales.csv", "--covariates", "promo, price", "--horizon", 2)
    result = run(
        "forecast", *asked, "--future", "plan.csv", "--save", "m.arproc", "--out", "n.csv"
    )
    assert result == (0, "", "")
    found = read(tmp_path / "n.csv")
    np.testing.assert_allclose(found[["mean", "0.05", "0.5", "0.95"]], want)
    again = run("forecast", "m.arproc", "sales.csv", "--future", "plan.csv", "--horizon", 2)
    assert again.out == (tmp_path / "n.csv").read_text()
    some = run("forecast", *asked, "--future", "some.csv")
    assert some.err.splitlines()[0] == "1 of 3 series have no forecast:"
    assert "2: future has no rows of series '2'" in some.err
    assert "give future=" in run("forecast", *asked).err
    for wrong in (("sales.csv", "--future", "plan.csv"), ("m.arproc", *asked)):
        assert run("forecast", *wrong, "--horizon", 2).code != 0
    if not importlib.util.find_spec("pyarrow"):
        return
    monkeypatch.setattr("arproc.scale.memory._MOST", 2)
    told.sort_values(["unique_id", "ds"]).to_parquet(tmp_path / "sales.parquet", index=False)
    plan.to_parquet(tmp_path / "plan.parquet", index=False)
    whole = run(
        "forecast", "sales.parquet", *asked[1:], "--future", "plan.parquet", "--memory", "2GB",
        "--out", "n.parquet",
    )  # fmt: skip
    assert whole.code == 0
    np.testing.assert_allclose(read(tmp_path / "n.parquet")["mean"], want["mean"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.parquet"], "there is no file 'nothing.parquet'"),
        (["junk.parquet"], "junk.parquet can not be read as a table"),
        (["panel.csv", "--id", "shop"], "no column called 'shop'"),
        (["panel.csv", "--column", "y"], "--column is for one series"),
        (["panel.csv", "--out", "next.txt"], "next.txt is no table by its name"),
        (["panel.csv", "--out", "next.csv.gz"], "next.csv.gz is no table by its name"),
        (["panel.csv", "--memory", "2GB"], "got panel.csv and no --out"),
        (["panel.csv", "--memory", "2GB", "--out", "n.parquet"], "tables of Parquet"),
        (["junk.parquet", "--memory", "2GB", "--out", "n.csv"], "tables of Parquet"),
        (["junk.parquet", "--memory", "2GB", "--out", "n.parquet"], "is no Parquet file"),
        (["junk.parquet", "--memory", "2XB", "--out", "n.parquet"], "memory must be"),
        (["junk.parquet", "--memory", "2GB", "--save", "m.arproc"], "--save does not go with"),
        (["panel.csv", "--freq", "1x"], "freq must be a step forwards"),
        (["panel.csv", "--period", "1"], "period must be"),
        (["notes.txt"], "notes.txt is no table by its name"),
        (["m.arproc"], "forecast takes the data too"),
        (["a.arproc", "b.csv", "c.csv"], "got 3 files"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    run: Run,
    tmp_path: Path,
    arguments: list[str],
    message: str,
):
    LONG.to_csv(tmp_path / "panel.csv", index=False)
    (tmp_path / "junk.parquet").write_text(json.dumps("junk"))
    before = sorted(tmp_path.iterdir())
    result = run("forecast", *arguments, "--horizon", 2)
    assert result.code == 2
    assert message in result.err
    assert sorted(tmp_path.iterdir()) == before
