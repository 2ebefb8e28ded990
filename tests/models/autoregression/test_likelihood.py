from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import exact_log_prob
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.distributions import MultivariateNormal

from arproc.gaussian.levinson import autocovariances, pacf_to_coef
from arproc.gaussian.terms import Terms
from arproc.models.autoregression.likelihood import (
    innovations,
    log_prob,
    normal_terms,
    residuals,
)
from arproc.models.autoregression.mean import Level
from arproc.models.autoregression.recursion import recursion_from_mean

PACF = hnp.arrays(float, st.integers(0, 5), elements=st.floats(-0.95, 0.95))


def about_a_line(coef, sigma2, mean, slope):
    return recursion_from_mean(coef, tensor(sigma2), Level(Terms("ct"), tensor([mean, slope])))


def tensor(x):
    return torch.as_tensor(x, dtype=torch.float64)


def dense(x, coef, mean, slope, sigma2):
    """The likelihood as one multivariate normal."""
    n = len(x)
    gamma = autocovariances(coef, sigma2, n)
    covariance = tensor(gamma[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))])
    loc = tensor(mean + slope * np.arange(n))
    return float(MultivariateNormal(loc, covariance).log_prob(tensor(x)))


@given(PACF, st.integers(1, 12), st.floats(-3, 3), st.floats(-1, 1), st.integers(0, 99))
def test_it_is_the_multivariate_normal(pacf, n, mean, slope, seed):
    coef = pacf_to_coef(pacf)
    x = np.random.default_rng(seed).normal(size=n)
    got = float(exact_log_prob(tensor(x), tensor(coef), mean, 0.7, slope))
    assert got == pytest.approx(dense(x, coef, mean, slope, 0.7), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("order", [0, 1, 2, 5, 9])
@pytest.mark.parametrize("n", [11, 400])
def test_it_is_statsmodels_state_space_likelihood(order, n):
    from statsmodels.tsa.arima.model import ARIMA

    rng = np.random.default_rng(order)
    x = rng.normal(size=n).cumsum() + 5
    coef = pacf_to_coef(np.tanh(rng.normal(size=order)))
    # statsmodels counts t from 1
    reference = ARIMA(x, order=(order, 0, 0), trend="ct").loglike(
        np.r_[1.3 - 0.02, 0.02, coef, 0.7]
    )
    got = float(exact_log_prob(tensor(x), tensor(coef), 1.3, 0.7, 0.02))
    assert got == pytest.approx(reference, rel=1e-8)


@given(PACF, st.lists(st.integers(0, 9), min_size=1, max_size=5), st.booleans())
def test_terms_of_ragged_sequences_sum_to_their_likelihoods(pacf, lengths, line):
    coef = tensor(pacf_to_coef(pacf))
    law = about_a_line(coef, 0.7, 1.3, 0.2 if line else 0.0)
    x = tensor(np.random.default_rng(1).normal(size=sum(lengths)))
    terms = normal_terms(*residuals(x, torch.tensor(lengths), law))
    assert terms.shape == x.shape
    for row, part in zip(x.split(lengths), terms.split(lengths), strict=True):
        if len(row):
            assert float(part.sum()) == pytest.approx(float(log_prob(row, law)), abs=1e-10)


def test_several_series_at_once():
    coef = tensor([0.5, -0.3])
    x = tensor(np.random.default_rng(0).normal(size=(4, 3, 20)))
    got = exact_log_prob(x, coef, 0.1, 2.0)
    assert got.shape == (4, 3)
    assert float(got[2, 1]) == pytest.approx(float(exact_log_prob(x[2, 1], coef, 0.1, 2.0)))


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("n", [2, 9])
def test_gradients_in_data_and_parameters(order, n):
    coef = tensor(pacf_to_coef(np.array([0.5, -0.3, 0.2])[:order])).requires_grad_()
    x = tensor(np.random.default_rng(0).normal(size=n)).requires_grad_()
    others = [tensor(v).requires_grad_() for v in (0.3, 1.2, 0.01)]
    assert torch.autograd.gradcheck(exact_log_prob, (x, coef, *others))
    assert torch.autograd.gradgradcheck(exact_log_prob, (x, coef, *others))


def test_terms_are_causal():
    x = tensor(np.random.default_rng(0).normal(size=12)).requires_grad_()
    law = about_a_line(tensor([0.5, 0.2, -0.3]), 1.0, 0.5, 0.1)
    terms = normal_terms(*residuals(x, torch.tensor([7, 5]), law))
    jacobian = torch.stack([torch.autograd.grad(t, x, retain_graph=True)[0] for t in terms])
    for t in range(12):
        start = 0 if t < 7 else 7
        assert bool((jacobian[t, :start] == 0).all())
        assert bool((jacobian[t, t + 1 :] == 0).all())
        assert bool((jacobian[t, max(start, t - 3) : t + 1] != 0).all())


def test_innovations_against_a_loop():
    rng = np.random.default_rng(0)
    y, coef = rng.normal(size=(2, 15)), rng.normal(size=4)
    got = innovations(tensor(y), tensor(coef)).numpy()
    for t in range(4, 15):
        want = y[:, t] - sum(coef[i] * y[:, t - 1 - i] for i in range(4))
        np.testing.assert_allclose(got[:, t - 4], want, rtol=1e-12)
