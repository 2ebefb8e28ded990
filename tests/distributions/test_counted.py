"""Counts to a power and within an interval: against plain sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import distributions as td

from arproc.distributions import Mixture, PoweredCount, cdf, concatenate, index, quantile, tempered
from arproc.errors import UnsupportedError

HALVES = torch.tensor([0.3, 0.7]).log()
LAWS = {
    "Poisson": td.Poisson(torch.tensor([3.0, 20.0], dtype=torch.float64)),
    "NegativeBinomial": td.NegativeBinomial(torch.tensor([2.0, 5.0]), torch.tensor([0.5, 0.3])),
    "Mixture": Mixture(
        [td.Poisson(torch.tensor([1.0, 2.0])), td.Poisson(torch.tensor([7.0, 90.0]))], HALVES
    ),
}
K = torch.arange(600.0, dtype=torch.float64)


def plain(base, power, low=0, high=np.inf):
    """Log-masses of 0 ... 599 by a sum over these, [600, 2]."""
    scores = power * base.log_prob(K[:, None]).double().numpy()
    scores[(K.numpy() < low) | (K.numpy() > high)] = -np.inf
    return scores - np.log(np.exp(scores).sum(0))


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(
    ("power", "low", "high"), [(0.6, 0, np.inf), (1.0, 2, 6), (2.5, 4, np.inf)]
)
def test_masses_quantiles_and_moments_are_those_of_the_sum(name, power, low, high):
    law = PoweredCount(LAWS[name], power, low, high)
    want = plain(LAWS[name], power, low, high)
    got = law.log_prob(K[:, None]).numpy()
    np.testing.assert_allclose(got[:200], want[:200], rtol=1e-6, atol=1e-6)
    below = np.exp(want).cumsum(0)
    for k in (0.0, 3.0, 5.5, 25.0):
        at = torch.full((2,), k, dtype=torch.float64)
        np.testing.assert_allclose(cdf(law, at), below[int(k)], atol=1e-6)
    for q in (0.01, 0.4, 0.99):
        found = quantile(law, torch.full((2,), q, dtype=torch.float64)).long().numpy()
        assert (below[found, [0, 1]] >= q - 1e-9).all()
        assert (np.where(found > low, below[found - 1, [0, 1]], 0) < q + 1e-9).all()
    np.testing.assert_allclose(law.mean, (np.exp(want) * K.numpy()[:, None]).sum(0), rtol=1e-5)
    for part in (index(law, 1), concatenate([law, law], dim=0)):
        assert isinstance(part, PoweredCount)
    np.testing.assert_allclose(index(law, 1).log_prob(K[:9]), got[:9, 1])


def test_temperature_of_counts_is_their_power():
    law = LAWS["Poisson"]
    np.testing.assert_allclose(tempered(law, 2.0).log_prob(K[:60, None]), plain(law, 0.5)[:60])
    cut = tempered(PoweredCount(law, 1.0, 2, 6), 0.5)
    np.testing.assert_allclose(cut.log_prob(K[:9, None]), plain(law, 2.0, 2, 6)[:9])


def test_far_intervals_keep_their_digits_and_empty_ones_have_none():
    far = PoweredCount(td.Poisson(torch.tensor([3.0], dtype=torch.float64)), low=300)
    want = -special.logsumexp(stats.poisson(3.0).logpmf(np.arange(300, 400)))
    want += stats.poisson(3.0).logpmf(300)
    assert float(far.log_prob(torch.tensor([300.0]))) == pytest.approx(want, abs=1e-9)
    empty = PoweredCount(LAWS["Poisson"], low=2.2, high=2.8)
    assert (empty.log_mass == -torch.inf).all()
    assert (empty.log_prob(torch.tensor([2.0, 3.0])) == -torch.inf).all()


def test_what_has_no_sum_is_refused():
    heavy = td.Geometric(torch.tensor([1e-9], dtype=torch.float64))
    with pytest.raises(UnsupportedError, match="too many counts to be summed"):
        PoweredCount(heavy, 0.5).log_mass  # noqa: B018
