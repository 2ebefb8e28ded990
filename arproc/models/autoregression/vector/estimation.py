r"""Estimates of a vector autoregression on the data's own scale.

The trend is the mean of the process, :math:`x_t = \text{mean} + \text{slope} \, t + y_t`, or as a
recursion :math:`x_t = \text{intercept} + \text{drift} \, t + \sum_i A_i x_{t-i} + \epsilon_t`, t
counted from 0 at the first element of each sequence. Least squares estimates the recursion, the
exact likelihood the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from arproc.errors import DataError
from arproc.models.autoregression.vector.exact import exact_ml
from arproc.models.autoregression.vector.observed import interpolated
from arproc.models.autoregression.vector.regression import (
    N_COLUMNS,
    VectorData,
    VectorRegression,
    regress,
    regression_root,
)

__all__ = [
    "VectorEstimate",
    "by_exact_ml",
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
    d, q = data.dimension, N_COLUMNS[data.trend]
    if found is None:
        found = regress(*regression_root(data, order), d)
    size, center = data.size, data.center
    scaled = found.theta[q:].reshape(order, d, d).transpose(0, 2, 1)
    coef = scaled * (size[:, None] / size)
    line = np.zeros((2, d))
    line[:q] = found.theta[:q] * size
    line[1] /= data.span
    left = np.eye(d) - coef.sum(axis=0)
    intercept = line[0] + (left @ center if q else 0.0)
    # in units of the components' sizes, where a root of 1 is told from a small component
    mean, slope = (part * size for part in mean_form(scaled, intercept / size, line[1] / size))
    sigma = found.sigma * np.outer(size, size)
    # in every equation the same map of (constant, drift, lags), up to the component's own size
    change = np.diag(np.concatenate([[1.0, 1 / data.span][:q], np.tile(1 / size, order)]))
    if q:
        change[0, q:] = -np.tile(center / size, order)
    inverse = change @ found.inverse @ change.T
    if inverse.ndim == 2:
        coefficients = np.kron(sigma, inverse)
    else:
        coefficients = block_diag(*(np.diag(sigma)[:, None, None] * inverse))
    covariance = _with_sigma(coefficients, sigma, found.used)
    trend = np.stack([intercept, line[1]])[:q]
    # rounding apart, the equations' own sizes are in sigma already
    estimate = (coef, intercept, line[1], mean, slope, sigma)
    labels = parameter_names(["intercept", "drift"][:q], order, names)
    return VectorEstimate(*estimate, labels, _values(trend, coef, sigma), covariance)


def by_exact_ml(data: VectorData, order: int, names: list[str]) -> VectorEstimate:
    """Exact maximum likelihood with a stationary start.

    Raises:
        DataError: too few elements, or a likelihood without a maximum.
    """
    d, q = data.dimension, N_COLUMNS[data.trend]
    if int(data.lengths.max()) <= order:
        raise DataError(
            f"data are too short: the longest sequence has {int(data.lengths.max())} elements; "
            f"expected more than the order {order}."
        )
    _check_seen(data, order, names)
    first = regress(*regression_root(interpolated(data), order), d)
    fit = exact_ml(data, order, first)
    size = data.size
    coef = fit.coef * (size[:, None] / size)
    sigma = fit.sigma * np.outer(size, size)
    line = np.zeros((2, d))
    line[:q] = fit.beta * size
    mean, slope = line[0] + data.center, line[1] / data.span
    intercept, drift = recursion_form(coef, mean, slope)
    lower = np.tril_indices(d)
    lags = np.tile(1 / size, order)
    stretch = [size[a] * np.concatenate([[1.0, 1 / data.span][:q], lags]) for a in range(d)]
    scale = np.concatenate([*stretch, size[lower[0]] * size[lower[1]]])
    trend = np.stack([mean, slope])[:q]
    labels = parameter_names(["mean", "slope"][:q], order, names)
    values = _values(trend, coef, sigma)
    covariance = fit.covariance * np.outer(scale, scale)
    return VectorEstimate(coef, intercept, drift, mean, slope, sigma, labels, values, covariance)


def _check_seen(data: VectorData, order: int, names: list[str]) -> None:
    """Raise `DataError` where a component was observed too rarely for its equation."""
    seen = (~np.isnan(data.values)).sum(axis=0)
    need = N_COLUMNS[data.trend] + order * data.dimension + 1
    if seen.min() < need:
        raise DataError(
            f"component {names[int(seen.argmin())]} of data was observed {int(seen.min())} "
            f"time(s); expected at least {need}, one for each number in its "
            "equation. Use a lower order, more data, or leave the component out."
        )


def parameter_names(trend: list[str], order: int, names: list[str]) -> list[str]:
    """Equation by equation: trend, "L1.from.to" ...; then "sigma2.a" and "cov.b.a"."""
    labels = []
    for a in names:
        labels += [f"{part}.{a}" for part in trend]
        labels += [f"L{i}.{b}.{a}" for i in range(1, order + 1) for b in names]
    return labels + spread_names(names)


def spread_names(names: list[str]) -> list[str]:
    """The names of the lower triangle of sigma, row by row."""
    labels = []
    for i, a in enumerate(names):
        labels += [f"cov.{b}.{a}" for b in names[:i]] + [f"sigma2.{a}"]
    return labels


def _values(trend: np.ndarray, coef: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    p, d = coef.shape[:2]
    lags = coef.transpose(1, 0, 2).reshape(d, p * d)
    return np.concatenate([np.hstack([trend.T, lags]).ravel(), sigma[np.tril_indices(d)]])


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
