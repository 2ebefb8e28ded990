"""Right processes whose laws are unusual: without moments, with poles or zeros, of many symbols.

No check may refuse them. They stand apart from `healthy`, whose processes are tried by every check
in every run.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import distributions as td

from arproc.distributions import Categorical, Mixture
from arproc.spaces import Categorical as Symbols
from arproc.spaces import Count, Positive, Real, RealVector, UnitInterval

from .healthy_windows import Toy, normal


class _Line(Toy):
    """Numbers that depend on the one before."""

    SPACE = Real()
    EXAMPLE = np.linspace(-1, 1, 8)
    window_length = 1

    def before(self, ctx):
        return ctx.double()[..., 0]


class CauchyWalk(_Line):
    """Tails so heavy that there is no mean."""

    def window(self, ctx, position):
        place = torch.tanh(self.before(ctx))
        return td.Cauchy(place, torch.ones_like(place), validate_args=False)


class EdgeShares(_Line):
    """Shares whose density has a pole at 0 or at 1."""

    SPACE = UnitInterval()
    EXAMPLE = np.linspace(0.2, 0.8, 8)
    padding = 0.5

    def window(self, ctx, position):
        mean = 0.1 + 0.8 * self.before(ctx)
        return td.Beta(5 * mean, 5 * (1 - mean), validate_args=False)


class GammaWaits(_Line):
    """Durations."""

    SPACE = Positive()
    EXAMPLE = np.linspace(0.5, 2, 8)
    padding = 1.0

    def window(self, ctx, position):
        mean = 0.3 + 0.4 * self.before(ctx)
        return td.Gamma(torch.full_like(mean, 2.0), 2 / mean, validate_args=False)


class Steps(_Line):
    """A uniform law, whose density jumps."""

    def window(self, ctx, position):
        middle = 0.5 * torch.tanh(self.before(ctx))
        return td.Uniform(middle - 1, middle + 1, validate_args=False)


class TwoShapes(_Line):
    """A mixture of laws of two kinds."""

    def window(self, ctx, position):
        mean = 0.5 * self.before(ctx)
        one = torch.ones_like(mean)
        parts = [
            td.Normal(mean, one, validate_args=False),
            td.Laplace(mean, 0.5 * one, validate_args=False),
        ]
        return Mixture(parts, torch.stack([0.4 * one, 0.6 * one], -1).log())


class Clusters(Toy):
    """Vectors of a mixture of two clouds."""

    SPACE = RealVector(dimension=2)
    EXAMPLE = np.zeros((6, 2))
    window_length = 1

    def window(self, ctx, position):
        middle = torch.tanh(ctx.double()[..., 0, :])
        means = torch.stack([middle - 1, middle + 1], -2)
        clouds = td.Normal(means, torch.ones_like(means), validate_args=False)
        return td.MixtureSameFamily(
            td.Categorical(logits=means.sum(-1), validate_args=False),
            td.Independent(clouds, 1, validate_args=False),
            validate_args=False,
        )


class Waits(_Line):
    """Counts with a long tail."""

    SPACE = Count()
    EXAMPLE = np.arange(6)

    def window(self, ctx, position):
        mean = 1 + 0.5 * self.before(ctx).clamp(max=50)
        return td.Geometric(1 / (1 + mean), validate_args=False)


class Incomes(_Line):
    """Counts so large that nobody adds up all of their masses."""

    SPACE = Count()
    EXAMPLE = np.arange(6) * 100_000

    def window(self, ctx, position):
        mean = 1e6 + 0.5 * self.before(ctx).clamp(max=1e7)
        return td.NegativeBinomial(
            torch.full_like(mean, 2.0), logits=(mean / 2).log(), validate_args=False
        )


class Clockwork(Toy):
    """Three symbols in turn: each step is certain."""

    SPACE = Symbols(symbols=3)
    window_length = 1
    padding = 3

    def window(self, ctx, position):
        scores = torch.full((4, 3), -torch.inf, dtype=torch.float64)
        scores[torch.arange(4), (torch.arange(4) + 1) % 3] = 0.0
        return Categorical(scores[ctx[..., 0]])


class Gaps(Toy):
    """Symbols some of which can not follow others."""

    SPACE = Symbols(symbols=4)
    window_length = 1
    padding = 4

    def _learn(self, g):
        self.scores_ = normal(g, 5, 4)
        self.scores_[[0, 2, 2], [1, 0, 3]] = -torch.inf

    def window(self, ctx, position):
        return Categorical(self.scores_[ctx[..., 0]])


class Dictionary(Toy):
    """Three thousand symbols."""

    SPACE = Symbols(symbols=3000)
    window_length = 1
    padding = 3000

    def _learn(self, g):
        self.before_, self.after_ = normal(g, 3001, 4), normal(g, 4, 3000)

    def window(self, ctx, position):
        return Categorical(self.before_[ctx[..., 0]] @ self.after_)


class Tiring(Toy):
    """Sentences that end the sooner the longer they are."""

    SPACE = Symbols(symbols=4, end_symbol=3)
    EXAMPLE = np.array([0, 1, 2])
    window_length = 1
    padding = 4

    def _learn(self, g):
        self.scores_ = normal(g, 5, 4)

    def window(self, ctx, position):
        end = torch.tensor([0.0, 0.0, 0.0, 0.3], dtype=torch.float64)
        return Categorical(self.scores_[ctx[..., 0]] + position[..., None] * end)


UNUSUAL = (
    CauchyWalk, EdgeShares, GammaWaits, Steps, TwoShapes, Clusters, Waits, Incomes, Clockwork,
    Gaps, Dictionary, Tiring,
)  # fmt: skip
