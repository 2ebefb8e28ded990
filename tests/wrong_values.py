"""What people hand over by mistake, and the models that they hand it to."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import arproc
from arproc import Mixture, Sequences, Training, sampling, spaces, transforms
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
