"""The state of a vector autoregression: the last elements, and a fast way to draw many more."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch.distributions import Distribution

from arproc.contract.state import State, WindowState
from arproc.models.autoregression.vector import simulation

if TYPE_CHECKING:
    from arproc.models.autoregression.vector.var import VAR

__all__ = ["VectorState"]

_AT_ONCE = 2**20  # elements that one call draws, in all rows together


class VectorState(WindowState):
    """The state of a process with a `VectorRecursion`.

    Args:
        n: how many rows there are, on which depends how many elements are drawn at once.
    """

    def __init__(self, n: int) -> None:
        super().__init__(max(16, _AT_ONCE // max(n, 1)))

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        process = cast("VAR", self.process)
        if process.n_given:
            _ = self.conditional  # refuses a state shorter than what must be given
        before = self.history.tail(process.window_length).detach()
        law = process._recursion().detach()
        x = simulation.draw(uniforms, before, self.lengths, law)
        return x, self._carry(VectorState(self.n), self.history.extend(x), self.context)

    def _append(self, x: torch.Tensor) -> State:
        return VectorState(self.n)

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        return super()._extend(x, lengths)[0], VectorState(self.n)

    def _select(self, rows: torch.Tensor) -> State:
        return VectorState(len(rows))

    def _truncate(self, lengths: torch.Tensor) -> State:
        return VectorState(self.n)
