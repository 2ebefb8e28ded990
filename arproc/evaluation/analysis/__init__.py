"""What sequences hold: entropy, memory, changes; and whether draws look like the data."""

from arproc.evaluation.analysis.anomalies import anomalies
from arproc.evaluation.analysis.changes import ChangePoints, change_points
from arproc.evaluation.analysis.context_curves import context_curve
from arproc.evaluation.analysis.entropy_rate import EntropyRate, entropy_rate
from arproc.evaluation.analysis.information import mutual_information
from arproc.evaluation.analysis.learning_curves import learning_curve
from arproc.evaluation.analysis.predictive_check import PredictiveCheck, predictive_check

__all__ = [
    "ChangePoints",
    "EntropyRate",
    "PredictiveCheck",
    "anomalies",
    "change_points",
    "context_curve",
    "entropy_rate",
    "learning_curve",
    "mutual_information",
    "predictive_check",
]
