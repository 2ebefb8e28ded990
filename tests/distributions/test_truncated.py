"""Laws cut to an interval, against scipy's."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as td

from arproc.distributions import Mixture, Truncated, cdf, from_uniform, index, quantile

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


@pytest.mark.parametrize(("low", "high"), [(9.0, 9.5), (-9.5, -9.0), (6.0, np.inf), (-1.0, 2.0)])
def test_an_interval_in_either_tail_keeps_its_digits(low, high):
    for law, want in (
        (td.Normal(one(0.5), one(1.0)), stats.norm(0.5, 1.0)),
        (td.Laplace(one(0.5), one(0.3)), stats.laplace(0.5, 0.3)),
        (td.StudentT(one(5.0), one(0.5), one(0.3)), stats.t(5.0, 0.5, 0.3)),
    ):
        cut = Truncated(law, low, high)
        # of the side where digits are left
        mass = want.cdf(high) - want.cdf(low) if low < 0.5 else want.sf(low) - want.sf(high)
        np.testing.assert_allclose(cut.log_mass, np.log(mass), rtol=1e-9)
        q = torch.tensor([0.01, 0.3, 0.9], dtype=F64)
        x = quantile(cut, q)
        np.testing.assert_allclose(cdf(cut, x), q, rtol=1e-6)
        x = x.numpy()
        part = want.cdf(x) - want.cdf(low) if low < 0.5 else want.sf(low) - want.sf(x)
        np.testing.assert_allclose(part / mass, q, rtol=1e-6)


def test_mixtures_are_cut_part_by_part():
    weights = torch.tensor([0.25, 0.75], dtype=F64)
    locs, scales = torch.tensor([[0.0, 1.0]], dtype=F64), torch.tensor([[1.0, 0.5]], dtype=F64)
    same = td.MixtureSameFamily(td.Categorical(probs=weights[None]), td.Normal(locs, scales))
    parts = Mixture([td.Normal(locs[:, i], scales[:, i]) for i in range(2)], weights.log())
    for law in (same, parts):
        for low, high in ((0.5, 2.0), (9.0, np.inf)):
            cut = Truncated(law, low, high)
            masses = [
                w * (stats.norm.sf(low, m, s) - stats.norm.sf(high, m, s))
                for w, m, s in zip((0.25, 0.75), (0.0, 1.0), (1.0, 0.5), strict=True)
            ]
            np.testing.assert_allclose(cut.log_mass, np.log(sum(masses)), rtol=1e-9)
            q = torch.tensor([0.1, 0.6], dtype=F64)
            np.testing.assert_allclose(cdf(cut, quantile(cut, q)), q, rtol=1e-6)


def test_where_nothing_is_left_nothing_is_probable():
    cut = Truncated(td.Normal(one(0.0), one(1.0)), 60.0, 61.0)
    assert float(cut.log_mass) == -np.inf
    assert float(cut.log_prob(one(60.5))) == -np.inf
