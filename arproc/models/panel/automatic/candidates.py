"""What all candidates say of what follows each series, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from arproc.models.panel.automatic import autoregressions as ar
from arproc.models.panel.automatic.effects import Regressed, without
from arproc.models.panel.automatic.smoothing import FAMILIES, Ahead, ahead, known_of, scaled
from arproc.models.panel.data import PanelData
from arproc.models.panel.fitted import FittedSeries

__all__ = ["NAIVE", "Frame", "forecasts", "in_scale", "on_users_scale", "usable"]

#: Which candidate is the naive forecast.
NAIVE = FAMILIES.index("walk")


class Frame(NamedTuple):
    """What is settled of a panel before anything is fitted to it.

    Attributes:
        periods: the seasons' lengths, increasing.
        horizon: how many of the last values choose.
        lags: of the autoregressions among the candidates.
    """

    periods: list[int]
    horizon: int
    lags: list[list[int]]


def forecasts(
    table: PanelData,
    log: np.ndarray,
    periods: Sequence[int],
    left_out: np.ndarray,
    horizon: int,
    fits: Sequence[FittedSeries],
    beside: Regressed | None = None,
) -> Ahead:
    """Means, deviations and shocks of all candidates in the series' scales, [N, K, horizon].

    Where there are covariates each candidate is there twice: of the series as they are, and of
    what the covariates leave of them.

    Args:
        table: the panel.
        log: of which series the logarithms are modelled, bool [N].
        periods: the seasons' lengths.
        left_out: how many of the last values of each are not known, int64 [N].
        horizon: how many steps.
        fits: of the autoregressions, to what is known.
        beside: the covariates, if any.
    """
    made = _plain(table, log, periods, left_out, horizon, fits)
    if beside is None:
        return made
    rest = without(table, log, beside.beta, beside.base)
    other = _plain(rest, log, periods, left_out, horizon, beside.fits)
    other.mean[:] += np.einsum("nhc,nc->nh", beside.after - beside.base[:, None], beside.beta)[
        :, None
    ]
    return _joined([made, other])


def _plain(
    table: PanelData,
    log: np.ndarray,
    periods: Sequence[int],
    left_out: np.ndarray,
    horizon: int,
    fits: Sequence[FittedSeries],
) -> Ahead:
    """The candidates that know nothing of covariates; see `forecasts`."""
    own = scaled(table, log, periods, left_out)
    made = ahead(own, scaled(table, np.zeros_like(log), periods, left_out), horizon)
    if not fits:
        return made
    known, parts = in_scale(table, log, left_out), [made]
    shocks = made.shocks[:, FAMILIES.index("level"), None]
    for one in fits:
        mean, deviation = ar.forecasts(one, known, horizon)
        parts.append(Ahead(mean[:, None], deviation[:, None], shocks))
    return _joined(parts)


def _joined(parts: Sequence[Ahead]) -> Ahead:
    """The candidates of several tables in one."""
    return Ahead(*(np.concatenate(part, axis=1) for part in zip(*parts, strict=True)))


def in_scale(table: PanelData, log: np.ndarray, left_out: np.ndarray) -> PanelData:
    """The series without their last values, in their scales."""
    logged = np.repeat(log, table.lengths)
    values = np.where(logged, np.log(np.where(logged, table.values, 1.0)), table.values)
    known = known_of(table, left_out)
    offsets = np.concatenate([[0], np.cumsum(table.lengths - left_out)]).astype(np.int64)
    beside = None if table.covariates is None else table.covariates[known]
    return PanelData(
        values[known], offsets, table.names, True, (), table.gaps, covariates=beside,
        covariate_names=table.covariate_names,
    )  # fmt: skip


def on_users_scale(made: np.ndarray, log: np.ndarray) -> np.ndarray:
    """Medians [N, K, h] on the scale of the data."""
    found = made.copy()
    with np.errstate(over="ignore"):
        np.exp(made, out=found, where=log[:, None, None])
    return found


def usable(weights: np.ndarray, made: np.ndarray) -> np.ndarray:
    """The weights of candidates that have forecasts, adding up to one where there are any."""
    kept = np.where(np.isnan(made).any(axis=2), 0.0, weights)
    lost = (kept.sum(axis=1) == 0) & (weights.sum(axis=1) > 0)
    kept[lost] = ~np.isnan(made[lost]).any(axis=2)
    total = kept.sum(axis=1, keepdims=True)
    return np.where(total > 0, kept / np.maximum(total, 1e-300), 0.0)
