"""Data frames of other libraries as pandas', and a MultiIndex of series and time taken apart."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

from arproc.data.calendar import plain_times, time_axis
from arproc.data.times import dated_index
from arproc.errors import DataError

__all__ = ["by_series", "native"]


def native(data: Any, name: str = "data") -> Any:
    """A data frame or a column of another library as pandas'; anything else as it is.

    They are read by their own `to_pandas`, by the interchange protocol (`__dataframe__`), by that
    of Arrow (`__arrow_c_stream__`), or column by column; without a copy where it can be. Their
    rows have no labels: a column of dates, where there is one alone, becomes the index. The dates
    of an index that Arrow holds become pandas' own.
    """
    if isinstance(data, (list, tuple)) and any(_is_foreign(item) for item in data):
        return [native(item, f"{name}[{i}]") for i, item in enumerate(data)]
    if hasattr(data, "iloc"):
        return _with_plain_index(data)
    if not _is_foreign(data):
        return data
    if callable(getattr(data, "collect", None)):
        raise DataError(
            f"{name} is a {type(data).__module__}.{type(data).__name__}, which has read nothing "
            "yet; expected its data: .collect() it first."
        )
    tables = hasattr(data, "columns") or hasattr(data, "__dataframe__")
    if not tables and hasattr(data, "to_frame"):  # a column alone
        return _native(data.to_frame(), name).iloc[:, 0]
    return _dated(_native(data, name))


def _with_plain_index(data: Any) -> Any:
    index = getattr(data, "index", None)
    plain = plain_times(index)
    return data if plain is index else data.set_axis(plain, axis=0)


def _is_foreign(data: Any) -> bool:
    module = type(data).__module__.partition(".")[0]
    if module in ("builtins", "numpy", "torch", "pandas", "arproc"):
        return False
    if hasattr(data, "iloc"):  # a class derived from pandas'
        return False
    frame = getattr(data, "to_frame", None)
    return (
        hasattr(data, "__dataframe__")
        or hasattr(data, "collect_schema")
        or _is_stream(data)
        or (callable(frame) and hasattr(data, "dtype") and not hasattr(data, "to_pydatetime"))
    )


def _is_stream(data: Any) -> bool:
    """Whether it hands out tables by Arrow's protocol; columns do so too, and are arrays."""
    return hasattr(data, "__arrow_c_stream__") and (
        hasattr(data, "columns") or not hasattr(data, "__array__")
    )


def _native(data: Any, name: str) -> Any:
    import pandas as pd

    problem: Exception | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas would rather have an Arrow library
        for way in (
            # numbers of Arrow's as they lie, and dates as times
            lambda: data.to_pandas(split_blocks=True, date_as_object=False),
            lambda: data.to_pandas(),
            lambda: pd.api.interchange.from_dataframe(data),
            lambda: _from_arrow(data),
            lambda: pd.DataFrame({c: data[c].to_numpy() for c in data.columns}),
        ):
            try:
                frame = way()
            except Exception as error:  # whatever the other library raises
                problem = error
                continue
            if isinstance(frame, pd.DataFrame):
                return frame
    raise DataError(
        f"{name} is a {type(data).__module__}.{type(data).__name__}, which can not be read "
        f"({problem}); expected a pandas DataFrame or an array (.to_pandas(), .to_numpy())."
    ) from problem


def _from_arrow(data: Any) -> Any:
    return (
        importlib.import_module("pyarrow")
        .table(data)
        .to_pandas(split_blocks=True, date_as_object=False)
    )


def _dated(frame: Any) -> Any:
    """The same with its one column of dates as the index, of which no number is read."""
    dates = [name for name, kind in frame.dtypes.items() if kind.kind == "M"]
    long = "unique_id" in frame.columns or any(
        kind.kind not in "biufM" for kind in frame.dtypes
    )  # the columns of a long table are found by their names
    return frame.set_index(dates[0]) if len(dates) == 1 and not long else frame


def by_series(data: Any, name: str) -> tuple[list[Any], list[Any]]:
    """The series of a pandas object whose index says series and time, in order; and their names.

    Time is the level of dates where there is one, else the last.

    Example:
        >>> import pandas as pd
        >>> index = pd.MultiIndex.from_product([["a", "b"], [1, 2]])
        >>> [part.tolist() for part in by_series(pd.Series([1, 2, 3, 4], index), "data")[0]]
        [[1, 2], [3, 4]]
    """
    index = data.index
    if index.nlevels != 2:
        raise DataError(
            f"{name} has an index of {index.nlevels} levels; expected two, the series' names and "
            "the time, or one."
        )
    dates = [
        i for i in range(2) if not hasattr(index.levels[i], "categories") and _dates(index, i)
    ]
    if not dates:
        index = index.set_levels(dated_index(index.levels[1], name), level=1)
    time = dates[0] if len(dates) == 1 else 1
    if time_axis(index.levels[time]) is None:
        raise DataError(
            f"{name} has an index of two levels, of which the last is no time "
            f"({index.levels[1][:1].tolist()} ...); expected the series' names and dates, periods "
            "or numbers."
        )
    keys = index.get_level_values(1 - time)
    if keys.hasnans:
        raise DataError(f"{name} has rows whose series has no name; drop them.")
    names = list(dict.fromkeys(keys))
    parts = [data[keys == key].droplevel(1 - time) for key in names]
    return parts, names


def _dates(index: Any, level: int) -> bool:
    import pandas as pd

    axis = time_axis(index.levels[level])
    return isinstance(axis, (pd.DatetimeIndex, pd.PeriodIndex))
