"""Which origins a backtest has, and where models are fitted anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from arproc.errors import DataError, ParameterError, check_count
from arproc.evaluation.backtests.timeline import Timeline

__all__ = ["Plan", "Refit", "check_refit", "plan"]

#: Every how many origins a model is fitted anew; or at the first alone, or not at all.
Refit = int | Literal["once", "never"]


@dataclass(frozen=True)
class Plan:
    """The origins, as steps of the axis: what is known at origin o are the steps before o.

    Attributes:
        origins: increasing int64 [K].
        horizon: how many steps are forecast.
        least: how many values a series must have before it is forecast, or fitted.
        window: how many of the last values a fit gets; None for all.
        every: every how many origins there is a fit; None for none.
    """

    origins: np.ndarray
    horizon: int
    least: int
    window: int | None
    every: int | None

    def fits_at(self, k: int) -> int | None:
        """The number of the origin at which the law of origin k was fitted."""
        return None if self.every is None else k - k % self.every

    def first(self, k: int) -> int:
        """The first step of the axis that the histories of origin k begin with.

        They begin where the data of the fit did, which is where t = 0 is for trends.
        """
        if self.window is None:
            return 0
        fitted = self.fits_at(k)
        return max(0, int(self.origins[k if fitted is None else fitted]) - self.window)

    def ready(self, series: Timeline, k: int) -> np.ndarray:
        """The series that are fitted, or forecast, at origin k: those with enough values, [n]."""
        origin = int(self.origins[k])
        here = np.minimum(origin, series.ends) - np.maximum(self.first(k), series.begins)
        before = np.minimum(origin, series.ends) - series.begins
        return np.flatnonzero((before >= self.least) & (here > 0))

    def scored(self, series: Timeline, k: int) -> np.ndarray:
        """Those of them of which something came after origin k, [n]."""
        rows = self.ready(series, k)
        return rows[series.ends[rows] > int(self.origins[k])]


def plan(
    series: Timeline, horizon: int, step: int, start: Any, window: int | None, refit: Refit
) -> Plan:
    """The origins from `start` to the last one that all steps of the horizon have come after."""
    horizon = check_count("horizon", horizon, minimum=1)
    step = check_count("step", step, minimum=1)
    window = None if window is None else check_count("window", window, minimum=1)
    length = int(series.ends.max())
    if start is None:
        first = least = max(1, length // 2)
    elif isinstance(start, (int, np.integer)) and not isinstance(start, bool):
        first = least = check_count("start", start, minimum=1)
    else:
        first, least = series.step_of(start) + 1, 1
    last = length - horizon
    if last < 1:
        raise DataError(
            f"the series span {length} steps, which have no room for a horizon of {horizon} and a "
            f"value before it; expected a horizon of at most {length - 1}."
        )
    if not 1 <= first <= last:
        raise DataError(
            f"the series span {length} steps, and the first of the forecasts would be made after "
            f"{first} of them for {horizon} more; expected a start of 1 to {last}, or a shorter "
            "horizon."
        )
    origins = np.arange(first, last + 1, step, dtype=np.int64)
    return Plan(origins, horizon, least, window, _every(refit, len(origins)))


def check_refit(refit: Any) -> Refit:
    """Return `refit`, or raise `ParameterError`; True is at every origin, False but once."""
    if isinstance(refit, bool):
        return 1 if refit else "once"
    if isinstance(refit, str):
        if refit in ("once", "never"):
            return refit  # type: ignore[return-value]
        raise ParameterError(
            f"refit must be a number of origins, 'once' or 'never'; got {refit!r}."
        )
    return check_count("refit", refit, minimum=1)


def _every(refit: Refit, count: int) -> int | None:
    if isinstance(refit, str):
        return None if refit == "never" else count
    return refit
