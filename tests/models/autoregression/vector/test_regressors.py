"""VAR with regressors, in the mean and in the recursion, with gaps, labels, futures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from arproc import AR, VAR, select_order
from arproc.errors import DataError, ParameterError
from arproc.models.autoregression.vector.exact_likelihood import ExactLikelihood
from arproc.models.autoregression.vector.observed import ObservedLikelihood
from arproc.models.autoregression.vector.regression import standardise

COEF = np.array([[[0.5, 0.1], [0.0, 0.3]], [[0.1, 0.0], [0.1, -0.2]]])
SIGMA = np.array([[1.0, 0.3], [0.3, 2.0]])
BETA = np.array([[1.0, -2.0], [0.5, 0.3]])
PUSH = np.random.default_rng(0).normal(size=(130, 2)).cumsum(0) * 0.3 + 5
PLAIN = VAR.from_parameters(COEF, [1.0, 2.0], SIGMA)
X = PLAIN.sample(length=120, seed=1)[0]
MOVED = X + PUSH[:120] @ BETA.T
HOLES = np.array([5, 6, 20, 50])

BOTH = [
    {"regressors": "mean"},
    {"regressors": "mean", "trend": "ct"},
    {"regressors": "mean", "trend": "n"},
    {"regressors": "mean", "initial": "given", "trend": "ct"},
    {"regressors": "recursion", "initial": "given"},
    {"regressors": "recursion", "initial": "given", "trend": "ct"},
    {"regressors": "recursion", "initial": "given", "trend": "n"},
]


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("settings", BOTH)
def test_one_component_is_an_ar(settings, gaps):
    y = MOVED[:, :1].copy()
    if gaps:
        y[HOLES] = np.nan
    found = VAR(2, **settings).fit(y, context=PUSH[:120])
    other = AR(2, **settings).fit(y[:, 0], context=PUSH[:120])
    assert found.log_likelihood_ == pytest.approx(other.log_likelihood_, abs=1e-8)
    np.testing.assert_allclose(found.estimates_, other.estimates_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.covariance_, other.covariance_, rtol=1e-4, atol=1e-7)
    assert [name.removesuffix(".y1") for name in found.names_[:2]] == other.names_[:2]
    ahead = found.forecast(y[:51], 5, context=PUSH)
    theirs = other.forecast(y[:51, 0], 5, context=PUSH)
    np.testing.assert_allclose(ahead.to_numpy(), theirs.to_numpy(), rtol=1e-5, atol=1e-6)
    rest = found.residuals(y, context=PUSH)
    np.testing.assert_allclose(rest[:, 0], other.residuals(y[:, 0], context=PUSH), atol=1e-5)


@pytest.mark.parametrize("trend", ["n", "c", "ct"])
def test_statsmodels_varx(trend):
    from statsmodels.tsa.api import VAR as Theirs

    theirs = Theirs(MOVED, exog=PUSH[:120]).fit(2, trend=trend)
    found = VAR(2, trend, regressors="recursion", initial="given").fit(MOVED, context=PUSH)
    count = len(trend) if trend != "n" else 0
    np.testing.assert_allclose(found.beta_, theirs.params[count : count + 2].T, rtol=1e-8)
    np.testing.assert_allclose(found.coef_, theirs.coefs, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.sigma_, theirs.sigma_u_mle, rtol=1e-8)
    assert found.log_likelihood_ == pytest.approx(theirs.llf, rel=1e-10)
    ahead = found.forecast(MOVED, 4, context=PUSH)
    values = theirs.forecast(MOVED[-2:], 4, exog_future=PUSH[120:124])
    if trend != "ct":  # they count t from 1 at the first target
        means = ahead.xs("mean", axis=1, level=1).to_numpy()
        np.testing.assert_allclose(means, values, rtol=1e-8)
    # their standard errors divide by the degrees of freedom
    errors = found.parameter_table()["std_error"]
    wide = np.sqrt(len(MOVED[2:]) / theirs.df_resid) * errors[["x1.y1", "x2.y1"]]
    np.testing.assert_allclose(wide, theirs.stderr[count : count + 2, 0], rtol=1e-7)


def test_in_the_mean_the_process_is_moved_and_in_the_recursion_driven():
    about = VAR.from_parameters(COEF, [1.0, 2.0], SIGMA, beta=BETA, regressors="mean")
    assert about.log_prob(MOVED, context=PUSH) == pytest.approx(PLAIN.log_prob(X), rel=1e-12)
    ahead = about.forecast(MOVED, 3, context=PUSH).xs("mean", axis=1, level=1)
    plain = PLAIN.forecast(X, 3).xs("mean", axis=1, level=1)
    np.testing.assert_allclose(ahead - plain, PUSH[120:123] @ BETA.T, rtol=1e-9)
    driven = VAR.from_parameters(
        COEF, 0.0, SIGMA, initial="given", beta=BETA, regressors="recursion"
    )
    path = driven.forecast(X, 2, context=PUSH).xs("mean", axis=1, level=1).to_numpy()
    one = COEF[0] @ X[-1] + COEF[1] @ X[-2] + BETA @ PUSH[120]
    np.testing.assert_allclose(path[0], one)
    np.testing.assert_allclose(path[1], COEF[0] @ one + COEF[1] @ X[-1] + BETA @ PUSH[121])
    drawn = driven.sample(400, 2, prefix=X, context=PUSH, seed=0).mean(axis=0)
    assert np.abs(drawn - path).max() < 0.4


@pytest.mark.parametrize(("given", "in_mean"), [(False, True), (True, True), (True, False)])
@pytest.mark.parametrize("gaps", [False, True])
def test_the_gradient_is_the_difference_quotient(given, in_mean, gaps):
    rng = np.random.default_rng(3)
    lengths = np.array([30, 1, 3, 9])
    values = rng.normal(size=(43, 2)).cumsum(0) * 0.3
    if gaps:
        values[[7, 8, 12], [0, 1, 1]] = np.nan
    pushes, first = rng.normal(size=(43, 2)), np.array([0, 4, 0, 1])
    data = standardise(values, lengths, "ct", ["a", "b"], pushes, first)
    kind = ObservedLikelihood if gaps else ExactLikelihood
    problem = kind(data, 2, np.array([[1.0, 0.0], [0.5, 2.0]]), given, in_mean)
    theta = problem.pack(COEF, rng.normal(size=(4, 2)), 0.3 * rng.normal(size=(2, 2)))
    _, gradient = problem(theta)
    for j in range(len(theta)):
        step = 1e-5 * np.eye(len(theta))[j]
        quotient = (problem(theta + step)[0] - problem(theta - step)[0]) / 2e-5
        assert gradient[j] == pytest.approx(quotient, rel=1e-5, abs=1e-5)


def test_likelihoods_are_differentiable_in_the_coefficients():
    beta = torch.tensor(BETA, requires_grad=True)
    for regressors, initial in (("mean", "stationary"), ("recursion", "given")):
        kind = {"initial": initial, "regressors": regressors}
        model = VAR.from_parameters(COEF, 0.0, SIGMA, beta=beta, **kind)
        value = model.log_prob(torch.tensor(MOVED), context=PUSH)
        (gradient,) = torch.autograd.grad(value, beta)
        step = np.zeros((2, 2))
        step[0, 1] = 1e-5
        up, down = (
            VAR.from_parameters(COEF, 0.0, SIGMA, beta=BETA + way * step, **kind)
            for way in (1, -1)
        )
        rise = up.log_prob(MOVED, context=PUSH) - down.log_prob(MOVED, context=PUSH)
        assert float(gradient[0, 1]) == pytest.approx(rise / 2e-5, rel=1e-5)


def test_regressors_are_aligned_by_their_labels():
    dates = pd.date_range("2020-01-01", periods=130)
    frame = pd.DataFrame(MOVED, dates[:120], ["gdp", "infl"])
    pushes = pd.DataFrame(PUSH, dates, ["price", "oil"])
    model = VAR(1, regressors="mean").fit(frame, context=pushes)
    assert model.terms_ == ["price", "oil"]
    assert model.names_[:4] == ["mean.gdp", "price.gdp", "oil.gdp", "L1.gdp.gdp"]
    assert "price, oil, in the mean" in model.summary()
    plain = VAR(1, regressors="mean").fit(MOVED, context=PUSH)
    last = model.forecast(frame[["infl", "gdp"]].iloc[60:], 3, context=pushes[["oil", "price"]])
    theirs = plain.forecast(MOVED[60:], 3, context=PUSH[60:])
    np.testing.assert_allclose(last.to_numpy(), theirs.to_numpy())
    with pytest.raises(DataError, match="context"):
        model.forecast(frame, 3, context=pushes.iloc[10:])


def test_units_of_regressors_do_not_count():
    plain = VAR(1, "ct", regressors="mean").fit(MOVED, context=PUSH)
    moved = VAR(1, "ct", regressors="mean").fit(MOVED, context=PUSH * [1e6, 1e-6] + [1e8, 3.0])
    assert moved.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-6)
    np.testing.assert_allclose(moved.beta_ * [1e6, 1e-6], plain.beta_, rtol=1e-5)
    errors = [model.parameter_table()["std_error"]["x1.y2"] for model in (plain, moved)]
    assert errors[1] * 1e6 == pytest.approx(errors[0], rel=1e-4)


def test_sequences_that_begin_at_different_steps_are_fitted_together():
    line = np.arange(120)[:, None] * [0.1, -0.2]
    whole = pd.DataFrame(X + line, pd.date_range("2020-01-01", periods=120), ["a", "b"])
    parts = [whole.iloc[:70], whole.iloc[70:]]
    model = VAR(1, "ct").fit(parts)
    assert model.slope_ == pytest.approx([0.1, -0.2], abs=0.02)
    assert model.log_likelihood_ == pytest.approx(model.log_prob(parts).sum())
    for step in (np.array([0.0, 1e-3]), np.array([-1e-3, 0.0])):
        other = VAR.from_parameters(model.coef_, model.mean_, model.sigma_, model.slope_ + step)
        apart = [other.log_prob(parts[i].to_numpy(), offset=70 * i) for i in range(2)]
        assert sum(apart) < model.log_likelihood_


def test_the_order_is_chosen_with_regressors():
    driven = VAR.from_parameters(
        COEF[:1], 0.0, SIGMA, initial="given", beta=BETA, regressors="recursion"
    ).sample(1, 118, prefix=X[:2], context=PUSH, seed=3)[0]
    x = np.concatenate([X[:2], driven])
    chosen = select_order(
        x, 3, "bic", initial="given", model=VAR, regressors="recursion", context=PUSH
    )
    assert chosen.order == 1
    assert chosen.n_parameters.tolist() == [9, 13, 17, 21]
    assert chosen.model.beta_ == pytest.approx(BETA, abs=1.0)
    part = VAR(1, regressors="recursion", initial="given").fit(x[2:], context=PUSH[2:])
    assert chosen.log_likelihoods[1] == pytest.approx(part.log_likelihood_, rel=1e-9)
    about = select_order(MOVED, 1, model=VAR, regressors="mean", context=PUSH)
    own = VAR(1, regressors="mean").fit(MOVED, context=PUSH)
    assert about.log_likelihoods[1] == pytest.approx(own.log_likelihood_, rel=1e-9)


@pytest.mark.parametrize("settings", [BOTH[0], BOTH[4]])
def test_bands_by_the_bootstrap_go_with_regressors(settings):
    model = VAR(2, **settings).fit(MOVED, context=PUSH)
    kind = {"data": MOVED, "context": PUSH, "draws": 60, "seed": 0}
    table = model.impulse_response(2, bands="bootstrap", **kind)
    usual = model.impulse_response(2)
    later = usual["std_error"] > 0
    share = table["std_error"][later] / usual["std_error"][later]
    assert share.between(0.6, 1.6).all()


def test_gaps_after_given_values_and_the_given_ones():
    x = MOVED.copy()
    x[HOLES, [0, 1, 0, 1]] = np.nan
    model = VAR(2, initial="given").fit(x)
    assert "maximum likelihood given the first values" in model.summary()
    assert model.log_likelihood_ == pytest.approx(model.log_prob(x))
    for change in (0.01, -0.01):
        other = VAR.from_parameters(
            model.coef_ + change, model.mean_, model.sigma_, initial="given"
        )
        assert other.log_prob(x) < model.log_likelihood_
    x[1, 0] = np.nan
    with pytest.raises(DataError, match="first 2 of a sequence"):
        VAR(2, initial="given").fit(x)


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ParameterError, match="initial must be 'given' where regressors"):
        VAR(1, regressors="recursion").fit(X, context=PUSH)
    with pytest.raises(ParameterError, match="shrinkage is of the recursion"):
        VAR(1, regressors="mean", shrinkage="ridge").fit(X, context=PUSH)
    with pytest.raises(ParameterError, match="needs a context"):
        VAR(1, regressors="mean").fit(X)
    with pytest.raises(DataError, match="column 2 of context is constant"):
        VAR(1, regressors="mean").fit(X, context=np.stack([PUSH[:, 0], np.ones(130)], 1))
    twice = np.stack([PUSH[:, 0], 2 * PUSH[:, 0]], 1)
    for settings in (BOTH[0], BOTH[4]):
        with pytest.raises(DataError, match="collinear"):
            VAR(1, **settings).fit(X, context=twice)
    with pytest.raises(ParameterError, match="beta and regressors go together"):
        VAR.from_parameters(COEF, beta=BETA)
    shrunk = VAR(4, regressors="recursion", initial="given", shrinkage="minnesota")
    assert shrunk.fit(MOVED, context=PUSH).beta_.shape == (2, 2)
