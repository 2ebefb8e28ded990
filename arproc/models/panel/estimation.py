"""Estimates of every series of a panel at once.

Compiled loops fit the series that are in good order. The few that need more care (ill-conditioned
ones, exact likelihoods with gaps) are fitted one by one, and so are those that have no fit, for
their reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arproc.errors import ArprocError
from arproc.models.panel.coming import about_constants
from arproc.models.panel.data import PanelData
from arproc.models.panel.estimates import Estimates, empty, in_threads, time_columns
from arproc.models.panel.prediction import predict
from arproc.models.panel.pushes import pushes_of, without_pushes
from arproc.models.panel.settings import Settings

__all__ = ["care", "estimate"]


def estimate(table: PanelData, settings: Settings) -> Estimates:
    """Fit every series, with nothing that shrinks its parameters."""
    n, lags, stationary = len(table), settings.lags, settings.stationary
    columns, span = time_columns(settings.trend, int(table.lengths.max(initial=1)))
    k, one, method = len(lags), settings.one, settings.method
    beside = table.covariates if settings.width else None
    covariates = np.empty((len(table.values), 0)) if beside is None else beside
    covariates = np.ascontiguousarray(covariates)
    found = empty(n, k, len(columns), covariates.shape[1])
    status = np.zeros(n, np.int8)
    out = (
        found.parameters, found.mean, found.log_likelihood, found.used, found.covariance,
        found.beta,
    )  # fmt: skip
    from arproc.compiled.interpreted import suited
    from arproc.models.panel.least_squares import GAPS, HARD

    width = len(columns) + covariates.shape[1]
    work = 50 * n * (k + width + 1) ** 2 + len(table.values) * (1 + covariates.shape[1])

    if method == "ols":
        from arproc.models.panel import least_squares

        kernels = suited(least_squares, work)

        def job(begin: int, end: int) -> None:
            kernels.fit(
                table.values, table.offsets, begin, end, lags, columns, span, stationary,
                covariates, *out, status,
            )  # fmt: skip
    else:
        from arproc.models.panel import exact

        kernels = suited(exact, work)

        def job(begin: int, end: int) -> None:
            kernels.fit(
                table.values, table.offsets, begin, end, k, columns, span, covariates, *out,
                status,
            )  # fmt: skip

    in_threads(job, n, len(table.values))
    for i in np.flatnonzero(status == HARD).tolist():
        found.status[i] = care(found, i, table, lags, one)
    gaps = np.flatnonzero(status == GAPS)
    if len(gaps):
        _filter_gaps(found, gaps, table, settings)
    return found


def _filter_gaps(found: Estimates, rows: np.ndarray, table: PanelData, settings: Settings) -> None:
    """The likelihoods of series with gaps, and of how many values they are."""
    lags, some = settings.lags, table.select(rows)
    pushes = pushes_of(some, found.beta[rows])
    some, _ = without_pushes(some, pushes, settings, found.parameters[rows])
    seen = predict(some, lags, settings.stationary, found.parameters[rows], found.mean[rows], 0)
    found.log_likelihood[rows], found.used[rows] = seen.log_likelihood, seen.counts
    for i in rows[~seen.begun].tolist():
        found.drop(i)
        found.status[i] = (
            f"some of its first {lags[-1]} values, which are given, are missing; cut them off, or "
            "use initial='stationary'"
        )


def care(found: Estimates, i: int, table: PanelData, lags: np.ndarray, one: Any) -> str:
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
        model.fit(row, context=table.context(i) if found.beta.shape[1] else None)
    except ArprocError as error:
        return f"{error}{about_constants(table, i)}"
    found.parameters[i] = [model.intercept_, model.drift_, *model.coef_[lags - 1], model.sigma2_]
    found.mean[i] = model.mean_, model.slope_
    found.covariance[i] = model.covariance_
    found.log_likelihood[i], found.used[i] = model.log_likelihood_, model.n_observations_
    if found.beta.shape[1]:
        found.beta[i] = model.beta_
    found.strength[i], found.effective[i] = model.ridge_, model.n_effective_
    return "ok"
