"""Lattices: numbers that lie at equal steps, such as prices in cents, held as whole numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from arproc.contract.checked import Number, sentences
from arproc.contract.storable import storable
from arproc.errors import ParameterError, check_number

__all__ = ["Lattice", "lattice_of", "lattice_of_step"]

#: Of which numbers a step is looked for as a fraction: up to four decimals.
_PER = (1, 10, 100, 1000, 10_000)
#: From how many different values on a step of more than one of the last decimal is believed.
_MANY = 30
#: How near to a point of the lattice a number has to be: in parts of its size, and of the last
#: decimal, which large numbers with many decimals would else be near to wherever they lie.
_CLOSE, _NEAR = 1e-9, 1e-3
_LARGEST = 2**53


@storable
@dataclass(frozen=True)
class Lattice:
    """The numbers (start + step k) / per, k = ... -1, 0, 1 ..., each held as its k.

    Whole numbers alone are stored, so that each point is the float64 nearest to it: 19.99 comes
    back as it came.

    Args:
        start: the point that is held as 0, times `per`.
        step: from one point to the next, times `per`; below 0 where they are counted downwards.
        per: the common denominator.

    Example:
        >>> cents = Lattice(0, 1, 100)
        >>> cents.numbers(np.array([19.99, 0.5])).tolist(), cents.values(np.array([1999.0]))
        ([1999.0, 50.0], array([19.99]))
    """

    start: int
    step: int
    per: Annotated[int, Number(low=1)] = 1

    def problems(self) -> Iterator[str]:
        """What does not fit together; see `arproc.contract.checked`."""
        yield from sentences((self.step == 0, "the step of a lattice is 0"))

    def values(self, numbers: np.ndarray) -> np.ndarray:
        """The points with these numbers, float64; NaN stays."""
        return (self.start + self.step * numbers) / self.per

    def numbers(self, values: np.ndarray) -> np.ndarray:
        """The numbers of these points, float64; NaN stays."""
        found = np.round((values * self.per - self.start) / self.step)
        return found + 0.0  # no minus zero

    def off(self, values: np.ndarray) -> np.ndarray:
        """Which values are no points of it, bool; NaN is none of these."""
        return ~is_near(values, self.values(self.numbers(values)), self.per) & ~np.isnan(values)

    def describe(self) -> str:
        """The lattice in words; empty for all whole numbers."""
        if (self.start, self.step, self.per) == (0, 1, 1):
            return ""
        step, start = abs(self.step) / self.per, self.start / self.per
        return f"in steps of {step:g} from {start:g}"


def is_near(values: np.ndarray, points: np.ndarray, per: int) -> np.ndarray:
    """Which values are points of a lattice of this denominator but for rounding, bool.

    Example:
        >>> is_near(np.array([0.1 + 0.2, 0.301, 7e8 + 0.31]), np.array([0.3, 0.3, 7e8 + 0.3]), 10)
        array([ True, False, False])
    """
    size = np.maximum(np.abs(values), 1 / per)
    return np.abs(points - values) <= np.minimum(_CLOSE * size, _NEAR / per)


def lattice_of(values: np.ndarray) -> Lattice | None:
    """The lattice on which all values lie; None where they have more than four decimals.

    The step is one of the last decimal. It is a multiple of that only where many different values
    say so, since a value that is yet to come may lie between few.

    Args:
        values: finite numbers.

    Example:
        >>> lattice_of(np.array([0.1, 0.25, 0.5]))
        Lattice(start=0, step=1, per=100)
        >>> lattice_of(np.arange(40) * 0.25)
        Lattice(start=0, step=25, per=100)
    """
    distinct = np.unique(values)
    for per in _PER:
        whole = np.round(distinct * per)
        if np.abs(whole).max() >= _LARGEST:
            return None
        if is_near(distinct, whole / per, per).all():
            numbers = [int(value) for value in whole]
            many = len(numbers) >= _MANY
            step = math.gcd(*(b - numbers[0] for b in numbers)) if many else 1
            return Lattice(numbers[0] % step, step, per)
    return None


def lattice_of_step(step: float, start: float, name: str) -> Lattice:
    """The lattice of a step that the user named, through `start`."""
    step = check_number(name, step, above=0)
    for per in _PER:
        ends = [round(step * per), round(start * per)]
        near = is_near(np.array([step, start]), np.array(ends) / per, per)
        if ends[0] and near.all():
            return Lattice(ends[1] % ends[0], ends[0], per)
    raise ParameterError(
        f"{name} must have at most four decimals, and so must the end that it is counted from; "
        f"got {step!r} from {start!r}."
    )
