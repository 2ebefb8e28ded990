"""The state of a linear recursion: the last elements, and a compiled way to draw many more."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch.distributions import Distribution, Normal

from arproc.contract.state import State, WindowState
from arproc.distributions import index
from arproc.models.autoregression import filtering, simulation
from arproc.models.autoregression.filtering import Memory, refuse_given
from arproc.models.autoregression.likelihood import conditional

if TYPE_CHECKING:
    from arproc.models.autoregression.ar import AR

__all__ = ["RecursionState"]

_AT_ONCE = 2**20  # elements that one call draws, in all rows together


class RecursionState(WindowState):
    """The state of a process with a `Recursion`.

    Args:
        n: how many rows there are, on which depends how many elements are drawn at once.
        memory: what is known of the last elements, where one of them is missing.
        gaps: whether any element so far is missing.
    """

    def __init__(self, n: int, memory: Memory | None = None, gaps: bool = False) -> None:
        super().__init__(max(16, _AT_ONCE // max(n, 1)))
        self.memory = memory
        self.gaps = gaps

    @property
    def _process(self) -> AR:
        return cast("AR", self.process)

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        process = self._process
        if process.n_given:
            _ = self.conditional  # refuses a state shorter than what must be given
        if self.memory is not None:
            return self._advance_from_memory(uniforms)
        before = self.history.tail(process.window_length).detach()
        law = process._recursion().detach()
        x = simulation.draw(uniforms, before, self.lengths, law, self.context)
        state = RecursionState(self.n, gaps=self.gaps)
        return x, self._carry(state, self.history.extend(x), self.context)

    def _advance_from_memory(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        """Element by element, until p of them are drawn and everything before is known."""
        steps = min(uniforms.shape[1], self._process.window_length)
        first, state = State.advance(self, uniforms[:, :steps])
        rest, state = state.advance(uniforms[:, steps:])
        return torch.cat([first, rest], dim=1), state

    def _conditional(self) -> Distribution:
        nothing = self.history.slots[:, :0]
        if self.memory is None:
            return index(self._columns(nothing), (slice(None), 0))
        return index(self._filtered(nothing, None)[0], (slice(None), 0))

    def _append(self, x: torch.Tensor) -> State:
        if self.memory is None and not _any_missing(x):
            return RecursionState(self.n, gaps=self.gaps)
        return self._extend(x[:, None], None)[1]

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        gone = _any_missing(x)
        if self.memory is None and not gone:
            return self._columns(x), RecursionState(self.n, gaps=self.gaps)
        columns, memory = self._filtered(x, lengths)
        return columns, RecursionState(
            self.n, None if memory.certain else memory, self.gaps or gone
        )

    def _select(self, rows: torch.Tensor) -> State:
        memory = None if self.memory is None else self.memory.select(rows)
        return RecursionState(len(rows), memory, self.gaps)

    def _truncate(self, lengths: torch.Tensor) -> State:
        if self.gaps:
            return State._truncate(self, lengths)
        return RecursionState(self.n)

    def ahead(self, horizon: int) -> Normal:
        """The marginal laws of the next elements, batch [N, horizon]."""
        none = self.history.slots.new_full((self.n, horizon - 1), torch.nan)
        return self._filtered(none, None)[0]

    def _columns(self, x: torch.Tensor) -> Distribution:
        """The conditionals along x [N, K], batch [N, K + 1]."""
        law = self._process._recursion().to(x.device)
        p, columns = law.order, x.shape[1] + 1
        y, level = self._deviations(x)
        y = y.unfold(1, p, 1) if p else y.new_empty((self.n, columns, 0))
        own = level if level.ndim == 0 else level[:, p:]
        position = self.lengths[:, None] + torch.arange(columns, device=x.device)
        return conditional(law, y, position, own, law.driven(position, self.context))

    def _deviations(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The last p elements and x less their levels; and the levels, with the next one's."""
        law = self._process._recursion().to(x.device)
        before = self.history.tail(law.order)
        joined = torch.cat([before, x], dim=1) if x.shape[1] else before
        if law.level.constant:
            level = law.level.at(self.lengths)
            return joined - level, level
        steps = torch.arange(-law.order, x.shape[1] + 1, device=x.device)
        level = law.level.at(self.lengths[:, None] + steps, self.context)
        return joined - level[:, :-1], level

    def _filtered(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Normal, Memory]:
        """The conditionals along x, where elements are missing, and what is known after it."""
        law, given = self._process._recursion().to(x.device), self._process.n_given
        memory = self.memory
        if memory is None:
            memory = Memory.known(self._deviations(x[:, :0])[0])
        place = self.lengths[:, None] + torch.arange(x.shape[1] + 1, device=x.device)
        early = place < given
        if bool((early[:, :-1] & torch.isnan(x)).any()):
            refuse_given(given)
        loc, variance, memory = filtering.run(x, self.lengths, memory, law, self.context, lengths)
        # given elements have no conditional
        loc, variance = (part.masked_fill(early, torch.nan) for part in (loc, variance))
        return Normal(loc, variance.sqrt(), validate_args=False), memory


def _any_missing(x: torch.Tensor) -> bool:
    """Whether there is a NaN among the elements; a sum tells in one pass."""
    total = x.detach().sum()
    return bool(total != total) and bool(torch.isnan(x.detach()).any())
