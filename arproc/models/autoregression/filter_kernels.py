"""Compiled Kalman filters of autoregressions. Importing this module imports numba."""

from __future__ import annotations

import numpy as np

from arproc.compiled.arrays import put, put_table
from arproc.compiled.jit import jit

__all__ = ["inverse_band", "precision", "run", "whiten"]


@jit
def _spread(covariance: np.ndarray, weights: np.ndarray, spread: np.ndarray) -> None:
    """The covariance with what has these weights, [p], into the memory of `spread`."""
    p = len(weights)
    for i in range(p):
        total = covariance[i, 0] * weights[0]
        for j in range(1, p):
            total += covariance[i, j] * weights[j]
        spread[i] = total


@jit
def _observe(covariance: np.ndarray, spread: np.ndarray, variance: float) -> None:
    """Condition the covariance on the next element, and shift it in: it is known."""
    p = len(spread)
    for i in range(p - 1, 0, -1):
        for j in range(p - 1, 0, -1):
            learnt = spread[i - 1] * spread[j - 1] / variance
            covariance[i, j] = covariance[i - 1, j - 1] - learnt
    for i in range(p):
        covariance[i, 0] = 0.0
        covariance[0, i] = 0.0


@jit
def _pass_over(covariance: np.ndarray, spread: np.ndarray, variance: float) -> None:
    """Shift the next element in, which was not observed."""
    p = len(spread)
    for i in range(p - 1, 0, -1):
        for j in range(p - 1, 0, -1):
            covariance[i, j] = covariance[i - 1, j - 1]
    for i in range(1, p):
        covariance[i, 0] = spread[i - 1]
        covariance[0, i] = spread[i - 1]
    if p:
        covariance[0, 0] = variance


@jit
def run(
    y: np.ndarray,
    rows: np.ndarray,
    constants: np.ndarray,
    means: np.ndarray,
    covariances: np.ndarray,
    weights: np.ndarray,
    variances: np.ndarray,
    lengths: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The normal law of every next deviation along y.

    Args:
        y: deviations from the mean, NaN where one is missing, [N, K].
        rows: which row of weights each next one has, int64 [N, K + 1].
        constants: what is added to the weighted ones before, [N, K + 1].
        means: of the last p, newest first, [N, p].
        covariances: of the last p, [N, p, p].
        weights: [R, p].
        variances: of the innovations, [R].
        lengths: after how many elements the memory given back is, int64 [N].

    Returns:
        Means and variances of the next ones [N, K + 1]; means [N, p] and covariances [N, p, p]
        of the last p.
    """
    n, steps = y.shape
    p = weights.shape[1]
    loc, variance = np.empty((n, steps + 1)), np.empty((n, steps + 1))
    last, after = means.copy(), covariances.copy()
    spread, mean, covariance = np.empty(p), np.empty(p), np.empty((p, p))
    for i in range(n):
        put(means[i], mean)
        put_table(covariances[i], covariance)
        known = 0  # how many of the newest are known; p is enough for the recursion
        for k in range(steps + 1):
            w = weights[rows[i, k]]
            value = constants[i, k]
            for j in range(p):
                value += w[j] * mean[j]
            size = variances[rows[i, k]]
            if known < p:
                _spread(covariance, w, spread)
                for j in range(p):
                    size += w[j] * spread[j]
            loc[i, k], variance[i, k] = value, size
            if k == lengths[i]:
                put(mean, last[i])
                put_table(covariance, after[i])
            if k == steps or p == 0:
                continue
            gone = np.isnan(y[i, k])
            newest = value if gone else y[i, k]
            if known == p and gone:
                spread[:] = 0.0
            for j in range(p - 1, 0, -1):
                mean[j] = mean[j - 1]
                if known < p and not gone:
                    mean[j] += spread[j - 1] * (newest - value) / size
            mean[0] = newest
            if gone:
                _pass_over(covariance, spread, size)
                known = 0
            elif known < p:
                _observe(covariance, spread, size)
                known += 1
    return loc, variance, last, after


@jit
def whiten(
    columns: np.ndarray,
    inputs: np.ndarray,
    observed: np.ndarray,
    lengths: np.ndarray,
    weights: np.ndarray,
    variances: np.ndarray,
    given: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Standardised innovations of columns that share their missing places.

    The filter is linear in the data, so the columns of a mean go through it beside them.

    Args:
        columns: the sequences one after the other, [total, m].
        inputs: what is added to the prediction of every element, [total, m].
        observed: which elements are, bool [total].
        lengths: elements in each sequence, [N].
        weights: [p + 1, p], row t for element t and the last for all from p on; may be complex.
        variances: of the innovations in units of sigma2, [p + 1].
        given: how many first elements of a sequence are not scored: 0 or p.

    Returns:
        Innovations over their standard deviations [n, m] and their log variances [n], of the
        scored elements that were observed.
    """
    p, m = weights.shape[1], columns.shape[1]
    total = len(columns)
    kind = weights.dtype
    rest, logs = np.empty((total, m), kind), np.empty(total, kind)
    mean, covariance = np.zeros((p, m), kind), np.zeros((p, p), kind)
    spread, value = np.empty(p, kind), np.empty(m, kind)
    count = start = 0
    for length in lengths:
        mean[:] = 0.0
        covariance[:] = 0.0
        known = p  # nothing is unknown where there is nothing
        for t in range(length):
            place = start + t
            row = min(t, p)
            w = weights[row]
            size = variances[row]
            for c in range(m):
                value[c] = inputs[place, c]
                for j in range(p):
                    value[c] += w[j] * mean[j, c]
            if known < p:
                _spread(covariance, w, spread)
                for j in range(p):
                    size += w[j] * spread[j]
            else:
                spread[:] = 0.0
            seen = observed[place]
            if seen and t >= given:
                scale = np.sqrt(size)
                for c in range(m):
                    rest[count, c] = (columns[place, c] - value[c]) / scale
                logs[count] = np.log(size)
                count += 1
            for c in range(m):
                error = columns[place, c] - value[c] if seen else 0.0 * value[c]
                for j in range(p - 1, 0, -1):
                    mean[j, c] = mean[j - 1, c]
                    if known < p and seen:
                        mean[j, c] += spread[j - 1] * error / size
                if p:
                    mean[0, c] = value[c] + error
            if not seen:
                _pass_over(covariance, spread, size)
                known = 0
            elif known < p:
                _observe(covariance, spread, size)
                known += 1
        start += length
    return rest[:count], logs[:count]


@jit
def inverse_band(factor: np.ndarray) -> np.ndarray:
    """The inverse of L L' within the band of L, which is lower.

    Args:
        factor: L by diagonals, `factor[d, i]` being row i + d, column i, [band, m].

    Returns:
        The same diagonals of the inverse, [band, m].
    """
    band, m = factor.shape
    inverse = np.zeros((band, m))
    for i in range(m - 1, -1, -1):
        reach = min(band - 1, m - 1 - i)
        for d in range(reach, -1, -1):
            total = 1.0 / factor[0, i] if d == 0 else 0.0
            for k in range(1, reach + 1):
                if k <= d:
                    total -= factor[k, i] * inverse[d - k, i + k]
                else:
                    total -= factor[k, i] * inverse[k - d, i + d]
            inverse[d, i] = total / factor[0, i]
    return inverse


@jit
def precision(effects: np.ndarray, places: np.ndarray, band: int) -> np.ndarray:
    """The precision of the elements at some places given the others, lower, by diagonals.

    Args:
        effects: of element s on the standardised innovation k later, [p + 1, T].
        places: where the elements are, increasing, [m].
        band: how many diagonals below the main one there may be.

    Returns:
        `result[d, i]` is row i + d, column i, [band + 1, m].
    """
    p, m = len(effects) - 1, len(places)
    result = np.zeros((band + 1, m))
    for i in range(m):
        for d in range(min(band, m - 1 - i) + 1):
            apart = places[i + d] - places[i]
            if apart > p:
                break
            total = 0.0
            for k in range(p + 1 - apart):
                total += effects[apart + k, places[i]] * effects[k, places[i + d]]
            result[d, i] = total
    return result
