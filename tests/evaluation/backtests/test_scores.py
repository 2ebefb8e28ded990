"""Scores by horizon and the flip-flop index, by hand."""

import numpy as np
import pandas as pd
import pytest

from arproc import AR, VAR, backtest
from arproc.errors import DataError, ParameterError
from arproc.evaluation import backtest_scores, crps_quantiles, flip_flop
from arproc.evaluation.standard_errors import of_series


def _table() -> pd.DataFrame:
    x = AR.from_parameters([0.7]).sample(3, length=90, seed=1)
    x[1, 70] = np.nan
    return backtest(AR(1), x, horizon=4, start=50, refit="once", quantiles=(0.1, 0.25, 0.5, 0.9))


def test_scores_by_horizon_are_means_of_the_rows():
    table = _table()
    found = backtest_scores(table)
    assert found.index.tolist() == [1, 2, 3, 4]
    for step, row in found.iterrows():
        part = table[(table["step"] == step) & table["actual"].notna()]
        error = part["actual"] - part["mean"]
        assert row["n"] == len(part)
        assert row["bias"] == pytest.approx(error.mean())
        assert row["rmse"] ** 2 == pytest.approx(row["mse"]) == pytest.approx((error**2).mean())
        assert row["mae"] == pytest.approx((part["actual"] - part[0.5]).abs().mean())
        assert row["log_score"] == pytest.approx(part["log_score"].mean())
        inside = part["actual"].between(part[0.1], part[0.9])
        assert row["coverage"] == pytest.approx(inside.mean())
        assert row["width"] == pytest.approx((part[0.9] - part[0.1]).mean())
        quantiles = part[[0.1, 0.25, 0.5, 0.9]].to_numpy()
        crps = crps_quantiles(quantiles, part["actual"].to_numpy(), levels=[0.1, 0.25, 0.5, 0.9])
        assert row["crps"] == pytest.approx(crps.mean())
        by_origin = (error**2).groupby(part["origin"]).mean()
        assert row["se_mse"] == pytest.approx(of_series(by_origin.to_numpy()).se)
    assert found["nominal"].unique() == pytest.approx([0.8])


def test_scores_by_series_and_of_all():
    table = _table()
    assert backtest_scores(table, by="series").index.tolist() == [0, 1, 2]
    whole = backtest_scores(table, by=None)
    wanted = ((table["actual"] - table["mean"]) ** 2).mean()
    assert whole["mse"].tolist() == pytest.approx([wanted])
    vectors = backtest(VAR(1), np.random.default_rng(0).normal(size=(40, 2)), start=37)
    assert backtest_scores(vectors, by="component").index.tolist() == [0, 1]
    with pytest.raises(ParameterError, match="by must be one of"):
        backtest_scores(table, by="season")


def test_what_needs_quantiles_is_left_out_without_them():
    x = np.random.default_rng(0).normal(size=40)
    bare = backtest(AR(0), x, start=30, refit="once", quantiles=(0.2,))
    assert not {"mae", "coverage", "nominal", "width"} & set(backtest_scores(bare).columns)
    none = backtest(AR(0), x, start=30, refit="once", quantiles=())
    assert "crps" not in backtest_scores(none).columns
    with pytest.raises(DataError, match="table has no column 'series'"):
        backtest_scores(pd.DataFrame({"a": [1]}))


def test_the_flip_flop_index_by_hand():
    table = backtest(
        AR(2), np.random.default_rng(4).normal(size=60).cumsum(), horizon=5, start=40, refit=1
    )
    found = flip_flop(table)
    index, path, count = [], 0.0, 0
    for time in range(table["time"].min(), table["time"].max() + 1):
        part = table[table["time"] == time].sort_values("origin")
        f = part["mean"].to_numpy()
        if len(f) >= 3:
            moves = np.abs(np.diff(f))
            index.append((moves.sum() - np.ptp(f)) / (len(f) - 2))
            path, count = path + moves.sum(), count + len(moves)
    assert found["n_moments"].tolist() == [len(index)]
    assert found["flip_flop"].iloc[0] == pytest.approx(np.mean(index))
    assert found["revision"].iloc[0] == pytest.approx(path / count)


def test_forecasts_that_move_one_way_do_not_flip():
    rows = {"series": "a", "origin": [1, 2, 3, 4], "step": [4, 3, 2, 1], "time": 5}
    assert flip_flop(pd.DataFrame(rows | {"mean": [1.0, 2.0, 9.0, 9.5]}))["flip_flop"].item() == 0
    zigzag = flip_flop(pd.DataFrame(rows | {"mean": [1.0, 0.0, 1.0, 0.0]}))
    assert (zigzag["flip_flop"].item(), zigzag["revision"].item()) == (1.0, 1.0)


def test_series_and_components_have_their_own_index():
    x = np.random.default_rng(0).normal(size=(40, 2))
    found = flip_flop(backtest(VAR(1), x, horizon=4, start=30, refit="once"))
    assert found.index.tolist() == [(0, 0), (0, 1)]
    with pytest.raises(ParameterError, match="no moment has three forecasts"):
        flip_flop(backtest(AR(0), x[:, 0], horizon=4, step=2, start=30))
