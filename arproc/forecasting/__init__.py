"""Forecasts: tables of marginals, and joint sample paths, of every process of numbers."""

from arproc.forecasting.forecast import forecast, sample_paths
from arproc.forecasting.index import future_index

__all__ = ["forecast", "future_index", "sample_paths"]
