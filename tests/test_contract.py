"""Every model of the package, and every wrapper, keeps the contract.

One table of small configurations; a new model adds its line and is proved.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import shake

import arproc
from arproc import (
    AR,
    ARGARCH,
    ARIMA,
    MADE,
    NADE,
    PPM,
    RNN,
    VAR,
    BayesianAR,
    Cache,
    ContextTree,
    InfiniGram,
    KernelDensity,
    Mixture,
    NGram,
    PixelCNN,
    PixelCNNPP,
    PixelSNAIL,
    Training,
    Transformed,
    Transformer,
)
from arproc.parts import InParts, Levels, Parts, Text
from arproc.sampling import Temperature, TopK, TopP
from arproc.testing import EXCEPTIONS, check_process
from arproc.transforms import BoxCox, Difference, Log, Standardize

QUICK = Training(steps=3, batch_size=4)
TEXT = ["the cat sat on the mat", "a cat ate the rat", "the rat sat", "that hat"] * 3


def series(n: int = 120, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=n)
    x = np.zeros(n)
    for t in range(2, n):
        x[t] = 0.9 * x[t - 1] - 0.4 * x[t - 2] + noise[t]
    return x


def jumps(n: int = 200) -> np.ndarray:
    """Noise about a level, and of a size, that change every 25 steps."""
    high = np.arange(n) // 25 % 2
    return np.random.default_rng(4).normal(size=n) * (1 + high) + 5 * high


def counts(n: int = 200) -> np.ndarray:
    return np.random.default_rng(5).poisson(3 + 2 * np.sin(np.arange(n) / 5))


def positive_context(m: int = 4, length: int = 300) -> np.ndarray:
    return np.random.default_rng(6).random((m, length, 2))


def vectors(levels: Any, sites: int, n: int = 30) -> np.ndarray:
    return np.random.default_rng(1).integers(0, levels, (n, sites))


def digits(n: int = 200, symbols: int = 4) -> np.ndarray:
    return np.random.default_rng(2).integers(0, symbols, n)


def ar(order: int, **parameters: Any) -> AR:
    return AR(order, **parameters).fit(series())


def gaps(x: np.ndarray) -> np.ndarray:
    x[[0, 4, 5, 30, 31, 32, 90]] = np.nan
    return x


def returns(innovations: str, volatility: str, order: int = 1, **parameters: Any) -> ARGARCH:
    model = ARGARCH(order, innovations, volatility, **parameters)
    return model.fit(RETURNS["data"])


RETURNS = {
    "data": ARGARCH.from_parameters(
        [0.3], omega=0.1, alpha=[0.1], gamma=[0.1], beta=[0.7], innovations="student_t", nu=6.0
    ).sample(1, 400, prefix=[0.0], seed=3)[0]
}
PUSH = np.random.default_rng(4).normal(size=(120, 2))


def regressed(meaning: str, **parameters: Any) -> AR:
    model = AR(2, regressors=meaning, **parameters)
    return model.fit(series() + PUSH @ [1.0, -2.0], context=PUSH)


REGRESSORS = {"context": np.random.default_rng(5).normal(size=(4, 40, 2))}


def vector_regressed(meaning: str, **parameters: Any) -> VAR:
    gaps = parameters.pop("gaps", False)
    x = gappy_vectors() if gaps else np.stack([series(), series(seed=7)], axis=1)
    moved = x + PUSH @ [[1.0, 0.5], [-2.0, 0.0]]
    return VAR(2, regressors=meaning, **parameters).fit(moved, context=PUSH)


def gappy_vectors():
    """Two series, components of which are missing here and there."""
    x = np.stack([series(), series(seed=7)], axis=1)
    x[0, 1] = x[5] = x[6, 0] = x[12:18, 1] = x[-1] = np.nan
    return x


def var(order: int, **parameters: Any) -> VAR:
    return VAR(order, **parameters).fit(np.stack([series(), series(seed=7)], axis=1))


def made(levels: Any, sites: int, hidden: tuple[int, ...], **parameters: Any) -> MADE:
    model = MADE(hidden, levels=levels, training=QUICK, **parameters)
    return shake(model.fit(vectors(levels, sites)))


def made_of_reals(head: str, hidden: tuple[int, ...] = (9,), **parameters: Any) -> MADE:
    x = np.random.default_rng(4).normal(size=(40, 4)) * [1, 2, 0.5, 1] + [0, 5, 1, -2]
    parameters = {"components": 3, "min_scale": 0.1} | parameters
    return shake(MADE(hidden, head=head, training=QUICK, **parameters).fit(x))


def made_of_classes() -> MADE:
    label = np.eye(3)[np.arange(30) % 3]
    model = MADE((9, 7), conditioned=True, training=QUICK)
    return shake(model.fit(vectors(2, 5), context=label))


def table(gaps: float = 0.0, n: int = 60) -> pd.DataFrame:
    """Columns of every kind, a share of whose entries is missing."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "height": rng.normal(170, 10, n),
            "visits": pd.array(rng.poisson(20, n), dtype="Int64"),
            "city": rng.choice(["Oslo", "Rome", "Kyiv"], n).astype(object),
            "smokes": rng.random(n) < 0.3,
            "balance": rng.integers(-500, 500, n),
        }
    )
    for name in ("height", "visits", "city"):
        frame.loc[rng.random(n) < gaps, name] = None
    return frame


def made_of_table(data: Any, hidden: tuple[int, ...] = (9,), **parameters: Any) -> MADE:
    context = parameters.pop("context", None)
    parameters = {"components": 2, "min_scale": 0.1} | parameters
    model = MADE(hidden, conditioned=context is not None, training=QUICK, **parameters)
    return shake(model.fit(data, context=context))


def nade(levels: Any, sites: int, hidden: Any = 7, **parameters: Any) -> NADE:
    model = NADE(hidden, levels=levels, training=QUICK, **parameters)
    return shake(model.fit(vectors(levels, sites)))


def nade_of_reals(head: str, **parameters: Any) -> NADE:
    x = np.random.default_rng(4).normal(size=(40, 4)) * [1, 2, 0.5, 1] + [0, 5, 1, -2]
    settings = {"components": 3, "min_scale": 0.1, "training": QUICK} | parameters
    return shake(NADE(7, head=head, **settings).fit(x))


def nade_of_classes() -> NADE:
    label = np.eye(3)[np.arange(30) % 3]
    model = NADE((7, 5), conditioned=True, training=QUICK)
    return shake(model.fit(vectors(2, 5), context=label))


def of_labels(model: Any) -> Any:
    return shake(model.fit(vectors(2, 5), context=np.arange(30) % 3))


def image_model(kind: type, levels: int, shape: tuple[int, ...], **parameters: Any) -> Any:
    context = parameters.pop("context", None)
    x = np.random.default_rng(1).integers(0, levels, (20, *shape))
    return shake(kind(levels=levels, training=QUICK, **parameters).fit(x, context=context))


def pixelcnn(levels: int, shape: tuple[int, ...], **parameters: Any) -> PixelCNN:
    return image_model(PixelCNN, levels, shape, **{"layers": 1, "width": 6} | parameters)


def plus_plus(levels: int, shape: tuple[int, ...], **parameters: Any) -> PixelCNNPP:
    settings = {"blocks": 1, "width": 4, "resolutions": 2, "components": 2} | parameters
    return image_model(PixelCNNPP, levels, shape, **settings)


def snail(levels: int, shape: tuple[int, ...], **parameters: Any) -> PixelSNAIL:
    settings = {"blocks": 1, "width": 4, "keys": 3, "values": 4} | parameters
    return image_model(PixelSNAIL, levels, shape, **settings)


LABELS = {"context": np.arange(3)[:, None]}
GPT2 = {
    "positions": "learned", "norm": "layer", "activation": "gelu_tanh", "tied": True,
    "biases": ("qkv", "out", "mlp"),
}  # fmt: skip


def published(data: Any = None, **choices: Any) -> Transformer:
    """A transformer that was read from published weights."""
    model = transformer(data, attention_window=None, **choices)
    with tempfile.TemporaryDirectory() as folder:
        model.to_pretrained(folder)
        return Transformer.from_pretrained(folder, end=model.space.terminates)


def transformer_of_classes() -> Transformer:
    x, label = vectors(2, 12).reshape(-1, 3, 4), np.arange(30) % 3
    return shake(Transformer(1, 2, 8, classes=3, training=QUICK).fit(x, context=label))


def transformer_of_vectors() -> Transformer:
    context = np.random.default_rng(0).normal(size=(len(TEXT), 2))
    settings = {"block": 6, "attention_window": 4, "tokens": "char", "training": QUICK}
    return shake(Transformer(2, 2, 8, conditioned=True, **settings).fit(TEXT, context=context))


def rnn(data: Any = None, cell: str = "lstm", layers: int = 1, **parameters: Any) -> RNN:
    context = parameters.pop("context", None)
    model = RNN(cell, layers, 8, training=QUICK, block=20, **parameters)
    return shake(model.fit(digits() if data is None else data, context=context))


def window(data: Any = None, order: int = 5, **parameters: Any) -> arproc.NeuralAR:
    context = parameters.pop("context", None)
    model = arproc.NeuralAR(order, 1, 8, training=QUICK, block=12, **parameters)
    model = shake(model.fit(digits() if data is None else data, context=context))
    with torch.no_grad():  # a linear recursion of random weights is explosive
        for weight in (model.network_.window.weight, model.network_.last.weight):
            weight.mul_(0.3)
    return model


def roll(data: Any = None, **parameters: Any) -> arproc.PianoRoll:
    context = parameters.pop("context", None)
    settings = {
        "order": 3,
        "reach": 2,
        "octave": 3,
        "width": 5,
        "memory": 9,
        "block": 12,
    } | parameters
    model = arproc.PianoRoll(training=QUICK, **settings)
    return shake(model.fit(frames() if data is None else data, context=context))


def attention(data: Any, **parameters: Any) -> Transformer:
    """A transformer of other elements than plain symbols."""
    context = parameters.pop("context", None)
    settings = {"block": 12, "attention_window": 5, "training": QUICK} | parameters
    return shake(Transformer(2, 2, 8, **settings).fit(data, context=context))


def unlike_series() -> np.ndarray:
    return np.stack([series(60, seed=i) for i in range(3)]) * [[1.0], [5.0], [50.0]] + 20.0


def frames(n: int = 60, notes: int = 4) -> np.ndarray:
    return np.random.default_rng(8).integers(0, 2, (n, notes))


def any_order(data: Any, **parameters: Any) -> Transformer:
    context = parameters.pop("context", None)
    model = Transformer(1, 2, 8, order_agnostic=True, training=QUICK, **parameters)
    return shake(model.fit(data, context=context))


def transformer(data: Any = None, **parameters: Any) -> Transformer:
    settings = {"block": 8, "attention_window": 6, "training": QUICK} | parameters
    return shake(Transformer(2, 2, 16, **settings).fit(digits() if data is None else data))


def wavenet(levels: int = 4, **parameters: Any) -> arproc.WaveNet:
    """Codes of several sounds, under a network whose layers reach back a few samples."""
    context = parameters.pop("context", None)
    settings = {"layers": 3, "cycle": 2, "block": 16, "training": QUICK} | parameters
    x = np.random.default_rng(3).integers(0, levels, (6, 40))
    return shake(arproc.WaveNet(width=4, levels=levels, **settings).fit(x, context=context))


FEATURES = np.random.default_rng(5).normal(size=(6, 60, 2))


def coded(process: Any, **parameters: Any) -> arproc.Coded:
    codes = arproc.audio.encode(series() / 10, levels=16)
    return arproc.Coded(process, 16, **parameters).fit(codes)


def ngram_of_parts() -> Any:
    """Names and their codes in one sequence."""
    parts = Parts({"name": Text.of(["ab"]), "code": Levels((2,), 2)})
    pairs = [("ab", [0, 1]), ("b", [1, 1]), ("aab", [0, 0])] * 5
    ngram = NGram(3, "witten_bell", parts.tokens).fit(parts.encode(pairs))
    return ngram.with_policy(InParts(parts))


def first_values(order: int) -> torch.distributions.MultivariateNormal:
    eye = torch.eye(order, dtype=torch.float64)
    return torch.distributions.MultivariateNormal(torch.zeros(order).double(), 3 * eye)


def mixture_of_text() -> Mixture:
    letters = NGram(2, tokens="char").fit(TEXT)
    longer = NGram(4, tokens="char").fit(TEXT)
    return Mixture([letters, longer]).fit(TEXT[:2])


def mixture_with_cache() -> Mixture:
    ngram = NGram(2).fit(TEXT)
    cache = Cache(tokens=ngram.vocabulary).fit(TEXT)
    return Mixture([ngram, cache]).fit(TEXT[:3])


def mixture_of_families() -> Mixture:
    data = digits()
    parts = [NGram(2, tokens=4, smoothing="additive").fit(data), transformer(data, tokens=4)]
    return Mixture(parts, weights=[0.3, 0.7]).fit(data)


#: name -> (a function that makes the fitted process, what check_process is given besides)
MODELS: dict[str, tuple[Callable[[], arproc.Process], dict[str, Any]]] = {
    "AR(0)": (lambda: ar(0), {}),
    "AR(1) by least squares": (lambda: ar(1, method="ols"), {}),
    "AR(2)": (lambda: ar(2), {}),
    "AR(2) fitted with gaps": (
        lambda: AR(2).fit(np.where(np.arange(120) % 9, series(), np.nan)), {}
    ),
    "AR(2) with data": (lambda: ar(2), {"data": series(40, seed=3)}),
    "AR(3) with a line, by Yule-Walker": (lambda: ar(3, trend="ct", method="yule-walker"), {}),
    "AR(2) without a mean, given": (lambda: ar(2, trend="n", initial="given"), {}),
    "AR(2) from a law of its own": (lambda: ar(2, initial=first_values(2)), {}),
    "AR with a unit root": (lambda: AR.from_parameters([1.5, -0.5], initial="given"), {}),
    "AR of lags 1 and 4": (lambda: ar([1, 4], method="ols"), {}),
    "AR of lags 2 and 5, exact": (lambda: ar([2, 5]), {}),
    "AR of many lags, shrunk": (
        lambda: ar(8, method="ols", initial="given", ridge="marginal"), {}
    ),
    "AR about a parabola": (lambda: ar(2, trend="ctt"), {}),
    "AR with seasons": (lambda: ar(1, seasonal=4), {}),
    "AR with seasons and no constant, given": (
        lambda: ar(2, trend="n", seasonal=3, initial="given"), {}
    ),
    "AR with Fourier terms": (lambda: ar(1, trend="ct", fourier={6: 3, 7.5: 1}), {}),
    "AR about a regression": (lambda: regressed("mean"), REGRESSORS),
    "AR about a regression, given": (
        lambda: regressed("mean", trend="ct", method="ols", initial="given"), REGRESSORS
    ),
    "AR driven by regressors": (
        lambda: regressed("recursion", initial="given", seasonal=3), REGRESSORS
    ),
    "Bayesian AR(2)": (lambda: BayesianAR(2).fit(series()), {}),
    "Bayesian AR, orders averaged": (lambda: BayesianAR(range(4), "ct").fit(series()), {}),
    "Bayesian AR of a few values": (
        lambda: BayesianAR((0, 1), "n", shape=3.0).fit(series(8)), {"data": series(40, seed=3)}
    ),
    "VAR(0)": (lambda: var(0), {}),
    "VAR(2)": (lambda: var(2), {}),
    "VAR(2) with a line": (lambda: var(2, trend="ct"), {}),
    "VAR(2) of data with gaps": (lambda: arproc.VAR(2).fit(gappy_vectors()), {}),
    "VAR about a regression, of data with gaps": (
        lambda: vector_regressed("mean", trend="ct", gaps=True), REGRESSORS
    ),
    "VAR about a regression, given": (
        lambda: vector_regressed("mean", initial="given"), REGRESSORS
    ),
    "VAR driven by regressors": (
        lambda: vector_regressed("recursion", trend="ct", initial="given"), REGRESSORS
    ),
    "VAR(1) by least squares, given": (
        lambda: var(1, trend="n", method="ols", initial="given"), {}
    ),
    "VAR(1) from a law of its own": (lambda: var(1, initial=first_values(2)), {}),
    "VAR(2), shrunk": (lambda: var(2, shrinkage="minnesota", cross=0.5), {}),
    "VAR with unit roots": (lambda: VAR.from_parameters([np.eye(3)], initial="given"), {}),
    "VAR after a prefix": (lambda: var(2).condition([[0.5, -1.0], [2.0, 0.0]]), {}),
    "ARMA(1, 1)": (lambda: ARIMA((1, 0, 1)).fit(series()), {}),
    "ARIMA(1, 1, 1)": (
        lambda: ARIMA((1, 1, 1)).fit(series().cumsum()), {"data": series(60, seed=3).cumsum()}
    ),
    "ARIMA of data with gaps": (
        lambda: ARIMA((1, 1, 1)).fit(gaps(series().cumsum())), {"data": series(60).cumsum()}
    ),
    "seasonal ARIMA": (
        lambda: ARIMA((0, 1, 1), (1, 1, 1, 4)).fit(series().cumsum()), {"data": series(60)}
    ),
    "ARIMA about a regression": (
        lambda: ARIMA((1, 0, 1), trend="ct", regressors="mean").fit(series(), context=PUSH),
        REGRESSORS,
    ),
    "ARIMA with seasons and waves": (
        lambda: ARIMA((0, 1, 1), seasonal=3, fourier={7.5: 1}).fit(gaps(series().cumsum())),
        {"data": series(60).cumsum()},
    ),
    "integrated ARIMA with regressors": (
        lambda: ARIMA((0, 1, 2), regressors="mean").fit(series().cumsum(), context=PUSH),
        REGRESSORS,
    ),
    "AR with Student-t innovations": (lambda: returns("student_t", "constant"), RETURNS),
    "AR with Laplace innovations": (lambda: returns("laplace", "constant", order=2), {}),
    "AR with innovations of a mixture": (lambda: returns("mixture", "constant"), RETURNS),
    "AR-ARCH": (lambda: returns("normal", "arch", volatility_order=(2, 0, 0)), RETURNS),
    "AR-GARCH": (lambda: returns("normal", "garch"), RETURNS),
    "AR-GARCH with Student-t innovations": (lambda: returns("student_t", "garch"), RETURNS),
    "GJR with Laplace innovations": (lambda: returns("laplace", "gjr", order=0), {}),
    "AR-GJR with innovations of a mixture, about a line": (
        lambda: returns("mixture", "gjr", trend="ct"), RETURNS
    ),
    "NGram of characters": (lambda: NGram(3, tokens="char").fit("".join(TEXT)), {}),
    "NGram of words": (lambda: NGram(2).fit(TEXT), {}),
    "NGram of bytes": (lambda: NGram(2, tokens="byte").fit("".join(TEXT)), {}),
    "NGram, additive": (lambda: NGram(2, smoothing="additive", tokens="char").fit(TEXT), {}),
    "NGram, Kneser-Ney": (lambda: NGram(3, "kneser_ney", "char").fit(TEXT), {}),
    "NGram, back-off Kneser-Ney": (lambda: NGram(3, "backoff_kneser_ney").fit(TEXT), {}),
    "NGram, absolute discounting": (
        lambda: NGram(3, "absolute_discounting", "char").fit("".join(TEXT)), {}
    ),
    "NGram, Katz": (lambda: NGram(3, "katz", "char").fit(TEXT), {}),
    "NGram, Witten-Bell": (lambda: NGram(3, "witten_bell").fit(TEXT), {}),
    "NGram, Jelinek-Mercer": (
        lambda: NGram(3, "jelinek_mercer", "char").fit(TEXT, validation=TEXT[:3]), {}
    ),
    "NGram, Jelinek-Mercer by deletion": (lambda: NGram(3, "jelinek_mercer").fit(TEXT), {}),
    "NGram, maximum likelihood": (
        lambda: NGram(2, "maximum_likelihood", 4).fit(digits()), {}
    ),
    "NGram, cut off": (lambda: NGram(4, tokens="char", prune=[0, 0, 1, 2]).fit(TEXT), {}),
    "NGram, pruned": (lambda: NGram(4, tokens="char").fit(TEXT).pruned(1e-3), {}),
    "NGram of numbers": (lambda: NGram(3, tokens=4).fit(digits()), {}),
    "ContextTree": (lambda: ContextTree(3, 4).fit(digits()), {}),
    "ContextTree, frozen": (lambda: ContextTree(3, 4, adaptive=False).fit(digits()), {}),
    "ContextTree of lines": (lambda: ContextTree(3, alpha=0.1).fit(TEXT), {}),
    "ContextTree that has seen nothing": (lambda: ContextTree.untrained(2, 2), {}),
    "PPM": (lambda: PPM(3, "D").fit("".join(TEXT)), {}),
    "PPM, method C": (lambda: PPM(3, "C", 4).fit(digits()), {}),
    "PPM of lines, frozen": (lambda: PPM(4, adaptive=False).fit(TEXT), {}),
    "Cache": (lambda: Cache(5, tokens="char").fit("".join(TEXT)), {}),
    "Cache of documents, decaying": (
        lambda: Cache(None, 0.9, 2.0).fit(TEXT), {"data": [line + " " + line for line in TEXT]}
    ),
    "Cache, decaying in a window": (lambda: Cache(3, 0.5, base="uniform", tokens=4).fit(digits()),
        {}),
    "Mixture of an n-gram model and a cache": (mixture_with_cache, {}),
    "InfiniGram of characters": (lambda: InfiniGram("char").fit("".join(TEXT)), {}),
    "InfiniGram of words": (lambda: InfiniGram().fit(TEXT), {}),
    "InfiniGram of numbers, by validation": (
        lambda: InfiniGram(4).fit(digits(), validation=digits(60)), {}
    ),
    "MADE": (lambda: made(2, 6, (13,)), {}),
    "MADE, two layers, categorical": (lambda: made(3, 5, (11, 8), ordering="random"), {}),
    "MADE of mixed levels": (lambda: made((2, 4, 1, 3, 2), 5, (12,)), {}),
    "MADE without hidden units": (lambda: made(2, 4, (), ordering=(2, 0, 3, 1)), {}),
    "MADE of pictures": (
        lambda: shake(MADE((9,), training=QUICK).fit(vectors(2, 12).reshape(-1, 3, 4))), {}
    ),
    "MADE, residual, with direct connections": (
        lambda: made(2, 5, (9, 9), residual=True, direct=True), {}
    ),
    "MADE, residual, categorical, direct": (
        lambda: made((2, 3, 2, 4), 4, (9, 9), residual=True, direct=True), {}
    ),
    "MADE of classes": (made_of_classes, {"context": np.eye(3)}),
    "MADE of labels": (lambda: of_labels(MADE((9,), classes=3, training=QUICK)), LABELS),
    "MADE of ordered levels": (
        lambda: made(6, 4, (9,), head="discretised_logistic", components=2), {}
    ),
    "MADE, normal": (lambda: made_of_reals("normal"), {}),
    "MADE, mixture of normals": (
        lambda: made_of_reals("normal_mixture", (9, 9), residual=True), {}
    ),
    "MADE, mixture of logistics": (
        lambda: made_of_reals("logistic_mixture", direct=True, ordering=(2, 0, 3, 1)), {}
    ),
    "MADE, Student's t": (lambda: made_of_reals("student_t"), {}),
    "MADE of a table": (lambda: made_of_table(table()), {}),
    "MADE of a table, tried with rows of it": (
        lambda: made_of_table(table(0.1)), {"data": table(0.1, n=20)}
    ),
    "MADE of a table with gaps": (
        lambda: made_of_table(table(0.2), (9, 9), ordering=(3, 0, 4, 2, 1), residual=True), {}
    ),
    "MADE of a table of one kind, with gaps": (
        lambda: made_of_table(table(0.2)[["height"]].assign(a=table().height, b=series(60))), {}
    ),
    "MADE of a table of categories": (
        lambda: made_of_table(table()[["city", "smokes"]].assign(k=np.arange(60) % 4), ()), {}
    ),
    "MADE of an array of mixed columns": (
        lambda: made_of_table(
            vectors((1000, 3, 7), 3, 40) / [7, 1, 1], columns=["real", "categorical", "count"],
            head="student_t", direct=True,
        ),
        {},
    ),
    "MADE of a table, of classes": (
        lambda: made_of_table(table(0.2), context=np.eye(3)[np.arange(60) % 3]),
        {"context": np.eye(3)},
    ),
    "Mixture of tables": (
        lambda: Mixture([made_of_table(table(0.2)), made_of_table(table(0.2), (4, 4))]).fit(
            table(0.2)
        ),
        {},
    ),
    "MADE of a table after its first columns": (
        lambda: made_of_table(table(0.2)).condition([180.0, 12.0]), {}
    ),
    "MADE of all orders": (
        lambda: made((2, 4, 1, 3, 2), 5, (9, 8), order_agnostic=True, direct=True), {}
    ),
    "MADE of three orders, in another": (
        lambda: made(2, 6, (9, 9), order_agnostic=3, residual=True).in_order((5, 0, 2, 4, 1, 3)),
        {},
    ),
    "kernel density": (lambda: KernelDensity().fit(vectors(2, 6)), {}),
    "kernel density of levels": (
        lambda: KernelDensity(0.3, ordering="random").fit(vectors(3, 5)), {}
    ),
    "kernel density of reals": (
        lambda: KernelDensity(min_scale=0.01, ordering=(2, 0, 1)).fit(PUSH.reshape(-1, 3)[:12]), {}
    ),
    "NADE": (lambda: nade(2, 6, activation="sigmoid"), {}),
    "NADE of mixed levels": (lambda: nade((2, 4, 1, 3, 2), 5, ordering="random"), {}),
    "NADE of ordered levels": (
        lambda: nade(6, 4, head="discretised_logistic", components=2), {}
    ),
    "NADE of classes": (nade_of_classes, {"context": np.eye(3)}),
    "NADE of labels": (lambda: of_labels(NADE(7, classes=3, training=QUICK)), LABELS),
    "NADE of all orders, of labels": (
        lambda: of_labels(NADE(7, classes=3, order_agnostic=True, training=QUICK)), LABELS
    ),
    "RNADE, normal": (lambda: nade_of_reals("normal"), {}),
    "RNADE, mixture of normals": (
        lambda: nade_of_reals("normal_mixture", ordering=(2, 0, 3, 1)), {}
    ),
    "RNADE, mixture of logistics": (lambda: nade_of_reals("logistic_mixture"), {}),
    "RNADE, Student's t": (lambda: nade_of_reals("student_t"), {}),
    "NADE of all orders": (
        lambda: nade(3, 5, (7, 6), order_agnostic=True, ordering=(3, 1, 0, 4, 2)), {}
    ),
    "NADE of all orders, in another": (
        lambda: nade(2, 6, order_agnostic=True).in_order((5, 0, 2, 4, 1, 3)), {}
    ),
    "RNADE of all orders": (
        lambda: nade_of_reals("normal_mixture", order_agnostic=True, activation="sigmoid"), {}
    ),
    "PixelCNN": (lambda: pixelcnn(2, (3, 4), layers=2), {}),
    "PixelCNN of grey levels": (lambda: pixelcnn(5, (4, 3), first_kernel=3, kernel=5), {}),
    "PixelCNN of ordered grey levels": (
        lambda: pixelcnn(256, (3, 4), head="discretised_logistic", components=2), {}
    ),
    "PixelCNN of colours": (lambda: pixelcnn(4, (3, 2, 2)), {}),
    "PixelCNN of ordered colours": (
        lambda: pixelcnn(9, (2, 5, 3), head="discretised_logistic", components=2), {}
    ),
    "PixelCNN of classes": (
        lambda: pixelcnn(2, (3, 4), classes=3, context=np.arange(20) % 3), LABELS
    ),
    "PixelCNN given vectors": (
        lambda: pixelcnn(3, (3, 1, 2), conditioned=True, context=series(40).reshape(20, 2)),
        {"context": series(8).reshape(4, 2)},
    ),
    "PixelCNN of every order": (lambda: pixelcnn(2, (2, 3), order_agnostic=True), {}),
    "PixelCNN of every order, of ordered colours given vectors": (
        lambda: pixelcnn(
            4, (2, 1, 3), order_agnostic=True, head="discretised_logistic", components=2,
            conditioned=True, context=series(40).reshape(20, 2),
        ),
        {"context": series(8).reshape(4, 2)},
    ),
    "PixelCNN++": (lambda: plus_plus(256, (4, 5)), {}),
    "PixelCNN++ of zeros and ones, three resolutions": (
        lambda: plus_plus(2, (3, 4), resolutions=3), {}
    ),
    "PixelCNN++ of colours": (lambda: plus_plus(9, (3, 2, 5)), {}),
    "PixelCNN++ of classes": (
        lambda: plus_plus(5, (3, 2), classes=3, context=np.arange(20) % 3), LABELS
    ),
    "PixelSNAIL": (lambda: snail(2, (3, 4)), {}),
    "PixelSNAIL of colours": (lambda: snail(4, (3, 2, 2)), {}),
    "PixelSNAIL of classes": (
        lambda: snail(
            8, (2, 4), classes=3, context=np.arange(20) % 3, head="discretised_logistic"
        ),
        LABELS,
    ),
    "WaveNet": (lambda: wavenet(), {}),
    "WaveNet, mixture of logistics": (
        lambda: wavenet(9, head="discretised_logistic", components=2, kernel=3), {}
    ),
    "WaveNet of classes": (lambda: wavenet(classes=3, context=np.arange(6) % 3), LABELS),
    "WaveNet given features": (
        lambda: wavenet(conditioned="steps", context=FEATURES), {"context": FEATURES[:4]}
    ),
    "AR as codes": (lambda: coded(AR(2)), {}),
    "AR-GARCH with Student-t innovations, as codes": (
        lambda: coded(ARGARCH(1, "student_t"), companded=True), {}
    ),
    "NGram of parts": (ngram_of_parts, {}),
    "Transformer": (lambda: transformer(tokens=4), {}),
    "Transformer whose sequences end": (
        lambda: transformer([digits(n) for n in (9, 30, 14)], tokens=4, end=True), {}
    ),
    "Transformer with heads for later symbols": (lambda: transformer(tokens=4, ahead=2), {}),
    "Transformer with vectors of n-grams": (lambda: transformer(tokens=4, ngrams=3), {}),
    "Transformer with vectors of n-grams whose sequences end": (
        lambda: transformer(
            [digits(n) for n in (9, 30, 14)], tokens=4, end=True, ngrams=2, ahead=1
        ),
        {},
    ),
    "Transformer with vectors of n-grams and learned positions": (
        lambda: transformer(tokens=4, block=16, ngrams=3, **GPT2), {}
    ),
    "Transformer of published weights": (lambda: published(tokens=4, kv_heads=1), {}),
    "Transformer of published weights, learned positions": (
        lambda: published(TEXT, tokens="char", block=16, **GPT2), {}
    ),
    "Transformer with linear biases of attention": (
        lambda: transformer(tokens=4, positions="alibi", activation="squared_relu"), {}
    ),
    "Transformer of characters": (lambda: transformer("".join(TEXT), tokens="char"), {}),
    "Transformer of reals": (lambda: attention(unlike_series(), head="student_t"), {}),
    "Transformer of reals on their own scales": (
        lambda: attention(
            unlike_series(), head="normal_mixture", scaling=4, positions="alibi", kv_heads=1
        ),
        {},
    ),
    "Transformer of counts with covariates and scales": (
        lambda: attention(
            np.stack([counts(60)] * 3), head="negative_binomial", covariates=True,
            scaling="context", context=0.1 + positive_context(3),
        ),
        {"context": 0.1 + positive_context()},
    ),
    "Transformer of frames": (lambda: attention(frames(), head="nade"), {}),
    "Transformer of symbols with covariates": (
        lambda: attention(digits()[None], tokens=4, covariates=True, context=positive_context(1)),
        {"context": positive_context()},
    ),
    "RNN": (lambda: rnn(tokens=4), {}),
    "RNN of lines": (lambda: rnn(TEXT, "gru", 2, tokens="char"), {}),
    "RNN of classes": (
        lambda: rnn(TEXT, tokens="char", classes=3, context=np.arange(12) % 3), LABELS
    ),
    "RNN of reals": (lambda: rnn(unlike_series(), "elman", 2, head="student_t"), {}),
    "RNN of reals on their own scales": (
        lambda: rnn(unlike_series(), "gru", head="normal_mixture", scaling=4, min_scale=0.01), {}
    ),
    "RNN of reals with covariates and scales": (
        lambda: rnn(
            unlike_series(), "gru", 2, head="normal", covariates=True, scaling="context",
            context=0.1 + positive_context(3),
        ),
        {"context": 0.1 + positive_context()},
    ),
    "RNN of reals, vectors and scales": (
        lambda: rnn(
            unlike_series(), head="logistic_mixture", conditioned=True, scaling="context",
            context=0.1 + positive_context(3)[:, 0],
        ),
        {"context": 0.1 + positive_context()[:, 0]},
    ),
    "RNN of counts": (lambda: rnn(counts(), head="negative_binomial"), {}),
    "RNN of counts on their own scales": (
        lambda: rnn(counts(), "gru", head="poisson", scaling=3), {}
    ),
    "RNN of frames": (lambda: rnn(frames(), head="nade", hidden=6), {}),
    "RNN of frames by a MADE": (lambda: rnn(frames(), "gru", head="made", hidden=6), {}),
    "RNN of frames by a deep NADE": (lambda: rnn(frames(), head="nade", hidden=(6, 5)), {}),
    "RNN of frames of independent notes": (lambda: rnn(frames(), head="bernoulli"), {}),
    "NeuralAR": (lambda: window(tokens=4), {}),
    "NeuralAR of lines": (lambda: window(TEXT, tokens="char", dropout=0.1), {}),
    "NeuralAR of reals, classes and scales": (
        lambda: window(
            unlike_series(), head="student_t", scaling=7, classes=3, context=np.arange(3)
        ),
        LABELS,
    ),
    "NeuralAR of reals with covariates and scales": (
        lambda: window(
            unlike_series(), order=1, head="normal", covariates=True, scaling="context",
            context=0.1 + positive_context(3),
        ),
        {"context": 0.1 + positive_context()},
    ),
    "NeuralAR of counts on their own scales": (
        lambda: window(counts(), head="negative_binomial", scaling=3), {}
    ),
    "NeuralAR of frames": (lambda: window(frames(), head="nade", hidden=6), {}),
    "PianoRoll": (roll, {}),
    "PianoRoll with a clock": (
        lambda: roll(covariates=True, memory=0, context=np.arange(60.0).reshape(1, 60, 1) % 4),
        {"context": positive_context()[..., :1]},
    ),
    "RNN after a prefix": (lambda: rnn(tokens=4).condition([0, 3, 3]), {}),
    "Mixture of n-grams": (mixture_of_text, {}),
    "Mixture of families": (mixture_of_families, {}),
    "Markov-switching AR(1)": (lambda: arproc.MarkovSwitchingAR(1).fit(jumps()), {}),
    "Markov-switching AR(2) about lines": (
        lambda: arproc.MarkovSwitchingAR(2, trend="ct", switching_variance=True).fit(jumps()), {}
    ),
    "Markov-switching intercepts": (
        lambda: arproc.MarkovSwitchingAR(2, 3, switching_ar=False, form="intercept").fit(
            jumps()
        ),
        {},
    ),
    "Markov-switching variance": (
        lambda: arproc.MarkovSwitchingAR(0, trend="n", switching_variance=True).fit(jumps()), {}
    ),
    "Markov-switching normals, of data with gaps": (
        lambda: arproc.MarkovSwitchingAR(0).fit(gaps(jumps())), {}
    ),
    "SETAR": (lambda: arproc.SETAR(2).fit(jumps()), {}),
    "SETAR of three regimes about lines": (
        lambda: arproc.SETAR((1, 2, 0), 3, delay=3, trend="ct").fit(jumps()), {}
    ),
    "BetaAR": (lambda: arproc.BetaAR(2).fit(1 / (1 + np.exp(-series() / 3))), {}),
    "CountAR": (lambda: arproc.CountAR().fit(counts()), {}),
    "CountAR, log-linear": (lambda: arproc.CountAR((2, 1), link="log").fit(counts()), {}),
    "CountAR, negative binomial": (
        lambda: arproc.CountAR.from_parameters(1.0, [0.4, 0.1], [0.2], dispersion=0.5), {}
    ),
    "CountAR, given": (
        lambda: arproc.CountAR((2, 1), initial="given", family="negative_binomial").fit(counts()),
        {},
    ),
    "CountAR with regressors": (
        lambda: arproc.CountAR((1, 1), link="log", regressors="recursion").fit(
            counts(), context=positive_context(1)
        ),
        {"context": positive_context()},
    ),
    "LogisticAR": (lambda: arproc.LogisticAR(2).fit(digits(symbols=2)), {}),
    "LogisticAR, given": (lambda: arproc.LogisticAR(3, initial="given").fit(digits()), {}),
    "LogisticAR of characters": (
        lambda: arproc.LogisticAR(2, symbols="char", ridge=1.0).fit("".join(TEXT)), {}
    ),
    "Mixture of AR": (lambda: Mixture([ar(1), ar(3)]).fit(series(60, seed=5)), {}),
    "AR of logarithms": (lambda: Transformed(AR(1), Log()).fit(np.exp(series())), {}),
    "AR of standardised values": (
        lambda: Transformed(AR(2), Standardize()).fit(5 + 3 * series()), {}
    ),
    "AR of differences": (lambda: Transformed(AR(1), Difference()).fit(series().cumsum()), {}),
    "AR of seasonal differences": (
        lambda: Transformed(AR(1), Difference(3)).fit(series().cumsum()), {"data": series(30)}
    ),
    "AR of logarithms of counts and one": (
        lambda: Transformed(AR(1), Log(shift=1.0)).fit(np.exp(series()) - 0.9), {}
    ),
    "AR(2) of logarithms with gaps": (
        lambda: Transformed(AR(2), Log()).fit(np.exp(series())), {"data": np.exp(series(40))}
    ),
    "ARIMA of logarithms": (
        lambda: Transformed(ARIMA((1, 1, 1)), Log()).fit(np.exp(series().cumsum() / 9)),
        {"data": np.exp(series(40) / 2)},
    ),
    "BayesianAR of Box-Cox values": (
        lambda: Transformed(BayesianAR(1), BoxCox(0.4)).fit(np.exp(series())),
        {"data": np.exp(series(40))},
    ),
    "AR of roots, cut": (lambda: Transformed(AR(1), BoxCox(0.5)).fit(np.exp(series())), {}),
    "AR of reciprocals, cut": (
        lambda: Transformed(AR(1), BoxCox(-1.0)).fit(2 + np.exp(series() / 4)), {}
    ),
    "AR under a fitted Box-Cox transform": (
        lambda: Transformed(AR(2), BoxCox()).fit((8 + series()) ** 3), {}
    ),
    "AR of seasonal differences of differences of logarithms": (
        lambda: Transformed(AR(1), Log() | Difference() | Difference(3)).fit(
            np.exp(series().cumsum() / 9)), {"data": np.exp(series(30))}
    ),
    "AR of differences of Box-Cox values": (
        lambda: Transformed(AR(1), BoxCox(0.3) | Difference()).fit(np.exp(series())),
        {"data": np.exp(series(30))},
    ),
    "Mixture of transformed": (
        lambda: Mixture([ar(1), Transformed(AR(2), Standardize()).fit(series())]).fit(series(50)),
        {},
    ),
    "AR after a prefix": (lambda: ar(2).condition([0.5, -1.0, 2.0]), {}),
    "AR at a temperature": (lambda: ar(2).with_policy(Temperature(0.5)), {}),
    "NGram after a prefix": (lambda: NGram(3, tokens="char").fit(TEXT).condition("the "), {}),
    "NGram under a policy": (lambda: NGram(2).fit(TEXT).with_policy(TopP(0.9)), {}),
    "MADE after a prefix": (lambda: made(2, 6, (13,)).condition([1, 0]), {}),
    "MADE under a policy": (lambda: made(2, 6, (13,)).with_policy(Temperature(2.0)), {}),
    "PixelCNN after a prefix": (lambda: pixelcnn(2, (3, 4)).condition([1, 0, 0, 1, 1]), {}),
    "PixelCNN under a policy": (
        lambda: pixelcnn(4, (3, 3)).with_policy(Temperature(0.8) | TopK(3)), {}
    ),
    "Transformer of images": (
        lambda: transformer(vectors(3, 12).reshape(-1, 3, 4), block=None, attention_window=None),
        {},
    ),
    "Transformer of colours": (
        lambda: transformer(vectors(4, 18).reshape(-1, 3, 2, 3), tokens=4, channel_axis="first"),
        {},
    ),
    "Transformer of classes": (transformer_of_classes, LABELS),
    "Transformer of every order": (lambda: any_order(vectors(3, 4)), {}),
    "Transformer of every order, of texts in another": (
        lambda: any_order(["abca", "bbac", "cabb"] * 4, tokens="char").in_order((2, 0, 3, 1)), {}
    ),
    "Transformer of every order, of images given vectors": (
        lambda: any_order(
            vectors(3, 4).reshape(-1, 2, 2), positions="alibi", attention_window=2,
            conditioned=True, context=series(2 * len(vectors(3, 4))).reshape(-1, 2),
        ),
        {"context": series(8).reshape(4, 2)},
    ),
    "Transformer of texts of a vector": (transformer_of_vectors, {"context": np.eye(2)}),
    "Transformer after a prefix": (lambda: transformer(tokens=4).condition([0, 3, 3]), {}),
    "Transformer under a policy": (
        lambda: transformer(tokens=4).with_policy(Temperature(0.8) | TopK(3)), {}
    ),
}  # fmt: skip


#: Variants whose parts others show, each in its class: they are tried among the slow tests.
LATER = {
    "WaveNet",
    "NGram under a policy", "AR(2) of logarithms with gaps", "MADE of all orders",
    "Markov-switching AR(1)", "PixelCNN++ of zeros and ones, three resolutions", "PixelSNAIL",
    "PPM of lines, frozen", "AR(1) by least squares", "AR(2) from a law of its own",
    "AR-GJR with innovations of a mixture, about a line", "RNADE, mixture of normals",
    "VAR about a regression, of data with gaps", "MADE of a table with gaps",
    "seasonal ARIMA", "Mixture of families", "ARIMA of data with gaps",
    "ARIMA with seasons and waves",
    "AR with Student-t innovations", "AR(2) fitted with gaps", "AR about a regression",
    "AR(2) with data", "AR(2) without a mean, given", "AR with seasons and no constant, given",
    "AR of lags 1 and 4", "AR about a parabola", "AR about a regression, given",
    "VAR(2) with a line", "VAR(2), shrunk", "VAR after a prefix", "ARMA(1, 1)",
    "integrated ARIMA with regressors", "AR with Laplace innovations",
    "AR-GARCH with Student-t innovations", "NGram of bytes", "NGram, Kneser-Ney",
    "NGram, absolute discounting", "NGram, Jelinek-Mercer by deletion", "NGram, cut off",
    "ContextTree that has seen nothing", "PPM, method C", "Cache, decaying in a window",
    "InfiniGram of characters", "MADE of pictures", "MADE, residual, with direct connections",
    "MADE of classes", "MADE, mixture of logistics", "MADE of a table, tried with rows of it",
    "MADE of a table of one kind, with gaps", "MADE of a table of categories",
    "MADE of a table, of classes", "MADE of three orders, in another", "kernel density of levels",
    "NADE of classes", "NADE of all orders, of labels", "RNADE, normal",
    "RNADE, mixture of logistics", "RNADE, Student's t", "NADE of all orders, in another",
    "PixelCNN of grey levels", "PixelCNN of ordered grey levels", "PixelCNN of ordered colours",
    "PixelCNN of classes", "PixelCNN after a prefix", "PixelCNN under a policy",
    "PixelCNN of every order", "PixelCNN of every order, of ordered colours given vectors",
    "PixelCNN++", "PixelCNN++ of classes", "PixelCNN++ of colours",
    "PixelSNAIL of colours", "PixelSNAIL of classes", "Transformer of characters",
    "Transformer of published weights, learned positions",
    "Transformer with heads for later symbols",
    "Transformer with linear biases of attention",
    "Transformer of every order", "Transformer of every order, of texts in another",
    "Transformer of every order, of images given vectors",
    "Transformer of images", "Transformer of texts of a vector", "Transformer after a prefix",
    "VAR about a regression, given", "VAR driven by regressors", "VAR(2) of data with gaps",
    "Markov-switching normals, of data with gaps",
    "Bayesian AR, orders averaged", "Markov-switching intercepts", "Markov-switching variance",
    "SETAR of three regimes about lines", "CountAR, log-linear", "CountAR, given",
    "LogisticAR, given", "AR of seasonal differences", "AR of standardised values",
    "AR of roots, cut", "AR of reciprocals, cut", "AR of differences of Box-Cox values",
    "AR under a fitted Box-Cox transform", "Mixture of transformed", "NGram after a prefix",
    "MADE after a prefix", "AR of logarithms of counts and one", "AR with seasons",
    "AR of lags 2 and 5, exact", "AR of many lags, shrunk", "AR(3) with a line, by Yule-Walker",
    "VAR(1) from a law of its own", "VAR(0)", "AR-ARCH", "NGram, additive",
    "NGram, back-off Kneser-Ney", "NGram, Katz", "NGram, Jelinek-Mercer", "NGram, pruned",
    "ContextTree, frozen", "InfiniGram of numbers, by validation",
    "MADE, two layers, categorical", "MADE without hidden units", "MADE of labels",
    "MADE, normal", "MADE, Student's t", "MADE of an array of mixed columns", "NADE of labels",
    "PixelCNN given vectors", "PixelCNN of colours", "Transformer of colours",
    "Markov-switching AR(2) about lines", "CountAR, negative binomial", "AR of differences",
    "ARIMA of logarithms", "AR at a temperature",
    "BayesianAR of Box-Cox values", "Bayesian AR of a few values", "Mixture of tables",
    "AR driven by regressors", "MADE of a table", "MADE of a table after its first columns",
    "Transformer of classes", "Transformer under a policy",
    "AR of seasonal differences of differences of logarithms", "VAR with unit roots",
    "VAR(1) by least squares, given", "AR with innovations of a mixture",
    "GJR with Laplace innovations", "CountAR with regressors", "NGram, Witten-Bell",
    "NGram, maximum likelihood", "NGram of numbers", "ContextTree of lines",
    "Cache of documents, decaying", "MADE of ordered levels", "MADE, mixture of normals",
    "NADE of ordered levels", "RNADE of all orders", "MADE, residual, categorical, direct",
    "kernel density of reals", "Mixture of AR", "Mixture of n-grams", "AR with Fourier terms",
    "AR with a unit root", "AR(0)", "ARIMA about a regression", "Transformer of published weights",
    "LogisticAR of characters", "Transformer whose sequences end",
    "WaveNet, mixture of logistics", "WaveNet of classes", "WaveNet given features",
    "AR as codes", "AR-GARCH with Student-t innovations, as codes", "NGram of parts",
    "RNN of lines", "RNN of classes", "RNN of reals", "RNN of reals on their own scales",
    "RNN of reals with covariates and scales", "RNN of reals, vectors and scales",
    "RNN of counts", "RNN of counts on their own scales", "RNN of frames",
    "RNN of frames by a MADE", "RNN of frames by a deep NADE",
    "RNN of frames of independent notes", "RNN after a prefix", "PianoRoll with a clock",
    "NeuralAR of lines", "NeuralAR of reals with covariates and scales",
    "NeuralAR of counts on their own scales", "NeuralAR of frames",
    "Transformer of reals",
    "Transformer of reals on their own scales", "Transformer of frames",
    "Transformer of counts with covariates and scales", "Transformer of symbols with covariates",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::arproc.models.ngram.smoothing.discounts.DiscountWarning")
@pytest.mark.filterwarnings("ignore:the standard errors of")  # of more orders than the data need
@pytest.mark.parametrize(
    "name", [pytest.param(k, marks=[pytest.mark.slow] * (k in LATER)) for k in MODELS]
)
def test_the_model_keeps_the_contract(name):
    make, given = MODELS[name]
    report = check_process(make(), **given)
    assert not report.failed
    assert {result.outcome for result in report.results} <= {"passed", "not applicable"}


#: Kinds of which every variant takes twenty seconds and more: they are all among the slow tests.
DEAR = {"Markov-switching", "PixelCNN++", "PixelSNAIL", "WaveNet"}


def test_of_every_kind_of_model_one_is_tried_with_every_test():
    assert set(MODELS) > LATER
    alike = {
        "ARMA": "ARIMA", "integrated": "ARIMA", "AR-ARCH": "AR-GARCH", "GJR": "AR-GARCH",
        "BayesianAR": "Bayesian", "AR-GJR": "AR-GARCH", "RNADE": "NADE", "seasonal": "ARIMA",
    }  # fmt: skip
    kinds = {name: name.partition(" ")[0].partition("(")[0].rstrip(",") for name in MODELS}
    kinds = {name: alike.get(kind, kind) for name, kind in kinds.items()}
    later = {kinds[name] for name in LATER} - DEAR
    assert later <= {kinds[name] for name in MODELS if name not in LATER}


def test_what_is_skipped_or_loosened_stands_here():
    """Every exception for a class of the package; each line is a promise not kept."""
    assert EXCEPTIONS == {}


#: One of each family: what is drawn at random, drawn more often and larger.
THOROUGH = (
    "AR(2)", "AR about a regression", "Bayesian AR(2)", "VAR(2)", "ARIMA of data with gaps",
    "AR-GARCH with Student-t innovations", "NGram of characters", "NGram of words",
    "PPM of lines, frozen", "Cache of documents, decaying", "InfiniGram of words", "MADE",
    "MADE of a table with gaps", "NADE of mixed levels", "kernel density", "PixelCNN of colours",
    "PixelCNN++", "PixelSNAIL", "Transformer whose sequences end", "Transformer of classes",
    "WaveNet given features", "RNN of reals with covariates and scales", "RNN of frames",
    "Mixture of families",
    "Markov-switching AR(1)", "SETAR", "BetaAR", "CountAR", "LogisticAR",
    "AR(2) of logarithms with gaps", "NGram under a policy", "AR after a prefix",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::arproc.models.ngram.smoothing.discounts.DiscountWarning")
@pytest.mark.filterwarnings("ignore:the standard errors of")  # of more orders than the data need
@pytest.mark.parametrize("name", THOROUGH)
def test_the_model_keeps_the_contract_at_more_sizes(name):
    make, given = MODELS[name]
    assert not check_process(make(), thorough=True, **given).failed
