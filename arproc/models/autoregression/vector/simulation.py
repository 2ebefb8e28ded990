"""Draws and forecasts of a vector autoregression: its recursion run forwards."""

from __future__ import annotations

import numpy as np
import torch

from arproc.models.autoregression.vector.recursion import VectorRecursion

__all__ = ["draw", "joint", "marginals", "psi_weights"]

#: From this many steps on, compiled code saves more than the loading of it costs.
COMPILE_FROM = 20_000


def draw(
    uniforms: torch.Tensor, before: torch.Tensor, positions: torch.Tensor, law: VectorRecursion
) -> torch.Tensor:
    """The next elements: each one's mean plus its Cholesky factor times normal quantiles.

    Args:
        uniforms: in (0, 1), float64 [N, K, d].
        before: the last p elements, oldest first; what is missing counts for nothing. [N, p, d]
        positions: how many elements came before, int64 [N].
        law: the recursion.

    Returns:
        Elements, float64 [N, K, d].
    """
    added = _spread(torch.special.ndtri(uniforms), positions, law)
    added += _constants(positions, uniforms.shape[1], law)
    return _run(added, before - law.mean, positions, law) + law.mean


def _spread(noise: torch.Tensor, positions: torch.Tensor, law: VectorRecursion) -> torch.Tensor:
    """Standard normal noise [N, K, d] times the Cholesky factor of its own element."""
    added = noise @ law.factor.mT
    for t in range(_first(positions), law.order):
        rows, columns = _at(positions, noise.shape[1], t)
        added[rows, columns] = noise[rows, columns] @ law.start_factors[t].mT
    return added


def _constants(positions: torch.Tensor, steps: int, law: VectorRecursion) -> torch.Tensor:
    """What the recursion adds at each of the next elements, [N, steps, d]."""
    position = positions[:, None] + torch.arange(steps)
    constants = law.constant + position[..., None] * law.rate
    for t in range(_first(positions), law.order):
        constants[_at(positions, steps, t)] = law.start_constants[t]
    return constants


def _first(positions: torch.Tensor) -> int:
    return int(positions.min()) if len(positions) else 0


def _at(positions: torch.Tensor, steps: int, t: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows whose element t is among the next `steps`, and its column there."""
    column = t - positions
    rows = ((column >= 0) & (column < steps)).nonzero()[:, 0]
    return rows, column[rows]


def _run(
    added: torch.Tensor, before: torch.Tensor, positions: torch.Tensor, law: VectorRecursion
) -> torch.Tensor:
    """y_k = added_k + sum_i A_i y_{k-i}, y before being `before` [N, p, d]: [N, K, d]."""
    p, (n, steps, d) = law.order, added.shape
    if p == 0 or n == 0 or steps == 0:
        return added
    y = torch.cat([before, added], dim=1)
    early = min(max(p - _first(positions), 0), steps)
    for k in range(early):
        place = positions + k
        for t in place[place < p].unique().tolist():
            # the first t elements are the last t before this one
            rows = (place == t).nonzero()[:, 0]
            past = y[rows, p + k - t : p + k].reshape(len(rows), t * d)
            y[rows, p + k] += past @ law.start_weights[t, :, : t * d].mT
        rows = (place >= p).nonzero()[:, 0]
        y[rows, p + k] += y[rows, k : k + p].reshape(len(rows), p * d) @ law.backwards.mT
    if steps - early >= COMPILE_FROM:
        from arproc.models.autoregression.vector import compiled

        compiled.run(y.numpy(), law.backwards.contiguous().numpy(), early)
        return y[:, p:]
    table, weights = y.numpy(), np.ascontiguousarray(law.backwards.numpy().T)
    for k in range(early, steps):
        table[:, p + k] += table[:, k : k + p].reshape(n, p * d) @ weights
    return y[:, p:]


def _mean(
    before: torch.Tensor, positions: torch.Tensor, law: VectorRecursion, horizon: int
) -> torch.Tensor:
    constants = _constants(positions, horizon, law)
    return _run(constants, before - law.mean, positions, law) + law.mean


def marginals(
    before: torch.Tensor, positions: torch.Tensor, law: VectorRecursion, horizon: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean [N, horizon, d] and covariance [N, horizon, d, d] of each of the next elements."""
    d = law.dimension
    kinds, which = positions.clamp(max=law.order).unique(return_inverse=True)
    parts = []
    for kind in kinds.tolist():
        if kind == law.order:
            moved = psi_weights(law.coef.numpy(), horizon) @ law.factor.numpy()
            parts.append(torch.from_numpy((moved @ moved.mT).cumsum(0)))
        else:
            rows = _joint_factor(kind, law, horizon).reshape(horizon, d, horizon * d)
            parts.append(rows @ rows.mT)
    return _mean(before, positions, law, horizon), torch.stack(parts)[which]


def joint(
    before: torch.Tensor, positions: torch.Tensor, law: VectorRecursion, horizon: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean [N, horizon d] and Cholesky factor [N, horizon d, horizon d] of the next elements."""
    kinds, which = positions.clamp(max=law.order).unique(return_inverse=True)
    factors = torch.stack([_joint_factor(int(kind), law, horizon) for kind in kinds])
    return _mean(before, positions, law, horizon).flatten(1), factors[which]


def _joint_factor(position: int, law: VectorRecursion, horizon: int) -> torch.Tensor:
    """How each standard normal innovation moves the next elements: lower triangular."""
    size = horizon * law.dimension
    impulses = torch.eye(size, dtype=torch.float64).reshape(size, horizon, law.dimension)
    positions = torch.full((size,), position)
    none = torch.zeros(size, law.order, law.dimension, dtype=torch.float64)
    return _run(_spread(impulses, positions, law), none, positions, law).reshape(size, size).mT


def psi_weights(coef: np.ndarray, count: int) -> np.ndarray:
    """Responses of y_t, y_{t+1}, ... to unit innovations at t, [count, d, d]: row responds.

    Example:
        >>> psi_weights(np.array([[[0.5]]]), 3).ravel().tolist()
        [1.0, 0.5, 0.25]
    """
    p, d = coef.shape[0], coef.shape[1]
    psi = np.zeros((count, d, d))
    psi[:1] = np.eye(d)
    for k in range(1, count):
        for i in range(1, min(p, k) + 1):
            psi[k] += coef[i - 1] @ psi[k - i]
    return psi
