"""Joint normal laws of several steps: what one step has of them, and one component of a vector.

A joint law is a `MultivariateNormal` of event [horizon * d], step after step, or one under maps
of each number alone (a `TransformedDistribution`).
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

from torch import distributions as td

from arproc.distributions.mixture import Mixture
from arproc.distributions.transformed import transformed

__all__ = ["component_marginals", "step_marginals"]


def step_marginals(joint: Any, horizon: int, event_shape: tuple[int, ...]) -> Any:
    """Each step's own distribution: batch [N, horizon] and event `event_shape`.

    Example:
        >>> import torch
        >>> joint = td.MultivariateNormal(torch.zeros(1, 2), scale_tril=torch.eye(2)[None])
        >>> step_marginals(joint, 2, ()).batch_shape
        torch.Size([1, 2])
    """
    if isinstance(joint, td.TransformedDistribution):
        base = step_marginals(joint.base_dist, horizon, event_shape)
        return reduce(transformed, joint.transforms, base)
    n, d = joint.batch_shape[0], math.prod(event_shape)
    loc = joint.loc.expand(n, horizon * d).reshape(n, horizon, *event_shape)
    if not event_shape:
        return td.Normal(loc, joint.variance.sqrt(), validate_args=False)
    rows = joint.scale_tril.expand(n, -1, -1).reshape(n, horizon, d, horizon * d)
    return td.MultivariateNormal(loc, rows @ rows.mT, validate_args=False)


def component_marginals(distribution: Any) -> Any:
    """Each component's own distribution, the event [d] moved into the batch; None if unknown.

    A distribution of scalars is its own.
    """
    if not distribution.event_shape:
        return distribution
    if isinstance(distribution, td.MultivariateNormal):
        scale = distribution.variance.sqrt()
        return td.Normal(distribution.loc.expand(scale.shape), scale, validate_args=False)
    if isinstance(distribution, td.Independent) and distribution.reinterpreted_batch_ndims == 1:
        return distribution.base_dist
    if type(distribution) is td.TransformedDistribution:
        base = component_marginals(distribution.base_dist)
        return None if base is None else reduce(transformed, distribution.transforms, base)
    if isinstance(distribution, Mixture):
        parts = [component_marginals(part) for part in distribution.components]
        weights = distribution.log_weights
        weights = weights if weights.ndim == 1 else weights.unsqueeze(-2)
        return None if any(part is None for part in parts) else Mixture(parts, weights)
    return None
