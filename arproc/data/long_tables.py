"""Long tables, which have a row for each value: the series' name, the time, the value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from arproc.data.arrays import decimals_of, floats_of
from arproc.data.calendar import regular, time_axis
from arproc.data.times import rows_of, times_of
from arproc.errors import DataError, ParameterError

__all__ = [
    "LONG",
    "LongTable",
    "check_columns",
    "flat",
    "is_long",
    "is_long_by_name",
    "read_long",
    "require_all",
]

#: The columns of a long table: the series' name, the time, the value.
LONG = ("unique_id", "ds", "y")


@dataclass
class LongTable:
    """Series one after the other, in the order of their names, each in the order of time.

    Attributes:
        values: float64 [total], nan where a value, or a whole step, is missing. Of a sorted
            table without gaps, its own column: not to be written into.
        offsets: where each series begins, int64 [N + 1].
        names: what the series are called, [N].
        indexes: the times of each series, [N]; or of all, where they are the same.
        faults: why series could not be read, by their numbers; these have no values here.
    """

    values: np.ndarray
    offsets: np.ndarray
    names: list[Any]
    indexes: tuple[Any, ...]
    faults: dict[int, str] = field(default_factory=dict)


def check_columns(columns: Any) -> tuple[str, str, str]:
    """Return the names of a long table's three columns, or raise `ParameterError`."""
    listed = list(columns) if isinstance(columns, (list, tuple)) else []
    try:
        distinct = len(set(listed))
    except TypeError:  # one is a list, say
        distinct = 0
    if len(listed) != 3 or distinct < 3:
        raise ParameterError(
            "columns must be three names, of the column of the series' names, of the times and of "
            f"the values, such as {LONG}; got {columns!r}."
        )
    return listed[0], listed[1], listed[2]


def flat(frame: Any, columns: Sequence[str]) -> Any:
    """A long table whose index's levels are columns; any other DataFrame as it is."""
    if columns[0] not in [*frame.columns, *frame.index.names]:
        return frame
    levels = [name for name in frame.index.names if name in columns and name not in frame.columns]
    return frame.reset_index(level=levels) if levels else frame


def is_long(frame: Any, columns: Sequence[str]) -> bool:
    """Whether a DataFrame has the column of names, or ones of text or dates as no wide one."""
    if is_long_by_name(frame, columns):
        return True
    return any(getattr(kind, "kind", "O") not in "biufc" for kind in decimals_of(frame).dtypes)


def is_long_by_name(frame: Any, columns: Sequence[str]) -> bool:
    """Whether a DataFrame has a long table's column of names, or its others and more."""
    key, time, value = columns
    have = list(frame.columns)
    return key in have or (time in have and value in have and len(have) > 2)


def read_long(
    frame: Any, name: str, columns: tuple[str, str, str], freq: Any = None, keep: bool = False
) -> LongTable:
    """A long table's series.

    Args:
        frame: a DataFrame in any order of its rows and columns; other columns are not looked at.
        name: what error messages call it.
        columns: its columns of names, of times and of values.
        freq: the step of the times; by default that of all times together, or of each series.
        keep: whether series that can not be read stay, without values, and with the reason.

    Raises:
        DataError: it is no long table; or a series can not be read and `keep` is false.

    Example:
        >>> import pandas as pd
        >>> times = pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02", "2024-01-03"])
        >>> table = pd.DataFrame({"unique_id": [*"aabb"], "ds": times, "y": [3, 1, 5, 6]})
        >>> read_long(table, "data", LONG).values.tolist()
        [1.0, nan, 3.0, 5.0, 6.0]
    """
    import pandas as pd

    _require_columns(frame, name, columns)
    key, time, value = columns
    codes, names = _codes(frame[key], name)
    times = pd.Index(times_of(frame[time].reset_index(drop=True), name), name=time)
    values, wrong = floats_of(frame[value])
    if wrong.all():
        raise DataError(
            f"{name} has no numbers in {value!r} (dtype {frame[value].dtype}); expected some. "
            "Convert the column with .astype(float)."
        )
    faults = _faults(codes, times, wrong, frame, columns)
    left_out = np.isin(codes, list(faults))
    if left_out.any():
        codes, times, values = codes[~left_out], times[~left_out], values[~left_out]
    order = _order(codes, times)
    if order is not None:
        codes, times, values = codes[order], times[order], values[order]
    twice = np.flatnonzero((codes[1:] == codes[:-1]) & (times[1:] == times[:-1]))
    for at in twice[::-1].tolist():  # the first of a series is told
        rows = (times == times[at]) & (codes == codes[at])
        places = np.flatnonzero(~left_out)[rows if order is None else np.sort(order[rows])]
        where = np.isin(np.arange(len(left_out)), places)
        faults[int(codes[at])] = (
            f"it has more than one row for {key} {names[codes[at]]!r} at {time} {times[at]} "
            f"({rows_of(where)}); keep one of them."
        )
    if len(twice):
        good = ~np.isin(codes, list(faults))
        codes, times, values = codes[good], times[good], values[good]
    counts = np.bincount(codes, minlength=len(names))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    table = _with_every_step(LongTable(values, offsets, names, (), faults), times, freq)
    if not keep:
        require_all(name, names, table.faults)
    return table


def require_all(name: str, names: Sequence[Any], faults: dict[int, str]) -> None:
    """Raise `DataError` where a series could not be read."""
    if not faults:
        return
    first = min(faults)
    more = f" {len(faults) - 1} more can not be read." if len(faults) > 1 else ""
    raise DataError(f"{name}, series {names[first]!r}: {faults[first]}{more}")


def _require_columns(frame: Any, name: str, columns: tuple[str, str, str]) -> None:
    key, time, value = columns
    have = list(frame.columns)
    missing = [column for column in columns if column not in have]
    if missing:
        raise DataError(
            f"{name} has no column called {' and '.join(map(repr, missing))}; a long table has a "
            f"row for each value and the columns {key!r} (the series' name), {time!r} and "
            f"{value!r}, or those that columns= names; this one has {have[:6]}. A wide one has a "
            "column of numbers for each series, and the dates as its index."
        )
    twice = [column for column in columns if have.count(column) > 1]
    if twice:
        raise DataError(f"{name} has more than one column called {twice[0]!r}; expected one.")
    if not len(frame):
        raise DataError(f"{name} has no rows; expected some.")


def _codes(column: Any, name: str) -> tuple[np.ndarray, list[Any]]:
    """Of each row the number of its series, int64 [n], and the series' names in order."""
    import pandas as pd

    try:
        codes, found = pd.factorize(column, sort=True)
    except TypeError as wrong:
        raise DataError(
            f"{name} has names in {column.name!r} that can not be told apart or sorted ({wrong}); "
            "expected text or numbers, of one kind."
        ) from None
    if (codes < 0).any():
        raise DataError(
            f"{name} has rows without a name in {column.name!r} ({rows_of(codes < 0)}); drop them."
        )
    return codes.astype(np.int64, copy=False), list(found)


def _faults(
    codes: np.ndarray, times: Any, wrong: np.ndarray, frame: Any, columns: tuple[str, str, str]
) -> dict[int, str]:
    """Why series can not be read, of those that have no times or no numbers in some rows."""
    found: dict[int, str] = {}
    gone = np.asarray(times.isna())
    for code in np.unique(codes[gone]).tolist():
        rows = rows_of(gone & (codes == code))
        found[code] = f"it has rows without a time in {columns[1]!r} ({rows}); drop them."
    for code in np.unique(codes[wrong]).tolist():
        where = wrong & (codes == code)
        value = frame[columns[2]].iloc[int(np.argmax(where))]
        found.setdefault(
            code,
            f"it has {value!r} for a number in {columns[2]!r} ({rows_of(where)}); expected "
            "numbers, or nothing where a value is missing.",
        )
    return found


def _order(codes: np.ndarray, times: Any) -> np.ndarray | None:
    """How rows are sorted by series and time; None where they are."""
    moments = times.asi8 if hasattr(times, "asi8") else times.to_numpy()
    same = codes[1:] == codes[:-1]
    later = moments[1:] >= moments[:-1]
    if bool(((codes[1:] > codes[:-1]) | (same & later)).all()):
        return None
    return np.lexsort((moments, codes))


# ---- every step -------------------------------------------------------------------------------


def _with_every_step(table: LongTable, times: Any, freq: Any) -> LongTable:
    """The same with NaN at the steps that a series leaves out, and with the series' indexes."""
    axis = time_axis(times)
    if not len(axis):
        return LongTable(table.values, table.offsets, table.names, (times,), table.faults)
    grid = _grid(axis, freq)
    if grid is None:
        return _one_by_one(table, times, range(len(table.names)), freq, None)
    place = grid.get_indexer(axis)
    steps = np.diff(place)
    bounds = table.offsets[1:-1]
    inner = bounds[(bounds > 0) & (bounds < len(place))]
    steps[inner - 1] = 1
    off = np.unique(np.searchsorted(table.offsets, np.flatnonzero(steps != 1), "right") - 1)
    own = (
        [] if freq is not None else [i for i in off.tolist() if _goes_another_way(table, i, place)]
    )
    if own:
        return _one_by_one(table, times, own, None, grid)
    return _on_grid(table, times, place, grid)


def _grid(axis: Any, freq: Any) -> Any:
    """All times of all series as consecutive steps; None where they are none."""
    import pandas as pd

    try:
        grid = regular(pd.Series(0.0, axis.unique().sort_values()), "it", True, freq).index
    except DataError:
        return None
    told = len(grid) > 2 or freq is not None or isinstance(grid, pd.PeriodIndex)
    return grid if told and (not isinstance(grid, pd.DatetimeIndex) or grid.freq) else None


def _goes_another_way(table: LongTable, i: int, place: np.ndarray) -> bool:
    """Whether most steps of a series are none of the grid's, so that it may have its own."""
    own = np.diff(place[table.offsets[i] : table.offsets[i + 1]])
    return len(own) > 1 and bool((own == 1).mean() < 0.5)


def _on_grid(table: LongTable, times: Any, place: np.ndarray, grid: Any) -> LongTable:
    """Series whose steps are those of the grid."""
    counts = np.diff(table.offsets)
    some = counts > 0
    first, last = np.zeros((2, len(counts)), np.int64)
    first[some] = place[table.offsets[:-1][some]]
    last[some] = place[table.offsets[1:][some] - 1] + 1
    lengths = last - first
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = table.values
    if offsets[-1] != len(values):
        values = np.full(int(offsets[-1]), np.nan)
        values[place + np.repeat(offsets[:-1] - first, counts)] = table.values
    labels = _labels(grid, times)
    cut: dict[tuple[int, int], Any] = {}
    for pair in zip(first.tolist(), last.tolist(), strict=True):
        if pair not in cut:
            cut[pair] = labels[pair[0] : pair[1]]
    indexes = tuple(cut[pair] for pair in zip(first.tolist(), last.tolist(), strict=True))
    return LongTable(
        values, offsets, table.names, indexes[:1] if len(cut) == 1 else indexes, table.faults
    )


def _labels(grid: Any, times: Any) -> Any:
    """The grid in the user's kind of labels."""
    import pandas as pd

    if isinstance(times, pd.TimedeltaIndex):
        return pd.TimedeltaIndex(pd.to_timedelta(grid, unit="s"), name=str(times.name))
    return grid.rename(times.name)


def _one_by_one(
    table: LongTable, times: Any, own: Sequence[int], freq: Any, grid: Any
) -> LongTable:
    """Each series on the grid, but those in `own` by their own times if these have a step.

    Where there is no grid, what is too short to have a step has that of the others.
    """
    import pandas as pd

    bounds = list(pairwise(table.offsets.tolist()))
    rows = [pd.Series(table.values[a:b], times[a:b]) for a, b in bounds]
    alone = {i for i in own if len(rows[i]) > 2}
    faults = dict(table.faults)
    for i in sorted(alone):
        try:
            rows[i] = regular(rows[i], "it", True, freq)
        except DataError as error:
            if grid is None:
                faults[i], rows[i] = str(error), rows[i][:0]
            else:
                alone.remove(i)
    step = freq if freq is not None else _step(grid, [rows[i].index for i in alone])
    for i in set(range(len(rows))) - alone - set(faults):
        try:
            rows[i] = regular(rows[i], "it", True, step)
        except DataError as error:
            faults[i], rows[i] = str(error), rows[i][:0]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    values = np.concatenate([row.to_numpy(dtype=float) for row in rows])
    return LongTable(values, offsets, table.names, tuple(row.index for row in rows), faults)


def _step(grid: Any, indexes: Sequence[Any]) -> Any:
    """The step of the grid, or the one that all these indexes have; None where there is none."""
    if grid is not None:
        return getattr(grid, "freq", None) or float(grid[1] - grid[0])
    found = {index.freq for index in indexes if getattr(index, "freq", None) is not None}
    return found.pop() if len(found) == 1 else None
