"""What all pictures share: Axes and panels to draw on, colours, legends, an index as an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import ArprocError, DataError, MissingDependencyError, ParameterError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "INK",
    "PURPLE",
    "VERMILLION",
    "axes_for",
    "dashes",
    "dated",
    "entitle",
    "legend",
    "one_of",
    "panel",
    "plain",
    "refuse",
    "whole_numbers",
    "x_values",
]

# Okabe and Ito 2008; their green and purple a little darker, to be told from white as well
INK, GREY, BLUE, VERMILLION = "#222222", "#767676", "#0072B2", "#D55E00"
GREEN, PURPLE = "#00805C", "#A85488"

#: Colours of several lines, told apart in every kind of colour vision, and by their dashes.
_STYLES = (
    (BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."), (PURPLE, ":"), (INK, (0, (8, 2))),
    (GREY, (0, (3, 1, 1, 1, 1, 1))),
)  # fmt: skip


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


def panel(
    ax: Axes,
    i: int,
    j: int,
    down: int,
    across: int,
    gap: tuple[float, float] = (0.11, 0.17),
    share: Axes | None = None,
) -> Axes:
    """Panel (i, j) of a grid inside of the Axes, whose own frame is taken away.

    Args:
        ax: what is divided.
        i: the row, from above.
        j: the column.
        down: how many rows.
        across: how many columns.
        gap: between columns and between rows, as shares of the whole.
        share: a panel with the same scales.
    """
    ax.set_axis_off()
    width = (1 - gap[0] * (across - 1)) / across
    height = (1 - gap[1] * (down - 1)) / down
    place = (j * (width + gap[0]), 1 - (i + 1) * height - i * gap[1], width, height)
    inside = ax.inset_axes(place, sharex=share, sharey=share)
    inside.tick_params(labelsize=8)
    plain(inside)
    return inside


def plain(ax: Axes) -> None:
    """Take away the frame's upper and right side, which say nothing."""
    ax.spines[["top", "right"]].set_visible(False)


def entitle(ax: Axes, title: str = "", x: str = "", y: str = "", size: float = 9) -> None:
    """The words of a panel."""
    ax.set_title(title, fontsize=size, color=INK)
    ax.set_xlabel(x, fontsize=size)
    ax.set_ylabel(y, fontsize=size)


def dashes(number: int) -> dict[str, Any]:
    """Colour and dashes of a line among several."""
    colour, pattern = _STYLES[number % len(_STYLES)]
    return {"color": colour, "linestyle": pattern}


def legend(ax: Axes, size: Any = "small") -> float:
    """A legend at the top of the Axes, with room of its own: nothing that is drawn lies behind it.

    The y axis is made longer for it, and lines across the whole height end below. Called when all
    has been drawn.

    Returns:
        The share of the height that is left below it.
    """
    words = ax.get_legend_handles_labels()[1]
    if not words:
        return 1.0
    locator = ax.get_axes_locator()
    if locator is not None:  # a panel knows its place when it is asked
        ax.apply_aspect(locator(ax, None))  # type: ignore[arg-type]
    room = ax.get_window_extent()
    for columns in range(len(words), 0, -1):
        shown = ax.legend(
            frameon=False, fontsize=size, loc="upper left", ncols=columns, borderaxespad=0.2,
            columnspacing=1.2,
        )  # fmt: skip
        box = shown.get_window_extent()
        if box.width <= 0.98 * room.width:
            break
    below = 1 - min(0.7, 1.1 * box.height / room.height + 0.03)
    scale = ax.yaxis.get_transform()
    low, high = scale.transform(np.array(ax.get_ylim()))
    ax.set_ylim(top=float(scale.inverted().transform(low + (high - low) / below)))
    for line in ax.lines:
        if line.get_transform() == ax.get_xaxis_transform():
            line.set_ydata([0, below])
    return below


def x_values(index: Any, length: int) -> np.ndarray:
    """A pandas index (or None) as numbers or dates that matplotlib draws, [length]."""
    if index is None:
        return np.arange(length)
    if hasattr(index, "to_timestamp"):
        return index.to_timestamp().to_numpy()
    values = index.to_numpy()
    return values if values.dtype.kind in "iufM" else np.arange(length)


def dated(ax: Axes, x: np.ndarray) -> None:
    """Concise dates along the x axis, where `x` are dates."""
    if x.dtype.kind == "M":
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator()
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def whole_numbers(ax: Axes) -> None:
    """Marks along the x axis at whole numbers alone."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def refuse(picture: str, source: str, came: Any) -> ArprocError:
    """The error for something that a picture does not draw.

    Args:
        picture: the function's name.
        source: a call that gives what it draws.
        came: what it was given.
    """
    return DataError(f"{picture} draws what {source} gave; got {type(came).__name__}.")


def one_of(table: Any, column: str, wanted: Any, what: str) -> Any:
    """The rows of one of the series (or models ...) in a table, the first by default.

    Raises:
        DataError: there is no such one, or none is chosen among several.
    """
    names = list(dict.fromkeys(table[column]))
    if wanted is None and len(names) == 1:
        return table
    if wanted not in names:
        shown = ", ".join(map(repr, names[:5])) + (" ..." if len(names) > 5 else "")
        raise DataError(f"{column}= must be one of the {what}, {shown}; got {wanted!r}.")
    return table[table[column] == wanted]
