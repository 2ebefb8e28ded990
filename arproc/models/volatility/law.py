"""The law of an autoregression with conditional variances, and its state."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, NamedTuple

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.checked import Array, Number, sentences
from arproc.contract.law import ChainLaw
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.distributions import from_uniform
from arproc.models.volatility.innovations import (
    Innovations,
    MixtureInnovations,
    StudentInnovations,
)
from arproc.spaces import Real

__all__ = ["ARGARCHLaw", "VarianceLags", "VolatilityState"]

_AT_ONCE = 2**20  # elements that one call draws, in all rows together


class VarianceLags(NamedTuple):
    """The past terms of the variance equation, newest first.

    Attributes:
        squares: of the last innovations, [N, A].
        falls: the same where they were negative, else 0, [N, O].
        variances: the last ones, [N, B].
    """

    squares: torch.Tensor
    falls: torch.Tensor
    variances: torch.Tensor

    def after(self, e: torch.Tensor, h: torch.Tensor, live: torch.Tensor) -> VarianceLags:
        """The terms after innovations e [N] of variances h [N] in the rows where `live`."""
        square = e**2
        new = (square, torch.where(e < 0, square, 0.0), h)
        parts = []
        for old, value in zip(self, new, strict=True):
            moved = torch.cat([value[:, None], old], dim=1)[:, : old.shape[1]]
            parts.append(torch.where(live[:, None], moved, old))
        return VarianceLags(*parts)

    def arrays(self) -> list[np.ndarray]:
        """Copies that compiled code may write into."""
        return [part.detach().numpy().copy() for part in self]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class ARGARCHLaw(ChainLaw):
    """The parameters of an autoregression with conditional variances.

    Attributes:
        coef: phi, lag 1 first, [p].
        intercept: the recursion's constant.
        drift: the recursion's coefficient of t.
        omega: the variance's constant.
        alpha: of squared innovations, lag 1 first.
        gamma: of those that were negative.
        beta: of past variances.
        backcast: the square and variance before the first innovation.
        innovations: which law the standardised innovations have.
        psi: its parameters.
    """

    coef: Annotated[np.ndarray, Array("p")]
    intercept: Annotated[float, Number()]
    drift: Annotated[float, Number()]
    omega: Annotated[float, Number(low=0)]
    alpha: Annotated[np.ndarray, Array("a", low=0)]
    gamma: Annotated[np.ndarray, Array("g")]
    beta: Annotated[np.ndarray, Array("b", low=0)]
    backcast: Annotated[float, Number(above=0)]
    innovations: Innovations
    psi: Annotated[np.ndarray, Array("innovations.size")]

    space = Real()

    def problems(self) -> Iterator[str]:
        paired = np.zeros(max(len(self.alpha), len(self.gamma)))
        paired[: len(self.alpha)] += self.alpha
        paired[: len(self.gamma)] += np.minimum(self.gamma, 0)
        yield from sentences(
            (bool((paired < -1e-9).any()), "alpha + gamma is negative, and so would variances be"),
            *self.innovations.problems_of(self.psi),
        )

    @property
    def counts_from_zero(self) -> bool:  # type: ignore[override]
        return self.drift != 0

    @property
    def n_given(self) -> int:  # type: ignore[override]
        return len(self.coef)

    @property
    def variance_weights(self) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """(omega, alpha, gamma, beta)."""
        return self.omega, self.alpha, self.gamma, self.beta

    @property
    def persistence(self) -> float:
        """The sum of alpha, half of gamma, and beta."""
        return float(self.alpha.sum() + 0.5 * self.gamma.sum() + self.beta.sum())

    @property
    def stationary_variance(self) -> float:
        """The innovations' variance in the long run; infinite without a stationary law."""
        left = 1.0 - self.persistence
        return self.omega / left if left > 0 else math.inf

    @property
    def nu(self) -> float | None:
        """The degrees of freedom of Student's t."""
        return float(self.psi[0]) if isinstance(self.innovations, StudentInnovations) else None

    @cached_property
    def _mixture(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        kind = self.innovations
        return kind.parts(self.psi) if isinstance(kind, MixtureInnovations) else None

    @property
    def weights(self) -> np.ndarray | None:
        """Of the normals of a mixture, [components]."""
        return None if self._mixture is None else self._mixture[0]

    @property
    def means(self) -> np.ndarray | None:
        """Of the normals of a mixture, [components]."""
        return None if self._mixture is None else self._mixture[1]

    @property
    def scales(self) -> np.ndarray | None:
        """The standard deviations of the normals of a mixture, [components]."""
        return None if self._mixture is None else self._mixture[2]

    # ---- what its states compute with ----------------------------------------------------------

    @cached_property
    def _backwards(self) -> torch.Tensor:
        return torch.from_numpy(self.coef[::-1].copy())

    @cached_property
    def _variance_weights(self) -> tuple[torch.Tensor, ...]:
        return tuple(torch.tensor(part) for part in (self.alpha, self.gamma, self.beta))

    def element(self, loc: torch.Tensor, scale: torch.Tensor) -> Distribution:
        """The distribution of an element of this mean and standard deviation."""
        return self.innovations.distribution(loc, scale, self.psi)

    def level(self, position: torch.Tensor) -> torch.Tensor:
        """The recursion's constants at positions [N, K]."""
        return self.intercept + self.drift * position.double()

    def loc(self, past: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """Elements' means from the p before them, oldest first [N, K, p]; at positions [N, K]."""
        return past @ self._backwards + self.level(position)

    def variance(self, lags: VarianceLags) -> torch.Tensor:
        """The next elements' variances, [N]."""
        h = torch.full((len(lags.squares),), self.omega, dtype=torch.float64)
        for part, weight in zip(lags, self._variance_weights, strict=True):
            if len(weight):
                h = h + part @ weight
        return h

    def start(self, n: int, context: torch.Tensor | None) -> State:
        past = (self.backcast, 0.5 * self.backcast, self.backcast)
        lags = (
            torch.full((n, len(weight)), value, dtype=torch.float64)
            for value, weight in zip(past, self._variance_weights, strict=True)
        )
        return VolatilityState(VarianceLags(*lags))


class VolatilityState(State):
    """The last elements (in the history), squared innovations and variances.

    Args:
        lags: what the next variance depends on.
    """

    law: ARGARCHLaw

    def __init__(self, lags: VarianceLags) -> None:
        self.lags = lags
        self.block = max(16, _AT_ONCE // max(len(lags.squares), 1))

    def _moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next element's mean and variance, [N] each."""
        law = self.law
        past = self.history.tail(law.n_given)[:, None]
        return law.loc(past, self.lengths[:, None])[:, 0], law.variance(self.lags)

    def _conditional(self) -> Distribution:
        loc, variance = self._moments()
        return self.law.element(loc, variance.sqrt())

    def _append(self, x: torch.Tensor) -> State:
        loc, variance = self._moments()
        live = self.lengths >= self.law.n_given
        return VolatilityState(self.lags.after(x - loc, variance, live))

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        law, steps = self.law, x.shape[1]
        order = law.n_given
        joined = torch.cat([self.history.tail(order), x], dim=1)
        past = joined.unfold(1, order, 1) if order else joined.new_empty((len(x), steps + 1, 0))
        loc = law.loc(past, self.lengths[:, None] + torch.arange(steps + 1))
        e = x - loc[:, :-1]
        skip = (order - self.lengths).clamp(min=0)
        counts = torch.full((len(x),), steps) if lengths is None else lengths
        watched = (e, *self.lags)
        if torch.is_grad_enabled() and any(part.requires_grad for part in watched):
            variance, lags = self._differentiable(e, skip, counts)
        else:
            variance, lags = self._compiled(e, skip, counts)
        return law.element(loc, variance.sqrt()), VolatilityState(lags)

    def _compiled(
        self, e: torch.Tensor, skip: torch.Tensor, counts: torch.Tensor
    ) -> tuple[torch.Tensor, VarianceLags]:
        from arproc.compiled.interpreted import suited
        from arproc.models.volatility import kernels

        arrays = self.lags.arrays()
        numbers = np.ascontiguousarray(e.detach().numpy())
        variance = suited(kernels, 5 * numbers.size).path(
            numbers, skip.numpy(), counts.numpy(), *arrays, *self.law.variance_weights
        )
        return torch.from_numpy(variance), _lags(arrays)

    def _differentiable(
        self, e: torch.Tensor, skip: torch.Tensor, counts: torch.Tensor
    ) -> tuple[torch.Tensor, VarianceLags]:
        """The same in torch's own operations."""
        lags, variances, every = self.lags, [], [self.lags]
        for t in range(e.shape[1]):
            variances.append(self.law.variance(lags))
            lags = lags.after(e[:, t], variances[-1], t >= skip)
            every.append(lags)
        variances.append(self.law.variance(lags))
        rows = torch.arange(len(e))
        after = [torch.stack(part, dim=1)[rows, counts] for part in zip(*every, strict=True)]
        return torch.stack(variances, dim=1), VarianceLags(*after)

    def _select(self, rows: torch.Tensor) -> State:
        return VolatilityState(VarianceLags(*(part[rows] for part in self.lags)))

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        from arproc.compiled.interpreted import suited
        from arproc.models.volatility import kernels

        if self.n == 0:
            return super().advance(uniforms)
        _ = self.conditional  # refuses a state shorter than what must be given
        law, steps = self.law, uniforms.shape[1]
        unit = torch.ones_like(uniforms)
        z = from_uniform(law.element(torch.zeros_like(unit), unit), uniforms)
        level = law.level(self.lengths[:, None] + torch.arange(steps))
        before = self.history.tail(law.n_given).detach().flip(1).numpy().copy()
        arrays = self.lags.arrays()
        drawn = suited(kernels, 10 * z.numel()).draw(
            np.ascontiguousarray(z.numpy()), np.ascontiguousarray(level.numpy()), before,
            law.coef, *arrays, *law.variance_weights,
        )  # fmt: skip
        x = torch.from_numpy(drawn)
        return x, self._carry(VolatilityState(_lags(arrays)), self.history.extend(x), self.context)


def _lags(arrays: list[np.ndarray]) -> VarianceLags:
    return VarianceLags(*(torch.from_numpy(part) for part in arrays))
