"""`backtest` against forecasts made by hand at each origin, over all forms of data."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import arproc
from arproc import AR, VAR, AutoPanel, CountAR, Panel, Transformed, backtest
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.transforms import Log

LEVELS = (0.1, 0.5, 0.9)


def _walk(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).cumsum(axis=0)


def _days(x: np.ndarray, start: str = "2020-01-01", name: str | None = None) -> pd.Series:
    return pd.Series(x, pd.date_range(start, periods=len(x), freq="D"), name=name)


def _by_hand(
    model: AR, x: pd.Series, origins: list[int], horizon: int, every: int, window: int | None
) -> pd.DataFrame:
    parts, begin = [], 0
    for k, o in enumerate(origins):
        if k % every == 0:
            begin = 0 if window is None else max(0, o - window)
            fitted = model.clone().fit(x[begin:o])
        made = fitted.forecast(x[begin:o], horizon, (0.5, stats.norm.cdf(1)))
        scale = (made.iloc[:, 2] - made.iloc[:, 1]).to_numpy()
        y = x[o : o + horizon].to_numpy()
        score = stats.norm.logpdf(y, made["mean"], scale)
        parts.append(pd.DataFrame({"actual": y, "mean": made["mean"], "log_score": score}))
    return pd.concat(parts)


@pytest.mark.parametrize("every", [1, 2, 9])
@pytest.mark.parametrize("window", [None, 25])
def test_it_is_fitting_and_forecasting_by_hand(every: int, window: int | None):
    x, origins = _days(_walk(60)), [30, 37, 44, 51]
    found = backtest(AR(1), x, horizon=3, step=7, start=30, window=window, refit=every)
    wanted = _by_hand(AR(1), x, origins, 3, every, window)
    for name in wanted.columns:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-8)
    assert found["time"].tolist() == wanted.index.tolist()
    assert found["origin"].tolist() == [x.index[o - 1] for o in origins for _ in range(3)]
    assert found["step"].tolist() == [1, 2, 3] * 4


def test_parts_that_stay_fitted_are_warned_of():
    x = _walk(60)
    parts = [AR(1).fit(x[:40]), AR(2).fit(x[:40])]
    with pytest.warns(UserWarning, match="the parts of this Mixture were fitted before"):
        backtest(arproc.Mixture(parts), x, start=50, step=9)
    backtest(arproc.Mixture(parts).fit(x[:40]), x, start=50, step=9, refit="never")


def test_a_trend_goes_on_without_refit_under_a_window():
    x = pd.Series(0.5 * np.arange(60.0) + np.random.default_rng(1).normal(size=60))
    model = AR(1, trend="ct")
    found = backtest(model, x.to_numpy(), horizon=2, step=5, start=40, window=30, refit="once")
    wanted = _by_hand(model, x, [40, 45, 50, 55], 2, 9, 30)
    np.testing.assert_allclose(found["mean"], wanted["mean"], rtol=1e-8)


def test_the_model_given_stays_as_it_is_and_never_uses_it():
    x = _walk(50)
    model = AR(1)
    backtest(model, x, start=40)
    assert not model.__sklearn_is_fitted__()
    law = AR.from_parameters([0.5])
    found = backtest(law, x, start=45, refit="never")
    np.testing.assert_allclose(found["mean"], 0.5 * x[44:49])
    assert law.coef_.tolist() == [0.5]
    with pytest.raises(ParameterError, match="refit='never' is for a fitted model"):
        backtest(AR(1), x, refit="never")


def test_a_trend_counts_the_steps_of_all_series_from_the_same_one():
    t = np.arange(40.0)
    x = np.stack([t, t]) + np.random.default_rng(0).normal(size=(2, 40))
    x[1, :10] = np.nan  # this one is on the same line, and known from t = 10 on
    model = AR(0, trend="ct")
    found = backtest(model, x, start=30, step=9)
    wanted = model.clone().fit(x[:, :30]).forecast(x[:, :30], 1)["mean"]
    np.testing.assert_allclose(found["mean"][:2], wanted, rtol=1e-9)
    assert abs(found["mean"][:2] - 30).max() < 1.5


def test_fits_are_as_many_as_asked(monkeypatch: pytest.MonkeyPatch):
    lengths: list[int] = []
    fit = AR.fit
    monkeypatch.setattr(
        AR, "fit", lambda self, x, **k: lengths.append(len(x)) or fit(self, x, **k)
    )
    x = _walk(40)
    for refit, wanted in (
        (1, [30, 33, 36, 39]),
        (3, [30, 39]),
        ("once", [30]),
        (True, [30, 33, 36, 39]),
        (False, [30]),
    ):
        lengths.clear()
        backtest(AR(0), x, start=30, step=3, refit=refit)
        assert lengths == wanted


def test_the_last_origin_has_all_its_steps():
    found = backtest(AR(0), _walk(20), horizon=4, start=15)
    assert found.groupby("origin")["step"].max().to_dict() == {14: 4, 15: 4}
    assert found["time"].max() == 19


# ---- several series -----------------------------------------------------------------------------


def _long(frame: pd.DataFrame, names: tuple[str, str, str]) -> pd.DataFrame:
    table = frame.rename_axis("t").reset_index().melt("t")
    return table.rename(columns=dict(zip(("variable", "t", "value"), names, strict=True)))


@pytest.mark.parametrize("model", [AR(1), Panel(AR(1)), Panel(AR(1), columns=("k", "d", "v"))])
def test_every_form_of_a_panel_gives_the_same(model: AR | Panel):
    dates = pd.date_range("2020-01-01", periods=60, freq="D")
    frame = pd.DataFrame(_walk(60, 3), dates, list("abc"))
    options = {"horizon": 2, "step": 8, "start": 40, "refit": 2}
    names = getattr(model, "columns", ("unique_id", "ds", "y"))
    wanted = backtest(model, frame, **options)
    forms = [
        {name: frame[name] for name in frame},
        [frame[name] for name in frame],
        _long(frame, names),
    ]
    for form in forms:
        found = backtest(model, form, **options)
        pd.testing.assert_frame_equal(found, wanted, check_freq=False)
    bare = backtest(model, frame.to_numpy().T, **options)
    assert set(bare["series"]) == {0, 1, 2}
    np.testing.assert_allclose(bare["mean"], wanted["mean"])


@pytest.mark.parametrize("process", [AR(1), AR(2, method="ols", initial="given")])
def test_a_panel_is_as_its_processes_are(process: AR):
    frame = pd.DataFrame(_walk(50, 2), columns=["a", "b"])
    together = backtest(Panel(process), frame, horizon=2, step=6, start=35, refit=2)
    for name in frame:
        alone = backtest(process, frame[name], horizon=2, step=6, start=35, refit=2)
        part = together[together["series"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, alone, rtol=1e-6)


def test_a_panel_of_logarithms_has_log_normal_scores():
    frame = pd.DataFrame(np.exp(0.1 * _walk(50, 2)), columns=["a", "b"])
    process = Transformed(AR(1, method="ols", initial="given"), Log())
    together = backtest(Panel(process), frame, horizon=2, step=6, start=35)
    alone = backtest(process, frame["b"], horizon=2, step=6, start=35)
    part = together[together["series"] == "b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, alone, rtol=1e-6)


def test_other_processes_in_a_panel_are_forecast_one_by_one():
    frame = pd.DataFrame(_walk(40, 2), columns=["a", "b"])
    process = AR(1, seasonal=4)
    together = backtest(Panel(process), frame, horizon=2, step=4, start=32, refit="once")
    alone = backtest(process, frame["b"], horizon=2, step=4, start=32, refit="once")
    part = together[together["series"] == "b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, alone)


@pytest.mark.parametrize("model", [CountAR(1), arproc.LogisticAR(1), VAR(1)])
def test_names_of_series_are_no_elements(model: arproc.Process):
    x = np.random.default_rng(0).poisson(2.0, size=(2, 60))
    x = np.minimum(x, 1) if isinstance(model, arproc.LogisticAR) else x
    each = list(x)
    if isinstance(model, VAR):
        each = [np.stack([row, row[::-1]], axis=1) for row in x * 1.0]
    options = {"start": 55, "refit": "once", "seed": 0, "n_paths": 10}
    found = backtest(model, dict(zip("ab", each, strict=True)), **options)
    wanted = backtest(model, each, **options)
    assert found["series"].unique().tolist() == ["a", "b"]
    pd.testing.assert_frame_equal(found.drop(columns="series"), wanted.drop(columns="series"))


def test_a_long_table_of_counts():
    rates = 3 + 2 * np.sin(np.arange(120).reshape(60, 2) / 5)
    frame = pd.DataFrame(np.random.default_rng(0).poisson(rates), columns=["a", "b"])
    options = {"start": 55, "refit": "once", "seed": 0, "n_paths": 10}
    found = backtest(CountAR(1), _long(frame, ("unique_id", "ds", "y")), **options)
    wanted = backtest(CountAR(1), frame, **options)
    pd.testing.assert_frame_equal(found, wanted)


def test_an_auto_panel_is_as_by_hand():
    frame = pd.DataFrame(_walk(60, 2), columns=["a", "b"])
    model = AutoPanel([AR(1), AR(2)], validation=5)
    found = backtest(model, frame, horizon=3, step=6, start=50, quantiles=LEVELS)
    parts = [model.clone().fit(frame[:o]).forecast(3, LEVELS) for o in (50, 56)]
    for column in ("mean", *LEVELS):
        np.testing.assert_allclose(found[column], pd.concat(parts)[column])
    scale = (found[0.9] - found[0.5]) / stats.norm.ppf(0.9)
    wanted = stats.norm.logpdf(found["actual"], found[0.5], scale)
    np.testing.assert_allclose(found["log_score"], wanted, rtol=1e-6)


@pytest.mark.parametrize("positive", [False, True])
def test_an_auto_panel_told_nothing_scores_by_its_own_law(positive: bool):
    x = 0.1 * _walk(41, 4)
    frame = pd.DataFrame(np.exp(x) if positive else x, columns=list("abcd"))
    fitted = AutoPanel().fit(frame[:40])
    assert fitted.learnt_.inner.log.all() == positive
    found = backtest(AutoPanel(), frame, start=40)
    np.testing.assert_allclose(found["log_score"], fitted.log_prob(frame[40:]), rtol=1e-9)
    made = backtest(fitted, frame, start=38, horizon=3, refit="never", quantiles=(0.25, 0.75))
    own, came = fitted.learnt_.inner.own_data, np.full((4, 3), np.nan)
    laws = fitted.learnt_.inner.laws(own, 3)
    grid = np.linspace(1e-3 if positive else -9, 9, 2001)
    density = np.full(len(grid), np.nan)
    for k, value in enumerate(grid.tolist()):  # of the third step alone
        came[0, 2] = value
        score = fitted.learnt_.inner._scores(laws, came)
        density[k] = np.exp(score[0, 2])
    mass = density * (grid[1] - grid[0])
    assert mass.sum() == pytest.approx(1.0, abs=2e-3)
    assert np.isnan(score).sum() == score.size - 1
    told, _ = fitted.learnt_.inner.scored(own, came, (0.25, 0.75))
    for level, quantile in zip((0.25, 0.75), told[0, 2, 1:], strict=True):
        assert mass[grid <= quantile].sum() == pytest.approx(level, abs=0.01)
    assert made["log_score"].notna().all()


def test_an_auto_panel_of_counts_scores_by_their_masses():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.poisson(2.0, (60, 2)), columns=["a", "b"]).astype(float)
    learnt = AutoPanel().fit(frame).learnt_.inner
    assert learnt.whole.all()

    laws = learnt.laws(learnt.own_data, 1)

    def score(value: float) -> np.ndarray:
        return learnt._scores(laws, np.full((2, 1), value))[:, 0]

    masses = np.exp([score(float(k)) for k in range(60)])
    assert masses.sum(axis=0) == pytest.approx(1.0, abs=1e-9)
    assert all((score(impossible) == -np.inf).all() for impossible in (1.5, -1.0))


def test_an_auto_panel_of_logarithms_has_no_log_score():
    frame = pd.DataFrame(np.exp(0.1 * _walk(60, 2)), columns=["a", "b"])
    model = AutoPanel([Transformed(AR(1), Log()), AR(1)], validation=5)
    assert backtest(model, frame, start=50, step=9)["log_score"].isna().all()


def test_series_are_cut_at_the_same_date_whenever_they_begin_and_end():
    x = _walk(60, 3)
    series = {"a": _days(x[:, 0]), "b": _days(x[:35, 1], "2020-01-21"), "c": _days(x[:45, 2])}
    found = backtest(Panel(AR(1)), series, horizon=3, step=10, start=25)
    assert (found["time"] - found["origin"] == pd.to_timedelta(found["step"], unit="D")).all()
    seen = found.groupby("series")["origin"].unique().map(lambda d: [f"{x:%m-%d}" for x in d])
    assert seen["a"] == ["01-25", "02-04", "02-14", "02-24"]
    assert seen["b"] == ["02-14"]  # it has 25 values from there on, and ends a day after 02-23
    assert seen["c"] == ["01-25", "02-04"]
    last = found[(found["series"] == "a") & (found["step"] == 1)].iloc[-1]
    fitted = AR(1).fit(series["a"][:55])
    assert last["mean"] == pytest.approx(fitted.forecast(series["a"][:55], 1)["mean"].iloc[0])


def test_of_a_series_that_ends_what_came_is_kept():
    x = _walk(40, 2)
    found = backtest(AR(1), [x[:, 0], x[:32, 1]], horizon=5, start=30, step=5)
    steps = found.groupby(["series", "origin"])["step"].max().to_dict()
    assert steps == {(0, 29): 5, (0, 34): 5, (1, 29): 2}


def test_an_origin_may_be_a_date():
    found = backtest(AR(0), _days(_walk(40)), start="2020-02-05", step=2)
    assert found["origin"].iloc[0] == pd.Timestamp("2020-02-05")
    months = pd.Series(_walk(40), pd.period_range("2010-01", periods=40, freq="M"))
    late = backtest(AR(0), months, start="2012-06", step=2)
    assert late["origin"].iloc[0] == pd.Period("2012-06", "M")
    for series, start in ((_days(_walk(40)), "soon"), (_walk(40), "2020-01-01")):
        with pytest.raises(ParameterError, match="start must be"):
            backtest(AR(0), series, start=start)


@pytest.mark.parametrize("model", [AR(1), Panel(AR(1))])
def test_missing_values_move_no_step(model: AR | Panel):
    x = _walk(40)
    x[[0, 1, 29, 33]] = np.nan  # at the beginning, right before an origin, and an outcome
    found = backtest(model, {"a": x}, horizon=2, step=3, start=28)
    held = AR(1).fit(x[2:30])
    wanted = held.forecast(x[2:30], 2)["mean"]
    np.testing.assert_allclose(found["mean"][:2], wanted, rtol=1e-5)
    gone = found["actual"].isna()
    assert found["time"][gone].unique().tolist() == [33]
    assert found["log_score"].isna().tolist() == gone.tolist()


def test_series_without_a_fit_have_nan_where_the_panel_keeps_them():
    frame = pd.DataFrame({"a": _walk(40), "b": np.ones(40)})
    found = backtest(Panel(AR(1), errors="keep"), frame, start=35, step=2)
    assert found.groupby("series")["mean"].count().to_dict() == {"a": 3, "b": 0}
    with pytest.raises(DataError, match="at origin 34: 1 of 2 series have no fit"):
        backtest(Panel(AR(1)), frame, start=35)


# ---- other elements -----------------------------------------------------------------------------


def test_vectors_have_a_row_for_each_component():
    frame = pd.DataFrame(_walk(50, 2), columns=["x", "y"])
    found = backtest(VAR(1), frame, horizon=2, step=8, start=40, quantiles=LEVELS)
    made = VAR(1).fit(frame[:48]).forecast(frame[:48], 2, LEVELS)
    last = found[found["origin"] == 47]
    assert last["component"].tolist() == ["x", "y", "x", "y"]
    assert last["actual"].tolist() == frame[48:50].to_numpy().ravel().tolist()
    for column in ("mean", *LEVELS):
        wanted = made.xs(column, axis=1, level="statistic").to_numpy().ravel()
        np.testing.assert_allclose(last[column], wanted)
    scale = (last[0.9] - last[0.5]) / stats.norm.ppf(0.9)
    np.testing.assert_allclose(
        last["log_score"], stats.norm.logpdf(last["actual"], last["mean"], scale), rtol=1e-6
    )


def test_counts_have_masses_and_simulated_steps_the_right_ones():
    x = np.zeros(60, dtype=int)
    for t in range(1, 60):
        x[t] = np.random.default_rng(t).poisson(1 + 0.6 * x[t - 1])
    law = CountAR(1, family="poisson").fit(x)
    found = backtest(law, x, horizon=2, start=58, refit="never", n_paths=4000, seed=0)
    first = law.conditional(x[:58])
    assert found["log_score"][0] == pytest.approx(float(first.log_prob(torch.tensor(x[58]))))
    middle = torch.arange(40)  # the sum over the step between, by enumeration
    weights = first.log_prob(middle).exp()
    after = law.conditional([[*x[:58].tolist(), k] for k in middle.tolist()])
    wanted = float((weights * after.log_prob(torch.tensor(x[59])).exp()).sum().log())
    assert found["log_score"][1] == pytest.approx(wanted, abs=0.02)  # 4 standard errors


def test_simulated_scores_are_those_of_the_closed_form(monkeypatch: pytest.MonkeyPatch):
    law = AR.from_parameters([0.8, -0.3])
    x = law.sample(1, length=40, seed=3)[0]
    options = {"horizon": 4, "start": 30, "step": 3, "refit": "never", "seed": 0}
    closed = backtest(law, x, **options)
    monkeypatch.setattr(type(law.law_), "predictive", lambda self, state, horizon: None)
    drawn = backtest(law, x, n_paths=4000, **options)
    np.testing.assert_allclose(drawn["log_score"], closed["log_score"], atol=0.06)
    first = closed["step"] == 1  # where no path is needed
    np.testing.assert_allclose(drawn["log_score"][first], closed["log_score"][first], rtol=1e-9)
    again = backtest(law, x, n_paths=4000, **options)
    pd.testing.assert_frame_equal(drawn, again)


def test_what_a_law_holds_impossible_has_no_chance():
    x = np.random.default_rng(0).poisson(2.0, size=40) > 1
    law = arproc.LogisticAR(1).fit(x[:30].astype(int))
    found = backtest(law, x.astype(int), start=30, refit="never")
    chance = law.conditional(x[:30].astype(int)).log_prob(torch.tensor(int(x[30])))
    assert found["log_score"][0] == pytest.approx(float(chance))
    held = Transformed(AR(1), Log()).fit(np.exp(_walk(30)))
    bad = backtest(held, np.append(np.exp(_walk(30)), -1.0), start=30, refit="never")
    assert bad["log_score"].tolist() == [-np.inf]


# ---- going on -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [AR(1), Panel(AR(1))])
def test_an_earlier_result_goes_on(model: AR | Panel):
    frame = pd.DataFrame(_walk(50, 2), columns=["a", "b"])
    options = {"horizon": 2, "step": 3, "start": 35, "refit": 2}
    whole = backtest(model, frame, **options)
    early = backtest(model, frame[:44], **options)
    assert len(early) < len(whole)
    again = early.copy()
    again.attrs, again["mean"] = early.attrs, 7.0  # what is done is not done again
    found = backtest(model, frame, done=again, **options)
    assert (found["mean"][: len(early)] == 7.0).all()
    pd.testing.assert_frame_equal(found[len(early) :], whole[len(early) :])
    with pytest.raises(ParameterError, match="done was made with refit 2, this call has 1"):
        backtest(model, frame, done=early, **(options | {"refit": 1}))


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"horizon": 0}, "horizon must be at least 1"),
        ({"step": 0}, "step must be at least 1"),
        ({"start": 0}, "start must be at least 1"),
        ({"start": True}, "start must be"),
        ({"window": 0}, "window must be at least 1"),
        ({"refit": "always"}, "refit must be a number of origins, 'once' or 'never'"),
        ({"refit": 0}, "refit must be at least 1"),
        ({"quantiles": (0.0,)}, "quantiles must lie in"),
        ({"n_paths": 1}, "n_paths must be at least 2"),
        ({"context": np.ones((30, 1))}, "takes no context"),
    ],
)
def test_bad_arguments_are_named(wrong: dict, message: str):
    with pytest.raises(ParameterError, match=message):
        backtest(AR(0), _walk(30), **wrong)


def test_what_has_no_forecasts_is_refused():
    with pytest.raises(DataError, match="the series span 30 steps"):
        backtest(AR(0), _walk(30), start=30)
    with pytest.raises(ParameterError, match="model must be a process"):
        backtest("AR", _walk(30))
    with pytest.raises(UnsupportedError, match="endless series of numbers"):
        backtest(arproc.NGram(2), ["a b", "a"])
    with pytest.raises(DataError, match="series 'b', has no values"):
        backtest(AR(0), {"a": _walk(9), "b": np.full(9, np.nan)})
    with pytest.raises(ParameterError, match="a panel takes no context"):
        backtest(Panel(AR(0)), {"a": _walk(30)}, context=np.ones(30))


def test_a_horizon_that_no_series_has_room_for():
    with pytest.raises(DataError, match="a horizon of at most 39"):
        backtest(AR(1), np.arange(40.0), horizon=40)
