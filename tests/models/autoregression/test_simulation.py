"""Joint forecasts of AR against the conditional normal law, by brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arproc import AR
from arproc.gaussian.levinson import autocovariances, pacf_to_coef


@given(
    st.lists(st.floats(-0.95, 0.95), max_size=4),
    st.integers(0, 6),
    st.integers(1, 7),
    st.booleans(),
)
def test_the_joint_law_is_the_conditional_of_the_whole_normal(pacf, known, horizon, line):
    coef = pacf_to_coef(np.array(pacf))
    model = AR.from_parameters(coef, mean=1.5, sigma2=0.8, slope=0.2 if line else 0.0)
    size = known + horizon
    gamma = autocovariances(coef, 0.8, size)
    covariance = gamma[np.abs(np.subtract.outer(np.arange(size), np.arange(size)))]
    m = 1.5 + (0.2 if line else 0.0) * np.arange(size)
    x = np.random.default_rng(0).normal(size=known) + 1
    gain = np.linalg.solve(covariance[:known, :known], covariance[:known, known:]).T
    got = model.law_.joint(model.start(x if known else 1), horizon)
    np.testing.assert_allclose(
        got.mean[0], m[known:] + gain @ (x - m[:known]), rtol=1e-6, atol=1e-8
    )
    want = covariance[known:, known:] - gain @ covariance[:known, known:]
    np.testing.assert_allclose(got.covariance_matrix[0], want, rtol=1e-6, atol=1e-9)


def test_given_starts_and_rows_of_unequal_length():
    walk = AR.from_parameters([1.5, -0.5], sigma2=2.0, initial="given")
    got = walk.law_.joint(walk.start([[0.0, 1.0], [0.0, 1.0, 3.0]]), 3)
    psi = np.array([1.0, 1.5, 1.75])
    factor = np.array([[1, 0, 0], [1.5, 1, 0], [1.75, 1.5, 1]])
    for row in range(2):
        np.testing.assert_allclose(got.covariance_matrix[row], 2 * factor @ factor.T)
    np.testing.assert_allclose(got.variance[0], 2 * np.cumsum(psi**2))
    x = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64)
    with_history = walk.log_prob(torch.tensor([0.0, 1.0, *x.tolist()], dtype=torch.float64))
    assert float(got.log_prob(x)[0]) == pytest.approx(float(with_history), rel=1e-12)
