"""What all pictures share: the Axes to draw on, the colours, an index as an x axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import MissingDependencyError, ParameterError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BLUE", "GREY", "INK", "VERMILLION", "axes_for", "plain", "x_values"]

# Okabe and Ito 2008
INK, GREY, BLUE, VERMILLION = "#222222", "#767676", "#0072B2", "#D55E00"


def axes_for(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """The given Axes, or those of a new figure of this size in inches.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ParameterError: `ax` is no Axes.
    """
    try:
        import matplotlib.pyplot as plt
        from matplotlib.axes import Axes
    except ImportError:
        raise MissingDependencyError(
            'pictures need matplotlib, which is not installed: pip install "arproc[plot]"'
        ) from None
    if ax is None:
        return plt.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise ParameterError(
            f"ax must be a matplotlib Axes; got {type(ax).__name__}. plt.subplots() gives one."
        )
    return ax


def plain(ax: Axes) -> None:
    """Take away the frame's upper and right side, which say nothing."""
    ax.spines[["top", "right"]].set_visible(False)


def x_values(index: Any, length: int) -> np.ndarray:
    """A pandas index (or None) as numbers or dates that matplotlib draws, [length]."""
    if index is None:
        return np.arange(length)
    if hasattr(index, "to_timestamp"):
        return index.to_timestamp().to_numpy()
    values = index.to_numpy()
    return values if values.dtype.kind in "iufM" else np.arange(length)
