"""One partition: rows of whole series as a panel, and what follows them as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.data.calendar import Calendar
from arproc.data.grid import labels_of, steps_of
from arproc.data.times import times_of
from arproc.errors import DataError
from arproc.models.panel.coming import InOrder
from arproc.models.panel.data import PanelData
from arproc.scale.source import arrow

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Part", "following", "panel_of", "rows_of", "times_in"]

_APART = 1000  # a series that spans so many times the steps that it has values is a mistake


@dataclass(frozen=True)
class Part:
    """Whole series of a table.

    Attributes:
        names: what they are called, an Arrow array [N].
        panel: those that can be read, in order, from the first known value to the last.
        rows: which they are, int64 [n].
        last: the steps of their last values, int64 [n].
        reasons: why the others can not be read, by number.
        beyond: covariates of steps after the last values: of which series by number int64 [m], at
            which steps int64 [m], and what they are [m, c].
    """

    names: Any
    panel: PanelData
    rows: np.ndarray
    last: np.ndarray
    reasons: dict[int, str]
    beyond: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def without(self, reasons: dict[int, str]) -> Part:
        """The same but for some series, by number, which can not be read either."""
        keep = np.flatnonzero(~np.isin(self.rows, list(reasons)))
        if len(keep) == len(self.rows):
            return replace(self, reasons=reasons | self.reasons)
        panel = replace(self.panel.select(keep), names=list(range(len(keep))))
        rows, last, reasons = self.rows[keep], self.last[keep], reasons | self.reasons
        return replace(self, panel=panel, rows=rows, last=last, reasons=reasons)


def times_in(table: pa.Table, column: str, called: str = "source") -> Any:
    """A column of times as an index of pandas."""
    import pandas as pd

    found = table[column].to_pandas(date_as_object=False)
    return pd.Index(times_of(found, called))


def panel_of(
    table: pa.Table, starts: np.ndarray, columns: Sequence[str], calendar: Calendar
) -> Part:
    """Read a table of whole series, one after the other.

    Args:
        table: the rows.
        starts: where each series begins, and the number of rows, int64 [N + 1].
        columns: of the names, the times and the values; then of covariates.
        calendar: the steps that the times go by.
    """
    pa, _ = arrow()
    key, time, value, *covariates = columns
    n, lengths = len(starts) - 1, np.diff(starts)
    names = table[key].combine_chunks().take(pa.array(starts[:-1]))
    y, times = _numbers(table[value], value), times_in(table, time)
    steps, on = steps_of(calendar, times)
    owner = np.repeat(np.arange(n), lengths)
    reasons: dict[int, str] = {}

    def exclude(rows: np.ndarray, reason: str) -> None:
        first = dict(zip(owner[rows][::-1].tolist(), rows[::-1].tolist(), strict=True))
        for i, row in first.items():
            reasons.setdefault(i, reason.format(time=times[row], value=y[row]))

    exclude(np.flatnonzero(~on), f"{{time}} in {time!r} is no step of those by {calendar.freq}")
    exclude(np.flatnonzero(np.isinf(y)), f"the value at {{time}} in {time!r} is {{value}}")
    gap = np.diff(steps)
    gap[starts[1:-1] - 1] = 1
    order = None
    if (gap < 1).any():  # not in order
        order = np.lexsort((steps, owner))
        steps, y, times = steps[order], y[order], times[order]
        gap = np.diff(steps)
        gap[starts[1:-1] - 1] = 1
        bad = np.isin(owner, np.array(list(reasons), np.int64))
        twice = np.flatnonzero((gap == 0) & ~bad[1:]) + 1
        exclude(twice, f"there is more than one row for {{time}} in {time!r}")
    good = ~np.isin(owner, np.array(list(reasons), np.int64))
    known = ~np.isnan(y) & good
    counts = np.bincount(owner[known], minlength=n)
    for i in np.flatnonzero(counts == 0).tolist():
        reasons.setdefault(i, f"there are no values in {value!r}")
    part = _filled(names, steps[known], y[known], owner[known], counts, reasons)
    if not covariates:
        return part
    beside = _columns(table, covariates, "source")
    beside = beside[good] if order is None else beside[order][good]
    return _beside(part, owner[good], steps[good], beside, covariates, calendar)


def _columns(table: pa.Table, names: Sequence[str], called: str) -> np.ndarray:
    """Covariates, [rows, c]; what is no number is nan."""
    found = np.stack([_numbers(table[name], name, called) for name in names], axis=1)
    return np.where(np.isfinite(found), found, np.nan)


def _beside(
    part: Part, owner: np.ndarray, steps: np.ndarray, covariates: np.ndarray,
    names: Sequence[str], calendar: Calendar,
) -> Part:  # fmt: skip
    """The series with their covariates at every step, those of which they are known."""
    panel, at = part.panel, np.full(len(part.names), -1)
    at[part.rows] = np.arange(len(part.rows))
    number = at[owner]
    first = part.last - panel.lengths + 1
    inside = (number >= 0) & (steps >= first[number]) & (steps <= part.last[number])
    after = (number >= 0) & (steps > part.last[number])
    beyond = owner[after], steps[after], covariates[after]
    found = np.full((len(panel.values), len(names)), np.nan)
    number = number[inside]
    found[panel.offsets[number] + steps[inside] - first[number]] = covariates[inside]
    panel = replace(panel, covariates=found, covariate_names=tuple(names))
    part = replace(part, panel=panel, beyond=beyond)
    reasons = {}
    for row, column in np.argwhere(np.isnan(found))[::-1].tolist():
        i = int(np.searchsorted(panel.offsets, row, side="right")) - 1
        step = labels_of(calendar, np.array([first[i] + row - panel.offsets[i]]))[0]
        reasons[int(part.rows[i])] = (
            f"it has no number in {names[column]!r} at {step}; covariates must be known at every "
            "step"
        )
    return part.without(reasons)


def following(
    part: Part, table: pa.Table, starts: np.ndarray, owner: np.ndarray, columns: Sequence[str],
    calendar: Calendar, horizon: int,
) -> tuple[Part, InOrder]:  # fmt: skip
    """The covariates of the next steps, and the series of which they are known.

    Args:
        part: the series.
        table: the rows of `future`, those of a series together.
        starts: where each of its series begins, and the number of rows, int64 [F + 1].
        owner: the number of each of its series in `part`, int64 [F].
        columns: of the names and the times, then of covariates.
        calendar: the steps that the times go by.
        horizon: how many steps.
    """
    covariates = columns[2:]
    at = np.full(len(part.names), -1)
    at[part.rows] = np.arange(len(part.rows))
    number = np.repeat(at[owner], np.diff(starts))
    steps, on = steps_of(calendar, times_in(table, columns[1], "future"))
    ahead = steps - part.last[number] - 1
    inside = on & (number >= 0) & (ahead >= 0) & (ahead < horizon)
    number, ahead = number[inside], ahead[inside]
    found = np.full((len(part.rows), horizon, len(covariates)), np.nan)
    found[number, ahead] = _columns(table, covariates, "future")[inside]
    count = np.zeros(found.shape[:2], np.int64)
    np.add.at(count, (number, ahead), 1)
    known = _known_beyond(part, at, found.shape)
    here = ~np.isnan(known[..., 0])
    found[here], count[here] = known[here], 1
    reasons: dict[int, str] = {}

    def exclude(wrong: np.ndarray, reason: str) -> None:
        for i, h, *column in np.argwhere(wrong)[::-1].tolist():
            step = labels_of(calendar, part.last[[i]] + 1 + h)[0]
            name = covariates[column[0]] if column else ""
            reasons[int(part.rows[i])] = reason.format(step=step, name=name)

    exclude(np.isnan(found), "future has no number in {name!r} at {step}")
    exclude(count > 1, "future has more than one row for {step}")
    values = found[~np.isin(part.rows, list(reasons))]
    return part.without(reasons), InOrder(dict(enumerate(values)), len(covariates))


def _known_beyond(part: Part, at: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Covariates beside missing last values, up to the first step that lacks some; else nan.

    Args:
        part: the series.
        at: the place of each among those that can be read, int64 [N].
        shape: of the result, [n, horizon, c].
    """
    found = np.full(shape, np.nan)
    if part.beyond is not None:
        owner, steps, values = part.beyond
        number = at[owner]
        ahead = steps - part.last[number] - 1
        inside = (number >= 0) & (ahead < shape[1])
        found[number[inside], ahead[inside]] = values[inside]
        whole = np.logical_and.accumulate(np.isfinite(found).all(axis=2), axis=1)
        found[~whole] = np.nan
    return found


def _filled(
    names: Any,
    steps: np.ndarray,
    y: np.ndarray,
    owner: np.ndarray,
    counts: np.ndarray,
    reasons: dict[int, str],
) -> Part:
    """The panel with nan at the steps that are left out."""
    rows = np.flatnonzero(counts)
    edges = np.concatenate([[0], np.cumsum(counts[rows])])
    first, last = steps[edges[:-1]], steps[edges[1:] - 1]
    spans = last - first + 1
    apart = spans > _APART * np.maximum(counts[rows], 10)
    for i, span in zip(rows[apart].tolist(), spans[apart].tolist(), strict=True):
        reasons[i] = f"its {counts[i]} values lie {span} steps apart; look at its times"
    keep = ~np.isin(owner, rows[apart])
    rows, first, last, spans = rows[~apart], first[~apart], last[~apart], spans[~apart]
    offsets = np.concatenate([[0], np.cumsum(spans)]).astype(np.int64)
    values = np.full(int(offsets[-1]), np.nan)
    shift = np.repeat(offsets[:-1] - first, counts[rows])
    values[steps[keep] + shift] = y[keep]
    gaps = bool(np.isnan(values).any())
    panel = PanelData(values, offsets, list(range(len(rows))), False, (), gaps)
    return Part(names, panel, rows, last, reasons)


def _numbers(column: Any, name: str, called: str = "source") -> np.ndarray:
    pa, _ = arrow()
    try:
        found = column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{called} has no numbers in {name!r}: {error}.") from None
    return np.array(found.to_numpy(), float)


def rows_of(
    part: Part,
    values: np.ndarray,
    levels: Sequence[float],
    columns: Sequence[str],
    calendar: Calendar,
    kind: Any,
) -> pa.Table:
    """A row for each series and step to come; without a time and values where it can not be read.

    Args:
        part: the series.
        values: mean and quantiles of those that can be read, [n, horizon, 1 + levels].
        levels: of the quantiles.
        columns: of the names and the times, and of the values, which have no place here.
        calendar: the steps that the times go by.
        kind: the Arrow type of the times.
    """
    pa, _ = arrow()
    n, (_, horizon, width) = len(part.names), values.shape
    every = np.full((n, horizon, width), np.nan)
    every[part.rows] = values
    steps = np.zeros((n, horizon), np.int64)
    steps[part.rows] = part.last[:, None] + np.arange(1, horizon + 1)
    unread = np.ones(n, bool)
    unread[part.rows] = False
    absent = np.repeat(unread, horizon)
    distinct, place = np.unique(steps[part.rows], return_inverse=True)
    at = np.zeros((n, horizon), np.int64)
    at[part.rows] = place.reshape(len(part.rows), horizon)
    labels = _labels(labels_of(calendar, distinct), kind)
    times = labels.take(pa.array(at.reshape(-1), mask=absent))
    names = part.names.take(pa.array(np.repeat(np.arange(n), horizon)))
    heads = [columns[0], columns[1], "mean", *[str(level) for level in levels]]
    numbers = [pa.array(every[..., k].reshape(-1), mask=absent) for k in range(width)]
    return pa.Table.from_arrays([names, times, *numbers], names=heads)


def _labels(index: Any, kind: Any) -> Any:
    """Labels as Arrow has them in the source; text stays text."""
    pa, _ = arrow()
    if not len(index):
        return pa.nulls(0, kind)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        whole = bool((index == index.normalize()).all())
        return pa.array(index.strftime("%Y-%m-%d" if whole else "%Y-%m-%dT%H:%M:%S"), kind)
    return pa.array(index).cast(kind)
