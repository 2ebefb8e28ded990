"""Likelihoods of every series of a panel, and normal forecasts of what follows, at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from arproc.models.panel.data import PanelData
from arproc.models.panel.estimates import in_threads

__all__ = ["Prediction", "predict", "tails"]


class Prediction(NamedTuple):
    """What `predict` finds.

    Attributes:
        log_likelihood: of each series, nats [N].
        counts: of how many values that is, int64 [N].
        mean: of the next values, [N, horizon].
        variance: theirs, [N, horizon].
        begun: whether the given first values are all there, [N].
    """

    log_likelihood: np.ndarray
    counts: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    begun: np.ndarray


def predict(
    table: PanelData,
    lags: np.ndarray,
    stationary: bool,
    parameters: np.ndarray,
    mean: np.ndarray,
    horizon: int,
    positions: np.ndarray | None = None,
) -> Prediction:
    """Log-likelihoods and forecasts, exact with gaps too.

    Args:
        table: the series.
        lags: the lags, increasing [k].
        stationary: whether the first values have their stationary law; they are given otherwise.
        parameters: (constant, drift, coefficients, sigma2) of each, [N, 2 + k + 1].
        mean: level and slope of the mean of each, [N, 2].
        horizon: how many values are forecast, 0 or more.
        positions: how many values came before the first, int64 [N]; see `tails`.
    """
    from arproc.compiled.interpreted import suited
    from arproc.models.panel import filtering

    n = len(table)
    found = Prediction(
        np.full(n, np.nan),
        np.zeros(n, np.int64),
        np.full((n, horizon), np.nan),
        np.full((n, horizon), np.nan),
        np.zeros(n, bool),
    )
    at = np.zeros(n, np.int64) if positions is None else positions
    status = np.zeros(n, np.int8)
    values, offsets = np.ascontiguousarray(table.values), table.offsets
    parameters, mean = np.ascontiguousarray(parameters), np.ascontiguousarray(mean)

    steps = (len(values) + n * horizon) * (2 + int(lags.max(initial=0))) ** 2
    kernels = suited(filtering, steps)

    def job(begin: int, end: int) -> None:
        kernels.run(
            values, offsets, at, begin, end, lags, stationary, parameters, mean,
            found.log_likelihood, found.counts, found.mean, found.variance, status,
        )  # fmt: skip

    in_threads(job, n, len(values) + n * horizon * max(len(lags), 1))
    return found._replace(begun=status == 0)


def tails(table: PanelData, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a forecast needs of each series: its last `order` values, or more where some are gaps.

    Returns:
        Which values [v], offsets [N + 1] and how many values came before, [N].
    """
    lengths = table.lengths
    keep = np.minimum(lengths, order)
    if table.gaps:
        gone = np.concatenate([[0], np.cumsum(np.isnan(table.values))])
        torn = gone[table.offsets[1:]] > gone[table.offsets[1:] - keep]
        keep = np.where(torn, lengths, keep)
    offsets = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
    at = np.repeat(table.offsets[1:] - keep - offsets[:-1], keep)
    return np.arange(int(offsets[-1])) + at, offsets, lengths - keep
