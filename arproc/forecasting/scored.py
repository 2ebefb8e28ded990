"""Forecasts together with the log-density that each gave to what came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from arproc.contract.holder import Holder
from arproc.contract.randomness import Uniforms
from arproc.distributions import component_marginals, quantile
from arproc.errors import UnsupportedError
from arproc.forecasting.forecast import (
    Task,
    marginals_of,
    quiet,
    require_numbers,
    state_of,
    task_of,
)
from arproc.forecasting.marginals import Closed, at_levels

__all__ = ["Predicted", "predict"]


class Predicted(NamedTuple):
    """Forecasts, and how well they took what came.

    Attributes:
        mean: [N, horizon] or [N, horizon, d].
        quantiles: of the same shape with the levels last.
        log_score: the log-density (or mass) of what came, nats, of the shape of `mean`; NaN where
            nothing did.
    """

    mean: np.ndarray
    quantiles: np.ndarray
    log_score: np.ndarray


def predict(
    process: Holder,
    history: Any,
    actual: np.ndarray,
    levels: Sequence[float],
    seed: int,
    context: Any = None,
    n_paths: int = 1000,
) -> Predicted:
    """Forecast what follows each history, and score it by what came.

    A marginal's log-density is its closed form where there is one. Elsewhere it is the mean over
    sample paths of the exact conditional density of the step given the path up to it, which is
    unbiased for the density (Rao-Blackwell) and needs no smoothing.

    Args:
        process: a fitted process of numbers.
        history: what is known, N series.
        actual: what came, [N, horizon] or [N, horizon, d]; NaN where it is not known.
        levels: which quantiles.
        seed: of the simulation.
        context: of the histories and of the future.
        n_paths: how many paths are simulated where that is needed.
    """
    y = torch.as_tensor(actual, dtype=torch.float64)
    task = task_of(process, history, y.shape[1], context, None, n_paths, seed, None, "backtest")
    with torch.no_grad(), quiet():
        marginals = marginals_of(task)
        mean, values = marginals.mean, at_levels(marginals, list(levels))
        require_numbers(torch.cat([values, mean.clamp(max=0)[None]]))
        y = y.to(mean.device).reshape(mean.shape)
        score = _closed(marginals.distribution, y) if isinstance(marginals, Closed) else None
        score = _simulated(task, y) if score is None else score
        inside = task.law.space.support.check(y.nan_to_num())
        score = torch.where(inside, score, -math.inf).masked_fill(y.isnan(), math.nan)
    return Predicted(
        mean.double().cpu().numpy(),
        values.movedim(0, -1).double().cpu().numpy(),
        score.double().cpu().numpy(),
    )


def _closed(distribution: Any, y: torch.Tensor) -> torch.Tensor | None:
    """Log-densities by the closed form, where that has them."""
    try:
        return _log_prob(distribution, y)
    except NotImplementedError:
        return None


def _simulated(task: Task, y: torch.Tensor) -> torch.Tensor:
    """Log-densities as means over paths of the conditionals', [N, horizon, *event]."""
    state, n_paths, event = state_of(task), task.n_paths, task.law.space.event_shape
    rows = torch.arange(state.n).repeat_interleave(n_paths)
    many = state.select(rows)
    number = rows * n_paths + torch.arange(n_paths).repeat(state.n)
    u = Uniforms(task.seed).block(number, many.positions.cpu().numpy(), task.horizon, event)
    u = u.to(state.history.slots.device)
    scores = []
    for step in range(task.horizon):
        each = component_marginals(many.conditional)
        if each is None:
            raise UnsupportedError(
                f"the components of {task.law!r} have no log-densities of their own, so a "
                "backtest has no log score for each; score the vectors by log_prob."
            )
        found = _log_prob(each, y[:, step].repeat_interleave(n_paths, dim=0))
        scores.append(found.reshape(state.n, n_paths, *event).logsumexp(1) - math.log(n_paths))
        if step + 1 < task.horizon:
            many = many.advance(u[:, step : step + 1])[1]
    return torch.stack(scores, dim=1)


def _log_prob(distribution: Any, y: torch.Tensor) -> torch.Tensor:
    """Log-densities at y, something of the support standing in for what is outside or missing."""
    support = distribution.support
    inside = support.check(y.nan_to_num()) & ~y.isnan()
    if not bool(inside.all()):
        y = torch.where(inside, y, quantile(distribution, torch.tensor(0.5, dtype=y.dtype)))
    score = distribution.log_prob(y)
    return torch.where(inside, score.double(), -math.inf)
