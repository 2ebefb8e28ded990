"""How long and how wide the checks go: sizes drawn at random, within a limit of work.

A fault may begin at any size: behind the blocks, crops and windows of a fast path (40, 64, 1024,
2000 elements; 8, 64, 256 rows), or only in batches that are a multiple of one. So sizes are drawn,
and the limit is counted in numbers that are touched, never in seconds: what is checked is the same
on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.contract.law import Law
from arproc.contract.state import GroupedState, ReplayState, State

if TYPE_CHECKING:
    from arproc.testing.subject import Subject

__all__ = ["Budget", "late", "rows_to_look_at", "widths"]

#: What one pass may cost, in numbers touched: by default and where it is to be thorough.
_WORK = {False: 2**26, True: 2**29}
#: How many numbers the conditionals of one pass may hold.
_HELD = {False: 2**21, True: 2**24}
#: What a step in Python is worth, in numbers that an array operation touches meanwhile.
_STEP = {False: 2**17, True: 2**15}


class Budget:
    """What one pass over a process may cost.

    Args:
        subject: the process under test.
    """

    def __init__(self, subject: Subject) -> None:
        self.thorough = subject.thorough
        law = subject.process.law_
        self.numbers = max(law.numbers, 1)
        self.weights = sum(_weights(law, set()))
        parts = list(_parts(subject.begin(subject.batch(1, subject.given, "budget"))))
        #: Whether `extend` goes step by step: some part of the state only knows `append`.
        self.stepwise = any(type(part)._extend is State._extend for part in parts)
        #: Whether every step reads all of the past again.
        self.replays = any(isinstance(part, ReplayState) for part in parts)

    def longest(self, most: int, rows: int = 1) -> int:
        """How many elements, up to `most`, a pass over so many rows may have."""
        held = _HELD[self.thorough] // (rows * self.numbers)
        a_step = rows * (self.numbers + self.weights) + _STEP[self.thorough] * self.stepwise
        work = _WORK[self.thorough] // a_step
        if self.replays:  # at least the square of the length
            work = min(work, int((_WORK[self.thorough] // (15 * rows)) ** 0.5))
        return min(most, held, work)

    def widest(self, most: int, length: int) -> int:
        """How many rows, up to `most`, a pass over so many elements may have."""
        each = (length + 1) * self.numbers
        work = (length + 1) * (self.numbers + self.weights)
        return min(most, _HELD[self.thorough] // each, _WORK[self.thorough] // work)


def _parts(state: State) -> Iterator[State]:
    """A state and the states that it is made of."""
    yield state
    held: list[Any] = list(vars(state).values())
    if isinstance(state, GroupedState):
        held += [part for _, part in state.parts]
    for value in held:
        for part in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(part, State):
                yield from _parts(part)


def _weights(value: Any, seen: set[int]) -> Iterator[int]:
    """The sizes of the networks in a law: each of their weights is used for every element."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, torch.nn.Module):
        yield from (p.numel() for p in value.parameters())
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _weights(part, seen)
    elif isinstance(value, Law) or hasattr(value, "law_"):
        for part in vars(value).values():
            yield from _weights(part, seen)


def late(subject: Subject, purpose: str, rows: int = 1) -> int:
    """A length far behind every block and window, the given elements included.

    Beyond 2,100 elements where such a pass is cheap (thorough: up to 5,000); all of a fixed size.
    """
    if subject.space.length is not None:
        return subject.length
    rng = subject.rng(f"late lengths of {purpose}")
    drawn = int(rng.integers(2100, 5000 if subject.thorough else 2400))
    return subject.given + subject.budget.longest(drawn, rows)


def widths(subject: Subject, length: int, purpose: str) -> list[int]:
    """Numbers of rows to try: a multiple of every block up to 64 or more, and an odd one.

    Thorough: one of a multiple of 256, and one of more than a thousand too.
    """
    rng, budget = subject.rng(f"widths of {purpose}"), subject.budget
    drawn = [64 * int(rng.integers(2, 6)), 2 * int(rng.integers(40, 150)) + 1]
    if subject.thorough:
        drawn += [256 * int(rng.integers(2, 6)), int(rng.integers(1100, 2200))]
        drawn += [int(k) for k in rng.integers(9, 700, 3)]
    most = budget.widest(max(drawn), length)
    return sorted({min(k, most) for k in drawn if min(k, most) > 8})


def rows_to_look_at(n: int, rng: np.random.Generator) -> list[int]:
    """Some of n rows: about the edges of blocks, the last ones, and others at random."""
    edges = [2**k + d for k in range(3, 12) for d in (-1, 0)]
    found = {0, n - 1, n - 2, *edges, *rng.integers(0, n, 6).tolist()}
    return sorted(i for i in found if 0 <= i < n)
