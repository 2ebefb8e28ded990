r"""The mean of a process as columns that follow from the position: trend, seasons, Fourier terms.

A mean is linear in its coefficients, :math:`m(t) = D_t \beta`. The columns :math:`D_t` depend on
nothing but the position t in the sequence, counted from 0, and lie in a space that time shifts map
into itself, :math:`D_{t-1} = D_t A`. So an autoregression about such a mean is also a recursion
with the same columns, :math:`x_t = D_t \gamma + \sum_i \phi_i x_{t-i} + \epsilon_t`, where

.. math:: \gamma = \Big( I - \sum_i \phi_i A^i \Big) \beta.

Regressors have no such shift: in the mean and in the recursion they are two different models.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
import torch

from arproc.contract.checked import Number, sentences
from arproc.contract.storable import storable
from arproc.errors import ParameterError, check_choice, check_integer, check_number

__all__ = ["TRENDS", "Terms", "mean_form", "recursion_form"]

#: The trends and the powers of t that each holds.
TRENDS = {"n": 0, "c": 1, "ct": 2, "ctt": 3}


@storable
@dataclass(frozen=True)
class Terms:
    """The columns of a mean that follow from the position alone.

    Args:
        trend: "n" (none), "c" (1), "ct" (1, t) or "ctt" (1, t, t^2).
        seasonal: the period of seasonal dummies; beside a constant the first season has none.
        fourier: pairs (period, number of harmonics), each harmonic a sine and a cosine.

    Example:
        >>> Terms("c", seasonal=3).columns(torch.arange(4)).tolist()
        [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """

    trend: Literal["n", "c", "ct", "ctt"] = "c"
    seasonal: Annotated[int | None, Number(low=2)] = None
    fourier: tuple[tuple[float, int], ...] = ()

    def problems(self) -> Iterator[str]:
        """What does not fit together; see `arproc.contract.checked`."""
        yield from sentences(
            *((not (2 <= period < math.inf and 1 <= k <= period / 2), "a period of fourier has "
              f"{k} harmonics, and is {period}") for period, k in self.fourier),
        )  # fmt: skip

    @classmethod
    def of(cls, trend: Any, seasonal: Any = None, fourier: Any = None) -> Terms:
        """The terms that a user asked for, checked."""
        check_choice("trend", trend, tuple(TRENDS))
        if seasonal is not None:
            seasonal = check_integer("seasonal", seasonal, minimum=2)
        if fourier is not None and not isinstance(fourier, Mapping):
            raise ParameterError(
                "fourier must be a dict {period: number of harmonics}, such as {12: 2}; got "
                f"{fourier!r}."
            )
        pairs = [_harmonics(*pair) for pair in (fourier or {}).items()]
        return cls(trend, seasonal, tuple(pairs))

    @property
    def n_trend(self) -> int:
        """How many columns are powers of t."""
        return TRENDS[self.trend]

    @property
    def line(self) -> int:
        """How many of the terms are the level and the slope of a straight line."""
        return min(self.n_trend, 2)

    def beside_line(self, count: int) -> list[str]:
        """The names of the other terms and of regressors, `count` in all."""
        named = self.names[self.line :]
        return [*named, *[f"x{j + 1}" for j in range(count - len(named))]]

    @cached_property
    def waves(self) -> list[tuple[str, int, float]]:
        """The Fourier columns: "sin" or "cos", the harmonic k, the period."""
        found = []
        for period, harmonics in self.fourier:
            for k in range(1, harmonics + 1):
                # at half the sampling rate the sine is 0 at every whole t
                kinds = ("cos",) if 2 * k == period else ("sin", "cos")
                found += [(kind, k, period) for kind in kinds]
        return found

    @cached_property
    def seasons(self) -> list[int]:
        """The seasons that have a dummy, counted from 0."""
        return list(range(1 if self.n_trend else 0, self.seasonal or 0))

    @cached_property
    def names(self) -> list[str]:
        """A name for each column."""
        powers = ["const", "t", "t^2"][: self.n_trend]
        seasons = [f"s({j + 1},{self.seasonal})" for j in self.seasons]
        return powers + seasons + [f"{kind}({k},{period:g})" for kind, k, period in self.waves]

    @property
    def counts_time(self) -> bool:
        """Whether any column is other than a constant."""
        return self.n > min(self.n_trend, 1)

    @property
    def periodic(self) -> bool:
        """Whether there are seasons or waves."""
        return bool(self.seasonal or self.fourier)

    @property
    def n(self) -> int:
        """How many columns there are, q; told without making any."""
        seasons = max((self.seasonal or 0) - (1 if self.n_trend else 0), 0)
        return self.n_trend + seasons + sum(2 * k - (2 * k == t) for t, k in self.fourier)

    def columns(self, position: torch.Tensor) -> torch.Tensor:
        """The columns at these positions [...]: float64 [..., q]."""
        t = position.to(torch.float64)
        parts = [t**power for power in range(self.n_trend)]
        if self.seasonal:
            season = position.remainder(self.seasonal)
            parts += [(season == j).to(torch.float64) for j in self.seasons]
        for kind, k, period in self.waves:
            angle = (t * k).remainder(period) * (2 * math.pi / period)
            parts.append(angle.sin() if kind == "sin" else angle.cos())
        if not parts:
            return t.new_empty((*t.shape, 0))
        return torch.stack(parts, dim=-1)

    @cached_property
    def shift(self) -> np.ndarray:
        """The matrix A with columns(t - 1) = columns(t) @ A, [q, q]."""
        a = np.zeros((self.n, self.n))
        k = self.n_trend
        a[:k, :k] = np.array([[1.0, -1.0, 1.0], [0.0, 1.0, -2.0], [0.0, 0.0, 1.0]])[:k, :k]
        place = {season: k + i for i, season in enumerate(self.seasons)}
        for season, column in place.items():
            after = (season + 1) % (self.seasonal or 1)
            if after in place:
                a[place[after], column] = 1.0
            else:  # the first season is what all the others are not
                a[0, column] = 1.0
                a[list(place.values()), column] = -1.0
        first = k + len(place)
        for i, (kind, harmonic, period) in enumerate(self.waves):
            angle = 2 * math.pi * harmonic / period
            c, s, column = math.cos(angle), math.sin(angle), first + i
            a[column, column] = c
            if 2 * harmonic != period:
                other = column + 1 if kind == "sin" else column - 1
                a[other, column] = -s if kind == "sin" else s
        return a

    @cached_property
    def angles(self) -> list[float]:
        """The frequencies at which a unit root leaves no mean, radians a step."""
        found = [0.0] if self.n_trend else []
        if self.seasonal:
            found += [2 * math.pi * j / self.seasonal for j in range(self.seasonal)]
        return found + [2 * math.pi * k / period for _, k, period in self.waves]

    def carried(self, coef: np.ndarray) -> np.ndarray:
        """I - sum_i coef_i A^i, which takes a mean's coefficients to the recursion's, [q, q]."""
        total, power = np.eye(self.n), np.eye(self.n)
        for weight in coef:
            power = power @ self.shift
            total = total - weight * power
        return total


def _harmonics(period: Any, harmonics: Any) -> tuple[float, int]:
    length = check_number("a period of fourier", period, low=2)
    count = check_integer(f"fourier[{period!r}]", harmonics, minimum=1)
    if 2 * count > length:
        raise ParameterError(
            f"fourier[{period!r}] must be at most {int(length // 2)} harmonics, half the period; "
            f"got {count}."
        )
    return length, count


def recursion_form(coef: np.ndarray, beta: np.ndarray, terms: Terms) -> np.ndarray:
    """The recursion's coefficients [q] of the process with this mean.

    Example:
        >>> recursion_form(np.array([0.5]), np.array([2.0]), Terms("c")).tolist()
        [1.0]
    """
    return terms.carried(coef) @ beta


def mean_form(coef: np.ndarray, gamma: np.ndarray, terms: Terms) -> np.ndarray:
    """The mean's coefficients [q] of the process with this recursion; nan where there is none.

    A unit root at the frequency of one of the terms leaves the mean undetermined.

    Example:
        >>> mean_form(np.array([0.5]), np.array([1.0]), Terms("c")).tolist()
        [2.0]
    """
    if not np.any(gamma):
        return np.zeros(len(gamma))
    lags = np.arange(1, len(coef) + 1)
    left = [abs(1 - coef @ np.exp(-1j * angle * lags)) for angle in terms.angles]
    if min(left) < 1e-12:
        return np.full(len(gamma), math.nan)
    return np.linalg.solve(terms.carried(coef), gamma)
