"""Dates and times of tables as whole numbers of a unit, and back."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["is_time", "numbers_of_times", "times_of_numbers", "unit_of"]

#: Units by how many nanoseconds they have, the coarsest first.
_UNITS = {
    "D": 86_400 * 10**9,
    "h": 3600 * 10**9,
    "min": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 10**3,
    "ns": 1,
}
#: What NumPy calls them.
_NUMPY = {"min": "m"}
_LARGEST = 2**53
#: Classes of Python's own times, and what a column of them is called.
_OBJECTS = {
    datetime.datetime: "object datetime",
    datetime.date: "object date",
    datetime.timedelta: "object timedelta",
    datetime.time: "object time",
}


def is_time(series: pd.Series) -> str | None:
    """What kind of times a column holds, as its dtype; None where it holds something else."""
    dtype = series.dtype
    name = str(dtype)
    if dtype.kind in "mM" or name.startswith("period["):
        return name
    if name != "object":
        return None
    there = series.dropna()
    for kind, called in _OBJECTS.items():
        own = [isinstance(value, kind) for value in there]
        if own and all(own):
            return called
    return None


def unit_of(series: pd.Series, kind: str, name: Any) -> str:
    """The coarsest unit of which all times of a column are whole numbers.

    Args:
        series: the column.
        kind: what `is_time` says of it.
        name: of the column.
    """
    if kind.startswith("period["):
        return kind[7:-1]
    found, unit = _plain(series, kind, name, local=True)
    wide, base = found[~np.isnat(found)].astype(np.int64), _UNITS[unit]
    units = dict(_UNITS)
    if "," in kind and (wide % (_UNITS["D"] // base)).any():  # no midnights of the place itself
        found, unit = _plain(series, kind, name, local=False)
        wide, base = found[~np.isnat(found)].astype(np.int64), _UNITS[unit]
        del units["D"]
    for coarse, size in units.items():
        if size >= base and not (wide % (size // base)).any():
            if len(wide) and np.abs(wide // (size // base)).max() >= _LARGEST:
                break
            return coarse
    raise DataError(
        f"column {name!r} has times of more digits than float64 has; round them, as with "
        '.dt.round("us").'
    )


def numbers_of_times(series: pd.Series, kind: str, unit: str, name: Any) -> np.ndarray:
    """The times of a column in a unit from the epoch on, float64; NaN where missing.

    Raises:
        DataError: what came are no times of this kind, or not whole numbers of the unit.
    """
    came = is_time(series)
    if came is None and not series.isna().all():
        raise DataError(
            f"column {name!r} holds {_called(kind)}; got dtype {series.dtype}. Convert it, "
            "as with pd.to_datetime."
        )
    if kind.startswith("period["):
        return _ordinals(series, kind, name)
    found, own = _plain(series, kind, name, local=unit == "D")
    gone, wide = np.isnat(found), found.astype(np.int64)
    ratio = _UNITS[unit] / _UNITS[own]
    if ratio < 1:
        numbers = wide.astype(np.float64) * round(1 / ratio)
    else:
        whole, rest = np.divmod(wide, round(ratio))
        if rest[~gone].any():
            row = int((rest * ~gone).nonzero()[0][0])
            raise DataError(
                f"column {name!r} is counted in whole units {unit!r}, as in the training data; "
                f"got {series.iloc[row]!r} in row {row}. Round it, as with .dt.floor({unit!r})."
            )
        numbers = whole.astype(np.float64)
    return np.where(gone, np.nan, numbers)


def times_of_numbers(numbers: np.ndarray, kind: str, unit: str, index: Any) -> pd.Series:
    """The times of these numbers of a unit; NaN is NaT, and None among Python's own."""
    import pandas as pd

    gone = np.isnan(numbers)
    whole = np.where(gone, 0, numbers).astype(np.int64)
    if kind.startswith("period["):
        made: Any = pd.PeriodIndex  # whose annotations lack from_ordinals
        periods = made.from_ordinals(whole, freq=unit)
        return pd.Series(periods, index).mask(gone)
    spans = kind.startswith("timedelta") or kind in ("object timedelta", "object time")
    times = whole.astype(f"{'m' if spans else 'M'}8[{_NUMPY.get(unit, unit)}]")
    plain = _in_pandas(times, gone, kind)
    if kind.startswith("object"):
        return pd.Series(_as_objects(plain, kind), index, dtype=object)
    series: Any = pd.Series(plain, index)
    if "," not in kind:
        return series.astype(kind)
    zone = kind.partition(",")[2].strip(" ]")
    resolved = series.astype(f"datetime64[{kind[11:].partition(',')[0]}]")
    if unit == "D":  # midnights of the place itself
        return resolved.dt.tz_localize(zone, ambiguous=False, nonexistent="shift_forward")
    return resolved.dt.tz_localize("UTC").dt.tz_convert(zone)


# ---- inner parts ----------------------------------------------------------------------------


def _called(kind: str) -> str:
    return f"times of the kind {kind.removeprefix('object ')}"


def _ordinals(series: pd.Series, kind: str, name: Any) -> np.ndarray:
    if str(series.dtype) != kind and not series.isna().all():
        raise DataError(f"column {name!r} holds {_called(kind)}; got dtype {series.dtype}.")
    gone = series.isna().to_numpy()
    if gone.all():
        return np.full(len(series), np.nan)
    found = np.asarray(series.array.asi8, dtype=np.float64)
    return np.where(gone, np.nan, found)


def _plain(series: pd.Series, kind: str, name: Any, *, local: bool) -> tuple[np.ndarray, str]:
    """A column as NumPy's times, and their unit; of a time zone its `local` ones, or UTC's."""
    import pandas as pd

    spans = kind.startswith("timedelta") or kind in ("object timedelta", "object time")
    if kind == "object time":
        series = series.map(_since_midnight, na_action="ignore")
    found: Any
    try:
        found = pd.to_timedelta(series) if spans else pd.to_datetime(series)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"column {name!r} can not be read as times: {error}.") from None
    if not spans and getattr(found.dt, "tz", None) is not None:
        found = found if local else found.dt.tz_convert("UTC")
        found = found.dt.tz_localize(None)
    times = found.to_numpy()
    return times, str(np.datetime_data(times.dtype)[0])


def _since_midnight(time: datetime.time) -> datetime.timedelta:
    return datetime.timedelta(
        hours=time.hour, minutes=time.minute, seconds=time.second, microseconds=time.microsecond
    )


def _in_pandas(times: np.ndarray, gone: np.ndarray, kind: str) -> np.ndarray:
    """NumPy's times in a unit that pandas has, NaT where they are gone."""
    unit = str(np.datetime_data(times.dtype)[0])
    if unit not in ("s", "ms", "us", "ns"):
        times = times.astype(times.dtype.str[1:2] + "8[s]")
    if kind.startswith("object"):
        times = times.astype(times.dtype.str[1:2] + "8[us]")
    times = times.copy()
    times[gone] = "NaT"
    return times


def _as_objects(times: np.ndarray, kind: str) -> list[Any]:
    """Python's own times; None where they are gone."""
    values = [None if np.isnat(t) else v for t, v in zip(times, times.tolist(), strict=True)]
    if kind == "object date":
        return [None if v is None else v.date() for v in values]
    if kind == "object time":
        start = datetime.datetime(2000, 1, 1)
        return [None if v is None else (start + v).time() for v in values]
    return values
