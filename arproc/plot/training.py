"""The course of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arproc.errors import DataError, check_choice
from arproc.plot.canvas import BLUE, GREY, VERMILLION, axes_for, legend, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["learning_rates", "training_curve"]


def training_curve(model: Any, ax: Axes | None = None, *, against: str = "step") -> Axes:
    """The losses along a training: of each batch, their running mean, and of held-out data.

    Args:
        model: a fitted model that was trained, or its `history_`.
        ax: where to draw; a new figure by default.
        against: "step", "epoch" or "seconds".

    Returns:
        The Axes.

    Raises:
        DataError: there is no history, or it does not know the epochs.

    Example:
        >>> import arproc
        >>> x = [[0, 1], [1, 1]] * 9
        >>> model = arproc.MADE((4,), training=arproc.Training(steps=5)).fit(x, validation=x)
        >>> [line.get_label() for line in training_curve(model).lines]
        ['a batch', 'mean', 'held-out data']
    """
    check_choice("against", against, ("step", "epoch", "seconds"))
    import pandas as pd

    table = getattr(model, "history_", model)
    wanted = {"step", "loss", "validation", against}
    if not isinstance(table, pd.DataFrame) or not wanted <= set(table.columns):
        raise DataError(
            f"training_curve draws the history of a model that was trained, such as MADE; got "
            f"{type(model).__name__}."
        )
    if table[against].isna().any():
        raise DataError(f'the history has no {against}; use against="step".')
    ax = axes_for(ax, (6.4, 3.6))
    smooth = table["loss"].ewm(span=max(len(table) // 30, 2)).mean()
    ax.plot(table[against], table["loss"], color=GREY, alpha=0.35, lw=0.8, label="a batch")
    ax.plot(table[against], smooth, color=BLUE, lw=1.6, label="mean")
    looks = table.dropna(subset=["validation"])
    if len(looks):
        ax.plot(
            looks[against], looks["validation"], "o-", color=VERMILLION, ms=3, lw=1.2,
            label="held-out data",
        )  # fmt: skip
    ax.set_xlabel({"step": "updates", "epoch": "epochs"}.get(against, against))
    ax.set_ylabel("loss [nats per element]")
    legend(ax)
    plain(ax)
    return ax


def learning_rates(found: Any, ax: Axes | None = None) -> Axes:
    """The loss while the learning rate rose, and the rate that is suggested.

    Args:
        found: what `model.find_lr` gave.
        ax: where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        DataError: it is something else.

    Example:
        >>> import arproc, numpy as np
        >>> x = np.random.default_rng(0).integers(0, 2, (200, 6)) * [1, 0, 1, 0, 1, 0]
        >>> learning_rates(arproc.MADE((8,)).find_lr(x, steps=30)).get_xscale()
        'log'
    """
    curve = getattr(found, "curve", None)
    if curve is None or "smoothed" not in curve:
        raise DataError(
            f"learning_rates draws what model.find_lr(data) gave; got {type(found).__name__}."
        )
    ax = axes_for(ax, (6.4, 3.6))
    ax.plot(curve["learning_rate"], curve["loss"], color=GREY, alpha=0.35, lw=0.8, label="a batch")
    ax.plot(curve["learning_rate"], curve["smoothed"], color=BLUE, lw=1.6, label="mean")
    ax.axvline(found.suggestion, color=VERMILLION, lw=1.2, label=f"{found.suggestion:g}")
    ax.set_xscale("log")
    ax.set_xlabel("learning rate")
    ax.set_ylabel("loss [nats per element]")
    legend(ax)
    plain(ax)
    return ax
