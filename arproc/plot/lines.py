"""Sequences of numbers as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError, check_array, check_list
from arproc.plot.canvas import axes_for, dashes, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["sample_lines"]


def sample_lines(samples: Any, ax: Axes | None = None) -> Axes:
    """Some sequences of numbers below each other on one scale; of vectors a line a component.

    Args:
        samples: sequences [N, T] or [N, T, d], or a list of arrays [T] or [T, d]; NaN (missing)
            leaves a gap.
        ax: where to draw; a new figure by default. The panels are drawn inside of it.

    Returns:
        The Axes.

    Raises:
        DataError: there are no numbers.

    Example:
        >>> len(sample_lines([[0.0, 1.0, 0.5], [0.2, 0.1, 0.4]]).child_axes)
        2
    """
    rows = [check_array("samples", row, DataError) for row in check_list("samples", samples)]
    if not rows or any(row.ndim not in (1, 2) for row in rows) or not sum(r.size for r in rows):
        shapes = [row.shape for row in rows[:3]]
        raise DataError(
            f"samples has sequences of shapes {shapes}; expected at least one, [T] or [T, d]."
        )
    ax = axes_for(ax, (8.0, 0.6 + 1.3 * len(rows)))
    first: Axes | None = None
    for i, row in enumerate(rows):
        inside = panel(ax, i, 0, len(rows), 1, (0.0, 0.14 / len(rows)), share=first)
        first = first or inside
        _draw(inside, row)
        inside.tick_params(labelbottom=i == len(rows) - 1)
    inside.set_xlabel("element")
    return ax


def _draw(ax: Axes, row: np.ndarray) -> None:
    for j, values in enumerate(row.T if row.ndim == 2 else [row]):
        ax.plot(values, **dashes(j), linewidth=1.1, marker="." if len(values) <= 60 else None)
    ax.set_ylabel("value", fontsize=8)
