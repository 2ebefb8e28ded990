r"""The companion form of a vector autoregression and its stationary covariance.

With :math:`Y_t = (y_t, y_{t-1}, \dots, y_{t-p+1})`, :math:`Y_t = F Y_{t-1} + (\epsilon_t, 0,
\dots)`, so the covariance G of Y solves the discrete Lyapunov equation :math:`G = F G F^\top + Q`.
Doubling sums its series :math:`\sum_k F^k Q F^{k\top}` with squared powers: k terms cost log2(k)
products. Every function takes NumPy arrays or tensors, and tensors may ask for gradients.

References:
    Anderson, Moore (1979), Optimal Filtering, section 6.7. Luetkepohl (2005), New Introduction to
    Multiple Time Series Analysis, section 2.1.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch

__all__ = ["companion", "largest_modulus", "lyapunov", "powers", "stationary_covariance"]

Array = TypeVar("Array", np.ndarray, torch.Tensor)

#: Doublings after which a term counts for nothing, for any root below 1 - 1e-15.
_MOST = 60


def companion(coef: np.ndarray) -> np.ndarray:
    """The companion matrix [p d, p d] of coefficients [p, d, d]."""
    p, d = coef.shape[:2]
    below = np.eye(p * d)[: (p - 1) * d] if p else np.zeros((0, 0))
    return np.concatenate([coef.transpose(1, 0, 2).reshape(d, p * d), below]) if p else below


def _companion_tensor(coef: torch.Tensor) -> torch.Tensor:
    p, d = coef.shape[:2]
    below = torch.eye(p * d, dtype=coef.dtype, device=coef.device)[: (p - 1) * d]
    return torch.cat([coef.transpose(0, 1).reshape(d, p * d), below])


def largest_modulus(coef: np.ndarray) -> float:
    """The largest modulus of the companion matrix's eigenvalues; below 1 where stationary.

    Example:
        >>> round(largest_modulus(np.array([[[0.5, 0.0], [0.3, -0.9]]])), 6)
        0.9
    """
    if coef.shape[0] == 0:
        return 0.0
    return float(np.abs(np.linalg.eigvals(companion(coef))).max())


def powers(matrix: Array) -> list[Array]:
    """F, F^2, F^4, F^8 ... until nothing is left of it."""
    found = [matrix]
    while len(found) < _MOST and bool((abs(found[-1]) > 1e-18).any()):
        found.append(found[-1] @ found[-1])
    return found


def lyapunov(doubled: list[Array], right: Array) -> Array:
    """The solution X of X = F X F' + `right`, given `powers(F)`; for X = F' X F + Q, of F'."""
    total = right
    for power in doubled:
        total = total + power @ total @ power.mT
    return (total + total.mT) / 2


def stationary_covariance(coef: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The covariance of p consecutive elements in order of time, [p d, p d].

    Args:
        coef: stationary coefficients [p, d, d], p at least 1.
        sigma: innovation covariance [d, d].
    """
    p, d = coef.shape[:2]
    noise = torch.nn.functional.pad(sigma, (0, (p - 1) * d, 0, (p - 1) * d))
    newest_first = lyapunov(powers(_companion_tensor(coef)), noise)
    blocks = newest_first.reshape(p, d, p, d).flip(0, 2)
    return blocks.reshape(p * d, p * d)
