"""A scalar law cut to an interval and renormalised."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import distributions as td

from arproc.distributions.calculus import cdf, quantile
from arproc.distributions.logistic import Logistic
from arproc.distributions.mixture import Mixture
from arproc.distributions.shape import map_parameters

__all__ = ["Truncated"]

#: Laws whose upper tail is the lower one mirrored; near 1 a distribution function is coarse.
_SYMMETRIC = (td.Normal, td.Laplace, td.StudentT, Logistic)


class Truncated(td.Distribution):
    """The law of x given low <= x <= high, x from `base`.

    Normal laws that are cut at one end are exact however far out the cut is; of others the mass
    inside is a difference of distribution functions, for symmetric laws in the tail that is
    nearer, for mixtures part by part. Where no mass is left `log_mass` is minus infinity, and so
    is every log-probability.

    Args:
        base: a continuous law of scalars.
        low: the lower end, -inf for none.
        high: the upper end, inf for none.

    Example:
        >>> half = Truncated(td.Normal(0.0, 1.0), low=0.0)
        >>> round(float(half.log_prob(torch.tensor(0.5)).exp()), 4)
        0.7041
    """

    arg_constraints: dict[str, td.constraints.Constraint] = {}

    def __init__(self, base: Any, low: float = -math.inf, high: float = math.inf) -> None:
        self.base, self.low, self.high = base, low, high
        super().__init__(base.batch_shape, validate_args=False)

    @property
    def support(self) -> td.constraints.Constraint:
        return td.constraints.interval(self.low, self.high)

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> Truncated:
        return Truncated(self.base.expand(batch_shape), self.low, self.high)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        mass = self.log_mass
        inside = (value >= self.low) & (value <= self.high) & (mass > -math.inf)
        return (self.base.log_prob(value) - mass).masked_fill(~inside, -math.inf)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> torch.Tensor:
        shape = (*sample_shape, *self.batch_shape)
        with torch.no_grad():
            return quantile(self, torch.rand(shape, dtype=torch.float64).clamp(min=2.0**-53))

    @property
    def log_mass(self) -> torch.Tensor:
        """The logarithm of the base's mass inside."""
        if self._side:
            return torch.special.log_ndtr(self._away(self._cut))
        parts = self._parts
        if parts is not None:
            return parts.log_mass
        ends = self._ends
        return torch.as_tensor(self._below(ends[1]) - self._below(ends[0])).log()

    @cached_property
    def _parts(self) -> _Parts | None:
        """Of a mixture: its parts, each cut."""
        base, low, high = self.base, self.low, self.high
        if isinstance(base, Mixture):
            parts = [Truncated(part, low, high) for part in base.components]
            masses = torch.stack([part.log_mass for part in parts], dim=-1)
            return _Parts(base.log_weights + masses, lambda w: Mixture(parts, w))
        if isinstance(base, td.MixtureSameFamily):
            inner = Truncated(base.component_distribution, low, high)
            scores = base.mixture_distribution.logits + inner.log_mass
            return _Parts(
                scores,
                lambda w: td.MixtureSameFamily(
                    td.Categorical(logits=w, validate_args=False), inner, validate_args=False
                ),
            )
        return None

    @cached_property
    def _mirrored(self) -> torch.Tensor:
        """Where the interval lies above the centre of a symmetric law, bool [*batch]."""
        if not isinstance(self.base, _SYMMETRIC):
            return torch.zeros(self.batch_shape, dtype=torch.bool)
        return self.base.loc < self.low

    @cached_property
    def _ends(self) -> tuple[torch.Tensor | float, torch.Tensor | float]:
        """The interval, mirrored where the law is looked at from the other side."""
        if not bool(self._mirrored.any()):
            return self.low, self.high
        loc = self.base.loc.double()
        low = torch.where(self._mirrored, 2 * loc - self.high, self.low)
        return low, torch.where(self._mirrored, 2 * loc - self.low, self.high)

    @property
    def _side(self) -> int:
        """For a normal law with one cut: 1 where it is the upper, -1 where the lower; or 0."""
        if not isinstance(self.base, td.Normal) or math.isinf(self.low) == math.isinf(self.high):
            return 0
        return 1 if math.isinf(self.low) else -1

    @property
    def _cut(self) -> float:
        return self.high if self._side > 0 else self.low

    def _away(self, x: Any) -> torch.Tensor:
        """X standardised, counted towards the cut."""
        return self._side * (x - self.base.loc) / self.base.scale

    def _below(self, x: torch.Tensor | float) -> torch.Tensor | float:
        """The base's distribution function at one end."""
        if isinstance(x, float) and math.isinf(x):
            return float(x > 0)
        return cdf(self.base, torch.as_tensor(x, dtype=torch.float64).expand(self.batch_shape))


class _Parts:
    """The parts of a mixture that was cut.

    Args:
        scores: log of the weight times the mass that is left, of each part, [*batch, M].
        mixture: the mixture of the parts with given log-weights.
    """

    def __init__(self, scores: torch.Tensor, mixture: Callable[[torch.Tensor], Any]) -> None:
        self.log_mass = torch.logsumexp(scores, dim=-1)
        self.mixture = mixture(scores - self.log_mass[..., None])


@cdf.register
def _(distribution: Truncated, x: torch.Tensor) -> torch.Tensor:
    x = x.clamp(distribution.low, distribution.high)
    if side := distribution._side:
        share = (torch.special.log_ndtr(distribution._away(x)) - distribution.log_mass).clamp(
            max=0
        )
        return share.exp() if side > 0 else -torch.expm1(share)
    if distribution._parts is not None:
        return cdf(distribution._parts.mixture, x)
    mirrored, below = distribution._mirrored, distribution._below(distribution._ends[0])
    if bool(mirrored.any()):
        x = torch.where(mirrored, 2 * distribution.base.loc - x, x)
    share = ((cdf(distribution.base, x) - below) / distribution.log_mass.exp()).clamp(0, 1)
    return torch.where(mirrored, 1 - share, share)


@quantile.register
def _(distribution: Truncated, q: torch.Tensor) -> torch.Tensor:
    if side := distribution._side:
        from scipy import special

        share = q.double().log() if side > 0 else torch.log1p(-q.double())
        target = share + distribution.log_mass.detach().double()
        z = torch.from_numpy(np.asarray(special.ndtri_exp(target.cpu().numpy())))
        base: Any = distribution.base
        x = base.loc + side * base.scale * z.to(base.loc)
    elif distribution._parts is not None:
        x = quantile(distribution._parts.mixture, q)
    else:
        mirrored, below = distribution._mirrored, distribution._below(distribution._ends[0])
        level = torch.where(mirrored, 1 - q, q)
        x = quantile(distribution.base, below + level * distribution.log_mass.exp().to(q))
        if bool(mirrored.any()):
            x = torch.where(mirrored, 2 * distribution.base.loc - x, x)
    return x.clamp(distribution.low, distribution.high)


@map_parameters.register
def _(
    first: Truncated, rest: Sequence[Any], change: Callable[[list[torch.Tensor]], torch.Tensor]
) -> Truncated:
    base = map_parameters(first.base, [part.base for part in rest], change)
    return Truncated(base, first.low, first.high)
