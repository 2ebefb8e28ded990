"""Small processes with known laws, for the tests of evaluation and of pictures."""

from __future__ import annotations

import torch
from torch import distributions as td

from arproc import Process
from arproc.data.vocabulary import Vocabulary
from arproc.distributions import Categorical
from arproc.process.written import WholeModel
from arproc.spaces import Categorical as CategoricalSpace
from arproc.spaces import Count, Real, RealVector


class Ready(Process):
    """A process that needs no fitting."""

    def _infer_space(self, data):
        return self.space_

    def _fit(self, sequences, *, validation, context):
        pass


class GaussianAR(Ready):
    """x_t = coef x_{t-1} + scale e_t, begun in its stationary law, or after one given value."""

    window_length = 1

    def __init__(self, coef=0.5, scale=1.0, given=0):
        self.coef, self.scale, self.given = coef, scale, given
        self.space_ = Real()

    @property
    def n_given(self):
        return self.given

    def window(self, ctx, position):
        begin = position == 0
        loc = torch.where(begin, 0.0, self.coef * ctx[..., -1])
        start = self.scale / (1 - self.coef**2) ** 0.5
        scale = torch.full_like(loc, self.scale).masked_fill(begin, start)
        return td.Normal(loc, scale, validate_args=False)


class Steps(GaussianAR):
    """The same with a mean that the context gives step by step."""

    context_kind = "steps"

    def window(self, ctx, position, context=None):
        return td.Normal(context[..., 0], self.scale, validate_args=False)


class Chain(Ready):
    """A Markov chain: row i of `matrix` is the law after symbol i, `start` that of the first."""

    window_length = 1

    def __init__(self, matrix, start=None, vocabulary=None, end=False, length=None):
        matrix = torch.as_tensor(matrix, dtype=torch.float64)
        self.matrix, self.start_law = matrix, matrix[0] if start is None else torch.tensor(start)
        size = matrix.shape[1]
        self.space_ = CategoricalSpace(size, vocabulary, size - 1 if end else None, length=length)

    def window(self, ctx, position):
        rows = self.matrix[ctx[..., -1].clamp(max=len(self.matrix) - 1)]
        probs = torch.where((position == 0)[..., None], self.start_law.double(), rows)
        return Categorical(probs.log())


def unigram(vocabulary, end=False, weights=None):
    """Independent symbols of a vocabulary, all equally probable by default."""
    size = len(vocabulary) + end
    weights = torch.ones(size) if weights is None else torch.as_tensor(weights)
    return Chain((weights / weights.sum()).double().expand(size, size), None, vocabulary, end)


BYTES = Vocabulary.of_bytes()
CHARS = Vocabulary.build("abcdefghijklmnopqrstuvwxyz é日.", "char")


class PoissonAR(Ready):
    """Counts with mean base + coef x_{t-1}."""

    window_length = 1

    def __init__(self, base=1.0, coef=0.5):
        self.base, self.coef = base, coef
        self.space_ = Count()

    def window(self, ctx, position):
        return td.Poisson(self.base + self.coef * ctx[..., -1], validate_args=False)


class CorrelatedPairs(Ready):
    """Independent vectors of two correlated normals."""

    window_length = 0

    def __init__(self, covariance=((2.0, 0.9), (0.9, 1.0))):
        self.covariance = covariance
        self.space_ = RealVector(dimension=2)

    def window(self, ctx, position):
        tril = torch.linalg.cholesky(torch.tensor(self.covariance, dtype=torch.float64))
        loc = torch.tensor([1.0, -1.0], dtype=torch.float64)
        shape = position.shape
        return td.MultivariateNormal(
            loc.expand(*shape, 2), scale_tril=tril.expand(*shape, 2, 2), validate_args=False
        )


class MeanShift(WholeModel):
    """No conditionals: a mixture of two whole-sequence laws, independent normals around +-1."""

    no_conditional = "it is a mixture of whole sequences"

    def __init__(self):
        self.space_ = Real(length=3)

    def _fit(self, sequences, *, validation, context):
        pass

    def _log_prob(self, sequences, context):
        x, _ = sequences.padded()
        parts = [td.Normal(mean, 1.0).log_prob(x).sum(1) for mean in (-1.0, 1.0)]
        return torch.logsumexp(torch.stack(parts), dim=0) - torch.log(torch.tensor(2.0))

    def sample(self, n=1, *args, seed=None, **kwargs):
        raise NotImplementedError
