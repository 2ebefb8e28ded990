"""What the variants of models are made of: small data, and models of them."""

import tempfile
from typing import Any

import numpy as np
import pandas as pd
import torch
from helpers import shake

import arproc
from arproc import (
    AR,
    ARGARCH,
    MADE,
    NADE,
    RNN,
    VAR,
    Cache,
    Mixture,
    NGram,
    PixelCNN,
    PixelCNNPP,
    PixelSNAIL,
    Training,
    Transformer,
)
from arproc.parts import InParts, Levels, Parts, Text

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
