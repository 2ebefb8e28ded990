"""The kinds of model whose files are changed, and what they are given when they are used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from helpers import shake
from variants import MODELS
from variants.makers import QUICK, TEXT, ar, series, vectors

import arproc

__all__ = ["KINDS", "make"]

Maker = Callable[[], Any]

#: Of the table of `variants`, one or more for each class of law.
NAMED = (
    "AR(2)", "AR about a parabola", "AR of lags 2 and 5, exact", "AR with seasons",
    "AR about a regression", "AR driven by regressors", "AR(2) from a law of its own",
    "Bayesian AR, orders averaged", "VAR(2) with a line", "VAR(2), shrunk", "ARMA(1, 1)",
    "seasonal ARIMA", "integrated ARIMA with regressors", "AR with Student-t innovations",
    "AR-GJR with innovations of a mixture, about a line", "NGram of words", "NGram of bytes",
    "NGram, additive", "NGram, back-off Kneser-Ney", "NGram, Jelinek-Mercer by deletion",
    "NGram of numbers", "ContextTree", "ContextTree of lines", "PPM", "PPM of lines, frozen",
    "Cache", "Cache of documents, decaying", "Mixture of an n-gram model and a cache",
    "InfiniGram of characters", "InfiniGram of numbers, by validation", "MADE of mixed levels",
    "MADE of classes", "MADE, mixture of logistics", "MADE of a table with gaps",
    "MADE of all orders", "kernel density of levels", "kernel density of reals",
    "NADE of mixed levels", "RNADE, mixture of normals", "PixelCNN of colours",
    "PixelCNN++ of classes", "PixelSNAIL", "Transformer of characters", "Transformer of images",
    "Transformer of texts of a vector", "Mixture of families",
    "Markov-switching AR(2) about lines", "SETAR of three regimes about lines", "BetaAR",
    "CountAR, negative binomial", "CountAR with regressors", "LogisticAR of characters",
    "BayesianAR of Box-Cox values", "AR of seasonal differences of differences of logarithms",
    "VAR after a prefix", "PixelCNN under a policy", "NGram under a policy",
    "WaveNet of classes", "WaveNet, mixture of logistics", "AR as codes", "NGram of parts",
    "RNN", "RNN of reals on their own scales", "RNN of frames",
)  # fmt: skip


def panel_data() -> np.ndarray:
    return np.stack([series(60, seed=i) + 5 for i in range(4)])


def panel(process: Any) -> Any:
    return arproc.Panel(process).fit(panel_data())


def flow() -> Any:
    x = np.random.default_rng(4).normal(size=(40, 4))
    return shake(arproc.MAF((6,), layers=2, training=QUICK).fit(x))


def orders() -> Any:
    model = arproc.MADE((9,), levels=2, order_agnostic=True, training=QUICK)
    return arproc.OrderEnsemble(shake(model.fit(vectors(2, 5))), 3, seed=0)


PANEL: dict[str, Any] = {"data": panel_data()}
KINDS: dict[str, tuple[Maker, dict[str, Any]]] = {
    **{name: MODELS[name] for name in NAMED},
    "NGram that was streamed": (lambda: streamed(), {}),
    "Panel together": (lambda: panel(arproc.AR(2, method="ols", initial="given")), PANEL),
    "Panel, one by one": (lambda: panel(arproc.ARIMA((0, 1, 1))), PANEL),
    "AutoPanel": (
        lambda: arproc.AutoPanel([arproc.AR(1), arproc.AR(2)], 6).fit(panel_data()),
        PANEL,
    ),
    "AutoPanel, told nothing": (lambda: arproc.AutoPanel().fit(panel_data()), PANEL),
    "MAF": (flow, {}),
    "order ensemble": (orders, {}),
    "AR with a Fourier term": (lambda: ar(1, fourier={6: 2}), {}),
}


def streamed() -> Any:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text.txt"
        path.write_text("\n".join(TEXT * 20))
        return arproc.NGram(3, memory="64MB").fit(path)


def make(name: str) -> Any:
    """The fitted model of a kind."""
    return KINDS[name][0]()
