"""What the states of autoregressions of numbers and of vectors share.

They are the last elements, or what is known of these where something is missing.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import torch
from torch.distributions import Distribution

from arproc.contract.state import State, WindowState
from arproc.distributions import index
from arproc.models.autoregression.filtering import Belief

__all__ = ["GappedState"]

_AT_ONCE = 2**20  # elements that one call draws, in all rows together


class GappedState(WindowState):
    """The state of a recursion, which filters where elements are missing.

    A subclass writes `_columns`, `_filtered` and `_drawn`.

    Args:
        n: how many rows there are, on which depends how many elements are drawn at once.
        belief: what is known of the last elements, where something of one is missing.
        gaps: whether anything so far is missing.
    """

    law: Any

    def __init__(self, n: int, belief: Belief | None = None, gaps: bool = False) -> None:
        super().__init__(max(16, _AT_ONCE // max(n, 1)))
        self.belief = belief
        self.gaps = gaps

    @abstractmethod
    def _columns(self, x: torch.Tensor) -> Distribution:
        """The conditionals along x [N, K, *event], nothing missing, batch [N, K + 1]."""

    @abstractmethod
    def _filtered(
        self, x: torch.Tensor, lengths: torch.Tensor | None
    ) -> tuple[Distribution, Belief]:
        """The conditionals along x, where something is missing, and what is known after it."""

    @abstractmethod
    def _drawn(self, uniforms: torch.Tensor) -> torch.Tensor:
        """The next elements [N, K, *event] by their uniforms, all before being known."""

    def finish(self, uniforms: torch.Tensor) -> torch.Tensor:
        if self.belief is not None:
            return super().finish(uniforms)
        if self.law.n_given:
            _ = self.conditional  # refuses a state shorter than what must be given
        return self._drawn(uniforms)

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        if self.law.n_given:
            _ = self.conditional
        if self.belief is None:
            x = self._drawn(uniforms)
            after = self._like(self.n, gaps=self.gaps)
            return x, self._carry(after, self.history.extend(x), self.context)
        # element by element, until p of them are drawn and everything before is known
        steps = max(self.law.order, 1)
        if uniforms.shape[1] <= steps:
            return State.advance(self, uniforms)
        first, state = State.advance(self, uniforms[:, :steps])
        rest, state = state.advance(uniforms[:, steps:])
        return torch.cat([first, rest], dim=1), state

    def _like(self, n: int, belief: Belief | None = None, gaps: bool = False) -> Self:
        return type(self)(n, belief, gaps)

    def _conditional(self) -> Distribution:
        nothing = self.history.slots[:, :0]
        columns = (
            self._columns(nothing) if self.belief is None else self._filtered(nothing, None)[0]
        )
        return index(columns, (slice(None), 0))

    def _append(self, x: torch.Tensor) -> State:
        if self.belief is None and not _any_missing(x):
            return self._like(self.n, gaps=self.gaps)
        return self._extend(x[:, None], None)[1]

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        gone = _any_missing(x)
        if self.belief is None and not gone:
            return self._columns(x), self._like(self.n, gaps=self.gaps)
        columns, belief = self._filtered(x, lengths)
        known = None if belief.certain else belief
        return columns, self._like(self.n, known, self.gaps or gone)

    def _select(self, rows: torch.Tensor) -> State:
        belief = None if self.belief is None else self.belief.select(rows)
        return self._like(len(rows), belief, self.gaps)

    def _truncate(self, lengths: torch.Tensor) -> State:
        return State._truncate(self, lengths) if self.gaps else self._like(self.n)


def _any_missing(x: torch.Tensor) -> bool:
    """Whether there is a NaN among the elements; a sum tells in one pass."""
    total = x.detach().sum()
    return bool(total != total) and bool(torch.isnan(x.detach()).any())
