"""Draws and forecasts of a vector autoregression: its recursion run forwards."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch

from arproc.models.autoregression.vector.recursion import VectorRecursion

__all__ = ["carried", "draw", "joint", "marginals", "psi_weights"]

#: From this many steps on, compiled code saves more than the loading of it costs.
COMPILE_FROM = 20_000


def draw(
    uniforms: torch.Tensor,
    before: torch.Tensor,
    positions: torch.Tensor,
    recursion: VectorRecursion,
    driven: torch.Tensor | None = None,
) -> torch.Tensor:
    """The next elements: each one's mean plus its Cholesky factor times normal quantiles.

    Args:
        uniforms: in (0, 1), float64 [N, K, d].
        before: the last p elements, oldest first; what is missing counts for nothing. [N, p, d]
        positions: how many elements came before, int64 [N].
        recursion: of the process.
        driven: what regressors add to each from element p on, [N, K, d].

    Returns:
        Elements, float64 [N, K, d].
    """
    added = _spread(torch.special.ndtri(uniforms), positions, recursion)
    added += _constants(positions, uniforms.shape[1], recursion, driven)
    return _run(added, before - recursion.center, positions, recursion) + recursion.center


def _spread(
    noise: torch.Tensor, positions: torch.Tensor, recursion: VectorRecursion
) -> torch.Tensor:
    """Standard normal noise [N, K, d] times the Cholesky factor of its own element."""
    added = noise @ recursion.factor.mT
    for t in range(_first(positions), recursion.order):
        rows, columns = _at(positions, noise.shape[1], t)
        added[rows, columns] = noise[rows, columns] @ recursion.start_factors[t].mT
    return added


def _constants(
    positions: torch.Tensor, steps: int, recursion: VectorRecursion, driven: torch.Tensor | None
) -> torch.Tensor:
    """What the recursion adds at each of the next elements, [N, steps, d]."""
    position = positions[:, None] + torch.arange(steps)
    constants = recursion.intercept + position[..., None] * recursion.drift
    if driven is not None:
        constants = constants + driven
    for t in range(_first(positions), recursion.order):
        constants[_at(positions, steps, t)] = recursion.start_constants[t]
    return constants


def _first(positions: torch.Tensor) -> int:
    return int(positions.min()) if len(positions) else 0


def _at(positions: torch.Tensor, steps: int, t: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows whose element t is among the next `steps`, and its column there."""
    column = t - positions
    rows = ((column >= 0) & (column < steps)).nonzero()[:, 0]
    return rows, column[rows]


def _run(
    added: torch.Tensor, before: torch.Tensor, positions: torch.Tensor, recursion: VectorRecursion
) -> torch.Tensor:
    """y_k = added_k + sum_i A_i y_{k-i}, y before being `before` [N, p, d]: [N, K, d]."""
    p, (n, steps, d) = recursion.order, added.shape
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
            y[rows, p + k] += past @ recursion.start_weights[t, :, : t * d].mT
        rows = (place >= p).nonzero()[:, 0]
        y[rows, p + k] += y[rows, k : k + p].reshape(len(rows), p * d) @ recursion.backwards.mT
    if steps - early >= COMPILE_FROM:
        _compiled()(y.numpy(), recursion.backwards.contiguous().numpy(), early)
        return y[:, p:]
    table, weights = y.numpy(), np.ascontiguousarray(recursion.backwards.numpy().T)
    for k in range(early, steps):
        table[:, p + k] += table[:, k : k + p].reshape(n, p * d) @ weights
    return y[:, p:]


@cache
def _compiled() -> Callable[..., None]:
    """`_recur`, compiled; numba is imported when it is first needed."""
    from arproc.compiled.jit import jit

    return jit(_recur)


def _recur(y: np.ndarray, backwards: np.ndarray, first: int) -> None:
    """Add the recursion to the elements `p + first`, ... of y [N, p + K, d], in place.

    Args:
        y: the p elements before, then what is added to each of the next.
        backwards: the coefficients side by side, the oldest lag first, [d, p d].
        first: which of the next elements to begin with.
    """
    n, total, d = y.shape
    width = backwards.shape[1]
    p = width // d
    for row in range(n):
        flat = y[row].reshape(total * d)
        for k in range((p + first) * d, total * d, d):
            for a in range(d):
                value = flat[k + a]
                for j in range(width):
                    value += backwards[a, j] * flat[k - width + j]
                flat[k + a] = value


def _mean(
    before: torch.Tensor,
    positions: torch.Tensor,
    recursion: VectorRecursion,
    horizon: int,
    driven: torch.Tensor | None,
) -> torch.Tensor:
    constants = _constants(positions, horizon, recursion, driven)
    return _run(constants, before - recursion.center, positions, recursion) + recursion.center


def marginals(
    before: torch.Tensor,
    positions: torch.Tensor,
    recursion: VectorRecursion,
    horizon: int,
    driven: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean [N, horizon, d] and covariance [N, horizon, d, d] of each of the next elements."""
    d = recursion.dimension
    kinds, which = positions.clamp(max=recursion.order).unique(return_inverse=True)
    parts = []
    for kind in kinds.tolist():
        if kind == recursion.order:
            moved = psi_weights(recursion.coef.numpy(), horizon) @ recursion.factor.numpy()
            parts.append(torch.from_numpy((moved @ moved.mT).cumsum(0)))
        else:
            rows = _joint_factor(kind, recursion, horizon).reshape(horizon, d, horizon * d)
            parts.append(rows @ rows.mT)
    return _mean(before, positions, recursion, horizon, driven), torch.stack(parts)[which]


def joint(
    before: torch.Tensor,
    positions: torch.Tensor,
    recursion: VectorRecursion,
    horizon: int,
    driven: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean [N, horizon d] and Cholesky factor [N, horizon d, horizon d] of the next elements."""
    kinds, which = positions.clamp(max=recursion.order).unique(return_inverse=True)
    factors = torch.stack([_joint_factor(int(kind), recursion, horizon) for kind in kinds])
    return _mean(before, positions, recursion, horizon, driven).flatten(1), factors[which]


def _joint_factor(position: int, recursion: VectorRecursion, horizon: int) -> torch.Tensor:
    """How each standard normal innovation moves the next elements: lower triangular."""
    size = horizon * recursion.dimension
    impulses = torch.eye(size, dtype=torch.float64).reshape(size, horizon, recursion.dimension)
    positions = torch.full((size,), position)
    none = torch.zeros(size, recursion.order, recursion.dimension, dtype=torch.float64)
    return (
        _run(_spread(impulses, positions, recursion), none, positions, recursion)
        .reshape(size, size)
        .mT
    )


def carried(positions: torch.Tensor, recursion: VectorRecursion, horizon: int) -> torch.Tensor:
    """How the last p elements, side by side, move the next ones: [N, horizon d, p d]."""
    p, d = recursion.order, recursion.dimension
    impulses = torch.eye(p * d, dtype=torch.float64).reshape(p * d, p, d)
    kinds, which = positions.clamp(max=p).unique(return_inverse=True)
    parts = []
    for kind in kinds.tolist():
        nothing = torch.zeros(p * d, horizon, d, dtype=torch.float64)
        moved = _run(nothing, impulses, torch.full((p * d,), kind), recursion)
        parts.append(moved.reshape(p * d, horizon * d).mT)
    return torch.stack(parts)[which]


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
