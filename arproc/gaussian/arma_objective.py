r"""The exact likelihood of an ARMA process and its gradient. Importing this imports numba.

A problem is one or more rows (series) under one process: the data, and beside them the columns of
a regression, pass through the same filter; least squares of the innovations gives the regression,
and what is minimised is

.. math::
    f(z) = \log S(z) + \frac{1}{n} \sum_t \log F_t, \qquad S = \sum_t v_t^2 / F_t,

with partial autocorrelations :math:`\tanh z` (Monahan 1984) in each polynomial. How gains and
variances move with z is a matter of the filter alone, until it settles; how innovations move
follows, for all data at once. The products of these slopes say about how f bends.

Rows without gaps are of differences, where there are any, and begin with the stationary law. Those
with gaps are not, and pass through the filter as `arma_gaps` has it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.arma_gaps import add_products, add_slopes
from arproc.gaussian.arma_rows import Room, add_row, add_row_slopes, tabulate, take
from arproc.gaussian.arma_space import STEP, spaces
from arproc.gaussian.small_kernels import backwards, cholesky, forwards

__all__ = ["Problem", "evaluate"]

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
    bend: np.ndarray,
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
        bend: about how the objective bends (Gauss and Newton), [k, k].

    Returns:
        The objective, infinite where there is none; S; and of how many elements it is.
    """
    k, c, r = len(z), len(problem.columns), problem.size
    columns, offsets, sides = problem.columns, problem.offsets, 1 + 2 * k
    phis, noises, starts = np.zeros((sides, r)), np.zeros((sides, r)), np.empty((sides, r, r))
    if not spaces(z, problem.blocks, phis, noises, starts):
        return np.inf, np.inf, 0
    phi, longest, torn, delta = phis[0], 0, problem.torn, problem.delta
    for row in range(begin, end):
        if not torn[row]:
            longest = max(longest, offsets[row + 1] - offsets[row])
    last, count = 0, 0
    if longest:
        n_theta = problem.blocks[1] + problem.blocks[4] * problem.blocks[3]
        own_noises, own_starts = noises.copy(), starts.copy()
        last, count = tabulate(longest, n_theta, phis, own_noises, own_starts, room)
    products, logs, used, low = np.zeros((c, c)), 0.0, 0, offsets[begin]
    for row in range(begin, end):
        first, stop = offsets[row], offsets[row + 1]
        own = columns[:, first:stop]
        if torn[row]:
            more, there = add_products(own, delta, phi, noises[0], starts[0], products)
            logs, used = logs + more, used + there
        else:
            rest = room.rest[:, first - low : stop - low]
            logs += add_row(own, phi, last, count, room, rest, products)
            used += stop - first
    squares = _solve(products, precision, beta)
    if not (squares > 0 and used):
        return np.inf, squares, used
    value = np.log(squares) + logs / used
    if not k:
        return (value if value == value else np.inf), squares, used
    phi_slope, logs_slope = np.empty((k, r)), np.zeros(k)
    for j in range(k):
        squares_slope[j] = 0.0
        for i in range(r):
            phi_slope[j, i] = (phis[2 * j + 1, i] - phis[2 * j + 2, i]) / (2.0 * STEP)
        for i in range(k):
            bend[j, i] = 0.0
    for row in range(begin, end):
        first, stop = offsets[row], offsets[row + 1]
        own = _freed(columns[:, first:stop], beta)
        if torn[row]:
            add_slopes(own, delta, phis, noises, starts, STEP, squares_slope, logs_slope, bend)
        else:
            rest = _freed(room.rest[:, first - low : stop - low], beta)
            add_row_slopes(
                own, rest, phi_slope, last, count, room, squares_slope, logs_slope, bend
            )  # fmt: skip
    for j in range(k):
        gradient[j] = squares_slope[j] / squares + logs_slope[j] / used
        for i in range(j + 1):
            bend[j, i] = bend[i, j] = 2.0 * bend[j, i] / squares
    return (value if value == value else np.inf), squares, used


@jit
def _freed(rows: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """The first row less a regression on the others, [T]."""
    left = rows[0].copy()
    for i in range(len(beta)):
        take(left, beta[i], rows[i + 1], 0)
    return left
