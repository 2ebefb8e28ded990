"""Finite machines: laws whose past counts by one of finitely many states.

An n-gram model, a Markov chain and whatever is made of them (a mixture, a prefix, a policy without
a memory) have a past that counts only by a state of which there are finitely many. What is exact
there for any future (backward messages, the most probable sequence) needs three things of a law,
which are a `Machine`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from arproc.distributions import as_categorical
from arproc.spaces import Space

__all__ = ["Machine", "WindowMachine", "latest", "log_probs", "side_by_side"]


class Machine(Protocol):
    """The states of a law and its steps between them.

    A state is a row of whole numbers, int64 [k]: rows that agree have the same future from the
    same step on.

    Attributes:
        settled: from which step on the step makes no difference either; None where it always may.
    """

    @property
    def settled(self) -> int | None: ...

    def start(self) -> Tensor:
        """The state before the first element, int64 [1, k]."""

    def scores(self, states: Tensor, step: int) -> Tensor:
        """Log-probabilities of each symbol after `step` elements, float64 [M, V]."""

    def follow(self, states: Tensor, x: Tensor, step: int) -> Tensor:
        """The states [M, k] after one more symbol x [M], none of them the end."""


class _Windowed(Protocol):
    """What a machine of the last elements needs of a law."""

    @property
    def space(self) -> Space: ...
    @property
    def padding(self) -> float: ...
    @property
    def window_length(self) -> int: ...
    @property
    def window(self) -> Callable[..., Any]: ...


class WindowMachine:
    """Of a law of symbols and of finite order: its last elements.

    Args:
        law: without a context.
    """

    settled = None

    def __init__(self, law: _Windowed) -> None:
        self.law, self.order = law, law.window_length

    def start(self) -> Tensor:
        return torch.full((1, self.order), int(self.law.padding))

    def scores(self, states: Tensor, step: int) -> Tensor:
        ctx = states[:, None].to(self.law.space.dtype)
        position = torch.full((len(states), 1), step)
        return log_probs(self.law.window(ctx, position))[:, 0]

    def follow(self, states: Tensor, x: Tensor, step: int) -> Tensor:
        return torch.cat([states, x.long()[:, None]], dim=1)[:, 1:]


class _Sides:
    """Several machines that read the same symbols.

    Args:
        parts: the machines.
        join: the log-probabilities of all, from those of each, [P, M, V] to [M, V].
    """

    def __init__(self, parts: Sequence[Machine], join: Callable[[Tensor], Tensor]) -> None:
        self.parts, self.join = parts, join
        self.widths = [part.start().shape[1] for part in parts]

    @property
    def settled(self) -> int | None:
        return latest(part.settled for part in self.parts)

    def start(self) -> Tensor:
        return torch.cat([part.start() for part in self.parts], dim=1)

    def scores(self, states: Tensor, step: int) -> Tensor:
        own = zip(self.parts, states.split(self.widths, dim=1), strict=True)
        return self.join(torch.stack([part.scores(state, step) for part, state in own]))

    def follow(self, states: Tensor, x: Tensor, step: int) -> Tensor:
        own = zip(self.parts, states.split(self.widths, dim=1), strict=True)
        return torch.cat([part.follow(state, x, step) for part, state in own], dim=1)


def side_by_side(
    parts: Sequence[Machine | None], join: Callable[[Tensor], Tensor]
) -> Machine | None:
    """The machine of several laws whose log-probabilities are joined; None where one has none."""
    found = [part for part in parts if part is not None]
    return _Sides(found, join) if len(found) == len(parts) else None


def latest(steps: Iterable[int | None]) -> int | None:
    """The last of some steps, None standing for never."""
    found = list(steps)
    return None if None in found else max(step for step in found if step is not None)


def log_probs(conditional: Any) -> Tensor:
    """The log-probabilities of a law of finitely many symbols, float64 [*batch, V].

    They are minus infinity throughout where nothing is left.
    """
    found = torch.log_softmax(as_categorical(conditional).scores.double(), dim=-1)
    return found.masked_fill(found.isnan(), -torch.inf)
