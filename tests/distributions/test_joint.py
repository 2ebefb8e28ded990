"""What a joint law says of each step, and a vector's law of each component."""

import pytest
import torch
from torch import distributions as td

from arproc.distributions import Logistic, Mixture, component_marginals, step_marginals

F64 = torch.float64


def joint(n: int, size: int) -> td.MultivariateNormal:
    g = torch.Generator().manual_seed(size)
    tril = torch.randn(n, size, size, dtype=F64, generator=g).tril(-1)
    tril = tril + torch.diag_embed(torch.rand(n, size, dtype=F64, generator=g) + 0.5)
    loc = torch.randn(n, size, dtype=F64, generator=g)
    return td.MultivariateNormal(loc, scale_tril=tril, validate_args=False)


@pytest.mark.parametrize("event", [(), (1,), (3,)])
def test_a_step_has_its_block_of_the_mean_and_the_covariance(event):
    horizon, d = 4, event[0] if event else 1
    whole = joint(2, horizon * d)
    steps = step_marginals(whole, horizon, event)
    assert steps.batch_shape == (2, horizon)
    assert steps.event_shape == event
    torch.testing.assert_close(steps.mean.reshape(2, -1), whole.mean)
    for k in range(horizon):
        block = slice(k * d, (k + 1) * d)
        want = whole.covariance_matrix[:, block, block]
        got = steps.covariance_matrix[:, k] if event else steps.variance[:, k, None, None]
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("event", [(), (2,)])
def test_what_maps_every_number_maps_each_step(event):
    whole = joint(2, 3 * (event[0] if event else 1))
    maps = [td.AffineTransform(1.0, 0.5), td.ExpTransform()]
    law = td.TransformedDistribution(whole, maps, validate_args=False)
    steps = step_marginals(law, 3, event)
    assert steps.batch_shape == (2, 3)
    assert steps.event_shape == event
    x = torch.full((2, 3, *event), 1.7, dtype=F64)
    inner, slope = (x.log() - 1) / 0.5, 1 / (0.5 * x)
    density = step_marginals(whole, 3, event).log_prob(inner)
    torch.testing.assert_close(
        steps.log_prob(x), density + slope.log().reshape(2, 3, -1).sum(-1), rtol=1e-12, atol=1e-12
    )


def test_a_component_is_that_of_the_vector():
    whole = joint(4, 3)
    each = component_marginals(whole)
    torch.testing.assert_close(each.mean, whole.mean)
    torch.testing.assert_close(each.variance, whole.variance)
    apart = td.Independent(td.Laplace(whole.loc, 1.0, validate_args=False), 1)
    assert component_marginals(apart) is apart.base_dist
    for weights in (torch.tensor([0.3, 0.7]), torch.rand(4, 2) + 0.1):
        weights = (weights / weights.sum(-1, keepdim=True)).to(F64)
        mixed = component_marginals(Mixture([whole, apart], weights.log()))
        assert mixed.batch_shape == (4, 3)
        x = torch.linspace(-1, 1, 12, dtype=F64).reshape(4, 3)
        parts = [each.log_prob(x).exp(), apart.base_dist.log_prob(x).exp()]
        share = weights.expand(4, 2)[:, None]
        want = share[..., 0] * parts[0] + share[..., 1] * parts[1]
        torch.testing.assert_close(mixed.log_prob(x).exp(), want)
    scalar = Logistic(torch.zeros(2), 1.0)
    assert component_marginals(scalar) is scalar


def test_no_component_is_made_up_where_a_part_has_none():
    unknown = td.Dirichlet(torch.ones(4, 3, dtype=F64), validate_args=False)
    assert component_marginals(unknown) is None
    assert component_marginals(Mixture([joint(4, 3), unknown], torch.zeros(2).log())) is None
    assert component_marginals(td.TransformedDistribution(unknown, [td.ExpTransform()])) is None
