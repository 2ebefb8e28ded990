"""Costs against what they cost: data, context, time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError, check_names, check_table
from arproc.plot.canvas import BLUE, GREY, INK, axes_for, dashes, legend, plain, refuse

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["context_curve", "learning_curve", "speed_quality"]


def learning_curve(curves: Any, ax: Axes | None = None) -> Axes:
    """The cost of held-out data against the size of the training data, with 95% intervals.

    Args:
        curves: what `arproc.evaluation.learning_curve` gave; or a dict of such tables by model.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes; its x axis is logarithmic.

    Example:
        >>> import arproc
        >>> x = arproc.AR.from_parameters([0.8]).sample(1, length=600, seed=0)[0]
        >>> found = arproc.evaluation.learning_curve(arproc.AR(1), x[:400], x[400:])
        >>> learning_curve(found).get_xlabel()
        'elements of training data'
    """
    source = "arproc.evaluation.learning_curve(model, train, test)"
    tables = _tables("learning_curve", source, curves, "size_of")
    ax = axes_for(ax, (6.4, 3.8))
    facts = next(iter(tables.values())).attrs
    for number, (name, table) in enumerate(tables.items()):
        unit = table.attrs["unit"]
        _curve(ax, number, name, table["size"], table[unit], table[f"se_{unit}"])
    ax.set_xscale("log")
    ax.set_xlabel(f"{facts['size_of']} of training data")
    ax.set_ylabel(f"cost of held-out data\n[{facts['unit'].replace('_', ' ')}]")
    _finish(ax, len(tables))
    return ax


def context_curve(curves: Any, ax: Axes | None = None) -> Axes:
    """The cost of an element against how much of its past is known, with 95% intervals.

    Args:
        curves: what `arproc.evaluation.context_curve` gave; or a dict of such tables by model.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes; its x axis is logarithmic from 1 on.

    Example:
        >>> import arproc
        >>> model = arproc.AR.from_parameters([0.9])
        >>> x = model.sample(1, length=400, seed=0)[0]
        >>> found = arproc.evaluation.context_curve(model, x)
        >>> context_curve({"AR(1)": found}).get_xlabel()
        'known elements before it'
    """
    source = "arproc.evaluation.context_curve(model, data)"
    tables = _tables("context_curve", source, curves, "by")
    ax = axes_for(ax, (6.4, 3.8))
    by = next(iter(tables.values())).attrs["by"]
    for number, (name, table) in enumerate(tables.items()):
        x = table["length"] if by == "length" else (table["first"] + table["last"]) / 2
        _curve(ax, number, name, x, table["nats_per_element"], table["se"])
    ax.set_xscale("symlog", linthresh=1, linscale=0.4)
    ax.set_xlim(left=-0.1)
    ax.set_xlabel("known elements before it" if by == "length" else "position (middle of a band)")
    ax.set_ylabel("cost [nats per element]")
    _finish(ax, len(tables))
    return ax


def _tables(picture: str, source: str, curves: Any, fact: str) -> dict[str, pd.DataFrame]:
    tables = dict(curves) if isinstance(curves, Mapping) else {"": curves}
    for table in tables.values():
        if fact not in getattr(table, "attrs", {}):
            raise refuse(picture, source, table)
    facts = [{k: v for k, v in t.attrs.items() if k in ("unit", fact)} for t in tables.values()]
    if not facts or any(other != facts[0] for other in facts):
        raise DataError(f"{picture} draws curves of one unit together; got {facts}.")
    return check_names("curves", tables)


def _curve(ax: Axes, number: int, name: str, x: Any, y: Any, error: Any) -> None:
    style = dashes(number)
    x, y, reach = (np.asarray(one, dtype=float) for one in (x, y, 1.96 * error))
    ax.fill_between(x, y - reach, y + reach, color=style["color"], alpha=0.15, linewidth=0)
    ax.plot(x, y, **style, marker="o", ms=4, linewidth=1.6, label=name or None)


def _finish(ax: Axes, count: int) -> None:
    ax.set_title("lower is better; bands: 95% intervals", fontsize="medium", loc="left")
    if count > 1 or ax.get_legend_handles_labels()[1]:
        legend(ax)
    plain(ax)


def speed_quality(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    speed: str,
    quality: str,
    error: str | None = None,
) -> Axes:
    """What each model costs in time against what it costs in quality; the line joins the best.

    A model is on the line if none is both faster and better.

    Args:
        table: a row for each model, its index the names.
        ax: where to draw; a new figure by default.
        speed: the column with the time (lower is better); its name should tell the unit.
        quality: the column with the loss or cost (lower is better), likewise.
        error: the column with the standard error of that, for 95% intervals.

    Returns:
        The Axes; its x axis is logarithmic.

    Raises:
        DataError: there is no such column, or no row with both numbers.

    Example:
        >>> import pandas as pd
        >>> costs = {"seconds": [1.0, 9.0], "bits": [2.1, 1.7]}
        >>> made = pd.DataFrame(costs, index=["6-gram", "big"])
        >>> ax = speed_quality(made, speed="seconds", quality="bits")
        >>> [text.get_text() for text in ax.texts]
        ['6-gram', 'big']
    """
    check_table("table", table, (speed, quality, *([error] if error else [])))
    rows = table[(table[speed] > 0) & np.isfinite(table[quality].astype(float))]
    if not len(rows):
        raise DataError(f"table has no row with {speed!r} above 0 and a finite {quality!r}.")
    ax = axes_for(ax, (6.4, 4.2))
    x, y = (rows[name].to_numpy(dtype=float) for name in (speed, quality))
    order = np.lexsort((y, x))
    best = order[y[order] <= np.minimum.accumulate(y[order])]
    best = best[np.append(True, np.diff(y[best]) < 0)]
    ax.step(x[best], y[best], where="post", color=GREY, linestyle="--", linewidth=1.2, zorder=1)
    if error:
        reach = 1.96 * rows[error].to_numpy(dtype=float)
        ax.vlines(x, y - reach, y + reach, color=GREY, linewidth=1.2)
    ahead = np.isin(np.arange(len(rows)), best)
    ax.plot(x[ahead], y[ahead], "o", color=BLUE, ms=7)
    ax.plot(x[~ahead], y[~ahead], "o", color=BLUE, ms=6, markerfacecolor="white")
    ax.set_xscale("log")
    ax.margins(0.12, 0.15)
    ax.set_xlabel(speed.replace("_", " "))
    ax.set_ylabel(quality.replace("_", " "))
    ax.set_title("down and to the left is better", fontsize="medium", loc="left")
    _named(ax, x, y, [str(name) for name in rows.index])
    plain(ax)
    return ax


#: Where a name may stand beside its point, in points, the first that is free.
_BESIDE = ((7, 5), (7, -12), (-7, 5), (-7, -12), (0, 13), (0, -20), (7, 18), (-7, -26))


def _named(ax: Axes, x: np.ndarray, y: np.ndarray, names: list[str]) -> None:
    """The names beside their points, none over another, or over a point, where there is room."""
    from matplotlib.transforms import Bbox

    at = ax.transData.transform(np.column_stack([x, y]))
    taken = [Bbox([(a - 5, b - 5), (a + 5, b + 5)]) for a, b in at]
    room = ax.get_window_extent()
    for i, name in enumerate(names):
        places = []
        for right, up in _BESIDE:
            side = "left" if right > 0 else "right" if right < 0 else "center"
            text = ax.annotate(name, (x[i], y[i]), xytext=(right, up), textcoords="offset points",
                               ha=side, fontsize="small", color=INK)  # fmt: skip
            box = text.get_window_extent()
            outside = max(0.0, box.x1 - room.x1) + max(0.0, room.x0 - box.x0)
            places.append((sum(box.overlaps(other) for other in taken) + outside, text, box))
            if not places[-1][0]:
                break
        kept = min(places, key=lambda place: place[0])
        for place in places:
            if place is not kept:
                place[1].remove()
        taken.append(kept[2])
