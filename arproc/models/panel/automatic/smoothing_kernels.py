"""Compiled exponential smoothing of many series, at all points of a grid at once.

With one error e_t of variance sigma² (Hyndman et al. 2008, chapter 3; the damped trend)

    x_t = l_{t-1} + phi b_{t-1} + e_t,   l_t = x_t - (1 - alpha) e_t,
    b_t = phi b_{t-1} + beta e_t,

which is an ARIMA(1, 1, 2) (random walks, ARIMA(0, 1, 1) and (0, 2, 2) are cases). The errors are
linear in the first level and slope, so that these have closed forms: the level a flat prior, the
slope a normal one about 0, of `precision` in units of the errors. The points of the grid are
weighted by their marginal likelihoods; nothing is searched for, and nothing can fail to converge.

How a first level and slope of 1 go through the errors does not depend on the data unless values
are missing: `prepare` computes that once for all series, and then a value costs a quarter.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import Int, jit

__all__ = ["prepare", "smooth"]

#: Points of less weight than this, beside the best, are left out of the forecasts.
LEAST = 1e-5


def _one(
    x: float,
    alpha: np.ndarray,
    beta: np.ndarray,
    phi: np.ndarray,
    state: np.ndarray,
    sums: np.ndarray,
) -> None:
    """One value; nan moves the states on without an error."""
    points = len(alpha)
    if np.isnan(x):
        for g in range(points):
            for k in range(3):
                slope = phi[g] * state[2 * k + 1, g]
                state[2 * k, g] += slope
                state[2 * k + 1, g] = slope
        return
    for g in range(points):
        p, a, b = phi[g], alpha[g], beta[g]
        s0, s1, s2 = p * state[1, g], p * state[3, g], p * state[5, g]
        e = x - state[0, g] - s0
        d1 = state[2, g] + s1
        d2 = state[4, g] + s2
        state[0, g] += s0 + a * e
        state[1, g] = s0 + b * e
        state[2, g] = d1 - a * d1
        state[3, g] = s1 - b * d1
        state[4, g] = d2 - a * d2
        state[5, g] = s2 - b * d2
        sums[0, g] += e * e
        sums[1, g] += e * d1
        sums[2, g] += e * d2
        sums[3, g] += d1 * d1
        sums[4, g] += d1 * d2
        sums[5, g] += d2 * d2


def _plain_one(
    x: float,
    alpha: np.ndarray,
    beta: np.ndarray,
    phi: np.ndarray,
    state: np.ndarray,
    sums: np.ndarray,
) -> None:
    slopes = phi * state[1::2]
    if np.isnan(x):
        state[::2] += slopes
        state[1::2] = slopes
        return
    left = -state[::2] - slopes
    left[0] += x
    left[1:] *= -1
    signs = (1.0, -1.0, -1.0)
    before = state[::2] + slopes
    for k, sign in enumerate(signs):
        state[2 * k] = before[k] + sign * alpha * left[k]
        state[2 * k + 1] = slopes[k] + sign * beta * left[k]
    e, d1, d2 = left
    for k, (one, other) in enumerate(((e, e), (e, d1), (e, d2), (d1, d1), (d1, d2), (d2, d2))):
        sums[k] += one * other


_step = jit(_one, _plain_one, fastmath={"contract"})


def _solved(
    count: Int,
    phi: np.ndarray,
    precision: np.ndarray,
    state: np.ndarray,
    sums: np.ndarray,
    found: np.ndarray,
) -> None:
    """Marginal log-likelihood, variance of the errors, last level and slope of each point."""
    for g in range(len(phi)):
        ee, e1, e2 = sums[0, g], sums[1, g], sums[2, g]
        d11 = sums[3, g]
        if phi[g] == 0.0:
            level, slope = e1 / d11, 0.0
            rest, volume = ee - level * e1, d11
        else:
            d12, d22 = sums[4, g], sums[5, g] + precision[g]
            volume = d11 * d22 - d12 * d12
            level = (d22 * e1 - d12 * e2) / volume
            slope = (d11 * e2 - d12 * e1) / volume
            rest = ee - level * e1 - slope * e2
            volume /= precision[g]
        rest = max(rest, 1e-12 * ee + 1e-300)
        found[0, g] = -0.5 * (count - 1) * np.log(rest) - 0.5 * np.log(volume)
        found[1, g] = rest / (count - 1)
        found[2, g] = state[0, g] + level * state[2, g] + slope * state[4, g]
        found[3, g] = state[1, g] + level * state[3, g] + slope * state[5, g]


def _plain_solved(
    count: int,
    phi: np.ndarray,
    precision: np.ndarray,
    state: np.ndarray,
    sums: np.ndarray,
    found: np.ndarray,
) -> None:
    ee, e1, e2, d11, d12, d22 = sums
    d22 = d22 + precision
    flat = phi == 0.0
    volume = np.where(flat, d11, d11 * d22 - d12 * d12)
    level = np.where(flat, e1, d22 * e1 - d12 * e2) / volume
    slope = np.where(flat, 0.0, d11 * e2 - d12 * e1) / volume
    rest = np.maximum(ee - level * e1 - slope * e2, 1e-12 * ee + 1e-300)
    volume = np.where(flat, volume, volume / precision)
    found[0] = -0.5 * (count - 1) * np.log(rest) - 0.5 * np.log(volume)
    found[1] = rest / (count - 1)
    found[2:4] = state[0:2] + level * state[2:4] + slope * state[4:6]


_solve = jit(_solved, _plain_solved)


def _mixed(
    alpha: np.ndarray,
    beta: np.ndarray,
    phi: np.ndarray,
    first: Int,
    last: Int,
    found: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    shocks: np.ndarray,
) -> None:
    """Moments of the points' mixture over the steps ahead, and what a shock leaves of itself."""
    best = -np.inf
    for g in range(first, last):
        best = max(best, found[0, g])
    total = 0.0
    for j in range(len(mean)):
        mean[j], variance[j], shocks[j] = 0.0, 0.0, 0.0
    for g in range(first, last):
        weight = np.exp(found[0, g] - best)
        if weight < LEAST:
            continue
        total += weight
        level, slope, left = found[2, g], found[3, g], 1.0
        spread, moved = 1.0, 0.0
        for j in range(len(mean)):
            slope *= phi[g]
            level += slope
            if j > 0:
                moved = phi[g] * (moved + 1.0)  # phi + ... + phi^j
                left = alpha[g] + beta[g] * moved
                spread += left * left
            mean[j] += weight * level
            variance[j] += weight * (found[1, g] * spread + level * level)
            shocks[j] += weight * left
    for j in range(len(mean)):
        mean[j] /= total
        shocks[j] /= total
        variance[j] = max(variance[j] / total - mean[j] * mean[j], 0.0)


def _plain_mixed(
    alpha: np.ndarray,
    beta: np.ndarray,
    phi: np.ndarray,
    first: int,
    last: int,
    found: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    shocks: np.ndarray,
) -> None:
    part = slice(first, last)
    weight = np.exp(found[0, part] - found[0, part].max())
    weight[weight < LEAST] = 0.0
    weight /= weight.sum()
    damping, steps = phi[part], np.arange(1, len(mean) + 1)[:, None]
    moved = np.cumsum(damping**steps, axis=0)
    level = found[2, part] + found[3, part] * moved
    left = np.ones_like(level)
    left[1:] = alpha[part] + beta[part] * moved[:-1]
    spread = found[1, part] * np.cumsum(left * left, axis=0)
    mean[:], shocks[:] = level @ weight, left @ weight
    variance[:] = np.maximum((spread + level * level) @ weight - mean * mean, 0.0)


_ahead = jit(_mixed, _plain_mixed)


def _regular_one(
    x: float,
    alpha: np.ndarray,
    beta: np.ndarray,
    phi: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    level: np.ndarray,
    slope: np.ndarray,
    ee: np.ndarray,
    e1: np.ndarray,
    e2: np.ndarray,
) -> None:
    """One value of a series without gaps: what a first level and slope add to errors is known."""
    for g in range(len(alpha)):
        moved = phi[g] * slope[g]
        e = x - level[g] - moved
        level[g] += moved + alpha[g] * e
        slope[g] = moved + beta[g] * e
        ee[g] += e * e
        e1[g] += e * first[g]
        e2[g] += e * second[g]


def _plain_regular_one(
    x: float,
    alpha: np.ndarray,
    beta: np.ndarray,
    phi: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    level: np.ndarray,
    slope: np.ndarray,
    ee: np.ndarray,
    e1: np.ndarray,
    e2: np.ndarray,
) -> None:
    moved = phi * slope
    e = x - level - moved
    level += moved + alpha * e
    slope[:] = moved + beta * e
    ee += e * e
    e1 += e * first
    e2 += e * second


_regular_step = jit(_regular_one, _plain_regular_one, fastmath={"contract"})


def prepare(
    alpha: np.ndarray, beta: np.ndarray, phi: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What a first level and a first slope of 1 add to the errors, and do to the state.

    Args:
        alpha: of the grid's points, [G].
        beta: theirs.
        phi: theirs.
        steps: for how many values.

    Returns:
        What they add to the error of each step, two arrays [steps, G]; and after each number of
        steps the states that they leave and the sums of the products, [steps + 1, 4, G] and
        [steps + 1, 3, G].
    """
    first, second = np.empty((2, steps, len(alpha)))
    left, products = np.empty((steps + 1, 4, len(alpha))), np.zeros((steps + 1, 3, len(alpha)))
    left[0] = np.array([1.0, 0.0, 0.0, 1.0])[:, None]
    for t in range(steps):
        for k, found in enumerate((first, second)):
            moved = phi * left[t, 2 * k + 1]
            found[t] = left[t, 2 * k] + moved
            left[t + 1, 2 * k] = found[t] - alpha * found[t]
            left[t + 1, 2 * k + 1] = moved - beta * found[t]
        d1, d2 = first[t], second[t]
        for k, product in enumerate((d1 * d1, d1 * d2, d2 * d2)):
            products[t + 1, k] = products[t, k] + product
    return first, second, left, products


def _plain_fill(value: float, target: np.ndarray) -> None:
    target[:] = value


@partial(jit, plain=_plain_fill)
def _fill(value: float, target: np.ndarray) -> None:
    """Write a number everywhere into a matrix."""
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[i, j] = value


@jit
def _regular(
    x: np.ndarray, place: float, size: float, alpha: np.ndarray, beta: np.ndarray, phi: np.ndarray,
    first: np.ndarray, second: np.ndarray, left: np.ndarray, products: np.ndarray,
    state: np.ndarray, sums: np.ndarray,
) -> None:  # fmt: skip
    """A whole series without gaps."""
    n = len(x)
    level, slope = state[0], state[1]
    ee, e1, e2 = sums[0], sums[1], sums[2]
    for t in range(n):
        _regular_step(
            (x[t] - place) / size, alpha, beta, phi, first[t], second[t], level, slope, ee, e1, e2
        )
    for k in range(4):
        put(left[n, k], state[2 + k])
    for k in range(3):
        put(products[n, k], sums[3 + k])


@jit
def smooth(
    values: np.ndarray,
    offsets: np.ndarray,
    stops: np.ndarray,
    wanted: np.ndarray,
    begin: Int,
    end: Int,
    alpha: np.ndarray,
    beta: np.ndarray,
    phi: np.ndarray,
    precision: np.ndarray,
    edges: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    left: np.ndarray,
    products: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    shocks: np.ndarray,
    known: np.ndarray,
) -> None:
    """Forecasts of the series from `begin` to `end`.

    Args:
        values: the series one after the other, nan where a value is missing.
        offsets: where each begins, [N + 1].
        stops: where what is known of each ends, [N].
        wanted: of which series, [N].
        begin: the first series.
        end: the last, excluded.
        alpha: of the grid's points, [G].
        beta: theirs.
        phi: theirs.
        precision: theirs.
        edges: where each family's points begin, [F + 1].
        first: of `prepare`, as are the next three; longer series do without.
        second: likewise.
        left: likewise.
        products: likewise.
        mean: where the result goes, [N, F, horizon].
        variance: likewise.
        shocks: likewise.
        known: whether there are values enough, [N].
    """
    points = len(alpha)
    state, sums, found = np.empty((6, points)), np.empty((6, points)), np.empty((4, points))
    for i in range(begin, end):
        if not wanted[i]:
            continue
        count, rough, place, before = 0, 0.0, 0.0, np.nan
        for t in range(offsets[i], stops[i]):
            if not np.isnan(values[t]):
                if count == 0:
                    place = values[t]
                else:
                    rough += (values[t] - before) ** 2
                before = values[t]
                count += 1
        known[i] = count >= 3
        if count < 3:
            continue
        size = np.sqrt(rough / (count - 1))
        if not size > 1e-12 * abs(place):  # a constant: it stays what it is
            _fill(before, mean[i])
            _fill(0.0, variance[i])
            _fill(1.0, shocks[i])
            continue
        _fill(0.0, state)
        _fill(0.0, sums)
        if count == stops[i] - offsets[i] <= len(first):
            _regular(
                values[offsets[i] : stops[i]], place, size, alpha, beta, phi, first, second, left,
                products, state, sums,
            )  # fmt: skip
        else:
            _fill(1.0, state[2:3])
            _fill(1.0, state[5:6])
            for t in range(offsets[i], stops[i]):
                _step((values[t] - place) / size, alpha, beta, phi, state, sums)
        _solve(count, phi, precision, state, sums, found)
        for f in range(len(edges) - 1):
            _ahead(
                alpha, beta, phi, edges[f], edges[f + 1], found, mean[i, f], variance[i, f],
                shocks[i, f],
            )  # fmt: skip
            for j in range(mean.shape[2]):
                mean[i, f, j] = mean[i, f, j] * size + place
                variance[i, f, j] *= size * size
