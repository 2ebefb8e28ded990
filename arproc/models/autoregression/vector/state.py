"""The state of a vector autoregression: its last elements, and a fast way to draw many more."""

from __future__ import annotations

from typing import Protocol

import torch
from torch.distributions import Distribution, MultivariateNormal

from arproc.contract.state import State, WindowState
from arproc.distributions import index
from arproc.models.autoregression.filtering import Belief, refuse_given
from arproc.models.autoregression.vector import filtering, simulation
from arproc.models.autoregression.vector.recursion import VectorRecursion

__all__ = ["Known", "VectorState", "raised"]

_AT_ONCE = 2**20  # elements that one call draws, in all rows together

#: What the next elements follow from: see `VARLaw.known`.
Known = tuple[torch.Tensor, torch.Tensor, VectorRecursion, int, torch.Tensor | None]


class _Recursive(Protocol):
    """What a state needs of its law; `VARLaw` is one."""

    @property
    def n_given(self) -> int: ...
    @property
    def order(self) -> int: ...
    @property
    def recursion(self) -> VectorRecursion: ...
    def level(
        self, context: torch.Tensor | None, position: torch.Tensor
    ) -> torch.Tensor | None: ...
    def driven(
        self, context: torch.Tensor | None, position: torch.Tensor
    ) -> torch.Tensor | None: ...
    def known(self, state: State, horizon: int) -> tuple[Known, torch.Tensor | None]: ...


def raised(law: MultivariateNormal, level: torch.Tensor | None) -> MultivariateNormal:
    """The law of what is more by `level`, of the shape of its mean."""
    if level is None:
        return law
    return MultivariateNormal(law.loc + level, scale_tril=law.scale_tril, validate_args=False)


class VectorState(WindowState):
    """The last elements, and a fast way to draw many more.

    Args:
        n: how many rows there are, on which depends how many elements are drawn at once.
        belief: what is known of the last elements, where a component of one is missing.
        gaps: whether anything so far is missing.
    """

    law: _Recursive

    def __init__(self, n: int, belief: Belief | None = None, gaps: bool = False) -> None:
        super().__init__(max(16, _AT_ONCE // max(n, 1)))
        self.belief = belief
        self.gaps = gaps

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        if self.belief is not None:  # one by one, until p are drawn and all before is known
            steps = max(self.law.order, 1)
            if uniforms.shape[1] <= steps:
                return State.advance(self, uniforms)
            first, state = State.advance(self, uniforms[:, :steps])
            rest, state = state.advance(uniforms[:, steps:])
            return torch.cat([first, rest], dim=1), state
        (before, lengths, recursion, _, driven), level = self.law.known(self, uniforms.shape[1])
        x = simulation.draw(uniforms, before, lengths, recursion, driven)
        x = x if level is None else x + level
        after = VectorState(self.n, gaps=self.gaps)
        return x, self._carry(after, self.history.extend(x), self.context)

    def _conditional(self) -> Distribution:
        nothing = self.history.slots[:, :0]
        if self.belief is None:
            return index(self._columns(nothing), (slice(None), 0))
        return index(self._filtered(nothing, None)[0], (slice(None), 0))

    def _append(self, x: torch.Tensor) -> State:
        if self.belief is None and not bool(torch.isnan(x.detach()).any()):
            return VectorState(self.n, gaps=self.gaps)
        return self._extend(x[:, None], None)[1]

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        gone = bool(torch.isnan(x.detach()).any())
        if self.belief is None and not gone:
            return self._columns(x), VectorState(self.n, gaps=self.gaps)
        columns, belief = self._filtered(x, lengths)
        known = None if belief.certain else belief
        return columns, VectorState(self.n, known, self.gaps or gone)

    def _select(self, rows: torch.Tensor) -> State:
        belief = None if self.belief is None else self.belief.select(rows)
        return VectorState(len(rows), belief, self.gaps)

    def _truncate(self, lengths: torch.Tensor) -> State:
        if self.gaps:
            return State._truncate(self, lengths)
        return VectorState(self.n)

    def _columns(self, x: torch.Tensor) -> MultivariateNormal:
        """The conditionals along x [N, K, d], batch [N, K + 1]."""
        law, (y, level, driven) = self.law, self._deviations(x)
        place = self.lengths[:, None] + torch.arange(x.shape[1] + 1, device=x.device)
        return raised(
            law.recursion.conditional(filtering.windows(y, law.order), place, driven), level
        )

    def _deviations(
        self, x: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """The last p elements and x less their levels; levels and drive of x and the next."""
        law, p = self.law, self.law.order
        joined = torch.cat([self.history.tail(p), x], dim=1).to(torch.float64)
        if self.context is None:
            return joined, None, None
        place = self.lengths[:, None] + torch.arange(-p, x.shape[1] + 1, device=x.device)
        level, driven = law.level(self.context, place), law.driven(self.context, place[:, p:])
        if level is None:
            return joined, None, driven
        return joined - level[:, :-1], level[:, p:], driven

    def _filtered(
        self, x: torch.Tensor, lengths: torch.Tensor | None
    ) -> tuple[MultivariateNormal, Belief]:
        """The conditionals along x, where components are missing, and what is known after it."""
        law, p = self.law, self.law.order
        place = self.lengths[:, None] + torch.arange(x.shape[1], device=x.device)
        if bool(((place < law.n_given)[..., None] & torch.isnan(x)).any()):
            refuse_given(law.n_given)
        y, level, driven = self._deviations(x)
        laws, belief = filtering.run(
            y[:, p:], y[:, :p], self.lengths, self.belief, law.recursion, lengths, driven
        )
        return raised(laws, level), belief
