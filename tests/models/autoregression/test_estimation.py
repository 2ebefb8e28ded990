from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import exact_log_prob
from hypothesis import given
from hypothesis import strategies as st

from arproc import AR
from arproc.errors import DataError
from arproc.gaussian.levinson import coef_to_pacf, is_stationary, pacf_to_coef
from arproc.gaussian.terms import Terms, mean_form, recursion_form
from arproc.models.autoregression.estimation import estimate
from arproc.models.autoregression.exact import concentrated
from arproc.models.autoregression.moments import moments, scale

METHODS = ("mle", "ols", "yule-walker", "yule-walker-adjusted", "burg")


@pytest.fixture(scope="module")
def sunspots():
    import statsmodels.api as sm

    return sm.datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy().copy()


def one(x, order, trend="c", method="mle"):
    lags = np.arange(1, order + 1)
    return estimate(np.asarray(x, dtype=float), np.array([len(x)]), lags, Terms(trend), method)


def line(found):
    """Level at t = 0 and slope of the mean."""
    return [float(v) for v in [*found.beta, 0.0, 0.0][:2]]


def theirs_of_line(found, trend):
    """The mean as statsmodels counts it, t from 1."""
    mean, slope = line(found)
    return {"n": [], "c": [mean], "ct": [mean - slope, slope]}[trend]


def log_likelihood(x, found):
    coef = torch.from_numpy(found.coef)
    x = torch.as_tensor(x, dtype=torch.float64)
    mean, slope = line(found)
    return float(exact_log_prob(x, coef, mean, found.sigma2, slope))


def simulate(coef, n, seed, mean=0.0):
    from scipy.signal import lfilter

    noise = np.random.default_rng(seed).normal(size=n + 300)
    return lfilter([1.0], np.r_[1, -np.asarray(coef)], noise)[300:] + mean


# ---- exact maximum likelihood ------------------------------------------------------------------


@pytest.mark.parametrize("trend", ["n", "c", "ct"])
@pytest.mark.parametrize("order", [0, 1, 2, 5])
def test_mle_reaches_statsmodels_optimum_or_better(sunspots, order, trend):
    from statsmodels.tsa.arima.model import ARIMA

    found = one(sunspots, order, trend)
    model = ARIMA(sunspots, order=(order, 0, 0), trend=trend)
    reference = model.fit(cov_type="none", method_kwargs={"pgtol": 1e-9, "factr": 10.0})
    ours = log_likelihood(sunspots, found)
    assert ours >= reference.llf - 1e-8
    assert ours == pytest.approx(reference.llf, rel=1e-5)
    np.testing.assert_allclose(found.coef, reference.arparams, atol=2e-4)
    assert found.sigma2 == pytest.approx(reference.params[-1], rel=1e-4)
    # what statsmodels says of our parameters is what we say
    head = {
        "n": [],
        "c": line(found)[:1],
        "ct": [line(found)[0] - line(found)[1], line(found)[1]],
    }[trend]
    again = model.loglike(np.r_[head, found.coef, found.sigma2])
    assert ours == pytest.approx(again, rel=1e-8)


@pytest.mark.parametrize("trend", ["n", "c", "ct"])
def test_mle_standard_errors_are_statsmodels(sunspots, trend):
    from statsmodels.tsa.arima.model import ARIMA

    found = one(sunspots, 2, trend)
    model = ARIMA(sunspots, order=(2, 0, 0), trend=trend)
    head = {
        "n": [],
        "c": line(found)[:1],
        "ct": [line(found)[0] - line(found)[1], line(found)[1]],
    }[trend]
    here = model.smooth(np.r_[head, found.coef, found.sigma2], cov_type="approx")
    if trend == "ct":  # our level is at t = 0, theirs one step earlier
        shift = np.eye(5)
        shift[0, 1] = 1.0
        want = shift @ here.cov_params() @ shift.T
    else:
        want = here.cov_params()
    got = found.covariance
    size = np.sqrt(np.outer(np.diag(want), np.diag(want)))
    np.testing.assert_allclose(got / size, want / size, atol=2e-3)


def test_mle_covariance_is_the_inverse_hessian(sunspots):
    x = torch.from_numpy(sunspots)
    found = one(sunspots, 2, "ct")

    def function(theta):
        return exact_log_prob(x, theta[2:4], theta[0], theta[4], theta[1])

    hessian = torch.autograd.functional.hessian(function, torch.from_numpy(found.values))
    np.testing.assert_allclose(found.covariance, np.linalg.inv(-hessian.numpy()), rtol=1e-6)


@given(st.integers(0, 10_000), st.integers(0, 5), st.sampled_from(["n", "c", "ct"]))
def test_mle_is_a_stationary_point_for_pooled_ragged_sequences(seed, order, trend):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 12, size=rng.integers(1, 5))
    lengths[0] = 2 * order + 9
    parts = [rng.normal(size=n).cumsum() + 2 for n in lengths]
    found = estimate(np.concatenate(parts), lengths, np.arange(1, order + 1), Terms(trend), "mle")
    theta = torch.tensor(
        [line(found)[0], line(found)[1], found.sigma2, *found.coef], dtype=torch.float64
    ).requires_grad_()
    total = sum(
        exact_log_prob(torch.from_numpy(part), theta[3:], theta[0], theta[2], theta[1])
        for part in parts
    )
    gradient = torch.autograd.grad(total, theta)[0]
    free = [trend != "n", trend == "ct", True] + [True] * order
    # in units of the standard errors: a step of one of them changes the likelihood by a half
    errors = np.sqrt(np.diag(found.covariance))
    scaled = (
        gradient.numpy()[free]
        * np.r_[
            errors[: len(trend.replace("n", ""))],
            errors[-1],
            errors[len(trend.replace("n", "")) : -1],
        ]
    )
    np.testing.assert_allclose(scaled, 0, atol=1e-5)


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_the_concentrated_objective_and_gradient(seed, order):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=30).cumsum()
    data = scale(x, np.array([30]), Terms("c"))
    sums = moments(data, order)
    z = rng.normal(size=order)
    at = concentrated(z, sums)
    coef, sigma2 = torch.from_numpy(at.coef), float(at.sum_squares) / 30
    value = exact_log_prob(torch.from_numpy(data.values), coef, float(at.beta[0]), sigma2)
    assert -2 * float(value) == pytest.approx(
        30 * (float(at.objective) + 1 + np.log(2 * np.pi / 30)), rel=1e-9
    )
    for k in range(order):
        h = 1e-6 * np.eye(order)[k]
        slope = (concentrated(z + h, sums).objective - concentrated(z - h, sums).objective) / 2e-6
        assert float(slope) == pytest.approx(at.gradient[k], rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("seed", range(8))
def test_mle_is_no_worse_than_many_restarts(seed):
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    x = rng.normal(size=25).cumsum() if seed % 2 else rng.normal(size=25)
    sums = moments(scale(x, np.array([25]), Terms("c")), 3)

    def function(z):
        at = concentrated(z, sums)
        return float(at.objective), at.gradient

    best = min(
        minimize(function, z, jac=True, method="L-BFGS-B", bounds=[(-12, 12)] * 3).fun
        for z in rng.normal(size=(8, 3))
    )
    found = one(x, 3)
    assert float(concentrated(np.arctanh(coef_to_pacf(found.coef)), sums).objective) <= best + 1e-9


@given(st.integers(0, 1000))
def test_mle_is_always_stationary(seed):
    rng = np.random.default_rng(seed)
    x = [rng.normal(size=80).cumsum(), 1.1 ** np.arange(80) + rng.normal(size=80)][seed % 2]
    assert is_stationary(one(x, 3).coef)
    assert is_stationary(one(x, 3, method="yule-walker").coef)
    assert is_stationary(one(x, 3, method="burg").coef)


def test_mle_keeps_its_digits_where_innovations_are_tiny():
    # three integrations: the innovations are 1e-11 of the data's variance
    x = np.random.default_rng(3).normal(size=300).cumsum().cumsum().cumsum()
    found = one(x, 4)
    z = torch.tensor(np.arctanh(coef_to_pacf(found.coef)))
    # going along any coefficient at a fixed variance lowers the likelihood, by the dense formula
    here = log_likelihood(x, found)
    for k in range(4):
        for step in (-1e-2, 1e-2):
            moved = z.clone()
            moved[k] += step
            coef = torch.from_numpy(pacf_to_coef(np.tanh(moved.numpy())))
            there = exact_log_prob(torch.from_numpy(x), coef, line(found)[0], found.sigma2)
            assert float(there) < here


# ---- least squares and Yule-Walker -------------------------------------------------------------


@pytest.mark.parametrize("trend", ["n", "c", "ct"])
@pytest.mark.parametrize("order", [1, 3, 9])
def test_ols_is_statsmodels_autoreg(sunspots, order, trend):
    from statsmodels.tsa.ar_model import AutoReg

    found = one(sunspots, order, trend, "ols")
    reference = AutoReg(sunspots, order, trend=trend).fit()
    got, errors = found.values[:-1].copy(), np.sqrt(np.diag(found.covariance))[:-1].copy()
    want, their_errors = reference.params.copy(), reference.bse.copy()
    if trend == "ct":  # statsmodels counts t from 1
        want[0] += want[1]
        got, errors, want, their_errors = (v[1:] for v in (got, errors, want, their_errors))
        assert found.gamma[0] == pytest.approx(reference.params[0] + reference.params[1])
    np.testing.assert_allclose(got, want, rtol=1e-9)
    np.testing.assert_allclose(errors, their_errors, rtol=1e-9)
    assert found.sigma2 == pytest.approx(reference.sigma2, rel=1e-10)


@pytest.mark.parametrize(("method", "theirs"), [("", "mle"), ("-adjusted", "adjusted")])
def test_yule_walker_is_statsmodels(sunspots, method, theirs):
    from statsmodels.regression.linear_model import yule_walker

    for order in (1, 4, 9):
        found = one(sunspots, order, method="yule-walker" + method)
        coef, sigma = yule_walker(sunspots, order, method=theirs, result_object=False)
        np.testing.assert_allclose(found.coef, coef, rtol=1e-9)
        assert found.sigma2 == pytest.approx(sigma**2, rel=1e-9)
        assert found.beta[0] == pytest.approx(sunspots.mean())


@pytest.mark.parametrize("order", [0, 1, 4, 9, 30])
def test_burg_is_statsmodels(sunspots, order):
    from statsmodels.regression.linear_model import burg

    found = one(sunspots, order, method="burg")
    if order:
        np.testing.assert_allclose(found.coef, burg(sunspots, order)[0], rtol=1e-9)
    pacf = coef_to_pacf(found.coef)
    assert found.sigma2 == pytest.approx(sunspots.var() * np.prod(1 - pacf**2), rel=1e-10)


def test_burg_of_several_sequences_minimises_their_errors_together():
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=n).cumsum() for n in (9, 1, 2, 14)]
    lengths = np.array([len(part) for part in parts])
    found = estimate(np.concatenate(parts), lengths, np.arange(1, 3), Terms("n"), "burg")
    pacf = coef_to_pacf(found.coef)

    def errors(r, k):
        """Forward and backward errors of order k with the last partial autocorrelation r."""
        coef = pacf_to_coef(np.array([*pacf[: k - 1], r]))
        total = 0.0
        for part in parts:
            for t in range(k, len(part)):
                window = part[t - k : t + 1]
                total += (window[-1] - coef @ window[:-1][::-1]) ** 2
                total += (window[0] - coef @ window[1:]) ** 2
        return total

    for k in (1, 2):
        here = errors(pacf[k - 1], k)
        assert here < min(errors(pacf[k - 1] - 1e-3, k), errors(pacf[k - 1] + 1e-3, k))


def test_left_out_lags_by_yule_walker_solve_their_equations(sunspots):
    y = sunspots - sunspots.mean()
    gamma = np.array([y[k:] @ y[: len(y) - k] for k in range(10)]) / len(y)
    lags = np.array([1, 2, 9])
    found = estimate(sunspots, np.array([len(y)]), lags, Terms("c"), "yule-walker")
    assert np.flatnonzero(found.coef).tolist() == [0, 1, 8]
    for k in lags:
        assert gamma[k] == pytest.approx(found.coef[lags - 1] @ gamma[np.abs(k - lags)])
    assert found.sigma2 == pytest.approx(gamma[0] - found.coef[lags - 1] @ gamma[lags])


@pytest.mark.parametrize("method", ["yule-walker", "burg"])
def test_standard_errors_are_those_of_maximum_likelihood_in_long_series(method):
    x = simulate(pacf_to_coef(np.array([0.6, -0.4])), 100_000, 0)
    ours, exact = one(x, 2, "ct", method), one(x, 2, "ct")
    size = np.sqrt(np.diag(exact.covariance))
    difference = (ours.covariance - exact.covariance) / np.outer(size, size)
    assert np.abs(difference).max() < 0.02


@pytest.mark.parametrize("trend", ["c", "ct"])
def test_errors_of_a_mean_removed_by_least_squares(trend):
    rng = np.random.default_rng(0)
    x, lengths = rng.normal(size=31), np.array([12, 3, 16])
    found = estimate(x, lengths, np.array([1]), Terms(trend), "yule-walker")
    gamma = found.sigma2 * found.coef[0] ** np.arange(16) / (1 - found.coef[0] ** 2)
    design = np.concatenate([Terms(trend).columns(torch.arange(n)).numpy() for n in lengths])
    covariance = np.zeros((31, 31))
    for stop, n in zip(lengths.cumsum(), lengths, strict=True):
        lag = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
        covariance[stop - n : stop, stop - n : stop] = gamma[lag]
    pseudo = np.linalg.pinv(design)
    want = pseudo @ covariance @ pseudo.T
    q = design.shape[1]
    np.testing.assert_allclose(found.covariance[:q, :q], want, rtol=1e-5)


@given(st.integers(0, 10_000), st.integers(0, 4), st.sampled_from(["n", "c", "ct"]))
def test_ols_pooled_is_the_regression_on_the_design_matrix(seed, order, trend):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 15, size=4)
    lengths[0] = 20
    parts = [rng.normal(size=n).cumsum() * 3 + 50 for n in lengths]
    found = estimate(np.concatenate(parts), lengths, np.arange(1, order + 1), Terms(trend), "ols")
    rows, target = [], []
    for part in parts:
        for t in range(order, len(part)):
            rows.append([*[1.0, t][: len(trend.replace("n", ""))], *part[t - order : t][::-1]])
            target.append(part[t])
    theta, *_ = np.linalg.lstsq(np.array(rows).reshape(len(target), -1), np.array(target))
    np.testing.assert_allclose(found.values[:-1], theta, rtol=1e-6, atol=1e-7)
    assert found.used == len(target)


def test_ols_of_nearly_collinear_data_keeps_its_digits():
    from statsmodels.tsa.ar_model import AutoReg

    t = np.arange(400)
    x = np.sin(0.02 * t) + 1e-6 * np.random.default_rng(0).normal(size=400)
    found, reference = one(x, 4, method="ols"), AutoReg(x, 4).fit()
    assert found.sigma2 == pytest.approx(reference.sigma2, rel=1e-7)
    np.testing.assert_allclose(found.values[:-1], reference.params, rtol=1e-5, atol=1e-9)


def test_methods_agree_on_long_series():
    coef = pacf_to_coef(np.array([0.6, -0.4, 0.3]))
    x = simulate(coef, 200_000, 0, mean=3.0)
    for method in METHODS:
        found = one(x, 3, method=method)
        np.testing.assert_allclose(found.coef, coef, atol=0.01)
        assert line(found)[0] == pytest.approx(3.0, abs=0.05)
        assert found.sigma2 == pytest.approx(1.0, abs=0.02)


@given(st.lists(st.floats(-0.9, 0.9), max_size=4), st.floats(-5, 5), st.floats(-1, 1))
def test_mean_and_recursion_are_two_forms_of_one_process(pacf, mean, slope):
    coef = pacf_to_coef(np.array(pacf))
    terms, beta = Terms("ct"), np.array([mean, slope])
    back = mean_form(coef, recursion_form(coef, beta, terms), terms)
    assert back == pytest.approx((mean, slope), rel=1e-6, abs=1e-6)
    intercept, drift = recursion_form(coef, beta, terms)
    m = mean + slope * np.arange(10)
    for t in range(len(coef), 10):
        by_recursion = intercept + drift * t + sum(c * m[t - 1 - i] for i, c in enumerate(coef))
        assert by_recursion == pytest.approx(m[t], abs=1e-9)


def test_a_unit_root_has_no_mean():
    root = np.array([1.0])
    assert np.isnan(mean_form(root, np.array([0.5]), Terms("c"))).all()
    assert mean_form(root, np.zeros(2), Terms("ct")).tolist() == [0.0, 0.0]


# ---- ill-posed data ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1e-60, 1e-12, 1e12, 1e60])
def test_scale_changes_nothing_but_scale(method, factor):
    x = simulate([0.5, -0.3], 200, 1, mean=2.0)
    plain, scaled = one(x, 2, method=method), one(x * factor, 2, method=method)
    np.testing.assert_allclose(scaled.coef, plain.coef, rtol=1e-8)
    assert scaled.beta[0] == pytest.approx(plain.beta[0] * factor, rel=1e-9)
    assert np.sqrt(scaled.sigma2) == pytest.approx(np.sqrt(plain.sigma2) * factor, rel=1e-9)


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_a_scale_whose_variance_is_no_number_is_refused(factor):
    with pytest.raises(DataError, match="another unit"):
        one(simulate([0.5], 50, 1) * factor, 1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("trend", ["c", "ct"])
def test_a_large_offset_changes_nothing_but_the_mean(method, trend):
    x = simulate([0.5, -0.3], 200, 1)
    plain, moved = one(x, 2, trend, method), one(x + 1e9, 2, trend, method)
    np.testing.assert_allclose(moved.coef, plain.coef, atol=1e-5)
    assert moved.beta[0] - 1e9 == pytest.approx(plain.beta[0], abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("x", "order", "trend"),
    [
        (np.full(50, 3.3), 1, "c"),
        (np.zeros(50), 1, "n"),
        (np.arange(50.0), 1, "ct"),
        (np.arange(5.0), 5, "c"),
        (np.arange(3.0), 5, "c"),
        (np.array([1.0]), 0, "c"),
    ],
)
def test_data_without_innovations_or_too_few_are_refused(x, order, trend, method):
    with pytest.raises(DataError, match=r"data (is|are|obey|do)"):
        one(x, order, trend, method)


@pytest.mark.parametrize("method", ["mle", "ols"])
@pytest.mark.parametrize("x", [np.arange(99.0), (-1.0) ** np.arange(99), np.sin(np.arange(99))])
def test_deterministic_data_are_refused(x, method):
    with pytest.raises(DataError, match=r"data"):
        one(x, 2, "c", method)


def test_an_unbounded_likelihood_is_refused():
    # three free frequencies pass through any six values
    x = np.random.default_rng(0).normal(size=6)
    with pytest.raises(DataError, match="no maximum"):
        one(x, 5, "n")


@pytest.mark.parametrize("n", [10, 12, 16])
def test_order_close_to_the_length_works(n):
    x = np.random.default_rng(n).normal(size=n)
    found = one(x, 5)
    assert is_stationary(found.coef)
    assert np.isfinite(log_likelihood(x, found))


# ---- what must work, by AR.fit ------------------------------------------------------------------


def fits(x, method, order, **options):
    """A fit whose every number is finite."""
    start = "stationary" if method in ("mle", "yule-walker", "burg") else "given"
    model = AR(order, method=method, initial=start, **options).fit(x)
    assert np.isfinite([*model.coef_, model.sigma2_, model.log_likelihood_]).all()
    assert np.isfinite(model.covariance_).all()
    assert np.isfinite(model.forecast(x, 3).to_numpy()).all()
    return model


@pytest.mark.parametrize("method", METHODS)
def test_orders_close_to_the_length_by_every_method(method):
    x = np.random.default_rng(0).normal(size=20)
    for order in {"ols": (5, 8), "mle": (5, 12)}.get(method, (5, 12, 18)):
        fits(x, method, order)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("lag", [1, 12])
def test_roots_close_to_one(method, gap, lag):
    noise, x = np.random.default_rng(0).normal(size=500), np.zeros(500)
    for t in range(lag, 500):
        x[t] = (1 - gap) * x[t - lag] + noise[t]
    fits(x, method, lag if method == "burg" or lag == 1 else [lag])
    if lag > 1 and method != "burg":
        fits(x, method, [lag], seasonal=lag)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_scale_changes_nothing_with_terms(method, factor):
    x = simulate([0.6, -0.3], 200, 0, mean=2.0)
    options = {"trend": "ctt", "seasonal": 4, "fourier": {7: 1}}
    plain, scaled = fits(x, method, 2, **options), fits(factor * x, method, 2, **options)
    np.testing.assert_allclose(scaled.coef_, plain.coef_, rtol=1e-8)
    np.testing.assert_allclose(scaled.beta_ / factor, plain.beta_, rtol=1e-6, atol=1e-9)
    assert scaled.sigma2_ / factor**2 == pytest.approx(plain.sigma2_)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint64])
def test_whole_numbers_do_not_overflow(method, dtype):
    x = np.random.default_rng(0).integers(0, 120, size=80)
    whole, plain = (
        fits(x.astype(dtype), method, 2, trend="ctt"),
        fits(1.0 * x, method, 2, trend="ctt"),
    )
    np.testing.assert_array_equal(whole.coef_, plain.coef_)
