"""What log-probabilities alone say: against closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import distributions as td

from arproc.distributions import MaybeMissing, cdf
from arproc.spaces import Count, Positive, Real, UnitInterval
from arproc.testing.integrals import scored

FAR = torch.tensor([-7.0, -1.0, 0.3, 4.0, 8.0]).double()


def pair(*values: float) -> list[torch.Tensor]:
    return [torch.full((2,), value, dtype=torch.float64) for value in values]


@pytest.mark.parametrize(
    ("d", "space", "points"),
    [
        (td.Normal(*pair(0.5, 2.0)), Real(), FAR),
        (td.Laplace(*pair(-0.3, 0.7)), Real(), FAR),
        (td.StudentT(*pair(3.0, 0.5, 2.0)), Real(), FAR),
        (td.Uniform(*pair(0.0, 1.0), validate_args=False), Real(), FAR),
        (td.Gamma(*pair(0.7, 2.0)), Positive(), FAR.abs()),
        (td.Beta(*pair(2.0, 0.8)), UnitInterval(), torch.sigmoid(FAR)),
        (td.Poisson(torch.tensor([0.2, 300.0]).double()), Count(), FAR.abs().floor()),
    ],
)
def test_masses_and_distribution_functions_are_the_closed_forms(d, space, points):
    x = points[:, None].expand(-1, 2)
    law = scored(d, space, x)
    assert law.adds_up(torch.float64)
    torch.testing.assert_close(law.below, cdf(d, x).double(), atol=1e-9, rtol=1e-6)
    torch.testing.assert_close(law.above, 1 - cdf(d, x).double(), atol=1e-9, rtol=0)
    known = law.variance.isfinite()
    torch.testing.assert_close(law.mean[known], d.mean[known], atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(law.variance[known], d.variance[known], atol=1e-7, rtol=1e-7)


def test_an_atom_of_missing_values_comes_before_all_others():
    d = MaybeMissing(td.Normal(*pair(0.0, 1.0)), torch.zeros(2).double())
    law = scored(d, Real(), torch.zeros(1, 2))
    assert law.missing.tolist() == [0.5, 0.5]
    torch.testing.assert_close(law.below, torch.full((1, 2), 0.75).double())
    torch.testing.assert_close(law.mass + law.missing, torch.ones(2).double())


class Floored(td.Normal):
    def log_prob(self, value):
        return super().log_prob(value).clamp(min=-50)


class Clamped(td.Poisson):
    def log_prob(self, value):
        return super().log_prob(value.clamp(max=20))


def test_what_lies_at_the_ends_of_floats_is_seen():
    assert not scored(Floored(*pair(0.0, 1.0)), Real()).adds_up(torch.float64)
    assert not scored(Clamped(*pair(2.0)), Count()).adds_up(torch.float64)
