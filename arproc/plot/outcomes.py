"""Forecasts against what came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError
from arproc.plot.canvas import BLUE, GREY, VERMILLION, axes_for, legend, plain, refuse

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["forecast_outcomes"]

#: With more forecasts than this their intervals would hide each other.
_MOST_INTERVALS = 150


def forecast_outcomes(table: pd.DataFrame, ax: Axes | None = None, *, step: int = 1) -> Axes:
    """What came against the forecast of it, each a point; on the diagonal they agree.

    Points above it came higher than was expected. Those outside of the forecasts' widest interval
    are crosses; of few forecasts the intervals are drawn as well, lying.

    Args:
        table: what `arproc.backtest` gave (rows of it, to draw some series alone).
        ax: where to draw; a new figure by default.
        step: how many steps ahead the forecasts were.

    Returns:
        The Axes.

    Raises:
        DataError: it is something else, or nothing came at this step.

    Example:
        >>> import arproc
        >>> x = np.random.default_rng(0).normal(size=60).cumsum()
        >>> ax = forecast_outcomes(arproc.backtest(arproc.AR(1), x, start=40))
        >>> ax.get_title(loc="left")
        '75% of 20 lie in the 90% intervals, 1 step ahead'
    """
    if not {"step", "actual", "mean"} <= set(getattr(table, "columns", ())):
        raise refuse("forecast_outcomes", "arproc.backtest(model, data)", table)
    rows = table[(table["step"] == step) & table["actual"].notna() & table["mean"].notna()]
    if not len(rows):
        raise DataError(f"table has no outcomes at step {step}; expected one of its steps.")
    ax = axes_for(ax, (5.2, 5.2))
    columns: list[Any] = list(table.columns)
    levels = sorted(name for name in columns if isinstance(name, float))
    y = rows["actual"].to_numpy(dtype=float)
    middle = rows[0.5 if 0.5 in levels else "mean"].to_numpy(dtype=float)
    ends = [np.nanmin([y, middle]), np.nanmax([y, middle])]
    ax.plot(ends, ends, color=GREY, linestyle="--", linewidth=1.0, label="outcome = forecast")
    inside = np.ones(len(rows), dtype=bool)
    if len(levels) > 1:
        low, high = (rows[level].to_numpy(dtype=float) for level in (levels[0], levels[-1]))
        inside = (low <= y) & (y <= high)
        share = f"{100 * (levels[-1] - levels[0]):g}%"
        ahead = f"{step} step{'s' if step > 1 else ''} ahead"
        title = f"{inside.mean():.0%} of {len(rows):,} lie in the {share} intervals, {ahead}"
        ax.set_title(title, fontsize="medium", loc="left")
        if len(rows) <= _MOST_INTERVALS:
            ax.hlines(
                y, low, high, color=BLUE, alpha=0.3, linewidth=1.0, label=f"{share} interval"
            )
    some: dict[str, Any] = {
        "linestyle": "none",
        "markersize": 4,
        "alpha": 1.0 if len(rows) <= 300 else 0.5,
    }
    ax.plot(middle[inside], y[inside], "o", color=BLUE, label="outcome", **some)
    if not inside.all():
        ax.plot(middle[~inside], y[~inside], "x", color=VERMILLION, label="outside", **some)
    which = "median" if 0.5 in levels else "mean"
    ax.set_xlabel(f"forecast, its {which} [unit of the data]")
    ax.set_ylabel("outcome [unit of the data]")
    legend(ax)
    plain(ax)
    return ax
