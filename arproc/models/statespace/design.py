"""The columns of an ARIMA process's mean: a trend, seasons and Fourier terms, by position."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
import torch

from arproc.errors import ParameterError, check_choice
from arproc.gaussian.arma import Orders
from arproc.gaussian.terms import Terms

__all__ = ["POWERS", "Design", "powers_of", "trend_of"]

#: The trends and the powers of t that each holds.
POWERS = {"n": (), "c": (0,), "t": (1,), "ct": (0, 1), "ctt": (0, 1, 2)}


class Design(NamedTuple):
    """Which columns are estimated.

    Attributes:
        terms: these, after all powers of t below the highest one: also those that differences take
            away, which then are 0.
        powers: the powers of t that are estimated.
    """

    terms: Terms
    powers: tuple[int, ...]

    @classmethod
    def of(
        cls, orders: Orders, powers: tuple[int, ...], seasonal: Any = None, fourier: Any = None
    ) -> Self:
        """The columns of a process with these orders and what a user asked for, checked.

        Example:
            >>> Design.of(Orders(0, 1, 1, 0, 0, 0, 0), (), seasonal=3).names
            ['s(2,3)', 's(3,3)']
        """
        differences = orders.d + orders.seasonal_d
        if seasonal is not None and powers == (1,) and not differences:
            raise ParameterError(
                "trend is 't', which seasonal dummies would give a level; use 'ct', or 'n'."
            )
        top = max(powers, default=0 if differences else -1)
        return cls(Terms.of(["n", "c", "ct", "ctt"][top + 1], seasonal, fourier), powers)

    @property
    def _kept(self) -> list[int]:
        """The numbers of the columns that are estimated."""
        return [*self.powers, *range(self.terms.n_trend, self.terms.n)]

    @property
    def names(self) -> list[str]:
        """What they are called."""
        every = [*["mean", "slope", "t^2"][: self.terms.n_trend]]
        every += self.terms.names[self.terms.n_trend :]
        return [every[column] for column in self._kept]

    @property
    def n(self) -> int:
        """How many they are, q."""
        return len(self._kept)

    @property
    def line(self) -> int:
        """How many of them are the mean and the slope; the others are of `beta`."""
        return sum(power < 2 for power in self.powers)

    def columns(self, first: int, count: int) -> np.ndarray:
        """The columns at `count` positions, from `first` on: [count, q]."""
        position = torch.arange(first, first + count)
        return np.ascontiguousarray(self.terms.columns(position).numpy()[:, self._kept])


def powers_of(trend: str | None, orders: Orders) -> tuple[int, ...]:
    """The powers of t of a trend by name; None is a mean without differences, nothing with them.

    Raises:
        ParameterError: the differences take one away.
    """
    differences = orders.d + orders.seasonal_d
    if trend is None:
        return () if differences else (0,)
    check_choice("trend", trend, tuple(POWERS))
    powers = POWERS[trend]
    if powers and powers[0] < differences:
        lost = "a mean" if powers[0] == 0 else "a slope"
        raise ParameterError(
            f"trend is {trend!r}, but {lost} vanishes in the {differences} differences, "
            f"so it can not be estimated. Use {'t' if differences == 1 else 'n'!r}."
        )
    return powers


def trend_of(powers: tuple[int, ...]) -> str:
    """The name of the trend with these powers of t."""
    return next(name for name, own in POWERS.items() if own == powers)
