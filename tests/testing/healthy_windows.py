"""Small healthy processes of finite order, written by `window`, and their base; see `healthy`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import distributions as td

from arproc.contract.state import State
from arproc.data.vocabulary import Vocabulary
from arproc.distributions import Categorical
from arproc.process import Process
from arproc.spaces import (
    Binary,
    BinaryVector,
    Count,
    Ordinal,
    Positive,
    Real,
    RealVector,
    Space,
    UnitInterval,
)
from arproc.spaces import Categorical as Symbols


class Toy(Process):
    """Base: a space, an example to be "fitted" on, and parameters drawn from `seed`."""

    SPACE: ClassVar[Space]
    EXAMPLE: ClassVar[Any] = np.zeros(4)
    CONTEXT: ClassVar[Any] = None

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    @classmethod
    def made(cls, **params):
        return cls(**params).fit(cls.EXAMPLE, context=cls.CONTEXT)

    def _infer_space(self, data):
        return self.SPACE

    def _fit(self, sequences, *, validation, context):
        self._learn(torch.Generator().manual_seed(self.seed))

    def _learn(self, g):
        """Set what is learnt, from the generator g."""


def normal(g, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=g, dtype=dtype)


# ---- finite order: `window` ---------------------------------------------------------------------


class Chain(Toy):
    """A second-order Markov chain over three symbols, a stream."""

    SPACE = Symbols(symbols=3)
    padding = 3
    window_length = 2

    def _learn(self, g):
        self.scores_ = normal(g, 4, 4, 3)

    def window(self, ctx, position):
        return Categorical(self.scores_[ctx[..., 0], ctx[..., 1]])


class Sentences(Chain):
    """The chain, whose last symbol ends a sequence."""

    SPACE = Symbols(symbols=3, end_symbol=2)


class Letters(Chain):
    """The chain over text of three characters."""

    SPACE = Symbols(symbols=3, vocabulary=Vocabulary(("a", "b", "c"), "char"))
    EXAMPLE = ["abca", "bb"]


class Coin(Toy):
    """Zeros and ones that depend on the one before."""

    SPACE = Binary()
    window_length = 1

    def _learn(self, g):
        self.slope_ = float(normal(g, ()))

    def window(self, ctx, position):
        logits = self.slope_ * (2 * ctx[..., 0].double() - 1) + 0.3 * (position == 0)
        return td.Bernoulli(logits=logits, validate_args=False)


class Walk(Toy):
    """A stationary AR(1) with closed-form forecasts."""

    SPACE = Real()
    EXAMPLE = np.linspace(-1, 1, 8)
    window_length = 1
    phi = 0.8

    def window(self, ctx, position):
        first = (position == 0).double()
        mean = self.phi * ctx[..., 0]
        scale = torch.where(position == 0, (1 - self.phi**2) ** -0.5, 1.0).double()
        return td.Normal((1 - first) * mean, scale, validate_args=False)

    def _learn(self, g):
        self.fitted_ = True

    def _predictive(self, state, horizon):
        steps = torch.arange(1, horizon + 1, dtype=torch.float64)
        last = state.history.tail(1)
        started = (state.lengths > 0).double()[:, None]
        variance = (1 - self.phi ** (2 * steps)) / (1 - self.phi**2)
        stationary = 1 / (1 - self.phi**2)
        scale = (started * variance + (1 - started) * stationary).sqrt()
        return td.Normal(last * self.phi**steps * started, scale, validate_args=False)


class LinearWalk(Walk):
    """The walk with the joint normal law of its next elements."""

    def _joint(self, state, horizon):
        marginals = super()._predictive(state, horizon)
        steps = torch.arange(horizon)
        lag = steps[:, None] - steps
        factor = torch.where(lag >= 0, self.phi ** lag.clamp(min=0).double(), 0.0)
        factor = factor.expand(state.n, -1, -1).clone()
        factor[state.lengths == 0, :, 0] /= (1 - self.phi**2) ** 0.5
        return td.MultivariateNormal(marginals.mean, scale_tril=factor, validate_args=False)


class Noise(Toy):
    """Independent elements, so one that is missing says nothing of the others."""

    SPACE = Real()
    EXAMPLE = np.linspace(-1, 1, 8)
    takes_missing = True
    window_length = 0

    def window(self, ctx, position):
        loc = 0.1 * position.double()
        return td.Normal(loc, torch.ones_like(loc), validate_args=False)


class Gapped(Toy):
    """An AR(1) that takes missing values: the state is the mean and variance of the last one."""

    SPACE = Real()
    EXAMPLE = np.linspace(-1, 1, 8)
    takes_missing = True
    phi = 0.8

    def _start(self, n, context):
        mean = torch.zeros(n, dtype=torch.float64)
        return GappedState(mean, torch.full_like(mean, 1 / (1 - self.phi**2)))


class GappedState(State):
    """What is forecast of the next element: mean and variance [N]."""

    def __init__(self, mean, variance):
        self.mean, self.variance = mean, variance

    def _conditional(self):
        return td.Normal(self.mean, self.variance.sqrt(), validate_args=False)

    def known(self, x):
        """The mean and variance of an element after it was seen, or missed."""
        gone = torch.isnan(x)
        return torch.where(gone, self.mean, x), torch.where(gone, self.variance, 0.0)

    def _append(self, x):
        mean, variance = self.known(x)
        phi = self.process.phi
        return type(self)(phi * mean, phi**2 * variance + 1)


class Partial(Toy):
    """Vectors independent of each other, which may be observed in part."""

    SPACE = RealVector(dimension=2)
    EXAMPLE = np.zeros((4, 2))
    takes_missing = True
    window_length = 0

    def _learn(self, g):
        self.root_ = torch.tensor([[1.0, 0.0], [0.9, 0.6]], dtype=torch.float64)

    def window(self, ctx, position):
        loc = torch.zeros(*position.shape, 2, dtype=torch.float64)
        return td.MultivariateNormal(loc, scale_tril=self.root_, validate_args=False)

    def _log_prob_terms(self, sequences, context):
        x = sequences.values
        seen = ~torch.isnan(x)
        terms = x.new_zeros(len(x))
        for pattern in ([True, True], [True, False], [False, True]):
            rows = (seen == torch.tensor(pattern)).all(1)
            terms = terms.masked_scatter(rows, self.of_seen(x[rows], torch.tensor(pattern)))
        return terms

    def of_seen(self, x, seen):
        """The terms of vectors [n, 2] of which these components were seen."""
        covariance = (self.root_ @ self.root_.T)[seen][:, seen]
        mean = torch.zeros(len(covariance), dtype=torch.float64)
        return td.MultivariateNormal(mean, covariance, validate_args=False).log_prob(x[:, seen])


class Heavy(Walk):
    """Real elements with a conditional of two heavy-tailed parts, forecast by simulation."""

    def window(self, ctx, position):
        mean = 0.5 * ctx[..., 0, None]
        parts = td.StudentT(
            torch.full_like(mean, 3.0).expand(*mean.shape[:-1], 2),
            torch.cat([mean, mean + 2], dim=-1),
            torch.tensor([0.3, 1.0], dtype=mean.dtype),
            validate_args=False,
        )
        weights = Categorical(torch.zeros_like(parts.loc))
        return td.MixtureSameFamily(weights, parts, validate_args=False)

    def _predictive(self, state, horizon):
        return None


class Shares(Toy):
    """Numbers between 0 and 1, beta distributed about the logit of the one before."""

    SPACE = UnitInterval()
    EXAMPLE = np.full(4, 0.5)
    padding = 0.5
    window_length = 1

    def window(self, ctx, position):
        mean = torch.sigmoid(0.2 + 0.5 * torch.logit(ctx[..., 0]))
        return td.Beta(20 * mean, 20 * (1 - mean), validate_args=False)


class Durations(Toy):
    """Positive numbers, gamma distributed about the one before."""

    SPACE = Positive()
    EXAMPLE = np.ones(4)
    padding = 1.0
    window_length = 1

    def window(self, ctx, position):
        mean = 0.5 + 0.5 * ctx[..., 0]
        return td.Gamma(torch.full_like(mean, 0.7), 0.7 / mean, validate_args=False)


class Explosive(Toy):
    """An AR(2) with a unit root: no stationary start, so the law begins after two given values."""

    SPACE = Real()
    EXAMPLE = np.linspace(-1, 1, 8)
    window_length = 2
    n_given = 2

    def _learn(self, g):
        self.coef_ = torch.tensor([1.3, -0.3], dtype=torch.float64)

    def window(self, ctx, position):
        mean = ctx.flip(-1) @ self.coef_
        return td.Normal(mean, torch.full_like(mean, 0.5), validate_args=False)


class Regressed(Toy):
    """An AR(1) around a mean that a static context gives."""

    SPACE = Real()
    EXAMPLE = np.linspace(-1, 1, 8)
    CONTEXT = np.zeros((1, 2))
    context_kind = "static"
    window_length = 1

    def _learn(self, g):
        self.weights_ = normal(g, 2)

    def window(self, ctx, position, context):
        centre = (context.double() @ self.weights_)[:, None]
        return td.Normal(
            centre + 0.5 * ctx[..., 0], torch.ones_like(position).double(), validate_args=False
        )


class Driven(Toy):
    """Symbols driven by regressors of their own step."""

    SPACE = Symbols(symbols=3)
    EXAMPLE = np.zeros(4, dtype=int)
    CONTEXT = np.zeros((1, 4, 2))
    context_kind = "steps"
    window_length = 1

    def _learn(self, g):
        self.scores_, self.weights_ = normal(g, 3, 3), normal(g, 2, 3)

    def window(self, ctx, position, context):
        return Categorical(self.scores_[ctx[..., 0]] + context.double() @ self.weights_)


class Events(Toy):
    """Counts: Poisson with a rate that follows the count before."""

    SPACE = Count()
    EXAMPLE = np.arange(4)
    window_length = 1

    def _learn(self, g):
        self.base_ = 1.5

    def window(self, ctx, position):
        return td.Poisson(self.base_ + 0.4 * ctx[..., 0], validate_args=False)


class Levels(Toy):
    """Ordinal levels, too many to enumerate: a discretised bell around the level before."""

    SPACE = Ordinal(levels=64)
    window_length = 1

    def _learn(self, g):
        self.width_ = 9.0

    def window(self, ctx, position):
        levels = torch.arange(64)
        return Categorical(-0.5 * ((levels - ctx.double()) / self.width_) ** 2)


class Plane(Toy):
    """Vectors: a VAR(1)."""

    SPACE = RealVector(dimension=2)
    EXAMPLE = np.zeros((4, 2))
    window_length = 1

    def _learn(self, g):
        d = self.SPACE.dimension
        self.matrix_ = 0.3 * normal(g, d, d)
        self.root_ = (0.3 * normal(g, d, d)).tril(-1) + torch.eye(d, dtype=torch.float64)

    def window(self, ctx, position):
        mean = ctx[..., 0, :] @ self.matrix_.T
        root = self.root_.expand(*mean.shape, mean.shape[-1])
        return td.MultivariateNormal(mean, scale_tril=root, validate_args=False)


class Solid(Plane):
    """Vectors of three."""

    SPACE = RealVector(dimension=3)
    EXAMPLE = np.zeros((4, 3))


class Notes(Toy):
    """Vectors of zeros and ones, components independent given the past."""

    SPACE = BinaryVector(dimension=3)
    EXAMPLE = np.zeros((4, 3))
    window_length = 1

    def _learn(self, g):
        self.matrix_ = normal(g, 3, 3).float()

    def window(self, ctx, position):
        parts = td.Bernoulli(logits=ctx[..., 0, :] @ self.matrix_ - 0.2, validate_args=False)
        return td.Independent(parts, 1, validate_args=False)
