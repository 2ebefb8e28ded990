"""Products of two laws' powers: against closed forms and plain integration."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import distributions as td

from arproc.distributions import Mixture, Powered, cdf, geometric_mixture, index
from arproc.errors import UnsupportedError


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("scale", [0.0, 0.4, 1.0, 1.7])
def test_normal_laws_have_a_closed_form(scale):
    p, q = td.Normal(tensor(0.0, 1.0), tensor(1.0, 0.5)), td.Normal(tensor(2.0), tensor(2.0))
    law = geometric_mixture(p, q.expand((2,)), scale)
    x = torch.linspace(-3, 4, 9, dtype=torch.float64)[:, None]
    gap = law.log_prob(x) - scale * p.log_prob(x) - (1 - scale) * q.log_prob(x)
    assert float((gap - gap[0]).abs().max()) < 1e-10


def test_vectors_are_multiplied_too():
    root = torch.tensor([[1.0, 0.0], [0.5, 0.8]], dtype=torch.float64)
    p = td.MultivariateNormal(tensor(0.0, 1.0), scale_tril=root)
    q = td.MultivariateNormal(tensor(1.0, -1.0), scale_tril=2 * torch.eye(2).double())
    x = torch.randn((5, 2), generator=torch.Generator().manual_seed(0)).double()
    law = geometric_mixture(p, q, 1.4)
    gap = law.log_prob(x) - 1.4 * p.log_prob(x) + 0.4 * q.log_prob(x)
    assert float((gap - gap[0]).abs().max()) < 1e-9
    each = geometric_mixture(
        td.Independent(td.Normal(tensor(0.0, 1.0), tensor(1.0, 1.0)), 1),
        td.Independent(td.Normal(tensor(1.0, 1.0), tensor(1.0, 1.0)), 1), 2.0,
    )  # fmt: skip
    torch.testing.assert_close(each.base_dist.loc, tensor(-1.0, 1.0))


def test_other_densities_are_integrated():
    p = Mixture([td.Normal(tensor(-2.0, 0.0), tensor(1.0, 1.0)), td.Normal(tensor(2.0, 1.0),
                tensor(0.5, 2.0))], tensor(0.5, 0.5).log())  # fmt: skip
    q = td.Laplace(tensor(0.0, 1.0), tensor(2.0, 3.0))
    law = geometric_mixture(p, q, 1.3)
    assert isinstance(law, Powered)
    for row in (0, 1):
        first, second, own = (index(one, row) for one in (p, q, law))

        def density(x, a=first, b=second):
            at = torch.tensor(x, dtype=torch.float64)
            return float((1.3 * a.log_prob(at) - 0.3 * b.log_prob(at)).exp())

        mass = integrate.quad(density, -30, 30, points=[-2, 2], limit=200)[0]
        got = float(own.log_prob(tensor(0.7)[0]).exp())
        assert got == pytest.approx(density(0.7) / mass, rel=1e-6)
        below = integrate.quad(density, -30, 0.7, points=[-2], limit=200)[0] / mass
        assert float(cdf(own, tensor(0.7)[0])) == pytest.approx(below, rel=1e-6)


def test_counts_are_summed():
    p, q = td.Poisson(tensor(3.0, 5.0)), td.Poisson(tensor(2.0, 9.0))
    law = geometric_mixture(p, q, 1.5)  # a Poisson law again
    want = td.Poisson(p.rate**1.5 * q.rate**-0.5)
    k = torch.arange(20.0, dtype=torch.float64)[:, None]
    np.testing.assert_allclose(law.log_prob(k), want.log_prob(k), atol=1e-9)


def test_what_has_no_law_is_refused():
    wide, narrow = td.Normal(tensor(0.0), tensor(2.0)), td.Normal(tensor(0.0), tensor(1.0))
    with pytest.raises(UnsupportedError, match="no finite integral"):
        geometric_mixture(wide, narrow, 3.0)
    part = td.MultivariateNormal(tensor(0.0, 0.0), torch.eye(2).double())
    two = Mixture([part, part], tensor(0.5, 0.5).log())
    with pytest.raises(UnsupportedError, match="of vectors is not known"):
        geometric_mixture(two, part, 1.5)
