"""Which axis of an image holds the channels, as the laws of images keep it."""

from __future__ import annotations

from collections.abc import Iterator

from arproc.data.form import Layout

__all__ = ["axis_problems"]


def axis_problems(axis: int | None, layout: Layout | None) -> Iterator[tuple[bool, str]]:
    """Whether an axis is none of the layout's; see `arproc.contract.checked.sentences`."""
    axes = 0 if layout is None else len(layout.shape)
    yield axis is not None and not 0 <= axis < axes, f"channel_axis is {axis}, of {axes} axes"
