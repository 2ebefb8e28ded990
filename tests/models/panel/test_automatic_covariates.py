"""AutoPanel with covariates: they count where they help, and are known at the steps to come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc import AR, AutoPanel, Panel
from arproc.errors import DataError, ParameterError
from arproc.models.panel.automatic.effects import effects
from arproc.models.panel.data import PanelData

T, H, N = 60, 4, 6
DAYS = pd.date_range("2024-01-01", periods=T + H)


def _rows() -> pd.DataFrame:
    """Levels and logarithms that move with `promo`, and with nothing else that is there."""
    rng, parts = np.random.default_rng(0), []
    for i in range(N):
        promo = (rng.random(T + H) < 0.3).astype(float)
        level = 20 + rng.normal(0, 0.1, T + H).cumsum()
        y = level + 4 * promo if i % 2 else level * np.exp(0.3 * promo)
        y = y + 0.1 * rng.normal(size=T + H) - (40 if i == 1 else 0)
        columns = {"unique_id": f"s{i}", "ds": DAYS, "y": y, "promo": promo}
        parts.append(pd.DataFrame(columns | {"other": rng.normal(size=T + H), "still": 1.0 + i}))
    return pd.concat(parts, ignore_index=True)


ROWS = _rows()
PAST, LATER = ROWS[ROWS["ds"] < DAYS[T]], ROWS[ROWS["ds"] >= DAYS[T]]
FUTURE = LATER.drop(columns="y")
BESIDE = ["promo"]


def _used(table: pd.DataFrame, *covariates: str) -> pd.DataFrame:
    return table[["unique_id", "ds", *(["y"] if "y" in table else []), *covariates]]


@pytest.fixture(scope="module")
def fitted() -> AutoPanel:
    return AutoPanel(period=[], covariates=BESIDE).fit(_used(PAST, "promo"))


def rows_of(name: str) -> float:
    """The first value of the covariate of a series."""
    return float(PAST.loc[PAST["unique_id"] == name, "promo"].iloc[0])


def _error(made: pd.DataFrame) -> float:
    return float(np.abs(made["mean"].to_numpy() - LATER["y"].to_numpy()).mean())


def test_they_count_where_they_help(fitted: AutoPanel):
    plain = AutoPanel(period=[]).fit(_used(PAST))
    made = fitted.forecast(H, future=FUTURE)
    assert _error(made) < 0.2 * _error(plain.forecast(H))
    half = fitted.weights_.shape[1] // 2
    assert (fitted.weights_[:, half:].sum(axis=1) > 0.6).all()
    assert fitted.summary()["most weight"].str.contains("with covariates").all()
    narrow = made[0.95] - made[0.05]
    assert narrow.mean() < 0.3 * (plain.forecast(H)[0.95] - plain.forecast(H)[0.05]).mean()
    inside = (made[0.05].to_numpy() <= LATER["y"]) & (LATER["y"] <= made[0.95].to_numpy())
    assert inside.mean() > 0.75


@pytest.mark.parametrize("name", ["other", "still"])
def test_what_does_nothing_does_no_harm(name: str):
    told = AutoPanel(period=[], covariates=[name]).fit(_used(PAST, name))
    plain = AutoPanel(period=[]).fit(_used(PAST)).forecast(H)
    made = told.forecast(H, future=FUTURE)
    assert _error(made) < 1.05 * _error(plain)
    if name == "still":  # never changes: it has no effect, and the candidates are the same twice
        half = told.weights_.shape[1] // 2
        assert not told.learnt_.inner.beta.any()
        some = told.weights_[:, half:] > 1e-6
        assert some.any()
        moved = told.forecast(H, future=FUTURE.assign(still=1e6))
        pd.testing.assert_frame_equal(moved, made)


def test_collinear_ones_are_as_good_as_one(fitted: AutoPanel):
    double = {"twice": lambda t: 2 * t["promo"] + 1}
    both = AutoPanel(period=[], covariates=["promo", "twice"])
    both.fit(_used(PAST.assign(**double), "promo", "twice"))
    made = both.forecast(H, future=FUTURE.assign(**double))
    assert abs(_error(made) - _error(fitted.forecast(H, future=FUTURE))) < 0.05


def test_effects_are_those_of_the_regression():
    rng = np.random.default_rng(1)
    n, season = 240, np.tile([0.0, 5.0, -3.0, 1.0], 60)
    x = np.stack([season + rng.normal(size=n), rng.normal(size=n), np.full(n, 3.0)], axis=1)
    noise = np.zeros(n)
    for t in range(1, n):
        noise[t] = 0.8 * noise[t - 1] + 0.1 * rng.normal()
    y = 7 + season + 2 * x[:, 0] - x[:, 1] + noise
    y[[5, 100]] = np.nan
    table = PanelData(
        np.r_[y, y[:3], rng.normal(size=60)], np.array([0, n, n + 3, n + 63]), list("abc"), True,
        (), True, covariates=np.concatenate([x, x[:3], x[:60]]),
    )  # fmt: skip
    found = effects(table, 4)
    np.testing.assert_allclose(found[0], [2, -1, 0], atol=0.03)
    np.testing.assert_array_equal(found[1], 0.0)  # too short to tell
    assert (np.abs(found[2]) < 0.4).all()
    alone = effects(table.select(np.array([0])), 4)
    np.testing.assert_array_equal(alone[0], found[0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("zero", "unit"), [(1e6, 1.0), (-1e8, 1.0), (3.0, 1e-6), (0.0, 1e9)])
def test_neither_zero_nor_unit_of_a_covariate_matters(fitted: AutoPanel, zero: float, unit: float):
    past, future = (
        _used(table.assign(promo=zero + unit * table["promo"]), "promo")
        for table in (PAST, FUTURE)
    )
    made = AutoPanel(period=[], covariates=BESIDE).fit(past).forecast(H, future=future)
    np.testing.assert_allclose(made, fitted.forecast(H, future=FUTURE), rtol=1e-5)


def test_a_history_that_begins_elsewhere_counts_from_where_the_fit_did(fitted: AutoPanel):
    late = PAST[PAST["ds"] >= DAYS[1]]
    on = [s for s, rows in late.groupby("unique_id") if rows["promo"].iloc[0] != rows_of(s)]
    assert on
    made = fitted.forecast(H, history=_used(late, "promo"), future=FUTURE)
    np.testing.assert_allclose(made["mean"], fitted.forecast(H, future=FUTURE)["mean"], rtol=0.02)


def test_a_covariate_that_is_wild_once_breaks_no_forecast():
    """The first value of a series teaches nothing, so what its covariate says is not believed."""
    wild = _used(PAST, "promo").astype({"promo": float})
    wild.loc[wild["unique_id"] == "s0", "promo"] = wild["promo"].where(wild["ds"] != DAYS[0], -1e9)
    made = AutoPanel(period=[], covariates=BESIDE).fit(wild).forecast(H, future=FUTURE)
    assert np.isfinite(made.to_numpy()).all()
    low, high = (getattr(PAST[PAST["unique_id"] == "s0"]["y"], end)() for end in ("min", "max"))
    assert made.loc["s0", "mean"].between(low - (high - low), high + (high - low)).all()


def test_everything_that_follows_takes_them(fitted: AutoPanel, tmp_path: Path):
    made = fitted.forecast(H, future=FUTURE)
    mixed = FUTURE.sample(frac=1, random_state=0)[["promo", "ds", "unique_id", "other"]]
    pd.testing.assert_frame_equal(fitted.forecast(H, future=mixed.astype({"promo": int})), made)
    extra = pd.concat([FUTURE, PAST.drop(columns="y"), FUTURE.assign(unique_id="nobody")])
    pd.testing.assert_frame_equal(fitted.forecast(H, future=extra), made)
    paths = fitted.sample_paths(H, 400, seed=0, future=FUTURE)
    middle = made[0.5].to_numpy().reshape(N, H)
    width = (made[0.95] - made[0.05]).to_numpy().reshape(N, H)
    assert (np.abs(np.median(paths, axis=1) - middle) < 0.2 * width).all()
    told = fitted.log_prob(_used(LATER, "promo"))
    other = fitted.log_prob(_used(LATER.assign(promo=1 - LATER["promo"]), "promo"))
    assert (told > other + 5).all()
    some = fitted.log_prob(_used(LATER[LATER["unique_id"] == "s3"], "promo"))
    assert some["s3"] == pytest.approx(told["s3"])
    fitted.save(tmp_path / "model.arproc")
    again = arproc.load(tmp_path / "model.arproc")
    pd.testing.assert_frame_equal(again.forecast(H, future=FUTURE), made)
    short = fitted.others(_used(PAST[PAST["ds"] < DAYS[T - 5]], "promo"))
    went_on = short.update(_used(PAST[PAST["ds"] >= DAYS[T - 5]], "promo"))
    assert _error(went_on.forecast(H, future=FUTURE)) < 1.5 * _error(made)
    history = went_on.forecast(H, history=_used(PAST, "promo"), future=FUTURE)
    pd.testing.assert_frame_equal(went_on.forecast(H, future=FUTURE), history)


def test_given_candidates_are_with_and_without():
    with_x = AR(1, regressors="mean")
    model = AutoPanel([AR(1), with_x], validation=6, covariates=BESIDE, errors="keep")
    model.fit(_used(PAST, "promo"))
    assert model.weights_[:, 1].mean() > 0.7
    plain = Panel(AR(1)).fit(_used(PAST)).forecast(horizon=H)
    assert _error(model.forecast(H, future=FUTURE)) < 0.3 * _error(plain)
    assert [panel.covariates for panel in model.panels_] == [None, BESIDE]
    alone = Panel(with_x, covariates=BESIDE).fit(_used(PAST, "promo"))
    second = model.panels_[1].forecast(horizon=H, future=FUTURE)
    np.testing.assert_allclose(second, alone.forecast(horizon=H, future=FUTURE))
    went_on = model.update(_used(LATER, "promo"))
    more = FUTURE.assign(ds=FUTURE["ds"] + pd.Timedelta(days=H))
    assert went_on.forecast(H, future=more).index[0] == ("s0", DAYS[-1] + DAYS.freq)


def test_validation_goes_on_from_the_last_known_value():
    """Values missing just before those that choose do not shift what these are compared with."""
    gaps = PAST.copy()
    gaps.loc[gaps["ds"].isin(DAYS[T - 8 : T - 6]), "y"] = np.nan
    model = AutoPanel([AR(1), AR(1, regressors="mean")], validation=6, covariates=BESIDE)
    assert model.fit(_used(gaps, "promo")).weights_[:, 1].mean() > 0.7


def _bad_futures() -> list[tuple[pd.DataFrame, str]]:
    first = FUTURE.index[0]
    return [
        (FUTURE[FUTURE["unique_id"] != "s0"], "future has no rows of series 's0'"),
        (FUTURE.drop(index=first), "no number in 'promo' at 2024-03-01"),
        (FUTURE.assign(promo=FUTURE["promo"].where(FUTURE.index != first)), "'promo' at 2024"),
        (pd.concat([FUTURE, FUTURE.loc[[first]]]), "more than one row for unique_id 's0'"),
        (FUTURE.astype({"promo": object}).replace({"promo": {FUTURE["promo"][first]: "no"}}),
         "'no' for a number in 'promo'"),
        (FUTURE.assign(ds=FUTURE["ds"].dt.tz_localize("UTC")), "no number in 'promo' at 2024"),
    ]  # fmt: skip


@pytest.mark.parametrize(("future", "reason"), _bad_futures())
def test_a_future_that_lacks_something_is_named(
    fitted: AutoPanel, future: pd.DataFrame, reason: str
):
    with pytest.raises(DataError, match=f"future.*{reason.removeprefix('future ')}"):
        fitted.forecast(H, future=future)
    keeping = AutoPanel.of(fitted.learnt_, **fitted.get_params() | {"errors": "keep"})
    each = Panel(AR(1, regressors="mean"), errors="keep", covariates=BESIDE)
    made = keeping.forecast(H, future=future)
    assert reason.removeprefix("future ") in made.attrs["status"]["s0"]
    assert made.loc["s0"].isna().all(axis=None)
    lost = set(made.attrs["status"])
    want = fitted.forecast(H, future=FUTURE)
    kept = [name for name in want.index.levels[0] if name not in lost]
    np.testing.assert_array_equal(made.loc[kept], want.loc[kept])
    few = _used(PAST[PAST["unique_id"] < "s2"], "promo")
    alone = each.fit(few).forecast(horizon=H, future=future)
    assert set(alone.attrs["status"]) == lost & {"s0", "s1"}


def test_names_of_another_type_are_told(fitted: AutoPanel):
    numbered = _used(PAST, "promo").assign(unique_id=PAST["unique_id"].str[1:].astype(int))
    model = AutoPanel(period=[], covariates=BESIDE).fit(numbered)
    named = FUTURE.assign(unique_id=FUTURE["unique_id"].str[1:])
    with pytest.raises(DataError, match="It has a str '0', and the data a int"):
        model.forecast(H, future=named)
    model.fit(numbered.assign(ds=numbered["ds"].astype(str)))
    numbers = FUTURE.assign(ds=FUTURE["ds"].astype(str), unique_id=named["unique_id"].astype(int))
    again = model.forecast(H, future=numbers)
    np.testing.assert_array_equal(again, fitted.forecast(H, future=FUTURE))


def test_what_does_not_go_together_is_said(fitted: AutoPanel):
    some, with_x = _used(PAST, "promo"), AR(1, regressors="mean")
    gone = some.assign(promo=some["promo"].where(some.index != some.index[7]))
    refused = [
        (lambda: fitted.forecast(H), ParameterError, "give future="),
        (lambda: fitted.sample_paths(H), ParameterError, "give future="),
        (lambda: AutoPanel().fit(_used(PAST)).forecast(H, future=FUTURE), ParameterError,
         "this one has none"),
        (lambda: AutoPanel([AR(1)], validation=4, covariates=BESIDE).fit(some), ParameterError,
         "no candidate takes them"),
        (lambda: AutoPanel([with_x], validation=4).fit(some), ParameterError, "covariates="),
        (lambda: AutoPanel(covariates="promo").fit(some), ParameterError, "a list"),
        (lambda: AutoPanel(covariates=BESIDE).fit(gone), DataError,
         "'s0': it has no number in 'promo' at 2024-01-08"),
        (lambda: AutoPanel(covariates=BESIDE).fit(np.ones((2, 30))), DataError, "no long table"),
    ]  # fmt: skip
    for call, error, message in refused:
        with pytest.raises(error, match=message):
            call()
    kept = AutoPanel(covariates=BESIDE, period=[], errors="keep").fit(gone)
    assert "no number in 'promo'" in kept.status_[0]
    assert kept.forecast(H, future=FUTURE).loc["s0"].isna().all(axis=None)
