"""The state of an autoregression with conditional variances."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.state import State
from arproc.distributions import from_uniform

if TYPE_CHECKING:
    from arproc.models.volatility.argarch import ARGARCH

__all__ = ["Memory", "VolatilityState"]

_AT_ONCE = 2**20  # elements that one call draws, in all rows together


class Memory(NamedTuple):
    """What the next variance depends on, newest first.

    Attributes:
        squares: of the last innovations, [N, A].
        falls: the same where they were negative, else 0, [N, O].
        variances: the last ones, [N, B].
    """

    squares: torch.Tensor
    falls: torch.Tensor
    variances: torch.Tensor

    def after(self, e: torch.Tensor, h: torch.Tensor, live: torch.Tensor) -> Memory:
        """The memory after innovations e [N] of variances h [N] in the rows where `live`."""
        square = e**2
        new = (square, torch.where(e < 0, square, 0.0), h)
        parts = []
        for old, value in zip(self, new, strict=True):
            moved = torch.cat([value[:, None], old], dim=1)[:, : old.shape[1]]
            parts.append(torch.where(live[:, None], moved, old))
        return Memory(*parts)

    def arrays(self) -> list[np.ndarray]:
        """Copies that compiled code may write into."""
        return [part.detach().numpy().copy() for part in self]


class VolatilityState(State):
    """The last elements (in the history), squared innovations and variances.

    Args:
        memory: what the next variance depends on.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.block = max(16, _AT_ONCE // max(len(memory.squares), 1))

    @property
    def _model(self) -> ARGARCH:
        return cast("ARGARCH", self.process)

    def _moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next element's mean and variance, [N] each."""
        model = self._model
        past = self.history.tail(model.order)[:, None]
        loc = model._mean(past, self.lengths[:, None])[:, 0]
        return loc, model._variance(self.memory)

    def _conditional(self) -> Distribution:
        loc, variance = self._moments()
        return self._model._element(loc, variance.sqrt())

    def _append(self, x: torch.Tensor) -> State:
        loc, variance = self._moments()
        live = self.lengths >= self._model.order
        return VolatilityState(self.memory.after(x - loc, variance, live))

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        model, steps = self._model, x.shape[1]
        joined = torch.cat([self.history.tail(model.order), x], dim=1)
        if model.order:
            past = joined.unfold(1, model.order, 1)
        else:
            past = joined.new_empty((len(x), steps + 1, 0))
        loc = model._mean(past, self.lengths[:, None] + torch.arange(steps + 1))
        e = x - loc[:, :-1]
        skip = (model.order - self.lengths).clamp(min=0)
        counts = torch.full((len(x),), steps) if lengths is None else lengths
        watched = (e, *self.memory)
        if torch.is_grad_enabled() and any(part.requires_grad for part in watched):
            variance, memory = self._differentiable(e, skip, counts)
        else:
            variance, memory = self._compiled(e, skip, counts)
        return model._element(loc, variance.sqrt()), VolatilityState(memory)

    def _compiled(
        self, e: torch.Tensor, skip: torch.Tensor, counts: torch.Tensor
    ) -> tuple[torch.Tensor, Memory]:
        from arproc.models.volatility import kernels

        arrays = self.memory.arrays()
        numbers = np.ascontiguousarray(e.detach().numpy())
        variance = kernels.path(
            numbers, skip.numpy(), counts.numpy(), *arrays, *self._model._weights()
        )
        return torch.from_numpy(variance), Memory(*(torch.from_numpy(a) for a in arrays))

    def _differentiable(
        self, e: torch.Tensor, skip: torch.Tensor, counts: torch.Tensor
    ) -> tuple[torch.Tensor, Memory]:
        """The same in torch's own operations."""
        memory, variances, memories = self.memory, [], [self.memory]
        for t in range(e.shape[1]):
            variances.append(self._model._variance(memory))
            memory = memory.after(e[:, t], variances[-1], t >= skip)
            memories.append(memory)
        variances.append(self._model._variance(memory))
        rows = torch.arange(len(e))
        after = [torch.stack(part, dim=1)[rows, counts] for part in zip(*memories, strict=True)]
        return torch.stack(variances, dim=1), Memory(*after)

    def _select(self, rows: torch.Tensor) -> State:
        return VolatilityState(Memory(*(part[rows] for part in self.memory)))

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        from arproc.models.volatility import kernels

        if self.n == 0:
            return super().advance(uniforms)
        _ = self.conditional  # refuses a state shorter than what must be given
        model, steps = self._model, uniforms.shape[1]
        unit = torch.ones_like(uniforms)
        z = from_uniform(model._element(torch.zeros_like(unit), unit), uniforms)
        level = model._level(self.lengths[:, None] + torch.arange(steps))
        before = self.history.tail(model.order).detach().flip(1).numpy().copy()
        arrays = self.memory.arrays()
        drawn = kernels.draw(
            np.ascontiguousarray(z.numpy()), np.ascontiguousarray(level.numpy()), before,
            model.coef_, *arrays, *model._weights(),
        )  # fmt: skip
        x = torch.from_numpy(drawn)
        after = VolatilityState(Memory(*(torch.from_numpy(a) for a in arrays)))
        return x, self._carry(after, self.history.extend(x), self.context)
