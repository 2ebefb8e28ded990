"""Forecasts of a panel as one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.forecasting import future_index

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["forecast_table", "future"]


def future(index: Any, length: int, horizon: int) -> Any:
    """The labels that follow an index, or, where there is none, positions that follow `length`."""
    import pandas as pd

    return future_index(pd.RangeIndex(length) if index is None else index, horizon)


def forecast_table(
    names: list[Any], labels: list[Any], values: np.ndarray, columns: list[Any]
) -> pd.DataFrame:
    """One table with a row for each series and step.

    Where the steps of some series are dates, those of series without any are NaT.

    Args:
        names: the series' names [N].
        labels: the labels of each series' future steps, [N] of `horizon` labels; or one for all.
        values: [N, horizon, columns].
        columns: their names.
    """
    import pandas as pd

    n, horizon, width = values.shape
    labels = _of_one_kind(labels)
    names_of = ["series", labels[0].name or "step"]
    if len(labels) == 1:
        index = pd.MultiIndex.from_product([names, labels[0]], names=names_of)
    else:
        steps = labels[0].append(labels[1:])
        codes = np.repeat(np.arange(n), horizon)
        uniques = pd.Index(names, tupleize_cols=False)
        index = pd.MultiIndex.from_arrays([uniques.take(codes), steps], names=names_of)
    return pd.DataFrame(values.reshape(n * horizon, width), index=index, columns=columns)


def _of_one_kind(labels: list[Any]) -> list[Any]:
    """Dates for all series, NaT for those that have none."""
    import pandas as pd

    kinds = (pd.DatetimeIndex, pd.PeriodIndex)
    dates = next((one for one in labels if isinstance(one, kinds)), None)
    if dates is None or all(isinstance(one, kinds) for one in labels):
        return labels
    gone = pd.Series(dates).mask(np.ones(len(dates), np.bool_))
    return [
        one if isinstance(one, kinds) else pd.Index(gone, dtype=dates.dtype, name=dates.name)
        for one in labels
    ]
