"""Forecasts from file to file: those of fit and forecast, whatever the partitions and kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc import AR, AutoPanel, Panel
from arproc.errors import ArprocError, DataError, ParameterError, UnsupportedError
from arproc.scale import forecasts, memory
from arproc.scale.memory import rows_at_once, size_of

pa = pytest.importorskip("pyarrow", reason="Parquet files are read by pyarrow")
pq = pytest.importorskip("pyarrow.parquet", reason="Parquet files are read by pyarrow")

pytestmark = pytest.mark.usefixtures("one_code")


def long(n: int = 12, seed: int = 0, freq: str = "MS") -> pd.DataFrame:
    """Series of several kinds and lengths as a long table, sorted."""
    rng, parts = np.random.default_rng(seed), []
    for i in range(n):
        length = int(rng.integers(3, 50))
        t = np.arange(length)
        x = np.exp(3 + 0.3 * np.sin(2 * np.pi * t / 12) + 0.1 * rng.normal(size=length))
        x = [x, np.round(x / 10), x - 20, np.full(length, 7.0)][i % 4]
        days = pd.date_range("2020-01-01", periods=length, freq=freq)
        parts.append(pd.DataFrame({"unique_id": f"s{i:03d}", "ds": days, "y": x}))
    return pd.concat(parts, ignore_index=True)


def write(table: pd.DataFrame, path: Path, rows: int = 50) -> Path:
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path, rows)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(long(), tmp_path / "panel.parquet")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Partitions of three series."""
    monkeypatch.setattr(memory, "_MOST", 3)


def read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path)


def in_memory(model: Any, table: pd.DataFrame, horizon: int) -> pd.DataFrame:
    return model.fit(table).forecast(horizon=horizon).reset_index()


@pytest.mark.parametrize(
    "model", [AutoPanel(), AutoPanel(period=12), Panel(AR(1, method="ols"), errors="keep")]
)
def test_numbers_are_those_of_fit_and_forecast(model, source, tmp_path, small):
    done = arproc.forecast_file(model, source, 4, tmp_path / "out.parquet")
    found, expected = read(done.path), in_memory(model.clone(), read(source), 4)
    assert done.n_series == 12
    assert list(found.columns) == ["unique_id", "ds", "mean", "0.05", "0.5", "0.95"]
    assert found["unique_id"].tolist() == expected["unique_id"].tolist()
    known = found["mean"].notna()
    assert (found["ds"] == expected["ds"])[known].all()
    np.testing.assert_allclose(
        found.iloc[:, 2:].to_numpy(), expected.iloc[:, 2:].to_numpy(), rtol=1e-9
    )
    assert set(done.failed["series"]) == set(found.loc[~known, "unique_id"])


@pytest.mark.parametrize("season", [True, False])
def test_nothing_depends_on_the_partitions(season, source, tmp_path, monkeypatch):
    if not season:  # autoregressions are among the candidates
        rng = np.random.default_rng(0)
        names, times = np.repeat([f"s{i}" for i in range(7)], 70), np.tile(np.arange(70), 7)
        table = pd.DataFrame({"unique_id": names, "ds": times, "y": rng.normal(size=490)})
        source = write(table, tmp_path / "panel.parquet")
    made = []
    for most in (5, 100):
        monkeypatch.setattr(memory, "_MOST", most)
        out = tmp_path / f"{most}.parquet"
        arproc.forecast_file(AutoPanel(), source, 3, out, sample=8)
        made.append(out.read_bytes())
    assert made[0] == made[1]


def test_what_series_have_in_common_is_learnt_of_the_sample(source, tmp_path, small):
    out = tmp_path / "out.parquet"
    arproc.forecast_file(AutoPanel(), source, 3, out, sample=8)
    table = read(source)
    names = sorted(set(table["unique_id"]))
    chosen = [names[i] for i in np.linspace(0, 11, 8).astype(int)]
    model = AutoPanel().fit(table[table["unique_id"].isin(chosen)])
    expected = model.others(table).forecast(3)
    np.testing.assert_allclose(read(out)["0.5"], expected[0.5], rtol=1e-9)
    again = tmp_path / "again.parquet"
    arproc.forecast_file(model, source, 3, again)  # a fitted one is taken as it is
    np.testing.assert_allclose(read(again)["0.5"], expected[0.5], rtol=1e-9)


def test_others_of_a_panel_do_not_know_each_other():
    rng = np.random.default_rng(0)
    rows = {f"s{i}": rng.normal(size=60).cumsum() for i in range(9)}
    model = AutoPanel().fit(rows)
    pd.testing.assert_frame_equal(model.others(rows).forecast(3), model.forecast(3))
    alone = model.others({"s4": rows["s4"]})
    pd.testing.assert_frame_equal(
        alone.forecast(3).loc["s4"], model.forecast(3).loc["s4"], rtol=1e-9
    )
    assert alone.periods_ == model.periods_
    with pytest.raises(UnsupportedError, match="others needs AutoPanel"):
        AutoPanel([AR(1)], 4).fit(rows).others(rows)
    with pytest.raises(UnsupportedError, match="drawn towards one another"):
        Panel(AR(1, method="ols"), pooling="partial").fit(rows).others(rows)


@pytest.mark.parametrize("kind", ["date", "text", "number", "zone", "disorder", "gaps", "folder"])
def test_forms(kind, tmp_path, small):
    table = long(7)
    expected = in_memory(AutoPanel(), table, 2)
    path = tmp_path / "panel.parquet"
    if kind == "date":
        table["ds"] = table["ds"].dt.date
    elif kind == "text":
        table["ds"] = table["ds"].dt.strftime("%Y-%m-%d")
    elif kind == "number":
        table["ds"] = (table["ds"].dt.year * 12 + table["ds"].dt.month) * 10
    elif kind == "zone":
        table["ds"] = table["ds"].dt.tz_localize("Europe/Berlin")
    elif kind == "disorder":  # within the series
        table = table.sample(frac=1, random_state=0).sort_values("unique_id", kind="stable")
    elif kind == "gaps":
        keep = np.arange(len(table)) % 11 != 5
        expected = in_memory(AutoPanel(), table[keep], 2)
        table["y"] = table["y"].where(keep)
    table = table.rename(columns={"unique_id": "shop", "y": "sold"})
    if kind == "folder":
        path = tmp_path / "panel"
        path.mkdir()
        for i in range(3):
            write(
                table.iloc[len(table) * i // 3 : len(table) * (i + 1) // 3], path / f"{i}.parquet"
            )
    else:
        write(table, path)
    model = AutoPanel(columns=("shop", "ds", "sold"))
    out = arproc.forecast_file(model, path, 2, tmp_path / "out.parquet").path
    found = read(out)
    np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-9)
    if kind != "folder":
        assert pq.read_schema(out).field("ds").type == pq.read_schema(path).field("ds").type
    assert found["shop"].tolist() == expected.iloc[:, 0].tolist()
    if kind == "number":
        assert found["ds"].iloc[0] == table.loc[table["shop"] == "s000", "ds"].max() + 10
    else:
        times = pd.to_datetime(found["ds"])
        times = times.dt.tz_localize(None) if times.dt.tz is not None else times
        assert (times.to_numpy() == expected["ds"].to_numpy()).all()


def test_series_that_can_not_be_read_are_named_and_stop_none(tmp_path, small):
    table = long(8)
    clean = in_memory(AutoPanel(), table[~table["unique_id"].isin(["s001", "s003", "s004"])], 2)
    rows = {name: table.index[table["unique_id"] == name] for name in ("s001", "s003", "s004")}
    table.loc[rows["s001"], "y"] = np.nan
    table.loc[rows["s003"][2], "y"] = np.inf
    table.loc[rows["s004"][1], "ds"] = table.loc[rows["s004"][0], "ds"]
    late = pd.DataFrame({"unique_id": "t", "ds": pd.to_datetime(["2020-01-01", "2020-02-07"])})
    far = pd.DataFrame({"unique_id": "u", "ds": pd.to_datetime(["2020-01-01", "3020-02-01"])})
    table = pd.concat([table, late.assign(y=1.0), far.assign(y=1.0)])
    source = write(table, tmp_path / "panel.parquet")
    done = arproc.forecast_file(AutoPanel(), source, 2, tmp_path / "out.parquet")
    reasons = dict(done.failed.to_numpy().tolist())
    assert list(reasons) == ["s001", "s003", "s004", "t", "u"]
    for name, words in {
        "s001": "no values", "s003": "is inf", "s004": "more than one row", "t": "2020-02-07",
        "u": "steps apart",
    }.items():  # fmt: skip
        assert words in reasons[name]
    found = read(done.path)
    assert len(found) == 20
    bad = found["unique_id"].isin(list(reasons))
    assert found[bad].iloc[:, 1:].isna().all(axis=None)
    np.testing.assert_allclose(found.loc[~bad, "0.5"], clean[0.5], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.sort_values("ds"), "in more than one place.*Sort the file"),
        (lambda t: t.drop(columns="y"), "no column called 'y'"),
        (lambda t: t.iloc[:0], "no rows"),
        (lambda t: t.assign(y="much"), "no numbers in 'y'"),
        (lambda t: t.assign(unique_id=t["unique_id"].where(t.index != 3)), "rows without a name"),
        (lambda t: t.assign(y=np.nan), "no series of source can be read"),
        (lambda t: t.assign(ds=t["ds"] ** 2), "regular step"),
    ],
)
def test_tables_that_are_none(change, match, tmp_path):
    table = long(3)
    if match == "regular step":
        table["ds"] = np.arange(len(table))
    source = write(change(table), tmp_path / "panel.parquet")
    with pytest.raises(DataError, match=match):
        arproc.forecast_file(AutoPanel(), source, 2, tmp_path / "out.parquet")


def test_bad_arguments(source, tmp_path):
    out = tmp_path / "out.parquet"
    for bad, match in (
        ({"memory": "much"}, "memory must be"), ({"memory": "1MB"}, "expected more than"),
        ({"client": 3}, "client must be"), ({"horizon": 0}, "horizon"), ({"sample": 0}, "sample"),
        ({"out": source}, "is the source itself"), ({"model": AR(1)}, "model must be"),
    ):  # fmt: skip
        given = {"model": AutoPanel(), "source": source, "horizon": 2, "out": out} | bad
        with pytest.raises(ParameterError, match=match):
            arproc.forecast_file(**given)
    for model in (AutoPanel([AR(1)], 4), Panel(AR(1, method="ols"), pooling="partial")):
        with pytest.raises(UnsupportedError, match="in parts"):
            arproc.forecast_file(model, source, 2, out)
    with pytest.raises(DataError, match="no Parquet file at"):
        arproc.forecast_file(AutoPanel(), tmp_path / "none.parquet", 2, out)
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(DataError, match="is no Parquet file"):
        arproc.forecast_file(AutoPanel(), tmp_path / "text.parquet", 2, out)


def test_memory_is_kept_by_the_size_of_partitions():
    assert size_of("2GB") == 2 * size_of(10**9)
    starts = np.arange(0, 150 * 100_001, 150)
    for ceiling in ("1GB", "3GB"):
        cuts = rows_at_once(starts, 12, size_of(ceiling), 2, True)
        assert cuts[0] == 0
        assert cuts[-1] == 100_000
        each = np.diff(cuts).max() * (150 * memory.ROW + memory.SERIES + 12 * memory.STEP)
        assert 2 * each <= size_of(ceiling) - memory.BASE
    huge = np.array([0, 10**9, 10**9 + 10])  # one that is too large is on its own
    np.testing.assert_array_equal(rows_at_once(huge, 1, size_of("1GB"), 2, True), [0, 1, 2])


# ---- kills and clients --------------------------------------------------------------------------


def test_a_call_goes_on_where_it_was(source, tmp_path, small, monkeypatch):
    whole, out = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    arproc.forecast_file(AutoPanel(), source, 3, whole)
    parts, made = tmp_path / "out.parquet.parts", []

    def failing(job: Any) -> None:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(job.path)
        forecasts_part(job)

    forecasts_part = forecasts.forecast_part
    monkeypatch.setattr(forecasts, "forecast_part", failing)
    with ThreadPoolExecutor(1) as client, pytest.raises(KeyboardInterrupt):
        arproc.forecast_file(AutoPanel(), source, 3, out, client=client)
    assert not out.exists()
    assert len(list(parts.glob("*.parquet"))) == 2
    with pytest.raises(DataError, match="another source, model or other arguments"):
        arproc.forecast_file(AutoPanel(), source, 4, out)
    made.clear()
    monkeypatch.setattr(
        forecasts, "forecast_part", lambda job: (made.append(1), forecasts_part(job))
    )
    arproc.forecast_file(AutoPanel(), source, 3, out, memory="4GB")
    assert len(made) == 4 - 2
    assert out.read_bytes() == whole.read_bytes()
    assert not parts.exists()


_KILLED = """
import sys
import arproc
from arproc.scale import memory
memory._MOST = 5
arproc.forecast_file(arproc.AutoPanel(period=12), sys.argv[1], 3, sys.argv[2], sample=20)
"""


@pytest.mark.slow
def test_the_same_file_after_kills_at_random_moments(tmp_path):
    source = write(long(150), tmp_path / "panel.parquet")
    whole, out = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", _KILLED, str(source), str(whole)], check=True)
    longest = time.perf_counter() - begin
    rng, kills = np.random.default_rng(0), 0
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", _KILLED, str(source), str(out)])
        try:
            assert process.wait(rng.uniform(0.5, 1.05) * longest) == 0
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    else:
        subprocess.run([sys.executable, "-c", _KILLED, str(source), str(out)], check=True)
    assert kills
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out.parquet", "panel.parquet", "whole.parquet",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """A client of two processes."""
    distributed = pytest.importorskip("dask.distributed", reason="dask is not installed")
    where = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**where) as cluster, distributed.Client(cluster) as client:
        yield client


def begun(out: Path, act: Callable[[], None]) -> threading.Thread:
    """A thread that acts when four parts of `out` are there."""

    def wait() -> None:
        parts = out.with_name(out.name + ".parts")
        while len(list(parts.glob("part-*.parquet"))) < 4:
            time.sleep(0.01)
        act()

    found = threading.Thread(target=wait, daemon=True)
    found.start()
    return found


@pytest.mark.slow
def test_dask(dask, tmp_path, small, capsys):
    bad = pd.DataFrame({"unique_id": "z", "ds": pd.date_range("2020", periods=9), "y": np.inf})
    source = write(pd.concat([long(40), bad]), tmp_path / "panel.parquet")
    whole, out = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    alone = arproc.forecast_file(AutoPanel(), source, 3, whole)
    for _ in range(2):  # the same call again, of the same client, when its file is gone
        done = arproc.forecast_file(AutoPanel(), source, 3, out, client=dask, progress=True)
        assert out.read_bytes() == whole.read_bytes()
        assert done.failed.equals(alone.failed)
        assert done.failed["series"].tolist() == ["z"]
        out.unlink()
    assert "100%" in capsys.readouterr().err

    def kill() -> None:
        os.kill(next(iter(dask.run(os.getpid).values())), signal.SIGKILL)

    thread = begun(out, kill)
    arproc.forecast_file(AutoPanel(), source, 3, out, client=dask)
    thread.join()
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_dask_goes_on_after_an_interrupt_and_after_a_failure(dask, tmp_path, small):
    source = write(long(60), tmp_path / "panel.parquet")
    whole, out = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    arproc.forecast_file(AutoPanel(), source, 3, whole)
    parts, main = tmp_path / "out.parquet.parts", threading.main_thread().ident
    assert main is not None
    thread = begun(out, lambda: signal.pthread_kill(main, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        arproc.forecast_file(AutoPanel(), source, 3, out, client=dask)
    thread.join()
    assert not out.exists()
    model = parts / "model.arproc"
    kept = model.read_bytes()
    model.write_bytes(b"broken")
    with pytest.raises(ArprocError, match=r"model\.arproc"):
        arproc.forecast_file(AutoPanel(), source, 3, out, client=dask)
    model.write_bytes(kept)
    arproc.forecast_file(AutoPanel(), source, 3, out, client=dask)
    assert out.read_bytes() == whole.read_bytes()
    assert not parts.exists()


@pytest.mark.slow
def test_processes(source, tmp_path, small):
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    whole, out = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    arproc.forecast_file(AutoPanel(), source, 3, whole)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as client:
        arproc.forecast_file(AutoPanel(), source, 3, out, client=client)
    assert out.read_bytes() == whole.read_bytes()


# ---- covariates --------------------------------------------------------------------------------

BESIDE = ["promo", "price"]


def told() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Series with covariates, and those of the three months that follow each; sorted."""
    rng, table = np.random.default_rng(5), long()
    table = table.assign(promo=rng.random(len(table)) < 0.3, price=rng.normal(size=len(table)))
    table["y"] += 3 * table["promo"]
    ends = table.groupby("unique_id")["ds"].max()
    later = [
        pd.DataFrame({"unique_id": name, "ds": pd.date_range(end, periods=4, freq="MS")[1:]})
        for name, end in ends.items()
    ]
    after = pd.concat(later, ignore_index=True)
    return table, after.assign(promo=rng.random(36) < 0.3, price=rng.normal(size=36))


@pytest.mark.usefixtures("small")
def test_covariates_come_from_files_as_from_tables(tmp_path: Path):
    model, (table, after) = AutoPanel(period=12, covariates=BESIDE), told()
    table.loc[[20, 21], "y"] = np.nan
    longest = table["unique_id"] == table["unique_id"].mode()[0]
    table.loc[table.index[longest][-2:], "y"] = np.nan  # what is beside them counts
    rows = table.sample(frac=1, random_state=0).sort_values("unique_id")
    source = write(rows, tmp_path / "a.parquet")
    # its series lie in another order, columns too, and others are there
    mixed = after.sort_values("unique_id", ascending=False, kind="stable")
    mixed = pd.concat([mixed, after.head(3).assign(unique_id="nobody")])
    future = write(mixed[["price", "ds", "unique_id", "promo"]], tmp_path / "b.parquet", 7)
    done = arproc.forecast_file(model, source, 3, tmp_path / "out.parquet", future=future)
    made = model.fit(table).forecast(horizon=3, future=after).reset_index()
    found = read(done.path)
    np.testing.assert_array_equal(found["mean"], made["mean"])
    np.testing.assert_array_equal(found["0.95"], made[0.95])
    assert done.failed.empty


@pytest.mark.usefixtures("small")
def test_what_covariates_lack_is_named_and_stops_no_other(tmp_path: Path):
    table, after = told()
    model = AutoPanel(period=12, covariates=BESIDE).fit(table)
    want = model.forecast(3, future=after).reset_index()
    bad, step = after.astype({"price": float}), after.index % 3
    bad.loc[(bad["unique_id"] == "s002") & (step == 1), "price"] = np.nan
    twice = bad[(bad["unique_id"] == "s006") & (step == 2)]
    gone = (bad["unique_id"] == "s004") | ((bad["unique_id"] == "s005") & (step == 2))
    bad = pd.concat([bad[~gone], twice]).sort_values("unique_id")
    table.loc[table.index[table["unique_id"] == "s008"][1], "price"] = np.inf
    paths = write(table, tmp_path / "a.parquet"), write(bad, tmp_path / "b.parquet")
    done = arproc.forecast_file(model, paths[0], 3, tmp_path / "out.parquet", future=paths[1])
    reasons = dict(zip(done.failed["series"], done.failed["reason"], strict=True))
    assert set(reasons) == {"s002", "s004", "s005", "s006", "s008"}
    assert "future has no number in 'price'" in reasons["s002"]
    assert "future has no number in 'promo'" in reasons["s004"]
    assert "more than one row" in reasons["s006"]
    assert "known at every step" in reasons["s008"]
    found = read(done.path)
    lost = found["unique_id"].isin(list(reasons))
    assert found["mean"].isna().eq(lost).all()
    np.testing.assert_array_equal(found["mean"][~lost], want["mean"][~lost])


def test_covariates_and_future_go_together(tmp_path: Path):
    table, after = told()
    paths = write(table, tmp_path / "a.parquet"), write(after, tmp_path / "b.parquet")
    model, out = AutoPanel(period=12, covariates=BESIDE), tmp_path / "out.parquet"
    apart = write(after.sort_values("ds"), tmp_path / "c.parquet")
    bare = write(after.drop(columns="price"), tmp_path / "d.parquet")
    plain = write(long(), tmp_path / "e.parquet")
    refused = [
        (model, paths[0], {}, ParameterError, "give future="),
        (AutoPanel(), plain, {"future": paths[1]}, ParameterError, "this one has none"),
        (model, plain, {"future": paths[1]}, DataError, "source .* no column called 'promo'"),
        (model, paths[0], {"future": bare}, DataError, "future .* no column called 'price'"),
        (model, paths[0], {"future": apart}, DataError, "future has rows of .* in more than one"),
        (model, paths[0], {"future": tmp_path / "no"}, DataError, "future has no Parquet file"),
        (model, paths[0], {"future": [table]}, ParameterError, "future must be .*; got a DataFr"),
        (model, table, {"future": paths[1]}, ParameterError, "source must be .*; got a DataFrame"),
    ]
    for one, source, more, error, message in refused:
        with pytest.raises(error, match=message):
            arproc.forecast_file(one, source, 3, out, **more)
    with pytest.raises(ParameterError, match="is the future itself"):
        arproc.forecast_file(model, paths[0], 3, paths[1], future=paths[1])
