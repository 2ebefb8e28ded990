"""Images, maps of their surprisal, training curves, leaderboards and lines."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from plot.subjects import FOUND

from arproc import AR, MADE, PixelCNN, Training, plot
from arproc.errors import DataError, UnsupportedError

# ---- images ------------------------------------------------------------------------------


def picture(ax):
    return np.asarray(ax.images[0].get_array())


def test_images_stand_row_by_row():
    images = np.zeros((3, 2, 2))
    images[0, 0, 1] = images[1, 1, 0] = images[2, 1, 1] = 1
    dots = picture(plot.sample_grid(images, columns=2))
    side = dots.shape[0] // 4  # two images of two pixels, with a line between
    black = np.argwhere(dots[side // 2 :: side, side // 2 :: side, 0][:4, :4] == 0)
    assert black.tolist() == [[0, 1], [1, 2], [3, 1]]


def test_brightness_is_shared():
    images = np.array([[[0.0, 8.0]], [[16.0, 4.0]]])
    dots = picture(plot.sample_grid(images, columns=1))
    assert set(np.unique(dots)) == {0.0, 0.25, 0.5, 0.6, 1.0}


def test_colour_and_flat_images():
    rgb = np.random.default_rng(0).integers(0, 256, (5, 8 * 8 * 3), dtype=np.uint8)
    ax = plot.sample_grid(rgb, (8, 8, 3))
    assert ax.get_xlabel() == "5 samples of 8 × 8"
    assert plot.sample_grid(torch.zeros(1, 4, 4)).get_xlabel() == "1 sample of 4 × 4"


def test_channels_may_come_first():
    rgb = np.random.default_rng(0).integers(0, 256, (5, 8, 9, 3), dtype=np.uint8)
    last, first = plot.sample_grid(rgb), plot.sample_grid(rgb.transpose(0, 3, 1, 2))
    assert first.get_xlabel() == "5 samples of 8 × 9"
    assert (picture(first) == picture(last)).all()
    assert plot.sample_grid(rgb[:, None, ..., 0]).get_xlabel() == "5 samples of 8 × 9"


# ---- maps ---------------------------------------------------------------------------------


def test_a_map_has_each_pixels_surprisal_and_their_sum():
    image = np.eye(3, 4, dtype=int)
    ax = plot.surprisal_map(FOUND.squares, image)
    shown = ax.images[0].get_array()
    terms = -FOUND.squares.log_prob_terms(image) / math.log(2)
    assert shown.data == pytest.approx(terms.reshape(3, 4))
    assert ax.get_xlabel().startswith(f"{terms.sum():.4g} bits in all")
    nats = plot.surprisal_map(FOUND.squares, image, unit="nats", scale=(0, 9)).images[0]
    assert nats.get_array().sum() == pytest.approx(-FOUND.squares.log_prob(image))
    assert nats.get_clim() == (0, 9)


@pytest.mark.parametrize("axis", ["first", "last"])
def test_a_map_of_colours_is_that_of_whole_pixels(axis):
    x = np.random.default_rng(1).integers(0, 4, (8, 3, 2, 5))
    x = x if axis == "first" else x.transpose(0, 2, 3, 1)
    quick = Training(steps=2, batch_size=4)
    model = PixelCNN(0, 2, channel_axis=axis, training=quick).fit(x)
    shown = plot.surprisal_map(model, x[0]).images[0].get_array()
    assert shown.shape == (2, 5)
    assert shown.sum() == pytest.approx(-model.log_prob(x[0]) / math.log(2))


def test_what_is_no_image_has_no_map():
    with pytest.raises(UnsupportedError, match="no fixed size"):
        plot.surprisal_map(AR.from_parameters([0.5]), [1.0, 2.0])
    with pytest.raises(DataError, match="one image; got 2"):
        plot.surprisal_map(FOUND.squares, np.zeros((2, 3, 4), dtype=int))


@pytest.mark.parametrize(
    ("samples", "shape", "message"),
    [
        (np.zeros((2, 5)), (2, 2), "can not be cut"),
        (np.zeros((2, 4)), None, "pass shape"),
        (np.zeros((0, 4)), (2, 2), "expected numbers"),
        (np.full((1, 4), np.nan), (2, 2), "not finite"),
        (["a"], (2, 2), "expected numbers"),
    ],
)
def test_wrong_samples_are_refused(samples, shape, message):
    with pytest.raises(DataError, match=message):
        plot.sample_grid(samples, shape)


def test_curves_are_those_of_the_history_and_nothing_else_is_drawn():
    x = np.eye(12, dtype=int)
    plan = Training(steps=9, validate_every=3)
    model = MADE((4,), training=plan).fit(x, validation=x)
    batch, mean, held = plot.training_curve(model, against="epoch").lines
    table = model.history_
    assert np.array_equal(batch.get_xydata(), table[["epoch", "loss"]].to_numpy())
    assert np.array_equal(mean.get_xdata(), table["epoch"])
    looks = table.dropna()[["epoch", "validation"]]
    assert np.array_equal(held.get_xydata(), looks.to_numpy())
    assert len(plot.training_curve(MADE((4,), training=plan).fit(x)).lines) == 2
    with pytest.raises(DataError, match="that was trained, such as MADE; got AR"):
        plot.training_curve(AR.from_parameters([0.5]))
    with pytest.raises(DataError, match="has no epoch"):
        plot.training_curve(table.assign(epoch=np.nan), against="epoch")
    with pytest.raises(DataError, match=r"find_lr\(data\) gave; got DataFrame"):
        plot.learning_rates(table)


# ---- leaderboard and lines ----------------------------------------------------------------------


def test_a_leaderboard_has_each_model_with_its_interval():
    ax = plot.leaderboard(FOUND.board)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(FOUND.board.index)
    low, high = ax.get_ylim()
    assert low > high  # the best is on top
    marks = {line.get_ydata()[0]: line for line in ax.lines if len(line.get_xdata()) == 1}
    spans = {line.get_ydata()[0]: line for line in ax.lines[1:] if len(line.get_xdata()) == 2}
    for place, (name, row) in enumerate(FOUND.board.iterrows()):
        assert marks[place].get_xdata()[0] == row["difference_nats_per_element"]
        if name != "AR(0)":
            interval = row[["low95_nats_per_element", "high95_nats_per_element"]].tolist()
            assert [*spans[place].get_xdata()] == interval
    shapes = [marks[place].get_marker() for place in range(3)]
    want = {"worse": "s", "better": "o", "reference": "D", "no clear difference": "x"}
    assert shapes == [want[verdict] for verdict in FOUND.board["verdict"]]


def test_a_leaderboard_tells_what_is_infinitely_far():
    table = FOUND.board.copy()
    table.loc["AR(1)", "difference_nats_per_element"] = math.inf
    ax = plot.leaderboard(table)
    assert "AR(1) (+inf)" in [label.get_text() for label in ax.get_yticklabels()]
    ax.figure.canvas.draw()


def test_a_leaderboard_is_of_a_comparison():
    for wrong in (3, pd.DataFrame({"a": [1.0]}), FOUND.forecast):
        with pytest.raises(DataError, match=r"what arproc.compare\(models, data\) gave"):
            plot.leaderboard(wrong)


def test_lines_stand_below_each_other_on_one_scale():
    ax = plot.sample_lines([[0.0, 1.0], [5.0, math.nan, 7.0], np.ones((4, 2))])
    assert [len(panel.lines) for panel in ax.child_axes] == [1, 1, 2]
    assert len({panel.get_ylim() for panel in ax.child_axes}) == 1
    assert ax.child_axes[1].lines[0].get_ydata()[2] == 7.0
    with pytest.raises(DataError, match="expected at least one"):
        plot.sample_lines([])


def test_surprisal_of_a_tensor_is_that_of_an_array():
    x = torch.tensor([1.0, 2.0, 0.5])
    drawn = plot.surprisal(AR.from_parameters([0.5]), x).lines[0].get_ydata()
    want = plot.surprisal(AR.from_parameters([0.5]), x.numpy()).lines[0].get_ydata()
    np.testing.assert_allclose(drawn, want)
