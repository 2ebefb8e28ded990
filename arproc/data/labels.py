"""What the data of `fit` were labelled with, and how later data are aligned with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from arproc.contract.storable import storable
from arproc.data.calendar import Calendar, is_plain, is_time, time_axis
from arproc.data.form import Form
from arproc.data.frames import by_series, native
from arproc.data.future import future_index
from arproc.data.times import by_times
from arproc.errors import DataError

__all__ = ["Labels", "aligned", "by_name", "labels_of", "names_of", "require_same_labels"]

Name = str | int


@storable
@dataclass(frozen=True)
class Labels:
    """The labels of the data that a model was fitted to; nothing where they had none.

    Attributes:
        features: the names of the components of vectors, or of the sites of examples.
        regressors: the names of the context's columns.
        calendar: which label is t = 0, and how labels go on.
        begins: the first value of a series, by which it is known again without labels.
        continues: whether sequences must begin at t = 0, as what follows a prefix.
    """

    features: tuple[Name, ...] = ()
    regressors: tuple[Name, ...] = ()
    calendar: Calendar | None = None
    begins: float | None = None
    continues: bool = False

    def over(self, other: Labels) -> Labels:
        """These labels, and the other ones where there are none."""
        timed = self.calendar is not None or self.begins is not None
        return Labels(
            self.features or other.features,
            self.regressors or other.regressors,
            self.calendar if timed else other.calendar,
            self.begins if timed else other.begins,
            self.continues,
        )

    def in_order(self, order: Sequence[int] | None) -> tuple[Name, ...]:
        """The names of the sites in the order of generation; None is the natural one."""
        if order is None or not self.features:
            return self.features
        return tuple(self.features[site] for site in order)

    def freq_of(self, index: Any) -> Any:
        """The calendar's step, for an index of its kind."""
        axis = time_axis(index)
        dates = getattr(axis, "freqstr", None) is not None or hasattr(axis, "tz")
        if self.calendar is None or axis is None or is_plain(index):
            return None
        kind = "numbers" if not dates else "periods" if not hasattr(axis, "tz") else "dates"
        return self.calendar.freq if kind == self.calendar.kind != "periods" else None

    def positions(self, form: Form, n: int, name: str) -> np.ndarray | None:
        """At which t each of n sequences begins, int64 [N]; None where labels do not say.

        Raises:
            DataError: the labels are others than those of the calendar.
        """
        if self.calendar is None or not form.indexes:
            return None
        shared = len(form.indexes) == 1
        found = []
        for index in form.indexes:
            if time_axis(index) is None or is_plain(index):
                return None  # rows that nobody labelled
            found.append(self.calendar.position(index, name) if len(index) else 0)
        if shared:
            found = found * n
        return np.array(found, dtype=np.int64) if len(found) == n else None

    def after(self, form: Form, length: int) -> Labels:
        """The labels of what follows one sequence of so many elements."""
        later = None
        if len(form.indexes) == 1 and length and time_axis(form.indexes[0]) is not None:
            calendar = Calendar.of(form.indexes[0], self.freq_of(form.indexes[0]))
            if calendar is not None:
                following = future_index(form.indexes[0], 1)
                whole = following.name != "step" or form.indexes[0].name == "step"
                later = Calendar.of(following, calendar.freq) if whole else None
        return replace(self, calendar=later, begins=None, continues=True)

    def renamed(self, names: Sequence[str]) -> list[str]:
        """The names of parameters, those of regressors in the place of x1, x2 ...

        Example:
            >>> Labels(regressors=("price",)).renamed(["x1", "x1.demand", "L1.x1.demand"])
            ['price', 'price.demand', 'L1.x1.demand']
        """

        def named(name: str) -> str:
            found = re.fullmatch(r"x([1-9]\d*)(\..*)?", name, re.DOTALL)
            if found is None or int(found[1]) > len(self.regressors):
                return name
            return f"{self.regressors[int(found[1]) - 1]}{found[2] or ''}"

        return [named(name) for name in names]


def names_of(data: Any) -> tuple[Name, ...]:
    """The names of the columns of a DataFrame (the first of a list); none where nobody named them.

    Example:
        >>> import pandas as pd
        >>> names_of(pd.DataFrame({"gdp": [1.0], "infl": [2.0]})), names_of(pd.DataFrame([[1.0]]))
        (('gdp', 'infl'), ())
    """
    if isinstance(data, (list, tuple)) and len(data):
        return names_of(data[0])
    columns = getattr(data, "columns", None)
    if columns is None or not hasattr(data, "iloc") or is_plain(columns):
        return ()
    plain = [name.item() if isinstance(name, np.integer) else name for name in columns]
    if not all(type(name) in (str, int) for name in plain) or len(set(plain)) < len(plain):
        return ()
    return tuple(plain)


def require_same_labels(**given: Any) -> None:
    """Raise `DataError` where numbers that go together step by step are labelled unlike.

    Args:
        given: arrays, lists, Series or DataFrames by the names of arguments; labels that nobody
            gave, and numbers without any, go by position.

    Example:
        >>> import pandas as pd
        >>> require_same_labels(forecast=pd.Series([1.0], index=["a"]), actual=[2.0])
    """
    known: dict[str, Any] = {}
    for name, value in given.items():
        index = getattr(value, "index", None)
        if index is not None and hasattr(index, "equals") and not is_plain(index):
            known[name] = index
    first = next(iter(known), None)
    for name, index in known.items():
        own = known[first]  # type: ignore[index]
        if len(index) == len(own) and not index.equals(own):
            raise DataError(
                f"{name} is labelled from {index[0]} to {index[-1]} and {first} from {own[0]} to "
                f"{own[-1]}{', in another order' if set(index) == set(own) else ''}; score the "
                "same steps in the same order, or take .to_numpy() to go by position."
            )


def by_name(data: Any, names: Sequence[Name], what: str, partial: bool = False) -> Any:
    """A DataFrame with the columns of these names, in this order.

    Args:
        data: a DataFrame; one whose columns nobody named is taken by position.
        names: what `fit` saw; nothing where it saw no names.
        what: what error messages call the data.
        partial: whether the first of the names are enough.

    Raises:
        DataError: a column lacks, or there is one that `fit` did not see.
    """
    if not names or not len(data.columns) or is_plain(data.columns):
        return data
    given = list(data.columns)
    extra = [name for name in given if name not in names]
    if extra:
        raise DataError(
            f"{what} has the column {extra[0]!r}, which the data of fit did not have; they had "
            f"{list(names)}. Drop or rename it, or take .to_numpy() to go by position."
        )
    if len(set(given)) < len(given):
        twice = next(name for name in given if given.count(name) > 1)
        raise DataError(f"{what} has more than one column named {twice!r}.")
    wanted = list(names[: len(given)] if partial else names)
    lacking = [name for name in wanted if name not in given]
    if lacking:
        raise DataError(
            f"{what} lacks the column {lacking[0]!r}; expected {wanted}, as in fit, in any order."
        )
    return data[wanted]


# ---- contexts ---------------------------------------------------------------------------------


def aligned(
    context: Any, names: Sequence[Name], kind: str, form: Form | None, lengths: Any, steps: int
) -> Any:
    """A context whose columns and rows are in the order of `fit` and of the sequences.

    Args:
        context: what the user gave; what has no labels stays as it is.
        names: of its columns, as in `fit`.
        kind: "static" or "steps".
        form: of the sequences, whose labels count; None where there are no sequences yet.
        lengths: how many elements each has.
        steps: how many steps the longest needs, those to come included.

    Raises:
        DataError: a label that is needed is not there.
    """
    context = native(context, "context")
    form = form or Form()
    ahead = max(0, steps - int(max(lengths, default=0)))
    if isinstance(context, (list, tuple)) and any(hasattr(one, "iloc") for one in context):
        indexes = form.indexes * len(context) if len(form.indexes) == 1 else form.indexes
        known = len(indexes) == len(context) and kind == "steps"
        parts = [
            _one(one, names, indexes[i] if known else None, int(lengths[i]) if known else 0, ahead)
            for i, one in enumerate(context)
        ]
        return _stacked(parts) if kind == "steps" else parts
    if not hasattr(context, "iloc"):
        return context
    if kind == "static":
        return _static(context, names, form, len(lengths))
    if context.index.nlevels > 1:
        return _of_series(context, names, form, lengths, ahead)
    shared = len(form.indexes) == 1 or (
        len(form.indexes) > 1 and all(form.indexes[0].equals(one) for one in form.indexes[1:])
    )
    if len(form.indexes) > 1 and not shared:
        parts = [
            _one(context, names, index, int(length), ahead)
            for index, length in zip(form.indexes, lengths, strict=True)
        ]
        return _stacked(parts)
    longest = int(max(lengths)) if len(lengths) else 0
    return _one(context, names, form.indexes[0] if shared else None, longest, ahead)


def _named(context: Any, names: Sequence[Name]) -> Any:
    if context.ndim == 2:
        return by_name(context, names, "context")
    if len(names) == 1 and isinstance(context.name, str) and context.name != names[0]:
        raise DataError(f"context is named {context.name!r}; expected {names[0]!r}, as in fit.")
    return context


def _one(context: Any, names: Sequence[Name], index: Any, length: int, ahead: int) -> Any:
    """A context by steps of a sequence with this index, and of so many steps that follow it."""
    if not hasattr(context, "iloc"):
        return context
    context = by_times(_named(context, names), "context")
    if index is None or not length or not _comparable(context.index, index):
        return context.to_numpy()
    first = _place(context.index, index[0], index)
    rest = context.iloc[first:]
    wanted = index[:length]
    if (later_steps := max(len(rest) - length, ahead)) > 0:
        later = future_index(index, later_steps)
        wanted = wanted.append(later) if later.name != "step" or index.name == "step" else wanted
    here = min(len(rest), len(wanted))
    same = np.asarray(rest.index[:here] == wanted[:here])
    if not same.all():
        at = int(np.flatnonzero(~same)[0])
        if at >= length and wanted[at] not in context.index:
            raise DataError(
                f"context has no row for {wanted[at]}, a step to come after the data; it has "
                f"{rest.index[at]} in its place."
            )
        _place(context.index, wanted[at], index)
        raise DataError(
            f"context is out of order: {rest.index[at]} stands in the place of {wanted[at]}. Sort "
            "it by its index, and keep one row of each label."
        )
    if len(rest) < length:
        _place(context.index, wanted[len(rest)], index)
    if len(rest) < min(length + ahead, len(wanted)):
        raise DataError(
            f"context has no row for {wanted[len(rest)]}, a step to come after the data; it ends "
            f"at {context.index[-1]}."
        )
    return rest.to_numpy()


def _place(have: Any, label: Any, index: Any) -> int:
    """Where a label that is needed stands."""
    found = np.flatnonzero(np.asarray(have == label))
    if not len(found):
        raise DataError(
            f"context has no row for {label}; expected one for each of the data's labels, "
            f"{index[0]} to {index[-1]}, and it has {have[0]} to {have[-1]}. Take .to_numpy() of "
            "it to go by position."
        )
    return int(found[0])


def _comparable(have: Any, want: Any) -> bool:
    """Whether two indexes are to be aligned: both were given by the user, or both are numbers."""
    numbers = [
        getattr(time_axis(one), "dtype", np.dtype("O")).kind in "iuf" for one in (have, want)
    ]
    if all(numbers):
        return True
    return not is_plain(have) and not is_plain(want)


def _stacked(parts: list[Any]) -> Any:
    """The contexts of several sequences as one array, the shorter ones filled up with zeros."""
    arrays = [np.asarray(part) for part in parts]
    arrays = [one[:, None] if one.ndim == 1 else one for one in arrays]
    longest = max(len(one) for one in arrays)
    if any(one.ndim != 2 or one.shape[1] != arrays[0].shape[1] for one in arrays):
        return parts
    kind = np.result_type(*arrays)
    kind = np.dtype(np.float64) if kind.kind not in "fc" else kind
    whole = np.zeros((len(arrays), longest, arrays[0].shape[1]), kind)
    for row, one in zip(whole, arrays, strict=True):
        row[: len(one)] = one
    return whole


def _of_series(context: Any, names: Sequence[Name], form: Form, lengths: Any, ahead: int) -> Any:
    """A context with an index of series and time, for each of the sequences its own."""
    parts, keys = by_series(context, "context")
    have = dict(zip(keys, parts, strict=True))
    wanted = list(form.names) if len(form.names) == len(lengths) else keys
    lacking = [name for name in wanted if name not in have]
    if lacking or len(wanted) != len(lengths):
        raise DataError(
            f"context has no rows for the series {(lacking or wanted)[0]!r}; it has {keys[:5]}, "
            f"and the data have {len(lengths)} series."
        )
    shared = len(form.indexes) == 1
    indexes = [None] * len(wanted) if not form.indexes else form.indexes
    found = [
        _one(have[name], names, indexes[0 if shared else i], int(lengths[i]), ahead)
        for i, name in enumerate(wanted)
    ]
    return _stacked(found)


def _static(context: Any, names: Sequence[Name], form: Form, n: int) -> Any:
    """One vector or label for each sequence."""
    if context.ndim == 1 and n != len(context) and len(names) == len(context) and names:
        return by_name(context.to_frame().T, names, "context").to_numpy()[0]  # one for all
    context = _named(context, names)
    rows = _row_labels(form)
    if rows is None or len(context) == 1 or len(rows) != n or not _comparable(context.index, rows):
        return context.to_numpy()
    if len(context) == n and np.asarray(context.index == rows).all():
        return context.to_numpy()
    if not context.index.is_unique:
        raise DataError("context has a label twice; expected one row for each sequence.")
    where = context.index.get_indexer(rows)
    if (where < 0).any():
        label = rows[int(np.flatnonzero(where < 0)[0])]
        raise DataError(
            f"context has no row for {label!r}, a label of the data; expected one for each. Take "
            ".to_numpy() of it to go by position."
        )
    return context.iloc[where].to_numpy()


def _row_labels(form: Form) -> Any:
    """The labels of the sequences: of a table's rows, or the names of series."""
    import pandas as pd

    if form.kind in ("rows", "table"):
        return form.indexes[0] if form.indexes else None
    return (
        pd.Index(form.names, tupleize_cols=False)
        if form.names and None not in form.names
        else None
    )


def labels_of(features: Sequence[Name], context: Any, form: Form, first: float | None) -> Labels:
    """The labels of the data of `fit`.

    Args:
        features: the names of components or sites.
        context: what the data are conditioned on.
        form: of the data as they were read.
        first: the first value.
    """
    context = native(context, "context")
    starts = [
        (index[0], index)
        for index in form.indexes
        if form.kind in ("series", "frame") and len(index) and time_axis(index) is not None
    ]
    kinds = {type(time_axis(index)) for _, index in starts}
    calendar = None
    if starts and (len(kinds) == 1 or all(not is_time(i) for _, i in starts)):
        calendar = Calendar.of(min(starts, key=lambda pair: pair[0])[1])
    regressors = names_of(context)
    single = getattr(context, "name", None)
    if not regressors and hasattr(context, "iloc") and isinstance(single, str):
        regressors = (single,)
    return Labels(tuple(features), regressors, calendar, first)
