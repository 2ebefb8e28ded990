"""What `fidelity` found, at a glance."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from arproc.evaluation import Fidelity
from arproc.plot.canvas import BLUE, GREY, INK, VERMILLION, axes_for, legend, plain, refuse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["fidelity_overview"]


def fidelity_overview(found: Fidelity, ax: Axes | None = None) -> Axes:
    """The rows of `fidelity` by their adjusted p-values: left of the line they fail.

    Rows that were not tested are left out.

    Args:
        found: what `arproc.fidelity` gave.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes; its x axis is logarithmic.

    Example:
        >>> import arproc, numpy as np
        >>> train, holdout, fresh = np.random.default_rng(0).normal(size=(3, 40, 20))
        >>> ax = fidelity_overview(arproc.fidelity(train, holdout, fresh, rows=["distribution"]))
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['level and spread', 'marginal', 'extremes']
    """
    if not isinstance(found, Fidelity):
        raise refuse("fidelity_overview", "arproc.fidelity(train, holdout, synthetic)", found)
    rows = [row for row in found.rows if row.passed is not None]
    ax = axes_for(ax, (7.0, 1.3 + 0.27 * len(rows)))
    marks = {True: (BLUE, "o", "passes"), False: (VERMILLION, "X", "fails")}
    for passed, (colour, mark, name) in marks.items():
        at = [place for place, row in enumerate(rows) if row.passed is passed]
        p = [rows[place].adjusted for place in at]
        if at:
            ax.hlines(at, p, 1.0, color=colour, linewidth=1.2, alpha=0.4)
            ax.plot(p, at, mark, color=colour, ms=7, label=name)
    ax.set_xscale("log")
    least = min([found.alpha / 5, *(0.7 * row.adjusted for row in rows if row.adjusted > 0)])
    ax.set_xlim(least, 1.15)
    ax.axvline(
        found.alpha, color=INK, linestyle="--", lw=1.2, label=f"fails below {found.alpha:g}"
    )
    ax.set_yticks(range(len(rows)), [row.name for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    _families(ax, [row.family for row in rows])
    ax.set_xlabel("p-value, adjusted for the number of rows")
    ax.set_title(
        f"{len(found.failed)} of {len(rows)} rows fail ({found.kind}: {found.n_train:,} train, "
        f"{found.n_holdout:,} hold-out, {found.n_synthetic:,} synthetic)",
        fontsize="medium",
        loc="left",
        color=INK,
    )
    legend(ax)
    plain(ax)
    return ax


def _families(ax: Axes, families: list[str]) -> None:
    """The name of each family right of its rows, with a line between families."""
    place = 0
    for family, rows in groupby(families):
        count = len(list(rows))
        if place:
            ax.axhline(place - 0.5, color=GREY, linewidth=0.6)
        ax.text(1.01, place + (count - 1) / 2, family, transform=ax.get_yaxis_transform(),
                va="center", fontsize="small", color=GREY)  # fmt: skip
        place += count
