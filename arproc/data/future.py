"""The labels that follow a pandas index."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import numpy as np

__all__ = ["future_index"]


def future_index(index: Any, horizon: int) -> Any:
    """The `horizon` labels that follow a pandas index: dates carried on, numbers counted on.

    Dates go on by the index's frequency, or by the one that all of them (three or more) agree
    with; local times stay what the clock shows, across a change to daylight saving time too.
    Periods and numbers go on by their step. Where there is no such step (dates with holes in them,
    duplicates, labels that are no numbers) the future steps are counted 1, 2, ...

    Example:
        >>> import pandas as pd
        >>> list(future_index(pd.period_range("2020-11", periods=3, freq="M"), 2).astype(str))
        ['2021-02', '2021-03']
    """
    import pandas as pd

    if not len(index) and isinstance(index, pd.RangeIndex):
        return pd.RangeIndex(horizon)
    future = None
    if len(index) and not isinstance(index, pd.MultiIndex) and not index.hasnans:
        if isinstance(index, pd.PeriodIndex):
            future = _periods(index, horizon)
        elif isinstance(index, pd.DatetimeIndex):
            future = _dates(index, horizon)
        elif isinstance(index, pd.TimedeltaIndex):
            future = _durations(index, horizon)
        elif pd.api.types.is_numeric_dtype(index) and not pd.api.types.is_bool_dtype(index):
            future = _counted_on(index, horizon)
    return pd.RangeIndex(1, horizon + 1, name="step") if future is None else future


def _periods(index: Any, horizon: int) -> Any:
    import pandas as pd

    # a step of "2M" periods is two ordinals
    if not (np.diff(index.asi8) == index.freq.n).all():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of periods that are business days
        return pd.period_range(index[-1] + 1, periods=horizon, freq=index.freq, name=index.name)


def _dates(index: Any, horizon: int) -> Any:
    import pandas as pd

    freq = index.freq or (pd.DatetimeIndex(index, freq="infer").freq if len(index) >= 3 else None)
    if freq is None:
        return None
    offsets = pd.tseries.offsets
    by_clock = not isinstance(freq, offsets.Tick) or isinstance(freq, offsets.Day)
    local = index.tz is not None and by_clock
    last = index[-1].tz_localize(None) if local else index[-1]
    try:
        future = pd.date_range(last, periods=horizon + 1, freq=freq, name=index.name)
    except (ValueError, OverflowError):  # beyond the last date there is
        return None
    if local:
        # a time that the clock leaves out is the next there is; one that it shows twice the first
        first = np.ones(len(future), dtype=bool)
        future = future.tz_localize(index.tz, nonexistent="shift_forward", ambiguous=first)
        with suppress(ValueError):  # one hour was left out
            future = pd.DatetimeIndex(future, freq=freq)
    return future[1:] if future[0] == index[-1] else future[:horizon]


def _durations(index: Any, horizon: int) -> Any:
    import pandas as pd

    steps = index[1:] - index[:-1]
    if not len(steps) or not (steps == steps[0]).all():
        return None
    return pd.Index([index[-1] + i * steps[0] for i in range(1, horizon + 1)], name=index.name)


def _counted_on(index: Any, horizon: int) -> Any:
    import pandas as pd

    if isinstance(index, pd.RangeIndex):  # nothing to look through
        by, after = index.step, index[-1] + index.step
        return pd.RangeIndex(after, after + by * horizon, by, name=index.name)
    whole = pd.api.types.is_integer_dtype(index)
    if len(index) == 1:
        first = int(index[0]) + 1
        return pd.RangeIndex(first, first + horizon, name=index.name) if whole else None
    ends = [int(x) if whole else float(x) for x in index[-2:]]
    last, step = ends[1], ends[1] - ends[0]
    if step == 0 or (whole and not abs(last + step * horizon) < 2**63):
        return None
    values = index.to_numpy(dtype=np.int64 if whole and abs(last) < 2**63 else np.float64)
    if not np.allclose(np.diff(values), step, rtol=1e-5, atol=0):
        return None
    return pd.Index(last + step * np.arange(1, horizon + 1), name=index.name)
