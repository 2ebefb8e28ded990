"""A law as a `torch.distributions.Distribution`, used as code for those uses one."""

import numpy as np
import pytest
import torch
from torch import distributions as td
from toys import Bits, Chain, Driven, Letters, Levels, Linear, Orders, Walk, fitted

from arproc.errors import DataError, ParameterError
from arproc.sampling import TopK

TOYS = {
    name: process
    for name, (process, _) in fitted().items()
    if not process.space.terminates and not process.n_given
}
every = pytest.mark.parametrize("name", sorted(TOYS))


def view(name: str) -> td.Distribution:
    process = TOYS[name]
    return process.distribution(None if process.space.length else 5)


@every
def test_shapes_of_samples_and_of_log_prob(name):
    for batch in ((), (3,), (2, 0), (2, 3)):
        distribution = view(name).expand(batch)
        for shape in ((), (4,), (0,), (2, 2)):
            torch.manual_seed(0)
            x = distribution.sample(shape)
            assert x.shape == (*shape, *batch, *distribution.event_shape)
            assert x.dtype == TOYS[name].space.dtype
            assert distribution.log_prob(x).shape == (*shape, *batch)


@every
def test_log_prob_is_the_laws_and_samples_lie_in_the_support(name):
    distribution, process = view(name), TOYS[name]
    torch.manual_seed(1)
    x = distribution.sample((5,))
    torch.testing.assert_close(distribution.log_prob(x), process.log_prob(x))
    assert bool(distribution.support.check(x).all())
    torch.manual_seed(1)
    assert torch.equal(distribution.sample((5,)), x)
    assert not torch.equal(distribution.sample((5,)), x)


def test_a_value_is_broadcast_against_the_batch():
    distribution = Walk().fit([0.0]).distribution(2).expand((3,))
    x = torch.tensor([1.0, 2.0])
    assert distribution.log_prob(x).tolist() == [float(Walk().fit([0.0]).log_prob(x))] * 3


def test_inside_torchs_wrappers():
    walk = Walk().fit([0.0]).distribution(3)
    together = td.Independent(walk.expand((4,)), 1)
    torch.manual_seed(0)
    x = together.sample((2,))
    assert together.event_shape == (4, 3)
    torch.testing.assert_close(together.log_prob(x), walk.log_prob(x).sum(-1))
    flow = td.TransformedDistribution(walk, td.ExpTransform())
    y = flow.sample()
    torch.testing.assert_close(flow.log_prob(y), walk.log_prob(y.log()) - y.log().sum())
    mixture = td.MixtureSameFamily(td.Categorical(torch.ones(2)), walk.expand((2,)))
    torch.testing.assert_close(mixture.log_prob(x).double(), walk.log_prob(x))


def test_gradients_for_variational_code():
    """A Pyro-style step: parameters and latent values get gradients from `log_prob`."""
    a = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    z = torch.tensor([0.5, 0.1], requires_grad=True)
    Walk(a).fit([0.0]).distribution(2).log_prob(z).backward()
    assert a.grad != 0
    assert bool((z.grad != 0).all())


def test_a_view_of_wrapped_processes():
    chain = Chain().fit([0, 1])
    narrow = chain.with_policy(TopK(1)).distribution(4)
    assert narrow.log_prob(narrow.sample()) == pytest.approx(0, abs=1e-12)
    after = chain.condition([2, 1]).distribution(3)
    assert after.event_shape == (3,)
    rest = Bits().fit(np.zeros((1, 4))).condition([1]).distribution()
    assert rest.event_shape == (3,)
    assert rest.log_prob(rest.sample((2,))).shape == (2,)
    given = Walk(given=True).fit([0.0, 1.0]).condition([2.0]).distribution(2)
    assert given.log_prob(torch.tensor([1.0, 0.5])) == pytest.approx(-np.log(2 * np.pi))


def test_images_have_the_users_shape():
    levels = Levels().fit(np.zeros((1, 2, 2), int)).distribution()
    assert levels.event_shape == (2, 2)
    assert levels.sample((3,)).shape == (3, 2, 2)
    assert Linear().fit(np.zeros((1, 2))).distribution(4).event_shape == (4, 2)


def test_a_law_without_conditionals_has_a_view_too():
    pair = Orders().fit([[0.0, 1.0]]).distribution()
    x = pair.sample((3,))
    assert x.shape == (3, 2)
    assert pair.log_prob(x).shape == (3,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Walk().fit([0.0]).distribution(), "length is needed"),
        (lambda: Walk().fit([0.0]).distribution(-1), "length must be at least 0"),
        (lambda: Walk().fit([0.0]).distribution(2.0), "length must be an integer"),
        (lambda: Bits().fit([[0, 0, 0, 0]]).distribution(3), "length is 3; .* have 4 elements"),
        (lambda: Letters().fit("ab").distribution(3), "end by themselves has no event_shape"),
        (lambda: Driven().fit([0.0], context=0).distribution(2), "takes a context"),
        (lambda: Walk(given=True).fit([0.0, 0]).distribution(2), "first 1 given values; use"),
    ],
)
def test_laws_that_have_no_view_say_why(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize("shape", [(), (2,), (3, 4), (4, 3, 1)])
def test_values_of_another_shape_are_refused(shape):
    with pytest.raises(DataError, match=r"value has shape .* expected \[\.\.\., 3\]"):
        Walk().fit([0.0]).distribution(3).log_prob(torch.zeros(shape))


def test_values_outside_of_the_space_are_refused():
    with pytest.raises(DataError, match="value does not fit the model's space"):
        Chain().fit([0]).distribution(2).log_prob(torch.tensor([0, 9]))
