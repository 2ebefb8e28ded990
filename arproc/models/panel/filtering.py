"""Likelihoods and forecasts of every series of a panel, gaps included, compiled.

Where the last p values are known nothing has to be filtered; around a gap, and at the start, the
Kalman filter of the companion form gives the exact law of what is observed. Importing this imports
numba.
"""

from __future__ import annotations

import math

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.lag_kernels import cross_covariance, follow, observe, pass_over
from arproc.gaussian.small_kernels import (
    autocovariances,
    log_determinant,
    start_terms,
    step_down,
)

__all__ = ["BEFORE", "run"]

#: Status of a series whose given first values are not all there.
BEFORE = 2
_LOG_2PI = math.log(2 * math.pi)


@jit
def _filter(
    y: np.ndarray,
    n: int,
    lags: np.ndarray,
    phi: np.ndarray,
    drive: np.ndarray,
    sigma2: float,
    first: int,
    a: np.ndarray,
    cov: np.ndarray,
    room: np.ndarray,
) -> tuple[float, int]:
    """The log-likelihood of y[first:], and how many of the last values are known in a row.

    Where these are fewer than p, `a` and `cov` hold the last p values' law.

    Args:
        y: what is left of the series, nan in gaps.
        n: how many values.
        lags: the lags.
        phi: their coefficients.
        drive: what is added to each step, [n].
        sigma2: the innovation variance.
        first: 0, where `a` and `cov` are the stationary law, or p, where the first p are known.
        a: room and result, [p].
        cov: room and result, [p, p].
        room: [p].
    """
    p, total = len(a), 0.0
    known = first
    for t in range(first, n):
        observed = y[t] == y[t]
        if known >= p:
            value = drive[t]
            for i in range(len(lags)):
                value += phi[i] * y[t - lags[i]]
            if observed:
                error = y[t] - value
                total -= 0.5 * (_LOG_2PI + np.log(sigma2) + error * error / sigma2)
                known += 1
                continue
            for i in range(p):
                a[i] = y[t - 1 - i]
            cov[:] = 0.0
        if p == 0:
            continue
        value, size = drive[t], sigma2 + cross_covariance(cov, lags, phi, room)
        for i in range(len(lags)):
            value += phi[i] * a[lags[i] - 1]
        follow(a, room, y[t] if observed else value, value, size)
        if observed:
            error = y[t] - value
            total -= 0.5 * (_LOG_2PI + np.log(size) + error * error / size)
            observe(cov, room, size)
            known += 1
        else:
            pass_over(cov, room, size)
            known = 0
    return total, known


@jit
def _extrapolate(
    lags: np.ndarray,
    phi: np.ndarray,
    sigma2: float,
    a: np.ndarray,
    cov: np.ndarray,
    room: np.ndarray,
    exact: bool,
    drive: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    work: np.ndarray,
) -> None:
    """Means and variances of the next values from the law of the last p."""
    p, k, horizon = len(a), len(lags), len(mean)
    if not exact and p:
        for h in range(horizon):
            value, size = drive[h], sigma2 + cross_covariance(cov, lags, phi, room)
            for i in range(k):
                value += phi[i] * a[lags[i] - 1]
            follow(a, room, value, value, size)
            pass_over(cov, room, size)
            mean[h], variance[h] = value, size
        return
    for i in range(p):
        work[p - 1 - i] = a[i]
    for h in range(horizon):
        value = drive[h]
        for i in range(k):
            value += phi[i] * work[p + h - lags[i]]
        work[p + h] = value
        mean[h] = value
    work[:p] = 0.0
    spread = 0.0
    for h in range(horizon):  # the response to an innovation
        value = 1.0 if h == 0 else 0.0
        for i in range(k):
            value += phi[i] * work[p + h - lags[i]]
        work[p + h] = value
        spread += sigma2 * value * value
        variance[h] = spread


def _subtract_(error: np.ndarray, y: np.ndarray, start: int, weight: float, count: int) -> None:
    part = y[start : start + count]
    for t in range(count):
        error[t] -= weight * part[t]


_subtract = jit(_subtract_, fastmath={"contract"})


@jit
def run(
    values: np.ndarray,
    offsets: np.ndarray,
    positions: np.ndarray,
    begin: int,
    end: int,
    lags: np.ndarray,
    stationary: bool,
    parameters: np.ndarray,
    level: np.ndarray,
    log_likelihood: np.ndarray,
    counts: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    status: np.ndarray,
) -> None:
    """Log-likelihoods of series, and forecasts of what follows them.

    Args:
        values: all series, one after the other, nan in gaps.
        offsets: where each begins, int64 [N + 1].
        positions: how many values came before the first of them, int64 [N]; 0 but for series of
            which only the last values are left, which must then be known.
        begin: the first series.
        end: the one after the last.
        lags: the lags, increasing [k].
        stationary: whether the first values have their stationary law; they are given otherwise.
        parameters: (constant, drift, coefficients, sigma2) of each, [N, 2 + k + 1].
        level: level and slope of the mean of each, [N, 2].
        log_likelihood: nats, [N].
        counts: of how many values that is, int64 [N].
        mean: of the next values, [N, horizon].
        variance: theirs, [N, horizon].
        status: 0, or BEFORE where the given first values are not all there, int8 [N].
    """
    k, horizon = len(lags), mean.shape[1]
    p = lags[k - 1] if k else 0
    longest = 0
    for s in range(begin, end):
        longest = max(longest, offsets[s + 1] - offsets[s])
    y, drive = np.empty(longest), np.zeros(longest + horizon)
    a, cov, room, work = np.zeros(p), np.zeros((p, p)), np.empty(p), np.empty(p + horizon)
    dense, levels, gamma = np.zeros(p), np.empty((p, p)), np.empty(max(p, 1))
    error = np.empty(longest)
    for s in range(begin, end):
        status[s] = 0
        x = values[offsets[s] : offsets[s + 1]]
        n, at, sigma2 = len(x), positions[s], parameters[s, 2 + k]
        phi = parameters[s, 2 : 2 + k]
        m0 = level[s, 0] if stationary else 0.0
        m1 = level[s, 1] if stationary else 0.0
        gaps = 0
        for t in range(n):
            y[t] = x[t] - m0 - m1 * (at + t)
            gaps += y[t] != y[t]
        if not stationary:
            for t in range(n + horizon):
                drive[t] = parameters[s, 0] + parameters[s, 1] * (at + t)
        first = 0 if stationary else p
        before = gaps
        if gaps:
            before = 0
            for t in range(min(first, n)):
                before += y[t] != y[t]
        if not sigma2 > 0 or n < first or (before and not stationary):
            status[s] = BEFORE
            continue
        exact = gaps == 0 and n >= p
        if stationary:
            for i in range(k):
                dense[lags[i] - 1] = phi[i]
            if p and not step_down(dense, levels) < 1.0:
                status[s] = BEFORE
                continue
        if exact:
            count = n - p
            for t in range(count):
                error[t] = y[p + t] - drive[p + t]
            for i in range(k):
                _subtract(error, y, p - lags[i], phi[i], count)
            squares = 0.0
            for t in range(count):
                squares += error[t] * error[t]
            value = -0.5 * (count * (_LOG_2PI + np.log(sigma2)) + squares / sigma2)
            if stationary:
                value -= 0.5 * (
                    p * (_LOG_2PI + np.log(sigma2))
                    - log_determinant(levels, p)
                    + start_terms(y, levels, p) / sigma2
                )
            log_likelihood[s] = value
        else:
            a[:] = 0.0
            if stationary and p:
                autocovariances(levels, p, sigma2, gamma)
                for i in range(p):
                    for j in range(p):
                        cov[i, j] = gamma[abs(i - j)]
            value, known = _filter(y, n, lags, phi, drive, sigma2, first, a, cov, room)
            log_likelihood[s] = value
            exact = known >= p
        counts[s] = n - first - (gaps - (before if first else 0))
        if horizon:
            if exact:
                for i in range(p):
                    a[i] = y[n - 1 - i]
            _extrapolate(
                lags, phi, sigma2, a, cov, room, exact, drive[n:], mean[s], variance[s], work
            )
            for h in range(horizon):
                mean[s, h] += m0 + m1 * (at + n + h)
