"""What a panel has learnt, as immutable values; and the base of those who hold one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np

from arproc.contract.checked import Array, sentences
from arproc.contract.parameters import Parameters, is_learnt
from arproc.contract.randomness import derived_seed, resolve_seed
from arproc.contract.storable import storable
from arproc.data.calendar import Calendar, is_plain, time_axis
from arproc.data.frames import native
from arproc.data.labels import Labels
from arproc.data.table_forms import TableForm
from arproc.errors import (
    ArprocError,
    DataError,
    NotFittedError,
    ParameterError,
    PlaceWarning,
    ReadOnlyError,
    UnsupportedError,
    check_count,
    shown,
    warn,
)
from arproc.models.panel.beyond import Beyond
from arproc.models.panel.coherent import as_quantiles, coherent_paths
from arproc.models.panel.coming import (
    Continued,
    Future,
    InOrder,
    Known,
    about_constants,
    faults_of,
)
from arproc.models.panel.covariates import check_covariates
from arproc.models.panel.data import PanelData, check_columns, read, require_values
from arproc.models.panel.labels import calendar_of, end_of, restore_end
from arproc.models.panel.tables import forecast_table, future
from arproc.models.panel.updating import Series, continued
from arproc.process import Process

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["FittedEach", "FittedSeries", "PanelModel"]


class PanelModel(Parameters, ABC):
    """Parameters, and one immutable value that `fit` replaces whole on its last line.

    Its `names_` is the value's `names`, and so on: arrays are seen as read-only views, sequences
    as copies.

    Attributes:
        learnt_: the value; None before there is one.
    """

    learnt_: Any = None
    columns: Sequence[str]
    freq: Any
    errors: str
    covariates: Sequence[str] | None

    @classmethod
    def of(cls, learnt: Any, **parameters: Any) -> Self:
        """One that holds what was learnt elsewhere."""
        model = cls(**parameters)
        model.learnt_ = learnt
        return model

    def _read(
        self, data: Any, offset: Any = None, name: str = "data", *, fitting: bool = False
    ) -> PanelData:
        """The user's panel; series that can not be read stay without values if errors do.

        Of columns that are not used the user is told once: by `fit`, and later of others alone.
        """
        told = () if fitting or self.learnt_ is None else self.learnt_.form.unused
        keep, beside = self.errors == "keep", self._covariates
        found = read(
            data, name, self.columns, freq=self.freq, keep=keep, covariates=beside, told=told
        )
        return found.begun(offset)

    @property
    def _covariates(self) -> tuple[str, ...]:
        """The columns of a long table that are read beside the values."""
        return check_covariates(self.covariates, check_columns(self.columns))

    def _future(self, future: Any, history: PanelData | None = None) -> Known | None:
        """The covariates of the steps to come, where there are any.

        Those that are known beside missing last values, of the history or of the data of `fit`,
        need not be told again.
        """
        if not self._covariates:
            if future is not None:
                raise ParameterError(
                    "future is for a panel with covariates; this one has none. Their columns "
                    "are named by covariates=, as AutoPanel(covariates=['price'])."
                )
            return None
        if isinstance(future, InOrder):  # of the very next steps
            return future
        known = (self._learnt if history is None else history).beyond.rows()
        if future is None and not known:
            raise ParameterError(
                f"the panel has the covariates {list(self._covariates)!r}, and a forecast needs "
                "those of the steps to come: give future=, a long table with them."
            )
        then = future
        if future is not None and not isinstance(future, Known):
            columns = check_columns(self.columns)
            then = Future.of(future, columns, self._covariates, self.freq)
        return Continued(known, then) if known else then

    def _went_on(self, later: PanelData) -> Self:
        """The same with what came later."""
        learnt = self._learnt
        beyond = learnt.beyond.after(later.names, later.beyond)
        return type(self).of(
            replace(learnt.updated(later), beyond=beyond), **self.get_params(deep=False)
        )

    def forecast(
        self,
        horizon: int,
        quantiles: tuple[float, ...] = (0.05, 0.5, 0.95),
        seed: int | torch.Generator | None = None,
        *,
        history: Any = None,
        offset: Any = None,
        future: Any = None,
    ) -> pd.DataFrame:
        """Forecast the next `horizon` values of every series.

        Args:
            horizon: how many steps.
            quantiles: which quantiles, each in (0, 1).
            seed: of the simulation, for processes whose forecasts are simulated.
            history: what is known, a panel; by default the data of `fit` (autoregressions keep
                of them what that needs). Each series is continued from its last known value. Of
                an `AutoPanel` it has all series.
            offset: at which step each series of the history begins, as for `Panel.log_prob`.
            future: of a panel with covariates those of the steps to come: a long table with names,
                times and covariates, and a row for each series and step. Others may be there, and
                those of steps whose values alone are missing need not.

        Returns:
            A DataFrame with a row for each series and step and the columns "mean" and one for
            each quantile; nan for series without a fit, and why in `.attrs["status"]`.
        """
        from arproc.forecasting.forecast import levels_of

        if isinstance(horizon, Sized) and not isinstance(horizon, str):
            raise ParameterError(
                f"horizon must be an integer; got {shown(horizon)}. What is known of a panel is "
                "named: forecast(3, history=data)."
            )
        learnt, steps = self._learnt, check_count("horizon", horizon, minimum=1)
        levels, known = levels_of(quantiles), self._history(history, offset)
        form = learnt.form if known is None else known.form
        return form.restore(self._ahead(known, steps, levels, seed, self._future(future, known)))

    @abstractmethod
    def _history(self, history: Any, offset: Any = None) -> PanelData | None:
        """What the user says is known; None for the data of `fit`."""

    @abstractmethod
    def _ahead(
        self, known: PanelData | None, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None,
    ) -> pd.DataFrame:  # fmt: skip
        """A table of what follows."""

    @abstractmethod
    def paths_of(self, table: PanelData, horizon: int, n: int, seed: int) -> np.ndarray:
        """Draws of what follows each series of a panel, [N, n, horizon]."""

    def reconcile(
        self,
        history: Any,
        summing: Any,
        horizon: int,
        method: str = "mint-shrink",
        quantiles: tuple[float, ...] = (0.05, 0.5, 0.95),
        n_paths: int = 1000,
        seed: Any = None,
    ) -> Any:
        """Forecasts of series that are sums of one another, which add up as they do.

        Means are reconciled as by `arproc.reconcile`; quantiles are those of `coherent_paths`.

        Args:
            history: what is known, a panel with all series, which end together.
            summing: how they add up: the summing matrix of `arproc.aggregate`, or a dict from
                each total to its parts.
            horizon: how many steps.
            method: "bottom-up", "ols", "wls" or "mint-shrink", the latter two by the errors of
                forecasts of one step over the end of the history.
            quantiles: which quantiles, each in (0, 1).
            n_paths: how many paths these are taken of.
            seed: of the paths.

        Returns:
            A table as that of `forecast`, of all levels' series by name.
        """
        from arproc.forecasting.forecast import levels_of

        levels = levels_of(quantiles)
        table, means, paths = self._coherent(history, summing, horizon, method, n_paths, seed)
        values = np.concatenate([means[..., None], as_quantiles(paths, levels)], axis=-1)
        labels = [
            future(table.index(i), int(table.lengths[i]), horizon) for i in range(len(table))
        ]
        made = forecast_table(list(table.names), labels, values, ["mean", *levels])
        return table.form.restore(made)

    def coherent_paths(
        self,
        history: Any,
        summing: Any,
        horizon: int,
        n: int = 1000,
        method: str = "mint-shrink",
        seed: Any = None,
    ) -> np.ndarray:
        """Draw paths of series that are sums of one another, each of which adds up.

        Args:
            history: as for `reconcile`.
            summing: as for `reconcile`.
            horizon: how many steps.
            n: how many paths.
            method: as for `reconcile`.
            seed: an int or a `torch.Generator`.

        Returns:
            Draws [N, n, horizon], the series in the order of `names_`.
        """
        return self._coherent(history, summing, horizon, method, n, seed)[2]

    def _coherent(
        self, history: Any, summing: Any, horizon: int, method: str, n: int, seed: Any
    ) -> tuple[PanelData, np.ndarray, np.ndarray]:
        learnt, horizon = self._learnt, check_count("horizon", horizon, minimum=1)
        if self._covariates:
            raise UnsupportedError("series with covariates are not reconciled; leave these out.")
        n = check_count("n_paths", n, minimum=2)
        for name, status in zip(learnt.names, learnt.status, strict=True):
            if status != "ok":
                raise DataError(f"series {name!r} has no fit, so nothing adds up: {status}")
        if history is None:
            raise DataError(
                "history is needed, with all series: what their errors of one step have in common "
                "is seen there. The data of fit will do."
            )
        known = self._read(history, name="history")
        place = {name: i for i, name in enumerate(known.names)}
        if set(place) != set(learnt.names):
            odd = sorted(set(place) ^ set(learnt.names), key=str)
            raise DataError(
                f"history and the panel do not name the same series: {odd[:5]} differ."
            )
        table = replace(known.select(np.array([place[x] for x in learnt.names])), named=True)
        require_values(table)
        summing = native(summing, "summing")
        base = resolve_seed(seed)
        return table, *coherent_paths(self, table, summing, horizon, method, n, base)

    @property
    def _learnt(self) -> Any:
        """What was learnt; `NotFittedError` before there is anything."""
        if self.learnt_ is None:
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted yet; call fit(data) first."
            )
        return self.learnt_

    def __sklearn_is_fitted__(self) -> bool:
        return self.learnt_ is not None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            own = getattr(type(self), name, None)
            if isinstance(own, property):  # one that raised AttributeError: let it say so
                return own.fget(self)
            value = getattr(self._learnt, name[:-1], None) if is_learnt(name) else None
            if value is None or callable(value):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            if isinstance(value, np.ndarray):
                value = value.view()
                value.flags.writeable = False
            return list(value) if isinstance(value, (list, tuple)) else value

    def __setattr__(self, name: str, value: Any) -> None:
        if is_learnt(name) and name != "learnt_":
            raise ReadOnlyError(f"{name} was learnt and is read-only; fit again.")
        super().__setattr__(name, value)

    @abstractmethod
    def others(self, data: Any) -> Self:
        """The same of other series, with what those of `fit` have in common."""

    @abstractmethod
    def check_parts(self) -> None:
        """Raise `UnsupportedError` where a panel in parts would not give what it gives in one."""

    def save(self, path: str | Path) -> None:
        """Write all to one file, which `arproc.load` reads."""
        _ = self._learnt
        from arproc.process.persistence import save

        save(self, path)


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
            calendar = self.calendar(i)
            begins = first if calendar is None else None
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


class Kept(FittedSeries):
    """Series that are kept, from which forecasts go on.

    Attributes:
        values: one after the other, nan where one is missing, [total].
        covariates: what is known beside them, [total, c]; None where there is nothing.
        covariate_names: what they are called, [c].
    """

    values: np.ndarray
    covariates: np.ndarray | None
    covariate_names: tuple[str, ...]

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        total = sum(self.lengths.tolist())  # of Python, which does not overflow
        width = 0 if self.covariates is None else self.covariates.shape[1]
        yield from sentences(
            (total != len(self.values), f"the series are of {total} values by their lengths; "
             f"there are {len(self.values)}"),
            (width != len(self.covariate_names), f"there are {width} columns of covariates for "
             f"{len(self.covariate_names)} names"),
        )  # fmt: skip

    @property
    def own(self) -> PanelData:
        """The series that were fitted; they begin where their processes' data did."""
        offsets = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        gaps = bool(np.isnan(self.values).any())
        return PanelData(
            self.values, offsets, list(self.names), True, (), gaps, covariates=self.covariates,
            covariate_names=self.covariate_names,
        )  # fmt: skip

    def updated(self, later: PanelData) -> Self:
        table = continued(self.own, self.series, later)
        ends = self.series.ends_after(table.lengths)
        same: Any = self  # of a dataclass that has the values
        return replace(
            same, values=table.values, lengths=table.lengths, ends=ends,
            covariates=table.covariates,
        )  # fmt: skip


@storable
@dataclass(frozen=True, eq=False)
class FittedEach(Kept):
    """Series that were fitted one after the other.

    Attributes:
        processes: of the series, [N]; where there is no fit, one that is not fitted.
        values: the series one after the other, from which forecasts go on, [total].
        covariates: what is known beside them, [total, c]; None where there is nothing.
        covariate_names: what they are called, [c].
    """

    processes: Sequence[Process]
    values: Annotated[np.ndarray, Array("v", nan=True)]
    covariates: Annotated[np.ndarray | None, Array("v", "c")] = None
    covariate_names: tuple[str, ...] = ()

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        pairs = zip(self.processes, self.status, strict=False)
        bare = any(s == "ok" and not p.__sklearn_is_fitted__() for p, s in pairs)
        yield from sentences(
            (len(self.processes) != len(self.names), f"there are {len(self.processes)} processes"),
            (bare, "the process of a series that has a fit has none"),
        )  # fmt: skip

    @classmethod
    def fit(cls, process: Process, data: PanelData) -> FittedEach:
        """Fit a process to each series."""
        processes, status = [], []
        for i in range(len(data)):
            model, outcome = process.clone(), data.faults.get(i, "ok")
            try:
                if outcome == "ok":
                    model.fit(data.series(i), context=data.context(i))
            except ArprocError as error:
                outcome = f"{error}{about_constants(data, i)}"
            processes.append(model)
            status.append(outcome)
        ends = [end_of(index) for index in data.indexes]
        named = (data.names, data.named, data.lengths, status, ends)
        beside = data.covariates, data.covariate_names
        return cls(process, *named, processes, data.values, *beside, form=data.form)

    def _fitted(self, i: int) -> Process:
        return self.processes[i]

    def rows(self) -> list[dict[str, Any]]:
        found = []
        for model, status in zip(self.processes, self.status, strict=True):
            known: Any = model if status == "ok" and hasattr(model, "estimates_") else None
            row = {} if known is None else dict(zip(known.names_, known.estimates_, strict=True))
            found.append(row | {"status": status})
        return found

    def likelihoods(self, data: PanelData, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, counts = np.empty(len(rows)), np.empty(len(rows), np.int64)
        placed = self.placed(data, rows)
        for j, i in enumerate(rows.tolist()):
            model, (x, offset) = self.processes[i], placed[j]
            values[j] = model.log_prob(x, context=data.context(j), offset=offset)
            counts[j] = (~np.isnan(data.row(j))).sum() - model.n_given
        return values, counts

    def forecast(
        self, history: Any, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        if history is None:
            rows = np.array([i for i, status in enumerate(self.status) if status == "ok"])
            if not len(rows):
                raise DataError("none of the series has a fit.")
            data = self.own.select(rows)
            labels = self.labels(None, rows, horizon)
        else:
            data, rows = self.matched(history)
            labels = self.labels(data, rows, horizon)
        base, parts, placed = resolve_seed(seed), [], self.placed(data, rows)
        for j, i in enumerate(rows.tolist()):
            own, (x, offset) = derived_seed(base, i), placed[j]
            after = None if future is None else future.at(data.names[j], labels[j])
            made = self.processes[i].forecast(
                x, horizon, tuple(levels), own, context=data.context(j, after), offset=offset
            )
            parts.append(made)
        values = np.stack([part.to_numpy() for part in parts])
        return forecast_table(data.names, labels, values, ["mean", *levels])
