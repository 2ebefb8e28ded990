"""Compiled recursions of conditional variances. Importing this module imports numba.

The variance is h_t = omega + sum alpha_i e_{t-i}^2 + sum gamma_i e_{t-i}^2 [e_{t-i} < 0] +
sum beta_k h_{t-k}. What a state remembers, newest first: `squares` [N, A], `falls` [N, O] (the
squares of negative innovations, else 0) and `variances` [N, B].
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import jit

__all__ = ["draw", "path", "slopes"]


@jit
def _next(
    squares: np.ndarray, falls: np.ndarray, variances: np.ndarray, omega: float,
    alpha: np.ndarray, gamma: np.ndarray, beta: np.ndarray,
) -> float:  # fmt: skip
    h = omega
    for i in range(len(alpha)):
        h += alpha[i] * squares[i]
    for i in range(len(gamma)):
        h += gamma[i] * falls[i]
    for i in range(len(beta)):
        h += beta[i] * variances[i]
    return h


@jit
def _push(values: np.ndarray, value: float) -> None:
    """Put a value in front of others, the last of which is dropped."""
    for i in range(len(values) - 1, 0, -1):
        values[i] = values[i - 1]
    if len(values):
        values[0] = value


@jit
def path(
    e: np.ndarray, skip: np.ndarray, counts: np.ndarray, squares: np.ndarray, falls: np.ndarray,
    variances: np.ndarray, omega: float, alpha: np.ndarray, gamma: np.ndarray, beta: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The variances along given innovations.

    Args:
        e: innovations, [N, K].
        skip: how many of a row's first are of given elements and are none, int64 [N].
        counts: how many of a row's elements count, int64 [N].
        squares: [N, A]; this and the next two are overwritten by what they are after that.
        falls: [N, O].
        variances: [N, B].
        omega: the constant.
        alpha: [A].
        gamma: [O].
        beta: [B].

    Returns:
        Each element's variance given those before, and the next one's, [N, K + 1].
    """
    rows, steps = e.shape
    out = np.empty((rows, steps + 1))
    s, f, v = np.empty(len(alpha)), np.empty(len(gamma)), np.empty(len(beta))
    for n in range(rows):
        put(squares[n], s)
        put(falls[n], f)
        put(variances[n], v)
        for t in range(steps + 1):
            h = _next(s, f, v, omega, alpha, gamma, beta)
            out[n, t] = h
            if t == counts[n]:
                put(s, squares[n])
                put(f, falls[n])
                put(v, variances[n])
            if t < steps and t >= skip[n]:
                square = e[n, t] * e[n, t]
                _push(s, square)
                _push(f, square if e[n, t] < 0.0 else 0.0)
                _push(v, h)
    return out


@jit
def draw(
    z: np.ndarray, level: np.ndarray, before: np.ndarray, coef: np.ndarray, squares: np.ndarray,
    falls: np.ndarray, variances: np.ndarray, omega: float, alpha: np.ndarray,
    gamma: np.ndarray, beta: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Draw elements from standardised innovations z [N, K].

    Args:
        z: innovations of variance 1.
        level: the recursion's constants, [N, K].
        before: the last p elements, newest first, [N, p]; overwritten.
        coef: of lags 1 to p, [p].
        squares: [N, A]; see `path`, so for the rest.
        falls: [N, O].
        variances: [N, B].
        omega: the constant.
        alpha: [A].
        gamma: [O].
        beta: [B].

    Returns:
        Elements [N, K].
    """
    rows, steps = z.shape
    x = np.empty((rows, steps))
    for n in range(rows):
        last, s, f, v = before[n], squares[n], falls[n], variances[n]
        for t in range(steps):
            h = _next(s, f, v, omega, alpha, gamma, beta)
            e = np.sqrt(h) * z[n, t]
            value = level[n, t] + e
            for i in range(len(coef)):
                value += coef[i] * last[i]
            x[n, t] = value
            _push(last, value)
            _push(s, e * e)
            _push(f, e * e if e < 0.0 else 0.0)
            _push(v, h)
    return x


@jit
def slopes(
    e: np.ndarray, design: np.ndarray, offsets: np.ndarray, backcast: float, omega: float,
    alpha: np.ndarray, gamma: np.ndarray, beta: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Variances and how they move with every parameter.

    Args:
        e: innovations y - X b of all series, one after the other, [n].
        design: X, [n, k].
        offsets: where each series begins, int64 [N + 1].
        backcast: stands for squares and variances before a series, and half of it for falls.
        omega: the constant.
        alpha: [A].
        gamma: [O].
        beta: [B].

    Returns:
        h [n], and its derivatives in b, omega, alpha, gamma and beta, [n, k + 1 + A + O + B].
    """
    n, k = design.shape
    a, o, q = len(alpha), len(gamma), len(beta)
    size = k + 1 + a + o + q
    h, dh = np.empty(n), np.zeros((n, size))
    for row in range(len(offsets) - 1):
        first = offsets[row]
        for t in range(first, offsets[row + 1]):
            total, d = omega, dh[t]
            d[k] = 1.0
            for i in range(max(a, o)):
                u = t - 1 - i
                square, fall = backcast, 0.5 * backcast
                weight, inside = 0.0, u >= first
                if inside:
                    square = e[u] * e[u]
                    fall = square if e[u] < 0.0 else 0.0
                if i < a:
                    total += alpha[i] * square
                    d[k + 1 + i] += square
                    weight += alpha[i]
                if i < o:
                    total += gamma[i] * fall
                    d[k + 1 + a + i] += fall
                    if inside and e[u] < 0.0:
                        weight += gamma[i]
                if inside:
                    for j in range(k):
                        d[j] -= 2.0 * weight * e[u] * design[u, j]
            for i in range(q):
                u = t - 1 - i
                if u >= first:
                    total += beta[i] * h[u]
                    d[k + 1 + a + o + i] += h[u]
                    for j in range(size):
                        d[j] += beta[i] * dh[u, j]
                else:
                    total += beta[i] * backcast
                    d[k + 1 + a + o + i] += backcast
            h[t] = total
    return h, dh
