"""Scores and diagrams of probabilistic forecasts, whoever made them."""

from arproc.evaluation.verification.intervals import coverage
from arproc.evaluation.verification.murphy import murphy
from arproc.evaluation.verification.reliability import Reliability, event_forecasts, reliability
from arproc.evaluation.verification.scores import (
    brier_score,
    energy_score,
    interval_score,
    pinball_loss,
    variogram_score,
)

__all__ = [
    "Reliability",
    "brier_score",
    "coverage",
    "energy_score",
    "event_forecasts",
    "interval_score",
    "murphy",
    "pinball_loss",
    "reliability",
    "variogram_score",
]
