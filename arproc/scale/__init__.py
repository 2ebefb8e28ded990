"""Panels larger than a machine's memory: partitions of whole series, from file to file."""

from __future__ import annotations

from arproc.scale.forecasts import Forecasted, forecast_file

__all__ = ["Forecasted", "forecast_file"]
