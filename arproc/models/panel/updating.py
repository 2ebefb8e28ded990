"""Values that came later, put behind those that a panel was fitted to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from arproc.data.calendar import is_plain, time_axis
from arproc.errors import DataError
from arproc.models.panel.beyond import Beyond
from arproc.models.panel.data import PanelData
from arproc.models.panel.labels import calendar_of, end_of, restore_end
from arproc.models.panel.tables import future

__all__ = [
    "Series",
    "begins_with",
    "beyond_after",
    "by_name",
    "continued",
    "filled_between",
    "joined",
    "require_steps",
    "steps_of",
]


@dataclass(frozen=True)
class Series:
    """The series to which something is added.

    Attributes:
        names: what they are called, [N].
        lengths: how many values each has, int64 [N].
        ends: how each series' index ends, or that of all; see `end_of`.
    """

    names: Sequence[Any]
    lengths: np.ndarray
    ends: Sequence[dict[str, Any]]

    def end(self, i: int) -> dict[str, Any]:
        """How the index of series i ends."""
        if not self.ends:
            return end_of(None)
        return self.ends[0 if len(self.ends) == 1 else i]

    def ends_after(self, lengths: np.ndarray) -> list[dict[str, Any]]:
        """How the indexes end when the series are so long, int64 [N]."""
        more = (lengths - self.lengths).tolist()
        if len(self.ends) <= 1 and len(set(more)) == 1:
            return [self._after(0, more[0])] if self.ends else []
        return [self._after(i, extra) for i, extra in enumerate(more)] if self.ends else []

    def _after(self, i: int, extra: int) -> dict[str, Any]:
        end = self.end(i)
        index = restore_end(end)
        if index is None or not extra:
            return end
        following = future(index, int(self.lengths[i]), extra)
        if following.name == "step" and index.name != "step":  # its labels tell no step
            return end_of(None)
        # numbers tell their step by two of them, dates by their frequency
        return end_of(index.append(following) if end["kind"] == "number" else following)


def by_name(table: PanelData, names: Sequence[Any], what: str) -> PanelData:
    """Series by the names of those that were fitted; without any they are these, in their order.

    Raises:
        DataError: they have no names and are not as many, so that nobody knows which they are.
    """
    if not table.named and len(table) != len(names):
        raise DataError(
            f"{what} has {len(table)} series without names; expected {len(names)}, as in fit, or "
            "names that say which these are."
        )
    return table if table.named else replace(table, names=list(names), named=True)


def steps_of(
    series: Series, later: PanelData, is_whole: Callable[[int, np.ndarray], bool]
) -> dict[int, tuple[int, np.ndarray]]:
    """Of which series there are later values, and at which of its steps these begin.

    Args:
        series: what is known.
        later: what came, of some of the series by name.
        is_whole: whether values are those of series i from its beginning, where no labels tell.

    Raises:
        DataError: it is of other series, labelled otherwise, or from before they began.
    """
    place = {name: i for i, name in enumerate(series.names)}
    strange = [name for name in later.names if name not in place]
    if strange:
        raise DataError(
            f"data has {len(strange)} series that were not fitted: {strange[:3]}. Fit again to "
            "take new ones in, or leave them out."
        )
    found = {}
    for j, name in enumerate(later.names):
        if j in later.faults:
            raise DataError(f"data, series {name!r}: {later.faults[j]}")
        i, values = place[name], later.row(j)
        at = _step(series, i, later.index(j), name, values, is_whole)
        if at < 0:
            raise DataError(
                f"data, series {name!r}, begins {-at} step(s) before the data of fit; fit again, "
                "or leave these out."
            )
        found[i] = at, values
    return found


def begins_with(values: np.ndarray, known: np.ndarray) -> bool:
    """Whether values go on what is known, nan where that is."""
    n = len(known)
    return 0 < n <= len(values) and np.array_equal(values[:n], known, equal_nan=True)


def _step(
    series: Series,
    i: int,
    index: Any,
    name: Any,
    values: np.ndarray,
    is_whole: Callable[[int, np.ndarray], bool],
) -> int:
    calendar = calendar_of(series.end(i), int(series.lengths[i]))
    labelled = index is not None and not is_plain(index) and time_axis(index) is not None
    if calendar is not None and labelled and len(index):
        return calendar.position(index, f"data, series {name!r},")
    return 0 if is_whole(i, values) else int(series.lengths[i])


def joined(
    known: PanelData, begins: np.ndarray, later: Mapping[int, tuple[int, np.ndarray]]
) -> PanelData:
    """What is known with what came later: the latter where both say something, NaN between.

    Args:
        known: of all series the values, or the last of them.
        begins: at which of its steps each begins there, int64 [N]; what came from before is of no
            interest.
        later: of some series at which step what came begins, and its values.
    """
    rows = [known.row(i) for i in range(len(known))]
    for i, (at, values) in later.items():
        at, values = at - int(begins[i]), values[max(int(begins[i]) - at, 0) :]
        at = max(at, 0)
        row = np.full(max(len(rows[i]), at + len(values)), np.nan)
        row[: len(rows[i])] = rows[i]
        part = row[at : at + len(values)]
        part[:] = np.where(np.isnan(values), part, values)
        rows[i] = row
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    values = np.concatenate(rows)
    gaps = bool(np.isnan(values).any())
    return PanelData(values, offsets, list(known.names), True, (), gaps)


def continued(known: PanelData, series: Series, later: PanelData) -> PanelData:
    """Whole series with what came later of some of them, their covariates too.

    Args:
        known: the series that were fitted, from their beginnings.
        series: what they are called and how they end.
        later: what came.

    Raises:
        DataError: see `steps_of`; or a step between has covariates that nobody knows.
    """
    came = steps_of(series, later, lambda i, x: begins_with(x, known.row(i)))
    none = np.zeros(len(known), np.int64)
    table = joined(known, none, came)
    if known.covariates is None:
        return table
    place, columns = {name: j for j, name in enumerate(later.names)}, []
    for k in range(known.covariates.shape[1]):
        rows = later.covariate(k)
        new = {i: (at, rows.row(place[series.names[i]])) for i, (at, _) in came.items()}
        columns.append(joined(known.covariate(k), none, new).values)
    covariates = np.stack(columns, axis=1)
    every = replace(table, values=covariates.sum(axis=1))
    require_steps(every, series.names, known.covariate_names)
    return replace(table, covariates=covariates, covariate_names=known.covariate_names)


def beyond_after(beyond: Beyond, series: Series, later: PanelData, lengths: np.ndarray) -> Beyond:
    """What is known beside the steps after the last values, when `later` has come.

    Args:
        beyond: the same before.
        series: those to which it came.
        later: what came.
        lengths: how long the series are now, int64 [N].
    """
    found, new = beyond.rows(), later.beyond.rows()
    place = {name: i for i, name in enumerate(series.names)}
    for j, name in enumerate(later.names):
        if name not in place:
            continue
        i = place[name]
        before, now = int(series.lengths[i]), int(lengths[i])
        begin = _step(series, i, later.index(j), name, later.row(j), lambda _i, _x: True)
        # where labels tell nothing a series came from its beginning, or what came follows it
        end = now if now > before else begin + len(later.row(j))
        rows = {before + k: row for k, row in enumerate(found.pop(name, ()))}
        rows |= {end + k: row for k, row in enumerate(new.get(name, ()))}
        ahead: list[np.ndarray] = []
        while now + len(ahead) in rows:
            ahead.append(rows[now + len(ahead)])
        if ahead:
            found[name] = np.stack(ahead)
    return Beyond.by_name(found)


def filled_between(beyond: Beyond, series: Series, later: PanelData) -> PanelData:
    """What came, and before it the steps whose values never came but whose covariates are known.

    Args:
        beyond: what is known beside the steps after the last values of `series`.
        series: those to which it came.
        later: what came.
    """
    rows, place = beyond.rows(), {name: i for i, name in enumerate(series.names)}
    values, beside, indexes, gained = [], [], [], False
    for j, name in enumerate(later.names):
        own, index = slice(*later.offsets[j : j + 2].tolist()), later.index(j)
        values.append(later.values[own])
        beside.append(np.empty((len(values[-1]), 0)))
        if later.covariates is not None:
            beside[-1] = later.covariates[own]
        indexes.append(index)
        if name not in rows or name not in place or not len(later.row(j)):
            continue
        i = place[name]
        length = int(series.lengths[i])
        gap = _step(series, i, index, name, later.row(j), lambda _i, _x: True) - length
        if 0 < gap <= len(rows[name]):
            gained = True
            values[-1] = np.concatenate([np.full(gap, np.nan), values[-1]])
            beside[-1] = np.concatenate([rows[name][:gap], beside[-1]])
            before = future(restore_end(series.end(i)), length, gap)
            indexes[-1] = before.append(index).rename(index.name)
    if not gained:
        return later
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in values])]).astype(np.int64)
    return replace(
        later, values=np.concatenate(values), offsets=offsets, indexes=tuple(indexes), gaps=True,
        covariates=np.concatenate(beside),
    )  # fmt: skip


def require_steps(table: PanelData, names: Sequence[Any], covariates: Sequence[str]) -> None:
    """Raise `DataError` where a step of some series has no covariates."""
    gone = np.flatnonzero(np.isnan(table.values))
    if len(gone):
        i = int(np.searchsorted(table.offsets, gone[0], side="right")) - 1
        raise DataError(
            f"data, series {names[i]!r}: there are steps before it that are not known, and so "
            f"without {list(covariates)!r}; give these too, with a missing value."
        )
