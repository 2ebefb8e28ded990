"""Partial pooling: between each alone and all together, and better than both on short panels."""

from __future__ import annotations

import numpy as np
import pytest

import arproc
from arproc import AR, Panel
from arproc.errors import DataError, ParameterError
from arproc.testing import check_process

GIVEN = {"method": "ols", "initial": "given"}
MEAN, SPREAD = np.array([0.6, -0.2]), np.array([[0.03, -0.01], [-0.01, 0.02]])


def panel(n: int, length: int, seed: int = 0, spread: np.ndarray = SPREAD, level: float = 0.0):
    """Series of AR(2) whose coefficients are draws of a normal law; and these."""
    rng = np.random.default_rng(seed)
    coef = rng.multivariate_normal(MEAN, spread, n)
    x = rng.normal(size=(n, length + 50))
    for t in range(2, length + 50):
        x[:, t] += (coef * x[:, [t - 1, t - 2]]).sum(axis=1)
    return x[:, 50:] * rng.uniform(0.1, 9, (n, 1)) + level * rng.normal(size=(n, 1)), coef


def coefficients(model: Panel) -> np.ndarray:
    return model.coefficients_[["ar.L1", "ar.L2"]].to_numpy()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_beats_both_extremes_out_of_sample(seed):
    x, truth = panel(300, 220, seed)
    short, later = x[:, :20], x[:, 20:]
    settings = {"trend": "n", **GIVEN}
    alone = Panel(AR(2, **settings)).fit(short)
    partial = Panel(AR(2, **settings), pooling="partial").fit(short)
    scaled = short / short.std(axis=1, keepdims=True)
    together = AR(2, **settings).fit(scaled).coef_

    def error(coef):
        ahead = coef[:, :1] * later[:, 1:-1] + coef[:, 1:] * later[:, :-2]
        return np.mean(((later[:, 2:] - ahead) / later.std(axis=1, keepdims=True)) ** 2)

    errors = [error(c) for c in (coefficients(partial), coefficients(alone), together[None])]
    assert errors[0] < min(errors[1:])
    distance = [
        np.mean((c - truth) ** 2) for c in (coefficients(partial), coefficients(alone), together)
    ]
    assert distance[0] < 0.8 * min(distance[1:])


def test_finds_the_common_law():
    x, _ = panel(4000, 60, seed=3, level=20.0)
    model = Panel(AR(2, trend="n", **GIVEN), pooling="partial").fit(panel(4000, 60, seed=3)[0])
    np.testing.assert_allclose(model.prior_mean_, MEAN, atol=0.02)
    np.testing.assert_allclose(model.prior_covariance_, SPREAD, atol=0.006)
    # with a constant the estimates of short series are biased towards 0 (Kendall 1954), by 4 / n
    model = Panel(AR(2, **GIVEN), pooling="partial").fit(x)
    np.testing.assert_allclose(model.prior_mean_, MEAN, atol=0.07)


def test_long_series_stay_as_they_are():
    x, _ = panel(30, 20_000, level=5.0)
    got = Panel(AR(2, **GIVEN), pooling="partial").fit(x)
    want = Panel(AR(2, **GIVEN)).fit(x)
    np.testing.assert_allclose(coefficients(got), coefficients(want), atol=2e-3)
    np.testing.assert_allclose(got.parameters_[:, -1], want.parameters_[:, -1], rtol=1e-3)
    ratio = got.covariances_[:, 1:3, 1:3] / want.covariances_[:, 1:3, 1:3]
    np.testing.assert_allclose(ratio, 1, atol=0.02)


def test_equal_series_become_one():
    x, _ = panel(400, 50, spread=np.zeros((2, 2)))
    model = Panel(AR(2, trend="n", **GIVEN), pooling="partial").fit(x)
    together = AR(2, trend="n", **GIVEN).fit(x / x.std(axis=1, keepdims=True))
    alone = coefficients(Panel(AR(2, trend="n", **GIVEN)).fit(x))
    got = coefficients(model)
    assert got.std(axis=0).max() < 0.1 * alone.std(axis=0).min()
    np.testing.assert_allclose(got.mean(axis=0), together.coef_, atol=0.02)


def test_the_marginal_likelihood_is_at_its_maximum_in_the_mean():
    # closed form by brute force: y ~ N(X mu, sigma2 I + X Omega X'), column of ones projected out
    x, _ = panel(40, 30, seed=4)
    model = Panel(AR(2, trend="n", **GIVEN), pooling="partial").fit(x)
    omega = model.prior_covariance_
    left, right = np.zeros((2, 2)), np.zeros(2)
    for row, noise in zip(x, model.parameters_[:, -1], strict=True):
        design, target = np.column_stack([row[1:-1], row[:-2]]), row[2:]
        weight = np.linalg.inv(noise * np.eye(28) + design @ omega @ design.T)
        left += design.T @ weight @ design
        right += design.T @ weight @ target
    np.testing.assert_allclose(model.prior_mean_, np.linalg.solve(left, right), atol=1e-5)
    for i, (row, noise) in enumerate(zip(x, model.parameters_[:, -1], strict=True)):
        design = np.column_stack([row[1:-1], row[:-2]])
        precision = np.linalg.inv(omega) + design.T @ design / noise
        want = np.linalg.solve(
            precision, np.linalg.solve(omega, model.prior_mean_) + design.T @ row[2:] / noise
        )
        np.testing.assert_allclose(coefficients(model)[i], want, atol=1e-5)
        got = model.covariances_[i, :2, :2]
        np.testing.assert_allclose(got, np.linalg.inv(precision), rtol=1e-3, atol=1e-9)


def test_series_too_short_for_a_fit_of_their_own():
    x, _ = panel(50, 40, level=3.0)
    data = [*x, x[0, :6], np.where(np.arange(40) % 9 == 8, np.nan, x[1])]
    with pytest.raises(DataError, match="50"):
        Panel(AR(3, **GIVEN)).fit(data)
    model = Panel(AR(3, **GIVEN), pooling="partial").fit(data)
    assert np.isfinite(model.coefficients_.drop(columns="status").to_numpy()).all()
    assert np.isfinite(model.forecast(horizon=3).to_numpy()).all()


def test_scale_and_level_make_no_difference():
    x, _ = panel(40, 30)
    plain = Panel(AR(2, **GIVEN), pooling="partial").fit(x)
    moved = Panel(AR(2, **GIVEN), pooling="partial").fit(x * 1e12 + 7e12)
    np.testing.assert_allclose(coefficients(moved), coefficients(plain), atol=1e-6)


def test_one_file_and_the_contract(tmp_path):
    x, _ = panel(20, 40)
    model = Panel(AR(2, method="ols"), pooling="partial").fit(x)
    model.save(tmp_path / "panel")
    again = arproc.load(tmp_path / "panel")
    assert (again.prior_mean_ == model.prior_mean_).all()
    check_process(again[3])
    assert model.log_prob(x)[3] == pytest.approx(model[3].log_prob(x[3]))


def test_bad_input():
    x, _ = panel(4, 40)
    for process in (AR(2), AR(2, ridge=1.0, **GIVEN), AR(0, **GIVEN)):
        with pytest.raises(ParameterError, match="pooling='partial' is for AR of order 1"):
            Panel(process, pooling="partial").fit(x)
    data = [*x, np.ones(40), x[0, :3]]
    with pytest.raises(DataError, match=r"2 of 6 series have no fit, 4: data are constant"):
        Panel(AR(2, **GIVEN), pooling="partial").fit(data)
    kept = Panel(AR(2, **GIVEN), pooling="partial", errors="keep").fit(data)
    assert kept.coefficients_["sigma2"].isna().tolist() == [False] * 4 + [True] * 2
