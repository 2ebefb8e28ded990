"""Exact forecasts of a Markov-switching process: a normal law for every path of regimes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import distributions as td

if TYPE_CHECKING:
    from arproc.models.regimes.switching import SwitchingTensors

__all__ = ["mixtures_ahead"]


def mixtures_ahead(
    law: SwitchingTensors,
    memory: torch.Tensor,
    before: torch.Tensor,
    position: torch.Tensor,
    horizon: int,
) -> td.MixtureSameFamily:
    """The marginal laws of the next elements: mixtures over all paths of regimes.

    Given a path the process is linear and normal, so its means and covariances follow by recursion
    (Hamilton 1994, 22.4, where means alone are given).

    Args:
        law: the parameters.
        memory: log p(memory | elements so far), [N, M].
        before: the last p elements, oldest first, [N, p].
        position: how many elements came before, [N].
        horizon: how many steps.

    Returns:
        Batch shape [N, horizon], of M k^horizon components (those of fewer paths have weight 0).
    """
    n, count = memory.shape
    k, p = law.coef.shape
    states = torch.arange(count)
    weights = memory
    means = before.flip(-1)[:, None].expand(n, count, p)  # of the last p elements, newest first
    spread = torch.zeros(count, p, p, dtype=torch.float64)
    parts = []
    for step in range(horizon):
        time = (position + step).double()[:, None]
        level = law.const + law.slope * time  # [N, k]
        lags = means
        if law.centred and p:
            held = law.digits[states]  # the last p regimes of each path, [C, p]
            times = time[:, None] - torch.arange(1, p + 1)
            lags = means - (law.const[held] + law.slope[held] * times)
        centre = level[:, None] + lags @ law.coef.T  # [N, C, k]
        towards = spread @ law.coef.T  # covariance of the last p with the next, [C, p, k]
        variance = (law.coef.T * towards).sum(1) + law.scale**2  # [C, k]
        log_p = law.log_transition[states // (count // k)]
        weights = (weights[..., None] + log_p).flatten(1)
        parts.append((weights, centre.flatten(1), variance.sqrt().flatten()))
        # every path goes on with every regime
        states = (torch.arange(k) * (count // k) + (states // k)[:, None]).flatten()
        means = torch.cat(
            [centre[..., None], means[:, :, None, : max(p - 1, 0)].expand(-1, -1, k, -1)], dim=-1
        )[..., :p].flatten(1, 2)
        if p:
            old = spread[:, None, : p - 1, : p - 1].expand(-1, k, -1, -1)
            cross = towards.transpose(1, 2)[..., : p - 1]  # [C, k, p - 1]
            top = torch.cat([variance[..., None], cross], dim=-1)[..., None, :]
            rest = torch.cat([cross[..., None], old], dim=-1)
            spread = torch.cat([top, rest], dim=-2)
        spread = spread.reshape(len(states), p, p)
    logits = torch.full((n, horizon, len(states)), -torch.inf, dtype=torch.float64)
    loc, scale = torch.zeros_like(logits), torch.ones_like(logits)
    for step, (weight, centre, deviation) in enumerate(parts):
        own = weight.shape[1]
        logits[:, step, :own], loc[:, step, :own] = weight, centre
        scale[:, step, :own] = deviation
    return td.MixtureSameFamily(
        td.Categorical(logits=logits, validate_args=False),
        td.Normal(loc, scale, validate_args=False),
        validate_args=False,
    )
