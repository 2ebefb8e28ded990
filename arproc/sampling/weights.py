"""Weights of particles: resampling by them, what they are worth, and what they estimate."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from arproc.contract.randomness import Uniforms

__all__ = ["Estimate", "chosen", "effective_size", "estimated", "families", "systematic"]


class Estimate(NamedTuple):
    """What several sets of weighted particles tell together.

    Attributes:
        log_weights: of all particles, which sum to one, nats, [E, P].
        log_evidence: log of the mean of the sets' estimates, nats.
        error: the standard error of that logarithm, by the spread of the sets.
        size: how many independent draws the particles are worth, counted at the first element.
    """

    log_weights: Tensor
    log_evidence: float
    error: float
    size: float


def estimated(log_weights: Tensor, log_evidence: Tensor, lineage: Tensor) -> Estimate:
    """Sets of particles as one.

    Args:
        log_weights: within their set, not normalised, [E, P].
        log_evidence: log of each set's unbiased estimate, nats, [E].
        lineage: from which of its set's first particles each descends, [E, P].
    """
    shares = torch.log_softmax(log_weights, 1) + log_evidence[:, None]
    shares = shares - torch.logsumexp(log_evidence, 0)
    most = log_evidence.max()
    values = (log_evidence - most).exp()
    found = float(most + values.mean().log())
    together = torch.zeros_like(shares).scatter_add_(1, lineage, shares.exp())
    size = float(1 / together.square().sum())
    return Estimate(shares, found, _error(log_evidence, values), size)


def _error(log_values: Tensor, values: Tensor) -> float:
    """The standard error of the logarithm of the mean of some numbers, as the larger of two.

    By their own spread, and by that of their logarithms as if these were normal (Cox's method in
    Zhou and Gao 1997), which does not overlook a long tail as easily.
    """
    count = len(values)
    plain = float(values.std() / values.mean()) / math.sqrt(count)
    spread = float(log_values.var())
    if not math.isfinite(spread):  # where some of them are zero
        return plain
    return max(plain, math.sqrt(spread / count + spread**2 / (2 * (count - 1))))


def chosen(
    log_weights: Tensor, which: Tensor, uniforms: Uniforms, step: int, count: int
) -> Tensor:
    """So many particles of some sets by systematic resampling, int64 [e, count].

    Args:
        log_weights: of all, [E, P].
        which: of which sets, bool [E].
        uniforms: of the E sets.
        step: at which step, which addresses the uniforms.
        count: how many.
    """
    return systematic(log_weights[which], uniforms.block(which.nonzero()[:, 0], step, 1), count)


def systematic(log_weights: Tensor, uniforms: Tensor, count: int) -> Tensor:
    """So many particles of some sets by systematic resampling, int64 [e, count].

    Args:
        log_weights: of the particles, [e, particles]; some finite ones in each row.
        uniforms: one for each set, [e, 1].
        count: how many.
    """
    weights = torch.softmax(log_weights, dim=1)
    place = (torch.arange(count) + uniforms) / max(count, 1)
    cumulated = weights.cumsum(1)
    cumulated = cumulated / cumulated[:, -1:]
    found = torch.searchsorted(cumulated, place, right=True)
    # rounding must not reach a particle of no weight
    last = weights.shape[1] - 1 - (weights > 0).flip(1).int().argmax(1, keepdim=True)
    return torch.minimum(found, last)


def families(log_weights: Tensor, lineage: Tensor) -> Tensor:
    """How many independent draws weighted particles are worth, [E].

    Counted at the first step, where particles that descend from one another are one.

    Args:
        log_weights: [E, P].
        lineage: from which of the first particles each descends, [E, P].
    """
    shares = torch.softmax(log_weights, dim=1)
    together = torch.zeros_like(shares).scatter_add_(1, lineage, shares)
    return 1 / together.square().sum(1)


def effective_size(log_weights: Tensor) -> Tensor:
    """How many equal weights these are worth, 1 / the sum of squared shares (Kong 1992), [E]."""
    return 1 / torch.softmax(log_weights, dim=1).square().sum(1)
