"""Statistics of data sets by name, for predictive checks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from arproc.data.tables import Table
from arproc.errors import UnsupportedError
from arproc.spaces import Categorical, Space

__all__ = ["STATISTICS", "usual_for"]


def _rows(data: Any) -> list[Any]:
    """The sequences of a data set, texts as they are."""
    if isinstance(data, str):
        return [data]
    if isinstance(data, list):
        one = not data or not (isinstance(data[0], (str, list)) or np.ndim(data[0]))
        return [data] if one else data
    array = np.asarray(data)
    return [array] if array.ndim == 1 else list(array)


def _numbers(data: Any) -> list[np.ndarray]:
    """The sequences as numbers [T] or [T, d]."""
    try:
        return [np.asarray(row, dtype=float) for row in _rows(data)]
    except (TypeError, ValueError):
        raise UnsupportedError(
            "this statistic is of numbers, and the data are none; give a function of your own."
        ) from None


def _pooled(data: Any) -> np.ndarray:
    x = np.concatenate([row.ravel() for row in _numbers(data)])
    return x[~np.isnan(x)]


def _moment(power: int) -> Callable[[Any], float]:
    def statistic(data: Any) -> float:
        x = _pooled(data)
        away = x - x.mean()
        spread = (away**2).mean()
        return float((away**power).mean() / spread ** (power / 2)) if spread > 0 else 0.0

    return statistic


def _correlation(data: Any, power: int = 1) -> float:
    """Of neighbours, about the mean of all, of the elements or their squares about it."""
    rows = _numbers(data)
    centre = _pooled(rows).mean()
    rows = [(row - centre) ** power for row in rows]
    if power > 1:
        again = _pooled(rows).mean()
        rows = [row - again for row in rows]
    products = np.concatenate([(row[1:] * row[:-1]).ravel() for row in rows])
    spread = (_pooled(rows) ** 2).mean()
    known = products[~np.isnan(products)]
    return float(known.mean() / spread) if len(known) and spread > 0 else 0.0


def _steps(data: Any) -> float:
    """The mean absolute step."""
    steps = np.concatenate([np.abs(np.diff(row, axis=0)).ravel() for row in _numbers(data)])
    known = steps[~np.isnan(steps)]
    return float(known.mean()) if len(known) else 0.0


def _distinct(data: Any) -> float:
    return float(len({item for row in _rows(data) for item in _items(row)}))


def _repeats(data: Any) -> float:
    """The share of elements that are equal to the one before."""
    pairs = [pair for row in _rows(data) for pair in pairwise(_items(row))]
    return sum(a == b for a, b in pairs) / max(len(pairs), 1)


def _items(row: Any) -> list[Any]:
    return list(row) if isinstance(row, (str, list)) else _plain(np.asarray(row).tolist())


def _plain(row: list[Any]) -> list[Any]:
    return [tuple(item) if isinstance(item, list) else item for item in row]


STATISTICS: dict[str, Callable[[Any], float]] = {
    "mean": lambda data: float(_pooled(data).mean()),
    "std": lambda data: float(_pooled(data).std()),
    "skewness": _moment(3),
    "kurtosis": _moment(4),
    "min": lambda data: float(_pooled(data).min()),
    "max": lambda data: float(_pooled(data).max()),
    "zeros": lambda data: float((_pooled(data) == 0).mean()),
    "acf1": _correlation,
    "acf1_squared": lambda data: _correlation(data, 2),
    "steps": _steps,
    "distinct": _distinct,
    "repeats": _repeats,
    "length": lambda data: float(np.mean([len(row) for row in _rows(data)])),
}


def usual_for(space: Space) -> tuple[str, ...]:
    """The statistics that are looked at where the user names none; none for tables."""
    if isinstance(space, Table):
        return ()
    if isinstance(space, Categorical):
        return ("distinct", "repeats", "length") if space.terminates else ("distinct", "repeats")
    return ("mean", "std", "skewness", "kurtosis", "min", "max", "acf1", "acf1_squared")
