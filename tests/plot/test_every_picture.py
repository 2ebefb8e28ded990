"""Every picture takes and returns Axes, says what it shows, and has a legend beside its curves."""

from __future__ import annotations

import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from plot.subjects import DRAW

from arproc import plot
from arproc.errors import MissingDependencyError, ParameterError


def require_uncovered(ax):
    """What is drawn lies nowhere behind a legend."""
    box = ax.get_legend().get_window_extent()
    for artist in (*ax.lines, *ax.collections, *ax.patches):
        shapes = artist.get_paths() if hasattr(artist, "get_paths") else [artist.get_path()]
        filled = not isinstance(artist, (Line2D, LineCollection))
        for shape in shapes:
            drawn = artist.get_transform().transform_path(shape)
            assert not drawn.intersects_bbox(box, filled=filled), artist.get_label()


def require_words(ax):
    """An axis with numbers says what they are."""
    for axis, ticks in {"x": ax.get_xticklabels(), "y": ax.get_yticklabels()}.items():
        words = getattr(ax, f"get_{axis}label")() or ax.get_title()
        numbers = [t for t in ticks if t.get_visible() and not t.get_text().strip("−0123456789.")]
        assert words or not numbers, axis


def panels(ax):
    """The Axes that something is drawn on: its panels, or itself."""
    return ax.child_axes or [ax]


@pytest.mark.parametrize("name", DRAW)
def test_every_picture_takes_and_returns_axes(name):
    figure, (left, right) = plt.subplots(1, 2)
    before = dict(matplotlib.rcParams)
    assert DRAW[name](right) is right
    own = DRAW[name](None)
    assert own.figure is not figure
    assert left.get_children()[0] is left.patch or not left.has_data()
    assert dict(matplotlib.rcParams) == before  # nothing global is changed
    own.figure.draw_without_rendering()
    for ax in (own, right):
        labels = [ax.xaxis.label, ax.yaxis.label, ax.title, *ax.get_xticklabels()]
        assert all(label.get_fontsize() >= 8 for label in labels)
    for inside in panels(own):
        require_words(inside)
        if inside.get_legend() is not None:
            require_uncovered(inside)


def test_a_figure_is_no_axes():
    figure = plt.figure()
    for draw in DRAW.values():
        with pytest.raises(ParameterError, match="must be a matplotlib Axes; got Figure"):
            draw(figure)


def test_without_matplotlib_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "arproc\[plot\]"'):
        plot.sample_grid(np.eye(4), (2, 2))
