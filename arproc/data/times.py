"""Columns of times, in whatever way they are written, as dates, periods or numbers."""

from __future__ import annotations

import datetime
import numbers
import re
from contextlib import suppress
from typing import Any

import numpy as np

from arproc.data.calendar import is_arrow_date, time_axis
from arproc.errors import DataError

__all__ = ["by_times", "dated_index", "rows_of", "times_of"]

#: How a date begins that is written as text, the year first or last, perhaps without a day.
_WRITTEN = re.compile(r"\d{4}[-/.]\d{1,2}(\D|$)|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(\D|$)")
#: What pandas calls columns of objects that are dates, as it looks through them.
_DATES = ("date", "datetime", "datetime64")
_NUMBERS = {"integer": np.int64, "floating": np.float64, "mixed-integer-float": np.float64}


def times_of(column: Any, name: str) -> Any:
    """A column of times as dates, periods, durations or numbers.

    Text is read where it is ISO dates, the year first; Python's dates become pandas'; categories
    are what they stand for. Missing times stay missing.

    Args:
        column: a Series.
        name: what error messages call the data.

    Raises:
        DataError: it holds no times, or ones whose order is not known: text in another form,
            times of several zones, kinds that are mixed.

    Example:
        >>> import pandas as pd
        >>> times_of(pd.Series(["2024-01-31", "2024-02-29"], name="ds"), "data").dt.day.tolist()
        [31, 29]
    """
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return times_of(column.astype(dtype.categories.dtype), name)
    if isinstance(dtype, pd.ArrowDtype) and is_arrow_date(dtype):
        return pd.Series(pd.DatetimeIndex(column), column.index, name=column.name)
    if time_axis(pd.Index(column)) is not None:
        return column
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in _NUMBERS:
        with suppress(ValueError, TypeError, OverflowError):  # None among whole numbers, say
            return column.astype(_NUMBERS[kind])
        return column.astype(float)
    if kind == "string":
        return _of_text(column, name)
    if kind in _DATES:
        return _of_dates(column, name)
    if kind == "period":
        with suppress(ValueError, TypeError):
            return pd.Series(pd.PeriodIndex(column), column.index, name=column.name)
    raise DataError(
        f"{name} has labels in {column.name!r} that are no times, or of several kinds: "
        f"{_kinds(column)}. Expected dates, periods or numbers in all rows."
    )


def by_times(data: Any, name: str) -> Any:
    """A Series or DataFrame with time down, whose index of times is pandas' own kind of them.

    Times are kept as text, as Python's objects or as categories too. Text is names, which tell no
    time, unless it is written as a date with a month.

    Args:
        data: what is read.
        name: what error messages call it.

    Raises:
        DataError: its labels are times whose order is not known: see `times_of`.

    Example:
        >>> import pandas as pd
        >>> by_times(pd.Series(1.0, ["2024-01-31", "2024-02-29"]), "data").index.month.tolist()
        [1, 2]
        >>> by_times(pd.Series(1.0, ["a", "b"]), "data").index.tolist()
        ['a', 'b']
    """
    index = getattr(data, "index", None)
    plain = dated_index(index, name)
    return data if plain is index else data.set_axis(plain, axis=0)


def dated_index(index: Any, name: str) -> Any:
    """An index of times as pandas' own kind of them; any other as it is. See `by_times`."""
    import pandas as pd

    if not isinstance(index, pd.Index) or isinstance(index, pd.MultiIndex) or not len(index):
        return index
    if isinstance(index, pd.CategoricalIndex):
        plain = dated_index(index.astype(index.categories.dtype), name)
        return index if time_axis(plain) is None else plain
    if index.dtype.kind != "O" or not _may_be_time(index[0]):
        return index
    column = pd.Series(index, name=index.name or "the index")
    if pd.api.types.infer_dtype(column, skipna=True) in ("mixed", "mixed-integer"):
        return index  # names, some of which look like times
    return pd.Index(times_of(column, name)).rename(index.name)


def _may_be_time(label: Any) -> bool:
    import pandas as pd

    if isinstance(label, str):
        return _WRITTEN.match(label) is not None
    kinds = (datetime.date, np.datetime64, pd.Period, numbers.Real)
    return isinstance(label, kinds) and not isinstance(label, (bool, np.bool_))


def rows_of(where: np.ndarray) -> str:
    """Which rows a mask [n] holds, counted from 0, in words.

    Example:
        >>> rows_of(np.array([False, True, True])), rows_of(np.arange(20) > 3)
        ('rows 1 and 2', '16 rows, the first 4, 5 and 6')
    """
    places = np.flatnonzero(where).tolist()
    if len(places) == 1:
        return f"row {places[0]}"
    if len(places) > 3:
        return f"{len(places)} rows, the first {places[0]}, {places[1]} and {places[2]}"
    return f"rows {', '.join(map(str, places[:-1]))} and {places[-1]}"


def _of_text(column: Any, name: str) -> Any:
    import pandas as pd

    for form in ("ISO8601", "%Y/%m/%d"):
        with suppress(ValueError, TypeError):
            found = pd.to_datetime(column, format=form)
            if found.dtype.kind == "M":
                return found
    moments = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True)
    wrong = (moments.isna() & column.notna()).to_numpy()
    if not wrong.any():
        raise _several_zones(column, [_offset(text) for text in column], name)
    raise DataError(
        f"{name} has times of text in {column.name!r}, such as "
        f"{column.iloc[int(np.argmax(wrong))]!r} ({rows_of(wrong)}), that are no ISO dates "
        "(2024-01-31), so their order is not known. Make dates of them: "
        "pd.to_datetime(..., format='%d.%m.%Y'), say."
    )


def _offset(text: Any) -> str | None:
    """What a time in ISO text says of its zone; None where nothing is there."""
    import pandas as pd

    if not isinstance(text, str):
        return None
    zone = pd.Timestamp(text).tzinfo
    return "no zone" if zone is None else str(zone)


def _of_dates(column: Any, name: str) -> Any:
    import pandas as pd

    with suppress(ValueError, TypeError, OverflowError):
        found = pd.to_datetime(column)
        if found.dtype.kind == "M":
            return found
    there = column.notna().to_numpy()
    zones = [
        str(getattr(t, "tzinfo", None) or "no zone") if known else None
        for t, known in zip(column, there, strict=True)
    ]
    if len(set(zones) - {None}) > 1:
        raise _several_zones(column, zones, name)
    raise DataError(
        f"{name} has dates in {column.name!r} that are out of the range of pandas' (such as "
        f"{column[there].iloc[0]}); count them as numbers, or make periods of them."
    )


def _several_zones(column: Any, zones: list[str | None], name: str) -> DataError:
    first = next(i for i, zone in enumerate(zones) if zone is not None)
    other = next(i for i, zone in enumerate(zones) if zone not in (None, zones[first]))
    return DataError(
        f"{name} has times of more than one zone in {column.name!r}: {zones[first]} in row "
        f"{first} ({column.iloc[first]}), {zones[other]} in row {other} ({column.iloc[other]}). "
        "Bring them to one: pd.to_datetime(..., utc=True).dt.tz_convert('Europe/Oslo'), say."
    )


def _kinds(column: Any) -> str:
    found: dict[str, int] = {}
    for i, (value, there) in enumerate(zip(column, column.notna(), strict=True)):
        if there:
            found.setdefault(type(value).__name__, i)
    return ", ".join(f"{kind} in row {i}" for kind, i in found.items()) or "nothing"
