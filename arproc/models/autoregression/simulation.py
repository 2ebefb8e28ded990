"""Draws and forecasts of an autoregression: its recursion run forwards."""

from __future__ import annotations

import numpy as np
import torch

from arproc.models.autoregression.recursion import Recursion

__all__ = ["carried", "draw", "forecast", "joint_factor", "psi_weights"]

#: From this many steps on, compiled code saves more than the loading of it costs.
COMPILE_FROM = 20_000


def draw(
    uniforms: torch.Tensor,
    before: torch.Tensor,
    positions: torch.Tensor,
    recursion: Recursion,
    context: torch.Tensor | None = None,
) -> torch.Tensor:
    """The next elements by the inverse cdf of their conditionals.

    Args:
        uniforms: in (0, 1), float64 [N, K].
        before: the last p elements, oldest first; what is missing counts for nothing. [N, p]
        positions: how many elements came before, int64 [N].
        recursion: weights, variances and what is added.
        context: the rows' regressors [N, T, c], for recursions that have some.

    Returns:
        Elements, float64 [N, K].
    """
    steps = uniforms.shape[1]
    y, level = centre(before, positions, recursion, steps, context)
    driven = None
    if recursion.drive is not None:
        driven = recursion.driven(positions[:, None] + torch.arange(steps), context)
    if steps < COMPILE_FROM:
        rows = (positions[:, None] + torch.arange(steps)).clamp(max=recursion.order)
        noise = torch.special.ndtri(uniforms) * recursion.scales[rows] + recursion.constants[rows]
        noise = noise if driven is None else noise + driven
        return torch.from_numpy(_run(noise, y, positions, recursion)) + level
    from arproc.models.autoregression import compiled

    x = compiled.advance(
        np.ascontiguousarray(uniforms.cpu().numpy()),
        y.numpy(),
        positions.cpu().numpy(),
        recursion.weights.cpu().numpy(),
        recursion.scales.cpu().numpy(),
        recursion.constants.cpu().numpy(),
        np.empty((len(uniforms), 0)) if driven is None else driven.contiguous().numpy(),
    )
    if level.ndim == 0:
        x += float(level)
        return torch.from_numpy(x)
    return torch.from_numpy(x).add_(level)


def centre(
    before: torch.Tensor,
    positions: torch.Tensor,
    recursion: Recursion,
    steps: int,
    context: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The last p elements [N, p] less their levels, and the levels of the next `steps`."""
    p = recursion.order
    if recursion.level.constant:
        level = recursion.level.at(positions)
        return before - level, level
    level = recursion.level.at(
        positions[:, None] + torch.arange(-p, steps, device=positions.device), context
    )
    return before - level[:, :p], level[:, p:]


def _run(
    added: torch.Tensor, before: torch.Tensor, positions: torch.Tensor, recursion: Recursion
) -> np.ndarray:
    """y_k = added_k + sum_i w_i y_{k-i}, y before being `before` [N, p]: [N, K]."""
    p, (n, steps) = recursion.order, added.shape
    weights = recursion.weights.numpy()
    y = np.concatenate([before.numpy(), added.numpy()], axis=1)
    if p == 0 or n == 0:
        return y[:, p:]
    last = np.ascontiguousarray(weights[p, ::-1])
    early = min(max(p - int(positions.min()), 0), steps)
    for k in range(early):
        mine = weights[np.minimum(positions.numpy() + k, p), ::-1]
        y[:, p + k] += (mine * y[:, k : k + p]).sum(axis=1)
    for k in range(early, steps):
        y[:, p + k] += y[:, k : k + p] @ last
    return y[:, p:]


def forecast(
    before: torch.Tensor,
    positions: torch.Tensor,
    recursion: Recursion,
    horizon: int,
    context: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Means and variances of the next elements given those before, exact from any position.

    Args:
        before: the last p elements, oldest first; what is missing counts for nothing. [N, p]
        positions: how many elements came before, int64 [N].
        recursion: weights, variances and what is added.
        horizon: how many elements.
        context: the rows' regressors [N, T, c], for recursions that have some.

    Returns:
        Twice [N, horizon].
    """
    y, level = centre(before, positions, recursion, horizon, context)
    place = positions[:, None] + torch.arange(horizon)
    added, driven = (
        recursion.constants[place.clamp(max=recursion.order)],
        recursion.driven(place, context),
    )
    added = added if driven is None else added + driven
    mean = torch.from_numpy(_run(added, y, positions, recursion)) + level
    kinds, which = positions.clamp(max=recursion.order).unique(return_inverse=True)
    variance = torch.stack([_variance(int(kind), recursion, horizon) for kind in kinds])
    return mean, variance[which]


def _variance(position: int, recursion: Recursion, horizon: int) -> torch.Tensor:
    """Forecast variances from this position, [horizon].

    Each innovation spreads by the recursion; those of the first p elements have rows of their own,
    and the others spread alike.
    """
    own = min(recursion.order - position, horizon)
    impulses = torch.eye(max(own, 0), horizon, dtype=torch.float64)
    spread = _run(
        impulses,
        torch.zeros(len(impulses), recursion.order, dtype=torch.float64),
        torch.full((len(impulses),), position),
        recursion,
    )
    variance = recursion.variances[position : position + len(impulses)].numpy() @ spread**2
    psi = psi_weights(recursion.weights[-1].numpy(), horizon - len(impulses))
    variance[len(impulses) :] += float(recursion.variances[-1]) * np.cumsum(psi**2)
    return torch.from_numpy(variance)


def joint_factor(positions: torch.Tensor, recursion: Recursion, horizon: int) -> torch.Tensor:
    """The Cholesky factor of the next elements' covariance, [N, horizon, horizon].

    Column j is what the innovation j steps ahead does to the elements from there on, times its
    standard deviation: from any position, the first elements having rows of their own.

    Args:
        positions: how many elements came before, int64 [N].
        recursion: weights, variances and what is added.
        horizon: how many elements.
    """
    kinds, which = positions.clamp(max=recursion.order).unique(return_inverse=True)
    factors = []
    for kind in kinds.tolist():
        place = torch.full((horizon,), kind)
        impulses = torch.eye(horizon, dtype=torch.float64)
        spread = _run(impulses, impulses.new_zeros((horizon, recursion.order)), place, recursion)
        scales = recursion.scales[(kind + torch.arange(horizon)).clamp(max=recursion.order)]
        factors.append((torch.from_numpy(spread) * scales[:, None]).mT)
    return torch.stack(factors)[which]


def carried(positions: torch.Tensor, recursion: Recursion, horizon: int) -> torch.Tensor:
    """What a unit in each of the last p elements does to the next ones, [N, horizon, p].

    Args:
        positions: how many elements came before, int64 [N].
        recursion: weights, variances and what is added.
        horizon: how many next elements.

    Returns:
        A row for each step; column j is of the element j + 1 before the first step.
    """
    kinds, which = positions.clamp(max=recursion.order).unique(return_inverse=True)
    unit = torch.eye(recursion.order, dtype=torch.float64).flip(
        1
    )  # newest first; before: oldest first
    nothing = unit.new_zeros((recursion.order, horizon))
    spread = [
        _run(nothing, unit, torch.full((recursion.order,), int(kind)), recursion) for kind in kinds
    ]
    return torch.stack([torch.from_numpy(part).mT for part in spread])[which]


def psi_weights(coef: np.ndarray, count: int) -> np.ndarray:
    """Response of y_t, y_{t+1}, ... to a unit innovation at t: the moving-average weights.

    Example:
        >>> psi_weights(np.array([0.5]), 4).tolist()
        [1.0, 0.5, 0.25, 0.125]
    """
    p = len(coef)
    psi = np.zeros(p + count)
    psi[p : p + 1] = 1.0
    for k in range(1, count):
        psi[p + k] = psi[k : p + k] @ coef[::-1]
    return psi[p:]
