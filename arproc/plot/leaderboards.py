"""Models side by side: how far each is from the one the others are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError
from arproc.plot.canvas import BLUE, GREY, INK, VERMILLION, axes_for, legend, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["leaderboard"]

_MARKS = {"worse": (VERMILLION, "s"), "better": (BLUE, "o"), "best": (INK, "D")}


def leaderboard(table: Any, ax: Axes | None = None) -> Axes:
    """The paired differences between models with their 95% intervals, the best model on top.

    A square is a model that is worse than the reference, a circle one that is better, a diamond
    the reference itself; a grey cross is no clear difference.

    Args:
        table: what `arproc.compare` gave.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        DataError: it is something else.

    Example:
        >>> import arproc
        >>> x = [0.3, 0.2, -0.4, -0.1, 0.3, 0.2, 0.1]
        >>> table = arproc.compare({f"AR({p})": arproc.AR(p).fit(x) for p in (0, 1)}, x)
        >>> leaderboard(table).get_xlabel()
        'difference [nats per element]; more is worse'
    """
    facts = getattr(table, "attrs", {})
    if "reference" not in facts or "verdict" not in getattr(table, "columns", ()):
        raise DataError(
            "leaderboard draws what arproc.compare(models, data) gave; got "
            f"{type(table).__name__}."
        )
    unit = table.columns[1]
    ax = axes_for(ax, (7.0, 1.3 + 0.42 * len(table)))
    ax.axvline(0.0, color=GREY, linewidth=1.0, linestyle="--")
    labels: list[str] = []
    told: set[str] = set()
    for place, (name, row) in enumerate(table.iterrows()):
        middle, low, high = (row[f"{part}_{unit}"] for part in ("difference", "low95", "high95"))
        labels.append(str(name))
        if not np.isfinite(middle):
            labels[-1] += f" ({middle:+.0f})"
            continue
        verdict = "best" if name == facts["reference"] else row["verdict"]
        colour, mark = _MARKS.get(verdict, (GREY, "x"))
        if np.isfinite([low, high]).all() and high > low:
            ax.plot([low, high], [place, place], color=colour, linewidth=2.2)
        name = None if verdict in told else "reference" if verdict == "best" else verdict
        told.add(verdict)
        ax.plot([middle], [place], mark, color=colour, markersize=7, label=name)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_xlabel(f"difference [{unit.replace('_', ' ')}]; more is worse")
    ax.set_title(f"against {facts['reference']}, 95% intervals", fontsize="medium", loc="left")
    legend(ax)
    plain(ax)
    return ax
