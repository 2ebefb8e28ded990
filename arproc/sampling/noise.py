"""Draws as functions of normal noise, and moves of the noise that leave a tilted law as it is.

Every process draws by uniforms, so a whole draw is a function of independent standard normal
numbers z, whatever the process is. A law that is tilted by a factor of whole draws is then a law
of z, normal times that factor. It may be begun from any normal law of z, a learnt one, and Markov
chains of z lead from draw to draw: preconditioned Crank-Nicolson moves about a normal law that is
near to it (Cotter, Roberts, Stuart and White 2013; Rudolf and Sprungk 2018), and new values for a
stretch of steps.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from arproc.contract.law import ChainLaw
from arproc.contract.randomness import Uniforms, derived_seed
from arproc.sampling.evidence import Terms
from arproc.sampling.particles import Filter

__all__ = ["FARTHEST", "Move", "Noisy", "Reference", "Weighted", "fitted"]

#: Beyond so many standard deviations uniforms are too coarse to stand for noise.
FARTHEST = 7.5
#: How much noise a draw that ends by itself gets at a time.
_MORE = 16
#: How much wider a learnt law is made than its draws are.
_WIDER = 1.15
#: A uniform is this far from 0 and 1 at least.
_EDGE = 2.0**-53


class Reference(NamedTuple):
    """A normal law of noise, near to where the weight is; beyond its D numbers a standard one.

    Attributes:
        mean: [D].
        basis: orthonormal directions in which the spread is not one, [D, k].
        scale: the standard deviations in these, [k].
        spread: the standard deviation of each number, [D].
    """

    mean: Tensor
    basis: Tensor
    scale: Tensor
    spread: Tensor

    def spread_out(self, z: Tensor) -> Tensor:
        """Standard noise [R, D] as noise of this law about its mean."""
        return z + (z @ self.basis * (self.scale - 1)) @ self.basis.mT

    def log_ratio(self, z: Tensor) -> Tensor:
        """Log of this law's density over the standard one, of noise [R, D and more], [R]."""
        z = z[:, : len(self.mean)]
        away = z - self.mean
        along = away @ self.basis
        quadratic = away.square().sum(1) + (along.square() * (self.scale**-2 - 1)).sum(1)
        return 0.5 * (z.square().sum(1) - quadratic) - self.scale.log().sum()

    def over(self, count: int) -> Reference:
        """The same of more numbers."""
        more = count - len(self.mean)
        pad = torch.nn.functional.pad
        basis = pad(self.basis, (0, 0, 0, more))
        return Reference(
            pad(self.mean, (0, more)), basis, self.scale, pad(self.spread, (0, more), value=1.0)
        )


class Move(NamedTuple):
    """A move of all noise by a step, or of a stretch of it to new values.

    Attributes:
        reference: the law that the move leaves as it is.
        step: in (0, 1], 1 for new values of all; None for a stretch.
        share: how much of a draw the stretch is.
    """

    reference: Reference
    step: float | None
    share: float = 1.0


class Weighted(NamedTuple):
    """Draws, the noise that they are made of, and the logarithm of the factor of each.

    The law that is wanted is the standard normal one of the noise times exp(base + factor).

    Attributes:
        z: the noise, float64 [R, S, *event].
        x: the elements, [R, T, *event], zeros beyond a draw's length.
        lengths: int64 [R].
        complete: whether each came to an end by itself, bool [R].
        base: log density of the law that the draws begin with over that of standard noise, [R].
        factor: what the evidence says, less `base`, nats, float64 [R].
    """

    z: Tensor
    x: Tensor
    lengths: Tensor
    complete: Tensor
    base: Tensor
    factor: Tensor

    def select(self, rows: Tensor) -> Weighted:
        return Weighted(*(part[rows.to(part.device)] for part in self))

    def where(self, taken: Tensor, other: Weighted) -> Weighted:
        """The other draws where they are taken, bool [R]."""
        return Weighted(*(_choose(taken, b, a) for a, b in zip(self, other, strict=True)))


def _choose(taken: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    if yes.ndim > 1 and yes.shape[1] != no.shape[1]:  # elements beyond the ends are zeros
        width = max(yes.shape[1], no.shape[1])
        yes, no = (_wider(part, width) for part in (yes, no))
    return torch.where(taken.to(yes.device).view(-1, *[1] * (yes.ndim - 1)), yes, no)


def _wider(x: Tensor, width: int) -> Tensor:
    return torch.cat([x, x.new_zeros((len(x), width - x.shape[1], *x.shape[2:]))], dim=1)


class _Given(Uniforms):
    """Uniforms that are given as noise, [R, S, *event]; what is asked beyond is new."""

    def __init__(self, z: Tensor, first: int, noisy: Noisy) -> None:
        self.z, self.first, self.noisy = z, first, noisy

    def block(
        self, rows: Any, start: Any, count: int, event_shape: tuple[int, ...] = ()
    ) -> Tensor:
        begin = int(start[0]) - self.first
        self.z = self.noisy.enough(self.z, begin + count)
        u = torch.special.ndtr(self.z[:, begin : begin + count])
        return u.clamp(_EDGE, 1 - _EDGE)


class Noisy:
    """Draws of a law by noise, with what evidence says of each.

    Args:
        law: the law, without a context.
        terms: the evidence.
        steps: how many elements come; None where sequences end by themselves.
        seed: of all noise.
        begin: the law of noise to begin with; None is the standard one, that of the process.
    """

    def __init__(
        self,
        law: ChainLaw,
        terms: Terms,
        steps: int | None,
        seed: int,
        begin: Reference | None = None,
    ) -> None:
        self.law, self.terms, self.steps, self.seed = law, terms, steps, seed
        self.begin = begin
        self.asked = 0

    def uniform(self, rows: int, count: int, shape: tuple[int, ...] = ()) -> Tensor:
        """New uniforms [rows, count, *shape]."""
        self.asked += 1
        found = Uniforms(derived_seed(self.seed, self.asked))
        return found.block(torch.arange(rows), 0, count, shape)

    def enough(self, z: Tensor, count: int) -> Tensor:
        """Noise of so many steps at least: what is missing is new."""
        more = count - z.shape[1]
        if more <= 0:
            return z
        if self.steps is None:
            more = max(more, _MORE)
        new = torch.special.ndtri(self.uniform(len(z), more, tuple(z.shape[2:])))
        return torch.cat([z, new], dim=1)

    def fresh(self, rows: int) -> Weighted:
        """Draws to begin with."""
        shape = self.law.space.event_shape
        z = torch.zeros((rows, 0, *shape), dtype=torch.float64)
        least = 0 if self.begin is None else len(self.begin.mean) // math.prod(shape)
        z = self.enough(z, max(self.steps or _MORE, least))
        if self.begin is not None:
            flat, begin = z.flatten(1), self.begin.over(z[0].numel())
            z = (begin.mean + begin.spread_out(flat)).reshape(z.shape)
        return self.drawn(z)

    def drawn(self, z: Tensor) -> Weighted:
        """The draws that noise stands for."""
        state = self.law.fresh(1, None)
        given = _Given(z, int(state.positions[0]), self)
        cloud = Filter(state, self.terms, self.steps, len(z), given, None).run()
        if int(cloud.died[0]) >= 0:
            factor = torch.full((len(z),), -math.inf, dtype=torch.float64)
        else:  # what is known from the start on is told apart
            mean = torch.logsumexp(cloud.log_weights, 1) - math.log(len(z))
            factor = (cloud.log_weights + (cloud.log_evidence - mean)[:, None])[0]
        base = torch.zeros_like(factor)
        if self.begin is not None:
            base = self.begin.log_ratio(given.z.flatten(1))
        told = cloud.x[0], cloud.lengths[0], cloud.complete[0]
        return Weighted(given.z, *told, base, factor - base)

    def moved(self, draws: Weighted, power: float, move: Move) -> tuple[Weighted, float]:
        """Draws after one move that leaves the law at a power of the factor as it is.

        Returns:
            The draws, and how many of the proposals were taken, as a share.
        """
        z = draws.z.flatten(1)
        reference = move.reference.over(z.shape[1])
        change = self._stepped if move.step is not None else self._stretched
        other = self.drawn(change(z, draws.z.shape[1], reference, move).reshape(draws.z.shape))
        same = other.z[:, : draws.z.shape[1]].flatten(1)
        log_odds = power * (other.factor - draws.factor) + other.base - draws.base
        log_odds = log_odds + _excess(same, reference, move) - _excess(z, reference, move)
        taken = self.uniform(len(z), 1)[:, 0].log() < log_odds  # never where it is NaN
        here = draws._replace(z=self.enough(draws.z, other.z.shape[1]))
        return here.where(taken, other), float(taken.double().mean())

    def _stepped(self, z: Tensor, steps: int, reference: Reference, move: Move) -> Tensor:
        """A Crank-Nicolson step of all noise [R, D]."""
        size = move.step or 1.0
        new = reference.spread_out(torch.special.ndtri(self.uniform(len(z), z.shape[1])))
        return reference.mean + math.sqrt(1 - size**2) * (z - reference.mean) + size * new

    def _stretched(self, z: Tensor, steps: int, reference: Reference, move: Move) -> Tensor:
        """New values for a stretch of steps, which begins anywhere."""
        width = min(max(1, round(move.share * steps)), steps)
        begin = (self.uniform(len(z), 1) * (steps - width + 1)).floor()
        at = torch.arange(z.shape[1]) // max(z.shape[1] // max(steps, 1), 1)
        inside = (at >= begin) & (at < begin + width)
        new = torch.special.ndtri(self.uniform(len(z), z.shape[1]))
        return torch.where(inside, reference.mean + reference.spread * new, z)


def _excess(z: Tensor, reference: Reference, move: Move) -> Tensor:
    """Log of the standard normal density over that of a move's reference, but for a constant."""
    if move.step is not None:
        return -reference.log_ratio(z)
    away = (z - reference.mean) / reference.spread
    return 0.5 * (away.square().sum(1) - z.square().sum(1))


def fitted(z: Tensor, weights: Tensor) -> Reference:
    """A reference law near to weighted noise, [R, D]; without what may be chance.

    Directions are kept whose variance no sample of standard normal noise of this size would have
    (Marchenko and Pastur 1967), and means are shrunk by their standard errors. It is made a little
    wider than it seems: what is begun or moved by a law whose tails are too thin comes to rest on
    few draws.

    Args:
        z: the noise.
        weights: which sum to one, [R].
    """
    count = float(1 / weights.square().sum())
    mean = weights @ z
    away = (z - mean) * weights.sqrt()[:, None]
    variance = away.square().sum(0)
    _, singular, basis = torch.linalg.svd(away, full_matrices=False)
    share = math.sqrt(z.shape[1] / count)
    found = singular.square()
    kept = found > (1 + share) ** 2
    if share < 1:
        kept |= (found < (1 - share) ** 2) & (found > 1e-10)
    along, noise = basis[kept].mT, 2 * variance / count
    inside = along @ (along.mT @ mean)
    rest = (mean - inside) * (1 - noise / (mean - inside).square().clamp(min=1e-300)).clamp(min=0)
    mean = inside + rest - along @ (along.mT @ rest)  # a thin direction is not left
    scale = (_WIDER * singular[kept]).clamp(1e-4, 10.0)
    return Reference(mean, along, scale, (_WIDER * variance.sqrt()).clamp(0.1, 1.5))
