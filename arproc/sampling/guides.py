"""Proposals that particles are drawn from, defensively: some are drawn from the law itself.

Each particle of a set has its source for good, the proposal q or the law p, and all are weighed by
p(x) / (a p(x) + (1 - a) q(x)), a being the share of the law (the balance heuristic, Veach and
Guibas 1995; defensive mixtures, Hesterberg 1995). So no weight is above 1 / a, whatever the
proposal: a bad one, or one with holes, costs a factor of 1 / a in variance at most, and the
spread of the estimates tells the error.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.state import State
from arproc.sampling.given import future

__all__ = ["Guide", "share_of"]

#: Of this share of the particles, at least one of each set, the law itself is the source.
_SHARE = 0.2


def share_of(particles: int) -> int:
    """How many of the particles of a set the law itself draws."""
    return min(max(1, round(_SHARE * particles)), particles - 1)


class Guide:
    """The proposal's side of some particles.

    Args:
        state: the proposal's.
        foresees: whether it is the law given the evidence of a cheaper process, whose messages
            are a twist.
    """

    def __init__(self, state: State, foresees: bool = False) -> None:
        self.state, self.foresees = state, foresees
        none = torch.zeros(state.n, dtype=torch.float64)
        self.log_share = (0.0, 0.0)
        self.own, self.log_p, self.log_q = none.bool(), none, none
        self.weighed = none

    def spread(self, rows: Tensor, particles: int) -> None:
        """Let each set's row become so many particles."""
        own = share_of(particles)
        self.log_share = math.log(own / particles), math.log1p(-own / particles)
        self.select(rows)
        self.own = torch.arange(particles).repeat(len(rows) // particles) < own

    @property
    def conditional(self) -> Distribution:
        """The proposal's next-element distribution."""
        return self.state.conditional

    def append(self, x: Tensor, log_p: Tensor, log_q: Tensor, active: Tensor) -> None:
        """One more element, of these log-probabilities under the law and the proposal."""
        self.state = self.state.append(x)
        self.log_p = self.log_p + torch.where(active, log_p, 0.0)
        self.log_q = self.log_q + torch.where(active, log_q, 0.0)

    def select(self, rows: Tensor) -> None:
        """Only these particles."""
        self.state = self.state.select(rows.to(self.state.history.slots.device))
        self.own, self.weighed = self.own[rows], self.weighed[rows]
        self.log_p, self.log_q = self.log_p[rows], self.log_q[rows]

    def change(self) -> Tensor:
        """What weights on the way change by since it was last asked, [R]: those of a twist."""
        return self._owed(future(self.state)) if self.foresees else torch.zeros_like(self.weighed)

    def rest(self) -> Tensor:
        """What weights change by at the end, [R]."""
        return self._owed(torch.zeros_like(self.weighed))

    def _owed(self, foreseen: Tensor) -> Tensor:
        mine, other = self.log_share
        ratio = self.log_p - torch.logaddexp(mine + self.log_p, other + self.log_q)
        # what the law holds impossible is dead by its own weight
        total = torch.where(self.log_p > -math.inf, ratio, 0.0) + foreseen
        change = total - self.weighed
        self.weighed = total.clamp(min=torch.finfo(torch.float64).min)
        return change
