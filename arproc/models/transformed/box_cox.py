r"""The Box-Cox transform, exactly normalised.

.. math:: x = \frac{(y / g)^\lambda - 1}{\lambda}, \quad \log(y / g) \text{ for } \lambda = 0.

Its values are bounded by :math:`-1 / \lambda` on one side, and a normal law is not. The law of x
is therefore the process's own, cut at that bound and renormalised at every step: the likelihood
is that of a proper law of y.

References:
    Box, Cox (1964), An analysis of transformations, JRSS B 26. Poirier (1978), The use of the
    Box-Cox transformation in limited dependent variable models, JASA 73 (the truncation).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import distributions as td
from torch.distributions import Distribution

from arproc.distributions import Truncated, transformed
from arproc.errors import DataError, ParameterError, check_number, check_numbers
from arproc.models.transformed.base import Transform
from arproc.models.transformed.box_cox_mean import box_cox_mean

__all__ = ["BoxCox"]

#: Multi-step laws are taken for normal where the chance that a path of the normal law leaves what
#: can occur, at any step, is below this: no probability is then wrong by more.
_NEGLIGIBLE = 1e-8


class BoxCox(Transform):
    """x = ((y / g)^lambda - 1) / lambda of positive values, lambda given or by maximum likelihood.

    For each lambda the process is fitted as it always is, to the values x. The likelihoods that
    are compared are those of the cut laws.

    One step ahead everything is exact. Further ahead the normal law of x is used where the chance
    of ever leaving what can occur is below 1e-8, and sample paths elsewhere. The mean of y is the
    integral over its law, not the transform of the mean of x. For -1 <= lambda < 0 the law of y
    has so heavy a tail that its mean is infinite, and is given so where that tail's probability
    is 1e-16 or more; a tail beyond double precision is left out. (Where paths are simulated the
    mean is theirs, whatever the tail.)

    Args:
        lmbda: lambda; None to choose it jointly with the process: the lambda whose fitted process
            has the highest likelihood on the user's scale.
        bounds: between what lambda is searched.

    Attributes:
        lambda_: the lambda in use.
        scale_: g, by which values are divided first: 1 where lambda was given; else their
            geometric mean, which keeps large and small values apart from rounding, and changes x
            by an affine map.

    Example:
        >>> import arproc
        >>> y = (8 + arproc.AR.from_parameters([0.5]).sample(1, length=2000, seed=1)[0]) ** 3
        >>> model = arproc.Transformed(arproc.AR(1), BoxCox()).fit(y)
        >>> round(model.transform_.lambda_, 1)   # 1/3 would undo the cube
        0.4
    """

    lambda_: float
    scale_: float

    def __init__(
        self, lmbda: float | None = None, bounds: tuple[float, float] = (-2.0, 2.0)
    ) -> None:
        self.lmbda = lmbda
        self.bounds = bounds

    # ---- learning --------------------------------------------------------------------------

    def fit(self, values: torch.Tensor) -> None:
        if self.lmbda is None:
            raise ParameterError("lmbda must be given where there is no process to fit it with.")
        self.lambda_, self.scale_ = float(self.lmbda), 1.0

    @property
    def learns_alone(self) -> bool:
        """Where lambda is given."""
        return self.lmbda is not None

    def fit_jointly(self, values: torch.Tensor, log_prob: Callable[[Transform], float]) -> None:
        low, high = self._range()
        if self.lmbda is not None:
            self.fit(values)
            return
        there = values.detach()[~values.isnan()]
        scale = float(there.double().log().mean().exp())

        def objective(lmbda: float) -> float:
            return -log_prob(self._with(float(lmbda), scale))

        from scipy.optimize import minimize_scalar

        # a coarse search first: the likelihood need not have one maximum alone
        grid = np.linspace(low, high, 9)
        worth = [objective(lmbda) for lmbda in grid]
        best = int(np.argmin(worth))
        around = (float(grid[max(best - 1, 0)]), float(grid[min(best + 1, 8)]))
        found = minimize_scalar(
            objective, bounds=around, method="bounded", options={"xatol": 1e-6}
        )
        better = float(found.fun) < worth[best]
        self.lambda_, self.scale_ = float(found.x if better else grid[best]), scale

    def _with(self, lmbda: float, scale: float) -> BoxCox:
        transform = BoxCox(lmbda, self.bounds)
        transform.lambda_, transform.scale_ = lmbda, scale
        return transform

    def _range(self) -> tuple[float, float]:
        if self.lmbda is not None:
            check_number("lmbda", self.lmbda)
        bounds = check_numbers("bounds", self.bounds)
        if len(bounds) != 2 or not bounds[0] < bounds[1]:
            raise ParameterError(
                f"bounds must be two numbers, the lower first; got {self.bounds!r}."
            )
        return float(bounds[0]), float(bounds[1])

    def check(self, y: torch.Tensor) -> None:
        self._range()
        if bool((y.detach() <= 0).any()):
            raise DataError(
                "a Box-Cox transform needs values above 0; the least is "
                f"{float(y.detach()[~y.isnan()].min()):g}."
            )

    # ---- the map ---------------------------------------------------------------------------

    @property
    def reach(self) -> tuple[float, float]:
        if self.lambda_ == 0:
            return -math.inf, math.inf
        bound = -1 / self.lambda_
        return (bound, math.inf) if self.lambda_ > 0 else (-math.inf, bound)

    def outward(self, past: torch.Tensor) -> td.Transform:
        return InverseBoxCox(self.lambda_, self.scale_)

    def marginals(self, inner: Distribution, past: torch.Tensor) -> Distribution | None:
        if not isinstance(inner, td.Normal):
            return None
        outward = InverseBoxCox(self.lambda_, self.scale_)
        if inner.batch_shape[-1] == 1:
            return transformed(self.cut(inner), outward)
        return transformed(inner, outward) if outward.reaches(inner) else None

    def joint(self, inner: Distribution, past: torch.Tensor) -> Distribution | None:
        outward = InverseBoxCox(self.lambda_, self.scale_)
        if not isinstance(inner, td.MultivariateNormal):
            return None
        each = td.Normal(inner.loc, inner.variance.sqrt(), validate_args=False)
        return transformed(inner, outward) if outward.reaches(each) else None


class InverseBoxCox(td.Transform):
    """y = g (1 + lambda x)^(1 / lambda).

    Args:
        lmbda: lambda.
        scale: g.
    """

    domain = td.constraints.real
    codomain = td.constraints.positive
    bijective = True
    sign = 1

    def __init__(self, lmbda: float, scale: float) -> None:
        super().__init__()
        self.lmbda, self.scale = lmbda, scale

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, InverseBoxCox):
            return False
        return (self.lmbda, self.scale) == (other.lmbda, other.scale)

    __hash__ = None  # type: ignore[assignment]

    def _call(self, x: torch.Tensor) -> torch.Tensor:
        if self.lmbda == 0:
            return self.scale * x.exp()
        return self.scale * torch.exp(torch.log1p((self.lmbda * x).clamp(min=-1)) / self.lmbda)

    def _inverse(self, y: torch.Tensor) -> torch.Tensor:
        logs = (y / self.scale).log()
        return logs if self.lmbda == 0 else torch.expm1(self.lmbda * logs) / self.lmbda

    def log_abs_det_jacobian(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (1 - self.lmbda) * (y / self.scale).log() + math.log(self.scale)

    def reaches(self, normal: Any) -> bool:
        """Whether the chance that x, [N, horizon], ever leaves what can occur is negligible."""
        if self.lmbda == 0:
            return True
        away = (1 / self.lmbda + normal.loc) / normal.scale * math.copysign(1, self.lmbda)
        missed = torch.special.ndtr(-away).nan_to_num(nan=0.0)
        return float(missed.sum(-1).max()) < _NEGLIGIBLE

    def mean(self, law: Any) -> torch.Tensor:
        """The mean of y for x of a normal law, cut at what can occur or not.

        Raises:
            NotImplementedError: x has another law.
        """
        normal = law.base if isinstance(law, Truncated) else law
        if not isinstance(normal, td.Normal):
            raise NotImplementedError
        return self.scale * box_cox_mean(normal.loc, normal.scale, self.lmbda)
