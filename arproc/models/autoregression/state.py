"""The state of an autoregression: its last elements, and a compiled way to draw many more."""

from __future__ import annotations

from typing import Protocol

import torch
from torch.distributions import Distribution, Normal

from arproc.contract.state import State, WindowState
from arproc.distributions import index
from arproc.models.autoregression import filtering, likelihood, simulation
from arproc.models.autoregression.filtering import Belief, refuse_given
from arproc.models.autoregression.recursion import Recursion

__all__ = ["ARState"]

_AT_ONCE = 2**20  # elements that one call draws, in all rows together


class _Recursive(Protocol):
    """What a state needs of its law; `ARLaw` is one."""

    @property
    def n_given(self) -> int: ...
    @property
    def order(self) -> int: ...
    @property
    def recursion(self) -> Recursion: ...


class ARState(WindowState):
    """The state of a law that is a `Recursion`.

    Args:
        n: how many rows there are, on which depends how many elements are drawn at once.
        belief: what is known of the last elements, where one of them is missing.
        gaps: whether any element so far is missing.
    """

    law: _Recursive

    def __init__(self, n: int, belief: Belief | None = None, gaps: bool = False) -> None:
        super().__init__(max(16, _AT_ONCE // max(n, 1)))
        self.belief = belief
        self.gaps = gaps

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        law = self.law
        if law.n_given:
            _ = self.conditional  # refuses a state shorter than what must be given
        if self.belief is not None:
            return self._advance_from_belief(uniforms)
        before = self.history.tail(law.order).detach()
        recursion = law.recursion.detach()
        x = simulation.draw(uniforms, before, self.lengths, recursion, self.context)
        state = ARState(self.n, gaps=self.gaps)
        return x, self._carry(state, self.history.extend(x), self.context)

    def _advance_from_belief(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        """Element by element, until p of them are drawn and everything before is known."""
        steps = max(self.law.order, 1)
        if uniforms.shape[1] <= steps:
            return State.advance(self, uniforms)
        first, state = State.advance(self, uniforms[:, :steps])
        if steps == uniforms.shape[1]:
            return first, state
        rest, state = state.advance(uniforms[:, steps:])
        return torch.cat([first, rest], dim=1), state

    def ahead(self, horizon: int) -> Normal:
        """The marginal laws of the next elements, batch [N, horizon]."""
        if self.law.n_given:
            _ = self.conditional  # refuses a history shorter than what must be given
        if self.belief is not None:
            none = self.history.slots.new_full((self.n, horizon - 1), torch.nan)
            return self._filtered(none, None)[0]
        before = self.history.tail(self.law.order).detach()
        recursion = self.law.recursion.detach()
        mean, variance = simulation.forecast(
            before, self.lengths, recursion, horizon, self.context
        )
        return Normal(mean, variance.sqrt(), validate_args=False)

    def _conditional(self) -> Distribution:
        nothing = self.history.slots[:, :0]
        if self.belief is None:
            return index(self._columns(nothing), (slice(None), 0))
        return index(self._filtered(nothing, None)[0], (slice(None), 0))

    def _append(self, x: torch.Tensor) -> State:
        if self.belief is None and not _any_missing(x):
            return ARState(self.n, gaps=self.gaps)
        return self._extend(x[:, None], None)[1]

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        gone = _any_missing(x)
        if self.belief is None and not gone:
            return self._columns(x), ARState(self.n, gaps=self.gaps)
        columns, belief = self._filtered(x, lengths)
        known = None if belief.certain else belief
        return columns, ARState(self.n, known, self.gaps or gone)

    def _select(self, rows: torch.Tensor) -> State:
        belief = None if self.belief is None else self.belief.select(rows)
        return ARState(len(rows), belief, self.gaps)

    def _truncate(self, lengths: torch.Tensor) -> State:
        if self.gaps:
            return State._truncate(self, lengths)
        return ARState(self.n)

    def _columns(self, x: torch.Tensor) -> Distribution:
        """The conditionals along x [N, K], batch [N, K + 1]."""
        recursion = self.law.recursion.to(x.device)
        p, columns = recursion.order, x.shape[1] + 1
        y, level = self._deviations(x, recursion)
        y = y.unfold(1, p, 1) if p else y.new_empty((self.n, columns, 0))
        own = level if level.ndim == 0 else level[:, p:]
        position = self.lengths[:, None] + torch.arange(columns, device=x.device)
        driven = recursion.driven(position, self.context)
        return likelihood.conditional(recursion, y, position, own, driven)

    def _deviations(
        self, x: torch.Tensor, recursion: Recursion
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The last p elements and x less their levels; and the levels, with the next one's."""
        before = self.history.tail(recursion.order)
        joined = torch.cat([before, x], dim=1) if x.shape[1] else before
        if recursion.level.constant:
            level = recursion.level.at(self.lengths)
            return joined - level, level
        steps = torch.arange(-recursion.order, x.shape[1] + 1, device=x.device)
        level = recursion.level.at(self.lengths[:, None] + steps, self.context)
        return joined - level[:, :-1], level

    def _filtered(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Normal, Belief]:
        """The conditionals along x, where elements are missing, and what is known after it."""
        recursion, given = self.law.recursion.to(x.device), self.law.n_given
        belief = self.belief
        if belief is None:
            belief = Belief.known(self._deviations(x[:, :0], recursion)[0].flip(1))
        place = self.lengths[:, None] + torch.arange(x.shape[1] + 1, device=x.device)
        early = place < given
        if bool((early[:, :-1] & torch.isnan(x)).any()):
            refuse_given(given)
        loc, variance, belief = filtering.run(
            x, self.lengths, belief, recursion, self.context, lengths
        )
        # given elements have no conditional
        loc, variance = (part.masked_fill(early, torch.nan) for part in (loc, variance))
        return Normal(loc, variance.sqrt(), validate_args=False), belief


def _any_missing(x: torch.Tensor) -> bool:
    """Whether there is a NaN among the elements; a sum tells in one pass."""
    total = x.detach().sum()
    return bool(total != total) and bool(torch.isnan(x.detach()).any())
