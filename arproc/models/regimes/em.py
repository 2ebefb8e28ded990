"""Compiled steps of estimation: EM and the score. Importing this module imports numba.

Locations are the free trends and coefficients; `tie` [k (q + p), free] turns them into those of
all regimes, trends first. Matrices here have a few rows, so products and solutions are loops:
numba's linear algebra takes seconds to compile.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from arproc.compiled.arrays import put, put_table
from arproc.compiled.jit import jit
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


@jit
def _expect(
    values: np.ndarray,
    columns: np.ndarray,
    offsets: np.ndarray,
    centred: bool,
    digits: np.ndarray,
    tie: np.ndarray,
    chain: np.ndarray,
    location: np.ndarray,
    sigma2: np.ndarray,
    trend: np.ndarray,
    coef: np.ndarray,
    deviations: np.ndarray,
    joint: np.ndarray,
    first: np.ndarray,
    system: np.ndarray,
    pi: np.ndarray,
) -> float:
    """The smoother at some parameters: all from `trend` on are set; the log-likelihood."""
    k, q, p = len(chain), trend.shape[1], coef.shape[1]
    for row in range(len(tie)):
        value = 0.0
        for f in range(len(location)):
            value += tie[row, f] * location[f]
        if row < k * q:
            trend[row // q, row % q] = value
        else:
            coef[(row - k * q) // p, (row - k * q) % p] = value
    for t in range(len(values)):
        for r in range(k):
            level = 0.0
            for c in range(q):
                level += columns[t, c] * trend[r, c]
            deviations[t, r] = values[t, 0] - level
    _stationary(chain, system, pi)
    steps = digits.shape[1] - 1
    initial = np.empty(len(digits))
    for j in range(len(digits)):
        initial[j] = pi[digits[j, steps]]
        for i in range(steps):
            initial[j] *= chain[digits[j, i + 1], digits[j, i]]
    lags = deviations if centred else values
    return weigh(
        deviations, lags, offsets, centred, digits, coef, sigma2, chain, initial, joint, first
    )


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
def _gather(
    values: np.ndarray,
    products: np.ndarray,
    centred: bool,
    digits: np.ndarray,
    unit: float,
    trend: np.ndarray,
    coef: np.ndarray,
    joint: np.ndarray,
    first: np.ndarray,
    transitions: np.ndarray,
    oldest: np.ndarray,
    sizes: np.ndarray,
    squares: np.ndarray,
    slopes: np.ndarray,
    curvatures: np.ndarray,
) -> None:
    """Expected transitions, oldest regimes, sizes, squares, slopes and curvatures, by `joint`.

    What was not observed (NaN) counts for the transitions alone; its products are 0.
    """
    count, steps = len(digits), digits.shape[1] - 1
    moments, totals = np.empty((joint.shape[1], products.shape[1])), np.empty(joint.shape[1])
    _weighted(joint, products, moments, totals)
    transitions[:] = 0.0
    oldest[:] = 0.0
    sizes[:] = 0.0
    for a in range(joint.shape[1]):
        transitions[digits[a % count, 0], a // count] += totals[a]
        sizes[a // count] += totals[a]
    if np.isnan(values).any():  # there are no lags then, and joint has a row for every value
        for t in range(len(values)):
            if np.isnan(values[t, 0]):
                for a in range(joint.shape[1]):
                    sizes[a // count] -= joint[t, a]
    for j in range(count):
        oldest[digits[j, steps]] += first[j]
        # the memories before the first element hold steps of the chain too
        for i in range(steps):
            transitions[digits[j, i + 1], digits[j, i]] += first[j]
    sums(moments, centred, digits, trend, coef, unit, squares, slopes, curvatures)


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
    r: int,
    share: float,
    move: np.ndarray,
    squares: np.ndarray,
    slopes: np.ndarray,
    curvatures: np.ndarray,
) -> float:
    """Regime r's expected sum of squares once the free locations have moved by share * move."""
    d = slopes.shape[1]
    change = np.empty(d)
    for x in range(d):
        row = _place(x, r, d - p, p)
        change[x] = 0.0
        for f in range(len(move)):
            change[x] += tie[row, f] * (share * move[f])
    left = squares[r]
    for x in range(d):
        left -= 2.0 * slopes[r, x] * change[x]
        for y in range(d):
            left += change[x] * curvatures[r, x, y] * change[y]
    return left


@jit
def climb(
    values: np.ndarray,
    columns: np.ndarray,
    products: np.ndarray,
    offsets: np.ndarray,
    centred: bool,
    digits: np.ndarray,
    tie: np.ndarray,
    unit: float,
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
        values: the series one after the other, [total, 1]; NaN where one was not observed, which
            only a model without lags may have.
        columns: the trend's columns, [total, q].
        products: w w' of every scored element, 0 of a missing one; see `hamilton.sums`.
        offsets: where each series begins.
        centred: see `hamilton.filter_series`.
        digits: the memories.
        tie: see above.
        unit: what a step of time counts.
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
    k, q, n, free = len(chain), columns.shape[1], len(values), tie.shape[1]
    p = len(tie) // k - q
    d = k * q + p
    trend, coef, deviations = np.empty((k, q)), np.empty((k, p)), np.empty((n, k))
    joint, first = np.empty((len(products), k * len(digits))), np.empty(len(digits))
    system, pi, pull = np.empty((k, k)), np.empty(k), np.empty((k, k))
    transitions, oldest, sizes = np.empty((k, k)), np.empty(k), np.empty(k)
    squares, slopes, curvatures = np.empty(k), np.empty((k, d)), np.empty((k, d, d))
    new_chain, new_location, new_sigma2 = np.empty((k, k)), np.empty(free), np.empty(k)
    matrix, move = np.empty((free, free)), np.empty(free)
    value = _expect(
        values, columns, offsets, centred, digits, tie, chain, location, sigma2, trend, coef,
        deviations, joint, first, system, pi,
    )  # fmt: skip
    for step in range(1, limit + 1):
        _gather(
            values, products, centred, digits, unit, trend, coef, joint, first, transitions,
            oldest, sizes, squares, slopes, curvatures,
        )  # fmt: skip
        put_table(chain, new_chain)
        for _ in range(3):  # the start's share is of order 1/n, and so is what each leaves
            _pull(new_chain, oldest, system, pi, pull)
            for i in range(k):
                least = pull[i, 0]
                for j in range(1, k):
                    least = min(least, pull[i, j])
                for j in range(k):
                    kept = new_chain[i, j] * (pull[i, j] - least)
                    new_chain[i, j] = transitions[i, j] + kept
                _floored(new_chain[i], 1e-12)
                _floored(new_chain[i], 1e-9)
        _lean(tie, p, slopes, sigma2, move)
        _bend(tie, p, curvatures, sigma2, matrix)
        _solve(matrix, move)
        share, moved = 1.0, value
        while True:
            for f in range(free):
                new_location[f] = location[f] + share * move[f]
            summed, size = 0.0, 0.0
            for r in range(k):
                left = _left(tie, p, r, share, move, squares, slopes, curvatures)
                summed += left
                size += sizes[r]
                new_sigma2[r] = max(left / max(sizes[r], 1e-12), floor)
            if shared:
                new_sigma2[:] = max(summed / size, floor)
            moved = _expect(
                values, columns, offsets, centred, digits, tie, new_chain, new_location,
                new_sigma2, trend, coef, deviations, joint, first, system, pi,
            )  # fmt: skip
            if moved >= value - 1e-10 or share < 0.1:
                break
            share *= 0.5
        gain = moved - value
        if not gain >= 0.0:
            return value, step, gain > -tolerance
        put_table(new_chain, chain)
        put(new_location, location)
        put(new_sigma2, sigma2)
        value = moved
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
    shared: bool,
    chain: np.ndarray,
    location: np.ndarray,
    sigma2: np.ndarray,
) -> tuple[float, np.ndarray]:
    """The log-likelihood and its gradient, by Fisher's identity.

    It calls the compiled parts one by one: whole, it would compile them all once more.

    Args:
        values: see `climb`, as for the others.
        columns: the trend's columns.
        products: second moments.
        offsets: where each series begins.
        centred: whether lags are taken about the regimes' levels.
        digits: the memories.
        tie: from free locations to all.
        unit: what a step of time counts.
        shared: whether all regimes have one variance.
        chain: p(to | from).
        location: free trends and coefficients.
        sigma2: variances.

    Returns:
        Nats, and the derivatives in the chain's logits (against the last), the locations and the
        logarithms of the variances.
    """
    k, q, free = len(chain), columns.shape[1], tie.shape[1]
    p = len(tie) // k - q
    d = k * q + p
    trend, coef, deviations = np.empty((k, q)), np.empty((k, p)), np.empty((len(values), k))
    joint, first = np.empty((len(products), k * len(digits))), np.empty(len(digits))
    system, pi, pull = np.empty((k, k)), np.empty(k), np.empty((k, k))
    transitions, oldest, sizes = np.empty((k, k)), np.empty(k), np.empty(k)
    squares, slopes, curvatures = np.empty(k), np.empty((k, d)), np.empty((k, d, d))
    value = _expect(
        values, columns, offsets, centred, digits, tie, chain, location, sigma2, trend, coef,
        deviations, joint, first, system, pi,
    )  # fmt: skip
    _gather(
        values, products, centred, digits, unit, trend, coef, joint, first, transitions, oldest,
        sizes, squares, slopes, curvatures,
    )  # fmt: skip
    _pull(chain, oldest, system, pi, pull)
    pull = transitions + chain * pull
    logits = pull - chain * pull.sum(axis=1, keepdims=True)
    lean = np.empty(free)
    _lean(tie, p, slopes, sigma2, lean)
    heights = 0.5 * (squares / sigma2 - sizes)
    if shared:
        heights = heights.sum(keepdims=True)
    return value, np.concatenate([logits[:, : k - 1].reshape(-1), lean, heights])
