"""Scores and diagrams of probabilistic forecasts, whoever made them."""

from arproc.evaluation.verification.murphy import murphy
from arproc.evaluation.verification.reliability import Reliability, event_forecasts, reliability

__all__ = ["Reliability", "event_forecasts", "murphy", "reliability"]
