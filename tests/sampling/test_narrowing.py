"""Policies that look at the conditional alone, against formulas and another library's."""

import numpy as np
import pytest
import torch
from torch import distributions as td
from toys import Counter, Letters, Levels, Walk

from arproc.distributions import Categorical, Truncated
from arproc.errors import NothingLeftError, ParameterError, UnsupportedError
from arproc.sampling import Greedy, MinP, Temperature, TopK, TopP, Typical, Within

SCORES = torch.randn(40, 30, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2
SCORES[::5, 3] = -torch.inf


@pytest.mark.slow  # importing the peer takes seconds
@pytest.mark.parametrize(
    ("policy", "name", "argument"),
    [
        (TopK(7), "TopKLogitsWarper", 7),
        (TopP(0.7), "TopPLogitsWarper", 0.7),
        (MinP(0.2), "MinPLogitsWarper", 0.2),
        (Typical(0.6), "TypicalLogitsWarper", 0.6),
        (Temperature(0.6), "TemperatureLogitsWarper", 0.6),
    ],
    ids=repr,
)
def test_the_same_as_transformers(policy, name, argument):
    peers = pytest.importorskip("transformers.generation.logits_process")
    want = getattr(peers, name)(argument)(None, SCORES.clone())
    got = policy.apply(Categorical(SCORES)).probs
    torch.testing.assert_close(got, torch.softmax(want, -1))
    assert (got[::5, 3] == 0).all()


def test_min_p_and_typical_by_hand():
    p = torch.tensor([0.5, 0.25, 0.15, 0.1], dtype=torch.float64)
    law = Categorical(p.log())
    assert (MinP(0.4).apply(law).probs > 0).tolist() == [True, True, False, False]
    assert (MinP(1.0).apply(law).probs > 0).tolist() == [True, False, False, False]
    away = (-p.log() - law.entropy()).abs()
    first = int(away.argmin())
    assert (Typical(1e-6).apply(law).probs > 0).nonzero().flatten().tolist() == [first]
    assert first == 1  # and not the most probable
    assert Typical(1.0).apply(law) is law


@pytest.mark.parametrize("policy", [Greedy(), Temperature(0), Temperature(0.0)], ids=repr)
def test_greedy_takes_the_most_probable_and_the_lowest_number_of_ties(policy):
    ties = torch.tensor([[0.0, 2.0, 2.0], [1.0, 1.0, 0.0]])
    assert policy.apply(Categorical(ties)).probs.tolist() == [[0, 1, 0], [1, 0, 0]]
    bit = policy.apply(td.Bernoulli(logits=torch.tensor([0.3, -0.3])))
    assert bit.probs.tolist() == [[0, 1], [1, 0]]
    with pytest.raises(UnsupportedError, match=r"a Normal is not over finitely many symbols"):
        Walk().fit([0.0]).sample(1, 2, policy=policy)


def test_an_interval_of_a_density_and_its_likelihood():
    walk = Walk().fit([0.0])
    inside = walk.with_policy(Within(-0.5, 2.0))
    draws = inside.sample(300, 4, seed=0)
    assert draws.min() > -0.5
    assert draws.max() < 2.0
    law = inside.conditional([1.0])
    assert isinstance(law, Truncated)
    grid = torch.linspace(-0.5, 2.0, 20_001, dtype=torch.float64)[1:-1]
    assert float(torch.trapezoid(law.log_prob(grid).exp(), grid)) == pytest.approx(1.0, abs=2e-4)
    assert inside.log_prob([0.0, 3.0]) == -np.inf
    got = walk.sample(50, 4, policy=Within(-0.5, 2.0), seed=0, return_log_prob=True)
    np.testing.assert_array_equal(got.x, draws[:50])
    assert (got.policy_cost > 0).all()
    np.testing.assert_allclose(got.policy_cost, got.policy_log_prob - got.log_prob)


def test_intervals_join_and_stand_beside_temperatures():
    walk = Walk().fit([0.0])
    both = walk.with_policy(Within(low=-1.0) | Within(high=0.5) | Within(-3.0, 3.0))
    law = both.conditional([0.0])
    assert (law.low, law.high) == (-1.0, 0.5)
    orders = [
        walk.with_policy(policy).conditional([0.4]).log_prob(torch.tensor(0.1))
        for policy in (Within(-1, 1) | Temperature(3.0), Temperature(3.0) | Within(-1, 1))
    ]
    torch.testing.assert_close(*orders)


def test_an_interval_of_levels_keeps_both_ends():
    images = Levels(levels=5).fit(np.zeros((2, 2, 2), dtype=int))
    drawn = images.sample(40, policy=Within(1, 3), seed=0)
    assert set(np.unique(drawn)) == {1, 2, 3}


def test_an_interval_without_mass_names_the_row_and_the_policy():
    walk = Walk().fit([0.0])
    policy = Within(900, 1200)
    message = r"policy Within\(low=900, high=1200\) leaves nothing .* row 1, after 1 elements"
    with pytest.raises(NothingLeftError, match=message):
        Walk(a=1.0).fit([0.0]).sample(2, 2, prefix=[[1e3], [-1e3]], policy=policy)
    assert walk.with_policy(policy).log_prob([1.0]) == -np.inf
    assert walk.with_policy(policy).log_prob([1000.0]) == -np.inf
    with pytest.raises(ParameterError, match="low and high are both None"):
        Within()
    with pytest.raises(ParameterError, match="low is 2, above high, which is 1"):
        Within(2, 1)
    with pytest.raises(UnsupportedError, match="Within is for real numbers, counts and ordered"):
        Letters().fit("ab").with_policy(Within(1, 2))


def test_counts_are_kept_within_an_interval_and_tempered():
    counts = Counter().fit([1, 3])
    within = counts.with_policy(Within(1, 2) | Temperature(0.5))
    drawn = within.sample(4, 20, seed=0)
    assert set(drawn.flatten()) == {1, 2}
    p = counts.conditional([3]).log_prob(torch.tensor([1.0, 2.0])).double() * 2
    want = p - p.logsumexp(0)
    np.testing.assert_allclose(within.conditional([3]).log_prob(torch.tensor([1.0, 2.0])), want)
    assert within.log_prob([1, 3]) == -np.inf
