from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from arproc.errors import ParameterError
from arproc.gaussian import levinson

PACF = hnp.arrays(float, st.integers(0, 6), elements=st.floats(-0.95, 0.95))


@given(PACF)
def test_coefficients_and_partial_autocorrelations_are_a_bijection(pacf):
    coef = levinson.pacf_to_coef(pacf)
    np.testing.assert_allclose(levinson.coef_to_pacf(coef), pacf, rtol=0, atol=1e-9)


@given(PACF)
def test_every_point_of_the_cube_is_stationary(pacf):
    coef = levinson.pacf_to_coef(pacf)
    assert levinson.is_stationary(coef)
    assert levinson.largest_root(coef) < 1


@given(hnp.arrays(float, st.integers(1, 5), elements=st.floats(-2, 2)))
def test_the_stationarity_test_agrees_with_the_roots(coef):
    largest = levinson.largest_root(coef)
    if abs(largest - 1) > 1e-3:
        assert levinson.is_stationary(coef) == (largest < 1)


def test_unit_roots_are_not_stationary():
    assert not levinson.is_stationary(np.array([1.0]))
    assert not levinson.is_stationary(np.array([0.0, 1.0]))
    assert not levinson.is_stationary(np.array([1.5, -0.5]))
    assert levinson.is_stationary(np.array([]))


@given(PACF, st.floats(0.1, 10))
def test_autocovariances_solve_the_yule_walker_equations(pacf, sigma2):
    coef = levinson.pacf_to_coef(pacf)
    gamma = levinson.autocovariances(coef, sigma2, 12)
    lags = np.arange(1, len(coef) + 1)
    scale = gamma[0]
    np.testing.assert_allclose(gamma[0], gamma[lags] @ coef + sigma2, rtol=1e-9)
    for k in range(1, 13):
        np.testing.assert_allclose(gamma[k], gamma[np.abs(k - lags)] @ coef, atol=1e-9 * scale)


def test_autocovariances_equal_the_sum_over_moving_average_weights():
    from statsmodels.tsa.arima_process import ArmaProcess

    coef = levinson.pacf_to_coef(np.array([0.6, -0.4, 0.3]))
    reference = ArmaProcess(np.r_[1, -coef], [1.0]).acovf(10)
    np.testing.assert_allclose(levinson.autocovariances(coef, 1.0, 9), reference, rtol=1e-9)


@given(PACF, st.floats(0.1, 10))
def test_the_start_is_the_cholesky_factor_of_the_covariance(pacf, sigma2):
    coef = levinson.pacf_to_coef(pacf)
    p = len(coef)
    weights, variances = levinson.stationary_start(
        torch.from_numpy(coef), torch.tensor(sigma2, dtype=torch.float64)
    )
    assert weights.shape == (p + 1, p)
    # x = B x + e, B strictly lower: the covariance of x is (I - B)^-1 diag(v) (I - B)^-T
    size = p + 1
    lower = np.eye(size)
    for t in range(size):
        for lag in range(1, t + 1):
            lower[t, t - lag] = -float(weights[t, lag - 1]) if lag <= p else 0.0
    inverse = np.linalg.inv(lower)
    gamma = levinson.autocovariances(coef, sigma2, p)
    want = gamma[np.abs(np.subtract.outer(np.arange(size), np.arange(size)))]
    got = inverse @ np.diag(variances.numpy()) @ inverse.T
    np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9 * gamma[0])


def test_an_explosive_process_has_no_start():
    one = torch.ones((), dtype=torch.float64)
    with pytest.raises(ParameterError, match=r"initial='given'"):
        levinson.stationary_start(torch.tensor([1.2], dtype=torch.float64), one)
    with pytest.raises(ParameterError, match="stationary"):
        levinson.autocovariances(np.array([1.0]), 1.0, 3)
