"""Forecasts: analytic marginals where a model has them, sample paths otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import distributions as td

from arproc.contract.holder import Holder
from arproc.contract.law import ChainLaw
from arproc.contract.randomness import Uniforms, resolve_seed
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.data.table_forms import in_kind
from arproc.distributions import component_marginals, transformed
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_array,
    check_choice,
    check_count,
    check_integer,
)
from arproc.forecasting import tables
from arproc.forecasting.bootstrap import Calibrated, refitted
from arproc.forecasting.known import read_known
from arproc.forecasting.marginals import Closed, Marginals, Plain, Simulated, at_levels
from arproc.forecasting.scenario import weighted_paths
from arproc.sampling.normal import ConditionedNormal, condition_joint
from arproc.spaces import Binary, BinaryVector, Count, Ordinal, Real

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Task",
    "forecast",
    "marginals_of",
    "quiet",
    "require_numbers",
    "sample_paths",
    "state_of",
    "task_of",
]


@dataclass(frozen=True)
class Task:
    """What is asked of any forecast.

    Attributes:
        law: the law.
        history: what came before.
        context: of the history and the future, prepared.
        horizon: how many steps.
        n_paths: how many paths are simulated where that is needed.
        seed: of the simulation.
        known: future values taken for known [N, horizon, *event], NaN where not; or None.
    """

    law: ChainLaw
    history: Sequences
    context: torch.Tensor | None
    horizon: int
    n_paths: int
    seed: int | torch.Generator | None
    known: torch.Tensor | None


def forecast(
    process: Holder,
    history: Any,
    horizon: int,
    quantiles: Any,
    seed: int | torch.Generator | None,
    context: Any,
    offset: Any,
    n_paths: int,
    known: Any,
    parameter_uncertainty: str | None,
    n_bootstrap: int,
) -> pd.DataFrame:
    """See `Process.forecast`."""
    levels = levels_of(quantiles)
    if parameter_uncertainty is not None:
        _check_bootstrap(process, parameter_uncertainty, n_bootstrap)
        seed = resolve_seed(seed)  # the same draws under every refitted model
    task = task_of(process, history, horizon, context, offset, n_paths, seed, known, "forecast")
    with torch.no_grad(), quiet():
        fitted = marginals_of(task)
        marginals: Marginals = fitted
        if parameter_uncertainty is not None:
            marginals = Calibrated(fitted, _replicates(process, task, n_bootstrap))
        mean, values = marginals.mean, at_levels(marginals, levels)
    # a mean may be infinite
    require_numbers(torch.cat([values, mean.clamp(max=0)[None]]))
    if task.known is not None:  # to the last digit
        mean, values = (torch.where(task.known.isnan(), x, task.known) for x in (mean, values))
    table = tables.of_marginals(task.history, mean, values, levels)
    return in_kind(history, _note(table, task, marginals.effective))


def sample_paths(
    process: Holder,
    history: Any,
    horizon: int,
    n_paths: int,
    seed: int | torch.Generator | None,
    context: Any,
    offset: Any,
    known: Any,
) -> pd.DataFrame:
    """See `Process.sample_paths`."""
    task = task_of(
        process, history, horizon, context, offset, n_paths, seed, known, "sample_paths"
    )
    with torch.no_grad(), quiet():
        paths, effective = _paths(task, state_of(task))
    require_numbers(paths.movedim(1, 0))
    table = _note(tables.of_paths(task.history, paths), task, effective)
    return in_kind(history, table)


def task_of(
    process: Holder,
    history: Any,
    horizon: int,
    context: Any,
    offset: Any,
    n_paths: int,
    seed: int | torch.Generator | None,
    known: Any,
    call: str,
) -> Task:
    """What a call asks, read and checked; `call` is what messages name."""
    horizon = check_count("horizon", horizon, minimum=1)
    n_paths = check_count("n_paths", n_paths, minimum=1 if call == "sample_paths" else 2)
    law = process.law_
    space = law.space
    if not isinstance(space, (Real, Count, Ordinal, Binary, BinaryVector)) or space.terminates:
        raise UnsupportedError(
            f"{call} is for endless sequences of numbers; this process has {space.describe()} "
            "elements. Use sample(prefix=...)."
        )
    before = process.known(history, "history")
    steps = int(before.lengths.max()) + horizon
    prepared = process.read_context(context, before, steps, offset, "history")
    future = read_known(known, before, horizon, space)
    return Task(law, before, prepared, horizon, n_paths, seed, future)


def _check_bootstrap(process: Holder, parameter_uncertainty: str, n_bootstrap: int) -> None:
    check_choice("parameter_uncertainty", parameter_uncertainty, ("bootstrap",))
    check_integer("n_bootstrap", n_bootstrap, minimum=2)
    if process.law_.carries_parameter_uncertainty:
        raise ParameterError(
            f"parameter_uncertainty must be left out: the forecasts of {type(process).__name__} "
            "carry the uncertainty of its parameters already."
        )


def _replicates(process: Holder, task: Task, n_bootstrap: int) -> Iterator[Plain]:
    """The marginals under each model refitted to simulated series, given the true history."""
    assert isinstance(task.seed, int)
    laws = refitted(process, task.history, task.context, n_bootstrap, task.seed)
    for law in laws:
        yield marginals_of(replace(task, law=law))


def levels_of(quantiles: Any) -> list[float]:
    """The levels of quantiles that a user asked for, checked."""
    try:
        array = np.atleast_1d(check_array("quantiles", quantiles))
    except ParameterError:
        array = np.array([math.nan])
    levels = array.tolist()
    if array.ndim != 1 or not all(0 < q < 1 for q in levels):
        raise ParameterError(f"quantiles must lie in (0, 1); got {quantiles!r}.")
    return levels


def _note(table: pd.DataFrame, task: Task, effective: torch.Tensor | None) -> pd.DataFrame:
    """The table with the number of paths that a scenario has left, where it was simulated."""
    if effective is not None:
        by_series = dict(zip(tables.series_names(task.history), effective.tolist(), strict=True))
        single = task.history.form.single
        table.attrs["effective_sample_size"] = float(effective[0]) if single else by_series
    return table


def quiet() -> Any:
    """Overflows are not warned of one by one: the result is looked at."""
    return np.errstate(over="ignore", invalid="ignore")


def require_numbers(x: torch.Tensor) -> None:
    """Raise `DataError` where [K, N, horizon, ...] holds what is not a finite number."""
    wrong = (~x.isfinite()).movedim(2, 0).reshape(x.shape[2], -1).any(1)
    if bool(wrong.any()):
        raise DataError(
            f"the forecast leaves what numbers can hold at step {int(wrong.nonzero()[0]) + 1} of "
            f"{len(wrong)}: under this model the values explode. Shorten the horizon, or use a "
            "model with a stationary law or of differences."
        )


def state_of(task: Task) -> State:
    """The state after the history."""
    return task.law.after(task.history, task.context)


def marginals_of(task: Task) -> Plain:
    """The marginal laws of the future numbers: closed forms, or those of sample paths."""
    state, law = state_of(task), task.law
    closed: Any = None
    mass = law.space.measure == "mass"
    if task.known is None:
        closed = law.predictive(state, task.horizon)
        closed = None if closed is None else component_marginals(closed)
    elif (scenario := _conditioned(task, state)) is not None:
        normal, transforms = scenario
        closed = reduce(transformed, transforms, _normal(normal, task.known.shape))
    if closed is not None:
        with suppress(NotImplementedError):  # its mean has no closed form
            return Closed(closed, mass)
    return Simulated(*_paths(task, state), mass=mass)


def _paths(task: Task, state: State) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Sample paths [N, n_paths, horizon, *event]; series i's are the same in any company.

    And how many paths these are worth, [N], where they were weighted.
    """
    scenario = None if task.known is None else _conditioned(task, state)
    if task.known is not None and scenario is None:
        return weighted_paths(state, task.known, task.n_paths, task.seed)
    event, n_paths = task.law.space.event_shape, task.n_paths
    rows = torch.arange(state.n).repeat_interleave(n_paths)
    many = state.select(rows)
    number = rows * n_paths + torch.arange(n_paths).repeat(state.n)
    positions = many.positions.cpu().numpy()
    u = Uniforms(task.seed).block(number, positions, task.horizon, event)
    x, _ = many.advance(u.to(state.history.slots.device))
    x = x.reshape(state.n, n_paths, task.horizon, *event).double()
    if task.known is None or scenario is None:
        return x, None
    normal, transforms = scenario
    y = x.flatten(2)
    for transform in reversed(transforms):
        y = transform.inv(y)
    y = normal.correct(y)
    for transform in transforms:
        y = transform(y)
    return torch.where(task.known[:, None].isnan(), y.reshape(x.shape), task.known[:, None]), None


def _conditioned(task: Task, state: State) -> tuple[ConditionedNormal, list[Any]] | None:
    """The future's exact law given what is known, and the maps that follow; None if not normal."""
    joint = task.law.joint(state, task.horizon)
    if joint is None or task.known is None:
        return None
    normal, transforms = condition_joint(joint, task.known.flatten(1))
    # what is known may draw the rest to where a map's cut (Box-Cox) matters
    reaches = getattr(transforms[0], "reaches", None) if transforms else None
    if reaches is not None and not reaches(_normal(normal, normal.loc.shape)):
        return None
    return normal, transforms


def _normal(normal: ConditionedNormal, shape: torch.Size) -> td.Normal:
    return td.Normal(normal.loc.reshape(shape), normal.scale.reshape(shape), validate_args=False)
