"""What analyses found: anomalies, change points, predictive checks, how far memory goes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.evaluation import ChangePoints, PredictiveCheck
from arproc.plot.canvas import (
    BLUE,
    GREY,
    INK,
    VERMILLION,
    axes_for,
    dated,
    entitle,
    legend,
    one_of,
    panel,
    plain,
    refuse,
    whole_numbers,
    x_values,
)  # fmt: skip

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["anomalies", "change_points", "mutual_information", "predictive_check"]


def anomalies(table: pd.DataFrame, ax: Axes | None = None, *, series: Any = None) -> Axes:
    """The surprisal of each element of a sequence, and which of them raised an alarm.

    Args:
        table: what `arproc.evaluation.anomalies` gave.
        ax: where to draw; a new figure by default.
        series: which sequence, where there are several.

    Returns:
        The Axes.

    Example:
        >>> import arproc
        >>> found = arproc.evaluation.anomalies(arproc.AR.from_parameters([0.9]), [0.0, 0.5, 9.0])
        >>> [text.get_text() for text in anomalies(found).get_legend().get_texts()]
        ['surprisal', '1 alarm']
    """
    facts: dict[str, Any] = getattr(table, "attrs", {})
    if "n_alarms" not in facts:
        raise refuse("anomalies", "arproc.evaluation.anomalies(model, data)", table)
    rows = one_of(table, "series", series, "sequences")
    ax = axes_for(ax, (8.0, 3.4))
    x = _along(ax, rows)
    y = rows["surprisal"].to_numpy(dtype=float)
    alarm = rows["alarm"].to_numpy(dtype=bool)
    ax.plot(x, y, color=BLUE, linewidth=1.0, label="surprisal")
    count = int(alarm.sum())
    if count:
        told = f"{count} alarm{'s' if count > 1 else ''}"
        ax.plot(x[alarm], y[alarm], "x", color=VERMILLION, ms=7, mew=2, label=told)
    rate, control = facts["rate"], facts["control"]
    meaning = {
        "each": f"{rate:.3g} of sound elements raise an alarm",
        "any": f"an alarm among sound elements with a chance of {rate:.3g}",
        "share": f"{rate:.3g} of the alarms are false",
    }[control]
    ax.set_title(meaning, fontsize="medium", loc="left")
    ax.set_ylabel("surprisal [nats]")
    legend(ax)
    plain(ax)
    return ax


def change_points(found: ChangePoints, ax: Axes | None = None, *, series: Any = None) -> Axes:
    """Where a sequence's surprisal moved to another level, and the levels in between.

    Args:
        found: what `arproc.evaluation.change_points` gave.
        ax: where to draw; a new figure by default.
        series: which sequence, where there are several.

    Returns:
        The Axes.

    Example:
        >>> import arproc
        >>> x = np.concatenate([np.zeros(40), np.full(40, 3.0)]) + np.sin(np.arange(80.0) ** 2)
        >>> found = arproc.evaluation.change_points(arproc.AR.from_parameters([]), x)
        >>> change_points(found).get_title(loc="left")
        '1 change'
    """
    if not isinstance(found, ChangePoints):
        raise refuse("change_points", "arproc.evaluation.change_points(model, data)", found)
    rows = one_of(found.scores, "series", series, "sequences")
    ax = axes_for(ax, (8.0, 3.4))
    x = _along(ax, rows)
    what = "surprisal" if found.of == "surprisal" else "PIT value"
    values = rows["value"].to_numpy(dtype=float)
    segments = rows["segment"].to_numpy()
    ax.plot(x, values, color=GREY, linewidth=0.9, label=what)
    starts = np.flatnonzero(np.diff(segments, prepend=segments[0] - 1))
    for number, (first, end) in enumerate(zip(starts, [*starts[1:], len(rows)], strict=True)):
        mean = float(np.nanmean(values[first:end]))
        name = "" if number else "mean between changes"
        ax.plot(x[[first, end - 1]], [mean, mean], color=BLUE, linewidth=2.2, label=name or None)
    for number, first in enumerate(starts[1:]):
        name = "" if number else "change"
        ax.axvline(x[first], color=VERMILLION, linestyle="--", linewidth=1.4, label=name or None)
    count = len(starts) - 1
    ax.set_title(
        f"{count or 'no'} change{'' if count == 1 else 's'}", fontsize="medium", loc="left"
    )
    ax.set_ylabel(f"{what} [nats]" if found.of == "surprisal" else what)
    legend(ax)
    plain(ax)
    return ax


def _along(ax: Axes, rows: pd.DataFrame) -> np.ndarray:
    """Where the elements stand along the x axis: at their times, or else their steps."""
    import pandas as pd

    times = x_values(pd.Index(rows["time"]), len(rows)) if "time" in rows.columns else None
    ax.set_xlabel("step" if times is None else "time")
    if times is None:
        return rows["step"].to_numpy()
    dated(ax, times)
    return times


def mutual_information(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """What an element tells about one some steps later; in the grey, it may be an accident.

    Args:
        table: what `arproc.evaluation.mutual_information` gave.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.

    Example:
        >>> from arproc.evaluation import mutual_information as estimate
        >>> mutual_information(estimate("ab" * 200, lags=4)).get_xlabel()
        'lag [steps]'
    """
    if not {"lag", "nats", "high"} <= set(getattr(table, "columns", ())):
        raise refuse("mutual_information", "arproc.evaluation.mutual_information(data)", table)
    ax = axes_for(ax, (6.4, 3.6))
    lags = table["lag"].to_numpy()
    ax.fill_between(
        lags,
        0,
        table["high"],
        color=GREY,
        alpha=0.3,
        linewidth=0,
        label="up to the highest of shuffled pairs",
    )
    ax.plot(lags, table["nats"], "o-", color=BLUE, ms=4, lw=1.4, label="mutual information")
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set_xlabel("lag [steps]")
    whole_numbers(ax)
    ax.set_ylabel("information [nats]")
    legend(ax)
    plain(ax)
    return ax


def predictive_check(found: PredictiveCheck, ax: Axes | None = None) -> Axes:
    """Each statistic of the data against its distribution under the model, a panel each.

    Args:
        found: what `arproc.evaluation.predictive_check` gave.
        ax: where to draw; a new figure by default. Several panels are drawn inside of it.

    Returns:
        The Axes.

    Example:
        >>> import arproc
        >>> x = np.random.default_rng(0).standard_t(3, size=100)
        >>> found = arproc.evaluation.predictive_check(arproc.AR(1).fit(x), x, ["std", "max"])
        >>> len(predictive_check(found).child_axes)
        2
    """
    if not isinstance(found, PredictiveCheck):
        raise refuse("predictive_check", "arproc.evaluation.predictive_check(model, data)", found)
    names = list(found.table.index)
    across = min(3, len(names))
    down = math.ceil(len(names) / across)
    height = 1.9 * down + 0.6
    ax = axes_for(ax, (2.9 * across + 0.4, height))
    gap = (0.08, 0.6 / height)
    for number, name in enumerate(names):
        inside = panel(ax, *divmod(number, across), down, across, gap)
        row = found.table.loc[name]
        draws = found.draws[name].to_numpy(dtype=float)
        draws = draws[np.isfinite(draws)]
        inside.hist(draws, bins=25, color=BLUE, alpha=0.45, edgecolor="white", linewidth=0.3,
                    label="under the model")  # fmt: skip
        inside.axvline(row["observed"], color=VERMILLION, linewidth=2, label="the data")
        for end in ("low", "high"):
            inside.axvline(row[end], color=INK, linestyle=":", linewidth=1.0)
        entitle(
            inside,
            f"{name}: p = {row['p_holm']:.2g}",
            "",
            "draws" if number % across == 0 else "",
            8.5,
        )
        inside.tick_params(labelleft=False, left=False)
        if not number:
            legend(inside, 8)
    return ax
