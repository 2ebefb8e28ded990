from __future__ import annotations

import math

import numpy as np
import pytest

from arproc.compiled.interpreted import nothing_interpreted
from arproc.errors import DataError, ParameterError
from arproc.gaussian.terms import Terms
from arproc.inference.criteria import information_criterion
from arproc.models.autoregression.ar import AR
from arproc.models.autoregression.moments import moments, restrict, scale
from arproc.models.autoregression.selection import select_order


@pytest.fixture(scope="module")
def sunspots():
    import statsmodels.api as sm

    return sm.datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(copy=True)


@pytest.mark.parametrize("criterion", ["aic", "bic", "hqic"])
@pytest.mark.parametrize("trend", ["n", "c", "ct"])
def test_least_squares_selection_is_statsmodels(sunspots, criterion, trend):
    from statsmodels.tsa.ar_model import AutoReg, ar_select_order

    found = select_order(sunspots, 13, criterion, trend, method="ols", initial="given")
    theirs = ar_select_order(sunspots, 13, ic=criterion, trend=trend)
    assert found.order == len(theirs.ar_lags or [])
    table = found.table
    for order in (0, 1, 9, 13):
        same = AutoReg(sunspots, order, trend=trend, hold_back=13).fit()
        assert table["log_likelihood"][order] == pytest.approx(same.llf, rel=1e-10)
        assert table[criterion][order] == pytest.approx(getattr(same, criterion), rel=1e-10)


def test_exact_selection_is_the_fits_themselves(sunspots):
    found = select_order(sunspots, 4)
    for order in range(5):
        model = AR(order).fit(sunspots)
        assert found.log_likelihoods[order] == pytest.approx(model.log_likelihood_, rel=1e-10)
        for name in ("aic", "aicc", "bic", "hqic"):
            want = model.information_criterion(name)
            assert found.table[name][order] == pytest.approx(want, rel=1e-10)
    assert found.n_observations == 309


@pytest.mark.parametrize(
    "options",
    [{}, {"trend": "n"}, {"trend": "ct", "seasonal": 4}, {"regressors": "mean"}],
    ids=["mean", "none", "terms", "regressors"],
)
@pytest.mark.parametrize("case", ["long", "short", "pooled", "unequal", "near a unit root"])
def test_the_compiled_pass_is_the_fits_themselves(case, options, sunspots):
    rng = np.random.default_rng(0)
    data = {
        "long": [sunspots],
        "short": [sunspots[:30]],
        "pooled": [rng.normal(size=n) + 2 for n in (40, 90)],
        "unequal": [rng.normal(size=n).cumsum() for n in (3, 90)],  # one shorter than the orders
        "near a unit root": [np.cos(0.3 * np.arange(150)) + 1e-3 * rng.normal(size=150)],
    }[case]
    context = None
    if "regressors" in options:
        context = rng.normal(size=(len(data), max(map(len, data)), 1))
    with nothing_interpreted():
        found = select_order(data, 5, context=context, **options)
    for order in range(6):
        want = AR(order, **options).fit(data, context=context).log_likelihood_
        assert found.log_likelihoods[order] == pytest.approx(want, rel=1e-9, abs=1e-7)


def test_aic_on_the_sunspots(sunspots):
    found = select_order(sunspots, 12)
    assert found.order == 9
    assert found.model.order == 9
    assert found.model.log_likelihood_ == pytest.approx(found.log_likelihoods[9])
    assert "OrderSelection(order=9, criterion='aic'" in repr(found)


def test_yule_walker_picks_the_textbook_order_for_the_lynx(shared_data):
    import pandas as pd

    x = np.log(pd.read_csv(shared_data / "rdatasets" / "lynx.csv")["value"].to_numpy(dtype=float))
    assert select_order(x, 20, method="yule-walker").order == 11


def test_pooled_sequences():
    model = AR.from_parameters([0.6, -0.5], mean=3.0)
    data = [model.sample(length=n, seed=n)[0] for n in (5, 200, 300)]
    for method in ("mle", "ols", "yule-walker", "yule-walker-adjusted", "burg"):
        found = select_order(data, 6, "bic", method=method)
        assert found.order == 2
        assert found.n_observations == (505 if method != "ols" else 488)


def test_criteria():
    assert information_criterion("aic", -10.0, 3, 20) == 26.0
    assert information_criterion("bic", -10.0, 3, 20) == pytest.approx(20 + 3 * math.log(20))
    assert information_criterion("aicc", -10.0, 3, 20) == pytest.approx(26 + 24 / 16)
    assert information_criterion("hqic", -10, 3, 20) == pytest.approx(
        20 + 6 * math.log(math.log(20))
    )
    with pytest.raises(DataError, match="aicc"):
        information_criterion("aicc", -10.0, 3, 4)


def test_wrong_arguments_are_named(sunspots):
    with pytest.raises(ParameterError, match="criterion"):
        select_order(sunspots, 3, "fpe")
    with pytest.raises(ParameterError, match="max_order"):
        select_order(sunspots, -1)
    with pytest.raises(ParameterError, match="method"):
        select_order(sunspots, 3, method="newton")
    with pytest.raises(DataError, match="too short"):
        select_order(sunspots[:5], 8)


def test_statistics_of_a_lower_order_are_part_of_a_higher_ones():
    rng = np.random.default_rng(0)
    lengths = np.array([30, 4, 2, 6, 1, 12])
    data = scale(rng.normal(size=lengths.sum()), lengths, Terms("ct"))
    whole = moments(data, 8)
    for order in range(9):
        part, want = restrict(whole, order), moments(data, order)
        assert part.levels.keys() == want.levels.keys()
        np.testing.assert_array_equal(part.weights, want.weights)
        for level, quadratic in want.levels.items():
            np.testing.assert_allclose(part.levels[level], quadratic, atol=1e-12)


# ---- terms, regressors, lags that every candidate has ------------------------------------------


@pytest.fixture(scope="module")
def macro():
    import statsmodels.api as sm

    data = sm.datasets.macrodata.load_pandas().data
    y = 100 * np.diff(np.log(data["realgdp"].to_numpy()))
    return y, np.column_stack([np.diff(data["unemp"].to_numpy()), data["infl"].to_numpy()[1:]])


@pytest.mark.parametrize("method", ["mle", "ols", "yule-walker", "burg"])
@pytest.mark.parametrize(
    "options",
    [
        {"trend": "ctt"},
        {"seasonal": 4},
        {"fourier": {5: 2}, "trend": "ct"},
        {"lags": [3, 9]},
        {"regressors": "mean"},
        {"regressors": "recursion", "seasonal": 4, "lags": [6]},
    ],
)
def test_every_candidate_is_what_its_own_fit_says(macro, method, options):
    y, x = macro
    driven = options.get("regressors") == "recursion"
    if (driven and method != "ols") or (method == "burg" and "lags" in options):
        with pytest.raises(ParameterError, match=r"initial|method|burg"):
            select_order(y, 5, method=method, context=x if driven else None, **options)
        return
    context = x if "regressors" in options else None
    given = method == "ols"
    initial = "given" if given else "stationary"
    found = select_order(y, 5, "bic", method=method, initial=initial, context=context, **options)
    own = {k: v for k, v in options.items() if k != "lags"}
    always = options.get("lags", [])
    longest = max([5, *always])
    for order in (0, 2, 5):
        lags = sorted({*range(1, order + 1), *always})
        # the same elements are predicted by all: a shorter order skips the first ones
        skip = longest - max(lags, default=0) if given else 0
        rest = None if context is None else context[skip:]
        model = AR(lags, method=method, initial=initial, **own)
        model.fit(y[skip:], context=rest)
        if method in ("mle", "ols"):
            assert found.n_parameters[order] == len(model.names_)
            assert found.log_likelihoods[order] == pytest.approx(model.log_likelihood_, rel=1e-9)
        else:
            n = len(y)
            usual = -n / 2 * (np.log(2 * np.pi * model.sigma2_) + 1)
            assert found.log_likelihoods[order] == pytest.approx(usual, rel=1e-9)
    assert found.lags == sorted({*range(1, found.order + 1), *always})
    assert found.values.argmin() == found.order
    np.testing.assert_array_equal(found.model.lags_, found.lags)
    assert found.table["bic"][found.order] == pytest.approx(found.values.min())


@pytest.mark.parametrize("method", ["mle", "ols"])
def test_out_of_sample_scores_are_those_of_models_of_the_first_part(sunspots, method):
    initial = "given" if method == "ols" else "stationary"
    found = select_order(sunspots, 10, "oos", method=method, initial=initial)
    n = len(sunspots)
    kept = n - int(np.ceil((n - 10) / 5))
    for order in (0, 3, 10):
        model = AR(order, method=method, initial=initial).fit(sunspots[:kept])
        later = model.log_prob_terms(sunspots)[-(n - kept) :]
        assert found.values[order] == pytest.approx(-later.mean(), rel=1e-9)
    assert found.order == found.values.argmin()
    assert found.table["oos"][found.order] == found.values.min()


def test_out_of_sample_selection_of_pooled_sequences_finds_the_order():
    truth = AR.from_parameters([0.5, -0.3, 0.4])
    data = [truth.sample(1, length=k, seed=k)[0] for k in (400, 900, 700)]
    assert select_order(data, 6, "oos", method="ols").order >= 3
    assert select_order(data, 6, "bic").order == 3


def test_collinear_candidates_keep_their_digits():
    from statsmodels.tsa.ar_model import AutoReg

    t = np.arange(400)
    x = np.sin(0.02 * t) + 1e-6 * np.random.default_rng(0).normal(size=400)
    found = select_order(x, 5, method="ols", initial="given")
    for order in (1, 3, 5):
        theirs = AutoReg(x, order, hold_back=5).fit()
        assert found.log_likelihoods[order] == pytest.approx(theirs.llf, rel=1e-8)
    with pytest.raises(DataError, match=r"collinear|deterministic"):
        select_order(np.sin(0.3 * t), 5, method="ols", initial="given")


def test_the_model_is_fitted_when_it_is_asked_for(sunspots):
    found = select_order(sunspots, 3, method="ols", initial="given")
    assert "model" not in vars(found)
    assert found.model is found.model
    assert found.model.order == found.order


# ---- missing values ---------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"lags": [5]}, {"regressors": "mean", "seasonal": 4}])
@pytest.mark.parametrize("initial", ["stationary", "given"])
def test_candidates_with_gaps_are_those_of_their_own_fits(macro, initial, options):
    y, x = macro[0][:80].copy(), macro[1][:80]
    y[[20, 31, 32, 33, 50]] = np.nan
    context = x if "regressors" in options else None
    found = select_order(y, 2, "bic", initial=initial, context=context, **options)
    own, always = {k: v for k, v in options.items() if k != "lags"}, options.get("lags", [])
    longest = max([2, *always])
    for order in (0, 1, 2):
        lags = sorted({*range(1, order + 1), *always})
        skip = longest - max(lags, default=0) if initial == "given" else 0
        rest = None if context is None else context[skip:]
        model = AR(lags, initial=initial, **own).fit(y[skip:], context=rest)
        assert found.log_likelihoods[order] == pytest.approx(model.log_likelihood_, rel=1e-9)
        assert found.n_parameters[order] == len(model.names_)
        assert found.n_observations == model.n_observations_
    assert found.order == found.values.argmin()


def test_a_gap_of_one_element_changes_the_criterion_by_little_and_others_are_refused(sunspots):
    whole = select_order(sunspots[:100], 3)
    y = sunspots[:100].copy()
    y[0] = np.nan  # the exact likelihood is then that of the rest
    np.testing.assert_allclose(select_order(y, 3).values, select_order(y[1:], 3).values, rtol=1e-7)
    assert whole.n_observations == 100
    with pytest.raises(DataError, match=r"method='yule-walker' does not take"):
        select_order(y, 3, method="yule-walker")
    with pytest.raises(DataError, match="given"):
        select_order(y, 3, initial="given")


def test_out_of_sample_scores_count_what_was_observed():
    rng = np.random.default_rng(0)
    y = rng.normal(size=120).cumsum() * 0.1 + rng.normal(size=120)
    y[[30, 100, 101, 119]] = np.nan
    found = select_order(y, 2, "oos")
    for order in (0, 2):
        model = AR(order).fit(y[:96])
        later = model.log_prob_terms(y)[96:]
        assert found.values[order] == pytest.approx(-later.sum() / 21, rel=1e-9)


def test_out_of_sample_scores_of_series_that_begin_at_different_seasons():
    import pandas as pd

    rng, season = np.random.default_rng(0), np.array([0.0, 5.0, -5.0, 2.0])
    index = pd.period_range("2000Q1", periods=60, freq="Q")
    rows = [pd.Series(np.tile(season, 15) + rng.normal(size=60), index) for _ in "ab"]
    rows[1] = rows[1][1:]
    found = select_order(rows, 1, "oos", seasonal=4)
    assert found.values.min() < 1.7  # by a wrong phase 3 or more
