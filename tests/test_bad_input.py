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
from arproc import Mixture, Sequences, Training, evaluation, sampling, spaces, transforms
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
    "Mixture": (lambda: Mixture([fitted("AR"), arproc.AR(2).fit(SERIES)]), SERIES),
    "OrderEnsemble": (
        lambda: arproc.OrderEnsemble([fitted("KernelDensity"), fitted("MAF")]), REALS
    ),
}  # fmt: skip


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
    "VAR, impulse_response": lambda m, w: m.impulse_response(w if w != 2**62 else -1),
    "VAR, impulse_response(bands)": lambda m, w: m.impulse_response(1, bands=w),
    "VAR, impulse_response(data)": lambda m, w: m.impulse_response(
        1, bands="bootstrap", draws=2, data=w
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
