"""How surprising each pixel of an image was."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError, UnsupportedError, check_choice
from arproc.plot.canvas import axes_for
from arproc.process.process import Process, require_process

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["surprisal_map"]


def surprisal_map(
    model: Process,
    image: Any,
    ax: Axes | None = None,
    *,
    context: Any = None,
    unit: str = "bits",
    scale: tuple[float, float] | None = None,
) -> Axes:
    """-log p(pixel | the pixels before it) of one image, the darker the more surprising.

    Of a pixel with channels it is the sum over them: -log p of the whole pixel.

    Args:
        model: a fitted process of images.
        image: one image [H, W], [C, H, W] or [H, W, C], as the model takes it.
        ax: where to draw; a new figure by default.
        context: what the image is conditioned on, for models that take it.
        unit: "bits" or "nats".
        scale: the surprisals of white and of black, so that maps can be compared; None takes 0 and
            the largest.

    Returns:
        The Axes.

    Example:
        >>> import arproc
        >>> x = np.random.default_rng(0).integers(0, 2, (20, 3, 3))
        >>> model = arproc.MADE((4,), training=arproc.Training(steps=5)).fit(x)
        >>> surprisal_map(model, x[0]).images[0].get_array().shape
        (3, 3)
    """
    process = require_process(model, "surprisal_map")
    size = math.log(2) if check_choice("unit", unit, ("bits", "nats")) == "bits" else 1.0
    layout = process.layout
    if layout is None or len(layout.shape) not in (2, 3):
        shape = "no fixed size" if layout is None else f"the shape {layout.shape}"
        raise UnsupportedError(
            f"surprisal_map is for images [H, W], [C, H, W] or [H, W, C]; the examples of this "
            f"{type(process).__name__} have {shape}."
        )
    sequences = process.sequences(image, name="image")
    if len(sequences) != 1:
        raise DataError(f"surprisal_map draws one image; got {len(sequences)}. Choose one.")
    import torch

    with torch.no_grad():
        terms = process.log_prob_terms(sequences, context=context)
    terms = terms if isinstance(terms, torch.Tensor) else torch.as_tensor(np.asarray(terms))
    values = -layout.from_sites(terms.reshape(1, -1).cpu())[0].numpy() / size
    if values.ndim == 3:
        values = values.sum(axis=_channels(process, values.shape))
    ax = axes_for(ax, (4.2, 4.2 * values.shape[0] / values.shape[1] + 0.6))
    low, high = (0.0, float(values.max())) if scale is None else scale
    drawn = ax.imshow(values, cmap="Greys", vmin=low, vmax=high, interpolation="nearest")
    ax.figure.colorbar(drawn, ax=ax, label=f"surprisal [{unit}]", shrink=0.8)
    ax.set_xticks([])
    ax.set_yticks([])
    total = float(values.sum())
    ax.set_xlabel(f"{total:.4g} {unit} in all, {total / terms.numel():.3g} a dimension")
    return ax


def _channels(process: Process, shape: tuple[int, ...]) -> int:
    """The axis of the channels: as the model knows it, else the shorter of the outer ones."""
    axis = getattr(process, "channel_axis_", None)
    return axis if axis is not None else (0 if shape[0] <= shape[2] else 2)
