"""What a date says beforehand of a step: numbers for the context of a model with covariates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError, ParameterError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["calendar_features"]

#: name -> (the attribute of a DatetimeIndex, its least value, how many it has)
_CYCLES: dict[str, tuple[str, int, float]] = {
    "hour": ("hour", 0, 24),
    "weekday": ("day_of_week", 0, 7),
    "day": ("day", 1, 31),
    "yearday": ("day_of_year", 1, 365.2425),
    "month": ("month", 1, 12),
    "quarter": ("quarter", 1, 4),
}


def calendar_features(index: Any, features: Sequence[str] = ("hour", "weekday")) -> pd.DataFrame:
    """Sines and cosines of where each date stands in the day, the week, the month or the year.

    They are known in the future, so they serve as the context of steps that are to be forecast:
    give the dates of the history and of the horizon.

    Args:
        index: dates, a DatetimeIndex or PeriodIndex, or a Series or DataFrame with one.
        features: of "hour" (of the day), "weekday", "day" (of the month), "yearday", "month" and
            "quarter"; or "weekend", which is one on Saturday and Sunday.

    Returns:
        A DataFrame with the dates as its index.

    Raises:
        DataError: there are no dates.
        ParameterError: a feature is none of these.

    Example:
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=3)
        >>> calendar_features(days, ["weekday"]).round(2).to_numpy().tolist()
        [[0.0, 1.0], [0.78, 0.62], [0.97, -0.22]]
    """
    import pandas as pd

    dates = index if isinstance(index, pd.Index) else getattr(index, "index", index)
    if isinstance(dates, pd.PeriodIndex):
        dates = dates.to_timestamp()
    if not isinstance(dates, pd.DatetimeIndex):
        raise DataError(
            f"index is a {type(dates).__name__}; expected dates: a DatetimeIndex, a PeriodIndex, "
            "or a Series or DataFrame with one."
        )
    names = [features] if isinstance(features, str) else list(features)
    columns: dict[str, Any] = {}
    for name in names:
        if name == "weekend":
            columns[name] = (dates.day_of_week >= 5).astype(np.float64)
            continue
        if name not in _CYCLES:
            raise ParameterError(
                f"features has {name!r}; expected some of {', '.join((*_CYCLES, 'weekend'))}."
            )
        attribute, least, count = _CYCLES[name]
        turn = 2 * np.pi * (np.asarray(getattr(dates, attribute)) - least) / count
        columns[f"{name}_sin"], columns[f"{name}_cos"] = np.sin(turn), np.cos(turn)
    original = index if isinstance(index, pd.Index) else getattr(index, "index", index)
    return pd.DataFrame(columns, index=original)
