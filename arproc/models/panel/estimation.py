"""Estimates of every series of a panel at once.

Compiled loops fit the series that are in good order. The few that need more care (ill-conditioned
ones, exact likelihoods with gaps) are fitted one by one, and so are those that have no fit, for
their reason.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from arproc.errors import ArprocError
from arproc.models.panel.data import Table
from arproc.models.panel.settings import Settings

__all__ = ["Estimates", "care", "empty", "estimate", "in_threads", "time_columns"]

_SMALL = 200_000  # values; below, a second thread costs more than it saves


@dataclass
class Estimates:
    """The parameters of N autoregressions with the same lags.

    Attributes:
        parameters: (constant, drift, coefficients of the lags, sigma2), [N, 2 + k + 1].
        mean: level and slope of the mean; nan where a unit root leaves none. [N, 2]
        log_likelihood: nats [N].
        used: of how many values that is, int64 [N].
        covariance: of the constant and the drift as far as they were estimated (or of level and
            slope, where the mean was), the coefficients and sigma2, [N, k + q + 1, k + q + 1].
        status: "ok", or why there is no fit, [N].
        strength: of a ridge penalty, [N].
        effective: the effective number of parameters, [N].
        done: whether the series were fitted together with others, [N].
    """

    parameters: np.ndarray
    mean: np.ndarray
    log_likelihood: np.ndarray
    used: np.ndarray
    covariance: np.ndarray
    status: list[str]
    strength: np.ndarray
    effective: np.ndarray
    done: np.ndarray

    def drop(self, i: int) -> None:
        """Series i has no fit."""
        self.parameters[i], self.mean[i], self.covariance[i] = np.nan, np.nan, np.nan
        self.log_likelihood[i], self.used[i] = np.nan, 0


def empty(n: int, k: int, q: int) -> Estimates:
    """Room for n series, k lags and q columns."""
    return Estimates(
        np.empty((n, k + 3)),
        np.empty((n, 2)),
        np.empty(n),
        np.zeros(n, np.int64),
        np.empty((n, k + q + 1, k + q + 1)),
        ["ok"] * n,
        np.zeros(n),
        np.full(n, k + q + 1.0),
        np.zeros(n, dtype=bool),
    )


def in_threads(job: Callable[[int, int], None], count: int, size: int) -> None:
    """Run `job(begin, end)` over 0 ... count, in parts on as many threads as torch is given.

    Args:
        job: compiled code that does not hold the interpreter's lock.
        count: how many series there are.
        size: how many values.
    """
    threads = min(torch.get_num_threads(), count) if size > _SMALL else 1
    if threads <= 1:
        job(0, count)
        return
    # more parts than threads: one that is held up leaves its parts to the others
    parts = min(4 * threads, count)
    bounds = np.linspace(0, count, parts + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(job, bounds[:-1], bounds[1:]))


def time_columns(trend: str, longest: int) -> tuple[np.ndarray, float]:
    """The trend's columns by position: none, 1, or 1 and t / span, [q, longest]; and the span."""
    q, span = {"n": 0, "c": 1, "ct": 2}[trend], float(max(longest - 1, 1))
    columns = np.ones((q, longest))
    if q == 2:
        columns[1] = np.arange(longest) / span
    return columns, span


def estimate(table: Table, settings: Settings) -> Estimates:
    """Fit every series, with nothing that shrinks its parameters."""
    n, lags, stationary = len(table), settings.lags, settings.stationary
    columns, span = time_columns(settings.trend, int(table.lengths.max(initial=1)))
    k, one, method = len(lags), settings.one, settings.method
    found = empty(n, k, len(columns))
    status = np.zeros(n, np.int8)
    out = (found.parameters, found.mean, found.log_likelihood, found.used, found.covariance)
    from arproc.models.panel.least_squares import GAPS, HARD

    if method == "ols":
        from arproc.models.panel import least_squares

        def job(begin: int, end: int) -> None:
            least_squares.fit(
                table.values, table.offsets, begin, end, lags, columns, span, stationary, *out,
                status,
            )  # fmt: skip
    else:
        from arproc.models.panel import exact

        def job(begin: int, end: int) -> None:
            exact.fit(
                table.values, table.offsets, begin, end, k, columns, span, *out, status
            )  # fmt: skip

    in_threads(job, n, len(table.values))
    for i in np.flatnonzero(status == HARD).tolist():
        found.status[i] = care(found, i, table, lags, one)
    gaps = np.flatnonzero(status == GAPS)
    if len(gaps):
        _filter_gaps(found, gaps, table, lags, stationary)
    return found


def _filter_gaps(
    found: Estimates, rows: np.ndarray, table: Table, lags: np.ndarray, stationary: bool
) -> None:
    """The likelihoods of series with gaps, and of how many values they are."""
    from arproc.models.panel.prediction import predict

    seen = predict(
        table.select(rows), lags, stationary, found.parameters[rows], found.mean[rows], 0
    )
    found.log_likelihood[rows], found.used[rows] = seen.log_likelihood, seen.counts
    for i in rows[~seen.begun].tolist():
        found.drop(i)
        found.status[i] = (
            f"some of its first {lags[-1]} values, which are given, are missing; cut them off, or "
            "use initial='stationary'"
        )


def care(found: Estimates, i: int, table: Table, lags: np.ndarray, one: Any) -> str:
    """Fit series i alone; what went wrong, or "ok"."""
    found.drop(i)
    row = table.row(i)
    if not len(row):
        return "all its values are missing"
    if one.method == "ols" and bool(np.isnan(row).any()):
        return (
            "its rows without a missing lag are too few, or collinear, or without innovations, or "
            "the coefficients that they give are not stationary; use method='mle', a lower order "
            "or fill the gaps"
        )
    model = one.clone()
    try:
        model.fit(row)
    except ArprocError as error:
        return str(error)
    found.parameters[i] = [model.intercept_, model.drift_, *model.coef_[lags - 1], model.sigma2_]
    found.mean[i] = model.mean_, model.slope_
    found.covariance[i] = model.covariance_
    found.log_likelihood[i], found.used[i] = model.log_likelihood_, model.n_observations_
    found.strength[i], found.effective[i] = model.ridge_, model.n_effective_
    return "ok"
