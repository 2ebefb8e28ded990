"""What a panel has learnt of its series, as an immutable value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np

from arproc.contract.checked import Array, sentences
from arproc.data.calendar import Calendar, is_plain, time_axis
from arproc.data.labels import Labels
from arproc.data.table_forms import TableForm
from arproc.errors import (
    DataError,
    ParameterError,
    PlaceWarning,
    warn,
)
from arproc.models.panel.beyond import Beyond
from arproc.models.panel.coming import (
    Known,
    faults_of,
)
from arproc.models.panel.data import PanelData, read
from arproc.models.panel.labels import calendar_of, restore_end
from arproc.models.panel.tables import forecast_table, future
from arproc.models.panel.updating import Series
from arproc.process import Process

if TYPE_CHECKING:
    pass

__all__ = ["FittedSeries"]


@dataclass(frozen=True, eq=False)
class FittedSeries(ABC):
    """The series of a panel and what was learnt of each.

    Attributes:
        process: what was fitted to each of them; itself it is not fitted.
        names: what the series are called, [N].
        named: whether the user named them.
        lengths: how many values each has from the first known to the last, int64 [N].
        status: "ok", or why there is no fit, [N].
        ends: how each series' index ends, or that of all; see `end_of`.
        form: how the user's table was made.
        beyond: covariates of steps after the last values.
    """

    process: Process
    names: Sequence[Any]
    named: bool
    lengths: Annotated[np.ndarray, Array("n_series", kind="int64", low=0)]
    status: Sequence[str]
    ends: Sequence[dict[str, Any]]
    form: TableForm = field(default_factory=TableForm, kw_only=True)
    beyond: Beyond = field(default_factory=Beyond, kw_only=True)

    def problems(self) -> Iterator[str]:
        """What does not fit together; see `arproc.contract.checked`."""
        yield from sentences(
            (not self.names, "there are no series"),
            (len(self.status) != len(self.names), f"status is of {len(self.status)} series, names "
             f"of {len(self.names)}"),
            (len(self.places) != len(self.names), "two series have one name"),
        )  # fmt: skip

    @property
    def n_series(self) -> int:
        """How many series there are, N."""
        return len(self.names)

    @abstractmethod
    def _fitted(self, i: int) -> Process:
        """The process of series i, which has a fit."""

    @abstractmethod
    def rows(self) -> list[dict[str, Any]] | dict[str, Any]:
        """The parameters as a DataFrame takes them, a row for each series."""

    @abstractmethod
    def likelihoods(self, data: PanelData, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities of the data of some series, nats, and of how many values they are."""

    @abstractmethod
    def forecast(
        self, history: Any, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None = None,
    ) -> Any:  # fmt: skip
        """A table of what follows; see `Panel.forecast`."""

    def every(
        self, history: Any, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None = None,
    ) -> Any:  # fmt: skip
        """`forecast` with rows of nan for the series that have no fit, and why in `attrs`."""
        rows = np.arange(len(self)) if history is None else self._rows_of(history)
        unread = {} if history is None else history.faults
        known = np.array([self.status[i] == "ok" for i in rows.tolist()], dtype=np.bool_)
        known[list(unread)] = False
        labels = self.labels(history, rows, horizon)
        names = [self.names[i] for i in rows.tolist()]
        some: Any = self
        if future is not None and (wrong := faults_of(future, names, labels)):
            unread, known[list(wrong)] = wrong | unread, False
            some = replace(self, status=self._status_with({int(rows[j]): wrong[j] for j in wrong}))
        values = np.full((len(rows), horizon, 1 + len(levels)), np.nan)
        if known.any():
            part = None if history is None else history.select(np.flatnonzero(known))
            made = some.forecast(part, horizon, levels, seed, future)
            values[known] = made.to_numpy().reshape(int(known.sum()), horizon, -1)
        table = forecast_table(names, labels, values, ["mean", *levels])
        reasons = {
            self.names[i]: unread.get(j, self.status[i])
            for j, i in enumerate(rows.tolist())
            if not known[j]
        }
        if reasons:
            table.attrs["status"] = reasons
        return table

    def _status_with(self, wrong: Mapping[int, str]) -> list[str]:
        """The status of the series, some of which have no forecast for another reason."""
        return [s if s != "ok" else wrong.get(i, s) for i, s in enumerate(self.status)]

    def labels(self, history: PanelData | None, rows: np.ndarray, horizon: int) -> list[Any]:
        """The labels of the future steps of some series, one index each."""
        if history is not None:
            lengths = history.lengths.tolist()
            return [future(history.index(j), lengths[j], horizon) for j in range(len(rows))]
        found, lengths = [], self.lengths.tolist()
        for i in rows.tolist():
            end = None if not self.ends else self.ends[0 if len(self.ends) == 1 else i]
            index = None if end is None else restore_end(end)
            found.append(future(index, lengths[i], horizon))
        return found

    def begins(self, data: PanelData, rows: np.ndarray) -> np.ndarray | None:
        """At which step of its series in `fit` each of the data begins, int64 [n].

        As the user said, else by the labels of both; None where neither tells.
        """
        if data.first is not None or not data.indexes:
            return data.first
        found = []
        for j, i in enumerate(rows.tolist()):
            calendar, index = self.calendar(i), data.index(j)
            if calendar is None or is_plain(index) or time_axis(index) is None:
                return None
            found.append(calendar.position(index, f"data, series {data.names[j]!r},"))
        return np.array(found, dtype=np.int64)

    def first_steps(
        self, data: PanelData, rows: np.ndarray, are_own: Callable[[], bool]
    ) -> np.ndarray | None:
        """`begins`, of a process that counts time; a warning where nothing tells, unless own."""
        first = self.begins(data, rows)
        if first is None and not are_own():
            warn(
                "the panel's process has a trend or seasons, and nothing says at which step each "
                "series begins: they are taken to begin at t = 0, as those of fit did. Say "
                "offset= (the number of steps since then; 0 where it is right), or give both a "
                "labelled index.",
                PlaceWarning,
            )
        return first

    def placed_at(self, one: Process, i: int, first: float, covariates: Sequence[str]) -> Process:
        """Series i's process, which knows its covariates and, if it counts time, where t = 0 is.

        Args:
            one: the process.
            i: the series' number.
            first: its first value, by which it is known again.
            covariates: the names of its regressors.
        """
        calendar, begins = None, None
        if self.process._counts_time:
            calendar, begins = self.calendar(i), first
        elif not covariates:
            return one
        labels = Labels(regressors=tuple(covariates), calendar=calendar, begins=begins)
        fit = replace(one.fit_, labels=labels)
        return type(one).of(one.law_, fit, **one.get_params(deep=False))

    def calendar(self, i: int) -> Calendar | None:
        """The labels of series i in `fit`; None where they tell no step."""
        if not self.ends:
            return None
        return calendar_of(self.ends[0 if len(self.ends) == 1 else i], int(self.lengths[i]))

    def placed(self, data: PanelData, rows: np.ndarray) -> list[tuple[Any, int | None]]:
        """Each of the series, and the step at which it begins; labelled where none is known."""
        first = self.begins(data, rows)
        if first is None:
            return [(data.series(j), None) for j in range(len(data))]
        return [(data.row(j), int(first[j])) for j in range(len(data))]

    @property
    def series(self) -> Series:
        """What the series are called, how long they are, how their labels end."""
        return Series(self.names, self.lengths, self.ends)

    @abstractmethod
    def updated(self, later: PanelData) -> Self:
        """The same with what came later: forecasts go on from there."""

    @property
    def takes_covariates(self) -> bool:
        """Whether it needs those of the steps to come."""
        return self.process.context_kind is not None

    def without_covariances(self) -> FittedSeries:
        """The same without the covariances of the estimates, if there are any at all."""
        return self

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def places(self) -> dict[Any, int]:
        """The numbers of the series by their names."""
        return {name: i for i, name in enumerate(self.names)}

    def fitted_rows(self) -> np.ndarray:
        """The numbers of the series that have a fit, of which there is one at least."""
        rows = np.flatnonzero([status == "ok" for status in self.status])
        if not len(rows):
            raise DataError("none of the series has a fit.")
        return rows

    def number(self, key: Any) -> int:
        """The number of the series called `key`, or of that number."""
        try:
            if key in self.places:
                return self.places[key]
        except TypeError:  # a list, say, is no name
            pass
        if isinstance(key, (int, np.integer)) and -len(self) <= key < len(self):
            return int(key) % len(self)
        raise ParameterError(f"there is no series {key!r}; the panel has {len(self)} series.")

    def fitted(self, i: int) -> Process:
        """The process of series i; `DataError` where it has no fit."""
        self._require_fit(i)
        return self._fitted(i)

    def _require_fit(self, i: int, advice: str = "") -> None:
        if self.status[i] != "ok":
            raise DataError(f"series {self.names[i]!r} has no fit: {self.status[i]}{advice}")

    def matched(self, data: Any) -> tuple[PanelData, np.ndarray]:
        """The user's data, and the numbers of the series that they are of."""
        table = read(data)
        for j, reason in table.faults.items():
            raise DataError(f"series {table.names[j]!r} can not be read: {reason}")
        rows = self._rows_of(table)
        for i in rows.tolist():
            self._require_fit(i, " Leave it out.")
        return table, rows

    def _rows_of(self, table: PanelData) -> np.ndarray:
        """The numbers of the series that a panel is of."""
        if table.named and self.named:
            strange = [name for name in table.names if name not in self.places]
            if strange:
                raise DataError(
                    f"data has {len(strange)} series that were not fitted: {strange[:3]}"
                )
            rows = np.array([self.places[name] for name in table.names])
        elif len(table) != len(self):
            raise DataError(
                f"data has {len(table)} series without names; expected {len(self)}, as in fit."
            )
        else:
            rows = np.arange(len(table))
        for j in np.flatnonzero(table.lengths == 0).tolist():
            if j not in table.faults:
                raise DataError(f"series {table.names[j]!r} has no values; leave it out.")
        return rows
