"""Forecasts as a table: analytic marginals where a model has them, sample paths otherwise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.distributions import quantile
from arproc.errors import ParameterError, UnsupportedError, check_integer
from arproc.randomness import Uniforms
from arproc.sequences import Form, Sequences

if TYPE_CHECKING:
    import pandas as pd

    from arproc.process import Process

__all__ = ["forecast", "future_index"]


def forecast(
    process: Process,
    history: Any,
    horizon: int,
    quantiles: tuple[float, ...],
    seed: int | torch.Generator | None,
    context: Any,
    n_paths: int,
) -> pd.DataFrame:
    """See `Process.forecast`."""
    horizon = check_integer("horizon", horizon, minimum=1)
    n_paths = check_integer("n_paths", n_paths, minimum=2)
    levels = _levels(quantiles)
    if process.space.event_shape or process.space.kind not in ("real", "count", "ordinal"):
        raise UnsupportedError(
            "forecast is for scalar real or count elements; this process has "
            f"{process.space.describe()} ones. Use sample(prefix=...)."
        )
    known = process.sequences(history, name="history")
    longest = int(known.lengths.max()) + horizon
    prepared = process._context(context, len(known), longest)
    with torch.no_grad():
        state = process._after(known, prepared)
        marginals = process._predictive(state, horizon)
        if marginals is not None:
            mean = marginals.mean
            values = [quantile(marginals, torch.full_like(mean, q)) for q in levels]
        else:
            paths = _paths(state, horizon, n_paths, seed)
            mean = paths.mean(dim=1)
            values = _path_quantiles(paths, levels, process.space.measure == "mass")
    return _table(known, mean, values, levels, horizon)


def _levels(quantiles: Any) -> list[float]:
    try:
        levels = [float(q) for q in np.atleast_1d(np.asarray(quantiles, dtype=float))]
    except (TypeError, ValueError):
        levels = [math.nan]
    if not all(0 < q < 1 for q in levels):
        raise ParameterError(f"quantiles must lie in (0, 1); got {quantiles!r}.")
    return levels


def _paths(
    state: Any, horizon: int, n_paths: int, seed: int | torch.Generator | None
) -> torch.Tensor:
    """Sample paths [N, n_paths, horizon]; series i's are the same whatever else is forecast."""
    uniforms = Uniforms(seed)
    rows = torch.arange(state.n).repeat_interleave(n_paths)
    many = state.select(rows)
    number = torch.arange(n_paths).repeat(state.n)
    u = uniforms.block(rows * n_paths + number, many.positions.cpu().numpy(), horizon)
    x, _ = many.advance(u.to(state.history.slots.device))
    return x.reshape(state.n, n_paths, horizon).double()


def _path_quantiles(paths: torch.Tensor, levels: list[float], mass: bool) -> list[torch.Tensor]:
    """Quantiles over the paths [N, n_paths, horizon]: for masses values that were drawn."""
    ordered, last = paths.sort(dim=1).values, paths.shape[1] - 1
    values = []
    for q in levels:
        if mass:
            values.append(ordered[:, max(math.ceil(q * (last + 1)) - 1, 0)])
            continue
        low = math.floor(q * last)
        high = min(low + 1, last)
        values.append(torch.lerp(ordered[:, low], ordered[:, high], q * last - low))
    return values


def _table(
    known: Sequences,
    mean: torch.Tensor,
    values: list[torch.Tensor],
    levels: list[float],
    horizon: int,
) -> pd.DataFrame:
    import pandas as pd

    form: Form = known.form
    tables: list[Any] = []
    for i in range(len(known)):
        table: dict[Any, Any] = {"mean": mean[i].cpu().numpy()}
        table |= {
            level: value[i].cpu().numpy() for level, value in zip(levels, values, strict=True)
        }
        index = _index_of(form, i, int(known.lengths[i]))
        tables.append(pd.DataFrame(table, index=future_index(index, horizon)))
    if form.single:
        return tables[0]
    keys = list(form.names) if len(form.names) == len(tables) else list(range(len(tables)))
    if len(set(keys)) < len(keys):
        keys = list(range(len(tables)))
    levels_of_names = len(keys[0]) if isinstance(keys[0], tuple) else 1
    names = ["series"] if levels_of_names == 1 else [None] * levels_of_names
    return pd.concat(tables, keys=keys, names=[*names, tables[0].index.name or "step"])


def _index_of(form: Form, i: int, length: int) -> Any:
    import pandas as pd

    if not form.indexes:
        return pd.RangeIndex(length)
    return form.indexes[i] if len(form.indexes) > 1 else form.indexes[0]


def future_index(index: Any, horizon: int) -> Any:
    """The `horizon` labels that follow a pandas index: dates carried on, numbers counted on.

    Example:
        >>> import pandas as pd
        >>> list(future_index(pd.period_range("2020-11", periods=3, freq="M"), 2).astype(str))
        ['2021-02', '2021-03']
    """
    import pandas as pd

    counted = pd.RangeIndex(1, horizon + 1, name="step")
    if not len(index):
        return pd.RangeIndex(horizon) if isinstance(index, pd.RangeIndex) else counted
    if isinstance(index, pd.PeriodIndex):
        return pd.period_range(index[-1] + 1, periods=horizon, freq=index.freq, name=index.name)
    if isinstance(index, pd.DatetimeIndex):
        freq = index.freq or (
            pd.DatetimeIndex(index, freq="infer").freq if len(index) >= 3 else None
        )
        if freq is None:
            return counted
        future = pd.date_range(index[-1], periods=horizon + 1, freq=freq, name=index.name)
        return future[1:] if future[0] == index[-1] else future[:horizon]
    if isinstance(index, pd.TimedeltaIndex) and len(index) > 1:
        steps = index[1:] - index[:-1]
        if (steps == steps[0]).all():
            return pd.Index([index[-1] + i * steps[0] for i in counted], name=index.name)
    if not pd.api.types.is_numeric_dtype(index) or pd.api.types.is_bool_dtype(index):
        return counted
    if len(index) == 1:
        whole = pd.api.types.is_integer_dtype(index)
        first = int(index[0]) + 1
        return pd.RangeIndex(first, first + horizon, name=index.name) if whole else counted
    step = index[-1] - index[-2]
    if step != 0 and np.allclose(np.diff(index.to_numpy()), step):
        return pd.Index(index[-1] + step * np.arange(1, horizon + 1), name=index.name)
    return counted
