"""Evidence that is much sharper than the process, let in by and by.

A sequential Monte Carlo sampler (Del Moral, Doucet and Jasra 2006): draws of the process are
weighed by growing powers of what the evidence says of them, from none to all, resampled, and moved
at each power by Markov chains that leave it as it is. The powers are chosen so that half of the
draws carry the weight at each (Jasra, Stephens, Doucet and Tsagaris 2011), and so are the moves,
by a trial that has draws of its own. From where the trial gets to, a normal law of noise is
learnt, and the draws that count begin with that if it is nearer, by powers of the evidence over
what it was. All this is fixed when they begin, so the product of their mean weights is an unbiased
estimate of the probability of the evidence.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from arproc.contract.law import ChainLaw
from arproc.contract.randomness import Uniforms, derived_seed
from arproc.sampling.evidence import Terms
from arproc.sampling.noise import FARTHEST, Move, Noisy, Reference, Weighted, fitted
from arproc.sampling.particles import Cloud, Filter
from arproc.sampling.weights import effective_size, families, systematic

__all__ = ["Level", "Plan", "Tempered", "is_sharp", "planned", "tempered"]

#: More levels than these are no plan, nor is a trial of which fewer draws are possible.
_MOST, _FEWEST = 120, 10
#: So many rounds of moves a level has at most; fewer where draws forget what they were.
_ROUNDS, _FORGOTTEN = 12, 0.3
#: Which share of the proposals is best taken, about.
_TAKEN = 0.35


class Level(NamedTuple):
    """A power of the evidence, and the moves that are made at it."""

    power: float
    moves: tuple[Move, ...]


class Plan(NamedTuple):
    """How draws go from a law of noise to all of the evidence.

    Attributes:
        begin: the law to begin with; None is the process.
        levels: the powers, the last of which is 1.
    """

    begin: Reference | None
    levels: tuple[Level, ...]


class Tempered(NamedTuple):
    """What tempering gives.

    Attributes:
        cloud: the weighted draws.
        size: how many independent ones they are worth.
        far: which share of the weight lies where uniforms are too coarse.
    """

    cloud: Cloud
    size: float
    far: float


def is_sharp(law: ChainLaw, terms: Terms, steps: int | None, particles: int, seed: int) -> bool:
    """Whether a trial of a particle filter comes to rest on a tenth of its particles or fewer."""
    cloud = Filter(
        law.fresh(1, None), terms, steps, particles, Uniforms(seed), Uniforms(seed, "resample")
    ).run()
    worth = float(families(cloud.log_weights, cloud.lineage)[0])
    return int(cloud.died[0]) >= 0 or worth < particles / 10


def planned(
    law: ChainLaw, terms: Terms, steps: int | None, particles: int, seed: int
) -> Plan | None:
    """Where to begin, powers and moves, by a trial; None where its draws do not get there.

    Args:
        law: the process, without a context.
        terms: the evidence.
        steps: how many elements come; None where sequences end by themselves.
        particles: of the trial.
        seed: of the trial.
    """
    first = _tried(Noisy(law, terms, steps, derived_seed(seed, 0)), particles)
    if first is None:
        return None
    plan, draws = first
    equal = torch.full((particles,), 1 / particles, dtype=torch.float64)
    learnt = fitted(draws.z.flatten(1), equal)
    again = _tried(Noisy(law, terms, steps, derived_seed(seed, 1), learnt), particles)
    if again is None or len(again[0].levels) > len(plan.levels):
        return plan
    return again[0]


def _tried(noisy: Noisy, particles: int) -> tuple[Plan, Weighted] | None:
    """A trial that begins with some noise, and its draws given all of the evidence."""
    draws, power, step, share = noisy.fresh(particles), 0.0, 1.0, 1.0
    levels: list[Level] = []
    if int(draws.factor.isfinite().sum()) < _FEWEST:
        return None
    while power < 1:
        if len(levels) == _MOST:
            return None
        power, before = _next_power(draws.factor, power), power
        log_weights = (power - before) * draws.factor
        reference = fitted(draws.z.flatten(1), torch.softmax(log_weights, 0))
        rows = systematic(log_weights[None], noisy.uniform(1, 1), particles)[0]
        draws = begun = draws.select(rows)
        moves: list[Move] = []
        for made in range(_ROUNDS):
            moves.append(Move(reference, step))
            draws, taken = noisy.moved(draws, power, moves[-1])
            step = min(max(step * math.exp(2 * (taken - _TAKEN)), 0.01), 1.0)
            moves.append(Move(reference, None, share))
            draws, taken = noisy.moved(draws, power, moves[-1])
            share = min(max(share * math.exp(2 * (taken - _TAKEN)), 1e-3), 1.0)
            if made and _kept(begun.z, draws.z) < _FORGOTTEN:
                break
        levels.append(Level(power, tuple(moves)))
    return Plan(noisy.begin, tuple(levels)), draws


def _next_power(factor: Tensor, power: float) -> float:
    """The power at which half of the draws that are possible carry the weight; at most 1."""
    enough = 0.5 * float(factor.isfinite().sum())

    def carries(more: float) -> bool:
        return float(effective_size((more * factor)[None])) >= enough

    low, high = math.log(1e-12), math.log(1 - power)
    if carries(1 - power):
        return 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if carries(math.exp(middle)) else (low, middle)
    return power + math.exp(low)


def _kept(before: Tensor, after: Tensor) -> float:
    """How alike noise is to what it was, as the mean correlation over its numbers, in [0, 1]."""
    one, two = before.flatten(1), after[:, : before.shape[1]].flatten(1)
    one, two = one - one.mean(0), two - two.mean(0)
    scale = (one.square().mean(0) * two.square().mean(0)).sqrt()
    found = (one * two).mean(0)[scale > 0] / scale[scale > 0]
    return float(found.mean().clamp(0, 1)) if len(found) else 1.0


def tempered(
    law: ChainLaw,
    terms: Terms,
    steps: int | None,
    plan: Plan,
    sets: int,
    particles: int,
    seed: int,
) -> Tempered:
    """Weighted draws of a law given evidence, in independent sets, by a plan.

    Args:
        law: the process, without a context.
        terms: the evidence.
        steps: how many elements come; None where sequences end by themselves.
        plan: of `planned`, with another seed.
        sets: how many sets.
        particles: of each.
        seed: of the draws.
    """
    noisy = Noisy(law, terms, steps, seed, plan.begin)
    draws, before = noisy.fresh(sets * particles), 0.0
    log_evidence = torch.zeros(sets, dtype=torch.float64)
    parents: list[Tensor] = []
    alike: list[float] = []
    log_weights = torch.zeros((sets, particles), dtype=torch.float64)
    resampling = Uniforms(derived_seed(seed, 0), "resample")
    for number, level in enumerate(plan.levels):
        log_weights = ((level.power - before) * draws.factor).reshape(sets, particles)
        before = level.power
        mean = torch.logsumexp(log_weights, 1) - math.log(particles)
        log_evidence = log_evidence + mean
        log_weights = log_weights.masked_fill(~mean.isfinite()[:, None], 0.0)  # of no account
        if number < len(plan.levels) - 1:
            uniforms = resampling.block(torch.arange(sets), number, 1)
            picked = systematic(log_weights, uniforms, particles)
            parents = [*(one.gather(1, picked) for one in parents), picked]
            draws = draws.select((picked + torch.arange(sets)[:, None] * particles).flatten())
        begun = draws.z
        for move in level.moves:
            draws, _ = noisy.moved(draws, level.power, move)
        alike.append(_kept(begun, draws.z))
    shares = torch.log_softmax(log_weights, 1) + log_evidence[:, None]
    shares = torch.softmax(shares.flatten(), 0)
    far = (draws.z.flatten(1).abs() > FARTHEST).any(1)
    cloud = _cloud(draws, log_weights, log_evidence, steps)
    return Tempered(
        cloud, _size(shares.reshape(sets, -1), parents, alike), float(shares[far].sum())
    )


def _cloud(draws: Weighted, log_weights: Tensor, log_evidence: Tensor, steps: int | None) -> Cloud:
    sets, particles = log_weights.shape
    dead = ~log_evidence.isfinite()
    return Cloud(
        draws.x.unflatten(0, (sets, particles)), draws.lengths.view(sets, particles),
        draws.complete.view(sets, particles), log_weights, log_evidence,
        effective_size(log_weights), torch.arange(particles).repeat(sets, 1),
        torch.where(dead, steps or 0, -1),
    )  # fmt: skip


def _size(shares: Tensor, parents: list[Tensor], alike: list[float]) -> float:
    """How many independent draws weighted ones are worth that may have a common ancestor.

    Two that part at a level are as alike as the moves after it have left them: their correlation
    is the square of what one keeps of its noise.

    Args:
        shares: the weights, which sum to one, [E, P].
        parents: for each level but the last, which draw before it each comes of, [E, P].
        alike: what a draw keeps of its noise at each level.
    """
    variance, past = 0.0, 0.0
    for number, parent in enumerate(parents):
        correlation = math.prod(kept**2 for kept in alike[number:])
        together = torch.zeros_like(shares).scatter_add_(1, parent, shares)
        variance += (correlation - past) * float(together.square().sum())
        past = correlation
    return 1 / (variance + (1 - past) * float(shares.square().sum()))
