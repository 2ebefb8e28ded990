"""Trends, seasons, Fourier terms, regressors and left-out lags, against statsmodels."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import arproc
from arproc import AR
from arproc.contract.state import State
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.gaussian.levinson import pacf_to_coef
from arproc.gaussian.terms import Terms, mean_form, recursion_form
from arproc.models.autoregression import simulation

# parts of a series, and others, are scored as if each began where that of fit did
pytestmark = pytest.mark.filterwarnings("ignore::arproc.errors.PlaceWarning")


@pytest.fixture(scope="module")
def macro():
    import statsmodels.api as sm

    return sm.datasets.macrodata.load_pandas().data


@pytest.fixture(scope="module")
def growth(macro):
    """Quarterly growth of GDP in percent, and the change of unemployment and inflation."""
    y = 100 * np.diff(np.log(macro["realgdp"].to_numpy()))
    x = np.column_stack([np.diff(macro["unemp"].to_numpy()), macro["infl"].to_numpy()[1:]])
    return y, x


def sarimax(y, lags, **options):
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SARIMAX(y, order=(lags, 0, 0), **options)


TERMS = st.builds(
    Terms,
    st.sampled_from(["n", "c", "ct", "ctt"]),
    st.sampled_from([None, 2, 3, 7]),
    st.sampled_from([(), ((5.0, 2),), ((4.0, 2), (6.5, 1))]),
)


# ---- columns ------------------------------------------------------------------------------------


@given(TERMS, st.integers(0, 10**6))
def test_a_step_back_in_time_is_the_shift(terms, t):
    here, before = terms.columns(torch.tensor([t, t - 1])).numpy()
    np.testing.assert_allclose(here @ terms.shift, before, rtol=1e-9, atol=1e-6)


@given(TERMS, st.lists(st.floats(-0.7, 0.7), max_size=4), st.integers(0, 99))
def test_mean_and_recursion_are_two_forms_of_one_process(terms, pacf, seed):
    coef, rng = pacf_to_coef(np.array(pacf)), np.random.default_rng(seed)
    beta = rng.normal(size=terms.n)
    gamma = recursion_form(coef, beta, terms)
    np.testing.assert_allclose(mean_form(coef, gamma, terms), beta, rtol=1e-6, atol=1e-6)
    columns = terms.columns(torch.arange(len(coef) + 9)).numpy()
    mean, p = columns @ beta, len(coef)
    for t in range(p, len(mean)):
        assert columns[t] @ gamma == pytest.approx(mean[t] - coef @ mean[t - p : t][::-1])


def test_a_seasonal_unit_root_has_no_mean():
    terms, coef = Terms("c", seasonal=2), np.array([-1.0])
    assert np.isnan(mean_form(coef, np.array([1.0, 0.5]), terms)).all()
    assert np.isfinite(mean_form(coef, np.array([1.0]), Terms("c"))).all()


def test_columns_are_statsmodels_deterministic_terms():
    import pandas as pd
    from statsmodels.tsa.deterministic import CalendarFourier, DeterministicProcess, Fourier

    assert CalendarFourier  # the calendar's terms are another thing: these go by position
    index = pd.RangeIndex(40)
    process = DeterministicProcess(
        index, constant=True, order=2, seasonal=True, period=4, additional_terms=[Fourier(7, 2)]
    )
    theirs = process.in_sample()
    terms = Terms("ctt", 4, ((7.0, 2),))
    ours = terms.columns(torch.arange(40)).numpy()
    names = {"t": "trend", "t^2": "trend_squared"}
    for j, name in enumerate(terms.names):
        other = theirs[names.get(name, name)].to_numpy()
        shift = {"t": 1.0, "t^2": 1.0}.get(name)  # they count from 1
        if shift:
            other = (np.sqrt(other) - 1) ** 2 if name == "t^2" else other - 1
        np.testing.assert_allclose(ours[:, j], other, atol=1e-10)


# ---- least squares, against AutoReg ------------------------------------------------------------


@pytest.mark.parametrize("lags", [0, 3, [1, 4], [2], [12, 1, 5]])
@pytest.mark.parametrize(
    ("trend", "seasonal"), [("n", None), ("c", 4), ("n", 4), ("ct", 12), ("ctt", None)]
)
@pytest.mark.parametrize("exog", [False, True])
def test_least_squares_is_autoreg(growth, lags, trend, seasonal, exog):
    from statsmodels.tsa.ar_model import AutoReg

    y, x = growth
    context = x[:-8] if exog else None
    meaning = "recursion" if exog else None
    model = AR(lags, trend, "ols", "given", seasonal=seasonal, regressors=meaning)
    model.fit(y[:-8], context=context)
    # statsmodels takes no quadratic trend: t^2 goes among its regressors
    squared = np.arange(len(y))[:, None] ** 2.0 if trend == "ctt" else np.zeros((len(y), 0))
    theirs_x = np.concatenate([squared, x if exog else x[:, :0]], axis=1)
    theirs = AutoReg(
        y[:-8],
        lags,
        trend=trend.replace("tt", "t"),
        seasonal=seasonal is not None,
        period=seasonal,
        exog=theirs_x[:-8] if theirs_x.shape[1] else None,
    ).fit()
    got = np.sqrt(np.diag(model.covariance_))[:-1]
    want = dict(zip(theirs.model.exog_names, theirs.bse, strict=True))
    assert model.log_likelihood_ == pytest.approx(theirs.llf, rel=1e-9)
    assert model.sigma2_ == pytest.approx(theirs.sigma2, rel=1e-9)
    at = {f"y.L{i}": i for i in model.lags_}
    for name, value in zip(theirs.model.exog_names, theirs.params, strict=True):
        if name in at:
            assert model.coef_[at[name] - 1] == pytest.approx(value, rel=1e-7, abs=1e-10)
    coefficients = [i for i, name in enumerate(model.names_) if name.startswith("ar.L")]
    assert len(coefficients) == len(model.lags_)
    for i in coefficients:
        assert got[i] == pytest.approx(want["y." + model.names_[i][3:]], rel=1e-7)
    forecast = model.forecast(y[:-8], 8, context=x if exog else None)
    start, stop = len(y) - 8, len(y) - 1
    out = theirs_x[-8:] if theirs_x.shape[1] else None
    expected = theirs.get_prediction(start, stop, exog_oos=out)
    np.testing.assert_allclose(forecast["mean"], expected.predicted_mean, rtol=1e-7)
    bounds = expected.conf_int(alpha=0.1)
    np.testing.assert_allclose(forecast[[0.05, 0.95]], bounds, rtol=1e-7)
    np.testing.assert_allclose(model.residuals(y[:-8], context=context), theirs.resid, atol=1e-9)


# ---- exact likelihood, against the state-space model -------------------------------------------


@pytest.mark.parametrize("lags", [2, [1, 4], [3]])
@pytest.mark.parametrize("terms", [{}, {"seasonal": 4}, {"trend": "ctt", "fourier": {5: 1}}])
@pytest.mark.parametrize("exog", [False, True])
def test_exact_maximum_likelihood_is_sarimax(growth, lags, terms, exog):
    y, x = growth
    y, ahead = y[:-6], x
    model = AR(lags, regressors="mean" if exog else None, **terms)
    model.fit(y, context=x[:-6] if exog else None)
    columns = Terms.of(**({"trend": "c"} | terms)).columns(torch.arange(len(x))).numpy()
    design = np.concatenate([columns, ahead], axis=1) if exog else columns
    pattern = lags if isinstance(lags, int) else [int(i in lags) for i in range(1, max(lags) + 1)]
    theirs = sarimax(y, pattern, exog=design[: len(y)])
    beta = model.estimates_[: design.shape[1]]
    parameters = np.r_[beta, model.coef_[model.lags_ - 1], model.sigma2_]
    assert model.log_likelihood_ == pytest.approx(theirs.loglike(parameters), rel=1e-9)
    # nothing near is likelier, by their likelihood
    result = theirs.smooth(parameters, cov_type="approx")
    score = theirs.score(parameters, approx_complex_step=True)
    errors = np.sqrt(np.diag(model.covariance_))
    assert np.abs(score * errors).max() < 1e-4
    np.testing.assert_allclose(errors, result.bse, rtol=5e-3)
    want = result.get_forecast(6, exog=design[len(y) :]).summary_frame(alpha=0.1)
    got = model.forecast(y, 6, context=x if exog else None)
    np.testing.assert_allclose(got["mean"], want["mean"], rtol=1e-7)
    np.testing.assert_allclose(got[0.05], want["mean_ci_lower"], rtol=1e-7)
    np.testing.assert_allclose(got[0.95], want["mean_ci_upper"], rtol=1e-7)


def test_regression_with_given_values_is_conditional_maximum_likelihood(growth):
    from scipy.optimize import minimize

    y, x = growth
    model = AR(2, initial="given", method="ols", regressors="mean").fit(y, context=x)
    design = np.column_stack([np.ones(len(y)), x])

    def sum_of_squares(theta):
        e = y - design @ theta[2:]
        return float(((e[2:] - theta[0] * e[1:-1] - theta[1] * e[:-2]) ** 2).sum())

    best = minimize(sum_of_squares, np.zeros(5), tol=1e-14)
    ours = np.r_[model.coef_, model.mean_, model.beta_]
    np.testing.assert_allclose(ours, best.x, rtol=1e-5)
    assert model.sigma2_ * (len(y) - 2) == pytest.approx(best.fun, rel=1e-10)
    # the covariance is the inverse of the observed information
    theta = torch.tensor([*ours, model.sigma2_], dtype=torch.float64)
    columns, data = torch.from_numpy(design), torch.from_numpy(y)

    def likelihood(theta):
        e = data - columns @ theta[2:5]
        rest = e[2:] - theta[0] * e[1:-1] - theta[1] * e[:-2]
        return -0.5 * (rest @ rest / theta[5] + len(rest) * theta[5].log())

    hessian = torch.autograd.functional.hessian(likelihood, theta).numpy()
    order = [2, 3, 4, 0, 1, 5]  # names_: mean, x1, x2, ar.L1, ar.L2, sigma2
    want = np.linalg.inv(-hessian)[np.ix_(order, order)]
    np.testing.assert_allclose(model.covariance_, want, rtol=1e-6, atol=1e-12)


def test_left_out_lags_beat_many_restarts(growth):
    from helpers import exact_log_prob
    from scipy.optimize import minimize

    y = torch.from_numpy(growth[0][:60])
    model = AR([2, 5], "n").fit(y.numpy())
    found = float(exact_log_prob(y, torch.tensor(model.coef_), 0.0, model.sigma2_))
    rng = np.random.default_rng(0)

    def loss(theta):
        coef = torch.tensor([0, theta[0], 0, 0, theta[1]], dtype=torch.float64)
        try:
            return -float(exact_log_prob(y, coef, 0.0, float(np.exp(theta[2]))))
        except ParameterError:
            return 1e6

    for start in rng.uniform(-0.6, 0.6, (6, 3)):
        assert -minimize(loss, start, method="Nelder-Mead").fun <= found + 1e-8


# ---- the contract's paths, with a context ------------------------------------------------------

KINDS = {
    "mean": AR(2, "ct", regressors="mean"),
    "mean given": AR([1, 3], "c", "ols", "given", regressors="mean"),
    "recursion": AR(2, "c", "ols", "given", seasonal=3, regressors="recursion"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compile_from", [0, 10**9])
def test_fast_draws_are_the_derived_ones(growth, kind, compile_from, monkeypatch):
    monkeypatch.setattr(simulation, "COMPILE_FROM", compile_from)
    y, x = growth
    model = AR(**KINDS[kind].get_params()).fit(y, context=x)
    states = [model.start([y[:3], y[4:9]], context=np.stack([x[:90], x[90:180]]))]
    if not model.n_given:
        states.append(model.start(2, context=np.stack([x[:90], x[90:180]])))
    u = torch.from_numpy(np.random.default_rng(0).random((2, 40)))
    for state in states:
        got, after = state.advance(u)
        want, _ = State.advance(state, u)
        torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-9)
        torch.testing.assert_close(after.conditional.loc, state.extend(got)[0].loc[:, -1])


@pytest.mark.parametrize("kind", KINDS)
def test_likelihoods_of_ragged_rows_and_saved_models(growth, kind, tmp_path):
    y, x = growth
    model = AR(**KINDS[kind].get_params()).fit(y, context=x)
    data, context = [y[:50], y[60:75]], np.stack([x[:50], x[60:110]])
    sequences = model.sequences(data)
    prepared = model.read_context(context, 2, 50)
    derived = model.law_.derived_log_prob_terms(sequences, prepared)
    np.testing.assert_allclose(model.law_.log_prob_terms(sequences, prepared), derived, atol=1e-11)
    both = model.log_prob(data, context=context)
    one = [model.log_prob(row, context=c) for row, c in zip(data, context, strict=True)]
    np.testing.assert_allclose(both, one, rtol=1e-12)
    model.save(tmp_path / "model.arproc")
    again = arproc.load(tmp_path / "model.arproc")
    assert again.log_prob(data[0], context=context[0]) == one[0]
    assert again.summary() == model.summary()
    assert again.terms_ == model.terms_


def test_pooled_fits_with_regressors(growth):
    y, x = growth
    data = [y[:60], y[60:150], y[150:]]
    context = np.zeros((3, 90, 2))
    for i, part in enumerate([x[:60], x[60:150], x[150:]]):
        context[i, : len(part)] = part
    model = AR(2, regressors="mean").fit(data, context=context)
    assert model.log_likelihood_ == pytest.approx(model.log_prob(data, context=context).sum())
    for i, step in enumerate(np.sqrt(np.diag(model.covariance_))[1:3]):
        moved = model.beta_.copy()
        moved[i] += 0.3 * step
        near = AR.from_parameters(
            model.coef_, model.mean_, model.sigma2_, beta=moved, regressors="mean"
        )
        assert near.log_prob(data, context=context).sum() < model.log_likelihood_


def test_gradients_of_every_parameter():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(9, 1)))
    values = torch.from_numpy(np.random.default_rng(1).normal(size=9)).requires_grad_()
    coef = torch.tensor([0.5, -0.2], dtype=torch.float64, requires_grad=True)
    mean, slope, sigma2 = (
        torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.3, 0.1, 1.3)
    )
    beta = torch.tensor([0.4, -0.3, 0.2, 0.7], dtype=torch.float64, requires_grad=True)

    for initial, regressors in (("stationary", "mean"), ("given", "mean"), ("given", "recursion")):

        def function(values, coef, mean, slope, sigma2, beta, initial=initial, way=regressors):
            model = AR.from_parameters(
                coef, mean, sigma2, slope, initial, beta=beta, trend="ctt", fourier={5: 1},
                regressors=way,
            )  # fmt: skip
            return model.log_prob(values, context=x)

        assert torch.autograd.gradcheck(function, (values, coef, mean, slope, sigma2, beta))


def test_known_parameters_are_the_fitted_ones(growth):
    y, x = growth
    for kind in (KINDS["mean"], KINDS["recursion"]):
        model = AR(**kind.get_params()).fit(y, context=x)
        known = AR.from_parameters(
            model.coef_, model.mean_, model.sigma2_, model.slope_, model.initial, beta=model.beta_,
            trend=model.trend, seasonal=model.seasonal, regressors=model.regressors,
        )  # fmt: skip
        assert known.log_prob(y, context=x) == pytest.approx(model.log_likelihood_, rel=1e-12)
        assert known.terms_ == model.terms_
        np.testing.assert_allclose(known.gamma_, model.gamma_, rtol=1e-9)


# ---- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"order": [1, 1]}, "order must list each lag once"),
        ({"order": [0, 2]}, "a lag in order must be at least 1"),
        ({"seasonal": 1}, "seasonal must be at least 2"),
        ({"fourier": 12}, "fourier must be a dict"),
        ({"fourier": {12: 7}}, "at most 6 harmonics"),
        ({"fourier": {1.5: 1}}, "a period of fourier"),
        ({"regressors": "both"}, "regressors must be one of 'mean', 'recursion'"),
        ({"regressors": "recursion"}, "initial must be 'given'"),
        (
            {"regressors": "recursion", "initial": "given", "method": "yule-walker"},
            "method must be 'ols'",
        ),
    ],
)
def test_wrong_arguments_are_named(wrong, message, growth):
    y, x = growth
    context = x if "regressors" in wrong else None
    with pytest.raises(ParameterError, match=message):
        AR(**({"order": 1} | wrong)).fit(y, context=context)


def test_collinear_columns_are_named(growth):
    y, x = growth
    twice = np.column_stack([x, 2 * x[:, 0] - x[:, 1] + 3])
    for meaning, start in (("mean", "stationary"), ("recursion", "given")):
        model = AR(1, regressors=meaning, initial=start)
        with pytest.raises(DataError, match="x3 is a combination of const, x1, x2 over"):
            model.fit(y, context=twice)
        with pytest.raises(DataError, match="x2 of the mean is 0"):
            model.fit(y, context=np.column_stack([x[:, 0], 0 * x[:, 0]]))
    with pytest.raises(
        DataError, match=r"sin\(1,12\) is a combination of const, s\(2,12\), .* s\(12,12\) over"
    ):
        AR(1, seasonal=12, fourier={12: 6}).fit(y)


def test_a_context_of_another_width_is_refused(growth):
    y, x = growth
    model = AR(1, regressors="mean").fit(y, context=x)
    for call in (model.log_prob, model.log_prob_terms, model.residuals, model.conditional):
        with pytest.raises(
            DataError, match="context has 1 numbers for each step; the model takes 2"
        ):
            call(y, context=x[:, :1] if call != model.conditional else np.zeros((len(y) + 1, 1)))
    with pytest.raises(ParameterError, match="needs a context"):
        model.forecast(y, 3)
    with pytest.raises(DataError, match="one for each element"):
        model.forecast(y, 3, context=x)
    with pytest.raises(UnsupportedError, match="window"):
        model.law_.window(torch.zeros(1, 1, 1), torch.ones(1, 1))


@pytest.mark.parametrize("trend", ["n", "c", "ct"])
def test_regressors_in_the_recursion_are_least_squares_of_everything_at_once(trend):
    rng = np.random.default_rng(5)
    z, x = rng.normal(size=(80, 2)), 4 + rng.normal(size=80).cumsum()
    model = AR(2, trend, regressors="recursion", initial="given").fit(x, context=z)
    line = np.column_stack([np.ones(80), np.arange(80.0)])[2:, : len(trend.replace("n", ""))]
    rows = np.column_stack([line, z[2:], x[1:-1], x[:-2]])
    want = np.linalg.lstsq(rows, x[2:], rcond=None)[0]
    np.testing.assert_allclose(model.estimates_[:-1], want, rtol=1e-8)
