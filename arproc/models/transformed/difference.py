"""Differences, ordinary and seasonal."""

from __future__ import annotations

import torch
from torch import distributions as td
from torch.distributions import Distribution

from arproc.errors import check_integer
from arproc.models.transformed.base import Transform

__all__ = ["Difference"]


class Difference(Transform):
    """x_t = y_t - y_{t - lag}; the law begins after the first `lag` values, which are given.

    Forecasts of a linear-Gaussian process are exact: sums of jointly normal differences are
    normal. Powers are composed: `Difference() | Difference()`, or with a season
    `Difference(12) | Difference()`.

    Args:
        lag: 1 for the ordinary difference, the season's length for the seasonal one.
    """

    def __init__(self, lag: int = 1) -> None:
        self.lag = lag

    @property
    def given(self) -> int:
        return check_integer("lag", self.lag, minimum=1)

    def outward(self, past: torch.Tensor) -> td.Transform:
        return td.AffineTransform(past[..., 0], 1.0)

    def joint(self, inner: Distribution, past: torch.Tensor) -> Distribution | None:
        if not isinstance(inner, td.MultivariateNormal):
            return None
        steps, lag = torch.arange(inner.event_shape[0]), self.given
        apart = steps[:, None] - steps
        # y_h is the last known value of its place in the season, plus the differences since
        sums = ((apart >= 0) & (apart % lag == 0)).to(inner.loc)
        loc = past[:, steps % lag] + inner.loc @ sums.mT
        return td.MultivariateNormal(loc, scale_tril=sums @ inner.scale_tril, validate_args=False)
