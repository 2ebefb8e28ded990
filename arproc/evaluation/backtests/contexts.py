"""Covariates cut at each origin: those of the histories, and those of the steps forecast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from arproc.data.arrays import to_tensor
from arproc.errors import DataError
from arproc.evaluation.backtests.timeline import Timeline

__all__ = ["Covariates", "covariates"]

_Cut = Callable[[int, int, int, int], Any]


@dataclass(frozen=True)
class Covariates:
    """What the series are conditioned on.

    Attributes:
        of: the context of one series, of its steps from `first` to `origin` and `more` of the
            future: a function of (series, first, origin, more).
        single: whether there is but one series.
    """

    of: _Cut
    single: bool

    def cut(self, rows: np.ndarray, first: int, origin: int, more: int = 0) -> Any:
        """The context of some series up to an origin and `more` steps beyond."""
        found = [self.of(i, first, origin, more) for i in rows.tolist()]
        if self.single:
            return found[0]
        return found if hasattr(found[0], "iloc") else np.stack(_even(found))


def covariates(context: Any, kind: str | None, series: Timeline) -> Covariates | None:
    """The user's context, to be cut; None where there is none.

    Args:
        context: as `fit` takes it: of one vector (or label) for each series; or by steps, one
            table for all series or one for each, from the first step of the user's data on.
        kind: "static" or "steps", what the model takes.
        series: the series.
    """
    if context is None:
        return None
    n = len(series)
    if kind != "steps":
        return Covariates(_static(context, n), n == 1)
    tables = _tables(context, n)
    return Covariates(_BySteps(tables, len(tables) == 1 and n > 1, series), n == 1)


@dataclass(frozen=True)
class _BySteps:
    """A table for each series, or one shared by all."""

    tables: list[Any]
    shared: bool
    series: Timeline

    def __call__(self, i: int, first: int, origin: int, more: int) -> Any:
        series = self.series
        low, high = series.bounds(i, first, origin)
        # a table for all begins where the axis does, one of its own where its series does
        ahead = int(series.begins[i]) if self.shared else int(series.skipped[i])
        rows, low, high = self.tables[0 if self.shared else i], int(low), int(high)
        if len(rows) < ahead + high:
            raise DataError(
                f"context of series {series.names[i]!r} has {len(rows)} steps; expected at least "
                f"{ahead + high}, one for each step of the data."
            )
        piece = rows[ahead + low : ahead + high + more].copy()
        short = high - low + more - len(piece)
        return piece if short <= 0 else _held_on(piece, short)


@dataclass(frozen=True)
class _Static:
    """A row for each series, or one shared by all."""

    rows: Any
    shared: bool

    def __call__(self, i: int, first: int, origin: int, more: int) -> Any:
        if self.shared:
            return self.rows
        return self.rows.iloc[i] if hasattr(self.rows, "iloc") else self.rows[i]


def _static(context: Any, n: int) -> _Cut:
    rows = context if hasattr(context, "iloc") else _numbers(context)
    return _Static(rows, n == 1 or not getattr(rows, "ndim", 0) or len(rows) != n)


def _tables(context: Any, n: int) -> list[Any]:
    """A table [T, c] or column [T] for each series, or one for all."""
    if hasattr(context, "iloc"):
        return [context]
    if isinstance(context, (list, tuple)) and (n == 1 or len(context) == n):
        items = list(context)
        if n > 1 or (len(items) == 1 and getattr(items[0], "ndim", None)):
            return [x if hasattr(x, "iloc") else _columns(x) for x in items]
    array = _numbers(context)
    if array.ndim == 3 and len(array) in (1, n):
        return list(array)
    if array.ndim > 2:
        raise DataError(
            f"context has shape {array.shape}; expected [T, c] for all series, [{n}, T, c], or a "
            f"list with a table for each of the {n} series."
        )
    return [_columns(array)]


def _numbers(context: Any) -> np.ndarray:
    return to_tensor(context, "context").detach().cpu().double().numpy()


def _columns(context: Any) -> np.ndarray:
    x = _numbers(context)
    return x[:, None] if x.ndim == 1 else x


def _held_on(piece: Any, short: int) -> Any:
    """A context made long enough; it is of steps that nothing came at, whose rows are dropped."""
    if hasattr(piece, "iloc"):
        import pandas as pd

        from arproc.forecasting import future_index

        more = piece.iloc[[-1] * short].set_axis(future_index(piece.index, short), axis=0)
        return pd.concat([piece, more])
    return np.concatenate([piece, piece[[-1] * short]])


def _even(found: list[np.ndarray]) -> list[np.ndarray]:
    """Arrays of one length: the shorter ones end in rows that nobody reads."""
    if not found[0].ndim:
        return found
    longest = max(len(piece) for piece in found)
    return [
        piece if len(piece) == longest else _held_on(piece, longest - len(piece))
        for piece in found
    ]
