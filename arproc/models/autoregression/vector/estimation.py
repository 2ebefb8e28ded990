r"""Estimates of a vector autoregression on the data's own scale.

The trend is the mean of the process, :math:`x_t = \text{mean} + \text{slope} \, t + B u_t + y_t`
with regressors u in the mean; or as a recursion :math:`x_t = \text{intercept} + \text{drift} \, t
+ \sum_i A_i x_{t-i} + \epsilon_t`, to which :math:`B u_t` is added where they are in the
recursion. t is counted from 0 at the first element of each sequence. Least squares estimates the
recursion, the likelihood the mean (or, of data with gaps given the first values, the recursion).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import block_diag

from arproc.errors import DataError
from arproc.inference.delta import carried
from arproc.models.autoregression.vector.exact import exact_ml
from arproc.models.autoregression.vector.observed import interpolated
from arproc.models.autoregression.vector.regression import (
    VectorData,
    VectorRegression,
    regress,
    regression_root,
)

__all__ = [
    "VectorEstimate",
    "by_likelihood",
    "by_regression",
    "mean_form",
    "recursion_form",
    "spread_names",
]


@dataclass(frozen=True)
class VectorEstimate:
    """Parameters of a VAR(p) in both forms, and how sure they are.

    Attributes:
        coef: A_1 ... A_p, [p, d, d]; row a is component a's equation.
        intercept: constant of the recursion [d].
        drift: coefficient of t in the recursion [d].
        mean: at t = 0 [d]; nan where a unit root leaves none.
        slope: of the mean [d].
        beta: the regressors' coefficients, in the mean or in the recursion, [d, c].
        sigma: innovation covariance [d, d].
        names: of the estimated parameters, in the order of `covariance`.
        values: the estimated parameters [k].
        covariance: [k, k].
    """

    coef: np.ndarray
    intercept: np.ndarray
    drift: np.ndarray
    mean: np.ndarray
    slope: np.ndarray
    beta: np.ndarray
    sigma: np.ndarray
    names: list[str]
    values: np.ndarray
    covariance: np.ndarray


def recursion_form(
    coef: np.ndarray, mean: np.ndarray, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(intercept, drift) of the recursion with this mean."""
    left = np.eye(coef.shape[1]) - coef.sum(axis=0)
    lagged = np.einsum("iab,b,i->a", coef, slope, np.arange(1, len(coef) + 1))
    return left @ mean + lagged, left @ slope


def mean_form(
    coef: np.ndarray, intercept: np.ndarray, drift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(mean, slope) of the process with this recursion; nan for a unit root, which has none.

    Components should be of like sizes: a singular I - A_1 - ... - A_p is taken for a unit root.

    Example:
        >>> mean_form(np.array([[[0.5]]]), np.array([1.0]), np.zeros(1))[0].tolist()
        [2.0]
    """
    d = coef.shape[1]
    if not intercept.any() and not drift.any():
        return np.zeros(d), np.zeros(d)
    left = np.eye(d) - coef.sum(axis=0)
    if np.linalg.svd(left, compute_uv=False)[-1] < 1e-12:
        return np.full(d, np.nan), np.full(d, np.nan)
    slope = np.linalg.solve(left, drift)
    lagged = np.einsum("iab,b,i->a", coef, slope, np.arange(1, len(coef) + 1))
    return np.linalg.solve(left, intercept - lagged), slope


def by_regression(
    data: VectorData, order: int, names: list[str], found: VectorRegression | None = None
) -> VectorEstimate:
    """Least squares given the first `order` values (or another regression on the same columns)."""
    d, q = data.dimension, data.q
    if found is None:
        found = regress(*regression_root(data, order), d)
    coef = found.theta[q:].reshape(order, d, d).transpose(0, 2, 1)
    change, sigma = _of_recursion(data, order), found.sigma * np.outer(data.size, data.size)
    inverse = change @ found.inverse @ change.T
    if inverse.ndim == 2:
        coefficients = np.kron(sigma, inverse)
    else:
        coefficients = block_diag(*(np.diag(sigma)[:, None, None] * inverse))
    covariance = _with_sigma(coefficients, sigma, found.used)
    return _recursion_estimate(data, names, coef, found.theta[:q], sigma, covariance)


def _of_recursion(data: VectorData, order: int) -> np.ndarray:
    """In every equation the same map of (columns, lags), up to the component's own size."""
    q, line = data.q, data.n_trend
    powers = np.array([1.0, 1 / data.span])[:line]
    change = np.diag(np.concatenate([powers, 1 / data.spread, np.tile(1 / data.size, order)]))
    if line:
        change[0, line:q] = -data.middle / data.spread
        change[0, q:] = -np.tile(data.center / data.size, order)
    return change


def _recursion_estimate(
    data: VectorData,
    names: list[str],
    scaled: np.ndarray,
    theta: np.ndarray,
    sigma: np.ndarray,
    covariance: np.ndarray,
) -> VectorEstimate:
    """The estimate of a recursion, the covariance being in the data's own units already.

    Args:
        data: what it is of.
        names: the components'.
        scaled: the coefficients of standardised data, [p, d, d].
        theta: those of the columns, [q, d].
        sigma: innovation covariance in the data's own units.
        covariance: of all parameters.
    """
    size, center, line = data.size, data.center, data.n_trend
    coef = scaled * (size[:, None] / size)
    trend = np.zeros((2, len(size)))
    trend[:line] = theta[:line] * size
    trend[1] /= data.span
    beta = (theta[line:] * size / data.spread[:, None]).T
    left = np.eye(len(size)) - coef.sum(axis=0)
    intercept = trend[0] - beta @ data.middle + (left @ center if line else 0.0)
    # in units of the components' sizes, where a root of 1 is told from a small component
    mean, slope = (part * size for part in mean_form(scaled, intercept / size, trend[1] / size))
    columns = np.hstack([np.stack([intercept, trend[1]])[:line].T, beta])
    labels = parameter_names(["intercept", "drift"][:line], len(coef), names, beta.shape[1])
    values = _values(columns, coef, sigma)
    estimate = (coef, intercept, trend[1], mean, slope, beta, sigma)
    return VectorEstimate(*estimate, labels, values, covariance)


def by_likelihood(
    data: VectorData, order: int, names: list[str], given: bool = False, in_mean: bool = True
) -> VectorEstimate:
    """Maximum likelihood: exact with a stationary start, or given the first values.

    Args:
        data: the sequences.
        order: p.
        names: the components'.
        given: whether the first p elements of each sequence are given.
        in_mean: whether regressors are the mean's, or the recursion's.

    Raises:
        DataError: too few elements, or a likelihood without a maximum.
    """
    d = data.dimension
    if int(data.lengths.max()) <= order:
        raise DataError(
            f"data are too short: the longest sequence has {int(data.lengths.max())} elements; "
            f"expected more than the order {order}."
        )
    _check_seen(data, order, names)
    whole = interpolated(data)
    beta = np.zeros((0, d))
    if in_mean:
        whole, beta = _without_regressors(whole)
    first = regress(*regression_root(whole, order), d)
    fit = exact_ml(data, order, first, beta, given, in_mean)
    sigma = fit.sigma * np.outer(data.size, data.size)
    change = _of_mean(data, order) if in_mean else _of_recursion(data, order)
    lower = np.tril_indices(d)
    scale = np.diag(data.size[lower[0]] * data.size[lower[1]])
    covariance = carried(block_diag(np.kron(np.diag(data.size), change), scale), fit.covariance)
    if not in_mean:
        return _recursion_estimate(data, names, fit.coef, fit.beta, sigma, covariance)
    return _mean_estimate(data, names, fit.coef, fit.beta, sigma, covariance)


def _without_regressors(data: VectorData) -> tuple[VectorData, np.ndarray]:
    """The data less what a regression on all columns gives to the regressors [c, d]."""
    line = data.n_trend
    beta = np.linalg.lstsq(data.columns, data.values, rcond=None)[0][line:]
    u = data.columns[:, line:]
    return replace(data, values=data.values - u @ beta, columns=data.columns[:, :line]), beta


def _of_mean(data: VectorData, order: int) -> np.ndarray:
    """As `_of_recursion`: the mean's constant is that at regressors of 0."""
    change = _of_recursion(data, order)
    change[: data.n_trend, data.q :] = 0.0
    return change


def _mean_estimate(
    data: VectorData,
    names: list[str],
    scaled: np.ndarray,
    theta: np.ndarray,
    sigma: np.ndarray,
    covariance: np.ndarray,
) -> VectorEstimate:
    """The estimate of a process about its mean; arguments as for `_recursion_estimate`."""
    size, line = data.size, data.n_trend
    coef = scaled * (size[:, None] / size)
    trend = np.zeros((2, len(size)))
    trend[:line] = theta[:line] * size
    beta = (theta[line:] * size / data.spread[:, None]).T
    mean, slope = trend[0] + data.center - beta @ data.middle, trend[1] / data.span
    columns = np.hstack([np.stack([mean, slope])[:line].T, beta])
    labels = parameter_names(["mean", "slope"][:line], len(coef), names, beta.shape[1])
    values = _values(columns, coef, sigma)
    constants = recursion_form(coef, mean, slope)
    return VectorEstimate(coef, *constants, mean, slope, beta, sigma, labels, values, covariance)


def _check_seen(data: VectorData, order: int, names: list[str]) -> None:
    """Raise `DataError` where a component was observed too rarely for its equation."""
    seen = (~np.isnan(data.values)).sum(axis=0)
    need = data.q + order * data.dimension + 1
    if seen.min() < need:
        raise DataError(
            f"component {names[int(seen.argmin())]} of data was observed {int(seen.min())} "
            f"time(s); expected at least {need}, one for each number in its "
            "equation. Use a lower order, more data, or leave the component out."
        )


def parameter_names(
    trend: list[str], order: int, names: list[str], regressors: int = 0
) -> list[str]:
    """By equations: trend, "x1.to" ..., "L1.from.to" ...; then "sigma2.a" and "cov.b.a"."""
    labels = []
    for a in names:
        labels += [f"{part}.{a}" for part in trend]
        labels += [f"x{j}.{a}" for j in range(1, regressors + 1)]
        labels += [f"L{i}.{b}.{a}" for i in range(1, order + 1) for b in names]
    return labels + spread_names(names)


def spread_names(names: list[str]) -> list[str]:
    """The names of the lower triangle of sigma, row by row."""
    labels = []
    for i, a in enumerate(names):
        labels += [f"cov.{b}.{a}" for b in names[:i]] + [f"sigma2.{a}"]
    return labels


def _values(columns: np.ndarray, coef: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """All parameters in the order of their names; those of the columns are [d, q]."""
    p, d = coef.shape[:2]
    lags = coef.transpose(1, 0, 2).reshape(d, p * d)
    return np.concatenate([np.hstack([columns, lags]).ravel(), sigma[np.tril_indices(d)]])


def _with_sigma(coefficients: np.ndarray, sigma: np.ndarray, used: int) -> np.ndarray:
    """The coefficients' covariance with that of sigma's lower triangle, normal theory's."""
    a, b = np.tril_indices(len(sigma))
    products = sigma[np.ix_(a, a)] * sigma[np.ix_(b, b)]
    crossed = sigma[np.ix_(a, b)] * sigma[np.ix_(b, a)]
    k, m = len(coefficients), len(a)
    covariance = np.zeros((k + m, k + m))
    covariance[:k, :k] = coefficients
    covariance[k:, k:] = (products + crossed) / used
    return covariance
