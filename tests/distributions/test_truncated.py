"""Laws cut to an interval, against scipy's."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as td

from arproc.distributions import Truncated, cdf, from_uniform, index, quantile

F64 = torch.float64


def one(x: float) -> torch.Tensor:
    return torch.tensor([x], dtype=F64)


@pytest.mark.parametrize(
    ("low", "high"),
    [(-0.5, np.inf), (-np.inf, 0.3), (-1.0, 2.0), (8.0, np.inf), (-np.inf, -30.0)],
)
def test_a_cut_normal_law_is_scipys(low, high):
    law = Truncated(td.Normal(one(0.4), one(1.3)), low, high)
    want = stats.truncnorm((low - 0.4) / 1.3, (high - 0.4) / 1.3, 0.4, 1.3)
    q = torch.tensor([1e-8, 0.01, 0.3, 0.5, 0.9, 1 - 1e-8], dtype=F64)
    x = quantile(law, q)
    np.testing.assert_allclose(x, want.ppf(q), rtol=1e-7)
    np.testing.assert_allclose(law.log_prob(x), want.logpdf(x), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(cdf(law, x), q, rtol=1e-6)
    assert float(cdf(law, one(-1e9))) == 0
    assert float(cdf(law, one(1e9))) == 1
    outside = one(low - 1 if np.isfinite(low) else high + 1)
    assert float(law.log_prob(outside)) == -np.inf


def test_any_law_can_be_cut():
    law = Truncated(td.Laplace(torch.zeros(2, dtype=F64), torch.ones(2, dtype=F64)), low=-0.5)
    grid = torch.linspace(-0.5, 40, 200_001, dtype=F64)
    density = law.log_prob(grid[1:, None]).exp()
    assert torch.trapezoid(density[:, 0], grid[1:]) == pytest.approx(1.0, abs=1e-3)
    q = torch.tensor([0.2, 0.7], dtype=F64)
    np.testing.assert_allclose(cdf(law, quantile(law, q)), q)
    assert float(index(law, 0).log_prob(one(1.0))) == float(law.log_prob(one(1.0))[0])
    assert float(law.sample((500,)).min()) >= -0.5
    np.testing.assert_allclose(from_uniform(law, q), quantile(law, q))
