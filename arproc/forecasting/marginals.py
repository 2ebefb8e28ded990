"""What is known of each future number: a closed form, or the numbers that sample paths reached."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch

from arproc.distributions import cdf, mean, quantile

__all__ = ["Closed", "Marginals", "Simulated", "at_levels"]


class Marginals(ABC):
    """The marginal distributions of future numbers, [N, horizon] or [N, horizon, d].

    Attributes:
        mean: their means.
        effective: how many paths weighted ones are worth, [N]; None where none are weighted.
    """

    mean: torch.Tensor
    effective: torch.Tensor | None = None
    #: Whether they are whole numbers, with masses.
    whole: bool = False

    @abstractmethod
    def quantile(self, q: torch.Tensor) -> torch.Tensor:
        """The quantiles at levels q, of the shape of `mean` or broadcast to it in front."""


class Plain(Marginals):
    """Marginals under one fitted model."""

    @abstractmethod
    def cdf(self, x: torch.Tensor) -> torch.Tensor:
        """The chance of at most x, of the shape of `mean` or broadcast to it in front."""

    def spread_quantile(self, q: torch.Tensor) -> torch.Tensor:
        """The quantiles, the mass of a whole number k spread evenly from k - 1 to k."""
        k = self.quantile(q)
        if not self.whole:
            return k
        below = self.cdf(k - 1)
        share = (q - below) / (self.cdf(k) - below)
        return k - 1 + share.nan_to_num(nan=1.0).clamp(0, 1)

    def spread_cdf(self, x: torch.Tensor) -> torch.Tensor:
        """The inverse of `spread_quantile`."""
        if not self.whole:
            return self.cdf(x)
        k = x.ceil()
        return torch.lerp(self.cdf(k - 1), self.cdf(k), x - (k - 1))


class Closed(Plain):
    """Marginals with a closed form.

    Args:
        distribution: of batch shape [N, horizon] or [N, horizon, d] and scalar events.
        mass: whether it is of whole numbers.
    """

    def __init__(self, distribution: Any, mass: bool = False) -> None:
        self.distribution, self.whole = distribution, mass
        self.mean = mean(distribution)

    def quantile(self, q: torch.Tensor) -> torch.Tensor:
        return quantile(self.distribution, q)

    def cdf(self, x: torch.Tensor) -> torch.Tensor:
        return cdf(self.distribution, x)


class Simulated(Plain):
    """Marginals of sample paths.

    Args:
        paths: [N, n_paths, horizon] or [N, n_paths, horizon, d].
        effective: how many paths they are worth, [N], if they were weighted.
        mass: whether they are whole numbers with masses: quantiles are then numbers drawn.
    """

    def __init__(
        self, paths: torch.Tensor, effective: torch.Tensor | None = None, *, mass: bool
    ) -> None:
        self.effective = effective
        self.mean = paths.mean(dim=1)
        self.ordered = paths.movedim(1, -1).sort(dim=-1).values
        self.whole = mass

    def quantile(self, q: torch.Tensor) -> torch.Tensor:
        q = q.expand(torch.broadcast_shapes(q.shape, self.mean.shape))
        ordered = self.ordered.expand(*q.shape, -1)
        last = ordered.shape[-1] - 1
        if self.whole:
            return _at(ordered, ((q * (last + 1)).ceil() - 1).clamp(0, last))
        low = (q * last).floor()
        low_value = _at(ordered, low)
        return torch.lerp(low_value, _at(ordered, (low + 1).clamp(max=last)), q * last - low)

    def cdf(self, x: torch.Tensor) -> torch.Tensor:
        """The share of paths up to x; for densities the inverse of `quantile`."""
        ordered = self.ordered.expand(*x.shape, -1).contiguous()
        count = torch.searchsorted(ordered, x[..., None].contiguous(), right=True)[..., 0]
        last = ordered.shape[-1] - 1
        if self.whole:
            return count.to(ordered.dtype) / (last + 1)  # not float32
        low = (count - 1).clamp(0, last)
        high = count.clamp(0, last)
        below, above = _at(ordered, low), _at(ordered, high)
        share = ((x - below) / (above - below)).clamp(0, 1).nan_to_num(nan=0.0)
        return torch.where(count == 0, 0.0, (low + share) / last)


def _at(ordered: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    return ordered.gather(-1, place.long()[..., None])[..., 0]


def at_levels(marginals: Marginals, levels: list[float]) -> torch.Tensor:
    """The quantiles at these levels, [levels, N, horizon] or [levels, N, horizon, d]."""
    shape = (len(levels), *[1] * marginals.mean.ndim)
    q = torch.tensor(levels, dtype=marginals.mean.dtype).reshape(shape)
    return marginals.quantile(q.to(marginals.mean.device))
