"""Newton's method on the exact likelihood of an autoregression, compiled; see `ar_objective`.

Importing this imports numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from arproc.compiled.arrays import put, put_table
from arproc.compiled.jit import jit
from arproc.gaussian.ar_objective import derivatives, value_at
from arproc.gaussian.small_kernels import cholesky, step_down

__all__ = ["Found", "Room", "make_room", "maximise"]

_EPS = 2.0**-52
_MAX_STEPS = 60


class Room(NamedTuple):
    """Memory that is used again and again, for order p and m columns; see `ar_objective`.

    Where a search has ended, `form`, `c`, `slope` and `moved` are those of its last point, and
    `work` is the Cholesky factor of the Hessian.
    """

    half: np.ndarray
    form: np.ndarray
    left: np.ndarray
    c: np.ndarray
    star: np.ndarray
    other: np.ndarray
    trial: np.ndarray
    levels: np.ndarray
    work: np.ndarray
    hessian: np.ndarray
    probe: np.ndarray
    pull: np.ndarray
    complex_levels: np.ndarray
    slope: np.ndarray
    gradient: np.ndarray
    direction: np.ndarray
    mixed: np.ndarray
    moved: np.ndarray


class Found(NamedTuple):
    """Where a search ended.

    Attributes:
        ended: whether by itself, and with enough digits.
        value: the objective.
        squares: the sum of squares.
        promised: what a step more would lower the objective by, twice; below `enough`.
    """

    ended: bool
    value: float
    squares: float
    promised: float


@jit
def make_room(p: int, m: int) -> Room:
    """Room for order p and m columns, the data's among them."""
    q = m - 1
    return Room(
        np.empty((m, p + 1, m)), np.empty((m, m)), np.empty((q, q)), np.empty(m), np.empty(p + 1),
        np.empty(p), np.empty(p), np.empty((p, p)), np.empty((p, p)), np.empty((p, p)),
        np.empty(p, np.complex128), np.empty(p, np.complex128), np.empty((p, p), np.complex128),
        np.empty(p), np.empty(p), np.empty(p), np.empty((q, p)), np.empty((q, p)),
    )  # fmt: skip


@jit
def _factor(hessian: np.ndarray, factor: np.ndarray, p: int) -> bool:
    """The Cholesky factor of the Hessian; its diagonal is raised until there is one."""
    largest = 0.0
    for j in range(p):
        largest = max(largest, abs(hessian[j, j]))
    ridge = 0.0
    for _ in range(40):
        put_table(hessian, factor)
        for j in range(p):
            factor[j, j] += ridge
        if cholesky(factor, p, 0.0):
            return True
        ridge = max(4.0 * ridge, 1e-3 * largest)
    return False


@jit
def _direction(factor: np.ndarray, gradient: np.ndarray, direction: np.ndarray) -> float:
    """Solve for minus the gradient; gives the descent that is promised."""
    p = len(gradient)
    for i in range(p):
        value = -gradient[i]
        for h in range(i):
            value -= factor[i, h] * direction[h]
        direction[i] = value / factor[i, i]
    for i in range(p - 1, -1, -1):
        value = direction[i]
        for h in range(i + 1, p):
            value -= factor[h, i] * direction[h]
        direction[i] = value / factor[i, i]
    promised = 0.0
    for i in range(p):
        promised -= gradient[i] * direction[i]
    return promised


@jit
def _starts(
    e: np.ndarray,
    total: float,
    work: np.ndarray,
    levels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
) -> bool:
    """Least squares in `first`, Yule-Walker in `second`; whether the first alone will do."""
    p = len(first)
    for i in range(p):
        for j in range(i + 1):
            work[i, j] = e[i + 1, 0, j + 1, 0]
        first[i] = -e[i + 1, 0, 0, 0]
    largest = np.inf
    if cholesky(work, p, 0.0):
        _direction(work, first.copy(), first)
        largest = step_down(first, levels)
    if largest < 0.98 and total > 50 * (p + 1):
        return True
    if not largest < 0.999999:
        first[:] = np.nan
    variance = e[0, 0, 0, 0]
    for k in range(1, p + 1):
        value = e[0, 0, k, 0]
        for i in range(k - 1):
            value -= second[i] * e[0, 0, k - 1 - i, 0]
        r = min(max(value / variance, -0.999999), 0.999999)
        for i in range(k // 2):
            head, tail = second[i], second[k - 2 - i]
            second[i] = head - r * tail
            second[k - 2 - i] = tail - r * head
        second[k - 1] = r
        variance *= 1.0 - r * r
    return False


@jit
def maximise(
    e: np.ndarray, n: float, total: float, phi: np.ndarray, room: Room, enough: float
) -> Found:
    """Search the maximum from least squares, or Yule-Walker where that is likelier.

    Args:
        e: the statistics of the data, [p + 1, m, p + 1, m].
        n: the length of the sequences: their mean, where several are pooled.
        total: the number of elements in all.
        phi: result, the coefficients [p].
        room: for them.
        enough: the promise of a step (the Newton decrement) at which to stop.
    """
    p, r = len(phi), room
    alone = _starts(e, total, r.work, r.levels, phi, r.other)
    at, squares = value_at(e, n, phi, r.levels, r.star, r.half, r.form, r.left, r.c)
    if not alone:
        at_other, squares_other = value_at(
            e, n, r.other, r.levels, r.star, r.half, r.form, r.left, r.c
        )
        if at_other < at:
            put(r.other, phi)
            at, squares = at_other, squares_other
        else:
            value_at(e, n, phi, r.levels, r.star, r.half, r.form, r.left, r.c)
    for _ in range(_MAX_STEPS):
        if not np.isfinite(at):
            break
        derivatives(
            e, n, phi, squares, r.half, r.left, r.c, r.probe, r.complex_levels, r.pull, r.slope,
            r.mixed, r.moved, r.hessian, r.gradient,
        )  # fmt: skip
        if not _factor(r.hessian, r.work, p):
            break
        promised = _direction(r.work, r.gradient, r.direction)
        gain = 1.0
        for i in range(p):
            gain += abs(phi[i])
        noise = _EPS * gain * gain * total / squares
        if not promised > max(enough, 1e-4 * noise * noise):
            return Found(noise < 1e-11, at, squares, promised)
        step = 1.0
        after = np.inf
        while step > 1e-9:
            for i in range(p):
                r.trial[i] = phi[i] + step * r.direction[i]
            after, squares_after = value_at(
                e, n, r.trial, r.levels, r.star, r.half, r.form, r.left, r.c
            )
            if after <= at - 1e-4 * step * promised or (promised < 1e-12 and after < np.inf):
                break
            step *= 0.5
        if not step > 1e-9:
            break
        if promised < 1e-12 and not after < at + 1e-13:
            break
        put(r.trial, phi)
        at, squares = after, squares_after
    return Found(False, at, squares, np.inf)
