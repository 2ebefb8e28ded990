"""The law of SETAR: a normal law whose parameters depend on one of the last elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
import torch
from torch.distributions import Distribution, Normal

from arproc.contract.checked import Array, Number, sentences
from arproc.contract.law import ChainLaw
from arproc.contract.storable import storable
from arproc.spaces import Real

__all__ = ["SETARLaw"]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class SETARLaw(ChainLaw):
    """A threshold autoregression; see `SETAR` for the formula.

    Attributes:
        threshold: the thresholds, ascending, [k - 1].
        delay: which past element decides.
        coef: coefficients, lag 1 first, [k, p].
        intercept: the recursions' constants, [k].
        drift: their coefficients of t, [k].
        sigma2: innovation variances, [k].
    """

    threshold: Annotated[np.ndarray, Array("k - 1")]
    delay: Annotated[int, Number(low=1, high=2**20)]
    coef: Annotated[np.ndarray, Array("k", "p")]
    intercept: Annotated[np.ndarray, Array("k")]
    drift: Annotated[np.ndarray, Array("k")]
    sigma2: Annotated[np.ndarray, Array("k", above=0)]

    space = Real()

    def problems(self) -> Iterator[str]:
        falls = bool((np.diff(self.threshold) < 0).any())
        yield from sentences((falls, "the thresholds do not ascend"))

    @property
    def counts_from_zero(self) -> bool:  # type: ignore[override]
        return bool(self.drift.any())

    @property
    def n_regimes(self) -> int:
        """How many regimes there are."""
        return len(self.sigma2)

    @property
    def window_length(self) -> int:
        return max(self.coef.shape[1], self.delay)

    @property
    def n_given(self) -> int:  # type: ignore[override]
        return self.window_length

    @cached_property
    def _tensors(self) -> tuple[torch.Tensor, ...]:
        arrays = (self.intercept, self.drift, self.coef, np.sqrt(self.sigma2))
        return tuple(torch.from_numpy(array) for array in arrays)

    def regime(self, deciding: torch.Tensor) -> torch.Tensor:
        """The regimes of elements whose deciding ones (those `delay` before) these are."""
        # x <= threshold belongs to the lower regime
        return torch.bucketize(deciding.contiguous(), torch.from_numpy(self.threshold))

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Distribution:
        intercept, drift, coef, scale = self._tensors
        lags = ctx.flip(-1)
        regime = self.regime(lags[..., self.delay - 1])
        loc = intercept[regime] + drift[regime] * position
        loc = loc + (coef[regime] * lags[..., : coef.shape[1]]).sum(-1)
        return Normal(loc, scale[regime], validate_args=False)
