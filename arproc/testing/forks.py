"""States are values: trees of them grown at random, every one asked again at the end."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from arproc.contract.state import State
from arproc.testing.compare import agree
from arproc.testing.material import Batch, marked
from arproc.testing.report import fail
from arproc.testing.subject import Subject

__all__ = ["forks", "grow_and_ask_again"]

_AXES = ("probe value", "row", "element after it")
_SHARED = (
    "append, extend, select, truncate or advance writing into what states share (a cache of keys "
    "and values, whose slots behind a cut state are still another's)"
)


def forks(subject: Subject) -> tuple[float, int]:
    """Trees of states, young ones and old ones; the largest difference, and how many states."""
    if subject.short(4) - subject.given < 2:
        return 0.0, 0
    found = []
    for number in range(6 if subject.thorough else 1):
        pool = subject.batch(5, subject.short(20), f"forks {number}")
        found.append(grow_and_ask_again(subject, pool, f"forks {number}"))
    budget = subject.budget
    slow = (budget.stepwise or budget.replays) and not subject.thorough
    if subject.space.length is None and not slow:  # behind what a cache may keep
        for number in range(3 if subject.thorough else 1):
            drawn = int(subject.rng(f"old forks {number}").integers(150, 260))
            length = subject.given + budget.longest(drawn, 60)
            pool = subject.batch(4, max(length, subject.short(20)), f"old forks {number}")
            found.append(grow_and_ask_again(subject, pool, f"old forks {number}", steps=4))
    return max(off for off, _ in found), sum(n for _, n in found)


def grow_and_ask_again(
    subject: Subject, pool: Batch, purpose: str, steps: int = 8
) -> tuple[float, int]:
    """Grow a tree of states from the elements of a pool; the largest difference, and how many.

    Args:
        subject: the process.
        pool: rows of elements, of which the branches take theirs.
        purpose: names the generator.
        steps: how many more states are made after one in each way, and one from each of these.
    """
    tree = _Tree(subject, pool, subject.rng(purpose))
    tree.grow_in_turn()
    for _ in range(steps):
        tree.grow()
    return tree.ask_again(), len(tree.nodes)


@dataclass(frozen=True)
class _Node:
    """A state, and what it should be.

    Attributes:
        state: the state.
        rows: the elements of each row.
        origin: which row of the pool each row's context is of.
        path: how it came about, in words.
        following: elements that go on from it, [n, ahead, *event].
        shown: what it said along these when it was made.
    """

    state: State
    rows: list[torch.Tensor]
    origin: np.ndarray
    path: str
    following: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    shown: tuple[torch.Tensor, ...] = ()

    @property
    def lengths(self) -> np.ndarray:
        return np.array([len(row) for row in self.rows])


class _Tree:
    """States grown from each other, each with the elements that it should hold."""

    def __init__(self, subject: Subject, pool: Batch, rng: np.random.Generator) -> None:
        self.subject, self.pool, self.rng = subject, pool, rng
        #: How many elements are kept back to go on with at the end.
        self.ahead = min(2, pool.length - subject.given - 1)
        self.most = pool.length - self.ahead
        self.nodes: list[_Node] = []
        for upto in (subject.given, self.most, self.most // 2):  # unlike starts, of their own
            lengths = np.full(pool.n, max(upto, subject.given))
            if upto == self.most // 2:
                lengths = rng.integers(subject.given, self.most + 1, pool.n)
            rows = [pool.x[i, :k] for i, k in enumerate(lengths)]
            state = subject.process.start(
                subject.ragged(pool, lengths.tolist(), False), context=pool.context
            )
            self._keep(state, rows, np.arange(pool.n), f"start with {lengths.tolist()} elements")

    def _keep(self, state: State, rows: list[torch.Tensor], origin: np.ndarray, path: str) -> None:
        node = _Node(state, rows, origin, path)
        x = self._next(node, self.ahead)
        self.nodes.append(replace(node, following=x, shown=self._says(state, x)))

    def _says(self, state: State, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The conditionals along x, asked anew: by appending, and by extending."""
        table = self.subject.table
        anew = copy(state)
        anew._cached = None
        said = [table(anew.conditional)]
        now = state
        for e in x.unbind(1):
            now = now.append(e)
            said.append(table(now.conditional))
        return torch.stack(said, dim=2), table(state.extend(x)[0]).clone()

    def grow_in_turn(self) -> None:
        """A branch from the first start in which every way comes, and is gone on from."""
        node = self.nodes[0]
        for way in (
            self._ragged, self._append, self._select_all, self._append, self._truncate,
            self._append, self._advance, self._select_all, self._extend, self._truncate,
            self._ragged,
        ):  # fmt: skip
            room = int(self.most - node.lengths.max())
            if room or way in (self._select_all, self._truncate):
                way(node, room)
                node = self.nodes[-1]

    def grow(self) -> None:
        """One more state, from one of those that there are; the last ones are likelier."""
        last = len(self.nodes)
        chosen = int(self.rng.integers(0, last) if self.rng.random() < 0.5 else last - 1)
        node = self.nodes[chosen]
        room = int(self.most - node.lengths.max())
        ways: list[Callable[[_Node, int], None]] = [self._select, self._select_all, self._truncate]
        if room:
            ways += [self._append, self._append, self._extend, self._extend, self._ragged]
            ways += [self._advance]
        ways[int(self.rng.integers(0, len(ways)))](node, room)

    def _next(self, node: _Node, count: int) -> torch.Tensor:
        """The next elements of each row, each from a branch of the pool, [n, count, *event]."""
        branch = torch.as_tensor(self.rng.integers(0, self.pool.n, len(node.rows)))
        places = torch.as_tensor(node.lengths)[:, None] + torch.arange(count)
        x = self.pool.x[branch[:, None], places].clone()
        return self.subject.possible_after(node.state, x, node.path)

    def _grown(
        self, node: _Node, state: State, x: torch.Tensor, counts: list[int], what: str
    ) -> None:
        rows = [torch.cat([r, e[:k]]) for r, e, k in zip(node.rows, x, counts, strict=True)]
        self._keep(state, rows, node.origin, f"{node.path}, {what}")

    def _append(self, node: _Node, room: int) -> None:
        x = self._next(node, 1)[:, 0]
        given = x.clone()
        state = node.state.append(given)
        _untouched(given, x, "append")
        self._grown(node, state, x[:, None], [1] * len(x), "append")

    def _extend(self, node: _Node, room: int) -> None:
        count = int(self.rng.integers(0, min(room, 6) + 1))
        x = self._next(node, count)
        given = x.clone()
        state = node.state.extend(given)[1]
        _untouched(given, x, "extend")
        self._grown(node, state, x, [count] * len(x), f"extend by {count}")

    def _ragged(self, node: _Node, room: int) -> None:
        count = int(self.rng.integers(1, min(room, 6) + 1))
        x = self._next(node, count)
        lengths = self.rng.integers(0, count + 1, len(x))
        given = x.clone()
        state = node.state.extend(given, torch.as_tensor(lengths))[1]
        _untouched(given, x, "extend")
        self._grown(node, state, x, lengths.tolist(), f"extend by {lengths.tolist()}")

    def _advance(self, node: _Node, room: int) -> None:
        count = int(self.rng.integers(1, min(room, 4) + 1))
        shape = (len(node.rows), count, *self.subject.space.event_shape)
        u = torch.as_tensor(self.rng.random(shape)).clamp(1e-9, 1 - 1e-9)
        x, state = node.state.advance(u.to(self.pool.x.device))
        self._grown(node, state, x.clone(), [count] * len(x), f"advance by {count}")

    def _select(self, node: _Node, room: int) -> None:
        n = len(node.rows)
        numbers = self.rng.integers(0, n, int(self.rng.integers(1, 7)))
        if self.rng.random() < 0.3:
            numbers = self.rng.permutation(n)
        self._selected(node, numbers)

    def _select_all(self, node: _Node, room: int) -> None:
        self._selected(node, np.arange(len(node.rows)))

    def _selected(self, node: _Node, numbers: np.ndarray) -> None:
        state = node.state.select(torch.as_tensor(numbers))
        rows = [node.rows[i] for i in numbers]
        path = f"{node.path}, select {numbers.tolist()}"
        self._keep(state, rows, node.origin[numbers], path)

    def _truncate(self, node: _Node, room: int) -> None:
        given, now = self.subject.given, node.lengths
        lengths = self.rng.integers(given, now + 1)
        if self.rng.random() < 0.6:  # all at one length
            lengths = np.full(len(now), self.rng.integers(given, now.min() + 1))
        state = node.state.truncate(torch.as_tensor(lengths))
        rows = [row[:k] for row, k in zip(node.rows, lengths, strict=True)]
        self._keep(state, rows, node.origin, f"{node.path}, truncate to {lengths.tolist()}")

    # ---- at the end -----------------------------------------------------------------------------

    def ask_again(self) -> float:
        """Ask each state again for its elements, its conditional and what follows it."""
        return max(self._as_before(node) for node in self.nodes)

    def _as_before(self, node: _Node) -> float:
        subject, state = self.subject, node.state
        stays = f"the state after {node.path} to stay as it was while others grew"
        if state.lengths.tolist() != node.lengths.tolist():
            came = f"it has {state.lengths.tolist()} elements instead of {node.lengths.tolist()}"
            fail(stays, came, _SHARED)
        held, lengths = state.history.padded()
        for i, (row, k) in enumerate(zip(node.rows, lengths.tolist(), strict=True)):
            if not torch.equal(marked(held[i, :k]), marked(row.to(held))):
                fail(f"{stays}, its history too", f"that of row {i} is another", _SHARED)
        off = 0.0
        for now, before in zip(self._says(state, node.following), node.shown, strict=True):
            off = max(off, agree(now, before, subject.tolerance, stays, _SHARED, _AXES))
        return off


def _untouched(given: torch.Tensor, x: torch.Tensor, what: str) -> None:
    if not torch.equal(marked(given), marked(x)):
        fail(
            f"{what} to leave the elements that it is given as they are",
            "it wrote into them",
            "an operation in place (ending in _) on x",
        )
