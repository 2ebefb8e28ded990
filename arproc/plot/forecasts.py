"""The fan chart of a forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError, check_array
from arproc.plot.canvas import BLUE, INK, VERMILLION, axes_for, dated, legend, plain, x_values

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["forecast_fan"]


def forecast_fan(
    history: Any, forecast: pd.DataFrame, actual: Any = None, ax: Axes | None = None
) -> Axes:
    """A series, the forecast of what follows it with its intervals, and what came.

    Args:
        history: the series that was forecast from: a Series (its name, which should tell the
            unit, labels the axis), or an array [T].
        forecast: what `Process.forecast` gave for it. Quantiles q and 1 - q are drawn as an
            interval, the median (or else the mean) as a line.
        actual: what came after `history`, if it is known by now.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.

    Example:
        >>> import arproc
        >>> past = [1.0, -0.5, 0.3, 0.8, -0.2, 0.4]
        >>> ax = forecast_fan(past, arproc.AR(1).fit(past).forecast(past, 3))
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['history', 'median forecast', '90% interval']
    """
    _check(forecast)
    y = check_array("history", history, DataError)
    if y.ndim != 1 or not len(y):
        raise DataError(f"history has shape {y.shape}; expected one series [T].")
    ax = axes_for(ax, (8.0, 4.0))
    past, future = _axis(history, len(y), forecast)
    ax.plot(past, y, color=INK, linewidth=1.2, label="history")
    _draw_actual(ax, actual, future)
    # the fan opens at the last known value
    x = np.concatenate([past[-1:], future])
    bands, middle, others = _levels(forecast)
    name = {0.5: "median forecast", "mean": "mean forecast"}.get(middle, f"{middle} quantile")
    ax.plot(x, _opened(y, forecast[middle]), color=BLUE, linewidth=1.8, label=name)
    for order, (low, high) in enumerate(bands):
        ax.fill_between(
            x,
            _opened(y, forecast[low]),
            _opened(y, forecast[high]),
            color=BLUE,
            alpha=0.18 + 0.1 * order,
            linewidth=0,
            label=f"{100 * (high - low):g}% interval",
        )
    for level in others:
        ax.plot(
            x, _opened(y, forecast[level]), color=BLUE, linestyle=":", label=f"{level:g} quantile"
        )
    _label(ax, history, past)
    return ax


def _check(forecast: Any) -> None:
    if getattr(getattr(forecast, "columns", None), "nlevels", 1) > 1:
        names = list(dict.fromkeys(forecast.columns.get_level_values(0)))
        raise DataError(
            f"forecast is of {len(names)} components; draw one, forecast[{names[0]!r}], with its "
            "own history."
        )
    if not hasattr(forecast, "columns") or not any(isinstance(c, float) for c in forecast.columns):
        raise DataError(
            "forecast must be the DataFrame that Process.forecast gives, with a column for each "
            f"quantile; got {type(forecast).__name__}."
        )
    if forecast.index.nlevels > 1:
        names = list(dict.fromkeys(forecast.index.get_level_values(0)))
        raise DataError(
            f"forecast is of {len(names)} series; draw one, forecast.loc[{names[0]!r}], with its "
            "own history."
        )


def _axis(history: Any, length: int, forecast: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Where the past and the future stand; counted in steps where their indexes do not join."""
    index = history.index if hasattr(history, "columns") or hasattr(history, "iloc") else None
    past, future = x_values(index, length), x_values(forecast.index, len(forecast))
    if past.dtype.kind != future.dtype.kind and "M" in (past.dtype.kind, future.dtype.kind):
        return np.arange(length) - (length - 1), np.arange(1, len(forecast) + 1)
    return past, future


def _levels(forecast: pd.DataFrame) -> tuple[list[tuple[float, float]], Any, list[float]]:
    """The pairs (q, 1 - q), widest first; the column of the middle; the other quantiles."""
    columns: list[Any] = list(forecast.columns)
    levels = sorted(column for column in columns if isinstance(column, float))
    pairs = [
        (low, high)
        for low in levels
        for high in levels
        if low < 0.5 and abs(low + high - 1) < 1e-9
    ]
    paired = {level for pair in pairs for level in pair}
    middle: Any = 0.5 if 0.5 in levels or "mean" not in columns else "mean"
    others = [level for level in levels if level not in paired and level != middle]
    if middle not in columns:
        middle, others = levels[len(levels) // 2], [q for q in others if q != middle]
    return pairs, middle, others


def _opened(y: np.ndarray, column: Any) -> np.ndarray:
    return np.concatenate([y[-1:], column.to_numpy(dtype=float)])


def _draw_actual(ax: Axes, actual: Any, future: np.ndarray) -> None:
    if actual is None:
        return
    came = check_array("actual", actual, DataError)
    if came.ndim != 1 or len(came) > len(future):
        raise DataError(
            f"actual has shape {came.shape}; expected at most the {len(future)} steps of the "
            "forecast."
        )
    ax.plot(
        future[: len(came)],
        came,
        color=VERMILLION,
        linewidth=1.0,
        marker="o",
        markersize=3.5,
        label="actual",
        zorder=3,
    )


def _label(ax: Axes, history: Any, past: np.ndarray) -> None:
    name = getattr(history, "name", None)
    ax.set_ylabel("value" if name is None else str(name))
    dated(ax, past)
    label = getattr(getattr(history, "index", None), "name", None)
    default = "time" if past.dtype.kind == "M" else "step"
    ax.set_xlabel(default if label is None else str(label))
    legend(ax)
    plain(ax)
