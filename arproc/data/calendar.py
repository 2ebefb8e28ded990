"""Labels of time: which step each row of a series is, whatever rows are absent.

A calendar is the label of t = 0 and the step by which labels go on. Dates, periods, durations and
numbers are labels of time; those of any other kind (names) say nothing of it.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from arproc.contract.storable import storable
from arproc.errors import DataError, ParameterError

__all__ = [
    "Calendar",
    "in_zone",
    "is_arrow_date",
    "is_plain",
    "is_time",
    "offset_of",
    "on_the_wall",
    "plain_times",
    "regular",
    "tick_of",
    "time_axis",
]

_WINDOWS = 200


@storable
@dataclass(frozen=True)
class Calendar:
    """Where t = 0 is, and how labels go on.

    Attributes:
        kind: "dates", "periods" or "numbers" (durations are numbers of seconds).
        origin: the label of t = 0: ISO text for dates and periods (dates with a zone in UTC).
        freq: the step, in pandas' words for dates and periods.
        zone: the zone of dates.

    Example:
        >>> import pandas as pd
        >>> months = Calendar.of(pd.period_range("2020-01", periods=3, freq="M"))
        >>> months.position(pd.period_range("2021-01", periods=2, freq="M"), "data")
        12
    """

    kind: str
    origin: Any
    freq: Any
    zone: str | None = None

    @classmethod
    def of(cls, index: Any, freq: Any = None) -> Calendar | None:
        """The calendar of a regular index that begins at t = 0; None where it tells no step."""
        import pandas as pd

        axis = time_axis(index)
        if axis is None or not len(axis):
            return None
        if isinstance(axis, pd.PeriodIndex):
            return cls("periods", str(axis[0]), axis.freqstr)
        if isinstance(axis, pd.DatetimeIndex):
            step = offset_of(freq) if freq is not None else axis.freq or _inferred(axis)
            if step is None:
                return None
            zone = None if axis.tz is None else str(axis.tz)
            return cls("dates", on_the_wall(axis, step)[0].isoformat(), step.freqstr, zone)
        step = float(freq or _number_step(axis))
        return cls("numbers", float(axis[0]), step)

    def position(self, index: Any, name: str) -> int:
        """Which step the first label of an index is.

        Raises:
            DataError: it is of another kind, or between two steps.
        """
        import pandas as pd

        axis = time_axis(index)
        if axis is None or not len(axis):
            raise self._other(index, name)
        if isinstance(axis, pd.PeriodIndex):
            if self.kind != "periods" or axis.freqstr != self.freq:
                raise self._other(index, name)
            first = pd.Period(self.origin, self.freq)
            width = offset_of(axis.freq).n
            return self._whole((axis[0].ordinal - first.ordinal) / width, index, name)
        if isinstance(axis, pd.DatetimeIndex):
            zone = None if axis.tz is None else str(axis.tz)
            if self.kind != "dates" or (zone is None) != (self.zone is None):
                raise self._other(index, name)
            if self.zone is not None:
                axis = axis.tz_convert(self.zone)
            return self._date(axis, index, name)
        if self.kind != "numbers":
            raise self._other(index, name)
        return self._whole((float(axis[0]) - self.origin) / self.freq, index, name)

    def _date(self, axis: Any, index: Any, name: str) -> int:
        import pandas as pd

        step = offset_of(self.freq)
        origin, label = pd.Timestamp(self.origin), on_the_wall(axis[:1], step)[0]
        if (width := tick_of(step)) is not None:
            return self._whole((label - origin) / width, index, name)
        first, last = min(origin, label), max(origin, label)
        between = pd.date_range(first, last, freq=step)
        if not len(between) or between[0] != first or between[-1] != last:
            raise self._off_grid(index, name)
        return (len(between) - 1) * (1 if label >= origin else -1)

    def _whole(self, steps: float, index: Any, name: str) -> int:
        if not math.isclose(steps, round(steps), rel_tol=1e-9, abs_tol=1e-6):
            raise self._off_grid(index, name)
        return round(steps)

    def _off_grid(self, index: Any, name: str) -> DataError:
        return DataError(
            f"{name} begins at {index[0]}, which is no step of the data of fit: they go on from "
            f"{self.origin} by {self.freq}."
        )

    def _other(self, index: Any, name: str) -> DataError:
        came = "nothing" if not len(index) else f"{index[0]!r}"
        step = f" by {self.freq}"
        return DataError(
            f"{name} begins at the label {came}; the data of fit have {self.kind} from "
            f"{self.origin}{step}. Label both alike, or leave labels out and say offset=."
        )


def time_axis(index: Any) -> Any:
    """An index of dates, periods or numbers (durations as seconds); None where it is none."""
    import pandas as pd

    if isinstance(index, pd.MultiIndex) or not isinstance(index, pd.Index):
        return None
    if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)):
        return index
    if isinstance(index, pd.TimedeltaIndex):
        return pd.Index(index.total_seconds())
    kind = getattr(index.dtype, "kind", "O")
    if isinstance(index.dtype, pd.ArrowDtype) and is_arrow_date(index.dtype):
        return pd.DatetimeIndex(index)
    if kind == "m":
        return pd.Index(pd.TimedeltaIndex(index).total_seconds())
    return index if kind in "iuf" else None


def plain_times(index: Any) -> Any:
    """An index of dates that Arrow holds as a DatetimeIndex; any other as it is."""
    import pandas as pd

    if isinstance(index, pd.MultiIndex) or not isinstance(
        getattr(index, "dtype", None), pd.ArrowDtype
    ):
        return index
    return pd.DatetimeIndex(index, name=index.name) if is_arrow_date(index.dtype) else index


def is_arrow_date(dtype: Any) -> bool:
    """Whether a dtype of Arrow's is one of dates, with hours or without."""
    return dtype.kind == "M" or dtype.name.startswith("date")


def is_time(index: Any) -> bool:
    """Whether labels tell time; plain row numbers 0, 1, 2 ... tell none."""
    return time_axis(index) is not None and not is_plain(index)


def is_plain(index: Any) -> bool:
    """Whether an index is pandas' own numbering 0, 1, 2 ..., which nobody gave."""
    import pandas as pd

    plain = isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1
    return plain and index.name is None


def regular(data: Any, name: str, missing: bool, freq: Any = None) -> Any:
    """A Series or DataFrame with time down, with a row for each step from its first to its last.

    Steps that its labels leave out are rows of NaN. An index of dates gets its frequency.

    Args:
        data: what is read.
        name: what error messages call it.
        missing: whether NaN may stand for what is absent.
        freq: the step; by default the one that the labels go by.

    Raises:
        DataError: labels are in disorder, double or of no regular step; or there are gaps that
            may not be.

    Example:
        >>> import pandas as pd
        >>> days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-04", "2024-01-05"])
        >>> regular(pd.Series([1.0, 2.0, 3.0, 4.0], days), "data", missing=True).tolist()
        [1.0, 2.0, nan, 3.0, 4.0]
    """
    import pandas as pd

    axis = time_axis(data.index)
    if axis is None or not len(axis) or (is_plain(axis) and freq is None):
        return data
    if axis.hasnans:
        raise DataError(f"{name} has a row whose label is missing (NaT); drop it.")
    _check_order(axis, data.index, name)
    if isinstance(axis, pd.PeriodIndex):
        full = _full_periods(axis, freq, name)
    elif isinstance(axis, pd.DatetimeIndex):
        full = _full_dates(axis, freq, name)
    else:
        full = _full_numbers(axis, freq, name)
    if len(full) == len(axis):
        if isinstance(data.index, pd.DatetimeIndex) and data.index.freq is None:
            data = data.set_axis(full.rename(data.index.name), axis=0)
        return data
    where = full.get_indexer(axis)
    absent = np.setdiff1d(np.arange(len(full)), where)
    if not missing:
        step = getattr(full, "freqstr", None)
        raise DataError(
            f"{name} has no row for {full[absent[0]]} ({len(absent)} of {len(full)} steps are "
            "absent), and this model takes no missing values. Fill the gaps "
            f"(.asfreq({step!r}).interpolate() for dates), say freq= in fit if the step is "
            "another, or drop the labels (.to_numpy()) to count rows as consecutive steps."
        )
    if isinstance(data.index, pd.TimedeltaIndex):
        full = pd.Index(pd.to_timedelta(full, unit="s"))
    kinds = [data.dtype] if data.ndim == 1 else list(data.dtypes)
    if all(getattr(kind, "kind", "O") in "biu" for kind in kinds):
        data = data.astype(float)
    return (
        data.set_axis(pd.RangeIndex(len(data)), axis=0)
        .set_axis(where, axis=0)
        .reindex(range(len(full)))
        .set_axis(full.rename(data.index.name), axis=0)
    )


def _check_order(axis: Any, index: Any, name: str) -> None:
    """Raise `DataError` unless labels increase."""
    if axis.is_monotonic_increasing and axis.is_unique:
        return
    values = axis.asi8 if hasattr(axis, "asi8") else np.asarray(axis, dtype=float)
    steps = np.diff(values)
    at = int(np.flatnonzero(steps <= 0)[0])
    before, label = index[at], index[at + 1]
    twice = axis[axis.duplicated()]
    if steps[at] == 0 or (len(twice) and at + 1 < len(index) and label in set(index[: at + 1])):
        raise DataError(
            f"{name} has the label {label} twice; keep one row of each "
            "(.groupby(level=0).last()), or drop the labels (.to_numpy()) to count rows."
        )
    raise DataError(
        f"{name} is out of order: {label} comes after {before}. Sort it (.sort_index()), or drop "
        "the labels (.to_numpy()) to count rows as consecutive steps."
    )


# ---- the full index ---------------------------------------------------------------------------


def _full_periods(axis: Any, freq: Any, name: str) -> Any:
    import pandas as pd

    if freq is not None and pd.tseries.frequencies.to_offset(freq).rule_code.split("-")[0] not in (
        axis.freq.rule_code.split("-")[0],
        axis.freqstr,
    ):
        raise ParameterError(f"freq is {freq!r}, and {name} has periods of {axis.freqstr!r}.")
    steps = np.diff(axis.asi8)
    if (steps == axis.freq.n).all():
        return axis
    if (steps % axis.freq.n).any():
        raise _irregular(axis, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of periods that are business days
        return pd.period_range(axis[0], axis[-1], freq=axis.freq)


def _full_dates(axis: Any, freq: Any, name: str) -> Any:
    import pandas as pd

    step = None if freq is None else offset_of(freq)
    if step is None and axis.freq is not None:
        return axis
    if step is None and len(axis) < 3:
        return axis
    if step is None:
        step = _inferred(axis)
        if step is not None:
            with suppress(ValueError):  # where a clock was changed it has none of its own
                return pd.DatetimeIndex(axis, freq=step)
            return axis
    for candidate in [step] if step is not None else _likely(axis):
        wall = on_the_wall(axis, candidate)
        full = pd.date_range(wall[0], wall[-1], freq=candidate)
        if len(full) and (full.get_indexer(wall) >= 0).all():
            return in_zone(full, axis, candidate)
    if step is not None:
        wall = on_the_wall(axis, step)
        full = pd.date_range(wall[0], wall[-1], freq=step)
        at = int(np.flatnonzero(full.get_indexer(wall) < 0)[0])
        raise DataError(f"{name} has the label {axis[at]}, which is no step of freq={freq!r}.")
    raise _irregular(axis, name)


def _full_numbers(axis: Any, freq: Any, name: str) -> Any:
    import pandas as pd

    if isinstance(axis, pd.RangeIndex) and freq is None:
        return axis
    whole = axis.dtype.kind in "iu"
    plain = axis.to_numpy(
        dtype=np.uint64 if axis.dtype == np.uint64 else np.int64 if whole else float
    )
    steps = np.diff(plain).astype(float)
    if not len(steps):
        return axis
    values = plain.astype(float)
    step = _number(freq) if freq is not None else float(steps.min())
    counts = np.round(steps / step)
    on_grid = np.isclose(steps, counts * step, rtol=1e-5, atol=1e-9 * abs(step)).all()
    if freq is None and (counts == 1).mean() < 0.5:
        on_grid = False
    if not on_grid or (counts < 1).any():
        raise _irregular(axis, name)
    if (counts == 1).all():
        return axis
    places = np.concatenate([[0.0], np.cumsum(counts)])
    if whole and float(step).is_integer():  # nanoseconds since 1970 have more digits than floats
        return pd.Index(
            plain[0] + plain.dtype.type(step) * np.arange(places[-1] + 1, dtype=plain.dtype)
        )
    full = values[0] + step * np.arange(places[-1] + 1)
    full[places.astype(np.int64)] = values
    return pd.Index(full)


def _irregular(axis: Any, name: str) -> DataError:
    shown = ", ".join(str(label) for label in axis[:4])
    return DataError(
        f"{name} has labels without a regular step ({shown} ...). Say freq= in fit, bring them "
        "to one (.resample(...), .to_period(...)), or drop the labels (.to_numpy()) to count rows "
        "as consecutive steps."
    )


def _likely(axis: Any) -> list[Any]:
    """The steps that stretches of dates go by, the most frequent first; then the shortest."""
    found: Counter[str] = Counter()
    for width in (8, 5, 4, 3):
        last = len(axis) - width
        if last < 1 or found:
            continue
        for at in np.unique(np.linspace(0, last, _WINDOWS).astype(int)):
            step = _inferred(axis[at : at + width])
            if step is not None:
                found[step.freqstr] += 1
    candidates = [offset_of(word) for word, _ in found.most_common()]
    import pandas as pd

    steps = np.diff(axis.tz_localize(None).asi8 if axis.tz is None else axis.asi8)
    shortest = int(steps.min())
    if (steps == shortest).mean() >= 0.5 and not (steps % shortest).any():
        unit = pd.Timedelta(1, axis.unit)
        candidates.append(pd.tseries.frequencies.to_offset(shortest * unit))
    return candidates


def _inferred(axis: Any) -> Any:
    import pandas as pd

    if len(axis) < 3:
        return None
    with suppress(ValueError, TypeError):
        return pd.DatetimeIndex(axis, freq="infer").freq
    return None


def offset_of(freq: Any) -> Any:
    """The user's `freq` as an offset of pandas."""
    import pandas as pd

    try:
        found = pd.tseries.frequencies.to_offset(freq)
    except (ValueError, TypeError):
        found = None
    if found is None or found.n < 1:
        raise ParameterError(
            f"freq must be a step forwards in pandas' words, such as 'D', 'B', 'MS' or 'h'; got "
            f"{freq!r}."
        )
    return found


def _number(freq: Any) -> float:
    if isinstance(freq, (int, float)) and not isinstance(freq, bool) and 0 < freq < math.inf:
        return float(freq)
    raise ParameterError(f"freq must be a positive number for labels that are; got {freq!r}.")


def _number_step(axis: Any) -> float:
    return float(axis[1] - axis[0]) if len(axis) > 1 else 1.0


def tick_of(step: Any) -> Any:
    """The length of a step that is always the same; None for months and the like."""
    import pandas as pd

    offsets = pd.tseries.offsets
    if isinstance(step, offsets.Day):
        return pd.Timedelta(days=step.n)
    if isinstance(step, offsets.Week):
        return pd.Timedelta(weeks=step.n)
    return pd.Timedelta(step) if isinstance(step, offsets.Tick) else None


def _by_clock(step: Any) -> bool:
    import pandas as pd

    offsets = pd.tseries.offsets
    return not isinstance(step, offsets.Tick) or isinstance(step, offsets.Day)


def on_the_wall(axis: Any, step: Any) -> Any:
    """Dates without their zone: what the clock shows, or UTC for steps of hours and less."""
    if axis.tz is None:
        return axis
    return axis.tz_localize(None) if _by_clock(step) else axis.tz_convert("UTC").tz_localize(None)


def in_zone(full: Any, axis: Any, step: Any) -> Any:
    """Dates on the wall's clock in the zone of an axis, which may have none."""
    if axis.tz is None:
        return full
    if not _by_clock(step):
        return full.tz_localize("UTC").tz_convert(axis.tz)
    first = np.ones(len(full), dtype=bool)
    return full.tz_localize(axis.tz, nonexistent="shift_forward", ambiguous=first)
