"""Particles: what is unknown of sequences given any evidence, in any arrangement.

A particle filter (Gordon, Salmond and Smith 1993). Particles draw elements one after another from
the law's own conditionals, or from those of a proposal; each is weighed by what the evidence says
of its elements so far; and where few carry the weight they are resampled. What the evidence says
of the next element alone, a value or an interval, is drawn given that (and its probability
weighs); what it says of later ones may be guessed by a twist (Whiteley and Lee 2014). The product
of the mean weights is an unbiased estimate of the probability of the evidence (Del Moral 2004,
section 7.4.1), and the weighted particles approach the law of the unknown as their number grows.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch import distributions as td

from arproc.contract.randomness import Uniforms
from arproc.contract.state import State
from arproc.distributions import (
    Categorical,
    PoweredCount,
    Truncated,
    as_categorical,
    cut_counts,
    from_uniform,
    index,
    is_count,
    present,
)
from arproc.errors import ParameterError, UnsupportedError
from arproc.sampling.evidence import Allowed, Terms, pick
from arproc.sampling.guides import Guide
from arproc.sampling.normal import condition_normal
from arproc.sampling.weights import chosen, effective_size

__all__ = ["Cloud", "Filter", "score"]

#: How many numbers a block of conditionals may hold.
_NUMBERS = 2**22
#: How many steps of which nothing is known are drawn at once.
_BLOCK = 256
#: A particle that has not ended after so many elements is taken for endless.
_MOST = 10_000


class Cloud(NamedTuple):
    """Weighted particles, of E sets of P each.

    Attributes:
        x: the elements, [E, P, T, *event], zeros beyond a particle's length.
        lengths: how many elements each has, int64 [E, P].
        complete: whether each came to an end by itself, bool [E, P].
        log_weights: their weights within their set, not normalised, nats, float64 [E, P].
        log_evidence: log of an unbiased estimate of the evidence's probability, nats, [E].
        least: how many particles carried the weight where they were fewest, [E].
        lineage: from which of the first particles each descends, int64 [E, P].
        died: the step after which no particle of a set was possible, -1 where some are, [E].
    """

    x: Tensor
    lengths: Tensor
    complete: Tensor
    log_weights: Tensor
    log_evidence: Tensor
    least: Tensor
    lineage: Tensor
    died: Tensor


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


class Filter:
    """E sets of P particles each, which are the rows of one state: set by set.

    Args:
        state: where the elements begin, E rows.
        terms: the evidence.
        steps: how many elements come; None where sequences end by themselves.
        particles: P.
        uniforms: of the draws, of R = E P rows.
        resampling: of the resampling, of E rows; None resamples never.
        guide: a proposal, of E rows; None draws from the law itself.
        given_present: whether unknown entries are drawn given that they are not missing.
    """

    def __init__(
        self,
        state: State,
        terms: Terms,
        steps: int | None,
        particles: int,
        uniforms: Uniforms,
        resampling: Uniforms | None,
        *,
        guide: Guide | None = None,
        given_present: bool = False,
    ) -> None:
        self.state, self.terms, self.steps, self.particles = state, terms, steps, particles
        self.uniforms, self.resampling, self.guide = uniforms, resampling, guide
        self.given_present = given_present
        sets, self.space, self.device = state.n, state.law.space, state.history.slots.device
        rows = sets * particles
        self.first = state.positions.cpu().repeat_interleave(particles)
        self.own = terms.start(sets)
        self.values = torch.zeros((rows, 0, *self.space.event_shape), dtype=self.space.dtype)
        self.values = self.values.to(self.device)
        self.done = torch.zeros(rows, dtype=torch.bool)
        self.lengths = torch.zeros(rows, dtype=torch.int64)
        self.psi = torch.zeros(rows, dtype=torch.float64)
        self.log_weights = torch.zeros((sets, particles), dtype=torch.float64)
        self.log_evidence = torch.zeros(sets, dtype=torch.float64)
        self.least = torch.full_like(self.log_evidence, float(particles))
        self.lineage = torch.arange(particles).repeat(sets, 1)
        self.died = torch.full((sets,), -1)

    def run(self) -> Cloud:
        """Go through all steps."""
        step = self._begin()
        while step != self.steps and not bool(self.done.all()) and bool((self.died < 0).any()):
            step = self._go(step)
            if self.steps is None and step >= _MOST:
                raise ParameterError(
                    f"length is needed: {int((~self.done).sum())} of {len(self.done)} particles "
                    f"have not ended after {_MOST:,} elements. Pass length=, the number of "
                    "elements at most."
                )
        if bool((self.died < 0).any()):
            self._end(step)
        mean = torch.logsumexp(self.log_weights, 1) - math.log(self.particles)
        log_evidence = (self.log_evidence + mean).masked_fill(self.died >= 0, -math.inf)
        shape = (len(self.died), self.particles)
        inside = torch.arange(self.values.shape[1]) < self.lengths[:, None]
        inside = inside.view(*inside.shape, *[1] * (self.values.ndim - 2)).to(self.device)
        x = torch.where(inside, self.values, torch.zeros_like(self.values))
        return Cloud(
            x.unflatten(0, shape), self.lengths.view(shape), self.done.view(shape),
            self.log_weights, log_evidence, self.least, self.lineage, self.died,
        )  # fmt: skip

    def _begin(self) -> int:
        """What is known from the start on: all particles are alike there, and one stands for them.

        Then each gets a row of its own.
        """
        sets, end = len(self.died), self.terms.known_until(0)
        rows = torch.arange(sets).repeat_interleave(self.particles)
        if end and self.guide is None:
            x = self._known(0, end)
            self.log_evidence, self.state = score(self.state, x)
            self.log_evidence = self.log_evidence.cpu()
            self._bury(self.log_evidence, end)
            self._put(x[rows.to(self.device)], end)
        else:
            end = 0
        self.state, self.own = self.state.select(rows), pick(self.own, rows)
        if self.guide is not None:
            self.guide.spread(rows, self.particles)
        return end

    def _known(self, begin: int, end: int) -> Tensor:
        """What is known to all rows, [R, K, *event]."""
        columns = [self.terms.forced(self.own, step) for step in range(begin, end)]
        known = torch.stack([column for column in columns if column is not None], dim=1)
        return known.to(self.device, self.space.dtype)

    def _go(self, step: int) -> int:
        """One step, or several of which the evidence says nothing, or all."""
        alone = self.guide is None and not self.space.terminates
        if alone and not self.terms.twisted:
            stop = 2**62 if self.steps is None else self.steps
            free = min(self.terms.free_until(step), stop, step + _BLOCK)
            if free > step and not self.given_present:
                u = self._uniforms(step, free - step)
                x, self.state = self.state.advance(u)
                self._put(x, free)
                for j in range(x.shape[1]):
                    self.own, _ = self.terms.append(self.own, x[:, j], step + j)
                return free
            known = min(self.terms.known_until(step), stop)
            if known > step:
                x = self._known(step, known)
                gain, self.state = score(self.state, x)
                self._put(x, known)
                self._weigh(gain.cpu(), known)
                return known
        self._step(step)
        return step + 1

    def _uniforms(self, step: int, count: int) -> Tensor:
        rows, shape = torch.arange(len(self.done)), self.space.event_shape
        u = self.uniforms.block(rows, self.first.numpy() + step, count, shape)
        return u.to(self.device)

    def _put(self, x: Tensor, length: int) -> None:
        """The next elements [R, K, *event] of all rows."""
        self.values = torch.cat([self.values, x.to(self.values.dtype)], dim=1)
        self.lengths = torch.where(self.done, self.lengths, length)

    def _step(self, step: int) -> None:
        """One element, of which something may be known."""
        forced, allowed = self.terms.forced(self.own, step), self.terms.allowed(self.own, step)
        u, active = self._uniforms(step, 1)[:, 0], ~self.done
        x, gain = (self._drawn if self.guide is None else self._guided)(u, forced, allowed)
        x = x.to(self.space.dtype)
        before = self.own
        self.own, factor = self.terms.append(before, x, step)
        ended = active & (x.cpu() == self.space.end) if self.space.terminates else ~active
        if bool((ended & active).any()):
            last = (ended & active).nonzero()[:, 0]
            factor = factor.index_copy(0, last, self.terms.finish(pick(before, last), step, True))
        self._put(x[:, None], step + 1)
        if self.space.terminates:
            self.lengths = torch.where(ended & active, step, self.lengths)
            self.done = self.done | ended
        gain = gain.cpu() + factor
        if self.guide is not None:
            gain = gain + self.guide.change()
        if self.terms.twisted:
            gain = gain + self._twist(step + 1)
        self.state = self.state.append(x)
        self._weigh(torch.where(active, gain, 0.0), step + 1)

    def _twist(self, step: int) -> Tensor:
        """What the guess of the evidence to come has changed by, [R]; 0 after the end."""
        open_rows = (~self.done).nonzero()[:, 0]
        psi = torch.zeros_like(self.psi)
        psi[open_rows] = self.terms.twist(pick(self.own, open_rows), step)
        # a row that the guess holds impossible is dead, and so is what comes of it
        change = torch.where(psi > -math.inf, psi - self.psi, -math.inf)
        self.psi = psi.clamp(min=torch.finfo(torch.float64).min)
        return change

    def _drawn(
        self, u: Tensor, forced: Tensor | None, allowed: Allowed | None
    ) -> tuple[Tensor, Tensor]:
        """The next elements, and what their draw adds to the weights, float64 [R]."""
        p = self.state.conditional
        return self._from(
            present(p) if forced is None and self.given_present else p, u, forced, allowed
        )

    def _from(
        self, q: Any, u: Tensor, forced: Tensor | None, allowed: Allowed | None
    ) -> tuple[Tensor, Tensor]:
        """The same of some conditional."""
        narrow, log_mass = (q, None) if allowed is None else narrowed(q, allowed)
        x = from_uniform(narrow, u)
        if log_mass is not None and isinstance(narrow, Truncated | PoweredCount):
            dead = ~(log_mass > -math.inf)
            x = torch.where(dead, from_uniform(q, u), x) if bool(dead.any()) else x
        known = torch.zeros(len(u), dtype=torch.float64, device=u.device)
        if forced is not None:
            x, known = given(narrow, x, forced.to(u.device))
        return x, known if log_mass is None else known + log_mass.double()

    def _guided(
        self, u: Tensor, forced: Tensor | None, allowed: Allowed | None
    ) -> tuple[Tensor, Tensor]:
        """The same of particles some of which a proposal draws."""
        assert self.guide is not None
        p, q = self.state.conditional, self.guide.conditional
        own = self.guide.own.to(u.device)
        x, lost = self._from(p, u, forced, allowed)
        other, its = self._from(q, u, forced, allowed)
        mine = own.view(-1, *[1] * (x.ndim - 1))
        x = torch.where(mine, x, other.to(x.dtype)).to(self.space.dtype)
        log_p, log_q = p.log_prob(x).double(), q.log_prob(x).double()
        if forced is not None:  # the proposal has no say in what is known wholly
            whole = ~forced.isnan().reshape(len(u), -1).any(1).to(u.device)
            unforeseen = whole & ~(log_q > -math.inf)
            its, log_q = (torch.where(unforeseen, log_p, part) for part in (its, log_q))
        lost = torch.where(own, lost, its)
        lost = torch.where(log_p > -math.inf, lost, -math.inf)
        self.guide.append(x, log_p.cpu(), log_q.cpu(), ~self.done)
        return x, lost

    def _end(self, step: int) -> None:
        """The factors of rows that were cut by the length; and what the proposal owes."""
        rows = (~self.done).nonzero()[:, 0]
        gain = torch.zeros_like(self.psi) if self.guide is None else self.guide.rest()
        gain[rows] += self.terms.finish(pick(self.own, rows), step, False) - self.psi[rows]
        self._weigh(gain, step, last=True)

    def _weigh(self, gain: Tensor, step: int, last: bool = False) -> None:
        """Add to the weights, float64 [R], and resample the sets where few carry them."""
        self.log_weights = self.log_weights + gain.reshape(self.log_weights.shape)
        self._bury(self.log_weights.amax(1), step)
        size = effective_size(self.log_weights)
        self.least = torch.minimum(self.least, torch.where(self.died < 0, size, 0.0))
        few = (size < self.particles / 2) & (self.died < 0)
        resampling = self.resampling
        if last or step == self.steps or resampling is None or not bool(few.any()):
            return
        picked = torch.arange(self.particles).repeat(len(few), 1)
        picked[few] = chosen(self.log_weights, few, resampling, step, self.particles)
        mean = torch.logsumexp(self.log_weights, 1) - math.log(self.particles)
        self.log_evidence = torch.where(few, self.log_evidence + mean, self.log_evidence)
        self.log_weights = self.log_weights.masked_fill(few[:, None], 0.0)
        self.lineage = self.lineage.gather(1, picked)
        flat = (picked + torch.arange(len(few))[:, None] * self.particles).flatten()
        self.own, self.psi = pick(self.own, flat), self.psi[flat]
        self.done, self.lengths = self.done[flat], self.lengths[flat]
        there = flat.to(self.device)
        self.values, self.state = self.values[there], self.state.select(there)
        if self.guide is not None:
            self.guide.select(flat)

    def _bury(self, best: Tensor, step: int) -> None:
        """Note the sets of which no particle is possible any more."""
        dead = ~(best > -math.inf)
        if bool(dead.any()):
            self.died = torch.where(dead & (self.died < 0), step, self.died)
            gone = self.died[:, None] >= 0
            self.log_weights = self.log_weights.masked_fill(gone, 0.0)


def narrowed(conditional: Any, allowed: Allowed) -> tuple[Any, Tensor]:
    """A conditional given that the element is allowed, and the log-probability of that, [R].

    Rows of which nothing is left stay as they are.
    """
    if allowed.symbols is not None:
        own = as_categorical(conditional)
        kept = own.logits.masked_fill(~allowed.symbols.to(own.logits.device), -math.inf)
        log_mass = torch.logsumexp(kept, dim=-1)
        left = (log_mass > -math.inf)[:, None]
        return Categorical(torch.where(left, kept, own.logits)), log_mass
    low, high = allowed.low, allowed.high
    if is_count(conditional):
        within = cut_counts(conditional, low, high)
        before = conditional.log_mass if isinstance(conditional, PoweredCount) else 0.0
        return within, within.log_mass - before
    if conditional.support is not None and conditional.support.is_discrete:
        values = torch.arange(as_categorical(conditional).scores.shape[-1])
        return narrowed(conditional, Allowed((values >= low) & (values <= high)))
    if isinstance(conditional, td.Normal) and bool((conditional.scale == 0).any()):
        inside = (conditional.loc >= low) & (conditional.loc <= high)  # it is known already
        return conditional, torch.where(inside, 0.0, -math.inf)
    if isinstance(conditional, Truncated):
        wider = conditional
        cut = Truncated(wider.base, max(low, wider.low), min(high, wider.high))
        return cut, cut.log_mass - wider.log_mass
    if low == -math.inf and high == math.inf:
        return conditional, torch.zeros(conditional.batch_shape, dtype=torch.float64)
    cut = Truncated(conditional, low, high)
    return cut, cut.log_mass


def given(conditional: Any, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """A draw of which some numbers are known, and the log-probability of those.

    Args:
        conditional: of batch shape [R].
        x: draws from it, [R, *event].
        known: [R, *event], NaN where unknown.

    Returns:
        The draws [R, *event] and the log-probabilities, float64 [R], 0 where nothing is known.
    """
    fixed, x = ~known.isnan(), x.to(known.dtype)
    filled = torch.where(fixed, known, x)
    if not conditional.event_shape:
        return filled, torch.where(fixed, conditional.log_prob(filled).double(), 0.0)
    all_fixed, some = fixed.all(-1), fixed.any(-1)
    terms = torch.where(all_fixed, conditional.log_prob(filled).double(), 0.0)
    partly = (some & ~all_fixed).nonzero()[:, 0]
    if not len(partly):
        return filled, terms
    part, values = index(conditional, partly), known[partly]
    if isinstance(part, td.MultivariateNormal):
        normal = condition_normal(part, values.to(part.loc.dtype))
        filled[partly] = normal.correct(x[partly].to(part.loc.dtype)).to(filled.dtype)
        terms[partly] = normal.log_prob.double()
    elif isinstance(part, td.Independent) and part.reinterpreted_batch_ndims == 1:
        each = part.base_dist.log_prob(filled[partly]).double()
        terms[partly] = torch.where(fixed[partly], each, 0.0).sum(-1)
    else:
        raise UnsupportedError(
            f"known= gives some components of a vector whose law is a {type(part).__name__}; "
            "arproc can condition normal and independent components. Give all components of a "
            "step, or none."
        )
    return filled, terms
