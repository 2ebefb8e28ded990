r"""Partial pooling: each series' coefficients drawn towards the panel's, by empirical Bayes.

Series i, brought to mean 0 and size 1, is an autoregression given its first values, whose
coefficients come from a normal law that the panel shares:

.. math::
    y_{it} = \phi_i^\top x_{it} + D_t \beta_i + \epsilon_{it}, \quad
    \epsilon_{it} \sim N(0, \sigma_i^2), \quad \phi_i \sim N(\mu, \Omega).

The columns' coefficients :math:`\beta_i` are free (integrated out under a flat prior).
:math:`\mu` and :math:`\Omega` maximise the marginal likelihood by parameter-expanded EM, with
:math:`\mu` set by generalised least squares at every step; so do the :math:`\sigma_i^2`, to each
of which the panel's typical value adds one observation, as a short series alone may be fitted
without error. The estimates are the posterior means: with :math:`P_i` the information of series i
on :math:`\phi_i`, those of least squares where :math:`\Omega` is large beside :math:`P_i^{-1}`,
and :math:`\mu` where it is small.

References:
    Swamy (1970), Efficient inference in a random coefficient regression model. Laird, Ware (1982),
    Random-effects models for longitudinal data. Liu, Rubin, Wu (1998), Parameter expansion to
    accelerate EM: the PX-EM algorithm, Biometrika 85.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from arproc.models.panel.data import PanelData
from arproc.models.panel.estimates import Estimates, empty, time_columns
from arproc.models.panel.prediction import predict
from arproc.models.panel.settings import Settings
from arproc.models.panel.shrunken import report, scaled_products

__all__ = ["Pooled", "estimate_pooled"]

_MAX_STEPS = 2000
_EXPANDED = 10**9
_TOLERANCE = 1e-6


class Pooled(NamedTuple):
    """The law that the coefficients of the panel share.

    Attributes:
        mean: [k].
        covariance: [k, k].
    """

    mean: np.ndarray
    covariance: np.ndarray


class _Parts(NamedTuple):
    """The sums of products of n series with the columns taken out."""

    gram: np.ndarray  # of the lags [n, k, k]
    cross: np.ndarray  # of lags and target [n, k]
    total: np.ndarray  # of the target [n]
    rows: np.ndarray  # count less the columns [n]
    onto: np.ndarray  # regression of the lags on the columns [n, q, k]
    target: np.ndarray  # of the target on the columns [n, q]
    inverse: np.ndarray  # of the columns' own products [n, q, q]


def estimate_pooled(table: PanelData, settings: Settings) -> tuple[Estimates, Pooled]:
    """Fit every series by least squares, partially pooled."""
    lags = settings.lags
    columns, span = time_columns(settings.trend, int(table.lengths.max(initial=1)))
    k, q = len(lags), len(columns)
    found = empty(len(table), k, q)
    gram, counts, center, unit = scaled_products(table, np.arange(len(table)), lags, columns)
    good = counts > q + 1
    for i in np.flatnonzero(~good).tolist():
        found.drop(i)
        found.status[i] = _reason(table.row(i), int(lags.max(initial=0)), q)
    rows = np.flatnonzero(good)
    if not len(rows):
        return found, Pooled(np.full(k, np.nan), np.full((k, k), np.nan))
    parts = _without_columns(gram[good], counts[good], k)
    prior, sigma2 = _maximise(parts)
    coef, spread = _posterior(parts, prior, sigma2)
    beta = parts.target - np.einsum("nqk,nk->nq", parts.onto, coef)
    inverse = np.empty((len(rows), k + q, k + q))
    share = spread / sigma2[:, None, None]
    mixed = parts.onto @ share
    inverse[:, :k, :k] = share
    inverse[:, k:, :k] = -mixed
    inverse[:, :k, k:] = -np.swapaxes(mixed, 1, 2)
    inverse[:, k:, k:] = parts.inverse + mixed @ np.swapaxes(parts.onto, 1, 2)
    theta = np.concatenate([coef, beta], axis=1)
    report(found, rows, theta, inverse, sigma2, counts[good], lags, center[good], unit[good], span)
    found.effective[rows] = np.einsum("nij,nji->n", share, parts.gram) + q + 1
    seen = predict(table, lags, settings.stationary, found.parameters, found.mean, 0)
    found.log_likelihood[:], found.used[:] = seen.log_likelihood, seen.counts
    for i in rows[~seen.begun[rows]].tolist():
        found.drop(i)
        found.status[i] = (
            "its coefficients are not stationary, or its first values are missing; use "
            "initial='given'"
        )
    return found, prior


def _reason(row: np.ndarray, order: int, q: int) -> str:
    known = int((~np.isnan(row)).sum())
    if known <= order + q + 1:
        return (
            f"data is too short: {known} values are known; expected more than {order + q + 1}, or "
            "a lower order"
        )
    return "data are constant to double precision, or have no rows without a missing lag"


def _without_columns(gram: np.ndarray, counts: np.ndarray, k: int) -> _Parts:
    lags, between, own = gram[:, :k, :k], gram[:, k:-1, :k], gram[:, k:-1, k:-1]
    cross, of_target = gram[:, -1, :k], gram[:, -1, k:-1]
    inverse = np.linalg.inv(own)
    onto = inverse @ between
    target = np.einsum("nab,nb->na", inverse, of_target)
    return _Parts(
        lags - np.swapaxes(between, 1, 2) @ onto,
        cross - np.einsum("nqk,nq->nk", onto, of_target),
        gram[:, -1, -1] - (target * of_target).sum(axis=1),
        counts - own.shape[1],
        onto,
        target,
        inverse,
    )


def _maximise(parts: _Parts) -> tuple[Pooled, np.ndarray]:
    """The prior and the variances of the largest marginal likelihood."""
    n, k = parts.cross.shape
    # from the fit that pools all, and variances as of the scaled series
    whole = parts.gram.sum(axis=0) + 1e-9 * n * np.eye(k)
    mean = np.linalg.solve(whole, parts.cross.sum(axis=0))
    sigma2 = np.maximum(_squares(parts, np.broadcast_to(mean, (n, k))), 1e-12) / parts.rows
    prior = Pooled(mean, 0.1 * np.eye(k))
    for _ in range(_MAX_STEPS):
        before = np.concatenate([prior.mean, prior.covariance.ravel(), np.log(sigma2)])
        prior = prior._replace(mean=_general_mean(parts, prior.covariance, sigma2))
        coef, spread = _posterior(parts, prior, sigma2)
        turn = _expansion(parts, prior.mean, coef - prior.mean, spread, sigma2)
        away, spread = (coef - prior.mean) @ turn.T, turn @ spread @ turn.T
        coef = prior.mean + away
        covariance = (away.T @ away + spread.sum(axis=0)) / n
        doubt = np.einsum("nij,nji->n", parts.gram, spread)
        typical = float(np.median(sigma2))
        sigma2 = (_squares(parts, coef) + doubt + typical) / (parts.rows + 1)
        prior = Pooled(prior.mean, (covariance + covariance.T) / 2)
        after = np.concatenate([prior.mean, prior.covariance.ravel(), np.log(sigma2)])
        if np.abs(after - before).max() < _TOLERANCE:
            break
    return prior, sigma2


def _expansion(
    parts: _Parts, mean: np.ndarray, away: np.ndarray, spread: np.ndarray, sigma2: np.ndarray
) -> np.ndarray:
    """The matrix by which the coefficients' deviations fit the data best, [k, k].

    At the maximum it is 1; on the way there it takes long steps where EM's are short (small
    variances). The number of its equations grows fast, and it is left out for many lags.
    """
    n, k = away.shape
    if n * k**4 > _EXPANDED:
        return np.eye(k)
    second = away[:, :, None] * away[:, None, :] + spread
    weighted = parts.gram / sigma2[:, None, None]
    left = np.einsum("nac,nbd->abcd", weighted, second, optimize=True).reshape(k * k, k * k)
    right = ((parts.cross - parts.gram @ mean) / sigma2[:, None]).T @ away
    return np.asarray(np.linalg.lstsq(left, right.ravel(), rcond=1e-12)[0].reshape(k, k))


def _squares(parts: _Parts, coef: np.ndarray) -> np.ndarray:
    """Sums of squared residuals at these coefficients, [n]."""
    fitted = np.einsum("nij,nj->ni", parts.gram, coef)
    return np.maximum(parts.total + (coef * (fitted - 2 * parts.cross)).sum(axis=1), 0.0)


def _solved(parts: _Parts, covariance: np.ndarray, sigma2: np.ndarray, right: Any) -> np.ndarray:
    """(sigma2 + gram covariance)^-1 right, for every series: no inverse of either is needed."""
    k = len(covariance)
    left = sigma2[:, None, None] * np.eye(k) + parts.gram @ covariance
    return np.linalg.solve(left, right)


def _general_mean(parts: _Parts, covariance: np.ndarray, sigma2: np.ndarray) -> np.ndarray:
    """The mean of the coefficients by generalised least squares, [k]."""
    both = np.concatenate([parts.gram, parts.cross[..., None]], axis=2)
    solved = _solved(parts, covariance, sigma2, both).sum(axis=0)
    return np.linalg.lstsq(solved[:, :-1], solved[:, -1], rcond=None)[0]


def _posterior(parts: _Parts, prior: Pooled, sigma2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means [n, k] and covariances [n, k, k] of the coefficients given the data."""
    error = parts.cross - parts.gram @ prior.mean
    both = np.concatenate([parts.gram, error[..., None]], axis=2)
    solved = prior.covariance @ _solved(parts, prior.covariance, sigma2, both)
    spread = prior.covariance - solved[..., :-1] @ prior.covariance
    return prior.mean + solved[..., -1], (spread + np.swapaxes(spread, 1, 2)) / 2
