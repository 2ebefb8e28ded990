"""Autoregressions as candidates: shrunk, with lags that follow from the seasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from arproc.models.panel.data import PanelData
from arproc.models.panel.fitted import FittedSeries
from arproc.models.panel.prediction import predict
from arproc.models.panel.settings import settings_of
from arproc.models.panel.together import FittedTogether

__all__ = ["fit", "forecasts", "lags_of"]

_CYCLES = 20  # of a season, that lags at it are worth
_VALUES = 60  # that any lags are worth


def lags_of(lengths: np.ndarray, periods: Sequence[int]) -> list[list[int]]:
    """The lags of each candidate; none where the series are short.

    Example:
        >>> lags_of(np.array([100, 120]), [])
        [[1, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]]
        >>> lags_of(np.array([100, 120]), [12])
        []
    """
    typical = float(np.median(lengths))
    if not periods:
        return [[1, 2], list(range(1, 13))] if typical >= _VALUES else []
    short, long = periods[0], periods[-1]
    if typical < _CYCLES * short:
        return []
    near = sorted({1, 2} | {s + i for s in periods for i in (0, 1)})
    whole = sorted({*range(short, long + 1, short), 2 * long, 3 * long})
    return [near, whole, [*periods, 2 * long], list(range(1, long + 1))]


def fit(table: PanelData, lags: Sequence[Sequence[int]]) -> list[FittedSeries]:
    """Each candidate fitted to all series; with the status of those that have no fit."""
    from arproc.models.autoregression.ar import AR

    found: list[FittedSeries] = []
    for one in lags:
        process = AR(list(one), method="ols", initial="given", ridge="marginal")
        settings = settings_of(process)
        assert settings is not None
        found.append(FittedTogether.fit(process, settings, table, False).without_covariances())
    return found


def forecasts(
    fitted: FittedSeries, table: PanelData, horizon: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of what follows, nan without a fit or beyond reach.

    An estimate with a root outside the unit circle may forecast well, but its variance explodes:
    what leaves the values so far by more than twice their range is no forecast.

    Returns:
        Two arrays [N, horizon].
    """
    assert isinstance(fitted, FittedTogether)
    mean, deviation = np.full((2, len(table), horizon), np.nan)
    rows = np.flatnonzero([one == "ok" for one in fitted.status])
    if not len(rows):
        return mean, deviation
    part = replace(table.select(rows), indexes=())
    settings, estimates = fitted.settings, fitted.estimates
    made = predict(
        part, settings.lags, settings.stationary, estimates.parameters[rows],
        estimates.mean[rows], horizon,
    )  # fmt: skip
    low = np.fmin.reduceat(part.values, part.offsets[:-1])[:, None]
    high = np.fmax.reduceat(part.values, part.offsets[:-1])[:, None]
    with np.errstate(invalid="ignore"):
        spread = np.sqrt(made.variance)
        tame = (made.mean + spread <= high + 2 * (high - low)) & (
            made.mean - spread >= low - 2 * (high - low)
        )
    good = made.begun & tame.all(axis=1)
    mean[rows[good]], deviation[rows[good]] = made.mean[good], spread[good]
    return mean, deviation
