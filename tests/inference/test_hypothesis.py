"""Wald and likelihood-ratio tests and robust covariances, against statsmodels."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.arima.model import ARIMA

import arproc
from arproc import AR
from arproc.errors import ArprocError, DataError, ParameterError, UnsupportedError
from arproc.inference.hypothesis import restriction_matrix

NAMES = ["mean", "t^2", "s(2,12)", "ar.L1", "ar.L12", "t", "sigma2"]


@pytest.fixture(scope="module")
def sunspots():
    import statsmodels.api as sm

    return sm.datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()


# ---- covariances --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"kind": "hessian"}, {"cov_type": "nonrobust"}),
        ({"kind": "robust"}, {"cov_type": "HC0"}),
        ({"kind": "hac", "lags": 5}, {"cov_type": "HAC", "cov_kwds": {"maxlags": 5}}),
        ({"kind": "hac", "lags": 0}, {"cov_type": "HC0"}),
    ],
)
@pytest.mark.parametrize("order", [3, [1, 2, 9]])
def test_least_squares_has_the_covariances_of_statsmodels(sunspots, ours, theirs, order):
    model = AR(order, method="ols", initial="given").fit(sunspots)
    reference = AutoReg(sunspots, order).fit(**theirs)
    np.testing.assert_allclose(model.estimates_[:-1], reference.params, rtol=1e-9)
    k = len(reference.params)
    found = model.covariance(data=sunspots, **ours).to_numpy()[:k, :k]
    want = reference.cov_params()
    if ours["kind"] == "hessian":
        want = want * (model.sigma2_ / reference.sigma2)
    np.testing.assert_allclose(found, want, rtol=1e-6)


def test_exact_likelihood_has_the_sandwich_of_its_scores(sunspots):
    x = sunspots[:120]
    model = AR(2).fit(x)
    reference = ARIMA(x, order=(2, 0, 0), trend="c")
    scores = reference.score_obs(model.estimates_, approx_complex_step=True)
    meat = scores.T @ scores
    np.testing.assert_allclose(model.covariance("opg", x), np.linalg.inv(meat), rtol=1e-5)
    bread = model.covariance_
    np.testing.assert_allclose(model.covariance("robust", x), bread @ meat @ bread, rtol=1e-5)


@pytest.mark.parametrize(
    ("order", "seasonal", "trend"),
    [
        ((1, 0, 1), (0, 0, 0, 0), "c"),
        ((2, 0, 1), (1, 0, 0, 4), "ct"),
        ((0, 0, 2), (0, 0, 0, 0), "n"),
    ],
)
def test_moving_averages_have_the_sandwich_of_their_scores(sunspots, order, seasonal, trend):
    x = np.log1p(sunspots[:150])
    model = arproc.ARIMA(order, seasonal, trend=trend).fit(x)
    reference = ARIMA(x, order=order, seasonal_order=seasonal, trend=trend)
    theta = model.estimates_.copy()
    if trend == "ct":
        theta[0] -= theta[1]  # their t begins at 1: the scores of the slope move with it
    scores = reference.score_obs(theta, approx_complex_step=True)
    if trend == "ct":
        scores[:, 1] -= scores[:, 0]
    meat = scores.T @ scores
    found = model.covariance("opg", x).to_numpy()
    np.testing.assert_allclose(found, np.linalg.inv(meat), rtol=1e-4, atol=1e-8)
    robust = model.covariance("robust", x).to_numpy()
    np.testing.assert_allclose(robust, model.covariance_ @ meat @ model.covariance_, rtol=1e-4)
    integrated = arproc.ARIMA((1, 1, 1)).fit(x)
    ratio = np.diag(integrated.covariance("robust", x)) / np.diag(integrated.covariance_)
    assert ((ratio > 0.2) & (ratio < 5)).all()


def test_an_arima_without_moving_average_is_an_ar(sunspots):
    ours = arproc.likelihood_ratio_test(AR(1).fit(sunspots), AR(3).fit(sunspots))
    models = [arproc.ARIMA((p, 0, 0)).fit(sunspots) for p in (1, 3)]
    assert arproc.likelihood_ratio_test(*models).statistic == pytest.approx(ours.statistic, 1e-6)
    wald = models[1].wald_test("ar.L2 = 0, ar.L3 = 0")
    assert wald.statistic == pytest.approx(
        AR(3).fit(sunspots).wald_test(["ar.L2 = 0", "ar.L3 = 0"]).statistic, rel=1e-4
    )


def test_where_the_variance_is_not_constant_the_sandwich_is_right():
    """Coverage of the robust errors over draws of an ARCH process, where the plain ones fail."""
    rng = np.random.default_rng(0)
    plain, robust, estimates = [], [], []
    for _ in range(150):
        x, e = np.zeros(600), 0.0
        for t in range(1, 600):
            e = rng.normal() * np.sqrt(0.4 + 0.6 * min(e * e, 25.0))
            x[t] = 0.3 * x[t - 1] + e
        model = AR(1, "n", initial="given").fit(x)
        estimates.append(model.coef_[0])
        plain.append(model.covariance().iloc[0, 0])
        robust.append(model.covariance("robust", x).iloc[0, 0])
    spread = np.var(estimates)
    assert np.mean(robust) == pytest.approx(spread, rel=0.35)
    assert np.mean(plain) < 0.6 * spread


def test_lags_do_not_reach_from_one_sequence_into_the_next(sunspots):
    parts = [sunspots[:100], sunspots[100:180]]
    model = AR(1, initial="given").fit(parts)
    x = np.concatenate([part[1:] for part in parts])
    rows = np.column_stack([np.ones(len(x)), np.concatenate([part[:-1] for part in parts])])
    scores = rows * (x - rows @ model.estimates_[:2])[:, None]
    a, b = scores[:99], scores[99:]
    meat = scores.T @ scores
    for part in (a, b):
        product = part[1:].T @ part[:-1]
        meat = meat + 0.5 * (product + product.T)
    inverse = np.linalg.inv(rows.T @ rows)
    found = model.covariance("hac", parts, lags=1).to_numpy()[:2, :2]
    np.testing.assert_allclose(found, inverse @ meat @ inverse, rtol=1e-6)


def test_regressors_and_missing_values():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(150, 2))
    x = z @ [1.0, -0.5] + AR.from_parameters([0.6]).sample(1, 150, seed=1)[0]
    for settings in (
        {"regressors": "mean"},
        {"regressors": "mean", "initial": "given"},
        {"regressors": "recursion", "initial": "given"},
    ):
        model = AR(1, **settings).fit(x, context=z)
        robust = model.covariance("robust", x, context=z)
        ratio = np.diag(robust) / np.diag(model.covariance_)
        assert list(robust.columns) == model.names_
        assert ((ratio > 0.4) & (ratio < 2.5)).all()
    x[20:30] = np.nan
    model = AR(2, "ct").fit(x)
    ratio = np.diag(model.covariance("opg", x)) / np.diag(model.covariance_)
    assert ((ratio > 0.4) & (ratio < 2.5)).all()


# ---- tests --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["nonrobust", "HC0"])
def test_wald_tests_are_those_of_statsmodels(sunspots, kind):
    model = AR(4, method="ols", initial="given").fit(sunspots)
    reference = AutoReg(sunspots, 4).fit(cov_type=kind)
    matrix = np.zeros((2, 6))
    matrix[0, 3], matrix[1, [1, 2]] = 1, 1
    target = np.array([0.0, 1.0])
    robust = None if kind == "nonrobust" else model.covariance("robust", sunspots)
    text = model.wald_test("ar.L3 = 0, ar.L1 + ar.L2 = 1", covariance=robust)
    numbers = model.wald_test((matrix, target), covariance=robust)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = reference.wald_test((matrix[:, :5], target), use_f=False, scalar=True)
    statistic = float(want.statistic)
    if kind == "nonrobust":
        statistic *= reference.sigma2 / model.sigma2_
    assert text.statistic == pytest.approx(statistic, rel=1e-6)
    assert numbers == text
    assert text.df == 2
    if robust is not None:
        table = model.parameter_table(covariance=robust)
        np.testing.assert_allclose(table["std_error"].iloc[:-1], reference.bse, rtol=1e-6)
        np.testing.assert_allclose(table["p_value"].iloc[:-1], reference.pvalues, rtol=1e-5)
    assert text.p_value == pytest.approx(stats.chi2.sf(text.statistic, 2), rel=1e-9)


def test_one_restriction_is_the_squared_z_of_the_table(sunspots):
    model = AR(3).fit(sunspots)
    table = model.parameter_table()
    found = model.wald_test("ar.L2 = 0")
    assert found.statistic == pytest.approx(table.loc["ar.L2", "z"] ** 2, rel=1e-12)
    assert found.p_value == pytest.approx(table.loc["ar.L2", "p_value"], rel=1e-9)


def test_the_ratio_and_walds_test_agree_where_the_restriction_nearly_holds():
    x = AR.from_parameters([0.5, 0.2]).sample(1, 4000, seed=0)[0]
    full = AR(4).fit(x)
    ratio = arproc.likelihood_ratio_test(AR(2).fit(x), full)
    wald = full.wald_test("ar.L3 = ar.L4 = 0")
    assert (ratio.df, wald.df) == (2, 2)
    assert ratio.statistic == pytest.approx(wald.statistic, rel=0.02)
    assert ratio.p_value == pytest.approx(stats.chi2.sf(ratio.statistic, 2))
    subset = arproc.likelihood_ratio_test(AR([1, 2, 4]).fit(x), full)
    assert subset.statistic == pytest.approx(full.wald_test("ar.L3 = 0").statistic, abs=0.02)


def test_p_values_are_uniform_where_the_restriction_holds():
    found = []
    for seed in range(200):
        x = AR.from_parameters([0.5]).sample(1, 150, seed=seed)[0]
        found.append(arproc.likelihood_ratio_test(AR(1).fit(x), AR(3).fit(x)).p_value)
    assert stats.kstest(found, "uniform").pvalue > 1e-3


@given(st.lists(st.floats(-5, 5), min_size=7, max_size=7), st.floats(-5, 5))
def test_what_is_written_is_what_is_read(weights, target):
    text = " + ".join(f"{w:.6f} * {n}" for w, n in zip(weights, NAMES, strict=True))
    matrix, right = restriction_matrix(f"{text} = {target:.6f}".replace("+ -", "- "), NAMES)
    np.testing.assert_allclose(matrix, [np.round(weights, 6)], atol=1e-12)
    np.testing.assert_allclose(right, [round(target, 6)], atol=1e-12)


def test_restrictions_in_words():
    def rows(text):
        matrix, right = restriction_matrix(text, NAMES)
        return [
            ({NAMES[j]: v for j, v in enumerate(row) if v}, float(r))
            for row, r in zip(matrix, right, strict=True)
        ]

    assert rows("ar.L1=0") == [({"ar.L1": 1}, 0)]
    assert rows("ar.L12 = ar.L1") == [({"ar.L12": 1, "ar.L1": -1}, 0)]
    assert rows("s(2,12) = t^2 = 0") == [({"s(2,12)": 1, "t^2": -1}, 0), ({"t^2": 1}, 0)]
    assert rows("2*t - mean/4 = -1e1, t = 3") == [({"t": 2, "mean": -0.25}, -10), ({"t": 1}, 3)]
    assert rows(["1 - t = 0", "t * 2 * 3 = 6 / 4"]) == [({"t": -1}, -1), ({"t": 6}, 1.5)]
    for wrong in (
        "ar.L1", "ar.L3 = 0", "= 0", "ar.L1 =", "t t = 0", "t * = 0", "* t = 0", "t*mean = 0",
        "1/t = 0", "", "t == 0", "t = 0,", "(t) = 0",
    ):  # fmt: skip
        with pytest.raises(ParameterError, match="can not be read"):
            restriction_matrix(wrong, NAMES)
    for wrong in (np.ones(3), (np.ones((2, 7)), [1.0]), None, [], {"t": 0}, np.full(7, np.nan)):
        with pytest.raises(ParameterError, match="restrictions must be"):
            restriction_matrix(wrong, NAMES)


def test_what_can_not_be_tested_is_refused(sunspots):
    one, two = AR(1).fit(sunspots), AR(2).fit(sunspots)
    wrong = [
        (lambda: arproc.likelihood_ratio_test(two, one), "more parameters"),
        (lambda: arproc.likelihood_ratio_test(one, AR(2).fit(sunspots[1:])), "same data"),
        (lambda: arproc.likelihood_ratio_test(AR(1, initial="given").fit(sunspots), two), "start"),
        (
            lambda: arproc.likelihood_ratio_test(one, AR(2, method="yule-walker").fit(sunspots)),
            "maximum likelihood",
        ),
        (lambda: arproc.likelihood_ratio_test(AR.from_parameters([0.5]), two), "estimated"),
        (
            lambda: arproc.likelihood_ratio_test(AR(1, method="ols").fit(sunspots), two),
            "maximum likelihood",
        ),
        (
            lambda: arproc.likelihood_ratio_test(
                AR(1, initial="given").fit(sunspots), arproc.SETAR(1).fit(sunspots)
            ),
            "regimes",
        ),
        (lambda: two.wald_test("ar.L1 = 0, ar.L1 = 1"), "follow from each other"),
        (lambda: two.wald_test("ar.L1 = 0", covariance=np.eye(2)), "covariance has shape"),
        (lambda: AR.from_parameters([0.5]).wald_test("ar.L1 = 0"), "not estimated"),
        (lambda: AR.from_parameters([0.5]).covariance(), "not estimated"),
        (lambda: two.covariance("white", sunspots), "kind"),
        (lambda: two.covariance("robust"), "needs data"),
        (lambda: two.covariance("hac", sunspots, lags=-1), "lags"),
        (lambda: AR(1, method="burg").fit(sunspots).covariance("opg", sunspots), "likelihood"),
    ]
    for call, message in wrong:
        with pytest.raises(ArprocError, match=message):
            call()
    with pytest.raises(DataError, match="was fitted to"):
        two.covariance("robust", sunspots[:200])
    vector = arproc.VAR(1).fit(np.random.default_rng(0).normal(size=(50, 2)))
    with pytest.raises(UnsupportedError, match="hessian"):
        vector.covariance("robust", np.zeros((50, 2)))
    assert vector.wald_test(f"{vector.names_[0]} = 0").df == 1
