"""The spectral density of an autoregression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import ParameterError, check_table
from arproc.plot.canvas import BLUE, GREY, axes_for, legend, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["spectral_density"]

_PEAKS = 3  # so many periods are named at most


def spectral_density(model: Any, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """How a process's variance is spread over frequencies, and the periods of its peaks.

    Args:
        model: an AR with a stationary law, or what its `spectral_density` gave.
        ax: where to draw; a new figure by default.
        level: what share of the probability lies between the bands.

    Returns:
        The Axes; its y axis is logarithmic.

    Example:
        >>> import arproc
        >>> ax = spectral_density(arproc.AR.from_parameters([1.5, -0.9]))
        >>> ax.texts[0].get_text()
        'period 9.5'
    """
    found = model if hasattr(model, "columns") else None
    if found is None and (isinstance(model, type) or not hasattr(model, "spectral_density")):
        raise ParameterError(
            f"model must be an AR, or the table its spectral_density gives; got "
            f"{type(model).__name__}."
        )
    if found is not None:
        check_table("model", found, ("density",))
    table = model.spectral_density(level=level) if found is None else found
    ax = axes_for(ax, (7.0, 3.8))
    x, y = table.index.to_numpy(dtype=float), table["density"].to_numpy()
    if "lower" in table:
        share = "bands" if found is not None else f"{level:.0%} bands"
        ax.fill_between(
            x, table["lower"], table["upper"], color=BLUE, alpha=0.2, linewidth=0, label=share
        )
    ax.plot(x, y, color=BLUE, linewidth=1.6, label="spectral density")
    ax.set_yscale("log")
    below = legend(ax) if "lower" in table else 1.0
    inner = np.arange(1, len(y) - 1)
    peaks = inner[(y[inner] > y[inner - 1]) & (y[inner] >= y[inner + 1])]
    last = float(x.max())
    for k in sorted(peaks, key=lambda k: -y[k])[:_PEAKS]:
        left = x[k] > 0.8 * last
        ax.axvline(x[k], ymax=below, color=GREY, linewidth=0.8, linestyle="--", zorder=0)
        ax.annotate(
            f"period {1 / x[k]:.3g}",
            (x[k], below - 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if left else 4, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="top",
            fontsize="small",
            color=GREY,
        )
    ax.set_xlim(float(x.min()), float(x.max()) if len(x) > 1 else float(x.min()) + 0.5)
    ax.set_xlabel("frequency [cycles a step]")
    ax.set_ylabel("variance per unit of frequency")
    plain(ax)
    return ax
