"""Reliability diagrams of probabilities, and Murphy diagrams of point forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arproc.evaluation import Reliability
from arproc.plot.canvas import BLUE, GREY, INK, axes_for, dashes, legend, plain, refuse

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["murphy_diagram", "reliability_diagram"]


def reliability_diagram(found: Reliability, ax: Axes | None = None) -> Axes:
    """How often events came against how probable they were said to be (CORP).

    On the diagonal both agree. The band holds the rate at each forecast with the chance that
    `reliability` was asked for, if the forecasts are right; below stands how many there were.

    Args:
        found: what `arproc.evaluation.reliability` gave.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.

    Example:
        >>> import numpy as np
        >>> from arproc.evaluation import reliability
        >>> ax = reliability_diagram(reliability([0.2, 0.2, 0.6, 0.6], [0, 0, 1, 1]))
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['forecasts that are right', 'band of these', 'rate of events', 'share of forecasts']
    """
    if not isinstance(found, Reliability):
        raise refuse("reliability_diagram", "arproc.evaluation.reliability(p, outcomes)", found)
    ax = axes_for(ax, (5.2, 5.2))
    table = found.table
    p = table["probability"].to_numpy()
    ax.plot([0, 1], [0, 1], color=GREY, ls="--", lw=1.0, label="forecasts that are right")
    band = (table["low"].to_numpy(), table["high"].to_numpy())
    ax.fill_between(p, *band, color=GREY, alpha=0.25, linewidth=0, label="band of these")
    ax.plot(p, table["rate"], "o-", color=BLUE, ms=3, lw=1.6, label="rate of events")
    # every group of one rate is a first and a last row, or one
    groups = table.groupby("rate").agg(low=("probability", "min"), high=("probability", "max"),
                                       n=("n", "first"))  # fmt: skip
    share = 0.15 * groups["n"] / groups["n"].max()
    middle = (groups["low"] + groups["high"]) / 2
    ax.vlines(middle, 0, share, color=INK, alpha=0.5, linewidth=2, label="share of forecasts")
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(0, 1.02)
    ax.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    ax.set_xlabel("probability that was said")
    ax.set_ylabel("rate of events")
    ax.set_title(
        f"Brier score {found.brier:.3g} = {found.miscalibration:.2g} miscalibration\n"
        f"- {found.discrimination:.2g} discrimination + {found.uncertainty:.2g} uncertainty; "
        f"n = {found.n:,}",
        fontsize="small",
        loc="left",
    )
    legend(ax)
    plain(ax)
    return ax


def murphy_diagram(curves: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The mean elementary score of point forecasts at every threshold; lower is better.

    A forecast that is below another along the whole diagram is better for every user.

    Args:
        curves: what `arproc.evaluation.murphy` gave.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.

    Example:
        >>> from arproc.evaluation import murphy
        >>> ax = murphy_diagram(murphy({"a": [0.0, 2.0], "b": [1.0, 1.0]}, [0.0, 3.0]))
        >>> len(ax.lines)
        2
    """
    facts: dict[str, Any] = getattr(curves, "attrs", {})
    if "functional" not in facts:
        raise refuse("murphy_diagram", "arproc.evaluation.murphy(forecasts, actual)", curves)
    ax = axes_for(ax, (6.4, 4.0))
    for number, name in enumerate(curves.columns):
        ax.plot(curves.index, curves[name], **dashes(number), linewidth=1.6, label=str(name))
    what = facts["functional"]
    told = what if what == "mean" else f"{what} of level {facts['level']:g}"
    ax.set_title(f"forecasts of the {told}; n = {facts['n']:,}", fontsize="medium", loc="left")
    ax.set_xlabel("threshold [unit of the data]")
    ax.set_ylabel("mean elementary score; lower is better")
    ax.set_ylim(bottom=0)
    legend(ax)
    plain(ax)
    return ax
