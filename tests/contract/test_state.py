"""States against single rows: every way to reach the same elements gives the same distribution."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from toys import Driven, Walk, fitted

from arproc import Process, State
from arproc.contract.state import GroupedState
from arproc.distributions import index
from arproc.errors import DataError

TOYS = {n: process for n, (process, _) in fitted().items() if process.space.length is None}


def alone(process: Process, row: list, context: torch.Tensor | None = None) -> State:
    """The state of one row, by appending."""
    state = process.fresh(1, context)
    for element in row:
        state = state.append(torch.stack([element]))
    return state


def agree(state: State, rows: list[list], contexts: torch.Tensor | None = None) -> None:
    """Every row of a state has the elements and the distribution it should have."""
    assert state.lengths.tolist() == [len(row) for row in rows]
    if not rows:
        assert state.conditional.batch_shape == (0,)
        return
    if min(map(len, rows)) < state.law.n_given:
        return
    probe = torch.zeros(len(rows), *state.law.space.event_shape, dtype=torch.float64)
    got = state.conditional.log_prob(probe)
    for i, row in enumerate(rows):
        context = None if contexts is None else contexts[i : i + 1]
        want = alone(state.law, row, context).conditional.log_prob(probe[:1])
        torch.testing.assert_close(got[i : i + 1], want)


@pytest.mark.parametrize("name", sorted(TOYS))
@given(data=st.data())
@settings(max_examples=8)
def test_any_order_of_operations(name, data):
    """Append, extend (ragged), select, truncate in random order; every state met stays valid."""
    process = TOYS[name]
    torch.manual_seed(0)
    n = data.draw(st.integers(1, 3))
    pair = (process.start(n), [[] for _ in range(n)])
    met = [pair]
    for _ in range(data.draw(st.integers(1, 5))):
        state, rows = data.draw(st.sampled_from(met))
        met.append(operate(process, state, rows, data))
    for state, rows in met:
        agree(state, rows)


def elements(process: Process, n: int, count: int) -> torch.Tensor:
    shape = (n, count, *process.space.event_shape)
    if process.space.size is None:
        return torch.randint(0, 4, shape).to(process.space.dtype)
    most = process.space.size - int(process.space.terminates)
    return torch.randint(0, most, shape)


def operate(process, state, rows, data):
    kind = data.draw(st.sampled_from(["append", "extend", "ragged", "select", "truncate"]))
    if kind == "append":
        x = elements(process, len(rows), 1)[:, 0]
        return state.append(x), [[*row, e] for row, e in zip(rows, x, strict=True)]
    if kind in ("extend", "ragged"):
        count = data.draw(st.integers(0, 3))
        x = elements(process, len(rows), count)
        counts = [count] * len(rows)
        if kind == "ragged":
            counts = [data.draw(st.integers(0, count)) for _ in rows]
        columns, after = state.extend(x, counts if kind == "ragged" else None)
        assert columns.batch_shape == (len(rows), count + 1)
        longer = [row + list(e[:k]) for row, e, k in zip(rows, x, counts, strict=True)]
        return after, longer
    if kind == "select":
        chosen = data.draw(st.lists(st.sampled_from(range(len(rows))), max_size=4)) if rows else []
        return state.select(chosen), [rows[i] for i in chosen]
    lengths = [data.draw(st.integers(0, len(row))) for row in rows]
    return state.truncate(lengths), [row[:k] for row, k in zip(rows, lengths, strict=True)]


@pytest.mark.parametrize("name", sorted(TOYS))
def test_advance_is_the_inverse_of_extend(name):
    """The uniforms that drew an element are those its distribution gives back."""
    from arproc.contract.randomness import Uniforms
    from arproc.distributions import from_uniform

    process = TOYS[name]
    state = process.start([[0.3], [0.1], [0.2]] if process.n_given else 3)
    u = Uniforms(2).block([0, 1, 2], 0, 5, process.space.event_shape)
    x, after = state.advance(u)
    columns, same = state.extend(x)
    for k in range(5):
        again = from_uniform(index(columns, (slice(None), k)), u[:, k])
        torch.testing.assert_close(again.to(x.dtype), x[:, k])
    assert after.lengths.tolist() == same.lengths.tolist()
    none, unchanged = state.advance(u[:, :0])
    assert none.shape == (3, 0, *process.space.event_shape)
    assert unchanged.lengths.tolist() == state.lengths.tolist()


def test_rows_of_unequal_lengths_survive_being_emptied():
    process = TOYS["Counter"]
    state = process.start(3).extend(torch.tensor([[1, 2], [3, 0], [0, 0]]), [2, 1, 0])[1]
    assert isinstance(state, GroupedState)
    assert state.select([]).conditional.batch_shape == (0,)
    assert state.select([]).append(torch.zeros(0)).lengths.tolist() == []
    agree(state.select([2, 2, 0]).truncate([0, 0, 1]), [[], [], [torch.tensor(1.0)]])


@pytest.mark.parametrize("kind", ["static", "steps"])
def test_contexts_stay_with_their_rows(kind):
    process = Driven(kind).fit([0.0], context=[0.0])
    torch.manual_seed(0)
    context = torch.randn(3, 8, dtype=torch.float64)
    context = context[:, :1] if kind == "static" else context[..., None]
    x = torch.randn(3, 4, dtype=torch.float64)
    state = process.law_.fresh(3, context).extend(x, [4, 0, 2])[1]
    rows = [list(x[0]), [], list(x[2, :2])]
    agree(state, rows, context)
    agree(state.select([2, 0, 2]), [rows[2], rows[0], rows[2]], context[[2, 0, 2]])
    agree(state.truncate([1, 0, 2]), [rows[0][:1], [], rows[2]], context)
    agree(state.append(x[:, 3]), [[*r, e] for r, e in zip(rows, x[:, 3], strict=True)], context)


def test_beyond_a_context_per_step_nothing_is_known():
    process = Driven("steps").fit([0.0], context=[0.0])
    state = process.start([1.0, 2.0], context=[0.0, 0.0])
    assert bool(state.conditional.mean.isnan())


def test_a_model_that_gives_itself_back_does_not_change_the_old_state():
    """`_append` may return the state itself where nothing is cached: it is copied then."""

    class Lazy(Walk):
        def _start(self, n, context):
            return Itself()

    class Itself(State):
        def _conditional(self):
            last = self.history.tail(1)[:, 0]
            return torch.distributions.Normal(self.process.a * last, 1.0, validate_args=False)

        def _append(self, x):
            return self

    process = Lazy().fit([0.0])
    begin = process.start(2)
    first = begin.conditional.mean
    later = begin.append([3.0, 4.0])
    assert begin.lengths.tolist() == [0, 0]
    assert later.lengths.tolist() == [1, 1]
    assert later.conditional.mean.tolist() == [1.5, 2.0]
    assert begin.conditional.mean.tolist() == first.tolist() == [0.0, 0.0]


class Heard(Walk):
    """The walk, whose states note in which numbers they are given elements."""

    def _start(self, n, context):
        return _Hears([])


class _Hears(State):
    def __init__(self, heard: list) -> None:
        self.heard = heard

    def _conditional(self):
        last = self.history.tail(1)[:, 0]
        return torch.distributions.Normal(0.5 * last, 1.0, validate_args=False)

    def _append(self, x):
        self.heard.append(x)
        return _Hears(self.heard)

    def _extend(self, x, lengths):
        self.heard.append(x)
        return super()._extend(x, lengths)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int32, torch.bool])
@pytest.mark.parametrize("form", ["tensor", "array", "list"])
def test_a_state_is_given_its_space_s_own_numbers(form, dtype, whole):
    """Whatever the element's form, what a state caches has the space's precision."""
    process = TOYS["Chain"] if whole else Heard().fit([0.0])
    x = torch.tensor([[1, 0], [0, 1]], dtype=dtype)
    if dtype == torch.float32 and not whole:
        x = x + 0.1  # which float64 does not round alike
    given = {"tensor": x, "array": x.numpy(), "list": x.tolist()}[form]
    space, begin = process.space, process.start(2)
    exact = torch.as_tensor(given).to(space.dtype)
    state = begin.append(given[0] if form == "list" else given[:, 0])
    if form == "list":
        exact = exact.T  # a list's first entry is its first row
    assert state.history.slots.dtype == space.dtype
    assert torch.equal(state.history.slots[:, 0], exact[:, 0])
    _, longer = begin.extend(given)
    assert longer.history.slots.dtype == space.dtype
    if not whole:
        assert {heard.dtype for heard in begin.heard} == {torch.float64}
        assert begin.heard[0].shape == (2,)


def test_a_gradient_recorded_in_float32_flows_into_a_state_of_float64():
    x = torch.tensor([0.1, 0.2], requires_grad=True)
    process = Heard().fit([0.0])
    begin = process.start(2).append(torch.zeros(2, dtype=torch.float64))
    state = begin.append(x)
    assert state.history.slots.dtype == torch.float64
    assert state.conditional.mean.dtype == torch.float64
    state.conditional.mean.sum().backward()
    assert x.grad.dtype == torch.float32
    assert x.grad.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("x", [[0.5, 1.0], torch.tensor([1.0, 1.25])])
def test_a_fraction_is_no_symbol(x):
    with pytest.raises(DataError, match="fractional part"):
        TOYS["Chain"].start(2).append(x)


def test_elements_in_lists_keep_all_their_digits():
    state = TOYS["Walk"].start(1)
    third = 1 / 3
    exact = state.append(torch.tensor([third], dtype=torch.float64)).history.padded()[0]
    assert state.append([third]).history.padded()[0].equal(exact)
    assert state.extend([[third]])[1].history.padded()[0].equal(exact)
