"""Normal vectors of which some components were not observed."""

from __future__ import annotations

import math

import torch
from torch.distributions import MultivariateNormal

__all__ = ["observed_log_prob", "observed_scores"]


def _apart(
    distribution: MultivariateNormal, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Whitened x [*batch, d], the Cholesky factor [*batch, d, d], and what is missing.

    A missing component is taken for one of mean x and variance 1 that nothing depends on.
    """
    gone = torch.isnan(x)
    apart = gone[..., None] | gone[..., None, :]
    eye = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    tril = torch.linalg.cholesky(torch.where(apart, eye, distribution.covariance_matrix))
    loc = distribution.loc
    deviation = torch.where(gone, loc.new_zeros(()), x.masked_fill(gone, 0.0) - loc)
    white = torch.linalg.solve_triangular(tril, deviation[..., None], upper=False)[..., 0]
    return white, tril, gone


def observed_scores(distribution: MultivariateNormal, x: torch.Tensor) -> torch.Tensor:
    """Each component less its mean given those before it that were observed, standardised.

    Args:
        distribution: of vectors.
        x: vectors [*batch, d], NaN where a component is missing.

    Returns:
        [*batch, d], NaN where a component is missing.
    """
    white, _, gone = _apart(distribution, x)
    return white.masked_fill(gone, torch.nan)


def observed_log_prob(distribution: MultivariateNormal, x: torch.Tensor) -> torch.Tensor:
    """The log-density of the components that were observed; 0 where none was.

    Example:
        >>> unit = MultivariateNormal(torch.zeros(2), torch.eye(2))
        >>> observed_log_prob(unit, torch.tensor([0.0, torch.nan]))
        tensor(-0.9189)
    """
    white, tril, gone = _apart(distribution, x)
    volume = tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    seen = (~gone).sum(-1).to(white.dtype)  # a number times whole ones is float32
    return -0.5 * (white * white).sum(-1) - volume - 0.5 * math.log(2 * math.pi) * seen
