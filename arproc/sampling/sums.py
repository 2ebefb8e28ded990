"""Evidence of sums: totals, means, changes from here to there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arproc.contract.law import ChainLaw
from arproc.errors import ParameterError, UnsupportedError, check_array, check_number
from arproc.sampling.evidence import Evidence, Linear, Memory, Setting, Terms, impossible

__all__ = ["Sum"]


class Sum(Evidence):
    """The sum of all elements, or a weighted one: a total, a mean, a change from here to there.

    Args:
        total: what it is. For real numbers the evidence is then the density of the sum there.
        low: instead of `total`, what it is at least.
        high: what it is at most.
        noise: the standard deviation of the normal error with which `total` was measured.
        weights: by position; all ones by default. Elements beyond them do not count.

    Example:
        >>> import arproc
        >>> walk = arproc.AR.from_parameters([0.5])
        >>> found = arproc.sampling.condition(walk, Sum(6.0), n=4, length=3, seed=0)
        >>> found.x.sum(1).round(6).tolist(), found.mean.round(3).tolist()
        ([6.0, 6.0, 6.0, 6.0], [1.909, 2.182, 1.909])
    """

    def __init__(
        self,
        total: float | None = None,
        low: float | None = None,
        high: float | None = None,
        noise: float = 0.0,
        weights: Any = None,
    ) -> None:
        for name, value in (("total", total), ("low", low), ("high", high)):
            if value is not None:
                check_number(name, value)
        bounds = low is not None or high is not None
        if bounds == (total is not None):
            raise ParameterError("expected total, or low or high (or both of these) in its place.")
        if low is not None and high is not None and low > high:
            raise ParameterError(f"low is {low}, above high, which is {high}.")
        check_number("noise", noise, low=0)
        if noise and bounds:
            raise ParameterError("noise is the error of total; leave it out beside low and high.")
        if weights is not None:
            found = check_array("weights", weights)
            if found.ndim != 1 or not np.isfinite(found).all() or not found.any():
                raise ParameterError(
                    f"weights must be a list of finite numbers, not all zero; got {weights!r:.60}."
                )
        self.total, self.low, self.high = total, low, high
        self.noise, self.weights = noise, weights

    def bound(self, setting: Setting) -> Terms:
        space = setting.law.space
        if space.event_shape or space.varies or space.kind == "categorical":
            raise UnsupportedError(
                f"Sum is for processes of numbers; this one is of {space.describe()} elements."
            )
        steps = setting.require_steps("Sum")
        weights = np.ones(steps)
        if self.weights is not None:
            given = check_array("weights", self.weights)
            weights = np.zeros(steps)
            for position, weight in enumerate(given):
                weights[setting.place(position, "weights")] = weight
        return _SumTerms(self, weights, setting.law)


class _SumTerms(Terms):
    """A weighted sum; what is remembered is what it is so far, [N, 1]."""

    def __init__(self, evidence: Sum, weights: np.ndarray, law: ChainLaw) -> None:
        self.total, self.noise = evidence.total, evidence.noise
        self.low = -math.inf if evidence.low is None else evidence.low
        self.high = math.inf if evidence.high is None else evidence.high
        self.last = int(np.flatnonzero(weights)[-1])
        self.weights, self.horizon = weights.tolist(), self.last + 1
        self.law, self.density = law, law.space.measure == "density"
        self.at_once = self.total is not None

    def start(self, n: int) -> Memory:
        return torch.zeros((n, 1), dtype=torch.float64)

    def forced(self, own: Memory, step: int) -> Tensor | None:
        if step != self.last or self.total is None or self.noise:
            return None
        rest = (self.total - own[:, 0]) / self.weights[step]
        if not self.density:
            whole = rest.round()
            rest = torch.where((rest - whole).abs() < 1e-9 * max(1.0, abs(self.total)), whole, 0.5)
        # what is no element is left free, and the factor says that it is impossible
        return rest.masked_fill(~self.law.space.support.check(rest), torch.nan)

    def append(self, own: Memory, x: Tensor, step: int) -> tuple[Memory, Tensor]:
        if step > self.last:
            return own, torch.zeros(len(x), dtype=torch.float64)
        after = own + self.weights[step] * x.double().cpu()[:, None]
        if step < self.last:
            return after, torch.zeros(len(x), dtype=torch.float64)
        rounding = 1e-5 * torch.maximum(own[:, 0].abs(), after[:, 0].abs())
        return after, self._factor(after[:, 0], rounding)

    def _factor(self, total: Tensor, rounding: Tensor) -> Tensor:
        """The factor of a whole sum."""
        if self.total is None:
            return impossible((total < self.low) | (total > self.high))
        if self.noise:
            error = torch.distributions.Normal(self.total, self.noise)
            return error.log_prob(total)
        off = (total - self.total).abs()
        if not self.density:
            return impossible(off > 1e-9 * max(1.0, abs(self.total)))
        # the last number is forced, and its density is that of the sum but for its weight
        size = math.log(abs(self.weights[self.last]))
        return impossible(off > rounding.clamp(min=1e-5 * abs(self.total))) - size

    def free_until(self, step: int) -> int:
        return 2**62 if step > self.last else max(step, self.last)

    def linear(self, steps: int) -> Linear | None:
        if self.total is None:
            return None
        matrix = torch.tensor(self.weights[:steps], dtype=torch.float64)[None]
        value = torch.tensor([self.total], dtype=torch.float64)
        return Linear(matrix, value, torch.tensor([self.noise**2], dtype=torch.float64))
