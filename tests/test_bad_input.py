"""What people hand over by mistake, to every public call: it works, or an error of ours says why.

One table of wrong values and one of calls, over all models at once; a new model adds its line.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import arproc
from arproc import Mixture, Sequences, Training, evaluation, plot, sampling, spaces, transforms
from arproc.errors import ArprocError

QUICK = Training(steps=1, batch_size=4)
TEXT = ["the cat sat on the mat", "a cat ate the rat", "the rat sat", "that hat"] * 3
RNG = np.random.default_rng(0)
SERIES = np.convolve(RNG.normal(size=62), [1.0, 0.6, 0.3], mode="valid")
PAIR = np.stack([SERIES, RNG.normal(size=60)], axis=1)
SYMBOLS = RNG.integers(0, 4, 60)
BITS = RNG.integers(0, 2, (12, 4))
REALS = RNG.normal(size=(20, 4))
IMAGES = RNG.integers(0, 2, (6, 3, 4))
PANEL = pd.DataFrame({"a": SERIES, "b": SERIES[::-1]})

#: name -> (a model, what it is fitted to)
MODELS: dict[str, tuple[Callable[[], Any], Any]] = {
    "AR": (lambda: arproc.AR(1), SERIES),
    "ARIMA": (lambda: arproc.ARIMA((1, 0, 0)), SERIES),
    "ARGARCH": (lambda: arproc.ARGARCH(1), SERIES),
    "BayesianAR": (lambda: arproc.BayesianAR(1), SERIES),
    "VAR": (lambda: arproc.VAR(1), PAIR),
    "BetaAR": (lambda: arproc.BetaAR(1), 1 / (1 + np.exp(-SERIES))),
    "CountAR": (lambda: arproc.CountAR(), SYMBOLS),
    "LogisticAR": (lambda: arproc.LogisticAR(1), SYMBOLS),
    "MarkovSwitchingAR": (lambda: arproc.MarkovSwitchingAR(1, n_starts=1), SERIES),
    "SETAR": (lambda: arproc.SETAR(1), SERIES),
    "Transformed": (
        lambda: arproc.Transformed(arproc.AR(1), transforms.Standardize()), SERIES
    ),
    "NGram": (lambda: arproc.NGram(2, "witten_bell", "char"), TEXT),
    "InfiniGram": (lambda: arproc.InfiniGram("char"), TEXT),
    "PPM": (lambda: arproc.PPM(2), TEXT),
    "ContextTree": (lambda: arproc.ContextTree(2, 4), SYMBOLS),
    "Cache": (lambda: arproc.Cache(5, tokens="char"), TEXT),
    "MADE": (lambda: arproc.MADE((5,), training=QUICK), BITS),
    "NADE": (lambda: arproc.NADE(5, training=QUICK), BITS),
    "MAF": (lambda: arproc.MAF((5,), 2, training=QUICK), REALS),
    "KernelDensity": (lambda: arproc.KernelDensity(), REALS),
    "PixelCNN": (lambda: arproc.PixelCNN(1, 4, levels=2, training=QUICK), IMAGES),
    "PixelCNNPP": (
        lambda: arproc.PixelCNNPP(1, 4, levels=2, resolutions=2, training=QUICK), IMAGES
    ),
    "PixelSNAIL": (
        lambda: arproc.PixelSNAIL(1, 4, levels=2, keys=3, values=4, training=QUICK), IMAGES
    ),
    "Transformer": (
        lambda: arproc.Transformer(1, 1, 8, tokens="char", block=8, training=QUICK), TEXT
    ),
    "WaveNet": (lambda: arproc.WaveNet(2, 4, levels=4, block=8, training=QUICK), SYMBOLS),
    "Coded": (lambda: arproc.Coded(arproc.AR(1), 4), SYMBOLS),
    "RNN": (lambda: arproc.RNN(width=4, tokens="char", block=8, training=QUICK), TEXT),
    "NeuralAR": (
        lambda: arproc.NeuralAR(3, width=4, tokens="char", block=8, training=QUICK), TEXT
    ),
    "PianoRoll": (
        lambda: arproc.PianoRoll(2, 1, 3, 4, 5, block=8, training=QUICK), np.eye(5)[SYMBOLS % 5]
    ),
    "Mixture": (lambda: Mixture([fitted("AR"), arproc.AR(2).fit(SERIES)]), SERIES),
    "OrderEnsemble": (
        lambda: arproc.OrderEnsemble([fitted("KernelDensity"), fitted("MAF")]), REALS
    ),
}  # fmt: skip


@cache
def panel(name: str) -> Any:
    """A fitted panel: of autoregressions at once, of series one by one, or a combination."""
    line = arproc.AR(1, trend="ct")
    made = {
        "Panel": lambda: arproc.Panel(line),
        "Panel of each": lambda: arproc.Panel(arproc.AR(1, seasonal=3)),
        "AutoPanel": lambda: arproc.AutoPanel([line, arproc.AR(0)], 2),
        "AutoPanel, told nothing": lambda: arproc.AutoPanel(),
    }
    return made[name]().fit(PANEL)


@cache
def fitted(name: str) -> Any:
    make, data = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make().fit(data)


class Odd:
    """Something that is no data at all."""


#: What people hand over, made anew each time, since some can be used up.
WRONG: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a flag": lambda: True,
    "zero": lambda: 0,
    "a negative number": lambda: -1,
    "a fraction": lambda: 1.5,
    "nan": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "a huge number": lambda: 10**30,
    "a number of 62 bits": lambda: 2**62,
    "a NumPy integer": lambda: np.int64(2),
    "a NumPy fraction": lambda: np.float32(0.5),
    "an array of no axes": lambda: np.array(1.0),
    "a tensor of no axes": lambda: torch.tensor(2),
    "a complex number": lambda: 1j,
    "text": lambda: "abc",
    "a number as text": lambda: "3",
    "no text": lambda: "",
    "bytes": lambda: b"ab",
    "an empty list": list,
    "a list of an empty list": lambda: [[]],
    "a list of nothing": lambda: [None],
    "words": lambda: ["a", "b"],
    "lists of words": lambda: [["a", "b"], ["c"]],
    "lists of lists of words": lambda: [[["a"], ["b"]]],
    "a mixed list": lambda: ["a", 1, None],
    "a ragged list": lambda: [[1, [2]], 3],
    "a dict": lambda: {"a": [1.0, 2.0]},
    "a set": lambda: {1, 2},
    "an empty generator": lambda: (i for i in ()),
    "a generator": lambda: iter(["ab", "c"]),
    "a function": lambda: lambda x: x,
    "a class": lambda: arproc.AR,
    "something odd": Odd,
    "an object array": lambda: np.array([1.0, None, "a"], dtype=object),
    "an array of lists": lambda: np.array([[1, 2], [3]], dtype=object),
    "an array of text": lambda: np.array([["a", "b"], ["c", "d"]]),
    "an array of dates": lambda: np.array(["2020-01-01"], dtype="M8[D]"),
    "a complex array": lambda: np.ones(3, complex),
    "an array of four axes": lambda: np.zeros((1, 2, 2, 2)),
    "an empty array": lambda: np.zeros(0),
    "an array of nan": lambda: np.full(5, np.nan),
    "a huge array": lambda: np.full(5, 1e200),
    "a structured array": lambda: np.zeros(2, dtype=[("a", float)]),
    "half precision": lambda: torch.ones(3, dtype=torch.bfloat16),
    "a tensor without numbers": lambda: torch.ones(3, device="meta"),
    "a sparse tensor": lambda: torch.eye(3).to_sparse(),
    "a tensor with gradients": lambda: torch.ones(3, requires_grad=True),
    "a Series of text": lambda: pd.Series(["a", "b"]),
    "a Series of lists": lambda: pd.Series([["a", "b"], ["c"]]),
    "a Series of dates": lambda: pd.Series(pd.date_range("2020", periods=3)),
    "a Series of categories": lambda: pd.Series(["a", "b"], dtype="category"),
    "an empty Series": lambda: pd.Series([], dtype=object),
    "a Series without a date": lambda: pd.Series([1.0, 2.0], [pd.NaT, pd.Timestamp("2020")]),
    "an empty DataFrame": lambda: pd.DataFrame(),
    "a DataFrame of lists": lambda: pd.DataFrame({"a": [[1, 2], [3, 4]]}),
    "a column of dates": lambda: pd.DataFrame({"d": pd.date_range("2020", periods=2), "v": 1.0}),
    "a column twice": lambda: pd.DataFrame(np.ones((3, 4)), columns=list("aabb")),
    "an index": lambda: pd.date_range("2020", periods=3),
    "groups": lambda: pd.DataFrame({"a": [1], "b": [2]}).groupby("a"),
    "a date": lambda: pd.Timestamp("2020"),
    "a model": lambda: arproc.AR(1),
    "a fitted model": lambda: fitted("AR"),
    "a law": lambda: fitted("AR").law_,
    "models": lambda: [arproc.AR(1), arproc.AR(2)],
    "a policy": lambda: sampling.TopK(2),
    "a path to nothing": lambda: Path("/no/such/file"),
    "a folder": lambda: Path(__file__).parent,
    "a distribution": lambda: torch.distributions.Normal(0.0, 1.0),
    "sequences of another space": lambda: Sequences.of([1.0, 2.0], spaces.Real()),
    "an ellipsis": lambda: ...,
}  # fmt: skip

try:
    import polars as pl
except ImportError:
    pass
else:
    WRONG |= {
        "two polars frames": lambda: [pl.DataFrame({"a": [1.0]}), pl.DataFrame({"b": ["x"]})],
        "a polars column of lists": lambda: pl.Series([[1], [2, 3]]),
        "a lazy polars frame": lambda: pl.DataFrame({"a": [1.0]}).lazy(),
    }


def attempt(call: Callable[[Any], Any], label: str, named: str = "") -> str | None:
    """What is wrong with how a call takes a wrong value, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call(WRONG[label]())
        except ArprocError as error:
            told = str(error)
            if named and named not in told:
                return f"{label}: {told!r} does not name {named}"
        except Exception as error:
            return f"{label}: {type(error).__name__}: {error}"
    return None


def faults(call: Callable[[Any], Any], labels: Any = WRONG, named: str = "") -> list[str]:
    return [fault for label in labels if (fault := attempt(call, label, named)) is not None]


def some(number: int, every: int = 4) -> Iterator[str]:
    """A part of the wrong values, another one for every number."""
    return (label for i, label in enumerate(WRONG) if (i + number) % every == 0)


#: Calls of a fitted model with one wrong value: (model, its data, the value).
CALLS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "fit": lambda m, d, w: m.clone().fit(w),
    "fit(y)": lambda m, d, w: m.clone().fit(d, w),
    "fit(context)": lambda m, d, w: m.clone().fit(d, context=w),
    "fit(validation)": lambda m, d, w: m.clone().fit(d, validation=w),
    "fit(sample_weight)": lambda m, d, w: m.clone().fit(d, sample_weight=w),
    "fit(freq)": lambda m, d, w: m.clone().fit(d, freq=w),
    "log_prob": lambda m, d, w: m.log_prob(w),
    "log_prob(context)": lambda m, d, w: m.log_prob(d, context=w),
    "log_prob(offset)": lambda m, d, w: m.log_prob(d, offset=w),
    "log_prob_terms": lambda m, d, w: m.log_prob_terms(w),
    "score": lambda m, d, w: m.score(w),
    "sequences": lambda m, d, w: m.sequences(w),
    "conditional": lambda m, d, w: m.conditional(w),
    "conditionals": lambda m, d, w: m.conditionals(w),
    "condition": lambda m, d, w: m.condition(w),
    "start": lambda m, d, w: m.start(-1 if isinstance(w, int) and w == 2**62 else w),
    "with_policy": lambda m, d, w: m.with_policy(w),
    "in_order": lambda m, d, w: m.in_order(w),
    "distribution": lambda m, d, w: m.distribution(w),
    "sample": lambda m, d, w: m.sample(w, 2),
    "sample(length)": lambda m, d, w: m.sample(1, -1 if isinstance(w, int) and w == 2**62 else w),
    "sample(prefix)": lambda m, d, w: m.sample(1, 2, prefix=w),
    "sample(policy)": lambda m, d, w: m.sample(1, 2, policy=w),
    "sample(stop)": lambda m, d, w: m.sample(1, 2, stop=w),
    "sample(seed)": lambda m, d, w: m.sample(1, 2, seed=w),
    "sample(context)": lambda m, d, w: m.sample(1, 2, context=w),
    "forecast": lambda m, d, w: m.forecast(w, 2, n_paths=3),
    "forecast(horizon)": lambda m, d, w: m.forecast(d, w, n_paths=3),
    "forecast(quantiles)": lambda m, d, w: m.forecast(d, 1, w, n_paths=3),
    "forecast(known)": lambda m, d, w: m.forecast(d, 2, known=w, n_paths=3),
    "forecast(n_paths)": lambda m, d, w: m.forecast(d, 1, n_paths=w),
    "forecast(parameter_uncertainty)": lambda m, d, w: m.forecast(d, 1, parameter_uncertainty=w),
    "sample_paths": lambda m, d, w: m.sample_paths(w, 2, 3),
    "save": lambda m, d, w: m.save(w),
    "of": lambda m, d, w: type(m).of(w),
    "evaluate": lambda m, d, w: evaluation.evaluate(m, w),
    "pit": lambda m, d, w: evaluation.pit(m, w),
    "crps": lambda m, d, w: evaluation.crps(m, w),
    "diagnose": lambda m, d, w: evaluation.diagnose(m, w),
    "surprisal_table": lambda m, d, w: evaluation.surprisal_table(m, w),
    "complete": lambda m, d, w: sampling.complete(m, w),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_every_call_of_every_model(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, data = fitted(name), MODELS[name][1]
    found = []
    for number, (call, do) in enumerate(CALLS.items()):
        every = 4 if call in ("log_prob", "conditional") else 16
        labels = list(some(list(MODELS).index(name) + number, every))
        found += [
            f"{call}, {fault}" for fault in faults(lambda w, do=do: do(model, data, w), labels)
        ]
    assert found == []


#: Own calls of one kind of model each: "model, call" -> (model, value) -> anything.
OWN: dict[str, Callable[[Any, Any], Any]] = {
    "AR, residuals": lambda m, w: m.residuals(w),
    "AR, impute": lambda m, w: m.impute(w),
    "AR, impute(n_draws)": lambda m, w: m.impute(SERIES, n_draws=w),
    "AR, autocorrelation": lambda m, w: m.autocorrelation(w),
    "AR, partial_autocorrelation": lambda m, w: m.partial_autocorrelation(w),
    "AR, autocovariance": lambda m, w: m.autocovariance(w),
    "AR, psi_weights": lambda m, w: m.psi_weights(w),
    "AR, impulse_response": lambda m, w: m.impulse_response(w),
    "AR, impulse_response(level)": lambda m, w: m.impulse_response(2, level=w),
    "AR, spectral_density": lambda m, w: m.spectral_density(w),
    "AR, spectral_density(level)": lambda m, w: m.spectral_density(level=w),
    "AR, covariance": lambda m, w: m.covariance(w),
    "AR, covariance(data)": lambda m, w: m.covariance("opg", w),
    "AR, covariance(lags)": lambda m, w: m.covariance("hac", SERIES, lags=w),
    "AR, parameter_table": lambda m, w: m.parameter_table(covariance=w),
    "AR, wald_test": lambda m, w: m.wald_test(w),
    "AR, wald_test(covariance)": lambda m, w: m.wald_test("ar.L1 = 0", covariance=w),
    "AR, information_criterion": lambda m, w: m.information_criterion(w),
    "AR, set_params": lambda m, w: m.clone().set_params(order=w).fit(SERIES),
    "BayesianAR, parameter_table": lambda m, w: m.parameter_table(w),
    "ARGARCH, residuals": lambda m, w: m.residuals(w),
    "ARGARCH, conditional_volatility": lambda m, w: m.conditional_volatility(w),
    "VAR, granger_causality(caused)": lambda m, w: m.granger_causality(w),
    "VAR, granger_causality(causing)": lambda m, w: m.granger_causality(None, w),
    "VAR, granger_causality(test)": lambda m, w: m.granger_causality(test=w),
    "VAR, instantaneous_causality": lambda m, w: m.instantaneous_causality(w),
    "VAR, impulse_response": lambda m, w: m.impulse_response(w),
    "VAR, impulse_response(bands)": lambda m, w: m.impulse_response(1, bands=w),
    "VAR, impulse_response(data)": lambda m, w: m.impulse_response(
        1, bands="bootstrap", draws=2, data=w
    ),
    "VAR, impulse_response(context)": lambda m, w: m.impulse_response(
        1, bands="bootstrap", data=PAIR, context=w, draws=2
    ),
    "VAR, impulse_response(level)": lambda m, w: m.impulse_response(1, level=w),
    "VAR, variance_decomposition": lambda m, w: m.variance_decomposition(w),
    "MarkovSwitchingAR, smoothed": lambda m, w: m.smoothed(w),
    "MarkovSwitchingAR, filtered": lambda m, w: m.filtered(w),
    "SETAR, threshold_interval": lambda m, w: m.threshold_interval(w),
    "SETAR, regime_of": lambda m, w: m.regime_of(w),
    "SETAR, linearity_test": lambda m, w: m.linearity_test(w, 1),
    "NGram, filtered": lambda m, w: m.filtered(w),
    "NGram, pruned": lambda m, w: m.pruned(w),
    "NGram, matched_orders": lambda m, w: m.matched_orders(w),
    "NGram, stupid_backoff_score": lambda m, w: m.stupid_backoff_score(w),
    "NGram, to_arpa": lambda m, w: m.to_arpa(w),
    "NGram, from_arpa": lambda m, w: arproc.NGram.from_arpa(w),
    "InfiniGram, matches": lambda m, w: m.matches(w),
    "MADE, to": lambda m, w: m.to(w),
    "NADE, impute": lambda m, w: m.impute(w),
    "NADE, conditional_log_prob": lambda m, w: m.conditional_log_prob(w),
    "NADE, conditional_log_prob(given)": lambda m, w: m.conditional_log_prob(BITS, w),
    "MAF, to_noise": lambda m, w: m.to_noise(w),
    "MAF, from_noise": lambda m, w: m.from_noise(w),
    "AR, append": lambda m, w: m.start(2).append(w),
    "AR, extend": lambda m, w: m.start(2).extend(w),
    "NGram, append": lambda m, w: m.start(2).append(w),
    "VAR, append": lambda m, w: m.start(2).append(w),
    "MADE, extend(lengths)": lambda m, w: m.start(2).extend(torch.ones(2, 3), w),
    "AR, select": lambda m, w: m.start(2).select(w),
    "AR, truncate": lambda m, w: m.start([[1.0], [2.0]]).truncate(w),
    "AR, log_prob of the distribution": lambda m, w: m.distribution(3).log_prob(w),
    "NGram, policies joined": lambda m, w: sampling.TopK(2) | w,
    "NGram, Temperature": lambda m, w: sampling.Temperature(w),
    "NGram, TopK": lambda m, w: sampling.TopK(w),
    "NGram, TopP": lambda m, w: sampling.TopP(w),
    "NGram, Chain": lambda m, w: m.with_policy(sampling.Chain(w)).sample(1, 2),
    "PixelCNN, complete(known)": lambda m, w: sampling.complete(m, IMAGES[0], w),
    "PixelCNN, complete(method)": lambda m, w: sampling.complete(
        m, IMAGES[0], np.ones((3, 4), bool), method=w
    ),
    "PixelCNN, surprisal_map": lambda m, w: plot.surprisal_map(m, w),
    "AR, diagnostics": lambda m, w: plot.diagnostics(m, w),
}  # fmt: skip


@pytest.mark.parametrize("call", OWN)
def test_the_calls_of_some_models(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = fitted(call.partition(",")[0])
    assert faults(lambda w: OWN[call](model, w), some(list(OWN).index(call), 3)) == []


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


#: Calls of a fitted panel with one wrong value.
PANELS: dict[str, Callable[[Any, Any], Any]] = {
    "fit": lambda m, w: m.clone().fit(w),
    "fit(y)": lambda m, w: m.clone().fit(PANEL, w),
    "forecast(history)": lambda m, w: m.forecast(horizon=2, history=w),
    "forecast(horizon)": lambda m, w: m.forecast(horizon=w),
    "forecast(quantiles)": lambda m, w: m.forecast(horizon=1, quantiles=w),
    "forecast(seed)": lambda m, w: m.forecast(horizon=1, seed=w),
    "forecast(offset)": lambda m, w: m.forecast(horizon=1, history=PANEL, offset=w),
    "errors": lambda m, w: m.clone().set_params(errors=w).fit(PANEL),
    "columns": lambda m, w: m.clone().set_params(columns=w).fit(PANEL),
    "save": lambda m, w: m.save(w),
    "log_prob": lambda m, w: m.log_prob(w),
    "log_prob(offset)": lambda m, w: m.log_prob(PANEL, offset=w),
    "score": lambda m, w: m.score(w),
    "sample": lambda m, w: m.sample(w, 2),
    "sample(length)": lambda m, w: m.sample(1, w),
    "sample(prefix)": lambda m, w: m.sample(1, 2, prefix=w),
    "sample(seed)": lambda m, w: m.sample(1, 2, seed=w),
    "sample(offset)": lambda m, w: m.sample(1, 2, offset=w),
    "a series": lambda m, w: m[w],
    "pooling": lambda m, w: m.clone().set_params(pooling=w).fit(PANEL),
}


@pytest.mark.parametrize(
    "name", ["Panel", "Panel of each", "AutoPanel", "AutoPanel, told nothing"]
)
def test_every_call_of_panels(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, found = panel(name), []
    for number, (call, do) in enumerate(PANELS.items()):
        method = call.partition("(")[0]
        if name.startswith("AutoPanel") and number > list(PANELS).index("save"):
            continue  # it has forecasts alone
        labels = list(some(number, 3))
        if method in ("sample", "forecast"):  # too many of anything is a right value
            labels = [label for label in labels if label not in ENDLESS]
        found += [f"{call}, {fault}" for fault in faults(lambda w, do=do: do(model, w), labels)]
    assert found == []


def two() -> dict[str, Any]:
    return {"a": fitted("AR"), "b": fitted("ARIMA")}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions(function, tmp_path, monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    found = faults(FUNCTIONS[function], some(list(FUNCTIONS).index(function), 3))
    plt.close("all")
    assert found == []


#: The settings of constructors that are tried, of models that are fitted in no time.
SETTINGS = {
    "AR": "order trend method initial seasonal fourier regressors ridge",
    "ARIMA": "order seasonal_order trend regressors",
    "ARGARCH": "order innovations volatility trend volatility_order components covariance_kind",
    "BayesianAR": "orders trend tightness decay shape location scale noise",
    "VAR": "order trend method initial shrinkage tightness decay cross own_lag regressors",
    "BetaAR": "order",
    "CountAR": "order link family initial start_mean regressors",
    "LogisticAR": "order symbols ridge initial",
    "MarkovSwitchingAR": "order regimes trend switching_ar form method n_starts min_variance "
    "tolerance seed",
    "SETAR": "order regimes delay threshold trend trim",
    "Transformed": "process transform",
    "NGram": "order smoothing tokens alpha prune largest_discounted discount_fallback memory",
    "InfiniGram": "tokens",
    "PPM": "order method tokens update_exclusion adaptive",
    "ContextTree": "depth tokens alpha stop adaptive",
    "Cache": "size decay alpha base tokens",
    "MADE": "hidden head levels components min_scale residual order_agnostic ordering conditioned "
    "classes columns training",
    "NADE": "hidden head levels activation order_agnostic ordering classes training",
    "MAF": "hidden layers reordering normalisation ordering training",
    "KernelDensity": "bandwidth levels min_scale iterations tolerance ordering",
    "PixelCNN": "layers width head levels channel_axis classes kernel first_kernel training",
    "Transformer": "layers heads width block attention_window tokens end dropout positions norm "
    "activation hidden kv_heads tied biases rotary_base rotary_scaling head components min_scale "
    "scaling covariates training",
    "WaveNet": "layers width kernel cycle skip head levels components block conditioned classes "
    "training",
    "Coded": "process levels companded",
    "RNN": "cell layers width head tokens end components hidden min_scale scaling block dropout "
    "conditioned classes covariates training",
    "NeuralAR": "order layers width head tokens end components hidden min_scale scaling block "
    "dropout conditioned classes covariates training",
    "PianoRoll": "order reach octave width memory block dropout conditioned classes covariates "
    "training",
    "Mixture": "processes weights tolerance",
    "OrderEnsemble": "model orderings weights seed",
}
#: Too large for anybody's patience, though a right value: nothing to refuse.
ENDLESS = ("a huge number", "a number of 62 bits")


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_constructors(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, data = MODELS[name]
    found = []
    for number, setting in enumerate(SETTINGS[name].split()):

        def call(wrong: Any, setting: str = setting) -> Any:
            model = make()
            parameters = model.get_params(deep=False) | {setting: wrong}
            return type(model)(**parameters).fit(data)

        labels = [one for one in some(number, 6) if one not in ENDLESS]
        found += [f"{setting}, {fault}" for fault in faults(call, labels)]
    assert found == []


# ---- one by one: what the tables have no place for ----------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Training(device="cuda:99"), None),
        (lambda: arproc.MADE(training=Training(device="cuda:99")).fit(BITS), "device must be"),
        (lambda: arproc.MADE(training=Training(device="gpu")).fit(BITS), "device must be"),
        (lambda: fitted("MADE").to(np.zeros(2)), "device must be"),
        (lambda: fitted("MADE").to("meta"), "device must be"),
        (lambda: fitted("VAR").granger_causality(3), "caused must be a list"),
        (lambda: fitted("VAR").instantaneous_causality(np.zeros((2, 2))), "there is no component"),
        (lambda: fitted("SETAR").threshold_interval([0.9]), "level must be a number"),
        (lambda: fitted("AR").parameter_table("robust"), "covariance can not be read as numbers"),
        (lambda: fitted("BayesianAR").parameter_table(SERIES), "order must be an integer"),
        (lambda: arproc.AR.of(fitted("VAR").law_, order=1), "law is a VARLaw; expected ARLaw"),
        (lambda: arproc.AR.of(fitted("AR").law_), "missing a required argument: 'order'"),
        (lambda: arproc.NGram(2, tokens=["the", "cat"]).fit(TEXT), "tokens"),
        (lambda: arproc.MADE(classes=2).fit(BITS, context=["a", "b"] * 6), "context can not be"),
        (lambda: fitted("AR").sample(10**10, 2), "n must be at most"),
        (lambda: fitted("AR").log_prob(SERIES, offset=10**30), "offset must be at most"),
    ],
)
def test_messages(call, message):
    if message is None:
        call()
        return
    with pytest.raises(ArprocError, match=message):
        call()


def test_a_forecast_of_a_panel_by_an_array():
    panel = arproc.AutoPanel([arproc.AR(1), arproc.AR(2)], 4).fit(PANEL)
    with pytest.raises(ArprocError, match="horizon must be an integer"):
        panel.forecast(np.zeros((2, 10)))


@pytest.mark.parametrize("name", MODELS)
def test_whether_there_is_an_attribute_can_be_asked(name):
    for model in (fitted(name), MODELS[name][0](), fitted(name).law_):
        for attribute in dir(type(model)):
            hasattr(model, attribute)  # raises what is no AttributeError


def test_a_policy_that_leaves_nothing():
    class Nothing(sampling.Policy):
        def apply(self, conditional, state=None):
            return arproc.distributions.Categorical(torch.full_like(conditional.logits, -np.inf))

    with pytest.raises(ArprocError):
        fitted("NGram").sample(1, 3, policy=Nothing(), seed=0)


def test_scikit_learn_knows_what_is_not_fitted():
    import pickle

    exceptions = pytest.importorskip("sklearn.exceptions")
    for model in (arproc.AR(1), arproc.MAF(), arproc.NGram(2)):
        with pytest.raises(exceptions.NotFittedError, match="is not fitted yet") as caught:
            model.log_prob([1.0])
        again = pickle.loads(pickle.dumps(caught.value))
        assert isinstance(again, arproc.errors.NotFittedError)
        assert again.args == caught.value.args
        assert type(caught.value).__name__ == "NotFittedError"


def test_what_is_not_fitted_needs_no_scikit_learn(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "sklearn.exceptions", raising=False)
    with pytest.raises(arproc.errors.NotFittedError) as caught:
        arproc.AR(1).log_prob([1.0])
    assert type(caught.value) is arproc.errors.NotFittedError
    assert "sklearn.exceptions" not in sys.modules
