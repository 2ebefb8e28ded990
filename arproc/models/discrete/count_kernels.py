"""Compiled loops of count autoregressions. Importing this module imports numba."""

from __future__ import annotations

import math

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import jit

__all__ = ["digamma", "score"]


@jit
def digamma(x: float) -> float:
    """The derivative of log gamma at x > 0, by recurrence and Stirling's series."""
    value = 0.0
    while x < 10.0:
        value -= 1.0 / x
        x += 1.0
    f = 1.0 / (x * x)
    tail = f * (1 / 12 - f * (1 / 120 - f * (1 / 252 - f * (1 / 240 - f * (1 / 132)))))
    return value + np.log(x) - 0.5 / x - tail


@jit
def score(
    counts: np.ndarray,
    context: np.ndarray,
    offsets: np.ndarray,
    p: int,
    q: int,
    theta: np.ndarray,
    log_link: bool,
    dispersion: float,
    start: float,
    skip: int,
    gradient: np.ndarray,
    terms: np.ndarray,
) -> None:
    """The terms of the log-likelihood of series of counts and its gradient.

    Args:
        counts: the series one after the other, [total].
        context: regressors, [total, c].
        offsets: where each series begins, [N + 1].
        p: how many lags of the counts.
        q: how many lags of the predictor.
        theta: constant, coefficients of counts, of predictors, of regressors, [1 + p + q + c].
        log_link: whether the predictor is the logarithm of the mean.
        dispersion: of the negative binomial; 0 for Poisson.
        start: the mean that stands for what came before the series.
        skip: how many first elements of each are given.
        gradient: gets the derivatives in theta and, last, in log dispersion, [m + 1]; or is empty.
        terms: gets log p(x_t | past), nats, [total - N skip].
    """
    m, c = len(theta), context.shape[1]
    slopes = len(gradient) > 0
    before_count = np.log1p(start) if log_link else start
    before = np.log(start) if log_link else start
    size = 1.0 / dispersion if dispersion > 0 else 0.0
    constant = math.lgamma(size) if size > 0 else 0.0
    depth = max(q, 1)
    past = np.empty(depth)
    moved, now = np.zeros((depth, m)), np.zeros(m)
    gradient[:] = 0.0
    at = 0
    for row in range(len(offsets) - 1):
        past[:] = before
        moved[:] = 0.0
        first = offsets[row]
        for t in range(first + skip, offsets[row + 1]):
            eta = theta[0]
            now[0] = 1.0
            for i in range(p):
                lag = before_count
                if t - 1 - i >= first:
                    lag = counts[t - 1 - i]
                    lag = np.log1p(lag) if log_link else lag
                now[1 + i] = lag
                eta += theta[1 + i] * lag
            for j in range(q):
                now[1 + p + j] = past[j]
                eta += theta[1 + p + j] * past[j]
            for z in range(c):
                now[1 + p + q + z] = context[t, z]
                eta += theta[1 + p + q + z] * context[t, z]
            rate = np.exp(eta) if log_link else eta
            x = counts[t]
            value = -math.lgamma(x + 1.0)
            if size > 0:
                value += math.lgamma(x + size) - constant - size * np.log1p(rate * dispersion)
                value += x * (np.log(rate) - np.log(size + rate)) if x > 0 else 0.0
                pull = x / rate - (x + size) / (size + rate)
            else:
                value += (x * np.log(rate) if x > 0 else 0.0) - rate
                pull = x / rate - 1.0
            terms[at] = value
            at += 1
            if slopes:
                if log_link:
                    pull *= rate
                for j in range(q):
                    for a in range(m):
                        now[a] += theta[1 + p + j] * moved[j, a]
                for a in range(m):
                    gradient[a] += pull * now[a]
                if size > 0:
                    rise = digamma(x + size) - digamma(size) - np.log1p(rate * dispersion)
                    rise += 1.0 - (x + size) / (size + rate)
                    gradient[m] -= size * rise
            for j in range(depth - 1, 0, -1):
                past[j] = past[j - 1]
                put(moved[j - 1], moved[j])
            past[0] = eta
            put(now, moved[0])
