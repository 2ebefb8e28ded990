"""How surprising an element is beside what else its conditional holds possible.

With S = -log p(X | past) for X drawn from the conditional, an element's place is P(S > s) and
P(S = s) at its own surprisal s. If the model is right, P(S > s) + U P(S = s) is uniform and
independent of all places before, whatever the elements are: numbers, vectors, symbols, rows.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import distributions as td

from arproc.contract.randomness import Uniforms, derived_seed, resolve_seed
from arproc.distributions import as_categorical, cdf, from_uniform, to
from arproc.evaluation.terms import Reading
from arproc.evaluation.walk import Block, per_term

__all__ = ["Surprise", "surprise"]

#: Two surprisals nearer than this are one, nats.
_TIE = 1e-9


class Surprise(NamedTuple):
    """Of each term, float64 [terms]; NaN where an element is missing.

    Attributes:
        surprisal: -log p, nats.
        above: P(S > s).
        tie: P(S = s).
    """

    surprisal: np.ndarray
    above: np.ndarray
    tie: np.ndarray

    @property
    def p_values(self) -> np.ndarray:
        """P(S >= s): at most q with a chance of at most q, if the model is right."""
        return np.clip(self.above + self.tie, 0.0, 1.0)

    def uniform(self, seed: int) -> np.ndarray:
        """Places that are uniform if the model is right: ties broken at random."""
        u = np.random.default_rng(seed).random(len(self.above))
        return np.clip(self.above + u * self.tie, 0.0, 1.0)


def surprise(reading: Reading, draws: int, seed: int | torch.Generator | None) -> Surprise:
    """The surprise at each term.

    Args:
        reading: a process and its data.
        draws: how many elements are drawn from each conditional that has no closed form; places
            are then multiples of 1 / (draws + 1), and just as uniform.
        seed: of the draws.
    """
    number = resolve_seed(seed)

    def function(block: Block) -> torch.Tensor:
        conditionals = to(block.conditionals, dtype=torch.float64)
        x = block.x.double() if block.x.is_floating_point() else block.x
        gone = torch.isnan(x) if x.is_floating_point() else torch.zeros_like(x, dtype=torch.bool)
        gone = gone.reshape(*x.shape[:2], -1).all(-1)
        surprisal = -conditionals.log_prob(x)
        found = tail(conditionals, x)
        if found is None:
            found = _by_draws(conditionals, block, surprisal, draws, number)
        return torch.stack([surprisal, *found], dim=-1).masked_fill(gone[..., None], torch.nan)

    process, sequences, context = reading
    return Surprise(*per_term(process, sequences, context, function).numpy().T)


@singledispatch
def tail(distribution: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """P(S > s) and P(S = s) of x [*batch, *event]; None where there is no closed form."""
    del distribution, x
    return None


@tail.register(td.Normal)
@tail.register(td.Laplace)
@tail.register(td.StudentT)
def _(distribution: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The density falls with the distance from its centre, alike on both sides."""
    away = (x - distribution.loc).abs()
    both = 2 * cdf(distribution, distribution.loc - away)
    return both, torch.zeros_like(both)


@tail.register
def _(distribution: td.Independent, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Independent normals: the squared scores add up to a chi-squared number."""
    base = distribution.base_dist
    if not isinstance(base, td.Normal) or bool(torch.isnan(x).any()):
        return None
    z = ((x - base.loc) / base.scale).flatten(-distribution.reinterpreted_batch_ndims)
    return _chi_squared((z**2).sum(-1), z.shape[-1])


@tail.register
def _(
    distribution: td.MultivariateNormal, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor] | None:
    if bool(torch.isnan(x).any()):
        return None
    deviation = (x - distribution.loc)[..., None]
    z = torch.linalg.solve_triangular(distribution.scale_tril, deviation, upper=False)[..., 0]
    return _chi_squared((z**2).sum(-1), z.shape[-1])


def _chi_squared(squares: torch.Tensor, df: int) -> tuple[torch.Tensor, torch.Tensor]:
    half = torch.full_like(squares, df / 2)
    return torch.special.gammaincc(half, squares / 2), torch.zeros_like(squares)


@tail.register(td.Categorical)
@tail.register(td.Bernoulli)
def _(distribution: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    scores = torch.log_softmax(as_categorical(distribution).scores.double(), dim=-1)
    own = scores.gather(-1, x.long()[..., None])
    mass, rarer = scores.exp(), scores < own - _TIE
    as_rare = ~rarer & (scores <= own + _TIE)
    return (mass * rarer).sum(-1), (mass * as_rare).sum(-1)


def _by_draws(
    conditionals: Any, block: Block, surprisal: torch.Tensor, draws: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Among so many draws and the element itself, the shares that are rarer and as rare."""
    n, k = block.x.shape[:2]
    event = tuple(block.x.shape[2:])
    above, tie = torch.zeros(n, k, dtype=torch.float64), torch.ones(n, k, dtype=torch.float64)
    above, tie = above.to(surprisal.device), tie.to(surprisal.device)
    for number in range(draws):
        # every draw has a stream of its own; an element's depend on its row and place alone
        uniforms = Uniforms(derived_seed(seed, number)).block(
            block.rows, block.positions.cpu().numpy(), k, event
        )
        drawn = -conditionals.log_prob(from_uniform(conditionals, uniforms.to(block.x.device)))
        above += drawn > surprisal + _TIE
        tie += (drawn - surprisal).abs() <= _TIE
    return above / (draws + 1), tie / (draws + 1)
