"""Reading a panel: many series in any of the forms that users keep them in."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.data import intake
from arproc.data.calendar import Calendar, regular
from arproc.data.frames import native
from arproc.data.long_tables import (
    LONG,
    LongTable,
    check_columns,
    flat,
    is_long,
    is_long_by_name,
    read_long,
    require_all,
)
from arproc.data.table_forms import TableForm, narrowed, tell_unused, unused_numbers
from arproc.data.times import by_times, times_of
from arproc.errors import DataError
from arproc.models.panel.beyond import Beyond
from arproc.models.panel.covariates import covariates_of
from arproc.models.panel.files import columns_of_file
from arproc.process.reading import first_steps, stepped
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
    "require_values",
    "trimmed",
]


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
        faults: why series could not be read, by their numbers; they have no values.
        form: how the user's table was made, which forecasts have too.
        covariates: what is known beside the values, [total, c]; None where there is nothing.
        covariate_names: what they are called, [c].
        beyond: covariates of steps after the last values, by the series' names.
    """

    values: np.ndarray
    offsets: np.ndarray
    names: list[Any]
    named: bool
    indexes: tuple[Any, ...]
    gaps: bool
    first: np.ndarray | None = None
    faults: dict[int, str] = field(default_factory=dict)
    form: TableForm = field(default_factory=TableForm)
    covariates: np.ndarray | None = None
    covariate_names: tuple[str, ...] = ()
    beyond: Beyond = field(default_factory=Beyond)

    def __post_init__(self) -> None:
        # pandas' arrays are read-only: so are all, or kernels would be compiled once for each kind
        values = self.values.view()
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    @classmethod
    def kept(
        cls, values: np.ndarray, lengths: np.ndarray, names: Sequence[Any],
        covariates: np.ndarray | None, covariate_names: tuple[str, ...],
    ) -> PanelData:  # fmt: skip
        """Series that were fitted and kept, which begin where they began then."""
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(
            values, offsets, list(names), True, (), bool(np.isnan(values).any()),
            covariates=covariates, covariate_names=covariate_names,
        )  # fmt: skip

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

    def context(self, i: int, after: np.ndarray | None = None) -> Any:
        """The covariates of series i, and of steps after it [h, c], as a process takes them."""
        if self.covariates is None:
            return None
        import pandas as pd

        rows = self.covariates[self.offsets[i] : self.offsets[i + 1]]
        rows = rows if after is None else np.concatenate([rows, after])
        return pd.DataFrame(rows, columns=list(self.covariate_names))

    def covariate(self, j: int) -> PanelData:
        """The series of one covariate."""
        assert self.covariates is not None
        return replace(self, values=self.covariates[:, j], covariates=None, covariate_names=())

    def select(self, rows: np.ndarray) -> PanelData:
        """The series with these numbers, in this order."""
        parts = [self.row(i) for i in rows.tolist()]
        offsets = np.concatenate([[0], np.cumsum(self.lengths[rows])]).astype(np.int64)
        values = np.concatenate(parts) if parts else self.values[:0]
        shared = len(self.indexes) == 1
        indexes = self.indexes if shared else tuple(self.index(i) for i in rows.tolist())
        names = [self.names[i] for i in rows.tolist()]
        first = None if self.first is None else self.first[rows]
        beside = self.covariates
        if beside is not None:
            cuts = [slice(*self.offsets[i : i + 2].tolist()) for i in rows.tolist()]
            beside = np.concatenate([beside[:0], *(beside[cut] for cut in cuts)])
        faults = {j: self.faults[i] for j, i in enumerate(rows.tolist()) if i in self.faults}
        return PanelData(
            values, offsets, names, self.named, indexes if self.indexes else (), self.gaps, first,
            faults, self.form, beside, self.covariate_names, self.beyond,
        )  # fmt: skip

    def cut(self, lengths: np.ndarray) -> PanelData:
        """The first values of each series, so many, int64 [N]."""
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        pick = np.arange(int(offsets[-1])) + np.repeat(self.offsets[:-1] - offsets[:-1], lengths)
        indexes = self.indexes
        if indexes and bool((lengths < self.lengths).any()):
            indexes = tuple(self.index(i)[:n] for i, n in enumerate(lengths.tolist()))
        values, beside = self.values[pick], self.covariates
        return replace(
            self, values=values, offsets=offsets, indexes=indexes,
            gaps=self.gaps and bool(np.isnan(values).any()),
            covariates=None if beside is None else beside[pick], beyond=Beyond(),
        )  # fmt: skip

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
    data: Any,
    name: str = "data",
    columns: Sequence[str] = LONG,
    *,
    freq: Any = None,
    trim: bool = True,
    keep: bool = False,
    covariates: Sequence[str] = (),
    told: Sequence[str] = (),
) -> PanelData:
    """The user's panel.

    Args:
        data: a wide DataFrame (time down, a column for each series), an array [N, T], a list of
            series of any lengths, a dict of them by name, or a long DataFrame with the columns
            unique_id, ds (the time) and y; of pandas, polars or Arrow, or in a file of Parquet,
            Arrow or CSV. NaN is a missing value; at the ends of a series it is cut off.
        name: what error messages call the data.
        columns: what a long DataFrame calls those columns.
        freq: the step of the times, in pandas' words or a number; None where they tell.
        trim: whether missing values at the ends of a series are cut off.
        keep: whether series that can not be read stay, without values; `faults` says why.
        covariates: the columns of a long DataFrame that are read beside the values.
        told: the columns of numbers of which the user knows already that they are not used; of
            others there is a warning.

    Raises:
        DataError: what came is no panel of numbers.
    """
    if isinstance(data, PanelData):
        return data
    columns = check_columns(columns)
    wanted = [*columns, *covariates]
    unused: list[str] = []
    if isinstance(data, (str, os.PathLike)):
        data, unused = columns_of_file(data, wanted)
    form, unused = TableForm.of(data, columns), unused or unused_numbers(data, wanted)
    data = native(narrowed(data, wanted), name)
    if hasattr(data, "columns"):
        data = _wide(flat(data, wanted), name, columns)
        if is_long(data, columns):
            unused = unused or unused_numbers(data, wanted)
            tell_unused([one for one in unused if one not in told], wanted)
            form = replace(form, unused=tuple(unused))
            table = _of_long(read_long(data, name, columns, freq, keep), form)
            if not covariates:
                return _finished(table, trim, keep)
            found = covariates_of(data, name, columns, covariates, freq, table.lengths)
            return _beside(table, *found, tuple(covariates), name, keep)
    if covariates:
        raise DataError(
            f"{name} is no long table; covariates are columns of one, which has a row for each "
            f"value and the columns {', '.join(map(repr, wanted))}."
        )
    if isinstance(data, Mapping):
        if not data:
            raise DataError(f"{name} is an empty dict; expected some series.")
        names, items = list(data), list(data.values())
    else:
        names, items = None, data
    table = _read_items(items, name, names, freq, keep)
    return _finished(replace(table, form=form), trim, keep)


def _of_long(found: LongTable, form: TableForm) -> PanelData:
    return PanelData(
        found.values, found.offsets, found.names, True, found.indexes, False, None,
        found.faults, form,
    )  # fmt: skip


def _beside(
    table: PanelData, covariates: np.ndarray, faults: dict[int, str], names: tuple[str, ...],
    name: str, keep: bool,
) -> PanelData:  # fmt: skip
    """The same with its covariates, known at every step from the first value to the last.

    Series of which they are not have no values, and that for a reason, if they may stay.
    """
    if not keep:
        require_all(name, table.names, faults)
    table = replace(table, covariates=covariates, covariate_names=names)
    table = _without(table, faults | table.faults)
    beyond = Beyond.of(table.names, table.values, table.offsets, covariates)
    table = replace(trimmed(table), beyond=beyond)
    assert table.covariates is not None
    rows, columns = np.nonzero(~np.isfinite(table.covariates))
    series = np.searchsorted(table.offsets, rows, side="right") - 1
    missing: dict[int, str] = {}
    for i, row, column in zip(series.tolist(), rows.tolist(), columns.tolist(), strict=True):
        index, step = table.index(i), row - int(table.offsets[i])
        missing.setdefault(
            i,
            f"it has no number in {names[column]!r} at {index[step]}; covariates must be known "
            "at every step.",
        )
    if not keep:
        require_all(name, table.names, missing)
    return _finished(_without(table, missing | table.faults), True, keep)


def _without(table: PanelData, faults: dict[int, str]) -> PanelData:
    """The same without values in these series, and that for a reason."""
    gone = np.repeat(np.isin(np.arange(len(table)), list(faults)), table.lengths)
    return replace(table, values=np.where(gone, np.nan, table.values), faults=faults)


def _finished(table: PanelData, trim: bool, keep: bool) -> PanelData:
    """The same with what is missing at the ends cut off, and infinite series if some may go."""
    # one product over all values is nan or infinite where any is, and costs little
    with np.errstate(over="ignore", invalid="ignore"):
        whole = bool(np.isfinite(np.dot(table.values, table.values)))
    if not whole:
        table = _without_infinite(table) if keep else table
        table = trimmed(table) if trim and np.isnan(table.values).any() else table
    empty = np.flatnonzero(table.lengths == 0).tolist() if keep else []
    none = dict.fromkeys(empty, "it has no values.")
    return replace(table, faults=none | table.faults) if none else table


def _without_infinite(table: PanelData) -> PanelData:
    """The same with no values in series that have infinite ones, and that for a reason."""
    faults = dict(table.faults)
    bad = np.flatnonzero(np.isinf(table.values))
    for i in np.unique(np.searchsorted(table.offsets, bad, side="right") - 1).tolist():
        count = int(np.isinf(table.row(i)).sum())
        faults[i] = f"it has {count} infinite value(s); replace them by nan, a missing value."
    if len(faults) == len(table.faults):
        return table
    return _without(table, faults)


def _wide(frame: Any, name: str, columns: tuple[str, str, str]) -> Any:
    """A wide DataFrame with its times, if a column has them, as its index; a long one as it is."""
    if is_long_by_name(frame, columns):
        return frame
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"{name} has more than one column called {twice[0]!r}; rename one.")
    rest = frame.drop(columns=columns[1], errors="ignore")
    if rest.shape[1] in (0, frame.shape[1]) or is_long(rest, columns):
        return frame
    times = times_of(frame[columns[1]], name)
    return frame.assign(**{columns[1]: times}).set_index(columns[1])


def _read_items(
    items: Any, name: str, names: list[Any] | None, freq: Any, keep: bool
) -> PanelData:
    """Series that are no long table, those that can not be read without values if `keep`."""
    try:
        return _read_plain(items, name, names, freq)
    except DataError:
        if not keep or not isinstance(items, (list, tuple)) or not len(items):
            raise
    parts: list[PanelData | None] = []
    faults = {}
    for i, item in enumerate(items):
        try:
            parts.append(_read_plain([item], "it", None, freq))
        except DataError as error:
            faults[i] = str(error).replace("it[0]", "it")
            parts.append(None)
    if not any(part is not None for part in parts):
        return _read_plain(items, name, names, freq)
    lengths = [0 if part is None else len(part.values) for part in parts]
    indexes = [part.index(0) for part in parts if part is not None]
    labelled = all(index is not None for index in indexes)
    none = indexes[0][:0] if labelled else None
    return PanelData(
        np.concatenate([part.values for part in parts if part is not None]),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        list(range(len(items))) if names is None else names,
        names is not None,
        tuple(none if part is None else part.index(0) for part in parts) if labelled else (),
        False,
        None,
        faults,
    )


def _read_plain(items: Any, name: str, given: list[Any] | None, freq: Any) -> PanelData:
    items = _without_none(items)
    items = _in_step(items, name) if freq is None else stepped(items, freq, True)
    try:
        values, lengths, form = intake.read(items, Real(), None, name, missing=True)
    except DataError as error:
        raise DataError(_by_name(str(error), name, given)) from None
    array = values.detach().cpu().to(torch.float64).numpy()
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths.numpy(), out=offsets[1:])
    if len(offsets) == 1:
        raise DataError(f"{name} is empty; expected at least one series.")
    names = list(form.names) if given is None else given
    if given is not None and len(given) != len(lengths):
        raise DataError(f"{name} has {len(given)} names for {len(lengths)} series.")
    named = len(names) == len(lengths) and len(set(names)) == len(names) and None not in names
    if not named:
        names = list(range(len(lengths)))
    return PanelData(array, offsets, names, named, tuple(form.indexes), False)


def _without_none(items: Any) -> Any:
    """Lists of numbers with nan in the place of None."""
    if not isinstance(items, (list, tuple)):
        return items
    torn = [isinstance(x, (list, tuple)) and any(v is None for v in x) for x in items]
    if not any(torn):
        return items
    return [
        [math.nan if v is None else v for v in x] if gaps else x
        for x, gaps in zip(items, torn, strict=True)
    ]


def _by_name(message: str, name: str, given: list[Any] | None) -> str:
    """What is wrong with a series, by its name instead of its number."""
    if given is None:
        return message
    numbered = rf"\b{re.escape(name)}\[(\d+)\]"
    return re.sub(numbered, lambda m: f"{name}[{given[int(m[1])]!r}]", message, count=1)


def _in_step(items: Any, name: str) -> Any:
    """Series of too few dates to tell their step, by the one that all others agree on."""
    import pandas as pd

    if not isinstance(items, (list, tuple)):
        return items
    items = [by_times(item, f"{name}[{i}]") for i, item in enumerate(items)]
    indexes: list[Any] = [getattr(item, "index", None) for item in items]
    if not all(isinstance(index, pd.DatetimeIndex) for index in indexes):
        return items
    short = {i for i, index in enumerate(indexes) if index.freq is None and 0 < len(index) < 3}
    if not short:
        return items
    known = [Calendar.of(x) for i, x in enumerate(indexes) if i not in short and len(x)]
    steps = {None if one is None else one.freq for one in known}
    if len(steps) != 1 or steps == {None}:
        return items
    found, step = list(items), steps.pop()
    for i in short:
        with suppress(DataError):  # it has none of these steps
            found[i] = regular(items[i], "it", True, step)
    return found


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
    beside = None if table.covariates is None else table.covariates[pick]
    gaps = bool(np.isnan(values).any())
    return replace(
        table, values=values, offsets=offsets, indexes=indexes, gaps=gaps, covariates=beside
    )


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


def require_values(table: PanelData) -> None:
    """Raise `DataError` where a series has no values, or infinite ones."""
    empty = [name for name, n in zip(table.names, table.lengths.tolist(), strict=True) if not n]
    if empty:
        raise DataError(
            f"{len(empty)} series have no values, the first is {empty[0]!r}; leave them out, or "
            "use errors='keep', which leaves nan in their place."
        )
    bad = np.flatnonzero(np.isinf(table.values))
    if len(bad):
        i = int(np.searchsorted(table.offsets, bad[0], side="right") - 1)
        raise DataError(
            f"series {table.names[i]!r} has infinite values; replace them by nan, which is a "
            "missing value."
        )
