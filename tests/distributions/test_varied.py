"""Conditionals that differ in kind along a batch, and missing values, against their parts."""

import numpy as np
import pytest
import torch
from torch import distributions as td

from arproc.distributions import (
    DiscretisedLogisticMixture,
    MaybeMissing,
    Mixture,
    Varied,
    atom,
    cdf,
    concatenate,
    from_uniform,
    index,
    mix,
    quantile,
    to,
)

F64 = torch.float64


def parts(*batch: int, seed: int = 0) -> list[td.Distribution]:
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(*batch, 3, dtype=F64, generator=g)
    return [
        td.Normal(z[..., 0], z[..., 1].exp(), validate_args=False),
        td.Poisson(z[..., 2].exp(), validate_args=False),
        td.Categorical(logits=z, validate_args=False),
        DiscretisedLogisticMixture(z, 5 * z.flip(-1), z, np.inf, -np.inf),
    ]


def varied(n: int = 8, t: int = 4, seed: int = 0) -> tuple[Varied, torch.Tensor]:
    which = torch.randint(0, 4, (n, t), generator=torch.Generator().manual_seed(seed))
    return Varied(parts(n, t, seed=seed), which), which


def each(law: Varied, function) -> torch.Tensor:
    """`function` of every entry's own distribution, one at a time."""
    n, t = law.batch_shape
    rows = [
        [function(index(law.parts[int(law.which[i, j])], (i, j)), i, j) for j in range(t)]
        for i in range(n)
    ]
    return torch.tensor(rows, dtype=F64)


def test_every_entry_is_its_own_kind_of_distribution():
    law, _ = varied()
    u = torch.rand(8, 4, dtype=F64, generator=torch.Generator().manual_seed(5))
    x = from_uniform(law, u)
    for ours, own in (
        (law.log_prob(x), lambda d, i, j: d.log_prob(x[i, j])),
        (cdf(law, x), lambda d, i, j: cdf(d, x[i, j])),
        (quantile(law, u), lambda d, i, j: quantile(d, u[i, j])),
        (x, lambda d, i, j: from_uniform(d, u[i, j])),
        (law.mean, lambda d, i, j: d.mean),
    ):
        torch.testing.assert_close(ours, each(law, own), equal_nan=True)


def test_values_of_many_samples_broadcast_over_the_batch():
    law, _ = varied()
    x = from_uniform(law, torch.full((8, 4), 0.3, dtype=F64))
    many = law.log_prob(torch.stack([x, x + 1, x + 0.5]))
    for k, shift in enumerate((0, 1, 0.5)):
        torch.testing.assert_close(many[k], law.log_prob(x + shift))
    one = index(law, (slice(None), slice(0, 1)))
    assert one.log_prob(torch.zeros(8, 5)).shape == (8, 5)


@pytest.mark.parametrize("value", [0.5, -1.0, 17.0, np.nan])
def test_a_value_that_a_kind_can_not_take_has_probability_zero(value):
    law, which = varied()
    found = law.log_prob(torch.full((8, 4), value, dtype=F64))
    assert not bool(torch.isnan(found).any())
    can = {
        0.5: [True, False, False, False],
        -1.0: [True, False, False, True],
        17.0: [True, True, False, True],
    }.get(value, [False] * 4)
    assert bool((torch.isfinite(found) == torch.tensor(can)[which]).all())


def test_indexing_joining_and_moving_are_those_of_the_values():
    law, _ = varied()
    law = MaybeMissing(law, torch.linspace(-3, 1, 32, dtype=F64).reshape(8, 4))
    other = MaybeMissing(varied(3, 4, seed=1)[0], torch.full((3, 4), -torch.inf, dtype=F64))
    x = torch.ones(8, 4, dtype=F64)
    x[::2, 1] = torch.nan
    whole = law.log_prob(x)
    rows = torch.tensor([3, 3, 0])
    torch.testing.assert_close(index(law, rows).log_prob(x[rows]), whole[rows])
    key = (slice(None), slice(1, 3))
    torch.testing.assert_close(index(law, key).log_prob(x[key]), whole[key])
    joined = concatenate([law, other])
    y = torch.cat([x, torch.zeros(3, 4)])
    want = torch.cat([whole, other.log_prob(y[8:])])
    torch.testing.assert_close(joined.log_prob(y), want)
    coarse = to(law, dtype=torch.float32)
    torch.testing.assert_close(coarse.log_prob(x), whole, atol=1e-4, rtol=1e-4)
    assert coarse.base.which.dtype == torch.int64


def test_missing_is_an_event_beside_the_values():
    normal = td.Normal(torch.tensor(1.0, dtype=F64), 2.0)
    law = MaybeMissing(normal, torch.tensor(0.25 / 0.75, dtype=F64).log())
    assert float(law.missing) == pytest.approx(0.25)
    x = torch.tensor([np.nan, 1.7], dtype=F64)
    want = [np.log(0.25), np.log(0.75) + float(normal.log_prob(x[1]))]
    np.testing.assert_allclose(law.log_prob(x), want)
    np.testing.assert_allclose(cdf(law, x), [0.25, 0.25 + 0.75 * float(normal.cdf(x[1]))])
    np.testing.assert_allclose(atom(law, x), [0.25, 0.0])
    u = torch.tensor([0.2, 0.3, 0.9], dtype=F64)
    drawn = from_uniform(law.expand([3]), u)
    np.testing.assert_allclose(drawn, [np.nan, *normal.icdf((u[1:] - 0.25) / 0.75)])
    assert float(law.mean) == 1.0


def test_what_can_not_be_missing_is_as_without():
    normal = td.Normal(torch.zeros(2, dtype=F64), 1.0)
    law = MaybeMissing(normal, torch.full((2,), -torch.inf, dtype=F64))
    x = torch.tensor([0.3, np.nan], dtype=F64)
    assert law.log_prob(x).tolist() == [float(normal.log_prob(x[:1])[0]), -np.inf]
    u = torch.tensor([1e-12, 0.5], dtype=F64)
    np.testing.assert_allclose(from_uniform(law, u), normal.icdf(u), rtol=1e-6)


def test_atoms_make_the_transform_of_any_kind_uniform():
    law = MaybeMissing(varied()[0], torch.full((8, 4), -1.0, dtype=F64))
    g = torch.Generator().manual_seed(3)
    u, v = torch.rand(2, 4000, 8, 4, dtype=F64, generator=g)
    x = from_uniform(law.expand([4000, 8, 4]), u)
    pit = cdf(law, x) - v * atom(law, x)
    np.testing.assert_allclose(pit.mean(0), 0.5, atol=0.03)
    np.testing.assert_allclose(pit.var(0), 1 / 12, atol=0.008)


def test_a_mixture_of_them_is_one_of_their_parts():
    which = varied()[1]
    weights = torch.tensor([0.3, 0.7], dtype=F64).log()
    logits = torch.linspace(-4, 2, 32, dtype=F64).reshape(8, 4)
    laws = [
        MaybeMissing(Varied(parts(8, 4, seed=seed), which), sign * logits)
        for seed, sign in ((0, 1), (1, -1))
    ]
    both = mix(laws, weights)
    assert isinstance(both, MaybeMissing)
    assert isinstance(both.base, Varied)
    u = torch.rand(8, 4, dtype=F64, generator=torch.Generator().manual_seed(5))
    x = from_uniform(both, u)
    assert bool(torch.isnan(x).any())
    for function in (cdf, lambda law, x: law.log_prob(x).exp(), atom):
        want = sum(w * function(law, x) for w, law in zip(weights.exp(), laws, strict=True))
        torch.testing.assert_close(function(both, x), want)
    other = mix([laws[0], laws[1].base], weights)  # of what is not alike it is a plain one
    assert isinstance(other, Mixture)
    other = mix([laws[0].base, Varied(laws[1].base.parts, 3 - which)], weights)
    assert isinstance(other, Mixture)


def test_samples_come_as_often_as_log_prob_says():
    law = MaybeMissing(
        Varied(
            [td.Poisson(torch.tensor([2.0])), td.Normal(torch.zeros(1), 1.0)], torch.tensor([0])
        ),
        torch.tensor([-1.0]),
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        x = law.sample((20000,))[:, 0]
    for value in (torch.nan, 0.0, 1.0, 4.0):
        same = torch.isnan(x) if np.isnan(value) else x == value
        share = float(law.log_prob(torch.tensor([value])).exp())
        assert float(same.double().mean()) == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize("logit", [0.0, -3.0, 2.0])
def test_the_level_at_which_values_begin_is_that_of_a_value(logit):
    law = MaybeMissing(
        td.Normal(torch.zeros(1, dtype=F64), 1.0), torch.full((1,), logit, dtype=F64)
    )
    level = law.missing
    for found in (quantile(law, level), from_uniform(law, level)):
        assert bool(found.isfinite().all())
        assert float(found) < -8
    below = torch.nextafter(level, torch.zeros(1, dtype=F64))
    assert bool(quantile(law, below).isnan())
    assert bool(from_uniform(law, below).isnan())


def test_gradients_pass_through_real_values_and_parameters():
    loc = torch.zeros(3, dtype=F64, requires_grad=True)
    law = MaybeMissing(
        Varied([td.Normal(loc, 1.0), td.Poisson(torch.ones(3))], torch.tensor([0, 1, 0])),
        torch.zeros(3, dtype=F64),
    )
    x = torch.tensor([0.5, 2.0, np.nan], dtype=F64, requires_grad=True)
    slopes = torch.autograd.grad(law.log_prob(x).sum(), [x, loc])
    np.testing.assert_allclose(
        slopes[0], [-0.5, np.log(1.0) - torch.digamma(torch.tensor(3.0)), 0.0], atol=1e-6
    )
    np.testing.assert_allclose(slopes[1], [0.5, 0.0, 0.0])


def test_they_say_what_they_are():
    law = MaybeMissing(varied(2, 3)[0], torch.zeros(2, 3))
    assert "Varied(of Normal, Poisson" in repr(law)
    assert "missing" in repr(law).lower()
