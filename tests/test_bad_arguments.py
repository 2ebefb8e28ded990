"""What people hand over by mistake, to the functions of the package: as in `test_bad_input`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from wrong_values import BITS, PAIR, PANEL, SERIES, TEXT, faults, fitted, panel, some

import arproc
from arproc import evaluation, plot, sampling


@cache
def backtested() -> pd.DataFrame:
    return arproc.backtest(arproc.AR(0), SERIES, start=40, refit="once", horizon=3)


def backtest_with(**wrong: Any) -> Any:
    """A backtest of few origins with one wrong value."""
    model = wrong.pop("model", arproc.AR(0))
    given = {"horizon": 2, "step": 9, "start": 40, "refit": "once"} | wrong
    return arproc.backtest(model, given.pop("data", SERIES), **given)


def file_with(**wrong: Any) -> Any:
    """Forecasts of a small file with one wrong value."""
    table = pd.DataFrame({"unique_id": "a", "ds": range(60), "y": SERIES})
    table.to_parquet("panel.parquet")
    model = arproc.Panel(arproc.AR(1, method="ols"))
    given = {"model": model, "source": "panel.parquet", "horizon": 2, "out": "out.parquet"}
    return arproc.forecast_file(**(given | wrong))


#: Arguments of functions with one wrong value.
LONG = np.cos(np.arange(300.0) ** 2).reshape(20, 15)
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "compare(models)": lambda w: evaluation.compare(w, SERIES),
    "compare(a model)": lambda w: evaluation.compare({"a": fitted("AR"), "b": w}, SERIES),
    "compare(data)": lambda w: evaluation.compare(two(), w),
    "compare(reference)": lambda w: evaluation.compare(two(), SERIES, reference=w),
    "compare(unit)": lambda w: evaluation.compare(two(), SERIES, unit=w),
    "compare(given)": lambda w: evaluation.compare(two(), SERIES, given=w),
    "report(models)": lambda w: arproc.report(w, SERIES),
    "report(fidelity)": lambda w: arproc.report(two(), SERIES, fidelity={"a": w}),
    "report(shape)": lambda w: arproc.report(two(), SERIES, shape=[w]),
    "compare(complete)": lambda w: evaluation.compare(two(), SERIES, complete=w),
    "evaluate(model)": lambda w: evaluation.evaluate(w, SERIES),
    "evaluate(by)": lambda w: evaluation.evaluate(fitted("AR"), SERIES, by=w),
    "evaluate(complete)": lambda w: evaluation.evaluate(fitted("NGram"), TEXT, complete=w),
    "evaluate(train)": lambda w: evaluation.evaluate(fitted("AR"), SERIES, train=w),
    "fidelity(train)": lambda w: arproc.fidelity(w, None, LONG, rows="runs"),
    "fidelity(synthetic)": lambda w: arproc.fidelity(LONG, None, w, rows="runs"),
    "fidelity(table)": lambda w: arproc.fidelity(LONG, w, LONG, kind="table", rows="extremes"),
    "fidelity(vectors)": lambda w: arproc.fidelity(w, None, w, kind="vectors", rows="runs"),
    "fidelity(images)": lambda w: arproc.fidelity(w, None, w, kind="images", rows="pixels"),
    "fidelity(text)": lambda w: arproc.fidelity(w, None, w, kind="text", rows="pairs"),
    "fidelity(symbols)": lambda w: arproc.fidelity(w, w, w, kind="symbols", rows="pairs"),
    "fidelity(kind)": lambda w: arproc.fidelity(LONG, None, LONG, kind=w, rows="runs"),
    "fidelity(rows)": lambda w: arproc.fidelity(LONG, None, LONG, rows=w),
    "fidelity(alpha)": lambda w: arproc.fidelity(LONG, None, LONG, alpha=w, rows="runs"),
    "fidelity(seed)": lambda w: arproc.fidelity(LONG, None, LONG, seed=w, rows="runs"),
    "fidelity(judge)": lambda w: arproc.fidelity(LONG, None, LONG, judge=w, rows="runs"),
    "fidelity(season)": lambda w: arproc.fidelity(LONG, None, LONG, season=w, rows="season"),
    "select_arima": arproc.select_arima,
    "select_arima(period)": lambda w: arproc.select_arima(SERIES, w, max_order=(1, 1, 0)),
    "select_arima(criterion)": lambda w: arproc.select_arima(SERIES, None, w),
    "select_arima(search)": lambda w: arproc.select_arima(SERIES, None, "aic", w),
    "select_arima(max_order)": lambda w: arproc.select_arima(SERIES, max_order=w),
    "select_arima(max_seasonal_order)": lambda w: arproc.select_arima(
        SERIES, 4, max_seasonal_order=w
    ),
    "select_arima(d)": lambda w: arproc.select_arima(SERIES, max_order=(1, 0, 0), d=w),
    "select_arima(seasonal_d)": lambda w: arproc.select_arima(SERIES, 4, seasonal_d=w),
    "select_arima(trend)": lambda w: arproc.select_arima(SERIES, trend=w),
    "select_arima(regressors)": lambda w: arproc.select_arima(SERIES, regressors=w),
    "select_arima(context)": lambda w: arproc.select_arima(SERIES, regressors="mean", context=w),
    "select_order": lambda w: arproc.select_order(w, 1),
    "select_order(max_order)": lambda w: arproc.select_order(SERIES, w),
    "select_order(criterion)": lambda w: arproc.select_order(SERIES, 1, w),
    "select_order(lags)": lambda w: arproc.select_order(SERIES, 1, lags=w),
    "select_order(model)": lambda w: arproc.select_order(SERIES, 1, model=w),
    "reconcile": lambda w: arproc.reconcile(w, np.array([[1, 1], [1, 0], [0, 1]])),
    "reconcile(summing)": lambda w: arproc.reconcile(np.ones(3), w),
    "aggregate": lambda w: arproc.aggregate(w, ["region"]),
    "aggregate(levels)": lambda w: arproc.aggregate(
        pd.DataFrame({"region": ["n", "s"], "ds": [1, 1], "y": [1.0, 2.0]}), w
    ),
    "aggregate(columns)": lambda w: arproc.aggregate(pd.DataFrame({"ds": [1]}), ["ds"], w),
    "likelihood_ratio_test": lambda w: arproc.likelihood_ratio_test(w, fitted("AR")),
    "load": arproc.load,
    "warm_up": lambda w: arproc.warm_up([w]),
    "diagnose(model)": lambda w: evaluation.diagnose(w, SERIES),
    "diagnose(lags)": lambda w: evaluation.diagnose(fitted("AR"), SERIES, lags=w),
    "surprisal_table(by)": lambda w: evaluation.surprisal_table(fitted("NGram"), TEXT, by=w),
    "surprisal_table(units)": lambda w: evaluation.surprisal_table(
        fitted("Transformer"), TEXT, units=w
    ),
    "Transformer.from_pretrained(folder)": lambda w: arproc.Transformer.from_pretrained(w),
    "surprisal_table(regions)": lambda w: evaluation.surprisal_table(
        fitted("NGram"), TEXT[:1], regions=w
    ),
    "next_table(top)": lambda w: evaluation.next_table(fitted("NGram"), "t", w),
    "backtest(model)": lambda w: backtest_with(model=w),
    "backtest(data)": lambda w: backtest_with(data=w),
    "backtest(data of a panel)": lambda w: backtest_with(model=arproc.Panel(arproc.AR(0)), data=w),
    "backtest(data of vectors)": lambda w: backtest_with(model=arproc.VAR(0), data=w),
    "backtest(horizon)": lambda w: backtest_with(horizon=w),
    "backtest(step)": lambda w: backtest_with(step=w),
    "backtest(start)": lambda w: backtest_with(start=w),
    "backtest(start of dates)": lambda w: backtest_with(
        data=pd.Series(SERIES, pd.date_range("2020", periods=60)), start=w
    ),
    "backtest(window)": lambda w: backtest_with(window=w),
    "backtest(refit)": lambda w: backtest_with(refit=w),
    "backtest(context)": lambda w: backtest_with(model=arproc.AR(0, regressors="mean"), context=w),
    "backtest(contexts)": lambda w: backtest_with(
        model=arproc.AR(0, regressors="mean"), data=PAIR.T, context=w
    ),
    "backtest(quantiles)": lambda w: backtest_with(quantiles=w),
    "backtest(n_paths)": lambda w: backtest_with(n_paths=w),
    "backtest(seed)": lambda w: backtest_with(seed=w),
    "backtest(columns)": lambda w: backtest_with(columns=w, data=PANEL),
    "backtest(done)": lambda w: backtest_with(done=w),
    "backtest_scores": evaluation.backtest_scores,
    "backtest_scores(by)": lambda w: evaluation.backtest_scores(backtested(), w),
    "flip_flop": evaluation.flip_flop,
    "compare_backtests": evaluation.compare_backtests,
    "compare_backtests(a table)": lambda w: evaluation.compare_backtests(
        {"a": backtested(), "b": w}
    ),
    "compare_backtests(loss)": lambda w: evaluation.compare_backtests(
        {"a": backtested(), "b": backtested()}, loss=w
    ),
    "compare_backtests(step)": lambda w: evaluation.compare_backtests(
        {"a": backtested(), "b": backtested()}, step=w
    ),
    "compare_backtests(reference)": lambda w: evaluation.compare_backtests(
        {"a": backtested(), "b": backtested()}, reference=w
    ),
    "conformal_intervals": evaluation.conformal_intervals,
    "conformal_intervals(level)": lambda w: evaluation.conformal_intervals(backtested(), w),
    "conformal_intervals(gamma)": lambda w: evaluation.conformal_intervals(backtested(), gamma=w),
    "diebold_mariano": evaluation.diebold_mariano,
    "diebold_mariano(overlap)": lambda w: evaluation.diebold_mariano(SERIES, w),
    "holm": evaluation.holm,
    "model_confidence_set": evaluation.model_confidence_set,
    "model_confidence_set(block)": lambda w: evaluation.model_confidence_set(
        {"a": backtested(), "b": backtested()}, block=w
    ),
    "model_confidence_set(seed)": lambda w: evaluation.model_confidence_set(
        {"a": backtested(), "b": backtested()}, seed=w
    ),
    "crps_of(distribution)": lambda w: evaluation.crps_of(w, 0.0),
    "crps_of(x)": lambda w: evaluation.crps_of(torch.distributions.Normal(0.0, 1.0), w),
    "crps_paths": lambda w: evaluation.crps_paths(w, [1.0]),
    "crps_quantiles": lambda w: evaluation.crps_quantiles(w, [1.0]),
    "join_times(table)": lambda w: evaluation.join_times(w, pd.DataFrame()),
    "join_times(times)": lambda w: evaluation.join_times(
        pd.DataFrame({"sentence": [1], "position": [1]}), w
    ),
    "mase": lambda w: evaluation.mase(w, [1.0], SERIES),
    "mase(history)": lambda w: evaluation.mase([1.0], [1.0], w),
    "mase(season)": lambda w: evaluation.mase([1.0], [1.0], SERIES, w),
    "msis(level)": lambda w: evaluation.msis([0.0], [1.0], [1.0], SERIES, level=w),
    "owa": lambda w: evaluation.owa(w, [1.0], [1.0], [1.0]),
    "smape": lambda w: evaluation.smape([1.0], w),
    "uniformity": evaluation.uniformity,
    "uniformity(lags)": lambda w: evaluation.uniformity([0.1, 0.4, 0.8], w),
    "pit(model)": lambda w: evaluation.pit(w, SERIES),
    "complete(model)": lambda w: sampling.complete(w, BITS),
    "plot.forecast_fan": lambda w: plot.forecast_fan(SERIES, w),
    "plot.impulse_response": plot.impulse_response,
    "plot.pit_histogram": plot.pit_histogram,
    "plot.sample_grid": plot.sample_grid,
    "plot.sample_grid(shape)": lambda w: plot.sample_grid(BITS, w),
    "plot.spectral_density": plot.spectral_density,
    "plot.surprisal": lambda w: plot.surprisal(fitted("NGram"), w),
    "plot.diagnostics(ax)": lambda w: plot.pit_histogram([0.1, 0.5], ax=w),
    "interpolate": lambda w: arproc.ngram.interpolate(w, [0.5, 0.5]),
    "interpolate(weights)": lambda w: arproc.ngram.interpolate([fitted("NGram")] * 2, w),
    "table_of": arproc.tables.table_of,
    "Panel": lambda w: arproc.Panel(arproc.AR(1)).fit(w),
    "Panel(process)": lambda w: arproc.Panel(w).fit(PANEL),
    "Panel(freq)": lambda w: arproc.Panel(arproc.AR(1), freq=w).fit(PANEL),
    "Panel.update": lambda w: panel("Panel").update(w),
    "Panel.update(told nothing)": lambda w: panel("AutoPanel, told nothing").update(w),
    "Panel.reconcile": lambda w: panel("Panel").reconcile(w, {0: [1]}, 1),
    "Panel.reconcile(summing)": lambda w: panel("Panel").reconcile(PANEL, w, 1),
    "AutoPanel(period)": lambda w: arproc.AutoPanel(period=w).fit(PANEL),
    "AutoPanel(log)": lambda w: arproc.AutoPanel(log=w).fit(PANEL),
    "AutoPanel(candidates)": lambda w: arproc.AutoPanel(w, 2).fit(PANEL),
    "images": lambda w: arproc.datasets.images(w),
    "forecast_file(model)": lambda w: file_with(model=w),
    "forecast_file(source)": lambda w: file_with(source=w),
    "forecast_file(horizon)": lambda w: file_with(horizon=w),
    "forecast_file(out)": lambda w: file_with(out=w),
    "forecast_file(quantiles)": lambda w: file_with(quantiles=w),
    "forecast_file(memory)": lambda w: file_with(memory=w),
    "forecast_file(sample)": lambda w: file_with(sample=w),
    "forecast_file(freq)": lambda w: file_with(freq=w),
    "forecast_file(client)": lambda w: file_with(client=w),
    "others": lambda w: panel("AutoPanel, told nothing").others(w),
}  # fmt: skip


def two() -> dict[str, Any]:
    return {"a": fitted("AR"), "b": fitted("ARIMA")}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions(function, tmp_path, monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    found = faults(FUNCTIONS[function], some(list(FUNCTIONS).index(function), 3))
    plt.close("all")
    assert found == []
