"""Many ARMA problems at once: starts and objectives, compiled. Importing this imports numba.

A start is the regression of Hannan and Rissanen (1982) on lags of the data and of a long
autoregression's residuals; see `arma_objective` for the likelihood.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.arma_objective import Problem, evaluate
from arproc.gaussian.arma_rows import room_for
from arproc.gaussian.small_kernels import backwards, cholesky, dot, forwards, step_down

__all__ = ["evaluate_each", "starts"]

_INSIDE = 0.99  # how large a partial autocorrelation of a start may be
_LONG = 8  # the least order of the long autoregression


@jit
def _long_residuals(w: np.ndarray, order: int, out: np.ndarray) -> None:
    """What a long autoregression (Yule-Walker) leaves of w, 0 where its lags are not all there."""
    n = len(w)
    gamma, phi = np.empty(order + 1), np.zeros(order)
    for k in range(order + 1):
        gamma[k] = dot(w, k, w, 0, n - k)
    variance = gamma[0]
    for k in range(order if variance > 0 else 0):
        value = gamma[k + 1]
        for i in range(k):
            value -= phi[i] * gamma[k - i]
        r = value / variance
        for i in range(k // 2):
            head, tail = phi[i], phi[k - 1 - i]
            phi[i], phi[k - 1 - i] = head - r * tail, tail - r * head
        if k % 2:
            phi[k // 2] *= 1.0 - r
        phi[k] = r
        variance *= 1.0 - r * r
        if not variance > 0:
            break
    for t in range(n):
        value = w[t]
        for i in range(min(order, t)):
            value -= phi[i] * w[t - 1 - i]
        out[t] = value


@jit
def _regress(
    w: np.ndarray, noise: np.ndarray, lags: np.ndarray, n_own: int, gram: np.ndarray
) -> None:
    """Add one row's products of w's lags, of the noise's and, last, of w itself to `gram`."""
    k, skip = len(lags), 0
    for i in range(k):
        skip = max(skip, lags[i])
    line = np.empty(k + 1)
    for t in range(skip, len(w)):
        for i in range(k):
            line[i] = w[t - lags[i]] if i < n_own else noise[t - lags[i]]
        line[k] = w[t]
        for i in range(k + 1):
            for j in range(i + 1):
                gram[i, j] += line[i] * line[j]


@jit
def _as_z(coef: np.ndarray, begin: int, end: int, z: np.ndarray) -> None:
    """Coefficients, drawn in until they are well stationary, as z, into z[begin:end]."""
    p = end - begin
    levels, own = np.empty((p, p)), np.empty(p)
    for tries in range(200):
        for i in range(p):
            own[i] = coef[begin + i] * 0.95 ** ((i + 1) * tries)
        if step_down(own, levels) < _INSIDE:
            for i in range(p):
                z[begin + i] = np.arctanh(levels[i, i])
            return


@jit
def _rough(problem: Problem, begin: int, end: int, reach: np.ndarray, z: np.ndarray) -> None:
    """A start by Hannan and Rissanen's regression, into z [k]; 0 where it has no answer.

    Args:
        problem: the problem, and others.
        begin: the first row.
        end: the one after the last.
        reach: the lags of the four polynomials' coefficients, int64 [k].
        z: result.
    """
    blocks, offsets = problem.blocks, problem.offsets
    k, p, q, seasonal_p = len(z), blocks[0], blocks[1], blocks[2]
    order = np.empty(k, np.int64)  # own lags first, then those of the noise
    lags, n_own = np.empty(k, np.int64), p + seasonal_p
    own, other, deepest = 0, n_own, 0
    for i in range(k):
        mine = i < p or p + q <= i < p + q + seasonal_p
        place = own if mine else other
        own, other = own + mine, other + (not mine)
        order[i], lags[place] = place, reach[i]
        if not mine:
            deepest = max(deepest, reach[i])
    gram = np.zeros((k + 1, k + 1))
    for row in range(begin, end):
        a, b = offsets[row], offsets[row + 1]
        n = b - a
        if n < 4:
            continue
        w, noise = problem.columns[0, a:b], np.empty(n)
        if n_own < k:
            _long_residuals(w, min(max(2 * deepest, _LONG), n // 4), noise)
        _regress(w, noise, lags, n_own, gram)
    for i in range(k):
        z[i] = 0.0
    top = 0.0
    for i in range(k):
        top = max(top, gram[i, i])
    for i in range(k):
        gram[i, i] += 1e-10 * top
    right = gram[k, :k].copy()
    if not (top > 0 and cholesky(gram, k, 0.0)):
        return
    forwards(gram, k, right)
    backwards(gram, k, right)
    coef = np.empty(k)
    for i in range(k):
        mine = order[i] < n_own
        coef[i] = right[order[i]] if mine else -right[order[i]]
    at = 0
    for block in range(4):
        if blocks[block]:
            _as_z(coef, at, at + blocks[block], z)
        at += blocks[block]


@jit
def starts(
    problem: Problem, groups: np.ndarray, first: int, last: int, reach: np.ndarray, z: np.ndarray
) -> None:
    """Starts for the problems first ... last - 1 by Hannan and Rissanen's regression.

    Args:
        problem: all of them.
        groups: the rows of each are groups[g] ... groups[g + 1] - 1, int64 [G + 1].
        first: the first problem.
        last: the one after the last.
        reach: the lags of the coefficients, int64 [k].
        z: result, [G, k].
    """
    for g in range(first, last):
        _rough(problem, groups[g], groups[g + 1], reach, z[g])


@jit
def evaluate_each(
    problem: Problem,
    groups: np.ndarray,
    which: np.ndarray,
    first: int,
    last: int,
    z: np.ndarray,
    value: np.ndarray,
    squares: np.ndarray,
    used: np.ndarray,
    beta: np.ndarray,
    precision: np.ndarray,
    gradient: np.ndarray,
    squares_slope: np.ndarray,
    bend: np.ndarray,
) -> None:
    """The objectives of some problems, each at a z of its own.

    Args:
        problem: all problems.
        groups: see `starts`.
        which: the problems, int64 [n]; those from first to before last are evaluated.
        first: the first of them.
        last: the one after the last.
        z: [n, k].
        value: the objective, [n]; infinite where there is none.
        squares: S, [n].
        used: of how many elements it is, int64 [n].
        beta: the regressions' coefficients, [n, C - 1].
        precision: theirs, times sigma2, [n, C - 1, C - 1].
        gradient: of the objective, [n, k].
        squares_slope: of S, [n, k].
        bend: about how the objective bends, [n, k, k].
    """
    longest, total = 0, 0
    for i in range(first, last):
        begin, end = groups[which[i]], groups[which[i] + 1]
        total = max(total, problem.offsets[end] - problem.offsets[begin])
        for row in range(begin, end):
            longest = max(longest, problem.offsets[row + 1] - problem.offsets[row])
    room = room_for(longest, total, len(problem.columns), z.shape[1], problem.size)
    for i in range(first, last):
        g = which[i]
        value[i], squares[i], used[i] = evaluate(
            z[i], problem, groups[g], groups[g + 1], room, precision[i], beta[i], gradient[i],
            squares_slope[i], bend[i],
        )  # fmt: skip
