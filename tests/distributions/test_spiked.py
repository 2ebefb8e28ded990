"""Single values with a mass of their own: one law by every road."""

import pytest
import torch
from torch import distributions as td

from arproc.distributions import (
    DiscretisedLogisticMixture,
    MaybeMissing,
    Spiked,
    atom,
    cdf,
    concatenate,
    from_uniform,
    index,
    mix,
    present,
    quantile,
)

INF = float("inf")
VALUES = torch.tensor([[0.0, 2.0], [1.0, INF]], dtype=torch.float64)
SCORES = torch.tensor([[0.3, -1.0, 0.0], [0.5, -INF, 0.0]], dtype=torch.float64)


def over_normal() -> Spiked:
    return Spiked(td.Normal(torch.tensor([1.0, -1.0]).double(), 2.0), VALUES, SCORES)


def over_counts() -> Spiked:
    one = torch.zeros(2, 1, dtype=torch.float64)
    return Spiked(DiscretisedLogisticMixture(one, one + 1.5, one, INF, 0), VALUES, SCORES)


def test_masses_and_density_add_up():
    law = over_normal()
    x = torch.linspace(-40, 40, 200_000, dtype=torch.float64)[:, None] + 1e-7
    inside = torch.trapezoid(law.log_prob(x.expand(-1, 2)).exp(), x, dim=0)
    spikes = torch.stack([atom(law, v) for v in (VALUES[:, 0], VALUES[:, 1])]).sum(0)
    torch.testing.assert_close(inside + spikes, torch.ones(2).double())
    counts = torch.arange(80.0).double()[:, None].expand(-1, 2)
    torch.testing.assert_close(over_counts().log_prob(counts).exp().sum(0), torch.ones(2).double())


@pytest.mark.parametrize("law", [over_normal(), over_counts()])
def test_distribution_function_quantiles_and_draws_are_of_one_law(law):
    u = ((torch.arange(20_000) + 0.5) / 20_000).double()[:, None].expand(-1, 2)
    drawn, wide = from_uniform(law.expand((20_000, 2)), u), law.expand((20_000, 2))
    for point in (-1.5, 0.0, 1.0, 1.99, 2.0, 4.0):
        x = torch.full((2,), point).double()
        torch.testing.assert_close((drawn <= x).double().mean(0), cdf(law, x), atol=1e-3, rtol=0)
        torch.testing.assert_close((drawn == x).double().mean(0), atom(law, x), atol=1e-3, rtol=0)
    least = quantile(wide, u)
    assert bool((cdf(wide, least) >= u - 1e-9).all())
    assert bool((cdf(wide, least - 1e-6) <= u + 1e-6).all())
    torch.testing.assert_close(least.sort(0).values.mean(0), drawn.mean(0), atol=2e-3, rtol=0)
    torch.testing.assert_close(drawn.mean(0), law.mean, atol=2e-2, rtol=0)


def test_variance_and_shape_follow():
    law = over_normal()
    u = torch.rand(200_000, 2, generator=torch.Generator().manual_seed(0)).double()
    drawn = from_uniform(law.expand((200_000, 2)), u.clamp(1e-12))
    torch.testing.assert_close(drawn.var(0), law.variance, rtol=0.02, atol=0)
    both = concatenate([law, index(law, [1])])
    assert both.batch_shape == (3,)
    assert "Spiked" in repr(law)


def test_a_mixture_of_spiked_laws_is_one():
    a, b = over_normal(), over_normal()
    b.scores = b.scores + torch.tensor([1.0, 0.0, 0.5])
    weights = torch.tensor([0.25, 0.75]).log().double()
    both = mix([a, b], weights)
    assert isinstance(both, Spiked)
    for point in (0.0, 0.7, 1.0, 2.0):
        x = torch.full((2,), point).double()
        want = torch.log(0.25 * a.log_prob(x).exp() + 0.75 * b.log_prob(x).exp())
        torch.testing.assert_close(both.log_prob(x), want)


def test_present_leaves_missing_out():
    law = MaybeMissing(over_normal(), torch.zeros(2))
    assert present(law) is law.base
    assert present(law.base) is law.base
