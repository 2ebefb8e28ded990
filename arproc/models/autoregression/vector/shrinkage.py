r"""Shrinkage of a vector autoregression with many components, by conjugate priors.

Given the first p elements and with flat priors on the trend and the regressors,

.. math:: \Sigma \sim IW(\Psi, d + 2), \qquad \mathrm{vec}\, B \mid \Sigma \sim
    N(\mathrm{vec}\, B_0, \; \Sigma \otimes \Omega),

so the posterior is that of least squares with the rows :math:`\Omega^{-1/2} (I, B_0)` added to the
data, and the marginal likelihood is closed, which chooses the tightness :math:`\lambda`. The
Minnesota prior has :math:`\Omega = \lambda^2 / (s^{2 \kappa} \psi_b)` for lag s of component b,
:math:`\psi` being the residual variances of AR(1): coefficients of other components and later lags
are small, whatever the units. Ridge has :math:`\lambda^2` over the component's variance at every
lag, and mean 0. Where other components' lags are to be shrunk more than a component's own
(Litterman's cross-variable weight), no prior of this form exists: each equation then has a
conjugate prior of its own, as if innovations were uncorrelated.

References:
    Litterman (1986), Forecasting with Bayesian vector autoregressions, JBES 4. Kadiyala, Karlsson
    (1997), J. Appl. Econometrics 12. Giannone, Lenza, Primiceri (2015), Prior selection for vector
    autoregressions, REStat 97, equation 7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import multigammaln

from arproc.errors import DataError, check_choice, check_number
from arproc.models.autoregression.vector.regression import (
    VectorData,
    VectorRegression,
    check_innovations,
    regression_root,
)

__all__ = ["Shrunk", "check_shrinkage", "log_marginal_likelihood", "shrink"]

#: Between these the tightness is searched.
_RANGE = (1e-4, 1e2)


@dataclass(frozen=True)
class Shrunk:
    """The posterior mean and how it was found.

    Attributes:
        regression: the posterior in the form of a regression; `inverse` is [d, k, k] where every
            equation has a prior of its own.
        tightness: lambda.
        log_marginal_likelihood: of the data given the first values, nats, in the unit of the data
            (up to a constant, the same for all tightnesses, where there is a trend).
        effective: how many parameters the estimate is worth: the trace of what maps data to fits,
            and sigma's numbers.
    """

    regression: VectorRegression
    tightness: float
    log_marginal_likelihood: float
    effective: float


@dataclass(frozen=True)
class _Prior:
    """Standard deviations (up to lambda and sigma) and means of the lags' coefficients.

    Attributes:
        scale: [k, m]: m = 1 for all equations alike, else d.
        mean: [k, d].
        psi: [d].
    """

    scale: np.ndarray
    mean: np.ndarray
    psi: np.ndarray


def shrink(
    data: VectorData,
    order: int,
    kind: str,
    tightness: float | None,
    decay: float,
    cross: float,
    own_lag: np.ndarray,
) -> Shrunk:
    """The posterior mean given the first `order` elements of each sequence.

    Args:
        data: the sequences.
        order: p.
        kind: "minnesota" or "ridge".
        tightness: lambda; None to maximise the marginal likelihood.
        decay: kappa, by which later lags are shrunk more (not for ridge).
        cross: the standard deviation of other components' lags beside that of a component's own.
        own_lag: the prior mean of each component's own first lag [d] (not for ridge).

    Raises:
        DataError: no elements to predict, or components without innovations.
    """
    root, used = regression_root(data, order)
    d, q = data.dimension, data.q
    if used <= q + 1:
        raise DataError(
            f"data are too short: {used} element(s) have {order} predecessors; expected at least "
            f"{q + 2}. Use a lower order or more data."
        )
    psi = _residual_variances(root, used, d, q, order)
    check_innovations(np.diag(psi), (root[:, -d:] ** 2).sum(axis=0) / used)
    prior = _prior(kind, psi, order, decay, cross, own_lag)
    if tightness is None:
        tightness = _best(root, used - q, q, d, prior)
    value = log_marginal_likelihood(root[q:, q:], used - q, d, prior, tightness)
    value -= (used - q) * float(np.log(data.size).sum())
    regression, trace = _posterior(root, used, q, d, prior, tightness)
    effective = d * q + trace + d * (d + 1) / 2
    return Shrunk(regression, float(tightness), value, effective)


def check_shrinkage(kind: str | None, tightness: float | None, decay: float, cross: float) -> None:
    """Raise `ParameterError` unless these describe a prior (or none)."""
    if kind is not None:
        check_choice("shrinkage", kind, ("minnesota", "ridge"))
    numbers = {"tightness": 1.0 if tightness is None else tightness, "cross": cross}
    for name, value in (numbers | {"decay": decay}).items():
        check_number(name, value, low=0, above=None if name == "decay" else 0)


def _residual_variances(root: np.ndarray, used: int, d: int, q: int, order: int) -> np.ndarray:
    """Of each component given the trend and its own last value, [d]."""
    psi = np.empty(d)
    for a in range(d):
        own = [q + a] if order else []
        columns = root[:, np.array([*range(q), *own, len(root) - d + a])]
        last = np.asarray(np.linalg.qr(columns, mode="r"))[-1, -1]
        psi[a] = last**2 / max(used - q - len(own), 1)
    return psi


def _prior(
    kind: str, psi: np.ndarray, order: int, decay: float, cross: float, own_lag: np.ndarray
) -> _Prior:
    d = len(psi)
    mean = np.zeros((order * d, d))
    if kind == "ridge":
        scale = np.ones((order, d))  # the data are standardised
    else:
        scale = (np.arange(1, order + 1.0) ** -decay)[:, None] / np.sqrt(psi)
        mean[:d][: order * d] = np.diag(own_lag)[: order * d]
    flat = scale.reshape(-1, 1)
    if cross != 1 and d > 1:
        other = np.tile(1 - np.eye(d), (order, 1))  # [lag and component, equation]
        flat = flat * np.where(other > 0, cross, 1.0)
    return _Prior(flat, mean, psi)


def _augmented(
    root: np.ndarray, q: int, prior: _Prior, tightness: float, equation: int | None
) -> np.ndarray:
    """R of the data with the prior's rows, [q + k + m] * 2, for one equation or for all."""
    k = len(prior.mean)
    chosen = slice(None) if equation is None else slice(equation, equation + 1)
    weights = 1 / (tightness * prior.scale[:, 0 if equation is None else equation])
    targets = weights[:, None] * prior.mean[:, chosen]
    rows = np.hstack([np.zeros((k, q)), np.diag(weights), targets])
    data = np.hstack([root[:, : q + k], root[:, q + k :][:, chosen]])
    return np.asarray(np.linalg.qr(np.concatenate([rows, data]), mode="r"))


def log_marginal_likelihood(
    root: np.ndarray, n: int, d: int, prior: _Prior, tightness: float
) -> float:
    """Of the data (trend removed) behind a triangular factor [k + d] * 2 of n rows, nats."""
    if prior.scale.shape[1] > 1:
        each = (_log_marginal(root, n, d, prior, tightness, a) for a in range(d))
        return float(sum(each))
    return _log_marginal(root, n, d, prior, tightness, None)


def _log_marginal(
    root: np.ndarray, n: int, d: int, prior: _Prior, tightness: float, equation: int | None
) -> float:
    """Matrix Student t's log density (Giannone, Lenza, Primiceri 2015, appendix A)."""
    k = len(prior.mean)
    m = d if equation is None else 1
    psi = prior.psi if equation is None else prior.psi[equation : equation + 1]
    scale = tightness * prior.scale[:, 0 if equation is None else equation]
    full = _augmented(root, 0, prior, tightness, equation)
    rest = full[k:, k:]
    freedom = m + 2
    value = -0.5 * n * m * np.log(np.pi)
    value += multigammaln((n + freedom) / 2, m) - multigammaln(freedom / 2, m)
    value -= m * (np.log(scale).sum() + np.log(np.abs(np.diag(full)[:k])).sum())
    value += 0.5 * freedom * np.log(psi).sum()
    value -= 0.5 * (n + freedom) * np.linalg.slogdet(np.diag(psi) + rest.T @ rest)[1]
    return float(value)


def _best(root: np.ndarray, n: int, q: int, d: int, prior: _Prior) -> float:
    """The tightness of the largest marginal likelihood: a coarse grid, then Brent's method."""
    inner = root[q:, q:]

    def loss(log_tightness: float) -> float:
        return -log_marginal_likelihood(inner, n, d, prior, float(np.exp(log_tightness)))

    if not len(prior.mean):
        return 1.0
    grid = np.linspace(np.log(_RANGE[0]), np.log(_RANGE[1]), 15)
    middle = int(np.argmin([loss(at) for at in grid]))
    low, high = grid[max(middle - 1, 0)], grid[min(middle + 1, len(grid) - 1)]
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x))


def _posterior(
    root: np.ndarray, used: int, q: int, d: int, prior: _Prior, tightness: float
) -> tuple[VectorRegression, float]:
    """The posterior mean, and the trace of the lags' share in what maps data to fits."""
    k = q + len(prior.mean)
    gram = root[q:, q:k].T @ root[q:, q:k]
    thetas, inverses, rests, trace = [], [], [], 0.0
    apart = prior.scale.shape[1] > 1
    equations: list[int | None] = [*range(d)] if apart else [None]
    for equation in equations:
        full = _augmented(root, q, prior, tightness, equation)
        top = np.linalg.inv(full[:k, :k]) if k else np.zeros((0, 0))
        thetas.append(top @ full[:k, k:])
        inverses.append(top @ top.T)
        trace += float((inverses[-1][q:, q:] * gram).sum()) * (1 if apart else d)
        rests.append(full[k:, k:])
    theta = np.hstack(thetas)
    if apart:
        rest = root[:, k:] - root[:, :k] @ theta
        inverse = np.stack(inverses)
    else:
        rest, inverse = rests[0], inverses[0]
    # the posterior mean of sigma
    sigma = (np.diag(prior.psi) + rest.T @ rest) / (used - q + 1)
    return VectorRegression(theta, sigma, inverse, used), trace
