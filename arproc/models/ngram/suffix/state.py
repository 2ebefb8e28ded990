"""The state of an n-gram model of unbounded order: the chain of contexts of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.state import State
from arproc.models.ngram.tables import NO_TABLE, NO_UNIFORMS, categorical

if TYPE_CHECKING:
    from arproc.models.ngram.suffix.infinigram import InfiniGram

__all__ = ["InfiniState"]

_COLUMNS = 64  # so many symbols are followed before the chains are brought to size


class InfiniState(State):
    """For each row the suffixes of its history that occur in the training data, as intervals.

    Args:
        chains: int64 [N, D, 3], see `infini_kernels`; None where they are still to be found from
            the history.
        sizes: int64 [N], how much of each chain counts.
    """

    process: InfiniGram
    block = 16

    def __init__(self, chains: np.ndarray | None, sizes: np.ndarray | None) -> None:
        self._found = None if chains is None or sizes is None else (chains, sizes)

    @property
    def _chains(self) -> tuple[np.ndarray, np.ndarray]:
        if self._found is None:
            x, lengths = self.history.padded()
            rows, ends = x.cpu().numpy(), lengths.tolist()
            found = [self.process.chain_after(rows[i, :end]) for i, end in enumerate(ends)]
            sizes = np.array([len(chain) for chain in found], np.int64)
            chains = np.zeros((len(found), int(sizes.max(initial=1)), 3), np.int64)
            for row, chain in enumerate(found):
                chains[row, : len(chain)] = chain
            self._found = chains, sizes
        return self._found

    def _conditional(self) -> Distribution:
        table = np.empty((self.n, 1, self.process.suffixes_.symbols))
        self._walk(np.empty((self.n, 0), np.int64), table=table)
        return categorical(table[:, 0], self.history.slots.device)

    def _append(self, x: torch.Tensor) -> State:
        return self._walk(x.cpu().numpy()[:, None])

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        table = np.empty((self.n, x.shape[1] + 1, self.process.suffixes_.symbols))
        state = self._walk(np.ascontiguousarray(x.cpu().numpy()), table=table)
        return categorical(table, x.device), state if lengths is None else InfiniState(None, None)

    def _select(self, rows: torch.Tensor) -> State:
        chains, sizes = self._chains
        kept = rows.cpu().numpy()
        return InfiniState(chains[kept], sizes[kept])

    def _truncate(self, lengths: torch.Tensor) -> State:
        return InfiniState(None, None)

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        given = np.ascontiguousarray(uniforms.cpu().numpy())
        drawn = np.empty(given.shape, np.int64)
        state = self._walk(drawn, uniforms=given)
        x = torch.from_numpy(drawn).to(uniforms.device)
        return x, self._carry(state, self.history.extend(x), self.context)

    def _walk(
        self,
        x: np.ndarray,
        uniforms: np.ndarray = NO_UNIFORMS,
        table: np.ndarray = NO_TABLE,
    ) -> InfiniState:
        """The state after the symbols x [N, K]; for the rest see `walk` there."""
        from arproc.models.ngram.suffix import walk_kernels as kernels

        (chains, sizes), width = self._chains, x.shape[1]
        sizes = sizes.copy()
        for low in range(0, max(width, 1), _COLUMNS):
            high = min(low + _COLUMNS, width)
            room = int(sizes.max(initial=1))
            grown = np.empty((self.n, room + high - low, 3), np.int64)
            grown[:, :room] = chains[:, :room]
            kernels.walk(self.process.arrays, grown, sizes, x, low, high, uniforms, table)
            chains = grown
        return InfiniState(np.ascontiguousarray(chains[:, : int(sizes.max(initial=1))]), sizes)
