"""The law of transform(x), as the closed form it has where it has one."""

from __future__ import annotations

from typing import Any

from torch import distributions as td

__all__ = ["transformed"]


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
