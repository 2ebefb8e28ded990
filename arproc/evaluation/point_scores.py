"""Scores of point forecasts and intervals, as the M4 competition defines them.

Each scores one series, or several of one horizon at once: forecasts [..., H] against what came
[..., H]. Means over series are the competition's figures. Steps whose value is missing (NaN in
what came or in the history) are left out of the means.

References:
    Makridakis, Spiliotis, Assimakopoulos (2020), The M4 Competition: 100,000 time series and 61
    forecasting methods. Gneiting, Raftery (2007), the interval score.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arproc.data.labels import require_same_labels
from arproc.errors import DataError, check_array, check_integer
from arproc.evaluation.verification.scores import interval_score

__all__ = ["mase", "msis", "owa", "seasonal_scale", "smape"]


def smape(forecast: Any, actual: Any) -> Any:
    """The symmetric mean absolute percentage error: the mean of 200 |f - y| / (|f| + |y|), in %.

    A step where both are 0 has the error 0.

    Args:
        forecast: [..., H].
        actual: what came, [..., H].

    Returns:
        A float, or an array [...].

    Example:
        >>> smape([1.0, 3.0], [1.0, 1.0])
        50.0
    """
    f, y = _pair(forecast, actual)
    size = np.abs(f) + np.abs(y)
    return _plain(np.nanmean(200 * np.abs(f - y) / np.where(size == 0, 1.0, size), axis=-1))


def seasonal_scale(history: Any, season: int) -> float:
    """The mean absolute seasonal difference of a series, by which MASE and MSIS divide.

    Args:
        history: the series that the forecast was made from, [T], longer than the season; of
            missing values (NaN) the differences are left out.
        season: how many steps a season has; 1 for none.

    Example:
        >>> seasonal_scale([1.0, np.nan, 3.0, 6.0, 4.0], season=2)
        1.5
    """
    season = check_integer("season", season, minimum=1)
    x = check_array("history", history, DataError)
    if x.ndim != 1 or len(x) <= season:
        raise DataError(f"history has shape {x.shape}; expected [T] with T above season {season}.")
    with np.errstate(invalid="ignore"):
        apart = np.abs(x[season:] - x[:-season])
    apart = apart[~np.isnan(apart)]
    if not len(apart):
        raise DataError(
            f"history has no two values that are {season} step(s) apart and both observed; "
            "expected some, to scale by. Use another season, or a history with fewer gaps."
        )
    scale = float(apart.mean())
    if not 0 < scale < np.inf:
        raise DataError(
            f"history has a mean absolute difference over season {season} of {scale}; expected a "
            "positive, finite number (it repeats itself exactly, or has infinite values)."
        )
    return scale


def mase(forecast: Any, actual: Any, history: Any, season: int = 1) -> Any:
    """The mean absolute scaled error: below 1 is better than the seasonal naive was in `history`.

    Args:
        forecast: [H].
        actual: what came, [H].
        history: the series that the forecast was made from, [T].
        season: how many steps a season has.

    Example:
        >>> mase([5.0, 5.0], [6.0, 4.0], history=[1.0, 3.0, 5.0])
        0.5
    """
    f, y = _pair(forecast, actual)
    return _plain(np.nanmean(np.abs(f - y), axis=-1) / seasonal_scale(history, season))


def msis(
    lower: Any, upper: Any, actual: Any, history: Any, season: int = 1, level: float = 0.95
) -> Any:
    """The mean scaled interval score of central intervals: proper, smaller is better.

    Their width, and 2 / (1 - level) times by how far they miss what came, over the scale of MASE.

    Args:
        lower: the intervals' lower ends, [H].
        upper: their upper ends, [H].
        actual: what came, [H].
        history: the series that the forecast was made from, [T].
        season: how many steps a season has.
        level: the intervals' probability.

    Example:
        >>> msis([0.0], [2.0], [3.0], history=[1.0, 2.0], level=0.5)
        6.0
    """
    low, y = _pair(lower, actual)
    high, _ = _pair(upper, actual)
    score = interval_score(low, high, y, level)
    return _plain(np.nanmean(score, axis=-1) / seasonal_scale(history, season))


def owa(smapes: Any, mases: Any, naive_smapes: Any, naive_mases: Any) -> float:
    """The overall weighted average: the mean of sMAPE and MASE, each over that of Naive 2.

    Args:
        smapes: of each series [N].
        mases: of each series [N].
        naive_smapes: those of the reference, seasonally adjusted naive forecasts, [N].
        naive_mases: likewise.

    Example:
        >>> owa([5.0, 5.0], [1.0, 2.0], [10.0, 10.0], [2.0, 4.0])
        0.5
    """
    given = {
        "smapes": smapes,
        "mases": mases,
        "naive_smapes": naive_smapes,
        "naive_mases": naive_mases,
    }
    means = {name: _mean(name, values) for name, values in given.items()}
    first = means["smapes"] / means["naive_smapes"]
    return (first + means["mases"] / means["naive_mases"]) / 2


def _mean(name: str, values: Any) -> float:
    array = check_array(name, values, DataError)
    mean = float(array.mean()) if array.size else np.nan
    if not np.isfinite(mean) or (name.startswith("naive") and not mean > 0):
        kind = "positive" if name.startswith("naive") else "finite"
        raise DataError(f"{name} must be {kind} numbers, one for each series; got {values!r}.")
    return mean


def _pair(forecast: Any, actual: Any) -> tuple[np.ndarray, np.ndarray]:
    require_same_labels(forecast=forecast, actual=actual)
    f, y = check_array("forecast", forecast, DataError), check_array("actual", actual, DataError)
    if f.shape != y.shape or f.ndim == 0 or not f.shape[-1]:
        raise DataError(
            f"the forecast has shape {f.shape} and what came {y.shape}; expected the same, "
            "[..., H] with at least one step."
        )
    if not np.isfinite(f).all():
        raise DataError("the forecast has values that are not finite.")
    if np.isinf(y).any():
        raise DataError("what came has infinite values; expected finite ones, or NaN for missing.")
    if np.isnan(y).all(axis=-1).any():
        raise DataError("what came is missing (NaN) at every step of a series; leave it out.")
    return f, y


def _plain(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else value
