"""Orders of ARIMA: against another library's choice, and against fits one by one."""

import warnings

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc import ARIMA, select_arima
from arproc.errors import DataError, ParameterError
from arproc.inference.criteria import information_criterion
from arproc.models.statespace.differences import (
    differences,
    kpss,
    seasonal_differences,
    seasonal_strength,
)
from tests.models.statespace.test_arima import air_passengers, macro, nile

ONE = ARIMA.from_parameters([0.6, -0.3], [0.5]).sample(length=120, seed=1)[0]


def value(model, data, criterion="aicc", **given):
    fitted = model.fit(data, **given)
    counts = (len(fitted.estimates_), fitted.n_observations_)
    return information_criterion(criterion, fitted.log_likelihood_, *counts)


@pytest.mark.filterwarnings("ignore:the standard errors")
@pytest.mark.parametrize(
    ("name", "period", "theirs"),
    [  # what AutoARIMA of statsforecast 2.1.1 chose, without its approximation
        ("nile", None, ((1, 1, 1), (0, 0, 0, 0))),
        ("inflation", 4, ((3, 1, 0), (0, 0, 2, 4))),
        ("air", 12, ((0, 1, 1), (0, 1, 1, 12))),
    ],
)
def test_it_is_as_good_as_another_library(name, period, theirs, shared_data):
    made = {"nile": nile, "inflation": lambda: macro()[0]}
    x = air_passengers(shared_data) if name == "air" else made[name]()
    found = select_arima(x, period)
    assert (found.order[1], found.seasonal_order[1]) == (theirs[0][1], theirs[1][1])
    best = found.table["aicc"][0]
    assert best <= value(ARIMA(*theirs, "n"), x) + 1e-6
    assert best == pytest.approx(value(found.model, x), abs=1e-9)
    assert found.n_observations == len(x) - found.model.n_given


@pytest.mark.filterwarnings("ignore:the standard errors")
@pytest.mark.parametrize("criterion", ["aic", "bic", "hqic"])
def test_the_grid_is_fits_one_by_one(criterion):
    found = select_arima(ONE, None, criterion, "grid", max_order=(2, 0, 1))
    table = found.table.set_index(["p", "q", "trend"])
    assert len(table) == 3 * 2 * 2
    for (p, q, trend), row in table.iterrows():
        want = value(ARIMA((p, 0, q), trend=trend), ONE, criterion)
        own = row[criterion]
        assert own == pytest.approx(want, abs=1e-9) or (np.isinf(own) and "root" in row["note"])
    first = table.index[0]
    assert (found.order, found.trend) == ((first[0], 0, first[1]), first[2])
    assert np.diff(found.table[criterion]).min() >= 0


def test_a_grid_is_no_worse_than_a_walk():
    whole = select_arima(ONE, search="grid", max_order=(3, 2, 2))
    walk = select_arima(ONE, max_order=(3, 2, 2))
    assert whole.table["aicc"][0] <= walk.table["aicc"][0]
    assert len(walk.table) < len(whole.table)
    both = whole.table.merge(walk.table, on=["p", "d", "q", "trend"])
    np.testing.assert_array_equal(both["aicc_x"], both["aicc_y"])
    assert len(both) == len(walk.table)


@pytest.mark.parametrize("d", [0, 1])
def test_out_of_sample_is_the_mean_score_of_the_last_fifth(d):
    found = select_arima(ONE, criterion="oos", d=d, max_order=(1, 2, 1), search="grid")
    kept = len(ONE) - int(np.ceil(0.2 * (len(ONE) - d)))
    for row in found.table.itertuples():
        if not row.note:
            model = ARIMA((row.p, d, row.q), trend=row.trend).fit(ONE[:kept])
            later = model.log_prob(ONE) - model.log_prob(ONE[:kept])
            assert row.oos == pytest.approx(-later / (len(ONE) - kept), rel=1e-9)
    assert found.model.n_observations_ == len(ONE) - d


def test_gaps_and_regressors():
    rng = np.random.default_rng(0)
    push = rng.normal(size=(60, 1)).cumsum(axis=0)
    x = 3 * push[:, 0] + ARIMA.from_parameters([0.7]).sample(length=60, seed=2)[0]
    x[[10, 40, 41]] = np.nan
    given = {"regressors": "mean", "context": push}
    found = select_arima(x, max_order=(1, 2, 0), **given)
    assert found.order[1] == 0
    assert found.n_observations == 57
    assert found.model.beta_[0] == pytest.approx(3, abs=0.3)
    assert select_arima(x, max_order=(0, 2, 0)).order[1] == 1
    model = ARIMA(found.order, trend=found.trend, regressors="mean")
    assert found.table["aicc"][0] == pytest.approx(value(model, x, context=push), abs=1e-9)


def test_labels_and_trends():
    index = pd.period_range("2001-01", periods=120, freq="M")
    x = pd.Series(ONE + 0.1 * np.arange(120), index)
    found = select_arima(x, trend="ct", d=0, max_order=(2, 0, 1))
    assert set(found.table["trend"]) == {"ct"}
    assert found.model.slope_ == pytest.approx(0.1, abs=0.02)
    assert found.model.forecast(x, horizon=2).index[0] == pd.Period("2011-01", "M")
    assert set(select_arima(ONE, d=1, max_order=(0, 1, 1)).table["trend"]) == {"t", "n"}
    assert set(select_arima(ONE, d=2, max_order=(0, 2, 1)).table["trend"]) == {"n"}


def test_a_unit_root_is_not_chosen():
    over = np.diff(np.random.default_rng(1).normal(size=150))  # an MA root of 1
    table = select_arima(over, d=0, max_order=(0, 0, 1), search="grid").table
    assert table["q"][0] == 0
    assert table[table["q"] == 1]["note"].str.contains("unit circle").all()


@pytest.mark.parametrize("walks", [0, 1, 2])
def test_kpss_is_that_of_statsmodels(walks):
    from statsmodels.tsa.stattools import kpss as reference

    x = np.random.default_rng(walks).normal(size=150)
    for _ in range(walks):
        x = x.cumsum()
    with warnings.catch_warnings():  # its table of p-values ends there
        warnings.simplefilter("ignore")
        want = reference(x, nlags=int(3 * np.sqrt(150) / 13))[0]
    assert kpss(x) == pytest.approx(want, rel=1e-10)
    assert differences(x, 2) == walks
    assert differences(x, 1) == min(walks, 1)


def test_the_strength_of_a_season():
    rng, t = np.random.default_rng(3), np.arange(120)
    noise, season = rng.normal(size=120), np.sin(2 * np.pi * t / 12)
    assert seasonal_strength(noise, 12) < 0.64
    assert seasonal_differences(noise, 12, 1) == 0
    assert seasonal_strength(5 * season + noise + 0.2 * t, 12) > 0.8
    assert seasonal_differences(5 * season + noise, 12, 1) == 1
    assert seasonal_strength(np.tile(np.arange(7.0), 10), 7) == pytest.approx(1)
    assert seasonal_differences(5 * season[:30] + noise[:30], 12, 1) == 0  # too short to say


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"period": 1}, "period"),
        ({"period": 120}, "period"),
        ({"criterion": "fpe"}, "criterion"),
        ({"search": "random"}, "search"),
        ({"max_order": 3}, "max_order"),
        ({"max_order": (1, -1, 1)}, "max_order"),
        ({"period": 4, "max_seasonal_order": (1, 1)}, "max_seasonal_order"),
        ({"seasonal_d": 1}, "period"),
        ({"d": -1}, "d must be"),
        ({"d": 1, "trend": "c"}, "trend"),
    ],
)
def test_bad_arguments(wrong, match):
    with pytest.raises(ParameterError, match=match):
        select_arima(ONE, **wrong)


def test_bad_data():
    with pytest.raises(DataError, match="one series"):
        select_arima([ONE, ONE])
    with pytest.raises(DataError, match="constant"):
        select_arima(np.ones(30))
    with pytest.raises(DataError, match="constant"):
        select_arima(np.arange(30.0))
    with pytest.raises(DataError, match="no candidate"):
        select_arima(np.array([1.0, 3.0]))
    with pytest.raises(DataError, match="missing"):
        select_arima(np.full(30, np.nan))
    with pytest.raises(ParameterError, match="select_arima"):
        arproc.select_order(ONE, 2, model=ARIMA)
