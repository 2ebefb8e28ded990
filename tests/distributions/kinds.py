"""Every kind of scalar conditional, beside scipy's of the same law."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import distributions as td

from arproc import distributions as ad


@dataclass(frozen=True)
class Kind:
    """A conditional of batch shape [3], and scipy's frozen law of each of the three."""

    build: Callable[[torch.dtype], td.Distribution]
    reference: Callable[[], list[Any]]
    discrete: bool = False


def t(*values: float) -> Callable[[torch.dtype], torch.Tensor]:
    return lambda dtype: torch.tensor(values, dtype=dtype)


LOC, SCALE, DF = (-1.0, 0.0, 30.0), (0.5, 1.0, 20.0), (1.0, 3.5, 200.0)
RATE, TOTAL, LOGITS = (0.3, 4.0, 250.0), (0.7, 5.0, 40.0), (-2.0, 0.0, 3.0)
SCORES = ((0.0, 1.0, -np.inf, 2.0), (-np.inf, 0.0, 0.0, -np.inf), (5.0, 5.0, 5.0, 5.0))
WEIGHTS = ((0.2, 0.8), (0.5, 0.5), (1e-4, 1 - 1e-4))


def probs(scores: Any) -> np.ndarray:
    e = np.exp(np.asarray(scores) - np.max(scores))
    return e / e.sum()


def exponential(dtype: torch.dtype) -> td.Distribution:
    return td.Exponential(t(*RATE)(dtype), validate_args=False)


def two_normals(dtype: torch.dtype) -> td.Distribution:
    loc = torch.stack([t(*LOC)(dtype), t(*SCALE)(dtype)], -1)
    scale = torch.stack([t(*SCALE)(dtype), t(*DF)(dtype)], -1)
    weights = td.Categorical(logits=torch.tensor(WEIGHTS, dtype=dtype).log(), validate_args=False)
    return td.MixtureSameFamily(weights, td.Normal(loc, scale), validate_args=False)


def two_poissons(dtype: torch.dtype) -> td.Distribution:
    rates = torch.stack([t(*RATE)(dtype), t(*TOTAL)(dtype)], -1)
    weights = td.Categorical(logits=torch.tensor(WEIGHTS, dtype=dtype).log(), validate_args=False)
    return td.MixtureSameFamily(weights, td.Poisson(rates), validate_args=False)


def whole_mixture(dtype: torch.dtype) -> td.Distribution:
    below = whole_logistics(-np.inf)(dtype)
    one, scale = t(*RATE)(dtype)[:, None], t(*SCALE)(dtype)[:, None]
    other = ad.DiscretisedLogisticMixture(one, -one, scale.log(), np.inf, -np.inf)
    return ad.Mixture([below, other], t(0.6, 0.4)(dtype).log())


def normal_and_t(dtype: torch.dtype) -> td.Distribution:
    parts = [
        td.Normal(t(*LOC)(dtype), t(*SCALE)(dtype)),
        td.StudentT(t(*DF)(dtype), t(*LOC)(dtype)),
    ]
    return ad.Mixture(parts, torch.tensor(WEIGHTS, dtype=dtype).log())


def counts_mixture(dtype: torch.dtype) -> td.Distribution:
    parts = [
        td.Poisson(t(*RATE)(dtype)),
        td.NegativeBinomial(t(*TOTAL)(dtype), logits=t(*LOGITS)(dtype)),
    ]
    return ad.Mixture(parts, torch.tensor([0.3, 0.7], dtype=dtype).log())


def whole_logistics(lowest: float) -> Callable[[torch.dtype], td.Distribution]:
    """A mixture of two logistics over whole numbers without an upper end."""

    def build(dtype: torch.dtype) -> td.Distribution:
        loc = torch.stack([t(*LOC)(dtype), t(*SCALE)(dtype)], -1)
        scale = torch.stack([t(*SCALE)(dtype), t(*DF)(dtype)], -1)
        weights = torch.tensor(WEIGHTS, dtype=dtype).log()
        return ad.DiscretisedLogisticMixture(weights, loc, scale.log(), np.inf, lowest)

    return build


class WholeLogistics:
    """The same of one row, by scipy's logistic."""

    def __init__(self, lowest: float, m: float, s: float, u: float, w: Any) -> None:
        self.lowest, self.weights = lowest, w
        self.parts = stats.logistic(m, s), stats.logistic(s, u)

    def cdf(self, x: Any) -> Any:
        below = sum(w * p.cdf(x + 0.5) for p, w in zip(self.parts, self.weights, strict=True))
        return np.where(x < self.lowest, 0.0, below)

    def density(self, x: Any) -> Any:
        return self.cdf(x) - self.cdf(x - 1)


class Mixed:
    """scipy's mixture of frozen laws."""

    def __init__(self, parts: list[Any], weights: Any) -> None:
        self.parts, self.weights = parts, weights

    def cdf(self, x: Any) -> Any:
        return sum(w * part.cdf(x) for part, w in zip(self.parts, self.weights, strict=True))

    def density(self, x: Any) -> Any:
        one = [density(part, x) for part in self.parts]
        return sum(w * value for w, value in zip(self.weights, one, strict=True))


def rows(build: Callable[..., Any], *parameters: Any) -> Callable[[], list[Any]]:
    return lambda: [build(*row) for row in zip(*parameters, strict=True)]


def sigmoid(x: float) -> float:
    return 1 / (1 + np.exp(-x))


def negative_binomial(r: float, logit: float) -> Any:
    return stats.nbinom(r, sigmoid(-logit))


KINDS: dict[str, Kind] = {
    "Normal": Kind(
        lambda d: td.Normal(t(*LOC)(d), t(*SCALE)(d)), rows(stats.norm, LOC, SCALE)
    ),
    "StudentT": Kind(
        lambda d: td.StudentT(t(*DF)(d), t(*LOC)(d), t(*SCALE)(d)), rows(stats.t, DF, LOC, SCALE)
    ),
    "Laplace": Kind(
        lambda d: td.Laplace(t(*LOC)(d), t(*SCALE)(d)), rows(stats.laplace, LOC, SCALE)
    ),
    "Logistic": Kind(
        lambda d: ad.Logistic(t(*LOC)(d), t(*SCALE)(d)), rows(stats.logistic, LOC, SCALE)
    ),
    "Exponential": Kind(
        lambda d: exponential(d), rows(lambda r: stats.expon(scale=1 / r), RATE)
    ),
    "LogNormal": Kind(
        lambda d: td.LogNormal(t(*LOC)(d) / 10, t(*SCALE)(d) / 10),
        rows(lambda m, s: stats.lognorm(s / 10, scale=np.exp(m / 10)), LOC, SCALE),
    ),
    "Flipped": Kind(
        lambda d: td.TransformedDistribution(
            exponential(d), [td.AffineTransform(t(*LOC)(d), -t(*SCALE)(d))]
        ),
        rows(lambda r, m, s: _Flipped(stats.expon(scale=1 / r), m, s), RATE, LOC, SCALE),
    ),
    "Poisson": Kind(lambda d: td.Poisson(t(*RATE)(d)), rows(stats.poisson, RATE), True),
    "NegativeBinomial": Kind(
        lambda d: td.NegativeBinomial(t(*TOTAL)(d), logits=t(*LOGITS)(d)),
        rows(negative_binomial, TOTAL, LOGITS),
        True,
    ),
    "Geometric": Kind(
        lambda d: td.Geometric(logits=t(*LOGITS)(d)),
        rows(lambda z: stats.geom(sigmoid(z), loc=-1), LOGITS),
        True,
    ),
    "Binomial": Kind(
        lambda d: td.Binomial(t(1.0, 5.0, 40.0)(d), logits=t(*LOGITS)(d)),
        rows(lambda n, z: stats.binom(n, sigmoid(z)), (1, 5, 40), LOGITS),
        True,
    ),
    "Bernoulli": Kind(
        lambda d: td.Bernoulli(logits=t(*LOGITS)(d)),
        rows(lambda z: stats.bernoulli(sigmoid(z)), LOGITS),
        True,
    ),
    "torch Categorical": Kind(
        lambda d: td.Categorical(logits=torch.tensor(SCORES, dtype=d), validate_args=False),
        rows(lambda s: stats.rv_discrete(values=(range(4), probs(s))), SCORES),
        True,
    ),
    "Categorical": Kind(
        lambda d: ad.Categorical(torch.tensor(SCORES, dtype=d)),
        rows(lambda s: stats.rv_discrete(values=(range(4), probs(s))), SCORES),
        True,
    ),
    "MixtureSameFamily": Kind(
        two_normals,
        rows(
            lambda m, s, u, w: Mixed([stats.norm(m, s), stats.norm(s, u)], w),
            LOC, SCALE, DF, WEIGHTS,
        ),
    ),
    "MixtureSameFamily of counts": Kind(
        two_poissons,
        rows(
            lambda a, b, w: Mixed([stats.poisson(a), stats.poisson(b)], w), RATE, TOTAL, WEIGHTS
        ),
        True,
    ),
    "counts of logistics": Kind(
        whole_logistics(0),
        rows(lambda *row: WholeLogistics(0, *row), LOC, SCALE, DF, WEIGHTS),
        True,
    ),
    "Mixture of whole numbers": Kind(
        whole_mixture,
        rows(
            lambda m, s, u, w, r: Mixed(
                [
                    WholeLogistics(-np.inf, m, s, u, w),
                    WholeLogistics(-np.inf, -r, s, 1.0, (1.0, 0.0)),
                ],
                (0.6, 0.4),
            ),
            LOC, SCALE, DF, WEIGHTS, RATE,
        ),
        True,
    ),
    "whole numbers of logistics": Kind(
        whole_logistics(-np.inf),
        rows(lambda *row: WholeLogistics(-np.inf, *row), LOC, SCALE, DF, WEIGHTS),
        True,
    ),
    "Mixture": Kind(
        normal_and_t,
        rows(
            lambda m, s, v, w: Mixed([stats.norm(m, s), stats.t(v, m)], w), LOC, SCALE, DF, WEIGHTS
        ),
    ),
    "Mixture of counts": Kind(
        counts_mixture,
        rows(
            lambda a, r, z: Mixed([stats.poisson(a), negative_binomial(r, z)], (0.3, 0.7)),
            RATE, TOTAL, LOGITS,
        ),
        True,
    ),
}  # fmt: skip


class _Flipped:
    """loc - scale * X of a frozen continuous law X."""

    def __init__(self, inner: Any, loc: float, scale: float) -> None:
        self.inner, self.loc, self.scale = inner, loc, scale

    def cdf(self, x: Any) -> Any:
        return self.inner.sf((self.loc - x) / self.scale)

    def density(self, x: Any) -> Any:
        return self.inner.pdf((self.loc - x) / self.scale) / self.scale


def density(law: Any, x: np.ndarray) -> np.ndarray:
    """The mass or density of scipy's law at x."""
    for name in ("density", "pmf", "pdf"):
        if hasattr(law, name) and (name != "pmf" or hasattr(getattr(law, "dist", law), "_pmf")):
            return getattr(law, name)(x)
    raise TypeError(law)
