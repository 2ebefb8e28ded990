r"""Exact Gaussian maximum likelihood of every series of a panel, compiled.

The likelihood, its sufficient statistics E and what is concentrated out of it are those of
`exact` and `moments` of `arproc.models.autoregression`. Here Newton's method works on the
coefficients themselves: with S the sum of squares at the best mean,

.. math::
    f(\phi) = \log S(\phi) - \frac{1}{n} \sum_k k \log(1 - r_k^2),

S is a quadratic form in (1, -phi) and in (1, -beta), so its first two derivatives are sums over E,
and beta goes out by a Schur complement. The second part keeps the search among stationary
processes, as it grows without bound towards their edge; its derivatives come from the Levinson
recursion run down and back, the second ones by the complex step. Importing this imports numba.
"""

from __future__ import annotations

import math

import numpy as np

from arproc.compiled.arrays import put, put_table
from arproc.compiled.jit import jit
from arproc.gaussian.small_kernels import cholesky, invert, scale, step_down
from arproc.models.panel.exact_objective import derivatives, statistics, value_at
from arproc.models.panel.least_squares import HARD

__all__ = ["fit"]

_LOG_2PI = math.log(2 * math.pi)
_EPS = 2.0**-52
_MAX_STEPS = 60


@jit
def _factor(hessian: np.ndarray, factor: np.ndarray, p: int) -> bool:
    """The Cholesky factor of the Hessian; its diagonal is raised until there is one."""
    largest = 0.0
    for j in range(p):
        largest = max(largest, abs(hessian[j, j]))
    ridge = 0.0
    for _ in range(40):
        put_table(hessian, factor)
        for j in range(p):
            factor[j, j] += ridge
        if cholesky(factor, p):
            return True
        ridge = max(4.0 * ridge, 1e-3 * largest)
    return False


@jit
def _direction(factor: np.ndarray, gradient: np.ndarray, direction: np.ndarray) -> float:
    """Solve for minus the gradient; gives the descent that is promised."""
    p = len(gradient)
    for i in range(p):
        value = -gradient[i]
        for h in range(i):
            value -= factor[i, h] * direction[h]
        direction[i] = value / factor[i, i]
    for i in range(p - 1, -1, -1):
        value = direction[i]
        for h in range(i + 1, p):
            value -= factor[h, i] * direction[h]
        direction[i] = value / factor[i, i]
    promised = 0.0
    for i in range(p):
        promised -= gradient[i] * direction[i]
    return promised


@jit
def _starts(
    e: np.ndarray,
    n: int,
    work: np.ndarray,
    levels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
) -> bool:
    """Least squares in `first`, Yule-Walker in `second`; whether the first alone will do."""
    p = len(first)
    for i in range(p):
        for j in range(i + 1):
            work[i, j] = e[i + 1, 0, j + 1, 0]
        first[i] = -e[i + 1, 0, 0, 0]
    largest = np.inf
    if cholesky(work, p):
        _direction(work, first.copy(), first)
        largest = step_down(first, levels)
    if largest < 0.98 and n > 50 * (p + 1):
        return True
    if not largest < 0.999999:
        first[:] = np.nan
    variance = e[0, 0, 0, 0]
    for k in range(1, p + 1):
        value = e[0, 0, k, 0]
        for i in range(k - 1):
            value -= second[i] * e[0, 0, k - 1 - i, 0]
        r = min(max(value / variance, -0.999999), 0.999999)
        for i in range(k // 2):
            head, tail = second[i], second[k - 2 - i]
            second[i] = head - r * tail
            second[k - 2 - i] = tail - r * head
        second[k - 1] = r
        variance *= 1.0 - r * r
    return False


@jit
def fit(
    values: np.ndarray,
    offsets: np.ndarray,
    begin: int,
    end: int,
    p: int,
    columns: np.ndarray,
    span: float,
    parameters: np.ndarray,
    mean: np.ndarray,
    log_likelihood: np.ndarray,
    used: np.ndarray,
    covariance: np.ndarray,
    status: np.ndarray,
) -> None:
    """Fit the series begin ... end - 1; arguments as for `least_squares.fit`.

    The order is p, and the covariance is that of (level and slope as far as there are,
    coefficients, sigma2).
    """
    q = len(columns)
    m = q + 1
    longest = columns.shape[1]
    table, center = np.empty((m, longest)), np.zeros(q)
    for a in range(q):
        put(columns[a], table[a + 1])
    e, half, form = np.empty((p + 1, m, p + 1, m)), np.empty((m, p + 1, m)), np.empty((m, m))
    left, c, star = np.empty((q, q)), np.empty(m), np.empty(p + 1)
    phi, other, trial = np.empty(p), np.empty(p), np.empty(p)
    levels, work, hessian = np.empty((p, p)), np.empty((p, p)), np.empty((p, p))
    probe, pull = np.empty(p, np.complex128), np.empty(p, np.complex128)
    complex_levels = np.empty((p, p), np.complex128)
    slope, gradient, direction = np.empty(p), np.empty(p), np.empty(p)
    mixed, moved, inverse = np.empty((q, p)), np.empty((q, p)), np.empty((p, p))
    beta_part, scales = np.empty((q, q)), np.ones(2)
    for s in range(begin, end):
        status[s] = HARD
        x = values[offsets[s] : offsets[s + 1]]
        n = len(x)
        if n <= max(p, 2 * (p + q + 1)):
            continue
        unit = scale(x, columns, table[0], center)
        if not unit > 0:
            continue
        statistics(table, n, p, e)
        enough = _starts(e, n, work, levels, phi, other)
        at, squares = value_at(e, n, phi, levels, star, half, form, left, c)
        if not enough:
            at_other, squares_other = value_at(e, n, other, levels, star, half, form, left, c)
            if at_other < at:
                put(other, phi)
                at, squares = at_other, squares_other
            else:
                value_at(e, n, phi, levels, star, half, form, left, c)
        found = False
        for _ in range(_MAX_STEPS):
            if not np.isfinite(at):
                break
            derivatives(
                e, n, phi, squares, half, left, c, probe, complex_levels, pull, slope, mixed,
                moved, hessian, gradient,
            )  # fmt: skip
            if not _factor(hessian, work, p):
                break
            promised = _direction(work, gradient, direction)
            gain = 1.0
            for i in range(p):
                gain += abs(phi[i])
            if not promised > max(1e-22, 1e-4 * (_EPS * gain * gain * n / squares) ** 2):
                found = True
                break
            step = 1.0
            after = np.inf
            while step > 1e-9:
                for i in range(p):
                    trial[i] = phi[i] + step * direction[i]
                after, squares_after = value_at(e, n, trial, levels, star, half, form, left, c)
                if after <= at - 1e-4 * step * promised or (promised < 1e-12 and after < np.inf):
                    break
                step *= 0.5
            if not step > 1e-9:
                break
            if promised < 1e-12 and not after < at + 1e-13:
                break
            put(trial, phi)
            at, squares = after, squares_after
        if not found:
            continue
        if not _EPS * gain * gain * n / squares < 1e-11:
            continue
        sigma2 = squares / n
        size2 = unit * unit
        out = covariance[s]
        out[:] = 0.0
        if p:
            invert(work, p, inverse)
        scales[0] = unit
        scales[1] = unit / span
        for a in range(q):
            for b in range(q):
                left[a, b] = form[a + 1, b + 1]
        if q:
            cholesky(left, q)
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
        level = center[0] - unit * c[1] if q else 0.0
        rise = (center[1] - unit * c[2]) / span if q == 2 else 0.0
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
