"""Policies: what each does to a conditional, how they chain, and one with a memory of its own."""

import numpy as np
import pytest
import torch
from torch import distributions as td
from toys import Bits, Chain, Letters, Walk

from arproc.distributions import Categorical
from arproc.errors import ParameterError, UnsupportedError
from arproc.sampling import Chain as Joined
from arproc.sampling import Policy, Temperature, TopK, TopP

SCORES = torch.tensor([[2.0, 1.0, 1.0, -torch.inf], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)


def probs(policy: Policy, scores: torch.Tensor = SCORES) -> torch.Tensor:
    return policy.apply(Categorical(scores)).probs


def test_temperature_is_a_power_of_the_probabilities():
    for t in (0.25, 1.0, 3.0):
        want = torch.softmax(SCORES, -1) ** (1 / t)
        torch.testing.assert_close(probs(Temperature(t)), want / want.sum(-1, keepdim=True))
    assert probs(Temperature(1e-6))[0].tolist() == [1.0, 0.0, 0.0, 0.0]
    extreme = probs(Temperature(1e-300), torch.tensor([3e30, 3e30, -1e30], dtype=torch.float32))
    assert extreme.tolist() == [0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    "base", [td.Normal(1.0, 2.0), td.Laplace(1.0, 2.0), td.Bernoulli(logits=torch.tensor(0.7))]
)
def test_temperature_of_densities_is_the_same_formula(base):
    hot = Temperature(2.0).apply(base)
    x = torch.tensor([0.0, 1.0]) if base.support is td.constraints.boolean else torch.randn(4)
    gap = hot.log_prob(x) - base.log_prob(x) / 2
    torch.testing.assert_close(gap, gap[:1].expand_as(gap))  # but for the normaliser


def test_temperature_of_vectors():
    eye = torch.eye(2, dtype=torch.float64)
    hot = Temperature(4.0).apply(td.MultivariateNormal(torch.zeros(2), eye))
    torch.testing.assert_close(hot.covariance_matrix, 4 * eye)


def test_top_k_keeps_the_k_most_probable_and_the_lower_numbers_of_ties():
    p = probs(TopK(2))
    torch.testing.assert_close(p[0, :2], torch.softmax(SCORES[0, :2], -1))
    assert p[0, 2:].tolist() == [0.0, 0.0]
    assert p[1].tolist() == [0.5, 0.5, 0.0, 0.0]
    conditional = Categorical(SCORES)
    assert TopK(4).apply(conditional) is conditional


def test_top_p_keeps_the_fewest_that_hold_p():
    scores = torch.tensor([0.5, 0.25, 0.125, 0.125], dtype=torch.float64).log()
    for p, kept in ((1e-9, 1), (0.5, 1), (0.51, 2), (0.75, 2), (0.76, 3), (0.875, 3), (1.0, 4)):
        assert int((probs(TopP(p), scores) > 0).sum()) == kept
    assert probs(TopP(0.6), scores.flip(0)).tolist() == pytest.approx([0, 0, 1 / 3, 2 / 3])


def test_a_chain_applies_from_left_to_right_and_flattens():
    chain = Temperature(0.5) | TopK(2) | TopP(0.9)
    assert isinstance(chain, Joined)
    assert len(((TopK(3) | TopP(0.5)) | chain).policies) == 5
    assert repr(chain) == "Temperature(0.5) | TopK(2) | TopP(0.9)"
    stepwise = TopP(0.9).apply(TopK(2).apply(Temperature(0.5).apply(Categorical(SCORES))))
    torch.testing.assert_close(probs(chain), stepwise.probs)
    with pytest.raises(ParameterError, match="a policy joins with another policy; got 3"):
        Temperature(1.0) | 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Temperature(-0.1), "temperature must be a number at least 0"),
        (lambda: Temperature(float("nan")), "temperature must be a number at least 0"),
        (lambda: Temperature(float("inf")), "temperature must be a number at least 0"),
        (lambda: Temperature("1"), "temperature must be a number at least 0"),
        (lambda: Temperature(True), "temperature must be a number at least 0"),
        (lambda: TopK(0), "k must be at least 1"),
        (lambda: TopK(2.0), "k must be an integer"),
        (lambda: TopP(0), "p must be a number above 0 and at most 1"),
        (lambda: TopP(1.1), "p must be a number above 0 and at most 1"),
        (lambda: TopP(True), "p must be a number above 0 and at most 1"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_numpys_numbers_are_numbers():
    assert Temperature(np.float32(0.5)).temperature == 0.5
    assert TopP(np.float32(0.5)).p == 0.5
    assert TopK(np.int64(3)).k == 3


def test_a_policy_that_does_not_fit_the_elements_says_so():
    with pytest.raises(UnsupportedError, match="Normal is not a distribution over finitely many"):
        Walk().fit([0.0]).sample(1, 2, policy=TopK(3))
    with pytest.raises(ParameterError, match="policy must be an arproc policy such as"):
        Walk().fit([0.0]).with_policy("greedy")


@pytest.mark.parametrize("process", [Chain(4, end=True), Letters(), Bits()], ids=repr)
def test_a_process_under_a_policy_normalises(process):
    """By enumeration: the mass of all sequences, and of those that are still open."""
    process = process.fit([[0, 1, 0, 1]] if isinstance(process, Bits) else
                          "ab" if isinstance(process, Letters) else [0])  # fmt: skip
    narrow = process.with_policy(Temperature(0.7) | TopK(2))
    size, end, longest = process.space.size, process.space.end, process.space.length or 3
    total, rows = 0.0, [[]]
    for t in range(longest + (end is not None)):
        if end is not None:
            total += float(np.exp(narrow.log_prob([list(r) for r in rows])).sum())
        if t < longest:
            rows = [[*r, s] for r in rows for s in range(size) if s != end]
    if end is None:
        assert float(np.exp(narrow.log_prob(np.array(rows))).sum()) == pytest.approx(1)
        return
    still = narrow.sequences([list(r) for r in rows], complete=False)
    open_mass = np.exp(narrow.log_prob(still))
    last = np.exp(narrow.log_prob(narrow.sequences([list(r) for r in rows])))
    assert total + float((open_mass - last).sum()) == pytest.approx(1)


class NoRepeat(Policy):
    """Forbids the symbol before the last: a policy with a memory of its own."""

    stateful = True

    def __init__(self) -> None:
        pass

    def start(self, n, process):
        return torch.full((n, 2), -1)

    def append(self, state, x, active=None):
        new = torch.stack([state[:, 1], x], dim=1)
        return new if active is None else torch.where(active[:, None], new, state)

    def select(self, state, rows):
        return state[rows]

    def apply(self, conditional, state=None):
        mask = torch.nn.functional.one_hot(state[:, 0].clamp(min=0), conditional.probs.shape[-1])
        forbidden = mask.bool() & (state[:, :1] >= 0)
        return Categorical(conditional.scores.masked_fill(forbidden, -torch.inf))


@pytest.mark.parametrize("policy", [NoRepeat(), Temperature(0.5) | NoRepeat() | TopK(2)], ids=repr)
def test_a_policy_with_memory_in_states_and_draws(policy):
    process = Chain(3).fit([0, 1, 2]).with_policy(policy)
    x = process.sample(6, 9, seed=2)
    assert not (x[:, 2:] == x[:, :-2]).any()
    assert np.isfinite(process.log_prob(x)).all()
    x[0, 5] = x[0, 3]
    assert process.log_prob(x)[0] == -np.inf

    rows, lengths = torch.tensor(x), torch.tensor([9, 0, 4, 1, 2, 7])
    columns, state = process.start(6).extend(rows, lengths)
    for i, length in enumerate(lengths.tolist()):
        alone = process.start(1)
        for t in range(length):
            torch.testing.assert_close(columns.probs[i, t], alone.conditional.probs[0])
            alone = alone.append(rows[i : i + 1, t])
        torch.testing.assert_close(state.conditional.probs[i], alone.conditional.probs[0])
        cut = state.truncate(torch.minimum(state.lengths, torch.tensor(2)))
        again = process.start(1).extend(rows[i : i + 1, : min(length, 2)])[1]
        torch.testing.assert_close(cut.conditional.probs[i], again.conditional.probs[0])
    picked = state.select([2, 2, 0])
    torch.testing.assert_close(picked.conditional.probs, state.conditional.probs[[2, 2, 0]])


def test_memory_through_a_prefix_and_after_conditioning():
    process = Chain(3).fit([0, 1, 2])
    got = process.sample(4, 5, prefix=[0, 1], policy=NoRepeat(), seed=1, return_log_prob=True)
    whole = np.concatenate([np.tile([0, 1], (4, 1)), got.x], axis=1)
    narrow = process.with_policy(NoRepeat())
    want = narrow.log_prob(whole) - narrow.log_prob([0, 1])
    np.testing.assert_allclose(got.policy_log_prob, want)
    after = narrow.condition([0, 1])
    np.testing.assert_array_equal(after.sample(4, 5, seed=1), got.x)
    twice = narrow.with_policy(TopK(1))
    assert (twice.sample(2, 4, seed=0)[0] == twice.sample(2, 4, seed=9)[1]).all()
