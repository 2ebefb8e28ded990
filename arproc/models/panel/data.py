"""Reading a panel: many series in any of the forms that users keep them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.data import intake
from arproc.data.calendar import regular, time_axis, times_of
from arproc.data.frames import native
from arproc.errors import DataError, ParameterError
from arproc.process.reading import first_steps
from arproc.spaces import Real

if TYPE_CHECKING:
    from arproc.transforms import Log

__all__ = [
    "LONG",
    "PanelData",
    "check_columns",
    "jacobians",
    "logarithms",
    "read",
    "require_finite",
    "trimmed",
]

#: The columns of a long table: the series' name, the time, the value.
LONG = ("unique_id", "ds", "y")


@dataclass(frozen=True)
class PanelData:
    """Series one after the other, each from its first value that is known to its last.

    Attributes:
        values: float64 [total]; nan where a value is missing.
        offsets: where each series begins, int64 [N + 1].
        names: what the series are called, [N]; 0, 1, ... where they have no names.
        named: whether the user named them.
        indexes: the pandas index of each series, or one shared by all, or none.
        gaps: whether any value is missing.
        first: at which step of its series in `fit` each begins, int64 [N]; None where the user did
            not say.
    """

    values: np.ndarray
    offsets: np.ndarray
    names: list[Any]
    named: bool
    indexes: tuple[Any, ...]
    gaps: bool
    first: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """How many values from the first known to the last, int64 [N]."""
        return np.diff(self.offsets)

    def index(self, i: int) -> Any:
        """The index of series i, or None."""
        return self.indexes[0 if len(self.indexes) == 1 else i] if self.indexes else None

    def row(self, i: int) -> np.ndarray:
        """The values of series i."""
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def select(self, rows: np.ndarray) -> PanelData:
        """The series with these numbers, in this order."""
        parts = [self.row(i) for i in rows.tolist()]
        offsets = np.concatenate([[0], np.cumsum(self.lengths[rows])]).astype(np.int64)
        values = np.concatenate(parts) if parts else self.values[:0]
        shared = len(self.indexes) == 1
        indexes = self.indexes if shared else tuple(self.index(i) for i in rows.tolist())
        names = [self.names[i] for i in rows.tolist()]
        first = None if self.first is None else self.first[rows]
        return PanelData(
            values, offsets, names, self.named, indexes if self.indexes else (), self.gaps, first
        )

    def begun(self, offset: Any) -> PanelData:
        """The same, the series of which begin at the user's `offset`; None says nothing."""
        if offset is None:
            return self
        return replace(self, first=first_steps(offset, len(self)).numpy())

    def series(self, i: int) -> Any:
        """Series i alone: a Series where it has an index, else an array."""
        index = self.index(i)
        if index is None:
            return self.row(i)
        import pandas as pd

        return pd.Series(self.row(i), index=index, name=self.names[i])


def read(
    data: Any, name: str = "data", columns: Sequence[str] = LONG, *, trim: bool = True
) -> PanelData:
    """The user's panel.

    Args:
        data: a wide DataFrame (time down, a column for each series), an array [N, T], a list of
            series of any lengths, a dict of them by name, or a long DataFrame with the columns
            unique_id, ds (the time) and y. NaN is a missing value; at the ends of a series it is
            cut off.
        name: what error messages call the data.
        columns: what a long DataFrame calls those columns.
        trim: whether missing values at the ends of a series are cut off.

    Raises:
        DataError: what came is no panel of numbers.
    """
    if isinstance(data, PanelData):
        return data
    columns, data = check_columns(columns), native(data, name)
    if isinstance(data, Mapping):
        if not data:
            raise DataError(f"{name} is an empty dict; expected some series.")
        table = _read_plain(list(data.values()), name, trim)
        return _named(table, list(data), name)
    if hasattr(data, "columns") and (columns[0] in data.columns or _looks_long(data)):
        return _read_long(data, name, columns, trim)
    return _read_plain(data, name, trim)


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


def _looks_long(frame: Any) -> bool:
    """Whether a DataFrame has columns of text or dates, which no wide one has."""
    return any(getattr(kind, "kind", "O") not in "biufc" for kind in frame.dtypes)


def _read_plain(data: Any, name: str, trim: bool) -> PanelData:
    values, lengths, form = intake.read(data, Real(), None, name, missing=True)
    array = values.detach().cpu().to(torch.float64).numpy()
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths.numpy(), out=offsets[1:])
    if len(offsets) == 1:
        raise DataError(f"{name} is empty; expected at least one series.")
    names = list(form.names)
    named = len(names) == len(lengths) and len(set(names)) == len(names) and None not in names
    if not named:
        names = list(range(len(lengths)))
    table = PanelData(array, offsets, names, named, tuple(form.indexes), False)
    return trimmed(table) if trim and _any_missing(array) else table


def _any_missing(values: np.ndarray) -> bool:
    """Whether any is nan: one product over all is then, and costs no more than reading them."""
    with np.errstate(over="ignore"):
        return bool(np.isnan(np.dot(values, values)))


def _named(table: PanelData, names: list[Any], name: str) -> PanelData:
    if len(names) != len(table):
        raise DataError(f"{name} has {len(names)} names for {len(table)} series.")
    return PanelData(table.values, table.offsets, names, True, table.indexes, table.gaps)


def _read_long(frame: Any, name: str, columns: tuple[str, str, str], trim: bool) -> PanelData:
    """A table with a row for each value."""
    import pandas as pd

    key, time, value = columns
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise DataError(
            f"{name} has no column called {' and '.join(map(repr, missing))}; a long table has a "
            f"row for each value and the columns {key!r} (the series' name), {time!r} and "
            f"{value!r}, or those that columns= names; this one has {list(frame.columns)[:6]}. A "
            "wide one has a column of numbers for each series, and the dates as its index."
        )
    if not len(frame):
        raise DataError(f"{name} has no rows; expected some.")
    frame = frame.assign(**{time: times_of(frame[time], name)})
    if frame[time].isna().any():
        raise DataError(f"{name} has rows without a time in {time!r}; drop them.")
    if frame[key].isna().any():
        raise DataError(f"{name} has rows without a name in {key!r}; drop them.")
    try:
        ordered = frame.sort_values([key, time], kind="stable").reset_index(drop=True)
        codes, names = pd.factorize(ordered[key], sort=False)
    except TypeError as wrong:
        raise DataError(
            f"{name} has names in {key!r} that can not be told apart or sorted ({wrong}); "
            "expected text or numbers, of one kind."
        ) from None
    repeated = ordered.duplicated([key, time])
    if repeated.any():
        first = ordered[repeated].iloc[0]
        raise DataError(
            f"{name} has more than one row for {key} {first[key]!r} at {time} {first[time]}; keep "
            "one of them."
        )
    counts = np.bincount(codes, minlength=len(names))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    times = pd.Index(ordered[time], name=time)
    indexes = tuple(times[a:b] for a, b in pairwise(offsets.tolist()))
    values = _read_plain(ordered[[value]], name, False).values
    table = PanelData(values, offsets, list(names), True, indexes, False)
    table = _with_every_step(table, times, name)
    return trimmed(table) if trim and _any_missing(table.values) else table


def _with_every_step(table: PanelData, times: Any, name: str) -> PanelData:
    """The same with NaN at the steps that a series leaves out."""
    import pandas as pd

    axis = time_axis(times)
    if axis is None:
        return table
    # where the times of all series are consecutive steps, those of each need but be consecutive
    try:
        grid = regular(pd.Series(0.0, axis.unique().sort_values()), name, missing=True).index
        place = grid.get_indexer(axis)
        steps = np.diff(place)
        steps[table.offsets[1:-1] - 1] = 1
        wrong = np.unique(np.searchsorted(table.offsets, np.flatnonzero(steps != 1), "right") - 1)
    except DataError:
        wrong = np.arange(len(table))
    if not len(wrong):
        return table
    rows = [table.series(i) for i in range(len(table))]
    for i in wrong.tolist():
        try:
            rows[i] = regular(rows[i], "it", missing=True)
        except DataError as error:
            raise DataError(f"{name}, series {table.names[i]!r}: {error}") from None
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    values = np.concatenate([row.to_numpy(dtype=float) for row in rows])
    indexes = tuple(row.index for row in rows)
    return PanelData(values, offsets, table.names, True, indexes, bool(np.isnan(values).any()))


def require_finite(table: PanelData) -> None:
    """Raise `DataError` where a value is infinite; NaN is a missing one."""
    bad = ~np.isfinite(table.values) & ~np.isnan(table.values)
    if bad.any():
        raise DataError(f"data has {int(bad.sum())} infinite value(s); remove them.")


def trimmed(table: PanelData) -> PanelData:
    """Each series from its first known value to its last."""
    known = ~np.isnan(table.values)
    before = np.concatenate([[0], np.cumsum(known)])
    counts = before[table.offsets[1:]] - before[table.offsets[:-1]]
    where = np.flatnonzero(known)
    first = table.offsets[:-1].copy()
    last = first.copy()
    some = counts > 0
    first[some] = where[before[table.offsets[:-1]][some]]
    last[some] = where[before[table.offsets[1:]][some] - 1] + 1
    lengths = last - first
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    total = int(offsets[-1])
    pick = np.arange(total) + np.repeat(first - offsets[:-1], lengths)
    indexes = table.indexes
    if indexes and total < len(table.values):
        start = first - table.offsets[:-1]
        indexes = tuple(
            table.index(i)[a : a + n]
            for i, (a, n) in enumerate(zip(start.tolist(), lengths.tolist(), strict=True))
        )
    values = table.values[pick]
    gaps = bool(np.isnan(values).any())
    return PanelData(values, offsets, table.names, table.named, indexes, gaps)


def logarithms(table: PanelData, log: Log) -> tuple[PanelData, list[int]]:
    """The logarithms of a panel, and the numbers of the series that have none: 0 stands there."""
    log.check(torch.ones(()) * (1.0 - log.shift))  # the shift itself
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log(table.values + log.shift)
    wrong = (table.values <= -log.shift).nonzero()[0]
    low = np.unique(np.searchsorted(table.offsets, wrong, side="right") - 1).tolist()
    for i in low:
        values[table.offsets[i] : table.offsets[i + 1]] = 0.0
    return replace(table, values=values), low


def jacobians(table: PanelData, log: Log, given: int) -> np.ndarray:
    """The log determinants of the logarithm's derivative, over all values but the given, [N]."""
    slopes = -np.log(table.values + log.shift)
    slopes[np.isnan(slopes)] = 0.0
    position = np.arange(len(slopes)) - np.repeat(table.offsets[:-1], table.lengths)
    slopes[position < given] = 0.0
    before = np.concatenate([[0.0], np.cumsum(slopes)])
    return before[table.offsets[1:]] - before[table.offsets[:-1]]
