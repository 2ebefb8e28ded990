"""The recursion of an autoregression: what its conditionals need, place by place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch.distributions import MultivariateNormal

from arproc.gaussian.levinson import stationary_start
from arproc.models.autoregression.mean import Level

__all__ = ["Recursion", "recursion_from_mean", "recursion_from_normal", "recursion_given"]


@dataclass(frozen=True)
class Recursion:
    """Everything the conditionals of an AR(p) need, as float64 tensors.

    With y = x less its level, y_t is `constants[row] + drive_t + sum_i weights[row, i] y_{t-i}`
    plus an innovation of variance `variances[row]`, row being t, or p from there on.

    Attributes:
        weights: row t < p is for element t, the last row for all later ones; column i - 1 is for
            lag i. [p + 1, p]
        variances: of the innovations, [p + 1].
        constants: what is added to the weighted elements, [p + 1]; 0 in the last row.
        level: what is subtracted from every element first.
        drive: what is added from element p on, if anything.
    """

    weights: torch.Tensor
    variances: torch.Tensor
    constants: torch.Tensor
    level: Level
    drive: Level | None = None

    @property
    def order(self) -> int:
        """The number of lags p."""
        return self.weights.shape[-1]

    @cached_property
    def scales(self) -> torch.Tensor:
        """Standard deviations of the innovations, [p + 1]."""
        return self.variances.sqrt()

    @cached_property
    def backwards(self) -> torch.Tensor:
        """The weights with the oldest lag first, [p + 1, p]."""
        return self.weights.flip(-1)

    def to(self, device: torch.device) -> Recursion:
        """The same numbers on another device."""
        return self if self.weights.device == device else self._map(lambda x: x.to(device))

    def detach(self) -> Recursion:
        """The same numbers without their gradients."""
        parts = [part for part in (self.level, self.drive) if part is not None]
        tensors = [self.weights, self.variances, self.constants]
        tensors += [tensor for part in parts for tensor in (part.coefficients, part.weights)]
        learning = any(tensor.requires_grad for tensor in tensors)
        return self._map(torch.Tensor.detach) if learning else self

    def observed(self) -> Recursion:
        """The same with plain numbers for the rows of given elements, instead of nan."""
        gone = torch.isnan(self.variances)
        if not bool(gone.any()):
            return self
        return replace(
            self,
            weights=torch.where(gone[:, None], 0.0, self.weights),
            variances=torch.where(gone, 1.0, self.variances),
            constants=torch.where(gone, 0.0, self.constants),
        )

    def _map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Recursion:
        weights, variances = change(self.weights), change(self.variances)
        drive = None if self.drive is None else self.drive.map(change)
        constants, level = change(self.constants), self.level.map(change)
        return Recursion(weights, variances, constants, level, drive)

    def driven(self, position: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor | None:
        """What is added at these positions: 0 before element p; None where nothing is."""
        if self.drive is None:
            return None
        added = self.drive.at(position, context)
        return torch.where(position >= self.order, added, 0.0)


def recursion_from_mean(coef: torch.Tensor, sigma2: torch.Tensor, level: Level) -> Recursion:
    """The AR about a mean, from its stationary start.

    Raises:
        ParameterError: the coefficients have no stationary law.
    """
    weights, variances = stationary_start(coef, sigma2)
    return Recursion(weights, variances, torch.zeros_like(variances), level)


def recursion_from_normal(initial: MultivariateNormal, then: Recursion) -> Recursion:
    """The recursion `then` after first elements of a given normal distribution.

    Element t given those before it is the regression that the Cholesky factor holds.
    """
    p = then.order
    factor, loc = initial.scale_tril.to(then.weights), initial.loc.to(then.weights)
    # inverse factor: row t is (e_t - regression of t on the elements before) / scale_t
    whitening = torch.linalg.inv(factor)
    by_place = torch.eye(p, dtype=factor.dtype) - whitening * factor.diagonal()[:, None]
    rows = (
        torch.stack(
            [torch.cat([by_place[t, :t].flip(0), factor.new_zeros(p - t)]) for t in range(p)]
        )
        if p
        else factor.new_zeros((0, 0))
    )
    start = loc - then.level.at(torch.arange(p))
    return Recursion(
        torch.cat([rows, then.weights[-1:]]),
        torch.cat([factor.diagonal() ** 2, then.variances[-1:]]),
        torch.cat([start - by_place @ start, then.constants[-1:]]),
        then.level,
        then.drive,
    )


def recursion_given(
    coef: torch.Tensor, sigma2: torch.Tensor, level: Level, drive: Level | None
) -> Recursion:
    """The recursion after p given elements.

    The rows of the given elements hold nan: they have no conditionals.
    """
    nothing = torch.full((len(coef), len(coef) + 1), torch.nan, dtype=coef.dtype)
    weights = torch.cat([nothing[:, : len(coef)], coef[None]])
    variances = torch.cat([nothing[:, 0], sigma2[None]])
    constants = torch.cat([nothing[:, 0], coef.new_zeros(1)])
    return Recursion(weights, variances, constants, level, drive)
