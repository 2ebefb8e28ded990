"""Vector autoregressions of which components are missing, against normal theory."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal

import arproc
from arproc.errors import DataError
from arproc.evaluation import evaluate, pit
from arproc.models.autoregression.selection import select_order
from arproc.models.autoregression.vector.observed import ObservedLikelihood
from arproc.models.autoregression.vector.regression import standardise
from arproc.models.autoregression.vector.var import VAR


def simulated(length, seed=0):
    truth = VAR.from_parameters(
        [[[0.5, 0.1], [-0.2, 0.4]], [[0.1, 0.2], [0.0, 0.1]]],
        [1.0, -2.0],
        [[1.0, 0.3], [0.3, 2.0]],
    )
    return truth.sample(1, length=length, seed=seed)[0]


def with_gaps(length, seed=0):
    x = simulated(length, seed)
    x[0, 1] = x[5] = x[6, 0] = x[15:22, 1] = x[-1] = np.nan
    return x


@pytest.fixture(scope="module")
def gappy():
    return with_gaps(60)


@pytest.fixture(scope="module")
def model(gappy):
    return VAR(2).fit(gappy)


def joint(model, length):
    law = model.law_.joint(model.law_.fresh(1, None), length)
    return law.loc[0].numpy(), law.covariance_matrix[0].numpy()


def test_the_likelihood_is_the_marginal_of_what_was_observed(model, gappy):
    mean, covariance = joint(model, 60)
    seen = ~np.isnan(gappy.ravel())
    inside = np.ix_(seen, seen)
    want = multivariate_normal.logpdf(gappy.ravel()[seen], mean[seen], covariance[inside])
    assert model.log_prob(gappy) == pytest.approx(want, rel=1e-10)
    assert model.log_likelihood_ == pytest.approx(want, rel=1e-10)
    assert model.n_observations_ == evaluate(model, gappy).n_elements == 58
    terms = model.log_prob_terms(gappy)
    assert terms[5] == terms[-1] == 0.0
    assert terms.sum() == pytest.approx(want, rel=1e-10)


def test_forecasts_and_draws_go_on_from_what_was_observed(model, gappy):
    mean, covariance = joint(model, 63)
    seen = np.concatenate([~np.isnan(gappy.ravel()), np.zeros(6, dtype=bool)])
    gain = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[seen][:, -6:]).T
    want = mean[-6:] + gain @ (gappy.ravel()[seen[:-6]] - mean[seen])
    left = covariance[-6:, -6:] - gain @ covariance[seen][:, -6:]
    found = model.law_.joint(model.start(gappy), 3)
    np.testing.assert_allclose(found.loc[0], want, atol=1e-10)
    np.testing.assert_allclose(found.covariance_matrix[0], left, atol=1e-10)
    marginals = model.law_.predictive(model.start(gappy), 3)
    np.testing.assert_allclose(marginals.mean.reshape(-1), want, atol=1e-10)
    draws = model.sample(4000, length=3, prefix=gappy, seed=0).reshape(4000, 6)
    error = np.sqrt(np.diag(left) / 4000)
    assert (np.abs(draws.mean(0) - want) < 4 * error).all()
    np.testing.assert_allclose(np.cov(draws.T), left, atol=0.25)


def test_scores_of_components_are_those_of_normal_theory(model, gappy):
    mean, covariance = joint(model, 20)
    flat, u, white = gappy[:20].ravel(), pit(model, gappy[:20]), model.residuals(gappy[:20])
    for at in (2, 13, 30, 38):
        past = np.flatnonzero(~np.isnan(flat[:at]))
        w = np.linalg.solve(covariance[np.ix_(past, past)], covariance[past, at])
        loc = mean[at] + w @ (flat[past] - mean[past])
        scale = np.sqrt(covariance[at, at] - w @ covariance[past, at])
        from scipy.stats import norm

        assert u.ravel()[at] == pytest.approx(norm.cdf(flat[at], loc, scale), rel=1e-9)
    assert (np.isnan(u) == np.isnan(gappy[:20])).all()
    assert (np.isnan(white) == np.isnan(gappy[:20])).all()
    standard = model.residuals(gappy[:20], standardised=True)
    np.testing.assert_allclose(
        torch.special.ndtr(torch.tensor(standard)), u, rtol=1e-9, equal_nan=True
    )


def test_the_estimate_is_the_maximum_that_statsmodels_sees(model, gappy):
    from statsmodels.tsa.statespace.varmax import VARMAX

    theirs = VARMAX(gappy, order=(2, 0), trend="c")
    factor = np.linalg.cholesky(model.sigma_)
    lags = model.coef_.transpose(1, 0, 2).reshape(-1)
    values = [*model.intercept_, *lags, factor[0, 0], factor[1, 0], factor[1, 1]]
    assert theirs.loglike(values) == pytest.approx(model.log_likelihood_, abs=1e-6)
    np.testing.assert_allclose(theirs.score(values), 0.0, atol=2e-3)


@pytest.mark.parametrize("trend", ["n", "c", "ct"])
def test_the_gradient_is_that_of_the_likelihood(trend):
    rows = [with_gaps(40), simulated(25, 1), np.array([[1.0, np.nan]]), with_gaps(30, 2)]
    data = standardise(np.concatenate(rows), np.array([40, 25, 1, 30]), trend, ["a", "b"])
    likelihood = ObservedLikelihood(data, 2, np.array([[1.2, 0.0], [0.3, 0.8]]))
    coef = np.array([[[0.3, 0.1], [0.0, 0.2]], [[0.1, 0.0], [0.1, -0.2]]])
    start = likelihood.pack(
        coef, 0.1 * np.ones((likelihood.q, 2)), np.array([[0.1, 0], [0.2, -1]])
    )
    gradient = likelihood(start)[1]
    for j in range(len(start)):
        move = 1e-5 * np.eye(len(start))[j]
        rise = (likelihood(start + move)[0] - likelihood(start - move)[0]) / 2e-5
        assert gradient[j] == pytest.approx(rise, abs=2e-6)


def test_several_sequences_and_lines(gappy):
    rows = [gappy, simulated(40, 3), with_gaps(30, 4)]
    found = VAR(1, trend="ct").fit(rows)
    assert found.log_likelihood_ == pytest.approx(found.log_prob(rows).sum())
    assert found.n_observations_ == 58 + 40 + 28
    moved = found.slope_ + np.array([0.0, 0.05])
    other = VAR.from_parameters(found.coef_, found.mean_, found.sigma_, moved)
    assert other.log_prob(rows).sum() < found.log_likelihood_
    again = VAR(1).fit(pd.DataFrame(gappy, columns=["a", "b"]))
    assert "numbers, by an exact filter" in again.summary()


def test_orders_are_compared_by_all_that_was_observed(gappy):
    found = select_order(gappy, 2, "bic", model=VAR)
    for order in (0, 1, 2):
        own = VAR(order).fit(gappy)
        assert found.log_likelihoods[order] == pytest.approx(own.log_likelihood_, rel=1e-9)
        assert found.n_parameters[order] == len(own.names_)
    assert found.n_observations == 58


def test_what_can_not_be_fitted_is_refused_in_words(gappy):
    for options in ({"method": "ols"}, {"shrinkage": "ridge"}):
        with pytest.raises(DataError, match=r"missing values.*method='mle'"):
            VAR(1, **options).fit(gappy)
    rare, never = gappy.copy(), gappy.copy()
    rare[3:, 1], never[:, 1] = np.nan, np.nan
    with pytest.raises(DataError, match=r"component y2 of data was observed"):
        VAR(1).fit(rare)
    with pytest.raises(DataError, match=r"component y2 of data was never observed"):
        VAR(1).fit(never)
    given = VAR(1, initial="given").fit(simulated(50))
    assert np.isfinite(given.log_prob(gappy[1:]))
    with pytest.raises(DataError, match="missing value among the first 1"):
        given.log_prob(gappy)


def test_models_are_compared_on_vectors_with_gaps(model, gappy):
    table = arproc.compare({"two": model, "one": VAR(1).fit(gappy)}, gappy)
    assert table.attrs["n_elements"] == 58
