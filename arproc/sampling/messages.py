"""Finite machines given evidence, exactly: messages from the future to the past.

The forward-backward recursion (Baum et al. 1970; Rabiner 1989) over the states of a `Machine`
beside what the evidence remembers. The message of a state is the log-probability of all evidence
that is still to come; with it every conditional of the law given the evidence is exact, and so are
its draws, its likelihood and the evidence's probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.conditioned import InnerState
from arproc.contract.law import ChainLaw, DerivedLaw
from arproc.contract.machine import Machine
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.distributions import Restricted, as_categorical, concatenate, index
from arproc.errors import DataError
from arproc.sampling.evidence import Evidence, Memory, Setting, Terms, pick

__all__ = ["MessageLaw", "given_messages"]

#: How many numbers the messages may hold, and how many transitions one step may have.
_MOST, _MOST_A_STEP = 2**25, 2**22


class _Level(NamedTuple):
    """The transitions of one step from M states.

    Attributes:
        scores: log-probability times factor of each symbol, [M, V].
        child: the number of the state it leads to at the next step, [M, V]; -1 at the end, and
            where it is impossible.
    """

    scores: Tensor
    child: Tensor


class _Stage(NamedTuple):
    """The M states of one step: the machine's own [M, k], and what the evidence remembers."""

    states: Tensor
    own: Memory


class _Messages(NamedTuple):
    """What is known of every state.

    Attributes:
        levels: the transitions of each step up to the evidence's horizon H.
        futures: log p(evidence to come | state) of each step's states, H + 1 tensors [M].
    """

    levels: tuple[_Level, ...]
    futures: tuple[Tensor, ...]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class MessageLaw(DerivedLaw):
    """A law given evidence that a finite machine can carry.

    Attributes:
        law: the law without the evidence.
        evidence: about its sequences from the first element on.
        steps: after how many elements sequences were to be cut; None for no such number.
    """

    law: ChainLaw
    evidence: Evidence
    steps: int | None = None

    @cached_property
    def messages(self) -> _Messages | None:
        """The messages; None where there is no machine, or its states are too many."""
        setting = Setting(self.law, self.steps, lambda x: x)
        return _messages(setting, self.evidence.bound(setting))

    @property
    def levels(self) -> tuple[_Level, ...]:
        """The transitions of each step up to the evidence's horizon."""
        return () if self.messages is None else self.messages.levels

    @property
    def futures(self) -> tuple[Tensor, ...]:
        """The messages of each step's states."""
        return () if self.messages is None else self.messages.futures

    @property
    def base(self) -> ChainLaw:
        return self.law

    @property
    def log_evidence(self) -> float:
        """The log-probability of the evidence, nats."""
        return float(self.futures[0][0])

    def start(self, n: int, context: Tensor | None) -> State:
        return _MessageState(self.law.fresh(n, context), torch.zeros(n, dtype=torch.int64))

    def weighed(self, step: int, nodes: Tensor) -> Tensor:
        """Scores of each symbol, its probability times what comes of it, [N, V]."""
        level, after = self.levels[step], self.futures[step + 1]
        child = level.child[nodes]
        # the end has no future: its factor is in the scores
        future = torch.cat([after, after.new_zeros(1)])[child]
        return level.scores[nodes] + future


class _MessageState(InnerState):
    """The law's own state, and which state of the machine it is in.

    Args:
        inner: the law's own.
        nodes: the number among the states of the row's step, [N]; -1 once the evidence is
            contradicted or all told.
    """

    law: MessageLaw

    def __init__(self, inner: State, nodes: Tensor) -> None:
        super().__init__(inner)
        self.nodes, self.block = nodes, 1

    def _conditional(self) -> Distribution:
        early = (self.lengths.cpu() < len(self.law.levels)) & (self.nodes >= 0)
        if not bool(early.any()):
            return self.inner._next()
        if bool(early.all()):
            size = self.law.levels[0].scores.shape[1]
            scores = torch.zeros((self.n, size), dtype=torch.float64)
        else:
            scores = as_categorical(self.inner._next()).logits.double().cpu().clone()
        for step in self.lengths.cpu()[early].unique().tolist():
            rows = (early & (self.lengths.cpu() == step)).nonzero()[:, 0]
            scores[rows] = self.law.weighed(step, self.nodes[rows])
        return Restricted(scores.to(self.history.slots.device))

    def _append(self, x: Tensor) -> State:
        nodes, lengths = torch.full_like(self.nodes, -1), self.lengths.cpu()
        early = (lengths < len(self.law.levels)) & (self.nodes >= 0)
        for step in lengths[early].unique().tolist():
            rows = (early & (lengths == step)).nonzero()[:, 0]
            nodes[rows] = (
                self.law.levels[step].child[self.nodes[rows], x[rows].cpu().long()].long()
            )
        return _MessageState(self.inner.append(x), nodes)

    def _extend(self, x: Tensor, lengths: Tensor | None) -> tuple[Distribution, State]:
        states: list[State] = [self]
        for j in range(x.shape[1]):
            states.append(states[-1].append(x[:, j]))
        every = (slice(None), None)
        columns = concatenate([index(state._next(), every) for state in states], dim=1)
        if lengths is None:
            return columns, states[-1]
        nodes = torch.stack([state.nodes for state in states if isinstance(state, _MessageState)])
        nodes = nodes.gather(0, lengths.cpu()[None])[0]
        return columns, _MessageState(self.inner.extend(x, lengths)[1], nodes)

    def _select(self, rows: Tensor) -> State:
        return _MessageState(self.inner.select(rows), self.nodes[rows.cpu()])

    def _truncate(self, lengths: Tensor) -> State:
        x, kept = self.history.truncate(lengths).padded()
        fresh = self.law.fresh(self.n, self.context)
        after = fresh.extend(x, kept)[1]
        assert isinstance(after, _MessageState)
        inner = self.inner.truncate(self.inner.lengths - self.lengths + lengths)
        return _MessageState(inner, after.nodes)


def given_messages(law: ChainLaw, evidence: Evidence, steps: int | None) -> MessageLaw | None:
    """The law given evidence; None where it is no finite machine, or one of too many states.

    Raises:
        DataError: the evidence has probability zero.
    """
    found = MessageLaw(law, evidence, steps)
    if found.messages is None:
        return None
    if not found.log_evidence > -torch.inf:
        raise DataError(
            "evidence has probability zero under this model: no sequence fits all of it."
        )
    return found


def _messages(setting: Setting, terms: Terms) -> _Messages | None:
    horizon = _horizon(setting, terms)
    machine = setting.law.machine() if horizon is not None else None
    if machine is None or horizon is None:
        return None
    found = _Forward(setting, terms, machine).levels(horizon)
    if found is None:
        return None
    levels, last = found
    futures = [last]
    for level in reversed(levels):
        after = torch.cat([futures[-1], last.new_zeros(1)])
        futures.append(torch.logsumexp(level.scores + after[level.child], dim=1))
    return _Messages(tuple(levels), tuple(reversed(futures)))


def _horizon(setting: Setting, terms: Terms) -> int | None:
    """After how many steps the evidence is told; None where no machine can carry it."""
    if not terms.finite:
        return None
    return setting.steps if terms.horizon is None else terms.horizon


class _Forward:
    """All states that may be reached, step by step."""

    def __init__(self, setting: Setting, terms: Terms, machine: Machine) -> None:
        self.setting, self.terms, self.machine = setting, terms, machine
        self.space = setting.law.space
        self.size = 2 if self.space.kind == "binary" else int(self.space.size or 0)
        symbols = torch.arange(self.size)
        self.symbols = symbols[symbols != (-1 if self.space.end is None else self.space.end)]
        self.last: tuple[Tensor, Tensor, Tensor, Tensor, _Stage] | None = None

    def levels(self, horizon: int) -> tuple[list[_Level], Tensor] | None:
        """The transitions up to the horizon, and the log-factors after it, [M]."""
        stage = _Stage(self.machine.start(), self.terms.start(1))
        found: list[_Level] = []
        held = 0
        for step in range(horizon):
            if len(stage.states) * self.size > _MOST_A_STEP:
                return None
            level, stage = self._step(stage, step)
            if not found or level.scores is not found[-1].scores:
                held += level.scores.numel()
            if held > _MOST:
                return None
            found.append(level)
            if not len(stage.states):  # nothing goes on from here
                break
        last = torch.zeros(len(stage.states), dtype=torch.float64)
        if horizon == self.setting.steps:
            last = self.terms.finish(stage.own, horizon, False) if len(last) else last
        return found, last

    def _step(self, stage: _Stage, step: int) -> tuple[_Level, _Stage]:
        """The transitions from some states, and the states that these lead to."""
        count, width = len(stage.states), len(self.symbols)
        again = torch.arange(count).repeat_interleave(width)
        x = self.symbols.repeat(count)
        own, factor = self.terms.append(pick(stage.own, again), x.to(self.space.dtype), step)
        scores = self._scores(stage, step, factor.view(count, width))
        alive = (scores[:, self.symbols] > -torch.inf).flatten()
        own = pick(own, alive.nonzero()[:, 0])
        if self._repeats(stage, scores, own):
            assert self.last is not None
            return _Level(self.last[1], self.last[2]), self.last[4]
        later = self.machine.follow(stage.states[again[alive]], x[alive], step)
        first, number = _distinct(later, own)
        child = torch.full((count * width,), -1, dtype=torch.int32)
        child[alive] = number.int()
        whole = torch.full((count, self.size), -1, dtype=torch.int32)
        whole[:, self.symbols] = child.view(count, width)
        after = _Stage(later[first], pick(own, first))
        level = _Level(scores, whole)
        self.last = (stage.states, scores, whole, _flat(own), after)
        return level, after

    def _repeats(self, stage: _Stage, scores: Tensor, own: Memory) -> bool:
        """Whether a step is the one before over again, which is then shared."""
        if self.last is None or not self.machine.timeless:
            return False
        mine = (stage.states, scores, _flat(own))
        return all(
            a.shape == b.shape and torch.equal(a, b)
            for a, b in zip(mine, (self.last[0], self.last[1], self.last[3]), strict=True)
        )

    def _scores(self, stage: _Stage, step: int, factor: Tensor) -> Tensor:
        """Log-probability and factor of each symbol, [M, V]."""
        scores = self.machine.scores(stage.states, step).clone()
        scores[:, self.symbols] += factor
        if self.space.end is not None and len(stage.states):
            scores[:, self.space.end] += self.terms.finish(stage.own, step, True)
        return scores


def _flat(own: Memory) -> Tensor:
    """What is remembered of M rows as numbers [M, k]."""
    parts = own if isinstance(own, tuple) else (own,)
    return torch.cat([part.double() for part in parts], dim=1)


def _distinct(states: Tensor, own: Memory) -> tuple[Tensor, Tensor]:
    """The first of each set of rows that agree, [D], and to which each row belongs, [M]."""
    number = torch.zeros(len(states), dtype=torch.int64)
    for column in (*states.T, *_flat(own).T):
        _, of = column.unique(return_inverse=True)
        _, number = (number * (int(of.max()) + 1 if len(of) else 1) + of).unique(
            return_inverse=True
        )
    count = int(number.max()) + 1 if len(number) else 0
    first = torch.full((count,), len(number))
    first.scatter_reduce_(0, number, torch.arange(len(number)), "amin")
    return first, number
