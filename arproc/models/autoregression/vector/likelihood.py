"""The exact Gaussian log-likelihood of a vector autoregression, in one pass over the data.

Innovations are p + 1 shifted slices, each times a [d, d] matrix; those of the first elements are
one product with the inverse Cholesky factor of their joint covariance.
"""

from __future__ import annotations

import math

import torch

from arproc.models.autoregression.vector.recursion import VectorRecursion

__all__ = ["log_prob_terms", "residuals"]

_LOG_2PI = math.log(2 * math.pi)


def log_prob_terms(
    values: torch.Tensor,
    lengths: torch.Tensor,
    recursion: VectorRecursion,
    skip: int = 0,
    driven: torch.Tensor | None = None,
) -> torch.Tensor:
    """The chain rule's terms of independent sequences, one after the other, nats.

    Args:
        values: the sequences' elements, float64 [total, d].
        lengths: elements in each, int64 [N].
        recursion: theirs.
        skip: 0, or p where the first elements are given and have no term.
        driven: what regressors add to each element from element p of its sequence on, [total, d].

    Returns:
        [total - N skip].
    """
    white, log_volume, _ = _whitened(values, lengths, recursion, skip, driven)
    return -0.5 * (white * white).sum(-1) - log_volume - 0.5 * recursion.dimension * _LOG_2PI


def residuals(
    values: torch.Tensor,
    lengths: torch.Tensor,
    recursion: VectorRecursion,
    skip: int = 0,
    driven: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each element less its mean given those before, and the same whitened (covariance I).

    Returns:
        Twice [total - N skip, d]; arguments as for `log_prob_terms`.
    """
    white, _, first = _whitened(values, lengths, recursion, skip, driven)
    plain = white @ recursion.factor.mT
    for t in range(recursion.order if not skip else 0):
        rows = first[:, t][first[:, t] >= 0]
        plain = plain.index_copy(0, rows, white[rows] @ recursion.start_factors[t].mT)
    return plain, white


def _whitened(
    values: torch.Tensor,
    lengths: torch.Tensor,
    recursion: VectorRecursion,
    skip: int,
    driven: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Standardised innovations [n, d], the log volume of each [n], where the first ones stand.

    The last is [N, p], -1 where a sequence is shorter.
    """
    p, d, n = recursion.order, recursion.dimension, len(values)
    lengths = lengths.to(values.device)
    stops = lengths.cumsum(0)
    starts = stops - lengths
    y = values - recursion.center
    rest = _innovations(y, recursion) - recursion.intercept
    if driven is not None:
        rest = rest - driven[p:]
    position = torch.arange(min(p, n), n, device=y.device)
    if bool((recursion.drift != 0).any()) or recursion.drift.requires_grad:
        owner = torch.repeat_interleave(starts, lengths)
        rest = rest - (position - owner[p:])[:, None] * recursion.drift
    white = rest @ recursion.inverse_factor.mT
    white = torch.cat([white.new_zeros(n - len(white), d), white])
    volume = recursion.factor.diagonal().log().sum().expand(n)
    first = starts[:, None] + torch.arange(p, device=y.device)  # [N, p]
    inside = first < stops[:, None]
    if p == 0 or n == 0:
        return white, volume, first
    if skip:
        keep = torch.ones(n, dtype=torch.bool, device=y.device)
        keep[first.reshape(-1)] = False
        return white[keep], volume[keep], first
    head = y[first.clamp(max=n - 1)] - recursion.start_loc
    # lower triangular: what is beyond a short sequence's end touches only what is left out
    head = (head.reshape(len(first), p * d) @ recursion.start_whitening.mT).reshape(-1, p, d)
    white = white.index_put((first[inside],), head[inside])
    first_volume = recursion.start_factors.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    volume = volume.index_put((first[inside],), first_volume.expand(inside.shape)[inside])
    return white, volume, torch.where(inside, first, -1)


def _innovations(y: torch.Tensor, recursion: VectorRecursion) -> torch.Tensor:
    """y_t - sum_i A_i y_{t-i} for t = p, p + 1, ...: [n, d] to [max(n - p, 0), d]."""
    p, n = recursion.order, len(y)
    rest = y[p:]
    if n <= p:
        return rest
    for i in range(1, p + 1):
        rest = torch.addmm(rest, y[p - i : n - i], recursion.coef[i - 1].mT, alpha=-1)
    return rest
