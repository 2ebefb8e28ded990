"""What came later: forecasts go on from it as if it had been known, what was learnt stays."""

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc import AR, AutoPanel, Panel
from arproc.errors import DataError
from arproc.transforms import Log, Transformed

RNG = np.random.default_rng(0)
DAYS = pd.date_range("2024-01-01", periods=40)


def series(name: str, begin: int) -> pd.DataFrame:
    y = np.exp(RNG.normal(size=40 - begin).cumsum() / 10 + 3)
    return pd.DataFrame({"unique_id": name, "ds": DAYS[begin:], "y": y})


WHOLE = pd.concat([series("a", 0), series("b", 3), series("c", 10)], ignore_index=True)
OLD, NEW = WHOLE[WHOLE["ds"] < DAYS[30]], WHOLE[WHOLE["ds"] >= DAYS[30]]
NEW = NEW[(NEW["unique_id"] != "a") | (NEW["ds"] > DAYS[32])]  # a gap before
KNOWN = pd.concat([OLD, NEW])
LATER = {
    "what is new": NEW,
    "what is new and some of before": pd.concat([OLD[OLD["ds"] > DAYS[25]], NEW]),
    "all": KNOWN,
}
MODELS = {
    "AR": Panel(AR(2)),
    "trend": Panel(AR(2, trend="ct")),
    "some lags": Panel(AR([1, 3], method="ols", initial="given")),
    "logarithms": Panel(Transformed(AR(1), Log())),
    "no lags": Panel(AR(0)),
    "one by one": Panel(arproc.ARIMA((1, 1, 0))),
    "auto": AutoPanel(),
    "given": AutoPanel([AR(1), Transformed(AR(1), Log())], validation=5),
}


@pytest.mark.parametrize("kind", MODELS)
def test_forecasts_are_those_of_all_that_is_known(kind):
    model = MODELS[kind].clone().fit(OLD)
    before, want = model.forecast(horizon=2), model.forecast(horizon=2, history=KNOWN)
    for later in LATER.values():
        found = model.update(later).forecast(horizon=2)
        pd.testing.assert_frame_equal(found, want, check_freq=False)
    step = model
    for _, day in NEW.groupby("ds"):
        step = step.update(day)
    pd.testing.assert_frame_equal(step.forecast(horizon=2), want, check_freq=False)
    pd.testing.assert_frame_equal(model.forecast(horizon=2), before)  # it stays what it is
    one = model.update(NEW[NEW["unique_id"] == "b"]).forecast(horizon=2)
    pd.testing.assert_frame_equal(one.loc[["b"]], want.loc[["b"]], check_freq=False)
    pd.testing.assert_frame_equal(one.loc[["a", "c"]], before.loc[["a", "c"]], check_freq=False)


@pytest.mark.parametrize("kind", ["AR", "logarithms", "auto"])
def test_without_labels_it_follows_or_is_the_whole(kind):
    x = np.exp(RNG.normal(size=(3, 40)).cumsum(axis=1) / 10 + 2)
    model = MODELS[kind].clone().fit(x[:, :30])
    want = model.forecast(horizon=2, history=x)
    for found in (
        model.update(x[:, 30:]),
        model.update(x),
        model.update(x[:, 30:33]).update(x[:, 33:]),
    ):
        pd.testing.assert_frame_equal(found.forecast(horizon=2), want)


@pytest.mark.parametrize(
    "index",
    [
        pd.period_range("2020-01", periods=40, freq="M"),
        pd.Index(np.arange(7, 47) * 2),
        pd.date_range("2020-01", periods=40, freq="MS", tz="Europe/Oslo"),
        pd.date_range("2024-03-30", periods=40, freq="h", tz="Europe/Oslo"),
    ],
    ids=["periods", "numbers", "months", "hours"],
)
def test_labels_of_every_kind_go_on(index):
    wide = pd.DataFrame(RNG.normal(size=(40, 2)).cumsum(axis=0), index, ["a", "b"])
    model = Panel(AR(1)).fit(wide[:30])
    want = model.forecast(horizon=2, history=wide)
    found = model.update(wide[30:31]).update(wide[30:]).forecast(horizon=2)
    pd.testing.assert_frame_equal(found, want, check_freq=False)


def test_the_newer_of_two_values_counts():
    revised = NEW.copy()
    at = (NEW["unique_id"] == "b") & (NEW["ds"] == DAYS[38])
    revised.loc[at, "y"] += 1.0
    model = Panel(AR(2)).fit(OLD)
    known = pd.concat([OLD, revised])
    found = model.update(NEW).update(revised[at]).forecast(horizon=1)
    want = model.forecast(horizon=1, history=known)
    pd.testing.assert_frame_equal(found, want, check_freq=False)


def test_a_saved_model_goes_on(tmp_path):
    model = Panel(AR(2)).fit(OLD).update(NEW)
    model.save(tmp_path / "m.arproc")
    again = arproc.load(tmp_path / "m.arproc")
    pd.testing.assert_frame_equal(again.forecast(horizon=2), model.forecast(horizon=2))


WRONG = {
    "new": (NEW.replace("a", "z"), r"1 series that were not fitted: \['z'\]"),
    "early": (NEW.assign(ds=NEW["ds"] - pd.Timedelta(days=90)), "before the data of fit"),
    "off": (NEW.assign(ds=NEW["ds"] + pd.Timedelta(hours=3)), "no step of the data of fit"),
    "other": (NEW.assign(ds=np.arange(len(NEW))), "Label both alike"),
    "none": (NEW.assign(y=np.nan), "no values"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("kind", ["AR", "auto"])
def test_what_does_not_follow_is_refused(case, kind):
    data, message = WRONG[case]
    with pytest.raises(DataError, match=message):
        MODELS[kind].clone().fit(OLD).update(data)


@pytest.mark.parametrize("kind", ["AR", "auto"])
def test_series_without_names_are_as_many_as_were_fitted(kind):
    """Nobody knows which of two series one is, and a third is none."""
    x = np.random.default_rng(0).normal(size=(2, 30)).cumsum(axis=1)
    model = MODELS[kind].clone().fit(x)
    for data in (np.ones((1, 1)), np.ones(2), np.ones((3, 1))):
        with pytest.raises(DataError, match="series without names; expected 2, as in fit"):
            model.update(data)
    found = model.update(x[:, -1:] + [[1.0], [-1.0]]).forecast(horizon=1)
    assert found["mean"].iloc[0] > model.forecast(horizon=1)["mean"].iloc[0]
    assert found["mean"].iloc[1] < model.forecast(horizon=1)["mean"].iloc[1]
