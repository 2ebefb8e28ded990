"""Counts to a power and within an interval, renormalised by summation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import distributions as td
from torch.distributions import constraints

from arproc.distributions.calculus import cdf, quantile
from arproc.distributions.mixture import Mixture
from arproc.distributions.shape import map_parameters
from arproc.errors import UnsupportedError

__all__ = ["PoweredCount", "cut_counts", "is_count"]

#: How many numbers the sums of one batch may hold.
_MOST = 2**25
#: A sum ends where its last terms are less than this share of it.
_TAIL = 1e-17


class PoweredCount(td.Distribution):
    """The law of counts with the mass p(k)^power / Z for low <= k <= high.

    Z is summed term by term, up to where what is left is beyond the digits of a number.

    Args:
        base: a law of counts 0, 1, 2 ...
        power: above 0.
        low: the least count.
        high: the greatest, inf for none.

    Raises:
        UnsupportedError: the sums would be too long, or have no end.

    Example:
        >>> few = PoweredCount(td.Poisson(torch.tensor(3.0)), high=1)
        >>> few.log_prob(torch.tensor([0.0, 1.0, 2.0])).exp()
        tensor([0.2500, 0.7500, 0.0000], dtype=torch.float64)
    """

    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(
        self, base: Any, power: float = 1.0, low: float = 0.0, high: float = math.inf
    ) -> None:
        self.base, self.power = base, power
        self.low = max(0.0, math.ceil(low) if math.isfinite(low) else low)
        self.high = float(math.floor(high)) if math.isfinite(high) else high
        super().__init__(base.batch_shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        if math.isinf(self.high):
            return constraints.nonnegative_integer
        return constraints.integer_interval(int(self.low), int(self.high))

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> PoweredCount:
        return PoweredCount(self.base.expand(batch_shape), self.power, self.low, self.high)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        mass, value = self.log_mass, torch.as_tensor(value)
        inside = (value >= self.low) & (value <= self.high) & (mass > -math.inf)
        return (self._scores(value) - mass).masked_fill(~inside, -math.inf)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> torch.Tensor:
        shape = (*sample_shape, *self.batch_shape)
        with torch.no_grad():
            return quantile(self, torch.rand(shape, dtype=torch.float64).clamp(min=2.0**-53))

    @property
    def log_mass(self) -> torch.Tensor:
        """Log of the sum of p^power within the interval, [*batch], float64."""
        return torch.logsumexp(self.table, dim=-1)

    @property
    def mean(self) -> torch.Tensor:
        return (self._shares * self._values).sum(-1)

    @property
    def variance(self) -> torch.Tensor:
        return (self._shares * (self._values - self.mean[..., None]) ** 2).sum(-1)

    @property
    def _shares(self) -> torch.Tensor:
        return torch.softmax(self.table, dim=-1)

    @property
    def _values(self) -> torch.Tensor:
        return self.low + torch.arange(self.table.shape[-1], device=self.table.device).double()

    def _scores(self, value: torch.Tensor) -> torch.Tensor:
        return self.power * self.base.log_prob(value.double()).double()

    @cached_property
    def table(self) -> torch.Tensor:
        """Log of p^power at low, low + 1 ..., as far as it counts, float64 [*batch, K]."""
        if self.low > self.high:
            return torch.full((*self.batch_shape, 1), -math.inf, dtype=torch.float64)
        batch, size, parts = max(1, self.batch_shape.numel()), 64, list[torch.Tensor]()
        begin = self.low
        while True:
            end = min(begin + size, self.high + 1)
            parts.append(self._block(begin, int(end - begin)))
            whole = torch.cat(parts, dim=-1)
            if end > self.high or self._is_told(whole):
                return whole
            if batch * 2 * whole.shape[-1] > _MOST:
                raise UnsupportedError(
                    f"a {type(self.base).__name__} to the power {self.power:g} (temperature "
                    f"{1 / self.power:g}) has too many counts to be summed: its tail is too "
                    "heavy, or its counts too large; take a lower temperature, or an interval."
                )
            begin, size = end, whole.shape[-1]

    def _block(self, begin: float, count: int) -> torch.Tensor:
        """Log of p^power at some counts, [*batch, count]."""
        values = begin + torch.arange(count, dtype=torch.float64)
        axes = values.view(-1, *[1] * len(self.batch_shape))
        return self._scores(axes.expand(-1, *self.batch_shape)).movedim(0, -1)

    def _is_told(self, scores: torch.Tensor) -> bool:
        """Whether what comes after these counts is beyond the digits of their sum."""
        total = torch.logsumexp(scores, dim=-1)
        half = scores[..., scores.shape[-1] // 2 :]  # a tail that falls, and is as good as nothing
        left = torch.logsumexp(half, dim=-1)
        beyond = float(self.low) + scores.shape[-1] > torch.as_tensor(self.base.mean)
        return bool(((left < total + math.log(_TAIL)) & beyond).all())


def is_count(distribution: Any) -> bool:
    """Whether a law of scalars is one of counts without an end."""
    if isinstance(distribution, td.MixtureSameFamily):
        return is_count(distribution.component_distribution)
    if isinstance(distribution, Mixture):
        return all(is_count(part) for part in distribution.components)
    if distribution.event_shape:
        return False
    return (
        isinstance(distribution, PoweredCount)
        or distribution.support is constraints.nonnegative_integer
    )


def cut_counts(distribution: Any, low: float, high: float) -> PoweredCount:
    """Counts within an interval; those that are cut already, within both.

    Example:
        >>> cut_counts(PoweredCount(td.Poisson(torch.tensor(1.0)), low=2), 0, 5).low
        2
    """
    if not isinstance(distribution, PoweredCount):
        return PoweredCount(distribution, 1.0, low, high)
    low, high = max(low, distribution.low), min(high, distribution.high)
    return PoweredCount(distribution.base, distribution.power, low, high)


@cdf.register
def _(distribution: PoweredCount, x: torch.Tensor) -> torch.Tensor:
    below = distribution._shares.cumsum(-1).clamp(max=1.0)
    last = below.shape[-1] - 1
    shape = torch.broadcast_shapes(x.shape, below.shape[:-1])
    x = x.double().expand(shape)
    at = (x.floor() - distribution.low).clamp(0, last).long()
    value = below.expand(*shape, last + 1).gather(-1, at[..., None])[..., 0]
    value = torch.where(x.floor() - distribution.low >= last, 1.0, value)
    return torch.where(x < distribution.low, 0.0, value)


@quantile.register
def _(distribution: PoweredCount, q: torch.Tensor) -> torch.Tensor:
    below = distribution._shares.cumsum(-1)
    below = below / below[..., -1:]
    shape = torch.broadcast_shapes(q.shape, below.shape[:-1])
    q, below = q.double().expand(shape), below.expand(*shape, below.shape[-1])
    at = torch.searchsorted(below.contiguous(), q[..., None].contiguous())[..., 0]
    return distribution.low + at.clamp(max=below.shape[-1] - 1).double()


@map_parameters.register
def _(first: PoweredCount, rest: Sequence[Any], change: Any) -> PoweredCount:
    base = map_parameters(first.base, [part.base for part in rest], change)
    return PoweredCount(base, first.power, first.low, first.high)
