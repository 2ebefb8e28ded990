r"""The spectral density of an autoregression, in cycles a step.

.. math:: f(\lambda) = \frac{\sigma^2}{|A(\lambda)|^2}, \qquad
    A(\lambda) = 1 - \sum_j \phi_j e^{-2 \pi i \lambda j},

whose integral over one period is the variance.
"""

from __future__ import annotations

import numpy as np

__all__ = ["density", "log_density_jacobian"]


def density(coef: np.ndarray, sigma2: float, frequencies: np.ndarray) -> np.ndarray:
    """The density at these frequencies [k], in cycles a step.

    Example:
        >>> density(np.array([0.5]), 1.0, np.array([0.0, 0.5])).round(3).tolist()
        [4.0, 0.444]
    """
    return sigma2 / np.abs(_transfer(coef, frequencies)) ** 2


def log_density_jacobian(
    coef: np.ndarray, lags: np.ndarray, sigma2: float, frequencies: np.ndarray
) -> np.ndarray:
    """Derivatives of the log density by the coefficients of the lags and sigma2: [k, lags + 1]."""
    turn = np.exp(-2j * np.pi * frequencies[:, None] * lags)
    by_coef = 2 * (turn / _transfer(coef, frequencies)[:, None]).real
    return np.column_stack([by_coef, np.full(len(frequencies), 1 / sigma2)])


def _transfer(coef: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    lags = np.arange(1, len(coef) + 1)
    return 1 - np.exp(-2j * np.pi * frequencies[:, None] * lags) @ coef
