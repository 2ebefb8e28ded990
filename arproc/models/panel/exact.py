"""Exact Gaussian maximum likelihood of every series of a panel, compiled.

The likelihood, its sufficient statistics E and what is concentrated out of it are those of
`exact` and `moments` of `arproc.models.autoregression`. Newton's method works on the coefficients
themselves: see `arproc.gaussian.ar_objective`. Importing this imports numba.
"""

from __future__ import annotations

import math

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import jit
from arproc.gaussian.ar_objective import statistics
from arproc.gaussian.ar_search import make_room, maximise
from arproc.gaussian.small_kernels import cholesky, invert, scale
from arproc.models.panel.least_squares import HARD
from arproc.models.panel.normal_equations import beside, regress, uncentre

__all__ = ["fit"]

_LOG_2PI = math.log(2 * math.pi)


@jit
def fit(
    values: np.ndarray,
    offsets: np.ndarray,
    begin: int,
    end: int,
    p: int,
    columns: np.ndarray,
    span: float,
    covariates: np.ndarray,
    parameters: np.ndarray,
    mean: np.ndarray,
    log_likelihood: np.ndarray,
    used: np.ndarray,
    covariance: np.ndarray,
    beta: np.ndarray,
    status: np.ndarray,
) -> None:
    """Fit the series begin ... end - 1; arguments as for `least_squares.fit`.

    The order is p, and the covariance is that of (level and slope as far as there are, the
    covariates' coefficients in the mean, those of the lags, sigma2).
    """
    trend, count = len(columns), covariates.shape[1]
    q = trend + count
    m = q + 1
    longest = columns.shape[1]
    table, center = np.empty((m, longest)), np.zeros(trend)
    middle, size, rough = np.zeros(count), np.ones(count), np.zeros(q)
    for a in range(trend):
        put(columns[a], table[a + 1])
    e, phi, room = np.empty((p + 1, m, p + 1, m)), np.empty(p), make_room(p, m)
    form, left, c, slope, moved = room.form, room.left, room.c, room.slope, room.moved
    inverse = np.empty((p, p))
    beta_part, scales = np.empty((q, q)), np.ones(q)
    for s in range(begin, end):
        status[s] = HARD
        x = values[offsets[s] : offsets[s + 1]]
        n = len(x)
        if n <= max(p, 2 * (p + q + 1)):
            continue
        unit = scale(x, columns, table[0], center)
        if not unit > 0:
            continue
        if count and not beside(
            covariates[offsets[s] : offsets[s + 1]], trend > 0, trend + 1, table, middle, size
        ):
            continue
        whole = unit
        if count:
            unit *= regress(table, n, beta_part, rough)
            if not unit > 0:
                continue
        statistics(table, n, p, e)
        best = maximise(e, float(n), float(n), phi, room, 1e-22)
        if not best.ended:
            continue
        squares, at = best.squares, best.value
        sigma2 = squares / n
        size2 = unit * unit
        out = covariance[s]
        out[:] = 0.0
        if p:
            invert(room.work, p, inverse)
        for a in range(q):
            scales[a] = unit / (size[a - trend] if a >= trend else span if a else 1.0)
        for a in range(q):
            for b in range(q):
                left[a, b] = form[a + 1, b + 1]
        if q:
            cholesky(left, q, 0.0)
            invert(left, q, beta_part)
        share = 2.0 / n
        for i in range(p):
            for j in range(p):
                out[q + i, q + j] = share * inverse[i, j]
        for a in range(q):
            for j in range(p):
                value = 0.0
                for i in range(p):
                    value += moved[a, i] * inverse[i, j]
                out[a, q + j] = out[q + j, a] = share * value * scales[a]
        for a in range(q):
            for b in range(q):
                value = sigma2 * beta_part[a, b]
                for j in range(p):
                    value += moved[b, j] * out[a, q + j] / scales[a]
                out[a, b] = value * scales[a] * scales[b]
        last = p + q
        for i in range(last):
            value = 0.0
            for j in range(p):
                value += out[i, q + j] * slope[j]
            out[i, last] = out[last, i] = value / n * size2
        value = 2.0 * sigma2 * sigma2 * size2 * size2 / n
        for j in range(p):
            value += out[last, q + j] * slope[j] / n * size2
        out[last, last] = value
        level = center[0] + whole * rough[0] - unit * c[1] if trend else 0.0
        rise = (center[1] + whole * rough[1] - unit * c[2]) / span if trend == 2 else 0.0
        for j in range(count):
            own = whole * rough[trend + j] - unit * c[1 + trend + j]
            beta[s, j] = own / size[j]
            level -= beta[s, j] * middle[j]
        if trend and count:
            uncentre(out, trend, middle)
        mean[s, 0], mean[s, 1] = level, rise
        phi_left, weighted = 1.0, 0.0
        for i in range(p):
            phi_left -= phi[i]
            weighted += (i + 1) * phi[i]
        parameters[s, 0] = level * phi_left + rise * weighted
        parameters[s, 1] = rise * phi_left
        put(phi, parameters[s, 2:])
        parameters[s, 2 + p] = sigma2 * size2
        log_likelihood[s] = -0.5 * n * (at + 1.0 + _LOG_2PI - np.log(n)) - n * np.log(unit)
        used[s] = n
        status[s] = 0
