"""Constraints as evidence: what masks, particles, graphs and messages read of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from arproc.contract.law import ChainLaw
from arproc.contract.machine import Machine, latest, log_probs
from arproc.distributions import Categorical
from arproc.sampling.constraints.acceptor import DEAD, ENDED, Acceptor
from arproc.sampling.evidence import Allowed, Memory, Terms, impossible

__all__ = ["AcceptorTerms", "MaskedMachine"]

#: More states than this are not kept once no row is in them.
_KEPT = 4096


class AcceptorTerms(Terms):
    """That an acceptor accepts the whole sequence; what is remembered is its state's number.

    A sequence that is cut before its end is not whole.

    Args:
        acceptor: over the symbols of the law.
        law: the law of the sequences.
        steps: after how many elements they are cut, or None.
    """

    horizon = None
    settled = 0

    def __init__(self, acceptor: Acceptor, law: ChainLaw, steps: int | None = None) -> None:
        self.acceptor, self.end, self.steps = acceptor, law.space.end, steps
        self.finite = acceptor.finite
        self._numbers: dict[Any, int] = {}
        self._states: dict[int, Any] = {}
        self._met = 0
        self._number(acceptor.start)  # which is 0

    def start(self, n: int) -> Memory:
        return torch.zeros((n, 1), dtype=torch.int64)

    def allowed(self, own: Memory, step: int) -> Allowed | None:
        if not len(own):
            return None
        numbers, row = own[:, 0].unique(return_inverse=True)
        closed = [self.acceptor.forbidden(self._states[n]) for n in numbers.tolist()]
        symbols = ~torch.stack(closed)[row]
        if self.end is not None and self.steps is not None and step + 1 == self.steps:
            symbols[:, torch.arange(symbols.shape[1]) != self.end] = False
        return Allowed(symbols)

    def append(self, own: Memory, x: Tensor, step: int) -> tuple[Memory, Tensor]:
        pairs = torch.stack([own[:, 0], x.long().cpu()], dim=1)
        distinct, row = pairs.unique(dim=0, return_inverse=True)
        states = [self.acceptor.step(self._states[n], s) for n, s in distinct.tolist()]
        after = torch.tensor([self._number(state) for state in states], dtype=torch.int64)[row]
        dead = torch.tensor([state is DEAD for state in states], dtype=torch.bool)[row]
        if not self.finite:
            self._forget(own, after)
        return after[:, None], impossible(dead)

    def finish(self, own: Memory, step: int, ended: bool) -> Tensor:
        if not ended and self.end is not None:
            return impossible(torch.ones(len(own), dtype=torch.bool))
        numbers, row = own[:, 0].unique(return_inverse=True)
        states = [self._states[n] for n in numbers.tolist()]
        wrong = [s is DEAD or s is ENDED or not self.acceptor.accepts(s) for s in states]
        return impossible(torch.tensor(wrong, dtype=torch.bool)[row])

    def _number(self, state: Any) -> int:
        try:
            number = self._numbers.get(state)
        except TypeError:
            self.acceptor.forbidden(state)  # which says so of the user's own
            raise
        if number is None:
            number = self._numbers[state] = self._met
            self._states[number] = state
            self._met += 1
        return number

    def _forget(self, *held: Tensor) -> None:
        """Let go of states in which no row is: where there are infinitely many."""
        if len(self._states) < _KEPT + 4 * len(held[0]):
            return
        kept = torch.cat([numbers.flatten() for numbers in held]).unique().tolist()
        self._states = {number: self._states[number] for number in kept}
        self._numbers = {state: number for number, state in self._states.items()}


class MaskedMachine:
    """A machine under the masks of an acceptor, whose state's number stands last.

    Args:
        inner: the machine.
        terms: the acceptor's, of finitely many states.
    """

    def __init__(self, inner: Machine, terms: AcceptorTerms) -> None:
        self.inner, self.terms = inner, terms
        self.settled = latest((inner.settled, terms.settled))

    def start(self) -> Tensor:
        return torch.cat([self.inner.start(), self.terms.start(1)], dim=1)

    def scores(self, states: Tensor, step: int) -> Tensor:
        scores = self.inner.scores(states[:, :-1], step)
        allowed = self.terms.allowed(states[:, -1:], step)
        if allowed is None or allowed.symbols is None:
            return scores
        return log_probs(Categorical(scores.masked_fill(~allowed.symbols, -torch.inf)))

    def follow(self, states: Tensor, x: Tensor, step: int) -> Tensor:
        own, _ = self.terms.append(states[:, -1:], x, step)
        return torch.cat([self.inner.follow(states[:, :-1], x, step), own], dim=1)
