r"""The gradient of the likelihood of what was observed of an autoregression, by Fisher's identity.

The score of the observed elements is the expected score of all of them, given the observed:
:math:`\partial \log p(x_{obs}) = E[\partial \log p(x) \mid x_{obs}]`. That is a quadratic in the
elements, so their smoothed means and covariances say it: one banded factorisation, however
many parameters there are.

References:
    Fisher (1925); Cappe, Moulines, Ryden (2005), Inference in Hidden Markov Models, section 10.1.
"""

from __future__ import annotations

import numpy as np

from arproc.models.autoregression.imputation import inverse_band, solved

__all__ = ["expected_score"]

Array = np.ndarray


def expected_score(
    y: Array,
    constants: Array,
    observed: Array,
    place: Array,
    weights: Array,
    variances: Array,
    sigma2: float,
    given: int,
) -> tuple[Array, Array]:
    """Derivatives of -2 log L by the weights and variances of the recursion.

    Args:
        y: deviations from the mean of all sequences, one after the other; anything where one is
            missing. [T]
        constants: what is added to the prediction of each, [T].
        observed: which elements are, bool [T].
        place: their positions in their own sequences, [T].
        weights: row t for element t, the last for all from p on, [p + 1, p].
        variances: of the innovations in units of sigma2, [p + 1].
        sigma2: the innovation variance.
        given: how many first elements of each sequence are given, 0 or p.

    Returns:
        [p + 1, p] and [p + 1].
    """
    p, rows = weights.shape[1], np.minimum(place, weights.shape[1])
    y = np.where(observed, y, 0.0)
    mean, spread = _smoothed(y, constants, observed, place, weights, variances * sigma2, given)
    by_weights, by_variances = np.zeros_like(weights), np.zeros_like(variances)
    for row in range(p if given else 0, p + 1):
        at = np.flatnonzero(rows == row)
        reach = min(row, p)
        lagged = mean[at[:, None] - np.arange(reach + 1)]  # [n, 1 + lags]
        products = lagged.T @ lagged
        products += _shared(spread, at, reach)
        star = np.concatenate([[1.0], -weights[row, :reach]])
        crossed = constants[at] @ lagged
        pulled = products @ star - crossed  # expected innovation times each element
        squares = star @ pulled - constants[at] @ lagged @ star + constants[at] @ constants[at]
        by_weights[row, :reach] = -2 * pulled[1:] / (variances[row] * sigma2)
        by_variances[row] = (len(at) - squares / (variances[row] * sigma2)) / variances[row]
    return by_weights, by_variances


def _shared(spread: Array, at: Array, reach: int) -> Array:
    """Sums of the covariances of the elements i and j before each of `at`, [reach + 1] * 2."""
    lag = np.arange(reach + 1)
    if len(at) * (reach + 1) ** 2 < 2**18:  # few: all at once
        between, further = np.abs(np.subtract.outer(lag, lag)), np.maximum.outer(lag, lag)
        return spread[between, at[:, None, None] - further].sum(axis=0)
    total = np.zeros((reach + 1, reach + 1))
    for apart in range(reach + 1):
        for i in range(reach + 1 - apart):
            total[i, i + apart] = total[i + apart, i] = spread[apart, at - i - apart].sum()
    return total


def _smoothed(
    y: Array,
    constants: Array,
    observed: Array,
    place: Array,
    weights: Array,
    variances: Array,
    given: int,
) -> tuple[Array, Array]:
    """Means of all deviations [T], and covariances with the one d later: [p + 1, T]."""
    length, p = len(y), weights.shape[1]
    rows = np.minimum(place, p)
    scales = np.sqrt(variances)[rows]
    rest, effects = y - constants, np.zeros((p + 1, length))
    effects[0] = 1 / scales
    for k in range(1, min(p, length - 1) + 1):
        own = np.where(place[k:] >= k, weights[rows[k:], k - 1], 0.0)  # not across sequences
        rest[k:] -= own * y[:-k]
        effects[k, :-k] = -own / scales[k:]
    rest /= scales
    early = place < given
    rest[early], effects[0, early] = 0.0, 0.0
    found = solved(np.flatnonzero(~observed), rest, effects, np.zeros(length))
    mean, spread = y.copy(), np.zeros((p + 1, length))
    mean[found.places] = found.mean
    band = inverse_band(found.factor)
    for d in range(len(band)):
        first = found.places[: len(found.places) - d]
        apart = found.places[d:] - first
        near = apart <= p
        spread[apart[near], first[near]] = band[d, : len(first)][near]
    return mean, spread
