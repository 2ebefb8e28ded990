"""BetaAR: autoregressions of shares, rates and other numbers between 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
import torch
from torch.distributions import Beta

from arproc.contract.checked import Array, Number
from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.contract.storable import storable
from arproc.errors import DataError, check_integer, check_number, check_numbers
from arproc.inference.estimated import Estimated
from arproc.inference.maximum import maximum_likelihood
from arproc.process import Fit, Process
from arproc.spaces import Space, UnitInterval

__all__ = ["BetaAR", "BetaARLaw"]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class BetaARLaw(ChainLaw):
    """The law of `BetaAR`: intercept, coef [p] (lag 1 first) and precision; numbers or tensors."""

    intercept: Annotated[float | torch.Tensor, Number()]
    coef: Annotated[np.ndarray | torch.Tensor, Array("p", kind="float64 float32")]
    precision: Annotated[float | torch.Tensor, Number(above=0)]
    space = UnitInterval()
    padding = 0.5
    window_length = n_given = property(lambda self: len(self.coef))

    def window(self, ctx: torch.Tensor, position: torch.Tensor) -> Beta:
        eta = self.intercept + torch.logit(ctx).flip(-1) @ torch.as_tensor(self.coef)
        eta = eta.clamp(-700, 700)  # beyond, a mean is 0 or 1 in float64
        up, down = (self.precision * torch.sigmoid(sign * eta) for sign in (1, -1))
        return Beta(up, down, validate_args=False)


class BetaAR(Estimated, Process):
    r"""Beta autoregression of numbers in (0, 1): the AR part of Rocha and Cribari-Neto (2009).

    .. math::
        y_t \mid y_{<t} \sim \text{Beta}(\mu_t \phi, (1 - \mu_t) \phi), \quad
        \text{logit} \, \mu_t = \alpha + \sum_{i=1}^p \varphi_i \, \text{logit} \, y_{t-i}

    The likelihood is conditional: that of what follows the first p values, which are given.

    Args:
        order: p.

    Attributes:
        intercept_: alpha.
        coef_: the coefficients varphi, lag 1 first, float64 [p].
        precision_: phi; the variance of y_t is mu_t (1 - mu_t) / (1 + phi).

    Example:
        >>> share = BetaAR.from_parameters(0.2, [0.6], 30.0).sample(1, 200, [0.5], seed=0)[0]
        >>> BetaAR(order=1).fit(share).coef_.round(1)
        array([0.6])
    """

    intercept_: float
    coef_: np.ndarray
    precision_: float

    def __init__(self, order: int = 1) -> None:
        self.order = order

    @classmethod
    def from_parameters(cls, intercept: float, coef: Any, precision: float) -> Self:
        """The process with known parameters (see the class), which needs no fit."""
        lags, level = check_numbers("coef", coef), check_number("intercept", intercept)
        law = BetaARLaw(level, lags, check_number("precision", precision, above=0))
        return cls.of(law, order=len(lags))

    def _infer_space(self, data: Any) -> Space:
        return UnitInterval()

    def _law_at(self, estimates: Any) -> BetaARLaw:
        return BetaARLaw(estimates[0], estimates[1:-1], estimates[-1])

    def _fit(self, sequences: Sequences, **_: Any) -> tuple[BetaARLaw, Fit]:
        p, y = check_integer("order", self.order, minimum=0), sequences.values.detach()
        sequences.require_length(p + 1)
        mean, spread = float(y.mean()), float(y.var(correction=0))
        if not spread > 0:
            raise DataError("data is constant (or a single value): precision has no estimate.")
        names = ["intercept", *(f"ar.L{i + 1}" for i in range(p)), "precision"]
        start = [np.log(mean / (1 - mean)), *[0.0] * p, mean * (1 - mean) / spread - 1]
        return maximum_likelihood(self._law_at, sequences, names, start, positive=["precision"])

    def _described(self) -> tuple[str, list[tuple[str, str]]]:
        return f"BetaAR({len(self.coef_)})", []
