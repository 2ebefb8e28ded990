r"""Estimates of an autoregression, by any method, on the data's own scale.

A process about the mean :math:`m(t) = D_t \beta` is also a recursion, :math:`x_t = D_t \gamma +
\sum_i \phi_i x_{t-i} + \epsilon_t` (see `mean`). Least squares estimates the recursion; the others
estimate the mean. Either form gives the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arproc.errors import DataError
from arproc.gaussian.terms import Terms, mean_form, recursion_form
from arproc.inference.delta import carried
from arproc.models.autoregression.autocovariance import burg, yule_walker
from arproc.models.autoregression.conditional import conditional_ml
from arproc.models.autoregression.exact import exact_ml
from arproc.models.autoregression.least_squares import LeastSquares, least_squares
from arproc.models.autoregression.moments import Scaled, scale
from arproc.models.autoregression.shrinkage import shrunken_least_squares

__all__ = ["Estimate", "check_enough", "estimate", "of_mean", "of_recursion"]


@dataclass(frozen=True)
class Estimate:
    """Parameters of an AR(p) in both forms, and how sure they are.

    Attributes:
        coef: [p], lag 1 first, 0 at lags that are left out.
        beta: coefficients of the mean's terms, nan where a unit root leaves none; then those of
            the regressors. [q + c]
        gamma: coefficients of the recursion's terms, then those of its regressors. [q (+ c)]
        sigma2: innovation variance.
        used: how many elements the estimate predicted.
        names: of the estimated parameters, in the order of `covariance`.
        values: the estimated parameters [k].
        covariance: [k, k].
        strength: of the ridge penalty.
        effective: the effective number of parameters.
    """

    coef: np.ndarray
    beta: np.ndarray
    gamma: np.ndarray
    sigma2: float
    used: int
    names: list[str]
    values: np.ndarray
    covariance: np.ndarray
    strength: float
    effective: float


def estimate(
    values: np.ndarray,
    lengths: np.ndarray,
    lags: np.ndarray,
    terms: Terms,
    method: str,
    regressors: np.ndarray | None = None,
    in_mean: bool = True,
    ridge: float | str = 0.0,
    first: np.ndarray | None = None,
) -> Estimate:
    """Fit an autoregression to independent sequences, pooled.

    Args:
        values: the sequences one after the other, finite, [total].
        lengths: elements in each, [N].
        lags: those whose coefficients are estimated, increasing, [k].
        terms: the terms of the mean.
        method: "ols" or "conditional-mle" (given the first p values of each sequence),
            "yule-walker", "yule-walker-adjusted", "burg" or "mle" (exact Gaussian).
        regressors: further columns, [total, c].
        in_mean: whether they are of the mean, or of the recursion ("ols" only).
        ridge: strength of the penalty on lags and regressors, or "marginal" or "oos" ("ols" only).
        first: the t at which each sequence begins, [N]; 0 by default.

    Raises:
        DataError: too few elements, collinear columns, or data without innovations.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    first = None if first is None else first[lengths > 0]
    lengths = lengths[lengths > 0]
    count = 0 if regressors is None else regressors.shape[1]
    plain = not isinstance(ridge, str) and ridge == 0
    # under a penalty there may be more coefficients than elements
    check_enough(lengths, lags, terms.n + 1 + (len(lags) + count if plain else 0))
    data = scale(values, lengths, terms, regressors, in_mean, first)
    if method in ("ols", "conditional-mle"):
        if count and in_mean:
            return of_mean(data, terms, lags, conditional_ml(data, lags))
        fit = (
            least_squares(data, lags)
            if plain
            else shrunken_least_squares(data, lags, terms.n, ridge)
        )
        return of_recursion(data, terms, lags, fit)
    if method in ("yule-walker", "yule-walker-adjusted"):
        adjusted = method == "yule-walker-adjusted"
        return of_mean(data, terms, lags, yule_walker(data, lags, adjusted))
    if method == "burg":
        return of_mean(data, terms, lags, burg(data, len(lags)))
    exact = exact_ml(data, lags)
    fit = LeastSquares(
        exact.coef[lags - 1], exact.beta, exact.sigma2, len(data.values), exact.covariance
    )
    return of_mean(data, terms, lags, fit)


def check_enough(lengths: np.ndarray, lags: np.ndarray, unknown: int) -> None:
    """Raise `DataError` unless sequences of these lengths [N] can tell so many parameters."""
    longest, total = int(lengths.max(initial=0)), int(lengths.sum())
    order = int(lags.max(initial=0))
    if longest <= order or total < unknown:
        raise DataError(
            f"data is too short: {len(lengths)} sequence(s), the longest of {longest} elements, "
            f"{total} in all; expected a sequence longer than the order {order} and at least "
            f"{unknown} elements (one for each parameter). Use a lower order or more data."
        )


def _full(coef: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Coefficients of every lag up to the last, [p]."""
    full = np.zeros(int(lags.max(initial=0)))
    full[lags - 1] = coef
    return full


def of_recursion(data: Scaled, terms: Terms, lags: np.ndarray, fit: LeastSquares) -> Estimate:
    """An estimate of the recursion's form, from the scaled data's units to the data's own."""
    q, coef, center = terms.n, _full(fit.coef, lags), data.center[: terms.n]
    # From y = (x - m) / size to x: the recursion of the centre m is added back.
    gamma = data.size * (data.unit @ fit.beta)
    gamma[:q] += recursion_form(coef, center, terms)
    # the centre enters through the coefficients
    change = np.zeros((len(gamma), len(fit.covariance)))
    power, i = np.eye(q), 0
    for lag in range(1, len(coef) + 1):
        power = power @ terms.shift
        if lag == lags[i]:
            change[:q, i] = -power @ center
            i += 1
    change[:, len(lags) : -1] = data.size * data.unit
    beta = np.concatenate([mean_form(coef, gamma[:q], terms), gamma[q:]])
    names = [{"const": "intercept", "t": "drift"}.get(name, name) for name in terms.names]
    return _reported(data, lags, fit, coef, beta, gamma, names, gamma, change)


def of_mean(data: Scaled, terms: Terms, lags: np.ndarray, fit: LeastSquares) -> Estimate:
    """An estimate of the mean's form, from the scaled data's units to the data's own."""
    beta, coef = data.own(fit.beta), _full(fit.coef, lags)
    gamma = recursion_form(coef, beta[: terms.n], terms)
    change = np.zeros((len(beta), len(fit.covariance)))
    change[:, len(lags) : -1] = data.size * data.unit
    names = [{"const": "mean", "t": "slope"}.get(name, name) for name in terms.names]
    return _reported(data, lags, fit, coef, beta, gamma, names, beta, change)


def _reported(
    data: Scaled,
    lags: np.ndarray,
    fit: LeastSquares,
    coef: np.ndarray,
    beta: np.ndarray,
    gamma: np.ndarray,
    names: list[str],
    level: np.ndarray,
    change: np.ndarray,
) -> Estimate:
    """Names, values and covariance of (level, coefficients, sigma2) by the delta method."""
    q, k = change.shape
    jacobian = np.zeros((k, k))
    jacobian[:q] = change
    jacobian[q:-1, : len(lags)] = np.eye(len(lags))
    jacobian[-1, -1] = data.size**2
    names = [*names, *[f"x{j + 1}" for j in range(q - len(names))]]
    names += [*[f"ar.L{i}" for i in lags], "sigma2"]
    sigma2 = fit.sigma2 * data.size**2
    values = np.concatenate([level, fit.coef, [sigma2]])
    covariance = carried(jacobian, fit.covariance)
    effective = float(k) if fit.effective is None else fit.effective
    return Estimate(
        coef, beta, gamma, sigma2, fit.used, names, values, covariance, fit.strength, effective
    )
