"""Distribution functions and quantiles of every scalar conditional."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch
from typing import Any

import torch
from torch import distributions as td

from arproc.distributions.categorical import as_categorical
from arproc.distributions.mixture import Mixture
from arproc.distributions.shape import to
from arproc.errors import UnsupportedError

__all__ = ["atom", "cdf", "quantile"]


def _unsupported(what: str, distribution: td.Distribution) -> UnsupportedError:
    return UnsupportedError(
        f"arproc knows no {what} for {type(distribution).__name__}; register one with "
        f"arproc.distributions.{what.split()[0]}.register."
    )


# ---- distribution functions ---------------------------------------------------------------


@singledispatch
def cdf(distribution: Any, x: torch.Tensor) -> torch.Tensor:
    """P(X <= x) of a scalar conditional, of the batch shape and that of x broadcast.

    Differentiable in x, and in the parameters where torch's own is.

    Example:
        >>> cdf(td.Poisson(torch.tensor(2.0)), torch.tensor(0.0))
        tensor(0.1353)
    """
    try:
        # outside of the support torch's formulas leave [0, 1]
        return distribution.cdf(x).clamp(0, 1)
    except NotImplementedError:
        raise _unsupported("cdf", distribution) from None


@cdf.register
def _(distribution: td.Normal, x: torch.Tensor) -> torch.Tensor:
    # torch's ndtr is by erf, which has no digits left in the lower tail
    return 0.5 * torch.erfc((distribution.loc - x) / distribution.scale * math.sqrt(0.5))


@cdf.register
def _(distribution: td.Laplace, x: torch.Tensor) -> torch.Tensor:
    # torch's own has no digits left in the lower tail
    z = (x - distribution.loc) / distribution.scale
    half = 0.5 * torch.exp(-z.abs())
    return torch.where(z < 0, half, 1 - half)


@cdf.register
def _(distribution: td.Categorical, x: torch.Tensor) -> torch.Tensor:
    cumulated = _cumulated(distribution)
    last = cumulated.shape[-1] - 1
    shape = torch.broadcast_shapes(x.shape, cumulated.shape[:-1])
    x, cumulated = x.expand(shape), cumulated.expand(*shape, last + 1)
    value = cumulated.gather(-1, x.floor().clamp(0, last).long()[..., None])[..., 0]
    return torch.where(x < 0, 0.0, value).to(_dtype(as_categorical(distribution).scores, x))


def _cumulated(distribution: td.Categorical) -> torch.Tensor:
    """The distribution function at 0 ... K-1, float64, exactly one from the last possible on."""
    cumulated = torch.softmax(as_categorical(distribution).scores.double(), dim=-1).cumsum(-1)
    return cumulated / cumulated[..., -1:]


@cdf.register
def _(distribution: td.Bernoulli, x: torch.Tensor) -> torch.Tensor:
    zero = torch.sigmoid(-distribution.logits.to(_dtype(distribution.logits, x)))
    return torch.where(x < 0, 0.0, torch.where(x < 1, zero, 1.0))


@cdf.register
def _(distribution: td.Poisson, x: torch.Tensor) -> torch.Tensor:
    k, rate = torch.broadcast_tensors(
        x.floor().to(_dtype(distribution.rate, x)), distribution.rate
    )
    inside = torch.special.gammaincc(k.clamp(min=0) + 1, rate)
    return torch.where(k < 0, 0.0, inside)


@cdf.register
def _(distribution: td.Geometric, x: torch.Tensor) -> torch.Tensor:
    # the number of failures: P(X > k) = (1 - p)^(k + 1), by the logarithm of 1 - p
    log_failure = torch.nn.functional.logsigmoid(-distribution.logits)
    k = x.floor().to(_dtype(log_failure, x))
    return torch.where(k < 0, 0.0, -torch.expm1(log_failure * (k.clamp(min=0) + 1)))


@cdf.register
def _(distribution: td.Binomial, x: torch.Tensor) -> torch.Tensor:
    from scipy import special

    # P(X <= k) = I_{1-p}(n - k, k + 1), and one from k = n on
    n, k = distribution.total_count, x.floor().clamp(min=0)
    fails = torch.sigmoid(-distribution.logits.double())
    inside = _by_numpy(special.betainc, (n - k).clamp(min=1e-300), k + 1, fails)
    inside = torch.where(k >= n, 1.0, inside)
    return torch.where(x < 0, 0.0, inside.to(_dtype(distribution.logits, x)))


@cdf.register
def _(distribution: td.NegativeBinomial, x: torch.Tensor) -> torch.Tensor:
    from scipy import special

    # torch's probs is the probability of one more count: P(X <= k) = I_{1-probs}(r, k + 1)
    k, stops = x.floor().clamp(min=0), torch.sigmoid(-distribution.logits.double())
    inside = _by_numpy(special.betainc, distribution.total_count, k + 1, stops)
    return torch.where(x < 0, 0.0, inside.to(_dtype(distribution.logits, x)))


@cdf.register
def _(distribution: td.StudentT, x: torch.Tensor) -> torch.Tensor:
    from scipy import special

    z = (x - distribution.loc) / distribution.scale
    value = _by_numpy(special.stdtr, distribution.df, z).to(z)
    if not z.requires_grad:
        return value
    # the value is scipy's, the slope in z the density
    unit = td.StudentT(distribution.df, validate_args=False)
    return value + unit.log_prob(z).exp().detach() * (z - z.detach())


@cdf.register
def _(distribution: td.Beta, x: torch.Tensor) -> torch.Tensor:
    from scipy import special

    a, b = distribution.concentration1, distribution.concentration0
    return _by_numpy(special.betainc, a, b, x.clamp(0, 1)).to(_dtype(a, x))


@cdf.register
def _(distribution: Mixture, x: torch.Tensor) -> torch.Tensor:
    parts = torch.stack([cdf(component, x) for component in distribution.components], dim=-1)
    return (parts * distribution.weights).sum(-1)


@cdf.register
def _(distribution: td.MixtureSameFamily, x: torch.Tensor) -> torch.Tensor:
    parts = cdf(distribution.component_distribution, x[..., None])
    return (parts * distribution.mixture_distribution.probs).sum(-1)


@cdf.register
def _(distribution: td.TransformedDistribution, x: torch.Tensor) -> torch.Tensor:
    if type(distribution).cdf is not td.TransformedDistribution.cdf:
        return distribution.cdf(x).clamp(0, 1)  # a map that is not one to one, as HalfNormal's
    sign: torch.Tensor | int = 1
    for transform in reversed(distribution.transforms):
        # nothing lies below the values of an exponential
        least = getattr(transform.codomain, "lower_bound", None)
        x = transform.inv(x if least is None else x.clamp(min=least))
        sign = sign * transform.sign
    below = cdf(distribution.base_dist, x)
    return torch.where(torch.as_tensor(sign) > 0, below, 1 - below)


# ---- masses of single values --------------------------------------------------------------


@singledispatch
def atom(distribution: Any, x: torch.Tensor) -> torch.Tensor:
    """P(X = x) of a scalar conditional: its mass where it is discrete, 0 where continuous.

    With v uniform, `cdf(d, x) - v * atom(d, x)` is uniform for x drawn from d, whatever its kind.

    Example:
        >>> atom(td.Poisson(torch.tensor(2.0)), torch.tensor(0.0))
        tensor(0.1353)
    """
    if _is_discrete(distribution):
        return distribution.log_prob(x).exp()
    return torch.zeros(torch.broadcast_shapes(x.shape, distribution.batch_shape), device=x.device)


# ---- quantiles ----------------------------------------------------------------------------


@singledispatch
def quantile(distribution: Any, q: torch.Tensor) -> torch.Tensor:
    """The smallest x with P(X <= x) >= q, for q in (0, 1), batch shape and q's broadcast.

    Example:
        >>> quantile(td.Poisson(torch.tensor(2.0)), torch.tensor(0.5))
        tensor(2.)
    """
    try:
        return distribution.icdf(q)
    except NotImplementedError:
        raise _unsupported("quantile", distribution) from None


@quantile.register
def _(distribution: td.Normal, q: torch.Tensor) -> torch.Tensor:
    return distribution.loc + distribution.scale * torch.special.ndtri(q)


@quantile.register
def _(distribution: td.Laplace, q: torch.Tensor) -> torch.Tensor:
    z = torch.where(q < 0.5, torch.log(2 * q), -torch.log(2 * (1 - q)))
    return distribution.loc + distribution.scale * z


@quantile.register
def _(distribution: td.Categorical, q: torch.Tensor) -> torch.Tensor:
    cumulated = _cumulated(distribution)
    shape = torch.broadcast_shapes(q.shape, cumulated.shape[:-1])
    cumulated = cumulated.expand(*shape, -1).contiguous()
    target = q.double().expand(shape)[..., None].contiguous()
    return torch.searchsorted(cumulated, target)[..., 0].to(q.dtype)


@quantile.register
def _(distribution: td.Bernoulli, q: torch.Tensor) -> torch.Tensor:
    zero = torch.sigmoid(-distribution.logits.to(_dtype(distribution.logits, q)))
    return (q > zero).to(q.dtype)


@quantile.register
def _(distribution: td.StudentT, q: torch.Tensor) -> torch.Tensor:
    from scipy import special

    z = _by_numpy(special.stdtrit, distribution.df, q)
    return distribution.loc + distribution.scale * z.to(q)


@quantile.register
def _(distribution: td.Gamma, q: torch.Tensor) -> torch.Tensor:
    from scipy import special

    unit = _by_numpy(special.gammaincinv, distribution.concentration, q).to(q)
    return (unit / distribution.rate).clamp(min=torch.finfo(q.dtype).tiny)


@quantile.register
def _(distribution: td.Beta, q: torch.Tensor) -> torch.Tensor:
    from scipy import special

    a, b = distribution.concentration1, distribution.concentration0
    inside = torch.finfo(q.dtype)  # neither end is a value
    return _by_numpy(special.betaincinv, a, b, q).to(q).clamp(inside.tiny, 1 - inside.eps / 2)


@quantile.register(td.Poisson)
@quantile.register(td.NegativeBinomial)
@quantile.register(td.Geometric)
@quantile.register(td.Binomial)
def _(distribution: Any, q: torch.Tensor) -> torch.Tensor:
    exact = to(distribution, dtype=torch.float64)
    start = exact.mean + exact.variance.sqrt()
    return _integer_quantile(lambda x: cdf(exact, x), q.double(), start).to(q.dtype)


@quantile.register
def _(distribution: td.MixtureSameFamily, q: torch.Tensor) -> torch.Tensor:
    each = quantile(distribution.component_distribution, q[..., None])
    possible = distribution.mixture_distribution.probs > 0
    low = each.masked_fill(~possible, torch.inf).amin(-1)
    high = each.masked_fill(~possible, -torch.inf).amax(-1)
    discrete = _is_discrete(distribution.component_distribution)
    return _between(distribution, q, low, high, discrete)


@quantile.register
def _(distribution: Mixture, q: torch.Tensor) -> torch.Tensor:
    parts = [quantile(component, q) for component in distribution.components]
    each = torch.stack(torch.broadcast_tensors(*parts), dim=-1)
    possible = distribution.weights > 0
    low = each.masked_fill(~possible, torch.inf).amin(-1)
    high = each.masked_fill(~possible, -torch.inf).amax(-1)
    discrete = _is_discrete(distribution.components[0])
    return _between(distribution, q, low, high, discrete)


@quantile.register
def _(distribution: td.TransformedDistribution, q: torch.Tensor) -> torch.Tensor:
    if type(distribution).icdf is not td.TransformedDistribution.icdf:
        return distribution.icdf(q)
    sign: torch.Tensor | int = 1
    for transform in distribution.transforms:
        sign = sign * transform.sign
    x = quantile(distribution.base_dist, torch.where(torch.as_tensor(sign) > 0, q, 1 - q))
    for transform in distribution.transforms:
        x = transform(x)
    return x


# ---- inner parts --------------------------------------------------------------------------


def _dtype(parameter: torch.Tensor, x: torch.Tensor) -> torch.dtype:
    """The precision of an answer: the finer of the parameter's and that of x, if x has one."""
    if not x.is_floating_point():
        return parameter.dtype
    return torch.promote_types(parameter.dtype, x.dtype)


def _is_discrete(distribution: td.Distribution) -> bool:
    return distribution.support is not None and distribution.support.is_discrete


def _by_numpy(function: Callable[..., Any], *tensors: torch.Tensor) -> torch.Tensor:
    """A ufunc of scipy's over tensors, in float64 and without gradients."""
    arrays = [tensor.detach().double().cpu().numpy() for tensor in tensors]
    return torch.as_tensor(function(*arrays), device=tensors[0].device)


def _between(
    distribution: Any, q: torch.Tensor, low: torch.Tensor, high: torch.Tensor, discrete: bool
) -> torch.Tensor:
    """A mixture's quantile lies between its components' quantiles: bisect there."""
    if discrete:
        return _integer_quantile(lambda x: cdf(distribution, x), q, high, low - 1)
    for _ in range(80):
        middle = (low + high) / 2
        below = cdf(distribution, middle) < q
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return high


def _integer_quantile(
    function: Callable[[torch.Tensor], torch.Tensor],
    q: torch.Tensor,
    start: torch.Tensor,
    below: torch.Tensor | None = None,
) -> torch.Tensor:
    """The smallest whole k with function(k) >= q: double the bracket, then bisect.

    Args:
        function: a distribution function.
        q: levels.
        start: a first guess.
        below: whole numbers that are too small; -1 by default, for k = 0, 1, ...
    """
    high = start.expand(torch.broadcast_shapes(start.shape, q.shape)).ceil().clamp(min=1.0)
    for _ in range(60):
        short = function(high) < q
        if not bool(short.any()):
            break
        high = torch.where(short, 2 * high, high)
    low = torch.full_like(high, -1.0) if below is None else below.to(high).expand(high.shape)
    while True:
        middle = ((low + high) / 2).floor()
        # beyond 2^53, and at infinity, there is no whole number between
        open_ = (high - low > 1) & (middle > low) & (middle < high)
        if not bool(open_.any()):
            return high
        short = function(middle) < q
        low = torch.where(open_ & short, middle, low)
        high = torch.where(open_ & ~short, middle, high)
