"""VAR against statsmodels, brute-force normal laws, AR at d = 1, and its own symmetries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from torch.distributions import MultivariateNormal

import arproc
from arproc import AR, VAR
from arproc.errors import DataError, ParameterError
from arproc.gaussian.companion import largest_modulus
from arproc.models.autoregression.vector import simulation
from arproc.models.autoregression.vector.exact_likelihood import ExactLikelihood
from arproc.models.autoregression.vector.regression import standardise

COEF = np.array([[[0.5, 0.2], [-0.3, 0.4]], [[-0.2, 0.1], [0.0, 0.25]]])
SIGMA = np.array([[1.0, 0.4], [0.4, 0.5]])


@pytest.fixture(scope="module")
def macro():
    """Growth of US GDP, consumption and investment, quarterly."""
    import pandas as pd
    import statsmodels.api as sm

    table = sm.datasets.macrodata.load_pandas().data
    table.index = pd.period_range("1959Q1", periods=len(table), freq="Q")
    return np.log(table[["realgdp", "realcons", "realinv"]]).diff().dropna()


def whole_law(model: VAR, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of `length` elements of a stationary VAR, from psi weights."""
    coef, sigma = model.coef_, model.sigma_
    psi = simulation.psi_weights(coef, 2000)
    d = coef.shape[1]
    covariance = np.zeros((length, d, length, d))
    for h in range(length):
        gamma = sum(psi[k + h] @ sigma @ psi[k].T for k in range(2000 - h))
        for t in range(length - h):
            covariance[t + h, :, t] = gamma
            covariance[t, :, t + h] = gamma.T
    mean = model.mean_ + np.arange(length)[:, None] * model.slope_
    return mean.ravel(), covariance.reshape(length * d, length * d)


# ---- likelihood ---------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.0, 0.3])
@pytest.mark.parametrize("length", [1, 2, 3, 8])
def test_the_likelihood_is_the_block_toeplitz_normal(slope, length):
    model = VAR.from_parameters(COEF, [1.0, -2.0], SIGMA, [slope, -slope])
    x = np.random.default_rng(0).normal(size=(length, 2)) + 1
    mean, covariance = whole_law(model, length)
    want = multivariate_normal.logpdf(x.ravel(), mean, covariance)
    assert model.log_prob(x) == pytest.approx(want, rel=1e-12)
    np.testing.assert_allclose(model.log_prob_terms(x).sum(), want, rtol=1e-12)


def test_ragged_sequences_have_the_derived_terms(macro):
    x = macro.to_numpy()
    for model in (VAR(3).fit(x), VAR(2, "ct").fit(x), VAR(2, initial="given").fit(x)):
        data = [x[:40], x[7:10], x[50 : 51 + model.n_given]]
        sequences = model.sequences(data)
        fast = model.law_.log_prob_terms(sequences, None)
        np.testing.assert_allclose(
            fast, model.law_.derived_log_prob_terms(sequences, None), atol=1e-9
        )


def test_the_exact_likelihood_is_statsmodels_varmax(macro):
    from statsmodels.tsa.statespace.varmax import VARMAX

    model = VAR(2).fit(macro)
    reference = VARMAX(macro.to_numpy(), order=(2, 0), trend="c")
    lags = model.coef_.transpose(1, 0, 2).reshape(3, -1)
    root = np.linalg.cholesky(model.sigma_)[np.tril_indices(3)]
    theta = np.concatenate([model.intercept_, lags.ravel(), root])
    assert model.log_likelihood_ == pytest.approx(reference.loglike(theta), rel=1e-9)


def test_a_normal_law_of_the_first_elements_is_used():
    root = np.linalg.cholesky(whole_law(VAR.from_parameters(COEF, sigma=SIGMA), 2)[1])
    initial = MultivariateNormal(
        torch.zeros(4, dtype=torch.float64), scale_tril=torch.as_tensor(root)
    )
    own = VAR.from_parameters(COEF, [1.0, 2.0], SIGMA, initial=initial)
    stationary = VAR.from_parameters(COEF, 0.0, SIGMA)
    x = np.random.default_rng(1).normal(size=(2, 2))
    assert own.log_prob(x) == pytest.approx(stationary.log_prob(x), rel=1e-12)
    later = VAR.from_parameters(COEF, [1.0, 2.0], SIGMA)
    longer = np.concatenate([x, np.ones((3, 2))])
    np.testing.assert_allclose(
        own.log_prob_terms(longer)[2:], later.log_prob_terms(longer)[2:], rtol=1e-12
    )


def test_the_likelihood_is_differentiable_in_the_parameters():
    parts = [torch.tensor(a, dtype=torch.float64, requires_grad=True)
             for a in (COEF, [1.0, -2.0], SIGMA, [0.1, 0.2])]  # fmt: skip
    x = torch.as_tensor(np.random.default_rng(2).normal(size=(9, 2)))

    def log_prob(coef, mean, root, slope):
        return VAR.from_parameters(coef, mean, (root + root.mT) / 2, slope).log_prob(x)

    assert torch.autograd.gradcheck(log_prob, parts)


# ---- estimation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "trend"), [(0, "c"), (1, "n"), (1, "c"), (4, "c"), (4, "n"), (4, "ct")]
)
def test_least_squares_is_statsmodels(macro, order, trend):
    from statsmodels.tsa.api import VAR as Reference

    model = VAR(order, trend, method="ols", initial="given").fit(macro)
    fit = Reference(macro.to_numpy()).fit(order, trend=trend)
    n, k = fit.nobs, fit.df_model
    np.testing.assert_allclose(model.coef_, np.reshape(fit.coefs, (order, 3, 3)), rtol=1e-9)
    np.testing.assert_allclose(model.sigma_, fit.sigma_u_mle, rtol=1e-9)
    if trend == "c":
        np.testing.assert_allclose(model.intercept_, fit.intercept, rtol=1e-9)
    assert model.log_likelihood_ == pytest.approx(fit.llf, rel=1e-10)
    rest = model.residuals(macro)
    assert list(rest.columns) == list(macro.columns)
    assert rest.index[0] == macro.index[order]
    np.testing.assert_allclose(rest, fit.resid, atol=1e-12)
    # theirs are per element, without the normal constant, and do not count sigma's numbers
    for name in ("aic", "bic", "hqic"):
        plain = model.information_criterion(name) + 2 * model.log_likelihood_
        charge = plain * (1 - 6 / len(model.names_)) - 2 * model.log_likelihood_
        want = n * getattr(fit, name) + 3 * n * (1 + np.log(2 * np.pi))
        assert charge == pytest.approx(want, rel=1e-9)
    # their standard errors divide the residuals by n less the coefficients of an equation
    error = model.parameter_table()["std_error"].to_numpy()[:-6].reshape(3, -1)
    first = fit.k_trend if trend != "ct" else 0
    if trend != "ct":
        want = np.reshape(fit.stderr, (-1, 3)).T * np.sqrt((n - k) / n)
        np.testing.assert_allclose(error[:, first:], want[:, first:], rtol=1e-8)


def test_forecasts_and_intervals_are_statsmodels(macro):
    from statsmodels.tsa.api import VAR as Reference

    model = VAR(2, method="ols", initial="given").fit(macro)
    fit = Reference(macro.to_numpy()).fit(2)
    middle, low, high = fit.forecast_interval(macro.to_numpy(), 8, alpha=0.1)
    table = model.forecast(macro, 8, quantiles=(0.05, 0.95))
    assert str(table.index[0]) == "2009Q4"
    assert list(table.columns.levels[0]) == sorted(macro)
    shrink = np.sqrt(fit.df_resid / fit.nobs)  # their sigma is larger
    for a, name in enumerate(macro.columns):
        np.testing.assert_allclose(table[name]["mean"], middle[:, a], rtol=1e-8)
        np.testing.assert_allclose(
            table[name][0.95] - table[name]["mean"], shrink * (high - middle)[:, a], rtol=1e-8
        )
        np.testing.assert_allclose(
            table[name]["mean"] - table[name][0.05], shrink * (middle - low)[:, a], rtol=1e-8
        )


@pytest.mark.parametrize(("order", "trend"), [(0, "c"), (1, "n"), (3, "c"), (2, "ct")])
def test_one_component_is_ar(macro, order, trend):
    x = macro["realgdp"]
    one, vector = AR(order, trend).fit(x), VAR(order, trend).fit(x.to_frame())
    np.testing.assert_allclose(vector.coef_.ravel(), one.coef_, atol=1e-7)
    np.testing.assert_allclose(vector.sigma_, one.sigma2_, rtol=1e-7)
    np.testing.assert_allclose([vector.mean_[0], vector.slope_[0]],
                               [one.mean_, one.slope_], rtol=1e-6, atol=1e-12)  # fmt: skip
    assert vector.log_likelihood_ == pytest.approx(one.log_likelihood_, rel=1e-12)
    errors = [m.parameter_table()["std_error"].to_numpy() for m in (vector, one)]
    np.testing.assert_allclose(errors[0], errors[1], rtol=1e-4)
    tables = [m.forecast(h, 6) for m, h in ((vector, x.to_frame()), (one, x))]
    np.testing.assert_allclose(tables[0], tables[1], rtol=1e-6)


def test_mle_is_a_maximum_with_its_information(macro):
    model = VAR(1).fit(macro)
    parts = [torch.tensor(a, requires_grad=True) for a in (model.coef_, model.mean_, model.sigma_)]
    x = torch.as_tensor(macro.to_numpy())

    def log_prob(coef, mean, sigma):
        return VAR.from_parameters(coef, mean, sigma).log_prob(x)

    gradients = torch.autograd.grad(log_prob(*parts), parts)
    error = model.parameter_table()["std_error"]
    scores = np.concatenate([(g.numpy()).ravel() for g in gradients[:2]])
    lags = [error[[f"L1.{b}.{a}" for b in macro]].to_numpy() for a in macro]
    means = error[[f"mean.{a}" for a in macro]].to_numpy()
    # in units of standard errors nothing is left to gain
    assert np.abs(scores * np.concatenate([np.ravel(lags), means])).max() < 1e-5
    hessian = torch.autograd.functional.hessian(
        lambda coef: log_prob(coef, parts[1].detach(), parts[2].detach()), parts[0].detach()
    ).reshape(9, 9)
    information = np.linalg.inv(model.covariance_)
    coefficients = [i for i, name in enumerate(model.names_) if name.startswith("L1")]
    got = information[np.ix_(coefficients, coefficients)]
    np.testing.assert_allclose(got, -hessian, rtol=1e-3, atol=1e-4 * np.abs(got).max())


@pytest.mark.parametrize("trend", ["n", "c", "ct"])
def test_the_gradient_is_the_difference_quotient(trend):
    rng = np.random.default_rng(3)
    lengths = np.array([30, 1, 2, 9])
    values = rng.normal(size=(42, 2)).cumsum(0) * 0.3
    data = standardise(values, lengths, trend, ["a", "b"])
    problem = ExactLikelihood(data, 3, np.array([[1.0, 0.0], [0.5, 2.0]]))
    q = problem.q
    coef = np.concatenate([COEF, 0.1 * COEF[:1]])
    theta = problem.pack(coef, rng.normal(size=(q, 2)), 0.3 * rng.normal(size=(2, 2)))
    _, gradient = problem(theta)
    for j in range(len(theta)):
        step = 1e-6 * np.eye(len(theta))[j]
        quotient = (problem(theta + step)[0] - problem(theta - step)[0]) / 2e-6
        assert gradient[j] == pytest.approx(quotient, rel=1e-5, abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(-12, 12), st.floats(-12, 12))
@example(0, 0.0, 8.0)
@example(1, -12.0, 12.0)
def test_an_affine_map_of_the_data_maps_the_fit(seed, first, second):
    rng = np.random.default_rng(seed)
    x = VAR.from_parameters(COEF, 0.0, SIGMA).sample(length=60, seed=seed)[0]
    turn = np.linalg.qr(rng.normal(size=(2, 2)))[0] if first == 0 else np.eye(2)
    turn = turn * np.array([[10.0**first], [10.0**second]])
    shift = rng.normal(size=2) * np.abs(turn).max(axis=1)
    for method in ("mle", "ols"):
        plain = VAR(1, method=method).fit(x)
        moved = VAR(1, method=method).fit(x @ turn.T + shift)
        back = np.linalg.inv(turn)
        np.testing.assert_allclose(moved.coef_, turn @ plain.coef_ @ back, rtol=1e-5)
        np.testing.assert_allclose(moved.sigma_, turn @ plain.sigma_ @ turn.T, rtol=1e-5)
        jacobian = 60 * np.linalg.slogdet(turn)[1]
        assert moved.log_likelihood_ + jacobian == pytest.approx(plain.log_likelihood_, abs=1e-6)


def test_near_unit_roots_are_fitted_inside():
    x = np.random.default_rng(4).normal(size=(150, 2)).cumsum(0)
    model = VAR(2).fit(x)
    assert largest_modulus(model.coef_) < 1
    scaled = VAR(2, method="ols", initial="given").fit(x)
    assert largest_modulus(scaled.coef_) > 0.9
    # no point on the way from the maximum to least squares is likelier
    for share in (0.5, 0.9):
        coef = (1 - share) * model.coef_ + share * scaled.coef_
        if largest_modulus(coef) < 1:
            other = VAR.from_parameters(coef, model.mean_, model.sigma_)
            assert other.log_prob(x) < model.log_likelihood_


def test_pooled_sequences_and_short_ones_count(macro):
    x = macro.to_numpy()
    parts = [x[:100], x[100:102], x[102:]]
    model = VAR(3).fit(parts)
    assert model.log_likelihood_ == pytest.approx(model.log_prob(parts).sum(), rel=1e-12)
    assert model.n_observations_ == len(x)
    assert model.log_likelihood_ > sum(
        VAR.from_parameters(*(getattr(VAR(3).fit(x), a) for a in ("coef_", "mean_", "sigma_")))
        .log_prob(parts)
    )  # fmt: skip


def test_order_selection_is_statsmodels(macro):
    from statsmodels.tsa.api import VAR as Reference

    found = arproc.select_order(macro, 6, "bic", method="ols", initial="given", model=VAR)
    want = Reference(macro.to_numpy()).select_order(6)
    assert found.order == want.bic == found.model.order
    shift = found.table["bic"].to_numpy() / found.n_observations - np.array(want.ics["bic"])
    np.testing.assert_allclose(shift, shift[0], rtol=1e-9)  # a constant: sigma and log 2 pi


def test_the_order_of_vectors_has_no_lags_of_its_own(macro):
    for wrong in ({"lags": [12]}, {"seasonal": 4}, {"criterion": "oos"}):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            arproc.select_order(macro, 2, model=VAR, **wrong)
    with pytest.raises(ParameterError, match="model"):
        arproc.select_order(macro, 2, model=arproc.ARIMA)


# ---- draws and forecasts ------------------------------------------------------------------------


def test_long_draws_are_the_compiled_ones(monkeypatch):
    model = VAR.from_parameters(COEF, [1.0, -2.0], SIGMA, [0.01, 0.0])
    long = model.sample(2, length=300, seed=5)
    monkeypatch.setattr(simulation, "COMPILE_FROM", 10)
    np.testing.assert_allclose(model.sample(2, length=300, seed=5), long, atol=1e-9)


@pytest.mark.parametrize("known", [0, 1, 5])
def test_the_joint_law_is_the_normal_conditional(known):
    model = VAR.from_parameters(COEF, [1.0, -2.0], SIGMA, [0.1, 0.0])
    mean, covariance = whole_law(model, known + 4)
    x = np.random.default_rng(6).normal(size=(known, 2))
    state = model.start(1) if not known else model.start(x)
    joint = model.law_.joint(state, 4)
    k = 2 * known
    gain = covariance[k:, :k] @ np.linalg.inv(covariance[:k, :k])
    want_mean = mean[k:] + gain @ (x.ravel() - mean[:k])
    want = covariance[k:, k:] - gain @ covariance[:k, k:]
    np.testing.assert_allclose(joint.loc[0], want_mean, atol=1e-10)
    np.testing.assert_allclose(joint.covariance_matrix[0], want, atol=1e-10)


# ---- the law is a value -------------------------------------------------------------------------


def test_what_was_learnt_does_not_change_with_the_settings(macro):
    model = VAR(2, "ct").fit(macro)
    want = (model.forecast(macro, 4), model.log_prob(macro), model.summary(), model.n_given)
    granger = model.granger_causality()
    changed = {"order": 3, "trend": "n", "method": "ols", "initial": "given"}
    model.set_params(**changed, shrinkage="ridge")
    assert model.forecast(macro, 4).equals(want[0])
    assert (model.log_prob(macro), model.summary(), model.n_given) == want[1:]
    assert model.granger_causality().equals(granger)
    model.fit(macro)
    assert model.coef_.shape == (3, 3, 3)
    with pytest.raises(ValueError, match="read-only"):
        model.coef_[0] = 0.0


def test_given_numbers_are_the_laws_own():
    coef = COEF.copy()
    model = VAR.from_parameters(coef, sigma=SIGMA)
    before = model.log_prob(np.ones((4, 2)))
    coef[:] = 0.0
    assert model.log_prob(np.ones((4, 2))) == before


def test_gradients_flow_more_than_once():
    coef = torch.tensor(COEF, requires_grad=True)
    model = VAR.from_parameters(coef, sigma=SIGMA)
    x = torch.ones(5, 2, dtype=torch.float64)
    first, again = (torch.autograd.grad(model.log_prob(x), coef)[0] for _ in range(2))
    assert torch.equal(first, again)


# ---- keeping and refusing -----------------------------------------------------------------------


def test_a_saved_model_is_the_same(macro, tmp_path):
    model = VAR(2).fit(macro)
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    assert again.log_prob(macro) == model.log_prob(macro)
    assert again.components_ == list(macro.columns)
    assert again.summary() == model.summary()


def test_the_summary_names_equations_and_lags(macro):
    text = VAR(1).fit(macro).summary()
    for part in ("VAR(1)", "L1.realcons.realgdp", "cov.realgdp.realcons", "sigma2.realinv"):
        assert part in text


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (np.ones((30, 2)), DataError, "constant"),
        (np.random.default_rng(0).normal(size=30), DataError, r"\[T, 1\]"),
        (np.random.default_rng(0).normal(size=(5, 3)), DataError, "too short"),
        (np.random.default_rng(0).normal(size=(50, 1)) * [1.0, 2.0], DataError, "collinear"),
        (1.3 ** np.arange(40.0)[:, None] + np.random.default_rng(0).normal(size=(40, 2)),
         ParameterError, "stationary"),
    ],
)  # fmt: skip
def test_what_has_no_answer_is_refused(data, error, words):
    with pytest.raises(error, match=words):
        VAR(2, method="ols").fit(data)


def test_parameters_are_checked():
    with pytest.raises(ParameterError, match="root of modulus"):
        VAR.from_parameters([[[1.0, 0.0], [0.0, 0.2]]])
    with pytest.raises(ParameterError, match="symmetric with positive eigenvalues"):
        VAR.from_parameters(COEF, sigma=[[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(ParameterError, match=r"\[p, d, d\]"):
        VAR.from_parameters([0.5])
    with pytest.raises(ParameterError, match="first elements"):
        VAR(1, initial="diffuse").fit(np.random.default_rng(0).normal(size=(30, 2)))
    walk = VAR.from_parameters([np.eye(2)], initial="given")
    assert walk.log_prob(np.zeros((3, 2))) == pytest.approx(-2 * np.log(2 * np.pi))
