"""Logarithms and standardising: maps of each value alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributions as td

from arproc.errors import DataError, check_number
from arproc.models.transformed.base import Transform

__all__ = ["Log", "Standardize"]


class Log(Transform):
    """x = log(y + shift), for values above -shift.

    Forecasts have the mean of the lognormal law, exp(mu + sigma^2 / 2) - shift.

    Args:
        shift: what is added before the logarithm is taken; 1 lets zeros in.

    Example:
        >>> import arproc
        >>> from arproc.transforms import Log, Transformed
        >>> model = Transformed(arproc.AR(1), Log()).fit([1.0, 2.0, 1.5, 2.5, 2.0])
        >>> type(model.conditional([2.0])).__name__
        'LogNormal'
    """

    takes_missing = True

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift

    def check(self, y: torch.Tensor) -> None:
        check_number("shift", self.shift)
        if bool((y.detach() <= -self.shift).any()):
            raise DataError(
                f"a logarithm needs values above {-self.shift or 0:g}; the least is "
                f"{float(y.detach()[~y.isnan()].min()):g}. Log(shift=...) adds to them first."
            )

    def outward(self, past: torch.Tensor) -> td.Transform:
        return _ShiftedExp(float(self.shift)) if self.shift else td.ExpTransform()


class _ShiftedExp(td.Transform):
    """y = exp(x) - shift."""

    domain = td.constraints.real
    bijective = True
    sign = 1

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift
        self.codomain = td.constraints.greater_than(-shift)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ShiftedExp) and self.shift == other.shift

    __hash__ = None  # type: ignore[assignment]

    def _call(self, x: torch.Tensor) -> torch.Tensor:
        return x.exp() - self.shift

    def _inverse(self, y: torch.Tensor) -> torch.Tensor:
        return (y + self.shift).log()

    def log_abs_det_jacobian(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x

    def mean(self, normal: Any) -> torch.Tensor:
        """The mean of y for a normal x.

        Raises:
            NotImplementedError: x has another law, with heavier tails perhaps: it may be infinite.
        """
        if not isinstance(normal, td.Normal):
            raise NotImplementedError
        return torch.exp(normal.loc + normal.scale**2 / 2) - self.shift


class Standardize(Transform):
    """x = (y - mean) / standard deviation, both learnt from the data of `fit`.

    Attributes:
        mean_: the mean.
        scale_: the standard deviation (1 for constant data).
    """

    takes_missing = True

    mean_: float
    scale_: float

    def __init__(self) -> None:
        pass

    def fit(self, values: torch.Tensor) -> None:
        there = values[~values.isnan()]
        self.mean_ = float(there.mean())
        deviation = float(there.std(correction=0))
        self.scale_ = deviation if deviation > 0 else 1.0

    def outward(self, past: torch.Tensor) -> td.Transform:
        return td.AffineTransform(self.mean_, self.scale_)
