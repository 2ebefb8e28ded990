"""Four looks at a model's residuals."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError
from arproc.evaluation.diagnostics import standardised_residuals
from arproc.plot.canvas import (
    BLUE,
    GREY,
    VERMILLION,
    axes_for,
    entitle,
    legend,
    panel,
    whole_numbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from arproc.process import Process

__all__ = ["diagnostics"]


def diagnostics(
    model: Process,
    data: Any,
    ax: Axes | None = None,
    *,
    context: Any = None,
    offset: Any = None,
    lags: int = 20,
) -> Axes:
    """Standardised residuals over time, their histogram, normal quantiles and autocorrelations.

    `arproc.diagnose` gives the tests that belong to them.

    Args:
        model: a fitted process of real scalars.
        data: one sequence, in any form the model takes.
        ax: where to draw; a new figure by default. The four panels are drawn inside of it.
        context: as for `log_prob`.
        offset: as for `log_prob`.
        lags: of the autocorrelations.

    Returns:
        The Axes.

    Example:
        >>> import arproc
        >>> x = np.cos(np.arange(80.0) ** 2)
        >>> len(diagnostics(arproc.AR(2).fit(x), x).child_axes)
        4
    """
    residuals, keys = standardised_residuals(model, data, context, offset)
    if keys is not None:
        raise DataError(f"data has {len(residuals)} sequences; expected one series to draw.")
    z = residuals[0]
    if len(z) < 3 or not z.std() > 0:
        raise DataError(f"data leaves {len(z)} residual(s); expected 3 or more, not all equal.")
    ax = axes_for(ax, (9.0, 6.4))
    panels: tuple[Callable[[Axes, np.ndarray], None], ...] = (
        _over_time,
        _histogram,
        _quantiles,
        partial(_autocorrelations, lags=lags),
    )
    for number, draw in enumerate(panels):
        draw(panel(ax, *divmod(number, 2), 2, 2), z)
    return ax


def _over_time(ax: Axes, z: np.ndarray) -> None:
    ax.axhline(0, color=GREY, linewidth=0.8)
    for bound in (-1.96, 1.96):
        ax.axhline(bound, color=GREY, linewidth=0.8, linestyle="--")
    ax.plot(z, color=BLUE, linewidth=0.9)
    ax.set_xlim(0, len(z) - 1)
    entitle(ax, "95% lie between the dashed lines", "element", "standardised residual", 8)


def _histogram(ax: Axes, z: np.ndarray) -> None:
    from scipy.stats import gaussian_kde

    bins = min(40, max(8, round(2 * len(z) ** (1 / 3))))
    ax.hist(z, bins=bins, density=True, color=BLUE, alpha=0.35, edgecolor="white")
    wide = max(3.5, 1.1 * float(np.abs(z).max()))
    x = np.linspace(-wide, wide, 200)
    ax.plot(x, gaussian_kde(z)(x), color=BLUE, linewidth=1.4, label="their density")
    normal = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    ax.plot(x, normal, color=VERMILLION, linewidth=1.4, linestyle="--", label="N(0, 1)")
    entitle(ax, "histogram", "standardised residual", "density", 8)
    legend(ax, 8)


def _quantiles(ax: Axes, z: np.ndarray) -> None:
    from scipy.special import ndtri
    from scipy.stats import beta

    n = len(z)
    rank = np.arange(1, n + 1)
    theory = ndtri((rank - 0.375) / (n + 0.25))
    # the k-th of n independent uniforms has the law Beta(k, n + 1 - k)
    low, high = (ndtri(beta.ppf(q, rank, n + 1 - rank)) for q in (0.025, 0.975))
    ax.fill_between(theory, low, high, color=GREY, alpha=0.25, linewidth=0, label="95% each")
    ends = [theory[0], theory[-1]]
    ax.plot(ends, ends, color=VERMILLION, linewidth=1.2, linestyle="--")
    ax.plot(theory, np.sort(z), ".", color=BLUE, markersize=3)
    entitle(ax, "against normal quantiles", "quantile of N(0, 1)", "sorted residuals", 8)
    legend(ax, 8)


def _autocorrelations(ax: Axes, z: np.ndarray, lags: int) -> None:
    n = len(z)
    count = min(lags, n - 1)
    y = z - z.mean()
    acf = [float(y[k:] @ y[: n - k] / (y @ y)) for k in range(1, count + 1)]
    bound = 1.96 / np.sqrt(n)
    ax.axhspan(-bound, bound, color=GREY, alpha=0.25, linewidth=0, label="95% of white noise")
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.vlines(np.arange(1, count + 1), 0, acf, color=BLUE, linewidth=2)
    reach = 1.3 * max(bound, float(np.abs(acf).max()))
    ax.set_ylim(-reach, reach)
    whole_numbers(ax)
    entitle(ax, "autocorrelations", "lag [steps]", "correlation", 8)
    legend(ax, 8)
