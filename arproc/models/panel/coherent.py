"""Forecasts of a panel whose series are sums of one another, made to add up path by path.

Means are reconciled by the linear map of `arproc.reconcile`. For quantiles, paths of every series
are drawn from its own law and put together so that they go with one another as the series' last
one-step errors did: at each step the draws of a series are reordered by normal scores that have
the errors' (shrunk) correlations, which leaves every marginal law as it is (after Jeon,
Panagiotelis and Petropoulos 2019, Probabilistic forecast reconciliation with applications to wind
power and electric load, EJOR 279). Each path is then reconciled, and so adds up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from scipy.special import ndtri

from arproc.data.table_forms import TableForm
from arproc.errors import DataError, check_choice
from arproc.forecasting.reconciliation import (
    METHODS,
    in_order,
    reconciliation_matrix,
    shrunk_covariance,
)
from arproc.models.panel.data import PanelData

__all__ = ["as_quantiles", "coherent_paths", "last_errors"]

_MOST = 50  # of the last steps whose errors count


class Drawn(Protocol):
    """A panel, of which forecasts and paths can be had."""

    def forecast(
        self, horizon: int, quantiles: tuple[float, ...] = ..., *, history: Any = None
    ) -> Any:
        """A table of what follows."""

    def paths_of(self, table: PanelData, horizon: int, n: int, seed: int) -> np.ndarray:
        """Draws of what follows, [N, n, horizon]."""


def last_errors(model: Drawn, table: PanelData) -> np.ndarray:
    """The errors of forecasts of one step, over the last steps of all series together, [T, N].

    Raises:
        DataError: the series do not end at the same step, or are too short.
    """
    ends = {index[-1] for i in range(len(table)) if (index := table.index(i)) is not None}
    if len(ends) > 1:
        raise DataError(
            f"the series end at different steps ({', '.join(map(str, list(ends)[:3]))}); those of "
            "a hierarchy must end together. Cut them to the same end."
        )
    steps = int(min(_MOST, table.lengths.min() // 2))
    if steps < 3:
        i = int(np.argmin(table.lengths))
        raise DataError(
            f"series {table.names[i]!r} has {table.lengths[i]} values; expected 6 or more, whose "
            "errors say how the series go together."
        )
    found = np.empty((steps, len(table)))
    for t in range(steps):
        before = _without_last(table, steps - t)
        made = model.forecast(1, (0.5,), history=before).to_numpy()
        actual = table.values[table.offsets[1:] - (steps - t)]
        found[t] = actual - made[:, 0]
    return found


def _without_last(table: PanelData, count: int) -> PanelData:
    """The series without their last values."""
    keep = np.arange(len(table.values)) < np.repeat(table.offsets[1:] - count, table.lengths)
    offsets = np.concatenate([[0], np.cumsum(table.lengths - count)]).astype(np.int64)
    indexes = tuple(index[:-count] for index in table.indexes)
    return PanelData(
        table.values[keep], offsets, table.names, table.named, indexes, table.gaps, table.first
    )


def coherent_paths(
    model: Drawn,
    table: PanelData,
    summing: Any,
    horizon: int,
    method: str,
    n: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Means [N, horizon] and paths [N, n, horizon] that add up.

    Args:
        model: the panel, every series of which has a fit.
        table: what is known, the series in the order of the model.
        summing: how they add up, see `reconcile`.
        horizon: how many steps.
        method: see `reconcile`.
        n: how many paths.
        seed: of the draws.
    """
    check_choice("method", method, METHODS)
    matrix, bottom = in_order(summing, list(table.names), len(table))
    errors = last_errors(model, table)
    known = errors[~np.isnan(errors).any(axis=1)]
    if len(known) < 2:
        raise DataError(
            "fewer than two of the last steps have a value in every series; fill the gaps of the "
            "series that others are sums of."
        )
    projection = reconciliation_matrix(matrix, method, known, bottom)
    plain = replace(table, form=TableForm())  # whatever the user's tables are made of
    means = model.forecast(horizon, (0.5,), history=plain).to_numpy()
    draws = model.paths_of(table, horizon, n, seed)
    joined = _together(draws, known)
    return (
        projection @ means[:, 0].reshape(len(table), horizon),
        np.einsum("ij,jnh->inh", projection, joined),
    )


def _together(draws: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Each series' draws [N, n, horizon] in an order in which they go with those of the others.

    Normal scores of the draws, step by step, are mixed by the root of the errors' correlations,
    and the draws of a series and step then put in the order of its mixed scores.
    """
    covariance = shrunk_covariance(errors)[0]
    scale = np.sqrt(np.diag(covariance))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    n = draws.shape[1]
    scores = ndtri((_ranks(draws) + 0.5) / n)
    mixed = _ranks(np.einsum("ij,jnh->inh", root, scores))
    return np.take_along_axis(np.sort(draws, axis=1), mixed, axis=1)


def _ranks(values: np.ndarray) -> np.ndarray:
    """The ranks among the draws, of each series and step, [N, n, horizon]."""
    return np.argsort(np.argsort(values, axis=1, kind="stable"), axis=1, kind="stable")


def as_quantiles(paths: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Quantiles of paths [N, n, horizon], [N, horizon, levels]."""
    return np.moveaxis(np.quantile(paths, levels, axis=1), 0, -1)
