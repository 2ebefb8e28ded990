"""The labels that follow a pandas index."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["future_index"]


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
