"""Conditioning on a constraint exactly: each symbol is weighed by what can still come after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from arproc.contract.law import ChainLaw
from arproc.distributions import Categorical
from arproc.errors import ParameterError
from arproc.sampling.constraints.acceptor import DEAD, ENDED
from arproc.sampling.constraints.constraint import Constraint
from arproc.sampling.finite import Graph, explored, log_messages, log_messages_within

__all__ = ["Lookahead", "lookahead"]

#: So many numbers of rows of weights are kept.
_KEPT = 2**24


class Lookahead:
    """A graph with its messages; a state is a node, or a node and how many elements came.

    Args:
        graph: what can come.
        messages: nats, [nodes], or [length + 1, nodes].
        end: the number of the end symbol, or None.
        size: how many symbols there are.
    """

    def __init__(self, graph: Graph, messages: np.ndarray, end: int | None, size: int) -> None:
        self.graph, self.messages, self.end, self.size = graph, messages, end, size
        self.timed = messages.ndim == 2
        self.start: Any = (0, 0) if self.timed else 0
        self.log_evidence = float(messages[(0, 0) if self.timed else 0])
        self._rows: dict[Any, torch.Tensor] = {}

    def changed(self, categorical: Categorical, states: Sequence[Any]) -> torch.Tensor:
        """The scores [n, size] of the next symbols given that all will be well, by states."""
        logits = categorical.logits.double()
        if not states:
            return logits
        weights = torch.stack([self._weights(state) for state in states])
        return logits + weights.to(logits.device)

    def step(self, state: Any, symbol: int) -> Any:
        """The state after a symbol."""
        if state is DEAD or state is ENDED:
            return state
        node, place = state if self.timed else (state, 0)
        if symbol == self.end:
            return ENDED if np.isfinite(self.graph.log_end[node]) else DEAD
        edge = self.graph.edge(node, symbol)
        last = len(self.messages) - 1
        if edge is None or (self.timed and place >= last):
            return DEAD
        after = int(self.graph.target[edge])
        if not self.timed:
            return after if np.isfinite(self.messages[after]) else DEAD
        if not np.isfinite(self.messages[place + 1, after]):
            return DEAD
        # the elements of a stream that keep the constraint are there: the rest is free
        return ENDED if self.end is None and place + 1 == last else (after, place + 1)

    def finite_memory(self, states: Sequence[Any]) -> torch.Tensor:
        """The states as numbers, int64 [n, 2]."""
        pairs = [[s, 0] if s in (DEAD, ENDED) or not self.timed else list(s) for s in states]
        return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)

    def _weights(self, state: Any) -> torch.Tensor:
        """Log p(all will be well | state, symbol) less what is the same for all, [size]."""
        found = self._rows.get(state)
        if found is None:
            if len(self._rows) * self.size > _KEPT:
                self._rows.clear()
            found = self._rows[state] = torch.from_numpy(self._made(state))
        return found

    def _made(self, state: Any) -> np.ndarray:
        if state is ENDED:
            return np.zeros(self.size)
        row = np.full(self.size, -np.inf)
        if state is DEAD:
            return row
        node, place = state if self.timed else (state, 0)
        edges = slice(int(self.graph.offsets[node]), int(self.graph.offsets[node + 1]))
        if not self.timed:
            row[self.graph.symbol[edges]] = self.messages[self.graph.target[edges]]
        elif place + 1 < len(self.messages):
            row[self.graph.symbol[edges]] = self.messages[place + 1, self.graph.target[edges]]
        if self.end is not None and np.isfinite(self.graph.log_end[node]):
            row[self.end] = 0.0
        peak = row.max()
        return row - peak if np.isfinite(peak) else row


_MADE: WeakKeyDictionary[Any, tuple[ChainLaw, Lookahead]] = WeakKeyDictionary()


def lookahead(owner: Any, constraint: Constraint, law: ChainLaw, length: int | None) -> Lookahead:
    """The messages for a law under a constraint, kept as long as their owner lives."""
    known = _MADE.get(owner)
    if known is not None and known[0] is law:
        return known[1]
    found = exact_messages(constraint, law, length)
    _MADE[owner] = law, found
    return found


def exact_messages(constraint: Constraint, law: ChainLaw, length: int | None) -> Lookahead:
    """The messages for a law under a constraint, exactly.

    Raises:
        UnsupportedError: the law or the constraint has no finite states.
        ParameterError: the constraint is kept with probability zero; or a stream has no length.
    """
    acceptor, end = constraint.acceptor(law), law.space.end
    asker = 'mode="conditioning"'
    if end is None and length is None:
        raise ParameterError(
            "length is needed: this process is a stream without an end, and the constraint is to "
            "be kept by some number of its elements. Pass length=, that number."
        )
    graph = explored(law, acceptor, asker)
    if length is None:
        messages = log_messages(graph)
    else:
        messages = log_messages_within(graph, length, end is not None)
    found = Lookahead(graph, messages, end, acceptor.alphabet.size)
    if found.log_evidence == -np.inf:
        raise ParameterError(
            f"{acceptor.name} is kept with probability zero by this process"
            + ("." if length is None else f" within {length} elements.")
        )
    return found
