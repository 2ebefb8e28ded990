r"""Estimates of an autoregression, by any method, on the data's own scale.

The trend is the mean of the process: :math:`x_t = m(t) + y_t`, :math:`m(t) = \text{mean} +
\text{slope} \, t`, with `y` a zero-mean AR(p) and t counted from 0 at the first element of each
sequence. As a recursion that is :math:`x_t = \text{intercept} + \text{drift} \, t + \sum_i \phi_i
x_{t-i} + \epsilon_t`. Least squares estimates the recursion; the others estimate the mean. Either
form gives the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arproc.errors import DataError
from arproc.linear.exact import exact_ml, yule_walker_pacf
from arproc.linear.least_squares import least_squares
from arproc.linear.levinson import pacf_to_coef
from arproc.linear.moments import Scaled, lag_sums, scale

__all__ = ["Estimate", "check_enough", "estimate", "mean_form", "recursion_form"]


@dataclass(frozen=True)
class Estimate:
    """Parameters of an AR(p) in both forms, and how sure they are.

    Attributes:
        coef: [p], lag 1 first.
        intercept: constant of the recursion.
        drift: coefficient of t in the recursion (0 unless trend is "ct").
        mean: level of the mean at t = 0; nan for a unit root, which has none.
        slope: slope of the mean.
        sigma2: innovation variance.
        used: how many elements the estimate predicted.
        names: of the estimated parameters, in the order of `covariance`.
        values: the estimated parameters [k].
        covariance: [k, k].
    """

    coef: np.ndarray
    intercept: float
    drift: float
    mean: float
    slope: float
    sigma2: float
    used: int
    names: list[str]
    values: np.ndarray
    covariance: np.ndarray


def recursion_form(coef: np.ndarray, mean: float, slope: float) -> tuple[float, float]:
    """(intercept, drift) of the recursion with this mean."""
    left = 1.0 - float(coef.sum())
    return mean * left + slope * float(coef @ np.arange(1, len(coef) + 1)), slope * left


def mean_form(coef: np.ndarray, intercept: float, drift: float) -> tuple[float, float]:
    """(mean, slope) of the process with this recursion; nan for a unit root, which has none.

    Example:
        >>> mean_form(np.array([0.5]), 1.0, 0.0)
        (2.0, 0.0)
    """
    left = 1.0 - float(coef.sum())
    if intercept == 0 and drift == 0:
        return 0.0, 0.0
    if abs(left) < 1e-12:
        return float("nan"), float("nan")
    slope = drift / left
    return (intercept - slope * float(coef @ np.arange(1, len(coef) + 1))) / left, slope


def estimate(
    values: np.ndarray, lengths: np.ndarray, order: int, trend: str, method: str
) -> Estimate:
    """Fit an AR(order) to independent sequences, pooled.

    Args:
        values: the sequences one after the other, finite, [total].
        lengths: elements in each, [N].
        order: p, 0 or more.
        trend: "n", "c" or "ct".
        method: "ols" (given the first p values of each sequence), "yule-walker" or "mle" (exact
            Gaussian).

    Raises:
        DataError: too few elements, or data without innovations.
    """
    values, lengths = np.asarray(values, dtype=float), np.asarray(lengths, dtype=np.int64)
    lengths = lengths[lengths > 0]
    check_enough(lengths, order, trend)
    data = scale(values, lengths, trend)
    if method == "ols":
        return _by_least_squares(data, order)
    if method == "yule-walker":
        return _by_yule_walker(data, order)
    fit = exact_ml(data, order)
    return _stationary(data, fit.coef, fit.beta, fit.sigma2, fit.covariance)


def check_enough(lengths: np.ndarray, order: int, trend: str) -> None:
    """Raise `DataError` unless sequences of these lengths [N] can tell an AR(order)."""
    longest, total = int(lengths.max(initial=0)), int(lengths.sum())
    unknown = order + len(trend.replace("n", "")) + 1
    if longest <= order or total < unknown:
        raise DataError(
            f"data is too short: {len(lengths)} sequence(s), the longest of {longest} elements, "
            f"{total} in all; expected a sequence longer than the order {order} and at least "
            f"{unknown} elements (one for each parameter). Use a lower order or more data."
        )


def _by_least_squares(data: Scaled, order: int) -> Estimate:
    fit = least_squares(data, order)
    q = data.columns.shape[1]
    # From y = (x - center) / size to x: the recursion of the centre is added back.
    level, slope = data.mean_line(np.zeros(q))
    line = np.zeros(2)
    line[:q] = data.size * fit.beta
    intercept, drift = recursion_form(fit.coef, level, slope)
    intercept, drift = float(intercept + line[0]), float(drift + line[1] / data.span)
    # d (intercept, drift) / d (coef, beta): the centre enters through the coefficients
    change = np.zeros((q, order + q + 1))
    steps = np.arange(1, order + 1)
    if q:
        change[0, :order] = -level + slope * steps
        change[0, order] = data.size
    if q == 2:
        change[1, :order] = -slope
        change[1, order + 1] = data.size / data.span
    mean, mean_slope = mean_form(fit.coef, intercept, drift)
    names, covariance = _own_scale(
        ["intercept", "drift"], fit.covariance, change, order, data.size
    )
    sigma2 = fit.sigma2 * data.size**2
    reported = np.concatenate([[intercept, drift][:q], fit.coef, [sigma2]])
    return Estimate(
        fit.coef, intercept, drift, mean, mean_slope, sigma2, fit.used, names, reported, covariance
    )


def _by_yule_walker(data: Scaled, order: int) -> Estimate:
    total, q = len(data.values), data.columns.shape[1]
    gamma = lag_sums(data.values[:, None], data.lengths, order)[:, 0, 0] / total
    pacf = yule_walker_pacf(gamma)
    coef = pacf_to_coef(pacf)
    sigma2 = float(gamma[0] * np.prod(1 - pacf**2))
    if not sigma2 > 1e-15:
        raise DataError(
            f"data obey a deterministic recursion of order {order} to double precision, so there "
            "are no innovations. Use a lower order."
        )
    covariance = np.zeros((order + q + 1, order + q + 1))
    toeplitz = gamma[np.abs(np.subtract.outer(np.arange(order), np.arange(order)))]
    covariance[:order, :order] = sigma2 / total * np.linalg.inv(toeplitz)
    # The mean by least squares is as good as any in large samples (Grenander): spectrum at
    # frequency 0.
    gram = data.columns.T @ data.columns
    covariance[order:-1, order:-1] = sigma2 / (1 - coef.sum()) ** 2 * np.linalg.inv(gram)
    covariance[-1, -1] = 2 * sigma2**2 / total
    return _stationary(data, coef, np.zeros(q), sigma2, covariance)


def _stationary(
    data: Scaled, coef: np.ndarray, beta: np.ndarray, sigma2: float, covariance: np.ndarray
) -> Estimate:
    """An estimate of the mean form, from the scaled data's units to the data's own."""
    order, q = len(coef), len(beta)
    mean, slope = data.mean_line(beta)
    intercept, drift = recursion_form(coef, mean, slope)
    change = np.zeros((q, order + q + 1))
    change[:, order : order + q] = data.size * np.diag([1.0, 1 / data.span][:q])
    names, covariance = _own_scale(["mean", "slope"], covariance, change, order, data.size)
    sigma2 = sigma2 * data.size**2
    values = np.concatenate([[mean, slope][:q], coef, [sigma2]])
    return Estimate(
        coef, intercept, drift, mean, slope, sigma2, len(data.values), names, values, covariance
    )


def _own_scale(
    trend_names: list[str], covariance: np.ndarray, change: np.ndarray, order: int, size: float
) -> tuple[list[str], np.ndarray]:
    """Names and covariance of (trend, coefficients, sigma2) by the delta method."""
    k, q = len(covariance), len(change)
    jacobian = np.zeros((k, k))
    jacobian[:q] = change
    jacobian[q : q + order, :order] = np.eye(order)
    jacobian[-1, -1] = size**2
    names = [*trend_names[:q], *[f"ar.L{i}" for i in range(1, order + 1)], "sigma2"]
    return names, jacobian @ covariance @ jacobian.T
