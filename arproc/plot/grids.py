"""Images side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError, check_count, check_integer, check_list
from arproc.plot.canvas import axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["sample_grid"]


def sample_grid(
    samples: Any,
    shape: tuple[int, ...] | None = None,
    ax: Axes | None = None,
    *,
    columns: int | None = None,
) -> Axes:
    """Images in a grid, row by row, all on one scale of brightness.

    Binary images are drawn in black ink on white, others from black (the least value) to white
    (the greatest).

    Args:
        samples: images [N, D], [N, h, w], [N, h, w, 3] or [N, 3, h, w].
        shape: (h, w), (h, w, 3) or (3, h, w) of one image; may be left out where `samples` has
            these axes.
        ax: where to draw; a new figure by default.
        columns: how many images side by side; by default a grid about as wide as high.

    Returns:
        The Axes.

    Example:
        >>> ax = sample_grid(np.eye(4), shape=(2, 2))
        >>> ax.get_xlabel()
        '4 samples of 2 × 2'
    """
    images = _images(samples, shape)
    n, h, w = images.shape[:3]
    across = math.ceil(math.sqrt(n * h / w)) if columns is None else columns
    across = min(check_count("columns", across, minimum=1), n)
    down = math.ceil(n / across)
    size = min(7.0, 0.75 * across)
    ax = axes_for(ax, (size, size * down * h / (across * w) + 0.3))
    values = np.unique(images) if images.dtype.kind in "biu" or images.size < 1e6 else np.zeros(3)
    binary = len(values) <= 2 and set(values.tolist()) <= {0, 1}
    low, high = (0.0, 1.0) if binary else (float(images.min()), float(images.max()))
    shown = (images.astype(float) - low) / (high - low if high > low else 1.0)
    ax.imshow(_tiled(1 - shown if binary else shown, across, down), interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.set_xlabel(f"{n} sample{'s' if n > 1 else ''} of {h} × {w}")
    return ax


def _images(samples: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    """The samples as [N, h, w] or [N, h, w, 3], finite numbers."""
    try:
        x = np.asarray(samples.detach().cpu() if hasattr(samples, "detach") else samples)
    except Exception:  # a ragged list, a tensor without numbers
        raise DataError(
            f"samples must be an array of images; got a {type(samples).__name__}."
        ) from None
    if x.dtype.kind not in "biuf" or not x.size:
        raise DataError(f"samples has dtype {x.dtype} and shape {x.shape}; expected numbers.")
    if shape is None:
        if x.ndim < 3:
            raise DataError(f"samples has shape {x.shape}; pass shape=(h, w) of one image.")
        shape = x.shape[1:]
    shape = tuple(check_integer("shape", size, minimum=1) for size in check_list("shape", shape))
    first = len(shape) == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3)
    colour = first or (len(shape) == 3 and shape[2] in (1, 3))
    if not (len(shape) == 2 or colour) or x.size % math.prod(shape):
        raise DataError(
            f"samples has shape {x.shape}, of which shape={tuple(shape)} can not be cut; expected "
            "images of shape (h, w), (h, w, 3) or (3, h, w)."
        )
    if not np.isfinite(x.astype(float)).all():
        raise DataError("samples has values that are not finite.")
    x = x.reshape(-1, *shape)
    x = np.moveaxis(x, 1, -1) if first else x
    return x[..., 0] if colour and x.shape[-1] == 1 else x


def _tiled(images: np.ndarray, across: int, down: int) -> np.ndarray:
    """One picture [H, W, 3], a thin grey line between images."""
    fine = max(1, round(48 / images.shape[1]))  # dots a pixel, so that a line of one dot is thin
    images = images.repeat(fine, axis=1).repeat(fine, axis=2)
    h, w = images.shape[1:3]
    picture = np.ones((down * (h + 1) - 1, across * (w + 1) - 1, 3))
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=-1)
    for i, image in enumerate(images):
        top, left = (i // across) * (h + 1), (i % across) * (w + 1)
        if top + h < picture.shape[0]:
            picture[top + h, left : left + w + 1] = 0.6
        if left + w < picture.shape[1]:
            picture[top : top + h + 1, left + w] = 0.6
        picture[top : top + h, left : left + w] = image
    return picture
