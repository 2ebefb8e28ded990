"""A scalar law cut to an interval and renormalised."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import distributions as td

from arproc.distributions.calculus import cdf, quantile
from arproc.distributions.shape import map_parameters

__all__ = ["Truncated"]


class Truncated(td.Distribution):
    """The law of x given low <= x <= high, x from `base`.

    Normal laws that are cut at one end are exact however far out the cut is; of others the mass
    inside is a difference of distribution functions.

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
        inside = (value >= self.low) & (value <= self.high)
        return (self.base.log_prob(value) - self.log_mass).masked_fill(~inside, -math.inf)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> torch.Tensor:
        shape = (*sample_shape, *self.batch_shape)
        with torch.no_grad():
            return quantile(self, torch.rand(shape, dtype=torch.float64).clamp(min=2.0**-53))

    @property
    def log_mass(self) -> torch.Tensor:
        """The logarithm of the base's mass inside."""
        if self._side:
            return torch.special.log_ndtr(self._away(self._cut))
        return torch.as_tensor(self._below(self.high) - self._below(self.low)).log()

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

    def _below(self, x: float) -> torch.Tensor | float:
        """The base's distribution function at one end."""
        if math.isinf(x):
            return float(x > 0)
        return cdf(self.base, torch.tensor(x, dtype=torch.float64).expand(self.batch_shape))


@cdf.register
def _(distribution: Truncated, x: torch.Tensor) -> torch.Tensor:
    x = x.clamp(distribution.low, distribution.high)
    if side := distribution._side:
        share = (torch.special.log_ndtr(distribution._away(x)) - distribution.log_mass).clamp(
            max=0
        )
        return share.exp() if side > 0 else -torch.expm1(share)
    below = distribution._below(distribution.low)
    return ((cdf(distribution.base, x) - below) / distribution.log_mass.exp()).clamp(0, 1)


@quantile.register
def _(distribution: Truncated, q: torch.Tensor) -> torch.Tensor:
    if side := distribution._side:
        from scipy import special

        share = q.double().log() if side > 0 else torch.log1p(-q.double())
        target = share + distribution.log_mass.detach().double()
        z = torch.from_numpy(np.asarray(special.ndtri_exp(target.cpu().numpy())))
        base: Any = distribution.base
        x = base.loc + side * base.scale * z.to(base.loc)
    else:
        below = distribution._below(distribution.low)
        x = quantile(distribution.base, below + q * distribution.log_mass.exp().to(q))
    return x.clamp(distribution.low, distribution.high)


@map_parameters.register
def _(
    first: Truncated, rest: Sequence[Any], change: Callable[[list[torch.Tensor]], torch.Tensor]
) -> Truncated:
    base = map_parameters(first.base, [part.base for part in rest], change)
    return Truncated(base, first.low, first.high)
