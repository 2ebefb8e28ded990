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
        variance: of the elements, [T].
        logs: the sums of its logarithms up to each position, [T].
        gain_slope: how they move with each z, [T, k, r].
        variance_slope: the same, [T, k].
        logs_slope: the same, [T, k].
        lags: which gains there are once they have settled, int64 [r].
        rest: innovations of each column of all rows, [C, total].
        moved: how those of a row move with each z, [k, T].
    """

    gain: np.ndarray
    variance: np.ndarray
    logs: np.ndarray
    gain_slope: np.ndarray
    variance_slope: np.ndarray
    logs_slope: np.ndarray
    lags: np.ndarray
    rest: np.ndarray
    moved: np.ndarray


@jit
def room_for(longest: int, total: int, columns: int, k: int, r: int) -> Room:
    """Room for problems of at most `total` elements, in rows of at most `longest`."""
    return Room(
        np.empty((longest, r)), np.empty(longest), np.empty(longest), np.empty((longest, k, r)),
        np.empty((longest, k)), np.empty((longest, k)), np.empty(r, np.int64),
        np.empty((columns, total)), np.empty((k, longest)),
    )  # fmt: skip


@jit
def _follow_slope(
    p: np.ndarray, noise: np.ndarray, noise_slope: np.ndarray, inverse: float, gain: np.ndarray,
    load: np.ndarray, gain_slope: np.ndarray,
) -> bool:  # fmt: skip
    """How the next covariance and a gain move, where the covariance moves by p, in place.

    Args:
        p: [r, r].
        noise: [r].
        noise_slope: how it moves, [r].
        inverse: one over the element's variance.
        gain: [r].
        load: room, [r].
        gain_slope: result, [r].

    Returns:
        Whether p stays what it was.
    """
    r, f, top, moved = len(noise), p[0, 0], 1.0, 0.0
    for i in range(r - 1):
        load[i] = p[i + 1, 0]
        gain_slope[i] = (load[i] - gain[i] * f) * inverse
    gain_slope[r - 1] = 0.0
    for i in range(r):
        for j in range(i + 1):
            value = noise_slope[i] * noise[j] + noise[i] * noise_slope[j]
            if i + 1 < r:
                value += p[i + 1, j + 1] - load[i] * gain[j] - gain[i] * (load[j] - gain[j] * f)
            moved = max(moved, abs(value - p[i, j]))
            p[i, j] = p[j, i] = value
        top = max(top, abs(p[i, i]))
    return moved <= _STILL * top


@jit
def tabulate(
    steps: int, phis: np.ndarray, noises: np.ndarray, starts: np.ndarray, room: Room
) -> tuple[int, int]:
    """Gains and variances into `room`, and how they move with z; see `arma_space.spaces`.

    Returns:
        From which place on nothing changes, and how many gains there are then.
    """
    r, k, share = phis.shape[1], len(phis) // 2, 0.5 / STEP
    phi, noise, p = phis[0], noises[0], starts[0].copy()
    load, whole = np.empty(r), np.empty(r)
    steep, noise_slope = np.empty((k, r, r)), np.empty((k, r))
    for c in range(k):
        for i in range(r):
            noise_slope[c, i] = share * (noises[2 * c + 1, i] - noises[2 * c + 2, i])
            for j in range(r):
                steep[c, i, j] = share * (starts[2 * c + 1, i, j] - starts[2 * c + 2, i, j])
    quiet, last, logs = 0, steps - 1, 0.0
    for t in range(steps):
        f = p[0, 0]
        inverse = 1.0 / f
        logs += np.log(f)
        room.variance[t], room.logs[t] = f, logs
        still = known(p, 0, phi, noise, load, whole)
        gain = room.gain[t]
        for i in range(r):
            gain[i] = load[i + 1] * inverse if i + 1 < r else 0.0
        for c in range(k):
            slope = steep[c, 0, 0]
            room.variance_slope[t, c] = slope
            before = room.logs_slope[t - 1, c] if t else 0.0
            room.logs_slope[t, c] = before + slope * inverse
            settled = _follow_slope(
                steep[c], noise, noise_slope[c], inverse, gain, load, room.gain_slope[t, c]
            )
            still = still and settled
        quiet = quiet + 1 if still else 0
        if quiet == r:  # a seasonal process may stand still for less than a season
            last = t
            break
    count = 0
    for i in range(r):
        there = abs(room.gain[last, i]) > _NOTHING
        for c in range(k):
            there = there or abs(room.gain_slope[last, c, i]) > _STILL
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
def _weighed(a: np.ndarray, b: np.ndarray, variance: np.ndarray, last: int) -> float:
    """The sum of a b over F."""
    total, early = 0.0, min(last, len(a))
    for t in range(early):
        total += a[t] * b[t] / variance[t]
    if early == len(a):
        return total
    return total + dot(a, early, b, early, len(a) - early) / variance[last]


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
    if not steps:
        return 0.0
    for i in range(c):
        own, out = y[i], rest[i]
        for t in range(steps):
            out[t] = own[t]
        for lag in range(min(len(phi), steps)):
            if phi[lag] != 0.0:
                take(out, phi[lag], own, lag + 1)
        _recur(out, last, count, room.gain, room.lags)
        for j in range(i + 1):
            products[i, j] += _weighed(out, rest[j], room.variance, last)
    if steps <= last:
        return room.logs[steps - 1]
    return room.logs[last] + (steps - 1 - last) * np.log(room.variance[last])


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
        bend: products of the innovations' slopes over F, [k, k]; result.
    """
    k, r = phi_slope.shape
    steps = len(y)
    if not steps:
        return
    early, late = min(steps, last + r), max(steps - 1 - last, 0)
    at = min(last, steps - 1)
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
        squares[c] += 2.0 * _weighed(out, rest, room.variance, last)
        for t in range(at + 1):
            share = rest[t] / room.variance[t]
            squares[c] -= share * share * room.variance_slope[t, c]
        logs[c] += room.logs_slope[at, c]
        if late:
            drift, inverse = room.variance_slope[last, c], 1.0 / room.variance[last]
            tail = dot(rest, last + 1, rest, last + 1, late)
            squares[c] -= tail * inverse * inverse * drift
            logs[c] += late * drift * inverse
        for j in range(c + 1):
            bend[c, j] += _weighed(out, room.moved[j, :steps], room.variance, last)
