"""Compiled Kalman filters whose state is the last p elements. Importing this imports numba.

Of the last elements, newest first, the mean [p] and the covariance [p, p] are known, and that of
what is observed is 0. The next element weighs some of them; where it comes, both are conditioned
on it and it is shifted in.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.arrays import put, put_table
from arproc.compiled.jit import jit

__all__ = [
    "follow",
    "inverse_band",
    "observe",
    "pass_over",
    "precision",
    "run",
    "whiten",
]


@jit
def cross_covariance(
    covariance: np.ndarray, lags: np.ndarray, weights: np.ndarray, out: np.ndarray
) -> float:
    """What the next element has from the last p: the covariance with them, and its variance.

    Args:
        covariance: of the last elements, [p, p].
        lags: which of them it weighs, int64 [k].
        weights: how, [k].
        out: where its covariance with each of them goes, [p].

    Returns:
        Its variance but for the innovation.
    """
    size = 0.0 * weights[0]
    for i in range(len(covariance)):
        total = covariance[i, lags[0] - 1] * weights[0]
        for j in range(1, len(lags)):
            total += covariance[i, lags[j] - 1] * weights[j]
        out[i] = total
    for j in range(len(lags)):
        size += weights[j] * out[lags[j] - 1]
    return size


@jit
def follow(mean: np.ndarray, load: np.ndarray, newest: float, value: float, size: float) -> None:
    """Condition the means on the next element, and shift it in.

    Args:
        mean: of the last elements, [p].
        load: the next one's covariance with them, [p].
        newest: the next one.
        value: its mean.
        size: its variance.
    """
    rest = (newest - value) / size
    for j in range(len(mean) - 1, 0, -1):
        mean[j] = mean[j - 1] + load[j - 1] * rest
    mean[0] = newest


@jit
def observe(covariance: np.ndarray, load: np.ndarray, size: float) -> None:
    """Condition the covariance on the next element, and shift it in: it is known."""
    p = len(load)
    for i in range(p - 1, 0, -1):
        for j in range(p - 1, 0, -1):
            learnt = load[i - 1] * load[j - 1] / size
            covariance[i, j] = covariance[i - 1, j - 1] - learnt
    for i in range(p):
        covariance[i, 0] = 0.0
        covariance[0, i] = 0.0


@jit
def pass_over(covariance: np.ndarray, load: np.ndarray, size: float) -> None:
    """Shift the next element in, which was not observed."""
    p = len(load)
    for i in range(p - 1, 0, -1):
        for j in range(p - 1, 0, -1):
            covariance[i, j] = covariance[i - 1, j - 1]
    for i in range(1, p):
        covariance[i, 0] = load[i - 1]
        covariance[0, i] = load[i - 1]
    if p:
        covariance[0, 0] = size


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
    load, mean, covariance = np.empty(p), np.empty(p), np.empty((p, p))
    lags = np.arange(1, p + 1)
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
                size += cross_covariance(covariance, lags, w, load)
            loc[i, k], variance[i, k] = value, size
            if k == lengths[i]:
                put(mean, last[i])
                put_table(covariance, after[i])
            if k == steps or p == 0:
                continue
            gone = np.isnan(y[i, k])
            newest = value if gone else y[i, k]
            if known == p and gone:
                load[:] = 0.0
            if known < p:
                follow(mean, load, newest, value, size)
            else:
                for j in range(p - 1, 0, -1):
                    mean[j] = mean[j - 1]
                mean[0] = newest
            if gone:
                pass_over(covariance, load, size)
                known = 0
            elif known < p:
                observe(covariance, load, size)
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
    load, value, lags = np.empty(p, kind), np.empty(m, kind), np.arange(1, p + 1)
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
                size += cross_covariance(covariance, lags, w, load)
            else:
                load[:] = 0.0
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
                        mean[j, c] += load[j - 1] * error / size
                if p:
                    mean[0, c] = value[c] + error
            if not seen:
                pass_over(covariance, load, size)
                known = 0
            elif known < p:
                observe(covariance, load, size)
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
