"""Logistic laws of whole numbers: their moments are the sums over their masses."""

import numpy as np
import pytest
import torch

from arproc.distributions import DiscretisedLogisticMixture
from arproc.errors import UnsupportedError

F64 = torch.float64


def law(levels: float, lowest: float, scale: float) -> DiscretisedLogisticMixture:
    logits = torch.tensor([[0.0, 0.7], [1.0, -1.0], [0.0, -30.0]], dtype=F64)
    loc = torch.tensor([[2.3, 6.0], [0.4, 3.0], [1.0, 0.0]], dtype=F64)
    return DiscretisedLogisticMixture(
        logits, loc, torch.full_like(loc, scale).log(), levels, lowest
    )


@pytest.mark.parametrize("scale", [0.05, 0.8, 3.0, 12.0])
@pytest.mark.parametrize(
    ("levels", "lowest"), [(9, 0), (1, 0), (np.inf, 0), (np.inf, -np.inf)], ids=str
)
def test_the_moments_are_those_of_the_masses(levels, lowest, scale):
    mixture = law(levels, lowest, scale)
    first = -600 if np.isinf(lowest) else 0
    last = 600 if np.isinf(levels) else levels - 1
    values = torch.arange(first, last + 1, dtype=F64)
    masses = mixture.log_prob(values[:, None]).exp()
    torch.testing.assert_close(masses.sum(0), torch.ones(3, dtype=F64), rtol=0, atol=1e-12)
    mean = (masses * values[:, None]).sum(0)
    torch.testing.assert_close(mixture.mean, mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(mixture.cdf(values[:, None]), masses.cumsum(0), rtol=0, atol=1e-10)
    if np.isinf(levels):
        with pytest.raises(UnsupportedError, match="no closed form of the variance"):
            _ = mixture.variance
    else:
        variance = (masses * (values[:, None] - mean) ** 2).sum(0)
        torch.testing.assert_close(mixture.variance, variance)


def test_a_law_about_zero_has_mean_zero():
    """Whole numbers without ends: a symmetric law's mean is its centre, to the last digits."""
    loc = torch.tensor([[-3.0], [0.0], [5.0], [0.5]], dtype=F64)
    same = torch.zeros_like(loc)
    mixture = DiscretisedLogisticMixture(same, loc, same, np.inf, -np.inf)
    torch.testing.assert_close(mixture.mean, loc[:, 0], rtol=0, atol=1e-6)
