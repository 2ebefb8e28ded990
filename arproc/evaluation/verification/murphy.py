"""Murphy diagrams: forecasts under every score that is consistent for what they claim to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.data.labels import require_same_labels
from arproc.errors import (
    DataError,
    ParameterError,
    check_array,
    check_choice,
    check_count,
    check_names,
    check_number,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["murphy"]


def murphy(
    forecasts: Mapping[str, Any],
    actual: Any,
    *,
    functional: str = "mean",
    level: float = 0.5,
    points: int = 301,
) -> pd.DataFrame:
    """The mean elementary score of each forecast at every threshold; lower is better.

    Every score that is consistent for a mean (or an expectile, or a quantile) is a mixture of
    elementary scores over thresholds theta, so one forecast that is below another along the whole
    diagram is better for every user; where curves cross, it depends on the user (Ehm, Gneiting,
    Jordan and Krüger 2016, "Of quantiles and expectiles", theorem 1):

        quantile:  1 - level where y <= theta < x, level where x <= theta < y, else 0
        expectile: the same times |y - theta|

    The mean is the expectile of level 1/2: four times the area under its curve is the mean squared
    error. The area under a quantile's curve is its pinball loss.

    Args:
        forecasts: point forecasts by name, [n] each; probabilities are means of outcomes 0 and 1.
        actual: what came, [n]; NaN is left out.
        functional: what the forecasts are of the distribution: "mean", "quantile" or "expectile".
        level: of the quantile or expectile.
        points: how many thresholds, evenly from the lowest to the highest number.

    Returns:
        A DataFrame with the index `theta` and a column for each forecast; `.attrs` has
        `functional`, `level` and `n`.

    Example:
        >>> curves = murphy({"a": [0.0, 2.0], "b": [1.0, 1.0]}, [0.0, 3.0], points=301)
        >>> area = curves.sum() * (curves.index[1] - curves.index[0])
        >>> (4 * area).round(2).tolist()      # the mean squared errors
        [0.5, 2.5]
    """
    import pandas as pd

    check_choice("functional", functional, ("mean", "quantile", "expectile"))
    level = check_number("level", level, above=0, below=1)
    if functional == "mean" and level != 0.5:
        raise ParameterError(
            f'level is of quantiles and expectiles; functional="mean" has none, got {level!r}.'
        )
    points = check_count("points", points, minimum=2)
    x, y = _aligned(forecasts, actual)
    low = min(float(y.min()), *(float(own.min()) for own in x.values()))
    high = max(float(y.max()), *(float(own.max()) for own in x.values()))
    theta = np.linspace(low, high, points)
    curves = {name: _curve(own, y, theta, level, functional) for name, own in x.items()}
    table = pd.DataFrame(curves, index=pd.Index(theta, name="theta"))
    table.attrs = {"functional": functional, "level": level, "n": len(y)}
    return table


def _aligned(forecasts: Any, actual: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The forecasts of what is known, and what came."""
    if not isinstance(forecasts, Mapping) or not forecasts:
        raise ParameterError(
            "forecasts must be a dict of point forecasts by name; got a "
            f"{type(forecasts).__name__}{' of none' if isinstance(forecasts, Mapping) else ''}."
        )
    y = check_array("actual", actual, DataError)
    found = {}
    for name, own in check_names("forecasts", forecasts).items():
        require_same_labels(**{"actual": actual, f"the forecast {name!r}": own})
        x = check_array(f"the forecast {name!r}", own, DataError)
        if x.shape != y.shape or x.ndim != 1:
            raise DataError(
                f"the forecast {name!r} has shape {x.shape} and actual {y.shape}; expected one "
                "number for each, [n]."
            )
        found[name] = x
    known = ~np.isnan(y)
    if not known.any():
        raise DataError("actual has nothing that came; expected a number at least.")
    for name, x in {**found, "actual": y}.items():
        if not np.isfinite(x[known]).all():
            raise DataError(f"{name!r} has values that are not finite where something came.")
    return {name: x[known] for name, x in found.items()}, y[known]


def _curve(
    x: np.ndarray, y: np.ndarray, theta: np.ndarray, level: float, functional: str
) -> np.ndarray:
    """The mean elementary score at each threshold."""
    flat = functional == "quantile"
    over = _within(y, x, y, theta, flat)  # y <= theta < x: the forecast is too high
    under = _within(x, y, y, theta, flat)
    return ((1 - level) * np.abs(over) + level * np.abs(under)) / len(y)


def _within(
    low: np.ndarray, high: np.ndarray, y: np.ndarray, theta: np.ndarray, flat: bool
) -> np.ndarray:
    """Of the intervals [low, high) that hold each theta, their number, or the sum of theta - y."""
    some = low < high
    low, high, y = low[some], high[some], y[some]
    count = _until(low, np.ones(len(y)), theta) - _until(high, np.ones(len(y)), theta)
    return count if flat else count * theta - (_until(low, y, theta) - _until(high, y, theta))


def _until(ends: np.ndarray, weights: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """The sum of the weights of all ends up to each theta."""
    order = np.argsort(ends, kind="stable")
    sums = np.append(0.0, weights[order].cumsum())
    return sums[np.searchsorted(ends[order], theta, side="right")]
