"""The space of a table's rows: one space for each column, and whether entries may be missing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import torch

from arproc.contract.storable import storable
from arproc.data.tables.lattice import Lattice
from arproc.errors import ParameterError
from arproc.spaces import Categorical, Measure, Space

__all__ = ["Column", "Table"]

_LISTED = 12


@storable
@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        name: what it is called; its position where the data are an array.
        space: what an entry is as it is held: real, a count, a whole number or a category (held as
            its number).
        missing: whether an entry may be missing.
        labels: what the numbers of a category stand for; None where they are the data themselves.
        other: the one of the labels that stands for all that training did not see, if any.
        lattice: the numbers that whole ones stand for, such as prices in cents; None where they
            are the data themselves.
        unit: of dates and times, which are held as how many of it ("D", "s" ...) lie between the
            epoch and them, on the lattice; empty for all others.
        atoms: single values, as they are held, that have a mass of their own.
        dtype: the pandas dtype in which entries go back to the user; it does not enter equality.
        ordered: whether the categories are ordered (a pandas dtype's; the model does not use it).

    Example:
        >>> from arproc.spaces import Categorical
        >>> Column("smoker", Categorical(2), labels=("no", "yes")).describe()
        "categorical ('no', 'yes')"
    """

    name: Any
    space: Space
    missing: bool = False
    labels: tuple[Any, ...] | None = None
    other: Any = None
    lattice: Lattice | None = None
    unit: str = ""
    atoms: tuple[float, ...] = ()
    dtype: str = field(default="float64", compare=False)
    ordered: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if self.lattice is not None and self.space.measure != "mass":
            raise ParameterError(
                f"lattice is of whole numbers; this column is {self.space.describe()}."
            )
        if len(set(self.atoms)) < len(self.atoms) or not all(map(math.isfinite, self.atoms)):
            raise ParameterError(
                f"atoms must be different finite numbers; got {list(self.atoms)}."
            )
        if self.labels is None:
            return
        if not isinstance(self.space, Categorical) or len(self.labels) != self.space.symbols:
            raise ParameterError(
                f"labels has {len(self.labels)} entries; expected one for each symbol of a "
                f"categorical column, and this one is {self.space.describe()}."
            )

    @property
    def measure(self) -> Measure:
        """That of an entry that is there: a real column with atoms has masses and densities."""
        return "mixed" if self.atoms and self.space.measure == "density" else self.space.measure

    def listed(self) -> str:
        """The labels, or the first of many, in words."""
        shown = ", ".join(repr(label) for label in (self.labels or ())[:_LISTED])
        more = len(self.labels or ()) - _LISTED
        return f"{shown} and {more} more" if more > 0 else shown

    def describe(self) -> str:
        """The column in words."""
        kind = f"categorical ({self.listed()})" if self.labels else self.space.describe()
        if self.unit:
            kind = f"times in units {self.unit!r}"
        elif self.lattice is not None and (steps := self.lattice.describe()):
            kind = f"{kind} {steps}"
        if self.atoms:
            kind = f"{kind} with {len(self.atoms)} atom" + "s" * (len(self.atoms) > 1)
        return f"{kind}, or missing" if self.missing else kind

    def problem(self, values: torch.Tensor) -> str | None:
        """What is wrong with these entries [n], NaN where missing; None where nothing is."""
        gone = torch.isnan(values)
        if not self.missing and bool(gone.any()):
            return (
                f"{int(gone.sum())} missing value(s) (NaN) where training had none, so that a "
                "missing one has no probability; fill or drop them, or fit on data that have some"
            )
        there = values[~gone]
        if bool(torch.isinf(there).any()):
            return "infinity; expected finite numbers"
        return self.space.problem(there)


@storable
@dataclass(frozen=True)
class Table(Space):
    """Rows of a table: a row is a sequence, whose elements are the entries of the columns.

    Entries are held as float64 numbers, a category as its number 0 ... K-1 and a missing entry as
    NaN. The law of a row is in the product of the columns' measures: a density in the real ones,
    a mass in the others and in what is missing.

    Args:
        columns: the columns, in the order of the user's table.

    Example:
        >>> from arproc.spaces import Count, Real
        >>> Table((Column("height", Real()), Column("visits", Count(), missing=True))).describe()
        'a table of 2 columns (1 count, 1 real; 1 with missing entries)'
    """

    columns: tuple[Column, ...] = ()
    kind: ClassVar[str] = "table"
    varies: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "length", len(self.columns))  # it is what it is
        super().__post_init__()
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise ParameterError(f"the table has more than one column named {twice[0]!r}.")

    @property
    def measure(self) -> Measure:  # type: ignore[override]
        """That of the columns, where all share one and nothing can be missing; else "mixed"."""
        found = {column.measure for column in self.columns}
        if self.holds_missing:
            found.add("mass")
        return found.pop() if len(found) == 1 else "mixed"

    @property
    def names(self) -> tuple[Any, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    @property
    def holds_missing(self) -> bool:
        return any(column.missing for column in self.columns)

    def rest(self, known: int, order: Sequence[int] | None = None) -> Self:
        places = range(len(self.columns)) if order is None else order
        return type(self)(tuple(self.columns[place] for place in places[known:]))

    def ordered(self, order: Sequence[int] | None) -> tuple[Column, ...]:
        """The columns in the order of generation; None is the table's own."""
        return self.columns if order is None else tuple(self.columns[place] for place in order)

    def problem(self, values: torch.Tensor) -> str | None:
        """What is wrong with entries [n] of whole rows, one after the other."""
        return self.problem_at(values, None)

    def problem_at(self, values: torch.Tensor, place: torch.Tensor | None) -> str | None:
        if place is None:  # whole rows
            place = torch.arange(len(values)) % max(len(self.columns), 1)
        if values.is_complex():
            return "complex numbers; expected real ones"
        place = place.to(values.device)
        for number, column in enumerate(self.columns):
            problem = column.problem(values[place == number].double())
            if problem is not None:
                return f"column {column.name!r}: {problem}"
        return None

    def describe(self) -> str:
        kinds = Counter(column.space.kind for column in self.columns)
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        gone = sum(column.missing for column in self.columns)
        more = f"; {gone} with missing entries" if gone else ""
        plural = "" if len(self.columns) == 1 else "s"
        return f"a table of {len(self.columns)} column{plural} ({listed}{more})"

    def difference(self, other: Space) -> str:
        """In what two tables differ, in words, for error messages; empty where in nothing."""
        if not isinstance(other, Table):
            return f"one is {self.describe()}, the other {other.describe()}"
        if self.names != other.names:
            return f"their columns are {list(self.names)} and {list(other.names)}"
        for mine, theirs in zip(self.columns, other.columns, strict=True):
            if mine != theirs:
                return (
                    f"column {mine.name!r} is {mine.describe()} in one and {theirs.describe()} "
                    "in the other"
                )
        return ""
