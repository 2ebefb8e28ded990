"""Impulse responses with their bands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError
from arproc.plot.canvas import BLUE, GREY, INK, axes_for, entitle, panel, plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["impulse_response"]

_LEVELS = ["impulse", "response", "step"]


def impulse_response(responses: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Responses to impulses over time: a panel for each pair, a column for each impulse.

    Panels of one row share their scale, so that the impulses' effects on a component compare.

    Args:
        responses: what `impulse_response` of a VAR (or rows of it) or of an AR gave.
        ax: where to draw; a new figure by default. Several panels are drawn inside of it.

    Returns:
        The Axes.

    Example:
        >>> import arproc
        >>> model = arproc.VAR.from_parameters([[[0.5, 0.2], [0.0, 0.3]]])
        >>> ax = impulse_response(model.impulse_response(8, bands=None))
        >>> len(ax.child_axes)
        4
    """
    if not hasattr(responses, "columns") or "effect" not in responses.columns:
        raise DataError(
            "responses must be the DataFrame that impulse_response gives, with a column effect; "
            f"got {type(responses).__name__}."
        )
    if list(responses.index.names) == ["step"] and len(responses):
        ax = axes_for(ax, (6.0, 3.6))
        _panel(ax, responses)
        entitle(ax, "", "steps", "response", 10)
        return ax
    if list(responses.index.names) != _LEVELS or not len(responses):
        raise DataError(
            f"responses has the index {list(responses.index.names)}; expected {_LEVELS}, and at "
            "least one row. Choose rows with a list of names, so that all levels stay."
        )
    impulses, answers = (list(responses.index.unique(level)) for level in _LEVELS[:2])
    down, across = len(answers), len(impulses)
    if down == across == 1:
        ax = axes_for(ax, (6.0, 3.6))
        _panel(ax, responses)
        entitle(ax, f"{impulses[0]} → {answers[0]}", "steps", "response", 10)
        return ax
    ax = axes_for(ax, (min(3.0 + 2.2 * across, 14.0), min(1.2 + 1.7 * down, 14.0)))
    for i, answer in enumerate(answers):
        row = responses.xs(answer, level="response", drop_level=False)
        limits = _limits(row)
        for j, name in enumerate(impulses):
            inside = panel(ax, i, j, down, across, gap=(0.03, 0.06))
            _panel(inside, row.xs(name, level="impulse", drop_level=False))
            inside.set_ylim(*limits)
            if i == 0:
                inside.set_title(f"impulse: {name}", fontsize=9, color=INK)
            if j == 0:
                inside.set_ylabel(str(answer), fontsize=9)
            else:
                inside.tick_params(labelleft=False)
            if i == down - 1:
                inside.set_xlabel("steps", fontsize=9)
            else:
                inside.tick_params(labelbottom=False)
    return ax


def _limits(row: Any) -> tuple[float, float]:
    columns = [c for c in ("effect", "lower", "upper") if c in row.columns]
    values = row[columns].to_numpy(dtype=float)
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    margin = 0.06 * (high - low or 1.0)
    return low - margin, high + margin


def _panel(ax: Axes, rows: Any) -> None:
    steps = rows.index.get_level_values("step").to_numpy()
    ax.axhline(0, color=GREY, linewidth=0.8)
    if "lower" in rows.columns:
        low, high = (rows[name].to_numpy(dtype=float) for name in ("lower", "upper"))
        ax.fill_between(steps, low, high, color=BLUE, alpha=0.2, linewidth=0)
    ax.plot(steps, rows["effect"].to_numpy(dtype=float), color=BLUE, linewidth=1.6)
    ax.set_xlim(float(np.min(steps)), float(np.max(steps)))
    plain(ax)
