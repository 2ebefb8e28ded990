"""Covariates of the steps to come: read by their labels, or taken in their order."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from arproc.data.frames import native
from arproc.data.long_tables import flat, read_long
from arproc.data.table_forms import narrowed
from arproc.errors import DataError, ParameterError
from arproc.models.panel.covariates import require_covariates
from arproc.models.panel.data import PanelData
from arproc.models.panel.files import columns_of_file

__all__ = [
    "Continued",
    "Future",
    "InOrder",
    "Known",
    "about_constants",
    "faults_of",
    "to_come",
    "without_faults",
]


class Known(ABC):
    """Covariates of steps to come."""

    @abstractmethod
    def fault(self, name: Any, steps: Any) -> str | None:
        """What is wrong with those of a series at these steps, an index; None where nothing is."""

    @abstractmethod
    def rows(self, name: Any, steps: Any) -> np.ndarray:
        """Those of a series at these steps, [horizon, c], where nothing is wrong."""

    def at(self, name: Any, steps: Any) -> np.ndarray:
        """Those of a series at these steps, [horizon, c].

        Raises:
            DataError: some are not there.
        """
        wrong = self.fault(name, steps)
        if wrong is not None:
            raise DataError(wrong)
        return self.rows(name, steps)


def to_come(future: Known | None, names: Sequence[Any], labels: Sequence[Any]) -> np.ndarray:
    """The covariates of the next steps of all series, [N, horizon, c].

    Args:
        future: where they stand.
        names: of the series.
        labels: of their steps to come, one index for each or one for all.
    """
    if future is None:
        raise ParameterError("the series have covariates; those of the steps to come are needed.")
    shared = len(labels) == 1
    return np.stack([future.at(name, labels[0 if shared else i]) for i, name in enumerate(names)])


def faults_of(future: Known, names: Sequence[Any], labels: Sequence[Any]) -> dict[int, str]:
    """Which series lack covariates of their next steps, by number, and why; see `to_come`."""
    shared, found = len(labels) == 1, {}
    for i, name in enumerate(names):
        if wrong := future.fault(name, labels[0 if shared else i]):
            found[i] = wrong
    return found


def without_faults(
    future: Known, names: Sequence[Any], labels: Sequence[Any], wrong: Mapping[int, str]
) -> InOrder:
    """The same with zeros for the series of which something is wrong; see `faults_of`."""
    shared, found = len(labels) == 1, {}
    for i, name in enumerate(names):
        if i not in wrong:
            found[name] = future.rows(name, labels[0 if shared else i])
    width = next(iter(found.values())).shape[1] if found else 1
    return InOrder(found, width)


@dataclass(frozen=True)
class InOrder(Known):
    """Covariates of the next steps in their order, whatever their labels.

    Attributes:
        values: of each series, by its name, [at most horizon, c]; what is beyond is like the last,
            for steps that nobody reads. Series that are not there have zeros.
        width: how many covariates there are, c.
    """

    values: Mapping[Any, np.ndarray]
    width: int

    @classmethod
    def of(cls, later: PanelData) -> InOrder:
        """Those of what came later."""
        beside = np.empty((len(later.values), 0)) if later.covariates is None else later.covariates
        parts = np.split(beside, later.offsets[1:-1])
        return cls(dict(zip(later.names, parts, strict=True)), beside.shape[1])

    def fault(self, name: Any, steps: Any) -> str | None:
        return None

    def rows(self, name: Any, steps: Any) -> np.ndarray:
        found = self.values.get(name, np.zeros((1, self.width)))
        return found[np.minimum(np.arange(len(steps)), len(found) - 1)]


@dataclass(frozen=True)
class Continued(Known):
    """Those that are known beside a series' missing last values, and then others.

    Attributes:
        first: of the next steps of some series in their order, by name, [at least one, c].
        then: those of the steps after them; None where there are none.
    """

    first: Mapping[Any, np.ndarray]
    then: Known | None

    def fault(self, name: Any, steps: Any) -> str | None:
        rest = steps[len(self.first.get(name, ())) :]
        if not len(rest):
            return None
        if self.then is not None:
            return self.then.fault(name, rest)
        return (
            f"series {name!r} has no covariates of {len(rest)} step(s), from {rest[0]} to "
            f"{rest[-1]}: give future=, a long table with them."
        )

    def rows(self, name: Any, steps: Any) -> np.ndarray:
        first = self.first.get(name)
        if first is None:
            assert self.then is not None
            return self.then.rows(name, steps)
        rest = steps[len(first) :]
        if not len(rest):
            return first[: len(steps)]
        assert self.then is not None
        return np.concatenate([first, self.then.rows(name, rest)])


@dataclass(frozen=True)
class Future(Known):
    """Covariates of steps to come, by their labels.

    Attributes:
        tables: of each series, by its name, a DataFrame with a row for each step and a column for
            each covariate.
        faults: why those of a series can not be read, by its name.
    """

    tables: Mapping[Any, Any]
    faults: Mapping[Any, str] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Any, columns: Sequence[str], covariates: Sequence[str], freq: Any) -> Future:
        """Read a long table, or the file of one, with names, times and covariates.

        Series that can not be read are told where they are asked for.

        Raises:
            DataError: it is no such table.
        """
        import pandas as pd

        key, time = columns[:2]
        wanted = [key, time, *covariates]
        if isinstance(data, (str, os.PathLike)):
            data = columns_of_file(data, wanted)[0]
        frame = native(narrowed(data, wanted), "future")
        frame = flat(frame, wanted) if hasattr(frame, "columns") else frame
        if not hasattr(frame, "columns") or not {key, time} <= set(frame.columns):
            raise DataError(
                "future must be a long table with a row for each series and step to come and the "
                f"columns {', '.join(map(repr, wanted))}; got a {type(data).__name__} that is "
                "none."
            )
        require_covariates(frame, "future", covariates)
        read = [
            read_long(frame, "future", (key, time, one), freq, keep=True) for one in covariates
        ]
        names, tables, faults = read[0].names, {}, {}
        for i, name in enumerate(names):
            wrong = [one.faults[i] for one in read if i in one.faults]
            if wrong:
                faults[name] = f"future, series {name!r}: {wrong[0]}"
                continue
            parts = [one.values[one.offsets[i] : one.offsets[i + 1]] for one in read]
            shared = len(read[0].indexes) == 1
            index = read[0].indexes[0 if shared else i]
            tables[name] = pd.DataFrame(dict(zip(covariates, parts, strict=True)), index=index)
        return cls(tables, faults)

    def fault(self, name: Any, steps: Any) -> str | None:
        if name in self.faults:
            return self.faults[name]
        if name not in self.tables:
            return (
                f"future has no rows of series {name!r}; expected {len(steps)}, from {steps[0]} "
                f"to {steps[-1]}{self._namesake(name)}."
            )
        table = self.tables[name].reindex(steps)
        gone = ~np.isfinite(table.to_numpy(dtype=float))
        if not gone.any():
            return None
        row, column = np.argwhere(gone)[0].tolist()
        own = self.tables[name].index
        return (
            f"future, series {name!r}: there is no number in {table.columns[column]!r} at "
            f"{steps[row]}; a forecast of {len(steps)} step(s) needs all from {steps[0]} to "
            f"{steps[-1]}. (Its times go from {own[0]} to {own[-1]}, {own.dtype}; those of the "
            f"data are {steps.dtype}.)"
        )

    def _namesake(self, name: Any) -> str:
        """A word about a series whose name is written alike and is of another type."""
        for other in [*self.tables, *self.faults]:
            if str(other) == str(name):
                return (
                    f". It has a {type(other).__name__} {other!r}, and the data a "
                    f"{type(name).__name__}; bring both to one type"
                )
        return ""

    def rows(self, name: Any, steps: Any) -> np.ndarray:
        return np.asarray(self.tables[name].reindex(steps).to_numpy(dtype=float))


def about_constants(data: PanelData, i: int) -> str:
    """A sentence about covariates that never change in a series that has no fit."""
    context = data.context(i)
    if context is None or not len(context):
        return ""
    names = [name for name in context if (context[name] == context[name].iloc[0]).all()]
    if not names:
        return ""
    return f" (In this series {names} never change, which the process's constant says already.)"
