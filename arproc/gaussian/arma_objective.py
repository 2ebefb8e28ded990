r"""The exact likelihood of an ARMA process and its gradient. Importing this imports numba.

A problem is one or more rows (series) under one process: the data, and beside them the columns of
a regression, pass through the same filter; least squares of the innovations gives the regression,
and what is minimised is

.. math::
    f(z) = \log S(z) + \frac{1}{n} \sum_t \log F_t, \qquad S = \sum_t v_t^2 / F_t,

with partial autocorrelations :math:`\tanh z` (Monahan 1984) in each polynomial. How gains and
variances move with z is a matter of the filter alone, run for z a little more and a little less
until it settles; how innovations move follows by hand, for all data at once.

Rows without gaps are of differences, where there are any, and begin with the stationary law. Those
with gaps are not, and pass through the filter as `arma_gaps` has it.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.arma_gaps import add_products, add_slopes
from arproc.gaussian.small_kernels import (
    autocovariances,
    backwards,
    cholesky,
    forwards,
    step_down,
)
from arproc.gaussian.state_kernels import complete

__all__ = ["Problem", "Room", "evaluate", "expand", "stationary_start"]

_STEP = 1e-5  # of the differences of gains and variances
_WELL = 1e-11  # what columns before it leave of a column, at the least, as a share of its squares


class Problem(NamedTuple):
    """What is fitted; several problems lie one after the other.

    Attributes:
        blocks: how many coefficients the AR, MA, seasonal AR and seasonal MA polynomials have,
            and the period, int64 [5].
        columns: the data and the regressors, one row after the other, [C, total]: differences of
            both, but in rows with gaps.
        offsets: where each row begins, int64 [R + 1].
        size: how many states there are, r.
        torn: which rows have gaps, bool [R].
        delta: the weights of the last elements that the differences are of, [m].
    """

    blocks: np.ndarray
    columns: np.ndarray
    offsets: np.ndarray
    size: int
    torn: np.ndarray
    delta: np.ndarray


class Room(NamedTuple):
    """Memory that is used again and again, for rows of at most T elements.

    Attributes:
        gain: of the filter by position, [T, r].
        variance: of the elements, [T + 1].
        gain_slope: how they move with each z, [T, k, r].
        variance_slope: the same, [T, k].
        rest: innovations of each column, [C, T].
    """

    gain: np.ndarray
    variance: np.ndarray
    gain_slope: np.ndarray
    variance_slope: np.ndarray
    rest: np.ndarray


@jit
def _raise(pacf: np.ndarray, begin: int, end: int, coef: np.ndarray) -> None:
    """The coefficients of the partial autocorrelations pacf[begin:end], into the same places."""
    for k in range(end - begin):
        r = pacf[begin + k]
        for i in range(k // 2):
            head, tail = coef[begin + i], coef[begin + k - 1 - i]
            coef[begin + i] = head - r * tail
            coef[begin + k - 1 - i] = tail - r * head
        if k % 2:
            coef[begin + k // 2] *= 1.0 - r
        coef[begin + k] = r


@jit
def _multiply(
    coef: np.ndarray, at: int, count: int, far: int, many: int, s: int, out: np.ndarray
) -> None:
    """-(1 - sum_i a_i B^i)(1 - sum_j b_j B^(s j)) but for its first 1, into out, padded with 0."""
    for i in range(len(out)):
        out[i] = 0.0
    for i in range(count):
        out[i] += coef[at + i]
    for j in range(many):
        out[s * (j + 1) - 1] += coef[far + j]
        for i in range(count):
            out[s * (j + 1) + i] -= coef[at + i] * coef[far + j]


@jit
def _coefficients(
    pacf: np.ndarray, blocks: np.ndarray, coef: np.ndarray, phi: np.ndarray, noise: np.ndarray
) -> None:
    """The state space of partial autocorrelations.

    Args:
        pacf: those of AR, MA, seasonal AR and seasonal MA polynomials, [k].
        blocks: how many each has, and the period, int64 [5].
        coef: where the polynomials' coefficients go, the moving average's with minus signs, [k].
        phi: see `Representation`, [r].
        noise: the same, [r].
    """
    begin = 0
    for b in range(4):
        _raise(pacf, begin, begin + blocks[b], coef)
        begin += blocks[b]
    expand(coef, blocks, phi, noise)


@jit
def expand(coef: np.ndarray, blocks: np.ndarray, phi: np.ndarray, noise: np.ndarray) -> None:
    """The polynomials multiplied out: phi and noise [r] of coefficients; see `_coefficients`."""
    p, q, seasonal_p, seasonal_q, s = blocks[0], blocks[1], blocks[2], blocks[3], blocks[4]
    _multiply(coef, 0, p, p + q, seasonal_p, s, phi)
    _multiply(coef, p, q, p + q + seasonal_p, seasonal_q, s, noise[1:])
    for i in range(1, len(noise)):
        noise[i] = -noise[i]
    noise[0] = 1.0


@jit
def stationary_start(
    phi: np.ndarray, noise: np.ndarray, n_phi: int, n_theta: int, room: np.ndarray, p: np.ndarray
) -> bool:
    """The stationary covariance of the ARMA state into p [r, r]; False where there is none.

    Its first row follows from the autocovariances, the others from the first.

    Args:
        phi: [r].
        noise: [r].
        n_phi: the order of the autoregression, multiplied out.
        n_theta: that of the moving average.
        room: is overwritten, [n_phi + 3, r + n_theta + 1].
        p: the result.
    """
    r = len(phi)
    if n_phi:
        levels = room[:n_phi, :n_phi]
        if not step_down(phi[:n_phi], levels) < 1.0:
            return False
        most = r + n_theta + 1
        c, gamma, psi = room[n_phi], room[n_phi + 1], room[n_phi + 2]
        autocovariances(levels, n_phi, 1.0, c)
        for h in range(n_phi, most):
            total = 0.0
            for i in range(n_phi):
                total += phi[i] * c[abs(h - 1 - i)]
            c[h] = total
        for h in range(r + 1):
            gamma[h] = 0.0
        for lag in range(n_theta + 1):
            both = 0.0
            for i in range(n_theta + 1 - lag):
                both += noise[i] * noise[i + lag]
            for h in range(r + 1):
                gamma[h] += both * c[abs(h - lag)]
                if lag:
                    gamma[h] += both * c[h + lag]
        for h in range(r):
            psi[h] = noise[h]
            for i in range(min(h, n_phi)):
                psi[h] += phi[i] * psi[h - 1 - i]
        p[0, 0] = gamma[0]
        for j in range(1, r):
            total = 0.0
            for i in range(j, r):
                total += phi[i] * gamma[i + 1 - j] + noise[i] * psi[i - j]
            p[0, j] = p[j, 0] = total
    for i in range(r - 1, -1 if n_phi == 0 else 0, -1):
        for j in range(i, -1 if n_phi == 0 else 0, -1):
            value = noise[i] * noise[j]
            if n_phi:
                value += phi[i] * phi[j] * p[0, 0]
                if j + 1 < r:
                    value += phi[i] * p[0, j + 1]
                if i + 1 < r:
                    value += phi[j] * p[0, i + 1]
            if i + 1 < r:
                value += p[i + 1, j + 1]
            p[i, j] = p[j, i] = value
    return True


@jit
def _spaces(
    z: np.ndarray, problem: Problem, phis: np.ndarray, noises: np.ndarray, starts: np.ndarray
) -> bool:
    """The state spaces at z and, one after the other, a step more and less in each of its numbers.

    Args:
        z: [k].
        problem: the problem.
        phis: result, [S, r]; as many of them as it has room for.
        noises: result, [S, r].
        starts: the stationary covariances, [S, r, r].

    Returns:
        Whether there is a stationary start at each.
    """
    k, r, blocks = len(z), problem.size, problem.blocks
    n_phi, n_theta = blocks[0] + blocks[4] * blocks[2], blocks[1] + blocks[4] * blocks[3]
    pacf, coef, room = np.empty(k), np.zeros(k), np.empty((n_phi + 3, r + n_theta + 1))
    found = True
    for side in range(len(phis)):
        for i in range(k):
            pacf[i] = np.tanh(z[i] + _moved(side, i))
        _coefficients(pacf, blocks, coef, phis[side], noises[side])
        found = found and stationary_start(
            phis[side], noises[side], n_phi, n_theta, room, starts[side]
        )
    return found


@jit
def _moved(side: int, i: int) -> float:
    """By how much side `side` moves number i: side 2 i + 1 up and side 2 i + 2 down."""
    if side == 2 * i + 1:
        return _STEP
    return -_STEP if side == 2 * i + 2 else 0.0


@jit
def _tabulate(
    steps: int, phis: np.ndarray, noises: np.ndarray, starts: np.ndarray, room: Room
) -> int:
    """Gains and variances into `room`, and how they move with z; see `_spaces`.

    Returns:
        From which place on nothing changes.
    """
    r, last, share = phis.shape[1], 0, 0.5 / _STEP
    gain, variance, steep, steep_variance = room[:4]
    for side in range(len(phis)):
        own, spread, settled = complete(steps, starts[side].copy(), phis[side], noises[side])
        own_last = min(settled, steps - 1)
        if side == 0:
            last = own_last
            for t in range(last + 1):
                variance[t] = spread[t]
                for i in range(r):
                    gain[t, i] = own[t, i]
            continue
        j, first, sign = (side - 1) // 2, side % 2 == 1, share if side % 2 else -share
        for t in range(last + 1):  # where one side settles before another, its last values serve
            at = min(t, own_last)
            known = 0.0 if first else steep_variance[t, j]
            steep_variance[t, j] = known + sign * spread[at]
            for i in range(r):
                known = 0.0 if first else steep[t, j, i]
                steep[t, j, i] = known + sign * own[at, i]
    return last


@functools.partial(jit, fastmath={"contract"})
def _products(
    columns: np.ndarray,
    begin: int,
    steps: int,
    phi: np.ndarray,
    last: int,
    room: Room,
    products: np.ndarray,
) -> float:
    """Add a row's products of innovations over F, lower; gives its sum of log F."""
    c, r = len(columns), len(phi)
    gain, variance, rest = room.gain, room.variance, room.rest
    state = np.empty(r + 1)
    for i in range(c):
        for j in range(r + 1):  # the last stays 0
            state[j] = 0.0
        for t in range(steps):
            place, head = min(t, last), state[0]
            error = columns[i, begin + t] - head
            rest[i, t] = error
            for j in range(r):
                state[j] = phi[j] * head + state[j + 1] + gain[place, j] * error
    logs, inverse, height = 0.0, 0.0, 0.0
    for t in range(steps):
        if t <= last:  # what follows is the same
            inverse, height = 1.0 / variance[t], np.log(variance[t])
        logs += height
        for i in range(c):
            share = rest[i, t] * inverse
            for j in range(i + 1):
                products[i, j] += share * rest[j, t]
    return logs


@functools.partial(jit, fastmath={"contract"})
def _add_slopes(
    y: np.ndarray,
    steps: int,
    phi: np.ndarray,
    phi_slope: np.ndarray,
    last: int,
    room: Room,
    squares: np.ndarray,
    logs: np.ndarray,
) -> None:
    """Add the derivatives of a row's sum of squares and logarithms of F to those so far, [k].

    Args:
        y: the row less its regression.
        steps: how many elements it has.
        phi: [r].
        phi_slope: [k, r].
        last: see `_tabulate`.
        room: see `_tabulate`.
        squares: result.
        logs: result.
    """
    r, count = len(phi), len(squares)
    gain, variance, steep, steep_variance = room[:4]
    state, moved = np.zeros(r + 1), np.zeros((count, r + 1))  # the last stays 0
    inverse = 0.0
    for t in range(steps):
        place, head = min(t, last), state[0]
        if t <= last:
            inverse = 1.0 / variance[t]
        error = y[t] - head
        share = error * inverse
        for c in range(count):
            first, drift = moved[c, 0], steep_variance[place, c]
            squares[c] -= share * (2.0 * first + share * drift)
            logs[c] += drift * inverse
            for i in range(r):
                own = phi_slope[c, i] * head + (phi[i] - gain[place, i]) * first
                moved[c, i] = own + moved[c, i + 1] + steep[place, c, i] * error
        for i in range(r):
            state[i] = phi[i] * head + state[i + 1] + gain[place, i] * error


@jit
def _solve(products: np.ndarray, precision: np.ndarray, beta: np.ndarray) -> float:
    """Least squares from products [C, C], lower, the data first; gives S, or nan."""
    c = len(products)
    squares = products[0, 0]
    for i in range(1, c):
        beta[i - 1] = products[i, 0]
        for j in range(1, i + 1):
            precision[i - 1, j - 1] = precision[j - 1, i - 1] = products[i, j]
    if c == 1:
        return squares
    left = precision.copy()
    if not cholesky(left, c - 1, _WELL):
        return np.nan
    forwards(left, c - 1, beta)
    for i in range(c - 1):
        squares -= beta[i] * beta[i]
    backwards(left, c - 1, beta)
    return squares


@jit
def evaluate(
    z: np.ndarray,
    problem: Problem,
    begin: int,
    end: int,
    room: Room,
    precision: np.ndarray,
    beta: np.ndarray,
    gradient: np.ndarray,
    squares_slope: np.ndarray,
) -> tuple[float, float, int]:
    """The objective of the rows begin ... end - 1 at z, and its gradient.

    Args:
        z: partial autocorrelations are tanh z, [k].
        problem: the problem, and others.
        begin: its first row.
        end: the one after its last.
        room: is overwritten.
        precision: where the regression's precision goes, times sigma2, [C - 1, C - 1].
        beta: its coefficients, [C - 1].
        gradient: that of the objective, [k].
        squares_slope: that of S, [k].

    Returns:
        The objective, infinite where there is none; S; and of how many elements it is.
    """
    k, c, r = len(z), len(problem.columns), problem.size
    columns, offsets, sides = problem.columns, problem.offsets, 1 + 2 * k
    phis, noises, starts = np.zeros((sides, r)), np.zeros((sides, r)), np.empty((sides, r, r))
    if not _spaces(z, problem, phis, noises, starts):
        return np.inf, np.inf, 0
    phi, phi_slope = phis[0], np.empty((k, r))
    for j in range(k):
        for i in range(r):
            phi_slope[j, i] = (phis[2 * j + 1, i] - phis[2 * j + 2, i]) / (2.0 * _STEP)
    longest, torn, delta = 0, problem.torn, problem.delta
    for row in range(begin, end):
        if not torn[row]:
            longest = max(longest, offsets[row + 1] - offsets[row])
    last = _tabulate(longest, phis, noises, starts, room) if longest else 0
    products, logs, used = np.zeros((c, c)), 0.0, 0
    for row in range(begin, end):
        first, stop = offsets[row], offsets[row + 1]
        if torn[row]:
            own = columns[:, first:stop]
            more, count = add_products(own, delta, phi, noises[0], starts[0], products)
            logs, used = logs + more, used + count
        else:
            logs += _products(columns, first, stop - first, phi, last, room, products)
            used += stop - first
    squares = _solve(products, precision, beta)
    if not (squares > 0 and used):
        return np.inf, squares, used
    logs_slope, y = np.zeros(k), room.rest[0]
    for j in range(k):
        squares_slope[j] = 0.0
    for row in range(begin, end if k else begin):
        steps = offsets[row + 1] - offsets[row]
        for t in range(steps):
            y[t] = columns[0, offsets[row] + t]
            for i in range(1, c):
                y[t] -= beta[i - 1] * columns[i, offsets[row] + t]
        if torn[row]:
            add_slopes(
                y[:steps], delta, phis, noises, starts, _STEP, squares_slope, logs_slope
            )  # fmt: skip
        else:
            _add_slopes(y, steps, phi, phi_slope, last, room, squares_slope, logs_slope)
    for j in range(k):
        gradient[j] = squares_slope[j] / squares + logs_slope[j] / used
    value = np.log(squares) + logs / used
    return (value if value == value else np.inf), squares, used
