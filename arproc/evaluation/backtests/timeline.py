"""Series laid on one axis of steps, so that all of them can be cut at the same moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from arproc.data.arrays import to_tensor
from arproc.data.calendar import Calendar, is_plain, is_time, regular, time_axis
from arproc.data.frames import native
from arproc.data.times import by_times
from arproc.errors import DataError, ParameterError
from arproc.models.panel.data import read

__all__ = ["Timeline", "lay_out"]


@dataclass(frozen=True)
class Timeline:
    """Series one after the other, each from its first known value to its last, on one axis.

    Attributes:
        values: float64 [total] or, of vectors, [total, d]; NaN where a value is missing.
        offsets: where each series begins among the values, int64 [N + 1].
        begins: at which step of the axis it begins, int64 [N].
        skipped: how many missing values the user's series has before that, int64 [N].
        names: what the series are called, [N].
        indexes: the labels of each, or one index shared by all, or none.
        calendar: how labels go on; None where they are no times.
        shift: at which step of the calendar the axis begins.
        components: what the components of vectors are called, [d]; none for scalars.
        whole: whether the values are symbols or counts, which models get as integers.
        covariates: what is known beside the values, of those to come as well, [total, c]; None
            where there is nothing.
        covariate_names: what they are called, [c].
    """

    values: np.ndarray
    offsets: np.ndarray
    begins: np.ndarray
    skipped: np.ndarray
    names: list[Any]
    indexes: tuple[Any, ...]
    calendar: Calendar | None
    shift: int
    components: tuple[Any, ...]
    whole: bool
    covariates: np.ndarray | None = None
    covariate_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def lengths(self) -> np.ndarray:
        """How many values from the first known to the last, int64 [N]."""
        return np.diff(self.offsets)

    @cached_property
    def ends(self) -> np.ndarray:
        """The step of the axis after the last value of each, int64 [N]."""
        return self.begins + self.lengths

    def index(self, i: int) -> Any:
        """The labels of series i, or None."""
        return self.indexes[0 if len(self.indexes) == 1 else i] if self.indexes else None

    @cached_property
    def last_known(self) -> np.ndarray:
        """Which of the values is the last known one up to each place, int64 [total]."""
        known = ~np.isnan(self.values.reshape(len(self.values), -1)).all(axis=1)
        return np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))

    def bounds(self, rows: Any, first: int, origin: int) -> tuple[Any, Any]:
        """Which of their own values series have from one step of the axis up to another."""
        begins, lengths = self.begins[rows], self.lengths[rows]
        low, high = (np.clip(step - begins, 0, lengths) for step in (first, origin))
        return low, high

    def cut(self, i: int, first: int, origin: int) -> Any:
        """What is known of series i before an origin, as models take it.

        A copy: what a model gets holds nothing of the future, not as the base of a view either.
        """
        low, high = self.bounds(i, first, origin)
        start = int(self.offsets[i])
        piece = self.values[start + low : start + high].copy()
        if self.whole and not np.isnan(piece).any():
            piece = piece.astype(np.int64)
        index = self.index(i)
        if index is None and not self.components:
            return piece
        import pandas as pd

        labels = None if index is None else index[low:high].copy()
        if not self.components:
            return pd.Series(piece, index=labels, name=self.names[i])
        if index is None and self.components == tuple(range(len(self.components))):
            return piece
        return pd.DataFrame(piece, index=labels, columns=list(self.components))

    def outcomes(self, rows: np.ndarray, origin: int, horizon: int) -> np.ndarray:
        """What came after an origin, [n, horizon] or [n, horizon, d]; NaN where nothing did."""
        at = (origin - self.begins[rows])[:, None] + np.arange(horizon)
        there = at < self.lengths[rows][:, None]
        place = self.offsets[rows][:, None] + np.where(there, at, 0)
        found = self.values[place]
        found[~there] = np.nan
        return found

    def labels(self, rows: np.ndarray, steps: np.ndarray) -> Any:
        """The labels of some series at steps of the axis at which they have a value, [n].

        Where there are none, their positions in the user's data.
        """
        import pandas as pd

        if not self.indexes:
            return pd.Index(steps + self.shift)
        local = steps - self.begins[rows]
        if len(self.indexes) == 1:
            return self.indexes[0].take(local)
        every = self.indexes[0].append(list(self.indexes[1:]))
        return every.take(self.offsets[rows] + local)

    def step_of(self, label: Any) -> int:
        """Which step of the axis carries a label."""
        import pandas as pd

        if self.calendar is None or self.calendar.kind == "numbers":
            raise ParameterError(
                f"start must be a number of values here; got the label {label!r}, and the data "
                "are not labelled by dates."
            )
        like = time_axis(self.index(0))
        try:
            if isinstance(like, pd.PeriodIndex):
                axis: Any = pd.PeriodIndex([label], freq=like.freq)
            else:
                axis = pd.DatetimeIndex([pd.Timestamp(label)])
                axis = (
                    axis if like.tz is None or axis.tz is not None else axis.tz_localize(like.tz)
                )
            return self.calendar.position(axis, "start") - self.shift
        except (ValueError, TypeError) as error:  # a DataError of the calendar is one of these
            raise ParameterError(
                f"start must be a number of values or a label of the data, as {like[0]}; got "
                f"{label!r} ({error})."
            ) from None


def lay_out(
    data: Any,
    columns: Sequence[str],
    *,
    vectors: bool,
    whole: bool,
    together: bool = False,
    freq: Any = None,
    covariates: Sequence[str] = (),
) -> Timeline:
    """The user's series on one axis: by their labels where these are times, else by position.

    Args:
        data: series of scalars in any form that `Panel` takes; or of vectors, [T, d], [N, T, d],
            DataFrames with a column for each component, or a list of these.
        columns: what a long table calls its columns.
        vectors: whether elements are vectors.
        whole: whether models get the values as integers.
        together: whether series without dates begin together, with missing values if need be, as
            for a law that counts their steps.
        freq: the step of their times, of scalars; None where they tell.
        covariates: the columns of a long table that are known beside the values.
    """
    beside = None
    if vectors:
        rows, indexes, names, components = _read_vectors(data)
    else:
        table = read(data, columns=columns, freq=freq, trim=False, covariates=covariates)
        beside = table.covariates  # a table with these is trimmed
        rows = [table.row(i) for i in range(len(table))]
        indexes, names, components = table.indexes, list(table.names), ()
    spans = [_span(row, name) for row, name in zip(rows, names, strict=True)]
    calendar, firsts = _placed(indexes, len(rows), names)
    if together and calendar is None:
        earliest = min(low for low, _ in spans)
        spans = [(earliest, high) for _, high in spans]
    skipped = np.array([low for low, _ in spans], dtype=np.int64)
    kept = [row[low:high] for row, (low, high) in zip(rows, spans, strict=True)]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in kept])]).astype(np.int64)
    begins = firsts + skipped
    shift = int(begins.min())
    if len(indexes) > 1 or (indexes and any(span != (0, len(rows[0])) for span in spans)):
        shared = len(indexes) == 1
        indexes = tuple(
            indexes[0 if shared else i][low:high] for i, (low, high) in enumerate(spans)
        )
    return Timeline(
        np.concatenate(kept), offsets, begins - shift, skipped, names, tuple(indexes), calendar,
        shift, components, whole, beside, tuple(covariates),
    )  # fmt: skip


def _span(row: np.ndarray, name: Any) -> tuple[int, int]:
    gone = np.isnan(row)
    known = np.flatnonzero(~(gone if row.ndim == 1 else gone.all(axis=1)))
    if not len(known):
        raise DataError(f"data, series {name!r}, has no values; leave it out.")
    return int(known[0]), int(known[-1]) + 1


def _placed(
    indexes: Sequence[Any], n: int, names: Sequence[Any]
) -> tuple[Calendar | None, np.ndarray]:
    """The calendar of the labels, and the step of it at which each series begins."""
    none = np.zeros(n, np.int64)
    labelled = bool(indexes) and all(
        time_axis(index) is not None and (is_time(index) or not is_plain(index))
        for index in indexes
    )
    if not labelled:
        return None, none
    longest = max(indexes, key=len)
    calendar = Calendar.of(longest)
    if calendar is None or len(indexes) == 1:
        return calendar, none
    found = [
        calendar.position(index, f"data, series {name!r},")
        for index, name in zip(indexes, names, strict=True)
    ]
    return calendar, np.array(found, dtype=np.int64)


def _read_vectors(
    data: Any,
) -> tuple[list[np.ndarray], tuple[Any, ...], list[Any], tuple[Any, ...]]:
    """Series of vectors: values, labels, names of the series and of the components."""
    items = list(data.values()) if isinstance(data, dict) else native(data)
    single = hasattr(items, "columns") or getattr(items, "ndim", 3) == 2
    items = [items] if single else list(items)
    names = list(data) if isinstance(data, dict) else list(range(len(items)))
    rows, indexes, components = [], [], set()
    for item, name in zip(items, names, strict=True):
        if hasattr(item, "columns"):
            item = by_times(item, f"data, series {name!r}")
            item = regular(item, f"data, series {name!r}", missing=True)
            indexes.append(item.index)
        array = to_tensor(item, "data").detach().cpu().double().numpy().copy()
        if array.ndim != 2 or not len(array):
            raise DataError(
                f"data, series {name!r}, has shape {array.shape}; expected [T, d], one a step."
            )
        rows.append(array)
        components.add(tuple(getattr(item, "columns", range(array.shape[1]))))
    if len(components) != 1 or len(indexes) not in (0, len(items)):
        raise DataError(
            "data has series of unlike components or labels; expected the same in all."
        )
    return rows, tuple(indexes), names, components.pop()
