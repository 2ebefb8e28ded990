"""Gradients of the batched ARMA likelihood, and its maxima, against the filter itself."""

import numpy as np
import pytest

from arproc.gaussian.arma import Orders, _Problems, maximise
from arproc.gaussian.arma_ahead import follow
from arproc.gaussian.filtering import Filter
from arproc.gaussian.quasi_newton import minimise

ORDERS = [
    Orders(1, 0, 1, 0, 0, 0, 0), Orders(2, 0, 0, 0, 0, 1, 4), Orders(0, 0, 1, 1, 0, 1, 4),
    Orders(3, 0, 0, 0, 0, 0, 0), Orders(1, 0, 2, 0, 0, 0, 0),
]  # fmt: skip


def rows(orders, regressors, seed=0):
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(1 + regressors, 70))
    return columns, np.array([0, 30, 70]), np.array([0, 1, 2])


@pytest.mark.parametrize("orders", ORDERS)
@pytest.mark.parametrize("regressors", [0, 2])
@pytest.mark.parametrize("wide", [1.0, 3.5])  # the latter's gains settle late, or never
def test_values_are_the_filter_s_and_gradients_their_slopes(orders, regressors, wide):
    columns, offsets, groups = rows(orders, regressors)
    whole = np.zeros(2, dtype=np.bool_)
    problems, k = _Problems(orders, columns, offsets, groups, whole), sum(orders.blocks)
    z = np.random.default_rng(1).uniform(-wide, wide, (2, k))
    at = problems.at(z, np.arange(2))
    for g in range(2):
        kalman = Filter(orders.represent(orders.coefficients(z[g])))
        rest, variance = kalman.innovations(columns[:, offsets[g] : offsets[g + 1]])
        left = rest[0] - at.beta[g] @ rest[1:]
        squares = (left**2 / variance).sum()
        assert at.squares[g] == pytest.approx(squares, rel=1e-11)
        assert at.value[g] == pytest.approx(np.log(squares) + np.log(variance).mean(), abs=1e-11)
        assert abs((rest[1:] * left / variance).sum()) < 1e-9 * squares  # least squares
    for j in range(k):
        near, far = (
            problems.at(z + move, np.arange(2)).value - problems.at(z - move, np.arange(2)).value
            for move in (1e-3 * np.eye(k)[j], 2e-3 * np.eye(k)[j])
        )
        slope = (8 * near - far) / 12e-3
        np.testing.assert_allclose(at.gradient[:, j], slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("orders", ORDERS)
@pytest.mark.parametrize("gaps", [False, True])
def test_the_bend_is_that_of_innovations_that_move_straight(orders, gaps):
    columns, offsets, groups = rows(orders, 0)
    if gaps:
        columns[0, [5, 6, 40]] = np.nan
    problems, k = _Problems(orders, columns, offsets, groups, np.full(2, gaps)), sum(orders.blocks)
    z = np.random.default_rng(1).uniform(-1, 1, (2, k))
    at = problems.at(z, np.arange(2))

    def innovations(z, row):
        kalman = Filter(orders.represent(orders.coefficients(z)))
        seen, counts = np.isfinite(row), np.array([row.shape[1]])
        gain, variance, _ = kalman.gains(seen, counts, kalman.fresh(1))
        loc, _ = kalman.run(row, counts, np.zeros((1, kalman.form.size)), gain, np.zeros(1, int))
        return (row - loc[:, :-1])[seen], variance[:, :-1][seen]

    for g in range(2):
        row = columns[:, offsets[g] : offsets[g + 1]]
        rest, variance = innovations(z[g], row)
        slopes = []
        for move in 1e-5 * np.eye(k):
            ahead, behind = innovations(z[g] + move, row)[0], innovations(z[g] - move, row)[0]
            slopes.append((ahead - behind) / 2e-5)
        expected = 2 * (np.array(slopes) / variance) @ np.array(slopes).T
        expected /= (rest**2 / variance).sum()
        np.testing.assert_allclose(at.bend[g], expected, rtol=1e-6, atol=1e-8)


def test_several_rows_may_share_one_law():
    orders = ORDERS[0]
    columns, offsets, _ = rows(orders, 0)
    both = maximise(orders, columns, offsets, np.array([0, 2]))
    problem = _Problems(orders, columns, offsets, np.array([0, 2]), np.zeros(2, dtype=np.bool_))
    assert both.used.tolist() == [70]
    assert np.abs(problem.at(both.z, np.array([0])).gradient).max() < 1e-5
    around = problem.at(both.z + 0.05, np.array([0])).value
    assert around[0] > both.value[0]


def test_the_law_of_what_follows_is_the_filter_s():
    orders = Orders(1, 1, 1, 0, 1, 0, 3)
    x = np.random.default_rng(2).normal(size=40).cumsum()
    coef = np.array([[0.5, -0.4]])
    none = np.zeros(0)
    kalman = Filter(orders.represent([coef[0, :1], coef[0, 1:], none, none]))
    rest, variance = kalman.innovations(x[None])
    known = np.isfinite(variance)
    terms = np.log(2 * np.pi * 2.0 * variance) + rest[0] ** 2 / (2.0 * variance)
    found = follow(orders, coef, np.array([2.0]), x, np.array([0, 40]), 5)
    assert found.log_likelihood[0] == pytest.approx(-0.5 * terms[known].sum(), rel=1e-11)
    spread = kalman.spread_at(np.array([40]))
    expected = 2.0 * kalman.forecast_variance(spread, 5)
    np.testing.assert_allclose(found.variance, expected, rtol=1e-10)


def test_a_search_near_another_s_end_is_given_up_and_bounds_hold():
    calls = []

    def slope_down(x, which):
        calls.append(len(which))
        return -x.sum(1), -np.ones_like(x), np.tile(np.eye(2), (len(x), 1, 1))

    z, value = minimise(slope_down, np.zeros((2, 2)), 9.0)
    assert z.tolist() == [[9.0, 9.0], [9.0, 9.0]]
    assert value.tolist() == [-18.0, -18.0]
    calls.clear()
    minimise(slope_down, np.zeros((2, 2)), 9.0, (z, value))
    near = len(calls)
    calls.clear()
    minimise(slope_down, np.full((2, 2), 8.95), 9.0, (z, value))
    assert len(calls) < near
