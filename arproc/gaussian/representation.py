r"""The state space of a seasonal ARIMA process.

With the polynomials multiplied out, the process y (its mean taken off) is

.. math::
    y_t = \sum_{j=1}^{m} \delta_j y_{t-j} + w_t, \quad
    w_t = \sum_i \phi_i w_{t-i} + \epsilon_t + \sum_i \theta_i \epsilon_{t-i}, \quad
    1 - \sum_j \delta_j B^j = (1 - B)^d (1 - B^s)^D .

The state before element t is :math:`(y_{t-1}, \ldots, y_{t-m}, a_0, \ldots, a_{r-1})`, the second
part being Harvey's (1989, section 3.3) form of the ARMA process: :math:`w_t = a_0` and
:math:`a_i' = \phi_{i+1} a_0 + a_{i+1} + \theta_i \epsilon`. The element is
:math:`\sum_j \delta_j y_{t-j} + a_0`. Variances are in units of that of the innovations.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from arproc.gaussian.companion import lyapunov, powers

__all__ = [
    "NOTHING",
    "Representation",
    "represent",
    "stationary_covariance",
]

#: An infinite part of a variance smaller than this, against the largest, is rounding.
NOTHING = 1e-9


class Representation(NamedTuple):
    """The numbers of a state space; k = m + r states.

    Attributes:
        delta: the weights of the last m elements, newest first, [m].
        phi: the ARMA part's autoregression, padded with zeros, [r].
        noise: what an innovation adds to the ARMA part: 1 and the moving average's weights, [r].
    """

    delta: np.ndarray
    phi: np.ndarray
    noise: np.ndarray

    @property
    def n_lags(self) -> int:
        """How many last elements the state holds: d + s D."""
        return len(self.delta)

    @property
    def size(self) -> int:
        """How many numbers the state has."""
        return len(self.delta) + len(self.phi)

    @property
    def loading(self) -> np.ndarray:
        """The element as a sum over the state, [k]."""
        z = np.zeros(self.size)
        z[: self.n_lags] = self.delta
        z[self.n_lags] = 1.0
        return z

    @property
    def transition(self) -> np.ndarray:
        """The matrix T of state' = T state + ..., [k, k]."""
        m, k = self.n_lags, self.size
        matrix = np.zeros((k, k))
        if m:
            matrix[0] = self.loading
            matrix[np.arange(1, m), np.arange(m - 1)] = 1.0
        matrix[np.arange(m, k - 1), np.arange(m + 1, k)] = 1.0
        matrix[m:, m] = self.phi
        return matrix


def represent(
    ar: np.ndarray,
    ma: np.ndarray,
    seasonal_ar: np.ndarray,
    seasonal_ma: np.ndarray,
    differences: tuple[int, int],
    period: int,
) -> Representation:
    """The state space of given coefficients.

    Args:
        ar: lag 1 first, [p].
        ma: lag 1 first, with plus signs (as R and statsmodels have it), [q].
        seasonal_ar: lag s first, [P].
        seasonal_ma: lag s first, [Q].
        differences: d and D.
        period: s; of no meaning where nothing is seasonal.

    Example:
        >>> represent([0.5], [], [0.2], [], (1, 0), 4).phi.tolist()
        [0.5, 0.0, 0.0, 0.2, -0.1]
    """
    none = np.zeros(0)
    phi = -np.convolve(_polynomial(ar, 1, -1.0), _polynomial(seasonal_ar, period, -1.0))[1:]
    theta = np.convolve(_polynomial(ma, 1, 1.0), _polynomial(seasonal_ma, period, 1.0))
    difference = np.ones(1)
    for _ in range(differences[0]):
        difference = np.convolve(difference, [1.0, -1.0])
    for _ in range(differences[1]):
        seasonal = np.r_[1.0, np.zeros(period - 1), -1.0]
        difference = np.convolve(difference, seasonal)
    delta = -difference[1:] if len(difference) > 1 else none
    r = max(len(phi), len(theta))
    return Representation(
        delta, np.r_[phi, np.zeros(r - len(phi))], np.r_[theta, np.zeros(r - len(theta))]
    )


def _polynomial(coef: np.ndarray, step: int, sign: float) -> np.ndarray:
    """1 + sign (c_1 B^step + c_2 B^(2 step) + ...) as its coefficients."""
    powers = np.zeros(len(coef) * step + 1)
    powers[0] = 1.0
    if len(coef):
        powers[step::step] = sign * np.asarray(coef)
    return powers


def stationary_covariance(phi: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """The covariance of the stationary ARMA state, [r, r]."""
    r = len(phi)
    transition = np.zeros((r, r))
    transition[:, 0] = phi
    transition[np.arange(r - 1), np.arange(1, r)] = 1.0
    return lyapunov(powers(transition), np.outer(noise, noise))
