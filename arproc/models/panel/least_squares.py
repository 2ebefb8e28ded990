"""Least squares of every series of a panel, compiled. Importing this imports numba.

The normal equations of a series come from lag sums taken while it lies in the cache, so the data
are read once.
"""

from __future__ import annotations

import math

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import jit
from arproc.gaussian.lag_products import gram_of
from arproc.gaussian.small_kernels import (
    cholesky,
    invert,
    log_determinant,
    mean_of,
    scale,
    start_terms,
    step_down,
)
from arproc.models.panel.normal_equations import beside, gram_with_gaps, scale_with_gaps, uncentre

__all__ = ["GAPS", "HARD", "fit", "rescale"]

#: Status of a series that needs the careful way: too short, constant, ill-conditioned ...
HARD = 1
#: Status of a series with gaps: it is estimated, and its likelihood needs a filter.
GAPS = 2
_CONDITION = 1e6
_LOG_2PI = math.log(2 * math.pi)


@jit
def _solve(gram: np.ndarray, size: np.ndarray, inverse: np.ndarray, theta: np.ndarray) -> float:
    """Solve the normal equations in `gram`, whose last row holds the right-hand side.

    Returns:
        The sum of squared residuals; nan where the equations are too badly conditioned.
    """
    m = len(theta)
    for i in range(m):
        size[i] = np.sqrt(gram[i, i])
        if not size[i] > 0:
            return np.nan
    for i in range(m):
        for j in range(i + 1):
            gram[i, j] /= size[i] * size[j]
    if not cholesky(gram, m, 0.0):
        return np.nan
    invert(gram, m, inverse)
    trace, total = 0.0, gram[m, m]
    for i in range(m):
        trace += inverse[i, i]
    if not trace <= _CONDITION * m:
        return np.nan
    squares = total
    for i in range(m):
        value = 0.0
        for j in range(m):
            inverse[i, j] /= size[i] * size[j]
            value += inverse[i, j] * gram[m, j]
        theta[i] = value
        squares -= value * gram[m, i]
    return squares if squares > 1e-7 * total else np.nan


@jit
def _own_unit(
    theta: np.ndarray,
    lags: np.ndarray,
    center: np.ndarray,
    size: float,
    scales: np.ndarray,
    inverse: np.ndarray,
    sigma2: float,
    used: int,
    span: float,
    line: np.ndarray,
    covariance: np.ndarray,
) -> None:
    """Constant and drift of the recursion, and the covariance, in the data's own unit.

    Args:
        theta: coefficients of the lags and of the columns.
        lags: the lags [k].
        center: what was taken off, in multiples of the trend's columns.
        size: what the series was divided by.
        scales: from the coefficients of the columns, the trend's first, to the data's unit, [q].
        inverse: the inverse of the normal equations.
        sigma2: the variance, in the scaled unit.
        used: how many elements it is the mean square of.
        span: the unit of time in the second column.
        line: where the constant and the drift go, [2].
        covariance: where the covariance of (constant, drift, coefficients, sigma2) goes.
    """
    k, q, trend = len(lags), len(scales), len(center)
    level = center[0] if trend else 0.0
    slope = center[1] / span if trend == 2 else 0.0
    left, weighted = 1.0, 0.0
    for i in range(k):
        left -= theta[i]
        weighted += lags[i] * theta[i]
    line[:] = 0.0
    if trend:
        line[0] = level * left + slope * weighted + size * theta[k]
    if trend == 2:
        line[1] = slope * left + size * theta[k + 1] / span
    for i in range(k):
        for j in range(k):
            covariance[q + i, q + j] = sigma2 * inverse[i, j]
    for a in range(q):  # d line / d theta: the centre enters through the coefficients
        own = scales[a]
        for j in range(k):
            value = own * inverse[k + a, j]
            for i in range(k):
                value += _change(a, lags[i], level, slope) * inverse[i, j]
            covariance[a, q + j] = covariance[q + j, a] = sigma2 * value
    for a in range(q):
        for b in range(a + 1):
            own, mine = scales[b], scales[a]
            value = own * mine * inverse[k + a, k + b]
            for i in range(k):
                value += own * _change(a, lags[i], level, slope) * inverse[i, k + b]
                value += _change(b, lags[i], level, slope) * covariance[a, q + i] / sigma2
            covariance[a, b] = covariance[b, a] = sigma2 * value
    m = k + q
    covariance[m, : m + 1] = 0.0
    covariance[: m + 1, m] = 0.0
    covariance[m, m] = 2.0 * (sigma2 * size * size) ** 2 / used


@jit
def _change(a: int, lag: int, level: float, slope: float) -> float:
    """The derivative of the constant (a = 0) or the drift (1) by the coefficient of a lag."""
    if a == 0:
        return slope * lag - level
    return -slope if a == 1 else 0.0


@jit
def fit(
    values: np.ndarray,
    offsets: np.ndarray,
    begin: int,
    end: int,
    lags: np.ndarray,
    columns: np.ndarray,
    span: float,
    stationary: bool,
    covariates: np.ndarray,
    parameters: np.ndarray,
    mean: np.ndarray,
    log_likelihood: np.ndarray,
    used: np.ndarray,
    covariance: np.ndarray,
    beta: np.ndarray,
    status: np.ndarray,
) -> None:
    """Fit the series begin ... end - 1.

    Args:
        values: all series, one after the other; nan where a value is missing.
        offsets: where each begins, int64 [N + 1].
        begin: the first series to fit.
        end: the one after the last.
        lags: the lags, increasing [k].
        columns: the regressors of the recursion by position: none, 1, or 1 and t / span, [q, T].
        span: the unit of time.
        stationary: whether the law of the first values is the stationary one; not with covariates.
        covariates: further regressors of the recursion, of each element, [total, c].
        parameters: (constant, drift, coefficients, sigma2) of each, [N, 2 + k + 1].
        mean: level and slope of the mean, [N, 2].
        log_likelihood: nats, [N].
        used: of how many values the likelihood is, int64 [N].
        covariance: of (constant and drift as far as there are, the covariates' coefficients, those
            of the lags, sigma2).
        beta: the covariates' coefficients, [N, c].
        status: 0 where all went well, GAPS or HARD elsewhere, int8 [N].
    """
    k, trend, width = len(lags), len(columns), covariates.shape[1]
    p, q = (lags[k - 1] if k else 0), trend + width
    m = k + q
    longest = columns.shape[1]
    y, center, line = np.empty(longest), np.zeros(trend), np.zeros(2)
    design, middle, extent = np.empty((q, longest)), np.zeros(width), np.ones(width)
    scales = np.ones(q)
    for a in range(trend):
        put(columns[a], design[a])
    gram, inverse = np.empty((m + 1, m + 1)), np.empty((m, m))
    theta, size, row = np.empty(m), np.empty(m), np.empty(m + 1)
    phi = np.zeros(p)
    levels = np.empty((p, p)) if stationary else np.empty((0, 0))
    for s in range(begin, end):
        status[s] = HARD
        x = values[offsets[s] : offsets[s + 1]]
        n = len(x)
        if n <= p:
            continue
        gaps = False
        unit = scale(x, columns, y, center)
        if unit != unit:
            gaps = True
            unit = scale_with_gaps(x, y, trend, center)
        if unit == 0.0:
            continue
        if width and not beside(
            covariates[offsets[s] : offsets[s + 1]], trend > 0, trend, design, middle, extent
        ):
            continue
        count = n - p
        if gaps:
            count = gram_with_gaps(y, n, lags, design, gram, row)
        else:
            gram_of(y, n, lags, design, gram)
        if count <= m:
            continue
        squares = _solve(gram, size, inverse, theta)
        if not squares > 0:
            continue
        sigma2 = squares / count
        for a in range(q):
            scales[a] = unit / (extent[a - trend] if a >= trend else span if a else 1.0)
        _own_unit(
            theta, lags, center, unit, scales, inverse, sigma2, count, span, line, covariance[s]
        )
        for j in range(width):
            beta[s, j] = scales[trend + j] * theta[k + trend + j]
            line[0] -= beta[s, j] * middle[j]
        if trend and width:
            uncentre(covariance[s], trend, middle)
        phi_sum, weighted = 0.0, 0.0
        for i in range(k):
            phi_sum += theta[i]
            weighted += lags[i] * theta[i]
        mean[s, 0], mean[s, 1] = mean_of(phi_sum, weighted, line[0], line[1])
        if stationary:
            for i in range(k):
                phi[lags[i] - 1] = theta[i]
            if p and not step_down(phi, levels) < 1.0:
                continue
            scaled = theta[k] if trend else 0.0, theta[k + 1] / span if trend == 2 else 0.0
            level, slope = mean_of(phi_sum, weighted, scaled[0], scaled[1])
            for t in range(0 if gaps else p):
                y[t] -= level + slope * t
            log_likelihood[s] = (
                np.nan
                if gaps
                else 0.5
                * (
                    log_determinant(levels, p)
                    - (squares + start_terms(y, levels, p)) / sigma2
                    - n * (_LOG_2PI + np.log(sigma2))
                )
                - n * np.log(unit)
            )
        else:
            log_likelihood[s] = -0.5 * count * (_LOG_2PI + np.log(sigma2) + 1) - count * np.log(
                unit
            )
        put(line, parameters[s])
        put(theta[:k], parameters[s, 2:])
        parameters[s, 2 + k] = sigma2 * unit * unit
        used[s] = n if stationary else count
        status[s] = GAPS if gaps else 0


@jit
def rescale(
    theta: np.ndarray,
    inverse: np.ndarray,
    sigma2: np.ndarray,
    counts: np.ndarray,
    lags: np.ndarray,
    center: np.ndarray,
    unit: np.ndarray,
    span: float,
    parameters: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
) -> None:
    """From the scaled series' units to their own, for every series; see `fit` for the results.

    Args:
        theta: coefficients of the lags and the columns, [N, k + q].
        inverse: their covariances over sigma2, [N, k + q, k + q].
        sigma2: innovation variances, [N].
        counts: of how many errors these are the mean squares, [N].
        lags: the lags [k].
        center: see `products`.
        unit: see `products`.
        span: the unit of time in the second column.
        parameters: result.
        mean: result.
        covariance: result.
    """
    k, line, scales = len(lags), np.zeros(2), np.ones(center.shape[1])
    for s in range(len(theta)):
        for a in range(len(scales)):
            scales[a] = unit[s] / (span if a else 1.0)
        _own_unit(
            theta[s], lags, center[s], unit[s], scales, inverse[s], sigma2[s], counts[s], span,
            line, covariance[s],
        )  # fmt: skip
        total, weighted = 0.0, 0.0
        for i in range(k):
            total += theta[s, i]
            weighted += lags[i] * theta[s, i]
        mean[s, 0], mean[s, 1] = mean_of(total, weighted, line[0], line[1])
        put(line, parameters[s])
        put(theta[s, :k], parameters[s, 2:])
        parameters[s, 2 + k] = sigma2[s] * unit[s] * unit[s]
