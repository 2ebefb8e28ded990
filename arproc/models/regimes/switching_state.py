"""The state of a Markov-switching autoregression: Hamilton's filter on logarithms."""

from __future__ import annotations

from typing import Any

import torch
from torch.distributions import Distribution

from arproc.contract.state import State
from arproc.models.regimes.paths import Paths, joined
from arproc.models.regimes.switching_tensors import mixture

__all__ = ["SwitchingState"]

_COMPILE_FROM = 512  # steps, from which on compiled code saves more than loading it costs


class SwitchingState(State):
    """What is known of the last regimes.

    Args:
        memory: log p(memory | elements so far), [N, M]; see `hamilton`.
        paths: what is known of missing elements too, where one of a row's last p is.
    """

    law: Any  # a `MarkovSwitchingARLaw`

    def __init__(self, memory: torch.Tensor, paths: Paths | None = None) -> None:
        self.memory, self.paths = memory, paths

    @classmethod
    def of(cls, paths: Paths) -> SwitchingState:
        """The state of some paths; where all rows are settled the memories say it all."""
        if paths.beyond == 0:
            return cls(paths.weights)
        return cls(paths.memory, paths)

    @property
    def known(self) -> Paths:
        """The paths of all rows."""
        if self.paths is not None:
            return self.paths
        before = self.history.tail(self.law.n_given)
        return Paths.of(self.law.tensors, self.memory, before)

    @property
    def regimes(self) -> torch.Tensor:
        """p(regime of the last element | elements so far), [N, k]."""
        return self.law.regimes(self.memory)

    def memories(self, x: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the memories before and after each of x [N, K], [N, K + 1, M]."""
        if self._settled(x):
            before, position = self._windows(x)
            return self._filtered(before[:, :-1], position[:, :-1], x)
        return torch.stack([paths.memory for paths in self._steps(x)], dim=1)

    def _conditional(self) -> Distribution:
        if self.paths is not None:
            return mixture(*self.paths.mixture(self.lengths))
        before = self.history.tail(self.law.n_given)
        return self.law.tensors.following(self.memory, before, self.lengths)

    def _append(self, x: torch.Tensor) -> State:
        if not self._settled(x):
            return SwitchingState.of(self.known.step(x, self.lengths))
        before = self.history.tail(self.law.n_given)[:, None]
        return SwitchingState(self._filtered(before, self.lengths[:, None], x[:, None])[:, 1])

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        if not self._settled(x):
            steps = self._steps(x)
            columns = joined([paths.mixture(self.lengths + t) for t, paths in enumerate(steps)])
            return columns, SwitchingState.of(
                steps[-1] if lengths is None else Paths.at(steps, lengths)
            )
        before, position = self._windows(x)
        memory = self._filtered(before[:, :-1], position[:, :-1], x)
        following = self.law.tensors.following(memory, before, position)
        if lengths is None:
            return following, SwitchingState(memory[:, -1])
        return following, SwitchingState(memory[torch.arange(len(x)), lengths])

    def _select(self, rows: torch.Tensor) -> State:
        if self.paths is None:
            return SwitchingState(self.memory[rows])
        return SwitchingState.of(self.paths.select(rows))

    def _settled(self, x: torch.Tensor) -> bool:
        """Whether regimes are all that has to be followed along the elements x."""
        whole = self.law.n_given == 0 or not bool(torch.isnan(x).any())
        return whole and self.paths is None

    def _steps(self, x: torch.Tensor) -> list[Paths]:
        """The paths before and after each of the elements x [N, K]."""
        steps = [self.known]
        for t in range(x.shape[1]):
            steps.append(steps[-1].step(x[:, t], self.lengths + t))
        return steps

    def _windows(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The last p elements before each of x [N, K] and after it, and how many came before."""
        p, steps = self.law.n_given, x.shape[1]
        position = self.lengths[:, None] + torch.arange(steps + 1)
        if not p:
            return x.new_empty((len(x), steps + 1, 0)), position
        return torch.cat([self.history.tail(p), x], dim=1).unfold(1, p, 1), position

    def _filtered(
        self, before: torch.Tensor, position: torch.Tensor, x: torch.Tensor
    ) -> torch.Tensor:
        """The memories before and after each of the elements x [N, K]: [N, K + 1, M]."""
        gone = torch.isnan(x)  # it says nothing of the regimes
        density = self.law.tensors.densities(before, position, x.masked_fill(gone, 0.0))
        density = density.masked_fill(gone[..., None, None], 0.0)
        early = position < self.law.n_given
        if density.requires_grad or x.shape[1] < _COMPILE_FROM or bool(early.any()):
            return self._by_steps(density, early)
        from arproc.models.regimes import hamilton

        n, steps, _, count = density.shape
        out = torch.empty(n, steps + 1, count, dtype=torch.float64)
        log_p = self.law.tensors.log_transition.numpy()
        hamilton.filter_memory(density.numpy(), self.memory.numpy(), log_p, out.numpy())
        return out

    def _by_steps(self, density: torch.Tensor, early: torch.Tensor) -> torch.Tensor:
        log_p = self.law.tensors.joint_transition  # [k, M]
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
