"""index, concatenate and to: on every kind, and on the kinds with an event."""

import pytest
import torch
from distributions.kinds import KINDS
from torch import distributions as td

from arproc.distributions import Categorical, Mixture, concatenate, from_uniform, index, mix, to
from arproc.errors import UnsupportedError

F64 = torch.float64


def vectors(n: int) -> torch.Tensor:
    return torch.randn(n, 2, dtype=F64, generator=torch.Generator().manual_seed(n))


def trils(n: int) -> torch.Tensor:
    return torch.diag_embed(vectors(n).abs() + 0.5) + torch.tensor([[0.0, 0], [0.3, 0]])


def gaussian(n: int) -> td.Distribution:
    return td.MultivariateNormal(vectors(n), scale_tril=trils(n), validate_args=False)


EVENTS = {
    "MultivariateNormal": gaussian,
    "shared covariance": lambda n: td.MultivariateNormal(
        vectors(n), torch.eye(2, dtype=F64), validate_args=False
    ),
    "Independent": lambda n: td.Independent(td.Laplace(vectors(n), 1.0), 1, validate_args=False),
    "Independent bits": lambda n: td.Independent(
        td.Bernoulli(logits=vectors(n)), 1, validate_args=False
    ),
    "mixture of vectors": lambda n: td.MixtureSameFamily(
        Categorical(torch.stack([vectors(n)[:, 0], torch.zeros(n, dtype=F64)], -1)),
        td.MultivariateNormal(
            torch.stack([vectors(n), -vectors(n)], 1), torch.eye(2, dtype=F64), validate_args=False
        ),
        validate_args=False,
    ),
    "Mixture of vectors": lambda n: Mixture(
        [gaussian(n), td.Independent(td.Laplace(vectors(n), 2.0), 1, validate_args=False)],
        torch.tensor([0.25, 0.75], dtype=F64).log(),
    ),
    "own weights": lambda n: Mixture(
        [gaussian(n), gaussian(n)], torch.log_softmax(vectors(n), dim=-1)
    ),
    "TransformedDistribution": lambda n: td.TransformedDistribution(
        td.Normal(vectors(n)[:, 0], 1.0),
        [td.AffineTransform(vectors(n)[:, 1], 2.0), td.ExpTransform()],
        validate_args=False,
    ),
    "broadcast transform": lambda n: td.TransformedDistribution(
        td.Normal(vectors(n)[:, 0], 1.0),
        [td.AffineTransform(vectors(1)[:, 0], vectors(1)[0, 1])],
        validate_args=False,
    ),
    "composed": lambda n: td.TransformedDistribution(
        td.Uniform(torch.zeros(n, dtype=F64), 1.0, validate_args=False),
        [td.ComposeTransform([td.ExpTransform(), td.AffineTransform(vectors(n)[:, 0], 1.0)])],
        validate_args=False,
    ),
    "Weibull": lambda n: td.Weibull(*vectors(n).exp().T, validate_args=False),
    "Gumbel": lambda n: td.Gumbel(*vectors(n).exp().T, validate_args=False),
    "HalfNormal": lambda n: td.HalfNormal(vectors(n)[:, 0].exp(), validate_args=False),
    "Gamma": lambda n: td.Gamma(*vectors(n).exp().T, validate_args=False),
}  # fmt: skip
BUILD = {
    **{name: lambda n, kind=kind: index(kind.build(F64), torch.arange(n) % 3)
       for name, kind in KINDS.items()},
    **EVENTS,
}  # fmt: skip
every = pytest.mark.parametrize("name", sorted(BUILD))


def values(distribution: td.Distribution) -> torch.Tensor:
    """Some values that the distribution can take, one for each place of its batch."""
    torch.manual_seed(0)
    return distribution.sample().to(F64)


@every
@pytest.mark.parametrize(
    "key", [0, slice(1, None), torch.tensor([3, 0, 0]), (slice(None), None), torch.arange(4) > 1],
    ids=str,
)  # fmt: skip
def test_a_part_is_that_part(name, key):
    whole = BUILD[name](4)
    part = index(whole, key)
    x = values(whole)
    assert type(part) is type(whole)
    assert part.batch_shape == x.reshape(4, -1).sum(-1)[key].shape
    assert part.event_shape == whole.event_shape
    torch.testing.assert_close(part.log_prob(x[key]), whole.log_prob(x)[key])
    assert not part._validate_args


@every
def test_joining_what_was_cut_gives_the_whole(name):
    whole = BUILD[name](4)
    halves = [index(whole, slice(0, 1)), index(whole, slice(1, 4))]
    x = values(whole)
    torch.testing.assert_close(concatenate(halves).log_prob(x), whole.log_prob(x))
    columns = [index(half, (slice(None), None)) for half in (whole, whole)]
    both = concatenate(columns, dim=1)
    assert both.batch_shape == (4, 2)
    torch.testing.assert_close(both.log_prob(torch.stack([x, x], 1))[:, 1], whole.log_prob(x))


@every
def test_moving_to_float32(name):
    whole = BUILD[name](4)
    x = values(whole)
    moved = to(whole, dtype=torch.float32)
    torch.testing.assert_close(
        moved.log_prob(x.float()).double(), whole.log_prob(x), rtol=1e-3, atol=1e-3
    )


def test_different_mixtures_join_with_their_own_weights():
    a, b = (
        Mixture([td.Normal(torch.zeros(1), 1.0), td.Normal(torch.ones(1), 2.0)], w.log())
        for w in (torch.tensor([0.1, 0.9]), torch.tensor([0.7, 0.3]))
    )
    x = torch.tensor([0.4, 0.4])
    want = torch.cat([a.log_prob(x[:1]), b.log_prob(x[1:])])
    torch.testing.assert_close(concatenate([a, b]).log_prob(x), want)


def test_different_transforms_join_with_their_own_parameters():
    a, b = (
        td.TransformedDistribution(
            td.Normal(torch.zeros(1), 1.0), td.AffineTransform(loc, 1.0), validate_args=False
        )
        for loc in (0.0, 5.0)
    )
    x = torch.tensor([0.1, 5.1])
    want = torch.cat([a.log_prob(x[:1]), b.log_prob(x[1:])])
    torch.testing.assert_close(concatenate([a, b]).log_prob(x), want)


def test_a_transform_that_no_rule_knows_is_refused_rather_than_left_as_it_is():
    own = td.TransformedDistribution(td.Normal(torch.zeros(3), 1.0), [_Scaled(torch.ones(3))])
    with pytest.raises(UnsupportedError, match="_Scaled with tensors of its own"):
        index(own, 0)


class _Scaled(td.Transform):
    domain = codomain = td.constraints.real
    bijective = True

    def __init__(self, by: torch.Tensor) -> None:
        super().__init__()
        self.by = by


class _Shifted(td.Distribution):
    """A distribution of a user's own that follows torch's convention."""

    arg_constraints = {"shift": td.constraints.real}
    support = td.constraints.real

    def __init__(self, shift, validate_args=None):
        self.shift = shift
        super().__init__(shift.shape, validate_args=validate_args)

    def log_prob(self, value):
        return -((value - self.shift) ** 2)


def test_a_users_own_distribution_needs_nothing_more():
    own = _Shifted(torch.arange(4.0))
    assert index(own, slice(1, 3)).shift.tolist() == [1.0, 2.0]
    assert concatenate([index(own, [3]), index(own, [0])]).shift.tolist() == [3.0, 0.0]


@pytest.mark.parametrize("name", ["MultivariateNormal", "Independent", "mixture of vectors",
                                  "Mixture of vectors"])  # fmt: skip
def test_draws_of_vectors_follow_their_law(name):
    """Mean and covariance of 40,000 draws against torch's, by five standard errors."""
    from arproc.contract.randomness import Uniforms

    one = index(EVENTS[name](1), 0).expand((40_000,))
    x = from_uniform(one, Uniforms(2).block(torch.arange(40_000), 0, 1, (2,))[:, 0])
    torch.manual_seed(1)
    other = one.sample()
    assert x.shape == other.shape
    for power in (1, 2):
        gap = (x**power).mean(0) - (other**power).mean(0)
        error = ((x**power).var(0) / 40_000 + (other**power).var(0) / 40_000).sqrt()
        assert bool((gap.abs() < 5 * error).all())
    cross, theirs = x.prod(-1), other.prod(-1)
    error = (cross.var() / 40_000 + theirs.var() / 40_000).sqrt()
    assert abs(cross.mean() - theirs.mean()) < 5 * error


def test_mix_makes_the_simplest_kind():
    halves = torch.tensor([0.5, 0.5]).log()
    bits = mix([td.Bernoulli(logits=torch.zeros(2)), Categorical(torch.zeros(2, 2))], halves)
    assert isinstance(bits, Categorical)
    assert isinstance(mix([td.Normal(0.0, 1.0), td.Normal(1.0, 1.0)], halves), Mixture)
    own = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).log()
    parts = [Categorical(torch.tensor([[0.0, -torch.inf]] * 2)), Categorical(torch.tensor([[-torch.inf, 0.0]] * 2))]  # fmt: skip # noqa: E501
    torch.testing.assert_close(mix(parts, own).probs, own.exp().double())
    assert mix(parts, halves).probs.tolist() == [[0.5, 0.5]] * 2


def test_moments_and_samples_of_a_mixture():
    weights = torch.tensor([0.25, 0.75], dtype=F64)
    two = Mixture([td.Normal(torch.zeros(3, dtype=F64), 1.0), td.Laplace(torch.full((3,), 4.0, dtype=F64), 1.0)], weights.log())  # fmt: skip # noqa: E501
    torch.testing.assert_close(two.mean, torch.full((3,), 3.0, dtype=F64))
    torch.testing.assert_close(
        two.variance, torch.full((3,), 0.25 * 1 + 0.75 * (2 + 16) - 9, dtype=F64)
    )
    torch.manual_seed(0)
    x = two.sample((50_000,))
    assert x.shape == (50_000, 3)
    assert abs(float(x.mean()) - 3) < 0.03
    assert two.expand((5, 3)).log_prob(x[0]).shape == (5, 3)
