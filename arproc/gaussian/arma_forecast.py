"""Likelihoods and forecasts of many ARIMA processes. Importing this imports numba."""

from __future__ import annotations

import math

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.arma_objective import expand, stationary_start
from arproc.gaussian.state_kernels import complete, load_of, step

__all__ = ["run"]

_LOG_2PI = math.log(2 * math.pi)


@jit
def run(
    coef: np.ndarray,
    mean: np.ndarray,
    sigma2: np.ndarray,
    blocks: np.ndarray,
    delta: np.ndarray,
    size: int,
    values: np.ndarray,
    offsets: np.ndarray,
    begin: int,
    end: int,
    log_likelihood: np.ndarray,
    ahead: np.ndarray,
    variance: np.ndarray,
) -> None:
    """Log-likelihoods of the series begin ... end - 1, and the law of what follows.

    Args:
        coef: of the four polynomials, the moving averages' with minus signs, [N, k].
        mean: of the differences, [N].
        sigma2: the innovation variances, [N].
        blocks: how many coefficients each polynomial has, and the period, int64 [5].
        delta: the differences' weights of the last elements, [m].
        size: how many states the ARMA part has, r.
        values: all series, one after the other, none missing, each of m elements or more.
        offsets: where each begins, int64 [N + 1].
        begin: the first series.
        end: the one after the last.
        log_likelihood: of what follows the first m, nats, [N]; nan where there is no law.
        ahead: means of the next elements, [N, horizon].
        variance: theirs, [N, horizon].
    """
    m, r, horizon = len(delta), size, ahead.shape[1]
    n_phi, n_theta = blocks[0] + blocks[4] * blocks[2], blocks[1] + blocks[4] * blocks[3]
    phi, noise, start = np.empty(r), np.empty(r), np.empty((r, r))
    room, state = np.empty((n_phi + 3, r + n_theta + 1)), np.empty(r + 1)
    spread, work, load = np.empty((m + r, m + r)), np.empty((m + r, m + r)), np.empty(m + r)
    for s in range(begin, end):
        first, stop = offsets[s], offsets[s + 1]
        steps = stop - first - m
        expand(coef[s], blocks, phi, noise)
        if not stationary_start(phi, noise, n_phi, n_theta, room, start):
            log_likelihood[s] = np.nan
            continue
        gain, f, settled = complete(steps, start, phi, noise)  # leaves what comes after in `start`
        for i in range(r + 1):  # the last stays 0
            state[i] = 0.0
        total, inverse, height = 0.0, 0.0, 0.0
        for t in range(steps):
            place, head, at = min(t, settled), state[0], first + m + t
            if t <= settled:
                inverse, height = 1.0 / f[t], np.log(f[t])
            error = values[at] - mean[s] - head
            for j in range(m):
                error -= delta[j] * values[at - 1 - j]
            total += height + error * error * inverse / sigma2[s]
            for i in range(r):
                state[i] = phi[i] * head + state[i + 1] + gain[place, i] * error
        log_likelihood[s] = -0.5 * (steps * (_LOG_2PI + np.log(sigma2[s])) + total)
        for i in range(m + r):
            for j in range(m + r):
                spread[i, j] = start[i - m, j - m] if i >= m and j >= m else 0.0
        for h in range(horizon):
            head = state[0]
            value = mean[s] + head
            for j in range(m):
                before = h - 1 - j
                last = ahead[s, before] if before >= 0 else values[stop + before]
                value += delta[j] * last
            ahead[s, h] = value
            for i in range(r):
                state[i] = phi[i] * head + state[i + 1]
            variance[s, h] = sigma2[s] * load_of(spread, load, delta)
            step(spread, work, delta, phi, noise)
