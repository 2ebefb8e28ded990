"""Likelihoods and forecasts of many ARIMA processes. Importing this imports numba."""

from __future__ import annotations

import math

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.arma_gaps import Passed, through
from arproc.gaussian.arma_space import expand, stationary_start
from arproc.gaussian.representation import NOTHING
from arproc.gaussian.state_kernels import complete, load_of, step

__all__ = ["run"]

_LOG_2PI = math.log(2 * math.pi)


@jit
def _whole(
    x: np.ndarray,
    delta: np.ndarray,
    phi: np.ndarray,
    noise: np.ndarray,
    sigma2: float,
    state: np.ndarray,
    start: np.ndarray,
) -> float:
    """The log-likelihood of a series without gaps that is longer than its given elements.

    Args:
        x: the series, [T].
        delta: the differences' weights of the last elements, [m].
        phi: [r].
        noise: [r].
        sigma2: the innovation variance.
        state: result, the ARMA part's mean after it, [r + 1], of which the last stays 0.
        start: its covariance before it, and after it, [r, r].
    """
    m, r, steps = len(delta), len(phi), len(x) - len(delta)
    gain, f, settled = complete(steps, start, phi, noise)
    for i in range(r + 1):
        state[i] = 0.0
    total, inverse, height = 0.0, 0.0, 0.0
    for t in range(steps):
        place, head, at = min(t, settled), state[0], m + t
        if t <= settled:
            inverse, height = 1.0 / f[t], np.log(f[t])
        error = x[at] - head
        for j in range(m):
            error -= delta[j] * x[at - 1 - j]
        total += height + error * error * inverse / sigma2
        for i in range(r):
            state[i] = phi[i] * head + state[i + 1] + gain[place, i] * error
    return -0.5 * (steps * (_LOG_2PI + np.log(sigma2)) + total)


@jit
def _torn(passed: Passed, sigma2: float) -> tuple[float, int]:
    """The log-likelihood of a series with gaps, and of how many elements it is."""
    total, used = 0.0, 0
    for t in range(len(passed.weight)):
        weight = passed.weight[t]
        if weight > 0.0:
            error = passed.rest[0, t]
            total += _LOG_2PI + np.log(sigma2 / weight) + error * error * weight / sigma2
            used += 1
    return -0.5 * total, used


@jit
def _ahead(
    state: np.ndarray,
    finite: np.ndarray,
    infinite: np.ndarray,
    rank: int,
    delta: np.ndarray,
    phi: np.ndarray,
    noise: np.ndarray,
    sigma2: float,
    mean: np.ndarray,
    variance: np.ndarray,
) -> None:
    """The next elements' means and variances; infinite where gaps leave one undetermined.

    Args:
        state: its mean, [k]; is overwritten.
        finite: its covariance, [k, k]; is overwritten.
        infinite: the infinite part, [k, k]; is overwritten.
        rank: the rank of that.
        delta: [m].
        phi: [r].
        noise: [r].
        sigma2: the innovation variance.
        mean: result, [horizon].
        variance: result, [horizon].
    """
    m, k = len(delta), len(state)
    work, load, still = np.empty((k, k)), np.empty(k), np.zeros(len(phi))
    for h in range(len(mean)):
        head, value = state[m], state[m]
        for j in range(m):
            value += delta[j] * state[j]
        mean[h], variance[h] = value, sigma2 * load_of(finite, load, delta)
        if rank:
            top = 0.0
            for i in range(k):
                top = max(top, infinite[i, i])
            if load_of(infinite, load, delta) > NOTHING * top:
                variance[h] = np.inf
            step(infinite, work, delta, phi, still)
        for j in range(m - 1, 0, -1):
            state[j] = state[j - 1]
        if m:
            state[0] = value
        for i in range(m, k):
            state[i] = phi[i - m] * head + (state[i + 1] if i + 1 < k else 0.0)
        step(finite, work, delta, phi, noise)


@jit
def run(
    coef: np.ndarray,
    sigma2: np.ndarray,
    blocks: np.ndarray,
    delta: np.ndarray,
    size: int,
    values: np.ndarray,
    offsets: np.ndarray,
    begin: int,
    end: int,
    log_likelihood: np.ndarray,
    used: np.ndarray,
    ahead: np.ndarray,
    variance: np.ndarray,
) -> None:
    """Log-likelihoods of the series begin ... end - 1, and the law of what follows.

    Args:
        coef: of the four polynomials, the moving averages' with minus signs, [N, k].
        sigma2: the innovation variances, [N].
        blocks: how many coefficients each polynomial has, and the period, int64 [5].
        delta: the differences' weights of the last elements, [m].
        size: how many states the ARMA part has, r.
        values: all series less their means, one after the other, nan where an element is missing.
        offsets: where each begins, int64 [N + 1].
        begin: the first series.
        end: the one after the last.
        log_likelihood: of what follows the given elements, nats, [N]; nan where there is no law.
        used: of how many elements that is, int64 [N].
        ahead: means of the next elements, [N, horizon].
        variance: theirs, [N, horizon]; infinite where gaps leave one undetermined.
    """
    m, r = len(delta), size
    n_phi, n_theta = blocks[0] + blocks[4] * blocks[2], blocks[1] + blocks[4] * blocks[3]
    phi, noise, start = np.empty(r), np.empty(r), np.empty((r, r))
    room, own, state = np.empty((n_phi + 3, r + n_theta + 1)), np.empty(r + 1), np.empty(m + r)
    finite, infinite = np.empty((m + r, m + r)), np.zeros((m + r, m + r))
    for s in range(begin, end):
        x, rank, gaps = values[offsets[s] : offsets[s + 1]], 0, False
        for t in range(len(x)):
            gaps = gaps or x[t] != x[t]
        expand(coef[s], blocks, phi, noise)
        if not stationary_start(phi, noise, n_phi, n_theta, room, start):
            log_likelihood[s], used[s] = np.nan, 0
            continue
        if gaps or len(x) <= m:
            passed = through(x.reshape(1, len(x)), delta, phi, noise, start)
            log_likelihood[s], used[s] = _torn(passed, sigma2[s])
            state[:], rank = passed.after[0], passed.rank
            finite[:], infinite[:] = passed.finite, passed.infinite
        else:
            log_likelihood[s] = _whole(x, delta, phi, noise, sigma2[s], own, start)
            used[s] = len(x) - m
            finite[:] = 0.0
            for j in range(m):
                state[j] = x[len(x) - 1 - j]
            for i in range(r):
                state[m + i] = own[i]
                for j in range(r):
                    finite[m + i, m + j] = start[i, j]
        _ahead(
            state, finite, infinite, rank, delta, phi, noise, sigma2[s], ahead[s], variance[s]
        )  # fmt: skip
