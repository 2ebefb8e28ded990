"""Sequential importance resampling: what is unknown given what is known, in any arrangement.

A particle filter (Gordon, Salmond and Smith 1993) over the sites of a process. Particles draw the
unknown elements from the process's own conditionals; each known element weighs them by its
probability; and where few carry the weight they are resampled. The product of the mean weights is
an unbiased estimate of the probability of what is known (Del Moral 2004, section 7.4.1), and the
weighted particles approach the law of the unknown as their number grows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from arproc.contract.law import ChainLaw
from arproc.contract.randomness import RowUniforms, Uniforms
from arproc.contract.state import State
from arproc.distributions import from_uniform, index, present
from arproc.errors import DataError

__all__ = ["Particles", "effective_size", "given_known", "score", "systematic"]

#: How many rows a state has at most, of one example at least.
_ROWS = 2**14
#: How many numbers a block of conditionals may hold.
_NUMBERS = 2**22


class Particles(NamedTuple):
    """Draws of some examples, E of them.

    Attributes:
        x: whole examples, [E, n, sites], in the order of generation.
        effective_sample_size: how many particles carried the weight where they were fewest, [E].
        log_prob_known: log of an unbiased estimate of p(known), nats, float64 [E].
    """

    x: Tensor
    effective_sample_size: Tensor
    log_prob_known: Tensor


@torch.no_grad()
def given_known(
    law: ChainLaw,
    x: Tensor,
    known: Tensor,
    context: Tensor | None,
    *,
    n: int,
    n_particles: int,
    seed: int,
    numbers: Tensor,
    given_present: bool = False,
) -> Particles:
    """Draws of what is unknown of examples given what is known.

    Args:
        law: of a fixed size.
        x: examples [E, sites] in the order of generation; unknown places are not read.
        known: which sites are known, the same ones in all, bool [sites].
        context: of each example, prepared.
        n: how many draws of each.
        n_particles: how many particles each has.
        seed: the draws of an example are a function of it and of the example's number.
        numbers: of the examples, int64 [E].
        given_present: whether unknown entries are drawn given that they are not missing.
    """
    together = max(1, _ROWS // n_particles)
    parts = [
        _Filter(
            law, x[rows], known, None if context is None else context[rows],
            n_particles, seed, numbers[rows], given_present,
        ).draws(n)
        for rows in torch.arange(len(x)).split(together)
    ]  # fmt: skip
    return Particles(*(torch.cat(column) for column in zip(*parts, strict=True)))


def score(state: State, x: Tensor) -> tuple[Tensor, State]:
    """The log-probability of the next elements x [R, K], nats, float64 [R]; the state after them.

    After the last element of all the state is that before it, for nobody may ask what comes next.
    """
    law, total = state.law, torch.zeros(len(x), dtype=torch.float64, device=x.device)
    step = max(1, _NUMBERS // (max(len(x), 1) * law.numbers))
    for part in x.split(step, dim=1):
        whole = int(state.history.stop) + part.shape[1] == law.space.length
        columns, state = state.extend(part[:, :-1] if whole else part)
        columns = columns if whole else index(columns, (slice(None), slice(0, -1)))
        total = total + columns.log_prob(part).double().sum(1)
    return total, state


class _Filter:
    """E examples of P particles each, which are the rows of one state: example by example.

    Args:
        law: the law.
        x: the examples [E, sites].
        known: bool [sites].
        context: of each example.
        particles: P.
        seed: of all draws.
        numbers: of the examples, which address their uniforms.
        given_present: whether unknown entries are drawn given that they are not missing.
    """

    def __init__(
        self,
        law: ChainLaw,
        x: Tensor,
        known: Tensor,
        context: Tensor | None,
        particles: int,
        seed: int,
        numbers: Tensor,
        given_present: bool = False,
    ) -> None:
        self.given_present = given_present
        self.law, self.x, self.known, self.particles = law, x, known, particles
        self.numbers = numbers
        inner = torch.arange(particles)
        self.uniforms = RowUniforms(
            Uniforms(seed), (numbers[:, None] * particles + inner).flatten()
        )
        self.resampling = RowUniforms(Uniforms(seed, "resample"), numbers)
        self.rows = torch.arange(len(x), device=x.device).repeat_interleave(particles)
        self.state = law.fresh(len(x), context)
        self.values = x[self.rows].clone()
        self.log_weights = torch.zeros((len(x), particles), dtype=torch.float64, device=x.device)
        self.log_prob = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        self.least = torch.full_like(self.log_prob, float(particles))

    def draws(self, n: int) -> Particles:
        """Go through all sites, and choose n particles of each example by their weights."""
        first = True
        for begin, end, known in _runs(self.known):
            if first and known:  # all particles are alike: one stands for them
                self.log_prob, self.state = score(self.state, self.x[:, begin:end])
                self._check(self.log_prob)
            if first:
                self.state = self.state.select(self.rows)
            elif known:
                self._weigh(begin, end)
            if not known:
                self._draw(begin, end)
            first = False
        self._settle()
        return Particles(self._chosen(n), self.least, self.log_prob)

    def _draw(self, begin: int, end: int) -> None:
        """Draw some unknown sites."""
        u = self.uniforms.block(torch.arange(len(self.values)), begin, end - begin)
        if not self.given_present:
            drawn, self.state = self.state.advance(u.to(self.x.device))
            self.values[:, begin:end] = drawn.to(self.values.dtype)
            return
        for k, site in enumerate(range(begin, end)):
            law = present(self.state.conditional)
            drawn = from_uniform(law, u[:, k].to(self.x.device)).to(self.values.dtype)
            self.state = self.state.append(drawn)
            self.values[:, site] = drawn

    def _weigh(self, begin: int, end: int) -> None:
        """Weigh the particles by some known sites, and resample where few carry the weight."""
        scores, self.state = score(self.state, self.values[:, begin:end])
        self.log_weights = self.log_weights + scores.reshape(self.log_weights.shape)
        self._check(self.log_weights.amax(1))
        size = effective_size(self.log_weights)
        self.least = torch.minimum(self.least, size)
        few = size < self.particles / 2
        if end == len(self.known) or not bool(few.any()):
            return
        chosen = torch.arange(self.particles, device=self.x.device).repeat(len(self.x), 1)
        chosen[few] = self._resampled(few, begin, self.particles)
        mean = torch.logsumexp(self.log_weights, 1) - math.log(self.particles)
        self.log_prob = torch.where(few, self.log_prob + mean, self.log_prob)
        self.log_weights = self.log_weights.masked_fill(few[:, None], 0.0)
        flat = chosen + torch.arange(len(self.x), device=chosen.device)[:, None] * self.particles
        self.values = self.values[flat.flatten()]
        self.state = self.state.select(flat.flatten())

    def _settle(self) -> None:
        """Put the last weights into the estimate."""
        mean = torch.logsumexp(self.log_weights, 1) - math.log(self.particles)
        self.log_prob = self.log_prob + mean

    def _chosen(self, n: int) -> Tensor:
        """N particles of each example by their weights, in an order that says nothing."""
        every = torch.ones(len(self.x), dtype=torch.bool, device=self.x.device)
        sites = len(self.known)
        chosen = self._resampled(every, sites, n)
        mixing = self.resampling.block(torch.arange(len(self.x)), sites + 1, n)
        chosen = chosen.gather(1, mixing.argsort(1).to(chosen.device))
        values = self.values.unflatten(0, (len(self.x), self.particles))
        return values.gather(1, chosen[..., None].expand(-1, -1, sites))

    def _resampled(self, which: Tensor, step: int, count: int) -> Tensor:
        """So many particles of some examples by systematic resampling, int64 [e, count].

        Args:
            which: of which examples, bool [E].
            step: at which site, which addresses the uniforms.
            count: how many.
        """
        offset = self.resampling.block(which.nonzero()[:, 0].cpu(), step, 1)
        return systematic(self.log_weights[which], offset, count)

    def _check(self, log_prob: Tensor) -> None:
        """Raise `DataError` where what is known has no probability."""
        wrong = ~(log_prob > -math.inf)
        if bool(wrong.any()):
            number = int(self.numbers[int(wrong.nonzero()[0])])
            raise DataError(
                f"what is known of example {number} has probability zero under the model, or "
                f"after what each of its {self.particles} particles drew; check data and known, "
                "or take more n_particles."
            )


def effective_size(log_weights: Tensor) -> Tensor:
    """How many equal weights these are worth, 1 / the sum of squared shares (Kong 1992), [E]."""
    return 1 / torch.softmax(log_weights, dim=1).square().sum(1)


def systematic(log_weights: Tensor, uniforms: Tensor, count: int) -> Tensor:
    """So many particles of some examples by systematic resampling, int64 [e, count].

    Args:
        log_weights: of the particles, [e, particles]; some finite ones in each row.
        uniforms: one for each example, [e, 1].
        count: how many.
    """
    weights = torch.softmax(log_weights, dim=1)
    offset = uniforms.to(weights.device)
    place = (torch.arange(count, device=weights.device) + offset) / max(count, 1)
    cumulated = weights.cumsum(1)
    cumulated = cumulated / cumulated[:, -1:]
    found = torch.searchsorted(cumulated, place, right=True)
    # rounding must not reach a particle of no weight
    last = weights.shape[1] - 1 - (weights > 0).flip(1).int().argmax(1, keepdim=True)
    return torch.minimum(found, last)


def _runs(known: Tensor) -> Iterator[tuple[int, int, bool]]:
    """The runs of sites that are all known or all unknown: begin, end, which of the two."""
    marks = known.tolist()
    begin = 0
    for end in range(1, len(marks) + 1):
        if end == len(marks) or marks[end] != marks[begin]:
            yield begin, end, marks[begin]
            begin = end
