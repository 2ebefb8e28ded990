"""Panels of processes with regressors, which are columns of a long table."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc import AR, ARIMA, AutoPanel, Panel
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    UnusedWarning,
)
from arproc.models.panel.moving import FittedMoving
from arproc.models.panel.together import FittedTogether
from arproc.transforms import Difference, Log, Transformed

NAMES, DAYS = ["b", "a"], pd.date_range("2024-01-01", periods=53, name="ds")
RNG = np.random.default_rng(0)
ROWS = pd.DataFrame({"unique_id": np.repeat(NAMES, 53), "ds": np.tile(DAYS, 2)})
ROWS["price"] = RNG.normal(size=106)
ROWS["promo"] = RNG.random(106) < 0.3
ROWS["y"] = 3 + ROWS["price"] - 2 * ROWS["promo"] + RNG.normal(size=106)
PAST, FUTURE = ROWS[ROWS["ds"] < DAYS[50]], ROWS[ROWS["ds"] >= DAYS[50]].drop(columns="y")
BESIDE = ["price", "promo"]

PROCESSES = [
    AR(1, regressors="mean"),
    AR(2, trend="ct", regressors="recursion", initial="given", method="ols"),
    ARIMA((1, 0, 0), regressors="mean"),
    Transformed(AR(1, regressors="mean"), Difference()),
]


def one(name: str, table: pd.DataFrame) -> tuple[pd.Series, pd.DataFrame]:
    """A series alone, and its regressors."""
    rows = table[table["unique_id"] == name].set_index("ds").asfreq("D")
    return rows.get("y"), rows[BESIDE].astype(float)


@pytest.mark.parametrize("process", PROCESSES, ids=repr)
def test_a_panel_is_its_series_one_by_one(process):
    panel = Panel(process, covariates=BESIDE).fit(PAST.sample(frac=1, random_state=0))
    made = panel.forecast(horizon=3, future=FUTURE)
    again = panel.forecast(3, future=FUTURE.sample(frac=1, random_state=1), history=PAST)
    scored = panel.log_prob(PAST)
    np.testing.assert_allclose(again, made)
    for name in NAMES:
        y, x = one(name, PAST)
        alone = process.clone().fit(y, context=x)
        later = pd.concat([x, one(name, FUTURE)[1]])
        want = alone.forecast(y, 3, context=later)
        # of values of size 1 to 10; the two searches stop within 1e-8 of one maximum
        np.testing.assert_allclose(made.loc[name], want, atol=1e-8)
        assert list(made.loc[name].index) == list(DAYS[50:])
        assert scored[name] == pytest.approx(alone.log_prob(y, context=x))
        if isinstance(process, AR):
            assert {"price", "promo"} <= set(panel[name].names_)


def test_every_form_of_table_has_covariates(tmp_path: Path):
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    panel = Panel(PROCESSES[0], covariates=BESIDE)
    want = panel.fit(PAST).forecast(horizon=3, future=FUTURE).to_numpy()
    for make in (pl.from_pandas, pa.Table.from_pandas):
        made = panel.fit(make(PAST)).forecast(horizon=3, future=make(FUTURE)).to_pandas()
        np.testing.assert_allclose(made[["mean", "0.05", "0.5", "0.95"]], want)
    for ending, write in (("csv", "to_csv"), ("parquet", "to_parquet")):
        paths = tmp_path / f"past.{ending}", tmp_path / f"future.{ending}"
        for table, path in zip((PAST, FUTURE), paths, strict=True):
            getattr(table, write)(path, index=False)
        made = panel.fit(paths[0]).forecast(horizon=3, future=paths[1])
        made = made if hasattr(made, "index") else made.to_pandas().iloc[:, 2:]
        np.testing.assert_allclose(made, want)
    named = [table.rename(columns={"unique_id": "shop", "ds": "day"}) for table in (PAST, FUTURE)]
    other = panel.clone().set_params(columns=["shop", "day", "y"]).fit(named[0])
    np.testing.assert_allclose(other.forecast(horizon=3, future=named[1]), want)
    indexed = [table.set_index(["unique_id", "ds"]) for table in (PAST, FUTURE)]
    np.testing.assert_allclose(panel.fit(indexed[0]).forecast(horizon=3, future=indexed[1]), want)


def test_missing_values_and_series_of_other_lengths_keep_their_covariates():
    gaps = PAST.copy()
    gaps.loc[gaps.index[[0, 1, 20, 21, 49]], "y"] = np.nan
    panel = Panel(PROCESSES[0], covariates=BESIDE).fit(gaps)
    y, x = one("b", gaps)
    alone = PROCESSES[0].clone().fit(y[2:-1], context=x[2:-1])
    assert panel["b"].log_likelihood_ == pytest.approx(alone.log_likelihood_)
    # "b" ends a day before "a", and is continued from there
    more = pd.concat([FUTURE, PAST[[*BESIDE, "unique_id", "ds"]].loc[[49]]])
    made = panel.forecast(horizon=2, future=more)
    assert made.loc["b"].index[0] == DAYS[49]
    later = pd.concat([x[2:], one("b", FUTURE)[1]])
    np.testing.assert_allclose(made.loc["b"], alone.forecast(y[2:-1], 2, context=later))


LAST = [49, 98, 99]  # the last value of "b", the last two of "a"


@pytest.mark.parametrize(
    "model", [*(Panel(one, covariates=BESIDE) for one in PROCESSES),
              AutoPanel(period=[], covariates=BESIDE)], ids=repr,
)  # fmt: skip
def test_covariates_beside_missing_last_values_need_not_be_told_again(model, tmp_path):
    gaps = PAST.copy()
    gaps.loc[gaps.index[LAST], "y"] = np.nan
    fitted = model.fit(gaps)
    every = pd.concat([gaps.drop(columns="y"), FUTURE])
    want = fitted.forecast(4, (0.1, 0.9), 1, future=every)
    made = fitted.forecast(4, (0.1, 0.9), 1, future=FUTURE)
    assert len(made) == 2 * 4
    assert made.notna().all(axis=None)
    pd.testing.assert_frame_equal(made, want)
    wild = FUTURE.assign(price=1e3)  # the first step is not read from there
    one = fitted.forecast(1, future=wild)
    pd.testing.assert_frame_equal(one, fitted.forecast(1))  # and here nothing is needed
    fitted.save(tmp_path / "m.arproc")
    again = arproc.load(tmp_path / "m.arproc")
    pd.testing.assert_frame_equal(again.forecast(4, (0.1, 0.9), 1, future=FUTURE), made)
    told = fitted.forecast(4, (0.1, 0.9), 1, history=gaps, future=FUTURE)
    np.testing.assert_allclose(told, made, rtol=1e-6)
    with pytest.raises(DataError, match=r"series 'b' has no covariates of 1 step.*give future="):
        fitted.forecast(2)


def test_covariates_beyond_go_when_the_values_come():
    gaps = PAST.copy()
    gaps.loc[gaps.index[LAST], "y"] = np.nan
    fitted = Panel(PROCESSES[0], covariates=BESIDE).fit(gaps)
    came = fitted.update(PAST.loc[PAST.index[[49]]])
    assert came.forecast(1, future=FUTURE).loc["b"].index[0] == DAYS[50]
    np.testing.assert_allclose(  # those of "a" stay
        came.forecast(2, future=FUTURE).loc["a"], fitted.forecast(2, future=FUTURE).loc["a"]
    )
    with pytest.raises(DataError, match="series 'b' has no covariates of 1 step"):
        came.forecast(1)


@pytest.mark.parametrize("horizon", [1, 3])
def test_one_step_and_more(horizon):
    panel = Panel(PROCESSES[0], covariates=["price"]).fit(PAST.drop(columns="promo"))
    some = FUTURE[FUTURE["ds"] <= DAYS[49 + horizon]].drop(columns="promo")
    assert len(panel.forecast(horizon=horizon, future=some)) == 2 * horizon
    with pytest.raises(DataError, match="series 'a': there is no number in 'price' at 2024"):
        panel.forecast(horizon=horizon + 1, future=some)


def test_later_values_come_with_their_covariates(tmp_path: Path):
    first, week = PAST[PAST["ds"] < DAYS[45]], PAST[PAST["ds"] >= DAYS[45]]
    panel = Panel(PROCESSES[0], covariates=BESIDE).fit(first)
    panel.save(tmp_path / "panel.arproc")
    went_on = arproc.load(tmp_path / "panel.arproc").update(week)
    want = panel.forecast(3, future=FUTURE, history=PAST)
    np.testing.assert_allclose(went_on.forecast(horizon=3, future=FUTURE), want)
    with pytest.raises(DataError, match="series 'a': there are steps before it"):
        panel.update(week[(week["ds"] > DAYS[46]) | (week["unique_id"] == "b")])


def test_what_is_not_there_is_said():
    process = PROCESSES[0]
    panel = Panel(process, covariates=BESIDE).fit(PAST)
    refused = [
        (lambda: panel.forecast(horizon=3), ParameterError, "give future="),
        (lambda: panel.forecast(horizon=3, future=FUTURE[FUTURE["unique_id"] == "b"]),
         DataError, "future has no rows of series 'a'"),
        (lambda: panel.forecast(horizon=3, future=FUTURE.drop(columns="promo")), DataError,
         "future has no column called 'promo'"),
        (lambda: panel.forecast(horizon=3, future=np.ones((3, 2))), DataError, "long table"),
        (lambda: panel.sample(length=3), UnsupportedError, "context="),
        (lambda: panel.reconcile(PAST, {"b": ["a"]}, 2), UnsupportedError, "not reconciled"),
        (lambda: Panel(process).fit(PAST), ParameterError, "covariates="),
        (lambda: Panel(AR(1), covariates=BESIDE).fit(PAST), ParameterError, "takes none"),
        (lambda: Panel(process, covariates=["y"]).fit(PAST), ParameterError, "none of"),
        (lambda: Panel(process, covariates="price").fit(PAST), ParameterError, "a list"),
        (lambda: Panel(process, covariates=["cost"]).fit(PAST), DataError,
         "no column called 'cost'"),
        (lambda: Panel(process, covariates=["a"]).fit({"a": np.ones(9)}), DataError,
         "no long table"),
        (lambda: AutoPanel([process], validation=5).fit(PAST), ParameterError,
         "the panel has none; name the columns"),
        (lambda: Panel(AR(1)).fit(PAST[["unique_id", "ds", "y"]]).forecast(1, future=FUTURE),
         ParameterError, "this one has none"),
    ]  # fmt: skip
    for call, error, message in refused:
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize(
    ("value", "reason"),
    [(np.nan, "no number in 'price' at 2024-01-08"), ("much", "'much' for a number in 'price'")],
)
def test_a_series_without_some_covariate_is_named_and_stops_no_other(value, reason):
    bad = PAST.astype({"price": object})
    bad.loc[7, "price"] = value
    with pytest.raises(DataError, match=f"series 'b': it has {reason}"):
        Panel(PROCESSES[0], covariates=BESIDE).fit(bad)
    panel = Panel(PROCESSES[0], errors="keep", covariates=BESIDE).fit(bad)
    assert reason in panel.status_[1]
    want = Panel(PROCESSES[0], covariates=BESIDE).fit(PAST)
    made = panel.forecast(horizon=3, future=FUTURE)
    np.testing.assert_allclose(made.loc["a"], want.forecast(horizon=3, future=FUTURE).loc["a"])
    assert made.loc["b"].isna().all(axis=None)
    one_valued = PAST.assign(price=PAST["price"].where(PAST["unique_id"] == "b", 1.0))
    with pytest.raises(DataError, match=r"\['price'\] never change"):
        Panel(PROCESSES[0], covariates=BESIDE).fit(one_valued)


# ---- as one batch ------------------------------------------------------------------------------

BATCHED = [
    AR(2, trend="n", regressors="mean"),
    AR(1, trend="ct", regressors="mean"),
    AR([1, 3], trend="ct", regressors="recursion", initial="given", method="ols"),
    AR(1, trend="n", regressors="recursion", initial="given"),
    Transformed(AR(1, regressors="mean"), Log(10.0)),
    ARIMA((1, 1, 0), regressors="mean"),
    ARIMA((1, 0, 0), (0, 0, 1, 7), regressors="mean"),
]


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("process", BATCHED, ids=repr)
def test_batches_are_the_processes_one_by_one(process, gaps):
    """Estimates, covariances, likelihoods and forecasts; levels far from 0, units far from 1."""
    far = PAST.assign(price=1e3 + 1e-3 * PAST["price"])
    if gaps:
        far.loc[far.index[[20, 21, 40, 49]], "y"] = np.nan
    more = pd.concat([far.drop(columns="y"), FUTURE.assign(price=1e3 + 1e-3 * FUTURE["price"])])
    panel = Panel(process, covariates=BESIDE).fit(far)
    assert isinstance(panel.learnt_, FittedTogether | FittedMoving)
    made, scored = panel.forecast(horizon=2, future=more), panel.log_prob(far)
    np.testing.assert_allclose(panel.forecast(2, future=more, history=far), made)
    for name in NAMES:
        y, x = one(name, far)
        y = y[: y.last_valid_index()]
        own, later = panel[name], one(name, more)[1]
        want = own.forecast(y, 2, context=later[: len(y) + 2])
        np.testing.assert_allclose(made.loc[name], want)
        assert scored[name] == pytest.approx(own.log_prob(y, context=x[: len(y)]))
        if gaps and getattr(process, "initial", None) == "given":
            continue  # least squares drops rows with gaps; the process alone refuses them
        alone: Any = process.clone().fit(y, context=x[: len(y)])
        assert alone.log_prob(y, context=x[: len(y)]) == pytest.approx(scored[name], abs=1e-6)
        if not isinstance(process, Transformed):
            assert alone.names_ == own.names_
            error = np.sqrt(np.diag(alone.covariance_))
            assert np.abs((own.estimates_ - alone.estimates_) / error).max() < 1e-5
            size = np.outer(error, error)
            np.testing.assert_allclose(own.covariance_ / size, alone.covariance_ / size, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_a_batch_names_collinear_covariates_and_goes_on_with_the_others(seed):
    """What is left of them is rounding, now above zero and now below."""
    rng = np.random.default_rng(seed)
    past = PAST.assign(price=rng.normal(size=len(PAST)))
    twice = past.assign(again=rng.normal() * past["price"] + rng.normal())
    twice.loc[twice["unique_id"] == "b", "again"] = rng.normal(size=50)
    for process in BATCHED[1:3]:
        panel = Panel(process, errors="keep", covariates=["price", "again"]).fit(
            twice.drop(columns="promo")
        )
        assert panel["b"].beta_.shape == (2,)
        assert panel.status_[0] != "ok"
        assert "collinear" in panel.status_[0]


@pytest.mark.parametrize("model", [*PROCESSES[:3], None], ids=repr)
def test_what_came_again_is_where_it_was(model):
    """Values that are known already do not move forecasts, nor do covariates beside them."""
    panel: Any = AutoPanel(covariates=BESIDE) if model is None else Panel(model, covariates=BESIDE)
    panel = panel.fit(PAST)
    again = PAST[PAST["ds"] >= DAYS[40]].copy()
    again.loc[again["ds"] >= DAYS[47], "y"] = np.nan
    want = panel.forecast(3, future=FUTURE, seed=0)
    np.testing.assert_allclose(panel.update(again).forecast(3, future=FUTURE, seed=0), want)
    with pytest.raises(ParameterError, match="offset"):
        panel.forecast(3, offset=2, future=FUTURE)


def test_covariates_beside_missing_values_last_until_the_values_come():
    torn = PAST.copy()
    torn.loc[torn["ds"] >= DAYS[48], "y"] = np.nan
    panel = Panel(PROCESSES[0], covariates=BESIDE).fit(torn)
    first = PAST[PAST["ds"] == DAYS[48]]
    made = panel.update(first).forecast(3, future=FUTURE)
    both = torn[torn["ds"] >= DAYS[48]].fillna({"y": 0.0})
    both["y"] = np.where(both["ds"] == DAYS[48], PAST.loc[both.index, "y"], np.nan)
    np.testing.assert_allclose(panel.update(both).forecast(3, future=FUTURE), made)


TAKES_GAPS = [one for one in PROCESSES if one.takes_missing]


@pytest.mark.parametrize(
    "model", [*(Panel(one, covariates=BESIDE) for one in TAKES_GAPS),
              AutoPanel(period=[], covariates=BESIDE)], ids=repr,
)  # fmt: skip
def test_covariates_of_steps_whose_values_never_came_need_not_be_told_again(model):
    """Values are known up to day 45; of days 46 and 47 (of "b" of 46 alone) they never come."""
    torn = PAST.copy()
    torn.loc[torn["ds"] >= DAYS[46], "y"] = np.nan
    fitted = model.fit(torn)
    never = {"a": DAYS[48], "b": DAYS[47]}
    came = PAST[PAST["ds"] >= PAST["unique_id"].map(never)]
    whole = pd.concat([torn[torn["ds"] >= DAYS[46]].drop(came.index), came])
    want = fitted.update(whole).forecast(3, future=FUTURE, seed=0)
    made = fitted.update(came).forecast(3, future=FUTURE, seed=0)
    pd.testing.assert_frame_equal(made, want)
    by_day = fitted.update(came[came["ds"] == DAYS[48]]).update(came[came["ds"] > DAYS[48]])
    assert len(by_day.forecast(3, future=FUTURE, seed=0)) == 6
    unknown = fitted.update(came[came["unique_id"] == "b"])
    pd.testing.assert_frame_equal(
        unknown.forecast(3, future=FUTURE, seed=0).loc[["b"]], want.loc[["b"]]
    )
    torn = torn[torn["ds"] != DAYS[47]]
    torn = torn[(torn["ds"] < DAYS[46]) | (torn["unique_id"] == "b")]
    with pytest.raises(DataError, match=r"series 'a': there are steps before it that are not kno"):
        model.clone().fit(torn).update(came)


# ---- columns that are not used -----------------------------------------------------------------


@pytest.mark.parametrize("model", [Panel(AR(1)), AutoPanel()], ids=["Panel", "AutoPanel"])
def test_numbers_that_are_not_used_are_told_once(model, tmp_path: Path):
    forms = [PAST, PAST.set_index(["unique_id", "ds"])]
    paths = [tmp_path / "past.csv"]
    PAST.to_csv(paths[0], index=False)
    try:
        import polars as pl
        import pyarrow as pa
    except ImportError:
        pass
    else:
        paths += [tmp_path / "past.parquet", tmp_path / "past.arrow"]
        PAST.to_parquet(paths[1])
        PAST.reset_index(drop=True).to_feather(paths[2])
        forms += [pl.from_pandas(PAST), pa.Table.from_pandas(PAST)]
    for form in [*forms, *paths]:
        with pytest.warns(UnusedWarning, match=r"not used: 'price', 'promo'\.") as told:
            fitted = model.fit(form)
        assert len(told) == 1
        assert told[0].filename == __file__
        fitted.forecast(history=form, horizon=2)  # warnings are errors here
        fitted.update(form)
    with pytest.warns(UnusedWarning, match="not used: 'cost'"):
        fitted.forecast(history=PAST.assign(cost=1), horizon=2)


def test_what_is_used_or_is_no_number_is_not_told():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Panel(AR(1)).fit(PAST[["unique_id", "ds", "y"]].assign(town="x", opened=DAYS[0]))
        Panel(AR(1)).fit(pd.DataFrame(RNG.normal(size=(40, 3)), columns=["a", "y", "price"]))
    with pytest.warns(UnusedWarning, match=r"1 column.*'promo'"):
        Panel(PROCESSES[0], covariates=["price"]).fit(PAST)


def test_files_and_backtests_tell_too(tmp_path: Path):
    with pytest.warns(UnusedWarning) as told:
        arproc.backtest(Panel(AR(1)), PAST, horizon=2, start=40, step=5)
    assert len(told) == 1
    pytest.importorskip("pyarrow")
    table = PAST.sort_values(["unique_id", "ds"])
    table.to_parquet(tmp_path / "panel.parquet")
    with pytest.warns(UnusedWarning, match="not used: 'price', 'promo'") as told:
        arproc.forecast_file(AutoPanel(), tmp_path / "panel.parquet", 2, tmp_path / "out.parquet")
    assert len(told) == 1
