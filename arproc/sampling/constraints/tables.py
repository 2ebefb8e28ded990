"""Deterministic automata over bytes as tables, made of nondeterministic ones."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from arproc.errors import ParameterError
from arproc.sampling.constraints.regular_syntax import Nondeterministic

__all__ = ["ByteTable", "Deadline", "determined", "leading_to"]

#: No table has more states.
_MOST = 50_000
#: States that are alike are only looked for among so many: it takes their number squared.
_MERGED = 300


class Deadline:
    """How long a constraint may be compiled.

    Args:
        seconds: from now on.
        name: what is compiled, for the error.
    """

    def __init__(self, seconds: float, name: str) -> None:
        self.seconds, self.name = seconds, name
        self.end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """So many seconds are left."""
        return self.end - time.monotonic()

    def check(self) -> None:
        """Raise `ParameterError` when the time is over."""
        if self.left < 0:
            raise ParameterError(
                f"{self.name} is not compiled within seconds={self.seconds:g}. Allow more "
                "seconds, or write it more simply: long repeats after something that is alike "
                "make many states."
            )


@dataclass(frozen=True, eq=False)
class ByteTable:
    """A deterministic automaton over bytes; each state can still reach one that accepts.

    Attributes:
        targets: the state after each byte, -1 where none may come, int32 [states, 256].
        accepting: whether a text may end in a state, bool [states].
        start: the first state.
    """

    targets: np.ndarray
    accepting: np.ndarray
    start: int


def determined(automaton: Nondeterministic, deadline: Deadline) -> ByteTable:
    """A deterministic automaton of the same texts (Rabin and Scott 1959), small (Moore 1956).

    Raises:
        ParameterError: it has too many states, takes too long, or accepts no text at all.
    """
    classes, n_classes = _byte_classes(automaton)
    closures: dict[int, frozenset[int]] = {}
    first = _closure(automaton, 0, closures)
    numbers = {first: 0}
    waiting, rows = [first], []
    while waiting:
        subset = waiting.pop()
        row = np.full(n_classes, -1, np.int32)
        for number, reached in _moves(automaton, subset, classes, closures):
            if reached not in numbers:
                if len(numbers) >= _MOST:
                    raise ParameterError(
                        f"{deadline.name} has more than {_MOST:,} states; write it more simply."
                    )
                numbers[reached] = len(numbers)
                waiting.append(reached)
            row[number] = numbers[reached]
        rows.append((numbers[subset], row))
        deadline.check()
    table = np.stack([row for _, row in sorted(rows, key=lambda pair: pair[0])])
    accepting = np.array([automaton.last in subset for subset in numbers])
    return _smallest(table, accepting, classes, deadline)


def _byte_classes(automaton: Nondeterministic) -> tuple[np.ndarray, int]:
    """Bytes that no state tells apart have one number: of each byte, [256], and how many."""
    edges = np.zeros(257, bool)
    for reads in automaton.reads:
        for low, high, _ in reads:
            edges[low] = edges[high + 1] = True
    edges[0] = False
    classes = np.cumsum(edges[:256])
    return classes, int(classes[-1]) + 1


def _closure(
    automaton: Nondeterministic, state: int, known: dict[int, frozenset[int]]
) -> frozenset[int]:
    """The states that read or accept among those reached from a state without reading."""
    found = known.get(state)
    if found is not None:
        return found
    seen, waiting = {state}, [state]
    while waiting:
        for other in automaton.silent[waiting.pop()]:
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    kept = frozenset(s for s in seen if automaton.reads[s] or s == automaton.last)
    known[state] = kept
    return kept


def _moves(
    automaton: Nondeterministic,
    subset: frozenset[int],
    classes: np.ndarray,
    closures: dict[int, frozenset[int]],
) -> list[tuple[int, frozenset[int]]]:
    """Where the states of a subset lead, by the class of the byte."""
    reached: dict[int, set[int]] = {}
    for state in subset:
        for low, high, target in automaton.reads[state]:
            for number in range(int(classes[low]), int(classes[high]) + 1):
                reached.setdefault(number, set()).add(target)
    joined: dict[frozenset[int], frozenset[int]] = {}
    moves = []
    for number, targets in reached.items():
        key = frozenset(targets)
        if key not in joined:
            joined[key] = frozenset().union(*(_closure(automaton, t, closures) for t in key))
        moves.append((number, joined[key]))
    return moves


def _smallest(
    table: np.ndarray, accepting: np.ndarray, classes: np.ndarray, deadline: Deadline
) -> ByteTable:
    """Without the states that accept nothing any more, with one for all that are alike."""
    alive = _alive(table, accepting)
    if not alive[0]:
        raise ParameterError(f"{deadline.name} matches no text at all.")
    dead = np.append(~alive, True)  # -1 is the last
    table = np.where(dead[table], -1, table)
    kind = np.arange(1, len(table) + 1)
    if len(table) <= _MERGED:
        kind = _kinds(table, accepting, alive, deadline)
    kind[~alive] = 0
    numbers, member, group = np.unique(kind[alive], return_index=True, return_inverse=True)
    every = np.full(len(table) + 1, -1)
    every[np.flatnonzero(alive)] = group.reshape(-1)
    chosen = np.flatnonzero(alive)[member]
    small = every[table[chosen]].astype(np.int32)
    assert len(small) == len(numbers)
    return ByteTable(np.ascontiguousarray(small[:, classes]), accepting[chosen], int(every[0]))


def _kinds(
    table: np.ndarray, accepting: np.ndarray, alive: np.ndarray, deadline: Deadline
) -> np.ndarray:
    """The same number for all states that are alike, 0 for dead ones, int64 [states]."""
    kind = np.where(alive, accepting + 1, 0)
    groups = 0
    while len(np.unique(kind)) != groups:
        deadline.check()
        groups = len(np.unique(kind))
        signature = np.column_stack([kind, np.append(kind, 0)[table]])
        kind = np.unique(signature, axis=0, return_inverse=True)[1].reshape(-1) + 1
        kind[~alive] = 0
    return kind


def _alive(table: np.ndarray, accepting: np.ndarray) -> np.ndarray:
    """Which states can still reach one that accepts, bool [states]."""
    source, column = np.nonzero(table >= 0)
    return leading_to(accepting, source, table[source, column])


def leading_to(goal: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Which states lead to a goal, goals included, bool [states].

    Args:
        goal: bool [states].
        source: of each edge the state before, [edges].
        target: the state after.
    """
    order = np.argsort(target, kind="stable")
    before = np.asarray(source)[order]
    begin = np.searchsorted(np.asarray(target)[order], np.arange(len(goal) + 1))
    found, reached = goal.copy(), np.flatnonzero(goal)
    while len(reached):
        parts = [before[begin[state] : begin[state + 1]] for state in reached.tolist()]
        new = np.unique(np.concatenate(parts))
        reached = new[~found[new]]
        found[reached] = True
    return found
