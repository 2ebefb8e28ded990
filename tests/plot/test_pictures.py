from __future__ import annotations

import math
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from evaluation.toys import BYTES, CHARS, Chain, GaussianAR, PoissonAR, unigram
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from arproc import AR, MADE, VAR, ContextTree, PixelCNN, Training, compare, fidelity, plot
from arproc import evaluation as ev
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, MissingDependencyError, ParameterError, UnsupportedError
from arproc.evaluation.synthetic.comparison import correlograms_of
from arproc.models.regimes.switching import MarkovSwitchingAR


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


SERIES = pd.Series(
    [1.0, 2.0, 0.5, 1.5], index=pd.period_range("2001", periods=4, freq="Y"), name="level [m]"
)
FORECAST = GaussianAR().forecast(SERIES, 3, quantiles=(0.05, 0.25, 0.5, 0.75, 0.95), seed=1)
RESPONSES = VAR.from_parameters([[[0.5, 0.2], [0.0, 0.3]]]).impulse_response(6, bands=None)
SQUARES = MADE((4,), training=Training(steps=2)).fit(np.arange(48).reshape(4, 3, 4) // 5 % 2)
RATES = MADE((4,)).find_lr(np.eye(12, dtype=int), steps=30)
WHITE = np.random.default_rng(0).normal(size=60)
BOARD = compare(
    {
        "AR(0)": AR.from_parameters([]),
        "AR(1)": AR.from_parameters([0.9]),
        "same": AR(0).fit(WHITE),
    },
    WHITE,
    reference="AR(0)",
)
HALF = AR.from_parameters([0.5])
STEPPED = WHITE * np.where(np.arange(60) < 30, 1, 6)
DAYS = pd.Series(WHITE, index=pd.date_range("2020-01-01", periods=60, name="day"))
SWITCHING = MarkovSwitchingAR.from_parameters([[0.9, 0.1], [0.2, 0.8]], [0.5], mean=[0.0, 5.0])
CHANCE = np.linspace(0.05, 0.95, 40)
PEERS = pd.DataFrame(
    {"seconds": [1.0, 10.0, 11.0, 90.0], "bits": [2.0, 1.8, 1.9, 1.7], "se": [0.1] * 4},
    index=["fast", "middle", "behind", "slow"],
)
BACKTEST = ev.backtest(HALF, WHITE, start=20, refit="never", horizon=2)
RELIABLE = ev.reliability(CHANCE, (CHANCE * 17 % 1 < CHANCE).astype(int), n_resamples=50)
CURVE = ev.learning_curve(AR(1), WHITE[:40], WHITE[40:], sizes=[10, 40])
CONTEXT = ev.context_curve(HALF, WHITE, lengths=[0, 1, 4])
ALARMS = ev.anomalies(HALF, DAYS, rate=0.05)
CHANGES = ev.change_points(AR.from_parameters([]), STEPPED, n_permutations=99)
CHECK = ev.predictive_check(HALF, WHITE, ["mean", "max", "std", "min"], n_draws=50)
UNITS = np.random.default_rng(1).normal(size=(3, 24, 20))
JUDGED = fidelity(*UNITS[:2], 3 * UNITS[2], rows=["distribution", "novelty"])
TREE = ContextTree(3).fit(["abab$$ab" * 20])
DRAW = {
    "anomalies": lambda ax: plot.anomalies(ALARMS, ax),
    "change_points": lambda ax: plot.change_points(CHANGES, ax),
    "context_curve": lambda ax: plot.context_curve({"a": CONTEXT, "b": CONTEXT}, ax),
    "context_tree": lambda ax: plot.context_tree(TREE, ax),
    "correlograms": lambda ax: plot.correlograms(UNITS[0], UNITS[1], ax),
    "fidelity_overview": lambda ax: plot.fidelity_overview(JUDGED, ax),
    "forecast_outcomes": lambda ax: plot.forecast_outcomes(BACKTEST, ax),
    "learning_curve": lambda ax: plot.learning_curve({"AR(1)": CURVE}, ax),
    "murphy_diagram": lambda ax: plot.murphy_diagram(
        ev.murphy({"a": CHANCE, "b": 1 - CHANCE}, CHANCE**2), ax
    ),
    "mutual_information": lambda ax: plot.mutual_information(
        ev.mutual_information("ab" * 40, lags=4), ax
    ),
    "predictive_check": lambda ax: plot.predictive_check(CHECK, ax),
    "regime_probabilities": lambda ax: plot.regime_probabilities(
        DAYS, SWITCHING.smoothed(DAYS), ax
    ),
    "reliability_diagram": lambda ax: plot.reliability_diagram(RELIABLE, ax),
    "speed_quality": lambda ax: plot.speed_quality(
        PEERS, ax, speed="seconds", quality="bits", error="se"
    ),
    "unit_circle": lambda ax: plot.unit_circle(AR.from_parameters([1.5, -0.9]), ax),
    "forecast_fan": lambda ax: plot.forecast_fan(SERIES, FORECAST, ax=ax),
    "pit_histogram": lambda ax: plot.pit_histogram(np.linspace(0.01, 0.99, 60), ax=ax),
    "surprisal of text": lambda ax: plot.surprisal(unigram(CHARS, end=True), "a bé", ax=ax),
    "surprisal of numbers": lambda ax: plot.surprisal(GaussianAR(), SERIES, ax=ax),
    "diagnostics": lambda ax: plot.diagnostics(
        AR.from_parameters([0.5]), np.cos(np.arange(60.0) ** 2), ax=ax
    ),
    "impulse_response": lambda ax: plot.impulse_response(RESPONSES, ax=ax),
    "impulse_response of one": lambda ax: plot.impulse_response(
        AR.from_parameters([0.5]).impulse_response(6), ax=ax
    ),
    "spectral_density": lambda ax: plot.spectral_density(AR.from_parameters([0.5]), ax=ax),
    "surprisal_map": lambda ax: plot.surprisal_map(SQUARES, np.eye(3, 4, dtype=int), ax=ax),
    "training_curve": lambda ax: plot.training_curve(SQUARES, ax=ax),
    "training_curve of a table": lambda ax: plot.training_curve(
        SQUARES.history_, ax=ax, against="seconds"
    ),
    "learning_rates": lambda ax: plot.learning_rates(RATES, ax=ax),
    "leaderboard": lambda ax: plot.leaderboard(BOARD, ax=ax),
    "sample_lines": lambda ax: plot.sample_lines(np.eye(3), ax=ax),
    "sample_grid": lambda ax: plot.sample_grid(np.eye(4), (2, 2), ax=ax),
}


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


# ---- forecasts ---------------------------------------------------------------------------


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_fan_has_its_intervals_and_joins_the_history():
    ax = plot.forecast_fan(SERIES, FORECAST, actual=[1.0, 2.0])
    assert legend(ax) == ["history", "actual", "median forecast", "90% interval", "50% interval"]
    assert ax.get_ylabel() == "level [m]"
    median = next(line for line in ax.lines if line.get_label() == "median forecast")
    assert median.get_ydata() == pytest.approx([1.5, *FORECAST[0.5]])
    wide, narrow = (c.get_paths()[0].get_extents() for c in ax.collections)
    assert wide.y0 == pytest.approx(FORECAST[0.05].min())
    assert wide.y1 == pytest.approx(max(FORECAST[0.95].max(), 1.5))
    assert narrow.height < wide.height
    last = matplotlib.dates.num2date(median.get_xdata()[-1].astype("datetime64[D]").astype(float))
    assert last.year == 2007


def test_odd_quantiles_are_lines():
    table = GaussianAR().forecast([1.0, 2.0], 2, quantiles=(0.1, 0.7), seed=1)
    ax = plot.forecast_fan([1.0, 2.0], table)
    assert legend(ax) == ["history", "mean forecast", "0.1 quantile", "0.7 quantile"]
    assert ax.get_xlabel() == "step"
    assert list(ax.lines[1].get_xdata()) == [1, 2, 3]


def test_dates_without_a_step_are_counted():
    days = pd.to_datetime(["2001-01-01", "2001-01-05", "2001-01-06"])
    history = pd.Series([1.0, 2.0, 3.0], index=days)
    ax = plot.forecast_fan(history, GaussianAR().forecast(history.to_numpy(), 2, seed=1))
    assert list(ax.lines[0].get_xdata()) == [-2, -1, 0]
    assert list(ax.lines[1].get_xdata()) == [0, 1, 2]


def test_forecasts_of_vectors_are_drawn_by_component():
    columns = pd.MultiIndex.from_product([["rate", "gap"], ["mean", 0.1, 0.9]])
    table = pd.DataFrame(np.ones((2, 6)), columns=columns, index=[3, 4])
    with pytest.raises(DataError, match=r"of 2 components; draw one, forecast\['rate'\]"):
        plot.forecast_fan([1.0, 2.0, 3.0], table)
    assert plot.forecast_fan([1.0, 2.0, 3.0], table["rate"]).lines


def test_wrong_forecasts_are_refused():
    two = pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 1.0]})
    with pytest.raises(DataError, match=r"forecast is of 2 series; draw one, forecast.loc\['a'\]"):
        plot.forecast_fan(two["a"], GaussianAR().forecast(two, 2, seed=1))
    with pytest.raises(DataError, match=r"DataFrame that Process\.forecast gives"):
        plot.forecast_fan(SERIES, np.zeros(3))
    with pytest.raises(DataError, match="at most the 3 steps"):
        plot.forecast_fan(SERIES, FORECAST, actual=np.zeros(4))
    with pytest.raises(DataError, match=r"expected one series \[T\]"):
        plot.forecast_fan(two, FORECAST)


# ---- calibration -------------------------------------------------------------------------


def test_bars_are_densities_and_the_band_is_binomial():
    values = np.concatenate([np.full(30, 0.05), np.linspace(0.001, 0.999, 170)])
    ax = plot.pit_histogram(values, bins=10)
    heights = [bar.get_height() for bar in ax.containers[0]]
    assert np.mean(heights) == pytest.approx(1.0)
    assert heights[0] == pytest.approx(47 * 10 / 200)
    from scipy.stats import binom

    lines = sorted(line.get_ydata()[0] for line in ax.lines)
    expected = [binom.ppf(0.025, 200, 0.1) / 20, 1.0, binom.ppf(0.975, 200, 0.1) / 20]
    assert lines == pytest.approx(expected)
    assert "n = 200" in ax.get_title()


def test_several_sequences_are_one_histogram():
    ax = plot.pit_histogram([np.array([0.1, 0.2]), np.array([0.9])])
    assert "n = 3;" in ax.get_title()
    with pytest.raises(DataError, match="PIT values"):
        plot.pit_histogram([3.0])


# ---- surprisal ---------------------------------------------------------------------------


def written(ax):
    return "".join(text.get_text() for text in ax.texts)


def shown(ax):
    values = ax.collections[0].get_array()
    return values.compressed() if np.ma.isMaskedArray(values) else values[~np.isnan(values)]


def test_text_is_written_on_its_surprisal():
    weights = np.arange(1.0, len(CHARS) + 2)
    model = unigram(CHARS, end=True, weights=weights)
    ax = plot.surprisal(model, "ab é\ncc".replace("\n", "."))
    assert written(ax) == "abé.cc■"
    bits = -model.log_prob_terms("ab é.cc") / math.log(2)
    assert shown(ax) == pytest.approx(bits)
    assert ax.get_title(loc="left") == f"mean {bits.mean():.3g} bits per character"
    assert ax.figure.axes[-1].get_ylabel() == "surprisal [bits]"
    nats = plot.surprisal(model, "ab é.cc", unit="nats")
    assert shown(nats) == pytest.approx(bits * math.log(2))


def test_bytes_are_joined_to_characters():
    model = unigram(BYTES, weights=np.arange(1.0, 257.0))
    text = "é日\n日$_^"
    ax = plot.surprisal(model, text)
    terms = -model.log_prob_terms(text) / math.log(2)
    joined = [terms[0:2].sum(), terms[2:5].sum(), terms[5], terms[6:9].sum(), *terms[9:]]
    assert shown(ax) == pytest.approx(joined)
    assert written(ax) == "é□↵□$_^"  # the font has no Chinese signs
    assert "per byte" in ax.get_title(loc="left")
    ax.figure.canvas.draw()


def test_bytes_that_are_no_text_are_drawn():
    ax = plot.surprisal(unigram(BYTES), torch.tensor([65, 255, 66]))
    assert written(ax) == "A\ufffdB"


def test_words_have_one_value_and_unknown_ones_show():
    model = unigram(Vocabulary.build(["red fish"], "word"), weights=[1.0, 2.0, 5.0])
    ax = plot.surprisal(model, "red fish dog")
    assert written(ax) == "redfish<unk>"
    terms = -model.log_prob_terms("red fish dog") / math.log(2)
    assert shown(ax) == pytest.approx(np.repeat(terms, [3, 4, 5]))


def test_long_text_wraps_between_words_and_is_cut_at_the_limit():
    ax = plot.surprisal(unigram(CHARS), "abc " * 600, limit=1000)
    assert "the first 1,000 characters are shown" in ax.get_title(loc="left")
    rows = {}
    for text in ax.texts:
        rows.setdefault(text.get_position()[1], []).append(text.get_text())
    assert all(len(row) % 3 == 0 for row in rows.values())
    assert max(text.get_position()[0] for text in ax.texts) < 84


def test_impossible_symbols_are_the_darkest():
    model = unigram(CHARS, weights=[0.0] + [1.0] * (len(CHARS) - 1))
    ax = plot.surprisal(model, "b b  .")  # the space has probability zero
    assert shown(ax).max() == pytest.approx(math.log2(len(CHARS) - 1))
    assert "mean inf bits" in ax.get_title(loc="left")


def test_numbers_are_drawn_along_their_index():
    ax = plot.surprisal(GaussianAR(given=1), SERIES)
    terms = GaussianAR(given=1).log_prob_terms(SERIES)
    assert ax.lines[0].get_ydata() == pytest.approx(-terms.to_numpy())
    assert ax.get_ylabel() == "surprisal (of a density) [nats]"
    assert len(ax.lines[0].get_xdata()) == 3
    counts = plot.surprisal(PoissonAR(), [1, 2, 0])
    assert counts.get_ylabel() == "surprisal [bits]"
    sites = plot.surprisal(Chain([[0.5, 0.5]] * 2, length=3), [0, 1, 1])
    assert sites.get_xlabel() == "element, in order of generation"


def test_one_sequence_is_drawn():
    with pytest.raises(DataError, match=r"got 2\. Choose one"):
        plot.surprisal(unigram(CHARS), ["a", "b"])
    with pytest.raises(ParameterError, match="unit must be one of"):
        plot.surprisal(unigram(CHARS), "a", unit="bans")


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
    ax = plot.surprisal_map(SQUARES, image)
    shown = ax.images[0].get_array()
    terms = -SQUARES.log_prob_terms(image) / math.log(2)
    assert shown.data == pytest.approx(terms.reshape(3, 4))
    assert ax.get_xlabel().startswith(f"{terms.sum():.4g} bits in all")
    nats = plot.surprisal_map(SQUARES, image, unit="nats", scale=(0, 9)).images[0]
    assert nats.get_array().sum() == pytest.approx(-SQUARES.log_prob(image))
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
        plot.surprisal_map(SQUARES, np.zeros((2, 3, 4), dtype=int))


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
    ax = plot.leaderboard(BOARD)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(BOARD.index)
    low, high = ax.get_ylim()
    assert low > high  # the best is on top
    marks = {line.get_ydata()[0]: line for line in ax.lines if len(line.get_xdata()) == 1}
    spans = {line.get_ydata()[0]: line for line in ax.lines[1:] if len(line.get_xdata()) == 2}
    for place, (name, row) in enumerate(BOARD.iterrows()):
        assert marks[place].get_xdata()[0] == row["difference_nats_per_element"]
        if name != "AR(0)":
            interval = row[["low95_nats_per_element", "high95_nats_per_element"]].tolist()
            assert [*spans[place].get_xdata()] == interval
    shapes = [marks[place].get_marker() for place in range(3)]
    want = {"worse": "s", "better": "o", "reference": "D", "no clear difference": "x"}
    assert shapes == [want[verdict] for verdict in BOARD["verdict"]]


def test_a_leaderboard_tells_what_is_infinitely_far():
    table = BOARD.copy()
    table.loc["AR(1)", "difference_nats_per_element"] = math.inf
    ax = plot.leaderboard(table)
    assert "AR(1) (+inf)" in [label.get_text() for label in ax.get_yticklabels()]
    ax.figure.canvas.draw()


@pytest.mark.parametrize("wrong", [3, pd.DataFrame({"a": [1.0]}), FORECAST])
def test_a_leaderboard_is_of_a_comparison(wrong):
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


# ---- what analyses found ------------------------------------------------------------------------


def test_outcomes_stand_against_their_forecasts():
    ax = plot.forecast_outcomes(BACKTEST, step=2)
    rows = BACKTEST[BACKTEST["step"] == 2]
    inside = rows["actual"].between(rows[0.05], rows[0.95]).to_numpy()
    points = {line.get_label(): line.get_xydata() for line in ax.lines}
    assert np.array_equal(points["outcome"], rows[[0.5, "actual"]].to_numpy()[inside])
    assert np.array_equal(points["outside"], rows[[0.5, "actual"]].to_numpy()[~inside])
    lying = np.array([line[:, 0] for line in ax.collections[0].get_segments()])
    assert lying == pytest.approx(rows[[0.05, 0.95]].to_numpy())
    assert "2 steps ahead" in ax.get_title(loc="left")
    with pytest.raises(DataError, match="no outcomes at step 3"):
        plot.forecast_outcomes(BACKTEST, step=3)


def test_a_reliability_diagram_is_its_table():
    ax = plot.reliability_diagram(RELIABLE)
    rate = next(line for line in ax.lines if line.get_label() == "rate of events")
    assert np.array_equal(rate.get_xydata(), RELIABLE.table[["probability", "rate"]].to_numpy())
    groups = RELIABLE.table["rate"].nunique()
    assert len(ax.collections[-1].get_segments()) == groups
    assert f"{RELIABLE.brier:.3g}" in ax.get_title(loc="left")
    assert ax.get_yticks().max() == 1.0  # rates end there, the axis above the legend


def test_correlograms_are_those_of_the_sets():
    real, synthetic = UNITS[0], UNITS[1].cumsum(axis=1)
    ax = plot.correlograms(real, synthetic)
    for inside, one in zip(ax.child_axes, correlograms_of(real, synthetic), strict=True):
        lines = {line.get_label(): line.get_ydata() for line in inside.lines}
        assert np.array_equal(lines["real"], one.real)
        assert np.array_equal(lines["synthetic"], one.synthetic)
        assert (one.low < one.high).all()
        assert ((one.low <= one.real) & (one.real <= one.high)).mean() > 0.9
    first = correlograms_of(real, synthetic)[0]
    assert first.synthetic[0] > first.high[0]  # a walk is not white
    y = synthetic - synthetic.mean()
    lag1 = (y[:, 1:] * y[:, :-1]).mean() / (y**2).mean()
    assert first.synthetic[0] == pytest.approx(lag1, abs=0.02)


def test_one_column_of_vectors_is_drawn():
    walk = UNITS[0].cumsum(axis=1)
    real = np.stack([UNITS[0], walk], axis=-1)
    both = [correlograms_of(real, real, column)[0].real[0] for column in (0, 1)]
    assert both[0] < 0.3 < 0.7 < both[1]
    with pytest.raises(DataError, match=r"column must be one of \[0, 1\]; got 2"):
        plot.correlograms(real, real, column=2)
    with pytest.raises(DataError, match="which have no time"):
        plot.correlograms(*[pd.DataFrame(UNITS[k]) for k in (0, 1)])


def test_roots_are_told_from_those_outside():
    ax = plot.unit_circle([0.5 + 0.5j, 0.5 - 0.5j, 1.2])
    marks = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert marks["roots"] == [[0.5, 0.5], [0.5, -0.5]]
    assert marks["on or outside"] == [[1.2, 0.0]]
    assert [text.get_text() for text in ax.texts] == ["period 8"]
    assert ax.get_aspect() == 1.0
    with pytest.raises(ParameterError, match="must have roots"):
        plot.unit_circle(MADE((4,)))


def test_regimes_stand_below_their_series():
    found = SWITCHING.smoothed(DAYS)
    above, below = plot.regime_probabilities(DAYS, found).child_axes
    assert np.array_equal(above.lines[0].get_ydata(), DAYS.to_numpy())
    assert [line.get_ydata().tolist() for line in below.lines] == found.T.to_numpy().tolist()
    assert len(below.lines[0].get_xdata()) == len(DAYS) - 1  # the first value is given
    with pytest.raises(DataError, match="expected one series"):
        plot.regime_probabilities(UNITS[0], found)
    with pytest.raises(DataError, match="data can not be read as numbers"):
        plot.regime_probabilities(AR(1), found)
    with pytest.raises(DataError, match="probabilities must be a pandas DataFrame"):
        plot.regime_probabilities(DAYS, found.to_numpy())


def test_alarms_are_marked_where_they_were():
    ax = plot.anomalies(ALARMS)
    mark = next(line for line in ax.lines if "alarm" in line.get_label())
    at = DAYS.index[ALARMS["alarm"].to_numpy()].to_numpy()
    assert np.array_equal(mark.get_xdata(), at)
    two = ev.anomalies(HALF, [WHITE[:30], WHITE[30:]], rate=0.05)
    with pytest.raises(DataError, match="series= must be one of the sequences, 0, 1"):
        plot.anomalies(two)
    assert len(plot.anomalies(two, series=1).lines[0].get_xdata()) == 30


def test_a_change_has_its_levels_on_both_sides():
    ax = plot.change_points(CHANGES)
    steps = CHANGES.table["step"].tolist()
    lines = [line.get_xdata()[0] for line in ax.lines if line.get_color() == "#D55E00"]
    assert lines == steps
    assert abs(steps[0] - 30) <= 6
    levels = [line.get_ydata()[0] for line in ax.lines if line.get_color() == "#0072B2"]
    want = [*CHANGES.table["before"], CHANGES.table["after"].iloc[-1]]
    assert levels == pytest.approx(want)


def test_a_check_has_a_panel_for_each_statistic():
    inside = plot.predictive_check(CHECK).child_axes
    assert len(inside) == 4
    for one, (name, row) in zip(inside, CHECK.table.iterrows(), strict=True):
        assert one.get_title().startswith(name)
        assert [line.get_xdata()[0] for line in one.lines] == [
            row[c] for c in ("observed", "low", "high")
        ]
        assert sum(bar.get_height() for bar in one.patches) == len(CHECK.draws)


def test_curves_have_their_intervals():
    ax = plot.learning_curve(CURVE)
    unit = CURVE.attrs["unit"]
    assert np.array_equal(ax.lines[0].get_xydata(), CURVE[["size", unit]].to_numpy())
    top = ax.collections[0].get_paths()[0].get_extents().y1
    assert top == pytest.approx((CURVE[unit] + 1.96 * CURVE[f"se_{unit}"]).max())
    bands = ev.context_curve(HALF, WHITE, by="position", lengths=[1, 8, 20])
    assert plot.context_curve(bands).get_xlabel().startswith("position")
    with pytest.raises(DataError, match="curves of one unit together"):
        plot.context_curve({"a": CONTEXT, "b": bands})


def test_the_front_leaves_out_what_is_behind():
    ax = plot.speed_quality(PEERS, speed="seconds", quality="bits")
    assert ax.lines[0].get_xydata().tolist() == [[1.0, 2.0], [10.0, 1.8], [90.0, 1.7]]
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    with pytest.raises(DataError, match="no row with 'seconds' above 0"):
        plot.speed_quality(PEERS * 0, speed="seconds", quality="bits")


def test_failed_rows_stand_left_of_the_line():
    ax = plot.fidelity_overview(JUDGED)
    tested = [row for row in JUDGED.rows if row.passed is not None]
    assert [label.get_text() for label in ax.get_yticklabels()] == [row.name for row in tested]
    points = {line.get_label(): line.get_xydata() for line in ax.lines}
    for name, passed in (("fails", False), ("passes", True)):
        want = [[row.adjusted, i] for i, row in enumerate(tested) if row.passed is passed]
        assert points[name].tolist() == want
    assert (points["fails"][:, 0] < JUDGED.alpha).all()
    assert [text.get_text() for text in ax.texts] == ["distribution", "novelty"]


def test_a_tree_has_its_leaves_and_is_cut_where_it_is_large():
    leaves = TREE.map_tree()
    shown = [text.get_text() for text in plot.context_tree(TREE, symbols=1).texts]
    for law in leaves.values():
        assert any(f"{law.max():.2f}" in text for text in shown)
    cut = plot.context_tree(TREE, limit=2)
    assert any("longer contexts" in text.get_text() for text in cut.texts)
    letters = ContextTree(1, stop=0.01).fit(["".join(map(chr, range(97, 117))) * 9])
    few = plot.context_tree(letters, limit=5)
    assert "16 branches are not shown" in few.get_title(loc="left")
    with pytest.raises(ParameterError, match="must be a fitted ContextTree"):
        plot.context_tree(HALF)


@pytest.mark.parametrize(
    "name",
    ["anomalies", "change_points", "context_curve", "fidelity_overview", "forecast_outcomes",
     "learning_curve", "murphy_diagram", "mutual_information", "predictive_check",
     "reliability_diagram"],
)  # fmt: skip
def test_a_picture_says_what_it_draws(name):
    with pytest.raises(DataError, match=f"{name} draws what arproc.* gave; got int"):
        getattr(plot, name)(3)
