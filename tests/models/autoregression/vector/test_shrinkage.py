"""Shrunk VARs against explicit posteriors, products of predictive densities, and least squares."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_t
from sklearn.linear_model import Ridge

import arproc
from arproc import VAR
from arproc.errors import DataError, ParameterError
from arproc.models.autoregression.vector import shrinkage
from arproc.models.autoregression.vector.regression import regression_root, standardise


@pytest.fixture(scope="module")
def x():
    coef = [[[0.5, 0.2, 0.0], [-0.1, 0.3, 0.1], [0.0, 0.0, 0.7]]]
    noise = [[1.0, 0.3, 0.0], [0.3, 2.0, 0.5], [0.0, 0.5, 1.0]]
    truth = VAR.from_parameters(coef, [3.0, 0.0, 9.0], noise)
    return truth.sample(length=90, seed=2)[0] * [1.0, 100.0, 0.01]


def design(x, order, trend="c"):
    """(Z, Y): trend and lags, and what they predict."""
    n = len(x) - order
    columns = [np.ones((n, 1))] if trend == "c" else []
    columns += [x[order - i : len(x) - i] for i in range(1, order + 1)]
    return np.hstack(columns), x[order:]


def ar1_variances(x, order):
    """Of the residuals of each component on a constant and its last value, over t >= order."""
    found = []
    for a in range(x.shape[1]):
        z = np.stack([np.ones(len(x) - order), x[order - 1 : -1, a]], axis=1)
        found.append(np.linalg.lstsq(z, x[order:, a])[1][0] / (len(z) - 2))
    return np.array(found)


@pytest.mark.parametrize("cross", [1.0, 0.4])
def test_the_estimate_is_the_explicit_posterior_mean(x, cross):
    given = {"tightness": 0.3, "decay": 1.5, "cross": cross, "own_lag": [1.0, 0.5, 0.0]}
    model = VAR(2, initial="given", shrinkage="minnesota", **given).fit(x)
    z, y = design(x, 2)
    psi = ar1_variances(x, 2)
    posterior = []
    for a in range(3):
        deviation = 0.3 * np.repeat([1.0, 2.0**-1.5], 3) * np.sqrt(psi[a] / np.tile(psi, 2))
        deviation *= np.where(np.tile(np.arange(3), 2) == a, 1.0, cross)
        precision = np.diag([0.0, *deviation**-2]) * psi[a]  # times the innovation variance
        mean = np.zeros(7)
        mean[1 + a] = given["own_lag"][a]
        posterior.append(np.linalg.solve(z.T @ z + precision, z.T @ y[:, a] + precision @ mean))
    posterior = np.array(posterior)
    np.testing.assert_allclose(model.intercept_, posterior[:, 0], rtol=1e-8)
    lags = model.coef_.transpose(1, 0, 2).reshape(3, 6)
    np.testing.assert_allclose(lags, posterior[:, 1:], rtol=1e-7)


def test_ridge_is_scikit_learns_on_standardised_data(x):
    model = VAR(2, initial="given", shrinkage="ridge", tightness=0.2).fit(x)
    size = x.std(axis=0)
    z, y = design(x / size, 2, "n")
    want = Ridge(alpha=1 / 0.2**2).fit(z, y).coef_
    lags = (model.coef_ / (size[:, None] / size)).transpose(1, 0, 2).reshape(3, 6)
    np.testing.assert_allclose(lags, want, rtol=1e-8)


def test_the_marginal_likelihood_is_the_product_of_predictive_densities(x):
    """Matrix Student t by the chain rule: each element's predictive t, its posterior updated."""
    order, tightness = 2, 0.25
    model = VAR(order, "n", initial="given", shrinkage="minnesota", tightness=tightness,
                own_lag=0.5).fit(x)  # fmt: skip
    psi = []
    for a in range(3):
        z, y = x[order - 1 : -1, a : a + 1], x[order:, a]
        psi.append(np.linalg.lstsq(z, y)[1][0] / (len(y) - 1))
    psi = np.array(psi)
    z, y = design(x, order, "n")
    precision = np.diag(np.repeat([1.0, 2.0], 3) ** 2 * np.tile(psi, 2) / tightness**2)
    mean = np.zeros((6, 3))
    mean[:3] = 0.5 * np.eye(3)
    scale, freedom, total = np.diag(psi), 5.0, 0.0
    for row, target in zip(z, y, strict=True):
        shape = scale * (1 + row @ np.linalg.solve(precision, row)) / (freedom - 2)
        total += multivariate_t.logpdf(target, row @ mean, shape, df=freedom - 2)
        error = target - row @ mean
        updated = precision + np.outer(row, row)
        mean = np.linalg.solve(updated, precision @ mean + np.outer(row, target))
        gain = 1 / (1 + row @ np.linalg.solve(precision, row))
        scale = scale + gain * np.outer(error, error)
        precision, freedom = updated, freedom + 1
    assert model.log_marginal_likelihood_ == pytest.approx(total, rel=1e-10)
    np.testing.assert_allclose(model.sigma_, scale / (freedom - 4), rtol=1e-8)


@pytest.mark.parametrize("cross", [1.0, 0.5])
def test_the_chosen_tightness_has_the_largest_marginal_likelihood(x, cross):
    given = {"initial": "given", "shrinkage": "minnesota", "cross": cross}
    best = VAR(3, **given).fit(x)
    for factor in (0.1, 0.8, 0.99, 1.01, 1.25, 10):
        other = VAR(3, tightness=best.tightness_ * factor, **given).fit(x)
        assert other.log_marginal_likelihood_ <= best.log_marginal_likelihood_ + 1e-9
    data = standardise(x, np.array([len(x)]), "c", ["a", "b", "c"])
    assert regression_root(data, 3)[1] == 87
    assert shrinkage.shrink(data, 3, "minnesota", None, 1.0, cross, np.ones(3)).tightness == (
        best.tightness_
    )


def test_the_tightness_leads_from_the_prior_to_least_squares(x):
    loose = VAR(2, initial="given", shrinkage="minnesota", tightness=1e5).fit(x)
    plain = VAR(2, initial="given", method="ols").fit(x)
    np.testing.assert_allclose(loose.coef_, plain.coef_, rtol=1e-6)
    assert loose.effective_parameters_ == pytest.approx(len(plain.names_), rel=1e-6)
    tight = VAR(2, initial="given", shrinkage="minnesota", tightness=1e-4).fit(x)
    size = x.std(axis=0)
    np.testing.assert_allclose(tight.coef_[0] / (size[:, None] / size), np.eye(3), atol=1e-4)
    # three constants and sigma are left
    assert tight.effective_parameters_ == pytest.approx(9, abs=1e-3)


@pytest.mark.parametrize("cross", [1.0, 0.5])
def test_units_do_not_matter(x, cross):
    given = {"shrinkage": "minnesota", "cross": cross}
    one = VAR(2, **given).fit(x)
    unit = np.array([1e9, 1e-9, 7.0])
    other = VAR(2, **given).fit(x * unit)
    np.testing.assert_allclose(other.coef_, one.coef_ * (unit[:, None] / unit), rtol=1e-5)
    assert other.tightness_ == pytest.approx(one.tightness_, rel=1e-4)
    jacobian = (len(x) - 3) * np.log(unit).sum()  # one degree of freedom less for the constant
    assert other.log_marginal_likelihood_ + jacobian == pytest.approx(
        one.log_marginal_likelihood_, rel=1e-7
    )


@pytest.mark.parametrize("kind", ["minnesota", "ridge"])
def test_with_many_series_it_predicts_better_than_least_squares(kind):
    rng = np.random.default_rng(0)
    d = 24
    coef = np.diag(rng.uniform(0.2, 0.7, d))
    coef[np.arange(d), rng.permutation(d)] += 0.15 * rng.normal(size=d)
    truth = VAR.from_parameters([coef], sigma=0.5 * np.eye(d) + 0.5)
    train, test = truth.sample(2, length=140, seed=1) * rng.uniform(0.1, 10, d)
    plain = VAR(2, initial="given", method="ols").fit(train)
    shrunk = VAR(2, initial="given", shrinkage=kind, own_lag=0.0).fit(train)
    assert shrunk.score(test) > plain.score(test) + 5  # nats an element


def test_there_may_be_more_coefficients_than_data(tmp_path):
    x = np.random.default_rng(3).normal(size=(20, 8))
    with pytest.raises(DataError, match="shrink"):
        VAR(4, method="ols").fit(x)
    model = VAR(4, shrinkage="minnesota", cross=0.5).fit(x)
    assert np.isfinite(model.log_prob(x))
    assert model.forecast(x, 3).notna().to_numpy().all()
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    assert again.summary() == model.summary()
    assert "minnesota, tightness" in again.summary()


def test_collinear_components_can_be_shrunk(x):
    """A component twice in the past, but not in the innovations."""
    both = np.hstack([x, x[:, :1] + 1e-3 * np.random.default_rng(0).normal(size=(len(x), 1))])
    assert np.isfinite(VAR(2, shrinkage="ridge").fit(both).score(both))


def test_what_is_no_prior_is_refused(x):
    for bad in ({"tightness": 0.0}, {"tightness": -1.0}, {"cross": 0.0}, {"decay": -1.0}):
        with pytest.raises(ParameterError, match=next(iter(bad))):
            VAR(1, shrinkage="minnesota", **bad).fit(x)
    with pytest.raises(ParameterError, match="shrinkage"):
        VAR(1, shrinkage="lasso").fit(x)
    with pytest.raises(ParameterError, match="own_lag"):
        VAR(1, shrinkage="minnesota", own_lag=[1.0, 2.0]).fit(x)
