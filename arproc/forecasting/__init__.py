"""Forecasts: tables of marginals, and joint sample paths, of every process of numbers."""

from arproc.data.future import future_index
from arproc.forecasting.forecast import forecast, sample_paths

__all__ = ["forecast", "future_index", "sample_paths"]
