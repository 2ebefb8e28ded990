"""The CRPS of any scalar conditional with a cdf and quantiles, with an error estimate.

CRPS(F, y) = integral (F(z) - 1{z >= y})^2 dz. For a continuous F the line is cut at the
observation and at quantiles (of every part of a mixture), and each panel is integrated by
Gauss-Legendre; for a distribution on the integers it is a sum.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import distributions as td

from arproc.distributions import Mixture, cdf, quantile
from arproc.errors import UnsupportedError

__all__ = ["between_levels", "integrate"]

_TAIL = 1e-10
# one a decade: what falls like a power of z over one decade is integrated well, over two it is not
_LOWER = (_TAIL, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.04, 0.1, 0.2, 0.35)
_LEVELS = (*_LOWER, 0.5, *(1 - q for q in reversed(_LOWER)))
_FEW, _MANY = 7, 11  # nodes of the two rules; their difference is the error estimate
_SUM_CHUNK = 64


def integrate(distribution: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The CRPS of x [*batch] and an estimate of its absolute error, both float64 [*batch].

    Args:
        distribution: a scalar conditional of float64 parameters.
        x: the observations.

    Example:
        >>> value, error = integrate(td.Gumbel(0.0, 1.0), torch.tensor(0.3, dtype=torch.float64))
        >>> round(float(value), 6), bool(error < 1e-6)
        (0.276441, True)
    """
    if distribution.event_shape:
        raise UnsupportedError(
            f"the CRPS is for scalars; {type(distribution).__name__} is over vectors of shape "
            f"{tuple(distribution.event_shape)}."
        )
    if distribution.support.is_discrete:
        return _sum(distribution, x)
    return _panels(distribution, x)


def _panels(distribution: Any, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    breaks = torch.cat([_breaks(distribution, y), y[None]])
    breaks = breaks.sort(dim=0).values
    value, coarse = torch.zeros_like(y), torch.zeros_like(y)
    for low, high in pairwise(breaks):
        above = (low >= y).double()  # y is a break, so a panel lies on one side of it
        for total, count in ((value, _MANY), (coarse, _FEW)):
            nodes, weights = (
                torch.from_numpy(a).to(y) for a in np.polynomial.legendre.leggauss(count)
            )
            column = (slice(None), *[None] * y.ndim)
            z = (low + high) / 2 + nodes[column] * (high - low) / 2
            part = (cdf(distribution, z) - above) ** 2
            total += (weights[column] * part).sum(0) * (high - low) / 2
    return value, (value - coarse).abs()


def _breaks(distribution: Any, y: torch.Tensor) -> torch.Tensor:
    """Quantiles that the panels end at, [B, *batch]; of every part of a mixture."""
    if isinstance(distribution, Mixture):
        return torch.cat([_breaks(part, y) for part in distribution.components])
    if isinstance(distribution, td.MixtureSameFamily):
        parts = distribution.component_distribution
        each = _breaks(parts, y[..., None].expand(*y.shape, parts.batch_shape[-1]))
        return each.movedim(-1, 0).flatten(0, 1)
    levels = torch.tensor(_LEVELS, dtype=torch.float64, device=y.device)
    return torch.stack([quantile(distribution, level.expand(y.shape)) for level in levels])


def between_levels(below: torch.Tensor, beyond: torch.Tensor) -> torch.Tensor:
    """The integral of (F - 1{z >= x})^2 over z from one whole number to the next.

    Args:
        below: F, which is constant there.
        beyond: how far above the lower number x lies, any real number.
    """
    share = beyond.clamp(0, 1)
    return below**2 * share + (1 - below) ** 2 * (1 - share)


def _sum(distribution: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The sum over the integers from the quantile of 1e-10 to that of 1 - 1e-10."""
    tails = torch.full_like(x, _TAIL)
    low, high = quantile(distribution, tails), quantile(distribution, 1 - tails)
    # below `low` F is 0 and above `high` it is 1, as near as nothing
    value = (low - x).clamp(min=0) + (x - high).clamp(min=0)
    steps = int((high - low).max()) if x.numel() else 0
    for begin in range(0, steps, _SUM_CHUNK):
        j = torch.arange(begin, min(begin + _SUM_CHUNK, steps), device=x.device, dtype=x.dtype)
        k = low + j[(slice(None), *[None] * x.ndim)]
        part = between_levels(cdf(distribution, k), x - k)
        value = value + part.where(k < high, part.new_zeros(())).sum(0)
    return value, _TAIL * (2 * value + high - low)
