"""Covariates in backtests, against fits and forecasts made by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import Normal

from arproc import AR, Process, backtest
from arproc.errors import DataError
from arproc.spaces import Real

N, T = 2, 50


def _data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(N, T))
    return z, 2 * z + rng.normal(size=(N, T)).cumsum(axis=1) * 0.3


def _by_hand(x: list[Any], z: list[Any], origin: int, horizon: int) -> np.ndarray:
    model = AR(1, regressors="mean").fit([y[:origin] for y in x], context=[c[:origin] for c in z])
    history = [y[:origin] for y in x]
    made = model.forecast(history, horizon, context=[c[: origin + horizon] for c in z])
    return made["mean"].to_numpy()


@pytest.mark.parametrize("form", ["array", "list", "frames"])
def test_a_table_by_steps_for_each_series(form: str):
    z, x = _data()
    data: Any = x
    context: Any = z[:, :, None]
    if form == "list":
        context = list(context)
    if form == "frames":
        dates = pd.date_range("2020-01-01", periods=T, freq="D")
        context = [pd.DataFrame({"z": row}, dates) for row in z]
        data = [pd.Series(row, dates) for row in x]
    model = AR(1, regressors="mean")
    found = backtest(model, data, context=context, horizon=2, start=40, step=8)
    tables = [z[i][:, None] for i in range(N)]
    for origin in (40, 48):
        wanted = _by_hand(list(x), tables, origin, 2)
        place = found["time"] if form != "frames" else (found["time"] - dates[0]).dt.days
        part = found[(place >= origin) & (place < origin + 2)]
        np.testing.assert_allclose(part["mean"], wanted, rtol=1e-7)


def test_one_table_for_all_series():
    z, x = _data()
    found = backtest(AR(1, regressors="mean"), x, context=z[0], horizon=2, start=44, step=9)
    wanted = _by_hand(list(x), [z[0][:, None]] * N, 44, 2)
    np.testing.assert_allclose(found["mean"], wanted, rtol=1e-7)


def test_of_one_series_a_column_a_table_or_a_series_that_is_longer():
    z, x = _data()
    options = {"horizon": 2, "start": 44, "step": 9}
    wanted = _by_hand([x[0]], [z[0][:, None]], 44, 2)
    longer = np.append(z[0], [9.0, 9.0])
    dates = pd.date_range("2020-01-01", periods=T + 2, freq="D")
    for data, context in (
        (x[0], z[0]),
        (x[0], longer[:, None]),
        (x[0], torch.as_tensor(longer)),
        (x[0], longer.tolist()),
        (pd.Series(x[0], dates[:T]), pd.Series(longer, dates)),
    ):
        found = backtest(AR(1, regressors="mean"), data, context=context, **options)
        np.testing.assert_allclose(found["mean"], wanted, rtol=1e-7)


def test_rows_go_with_the_users_steps_though_missing_values_are_cut_off():
    z, x = _data()
    gone = x[0].copy()
    gone[:5] = np.nan
    found = backtest(AR(1, regressors="mean"), gone, context=z[0], start=35, step=20)
    model = AR(1, regressors="mean").fit(x[0][5:40], context=z[0][5:40])
    wanted = model.forecast(x[0][5:40], 1, context=z[0][5:41])
    assert found["origin"].tolist() == [39]
    np.testing.assert_allclose(found["mean"], wanted["mean"], rtol=1e-6)


def test_a_series_that_ends_early_needs_no_rows_beyond():
    z, x = _data()
    data, context = [x[0], x[1][:43]], [z[0][:, None], z[1][:43, None]]
    found = backtest(AR(1, regressors="mean"), data, context=context, horizon=4, start=41)
    part = found[(found["series"] == 1) & (found["origin"] == 40)]
    assert part["step"].tolist() == [1, 2]
    padded = np.concatenate([context[1], np.zeros((5, 1))])
    wanted = _by_hand([y[:41] for y in data], [z[0][:, None], padded], 41, 4)[4:6]
    np.testing.assert_allclose(part["mean"], wanted, rtol=1e-7)


class Shifted(Process):
    """Normal values about a static context, and what it saw."""

    context_kind = "static"
    window_length = 0
    seen: list[list[float]] = []

    def _infer_space(self, data: Any) -> Real:
        return Real()

    def _fit(self, sequences: Any, *, validation: Any, context: torch.Tensor | None) -> None:
        assert context is not None
        self.seen.append(context[:, 0].tolist())
        self.scale_ = 1.0

    def window(self, ctx: Any, position: Any, context: Any = None) -> Normal:
        return Normal(context[..., :1].expand(ctx.shape[:2]), self.scale_)


def test_a_vector_for_each_series_goes_with_it():
    Shifted.seen.clear()
    data = [np.zeros(20), np.zeros(12), np.zeros(20)]
    found = backtest(Shifted(), data, context=[[1.0], [2.0], [3.0]], start=10, step=5, refit=2)
    assert Shifted.seen == [[1.0, 2.0, 3.0]]
    means = found.groupby(["origin", "series"])["mean"].first()
    assert means[9].to_dict() == {0: 1.0, 1: 2.0, 2: 3.0}
    assert means[14].to_dict() == {0: 1.0, 2: 3.0}


def test_contexts_of_wrong_shape_are_refused():
    z, x = _data()
    model = AR(1, regressors="mean")
    with pytest.raises(DataError, match="context of series 0 has 30 steps; expected at least"):
        backtest(model, x[0], context=z[0][:30], start=40)
    with pytest.raises(DataError, match="context has shape"):
        backtest(model, x, context=np.ones((3, T, 1)), start=40)
