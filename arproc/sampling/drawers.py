"""What the engine asks for more elements: a drawer, of which there is one for each way to draw."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from arproc.contract.law import Law
from arproc.contract.randomness import Uniforms
from arproc.contract.state import State
from arproc.spaces import Space

__all__ = ["Drawer", "Enough", "Sequential", "a_few"]

Enough = Callable[[Tensor], bool]

#: How many elements are drawn at once, so that their uniforms come in blocks; and how many
#: uniforms are made ahead at most.
_BLOCK, _AT_ONCE = 64, 2**16


def a_few(_: Tensor) -> bool:
    """Enough for states that do not walk: a short block, which the caller looks at as a whole."""
    return True


class Drawer(ABC):
    """Some partial sequences, and a way to draw what comes next.

    Attributes:
        law: what is drawn from.
    """

    law: Law

    @abstractmethod
    def advance(self, left: Tensor | None, enough: Enough | None) -> tuple[Tensor, Tensor | None]:
        """Draw more elements of every row.

        Args:
            left: how many each row may still get, at least 1, int64 [m]; None for any number.
            enough: is asked after each element [m, *event] whether the caller wants no more, where
                all rows get one after another; drawers that guess several do not ask.

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
        self.drawn = 0
        self.coming: Tensor | None = None  # uniforms of positions that are not drawn yet
        self.ended = np.zeros(state.n, dtype=bool)

    def advance(self, left: Tensor | None, enough: Enough | None) -> tuple[Tensor, Tensor | None]:
        state, walks = self.state, self.state.walks
        asked = enough is not None or self.space.terminates
        block = state.block if self.space.terminates else max(state.block, _BLOCK)
        if enough is a_few and not walks:  # at most as many in vain as are wanted
            block = min(self.drawn + 1, state.in_vain)
        elif enough is not None:
            block = 1
        count = _BLOCK if walks else block
        u = self._uniforms(count if left is None else min(count, int(left.min())))
        if not asked and left is not None and int(left.max()) <= u.shape[1]:
            x = state.finish(u)  # all rows are full: nothing comes after it
        elif asked and walks:
            x, self.state = state.advance_until(u, self._watch(enough))
        else:
            x, self.state = state.advance(u)
        drawn = x.shape[1]
        self.drawn += drawn
        self.positions = self.positions + drawn
        assert self.coming is not None
        self.coming = self.coming[:, drawn:]
        return x, None

    def _watch(self, enough: Enough | None) -> Enough:
        """What is asked of each element: whether the caller has enough, or rows have ended."""
        if enough is None or not self.space.terminates:
            return enough or self._ended_now
        return lambda x: self._ended_now(x) | enough(x)

    def _uniforms(self, count: int) -> Tensor:
        """Those of the next elements, [m, count, *event]; some more are kept for the next time."""
        if self.coming is None or self.coming.shape[1] < count:
            shape = self.space.event_shape
            most = max(_AT_ONCE // max(len(self.rows) * math.prod(shape), 1), 1)
            wanted = max(count, min(_BLOCK, most))
            u = self.uniforms.block(self.rows, self.positions.numpy(), wanted, shape)
            self.coming = u.to(self.state.history.device)
        return self.coming[:, :count]

    def _ended_now(self, x: Tensor) -> bool:
        """Whether a row ends with its next element x [m], and then a quarter of them have."""
        if len(self.ended) == 1:
            return x.item() == self.space.end
        ends = x.cpu().numpy() == self.space.end
        if not ends.any():
            return False
        self.ended |= ends
        return 4 * int(self.ended.sum()) >= len(self.ended)

    def select(self, rows: Tensor) -> None:
        self.state = self.state.select(rows)
        self.rows, self.positions = self.rows[rows], self.positions[rows]
        self.ended = self.ended[rows.numpy()]
        self.coming = None if self.coming is None else self.coming[rows.to(self.coming.device)]

    def admit(self, rows: Tensor) -> None:
        new = self.first.select(rows)
        self.state = self.state.join(new) if self.state.n else new
        self.rows, self.drawn = torch.cat([self.rows, rows]), 0
        self.positions = torch.cat([self.positions, new.positions.cpu()])
        self.ended = np.append(self.ended, np.zeros(len(rows), dtype=bool))
        self.coming = None
