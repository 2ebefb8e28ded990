"""The loop that draws one element after another, against the states that users make."""

import pickle

import pytest
import torch
from toys import Letters, fitted

import arproc
from arproc.contract.randomness import Uniforms
from arproc.contract.walk import walk
from arproc.distributions import Categorical, draws
from arproc.errors import DataError
from arproc.spaces import Categorical as Symbols
from arproc.spaces import Real

TOYS = {n: process for n, (process, _) in fitted().items()}


def begun(process):
    return process.start([[0.3], [0.1], [0.2]] if process.n_given else 3)


def uniforms(process, count=7, seed=2):
    return Uniforms(seed).block([0, 1, 2], 0, count, process.space.event_shape)


def same_states(one, other):
    assert torch.equal(one.history.slots, other.history.slots)
    assert one.lengths.tolist() == other.lengths.tolist()
    if one.law.space.length == one.history.stop:
        return
    u = torch.full((one.n, *one.law.space.event_shape), 0.37, dtype=torch.float64)
    draw = draws.from_uniform
    assert torch.equal(draw(one.conditional, u), draw(other.conditional, u))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", sorted(TOYS))
def test_it_draws_what_appended_elements_give(name, compiled, monkeypatch):
    monkeypatch.setattr(draws, "_COMPILE_FROM", 0 if compiled else 10**9)
    process = TOYS[name]
    most = process.space.length
    u = uniforms(process, 7 if most is None else min(most - process.n_given, 7))
    state, drawn = begun(process), []
    for k in range(u.shape[1]):
        drawn.append(draws.from_uniform(state.conditional, u[:, k]).to(process.space.dtype))
        state = state.append(drawn[-1])
    with torch.no_grad():
        x, after = walk(begun(process), u)
    assert torch.equal(x, torch.stack(drawn, dim=1))
    same_states(after, state)
    followed, there = walk(begun(process), u)  # with gradients, one by one
    assert torch.equal(followed, x)
    same_states(there, state)


@pytest.mark.parametrize("gradients", [False, True])
def test_it_stops_where_there_is_enough(gradients):
    process = Letters("abc").fit("abc")
    seen = []

    def enough(x):
        seen.append(x.clone())
        return len(seen) == 4

    with torch.set_grad_enabled(gradients):
        x, after = process.start(3).advance_until(uniforms(process), enough)
        whole, _ = process.start(3).advance(uniforms(process))
        onwards, _ = after.advance(uniforms(process)[:, 4:])
    assert torch.equal(x, torch.stack(seen, dim=1))
    assert torch.equal(torch.cat([x, onwards], dim=1), whole)
    assert after.lengths.tolist() == [4, 4, 4]


class Keeping(arproc.State):
    """Keeps every state before it, and a fork of each, which took another way."""

    def __init__(self, before=()):
        self.before = before

    def _conditional(self):
        return Categorical(torch.zeros(self.n, 5))

    def _append(self, x):
        fork = self if len(self.before) % 2 else arproc.State.append(Plain.of(self), (x + 1) % 5)
        return Keeping((*self.before, (self, fork, x)))


class Plain(arproc.State):
    @classmethod
    def of(cls, state):
        return state._carry(cls(), state.history, None)

    def _conditional(self):
        return Categorical(torch.zeros(self.n, 5))

    def _append(self, x):
        return Plain()


class KeepingLaw(arproc.ChainLaw):
    space = Symbols(5)

    def __init__(self):
        pass

    def start(self, n, context):
        return Keeping()


@pytest.mark.parametrize("length", [9, 40])
@torch.no_grad()
def test_states_on_the_way_and_their_forks_are_values(length):
    """Whatever grows out of a state while the loop writes has memory of its own."""
    u = Uniforms(0).block([0, 1], 0, length)
    x, last = walk(KeepingLaw().fresh(2, None), u)
    for k, (before, fork, came) in enumerate(last.before):
        assert torch.equal(before.history.slots, x[:, :k])
        assert torch.equal(came, x[:, k])
        if fork is not before:
            assert torch.equal(fork.history.slots[:, :k], x[:, :k])
            assert torch.equal(fork.history.slots[:, k], (x[:, k] + 1) % 5)
    again = last.before[3][0].append(torch.tensor([4, 4]))
    assert again.history.slots[:, 3].tolist() == [4, 4]
    assert torch.equal(last.history.slots, x)


@torch.no_grad()
def test_who_writes_into_the_draws_does_not_change_the_state():
    process = Letters("abc").fit("abc")
    x, after = process.start(3).advance(uniforms(process))
    before = x.clone()
    x.zero_()
    assert torch.equal(after.history.slots, before)


class Wide(arproc.State):
    def _conditional(self):
        return torch.distributions.Normal(torch.zeros(self.n, 1), 1.0)

    def _append(self, x):
        return Wide()


class WideLaw(arproc.ChainLaw):
    space = Real()

    def __init__(self):
        pass

    def start(self, n, context):
        return Wide()


@torch.no_grad()
def test_a_conditional_of_another_shape_is_an_error():
    u = Uniforms(0).block([0, 1, 2], 0, 2)
    with pytest.raises(DataError, match=r"Normal drew elements of shape \[3, 3\], for \[3\]"):
        WideLaw().fresh(3, None).advance(u)


def test_states_live_on_in_a_pickle():
    state = TOYS["Walk"].start([[0.5, 1.0]])
    same = pickle.loads(pickle.dumps(state.history))
    longer = same.append(torch.tensor([2.0], dtype=torch.float64))
    assert longer.slots.tolist() == [[0.5, 1.0, 2.0]]
