"""`AutoPanel()` without arguments: what it finds, its laws, every kind of series, one file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

import arproc
from arproc import AR, AutoPanel
from arproc.errors import ArprocError, DataError, ParameterError, UnsupportedError
from arproc.models.panel.automatic.autoregressions import lags_of
from arproc.models.panel.automatic.deviations import Combined, heeded, spread_of
from arproc.models.panel.automatic.seasons import decompose, find_periods
from arproc.models.panel.automatic.spread import SHARE, ErrorSpread, Tails, fit_spread
from arproc.models.panel.automatic.weights import choose, combine, errors_of, of_the_panel
from arproc.models.panel.data import read


def monthly(n: int = 10, length: int = 96, seed: int = 0) -> dict[str, np.ndarray]:
    rng, t = np.random.default_rng(seed), np.arange(length)
    rows = np.exp(
        4 + 0.005 * t + 0.3 * np.sin(2 * np.pi * (t + rng.integers(0, 12, (n, 1))) / 12)
        + 0.03 * rng.normal(size=(n, length)).cumsum(axis=1)
    )  # fmt: skip
    return {f"s{i}": row for i, row in enumerate(rows)}


@pytest.fixture(scope="module")
def odd() -> dict[str, np.ndarray]:
    """Series of every kind among ordinary ones."""
    rng, data = np.random.default_rng(1), monthly(6)
    gaps = data["s0"].copy()
    gaps[40:50] = np.nan
    return data | {
        "three": np.array([3.5, 4.0, 5.0]),
        "two": np.array([7.5, 8.0]),
        "one": np.array([7.5]),
        "constant": np.full(50, 5.5),
        "zero": np.zeros(30),
        "negative": rng.normal(size=80),
        "gaps": gaps,
        "intermittent": rng.poisson(0.3, 60).astype(float),
        "rain": np.maximum(rng.normal(size=60), 0.0),
    }


@pytest.fixture(scope="module")
def model(odd: dict[str, np.ndarray]) -> AutoPanel:
    return AutoPanel().fit(odd)


def test_the_unit_of_the_data_does_not_matter(odd):
    """Nor that of series too short for a candidate."""
    rows = {name: odd[name] for name in ("three", "one", "negative", "gaps")}
    rows["from below"] = -odd["s1"]
    told = AutoPanel(log=False).fit(rows).forecast(3).to_numpy()
    tiny = AutoPanel(log=False).fit({name: 1e-20 * x for name, x in rows.items()}).forecast(3)
    np.testing.assert_allclose(1e20 * tiny.to_numpy(), told, rtol=1e-9, atol=1e-12)


def test_every_series_gets_a_forecast_of_its_kind(model, odd):
    table = model.forecast(5, (0.05, 0.5, 0.95))
    assert len(table) == 5 * len(odd)
    assert np.isfinite(table.to_numpy()).all()
    assert (table[0.05] <= table[0.5]).all()
    assert (table[0.5] <= table[0.95]).all()
    assert model.periods_ == [12]
    np.testing.assert_allclose(table.loc["constant"], 5.5, rtol=1e-6)
    assert (table.loc["zero"] == 0).all(axis=None)
    for name in ("one", "two"):
        np.testing.assert_allclose(table.loc[name, 0.5], odd[name][-1], rtol=1e-12)
    counts = table.loc["intermittent", [0.05, 0.5, 0.95]].to_numpy()
    np.testing.assert_array_equal(counts, np.rint(counts))
    assert (table.loc[["intermittent", "rain"]] >= 0).all(axis=None)
    assert (table.loc[["s0", "gaps", "three"]] > 0).all(axis=None)
    assert (table.loc["negative", 0.05] < 0).all()


def test_its_season_is_carried_on():
    data = monthly(10)
    found = AutoPanel().fit({name: x[:84] for name, x in data.items()}).forecast(12)
    error = [np.abs(found.loc[name, 0.5] - x[84:]).mean() for name, x in data.items()]
    seasonal = [np.abs(x[72:84] - x[84:]).mean() for x in data.values()]
    naive = [np.abs(x[83] - x[84:]).mean() for x in data.values()]
    assert np.mean(error) < 0.7 * np.mean(naive)
    assert np.mean(error) < np.mean(seasonal)


def test_stationary_series_are_autoregressions():
    data = AR.from_parameters([0.5, -0.6], mean=10.0).sample(20, length=200, seed=0)
    found = AutoPanel().fit(data[:, :-4])
    made = found.forecast(4)[0.5].to_numpy().reshape(20, 4)
    own = AR.from_parameters([0.5, -0.6], mean=10.0)
    best = np.stack([own.forecast(x, 4)["mean"] for x in data[:, :-4]])
    walk = np.abs(data[:, -5:-4] - data[:, -4:]).mean()
    assert np.abs(made - data[:, -4:]).mean() < 1.1 * np.abs(best - data[:, -4:]).mean()
    assert np.abs(made - data[:, -4:]).mean() < 0.9 * walk


def test_intervals_hold_what_they_say():
    x = np.random.default_rng(1).normal(size=(300, 60)).cumsum(axis=1)
    made = AutoPanel().fit(x[:, :-6]).forecast(6, (0.025, 0.1, 0.9, 0.975))
    low, inner, upper, high = made.to_numpy().reshape(300, 6, 5)[..., 1:].transpose(2, 0, 1)
    later = x[:, -6:]
    assert ((later > low) & (later < high)).mean() == pytest.approx(0.95, abs=0.03)
    assert ((later > inner) & (later < upper)).mean() == pytest.approx(0.8, abs=0.05)


# ---- its laws -----------------------------------------------------------------------------------


def test_paths_have_the_marginals_of_the_forecast(model):
    paths = model.sample_paths(4, 20_000, seed=1)
    table = model.forecast(4, (0.1, 0.5, 0.9))
    assert paths.shape == (len(model.names_), 20_000, 4)
    for name in ("s0", "negative", "three", "rain"):
        i = model.names_.index(name)
        got = np.quantile(paths[i], [0.1, 0.5, 0.9], axis=0).T
        width = (table.loc[name, 0.9] - table.loc[name, 0.1]).to_numpy()[:, None]
        assert np.abs((got - table.loc[name, [0.1, 0.5, 0.9]].to_numpy()) / width).max() < 0.02
        np.testing.assert_allclose(
            paths[i].mean(0), table.loc[name, "mean"], atol=0.02 * width.max()
        )
    again = model.sample_paths(6, 3, seed=1)
    np.testing.assert_array_equal(again[:, :, :4], paths[:, :3])  # longer, and others beside it


@pytest.mark.parametrize("name", ["s0", "negative"])
def test_densities_integrate_to_one_and_steps_go_together(odd, name):
    model = AutoPanel(period=[]).fit({name: odd[name]})
    table = model.forecast(2, (0.001, 0.999)).loc[name]
    (a, b), (c, d) = table[[0.001, 0.999]].to_numpy()
    x, y = np.linspace(a, b, 21), np.linspace(c, d, 21)
    joint = np.array([[model.log_prob({name: [v, w]}).iloc[0] for w in y] for v in x])
    first = np.array([model.log_prob({name: [v]}).iloc[0] for v in x])
    mass = integrate.trapezoid(np.exp(joint), y, axis=1)
    assert integrate.trapezoid(mass, x) == pytest.approx(0.996, abs=0.01)
    np.testing.assert_allclose(mass[5:16], np.exp(first)[5:16], rtol=0.02)


def test_a_step_that_was_not_observed_is_integrated_out(model):
    later = model.forecast(3).loc["s1", 0.5].to_numpy()
    one = model.log_prob({"s1": [later[0], np.nan, later[2]]}).iloc[0]
    grid = later[1] * np.exp(np.linspace(-1.5, 1.5, 301))
    whole = [model.log_prob({"s1": [later[0], v, later[2]]}).iloc[0] for v in grid]
    assert one == pytest.approx(np.log(integrate.trapezoid(np.exp(whole), grid)), abs=1e-4)
    assert model.log_prob({"s1": [-1.0]}).iloc[0] == -np.inf


def test_laws_of_counts_say_that_they_have_no_joint_density(model):
    with pytest.raises(UnsupportedError, match="'intermittent' are small whole numbers"):
        model.log_prob({"intermittent": [0.0, 1.0]})


# ---- labels, files, later values ----------------------------------------------------------------


def test_dates_go_on_and_are_honoured():
    index = pd.date_range("2020-01-31", periods=60, freq="ME")
    frame = pd.DataFrame(monthly(4, 60), index=index)
    model = AutoPanel().fit(frame)
    table = model.forecast(2)
    assert list(table.loc["s0"].index) == list(pd.date_range("2025-01-31", periods=2, freq="ME"))
    later = pd.DataFrame({"s0": table.loc["s0", 0.5]})
    assert np.isfinite(model.log_prob(later)).all()
    with pytest.raises(DataError, match="expected 2025-01-31"):
        model.log_prob(later.iloc[1:].rename_axis(None))
    longer = pd.concat([frame, later.reindex(columns=frame.columns).fillna(50.0)])
    moved = model.update(longer)
    assert moved.forecast(1).loc["s0"].index[0] == pd.Timestamp("2025-03-31")
    pd.testing.assert_frame_equal(moved.forecast(2), model.forecast(2, history=longer))
    pd.testing.assert_frame_equal(model.forecast(2), table)  # the old one is what it was


def test_a_file_is_the_same_model(model, tmp_path):
    model.save(tmp_path / "model.arproc")
    again = arproc.load(tmp_path / "model.arproc")
    pd.testing.assert_frame_equal(again.forecast(3), model.forecast(3))
    np.testing.assert_array_equal(
        again.sample_paths(3, 2, seed=4), model.sample_paths(3, 2, seed=4)
    )
    pd.testing.assert_frame_equal(again.summary(), model.summary())


def test_what_was_chosen_is_told(model, odd):
    table = model.summary()
    assert list(table.index) == list(odd)
    assert table.loc["one", "most weight"] == "last value"
    assert table.loc["s0", "seasons"] == [12]
    assert table.loc["three", "seasons"] == []
    assert table.loc[["s0", "negative"], "log"].tolist() == [True, False]
    np.testing.assert_allclose(model.weights_[~(table["most weight"] == "last value")].sum(1), 1)


def test_period_and_log_can_be_told():
    data = monthly(4)
    assert AutoPanel(period=[]).fit(data).periods_ == []
    told = AutoPanel(period=6, log=False).fit(data)
    assert told.periods_ == [6]
    assert not told.summary()["log"].any()


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ({"a": [1.0, 2.0], "b": [np.nan, np.nan]}, "no values, the first is 'b'"),
        ({"a": [1.0, np.inf, 2.0]}, "'a' has infinite values"),
    ],
)
def test_series_that_can_not_be_read_are_named(data, match):
    with pytest.raises(DataError, match=match):
        AutoPanel().fit(data)


def test_bad_parameters():
    data = monthly(2, 30)
    for bad in ({"period": 1}, {"period": "12"}, {"validation": 0}, {"log": 3}):
        with pytest.raises(ArprocError):
            AutoPanel(**bad).fit(data)
    with pytest.raises(ParameterError, match="validation is not given"):
        AutoPanel([AR(1)]).fit(data)
    with pytest.raises(ParameterError, match="period is for AutoPanel"):
        AutoPanel([AR(1)], 3, period=4).fit(data)
    given = AutoPanel([AR(1)], 3).fit(data)
    for call in (lambda: given.sample_paths(2), lambda: given.log_prob(data)):
        with pytest.raises(UnsupportedError, match="without candidates"):
            call()


def test_levels_of_any_size_and_sign_and_series_in_any_order():
    x = 1e6 * np.random.default_rng(0).normal(size=40).cumsum()
    data = {"level": x, **monthly(2)}
    table = AutoPanel(period=12).fit(data).forecast(3)
    turned = AutoPanel(period=12).fit(dict(reversed(data.items()))).forecast(3)
    for name in data:
        pd.testing.assert_frame_equal(turned.loc[name], table.loc[name], rtol=1e-9)
    moved = AutoPanel(period=12).fit(data).forecast(3, history=dict(reversed(data.items())))
    pd.testing.assert_frame_equal(moved, table)


def test_a_wild_value_is_no_news():
    data = monthly(4)
    spoilt = {name: x.copy() for name, x in data.items()}
    spoilt["s2"][60] *= 100
    clean, found = (AutoPanel().fit(one).forecast(3).loc["s2"] for one in (data, spoilt))
    np.testing.assert_allclose(found[0.5], clean[0.5], rtol=0.05)


def test_forecasts_stay_within_reach():
    x = np.exp(0.3 * np.arange(20.0))  # grows by a third each step
    table = AutoPanel().fit({"a": x}).forecast(40)
    assert (table[0.5] <= x[-1] * (x[-1] / x[0]) * 1.001).all()


# ---- the parts ----------------------------------------------------------------------------------


def season_of(x: np.ndarray, periods: list[int]) -> np.ndarray:
    n = len(x)
    return decompose(x.copy(), np.array([0, n]), np.array([n]), periods).cycles


def test_the_last_cycles_tell_more_of_a_season():
    t = np.arange(80)
    wave = np.sin(np.pi * t / 2)
    grown = season_of(np.where(t < 40, 1.0, 2.0) * wave, [4])
    assert 1.75 < grown[1] < 2.0  # equal weights would say 1.5
    np.testing.assert_allclose(season_of(wave, [4]), wave[:4], atol=1e-9)


def test_a_season_of_which_little_is_known_is_shrunk():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, 26))
    assert np.mean([season_of(x, [12]).std() for x in noise]) < 0.1
    wave = 3 * np.sin(2 * np.pi * np.arange(26) / 12)
    kept = [season_of(wave + 0.3 * x, [12]).std() for x in noise]
    assert 0.85 < np.mean(kept) / wave[:12].std() < 1
    one = np.full(40, np.nan)
    one[8:20] = np.arange(12.0)  # a single cycle cannot tell it from noise
    assert not season_of(one, [12]).any()


def test_seasons_are_multiplied_or_added_as_the_series_has_them():
    t = np.arange(96)
    season = np.sin(2 * np.pi * t / 12)
    added = {f"a{i}": 100 + 4 * t + 30 * np.roll(season, i) for i in range(6)}
    found = AutoPanel(period=12).fit({name: x[:84] for name, x in added.items()}).forecast(12)
    error = [np.abs(found.loc[name, 0.5] - x[84:]).mean() for name, x in added.items()]
    assert max(error) < 3  # of a season of 30


def test_seasons_and_what_looks_like_them():
    rng, t = np.random.default_rng(0), np.arange(900)
    day = np.sin(2 * np.pi * t / 24)
    busy = np.where(t // 24 % 7 < 5, 1.0, 0.3)
    hourly = [day * busy + 0.1 * rng.normal(size=900) for _ in range(20)]
    assert find_periods(read(hourly)) == [24, 168]
    assert find_periods(read(list(rng.normal(size=(20, 80)).cumsum(axis=1)))) == []
    assert find_periods(read([[1.0, 2.0], [3.0]])) == []
    cycle = season_of(np.tile([0.0, 1.0, 5.0], 30) + 0.1 * np.arange(90), [3])
    np.testing.assert_allclose(cycle, [-2, -1, 3], atol=1e-6)
    assert season_of(rng.normal(size=100), [4]) == pytest.approx(0, abs=0.3)
    holes = np.tile([0.0, 1.0, 5.0], 30)
    holes[10:25] = np.nan
    np.testing.assert_allclose(season_of(holes, [3]), [-2, -1, 3], atol=0.1)
    assert lags_of(np.array([800]), [24, 168])[0] == [1, 2, 24, 25, 168, 169]


def test_a_panel_learns_which_candidate_is_right():
    rng = np.random.default_rng(0)
    actual = rng.normal(size=(50, 4))
    made = np.stack([actual + 0.1, actual + 2, actual + 3], axis=1)
    ones = np.ones(50)
    weights = of_the_panel(made, actual, ones, np.ones(3, bool))
    assert weights[0] > 0.9
    errors = errors_of(made, actual, ones)
    np.testing.assert_allclose(errors[0], [0.1, 2, 3])
    equal, power = choose(weights, errors, made, actual, ones, 1)
    assert (equal, power) != (1.0, 0.0)
    assert of_the_panel(made, actual, ones, np.array([False, True, True]))[0] == 0


def test_weighted_medians():
    made = np.array([1.0, 2.0, 10.0])[None, :, None]
    assert combine(made, np.array([[1.0, 1.0, 1.0]]) / 3)[0, 0] == pytest.approx(2)
    assert combine(made, np.array([[1.0, 0.0, 0.0]]))[0, 0] == 1
    assert combine(made, np.array([[0.0, 0.5, 0.5]]))[0, 0] == pytest.approx(6)
    assert np.isnan(combine(made, np.zeros((1, 3)))).all()


def test_tails_are_those_of_the_errors():
    rng = np.random.default_rng(0)
    wide = np.where(rng.random((4000, 1)) < SHARE, 3.0, 1.0)
    errors = rng.normal(size=(4000, 6)) * wide * 0.7
    spread = fit_spread(errors)
    tails, own = spread.tails, spread.own(errors)
    assert tails.quantile(0.9) * tails.size == pytest.approx(
        0.7 * Tails(1.0, 3.0, 0.0).quantile(0.9), rel=0.06
    )
    assert tails.wider > 1.5
    assert np.exp(np.log(own).mean()) == pytest.approx(1)
    np.testing.assert_array_equal(spread.own(errors[:3]), own[:3])  # each by itself
    few = fit_spread(np.full((2, 3), np.nan))
    assert few == ErrorSpread(Tails(1.0, 1.5, 0.0), 0.0, 0.0)
    np.testing.assert_array_equal(few.own(errors[:3]), 1.0)


def test_errors_of_several_stretches_grow_by_step_and_are_a_series_own():
    rng = np.random.default_rng(0)
    size = np.exp(rng.normal(scale=0.5, size=(500, 1, 1)))
    errors = rng.normal(size=(500, 2, 12)) * size * np.arange(1, 13) ** 0.2
    spread = fit_spread(errors)
    assert spread.tails.growth == pytest.approx(0.2, abs=0.03)
    own = spread.own(errors)
    assert np.corrcoef(own, size[:, 0, 0])[0, 1] > 0.9
    errors[:, 1] = np.nan  # one that is not known is as if it were not there
    torn, one, flat = (fit_spread(e) for e in (errors, errors[:, :1], errors[:, 0]))
    assert one == flat
    assert torn.tails == one.tails
    # sums with zeros between are added in another order
    assert (torn.usual, torn.centre) == pytest.approx(
        (one.usual, one.centre), rel=1e-14, abs=1e-14
    )
    np.testing.assert_allclose(spread.own(errors), spread.own(errors[:, 0]))


def test_the_spread_is_between_what_candidates_say():
    said = np.array([[[1.0, 2.0], [16.0, 8.0], [np.nan, np.nan]]])
    weights = np.array([[0.5, 0.5, 0.0]])
    np.testing.assert_allclose(spread_of(said, weights), [[4.0, 4.0]])
    np.testing.assert_allclose(spread_of(said, weights, np.array([3.0, 1.0, 9.0]))[0, 1], 2**1.5)
    np.testing.assert_array_equal(spread_of(said, np.zeros((1, 3))), 0.0)
    np.testing.assert_array_equal(spread_of(0 * said, weights), 0.0)
    nothing = spread_of(np.array([[[0.0], [1.0]]]), np.array([[0.5, 0.5]]))
    assert 0.05 < nothing[0, 0] < 0.5  # who claims to make no error is not quite believed


def test_the_panel_tells_which_deviations_to_heed():
    rng = np.random.default_rng(0)
    said = np.exp(rng.normal(scale=0.7, size=(300, 3, 6)))
    gap, weights = said[:, 1] * rng.normal(size=(300, 6)), np.full((300, 3), 1 / 3)
    found = heeded([Combined(gap, said, weights)])
    assert found[1] > 10 * max(found[0], found[2])
    halves = [Combined(gap[i::2], said[i::2], weights[i::2]) for i in (0, 1)]
    np.testing.assert_allclose(heeded(halves), found, rtol=1e-3)  # the order does not matter
    wild = gap.copy()
    wild[5] *= 1e9
    np.testing.assert_allclose(
        np.log(heeded([Combined(wild, said, weights)])), np.log(found), atol=0.3
    )
    gap[10:] = np.nan
    np.testing.assert_array_equal(heeded([Combined(gap, said, weights)]), 1.0)  # too few


@pytest.mark.parametrize("unit", [1e80, 1e-80])
def test_series_without_a_size_are_named(unit):
    x = np.random.default_rng(0).normal(size=(3, 40)) + 5
    data = {"a": x[0], "b": unit * x[1], "c": x[2]}
    with pytest.raises(DataError, match=r"'b'.*1e75"):
        AutoPanel().fit(data)
    model = AutoPanel(errors="keep").fit(data)
    assert "another unit" in model.status_[1]
    made, want = model.forecast(3), AutoPanel().fit({"a": x[0], "c": x[2]}).forecast(3)
    np.testing.assert_allclose(made.loc["a"], want.loc["a"])
    assert made.loc["b"].isna().to_numpy().all()


@pytest.mark.parametrize("level", [-1e10, -1e9, 1e8, 1e9, 1e10])
def test_intervals_of_series_far_from_zero_are_those_of_their_moves(level):
    rng = np.random.default_rng(0)
    moves = {"walk": rng.normal(size=96).cumsum(), "still": rng.normal(size=96)}
    near, far = (
        AutoPanel().fit({name: x + by for name, x in moves.items()}).forecast(3, (0.1, 0.9))
        for by in (0.0, level)
    )
    width = near[0.9] - near[0.1]
    np.testing.assert_allclose(far[0.9] - far[0.1], width, rtol=0.1)
    np.testing.assert_allclose(far["mean"] - level, near["mean"], atol=0.2)


def test_candidates_are_told_apart_far_from_zero():
    x = arproc.AR.from_parameters([0.95]).sample(4, length=120, seed=0)
    near, far = (
        AutoPanel([arproc.AR(0), arproc.AR(1)], validation=12).fit(x + by) for by in (0.0, 1e9)
    )
    np.testing.assert_allclose(far.learnt_.weights, near.learnt_.weights, rtol=1e-4)
