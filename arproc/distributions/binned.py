"""A law of real numbers seen through bins: which bin does a draw fall in?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any

import torch
from torch import distributions as td
from torch.distributions import constraints

from arproc.distributions.calculus import cdf, quantile
from arproc.distributions.draws import from_uniform
from arproc.distributions.logistic import Logistic
from arproc.distributions.mixture import Mixture
from arproc.distributions.shape import index, map_parameters

__all__ = ["Binned", "log_mass_between"]


class Binned(td.Distribution):
    """Which bin a number falls in: bin k lies between edges k - 1 and k.

    The first bin reaches to minus infinity and the last to infinity, so the masses, differences of
    the base's distribution function, sum to one.

    Args:
        base: a law of real scalars.
        edges: ascending, [levels - 1].

    Example:
        >>> d = Binned(td.Normal(0.0, 1.0), torch.tensor([-1.0, 0.0, 1.0]))
        >>> d.probs.round(decimals=4).tolist()
        [0.1587, 0.3413, 0.3413, 0.1587]
    """

    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(self, base: Any, edges: torch.Tensor) -> None:
        self.base, self.edges = base, edges
        super().__init__(base.batch_shape, validate_args=False)

    @property
    def levels(self) -> int:
        """How many bins there are."""
        return len(self.edges) + 1

    @property
    def support(self) -> constraints.Constraint:
        return constraints.integer_interval(0, self.levels - 1)

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> Binned:
        return Binned(self.base.expand(batch_shape), self.edges)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        ends = self._ends
        level = value.long().clamp(0, self.levels - 1)
        return log_mass_between(self.base, ends[level], ends[level + 1])

    @property
    def log_masses(self) -> torch.Tensor:
        """The logarithms of the masses of all bins, [*batch, levels]."""
        each = index(self.base, (*[slice(None)] * len(self.batch_shape), None))
        shape = (*self.batch_shape, self.levels)
        low, high = self._ends[:-1].expand(shape), self._ends[1:].expand(shape)
        return log_mass_between(each.expand(shape), low, high)

    @property
    def probs(self) -> torch.Tensor:
        """The masses of all bins, [*batch, levels]."""
        return self.log_masses.exp()

    @property
    def mean(self) -> torch.Tensor:
        return (self.probs * torch.arange(self.levels, device=self.edges.device)).sum(-1)

    @property
    def variance(self) -> torch.Tensor:
        levels = torch.arange(self.levels, device=self.edges.device)
        return (self.probs * (levels - self.mean[..., None]) ** 2).sum(-1)

    def bin_of(self, x: torch.Tensor) -> torch.Tensor:
        """The number of the bin that x lies in."""
        return torch.searchsorted(self.edges, x.to(self.edges.dtype).contiguous())

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> torch.Tensor:
        return self.bin_of(self.base.sample(torch.Size(sample_shape)))

    @property
    def _ends(self) -> torch.Tensor:
        """The edges with minus infinity and infinity, [levels + 1]."""
        end = self.edges.new_full((1,), math.inf)
        return torch.cat([-end, self.edges, end])


@singledispatch
def log_mass_between(law: Any, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """The logarithm of P(low < X <= high), of a law of scalars; exact in both tails if symmetric.

    Args:
        law: of the batch shape of the ends, or one that broadcasts with it.
        low: the lower end, -inf for none.
        high: the upper end, inf for none.

    Example:
        >>> far = torch.tensor([40.0, 41.0], dtype=torch.float64)
        >>> round(float(log_mass_between(td.Normal(0.0, 1.0), far[0], far[1])), 2)
        -804.61
    """
    return (_below(law, high) - _below(law, low)).log()


@log_mass_between.register
def _(law: td.Normal, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    a, b = ((end - law.loc) / law.scale for end in (low, high))
    above = a > 0
    a, b = torch.where(above, -b, a), torch.where(above, -a, b)
    upper, lower = (torch.special.log_ndtr(end) for end in (b, a))
    return upper + torch.log1p(-torch.exp(lower - upper))


@log_mass_between.register(td.Laplace)
@log_mass_between.register(td.StudentT)
@log_mass_between.register(Logistic)
def _(law: Any, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    above = low > law.loc
    a = torch.where(above, 2 * law.loc - high, low)
    b = torch.where(above, 2 * law.loc - low, high)
    return (_below(law, b) - _below(law, a)).log()


@log_mass_between.register
def _(law: Mixture, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    parts = [log_mass_between(part, low, high) for part in law.components]
    return torch.logsumexp(torch.stack(parts, dim=-1) + law.log_weights, dim=-1)


@log_mass_between.register
def _(law: td.MixtureSameFamily, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    parts = log_mass_between(law.component_distribution, low[..., None], high[..., None])
    return torch.logsumexp(parts + law.mixture_distribution.logits, dim=-1)


def _below(law: Any, x: torch.Tensor) -> torch.Tensor:
    """The distribution function, at infinite ends too."""
    inner = cdf(law, torch.where(x.isinf(), 0.0, x))
    return torch.where(x.isinf(), (x > 0).to(inner.dtype), inner)


@cdf.register
def _(distribution: Binned, x: torch.Tensor) -> torch.Tensor:
    end = distribution._ends[(x.floor().long() + 1).clamp(0, distribution.levels)]
    return _below(distribution.base, end)


@quantile.register
def _(distribution: Binned, q: torch.Tensor) -> torch.Tensor:
    return distribution.bin_of(quantile(distribution.base, q)).to(q.dtype)


@from_uniform.register
def _(distribution: Binned, u: torch.Tensor) -> torch.Tensor:
    return distribution.bin_of(from_uniform(distribution.base, u))


@map_parameters.register
def _(
    first: Binned, rest: Sequence[Any], change: Callable[[list[torch.Tensor]], torch.Tensor]
) -> Binned:
    base = map_parameters(first.base, [part.base for part in rest], change)
    return Binned(base, first.edges)
