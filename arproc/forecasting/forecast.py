"""Forecasts: analytic marginals where a model has them, sample paths otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.distributions import component_marginals
from arproc.errors import ParameterError, UnsupportedError, check_integer
from arproc.forecasting import tables
from arproc.forecasting.marginals import Closed, Marginals, Simulated, at_levels
from arproc.randomness import Uniforms
from arproc.sequences import Sequences
from arproc.spaces import Binary, BinaryVector, Count, Ordinal, Real
from arproc.states import State

if TYPE_CHECKING:
    import pandas as pd

    from arproc.process import Process

__all__ = ["forecast", "sample_paths"]


@dataclass(frozen=True)
class Task:
    """What is asked of any forecast.

    Attributes:
        process: the process.
        history: what came before.
        context: of the history and the future, prepared.
        horizon: how many steps.
        n_paths: how many paths are simulated where that is needed.
        seed: of the simulation.
    """

    process: Process
    history: Sequences
    context: torch.Tensor | None
    horizon: int
    n_paths: int
    seed: int | torch.Generator | None


def forecast(
    process: Process,
    history: Any,
    horizon: int,
    quantiles: Any,
    seed: int | torch.Generator | None,
    context: Any,
    n_paths: int,
) -> pd.DataFrame:
    """See `Process.forecast`."""
    levels = _levels(quantiles)
    task = _task(process, history, horizon, context, n_paths, seed, "forecast")
    with torch.no_grad():
        marginals = _marginals(task)
        return tables.of_marginals(
            task.history, marginals.mean, at_levels(marginals, levels), levels
        )


def sample_paths(
    process: Process,
    history: Any,
    horizon: int,
    n_paths: int,
    seed: int | torch.Generator | None,
    context: Any,
) -> pd.DataFrame:
    """See `Process.sample_paths`."""
    task = _task(process, history, horizon, context, n_paths, seed, "sample_paths")
    with torch.no_grad():
        return tables.of_paths(task.history, _paths(task, _state(task)))


def _task(
    process: Process,
    history: Any,
    horizon: int,
    context: Any,
    n_paths: int,
    seed: int | torch.Generator | None,
    call: str,
) -> Task:
    horizon = check_integer("horizon", horizon, minimum=1)
    n_paths = check_integer("n_paths", n_paths, minimum=2 if call == "forecast" else 1)
    space = process.space
    if not isinstance(space, (Real, Count, Ordinal, Binary, BinaryVector)) or space.terminates:
        raise UnsupportedError(
            f"{call} is for endless sequences of numbers; this process has {space.describe()} "
            "elements. Use sample(prefix=...)."
        )
    known = process.sequences(history, name="history")
    prepared = process._context(context, len(known), int(known.lengths.max()) + horizon)
    return Task(process, known, prepared, horizon, n_paths, seed)


def _levels(quantiles: Any) -> list[float]:
    try:
        levels = [float(q) for q in np.atleast_1d(np.asarray(quantiles, dtype=float))]
    except (TypeError, ValueError):
        levels = [math.nan]
    if not all(0 < q < 1 for q in levels):
        raise ParameterError(f"quantiles must lie in (0, 1); got {quantiles!r}.")
    return levels


def _state(task: Task) -> State:
    return task.process._after(task.history, task.context)


def _marginals(task: Task) -> Marginals:
    state, process = _state(task), task.process
    closed = process._predictive(state, task.horizon)
    closed = None if closed is None else component_marginals(closed)
    if closed is not None:
        return Closed(closed)
    return Simulated(_paths(task, state), process.space.measure == "mass")


def _paths(task: Task, state: State) -> torch.Tensor:
    """Sample paths [N, n_paths, horizon, *event]; series i's are the same in any company."""
    event, n_paths = task.process.space.event_shape, task.n_paths
    rows = torch.arange(state.n).repeat_interleave(n_paths)
    many = state.select(rows)
    number = rows * n_paths + torch.arange(n_paths).repeat(state.n)
    positions = many.positions.cpu().numpy()
    u = Uniforms(task.seed).block(number, positions, task.horizon, event)
    x, _ = many.advance(u.to(state.history.slots.device))
    return x.reshape(state.n, n_paths, task.horizon, *event).double()
