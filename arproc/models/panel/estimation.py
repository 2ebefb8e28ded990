"""Estimates of every series of a panel at once.

Compiled loops fit the series that are in good order. The few that need more care (ill-conditioned
ones, roots near the edge) are fitted one by one, and so are those that have no fit, for their
reason. Exact likelihoods with gaps are those of `arproc.gaussian.arma_regression`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arproc.errors import ArprocError
from arproc.gaussian.arma import Orders
from arproc.gaussian.arma_regression import fit_each
from arproc.models.panel.coming import about_constants
from arproc.models.panel.data import PanelData
from arproc.models.panel.estimates import Estimates, empty, in_threads, time_columns
from arproc.models.panel.prediction import predict
from arproc.models.panel.pushes import pushes_of, without_pushes
from arproc.models.panel.settings import MOMENTS, Settings

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
    elif method in MOMENTS:
        from arproc.models.panel import autocovariances

        kernels = suited(autocovariances, 2 * work + 2 * len(table.values) * (settings.order + 1))

        def job(begin: int, end: int) -> None:
            kernels.fit(
                table.values, table.offsets, begin, end, lags, columns, span,
                MOMENTS.index(method), found.parameters, found.mean, found.covariance, status,
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
    hard = np.flatnonzero(status == HARD)
    if method == "mle" and table.gaps:
        hard = _with_gaps(found, hard, table, settings)
    for i in hard.tolist():
        found.status[i] = care(found, i, table, lags, one)
    unscored = np.flatnonzero(status == GAPS)
    if method in MOMENTS:  # their likelihoods are none of what they look at
        unscored = np.flatnonzero(status == 0)
    if len(unscored):
        _score(found, unscored, table, settings)
    return found


def _with_gaps(
    found: Estimates, rows: np.ndarray, table: PanelData, settings: Settings
) -> np.ndarray:
    """Fit those of the series that have gaps, by exact likelihood; gives the others, int64.

    Where a maximum is near the edge of the stationary laws, or is none, more care is needed.
    """
    q, k = settings.n_columns, len(settings.lags)
    powers, problems, which = np.arange(q), [], []
    for i in rows.tolist():
        x = table.row(i)
        if not np.isnan(x).any():
            continue
        columns = np.arange(float(len(x)))[:, None] ** powers
        if settings.width and table.covariates is not None:
            first, stop = table.offsets[i : i + 2]
            columns = np.concatenate([columns, table.covariates[first:stop]], axis=1)
        problems.append([(x, columns)])
        which.append(i)
    if not which:
        return rows
    names = [*settings.line_names, *(table.covariate_names if settings.width else ())]
    made = fit_each(Orders(k, 0, 0, 0, 0, 0, 0), problems, names)
    good = np.isfinite(made.covariance).all(axis=(1, 2))
    kept = np.array(which)[good]
    coef, lags, found.mean[kept] = made.coef[good], settings.lags, 0.0
    found.mean[kept, :q] = made.beta[good, :q]
    found.beta[kept] = made.beta[good, q:]
    level, rise = found.mean[kept].T
    left = 1 - coef.sum(axis=1)
    found.parameters[kept, 0] = level * left + rise * (coef @ lags)
    found.parameters[kept, 1] = rise * left
    found.parameters[kept, 2:] = np.concatenate([coef, made.sigma2[good, None]], axis=1)
    found.covariance[kept], found.used[kept] = made.covariance[good], made.used[good]
    found.log_likelihood[kept] = made.log_likelihood[good]
    return np.setdiff1d(rows, kept)


def _score(found: Estimates, rows: np.ndarray, table: PanelData, settings: Settings) -> None:
    """The likelihoods of series, with gaps or not, and of how many values they are."""
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
