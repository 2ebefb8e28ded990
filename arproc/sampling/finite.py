"""Finite machines beside evidence, as graphs of all that can come.

A node is a state of a law's `Machine` and what evidence remembers beside it, an edge a symbol with
its log-probability and what the evidence says of it. As long as the step makes a difference each
step has nodes of its own; from where on it makes none, one layer of nodes, whose edges lead back
into it, stands for all later steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from arproc.contract.law import ChainLaw
from arproc.contract.machine import Machine, latest
from arproc.errors import UnsupportedError
from arproc.sampling.evidence import Memory, Terms, pick

__all__ = ["Graph", "Layer", "explored"]

#: How many edges a graph has at most, nodes without any counted as one, and how many are looked
#: at together.
MOST, _TOGETHER = 2**24, 2**22


@dataclass(frozen=True, eq=False)
class Layer:
    """The M nodes of one step, and their edges, sorted by node and symbol.

    Attributes:
        offsets: where each node's edges begin, int64 [M + 1].
        symbol: of each edge, int64 [edges].
        target: the node of the next step that it leads to, int64 [edges].
        log_prob: of the symbol given the node, nats, [edges].
        factor: what the evidence says of it, nats, [edges].
        log_end: log-probability of an end, nats, [M].
        end_factor: what the evidence says of an end, nats, [M].
    """

    offsets: np.ndarray
    symbol: np.ndarray
    target: np.ndarray
    log_prob: np.ndarray
    factor: np.ndarray
    log_end: np.ndarray
    end_factor: np.ndarray

    @property
    def nodes(self) -> int:
        """How many there are."""
        return len(self.log_end)

    @cached_property
    def score(self) -> np.ndarray:
        """Log-probability and factor of each edge, nats, [edges]."""
        return self.log_prob + self.factor

    @cached_property
    def end(self) -> np.ndarray:
        """Log-probability and factor of each node's end, nats, [M]."""
        return self.log_end + self.end_factor

    @property
    def source(self) -> np.ndarray:
        """The node before each edge, int64 [edges]."""
        return np.repeat(np.arange(self.nodes), np.diff(self.offsets))

    def edges(self, node: int) -> slice:
        """The edges of a node."""
        return slice(int(self.offsets[node]), int(self.offsets[node + 1]))

    def after(self, node: int, symbol: int) -> int | None:
        """The node after a symbol; None where it may not come."""
        edges = self.edges(node)
        at = edges.start + int(np.searchsorted(self.symbol[edges], symbol))
        return int(self.target[at]) if at < edges.stop and self.symbol[at] == symbol else None


@dataclass(frozen=True, eq=False)
class Graph:
    """All that can come; the start is node 0 of step 0.

    Attributes:
        layers: of the first steps.
        core: of all later steps, whose edges lead into it again; None where there are none.
        steps: after how many steps all is told; None where that is so at the end alone.
        last: what the evidence says of the nodes there, nats, [M].
    """

    layers: tuple[Layer, ...]
    core: Layer | None
    steps: int | None
    last: np.ndarray

    def at(self, step: int) -> Layer:
        """The nodes and edges of a step."""
        if step < len(self.layers):
            return self.layers[step]
        assert self.core is not None
        return self.core


@torch.no_grad()
def explored(law: ChainLaw, terms: Terms, steps: int | None, asker: str) -> Graph:
    """The graph of a law beside evidence.

    Args:
        law: of symbols, without a context.
        terms: the evidence.
        steps: after how many elements sequences are cut; None where they end by themselves.
        asker: who needs it, for errors.

    Raises:
        UnsupportedError: the law or the evidence has infinitely many states, or too many.
    """
    machine = law.machine() if law.context is None and not law.clocked else None
    if machine is None or law.n_given:
        alone = law.context is None and not law.clocked
        raise UnsupportedError(
            f"{asker} needs a process that remembers finitely many things (an n-gram model, a "
            f"mixture of them, one of these under a policy without memory); {law!r} "
            + ("remembers more." if alone else "takes a context.")
        )
    if not terms.finite:
        raise UnsupportedError(
            f"{asker} needs a constraint of finitely many states: Regex, Automaton or AllowedAt; "
            "a grammar, and what is written in Python, may have infinitely many."
        )
    horizon = steps if terms.horizon is None else terms.horizon
    if horizon is None and latest((machine.settled, terms.settled)) is None:
        raise UnsupportedError(
            f"{asker} needs a most length here (length=): what {law!r} does may depend on how "
            "many elements came, without an end."
        )
    return _Explorer(law, machine, terms, steps, asker).run(horizon)


class _Stage(NamedTuple):
    """M nodes: the machine's states [M, k], and what the evidence remembers."""

    states: Tensor
    own: Memory

    def of(self, rows: Tensor) -> _Stage:
        return _Stage(self.states[rows], pick(self.own, rows))


class _Moves(NamedTuple):
    """What may come next from some nodes; the attributes are those of a `Layer`, [edges] and [M].

    Attributes:
        source: the node before each edge.
        own: what the evidence remembers after each edge.
    """

    source: Tensor
    symbol: Tensor
    log_prob: Tensor
    factor: Tensor
    own: Memory
    log_end: Tensor
    end_factor: Tensor


class _Numbered:
    """Nodes by number, in the order in which they were met."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[float, ...], int] = {}
        self.new: list[_Stage] = []

    def add(self, stage: _Stage) -> Tensor:
        """The numbers of some nodes, int64 [M]; those that are new are kept."""
        first, which = _distinct(stage)
        rows = stage.of(first)
        known = len(self.numbers)
        keys = map(tuple, _key(rows).tolist())
        found = torch.tensor(
            [self.numbers.setdefault(key, len(self.numbers)) for key in keys], dtype=torch.int64
        )
        fresh = (found >= known).nonzero()[:, 0]
        if len(fresh):
            self.new.append(rows.of(fresh))
        return found[which]


class _Explorer:
    def __init__(
        self, law: ChainLaw, machine: Machine, terms: Terms, steps: int | None, asker: str
    ) -> None:
        self.space, self.machine, self.terms = law.space, machine, terms
        self.steps, self.asker = steps, asker
        self.held = 0
        self.last: tuple[_Stage, _Moves, Layer, _Stage] | None = None

    def run(self, horizon: int | None) -> Graph:
        """All steps up to the horizon."""
        settled = latest((self.machine.settled, self.terms.settled))
        stage = _Stage(self.machine.start(), self.terms.start(1))
        layers: list[Layer] = []
        while len(layers) != horizon and len(layers) != settled and len(stage.states):
            layer, stage = self._layer(stage, len(layers))
            layers.append(layer)
        core = None
        if not len(stage.states):  # nothing goes on from here
            horizon = len(layers)
        elif len(layers) != horizon:
            core, stage = self._core(stage, len(layers))
        last = torch.zeros(len(stage.states), dtype=torch.float64)
        if horizon is not None and horizon == self.steps and len(last):
            last = self.terms.finish(stage.own, horizon, False)
        return Graph(tuple(layers), core, horizon, last.numpy())

    def _layer(self, stage: _Stage, step: int) -> tuple[Layer, _Stage]:
        """The edges of one step's nodes, and the nodes that these lead to."""
        moves = self._moves(stage, step)
        if self._repeats(stage, moves, step):
            assert self.last is not None
            return self.last[2], self.last[3]
        self._hold(moves)
        found = _Numbered()
        target = found.add(self._after(stage, moves, step))
        after = _joined(found.new) if found.new else stage.of(torch.zeros(0, dtype=torch.int64))
        layer = _made([moves], [target])
        self.last = stage, moves, layer, after
        return layer, after

    def _core(self, stage: _Stage, step: int) -> tuple[Layer, _Stage]:
        """All that can be reached from some nodes where the step makes no difference."""
        found = _Numbered()
        found.add(stage)
        moves: list[_Moves] = []
        targets: list[Tensor] = []
        while len(moves) < len(found.new):
            part = found.new[len(moves)]
            moves.append(self._moves(part, step))
            self._hold(moves[-1])
            targets.append(found.add(self._after(part, moves[-1], step)))
        return _made(moves, targets), _joined(found.new)

    def _hold(self, moves: _Moves) -> None:
        self.held += len(moves.symbol) + len(moves.log_end)
        if self.held > MOST:
            raise UnsupportedError(
                f"{self.asker} meets more than {MOST:,} ways from state to state of the process "
                "and the evidence together. Take a process of lower order, or simpler evidence."
            )

    def _after(self, stage: _Stage, moves: _Moves, step: int) -> _Stage:
        """The states that edges lead to, one for each edge."""
        return _Stage(
            self.machine.follow(stage.states[moves.source], moves.symbol, step), moves.own
        )

    def _moves(self, stage: _Stage, step: int) -> _Moves:
        """The edges of some nodes, so many nodes at a time that memory suffices."""
        parts: list[_Moves] = []
        begin, size = 0, 1
        while begin < len(stage.states):
            rows = torch.arange(begin, min(begin + size, len(stage.states)))
            part, width = self._moves_of(stage.of(rows), step)
            parts.append(part._replace(source=part.source + begin))
            begin, size = begin + size, max(1, _TOGETHER // width)
        own = _joined([_Stage(part.source[:, None], part.own) for part in parts]).own
        first, second, third, fourth, end, factor = (
            torch.cat([part[i] for part in parts]) for i in (0, 1, 2, 3, 5, 6)
        )
        return _Moves(first, second, third, fourth, own, end, factor)

    def _moves_of(self, stage: _Stage, step: int) -> tuple[_Moves, int]:
        """The edges of a few nodes; and how many symbols there are."""
        scores, end = self.machine.scores(stage.states, step).clone(), self.space.end
        count, width = scores.shape
        allowed = self.terms.allowed(stage.own, step)
        log_end = end_factor = torch.full((count,), -torch.inf, dtype=torch.float64)
        if end is not None:
            log_end = scores[:, end].clone()
            end_factor = self.terms.finish(stage.own, step, True)
            scores[:, end] = -torch.inf
        if allowed is not None and allowed.symbols is not None:
            scores = scores.masked_fill(~allowed.symbols, -torch.inf)
        source, symbol = (scores > -torch.inf).nonzero(as_tuple=True)
        own, factor = self.terms.append(pick(stage.own, source), symbol.to(self.space.dtype), step)
        fine = (factor > -torch.inf).nonzero()[:, 0]
        source, symbol = source[fine], symbol[fine]
        log_prob = scores[source, symbol]
        moves = _Moves(
            source, symbol, log_prob, factor[fine], pick(own, fine), log_end, end_factor
        )
        return moves, width

    def _repeats(self, stage: _Stage, moves: _Moves, step: int) -> bool:
        """Whether a step is the one before over again, which is then shared."""
        settled = self.machine.settled
        if self.last is None or settled is None or step <= settled:
            return False
        mine, before = _flat(stage, moves), _flat(*self.last[:2])
        return all(
            a.shape == b.shape and torch.equal(a, b) for a, b in zip(mine, before, strict=True)
        )


def _flat(stage: _Stage, moves: _Moves) -> list[Tensor]:
    """All numbers on which what comes of a stage depends."""
    own = list(moves.own) if isinstance(moves.own, tuple) else [moves.own]
    return [stage.states, *moves[:4], *own, *moves[5:]]


def _joined(stages: list[_Stage]) -> _Stage:
    """Nodes one after another."""
    owns: list[Any] = [stage.own for stage in stages]
    own = (
        tuple(torch.cat(part) for part in zip(*owns, strict=True))
        if isinstance(owns[0], tuple)
        else torch.cat(owns)
    )
    return _Stage(torch.cat([stage.states for stage in stages]), own)


def _made(moves: list[_Moves], targets: list[Tensor]) -> Layer:
    counts = [torch.bincount(m.source, minlength=len(m.log_end)) for m in moves]
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), torch.cat(counts).cumsum(0)])
    parts = [(m.symbol, t, m.log_prob, m.factor) for m, t in zip(moves, targets, strict=True)]
    edges = [torch.cat(column).numpy() for column in zip(*parts, strict=True)]
    ends = [torch.cat([m[i] for m in moves]).numpy() for i in (5, 6)]
    return Layer(offsets.numpy(), *edges, *ends)


def _key(stage: _Stage) -> Tensor:
    """What tells nodes apart, numbers [M, k]."""
    parts = stage.own if isinstance(stage.own, tuple) else (stage.own,)
    return torch.cat([stage.states.double(), *(part.double() for part in parts)], dim=1)


def _distinct(stage: _Stage) -> tuple[Tensor, Tensor]:
    """The first of each set of rows that agree, in order [D], and to which each belongs, [M]."""
    number = torch.zeros(len(stage.states), dtype=torch.int64)
    for column in _key(stage).T:
        _, of = column.unique(return_inverse=True)
        number = number * (int(of.max()) + 1 if len(of) else 1) + of
        _, number = number.unique(return_inverse=True)
    count = int(number.max()) + 1 if len(number) else 0
    first = torch.full((count,), len(number))
    first.scatter_reduce_(0, number, torch.arange(len(number)), "amin")
    order = first.argsort()
    return first[order], order.argsort()[number]
