"""The end of a pandas index in plain words, so that a file can hold it and dates be carried on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from arproc.data.calendar import Calendar
from arproc.errors import FileFormatError

__all__ = ["calendar_of", "end_of", "restore_end"]


def end_of(index: Any) -> dict[str, Any]:
    """The last labels of an index, enough to tell what follows them.

    Example:
        >>> import pandas as pd
        >>> end_of(pd.date_range("2020-01-01", periods=5, freq="D"))["last"]
        '2020-01-05T00:00:00'
        >>> end_of(None)
        {'kind': 'none'}
    """
    import pandas as pd

    if index is None or not len(index):
        return {"kind": "none"}
    name = index.name if isinstance(index.name, (str, int)) else None
    if isinstance(index, pd.PeriodIndex):
        return {"kind": "period", "last": str(index[-1]), "freq": index.freqstr, "name": name}
    if isinstance(index, pd.DatetimeIndex):
        whole = index if index.freq is not None or len(index) < 3 else _regular(index)
        freq = whole.freqstr
        zone = None if index.tz is None else str(index.tz)
        # in UTC, as a clock on the wall shows some hours twice
        moment = index[-1] if zone is None else index[-1].tz_convert("UTC")
        last = moment.isoformat()
        return {"kind": "datetime", "last": last, "freq": freq, "zone": zone, "name": name}
    numbers = pd.api.types.is_numeric_dtype(index) and not pd.api.types.is_bool_dtype(index)
    if not numbers:
        return {"kind": "none"}
    steps = index[1:] - index[:-1]
    if len(index) > 2 and not (steps == steps[-1]).all():
        return {"kind": "none"}
    values = [value.item() for value in index[-2:].to_numpy()]
    return {"kind": "number", "values": values, "name": name}


def _regular(index: Any) -> Any:
    """The same dates with the frequency that they have, if any."""
    import pandas as pd

    try:
        return pd.DatetimeIndex(index, freq="infer")
    except ValueError:  # not in order, or not regular
        return index


def restore_end(end: dict[str, Any]) -> Any:
    """An index that ends as the one given to `end_of` did; None where there was none."""
    try:
        return _restored(end)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise FileFormatError(
            f"the index of a series can not end so: {end!r} ({error})."
        ) from None


def _restored(end: dict[str, Any]) -> Any:
    import pandas as pd

    if end["kind"] == "none":
        return None
    if end["kind"] == "number":
        return pd.Index(end["values"], name=end["name"])
    if end["kind"] == "period":
        return pd.PeriodIndex([end["last"]], freq=end["freq"], name=end["name"])
    last = pd.Timestamp(end["last"])
    if end["zone"] is not None:
        last = last.tz_convert(end["zone"])
    if end["freq"] is None:
        return pd.DatetimeIndex([last], name=end["name"])
    return pd.date_range(end=last, periods=1, freq=end["freq"], name=end["name"])


def calendar_of(end: dict[str, Any], length: int) -> Calendar | None:
    """The calendar of a series that ends so; None where its labels tell no step.

    Args:
        end: of its index, see `end_of`.
        length: how many values it has.

    Example:
        >>> import pandas as pd
        >>> calendar_of(end_of(pd.date_range("2020-01-01", periods=5, freq="D")), 5).origin
        '2020-01-01T00:00:00'
    """
    import pandas as pd

    index = restore_end(end)
    calendar = None if index is None or not length else Calendar.of(index)
    if calendar is None:
        return None
    back = length - len(index)
    if calendar.kind == "numbers":
        return replace(calendar, origin=calendar.origin - back * calendar.freq)
    if calendar.kind == "periods":
        return Calendar.of(index - back)
    return Calendar.of(pd.date_range(end=index[-1], periods=length, freq=index.freq))
