"""Log-likelihoods of autoregressions of every order, computed together.

All orders of one method are compared over the same elements. Candidate p has the lags 1 to p, and
those that every candidate has.
"""

from __future__ import annotations

import math

import numpy as np

from arproc.errors import DataError
from arproc.gaussian.levinson import durbin
from arproc.models.autoregression.autocovariance import burg_pacf, sample_autocovariances
from arproc.models.autoregression.conditional import conditional_fit
from arproc.models.autoregression.exact import exact_ml, maximal_log_likelihood
from arproc.models.autoregression.least_squares import long_enough, nested_sums_of_squares
from arproc.models.autoregression.moments import Moments, Scaled, lagged_gram, moments, restrict

__all__ = ["candidates", "log_likelihoods"]

_ALONE = 2000  # microseconds for one order by itself


def candidates(max_order: int, always: np.ndarray) -> list[np.ndarray]:
    """The lags of each candidate, increasing: `max_order` + 1 arrays."""
    own = np.arange(1, max_order + 1)
    nested = [own[:p] for p in range(max_order + 1)]
    return [np.union1d(lags, always) for lags in nested] if len(always) else nested


def log_likelihoods(
    data: Scaled, max_order: int, always: np.ndarray, method: str, in_mean: bool
) -> tuple[np.ndarray, int]:
    """The log-likelihoods of the candidates, in the scaled data's unit, and of how many elements.

    Args:
        data: the data.
        max_order: the largest order.
        always: lags that every candidate has, increasing.
        method: "mle" (every element), "conditional-mle" (those with all predecessors), or another
            of AR's, whose usual approximation -n / 2 (log 2 pi sigma2 + 1) counts every element.
        in_mean: whether the columns hold regressors in the mean, which conditional maximum
            likelihood can not take as predictors.
    """
    if method == "conditional-mle":
        deepest = max(max_order, int(always.max(initial=0)))
        count = int(np.maximum(data.lengths - deepest, 0).sum())
        if in_mean:
            lags = candidates(max_order, always)[-1]
            squares = _about_regressors(long_enough(data, lags), max_order, always)
        else:
            squares = nested_sums_of_squares(data, max_order, always)
        return _gaussian(squares / count, count), count
    count = len(data.values)
    if method == "mle":
        return _exact(data, max_order, always), count
    return _gaussian(_variances(data, max_order, always, method), count), count


def _gaussian(sigma2: np.ndarray, n: int) -> np.ndarray:
    return -0.5 * n * (np.log(2 * np.pi * sigma2) + 1)


def _about_regressors(data: Scaled, max_order: int, always: np.ndarray) -> np.ndarray:
    order = max(max_order, int(always.max(initial=0)))
    gram = lagged_gram(np.column_stack([data.values, data.columns]), data.lengths, order)
    used = int((data.lengths - order).sum())
    fits = []
    for lags in candidates(max_order, always):
        k = int(lags.max(initial=0)) + 1
        fits.append(conditional_fit(gram[:k, :, :k], lags, used).sigma2 * used)
    return np.array(fits)


def _exact(data: Scaled, max_order: int, always: np.ndarray) -> np.ndarray:
    deepest = max(max_order, int(always.max(initial=0)))
    sums, found = moments(data, deepest), []
    known = np.full(max_order + 1, math.nan) if len(always) else _together(sums)
    for lags, value in zip(candidates(max_order, always), known.tolist(), strict=True):
        if not math.isnan(value):
            found.append(value)
            continue
        part = restrict(sums, int(lags.max(initial=0)))
        if len(always):
            found.append(exact_ml(data, lags, part).log_likelihood)
        else:
            found.append(maximal_log_likelihood(data, part))
    return np.array(found)


def _together(sums: Moments) -> np.ndarray:
    """The log-likelihoods of all orders by one compiled pass; nan where that does not serve."""
    from arproc.compiled.interpreted import suited
    from arproc.gaussian import ar_orders

    objective = np.full(sums.order + 1, math.nan)
    # not compiled yet, the candidates one by one are faster than the pass interpreted
    if (
        list(sums.levels) == [sums.order]
        and suited(ar_orders, _ALONE * len(objective)) is ar_orders
    ):
        e, total = np.ascontiguousarray(sums.levels[sums.order]), float(sums.total)
        sequences = sums.weights[0] if sums.order else 1
        ar_orders.objectives(e, total / sequences, total, objective)
    return -0.5 * sums.total * (objective + 1 + np.log(2 * np.pi / sums.total))


def _variances(data: Scaled, max_order: int, always: np.ndarray, method: str) -> np.ndarray:
    """Innovation variances of the candidates by Burg's method or from autocovariances."""
    if method == "burg":
        return burg_pacf(data, max_order)[1]
    order = max(max_order, int(always.max(initial=0)))
    gamma = sample_autocovariances(data, order, method == "yule-walker-adjusted")
    if len(always):
        found = []
        for lags in candidates(max_order, always):
            toeplitz = gamma[np.abs(np.subtract.outer(lags, lags))]
            found.append(gamma[0] - gamma[lags] @ np.linalg.solve(toeplitz, gamma[lags]))
        sigma2 = np.array(found)
    else:
        shrink = np.cumprod(1 - durbin(gamma) ** 2)
        sigma2 = gamma[0] * np.concatenate([[1.0], shrink])
    # adjusted autocovariances may be those of no process from some order on
    sigma2 = np.where(np.minimum.accumulate(sigma2) > 0, sigma2, math.nan)
    if np.isnan(sigma2).all():
        raise DataError("the autocovariances of data are those of no process at any order.")
    return sigma2
