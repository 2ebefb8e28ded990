"""Spaces: what one element of a sequence is, and in which measure its probability is counted.

A space says the element's shape, how many elements a sequence has (fixed or free), whether a
sequence ends by a symbol of its own, and whether `log_prob` is the logarithm of a mass or of a
density. Two spaces are equal when they agree in kind, vocabulary, end and shape; only then may
two likelihoods be compared or mixed. The columns of a table have spaces of their own: see
`arproc.tables.Table`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
import torch
from torch.distributions import constraints

from arproc.contract.storable import storable
from arproc.errors import DataError, ParameterError, check_choice, check_count, check_integer

if TYPE_CHECKING:
    from arproc.data.vocabulary import Vocabulary

__all__ = [
    "Binary",
    "BinaryVector",
    "Categorical",
    "Count",
    "Integer",
    "Interval",
    "Ordinal",
    "Positive",
    "Real",
    "RealVector",
    "Space",
    "UnitInterval",
]

Measure = Literal["mass", "density", "mixed"]

#: Whole numbers up to this are held as they are, in every dtype that elements have.
MOST_COUNT = 2**53


@storable
@dataclass(frozen=True)
class Space:
    """Base of all spaces.

    Attributes:
        length: the number of elements of every sequence, or None where it is free.
        measure: "mass" for discrete elements, "density" for real ones, "mixed" where a sequence
            has both.
        varies: whether elements at different places have different spaces, as a table's columns.
    """

    length: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.length is not None:
            check_count("length", self.length, minimum=0)

    measure: ClassVar[Measure] = "mass"
    kind: ClassVar[str] = "abstract"
    varies: ClassVar[bool] = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one element: () for scalars and symbols, (d,) for vectors."""
        return ()

    @property
    def dtype(self) -> torch.dtype:
        """The dtype in which models hold elements."""
        return torch.float64

    @property
    def user_dtype(self) -> type[np.generic]:
        """The NumPy dtype in which elements go back to the user."""
        return np.float64

    @property
    def size(self) -> int | None:
        """How many values a scalar element can take, the end included; None if infinite."""
        return None

    @property
    def support(self) -> constraints.Constraint:
        """The numbers that elements are made of, as torch names them; of a table's, any."""
        return constraints.real

    @property
    def end(self) -> int | None:
        """The symbol that ends a sequence, or None where the process is a stream."""
        return None

    @property
    def terminates(self) -> bool:
        """Whether a sequence ends by a symbol of its own."""
        return self.end is not None

    @property
    def holds_missing(self) -> bool:
        """Whether NaN is an element, a missing entry: an event with a probability of its own."""
        return False

    def rest(self, known: int, order: Sequence[int] | None = None) -> Self:
        """The space of what follows the first `known` elements of a sequence of fixed length.

        Args:
            known: how many elements are known.
            order: the place in the user's data of each element, in the order of generation.
        """
        return self if self.length is None else replace(self, length=self.length - known)

    def problem(self, values: torch.Tensor) -> str | None:
        """What is wrong with these values as elements, or None where nothing is.

        Args:
            values: elements [..., *event_shape], finite numbers.
        """
        return None

    def problem_at(self, values: torch.Tensor, place: torch.Tensor | None) -> str | None:
        """`problem`, for values whose places in the user's data are known, where it varies.

        Args:
            values: elements [n, *event_shape].
            place: int64 [n]; None where the space is the same at every place.
        """
        return self.problem(values)

    def describe(self) -> str:
        """The space in words, for error messages."""
        return self.kind


def _whole(values: torch.Tensor) -> bool:
    return not values.is_floating_point() or bool((values == values.floor()).all())


def _bounded(values: torch.Tensor, low: int, high: int, what: str) -> str | None:
    if not _whole(values):
        return f"expected {what}, got values with a fractional part"
    if values.numel():
        least, most = values.min().item(), values.max().item()
        if least < low or most > high:
            return f"expected {what}, got values from {least:g} to {most:g}"
    return None


@storable
@dataclass(frozen=True)
class Categorical(Space):
    """One symbol out of finitely many, held as its number 0 ... size-1.

    Args:
        symbols: how many symbols there are, the end included.
        vocabulary: what the numbers stand for; None where the data are the numbers themselves.
        end_symbol: the number of the symbol that ends a sequence; None for a stream.
    """

    symbols: int = 2
    vocabulary: Vocabulary | None = None
    end_symbol: int | None = None
    kind: ClassVar[str] = "categorical"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("symbols", self.symbols, minimum=1)
        if self.end_symbol is not None:
            check_integer("end_symbol", self.end_symbol, minimum=0)
        if self.end_symbol is not None and self.end_symbol >= self.symbols:
            raise ParameterError(
                f"end_symbol must be one of the symbols 0 to {self.symbols - 1}; got "
                f"{self.end_symbol}."
            )
        if self.vocabulary is not None and len(self.vocabulary) > self.symbols:
            raise ParameterError(
                f"the vocabulary has {len(self.vocabulary)} symbols, the space {self.symbols}; "
                "expected at least as many."
            )

    @property
    def dtype(self) -> torch.dtype:
        return torch.int64

    @property
    def user_dtype(self) -> type[np.generic]:
        return np.int64

    @property
    def size(self) -> int:
        return self.symbols

    @property
    def support(self) -> constraints.Constraint:
        return constraints.integer_interval(0, self.symbols - 1)

    @property
    def end(self) -> int | None:
        return self.end_symbol

    def problem(self, values: torch.Tensor) -> str | None:
        wrong = _bounded(values, 0, self.symbols - 1, f"symbols from 0 to {self.symbols - 1}")
        if wrong is None and self.end is not None and bool((values == self.end).any()):
            return (
                f"the end symbol {self.end} stands among the elements; it is added by itself to "
                "every complete sequence, so leave it out"
            )
        return wrong

    def describe(self) -> str:
        return f"categorical with {self.symbols} symbols"


@storable
@dataclass(frozen=True)
class Binary(Space):
    """Zero or one, held as a float (what torch's Bernoulli takes)."""

    kind: ClassVar[str] = "binary"

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    @property
    def user_dtype(self) -> type[np.generic]:
        return np.uint8

    @property
    def size(self) -> int | None:
        return 2 if not self.event_shape else None

    @property
    def support(self) -> constraints.Constraint:
        return constraints.boolean

    def problem(self, values: torch.Tensor) -> str | None:
        return _bounded(values, 0, 1, "zeros and ones")


@storable
@dataclass(frozen=True)
class BinaryVector(Binary):
    """A vector of zeros and ones as one element (the notes sounding at one time step)."""

    dimension: int = 1
    kind: ClassVar[str] = "binary vector"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("dimension", self.dimension, minimum=1)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.dimension,)

    def describe(self) -> str:
        return f"binary vector of dimension {self.dimension}"


@storable
@dataclass(frozen=True)
class Count(Space):
    """A number of events: 0, 1, 2 ..."""

    kind: ClassVar[str] = "count"

    @property
    def support(self) -> constraints.Constraint:
        return constraints.nonnegative_integer

    @property
    def user_dtype(self) -> type[np.generic]:
        return np.int64

    def problem(self, values: torch.Tensor) -> str | None:
        return _bounded(values, 0, MOST_COUNT, "counts 0, 1, 2 ...")


@storable
@dataclass(frozen=True)
class Integer(Space):
    """A whole number, negative ones included."""

    kind: ClassVar[str] = "integer"

    @property
    def user_dtype(self) -> type[np.generic]:
        return np.int64

    def problem(self, values: torch.Tensor) -> str | None:
        return _bounded(values, -MOST_COUNT, MOST_COUNT, "whole numbers")


@storable
@dataclass(frozen=True)
class Ordinal(Space):
    """One of `levels` ordered levels 0 ... levels-1, such as an 8-bit pixel."""

    levels: int = 256
    kind: ClassVar[str] = "ordinal"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("levels", self.levels, minimum=1)

    @property
    def dtype(self) -> torch.dtype:
        return torch.int64

    @property
    def user_dtype(self) -> type[np.generic]:
        return np.uint8 if self.levels <= 256 else np.int64

    @property
    def size(self) -> int:
        return self.levels

    @property
    def support(self) -> constraints.Constraint:
        return constraints.integer_interval(0, self.levels - 1)

    def problem(self, values: torch.Tensor) -> str | None:
        return _bounded(values, 0, self.levels - 1, f"levels from 0 to {self.levels - 1}")

    def describe(self) -> str:
        return f"ordinal with {self.levels} levels"


@storable
@dataclass(frozen=True)
class Real(Space):
    """A real number.

    Args:
        precision: "float64" for classical models, "float32" for neural ones; it does not enter
            equality.
    """

    precision: str = field(default="float64", compare=False)
    measure: ClassVar[Measure] = "density"
    kind: ClassVar[str] = "real"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("precision", self.precision, ("float32", "float64"))

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32 if self.precision == "float32" else torch.float64


@storable
@dataclass(frozen=True)
class UnitInterval(Real):
    """A real number between 0 and 1, neither of these itself: a share, a rate, a probability.

    Example:
        >>> UnitInterval().problem(torch.tensor([0.2, 1.0]))
        'expected numbers above 0 and below 1, got values from 0.2 to 1'
    """

    kind: ClassVar[str] = "unit interval"

    @property
    def support(self) -> constraints.Constraint:
        return constraints.unit_interval

    def problem(self, values: torch.Tensor) -> str | None:
        values = values.to(self.dtype)  # in which a number near 1 may be 1
        if bool(((values <= 0) | (values >= 1)).any()):
            least, most = values.min().item(), values.max().item()
            return f"expected numbers above 0 and below 1, got values from {least:g} to {most:g}"
        return None

    def describe(self) -> str:
        return "real in (0, 1)"


@storable
@dataclass(frozen=True)
class Positive(Real):
    """A real number above 0: a duration, a size, a price.

    Example:
        >>> Positive().problem(torch.tensor([0.2, 0.0]))
        'expected numbers above 0, got values from 0'
    """

    kind: ClassVar[str] = "positive"

    @property
    def support(self) -> constraints.Constraint:
        return constraints.positive

    def problem(self, values: torch.Tensor) -> str | None:
        values = values.to(self.dtype)
        if bool((values <= 0).any()):
            return f"expected numbers above 0, got values from {values.min().item():g}"
        return None

    def describe(self) -> str:
        return "positive real"


@storable
@dataclass(frozen=True)
class Interval(Real):
    """A real number from `low` to `high`, these two among them; an infinite end is none.

    Args:
        low: the lower end.
        high: the upper end.

    Example:
        >>> Interval(low=18.0).problem(torch.tensor([17.5, 20.0]))
        'expected numbers from 18 on, got values from 17.5 to 20'
    """

    low: float = -math.inf
    high: float = math.inf
    kind: ClassVar[str] = "interval"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise ParameterError(
                f"low must be below high; got low={self.low!r} and high={self.high!r}."
            )

    @property
    def support(self) -> constraints.Constraint:
        if math.isinf(self.high):
            return constraints.greater_than_eq(self.low)
        if math.isinf(self.low):
            return constraints.less_than(self.high)
        return constraints.interval(self.low, self.high)

    def problem(self, values: torch.Tensor) -> str | None:
        values = values.to(self.dtype)
        if bool(((values < self.low) | (values > self.high)).any()):
            least, most = values.min().item(), values.max().item()
            return f"expected numbers {self._ends()}, got values from {least:g} to {most:g}"
        return None

    def _ends(self) -> str:
        if math.isinf(self.high):
            return f"from {self.low:g} on"
        return (
            f"up to {self.high:g}"
            if math.isinf(self.low)
            else f"from {self.low:g} to {self.high:g}"
        )

    def describe(self) -> str:
        return f"real {self._ends()}"


@storable
@dataclass(frozen=True)
class RealVector(Real):
    """A vector of real numbers as one element (VAR)."""

    dimension: int = 1
    kind: ClassVar[str] = "real vector"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("dimension", self.dimension, minimum=1)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.dimension,)

    def describe(self) -> str:
        return f"real vector of dimension {self.dimension}"


#: Said of a NaN where it can not stand for a missing value.
_TAKERS = (
    " (Models whose takes_missing is True, as AR, take NaN for a value that was not observed, in "
    "fit, log_prob, conditionals, forecast and the prefix of sample.)"
)
#: The same of examples of a fixed size.
_TAKERS_OF_VECTORS = (
    " (NADE(order_agnostic=True) takes NaN for a value that was not observed, in fit, impute and "
    "conditional_log_prob; MADE(columns=...) of a table gives a missing entry a probability.)"
)


def _takers(space: Space) -> str:
    """Which models take NaN for a missing value of such a space, in words; empty where none do."""
    if space.length is not None:
        return _TAKERS_OF_VECTORS
    return _TAKERS if type(space) in (Real, RealVector) else ""


def _sum(values: torch.Tensor) -> float:
    """The sum; by NumPy where it can, whose calls cost a fraction of torch's."""
    if values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64):
        with np.errstate(over="ignore", invalid="ignore"):
            return float(values.numpy().sum())
    return float(values.sum())


def check_values(
    values: torch.Tensor,
    space: Space,
    name: str,
    missing: bool = False,
    place: torch.Tensor | None = None,
    refusal: str = "",
) -> bool:
    """Raise `DataError` where `values` [..., *event_shape] are not elements of `space`.

    Args:
        values: what came.
        space: what is expected.
        name: what the message calls the values.
        missing: whether NaN is let through in a space of real numbers.
        place: where in the user's data each value stands, int64 [n], for a space that varies.
        refusal: why the model takes no missing values, and what to do; a sentence.

    Returns:
        Whether there is a NaN among the values.
    """
    found, values = False, values.detach()
    if values.is_complex():
        raise DataError(f"{name} is complex; arproc's elements are {space.describe()} values.")
    if space.varies:
        problem = space.problem_at(values, place)
        if problem is not None:
            raise DataError(f"{name} does not fit the model's table: {problem}.")
        return False
    # one pass: a sum is finite unless an element is not (or it overflows: then look closer)
    if values.is_floating_point() and not math.isfinite(_sum(values)):
        finite = torch.isfinite(values)
        if missing and space.measure == "density":
            gone = torch.isnan(values)
            finite, found = finite | gone, bool(gone.any())
        if not bool(finite.all()):
            bad = int((~finite).sum())
            where = (~finite).nonzero()[0].tolist()
            what = "NaN" if bool(torch.isnan(values[~finite]).any()) else "infinity"
            raise DataError(
                f"{name} has {bad} value(s) that are not finite ({what}; the first at element "
                f"{where[0] if len(where) == 1 else tuple(where)}); expected finite numbers. "
                "Remove or fill them first."
                + ("" if what == "infinity" else f" ({refusal})" if refusal else _takers(space))
            )
    problem = space.problem(values)
    if problem is not None:
        raise DataError(f"{name} does not fit the model's space ({space.describe()}): {problem}.")
    return found
