"""The state of an n-gram model: a node of its trie for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.state import State, WindowState
from arproc.distributions import Categorical

if TYPE_CHECKING:
    from arproc.models.ngram.model import NGram

__all__ = ["NGramState"]


class NGramState(WindowState):
    """One node a row: the longest suffix of its history that is an n-gram below the order.

    Args:
        nodes: int64 [N], or None where they are still to be found from the history.
        block: how many elements `advance` is best given at once.
    """

    process: NGram

    def __init__(self, nodes: np.ndarray | None, block: int) -> None:
        super().__init__(block)
        self._found = nodes

    @property
    def nodes(self) -> np.ndarray:
        """The rows' nodes, int64 [N]."""
        if self._found is None:
            process = self.process
            ctx = self.history.tail(process.window_length).cpu().numpy()
            self._found = process.trie_.states(ctx, self.lengths.cpu().numpy())
        return self._found

    def _conditional(self) -> Distribution:
        return self._rows(self.nodes, self.lengths)

    def _append(self, x: torch.Tensor) -> State:
        after = self.process.trie_.follow(self.nodes, x.cpu().numpy()[:, None])
        return NGramState(after[:, 0], self.block)

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        after = self.process.trie_.follow(self.nodes, np.ascontiguousarray(x.cpu().numpy()))
        nodes = np.concatenate([self.nodes[:, None], after], axis=1)
        position = self.lengths[:, None] + torch.arange(x.shape[1] + 1, device=x.device)
        last = np.full(len(nodes), x.shape[1]) if lengths is None else lengths.cpu().numpy()
        final = nodes[np.arange(len(nodes)), last]
        return self._rows(nodes, position), NGramState(final, self.block)

    def _select(self, rows: torch.Tensor) -> State:
        return NGramState(self.nodes[rows.cpu().numpy()], self.block)

    def _truncate(self, lengths: torch.Tensor) -> State:
        return NGramState(None, self.block)

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        x, nodes = self.process.trie_.draw(
            self.nodes, self.lengths.cpu().numpy(), np.ascontiguousarray(uniforms.cpu().numpy())
        )
        drawn = torch.from_numpy(x).to(uniforms.device)
        state = NGramState(nodes, self.block)
        return drawn, self._carry(state, self.history.extend(drawn), self.context)

    def _rows(self, nodes: np.ndarray, position: torch.Tensor) -> Distribution:
        rows = self.process.trie_.rows(nodes.reshape(-1), position.reshape(-1).cpu().numpy())
        scores = torch.from_numpy(rows).view(*nodes.shape, -1)
        return Categorical(scores.to(position.device))
