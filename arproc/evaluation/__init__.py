"""How good a model is: likelihoods in comparable units, calibration, proper scores, comparisons.

Everything here works on any process through the contract alone, a block of conditionals at a
time. Figures carry their unit in their name; standard errors are stated with every mean.
"""

from arproc.evaluation.analysis import (
    ChangePoints,
    EntropyRate,
    PredictiveCheck,
    anomalies,
    change_points,
    context_curve,
    entropy_rate,
    learning_curve,
    mutual_information,
    predictive_check,
)
from arproc.evaluation.backtests import (
    DieboldMariano,
    backtest,
    backtest_scores,
    compare_backtests,
    conformal_intervals,
    diebold_mariano,
    flip_flop,
    model_confidence_set,
)
from arproc.evaluation.calibration import Uniformity, pit, uniformity
from arproc.evaluation.comparison import compare
from arproc.evaluation.diagnostics import diagnose
from arproc.evaluation.forecast_scores import crps_paths, crps_quantiles
from arproc.evaluation.likelihood import Evaluation, evaluate
from arproc.evaluation.point_scores import mase, msis, owa, seasonal_scale, smape
from arproc.evaluation.ranked import crps, crps_of
from arproc.evaluation.several import holm
from arproc.evaluation.surprisal import join_times, next_table, surprisal_table, word_perplexity
from arproc.evaluation.synthetic import Fidelity, fidelity
from arproc.evaluation.verification import (
    Reliability,
    brier_score,
    coverage,
    energy_score,
    event_forecasts,
    interval_score,
    murphy,
    pinball_loss,
    reliability,
    variogram_score,
)

__all__ = [
    "ChangePoints",
    "DieboldMariano",
    "EntropyRate",
    "Evaluation",
    "Fidelity",
    "PredictiveCheck",
    "Reliability",
    "Uniformity",
    "anomalies",
    "backtest",
    "backtest_scores",
    "brier_score",
    "change_points",
    "compare",
    "compare_backtests",
    "conformal_intervals",
    "context_curve",
    "coverage",
    "crps",
    "crps_of",
    "crps_paths",
    "crps_quantiles",
    "diagnose",
    "diebold_mariano",
    "energy_score",
    "entropy_rate",
    "evaluate",
    "event_forecasts",
    "fidelity",
    "flip_flop",
    "holm",
    "interval_score",
    "join_times",
    "learning_curve",
    "mase",
    "model_confidence_set",
    "msis",
    "murphy",
    "mutual_information",
    "next_table",
    "owa",
    "pinball_loss",
    "pit",
    "predictive_check",
    "reliability",
    "seasonal_scale",
    "smape",
    "surprisal_table",
    "uniformity",
    "variogram_score",
    "word_perplexity",
]
