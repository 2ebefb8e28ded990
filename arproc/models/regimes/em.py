"""Compiled steps of estimation: EM and the score. Importing this module imports numba.

Locations are the free trends and coefficients; `tie` [k (q + p), free] turns them into those of
all regimes, trends first. Matrices here have a few rows, so products and solutions are loops:
numba's linear algebra takes seconds to compile. `climb` and `score` call the compiled parts one by
one: whole, they would compile them all once more.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from arproc.compiled.jit import jit
from arproc.models.regimes.gaps import Gaps
from arproc.models.regimes.hamilton import sums, weigh

__all__ = ["climb", "score"]


@jit
def _solve(a: np.ndarray, b: np.ndarray) -> None:
    """Solve a x = b by elimination with pivots: b [n] becomes x, and a [n, n] is used up."""
    n = len(b)
    for c in range(n):
        best = c
        for i in range(c + 1, n):
            if abs(a[i, c]) > abs(a[best, c]):
                best = i
        for j in range(n):
            a[c, j], a[best, j] = a[best, j], a[c, j]
        b[c], b[best] = b[best], b[c]
        for i in range(c + 1, n):
            factor = a[i, c] / a[c, c]
            for j in range(c + 1, n):
                a[i, j] -= factor * a[c, j]
            b[i] -= factor * b[c]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            b[i] -= a[i, j] * b[j]
        b[i] /= a[i, i]


@jit
def _stationary(chain: np.ndarray, system: np.ndarray, pi: np.ndarray) -> None:
    """The chain's stationary probabilities into pi [k]; `system` [k, k] is room."""
    k = len(chain)
    for i in range(k):
        for j in range(k):
            system[i, j] = 1.0 - chain[j, i]
        system[i, i] += 1.0
        pi[i] = 1.0
    _solve(system, pi)
    for i in range(k):
        if pi[i] < 1e-300:
            pi[i] = 1e-300


@jit
def _pull(
    chain: np.ndarray, oldest: np.ndarray, system: np.ndarray, pi: np.ndarray, pull: np.ndarray
) -> None:
    """The derivative of sum oldest log pi in the chain's probabilities, into pull [k, k].

    d pi = pi dP Z with Z = (I - P + 1 pi)^-1 (Schweitzer 1968).
    """
    k = len(chain)
    _stationary(chain, system, pi)
    towards = np.empty(k)
    for i in range(k):
        for j in range(k):
            system[i, j] = pi[j] - chain[i, j]
        system[i, i] += 1.0
        towards[i] = oldest[i] / pi[i]
    _solve(system, towards)
    for i in range(k):
        for j in range(k):
            pull[i, j] = pi[i] * towards[j]


@jit
def _floored(row: np.ndarray, least: float) -> None:
    """Raise what is less than `least` to it, and bring the sum to 1, in place."""
    total = 0.0
    for j in range(len(row)):
        if row[j] < least:
            row[j] = least
        total += row[j]
    for j in range(len(row)):
        row[j] /= total


@jit
def _place(x: int, r: int, tied: int, p: int) -> int:
    """The row of `tie` with what entry x of (all regimes' trends, own coefficients) depends on.

    Args:
        x: the entry.
        r: the regime whose coefficients they are.
        tied: how many entries the trends have, k q.
        p: how many coefficients a regime has.
    """
    return x if x < tied else x + r * p


class _Data(NamedTuple):
    """The first arguments of `climb`."""

    values: np.ndarray
    columns: np.ndarray
    products: np.ndarray
    offsets: np.ndarray
    centred: bool
    digits: np.ndarray
    tie: np.ndarray
    unit: float
    gaps: Gaps


class _Room(NamedTuple):
    """What is computed at some parameters, in place."""

    trend: np.ndarray
    coef: np.ndarray
    joint: np.ndarray
    first: np.ndarray
    system: np.ndarray
    pi: np.ndarray
    pull: np.ndarray
    transitions: np.ndarray
    oldest: np.ndarray
    sizes: np.ndarray
    squares: np.ndarray
    slopes: np.ndarray
    curvatures: np.ndarray
    crossed: np.ndarray


def _room(data: _Data, k: int) -> _Room:
    q, terms, count = data.columns.shape[1], len(data.products), len(data.digits)
    p = len(data.tie) // k - q
    d = k * q + p
    shapes = (
        (k, q), (k, p), (terms, k * count), (count,), (k, k), (k,), (k, k), (k, k), (k,), (k,),
        (k,), (k, d), (k, d, d), (k * count, data.products.shape[1]),
    )  # fmt: skip
    return _Room(*map(np.empty, shapes))


def _expect(
    data: _Data, room: _Room, chain: np.ndarray, location: np.ndarray, sigma2: np.ndarray
) -> float:
    """The smoother at some parameters: `trend` to `pi` of the room are set; the log-likelihood."""
    trend, coef, digits = room.trend, room.coef, data.digits
    every = data.tie @ location
    trend[:] = every[: trend.size].reshape(trend.shape)
    coef[:] = every[trend.size :].reshape(coef.shape)
    deviations = data.values - data.columns @ trend.T
    _stationary(chain, room.system, room.pi)
    steps = digits.shape[1] - 1
    initial = room.pi[digits[:, steps]]
    for i in range(steps):
        initial *= chain[digits[:, i + 1], digits[:, i]]
    crossed = data.gaps.at(trend, coef, sigma2, np.log(chain))
    value = weigh(
        deviations, deviations if data.centred else data.values, data.offsets, data.centred,
        digits, coef, sigma2, chain, initial, room.joint, room.first, *crossed.arrays,
    )  # fmt: skip
    crossed.fill(room.joint)
    room.crossed[:] = crossed.moments()
    return value


def _plain_weighted(
    joint: np.ndarray, products: np.ndarray, moments: np.ndarray, totals: np.ndarray
) -> None:
    moments[:] = joint.T @ products
    totals[:] = joint.sum(axis=0)


@partial(jit, plain=_plain_weighted)
def _weighted(
    joint: np.ndarray, products: np.ndarray, moments: np.ndarray, totals: np.ndarray
) -> None:
    """The expected sum of products in each joint state, and the expected number of elements."""
    moments[:] = 0.0
    totals[:] = 0.0
    for t in range(len(joint)):
        for a in range(joint.shape[1]):
            w = joint[t, a]
            totals[a] += w
            for b in range(products.shape[1]):
                moments[a, b] += w * products[t, b]


@jit
def _tally(
    totals: np.ndarray,
    first: np.ndarray,
    digits: np.ndarray,
    transitions: np.ndarray,
    oldest: np.ndarray,
    sizes: np.ndarray,
) -> None:
    """Expected transitions, oldest regimes and sizes from the numbers in the joint states."""
    count, steps = len(digits), digits.shape[1] - 1
    transitions[:] = 0.0
    oldest[:] = 0.0
    sizes[:] = 0.0
    for a in range(len(totals)):
        transitions[digits[a % count, 0], a // count] += totals[a]
        sizes[a // count] += totals[a]
    for j in range(count):
        oldest[digits[j, steps]] += first[j]
        # the memories before the first element hold steps of the chain too
        for i in range(steps):
            transitions[digits[j, i + 1], digits[j, i]] += first[j]


def _gather(data: _Data, room: _Room) -> None:
    """What a step needs of the elements: `transitions` and the rest of the room, by `joint`.

    Without lags what was not observed (NaN) counts for the transitions alone; its products are 0.
    """
    states = room.joint.shape[1]
    moments, totals = np.empty((states, data.products.shape[1])), np.empty(states)
    _weighted(room.joint, data.products, moments, totals)
    _tally(totals, room.first, data.digits, room.transitions, room.oldest, room.sizes)
    moments += room.crossed
    gone = np.isnan(data.values[:, 0])
    if room.coef.shape[1] == 0 and gone.any():  # joint has a row for every value
        room.sizes[:] -= room.joint[gone].sum(axis=0).reshape(len(room.sizes), -1).sum(axis=1)
    sums(
        moments, data.centred, data.digits, room.trend, room.coef, data.unit, room.squares,
        room.slopes, room.curvatures,
    )  # fmt: skip


@jit
def _revise(
    transitions: np.ndarray,
    oldest: np.ndarray,
    system: np.ndarray,
    pi: np.ndarray,
    pull: np.ndarray,
    chain: np.ndarray,
) -> None:
    """The chain after a step, in place; see `climb`."""
    k = len(chain)
    for _ in range(3):  # the start's share is of order 1/n, and so is what each leaves
        _pull(chain, oldest, system, pi, pull)
        for i in range(k):
            least = pull[i, 0]
            for j in range(1, k):
                least = min(least, pull[i, j])
            for j in range(k):
                chain[i, j] = transitions[i, j] + chain[i, j] * (pull[i, j] - least)
            _floored(chain[i], 1e-12)
            _floored(chain[i], 1e-9)


@jit
def _lean(
    tie: np.ndarray, p: int, slopes: np.ndarray, sigma2: np.ndarray, total: np.ndarray
) -> None:
    """The derivative of the expected log-likelihood in the free locations, into `total`."""
    tied = slopes.shape[1] - p
    total[:] = 0.0
    for r in range(len(slopes)):
        for x in range(slopes.shape[1]):
            row, pulled = _place(x, r, tied, p), slopes[r, x] / sigma2[r]
            for f in range(len(total)):
                total[f] += tie[row, f] * pulled


@jit
def _bend(
    tie: np.ndarray, p: int, curvatures: np.ndarray, sigma2: np.ndarray, matrix: np.ndarray
) -> None:
    """Minus its second derivative by Gauss and Newton, into `matrix` [free, free]."""
    d, free = curvatures.shape[1], len(matrix)
    half = np.empty(free)
    matrix[:] = 0.0
    for r in range(len(curvatures)):
        for x in range(d):
            half[:] = 0.0
            for y in range(d):
                row, bent = _place(y, r, d - p, p), curvatures[r, x, y] / sigma2[r]
                for f in range(free):
                    half[f] += bent * tie[row, f]
            row = _place(x, r, d - p, p)
            for g in range(free):
                for f in range(free):
                    matrix[g, f] += tie[row, g] * half[f]
    for f in range(free):
        matrix[f, f] += 1e-12 * (matrix[f, f] + 1.0)


@jit
def _left(
    tie: np.ndarray,
    p: int,
    move: np.ndarray,
    squares: np.ndarray,
    slopes: np.ndarray,
    curvatures: np.ndarray,
) -> np.ndarray:
    """The regimes' expected sums of squares once the free locations have moved so far, [k]."""
    k, d = slopes.shape
    change, left = np.empty(d), np.empty(k)
    for r in range(k):
        for x in range(d):
            row = _place(x, r, d - p, p)
            change[x] = 0.0
            for f in range(len(move)):
                change[x] += tie[row, f] * move[f]
        left[r] = squares[r]
        for x in range(d):
            left[r] -= 2.0 * slopes[r, x] * change[x]
            for y in range(d):
                left[r] += change[x] * curvatures[r, x, y] * change[y]
    return left


def climb(
    values: np.ndarray,
    columns: np.ndarray,
    products: np.ndarray,
    offsets: np.ndarray,
    centred: bool,
    digits: np.ndarray,
    tie: np.ndarray,
    unit: float,
    gaps: Gaps,
    shared: bool,
    floor: float,
    limit: int,
    tolerance: float,
    chain: np.ndarray,
    location: np.ndarray,
    sigma2: np.ndarray,
) -> tuple[float, int, bool]:
    """EM (Hamilton 1990) until a step gains less than `tolerance`.

    Where lags are taken about switching levels, levels and coefficients enter as a product: their
    step is that of Gauss and Newton, halved while the likelihood falls. The chain's step counts
    what the start says of the chain (P proportional to counts + P d log pi/dP, by iteration),
    which Hamilton's leaves out: this one climbs to the maximum.

    Args:
        values: the series one after the other, [total, 1]; NaN where one was not observed.
        columns: the trend's columns, [total, q].
        products: w w' of every scored element, 0 of those in gaps; see `hamilton.sums`.
        offsets: where each series begins.
        centred: see `hamilton.filter_series`.
        digits: the memories.
        tie: see above.
        unit: what a step of time counts.
        gaps: those of models with lags.
        shared: whether all regimes have one variance.
        floor: the least variance.
        limit: how many steps at most.
        tolerance: in nats.
        chain: p(to | from), [k, k]; moved in place.
        location: moved in place.
        sigma2: variances, [k]; moved in place.

    Returns:
        The log-likelihood, the number of steps, and whether it stopped by itself.
    """
    data = _Data(values, columns, products, offsets, centred, digits, tie, unit, gaps)
    k, free = len(chain), tie.shape[1]
    room = _room(data, k)
    p = room.coef.shape[1]
    matrix, move = np.empty((free, free)), np.empty(free)
    value = _expect(data, room, chain, location, sigma2)
    for step in range(1, limit + 1):
        _gather(data, room)
        new_chain = chain.copy()
        _revise(room.transitions, room.oldest, room.system, room.pi, room.pull, new_chain)
        _lean(tie, p, room.slopes, sigma2, move)
        _bend(tie, p, room.curvatures, sigma2, matrix)
        _solve(matrix, move)
        share, moved, size = 1.0, value, np.maximum(room.sizes, 1e-12)
        while True:
            new_location = location + share * move
            left = _left(tie, p, share * move, room.squares, room.slopes, room.curvatures)
            variances = np.full(k, left.sum() / room.sizes.sum()) if shared else left / size
            new_sigma2 = np.maximum(variances, floor)
            moved = _expect(data, room, new_chain, new_location, new_sigma2)
            if moved >= value - 1e-10 or share < 0.1:
                break
            share *= 0.5
        gain = moved - value
        if not gain >= 0.0:
            return value, step, gain > -tolerance
        chain[:], location[:], sigma2[:], value = new_chain, new_location, new_sigma2, moved
        if gain < tolerance:
            return value, step, True
    return value, limit, False


def score(
    values: np.ndarray,
    columns: np.ndarray,
    products: np.ndarray,
    offsets: np.ndarray,
    centred: bool,
    digits: np.ndarray,
    tie: np.ndarray,
    unit: float,
    gaps: Gaps,
    shared: bool,
    chain: np.ndarray,
    location: np.ndarray,
    sigma2: np.ndarray,
) -> tuple[float, np.ndarray]:
    """The log-likelihood and its gradient, by Fisher's identity.

    Args:
        values: see `climb`, as for the others.
        columns: the trend's columns.
        products: second moments.
        offsets: where each series begins.
        centred: whether lags are taken about the regimes' levels.
        digits: the memories.
        tie: from free locations to all.
        unit: what a step of time counts.
        gaps: those of models with lags.
        shared: whether all regimes have one variance.
        chain: p(to | from).
        location: free trends and coefficients.
        sigma2: variances.

    Returns:
        Nats, and the derivatives in the chain's logits (against the last), the locations and the
        logarithms of the variances.
    """
    data = _Data(values, columns, products, offsets, centred, digits, tie, unit, gaps)
    k = len(chain)
    room = _room(data, k)
    value = _expect(data, room, chain, location, sigma2)
    _gather(data, room)
    _pull(chain, room.oldest, room.system, room.pi, room.pull)
    pull = room.transitions + chain * room.pull
    logits = pull - chain * pull.sum(axis=1, keepdims=True)
    lean = np.empty(tie.shape[1])
    _lean(tie, room.coef.shape[1], room.slopes, sigma2, lean)
    heights = 0.5 * (room.squares / sigma2 - room.sizes)
    if shared:
        heights = heights.sum(keepdims=True)
    return value, np.concatenate([logits[:, : k - 1].reshape(-1), lean, heights])
