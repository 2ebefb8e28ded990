"""What the engine asks for more elements: a drawer, of which there is one for each way to draw."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from arproc.contract.law import Law
from arproc.contract.randomness import Uniforms
from arproc.contract.state import State
from arproc.spaces import Space

__all__ = ["Drawer", "Sequential"]

#: How many elements of endless rows are drawn at once, so that their uniforms come in blocks.
_BLOCK = 64


class Drawer(ABC):
    """Some partial sequences, and a way to draw what comes next.

    Attributes:
        law: what is drawn from.
    """

    law: Law

    @abstractmethod
    def advance(self, left: Tensor | None, single: bool) -> tuple[Tensor, Tensor | None]:
        """Draw more elements of every row.

        Args:
            left: how many each row may still get, at least 1, int64 [m]; None for any number.
            single: whether the caller looks at each element before it wants the next.

        Returns:
            Elements [m, K, *event], and how many of them each row got, at least 1, int64 [m];
            None where all got K.
        """

    @abstractmethod
    def select(self, rows: Tensor) -> None:
        """Go on with these rows alone."""

    @abstractmethod
    def admit(self, rows: Tensor) -> None:
        """Take in some of the rows that were given at first, by their numbers [k], as the last."""


class Sequential(Drawer):
    """Ancestral sampling: one element after another, from the law's own conditionals.

    Args:
        state: where to begin, m rows.
        uniforms: what is random.
        space: the law's space.
    """

    def __init__(self, state: State, uniforms: Uniforms, space: Space) -> None:
        self.law = state.law
        self.first, self.state, self.uniforms, self.space = state, state, uniforms, space
        self.rows, self.positions = torch.arange(state.n), state.positions.cpu()

    def advance(self, left: Tensor | None, single: bool) -> tuple[Tensor, Tensor | None]:
        count = self._count(single)
        count = count if left is None else min(count, int(left.min()))
        u = self.uniforms.block(self.rows, self.positions.numpy(), count, self.space.event_shape)
        x, self.state = self.state.advance(u.to(self.state.history.slots.device))
        self.positions = self.positions + count
        return x, None

    def _count(self, single: bool) -> int:
        """How many at once: one where each may be the last, or as the state says."""
        if single:
            return 1
        block = self.state.block
        return block if self.space.terminates else max(block, _BLOCK)

    def select(self, rows: Tensor) -> None:
        self.state = self.state.select(rows)
        self.rows, self.positions = self.rows[rows], self.positions[rows]

    def admit(self, rows: Tensor) -> None:
        new = self.first.select(rows)
        self.state = self.state.join(new) if self.state.n else new
        self.rows = torch.cat([self.rows, rows])
        self.positions = torch.cat([self.positions, new.positions.cpu()])
