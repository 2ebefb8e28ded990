r"""Rows of ARMA processes without gaps: innovations and their slopes, compiled. Imports numba.

The state of the filter is what past elements and past innovations give, so that an innovation is

.. math::
    e_t = y_t - \sum_i \phi_i y_{t-i} - \sum_i \kappa_{t-i,i} e_{t-i},

with gains :math:`\kappa` that depend on the place alone and settle at the moving average's
coefficients. The sum over elements is one pass for each lag; what is left of the recursion is
short, and the slopes of innovations pass through the same one.

References:
    Brockwell and Davis (1991), section 5.3.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.arma_space import STEP
from arproc.gaussian.small_kernels import dot
from arproc.gaussian.state_kernels import known

__all__ = ["Room", "add_row", "add_row_slopes", "room_for", "tabulate", "take"]

_STILL = 1e-12  # by how little settled slopes still move
_NOTHING = 1e-14  # a gain that is none


class Room(NamedTuple):
    """Memory that is used again and again, for rows of at most T elements.

    Attributes:
        gain: with which innovations enter later elements, by position, [T, r].
        weight: one over the variances of the elements, [T].
        gain_slope: how the gains move with each z, [T, k, r].
        variance_slope: how the variances do, [T, k].
        lags: which gains there are once they have settled, int64 [r].
        rest: innovations of each column of all rows, [C, total].
        moved: how those of a row move with each z, [k, T].
    """

    gain: np.ndarray
    weight: np.ndarray
    gain_slope: np.ndarray
    variance_slope: np.ndarray
    lags: np.ndarray
    rest: np.ndarray
    moved: np.ndarray


@jit
def room_for(longest: int, total: int, columns: int, k: int, r: int) -> Room:
    """Room for problems of at most `total` elements, in rows of at most `longest`."""
    return Room(
        np.empty((longest, r)), np.empty(longest), np.empty((longest, k, r)),
        np.empty((longest, k)), np.empty(r, np.int64), np.empty((columns, total)),
        np.empty((k, longest)),
    )  # fmt: skip


@jit
def _follow_slope(
    starts: np.ndarray, noises: np.ndarray, c: int, t: int, active: int, inverse: float,
    gain: np.ndarray, load: np.ndarray, slope: np.ndarray,
) -> bool:  # fmt: skip
    """How the next covariance and a gain move with number c, the former in place of the last.

    Args:
        starts: how the covariance moves with it is starts[2 c + 1], [r, r].
        noises: the state's noise, [r], and how it moves, noises[2 c + 1].
        c: which number.
        t: the position.
        active: as for `state_kernels.known`.
        inverse: one over the element's variance.
        gain: at t, [T, r].
        load: is overwritten, [r].
        slope: how the gain at t moves, [T, k, r]; result.

    Returns:
        Whether that stays what it was.
    """
    # no views of arrays in here: counting who holds them costs more than what is computed
    r, at, top, moved, f = noises.shape[1], 2 * c + 1, 1.0, 0.0, starts[2 * c + 1, 0, 0]
    for i in range(r - 1):
        load[i] = starts[at, i + 1, 0]
        slope[t, c, i] = (load[i] - gain[t, i] * f) * inverse
    slope[t, c, r - 1] = load[r - 1] = 0.0
    for i in range(active):
        for j in range(i + 1):
            value = noises[at, i] * noises[0, j] + noises[0, i] * noises[at, j]
            if i + 1 < r:
                value += starts[at, i + 1, j + 1] - load[i] * gain[t, j]
                value -= gain[t, i] * (load[j] - gain[t, j] * f)
            moved = max(moved, abs(value - starts[at, i, j]))
            starts[at, i, j] = starts[at, j, i] = value
        top = max(top, abs(starts[at, i, i]))
    return moved <= _STILL * top


@jit
def tabulate(
    steps: int, n_theta: int, phis: np.ndarray, noises: np.ndarray, starts: np.ndarray, room: Room
) -> tuple[int, int]:
    """Gains and variances into `room`, and how they move with z; see `arma_space.spaces`.

    Args:
        steps: for how many elements, at the most.
        n_theta: the order of the moving average, multiplied out.
        phis: [1 + 2 k, r].
        noises: the same.
        starts: [1 + 2 k, r, r].
        room: result.

    Returns:
        From which place on nothing changes, and how many gains there are then.
    """
    r, k, share = phis.shape[1], len(phis) // 2, 0.5 / STEP
    phi, noise, p = phis[0], noises[0], starts[0]
    gain, weight, slope, variance_slope = room[:4]
    load, whole = np.empty(r), np.empty(r)
    for c in range(k):  # slopes in the place of the step up
        up, down = 2 * c + 1, 2 * c + 2
        for i in range(r):
            noises[up, i] = share * (noises[up, i] - noises[down, i])
            for j in range(r):
                starts[up, i, j] = share * (starts[up, i, j] - starts[down, i, j])
    quiet, last = 0, steps - 1
    for t in range(steps):
        active = max(n_theta, r - t)
        inverse = 1.0 / p[0, 0]
        weight[t] = inverse
        still = known(p, 0, active, phi, noise, load, whole)
        for i in range(r):
            gain[t, i] = load[i + 1] * inverse if i + 1 < r else 0.0
        for c in range(k):
            variance_slope[t, c] = starts[2 * c + 1, 0, 0]
            settled = _follow_slope(starts, noises, c, t, active, inverse, gain, load, slope)
            still = still and settled
        quiet = quiet + 1 if still else 0
        if quiet == r:  # a seasonal process may stand still for less than a season
            last = t
            break
    count = 0
    for i in range(r):
        there = abs(gain[last, i]) > _NOTHING
        for c in range(k):
            there = there or abs(slope[last, c, i]) > _STILL
        if there:
            room.lags[count] = i
            count += 1
    return last, count


def _take(out: np.ndarray, weight: float, y: np.ndarray, lag: int) -> None:
    """Take a multiple of earlier elements off: out[t] -= weight y[t - lag]."""
    later = out[lag:]
    earlier = y[: len(later)]
    for t in range(len(later)):
        later[t] -= weight * earlier[t]


def _plain_take(out: np.ndarray, weight: float, y: np.ndarray, lag: int) -> None:
    out[lag:] -= weight * y[: max(len(out) - lag, 0)]


take = jit(_take, _plain_take, fastmath={"contract"})


@functools.partial(jit, fastmath={"contract"})
def _recur(out: np.ndarray, last: int, count: int, gain: np.ndarray, lags: np.ndarray) -> None:
    """out[t] -= sum_i gain[t - i, i] out[t - i], in place; see `tabulate`."""
    steps, r = len(out), gain.shape[1]
    early = min(steps, last + r)
    for t in range(early):
        value = out[t]
        for i in range(min(r - 1, t)):
            value -= gain[min(t - 1 - i, last), i] * out[t - 1 - i]
        out[t] = value
    if count == 1 and lags[0] == 0 and early:  # in a register
        weight, value = gain[last, 0], out[early - 1]
        for t in range(early, steps):
            value = out[t] - weight * value
            out[t] = value
    elif count:
        for t in range(early, steps):
            value = out[t]
            for j in range(count):
                value -= gain[last, lags[j]] * out[t - 1 - lags[j]]
            out[t] = value


@jit
def _weighed(a: np.ndarray, b: np.ndarray, weight: np.ndarray, last: int) -> float:
    """The sum of a b over F."""
    total, early = 0.0, min(last, len(a))
    for t in range(early):
        total += a[t] * b[t] * weight[t]
    if early == len(a):
        return total
    return total + dot(a, early, b, early, len(a) - early) * weight[last]


@jit
def _log_variances(weight: np.ndarray, last: int, steps: int) -> float:
    """The sum of log F."""
    total, product = 0.0, 1.0
    for t in range(min(last, steps)):
        product *= weight[t]
        if not 1e-100 < product < 1e100:  # few logarithms
            total -= np.log(product)
            product = 1.0
    total -= np.log(product)
    return total - (steps - last) * np.log(weight[last]) if steps > last else total


@jit
def add_row(
    y: np.ndarray, phi: np.ndarray, last: int, count: int, room: Room, rest: np.ndarray,
    products: np.ndarray,
) -> float:  # fmt: skip
    """Innovations of a row, and their products over F added, lower; gives its sum of log F.

    Args:
        y: the data and the columns beside them, [C, T].
        phi: [r].
        last: see `tabulate`.
        count: the same.
        room: the same.
        rest: where the innovations go, [C, T].
        products: result, [C, C].
    """
    c, steps = y.shape
    for i in range(c):
        own, out = y[i], rest[i]
        for t in range(steps):
            out[t] = own[t]
        for lag in range(min(len(phi), steps)):
            if phi[lag] != 0.0:
                take(out, phi[lag], own, lag + 1)
        _recur(out, last, count, room.gain, room.lags)
        for j in range(i + 1):
            products[i, j] += _weighed(out, rest[j], room.weight, last)
    return _log_variances(room.weight, last, steps)


@jit
def add_row_slopes(
    y: np.ndarray, rest: np.ndarray, phi_slope: np.ndarray, last: int, count: int, room: Room,
    squares: np.ndarray, logs: np.ndarray, bend: np.ndarray,
) -> None:  # fmt: skip
    """Add how a row's sum of squares and of log F move with z, and how the former bends.

    Args:
        y: the row less its regression, [T].
        rest: its innovations, [T].
        phi_slope: [k, r].
        last: see `tabulate`.
        count: the same.
        room: the same.
        squares: result, [k].
        logs: result, [k].
        bend: products of the innovations' slopes over F, lower [k, k]; result.
    """
    (k, r), steps, weight = phi_slope.shape, len(y), room.weight
    early, late = min(steps, last + r), max(steps - last, 0)
    tail = dot(rest, last, rest, last, late) if late else 0.0
    for c in range(k):
        out, steep = room.moved[c, :steps], room.gain_slope
        for t in range(steps):
            out[t] = 0.0
        for lag in range(min(r, steps)):
            if phi_slope[c, lag] != 0.0:
                take(out, phi_slope[c, lag], y, lag + 1)
        for t in range(early):
            for i in range(min(r - 1, t)):
                out[t] -= steep[min(t - 1 - i, last), c, i] * rest[t - 1 - i]
        for j in range(count if early < steps else 0):
            lag = room.lags[j] + 1
            take(out[early - lag :], steep[last, c, lag - 1], rest[early - lag :], lag)
        _recur(out, last, count, room.gain, room.lags)
        squares[c] += 2.0 * _weighed(out, rest, weight, last)
        for t in range(steps - late):
            share, drift = rest[t] * weight[t], room.variance_slope[t, c]
            squares[c] -= share * share * drift
            logs[c] += drift * weight[t]
        if late:
            drift = room.variance_slope[last, c] * weight[last]
            squares[c] -= tail * weight[last] * drift
            logs[c] += late * drift
        for j in range(c + 1):
            bend[c, j] += _weighed(out, room.moved[j, :steps], weight, last)
