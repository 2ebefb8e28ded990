"""The histogram of PIT values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError, check_count
from arproc.evaluation.calibration import flatten, uniformity
from arproc.plot.canvas import BLUE, GREY, INK, axes_for, legend, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["pit_histogram"]


def pit_histogram(pit: Any, bins: int | None = None, ax: Axes | None = None) -> Axes:
    """How PIT values are spread: level if the model is calibrated.

    A hump means that the conditionals are too wide, a trough that they are too narrow, a slope
    that they lie to one side. The band holds each bar with probability 95% if the values are
    independent and uniform; of twenty bars one is outside it on average.

    Args:
        pit: what `arproc.evaluation.pit` gave.
        bins: how many bars; by default as many as leave 15 values in each, 5 to 20.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.

    Example:
        >>> ax = pit_histogram((np.arange(200) * 0.618) % 1, bins=10)
        >>> len(ax.patches) >= 10
        True
    """
    values = np.concatenate(flatten(pit))
    n = len(values)
    if not n:
        raise DataError("pit has no values; expected PIT values, as pit(model, data) gives them.")
    count = min(20, max(5, n // 15)) if bins is None else check_count("bins", bins, minimum=1)
    ax = axes_for(ax, (5.5, 3.6))
    from scipy.stats import binom

    heights = np.histogram(values, bins=count, range=(0.0, 1.0))[0] * count / n
    edges = np.linspace(0, 1, count + 1)
    low, high = (float(binom.ppf(q, n, 1 / count)) * count / n for q in (0.025, 0.975))
    ax.bar(edges[:-1], heights, 1 / count, align="edge", color=BLUE, alpha=0.7, edgecolor="white")
    label = "95% of bars if calibrated"
    ax.axhspan(low, high, color=GREY, alpha=0.25, linewidth=0, zorder=0, label=label)
    for height, width in ((low, 0.8), (1.0, 1.4), (high, 0.8)):
        ax.axhline(height, color=INK, linewidth=width, linestyle="--")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.05 * max(high, float(heights.max())))
    ax.set_xlabel("PIT value: where the element falls in its conditional")
    ax.set_ylabel("density (1 if calibrated)")
    p_value = uniformity(pit).ks_p_value if n > 1 else float("nan")
    ax.set_title(f"n = {n:,}; Kolmogorov-Smirnov p = {p_value:.2g}", fontsize="medium")
    legend(ax)
    plain(ax)
    return ax
