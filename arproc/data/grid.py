"""Many times at once: which steps of a calendar they are, and the labels of steps."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from arproc.data.calendar import Calendar, in_zone, offset_of, on_the_wall, regular, tick_of
from arproc.errors import DataError

__all__ = ["calendar_of_series", "labels_of", "steps_of"]

_VOTES = 200  # so many series, spread over all, tell the step of most


def calendar_of_series(times: Any, starts: np.ndarray, name: str, freq: Any = None) -> Calendar:
    """The calendar whose steps many series go by: that of all their times, or of most of them.

    Args:
        times: an index of the times of one series after the other.
        starts: where each series begins, and the number of times, int64 [N + 1].
        name: what error messages call the data.
        freq: the step; None for the one that the times go by.

    Raises:
        DataError: they go by no step.

    Example:
        >>> import pandas as pd
        >>> days = pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02"])
        >>> calendar_of_series(days, np.array([0, 1, 3]), "data").freq
        'D'
    """
    try:
        return _calendar(times, name, freq)
    except DataError as error:
        refused = error
    votes: dict[tuple[Any, ...], list[Calendar]] = {}
    some = np.unique(np.linspace(0, len(starts) - 2, min(_VOTES, len(starts) - 1)).astype(int))
    for i in some.tolist():
        with suppress(DataError):
            one = _calendar(times[starts[i] : starts[i + 1]], name, freq)
            votes.setdefault((one.kind, one.freq), []).append(one)
    if not votes:
        raise refused
    return max(votes.values(), key=len)[0]


def _calendar(times: Any, name: str, freq: Any) -> Calendar:
    import pandas as pd

    distinct = pd.Index(times).dropna().unique().sort_values()
    whole = regular(pd.Series(0.0, distinct), name, missing=True, freq=freq).index
    found = Calendar.of(whole, freq)
    if found is None or len(whole) < 2:
        shown = ", ".join(str(label) for label in distinct[:3])
        raise DataError(
            f"{name} has times that tell no step ({shown} ...); expected dates or numbers, some "
            "of them consecutive. Say freq=."
        )
    return found


def steps_of(calendar: Calendar, times: Any) -> tuple[np.ndarray, np.ndarray]:
    """Which steps many times are.

    Args:
        calendar: of dates or numbers.
        times: an index of them.

    Returns:
        The steps, int64 [n], and which of the times are steps at all, bool [n].

    Example:
        >>> import pandas as pd
        >>> months = Calendar("dates", "2024-01-01", "MS")
        >>> steps_of(months, pd.to_datetime(["2023-12-01", "2024-03-01", "2024-03-02"]))
        (array([-1,  2,  0]), array([ True,  True, False]))
    """
    import pandas as pd

    if calendar.kind == "numbers":
        place = (np.asarray(times, float) - calendar.origin) / calendar.freq
        on = np.isfinite(place)
        found = np.rint(np.where(on, place, 0.0))
        on &= np.isclose(found, place, rtol=1e-9, atol=1e-6)
        return np.where(on, found, 0).astype(np.int64), on
    step, origin = offset_of(calendar.freq), pd.Timestamp(calendar.origin)
    if calendar.zone is not None:
        times = times.tz_convert(calendar.zone)
    wall, known = on_the_wall(times, step), ~np.asarray(times.isna())
    if not known.any():
        return np.zeros(len(wall), np.int64), known
    if (width := tick_of(step)) is not None:
        gap = wall.as_unit("ns").asi8 - origin.as_unit("ns").value
        found, rest = np.divmod(gap, width.value)
        on = known & (rest == 0)
    else:
        dates = wall[known]
        full = pd.date_range(min(dates.min(), origin), max(dates.max(), origin), freq=step.base)
        at, zero = full.get_indexer(wall), full.get_indexer(pd.DatetimeIndex([origin]))[0]
        found, rest = np.divmod(at - zero, step.n)
        on = known & (at >= 0) & (rest == 0)
    return np.where(on, found, 0).astype(np.int64), on


def labels_of(calendar: Calendar, steps: np.ndarray) -> Any:
    """The labels of steps, an index.

    Example:
        >>> labels_of(Calendar("dates", "2024-01-31", "ME"), np.array([-1, 1])).date.tolist()
        [datetime.date(2023, 12, 31), datetime.date(2024, 2, 29)]
        >>> labels_of(Calendar("numbers", 10.0, 5.0), np.array([0, 3])).tolist()
        [10, 25]
    """
    import pandas as pd

    if calendar.kind == "numbers":
        found = calendar.origin + calendar.freq * steps.astype(float)
        whole = float(calendar.freq).is_integer() and float(calendar.origin).is_integer()
        return pd.Index(found.astype(np.int64) if whole else found)
    step, origin = offset_of(calendar.freq), pd.Timestamp(calendar.origin)
    low, high = min(int(steps.min(initial=0)), 0), max(int(steps.max(initial=0)), 0)
    before = pd.date_range(end=origin, periods=1 - low * step.n, freq=step.base)[:: step.n]
    after = pd.date_range(origin, periods=1 + high, freq=step)
    full = before[:-1].append(after)
    if calendar.zone is not None:
        full = in_zone(full, pd.DatetimeIndex([], tz=calendar.zone), step)
    return full[steps - low]
