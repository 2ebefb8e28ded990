"""arproc: classical and neural autoregressive processes behind one interface.

Every model has the same five calls: `fit`, `log_prob`, `conditional`, `sample`, `score`.
Log-likelihoods are exact and in nats.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from arproc import distributions, errors, sampling, spaces
from arproc.errors import ArprocError
from arproc.law import Draws, Law
from arproc.persistence import load
from arproc.process import Process, State
from arproc.sequences import Layout, Sequences

__version__ = "0.1.0"

# Imported when first used, so that `import arproc` stays light: name -> module
_LAZY: dict[str, str] = {
    "AR": "arproc.linear.ar",
    "ARGARCH": "arproc.volatility.argarch",
    "ARIMA": "arproc.statespace.arima",
    "BayesianAR": "arproc.linear.bayesian",
    "Cache": "arproc.ngram.cache",
    "ContextTree": "arproc.ngram.context_tree",
    "CountAR": "arproc.discrete.count",
    "InfiniGram": "arproc.ngram.infini",
    "KernelDensity": "arproc.kernel.density",
    "LogisticAR": "arproc.discrete.logistic",
    "MADE": "arproc.neural.made",
    "MAF": "arproc.neural.maf",
    "MarkovSwitchingAR": "arproc.regimes.switching",
    "NADE": "arproc.neural.nade",
    "OrderEnsemble": "arproc.ensemble",
    "Mixture": "arproc.mixture",
    "AutoPanel": "arproc.panel",
    "Panel": "arproc.panel",
    "NGram": "arproc.ngram.model",
    "PPM": "arproc.ngram.ppm",
    "PixelCNN": "arproc.neural.pixelcnn",
    "PixelCNNPP": "arproc.neural.pixelcnnpp",
    "PixelSNAIL": "arproc.neural.pixelsnail",
    "SETAR": "arproc.regimes.setar",
    "Training": "arproc.training",
    "VAR": "arproc.linear.vector.var",
    "Transformed": "arproc.transforms",
    "Transformer": "arproc.neural.transformer",
    "compare": "arproc.evaluation",
    "diagnose": "arproc.evaluation",
    "evaluate": "arproc.evaluation",
    "likelihood_ratio_test": "arproc.inference",
    "reconcile": "arproc.reconciliation",
    "select_order": "arproc.linear.selection",
    "surprisal_table": "arproc.evaluation",
}
_MODULES: tuple[str, ...] = (
    "datasets",
    "evaluation",
    "ngram",
    "plot",
    "tables",
    "testing",
    "training",
    "transforms",
)

__all__ = [
    "ArprocError",
    "Draws",
    "Law",
    "Layout",
    "Process",
    "Sequences",
    "State",
    "distributions",
    "errors",
    "load",
    "sampling",
    "spaces",
    *_LAZY,
    *_MODULES,
]

if TYPE_CHECKING:
    pass


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"arproc.{name}")
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'arproc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
