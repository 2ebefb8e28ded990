"""Pictures of what analyses found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from plot.subjects import DAYS, FOUND, HALF, PEERS, SWITCHING, UNITS, WHITE

from arproc import AR, MADE, ContextTree, plot
from arproc import evaluation as ev
from arproc.errors import DataError, ParameterError
from arproc.evaluation.synthetic.comparison import correlograms_of

# ---- what analyses found ------------------------------------------------------------------------


def test_outcomes_stand_against_their_forecasts():
    ax = plot.forecast_outcomes(FOUND.backtest, step=2)
    rows = FOUND.backtest[FOUND.backtest["step"] == 2]
    inside = rows["actual"].between(rows[0.05], rows[0.95]).to_numpy()
    points = {line.get_label(): line.get_xydata() for line in ax.lines}
    assert np.array_equal(points["outcome"], rows[[0.5, "actual"]].to_numpy()[inside])
    assert np.array_equal(points["outside"], rows[[0.5, "actual"]].to_numpy()[~inside])
    lying = np.array([line[:, 0] for line in ax.collections[0].get_segments()])
    assert lying == pytest.approx(rows[[0.05, 0.95]].to_numpy())
    assert "2 steps ahead" in ax.get_title(loc="left")
    with pytest.raises(DataError, match="no outcomes at step 3"):
        plot.forecast_outcomes(FOUND.backtest, step=3)


def test_a_reliability_diagram_is_its_table():
    ax = plot.reliability_diagram(FOUND.reliable)
    rate = next(line for line in ax.lines if line.get_label() == "rate of events")
    assert np.array_equal(
        rate.get_xydata(), FOUND.reliable.table[["probability", "rate"]].to_numpy()
    )
    groups = FOUND.reliable.table["rate"].nunique()
    assert len(ax.collections[-1].get_segments()) == groups
    assert f"{FOUND.reliable.brier:.3g}" in ax.get_title(loc="left")
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
    ax = plot.anomalies(FOUND.alarms)
    mark = next(line for line in ax.lines if "alarm" in line.get_label())
    at = DAYS.index[FOUND.alarms["alarm"].to_numpy()].to_numpy()
    assert np.array_equal(mark.get_xdata(), at)
    two = ev.anomalies(HALF, [WHITE[:30], WHITE[30:]], rate=0.05)
    with pytest.raises(DataError, match="series= must be one of the sequences, 0, 1"):
        plot.anomalies(two)
    assert len(plot.anomalies(two, series=1).lines[0].get_xdata()) == 30


def test_a_change_has_its_levels_on_both_sides():
    ax = plot.change_points(FOUND.changes)
    steps = FOUND.changes.table["step"].tolist()
    lines = [line.get_xdata()[0] for line in ax.lines if line.get_color() == "#D55E00"]
    assert lines == steps
    assert abs(steps[0] - 30) <= 6
    levels = [line.get_ydata()[0] for line in ax.lines if line.get_color() == "#0072B2"]
    want = [*FOUND.changes.table["before"], FOUND.changes.table["after"].iloc[-1]]
    assert levels == pytest.approx(want)


def test_a_check_has_a_panel_for_each_statistic():
    inside = plot.predictive_check(FOUND.check).child_axes
    assert len(inside) == 4
    for one, (name, row) in zip(inside, FOUND.check.table.iterrows(), strict=True):
        assert one.get_title().startswith(name)
        assert [line.get_xdata()[0] for line in one.lines] == [
            row[c] for c in ("observed", "low", "high")
        ]
        assert sum(bar.get_height() for bar in one.patches) == len(FOUND.check.draws)


def test_curves_have_their_intervals():
    ax = plot.learning_curve(FOUND.curve)
    unit = FOUND.curve.attrs["unit"]
    assert np.array_equal(ax.lines[0].get_xydata(), FOUND.curve[["size", unit]].to_numpy())
    top = ax.collections[0].get_paths()[0].get_extents().y1
    assert top == pytest.approx((FOUND.curve[unit] + 1.96 * FOUND.curve[f"se_{unit}"]).max())
    bands = ev.context_curve(HALF, WHITE, by="position", lengths=[1, 8, 20])
    assert plot.context_curve(bands).get_xlabel().startswith("position")
    with pytest.raises(DataError, match="curves of one unit together"):
        plot.context_curve({"a": FOUND.context, "b": bands})


def test_the_front_leaves_out_what_is_behind():
    ax = plot.speed_quality(PEERS, speed="seconds", quality="bits")
    assert ax.lines[0].get_xydata().tolist() == [[1.0, 2.0], [10.0, 1.8], [90.0, 1.7]]
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    with pytest.raises(DataError, match="no row with 'seconds' above 0"):
        plot.speed_quality(PEERS * 0, speed="seconds", quality="bits")


def test_failed_rows_stand_left_of_the_line():
    ax = plot.fidelity_overview(FOUND.judged)
    tested = [row for row in FOUND.judged.rows if row.passed is not None]
    assert [label.get_text() for label in ax.get_yticklabels()] == [row.name for row in tested]
    points = {line.get_label(): line.get_xydata() for line in ax.lines}
    for name, passed in (("fails", False), ("passes", True)):
        want = [[row.adjusted, i] for i, row in enumerate(tested) if row.passed is passed]
        assert points[name].tolist() == want
    assert (points["fails"][:, 0] < FOUND.judged.alpha).all()
    assert [text.get_text() for text in ax.texts] == ["distribution", "novelty"]


def test_a_tree_has_its_leaves_and_is_cut_where_it_is_large():
    leaves = FOUND.tree.map_tree()
    shown = [text.get_text() for text in plot.context_tree(FOUND.tree, symbols=1).texts]
    for law in leaves.values():
        assert any(f"{law.max():.2f}" in text for text in shown)
    cut = plot.context_tree(FOUND.tree, limit=2)
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
