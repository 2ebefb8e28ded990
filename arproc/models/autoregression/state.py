"""The state of an autoregression: its last elements, and a compiled way to draw many more."""

from __future__ import annotations

from typing import Protocol

import torch
from torch.distributions import Distribution, Normal

from arproc.models.autoregression import filtering, likelihood, simulation
from arproc.models.autoregression.filtering import Belief, refuse_given
from arproc.models.autoregression.gapped_state import GappedState
from arproc.models.autoregression.recursion import Recursion

__all__ = ["ARState"]


class _Recursive(Protocol):
    """What a state needs of its law; `ARLaw` is one."""

    @property
    def n_given(self) -> int: ...
    @property
    def order(self) -> int: ...
    @property
    def recursion(self) -> Recursion: ...


class ARState(GappedState):
    """The state of a law that is a `Recursion`."""

    law: _Recursive

    def _drawn(self, uniforms: torch.Tensor) -> torch.Tensor:
        before = self.history.tail(self.law.order).detach()
        recursion = self.law.recursion.detach()
        return simulation.draw(uniforms, before, self.lengths, recursion, self.context)

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
