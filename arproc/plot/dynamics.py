"""How sequences move: correlations and spectra of real and synthetic ones, roots, regimes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError, ParameterError, check_array, check_table
from arproc.evaluation.synthetic.comparison import Correlogram, correlograms_of
from arproc.plot.canvas import (
    BLUE,
    GREY,
    INK,
    VERMILLION,
    axes_for,
    dashes,
    dated,
    entitle,
    legend,
    panel,
    plain,
    whole_numbers,
    x_values,
)  # fmt: skip

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["correlograms", "regime_probabilities", "unit_circle"]


def correlograms(
    real: Any, synthetic: Any, ax: Axes | None = None, *, column: Any = None, kind: str = "auto"
) -> Axes:
    """Autocorrelations, partial ones and the spectrum, of real and of synthetic sequences.

    The band holds what as many real units, drawn with replacement, show in 95 of 100 cases at each
    lag: what of the difference chance alone may be. `arproc.fidelity` has the tests.

    Args:
        real: series, a panel, vectors, a table in time, as `arproc.fidelity` takes them.
        synthetic: of the same form.
        ax: where to draw; a new figure by default. The three panels are drawn inside of it.
        column: which column, of vectors and tables; the first by default.
        kind: what the data are, as for `fidelity`.

    Returns:
        The Axes.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> real, shuffled = rng.normal(size=(40, 30)).cumsum(1), rng.normal(size=(40, 30))
        >>> len(correlograms(real, shuffled).child_axes)
        3
    """
    found = correlograms_of(real, synthetic, column, kind)
    ax = axes_for(ax, (8.0, 5.6))
    upper = [panel(ax, 0, j, 2, 2) for j in range(2)]
    names = ("autocorrelation", "partial autocorrelation")
    for inside, name, one in zip(upper, names, found[:2], strict=True):
        _curves(inside, one)
        inside.axhline(0, color=GREY, linewidth=0.8)
        entitle(inside, "", "lag [steps]", name)
        whole_numbers(inside)
    lower = panel(ax, 1, 0, 2, 1)
    _curves(lower, found[2])
    entitle(lower, "", "frequency [cycles a step]", "log spectral density")
    legend(lower, 8)
    return ax


def _curves(ax: Axes, one: Correlogram) -> None:
    ax.fill_between(
        one.x, one.low, one.high, color=GREY, alpha=0.3, linewidth=0, label="95% of real samples"
    )
    mark = "o" if len(one.x) <= 30 else None
    ax.plot(one.x, one.real, color=INK, linewidth=1.4, marker=mark, ms=3, label="real")
    ax.plot(one.x, one.synthetic, color=VERMILLION, ls="--", linewidth=1.4, marker=mark, ms=3,
            label="synthetic")  # fmt: skip


def unit_circle(model: Any, ax: Axes | None = None) -> Axes:
    """The roots of a recursion in the unit circle: inside they die out, on it they stay.

    A pair of roots at an angle is a cycle; the periods of the three slowest to die out are told.

    Args:
        model: a fitted `AR` or `VAR` (or another model with `roots`), or an array of roots.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.

    Example:
        >>> import arproc
        >>> ax = unit_circle(arproc.AR.from_parameters([1.5, -0.9]))
        >>> [text.get_text() for text in ax.texts]
        ['period 9.5']
    """
    found = getattr(model, "roots", model)
    try:
        roots = np.asarray(found, dtype=complex).ravel()
    except (TypeError, ValueError):
        raise ParameterError(
            f"model must have roots, as AR and VAR have, or be an array of roots; got "
            f"{type(model).__name__}."
        ) from None
    ax = axes_for(ax, (4.8, 5.0))
    turn = np.linspace(0, 2 * np.pi, 361)
    ax.plot(np.cos(turn), np.sin(turn), color=GREY, linewidth=1.2, label="unit circle")
    ax.axhline(0, color=GREY, linewidth=0.6)
    ax.plot([0, 0], [-1, 1], color=GREY, linewidth=0.6)
    out = np.abs(roots) >= 1
    for which, mark, colour, name in (
        (~out, "o", BLUE, "roots"),
        (out, "X", VERMILLION, "on or outside"),
    ):
        if which.any():
            ax.plot(roots.real[which], roots.imag[which], mark, color=colour, ms=6, label=name)
    _periods(ax, roots)
    reach = 1.12 * max(1.0, float(np.abs(roots).max(initial=0.0)))
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    ax.set_xlabel("real part")
    ax.set_ylabel("imaginary part")
    legend(ax)
    ax.set_aspect("equal", adjustable="box")
    plain(ax)
    return ax


def _periods(ax: Axes, roots: np.ndarray) -> None:
    turning = [root for root in roots if root.imag > 1e-9]
    for root in sorted(turning, key=lambda root: -abs(root))[:3]:
        period = 2 * np.pi / np.angle(root)
        left = root.real > 0
        ax.annotate(
            f"period {period:.3g}",
            (root.real, root.imag),
            xytext=(-7 if left else 7, -2),
            textcoords="offset points",
            ha="right" if left else "left",
            va="top",
            fontsize="small",
            color=INK,
        )


def regime_probabilities(data: Any, probabilities: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """A series, and below it how probable each regime was at each step.

    Args:
        data: the series, [T].
        probabilities: what `filtered` or `smoothed` of a `MarkovSwitchingAR` gave for it.
        ax: where to draw; a new figure by default. The two panels are drawn inside of it.

    Returns:
        The Axes.

    Example:
        >>> import arproc
        >>> model = arproc.MarkovSwitchingAR.from_parameters(
        ...     [[0.9, 0.1], [0.2, 0.8]], [], mean=[0.0, 5.0]
        ... )
        >>> x = [0.1, -0.3, 5.2, 4.6, 0.2]
        >>> len(regime_probabilities(x, model.smoothed(x)).child_axes)
        2
    """
    values = check_array("data", data, DataError)
    check_table("probabilities", probabilities)
    shape: tuple[int, ...] = getattr(probabilities, "shape", ())
    if values.ndim != 1 or len(shape) != 2 or not 0 < shape[0] <= len(values):
        raise DataError(
            f"data has shape {values.shape} and probabilities {shape}; expected one series [T] "
            "and the table that smoothed(data) gives for it."
        )
    ax = axes_for(ax, (8.0, 4.6))
    index = getattr(data, "index", None) if hasattr(data, "iloc") else None
    x = x_values(index, len(values))
    shown = x[len(values) - shape[0] :]
    above = panel(ax, 0, 0, 2, 1, (0.0, 0.1))
    above.plot(x, values, color=INK, linewidth=1.0)
    name = getattr(data, "name", None)
    entitle(above, "", "", "value" if name is None else str(name))
    below = panel(ax, 1, 0, 2, 1, (0.0, 0.1))
    below.sharex(above)
    for number, regime in enumerate(probabilities.columns):
        shares = probabilities[regime].to_numpy(dtype=float)
        below.plot(shown, shares, **dashes(number), linewidth=1.5, label=f"regime {regime}")
    below.set_ylim(0, 1.02)
    below.set_yticks([0, 0.5, 1.0])
    label = getattr(index, "name", None)
    entitle(below, "", "step" if label is None else str(label), "probability")
    legend(below, 8)
    dated(below, x)
    above.tick_params(labelbottom=False)
    return ax
