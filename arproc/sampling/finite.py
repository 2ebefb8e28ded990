"""Processes of finite memory as graphs, and what dynamic programming tells of them exactly.

A node is what a process still knows of its past (and the state of an automaton beside it), an edge
a symbol with its log-probability. Messages from the end, log p(what is accepted | node), are sums
over paths; the most probable path is their maximum (Viterbi 1967).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from arproc.contract.law import ChainLaw
from arproc.contract.state import State
from arproc.distributions import as_categorical
from arproc.errors import UnsupportedError

__all__ = ["Graph", "Watch", "explored", "log_messages", "log_messages_within", "row_log_sums"]

#: So many nodes a graph has at most.
MOST = 100_000
#: About so many edges are followed at once.
_TOGETHER = 2**15


class Watch(Protocol):
    """An automaton that goes along with a process."""

    start: Any

    def forbidden(self, state: Any) -> torch.Tensor:
        """Which symbols may not come, bool [size]."""

    def step(self, state: Any, symbol: int) -> Any:
        """The state after a symbol."""

    def key(self, state: Any) -> int | None:
        """The state's number, where there are finitely many."""

    def accepts(self, state: Any) -> bool:
        """Whether a sequence may end in a state."""


@dataclass(frozen=True, eq=False)
class Graph:
    """All that can come, as nodes 0 (the start), 1, ... and edges sorted by source and symbol.

    Attributes:
        offsets: where each node's edges begin, int64 [nodes + 1].
        symbol: of each edge, int64 [edges].
        target: the node after it, int64 [edges].
        log_prob: of the symbol given the node, nats, [edges].
        log_end: log-probability of an end that is accepted here, nats, [nodes].
        accepting: whether a sequence that is cut here is accepted, bool [nodes].
    """

    offsets: np.ndarray
    symbol: np.ndarray
    target: np.ndarray
    log_prob: np.ndarray
    log_end: np.ndarray
    accepting: np.ndarray

    @property
    def nodes(self) -> int:
        """How many there are."""
        return len(self.log_end)

    @property
    def source(self) -> np.ndarray:
        """The node before each edge, int64 [edges]."""
        return np.repeat(np.arange(self.nodes), np.diff(self.offsets))

    def edge(self, node: int, symbol: int) -> int | None:
        """The number of the edge of a symbol; None where it may not come."""
        low, high = int(self.offsets[node]), int(self.offsets[node + 1])
        at = low + int(np.searchsorted(self.symbol[low:high], symbol))
        return at if at < high and self.symbol[at] == symbol else None


class _Edges(NamedTuple):
    source: list[np.ndarray]
    symbol: list[np.ndarray]
    target: list[np.ndarray]
    log_prob: list[np.ndarray]


@torch.no_grad()
def explored(law: ChainLaw, watch: Watch | None, asker: str, most: int = MOST) -> Graph:
    """The graph of a law, and of an automaton beside it.

    Args:
        law: of symbols, without a context.
        watch: the automaton; None allows everything.
        asker: who needs it, for errors.
        most: how many nodes at most.

    Raises:
        UnsupportedError: the law or the automaton has no finite memory, or there are too many
            nodes.
    """
    state = law.fresh(1, None) if law.context is None and not law.clocked else None
    if state is None or state.finite_memory() is None or law.n_given:
        raise UnsupportedError(
            f"{asker} needs a process that remembers finitely many things (an n-gram model, a "
            f"mixture of them, one of these under a policy without memory); {law!r} "
            + ("takes a context." if state is None else "remembers more.")
        )
    if watch is not None and watch.key(watch.start) is None:
        raise UnsupportedError(
            f"{asker} needs a constraint of finitely many states: Regex, Automaton or AllowedAt; "
            "a grammar, and what is written in Python, may have infinitely many."
        )
    return _Explorer(law, watch, asker, most).run(state)


class _Explorer:
    def __init__(self, law: ChainLaw, watch: Watch | None, asker: str, most: int) -> None:
        self.end, self.watch, self.asker, self.most = law.space.end, watch, asker, most
        self.numbers: dict[tuple[int, ...], int] = {}
        self.watched: list[Any] = []
        self.log_end: dict[int, float] = {}
        self.edges = _Edges([], [], [], [])
        self.waiting: list[tuple[State, list[int]]] = []

    def run(self, state: State) -> Graph:
        begin = None if self.watch is None else self.watch.start
        self._number(self._key(state.finite_memory(), 0, begin), begin)
        self.waiting.append((state, [0]))
        while self.waiting:
            self._expand(*self.waiting.pop())
        source, symbol, target, log_prob = (np.concatenate(part) for part in self.edges)
        order = np.lexsort((symbol, source))
        counts = np.bincount(source, minlength=len(self.numbers))
        accepting = [self.watch is None or self.watch.accepts(s) for s in self.watched]
        ends = np.array([self.log_end[i] for i in range(len(self.numbers))])
        return Graph(
            np.concatenate([[0], counts.cumsum()]), symbol[order], target[order],
            log_prob[order], ends, np.array(accepting),
        )  # fmt: skip

    def _expand(self, state: State, nodes: list[int]) -> None:
        """Follow all symbols from some nodes, which are the rows of a state."""
        logits = as_categorical(state.conditional).logits.double()
        if self.watch is not None:
            closed = torch.stack([self.watch.forbidden(self.watched[i]) for i in nodes])
            logits = logits.masked_fill(closed, -torch.inf)
        table = logits.numpy().copy()
        for i, node in enumerate(nodes):
            self.log_end[node] = -np.inf if self.end is None else float(table[i, self.end])
        if self.end is not None:
            table[:, self.end] = -np.inf
        rows, symbols = np.nonzero(table > -np.inf)
        step = max(1, _TOGETHER // max(1, int(state.history.stop)))
        for begin in range(0, len(rows), step):
            part = slice(begin, begin + step)
            self._follow(state, nodes, rows[part], symbols[part], table)
        if not len(rows):
            self._add(np.zeros(0, np.int64), np.zeros(0, np.int64), [], np.zeros(0))

    def _follow(
        self,
        state: State,
        nodes: list[int],
        rows: np.ndarray,
        symbols: np.ndarray,
        table: np.ndarray,
    ) -> None:
        after = state.select(torch.from_numpy(rows)).append(torch.from_numpy(symbols))
        memory = after.finite_memory()
        assert memory is not None
        listed = memory.tolist()
        new_rows, new_nodes, targets = [], [], []
        for i, (row, symbol) in enumerate(zip(rows.tolist(), symbols.tolist(), strict=True)):
            own = None
            if self.watch is not None:
                own = self.watch.step(self.watched[nodes[row]], symbol)
            before = len(self.numbers)
            node = self._number((*listed[i], self._watch_key(own)), own)
            targets.append(node)
            if node == before:
                new_rows.append(i)
                new_nodes.append(node)
        self._add(np.array(nodes)[rows], symbols, targets, table[rows, symbols])
        if new_rows:
            self.waiting.append((after.select(torch.tensor(new_rows)), new_nodes))

    def _add(self, source: Any, symbol: Any, target: Any, log_prob: Any) -> None:
        for kept, value in zip(self.edges, (source, symbol, target, log_prob), strict=True):
            kept.append(np.asarray(value, dtype=float if value is log_prob else np.int64))

    def _key(self, memory: torch.Tensor | None, row: int, watched: Any) -> tuple[int, ...]:
        assert memory is not None
        return (*memory[row].tolist(), self._watch_key(watched))

    def _watch_key(self, watched: Any) -> int:
        key = 0 if self.watch is None else self.watch.key(watched)
        assert key is not None
        return key

    def _number(self, key: tuple[int, ...], watched: Any) -> int:
        number = self.numbers.setdefault(key, len(self.numbers))
        if number == len(self.watched):
            self.watched.append(watched)
            if number >= self.most:
                raise UnsupportedError(
                    f"{self.asker} meets more than {self.most:,} states of the process and the "
                    "constraint together. Take a process of lower order, or a simpler constraint."
                )
        return number


# ---- messages ----------------------------------------------------------------------------------


def row_log_sums(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Log sum exp of the values of each row, [rows]; minus infinity of rows without any."""
    peaks = row_maxima(values, offsets)
    counts = np.diff(offsets)
    base = np.where(np.isfinite(peaks), peaks, 0.0)
    sums = np.zeros(len(counts))
    some = counts > 0
    if some.any():
        raised = np.exp(values - np.repeat(base, counts))
        sums[some] = np.add.reduceat(raised, offsets[:-1][some])
    with np.errstate(divide="ignore"):
        return np.log(sums) + base


def row_maxima(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The greatest value of each row, [rows]; minus infinity of rows without any."""
    found = np.full(len(offsets) - 1, -np.inf)
    some = np.diff(offsets) > 0
    if some.any():
        found[some] = np.maximum.reduceat(values, offsets[:-1][some])
    return found


def log_messages_within(graph: Graph, length: int, ends: bool) -> np.ndarray:
    """Messages of sequences of a limited length, nats, [length + 1, nodes].

    Row t is log p(what is accepted | node, t elements so far): with `ends` of an accepted end
    after at most `length` elements, without of element `length` leading to an accepting node.
    """
    found = np.full((length + 1, graph.nodes), -np.inf)
    found[length] = graph.log_end if ends else np.where(graph.accepting, 0.0, -np.inf)
    for t in range(length - 1, -1, -1):
        through = row_log_sums(graph.log_prob + found[t + 1][graph.target], graph.offsets)
        found[t] = np.logaddexp(through, graph.log_end) if ends else through
    return found


def log_messages(graph: Graph) -> np.ndarray:
    """Messages of sequences that end when they end: log p(an accepted end | node), nats, [nodes].

    Strongly connected components are solved one after another, those from which no other is
    reached first, so that nothing is lost where probabilities are too small for floats; within one
    the linear system is scaled by the most probable path from each node.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(graph.target), np.int8)
    links = csr_array((ones, graph.target, graph.offsets), shape=(graph.nodes,) * 2)
    _, label = connected_components(links, connection="strong")
    found = np.full(graph.nodes, -np.inf)
    members = np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label))[:-1])
    for component in _sinks_first(graph, label):
        found[members[component]] = _component(graph, members[component], label, found)
    _check(graph, found)
    return found


def _sinks_first(graph: Graph, label: np.ndarray) -> list[int]:
    """The components, each after all that it leads to."""
    pairs = np.column_stack([label[graph.source], label[graph.target]])
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    count = int(label.max()) + 1
    open_ = np.bincount(pairs[:, 0], minlength=count)
    pairs = pairs[np.argsort(pairs[:, 1], kind="stable")]
    offsets = np.concatenate([[0], np.bincount(pairs[:, 1], minlength=count).cumsum()])
    ready, order = np.flatnonzero(open_ == 0).tolist(), []
    while ready:
        component = ready.pop()
        order.append(component)
        for before in pairs[offsets[component] : offsets[component + 1], 0].tolist():
            open_[before] -= 1
            if open_[before] == 0:
                ready.append(before)
    return order


def _component(
    graph: Graph, nodes: np.ndarray, label: np.ndarray, found: np.ndarray
) -> np.ndarray:
    """The messages of one strongly connected component, all later ones being found."""
    counts = graph.offsets[nodes + 1] - graph.offsets[nodes]
    offsets = np.concatenate([[0], counts.cumsum()])
    edges = np.arange(offsets[-1]) + np.repeat(graph.offsets[nodes] - offsets[:-1], counts)
    inside = label[graph.target[edges]] == label[nodes[0]]
    values = np.where(inside, -np.inf, graph.log_prob[edges] + found[graph.target[edges]])
    exits = np.logaddexp(row_log_sums(values, offsets), graph.log_end[nodes])
    if not inside.any():
        return exits
    source = np.repeat(np.arange(len(nodes)), counts)[inside]
    place = np.empty(graph.nodes, np.int64)
    place[nodes] = np.arange(len(nodes))
    target, log_prob = place[graph.target[edges[inside]]], graph.log_prob[edges[inside]]
    return _solved(exits, source, target, log_prob)


def _solved(
    exits: np.ndarray, source: np.ndarray, target: np.ndarray, log_prob: np.ndarray
) -> np.ndarray:
    """Log h of h = exp(exits) + A h, A having the entries exp(log_prob)."""
    from scipy.sparse import csc_array, eye_array
    from scipy.sparse.linalg import spsolve

    offsets = np.concatenate([[0], np.bincount(source, minlength=len(exits)).cumsum()])
    best = exits
    while True:  # the most probable way out
        better = np.maximum(exits, row_maxima(log_prob + best[target], offsets))
        if (better == best).all():
            break
        best = better
    if not np.isfinite(best).any():
        return best
    entries = np.exp(log_prob + best[target] - best[source])
    system = csc_array((entries, (source, target)), shape=(len(exits),) * 2)
    right = np.exp(exits - best)
    with np.errstate(divide="ignore", invalid="ignore"):
        return best + np.log(spsolve((eye_array(len(exits)) - system).tocsc(), right))


def _check(graph: Graph, found: np.ndarray) -> None:
    """Raise where the messages do not solve their own equations."""
    again = row_log_sums(graph.log_prob + found[graph.target], graph.offsets)
    again = np.logaddexp(again, graph.log_end)
    live = np.isfinite(again)
    wrong = ~np.isclose(again[live], found[live], rtol=1e-9, atol=1e-8)
    if wrong.any() or np.isnan(found).any():
        raise UnsupportedError(
            "the probability that what follows keeps the constraint is beyond the reach of floats "
            "here; give sequences a most length (length=)."
        )
