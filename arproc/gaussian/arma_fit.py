"""Exact maximum likelihood of many ARMA problems, compiled. Importing this imports numba.

Each problem has its own search: a quasi-Newton method (BFGS) in z from two starts, the regression
of Hannan and Rissanen (1982) on lags of the data and of a long autoregression's residuals, and
near zero; see `arma_objective` for the likelihood.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import jit
from arproc.gaussian.arma_objective import FAR, Problem, Room, evaluate
from arproc.gaussian.small_kernels import cholesky, dot, step_down

__all__ = ["fit"]

_MOST_STEPS = 300
_ENOUGH = 1e-13  # the descent that is left, against 1 / n
_WIDE = 1e-4  # of the differences of gradients that give the Hessian
_NEAR = 0.25  # of another maximum, where a second search is given up
_LEAST = 1e-11  # the length of a step that is not worth a try
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
    if not (top > 0 and cholesky(gram, k)):
        return
    for i in range(k):
        for j in range(i):
            right[i] -= gram[i, j] * right[j]
        right[i] /= gram[i, i]
    for i in range(k - 1, -1, -1):
        for j in range(i + 1, k):
            right[i] -= gram[j, i] * right[j]
        right[i] /= gram[i, i]
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
def _direct(inverse: np.ndarray, gradient: np.ndarray, direction: np.ndarray) -> float:
    """Where to go from here, - inverse gradient; gives the descent that is promised."""
    promised = 0.0
    for i in range(len(gradient)):
        value = 0.0
        for j in range(len(gradient)):
            value -= inverse[i, j] * gradient[j]
        direction[i] = value
        promised -= value * gradient[i]
    return promised


@jit
def _learn(inverse: np.ndarray, change: np.ndarray, turn: np.ndarray, fresh: bool) -> bool:
    """The BFGS update of the inverse Hessian, as `change` of z turned the gradient by `turn`.

    Returns:
        Whether there was one: the objective must bend upwards between the two points.
    """
    k, bend, span, both = len(change), 0.0, 0.0, 0.0
    for i in range(k):
        bend += change[i] * turn[i]
        span += turn[i] * turn[i]
    if not bend > 1e-14 * span:
        return False
    if fresh:  # the first step tells the size of the Hessian
        for i in range(k):
            inverse[i, i] = bend / span
    load = np.zeros(k)
    for i in range(k):
        for j in range(k):
            load[i] += inverse[i, j] * turn[j]
        both += load[i] * turn[i]
    for i in range(k):
        for j in range(k):
            inverse[i, j] += (1.0 + both / bend) * change[i] * change[j] / bend
            inverse[i, j] -= (load[i] * change[j] + change[i] * load[j]) / bend
    return True


@jit
def _search(
    z: np.ndarray,
    other: np.ndarray,
    problem: Problem,
    begin: int,
    end: int,
    room: Room,
    precision: np.ndarray,
    beta: np.ndarray,
) -> float:
    """BFGS from z, which is overwritten by where it ends; gives the objective there.

    Given up where it comes near `other` (nan: there is none), where a search has ended before.
    """
    k, at, promised, step, fresh = len(z), np.inf, 0.0, 1.0, True
    gradient, turned, moved = np.empty(k), np.empty(k), np.empty(k)
    inverse, direction, trial, change = np.eye(k), np.zeros(k), z.copy(), np.empty(k)
    for tries in range(_MOST_STEPS):
        after = evaluate(trial, problem, begin, end, room, precision, beta, turned, moved)[0]
        again = False
        if tries == 0 or after <= at - 1e-4 * step * promised:
            near = True
            for i in range(k):
                change[i] = trial[i] - z[i]
                near = near and abs(trial[i] - other[i]) < _NEAR
                z[i], trial[i] = trial[i], gradient[i]
                gradient[i] = turned[i]
                turned[i] -= trial[i]
            at = after
            if near or not at < np.inf:
                break
            if tries and _learn(inverse, change, turned, fresh):
                fresh = False
            promised = _direct(inverse, gradient, direction)
            again, step = not promised > _ENOUGH, 1.0
        else:
            step *= 0.4
            again = not step * np.abs(direction).max() > _LEAST
        if again:
            if fresh:
                break
            inverse, fresh, step = np.eye(k), True, 1.0  # along the gradient, to be sure
            promised = _direct(inverse, gradient, direction)
            if not promised > _ENOUGH:
                break
        largest = np.abs(direction).max()
        for i in range(k):
            far = step * direction[i] * min(1.0, 1.0 / largest)
            trial[i] = min(max(z[i] + far, -FAR), FAR)
    return at


@jit
def fit(
    problem: Problem,
    groups: np.ndarray,
    first: int,
    last: int,
    reach: np.ndarray,
    z: np.ndarray,
    value: np.ndarray,
    squares: np.ndarray,
    used: np.ndarray,
    beta: np.ndarray,
    precision: np.ndarray,
    hessian: np.ndarray,
    squares_slope: np.ndarray,
    beta_slope: np.ndarray,
) -> None:
    """Fit the problems first ... last - 1.

    Args:
        problem: all of them.
        groups: the rows of each are groups[g] ... groups[g + 1] - 1, int64 [G + 1].
        first: the first problem.
        last: the one after the last.
        reach: the lags of the coefficients, int64 [k].
        z: the maxima, [G, k].
        value: the objective there, [G]; infinite where there is none.
        squares: S there, [G].
        used: of how many elements it is, int64 [G].
        beta: the regressions' coefficients, [G, C - 1].
        precision: theirs, times sigma2, [G, C - 1, C - 1].
        hessian: of the objective, [G, k, k].
        squares_slope: the gradient of S, [G, k].
        beta_slope: how the coefficients move with z, [G, k, C - 1].
    """
    k, c, longest = z.shape[1], len(problem.columns), 0
    for row in range(groups[first], groups[last]):
        longest = max(longest, problem.offsets[row + 1] - problem.offsets[row])
    room = Room(
        np.empty((longest, problem.size)), np.empty(longest + 1),
        np.empty((longest, k, problem.size)),
        np.empty((longest, k)), np.empty((c, longest)),
    )  # fmt: skip
    best, start, gradient = np.empty(k), np.empty(k), np.empty(k)
    table, line = np.empty((c - 1, c - 1)), np.empty(c - 1)
    for g in range(first, last):
        a, b, least = groups[g], groups[g + 1], np.inf
        for i in range(k):
            best[i] = np.nan
        _rough(problem, a, b, reach, start)
        for tries in range(2 if k else 0):
            at = _search(start, best, problem, a, b, room, table, line)
            if tries == 0 or at < least:
                put(start, best)
                least = at
            for i in range(k):
                start[i] = 0.05
        put(best, z[g])
        for side in range(2 * k, -1, -1):  # the maximum itself last
            for i in range(k):
                start[i] = best[i]
            j, sign = (side - 1) // 2, 1.0 if side % 2 else -1.0
            if side:
                start[j] += sign * _WIDE
            value[g], squares[g], used[g] = evaluate(
                start, problem, a, b, room, precision[g], beta[g], gradient, squares_slope[g]
            )
            for i in range(k if side else 0):
                own = 0.0 if side % 2 == 0 else hessian[g, j, i]
                hessian[g, j, i] = own + sign * gradient[i] / (2.0 * _WIDE)
            for i in range(c - 1 if side else 0):
                own = 0.0 if side % 2 == 0 else beta_slope[g, j, i]
                beta_slope[g, j, i] = own + sign * beta[g, i] / (2.0 * _WIDE)
        for j in range(k):
            for i in range(j):
                middle = 0.5 * (hessian[g, i, j] + hessian[g, j, i])
                hessian[g, i, j] = hessian[g, j, i] = middle
