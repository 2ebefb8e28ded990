"""The state of a linear recursion: the last elements, and a compiled way to draw many more."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch.distributions import Distribution

from arproc.distributions import index
from arproc.linear import simulation
from arproc.linear.likelihood import conditional
from arproc.states import State, WindowState

if TYPE_CHECKING:
    from arproc.linear.ar import AR

__all__ = ["RecursionState"]

_AT_ONCE = 2**20  # elements that one call draws, in all rows together


class RecursionState(WindowState):
    """The state of a process with a `Recursion`.

    Args:
        n: how many rows there are, on which depends how many elements are drawn at once.
    """

    def __init__(self, n: int) -> None:
        super().__init__(max(16, _AT_ONCE // max(n, 1)))

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        process = cast("AR", self.process)
        if process.n_given:
            _ = self.conditional  # refuses a state shorter than what must be given
        before = self.history.tail(process.window_length).detach()
        law = process._recursion().detach()
        x = simulation.draw(uniforms, before, self.lengths, law, self.context)
        return x, self._carry(RecursionState(self.n), self.history.extend(x), self.context)

    def _conditional(self) -> Distribution:
        nothing = self.history.slots[:, :0]
        return index(self._columns(nothing), (slice(None), 0))

    def _append(self, x: torch.Tensor) -> State:
        return RecursionState(self.n)

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        return self._columns(x), RecursionState(self.n)

    def _select(self, rows: torch.Tensor) -> State:
        return RecursionState(len(rows))

    def _truncate(self, lengths: torch.Tensor) -> State:
        return RecursionState(self.n)

    def _columns(self, x: torch.Tensor) -> Distribution:
        """The conditionals along x [N, K], batch [N, K + 1]."""
        law = cast("AR", self.process)._recursion().to(x.device)
        p, columns = law.order, x.shape[1] + 1
        joined = torch.cat([self.history.tail(p), x], dim=1)
        steps = torch.arange(-p, columns, device=x.device)
        level = law.level.at(self.lengths[:, None] + steps, self.context)
        y = joined - (level if level.ndim == 0 else level[:, :-1])
        if p:
            y = y.unfold(1, p, 1)
        else:
            y = y.new_empty((self.n, columns, 0))
        own = level if level.ndim == 0 else level[:, p:]
        position = self.lengths[:, None] + steps[p:]
        return conditional(law, y, position, own, law.driven(position, self.context))
