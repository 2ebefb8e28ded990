from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import arproc
from arproc import AR
from arproc.errors import DataError, ParameterError
from arproc.models.autoregression.ridge import (
    Sums,
    marginal_likelihood,
    ridge,
    strength_by_errors,
    strength_of,
)


@pytest.fixture(scope="module")
def sunspots():
    import statsmodels.api as sm

    return sm.datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(copy=True)


def sums(x, y):
    return Sums(x.T @ x, x.T @ y, np.array(y @ y), np.array(len(y)))


def regression(seed, n=40, k=4, free=1):
    """Predictors of several sizes, the first ones free: a constant, and then a line."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k)) * rng.lognormal(size=k) + rng.normal(size=k)
    head = np.column_stack([np.ones(n), np.linspace(0, 1, n)])[:, :free]
    y = x @ rng.normal(size=k) * 0.3 + rng.normal(size=n) + 2
    mask = np.arange(free + k) < free
    return np.concatenate([head, x], axis=1), y, mask


# ---- the core -----------------------------------------------------------------------------------


@given(st.integers(0, 999), st.floats(0.0, 100.0), st.integers(0, 2))
def test_it_is_scikit_learns_ridge_of_standardised_predictors(seed, strength, free):
    from sklearn.linear_model import Ridge

    x, y, mask = regression(seed, free=free)
    found = ridge(sums(x, y), mask, strength)
    head = x[:, mask]
    gone = np.eye(len(y)) - head @ np.linalg.pinv(head)
    inner, target = gone @ x[:, ~mask], gone @ y
    size = np.sqrt((inner**2).mean(axis=0))
    theirs = Ridge(strength, fit_intercept=False, solver="cholesky").fit(inner / size, target)
    np.testing.assert_allclose(found.coef[~mask] * size, theirs.coef_, rtol=1e-7, atol=1e-9)
    residual = y - x @ found.coef
    assert found.squares == pytest.approx(residual @ residual)
    np.testing.assert_allclose(head.T @ residual, 0, atol=1e-8)
    smoother = inner @ np.linalg.solve(inner.T @ inner + strength * np.diag(size**2), inner.T)
    assert found.effective == pytest.approx(free + np.trace(smoother))
    again = np.linalg.solve(sums(x, y).gram + np.diag(found.penalty), sums(x, y).cross)
    np.testing.assert_allclose(found.coef, again, rtol=1e-6, atol=1e-9)


@given(st.integers(0, 999), st.integers(0, 1))
def test_the_marginal_likelihood_is_the_density_of_the_responses(seed, free):
    from scipy.stats import multivariate_normal

    x, y, mask = regression(seed, n=12, free=free)
    head = x[:, mask]
    gone = np.eye(len(y)) - head @ np.linalg.pinv(head)
    inner = gone @ x[:, ~mask]
    size = np.sqrt((inner**2).mean(axis=0))
    values, vectors = np.linalg.eigh(gone)
    basis = vectors[:, values > 0.5]  # what a constant does not touch

    def density(strength):
        shape = np.eye(basis.shape[1])
        shape += basis.T @ (inner / size) @ (inner / size).T @ basis / strength
        seen = basis.T @ y
        variance = seen @ np.linalg.solve(shape, seen) / len(seen)
        return multivariate_normal(cov=variance * shape).logpdf(seen)

    for strength in (0.1, 3.0, 200.0):
        got = marginal_likelihood(sums(x, y), mask, strength)
        assert got == pytest.approx(density(strength), rel=1e-8)


@given(st.integers(0, 999), st.integers(0, 2))
def test_learnt_strengths_are_the_best(seed, free):
    x, y, mask = regression(seed, free=free)
    whole, first = sums(x, y), sums(x[:30], y[:30])
    by_likelihood = strength_of(whole, mask)
    by_errors = strength_by_errors(first, whole.without(first), mask)

    def errors(strength):
        return ((y[30:] - x[30:] @ ridge(first, mask, strength).coef) ** 2).sum()

    for other in np.logspace(-6, 5, 45):
        best = marginal_likelihood(whole, mask, by_likelihood)
        assert marginal_likelihood(whole, mask, other) <= best + 1e-7
        assert errors(other) >= errors(by_errors) * (1 - 1e-7)


def test_a_batch_is_each_of_its_members():
    parts = [regression(seed) for seed in range(6)]
    one = [sums(x, y) for x, y, _ in parts]
    mask = parts[0][2]
    batch = Sums(
        *(
            np.stack([getattr(s, name) for s in one])
            for name in ("gram", "cross", "total", "count")
        )
    )
    first = [sums(x[:30], y[:30]) for x, y, _ in parts]
    early = Sums(
        *(
            np.stack([getattr(s, name) for s in first])
            for name in ("gram", "cross", "total", "count")
        )
    )
    strengths = strength_of(batch, mask)
    later = strength_by_errors(early, batch.without(early), mask)
    found = ridge(batch, mask, strengths)
    for i, alone in enumerate(one):
        assert strengths[i] == pytest.approx(strength_of(alone, mask), rel=1e-6)
        want = strength_by_errors(first[i], alone.without(first[i]), mask)
        assert later[i] == pytest.approx(want, rel=1e-6)
        single = ridge(alone, mask, strengths[i])
        np.testing.assert_allclose(found.coef[i], single.coef, rtol=1e-9)
        assert found.effective[i] == pytest.approx(single.effective)


# ---- in AR --------------------------------------------------------------------------------------


def given(order, strength, **options):
    return AR(order, method="ols", initial="given", ridge=strength, **options)


def test_no_penalty_is_least_squares_and_a_large_one_leaves_the_mean(sunspots):
    plain, tiny = given(9, 0).fit(sunspots), given(9, 1e-9).fit(sunspots)
    np.testing.assert_allclose(tiny.coef_, plain.coef_, rtol=1e-7)
    assert tiny.n_effective_ == pytest.approx(len(plain.names_), abs=1e-6)
    huge = given(9, 1e15).fit(sunspots)
    np.testing.assert_allclose(huge.coef_, 0, atol=1e-9)
    assert huge.mean_ == pytest.approx(sunspots[9:].mean())
    assert huge.n_effective_ == pytest.approx(2)


def test_it_is_ridge_regression_on_the_design_matrix(sunspots):
    y, p = sunspots, 4
    design = np.column_stack([y[p - i : len(y) - i] for i in range(1, p + 1)])
    centred = design - design.mean(axis=0)
    target = y[p:] - y[p:].mean()
    penalty = 7.5 * np.diag(centred.var(axis=0))
    want = np.linalg.solve(centred.T @ centred + penalty, centred.T @ target)
    model = given(p, 7.5).fit(y)
    np.testing.assert_allclose(model.coef_, want, rtol=1e-9)
    residual = target - centred @ want
    assert model.sigma2_ == pytest.approx(residual @ residual / len(target))
    assert model.intercept_ == pytest.approx(y[p:].mean() - design.mean(axis=0) @ want)
    posterior = model.sigma2_ * np.linalg.inv(centred.T @ centred + penalty)
    np.testing.assert_allclose(model.covariance_[1:-1, 1:-1], posterior, rtol=1e-8)
    assert model.log_prob(y) == pytest.approx(model.log_likelihood_)


@pytest.mark.parametrize("rule", ["marginal", "oos"])
@pytest.mark.parametrize("factor", [1.0, 1e-12, 1e12])
def test_learnt_strengths_do_not_depend_on_the_unit(sunspots, rule, factor):
    plain, scaled = given(20, rule).fit(sunspots), given(20, rule).fit(factor * sunspots)
    assert scaled.ridge_ == pytest.approx(plain.ridge_, rel=1e-3)
    np.testing.assert_allclose(scaled.coef_, plain.coef_, atol=1e-5)
    assert 2 < plain.n_effective_ < 22


def test_more_lags_than_elements():
    x = AR.from_parameters([0.8]).sample(1, length=30, seed=0)[0]
    with pytest.raises(DataError, match="too short"):
        given(20, 0.0).fit(x)
    model = given(20, "marginal").fit(x)
    assert model.n_effective_ < 10
    assert np.isfinite(model.forecast(x, 3).to_numpy()).all()


def test_shrinkage_predicts_better_where_lags_are_many():
    truth = AR.from_parameters([0.5, 0.2])
    draws = truth.sample(20, length=400, seed=3)
    worse = better = 0.0
    for x in draws:
        worse += given(30, 0).fit(x[:100]).score(x[70:])
        better += given(30, "marginal").fit(x[:100]).score(x[70:])
    assert better > worse + 1


def test_terms_stay_free_and_regressors_are_shrunk():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = 100 + 5 * (np.arange(200) % 4 == 1) + x @ [3.0, 0.0] + rng.normal(size=200)
    model = given(2, 1e12, seasonal=4, regressors="recursion").fit(y, context=x)
    seasons = model.beta_[: model.terms_.index("x1")]
    np.testing.assert_allclose(seasons, [5, 0, 0], atol=1.5)
    np.testing.assert_allclose(model.beta_[-2:], 0, atol=1e-6)
    free = given(2, "marginal", seasonal=4, regressors="recursion").fit(y, context=x)
    assert free.beta_[-2] == pytest.approx(3, abs=0.3)


def test_criteria_charge_for_effective_parameters_and_files_keep_them(sunspots, tmp_path):
    model = given(9, 50.0).fit(sunspots)
    n, k = model.n_observations_, model.n_effective_
    assert k < len(model.names_)
    aic = model.information_criterion("aic")
    assert aic == pytest.approx(2 * k - 2 * model.log_likelihood_)
    assert model.information_criterion("bic") == pytest.approx(aic - 2 * k + k * np.log(n))
    model.save(tmp_path / "model.arproc")
    again = arproc.load(tmp_path / "model.arproc")
    assert again.summary() == model.summary()
    assert "ridge" in model.summary().lower()


def test_a_stationary_start_where_the_result_allows_it(sunspots):
    model = AR(9, method="ols", ridge="marginal").fit(sunspots)
    assert model.n_given == 0
    assert model.log_prob(sunspots) == pytest.approx(model.log_likelihood_)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ridge": -1.0}, "ridge must be a number from 0 on"),
        ({"ridge": "cv"}, "ridge must be a number from 0 on"),
        ({"ridge": float("nan")}, "ridge must be a number from 0 on"),
        ({"ridge": 1.0}, "method='ols'"),
        ({"ridge": "oos", "method": "burg"}, "method='ols'"),
        ({"ridge": 1.0, "method": "ols", "regressors": "mean"}, "regressors='recursion'"),
    ],
)
def test_wrong_arguments_are_named(wrong, message, sunspots):
    with pytest.raises(ParameterError, match=message):
        AR(2, **wrong).fit(sunspots, context=sunspots if "regressors" in wrong else None)


@pytest.mark.parametrize("rule", [1.0, "marginal", "oos"])
def test_ill_posed_data_are_refused(rule):
    with pytest.raises(DataError, match="constant"):
        given(2, rule).fit(np.full(50, 3.0))
    with pytest.raises(DataError, match="too short"):
        given(5, rule).fit(np.arange(6.0) ** 2)
