"""The series of a hierarchy, of all its levels, from a table that says what each is part of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.data.frames import native
from arproc.data.long_tables import LONG, check_columns, read_long
from arproc.data.table_forms import in_kind
from arproc.errors import DataError, ParameterError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["aggregate"]


def aggregate(
    data: Any,
    levels: Sequence[str | Sequence[str]],
    columns: Sequence[str] = LONG,
    *,
    total: str = "total",
    fill: float | None = None,
) -> tuple[Any, pd.DataFrame]:
    """All series of a hierarchy, and how they add up.

    Args:
        data: a long table with a column for each level, the times and the values; no column of
            names is needed.
        levels: the columns, the widest first: ["region", "store"] makes the total, the regions,
            and the stores of each, called "north" and "north/a". Where groups cross, what is
            grouped by, the finest last: [["region"], ["product"], ["region", "product"]].
        columns: what the table made calls its names, and the data their times and values.
        total: what the sum of all is called.
        fill: what values that are missing, and rows that are absent, stand for, 0 say; by default
            a sum without all of its parts is missing.

    Returns:
        The long table of all series, for `Panel`, in the library of the data; and the summing
        matrix for `reconcile` [m, b], a DataFrame.

    Raises:
        DataError: a column is not there, or two series would have one name.

    Example:
        >>> import pandas as pd
        >>> days = pd.to_datetime(["2024-01-01", "2024-01-02"] * 3)
        >>> sales = pd.DataFrame({"region": [*"nnnnss"], "store": [*"aabbcc"], "ds": days})
        >>> table, summing = aggregate(sales.assign(y=[1.0, 2, 3, 4, 5, 6]), ["region", "store"])
        >>> summing.index.tolist()
        ['total', 'n', 's', 'n/a', 'n/b', 's/c']
        >>> table[table.unique_id == "n"].y.tolist()
        [4.0, 6.0]
    """
    import pandas as pd

    key, time, value = check_columns(columns)
    groups = _groups(levels)
    finest, frame = groups[-1], native(data)
    if not hasattr(frame, "columns"):
        raise DataError(f"data is a {type(frame).__name__}; expected a long table.")
    lacking = [name for name in finest if name not in frame.columns]
    if lacking:
        raise DataError(f"data has no column {lacking[0]!r}; it has {list(frame.columns)[:8]}.")
    for name in finest:
        if frame[name].isna().any():
            raise DataError(f"data has rows without a {name!r}; name what they are part of.")
    bottom = list(zip(*(frame[name] for name in finest), strict=True))
    named = frame[[time, value]] if {time, value} <= set(frame.columns) else frame
    long = read_long(named.assign(**{key: _tuples(bottom)}), "data", (key, time, value))
    parts = [
        pd.Series(long.values[a:b], long.indexes[0 if len(long.indexes) == 1 else i])
        for i, (a, b) in enumerate(zip(long.offsets[:-1], long.offsets[1:], strict=True))
    ]
    wide = pd.concat(parts, axis=1).sort_index()
    if fill is not None:
        wide = wide.fillna(fill)
    summing = _summing(long.names, groups, total)
    made = _sums(wide.to_numpy(), summing.to_numpy())
    table = pd.DataFrame(
        {
            key: np.repeat(summing.index, len(wide)),
            time: np.tile(wide.index.to_numpy(), len(summing)) if wide.index.dtype.kind != "M"
            else wide.index[np.tile(np.arange(len(wide)), len(summing))],
            value: made.T.ravel(),
        }
    )  # fmt: skip
    other = in_kind(data, table.set_index([key, time]))  # of polars or Arrow, if the data are
    return (table if isinstance(other, pd.DataFrame) else other), summing


def _groups(levels: Any) -> list[tuple[str, ...]]:
    """What is grouped by, from nothing to the finest."""
    if isinstance(levels, str) or not isinstance(levels, (list, tuple)) or not levels:
        raise ParameterError(f"levels must be a list of columns; got {levels!r}.")
    if all(isinstance(one, str) for one in levels):
        return [tuple(levels[:n]) for n in range(len(levels) + 1)]
    for one in levels:
        columns = [one] if isinstance(one, str) else one
        listed = isinstance(columns, (list, tuple)) and len(columns)
        if not listed or not all(isinstance(name, str) for name in columns):
            raise ParameterError(
                f"levels must be columns, or lists of columns that are grouped by; it has {one!r}."
            )
    groups = [(one,) if isinstance(one, str) else tuple(one) for one in levels]
    loose = [one for one in groups if not set(one) <= set(groups[-1])]
    if loose:
        raise ParameterError(
            f"levels has {list(loose[0])}, of which the last, {list(groups[-1])}, has not all; "
            "the finest must be last."
        )
    return [(), *groups]


def _tuples(values: list[Any]) -> np.ndarray:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def _summing(bottom: list[Any], groups: list[tuple[str, ...]], total: str) -> pd.DataFrame:
    """Which of the bottom series each is the sum of, [m, b]."""
    import pandas as pd

    finest = groups[-1]
    rows: dict[str, np.ndarray] = {}
    for group in groups:
        places = [finest.index(name) for name in group]
        keys = [tuple(one[place] for place in places) for one in bottom]
        for each in dict.fromkeys(keys):
            name = "/".join(map(str, each)) if each else total
            if name in rows:
                raise DataError(
                    f"two series of the hierarchy would be called {name!r}; rename what one of "
                    "the columns holds."
                )
            rows[name] = np.array([one == each for one in keys], dtype=float)
    names = list(rows)
    return pd.DataFrame(np.stack(list(rows.values())), names, names[-len(bottom) :])


def _sums(wide: np.ndarray, summing: np.ndarray) -> np.ndarray:
    """The sums [T, m] of the columns [T, b], missing where a part is."""
    gone = np.isnan(wide)
    found = np.where(gone, 0.0, wide) @ summing.T
    return np.where(gone @ (summing.T != 0), np.nan, found)
