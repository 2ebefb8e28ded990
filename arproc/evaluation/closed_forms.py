"""The CRPS of a conditional: closed forms where there are any, integrals elsewhere.

The forms are those of Jordan, Krüger and Lerch 2019, "Evaluating probabilistic forecasts with
scoringRules", appendix A, arranged so that they stay finite for large rates and many degrees of
freedom.
"""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from torch import distributions as td

from arproc.data.arrays import as_given
from arproc.distributions import Mixture, as_categorical, cdf
from arproc.evaluation.quadrature import between_levels, integrate

__all__ = ["scored"]

#: With more stops than this a negative binomial's closed form loses the tenth digit.
_MOST_STOPS = 1e4

Scored = tuple[torch.Tensor, torch.Tensor]


@singledispatch
def scored(distribution: Any, x: torch.Tensor) -> Scored:
    """The CRPS and its absolute numerical error, both [*batch]."""
    return integrate(distribution, x)


def _exact(value: torch.Tensor) -> Scored:
    return value, torch.zeros_like(value)


def _phi(z: torch.Tensor) -> torch.Tensor:
    return torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)


@scored.register
def _(distribution: td.Normal, x: torch.Tensor) -> Scored:
    z = (x - distribution.loc) / distribution.scale
    inner = z * (2 * torch.special.ndtr(z) - 1) + 2 * _phi(z) - 1 / math.sqrt(math.pi)
    return _exact(distribution.scale * inner)


@scored.register
def _(distribution: td.Laplace, x: torch.Tensor) -> Scored:
    z = (x - distribution.loc).abs() / distribution.scale
    return _exact(distribution.scale * (z + torch.exp(-z) - 0.75))


@scored.register
def _(distribution: td.StudentT, x: torch.Tensor) -> Scored:
    from scipy import special

    df = distribution.df.expand(x.shape)
    if bool((df <= 1).any()):  # E|X| is infinite, the integral is not
        return integrate(distribution, x)
    z = (x - distribution.loc) / distribution.scale
    unit = td.StudentT(df, torch.zeros_like(z), torch.ones_like(z), validate_args=False)
    # by log B, not differences of log gamma, which lose everything at many degrees of freedom
    v = df.cpu().numpy()
    half = np.asarray(special.betaln(0.5, v / 2))
    ratio = np.exp(special.betaln(0.5, v - 0.5) - 2 * half)
    spread = 2 * df.sqrt() / (df - 1) * torch.from_numpy(np.asarray(ratio)).to(df)
    density = torch.exp(-0.5 * (df + 1) * torch.log1p(z**2 / df) - torch.from_numpy(half).to(df))
    moment = density * (df + z**2) / (df.sqrt() * (df - 1))
    inner = z * (2 * cdf(unit, z) - 1) + 2 * moment - spread
    return _exact(distribution.scale * inner)


@scored.register
def _(distribution: td.MixtureSameFamily, x: torch.Tensor) -> Scored:
    parts = distribution.component_distribution
    if not isinstance(parts, td.Normal):
        return integrate(distribution, x)
    weights = distribution.mixture_distribution.probs
    return _exact(_of_normals(x, parts.loc, parts.scale, weights))


@scored.register
def _(distribution: Mixture, x: torch.Tensor) -> Scored:
    parts = distribution.components
    if not all(isinstance(part, td.Normal) for part in parts):
        return integrate(distribution, x)
    loc, scale = (
        torch.stack([getattr(part, name).expand(x.shape) for part in parts], dim=-1)
        for name in ("loc", "scale")
    )
    return _exact(_of_normals(x, loc, scale, distribution.weights))


def _of_normals(
    x: torch.Tensor, loc: torch.Tensor, scale: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """sum_k w_k A(x - m_k, s_k) - 1/2 sum_kl w_k w_l A(m_k - m_l, (s_k^2 + s_l^2)^(1/2)).

    A(m, s) = E|m + s Z|; Grimit, Gneiting, Berrocal and Johnson 2006, eq. 5.
    """
    value = (weights * _absolute(x[..., None] - loc, scale)).sum(-1)
    for k in range(loc.shape[-1]):  # one row at a time: no [K, K] array for each element
        apart = (loc[..., k, None] - loc, (scale[..., k, None] ** 2 + scale**2).sqrt())
        value = value - 0.5 * weights[..., k] * (weights * _absolute(*apart)).sum(-1)
    return value


def _absolute(m: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    z = m / s
    return m * (2 * torch.special.ndtr(z) - 1) + 2 * s * _phi(z)


@scored.register
def _(distribution: td.TransformedDistribution, x: torch.Tensor) -> Scored:
    """An affine map scales the score; other maps are integrated, the log-normal excepted."""
    base, transforms = distribution.base_dist, list(distribution.transforms)
    if not transforms:
        return scored(base, x)
    last = transforms[-1]
    inner = td.TransformedDistribution(base, transforms[:-1], validate_args=False)
    if isinstance(last, td.AffineTransform):
        scale = torch.as_tensor(last.scale, dtype=torch.float64, device=x.device)
        value, error = scored(inner, (x - last.loc) / scale)
        return scale.abs() * value, scale.abs() * error
    if isinstance(last, td.ExpTransform):
        normal = _as_normal(inner)
        if normal is not None:
            return _exact(_of_log_normal(x, *normal))
    return integrate(distribution, x)


def _as_normal(distribution: td.TransformedDistribution) -> tuple[Any, Any] | None:
    """The mean and the deviation of an affine map of a normal; None for anything else."""
    if not isinstance(distribution.base_dist, td.Normal):
        return None
    loc, scale = distribution.base_dist.loc, distribution.base_dist.scale
    for transform in distribution.transforms:
        if not isinstance(transform, td.AffineTransform):
            return None
        loc = transform.loc + transform.scale * loc
        scale = as_given(transform.scale).abs() * scale
    return loc, scale


def _of_log_normal(x: torch.Tensor, loc: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    ndtr = torch.special.ndtr
    z = (x.clamp(min=0).log() - loc) / scale
    tail = ndtr(z - scale) + ndtr(scale / math.sqrt(2)) - 1
    return x * (2 * ndtr(z) - 1) - 2 * torch.exp(loc + scale**2 / 2) * tail


@scored.register
def _(distribution: td.Poisson, x: torch.Tensor) -> Scored:
    from scipy import special

    rate = distribution.rate.expand(x.shape)
    below = cdf(distribution, x)
    mass = distribution.log_prob(x.floor()).exp().where(x >= 0, 0.0)
    # e^(-2m) (I_0(2m) + I_1(2m)), scaled so that it does not overflow
    m2 = 2 * rate.cpu().numpy()
    bessel = torch.from_numpy(np.asarray(special.i0e(m2) + special.i1e(m2))).to(rate)
    return _exact((x - rate) * (2 * below - 1) + 2 * rate * mass - rate * bessel)


@scored.register
def _(distribution: td.NegativeBinomial, x: torch.Tensor) -> Scored:
    """Y (2 F_r(y) - 1) - r (1 - p) / p^2 (p (2 F_{r+1}(y - 1) - 1) + h), p that of a stop.

    h is 2F1(r + 1, 1/2; 2; -4 (1 - p) / p^2). For numbers that are not whole, and for so many
    stops that these terms cancel, the score is summed.
    """
    from scipy import special

    r = distribution.total_count.expand(x.shape).double()
    ratio = torch.exp(distribution.logits.expand(x.shape).double())  # (1 - p) / p
    whole = bool(((x >= 0) & (x == x.floor())).all())
    z = -4 * ratio * (1 + ratio)
    gauss = special.hyp2f1((r + 1).cpu().numpy(), 0.5, 2.0, z.cpu().numpy())
    h = torch.from_numpy(np.asarray(gauss)).to(x)
    if not whole or bool((r > _MOST_STOPS).any()) or not bool(torch.isfinite(h).all()):
        return integrate(distribution, x)
    one_more = td.NegativeBinomial(r + 1, logits=distribution.logits, validate_args=False)
    before = cdf(one_more, x - 1)
    inner = (2 * before - 1) + (1 + ratio) * h  # of a p, which is 1 / (1 + ratio)
    return _exact(x * (2 * cdf(distribution, x) - 1) - r * ratio * inner)


@scored.register(td.Categorical)
@scored.register(td.Bernoulli)
def _(distribution: Any, x: torch.Tensor) -> Scored:
    """The integral over the ordered levels, and as far as x where it lies beyond them."""
    below = as_categorical(distribution).probs.cumsum(-1)[..., :-1]
    last = below.shape[-1]
    steps = between_levels(below, x[..., None] - torch.arange(last, device=x.device))
    return _exact(steps.sum(-1) + (-x).clamp(min=0) + (x - last).clamp(min=0))
