"""Sequences of numbers as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arproc.errors import DataError, check_array, check_list
from arproc.plot.canvas import BLUE, GREY, VERMILLION, axes_for, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["sample_lines"]

# told apart in every kind of colour vision, and by their dashes
_STYLES = ((BLUE, "-"), (VERMILLION, "--"), (GREY, "-."), ("#009E73", ":"))


def sample_lines(samples: Any, ax: Axes | None = None) -> Axes:
    """Some sequences of numbers, one line each; of vectors one for each component.

    Args:
        samples: sequences [N, T] or [N, T, d], or a list of arrays [T] or [T, d]; NaN (missing)
            leaves a gap.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        DataError: there are no numbers.

    Example:
        >>> len(sample_lines(np.zeros((3, 20))).lines)
        3
    """
    rows = [check_array("samples", row, DataError) for row in check_list("samples", samples)]
    if not rows or any(row.ndim not in (1, 2) for row in rows) or not sum(r.size for r in rows):
        shapes = [row.shape for row in rows[:3]]
        raise DataError(
            f"samples has sequences of shapes {shapes}; expected at least one, [T] or [T, d]."
        )
    ax = axes_for(ax, (8.0, 3.2))
    for i, row in enumerate(rows):
        colour, dashes = _STYLES[i % len(_STYLES)]
        few = len(row) <= 60
        ax.plot(row, color=colour, linestyle=dashes, linewidth=1.2, marker="." if few else None)
    ax.set_xlabel("element")
    ax.set_ylabel("value")
    plain(ax)
    return ax
