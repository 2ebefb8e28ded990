"""Every compiled loop called once, so that nobody waits for it later.

Loops compile when they first have much to do, and stay in a cache on disk. `warm_up` makes small
calls of every model that has some: run it once a machine, when an image is built, or not at all.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from arproc.errors import ParameterError, check_list
from arproc.evaluation.synthetic import fidelity
from arproc.models.autoregression.ar import AR
from arproc.models.autoregression.selection import select_order
from arproc.models.autoregression.vector.var import VAR
from arproc.models.discrete.count import CountAR
from arproc.models.neural.sequences.piano_roll import PianoRoll
from arproc.models.neural.sequences.rnn import RNN
from arproc.models.neural.sequences.transformer import Transformer
from arproc.models.neural.vectors.made import MADE
from arproc.models.neural.vectors.maf import MAF
from arproc.models.neural.vectors.nade import NADE
from arproc.models.neural.waves.wavenet import WaveNet
from arproc.models.ngram.adaptive.cache import Cache
from arproc.models.ngram.adaptive.context_tree import ContextTree
from arproc.models.ngram.adaptive.ppm import PPM
from arproc.models.ngram.model import NGram
from arproc.models.ngram.suffix.infinigram import InfiniGram
from arproc.models.panel import AutoPanel, Panel
from arproc.models.regimes.setar import SETAR
from arproc.models.regimes.switching import MarkovSwitchingAR
from arproc.models.statespace.arima import ARIMA
from arproc.models.volatility.argarch import ARGARCH
from arproc.training import Training

__all__ = ["CALLS", "Call", "warm_up"]


class Call(NamedTuple):
    """A call that needs compiled loops: `run(prepare())`."""

    prepare: Callable[[], Any]
    run: Callable[[Any], object]


def warm_up(
    names: Iterable[str] | None = None, *, progress: bool | None = None
) -> dict[str, float]:
    """Compile the loops of these calls, or of all: a minute or two, once a machine.

    Args:
        names: of `arproc.warming.CALLS`, as "ARIMA.fit"; None for all.
        progress: whether a bar on standard error shows how far it is; None where that is a
            terminal.

    Returns:
        How many seconds each call took.

    Raises:
        ParameterError: a name is none of these.

    Examples:
        >>> import arproc
        >>> list(arproc.warm_up(["ARGARCH.sample"]))
        ['ARGARCH.sample']
    """
    from tqdm import tqdm

    from arproc.compiled.interpreted import nothing_interpreted
    from arproc.compiled.notice import NOTICE

    chosen = (
        list(CALLS)
        if names is None
        else [names]
        if isinstance(names, str)
        else check_list("names", names)
    )
    for name in chosen:
        if not isinstance(name, str) or name not in CALLS:
            raise ParameterError(f"names has {name!r}; it takes some of {', '.join(CALLS)}.")
    seconds = {}
    with (
        NOTICE.muted(),
        nothing_interpreted(),
        warnings.catch_warnings(),
        tqdm(chosen, unit="call", disable=None if progress is None else not progress) as bar,
    ):
        warnings.simplefilter("ignore")  # the data say nothing
        for name in bar:
            bar.set_description(name)
            begin = time.perf_counter()
            prepare, run = CALLS[name]
            run(prepare())
            seconds[name] = time.perf_counter() - begin
    return seconds


# ---- small data ---------------------------------------------------------------------------------


def _series(n: int = 200) -> np.ndarray:
    """A second-order recursion, float64 [n]."""
    noise = np.random.default_rng(0).standard_normal(n)
    for t in range(2, n):
        noise[t] += 0.6 * noise[t - 1] - 0.2 * noise[t - 2]
    return noise


def _gaps() -> np.ndarray:
    x = _series()
    x[[50, 51, 90]] = np.nan
    return x


def _pair() -> np.ndarray:
    return np.stack([_series(), _series()[::-1]], axis=1)


def _panel() -> list[np.ndarray]:
    return [_series(60 + i) for i in range(10)]


def _two_panels() -> np.ndarray:
    return np.stack([[_series(30), _series(30)[::-1]]] * 10).reshape(-1, 15, 4)


def _counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(3.0, 200)


def _bits(columns: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (40, columns))


def _text() -> list[str]:
    """Lines of a few words."""
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "to", "red", "house"]
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(words, rng.integers(4, 12))) for _ in range(100)]


def _training() -> Any:
    return Training(steps=2)


def _words() -> Any:
    return NGram(3, tokens="word").fit(_text())


def _arpa() -> Path:
    path = Path(tempfile.mkdtemp()) / "words.arpa"
    _words().to_arpa(path)
    return path


def _read(path: Path) -> Any:
    model = NGram.from_arpa(path)
    path.unlink()
    path.parent.rmdir()
    return model


def _scores() -> list[np.ndarray]:
    return [np.zeros((2, 3), dtype) for dtype in (np.float32, np.float64)]


def _choose(kinds: list[np.ndarray]) -> list[np.ndarray]:
    """Symbols from scores of each kind, as a long draw gets them one by one."""
    from arproc.compiled import choosing
    from arproc.compiled.interpreted import suited

    drawn = [np.zeros((2, 1), dtype=np.int64) for _ in kinds]
    for scores, out in zip(kinds, drawn, strict=True):
        suited(choosing, 1).choose(scores, np.full((2, 1), 0.5), 0, out, 0)
    return drawn


#: The rows that need compiled loops.
_OF_SERIES = ["level and spread", "autocorrelation", "cross-correlation", "novelty", "usefulness"]

# ---- the calls ----------------------------------------------------------------------------------

#: What `warm_up` calls, by name.
CALLS: dict[str, Call] = {
    "AR.fit": Call(_series, lambda x: AR(2).fit(x)),
    "AR.fit with gaps": Call(_gaps, lambda x: AR(2).fit(x)),
    "select_order": Call(_series, lambda x: select_order(x, 3)),
    "select_order by least squares": Call(_series, lambda x: select_order(x, 3, method="ols")),
    "AR.sample": Call(lambda: AR(2).fit(_series()), lambda m: m.sample(2, 50, seed=0)),
    "VAR.sample": Call(lambda: VAR(2).fit(_pair()), lambda m: m.sample(2, 50, seed=0)),
    "ARIMA.fit": Call(_series, lambda x: ARIMA((1, 1, 1)).fit(x)),
    "ARIMA.sample": Call(
        lambda: ARIMA((1, 0, 1)).fit(_series()), lambda m: m.sample(2, 50, seed=0)
    ),
    "ARGARCH.fit": Call(_series, lambda x: ARGARCH(1).fit(x)),
    "ARGARCH.sample": Call(
        lambda: ARGARCH(1).fit(_series()),
        lambda m: m.sample(2, 50, prefix=[0.0], seed=0),
    ),
    "CountAR.fit": Call(_counts, lambda x: CountAR().fit(x)),
    "SETAR.fit": Call(_series, lambda x: SETAR(1).fit(x)),
    "MarkovSwitchingAR.fit": Call(_series, lambda x: MarkovSwitchingAR(1).fit(x)),
    "Panel.fit": Call(_panel, lambda x: Panel(AR(2)).fit(x)),
    "Panel.fit by least squares": Call(_panel, lambda x: Panel(AR(2, method="ols")).fit(x)),
    "Panel.fit of ARIMA": Call(
        _panel, lambda x: Panel(ARIMA((1, 1, 1))).fit(x).forecast(horizon=2)
    ),
    "Panel.forecast": Call(lambda: Panel(AR(2)).fit(_panel()), lambda m: m.forecast(horizon=4)),
    "AutoPanel.fit": Call(_panel, lambda x: AutoPanel().fit(x).forecast(3)),
    "NGram.fit": Call(_text, lambda x: NGram(3, tokens="word").fit(x)),
    "NGram.fit of high order": Call(_text, lambda x: NGram(20, tokens="char").fit(x)),
    "NGram.sample": Call(_words, lambda m: m.sample(2, seed=0)),
    "NGram.log_prob": Call(_words, lambda m: m.log_prob("the cat sat")),
    "NGram.score": Call(_words, lambda m: m.score(_text())),
    "NGram.from_arpa": Call(_arpa, _read),
    "fidelity of series": Call(
        lambda: [_two_panels() for _ in range(3)], lambda x: fidelity(*x, rows=_OF_SERIES)
    ),
    "fidelity of text": Call(
        lambda: [_text() for _ in range(3)], lambda x: fidelity(*x, rows=["diversity", "novelty"])
    ),
    "InfiniGram.fit": Call(_text, lambda x: InfiniGram().fit(x)),
    "InfiniGram.score": Call(lambda: InfiniGram().fit(_text()), lambda m: m.score(_text()[:5])),
    "PPM.fit": Call(_text, lambda x: PPM(4).fit(x)),
    "PPM.score": Call(lambda: PPM(4).fit(_text()), lambda m: m.score(_text()[:5])),
    "ContextTree.fit": Call(_text, lambda x: ContextTree(4).fit(x)),
    "Cache.fit": Call(_text, lambda x: Cache(tokens="word").fit(x)),
    "MADE.sample": Call(
        lambda: MADE(16, training=_training()).fit(_bits()), lambda m: m.sample(3, seed=0)
    ),
    "NADE.fit": Call(_bits, lambda x: NADE(16, training=_training()).fit(x)),
    "NADE.sample": Call(
        lambda: NADE(16, training=_training()).fit(_bits()), lambda m: m.sample(3, seed=0)
    ),
    "PianoRoll.sample": Call(
        lambda: PianoRoll(2, 3, 4, 4, 5, block=8, training=_training()).fit([_bits()]),
        lambda m: m.sample(2, 5, seed=0),
    ),
    "WaveNet.sample": Call(
        lambda: WaveNet(2, 4, levels=4, block=8, training=_training()).fit(_counts() % 4),
        lambda m: m.sample(2, 50, seed=0),
    ),
    "Transformer.sample": Call(
        lambda: Transformer(1, 2, 8, block=8, tokens=4, training=_training()).fit(_counts() % 4),
        lambda m: m.sample(2, 5, seed=0),
    ),
    "RNN.sample": Call(
        lambda: RNN("lstm", 1, 8, tokens=4, training=_training()).fit(_counts() % 4),
        lambda m: m.sample(2, 5, seed=0),
    ),
    "symbols one by one": Call(_scores, _choose),
    "MAF.sample": Call(
        lambda: MAF(hidden=16, training=_training()).fit(_pair()),
        lambda m: m.sample(3, seed=0),
    ),
}
