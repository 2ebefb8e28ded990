"""How an image's array is laid out in the order of generation: row by row, channel by channel."""

from __future__ import annotations

from arproc.data.form import Layout
from arproc.errors import DataError, check_choice

__all__ = ["image_axes", "image_layout"]

_USUAL_CHANNELS = (1, 3, 4)


def image_axes(shape: tuple[int, ...], channel_axis: str | None, name: str = "data") -> int | None:
    """Which axis of one image [H, W], [C, H, W] or [H, W, C] holds the channels; None for none.

    Args:
        shape: of one image.
        channel_axis: "first", "last" or None, which takes the axis of 1, 3 or 4 entries.
        name: what error messages call the data.
    """
    if channel_axis is not None:
        check_choice("channel_axis", channel_axis, ("first", "last"))
    if len(shape) == 2:
        return None
    if len(shape) != 3:
        raise DataError(
            f"{name} has shape (N, {', '.join(map(str, shape))}); expected images [N, H, W], "
            "[N, C, H, W] or [N, H, W, C]."
        )
    usual = [axis for axis in (0, 2) if shape[axis] in _USUAL_CHANNELS]
    if channel_axis is None and len(usual) != 1:
        raise DataError(
            f"{name} has images of shape {shape}, whose channels may be the first or the last "
            'axis; say which by channel_axis="first" or "last".'
        )
    return {"first": 0, "last": 2}[channel_axis] if channel_axis is not None else usual[0]


def image_layout(shape: tuple[int, ...], axis: int | None) -> Layout:
    """Raster order, row by row, and within each pixel channel by channel."""
    if axis != 0:
        return Layout(shape)
    channels, pixels = shape[0], shape[1] * shape[2]
    return Layout(shape, tuple(c * pixels + p for p in range(pixels) for c in range(channels)))
