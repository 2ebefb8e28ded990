"""Backtests: forecasts from many origins, their scores, and which model's are better."""

from arproc.evaluation.backtests.confidence_set import model_confidence_set
from arproc.evaluation.backtests.conformal import conformal_intervals
from arproc.evaluation.backtests.run import backtest
from arproc.evaluation.backtests.scores import backtest_scores, flip_flop
from arproc.evaluation.backtests.significance import (
    DieboldMariano,
    compare_backtests,
    diebold_mariano,
)

__all__ = [
    "DieboldMariano",
    "backtest",
    "backtest_scores",
    "compare_backtests",
    "conformal_intervals",
    "diebold_mariano",
    "flip_flop",
    "model_confidence_set",
]
