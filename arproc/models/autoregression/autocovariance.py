r"""Estimates from autocovariances: Yule-Walker in both conventions, and Burg's.

They estimate the process about a mean that was removed by least squares. With autocovariances
divided by n, and by Burg's recursion, the result is always stationary.

References:
    Brockwell, Davis (1991), Time Series: Theory and Methods, sections 8.1 and 8.2 (Yule-Walker);
    Burg (1975), Maximum entropy spectral analysis.
"""

from __future__ import annotations

import math

import numpy as np

from arproc.errors import DataError
from arproc.gaussian.levinson import (
    autocovariances,
    durbin,
    largest_root,
    pacf_to_coef,
)
from arproc.models.autoregression.least_squares import LeastSquares
from arproc.models.autoregression.moments import Scaled, lag_sums, positions

__all__ = ["burg", "burg_pacf", "sample_autocovariances", "yule_walker"]


_FEW = 2000  # so many autocovariances are summed one by one


def sample_autocovariances(data: Scaled, order: int, adjusted: bool = False) -> np.ndarray:
    """Autocovariances at the lags 0 to `order`, sequences pooled, [order + 1].

    Args:
        data: the data.
        order: the largest lag.
        adjusted: divide each sum by the number of its products, not by that of the elements.
    """
    sums = lag_sums(data.values[:, None], data.lengths, order)[:, 0, 0]
    if not adjusted:
        return sums / len(data.values)
    counts = (data.lengths - np.arange(order + 1)[:, None]).clip(min=0).sum(axis=1)
    return sums / counts


def yule_walker(data: Scaled, lags: np.ndarray, adjusted: bool = False) -> LeastSquares:
    """The recursion whose autocovariances at the lags are those of the data.

    Args:
        data: the data.
        lags: those whose coefficients are free, increasing, [k].
        adjusted: see `sample_autocovariances`.

    Raises:
        DataError: the autocovariances leave no innovations.
    """
    order = int(lags.max(initial=0))
    gamma = sample_autocovariances(data, order, adjusted)
    toeplitz = gamma[np.abs(np.subtract.outer(lags, lags))]
    if len(lags) == order and not adjusted:
        pacf = durbin(gamma)
        coef, sigma2 = pacf_to_coef(pacf), float(gamma[0] * np.prod(1 - pacf**2))
    else:
        try:
            coef = np.linalg.solve(toeplitz, gamma[lags])
        except np.linalg.LinAlgError:  # some lag is a combination of others
            _require_innovations(0.0, order, adjusted)
        sigma2 = float(gamma[0] - coef @ gamma[lags])
    _require_innovations(sigma2, order, adjusted)
    return _with_errors(data, lags, coef, sigma2, toeplitz)


def burg(data: Scaled, order: int) -> LeastSquares:
    """The recursion that predicts forwards and backwards with the least error, step by step.

    Raises:
        DataError: no innovations are left.
    """
    pacf, power = burg_pacf(data, order)
    coef, sigma2 = pacf_to_coef(pacf), float(power[-1])
    _require_innovations(sigma2, order, False)
    gamma = autocovariances(coef, sigma2, order)
    lags = np.arange(1, order + 1)
    toeplitz = gamma[np.abs(np.subtract.outer(lags, lags))]
    return _with_errors(data, lags, coef, sigma2, toeplitz)


def burg_pacf(data: Scaled, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Burg's partial autocorrelations [order], and the innovation variances [order + 1].

    The variance of an order is that of the order before, times 1 less the square of the partial
    autocorrelation.
    """
    pacf = np.zeros(order)
    forward, backward = data.values, data.values
    place = positions(data.lengths)
    for k in range(order):
        # of the elements with at least k before them, those with one more, and the one before each
        later = np.flatnonzero(place > k)
        place = place[later]
        forward, backward = forward[later], backward[later - 1]
        both = float(forward @ forward + backward @ backward)
        r = 2 * float(forward @ backward) / both if both > 0 else 0.0
        forward, backward = forward - r * backward, backward - r * forward
        pacf[k] = r
    start = float(data.values @ data.values) / len(data.values)
    return pacf, start * np.concatenate([[1.0], np.cumprod(1 - pacf**2)])


def _require_innovations(sigma2: float, order: int, adjusted: bool) -> None:
    if sigma2 > 1e-15:
        return
    if adjusted and sigma2 < -1e-12:
        raise DataError(
            f"the adjusted autocovariances of data up to lag {order} are those of no process "
            "(they are not positive definite). Use method='yule-walker', whose always are, or a "
            "lower order."
        )
    raise DataError(
        f"data obey a deterministic recursion of order {order} to double precision, so there "
        "are no innovations. Use a lower order."
    )


def _with_errors(
    data: Scaled, lags: np.ndarray, coef: np.ndarray, sigma2: float, toeplitz: np.ndarray
) -> LeastSquares:
    """The estimate with its covariance in large samples, which is that of maximum likelihood."""
    total, k, q = len(data.values), len(lags), data.columns.shape[1]
    full = np.zeros(int(lags.max(initial=0)))
    full[lags - 1] = coef
    covariance = np.zeros((k + q + 1, k + q + 1))
    covariance[:k, :k] = sigma2 / total * np.linalg.inv(toeplitz)
    covariance[k:-1, k:-1] = _covariance_of_mean(data, full, sigma2)
    covariance[-1, -1] = 2 * sigma2**2 / total
    return LeastSquares(coef, np.zeros(q), sigma2, total, covariance)


def _covariance_of_mean(data: Scaled, coef: np.ndarray, sigma2: float) -> np.ndarray:
    """Covariance of a mean by ordinary least squares with autoregressive errors, [q, q].

    That is (C'C)^-1 C' Gamma C (C'C)^-1, the products with the autocovariances Gamma taken through
    the spectral density.
    """
    columns, lengths = data.columns, data.lengths
    q, longest = columns.shape[1], int(lengths.max())
    if q == 0:
        return np.zeros((0, 0))
    if q == 1 and bool((columns == 1).all()):
        root = largest_root(coef)
        fading = math.log(1e-12) / math.log(root) if 0 < root < 1 else 0.0
        lags = min(longest - 1, len(coef) + int(fading))  # those beyond are nothing
        if lags <= _FEW and root < 1:  # the products with ones are counts
            gamma = autocovariances(coef, sigma2, lags)
            counts = (lengths - np.arange(len(gamma))[:, None]).clip(min=0).sum(axis=1)
            return np.array([[2 * counts @ gamma - counts[0] * gamma[0]]]) / counts[0] ** 2
    size = 1 << (2 * longest - 1).bit_length()
    rows = np.repeat(np.arange(len(lengths)), lengths)
    padded = np.zeros((len(lengths), longest, q))
    padded[rows, positions(lengths)] = columns
    density = sigma2 / np.abs(np.fft.rfft(np.concatenate([[1.0], -coef]), size)) ** 2
    # the frequencies strictly between 0 and 1/2 stand for two each
    density[1:-1] *= 2
    spread = np.fft.rfft(padded, size, axis=1).reshape(len(lengths), -1, q)
    middle = np.einsum("nwa,w,nwb->ab", spread.conj(), density / size, spread).real
    inverse = np.linalg.inv(columns.T @ columns)
    return inverse @ middle @ inverse
