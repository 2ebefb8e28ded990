"""The law of transform(x), as the closed form it has where it has one."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributions as td

__all__ = ["mean", "transformed"]


def transformed(base: Any, transform: td.Transform) -> Any:
    """The distribution of transform(x), x from `base`; each number is mapped alone.

    Example:
        >>> type(transformed(td.Normal(0.0, 1.0), td.ExpTransform())).__name__
        'LogNormal'
    """
    if isinstance(transform, td.AffineTransform):
        scale: Any = transform.scale  # a number stays one: as a tensor it would be float32
        if isinstance(base, td.Normal):
            loc = transform.loc + scale * base.loc
            return td.Normal(loc, abs(scale) * base.scale, validate_args=False)
        if isinstance(base, td.MultivariateNormal):
            loc, factor = transform.loc + scale * base.loc, abs(scale) * base.scale_tril
            return td.MultivariateNormal(loc, scale_tril=factor, validate_args=False)
    if isinstance(base, td.Normal) and isinstance(transform, td.ExpTransform):
        return td.LogNormal(base.loc, base.scale, validate_args=False)
    return td.TransformedDistribution(base, [transform], validate_args=False)


def mean(distribution: Any) -> torch.Tensor:
    """The mean of a conditional; of transformed ones where an affine map or its own rule tells.

    Raises:
        NotImplementedError: no closed form is known.

    Example:
        >>> law = td.TransformedDistribution(td.Laplace(1.0, 1.0), [td.AffineTransform(3.0, 2.0)])
        >>> float(mean(law))
        5.0
    """
    if type(distribution) is not td.TransformedDistribution:
        return distribution.mean
    base, transforms = distribution.base_dist, distribution.transforms
    if all(isinstance(transform, td.AffineTransform) for transform in transforms):
        value = mean(base)
        for transform in transforms:
            value = transform(value)
        return value
    own = getattr(transforms[0], "mean", None)
    if own is None or len(transforms) > 1:
        raise NotImplementedError
    return own(base)
