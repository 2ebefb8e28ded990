"""A law given evidence, exactly: each symbol is weighed by what can still come after it.

It is a law under a policy, `Given`: the messages from the future tell the log-probability of all
evidence to come, and with them every conditional given the evidence is exact, and so are its
draws, its likelihood and the evidence's probability.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.law import ChainLaw
from arproc.contract.machine import Machine, latest, log_probs
from arproc.distributions import Categorical, as_categorical
from arproc.errors import UnsupportedError
from arproc.sampling.evidence import Evidence, Setting
from arproc.sampling.finite import Graph, explored
from arproc.sampling.messages import messages
from arproc.sampling.policies import Policy, PolicyLaw

__all__ = ["Ahead", "Given", "future", "given"]

#: Rows that the evidence forbids, and those of which it says nothing more.
_DEAD, _FREE = -1, -2
#: So many numbers of rows of weights are kept.
_KEPT = 2**24


class Ahead:
    """A graph with its messages.

    Args:
        graph: what can come; its nodes are 0, 1 ..., and -1 and -2 those that are forbidden and
            those of which all is told.
        end: the number of the end symbol, or None.
        size: how many symbols there are.

    Attributes:
        log_evidence: the log-probability of the evidence, nats.
    """

    def __init__(self, graph: Graph, end: int | None, size: int) -> None:
        self.graph, self.end, self.size = graph, end, size
        self.futures = messages(graph)
        self.log_evidence = float(self.futures[0][0])
        self._rows: dict[tuple[int, int], Tensor] = {}

    @property
    def settled(self) -> int:
        """From which step on the step makes no difference."""
        return len(self.graph.layers) if self.graph.steps is None else self.graph.steps

    def weights(self, steps: Tensor, nodes: Tensor) -> Tensor:
        """Log p(all evidence to come | node, symbol) less what is the same for all, [N, V]."""
        places = zip(steps.tolist(), nodes.tolist(), strict=True)
        return torch.stack([self._row(*place) for place in places])

    def after(self, step: int, node: int, symbol: int) -> int:
        """The node after a symbol."""
        if node < 0:
            return node
        layer = self.graph.at(step)
        if symbol == self.end:
            return _FREE if np.isfinite(layer.end[node]) else _DEAD
        found = layer.after(node, symbol)
        if found is None or not np.isfinite(self._future(step + 1)[found]):
            return _DEAD
        return _FREE if step + 1 == self.graph.steps else found

    def future(self, step: int, node: int) -> float:
        """The message of a node."""
        if node < 0:
            return 0.0 if node == _FREE else -np.inf
        return float(self._future(step)[node])

    def _future(self, step: int) -> np.ndarray:
        """The messages of a step's nodes."""
        return self.futures[min(step, len(self.futures) - 1)]

    def _row(self, step: int, node: int) -> Tensor:
        if self.graph.steps is None:
            step = min(step, len(self.graph.layers))
        found = self._rows.get((step, node))
        if found is None:
            if len(self._rows) * self.size > _KEPT:
                self._rows.clear()
            found = self._rows[step, node] = torch.from_numpy(self._made(step, node))
        return found

    def _made(self, step: int, node: int) -> np.ndarray:
        if node == _FREE:
            return np.zeros(self.size)
        row = np.full(self.size, -np.inf)
        if node == _DEAD:
            return row
        layer = self.graph.at(step)
        edges = layer.edges(node)
        row[layer.symbol[edges]] = (
            layer.factor[edges] + self._future(step + 1)[layer.target[edges]]
        )
        if self.end is not None:
            row[self.end] = layer.end_factor[node]
        peak = row.max()
        return row - peak if np.isfinite(peak) else row


class _Place(NamedTuple):
    """Where each row is: after how many elements, and at which node, int64 [N]."""

    ahead: Ahead
    steps: Tensor
    nodes: Tensor


class Given(Policy):
    """Weighs symbols by what can still come of them, so that what is drawn fits the evidence.

    Args:
        evidence: about sequences of the law, from their first element on.
        law: the law, a finite machine.
        steps: after how many elements sequences are cut; None where they end by themselves.

    Raises:
        UnsupportedError: the law or the evidence has infinitely many states, or too many.
    """

    stateful = True
    looks_ahead = True

    def __init__(self, evidence: Evidence, law: ChainLaw, steps: int | None = None) -> None:
        self.evidence, self.law, self.steps = evidence, law, steps

    def __repr__(self) -> str:
        return f"Given({self.evidence!r})"

    def ahead(self, asker: str = "what is given") -> Ahead:
        """The messages from the end, computed once.

        Args:
            asker: who needs them, for errors.
        """
        found = _MADE.get(self)
        if found is None:
            law, space = self.law, self.law.space
            terms = self.evidence.bound(Setting(law, self.steps, lambda x: x))
            size = 2 if space.kind == "binary" else int(space.size or 0)
            found = Ahead(explored(law, terms, self.steps, asker), space.end, size)
            _MADE[self] = found
        return found

    def start(self, n: int, law: ChainLaw) -> Any:
        return _Place(self.ahead(), *torch.zeros((2, n), dtype=torch.int64))

    def append(self, state: Any, x: Tensor, active: Tensor | None = None) -> Any:
        moves = torch.ones(len(x)).bool() if active is None else active.cpu()
        rows = (state.steps.tolist(), state.nodes.tolist(), x.tolist(), moves.tolist())
        nodes = [
            state.ahead.after(step, node, int(value)) if goes else node
            for step, node, value, goes in zip(*rows, strict=True)
        ]
        return _Place(state.ahead, state.steps + moves, torch.tensor(nodes, dtype=torch.int64))

    def select(self, state: Any, rows: Tensor) -> Any:
        rows = rows.cpu()
        return _Place(state.ahead, state.steps[rows], state.nodes[rows])

    def apply(self, conditional: Distribution, state: Any = None) -> Distribution:
        logits = as_categorical(conditional).logits.double()
        if not len(state.nodes):
            return Categorical(logits)
        return Categorical(
            logits + state.ahead.weights(state.steps, state.nodes).to(logits.device)
        )

    def machine(self, inner: Machine, law: ChainLaw) -> Machine:
        return _Weighed(inner, self.ahead())


class _Weighed:
    """A machine whose symbols are weighed by what can come of them; a node stands last."""

    def __init__(self, inner: Machine, ahead: Ahead) -> None:
        self.inner, self.ahead = inner, ahead
        self.settled = latest((inner.settled, ahead.settled))

    def start(self) -> Tensor:
        return torch.nn.functional.pad(self.inner.start(), (0, 1))

    def scores(self, states: Tensor, step: int) -> Tensor:
        own = self.ahead.weights(torch.full((len(states),), step), states[:, -1])
        return log_probs(Categorical(self.inner.scores(states[:, :-1], step) + own))

    def follow(self, states: Tensor, x: Tensor, step: int) -> Tensor:
        pairs = zip(states[:, -1].tolist(), x.tolist(), strict=True)
        nodes = torch.tensor([self.ahead.after(step, *pair) for pair in pairs], dtype=torch.int64)
        return torch.cat([self.inner.follow(states[:, :-1], x, step), nodes[:, None]], dim=1)


def given(law: ChainLaw, evidence: Evidence, steps: int | None) -> tuple[PolicyLaw, float] | None:
    """A law given evidence that it can carry exactly, and the log-probability of that, nats.

    None where the law or the evidence has infinitely many states, or too many.
    """
    if law.machine() is None:
        return None
    known = Given(evidence, law, steps)
    try:
        return PolicyLaw(law, known), known.ahead().log_evidence
    except UnsupportedError:
        return None


def future(state: Any) -> Tensor:
    """Log p(all evidence to come | what was drawn) of a state of a law under `Given`, [N]."""
    place = state.own
    pairs = zip(place.steps.tolist(), place.nodes.tolist(), strict=True)
    return torch.tensor([place.ahead.future(*pair) for pair in pairs], dtype=torch.float64)


_MADE: WeakKeyDictionary[Given, Ahead] = WeakKeyDictionary()
