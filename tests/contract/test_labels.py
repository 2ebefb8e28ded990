"""Labels of contexts, columns and dates: aligned on every call that takes labelled data."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc import (
    AR,
    ARGARCH,
    ARIMA,
    SETAR,
    VAR,
    BayesianAR,
    MarkovSwitchingAR,
    Mixture,
    Transformed,
)
from arproc.errors import DataError, PlaceWarning, UnsupportedError
from arproc.transforms import Difference, Log

RNG = np.random.default_rng(0)
N, KNOWN = 160, 150
DAYS = pd.date_range("2021-03-01", periods=N)
PUSH = pd.DataFrame({"rain": RNG.normal(size=N), "heat": RNG.normal(size=N)}, DAYS)
PUSHED = pd.Series(3 * PUSH["rain"] - 2 * PUSH["heat"] + RNG.normal(size=N), DAYS, name="level")
PAST = PUSHED[:KNOWN]
MODELS = {
    "mean": AR(1, regressors="mean"),
    "recursion": AR(1, regressors="recursion", initial="given"),
    "season too": AR(1, "ct", seasonal=7, regressors="mean"),
    "arima": ARIMA((1, 0, 0), regressors="mean"),
    "arima line": ARIMA((1, 0, 0), trend="ct", regressors="mean"),
    "transformed": Transformed(AR(1, regressors="mean"), Difference()),
}
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "log_prob": lambda m, c: m.log_prob(PAST, context=c),
    "log_prob_terms": lambda m, c: m.log_prob_terms(PAST, context=c),
    "score": lambda m, c: m.score(PAST, context=c),
    "conditional": lambda m, c: float(m.conditional(PAST, context=c).mean),
    "conditionals": lambda m, c: m.conditionals(PAST, context=c).mean,
    "condition": lambda m, c: m.condition(PAST, context=c).log_prob(PUSHED[KNOWN:]),
    "start": lambda m, c: float(m.start(PAST, context=c).conditional.mean),
    "sample": lambda m, c: m.sample(2, length=3, prefix=PAST, seed=0, context=c),
    "forecast": lambda m, c: m.forecast(PAST, 4, context=c),
    "scenario": lambda m, c: m.forecast(PAST, 4, context=c, known=[np.nan, 1.0, np.nan, np.nan]),
    "sample_paths": lambda m, c: m.sample_paths(PAST, 4, 5, seed=0, context=c),
    "evaluate": lambda m, c: arproc.evaluate(m, PAST, context=c).log_prob_nats,
    "refit": lambda m, c: m.clone().fit(PAST, context=c).log_prob(PAST, context=c),
}
FORMS = {
    "swapped columns": PUSH[["heat", "rain"]],
    "more of the past": pd.concat(
        [pd.DataFrame(9.0, DAYS[:10] - pd.Timedelta(days=10), PUSH.columns), PUSH]
    ),
    "swapped and longer": pd.concat(
        [pd.DataFrame(9.0, DAYS[:10] - pd.Timedelta(days=10), PUSH.columns), PUSH]
    )[["heat", "rain"]],
    "array": PUSH.to_numpy(),
}
WRONG = {
    "begins late": (PUSH[10:], r"no row for 2021-03-01"),
    "ends early": (PUSH[:140], r"no row for 2021-07-19"),
    "a hole": (PUSH.drop(DAYS[50]), r"no row for 2021-04-20"),
    "disorder": (PUSH.iloc[[0, 2, 1, *range(3, N)]], r"context is out of order: 2021-03-03"),
    "another column": (PUSH.rename(columns={"heat": "wind"}), r"the column 'wind'"),
    "one column less": (PUSH[["rain"]], r"lacks the column 'heat'"),
    "one column more": (PUSH.assign(wind=0.0), r"the column 'wind'"),
}


@pytest.fixture(scope="module", params=MODELS)
def pushed(request):
    return MODELS[request.param].clone().fit(PAST, context=PUSH[:KNOWN])


@pytest.mark.parametrize("call", CALLS)
def test_a_context_is_aligned_by_its_labels(pushed, call):
    want = CALLS[call](pushed, PUSH)
    for form, context in FORMS.items():
        if call == "refit" and form in ("swapped columns", "swapped and longer", "array"):
            continue  # a fit learns the names, and their order, anew
        got = CALLS[call](pushed, context)
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-9, err_msg=form)


@pytest.mark.parametrize("call", CALLS)
def test_a_context_that_does_not_fit_is_refused_by_its_label(pushed, call):
    for wrong, (context, message) in WRONG.items():
        if call == "refit" and wrong in ("another column", "one column less", "one column more"):
            continue  # a fit learns the names anew
        with pytest.raises(DataError, match=message):
            CALLS[call](pushed, context)


def test_names_of_regressors_stand_in_what_is_told(tmp_path):
    model = MODELS["season too"].clone().fit(PAST, context=PUSH[:KNOWN])
    assert model.terms_[-2:] == ["rain", "heat"]
    assert [name for name in ("rain", "heat", "x1") if name in model.summary()] == ["rain", "heat"]
    assert list(model.parameter_table().index[-4:-2]) == ["rain", "heat"]
    model.save(tmp_path / "model.arproc")
    again = arproc.load(tmp_path / "model.arproc")
    late = PAST[100:]
    want = model.forecast(PAST, 3, context=PUSH)
    pd.testing.assert_frame_equal(again.forecast(late, 3, context=FORMS["swapped columns"]), want)


# ---- where t begins -------------------------------------------------------------------------


T = np.arange(400)
SEASON = 10 * np.sin(2 * np.pi * T / 12) + 0.1 * T + 40 + RNG.normal(size=400)
INDEXES = {
    "dates": pd.date_range("1990-01-01", periods=400, freq="MS"),
    "periods": pd.period_range("1990-01", periods=400, freq="M"),
    "days": pd.date_range("1990-01-01", periods=400, tz="Europe/Berlin"),
    "business days": pd.bdate_range("1990-01-01", periods=400),
    "hours": pd.date_range("1990-01-01", periods=400, freq="h"),
    "numbers": pd.Index(range(1600, 2000)),
    "plain": pd.RangeIndex(400),
    "spans": pd.timedelta_range("0s", periods=400, freq="5s"),
}
TIMED = {
    "line": AR(1, "ct"),
    "parabola": AR(1, "ctt", initial="given", method="ols"),
    "season": AR(2, "ct", seasonal=12),
    "fourier": AR([1, 3], "ct", fourier={12: 2}),
    "arima": ARIMA((1, 0, 1), trend="ct"),
    "logs": Transformed(AR(1, "ct", seasonal=12), Log()),
    "differences": Transformed(AR(1, "c", seasonal=12), Difference()),
}


@pytest.mark.parametrize("index", INDEXES)
def test_a_part_of_a_series_is_where_its_labels_say(index):
    series = pd.Series(SEASON, INDEXES[index])
    model = TIMED["season"].clone().fit(series[:370])
    whole = model.forecast(series[:370], 5)
    pd.testing.assert_frame_equal(model.forecast(series[337:370], 5), whole, rtol=1e-9)


@pytest.mark.parametrize("kind", TIMED)
def test_every_call_anchors_t(kind, tmp_path):
    series = pd.Series(SEASON, INDEXES["dates"])
    model = TIMED[kind].clone().fit(series[:370])
    whole, part = series[:370], series[331:370]
    forecast = model.forecast(whole, 4)
    pd.testing.assert_frame_equal(model.forecast(part, 4), forecast, rtol=1e-6)
    assert model.log_prob_terms(part).iloc[-1] == pytest.approx(
        model.log_prob_terms(whole).iloc[-1], rel=1e-6
    )
    first = float(model.start(part).conditional.mean)
    assert first == pytest.approx(forecast["mean"].iloc[0], rel=0.02)  # a median under Log
    assert float(model.conditional(part).mean) == pytest.approx(first, rel=1e-9)
    # parallel is incremental
    state = model.start(series[331:350]).extend([series[350:370].tolist()])[1]
    assert float(state.conditional.mean) == pytest.approx(first, rel=1e-6)
    parts = [model.log_prob(series[331:350]), model.condition(series[331:350]).log_prob(
        series[350:370]
    )]  # fmt: skip
    assert sum(parts) == pytest.approx(model.log_prob(part), rel=1e-9)
    both = model.log_prob([part, whole])
    np.testing.assert_allclose(both, [model.log_prob(part), model.log_prob(whole)], rtol=1e-9)
    # without labels
    draws = model.sample(3, length=5, prefix=part.to_numpy(), seed=1, offset=331)
    np.testing.assert_allclose(model.sample(3, length=5, prefix=part, seed=1), draws, rtol=1e-9)
    assert model.log_prob(part.to_numpy(), offset=331) == pytest.approx(model.log_prob(part))
    with pytest.warns(PlaceWarning, match="nothing says at which step data begins"):
        model.log_prob(part.to_numpy())
    assert model.log_prob(whole.to_numpy()) == pytest.approx(model.log_prob(whole))
    model.save(tmp_path / "model.arproc")
    pd.testing.assert_frame_equal(arproc.load(tmp_path / "model.arproc").forecast(part, 4),
                                  model.forecast(part, 4))  # fmt: skip


def test_vectors_about_a_line_and_mixtures_are_anchored():
    frame = pd.DataFrame({"gdp": SEASON, "infl": RNG.normal(size=400)}, INDEXES["dates"])
    model = VAR(1, trend="ct").fit(frame[:370])
    want = model.forecast(frame[:370], 3)
    got = model.forecast(frame[["infl", "gdp"]][300:370], 3)
    pd.testing.assert_frame_equal(got, want, rtol=1e-9)
    state = model.start(frame[300:350]).extend(frame[350:370].to_numpy()[None].copy())[1]
    np.testing.assert_allclose(state.conditional.mean[0], want.xs("mean", axis=1, level=1).iloc[0])
    terms = [model.log_prob_terms(part).iloc[-1] for part in (frame[300:370], frame[:370])]
    assert terms[0] == pytest.approx(terms[1], rel=1e-9)
    with pytest.raises(DataError, match="the column 'wages'"):
        model.forecast(frame.rename(columns={"infl": "wages"}), 3)
    series = frame["gdp"]
    parts = [TIMED["season"].clone().fit(series[:300]), AR(2).fit(series[:300])]
    mixed = Mixture(parts).fit(series[300:370])
    whole, part = (float(mixed.conditional(series[a:370]).mean) for a in (0, 340))
    assert part == pytest.approx(whole, rel=1e-9)


def test_a_bayesian_line_is_anchored():
    series = pd.Series(SEASON, INDEXES["dates"])
    model = BayesianAR(1, trend="ct").fit(series[:370])
    later = series[371:380]
    shifted = model.log_prob(later.to_numpy(), offset=371)
    assert model.log_prob(later) == pytest.approx(shifted, rel=1e-12)
    assert model.log_prob(later.to_numpy(), offset=0) != pytest.approx(shifted, abs=1e-3)


def test_series_that_begin_at_different_times_share_their_seasons():
    index = INDEXES["dates"]
    pattern = np.tile(np.arange(12.0), 40)[:400]
    series = pd.Series(pattern + 0.1 * RNG.normal(size=400), index)
    model = AR(1, seasonal=12).fit([series[:200], series[205:]])
    assert model.sigma2_ < 0.02
    assert AR(1, seasonal=12).fit([series[:200].to_numpy(), series[205:].to_numpy()]).sigma2_ > 1
    gaps = series[:200].copy()
    gaps.iloc[[3, 90]] = np.nan
    assert AR(1, seasonal=12).fit([gaps, series[205:]]).sigma2_ < 0.02


def test_other_labels_than_those_of_fit_are_refused():
    model = TIMED["season"].clone().fit(pd.Series(SEASON, INDEXES["dates"]))
    with pytest.raises(DataError, match="begins at the label 5; the data of fit have dates"):
        model.log_prob(pd.Series(SEASON[:40], pd.RangeIndex(5, 45)))
    with pytest.raises(DataError, match="which is no step of freq='MS'"):
        model.log_prob(pd.Series(SEASON[:40], pd.date_range("1995-01-02", periods=40)))


def test_what_is_conditioned_goes_on_with_the_next_label():
    series = pd.Series(SEASON, INDEXES["dates"])
    after = AR(1).fit(series[:370]).condition(series[:370])
    assert after.log_prob(series[370:]) == pytest.approx(after.log_prob(SEASON[370:]))
    with pytest.raises(DataError, match=r"begins at 2020-12-01.*expected 2020-11-01"):
        after.log_prob(series[371:])


def test_cross_validation_finds_the_season_that_aic_finds():
    """The recipe of docs/faq.md: parts of a labelled series go on where they were."""
    from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

    index = pd.period_range("2001-01", periods=240, freq="M")
    series = pd.Series(5 * np.sin(2 * np.pi * T[:240] / 12) + RNG.normal(size=240), index)
    grid = {"seasonal": [None, 12, 7]}
    for data in (series, series.reset_index(drop=True)):
        search = GridSearchCV(AR(1), grid, cv=TimeSeriesSplit(4)).fit(data)
        fits = {season: AR(1, seasonal=season).fit(data) for season in grid["seasonal"]}
        least = min(fits, key=lambda season: fits[season].information_criterion())
        assert search.best_params_ == {"seasonal": least} == {"seasonal": 12}


# ---- rows and their names ---------------------------------------------------------------------


@pytest.fixture(scope="module", params=["KernelDensity", "MAF", "MADE", "NADE"])
def density(request):
    rows = pd.DataFrame(
        RNG.normal(size=(60, 3)) * [1, 10, 100], [f"r{i}" for i in range(60)], list("abc")
    )
    plan = arproc.Training(steps=3)
    model = {
        "KernelDensity": arproc.KernelDensity(),
        "MAF": arproc.MAF(training=plan),
        "MADE": arproc.MADE((4,), head="normal", ordering=[2, 0, 1], training=plan),
        "NADE": arproc.NADE((4,), head="normal", order_agnostic=True, training=plan),
    }[request.param]
    return model.fit(rows), rows


def test_rows_are_taken_by_name_and_keep_their_index(density, tmp_path):
    model, rows = density
    want = model.log_prob(rows)
    assert isinstance(want, pd.Series)
    assert want.index.equals(rows.index)
    np.testing.assert_allclose(want, model.log_prob(rows.to_numpy()), rtol=1e-9)
    pd.testing.assert_series_equal(model.log_prob(rows[["c", "a", "b"]]), want)
    assert model.log_prob(rows.iloc[3]) == pytest.approx(want.iloc[3], rel=1e-5)
    assert model.score(rows[["b", "c", "a"]]) == pytest.approx(model.score(rows))
    assert list(model.feature_names_in_) == list("abc")
    assert list(model.sample(2, seed=0).columns) == list("abc")
    with pytest.raises(DataError, match="the column 'z'"):
        model.log_prob(rows.rename(columns={"b": "z"}))
    with pytest.raises(DataError, match="lacks the column 'c'"):
        model.log_prob(rows[["a", "b"]])
    model.save(tmp_path / "model.arproc")
    again = arproc.load(tmp_path / "model.arproc")
    pd.testing.assert_series_equal(again.log_prob(rows[["c", "a", "b"]]), want)


def test_a_prefix_has_the_first_columns_by_name():
    rows = pd.DataFrame(RNG.normal(size=(60, 3)), columns=list("abc"))
    plan = arproc.Training(steps=3)
    model = arproc.MADE((4,), head="normal", ordering=[2, 0, 1], training=plan).fit(rows)
    draws = model.sample(2, prefix=rows[["a", "c"]][:2], seed=0)
    assert list(draws.columns) == ["b"]
    same = model.sample(2, prefix=rows[["c", "a"]][:2].to_numpy(), seed=0)
    np.testing.assert_allclose(draws, same)
    with pytest.raises(DataError, match="lacks the column 'c'"):
        model.sample(2, prefix=rows[["a", "b"]][:2])


def test_missing_values_are_filled_under_their_names():
    rows = pd.DataFrame(RNG.normal(size=(60, 2)) * [1, 100], columns=["a", "b"])
    plan = arproc.Training(steps=3)
    model = arproc.NADE((4,), head="normal", order_agnostic=True, training=plan).fit(rows)
    rows.iloc[0, 1] = np.nan
    want = model.impute(rows, 2, seed=0)
    assert list(want.columns) == ["a", "b"]
    pd.testing.assert_frame_equal(model.impute(rows[["b", "a"]], 2, seed=0), want)
    assert want.loc[(0, 5), "b"] == rows.loc[5, "b"]


def test_contexts_of_rows_are_matched_by_row():
    rows = pd.DataFrame(RNG.normal(size=(40, 2)), [f"r{i}" for i in range(40)], ["a", "b"])
    given = pd.DataFrame({"age": RNG.normal(size=40), "income": RNG.normal(size=40)}, rows.index)
    plan = arproc.Training(steps=3)
    model = arproc.MADE((4,), head="normal", conditioned=True, training=plan)
    want = model.fit(rows, context=given).log_prob(rows, context=given)
    mixed = given[["income", "age"]].sample(frac=1, random_state=0)
    pd.testing.assert_series_equal(model.log_prob(rows, context=mixed), want)
    pd.testing.assert_series_equal(model.log_prob(rows[:5], context=given), want[:5])
    with pytest.raises(DataError, match="no row for 'r0'"):
        model.log_prob(rows, context=given[3:])
    with pytest.raises(DataError, match="the column 'wealth'"):
        model.log_prob(rows, context=given.rename(columns={"income": "wealth"}))
    labels = pd.Series(np.arange(40) % 3, rows.index)
    sorted_ = arproc.MADE((4,), head="normal", classes=3, training=plan).fit(rows, context=labels)
    want = sorted_.log_prob(rows, context=labels)
    pd.testing.assert_series_equal(sorted_.log_prob(rows, context=labels[::-1]), want)


TRENDED = {
    "MarkovSwitchingAR": MarkovSwitchingAR(1, trend="ct", n_starts=1, method="em", tolerance=0.1),
    "SETAR": SETAR(1, trend="ct"),
    "ARGARCH": ARGARCH(1, trend="ct"),
    "transformed": Transformed(SETAR(1, trend="ct"), Log()),
    "mixture": SETAR(1, trend="ct"),
}


@pytest.mark.filterwarnings("ignore:the standard errors")
@pytest.mark.parametrize("name", TRENDED)
def test_a_trend_that_is_counted_from_each_beginning_can_not_begin_elsewhere(name):
    whole = pd.Series(np.exp(0.1 * RNG.normal(size=80)) + 0.01 * np.arange(80), DAYS[:80])
    later = whole[40:]
    model = TRENDED[name].clone().fit(whole)
    model = Mixture([model, model], weights=[0.5, 0.5]) if name == "mixture" else model
    assert np.isfinite(model.log_prob(whole))
    assert np.isfinite(model.log_prob(later, offset=0))
    calls = (
        lambda x, **k: model.log_prob(x, **k),
        lambda x, **k: model.conditional(x, **k),
        lambda x, **k: model.condition(x, **k),
        lambda x, **k: model.forecast(x, 1, n_paths=2, **k),
    )
    for call in calls:
        with pytest.raises(UnsupportedError, match=r"begins at step 40 .* from the first element"):
            call(later)
        with pytest.raises(UnsupportedError, match="begins at step 7 "):
            call(later.to_numpy(), offset=7)
        with pytest.warns(PlaceWarning, match="nothing says at which step"):
            call(later.to_numpy())
    with pytest.raises(UnsupportedError, match="begins at step 40"):
        TRENDED[name].clone().fit([whole, later])
