r"""Partial autocorrelations, coefficients and covariances of a stationary autoregression.

The Levinson-Durbin recursion is a bijection between the coefficients of a stationary AR(p) and its
partial autocorrelations, which fill the open cube :math:`(-1, 1)^p`:

.. math:: \phi^{(k)}_k = r_k, \qquad \phi^{(k)}_i = \phi^{(k-1)}_i - r_k \, \phi^{(k-1)}_{k-i}.

:math:`\phi^{(k)}` are the coefficients of the best linear predictor from the last k values, so
running the recursion backwards gives the exact conditionals of the first elements as well.

References:
    Durbin (1960), The fitting of time-series models. Monahan (1984), A note on enforcing
    stationarity in autoregressive-moving average models, Biometrika 71.
"""

from __future__ import annotations

from typing import NoReturn, TypeVar

import numpy as np
import torch

from arproc.errors import ParameterError

Array = TypeVar("Array", np.ndarray, torch.Tensor)

__all__ = [
    "autocovariances",
    "coef_to_pacf",
    "durbin",
    "is_stationary",
    "pacf_to_coef",
    "predictors",
    "stationary_start",
    "step_down",
]


def pacf_to_coef(pacf: np.ndarray) -> np.ndarray:
    """Coefficients of the AR(p) whose partial autocorrelations are given.

    Args:
        pacf: partial autocorrelations [..., p]; real, each within (-1, 1) for a stationary
            process.

    Returns:
        Coefficients [..., p], lag 1 first.

    Example:
        >>> pacf_to_coef(np.array([0.5, -0.2])).round(3).tolist()
        [0.6, -0.2]
    """
    return predictors(pacf)[-1]


def predictors(pacf: np.ndarray) -> list[np.ndarray]:
    """Coefficients of the best predictors from the last 0, 1, ..., p values: arrays [..., k]."""
    levels = [pacf[..., :0]]
    for k in range(1, pacf.shape[-1] + 1):
        last, shorter = pacf[..., k - 1 : k], levels[-1]
        levels.append(np.concatenate([shorter - last * shorter[..., ::-1], last], axis=-1))
    return levels


def _step_down(coef: Array) -> list[Array]:
    """Coefficients of the best predictors from the last p, p-1, ..., 1 values."""
    levels = [coef]
    for k in range(coef.shape[-1], 1, -1):
        longer = levels[-1]
        last, rest = longer[..., k - 1 : k], longer[..., : k - 1]
        levels.append((rest + last * _reversed(rest)) / (1 - last * last))
    return levels


def _reversed(x: Array) -> Array:
    return x.flip(-1) if isinstance(x, torch.Tensor) else x[..., ::-1]


def coef_to_pacf(coef: np.ndarray) -> np.ndarray:
    """Partial autocorrelations of an AR(p); some lie outside (-1, 1) where it is not stationary.

    Args:
        coef: coefficients [..., p], lag 1 first.

    Returns:
        Partial autocorrelations [..., p].

    Example:
        >>> coef_to_pacf(np.array([0.6, -0.2])).round(3).tolist()
        [0.5, -0.2]
    """
    return step_down(np.asarray(coef, dtype=float))


def step_down(coef: np.ndarray) -> np.ndarray:
    """`coef_to_pacf` in any precision, complex ones included."""
    if coef.shape[-1] == 0:
        return coef.copy()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        levels = _step_down(coef)
    return np.stack([level[..., -1] for level in reversed(levels)], axis=-1)


def is_stationary(coef: np.ndarray) -> bool:
    r"""Whether an AR(p) has a stationary law: every partial autocorrelation lies inside (-1, 1).

    This is the Schur-Cohn test, equivalent to all roots of :math:`1 - \sum_i \phi_i z^i` lying
    outside the unit circle.

    Example:
        >>> is_stationary(np.array([0.5])), is_stationary(np.array([1.0]))
        (True, False)
    """
    # A partial autocorrelation outside ends the test: the ones derived from it mean nothing (and
    # may be nan).
    return bool(np.all(np.abs(coef_to_pacf(coef)) < 1.0))


def stationary_start(
    coef: torch.Tensor, sigma2: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Exact conditionals of the first p elements of a stationary, zero-mean AR(p).

    Element t < p is normal with mean :math:`\sum_{i=1}^{t} \phi^{(t)}_i x_{t-i}` and variance
    :math:`\sigma^2 / \prod_{k=t+1}^{p} (1 - r_k^2)`. Differentiable in both arguments.

    Args:
        coef: coefficients [p], lag 1 first.
        sigma2: innovation variance, a scalar tensor.

    Returns:
        Weights [p + 1, p] and variances [p + 1]; row t is for element t, column i - 1 for lag
        i (0 beyond the elements there are), and the last row for every element from p on.

    Raises:
        ParameterError: the coefficients have no stationary law.
    """
    if not (coef.requires_grad or sigma2.requires_grad or coef.is_cuda):
        plain = _plain_start(coef.numpy(), float(sigma2))
        return torch.from_numpy(plain[0]).to(coef), torch.from_numpy(plain[1]).to(coef)
    p = coef.shape[-1]
    levels = list(reversed(_step_down(coef))) if p else []
    pacf = [level[-1] for level in levels]
    if any(not abs(float(r.detach())) < 1.0 for r in pacf):
        raise_not_stationary(coef.detach().cpu().numpy())
    rows, variances = [coef], [sigma2]
    for t in range(p - 1, -1, -1):
        shorter = levels[t - 1] if t else coef[:0]
        rows.append(torch.cat([shorter, coef.new_zeros(p - t)]))
        variances.append(variances[-1] / (1 - pacf[t] ** 2))
    return torch.stack(rows[::-1]), torch.stack(variances[::-1])


def _plain_start(coef: np.ndarray, sigma2: float) -> tuple[np.ndarray, np.ndarray]:
    """`stationary_start` of numbers that need no gradient, in a tenth of the time."""
    p = len(coef)
    weights, variances = np.zeros((p + 1, p)), np.full(p + 1, sigma2)
    with np.errstate(divide="ignore", invalid="ignore"):
        levels = _step_down(coef) if p else []
    for level in levels:
        k = len(level)
        if not abs(level[-1]) < 1.0:
            raise_not_stationary(coef)
        weights[k, :k] = level
        variances[:k] /= 1 - level[-1] ** 2
    return weights, variances


def raise_not_stationary(coef: np.ndarray) -> NoReturn:
    """Say that coefficients have no stationary law, and what to do."""
    raise ParameterError(
        f"coef must be stationary; got {coef.round(6).tolist()}, whose largest root has modulus "
        f"{largest_root(coef):.6g} (below 1 is stationary). Use initial='given', which needs no "
        "stationary start, or estimate by method='mle' or 'yule-walker', which are always "
        "stationary."
    )


def autocovariances(coef: np.ndarray, sigma2: float, n_lags: int) -> np.ndarray:
    """Autocovariances of a stationary AR(p) at lags 0, 1, ..., `n_lags`.

    Example:
        >>> autocovariances(np.array([0.5]), 0.75, 3).round(3).tolist()
        [1.0, 0.5, 0.25, 0.125]
    """
    coef = np.asarray(coef, dtype=float)
    pacf = coef_to_pacf(coef)
    if not np.all(np.abs(pacf) < 1.0):
        raise_not_stationary(coef)
    variance = sigma2 / np.prod(1 - pacf**2)
    gamma = np.empty(max(n_lags, len(coef)) + 1)
    gamma[0] = variance
    for k, level in enumerate(predictors(pacf)[:-1], start=1):
        gamma[k] = level @ gamma[k - 1 : 0 : -1] + pacf[k - 1] * variance
        variance *= 1 - pacf[k - 1] ** 2
    for k in range(len(coef) + 1, n_lags + 1):
        gamma[k] = coef @ gamma[k - len(coef) : k][::-1]
    return gamma[: n_lags + 1]


def durbin(lagged: np.ndarray) -> np.ndarray:
    """Partial autocorrelations [p] from autocovariances [p + 1], by the same recursion.

    Example:
        >>> durbin(np.array([1.0, 0.5, 0.25])).tolist()
        [0.5, 0.0]
    """
    pacf = np.zeros(len(lagged) - 1)
    coef, variance = np.zeros(0), lagged[0]
    for k in range(1, len(lagged)):
        last = (lagged[k] - coef @ lagged[k - 1 : 0 : -1]) / variance
        coef = np.concatenate([coef - last * coef[::-1], [last]])
        variance *= 1 - last * last
        pacf[k - 1] = last
    return pacf


def largest_root(coef: np.ndarray) -> float:
    """Modulus of the largest root of z^p - sum_i coef_i z^(p-i): below 1 where stationary."""
    coef = np.asarray(coef, dtype=float)
    return float(np.abs(np.roots(np.concatenate([[1.0], -coef]))).max(initial=0.0))
