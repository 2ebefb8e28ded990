"""The state of a Markov-switching process: what is known of the last regimes, on logarithms."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import distributions as td

from arproc.contract.state import State

if TYPE_CHECKING:
    from arproc.models.regimes.switching import MarkovSwitchingAR

__all__ = ["SwitchingState"]

#: From this many steps on, compiled code saves more than the loading of it costs.
_COMPILE_FROM = 512


class SwitchingState(State):
    """Hamilton's filter.

    Args:
        memory: log p(memory | elements so far), [N, M]; see `hamilton`.
    """

    def __init__(self, memory: torch.Tensor) -> None:
        self.memory = memory

    @property
    def regimes(self) -> torch.Tensor:
        """p(regime of the last element | elements so far), [N, k]."""
        k = len(self._process.tensors.log_transition)
        return self.memory.exp().reshape(len(self.memory), k, -1).sum(-1)

    @property
    def _process(self) -> MarkovSwitchingAR:
        return cast("MarkovSwitchingAR", self.process)

    def _conditional(self) -> td.Distribution:
        process = self._process
        before = self.history.tail(process.order)[:, None]
        return self._columns(before, self.lengths[:, None], self.memory[:, None], True)

    def _append(self, x: torch.Tensor) -> State:
        process = self._process
        before = self.history.tail(process.order)[:, None]
        position = self.lengths[:, None]
        memory = self._filtered(before, position, x[:, None])
        return SwitchingState(memory[:, 1])

    def _extend(
        self, x: torch.Tensor, lengths: torch.Tensor | None
    ) -> tuple[td.Distribution, State]:
        p, steps = self._process.order, x.shape[1]
        joined = torch.cat([self.history.tail(p), x], dim=1)
        if p:
            before = joined.unfold(1, p, 1)  # [N, K + 1, p], oldest first
        else:
            before = joined.new_empty((x.shape[0], steps + 1, 0))
        position = self.lengths[:, None] + torch.arange(steps + 1)
        memory = self._filtered(before[:, :steps], position[:, :steps], x)
        columns = self._columns(before, position, memory)
        if lengths is None:
            return columns, SwitchingState(memory[:, -1])
        return columns, SwitchingState(memory[torch.arange(len(x)), lengths])

    def _select(self, rows: torch.Tensor) -> State:
        return SwitchingState(self.memory[rows])

    # ---- the filter ----------------------------------------------------------------------------

    def _filtered(
        self, before: torch.Tensor, position: torch.Tensor, x: torch.Tensor
    ) -> torch.Tensor:
        """The memories before and after each of the elements x [N, K]: [N, K + 1, M]."""
        process = self._process
        law = process.tensors
        loc = process.locations(before, position)  # [N, K, k, M]
        error = (x[..., None, None] - loc) / law.scale[:, None]
        density = -0.5 * error * error - law.scale.log()[:, None]
        early = position < process.order
        if density.requires_grad or x.shape[1] < _COMPILE_FROM or bool(early.any()):
            return self._by_steps(density, early)
        from arproc.models.regimes import hamilton

        n, steps, _, count = density.shape
        out = torch.empty(n, steps + 1, count, dtype=torch.float64)
        hamilton.filter_memory(
            density.numpy(), self.memory.numpy(), law.log_transition.numpy(), out.numpy()
        )
        return out

    def _by_steps(self, density: torch.Tensor, early: torch.Tensor) -> torch.Tensor:
        log_p = self._process.tensors.joint_transition  # [k, M]
        memory, found = self.memory, [self.memory]
        n, steps, k, count = density.shape
        given = early.any(dim=0).tolist()
        for t in range(steps):
            joint = memory[:, None, :] + log_p + density[:, t]
            now = joint.reshape(n, count, k).logsumexp(-1)  # the oldest regime is summed out
            now = now - now.logsumexp(-1, keepdim=True)
            memory = torch.where(early[:, t, None], memory, now) if given[t] else now
            found.append(memory)
        return torch.stack(found, dim=1)

    def _columns(
        self,
        before: torch.Tensor,
        position: torch.Tensor,
        memory: torch.Tensor,
        only: bool = False,
    ) -> td.Distribution:
        """The next elements' mixtures; `only` takes the single column off."""
        process = self._process
        law = process.tensors
        weights = memory[..., None, :] + law.joint_transition  # [N, K, k, M]
        loc = process.locations(before, position)
        if law.centred:
            scale = law.scale[:, None].expand(loc.shape)
            weights, loc, scale = (part.flatten(-2) for part in (weights, loc, scale))
        else:
            weights, loc = weights.logsumexp(-1), loc[..., 0]
            scale = law.scale.expand(loc.shape)
        if only:
            weights, loc, scale = weights[:, 0], loc[:, 0], scale[:, 0]
        return td.MixtureSameFamily(
            td.Categorical(logits=weights, validate_args=False),
            td.Normal(loc, scale, validate_args=False),
            validate_args=False,
        )
