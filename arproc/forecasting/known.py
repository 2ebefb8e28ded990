"""Reading the future values that a scenario takes for known, aligned on the future steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.data.times import by_times
from arproc.errors import DataError, check_array
from arproc.forecasting.tables import component_names, future_indexes, series_names
from arproc.spaces import Space

__all__ = ["read_known"]


def read_known(known: Any, history: Sequences, horizon: int, space: Space) -> torch.Tensor | None:
    """The known future values [N, horizon, *event], NaN where unknown; None where nothing is.

    Args:
        known: arrays by place; a Series or DataFrame by the labels of the future steps (and of
            the series or the components); for several series also a list, one item for each.
        history: what came before.
        horizon: how many steps.
        space: what the values are elements of.
    """
    if known is None:
        return None
    indexes, event = future_indexes(history, horizon), space.event_shape
    if isinstance(known, (list, tuple)) and not history.form.single and len(known) == len(history):
        rows = [
            _one(item, index, history, event, f"known[{i}]")
            for i, (item, index) in enumerate(zip(known, indexes, strict=True))
        ]
    elif history.form.single:
        rows = [_one(known, indexes[0], history, event, "known")]
    elif _is_table(known):
        rows = _by_series(known, indexes, history, event)
    else:
        rows = list(_numbers(known, (len(history), horizon, *event), "known"))
    values = torch.from_numpy(np.stack(rows))
    _check(values, space)
    return None if bool(values.isnan().all()) else values


def _is_table(known: Any) -> bool:
    return hasattr(known, "iloc") and hasattr(known, "reindex")


def _one(
    known: Any, index: Any, history: Sequences, event: tuple[int, ...], name: str
) -> np.ndarray:
    """The known values of one series, [horizon, *event]."""
    if not _is_table(known):
        return _numbers(known, (len(index), *event), name)
    known = by_times(known, name)
    if known.ndim == 2 and not event:
        if known.shape[1] != 1:
            raise DataError(
                f"{name} has {known.shape[1]} columns; expected one, for the one series."
            )
        known = known.iloc[:, 0]
    if known.ndim == 1 and event:
        raise DataError(
            f"{name} is a Series; expected a DataFrame whose columns are components, some or all "
            f"of {component_names(history, event[0])}."
        )
    if event:
        names = component_names(history, event[0])
        _require_labels(known.columns, names, f"{name}'s columns", "component")
        known = known.reindex(columns=names)
    _require_labels(known.index, index, f"{name}'s index", "future step")
    return _numbers(known.reindex(index), (len(index), *event), name)


def _by_series(
    known: Any, indexes: list[Any], history: Sequences, event: tuple[int, ...]
) -> list[np.ndarray]:
    """The known values of each series, from columns, or from an index of series and steps."""
    import pandas as pd

    names = series_names(history)
    if known.index.nlevels > 1:  # as forecasts are indexed
        depth = known.index.nlevels - 1
        first = known.index.droplevel(-1)
        first = first.to_flat_index() if depth > 1 else first
        _require_labels(first.unique(), names, "known's index", "series")
        parts = [known[np.asarray([label == name for label in first])] for name in names]
        parts = [part.droplevel(list(range(depth))) for part in parts]
    elif known.ndim == 2 and not event:
        _require_labels(known.columns, names, "known's columns", "series")
        nothing = pd.Series(dtype=float)
        parts = [known[name].dropna() if name in known.columns else nothing for name in names]
    else:
        raise DataError(
            "known does not say which series its values are of; expected an index of series and "
            "step, as a forecast's, or a list with an item for each series."
        )
    return [
        _one(part, index, history, event, "known")
        for part, index in zip(parts, indexes, strict=True)
    ]


def _require_labels(have: Any, want: Any, what: str, kind: str) -> None:
    labels = list(have)
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise DataError(f"{what} has {twice!s} twice; expected each {kind} once.")
    possible = set(want)
    for label in labels:
        if label not in possible:
            raise DataError(
                f"{what} has {label!s}, which is no {kind} of the forecast; expected some of "
                f"{want[0]!s} ... {want[-1]!s} (an array is taken by place)."
            )


def _numbers(known: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    array = check_array(name, known, DataError)
    if array.shape != shape:
        raise DataError(
            f"{name} has shape {array.shape}; expected real numbers {list(shape)}, NaN where a "
            "value is not known."
        )
    return array


def _check(values: torch.Tensor, space: Space) -> None:
    if bool(values.isinf().any()):
        raise DataError("known has infinite values; expected numbers, NaN where not known.")
    problem = space.problem(values[~values.isnan()])
    if problem is not None:
        raise DataError(f"known: {problem}.")
