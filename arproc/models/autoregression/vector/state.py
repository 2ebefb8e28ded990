"""The state of a vector autoregression: its last elements, and a fast way to draw many more."""

from __future__ import annotations

from typing import Protocol

import torch
from torch.distributions import MultivariateNormal

from arproc.contract.state import State
from arproc.models.autoregression.filtering import Belief, refuse_given
from arproc.models.autoregression.gapped_state import GappedState
from arproc.models.autoregression.vector import filtering, simulation
from arproc.models.autoregression.vector.recursion import VectorRecursion

__all__ = ["Known", "VectorState", "raised"]

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


class VectorState(GappedState):
    """The last vectors, and a fast way to draw many more."""

    law: _Recursive

    def _drawn(self, uniforms: torch.Tensor) -> torch.Tensor:
        (before, lengths, recursion, _, driven), level = self.law.known(self, uniforms.shape[1])
        x = simulation.draw(uniforms, before, lengths, recursion, driven)
        return x if level is None else x + level

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
