"""Covariates of a panel: columns of a long table that are read beside the values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arproc.data.frames import native
from arproc.data.long_tables import flat, read_long
from arproc.data.table_forms import narrowed
from arproc.errors import DataError, ParameterError
from arproc.models.panel.files import columns_of_file

__all__ = ["Future", "check_covariates", "covariates_of"]


def check_covariates(covariates: Any, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the covariates' columns, or raise `ParameterError`.

    Example:
        >>> check_covariates(["price"], ["unique_id", "ds", "y"])
        ('price',)
    """
    if covariates is None:
        return ()
    listed = list(covariates) if isinstance(covariates, (list, tuple)) else []
    known = [*columns]
    for one in listed:
        if not isinstance(one, str) or one in known:
            listed = []
        known.append(one)
    if not listed:
        raise ParameterError(
            "covariates must be a list of the names of columns, each once and none of "
            f"{list(columns)!r}; got {covariates!r}."
        )
    return tuple(listed)


def covariates_of(
    frame: Any, name: str, columns: Sequence[str], covariates: Sequence[str], freq: Any,
    lengths: np.ndarray,
) -> tuple[np.ndarray, dict[int, str]]:  # fmt: skip
    """The covariates of a long table at every step of its series.

    Args:
        frame: the table.
        name: what error messages call it.
        columns: its columns of names and of times, first.
        covariates: its columns of covariates, c of them.
        freq: the step of the times; None where they tell.
        lengths: how many steps each series has, 0 where it can not be read, int64 [N].

    Returns:
        The covariates [total, c], nan where one is missing; and why those of a series can not be
        read, by its number.
    """
    _require(frame, name, covariates)
    found = np.full((int(lengths.sum()), len(covariates)), np.nan)
    faults: dict[int, str] = {}
    for j, covariate in enumerate(covariates):
        one = read_long(frame, name, (columns[0], columns[1], covariate), freq, keep=True)
        own = np.diff(one.offsets)
        same = own == lengths  # those that can not be read have none
        found[np.repeat(same, lengths), j] = one.values[np.repeat(same, own)]
        faults = one.faults | faults
    return found, faults


def _require(frame: Any, name: str, covariates: Sequence[str]) -> None:
    missing = [one for one in covariates if one not in frame.columns]
    if missing:
        raise DataError(
            f"{name} has no column called {' and '.join(map(repr, missing))}, which covariates= "
            f"names; it has {list(frame.columns)[:8]}."
        )


@dataclass(frozen=True)
class Future:
    """Covariates of steps to come.

    Attributes:
        tables: of each series, by its name, a DataFrame with a row for each step and a column for
            each covariate.
    """

    tables: Mapping[Any, Any]

    @classmethod
    def of(cls, data: Any, columns: Sequence[str], covariates: Sequence[str], freq: Any) -> Future:
        """Read a long table, or the file of one, with names, times and covariates.

        Raises:
            DataError: it is no such table, or a series can not be read.
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
        _require(frame, "future", covariates)
        read = [read_long(frame, "future", (key, time, one), freq) for one in covariates]
        tables = {}
        for i, name in enumerate(read[0].names):
            cut = slice(*read[0].offsets[i : i + 2].tolist())
            values = {c: one.values[cut] for c, one in zip(covariates, read, strict=True)}
            shared = len(read[0].indexes) == 1
            tables[name] = pd.DataFrame(values, index=read[0].indexes[0 if shared else i])
        return cls(tables)

    def at(self, name: Any, steps: Any) -> np.ndarray:
        """The covariates of a series at these steps, an index, [horizon, c].

        Raises:
            DataError: some are not there.
        """
        if name not in self.tables:
            raise DataError(
                f"future has no rows of series {name!r}; expected {len(steps)}, from {steps[0]} "
                f"to {steps[-1]}."
            )
        table = self.tables[name].reindex(steps)
        gone = ~np.isfinite(table.to_numpy(dtype=float))
        if gone.any():
            row, column = np.argwhere(gone)[0].tolist()
            raise DataError(
                f"future, series {name!r}: there is no number in {table.columns[column]!r} at "
                f"{steps[row]}; a forecast of {len(steps)} step(s) needs all from {steps[0]} to "
                f"{steps[-1]}."
            )
        return np.asarray(table.to_numpy(dtype=float))
