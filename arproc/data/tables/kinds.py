"""What a user says of a column of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from arproc.contract.storable import storable
from arproc.errors import ParameterError, check_choice, check_count, check_number

__all__ = ["KINDS", "Kind", "kind_of", "kinds_of"]

#: The kinds of columns that one may ask for.
KINDS = ("auto", "real", "count", "integer", "lattice", "categorical", "time")


@storable
@dataclass(frozen=True)
class Kind:
    """Of what kind a column of a table is, where a word does not say enough.

    Args:
        kind: "real", "count" (0, 1, 2 ...), "integer" (negative ones too), "lattice" (numbers at
            equal steps, such as prices in cents), "categorical", "time", or "auto".
        atoms: single values that have a mass of their own, beside the law of all others: a list
            of them, "auto" for those that are frequent in training, None for none.
        step: of a lattice; None for that of the data's last decimal.
        low: the lower end, below which no value has a probability: a number, or "data" for the
            lowest value of training; None for none. A time as ISO text or as such.
        high: the upper end, likewise.
        other: a label that stands for all labels that training did not see; None refuses them.
        min_count: how often training has to see a label for it not to be `other`.

    Example:
        >>> Kind("count", low=18)
        Kind(kind='count', atoms='auto', step=None, low=18, high=None, other=None, min_count=1)
    """

    kind: str = "auto"
    atoms: Any = "auto"
    step: float | None = None
    low: Any = None
    high: Any = None
    other: Any = None
    min_count: int = 1

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        for end in ("low", "high"):
            if hasattr(getattr(self, end), "isoformat"):  # files hold text, and no dates
                object.__setattr__(self, end, getattr(self, end).isoformat())
        self._check_atoms()
        if self.step is not None:
            check_number("step", self.step, above=0)
            if self.kind not in ("auto", "lattice"):
                raise ParameterError(
                    f"step is of a lattice; got it with kind={self.kind!r}. Leave one of them out."
                )
        check_count("min_count", self.min_count, minimum=1)
        if self.min_count > 1 and self.other is None:
            raise ParameterError(
                f"min_count={self.min_count} makes rarer labels the one that other= names; name "
                "it, or leave min_count out."
            )
        labelled = self.other is not None
        if labelled and self.kind not in ("auto", "categorical"):
            raise ParameterError(
                f"other is of labels; got it with kind={self.kind!r}. Leave it out."
            )

    def _check_atoms(self) -> None:
        if self.atoms is None or (isinstance(self.atoms, str) and self.atoms == "auto"):
            return
        given = self.atoms
        if isinstance(given, (str, Mapping)) or not isinstance(given, (Sequence, np.ndarray)):
            raise ParameterError(f'atoms must be "auto", None or a list of values; got {given!r}.')
        object.__setattr__(
            self, "atoms", tuple(check_number(f"atoms[{i}]", v) for i, v in enumerate(given))
        )

    @property
    def bounded(self) -> bool:
        """Whether there is an end."""
        return self.low is not None or self.high is not None


def kind_of(asked: Any, name: Any) -> Kind:
    """What was asked for one column: a word, a `Kind`, or a dict of a kind's arguments."""
    if isinstance(asked, Kind):
        return asked
    where = f"columns[{name!r}]"
    if isinstance(asked, Mapping):
        known = [field.name for field in fields(Kind)]
        unknown = [key for key in asked if key not in known]
        if unknown:
            raise ParameterError(
                f"{where} has the argument {unknown[0]!r}; a kind's are {', '.join(known)}."
            )
        try:
            return Kind(**asked)
        except ParameterError as error:
            raise ParameterError(f"{where}: {error}") from None
    check_choice(where, asked, KINDS)
    # a mass on a point is no part of a density; whole numbers are what the word says, no more
    return Kind(asked, atoms=None if asked in ("count", "integer") else "auto")


def kinds_of(names: list[Any], asked: Any) -> dict[Any, Kind]:
    """What was asked for each column."""
    if asked is None:
        asked = {}
    if isinstance(asked, str) or not isinstance(asked, (Mapping, Sequence)):
        raise ParameterError(
            f"columns must be a dict of names to kinds, or a list of kinds; got {asked!r}."
        )
    if not isinstance(asked, Mapping):
        if len(asked) != len(names):
            raise ParameterError(
                f"columns has {len(asked)} kinds; the data have {len(names)} columns."
            )
        asked = dict(zip(names, asked, strict=True))
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise ParameterError(
            f"columns names {unknown[0]!r}, which the data do not have; they have {names}."
        )
    return {name: kind_of(asked.get(name, "auto"), name) for name in names}
