"""What one pass over a process may cost, counted in numbers that are touched, never in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from arproc.contract.law import Law
from arproc.contract.state import GroupedState, ReplayState, State

__all__ = ["Budget"]

#: What one pass may cost, in numbers touched: by default and where it is to be thorough.
_WORK = {False: 2**26, True: 2**29}
#: How many numbers the conditionals of one pass may hold.
_HELD = {False: 2**21, True: 2**24}
#: What a step in Python is worth, in numbers that an array operation touches meanwhile.
_STEP = {False: 2**17, True: 2**15}


class Budget:
    """What one pass over a process may cost.

    Args:
        law: the law of the process.
        state: one of its states.
        thorough: whether it may cost much.
    """

    def __init__(self, law: Law, state: State, thorough: bool) -> None:
        self.thorough = thorough
        self.numbers = max(law.numbers, 1)
        self.weights = sum(_weights(law, set()))
        parts = list(_parts(state))
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
