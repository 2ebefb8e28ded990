"""Covariates of a panel: columns of a long table that are read beside the values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arproc.data.long_tables import read_long
from arproc.errors import DataError, ParameterError

__all__ = ["check_covariates", "covariates_of", "require_covariates"]


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
    require_covariates(frame, name, covariates)
    found = np.full((int(lengths.sum()), len(covariates)), np.nan)
    faults: dict[int, str] = {}
    for j, covariate in enumerate(covariates):
        one = read_long(frame, name, (columns[0], columns[1], covariate), freq, keep=True)
        own = np.diff(one.offsets)
        same = own == lengths  # those that can not be read have none
        found[np.repeat(same, lengths), j] = one.values[np.repeat(same, own)]
        faults = one.faults | faults
    return found, faults


def require_covariates(frame: Any, name: str, covariates: Sequence[str]) -> None:
    """Raise `DataError` where a table lacks some of the columns."""
    missing = [one for one in covariates if one not in frame.columns]
    if missing:
        raise DataError(
            f"{name} has no column called {' and '.join(map(repr, missing))}, which covariates= "
            f"names; it has {list(frame.columns)[:8]}."
        )
