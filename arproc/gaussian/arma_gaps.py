"""ARMA processes and their sums where elements are missing, compiled. Importing imports numba.

A row with gaps has no differences. It passes through the filter as it is, whose state then has the
last elements too, of infinite variance at the start (`state_kernels.gains`). What the gaps leave
of the likelihood is exact, and so is what is forecast.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.state_kernels import gains, run

__all__ = ["Passed", "add_products", "add_slopes", "through"]


class Passed(NamedTuple):
    """What the filter says of a row of T elements and columns beside them.

    Attributes:
        rest: innovations, [C, T]; nan where the element is missing.
        weight: one over their variances, [T]; 0 where there is no element, or a given one.
        after: the states' means after it, [C, k].
        finite: their covariance, [k, k].
        infinite: the infinite part of it, [k, k].
        rank: its rank.
    """

    rest: np.ndarray
    weight: np.ndarray
    after: np.ndarray
    finite: np.ndarray
    infinite: np.ndarray
    rank: int


@jit
def through(
    y: np.ndarray, delta: np.ndarray, phi: np.ndarray, noise: np.ndarray, start: np.ndarray
) -> Passed:
    """A row, and the columns beside it, through the filter.

    Args:
        y: the row, nan where an element is missing, and the columns, [C, T].
        delta: [m]; see `Representation`.
        phi: [r].
        noise: [r].
        start: the covariance of the ARMA part at the start, [r, r].
    """
    c, steps = y.shape
    m, k = len(delta), len(delta) + len(phi)
    seen, known = np.empty((1, steps), np.bool_), np.empty((c, steps))
    for t in range(steps):
        seen[0, t] = y[0, t] == y[0, t]
        for i in range(c):
            known[i, t] = y[i, t] if seen[0, t] else np.nan
    finite, infinite = np.zeros((1, k, k)), np.zeros((1, k, k))
    for i in range(m):
        infinite[0, i, i] = 1.0
    for i in range(k - m):
        for j in range(k - m):
            finite[0, m + i, m + j] = start[i, j]
    counts, rank = np.full(c, steps), np.full(1, m)
    gain, variance, _ = gains(seen, counts[:1], finite, infinite, rank, delta, phi, noise)
    loc, after = run(known, counts, np.zeros((c, k)), gain, np.zeros(c, np.int64), delta, phi)
    weight = np.empty(steps)
    for t in range(steps):
        weight[t] = 1.0 / variance[0, t] if seen[0, t] else 0.0
        for i in range(c):
            known[i, t] -= loc[i, t]
    return Passed(known, weight, after, finite[0], infinite[0], rank[0])


@jit
def _sums(passed: Passed, products: np.ndarray) -> tuple[float, int]:
    """Add products of innovations over F, lower; gives the sum of log F, and of how many."""
    logs, used = 0.0, 0
    for t in range(len(passed.weight)):
        weight = passed.weight[t]
        if not weight > 0.0:
            continue
        logs -= np.log(weight)
        used += 1
        for i in range(len(products)):
            share = passed.rest[i, t] * weight
            for j in range(i + 1):
                products[i, j] += share * passed.rest[j, t]
    return logs, used


@jit
def add_products(
    y: np.ndarray, delta: np.ndarray, phi: np.ndarray, noise: np.ndarray, start: np.ndarray,
    products: np.ndarray,
) -> tuple[float, int]:  # fmt: skip
    """Add a row's products of innovations over F, lower [C, C]; see `through`.

    Returns:
        The sum of log F, and of how many elements.
    """
    return _sums(through(y, delta, phi, noise, start), products)


@jit
def add_slopes(
    y: np.ndarray, delta: np.ndarray, phis: np.ndarray, noises: np.ndarray, starts: np.ndarray,
    step: float, squares: np.ndarray, logs: np.ndarray, bend: np.ndarray,
) -> None:  # fmt: skip
    """Add the derivatives of a row's sum of squares and logarithms of F, by differences, [k].

    Args:
        y: the row less its regression, [T].
        delta: [m].
        phis: at z and, one after the other, a step more and less in each of its numbers, [S, r].
        noises: the same, [S, r].
        starts: the same, [S, r, r].
        step: by how much z moves.
        squares: result.
        logs: result.
        bend: products of the innovations' slopes over F, lower [k, k]; result.
    """
    own, product, share = y.reshape(1, len(y)), np.empty((1, 1)), 0.5 / step
    moved, weight = np.empty((len(squares), len(y))), np.empty(len(y))
    for j in range(len(squares)):
        for side in range(2 * j + 1, 2 * j + 3):
            sign = share if side % 2 else -share
            product[0, 0] = 0.0
            passed = through(own, delta, phis[side], noises[side], starts[side])
            height, _ = _sums(passed, product)
            squares[j] += sign * product[0, 0]
            logs[j] += sign * height
            for t in range(len(y)):
                before, half = (0.0, 0.0) if side % 2 else (moved[j, t], weight[t])
                there = passed.weight[t] > 0.0
                moved[j, t] = before + sign * passed.rest[0, t] if there else 0.0
                weight[t] = half + 0.5 * passed.weight[t]
        for i in range(j + 1):
            for t in range(len(y)):
                bend[j, i] += moved[j, t] * weight[t] * moved[i, t]
