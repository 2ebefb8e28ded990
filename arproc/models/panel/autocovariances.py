"""Yule-Walker and Burg for every series of a panel, compiled. Importing this imports numba.

The estimates, and their covariances in large samples, are those of
`arproc.models.autoregression.autocovariance`.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.small_kernels import (
    autocovariances,
    backwards,
    cholesky,
    dot,
    forwards,
    invert,
    scale,
    step_down,
)
from arproc.models.panel.least_squares import HARD

__all__ = ["fit"]

_LITTLE = 1e-8  # of the variance: what is left of less has lost its digits
_FADED = 1e-14  # an autocovariance of so little, against the variance, is nothing
_FEW = 2000  # so many autocovariances are summed


@jit
def _yule_walker(
    y: np.ndarray, n: int, lags: np.ndarray, adjusted: bool, gamma: np.ndarray, work: np.ndarray,
    coef: np.ndarray,
) -> float:  # fmt: skip
    """The coefficients of the lags [k] by the series' autocovariances; gives sigma2, or 0."""
    k = len(lags)
    for h in range(len(gamma)):
        gamma[h] = dot(y, h, y, 0, n - h) / (n - h if adjusted else n)
    for i in range(k):
        coef[i] = gamma[lags[i]]
        for j in range(i + 1):
            work[i, j] = gamma[lags[i] - lags[j]]
    if not cholesky(work, k, 0.0):
        return 0.0
    forwards(work, k, coef)
    backwards(work, k, coef)
    sigma2 = gamma[0]
    for i in range(k):
        sigma2 -= coef[i] * gamma[lags[i]]
    return sigma2


@jit
def _burg(
    y: np.ndarray, n: int, forward: np.ndarray, backward: np.ndarray, coef: np.ndarray
) -> float:
    """The coefficients [p] by the least errors forwards and backwards; gives sigma2."""
    sigma2 = 0.0
    for t in range(n):
        forward[t] = backward[t] = y[t]
        sigma2 += y[t] * y[t] / n
    for k in range(len(coef)):
        # element t of order k: forward[t], and backward[t - 1] before it
        cross, both = 0.0, 0.0
        for t in range(k + 1, n):
            cross += forward[t] * backward[t - 1]
            both += forward[t] * forward[t] + backward[t - 1] * backward[t - 1]
        r = 2.0 * cross / both if both > 0.0 else 0.0
        for t in range(n - 1, k, -1):
            ahead, behind = forward[t], backward[t - 1]
            forward[t], backward[t] = ahead - r * behind, behind - r * ahead
        for i in range(k // 2):
            head, tail = coef[i], coef[k - 1 - i]
            coef[i], coef[k - 1 - i] = head - r * tail, tail - r * head
        if k % 2:
            coef[k // 2] *= 1.0 - r
        coef[k] = r
        sigma2 *= 1.0 - r * r
    return sigma2


@jit
def _covariance_of_mean(
    n: int, q: int, span: float, dense: np.ndarray, gamma: np.ndarray, out: np.ndarray
) -> bool:
    """The covariance of a mean by least squares, of 1 and t / span, into out [q, q].

    That is (C'C)^-1 C' Gamma C (C'C)^-1, the sum over lags cut where autocovariances have faded.

    Args:
        n: how many elements.
        q: 0, 1 or 2.
        span: what t is divided by.
        dense: the coefficients of every lag, [p].
        gamma: autocovariances at the lags 0 to p - 1, at least.
        out: result.

    Returns:
        Whether they fade soon enough.
    """
    p, quiet = len(dense), 0
    past, middle = np.empty(max(p, 1)), np.zeros((2, 2))
    for i in range(p):
        past[i] = gamma[i]
    for h in range(n):
        value = gamma[0]
        if h and h < p:
            value = gamma[h]
        elif h:
            value = 0.0
            for i in range(p):
                value += dense[i] * past[(h - 1 - i) % p]
            if p:
                past[h % p] = value
        quiet = quiet + 1 if abs(value) < _FADED * gamma[0] else 0
        if quiet > p:
            break
        if h > _FEW:
            return False
        m, s = float(n - h), 1.0 / span
        line, square = m * (m - 1.0) / 2.0, (m - 1.0) * m * (2.0 * m - 1.0) / 6.0
        twice = 2.0 if h else 1.0
        middle[0, 0] += twice * value * m
        middle[0, 1] += twice * value * s * (line + 0.5 * h * m)
        middle[1, 1] += twice * value * s * s * (square + h * line)
    m, s = float(n), 1.0 / span
    if q == 1:
        out[0, 0] = middle[0, 0] / (m * m)
    if q == 2:
        a, b = m, s * m * (m - 1.0) / 2.0
        d = s * s * (m - 1.0) * m * (2.0 * m - 1.0) / 6.0
        size = a * d - b * b
        left = np.array([[d / size, -b / size], [-b / size, a / size]])
        middle[1, 0] = middle[0, 1]
        for i in range(2):
            for j in range(2):
                out[i, j] = 0.0
                for g in range(2):
                    for h in range(2):
                        out[i, j] += left[i, g] * middle[g, h] * left[h, j]
    return True


@jit
def fit(
    values: np.ndarray,
    offsets: np.ndarray,
    begin: int,
    end: int,
    lags: np.ndarray,
    columns: np.ndarray,
    span: float,
    method: int,
    parameters: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
    status: np.ndarray,
) -> None:
    """Fit the series begin ... end - 1; arguments as for `least_squares.fit`.

    The method is 0 (Yule-Walker), 1 (adjusted) or 2 (Burg). The covariance is that of (level and
    slope as far as there are, the lags' coefficients, sigma2).
    """
    k, q, longest = len(lags), len(columns), columns.shape[1]
    p = lags[k - 1] if k else 0
    y, forward, backward = np.empty(longest), np.empty(longest), np.empty(longest)
    center, coef, dense = np.zeros(2), np.empty(k), np.zeros(p)
    gamma, own, levels = np.empty(p + 1), np.empty(p + 1), np.empty((p, p))
    work, inverse, spread = np.empty((k, k)), np.empty((k, k)), np.zeros((2, 2))
    for s in range(begin, end):
        status[s] = HARD
        x = values[offsets[s] : offsets[s + 1]]
        n = len(x)
        if n <= max(p, k + q + 1):
            continue
        center[:] = 0.0
        unit = scale(x, columns, y, center[:q])
        if not unit > 0:
            continue
        if method == 2:
            sigma2 = _burg(y, n, forward, backward, coef)
        else:
            sigma2 = _yule_walker(y, n, lags, method == 1, gamma, work, coef)
        if not sigma2 > _LITTLE:
            continue
        for i in range(k):
            dense[lags[i] - 1] = coef[i]
        if p and not step_down(dense, levels) < 1.0 - 1e-9:
            continue
        own[0] = sigma2
        if p:
            autocovariances(levels, p, sigma2, own)
        if not _covariance_of_mean(n, q, span, dense, own, spread):
            continue
        if method == 2:
            for i in range(k):
                for j in range(i + 1):
                    work[i, j] = own[i - j]
            if not cholesky(work, k, 0.0):
                continue
        out = covariance[s]
        out[:] = 0.0
        if k:
            invert(work, k, inverse)
        for i in range(k):
            for j in range(k):
                out[q + i, q + j] = sigma2 / n * inverse[i, j]
        for a in range(q):
            for b in range(q):
                out[a, b] = spread[a, b] * unit * unit
                if a:
                    out[a, b] /= span
                if b:
                    out[a, b] /= span
        sigma2 *= unit * unit
        out[q + k, q + k] = 2.0 * sigma2 * sigma2 / n
        level, rise = center[0], center[1] / span
        left, weighted = 1.0, 0.0
        for i in range(k):
            left -= coef[i]
            weighted += lags[i] * coef[i]
            parameters[s, 2 + i] = coef[i]
        mean[s, 0], mean[s, 1] = level, rise
        parameters[s, 0] = level * left + rise * weighted
        parameters[s, 1] = rise * left
        parameters[s, 2 + k] = sigma2
        status[s] = 0
