"""States are values: trees of them grown at random, every one asked again at the end."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch

from arproc.contract.state import State
from arproc.testing.compare import agree
from arproc.testing.material import Batch, marked
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Subject

__all__ = ["forks", "grow_and_ask_again"]

_AXES = ("probe value", "row", "element after it")
_SHARED = (
    "append, extend, select, truncate or advance writing into what states share (a cache of keys "
    "and values, whose slots behind a cut state are still another's)"
)


def forks(subject: Subject) -> str:
    """Whatever grows from a state, it stays as it was: every state is asked again at the end.

    Trees of states grow at random by `append`, `extend` (also by nothing, and by unequal lengths),
    `select` with rows repeated, `truncate` and `advance`, and each fork goes on with elements of
    its own. At the end each state still has its elements, its conditional and what follows it.
    """
    if subject.short(4) - subject.given < 2:
        raise NotApplicable("sequences are too short for it")
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
            found.append(grow_and_ask_again(subject, pool, f"old forks {number}", steps=8))
    _of_no_rows(subject)
    return f"{max(off for off, _ in found):.1e} in {sum(n for _, n in found)} states"


def grow_and_ask_again(
    subject: Subject, pool: Batch, purpose: str, steps: int = 16
) -> tuple[float, int]:
    """Grow a tree of states from the elements of a pool; the largest difference, and how many.

    Args:
        subject: the process.
        pool: rows of elements, of which the branches take theirs.
        purpose: names the generator.
        steps: how many states are made from the first ones.
    """
    tree = _Tree(subject, pool, subject.rng(purpose))
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
        shown: what it said of the next element when it was made.
        path: how it came about, in words.
    """

    state: State
    rows: list[torch.Tensor]
    origin: np.ndarray
    shown: torch.Tensor
    path: str

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
        shown = self.subject.table(state.conditional).clone()
        self.nodes.append(_Node(state, rows, origin, shown, path))

    def grow(self) -> None:
        """One more state, from one of those that there are; the last ones are likelier."""
        last = len(self.nodes)
        chosen = int(self.rng.integers(0, last) if self.rng.random() < 0.5 else last - 1)
        node = self.nodes[chosen]
        room = int(self.most - node.lengths.max())
        ways: list[Callable[[_Node, int], None]] = [self._select, self._truncate, self._truncate]
        if room:
            ways += [self._append, self._append, self._extend, self._extend, self._ragged]
            ways += [self._advance]
        ways[int(self.rng.integers(0, len(ways)))](node, room)

    def _next(self, node: _Node, count: int) -> torch.Tensor:
        """The next elements of each row, each from a branch of the pool, [n, count, *event]."""
        branch = torch.as_tensor(self.rng.integers(0, self.pool.n, len(node.rows)))
        places = torch.as_tensor(node.lengths)[:, None] + torch.arange(count)
        return self.pool.x[branch[:, None], places].clone()

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
        kind = self.rng.random()
        if kind < 0.2:
            numbers = self.rng.permutation(n)
        elif kind < 0.4:  # all of them, as they are
            numbers = np.arange(n)
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
        """Compare each state, as it was and as it is, with one parallel pass over its elements."""
        following = [self._next(node, self.ahead) for node in self.nodes]
        want = self._parallel(following)
        off = 0.0
        for node, wanted in zip(self.nodes, want, strict=True):
            off = max(off, self._as_made(node, wanted))
        for node, x, wanted in zip(self.nodes, following, want, strict=True):
            off = max(off, self._as_now(node, x, wanted))
        return off

    def _parallel(self, following: list[torch.Tensor]) -> list[torch.Tensor]:
        """For each state [probes, n, ahead + 1]: what comes after its elements, and then on."""
        rows = [
            torch.cat([row, e])
            for node, x in zip(self.nodes, following, strict=True)
            for row, e in zip(node.rows, x, strict=True)
        ]
        width = max(map(len, rows))
        whole = self.pool.x[0, :width].repeat(len(rows), *[1] * (self.pool.x.ndim - 1))
        for i, row in enumerate(rows):
            whole[i, : len(row)] = row
        origin = np.concatenate([node.origin for node in self.nodes])
        context = None if self.pool.context is None else self.pool.context[origin]
        table = self.subject.reference(Batch(whole, context))
        last = torch.tensor([len(row) - self.ahead - self.subject.given for row in rows])
        places = last[:, None] + torch.arange(self.ahead + 1)
        found = table[:, torch.arange(len(rows))[:, None], places]
        return list(found.split([len(node.rows) for node in self.nodes], dim=1))

    def _as_made(self, node: _Node, wanted: torch.Tensor) -> float:
        return agree(
            node.shown,
            wanted[:, :, 0],
            self.subject.tolerance,
            f"the state after {node.path} to say what one parallel pass over its elements says",
            "a cache that forgets, or that holds another branch's elements",
            _AXES,
        )

    def _as_now(self, node: _Node, x: torch.Tensor, wanted: torch.Tensor) -> float:
        """The state has its elements still, and its conditional, also when it is asked anew."""
        subject, state = self.subject, node.state
        stays = f"the state after {node.path} to stay as it was while others grew"
        if state.lengths.tolist() != node.lengths.tolist():
            came = f"it has {state.lengths.tolist()} elements instead of {node.lengths.tolist()}"
            fail(stays, came, _SHARED)
        held, lengths = state.history.padded()
        for i, (row, k) in enumerate(zip(node.rows, lengths.tolist(), strict=True)):
            if not torch.equal(marked(held[i, :k]), marked(row.to(held))):
                fail(f"{stays}, its history too", f"that of row {i} is another", _SHARED)
        anew = copy(state)
        anew._cached = None
        said = [subject.table(anew.conditional)]
        now = state
        for e in x.unbind(1):
            now = now.append(e)
            said.append(subject.table(now.conditional))
        off = agree(torch.stack(said, dim=2), wanted, subject.tolerance, stays, _SHARED, _AXES)
        columns = subject.table(state.extend(x)[0])
        return max(off, agree(columns, wanted, subject.tolerance, stays, _SHARED, _AXES))


def _untouched(given: torch.Tensor, x: torch.Tensor, what: str) -> None:
    if not torch.equal(marked(given), marked(x)):
        fail(
            f"{what} to leave the elements that it is given as they are",
            "it wrote into them",
            "an operation in place (ending in _) on x",
        )


def _of_no_rows(subject: Subject) -> None:
    """A state without rows takes every call, and what it says has no rows."""
    batch = subject.batch(2, subject.short(4), "no rows")
    first = subject.begin(batch)
    x = batch.x[:0, subject.given :]
    u = torch.zeros(x[:, :1].shape, dtype=torch.float64, device=x.device)
    empty = first.select([])
    made = {
        "select([])": empty,
        "append": empty.append(x[:, 0]),
        "extend": empty.extend(x[:, :1])[1],
        "advance": empty.advance(u)[1],
        "truncate": empty.append(x[:, 0]).truncate(subject.given),
        "select": empty.select([]),
    }
    for what, state in made.items():
        shape = tuple(state.conditional.batch_shape)
        if shape != (0,) or state.n != 0:
            fail(
                f"a state without rows after {what} to have none",
                f"it has {state.n}, and its conditional the batch shape {shape}",
                "a cache that is not selected with the rows",
            )
