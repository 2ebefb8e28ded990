"""The mean of a Box-Cox transformed normal law, by quadrature."""

from __future__ import annotations

import math

import numpy as np
import torch

__all__ = ["box_cox_mean"]

_REACH = 9.5  # standard deviations beyond which a normal law holds less than 1e-20
_TAIL = 1e-16
_SHORT_REACH = 8.2  # a normal law holds 1.2e-16 beyond
_NODES = 160
_AT_ONCE = 2**16  # means that are computed together


def box_cox_mean(loc: torch.Tensor, scale: torch.Tensor, lmbda: float) -> torch.Tensor:
    r"""E (1 + lambda x)^(1 / lambda) for x ~ N(loc, scale^2) given that 1 + lambda x > 0.

    Gauss-Legendre quadrature over the part of the normal law that matters. Where its cut lies
    inside, the distance u from the cut is substituted so that the integrand, which goes as
    u^(1 / lambda) there, is smooth.

    Args:
        loc: the normal law's means.
        scale: its standard deviations; 0 for a value that is known.
        lmbda: lambda.

    Returns:
        The means; infinite for -1 <= lambda < 0 where the mass that is cut is 1e-16 or more.

    Example:
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> float(box_cox_mean(10 * one, one, 0.5).round(decimals=6))  # 1 + 2 m / 2 + (m² + s²)/4
        36.25
    """
    loc, scale = torch.broadcast_tensors(loc.double(), scale.double())
    parts = zip(loc.reshape(-1).split(_AT_ONCE), scale.reshape(-1).split(_AT_ONCE), strict=True)
    means = [_means(m, s, lmbda) for m, s in parts]
    return torch.cat(means).reshape(loc.shape) if means else loc.clone()


def _means(loc: torch.Tensor, scale: torch.Tensor, lmbda: float) -> torch.Tensor:
    if lmbda == 0:
        return torch.exp(loc + scale**2 / 2)
    known = scale == 0
    safe = scale.where(~known, 1.0)
    # u counts standard deviations from the cut into what can occur: 1 + lambda x = |lambda| s u
    centre = (loc + 1 / lmbda) / safe * math.copysign(1, lmbda)
    if -1 <= lmbda < 0:
        # the integral does not exist to the cut itself, which is out of all reach or decides
        mean = _about(centre, safe, lmbda, _SHORT_REACH)
        mean = mean.where(torch.special.ndtr(-centre) < _TAIL, torch.inf)
    else:
        near = centre < _REACH
        mean = torch.where(near, _from_the_cut(centre, safe, lmbda), _about(centre, safe, lmbda))
    exact = torch.exp(torch.log1p((lmbda * loc).clamp(min=-1)) / lmbda)
    return exact.where(known, mean)


def _nodes(loc: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    half = torch.from_numpy(nodes + 1).to(loc.device) / 2
    return half, torch.from_numpy(weights).to(loc.device) / 2


def _about(
    centre: torch.Tensor, scale: torch.Tensor, lmbda: float, reach: float = _REACH
) -> torch.Tensor:
    """The cut is far out: integrate about the centre."""
    half, weights = _nodes(centre)
    z = reach * (2 * half - 1)
    u = (centre[:, None] + z).clamp(min=1e-300)
    value = torch.exp(torch.log(abs(lmbda) * scale[:, None] * u) / lmbda)
    density = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return (value * density * weights).sum(-1) * 2 * reach


def _from_the_cut(centre: torch.Tensor, scale: torch.Tensor, lmbda: float) -> torch.Tensor:
    """The cut lies inside: integrate over u > 0, substituting u = v^power."""
    half, weights = _nodes(centre)
    # beyond the end the density has fallen by e^-45 from its largest value for u > 0
    end = (centre + math.sqrt(2) * _REACH).where(
        centre > 0, centre + (centre**2 + 2 * _REACH**2).sqrt()
    )
    power = 4.0 if lmbda > 0 else max(4.0, 4 * abs(lmbda) / max(abs(lmbda) - 1, 1e-3))
    v = half * end[:, None] ** (1 / power)
    u = v**power
    value = torch.exp(torch.log(abs(lmbda) * scale[:, None] * u) / lmbda)
    logs = -0.5 * (u - centre[:, None]) ** 2 - math.log(math.sqrt(2 * math.pi))
    density = torch.exp(logs - torch.special.log_ndtr(centre)[:, None])
    jacobian = power * v ** (power - 1) * end[:, None] ** (1 / power)
    return (value * density * jacobian * weights).sum(-1)
