"""Draws from uniforms, distribution functions and quantiles of every scalar conditional.

`from_uniform` is the inverse cdf wherever that is cheap. A mixture uses one uniform twice: the
interval of the cumulated weights it falls in chooses the component, and its place inside the
interval is a uniform again. Draws are made in float64: float32 inverse cdfs are infinite near 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import torch
from torch import distributions as td

from arproc.distributions.categorical import as_categorical
from arproc.distributions.mixture import Mixture
from arproc.errors import UnsupportedError

__all__ = ["cdf", "from_uniform", "quantile"]


def _unsupported(what: str, distribution: td.Distribution) -> UnsupportedError:
    return UnsupportedError(
        f"arproc knows no {what} for {type(distribution).__name__}; register one with "
        f"arproc.distributions.{what.split()[0]}.register."
    )


# ---- draws --------------------------------------------------------------------------------


@singledispatch
def from_uniform(distribution: Any, u: torch.Tensor) -> torch.Tensor:
    """The draw that the uniforms `u` [*batch, *event] in (0, 1), float64, stand for.

    Example:
        >>> from_uniform(td.Normal(2.0, 1.0), torch.tensor(0.5, dtype=torch.float64))
        tensor(2., dtype=torch.float64)
    """
    return quantile(distribution, u)


@from_uniform.register
def _(distribution: td.Categorical, u: torch.Tensor) -> torch.Tensor:
    scores = as_categorical(distribution).scores
    cumulated = torch.softmax(scores.double(), dim=-1).cumsum(-1)
    target = u[..., None] * cumulated[..., -1:]
    return torch.searchsorted(cumulated, target, right=True)[..., 0]


@from_uniform.register
def _(distribution: td.Bernoulli, u: torch.Tensor) -> torch.Tensor:
    return (u >= torch.sigmoid(-distribution.logits.double())).to(distribution.logits.dtype)


@from_uniform.register
def _(distribution: Mixture, u: torch.Tensor) -> torch.Tensor:
    weights = distribution.weights.double()
    if distribution.event_shape:
        # the first scalar's uniform chooses the component, for all scalars of the element
        head = u.flatten(-len(distribution.event_shape))[..., 0]
        which, rest = _choose(weights, head)
        inner = u.clone().flatten(-len(distribution.event_shape))
        inner[..., 0] = rest
        inner = inner.reshape(u.shape)
    else:
        which, inner = _choose(weights, u)
    draws = torch.stack([from_uniform(c, inner) for c in distribution.components])
    which = which.reshape(*which.shape, *[1] * len(distribution.event_shape))
    return draws.gather(0, which.expand(draws.shape[1:])[None])[0]


@from_uniform.register
def _(distribution: td.MixtureSameFamily, u: torch.Tensor) -> torch.Tensor:
    event = len(distribution.event_shape)
    weights = distribution.mixture_distribution.probs.double()
    head = u.flatten(-event)[..., 0] if event else u
    which, rest = _choose(weights, head)
    inner = u.clone()
    if event:
        inner = inner.flatten(-event)
        inner[..., 0] = rest
        inner = inner.reshape(u.shape)
    else:
        inner = rest
    axis = len(distribution.batch_shape)
    spread = inner.unsqueeze(axis).expand(
        *distribution.batch_shape, weights.shape[-1], *distribution.event_shape
    )
    draws = from_uniform(distribution.component_distribution, spread)
    which = which.reshape(*which.shape, 1, *[1] * event)
    return draws.gather(axis, which.expand(*which.shape[: axis + 1], *draws.shape[axis + 1 :]))[
        (slice(None),) * axis + (0,)
    ]


def _choose(weights: torch.Tensor, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The component that u falls in, and u's place inside that component's interval."""
    weights = weights.expand(*u.shape, weights.shape[-1])
    upper = weights.cumsum(-1)
    target = u * upper[..., -1]
    which = torch.searchsorted(upper, target[..., None].contiguous(), right=True)
    chosen = weights.gather(-1, which)[..., 0]
    lower = upper.gather(-1, which)[..., 0] - chosen
    inside = (target - lower) / chosen
    return which[..., 0], inside.clamp(2.0**-53, 1 - 2.0**-53)


@from_uniform.register
def _(distribution: td.Independent, u: torch.Tensor) -> torch.Tensor:
    return from_uniform(distribution.base_dist, u)


@from_uniform.register
def _(distribution: td.MultivariateNormal, u: torch.Tensor) -> torch.Tensor:
    white = torch.special.ndtri(u).to(distribution.loc.dtype)
    return distribution.loc + (distribution._unbroadcasted_scale_tril @ white[..., None])[..., 0]


@from_uniform.register
def _(distribution: td.TransformedDistribution, u: torch.Tensor) -> torch.Tensor:
    x = from_uniform(distribution.base_dist, u)
    for transform in distribution.transforms:
        x = transform(x)
    return x


# ---- distribution functions ---------------------------------------------------------------


@singledispatch
def cdf(distribution: Any, x: torch.Tensor) -> torch.Tensor:
    """P(X <= x) of a scalar conditional, [*batch].

    Example:
        >>> cdf(td.Poisson(torch.tensor(2.0)), torch.tensor(0.0))
        tensor(0.1353)
    """
    try:
        return distribution.cdf(x)
    except NotImplementedError:
        raise _unsupported("cdf", distribution) from None


@cdf.register
def _(distribution: td.Normal, x: torch.Tensor) -> torch.Tensor:
    return torch.special.ndtr((x - distribution.loc) / distribution.scale)


@cdf.register
def _(distribution: td.Categorical, x: torch.Tensor) -> torch.Tensor:
    cumulated = as_categorical(distribution).probs.cumsum(-1)
    last = cumulated.shape[-1] - 1
    at = cumulated.expand(*torch.broadcast_shapes(x.shape, cumulated.shape[:-1]), last + 1)
    x = x.expand(at.shape[:-1])
    value = at.gather(-1, x.floor().clamp(0, last).long()[..., None])[..., 0]
    return torch.where(x < 0, 0.0, torch.where(x >= last, 1.0, value))


@cdf.register
def _(distribution: td.Bernoulli, x: torch.Tensor) -> torch.Tensor:
    zero = torch.sigmoid(-distribution.logits)
    return torch.where(x < 0, 0.0, torch.where(x < 1, zero, 1.0))


@cdf.register
def _(distribution: td.Poisson, x: torch.Tensor) -> torch.Tensor:
    k = x.floor()
    inside = torch.special.gammaincc(k.clamp(min=0) + 1, distribution.rate.expand(k.shape))
    return torch.where(k < 0, 0.0, inside)


@cdf.register
def _(distribution: td.NegativeBinomial, x: torch.Tensor) -> torch.Tensor:
    from scipy import special

    # torch's probs is the probability of one more count: P(X <= k) = I_{1-probs}(r, k + 1)
    k = x.detach().floor()
    r, p = (t.detach().expand(k.shape) for t in (distribution.total_count, distribution.probs))
    inside = special.betainc(
        r.cpu().numpy(), k.clamp(min=0).cpu().numpy() + 1, 1 - p.cpu().numpy()
    )
    return torch.where(k < 0, 0.0, torch.as_tensor(inside).to(p))


@cdf.register
def _(distribution: td.StudentT, x: torch.Tensor) -> torch.Tensor:
    from scipy import special

    z = ((x - distribution.loc) / distribution.scale).detach()
    value = special.stdtr(distribution.df.detach().expand(z.shape).cpu().numpy(), z.cpu().numpy())
    return torch.as_tensor(value).to(z)


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
    sign: torch.Tensor | int = 1
    for transform in reversed(distribution.transforms):
        x = transform.inv(x)
        sign = sign * transform.sign
    below = cdf(distribution.base_dist, x)
    return torch.where(torch.as_tensor(sign) > 0, below, 1 - below)


# ---- quantiles ----------------------------------------------------------------------------


@singledispatch
def quantile(distribution: Any, q: torch.Tensor) -> torch.Tensor:
    """The smallest x with P(X <= x) >= q, for q in (0, 1), [*batch].

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
def _(distribution: td.Categorical, q: torch.Tensor) -> torch.Tensor:
    return from_uniform(distribution, q.double()).to(q.dtype)


@quantile.register
def _(distribution: td.Bernoulli, q: torch.Tensor) -> torch.Tensor:
    return (q > torch.sigmoid(-distribution.logits)).to(q.dtype)


@quantile.register
def _(distribution: td.StudentT, q: torch.Tensor) -> torch.Tensor:
    from scipy import special

    df = distribution.df.detach().expand(q.shape)
    z = torch.as_tensor(special.stdtrit(df.double().cpu().numpy(), q.double().cpu().numpy()))
    return distribution.loc + distribution.scale * z.to(q)


@quantile.register(td.Poisson)
@quantile.register(td.NegativeBinomial)
@quantile.register(td.Geometric)
@quantile.register(td.Binomial)
def _(distribution: Any, q: torch.Tensor) -> torch.Tensor:
    start = distribution.mean + distribution.variance.sqrt()
    return _integer_quantile(lambda x: cdf(distribution, x), q, start)


@quantile.register
def _(distribution: td.MixtureSameFamily, q: torch.Tensor) -> torch.Tensor:
    components = distribution.component_distribution
    each = quantile(components, q[..., None].expand(components.batch_shape))
    possible = distribution.mixture_distribution.probs > 0
    low = each.masked_fill(~possible, torch.inf).amin(-1)
    high = each.masked_fill(~possible, -torch.inf).amax(-1)
    return _between(distribution, q, low, high)


@quantile.register
def _(distribution: Mixture, q: torch.Tensor) -> torch.Tensor:
    q = q.expand(distribution.batch_shape)
    each = torch.stack([quantile(c, q) for c in distribution.components], dim=-1)
    return _between(distribution, q, each.amin(-1), each.amax(-1))


@quantile.register
def _(distribution: td.TransformedDistribution, q: torch.Tensor) -> torch.Tensor:
    sign: torch.Tensor | int = 1
    for transform in distribution.transforms:
        sign = sign * transform.sign
    x = quantile(distribution.base_dist, torch.where(torch.as_tensor(sign) > 0, q, 1 - q))
    for transform in distribution.transforms:
        x = transform(x)
    return x


def _between(
    distribution: Any, q: torch.Tensor, low: torch.Tensor, high: torch.Tensor
) -> torch.Tensor:
    """A mixture's quantile lies between its components' quantiles: bisect there."""
    component = getattr(distribution, "component_distribution", None)
    component = component if component is not None else distribution.components[0]
    if component.support.is_discrete:
        return _integer_quantile(lambda x: cdf(distribution, x), q, high)
    for _ in range(80):
        middle = (low + high) / 2
        below = cdf(distribution, middle) < q
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return high


def _integer_quantile(
    function: Callable[[torch.Tensor], torch.Tensor], q: torch.Tensor, start: torch.Tensor
) -> torch.Tensor:
    """The smallest k = 0, 1, ... with function(k) >= q: double the bracket, then bisect."""
    high = start.expand(q.shape).ceil().clamp(min=1.0)
    for _ in range(60):
        short = function(high) < q
        if not bool(short.any()):
            break
        high = torch.where(short, 2 * high, high)
    low = torch.full_like(high, -1.0)
    while bool((high - low > 1).any()):
        middle = ((low + high) / 2).floor()
        below = function(middle) < q
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return high
