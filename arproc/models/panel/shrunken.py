"""Ridge regressions of every series of a panel at once."""

from __future__ import annotations

import numpy as np

from arproc.models.panel.data import PanelData
from arproc.models.panel.estimates import Estimates, empty, in_threads, time_columns
from arproc.models.panel.estimation import care
from arproc.models.panel.prediction import predict
from arproc.models.panel.settings import Settings

__all__ = ["estimate_shrunken", "report", "scaled_products"]

_BLOCK = 2**23  # numbers in the sums of products that are held at once


def scaled_products(
    table: PanelData, rows: np.ndarray, lags: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sums of products of some series, each brought to mean 0 and size 1.

    Returns:
        Sums over the lags, the columns and last the target [n, k + q + 1, k + q + 1], the number
        of rows that they are over [n], what was taken off [n, q], and what was divided by [n].
    """
    from arproc.models.panel import normal_equations

    part = table if len(rows) == len(table) else table.select(rows)
    m, q = len(lags) + len(columns) + 1, len(columns)
    gram, counts = np.zeros((len(rows), m, m)), np.zeros(len(rows), np.int64)
    center, unit = np.zeros((len(rows), q)), np.ones(len(rows))

    def job(begin: int, end: int) -> None:
        normal_equations.products(
            part.values, part.offsets, begin, end, lags, columns, gram, counts, center, unit
        )

    in_threads(job, len(rows), len(part.values) * len(lags))
    return gram, counts, center, unit


def estimate_shrunken(table: PanelData, settings: Settings) -> Estimates:
    """Fit every series by least squares with a ridge penalty, whose strength may be its own."""
    lags, one = settings.lags, settings.one
    columns, span = time_columns(settings.trend, int(table.lengths.max(initial=1)))
    found = empty(len(table), len(lags), len(columns))
    size = max(1, _BLOCK // (len(lags) + 3) ** 2)
    for begin in range(0, len(table), size):
        rows = np.arange(begin, min(begin + size, len(table)))
        _fit_block(found, rows, table, lags, columns, span, one.ridge)
    return _finish(found, table, settings)


def _fit_block(
    found: Estimates,
    rows: np.ndarray,
    table: PanelData,
    lags: np.ndarray,
    columns: np.ndarray,
    span: float,
    strength: float | str,
) -> None:
    from arproc.models.autoregression.ridge import Sums, ridge, strength_of

    gram, counts, center, unit = scaled_products(table, rows, lags, columns)
    q = len(columns)
    good = counts > q + 1
    rows, gram, counts = rows[good], gram[good], counts[good]
    if not len(rows):
        return
    sums = Sums(gram[:, :-1, :-1], gram[:, -1, :-1], gram[:, -1, -1], counts)
    free = np.arange(len(lags) + q) >= len(lags)
    chosen = strength_of(sums, free) if strength == "marginal" else float(strength)
    fits = ridge(sums, free, chosen)
    k = np.arange(len(free))
    sums.gram[:, k, k] += fits.penalty
    report(
        found, rows, fits.coef, np.linalg.inv(sums.gram), fits.squares / counts, counts, lags,
        center[good], unit[good], span,
    )  # fmt: skip
    found.strength[rows] = fits.strength
    found.effective[rows] = fits.effective + 1
    well = fits.squares > 1e-13 * sums.total
    found.done[rows[well]] = True


def report(
    found: Estimates,
    rows: np.ndarray,
    theta: np.ndarray,
    inverse: np.ndarray,
    sigma2: np.ndarray,
    counts: np.ndarray,
    lags: np.ndarray,
    center: np.ndarray,
    unit: np.ndarray,
    span: float,
) -> None:
    """Put estimates of the scaled series into their own unit."""
    from arproc.models.panel import least_squares

    parts = [np.empty((len(rows), *part.shape[1:])) for part in (
        found.parameters, found.mean, found.covariance)]  # fmt: skip
    least_squares.rescale(
        np.ascontiguousarray(theta), np.ascontiguousarray(inverse), sigma2, counts, lags, center,
        unit, span, *parts,
    )  # fmt: skip
    found.parameters[rows], found.mean[rows], found.covariance[rows] = parts


def _finish(found: Estimates, table: PanelData, settings: Settings) -> Estimates:
    """Likelihoods; and the series that could not be done together, one by one."""
    lags, stationary, one = settings.lags, settings.stationary, settings.one
    seen = predict(table, lags, stationary, found.parameters, found.mean, 0)
    found.log_likelihood[:], found.used[:] = seen.log_likelihood, seen.counts
    for i in np.flatnonzero(~(found.done & seen.begun)).tolist():
        found.status[i] = care(found, i, table, lags, one)
    return found
