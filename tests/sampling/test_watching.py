"""Ends and stop conditions are seen with the element that meets them; nothing comes after it."""

import pytest
import torch

import arproc
from arproc.distributions import Categorical, draws
from arproc.spaces import Categorical as Symbols


class Counting(arproc.State):
    """The same scores at each place; says how often it was asked."""

    asked = 0

    def _conditional(self):
        Counting.asked += 1
        return Categorical(torch.tensor([0.5, 0.0, -0.5, -3.0]).expand(self.n, 4))

    def _append(self, x):
        return Counting()

    def _select(self, rows):
        return Counting()


class CountingLaw(arproc.ChainLaw):
    def __init__(self, end):
        self.space = Symbols(4, end_symbol=end)

    def start(self, n, context):
        return Counting()


ENDING, ENDLESS = (arproc.Process.of(CountingLaw(end)) for end in (3, None))


def twice(seen):
    """Whether the last two elements are equal."""
    return seen[:, -1] == seen[:, -2] if seen.shape[1] > 1 else torch.zeros(len(seen)).bool()


def cut(row):
    """A row up to where `twice` is met."""
    for k in range(1, len(row)):
        if row[k] == row[k - 1]:
            return list(row[: k + 1])
    return list(row)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("stop", [None, twice])
def test_nothing_is_drawn_in_vain(stop, compiled, monkeypatch):
    monkeypatch.setattr(draws, "_COMPILE_FROM", 0 if compiled else 10**9)
    for seed in range(5):
        Counting.asked = 0
        found = ENDING.sample(1, length=300, seed=seed, stop=stop, return_log_prob=True)
        assert Counting.asked >= len(found.x[0]) > 0
        Counting.asked = 0
        (row,) = ENDING.sample(1, length=300, seed=seed, stop=stop)
        assert Counting.asked == len(row) + int(found.complete[0])


@pytest.mark.parametrize("at_once", [None, 1, 3])
@pytest.mark.parametrize("process", [ENDING, ENDLESS])
def test_rows_are_cut_where_they_meet_the_condition(process, at_once):
    free = process.sample(9, length=150, seed=4)
    stopped = process.sample(9, length=150, seed=4, stop=twice, at_once=at_once)
    assert [list(row) for row in stopped] == [cut(list(row)) for row in free]
    whole = process.sample(9, length=150, seed=4, stop=lambda x: torch.zeros(len(x)).bool())
    assert [list(row) for row in whole] == [list(row) for row in free]


@torch.no_grad()
def test_a_function_may_write_into_what_it_sees():
    def spoiling(seen):
        seen.zero_()
        return torch.zeros(len(seen), dtype=torch.bool)

    drawn = ENDLESS.sample(3, length=20, seed=1, stop=spoiling)
    assert drawn.tolist() == ENDLESS.sample(3, length=20, seed=1).tolist()


def test_the_last_elements_need_no_state_after_them():
    model = arproc.AR.from_parameters([0.5, -0.2], mean=1.0)
    for process in (model, model.condition([1.0, 2.0]), ENDLESS):
        state = process.start(2)
        u = torch.rand(2, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        assert torch.equal(state.finish(u), state.advance(u)[0])
        assert state.lengths.tolist() == [0, 0]
