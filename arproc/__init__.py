"""arproc: classical and neural autoregressive processes behind one interface.

Every model has the same five calls: `fit`, `log_prob`, `conditional`, `sample`, `score`.
Log-likelihoods are exact and in nats.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from arproc import distributions, errors, sampling, spaces
from arproc.contract.law import ChainLaw, Draws, Law
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import offer, storable
from arproc.data.form import Layout
from arproc.errors import ArprocError
from arproc.process import Model, Process
from arproc.process.persistence import load

__version__ = "0.1.0"

# Imported when first used, so that `import arproc` stays light: name -> module
_LAZY: dict[str, str] = {
    "AR": "arproc.models.autoregression.ar",
    "ARGARCH": "arproc.models.volatility.argarch",
    "ARIMA": "arproc.models.statespace.arima",
    "BayesianAR": "arproc.models.autoregression.bayesian",
    "BetaAR": "arproc.models.bounded",
    "Cache": "arproc.models.ngram.adaptive.cache",
    "Coded": "arproc.models.coded",
    "ContextTree": "arproc.models.ngram.adaptive.context_tree",
    "CountAR": "arproc.models.discrete.count",
    "InfiniGram": "arproc.models.ngram.suffix.infinigram",
    "KernelDensity": "arproc.models.kernel_density.density",
    "LogisticAR": "arproc.models.discrete.logistic",
    "MADE": "arproc.models.neural.vectors.made",
    "MAF": "arproc.models.neural.vectors.maf",
    "MarkovSwitchingAR": "arproc.models.regimes.switching",
    "NADE": "arproc.models.neural.vectors.nade",
    "NeuralAR": "arproc.models.neural.sequences.neural_ar",
    "OrderEnsemble": "arproc.models.order_ensemble",
    "Mixture": "arproc.models.mixture",
    "AutoPanel": "arproc.models.panel",
    "Panel": "arproc.models.panel",
    "NGram": "arproc.models.ngram.model",
    "PPM": "arproc.models.ngram.adaptive.ppm",
    "PixelCNN": "arproc.models.neural.images.pixelcnn",
    "PixelCNNPP": "arproc.models.neural.images.pixelcnnpp",
    "PixelSNAIL": "arproc.models.neural.images.pixelsnail",
    "PianoRoll": "arproc.models.neural.sequences.piano_roll",
    "RNN": "arproc.models.neural.sequences.rnn",
    "SETAR": "arproc.models.regimes.setar",
    "Tokens": "arproc.data.tokens",
    "Training": "arproc.training",
    "VAR": "arproc.models.autoregression.vector.var",
    "Transformed": "arproc.models.transformed.process",
    "Transformer": "arproc.models.neural.sequences.transformer",
    "WaveNet": "arproc.models.neural.waves.wavenet",
    "calendar_features": "arproc.data.date_features",
    "forecast_file": "arproc.scale",
    "backtest": "arproc.evaluation",
    "compare": "arproc.evaluation",
    "diagnose": "arproc.evaluation",
    "evaluate": "arproc.evaluation",
    "fidelity": "arproc.evaluation",
    "likelihood_ratio_test": "arproc.inference",
    "read_lines": "arproc.data.text_files",
    "aggregate": "arproc.forecasting.hierarchy",
    "reconcile": "arproc.forecasting.reconciliation",
    "report": "arproc.reporting",
    "select_arima": "arproc.models.statespace.selection",
    "select_order": "arproc.models.autoregression.selection",
    "surprisal_table": "arproc.evaluation",
    "warm_up": "arproc.warming",
}
_MODULES: tuple[str, ...] = (
    "audio",
    "datasets",
    "evaluation",
    "kit",
    "ngram",
    "parts",
    "plot",
    "reporting",
    "tables",
    "testing",
    "training",
    "transforms",
)

__all__ = [
    "AR",
    "ARGARCH",
    "ARIMA",
    "ArprocError",
    "AutoPanel",
    "BayesianAR",
    "BetaAR",
    "Cache",
    "ChainLaw",
    "Coded",
    "ContextTree",
    "CountAR",
    "Draws",
    "InfiniGram",
    "KernelDensity",
    "Law",
    "Layout",
    "LogisticAR",
    "MADE",
    "MAF",
    "MarkovSwitchingAR",
    "Mixture",
    "Model",
    "NADE",
    "NGram",
    "NeuralAR",
    "OrderEnsemble",
    "PPM",
    "Panel",
    "PixelCNN",
    "PixelCNNPP",
    "PixelSNAIL",
    "Process",
    "PianoRoll",
    "RNN",
    "SETAR",
    "Sequences",
    "State",
    "Tokens",
    "Training",
    "Transformed",
    "Transformer",
    "VAR",
    "WaveNet",
    "audio",
    "calendar_features",
    "backtest",
    "compare",
    "datasets",
    "diagnose",
    "distributions",
    "errors",
    "evaluate",
    "fidelity",
    "evaluation",
    "forecast_file",
    "kit",
    "likelihood_ratio_test",
    "load",
    "ngram",
    "parts",
    "plot",
    "read_lines",
    "aggregate",
    "reconcile",
    "report",
    "reporting",
    "sampling",
    "select_arima",
    "select_order",
    "spaces",
    "storable",
    "surprisal_table",
    "tables",
    "testing",
    "training",
    "transforms",
    "warm_up",
]

if TYPE_CHECKING:  # what editors and type checkers see of the names in `_LAZY` and `_MODULES`
    from arproc import (
        audio,
        datasets,
        evaluation,
        kit,
        ngram,
        parts,
        plot,
        reporting,
        tables,
        testing,
        training,
        transforms,
    )
    from arproc.data.date_features import calendar_features
    from arproc.data.text_files import read_lines
    from arproc.data.tokens import Tokens
    from arproc.evaluation import (
        backtest,
        compare,
        diagnose,
        evaluate,
        fidelity,
        surprisal_table,
    )
    from arproc.forecasting.hierarchy import aggregate
    from arproc.forecasting.reconciliation import reconcile
    from arproc.inference import likelihood_ratio_test
    from arproc.models.autoregression.ar import AR
    from arproc.models.autoregression.bayesian import BayesianAR
    from arproc.models.autoregression.selection import select_order
    from arproc.models.autoregression.vector.var import VAR
    from arproc.models.bounded import BetaAR
    from arproc.models.coded import Coded
    from arproc.models.discrete.count import CountAR
    from arproc.models.discrete.logistic import LogisticAR
    from arproc.models.kernel_density.density import KernelDensity
    from arproc.models.mixture import Mixture
    from arproc.models.neural.images.pixelcnn import PixelCNN
    from arproc.models.neural.images.pixelcnnpp import PixelCNNPP
    from arproc.models.neural.images.pixelsnail import PixelSNAIL
    from arproc.models.neural.sequences.neural_ar import NeuralAR
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
    from arproc.models.order_ensemble import OrderEnsemble
    from arproc.models.panel import AutoPanel, Panel
    from arproc.models.regimes.setar import SETAR
    from arproc.models.regimes.switching import MarkovSwitchingAR
    from arproc.models.statespace.arima import ARIMA
    from arproc.models.statespace.selection import select_arima
    from arproc.models.transformed.process import Transformed
    from arproc.models.volatility.argarch import ARGARCH
    from arproc.reporting import report
    from arproc.scale import forecast_file
    from arproc.training import Training
    from arproc.warming import warm_up

else:

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(f"arproc.{name}")
        if name in _LAZY:
            value = getattr(importlib.import_module(_LAZY[name]), name)
            globals()[name] = value
            return value
        raise AttributeError(f"module 'arproc' has no attribute {name!r}")

    offer(_LAZY, __getattr__)
    # the law of several models, which files may hold without them
    offer(["ImageLaw"], lambda _: importlib.import_module("arproc.models.neural.images"))
    offer(
        ["ElementLaw"], lambda _: importlib.import_module("arproc.models.neural.sequences.every")
    )
    # what a space may have, though it does not import it
    offer(["Vocabulary"], lambda _: importlib.import_module("arproc.data.vocabulary"))
    # the codes of sound, and the parts of sequences of several
    offer(["Levels", "Parts", "Text"], lambda _: importlib.import_module("arproc.data.parts"))
    offer(["MuLaw"], lambda _: importlib.import_module("arproc.data.sounds"))
    # and the transforms, which a law of transformed values may have any of
    offer(
        ["BoxCox", "Composed", "Difference", "Log", "Standardize"],
        lambda name: getattr(importlib.import_module("arproc.transforms"), name),
    )


def __dir__() -> list[str]:
    return sorted(__all__)
