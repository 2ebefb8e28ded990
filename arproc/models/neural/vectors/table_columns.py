"""How the inputs and outputs of a table's columns lie side by side, none padded to another."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from arproc.data.tables.space import Column
from arproc.distributions import DiscretisedLogisticMixture, Truncated
from arproc.spaces import Interval

__all__ = ["CATEGORY", "REAL", "WHOLE", "Group", "Kind", "Parts", "kind_of"]

REAL, WHOLE, CATEGORY = "real", "whole", "category"


class Kind(NamedTuple):
    """What columns share whose conditionals are of one kind.

    Attributes:
        family: REAL, WHOLE or CATEGORY.
        low: the lower end of values.
        high: the upper end.
    """

    family: str
    low: float = -math.inf
    high: float = math.inf

    def whole(self, own: Tensor, components: int) -> DiscretisedLogisticMixture:
        """Whole numbers from finished parameters [..., 3 components or more]."""
        logits, loc, log_scale = (
            own[..., : 3 * components].unflatten(-1, (3, components)).unbind(-2)
        )
        return DiscretisedLogisticMixture(logits, loc, log_scale, self.high + 1, self.low)

    def cut(self, density: torch.distributions.Distribution) -> torch.distributions.Distribution:
        """A density, cut to the ends where there are some."""
        if math.isinf(self.low) and math.isinf(self.high):
            return density
        return Truncated(density, self.low, self.high)


class Group(NamedTuple):
    """Columns whose outputs have one form, so that all are computed at once.

    Attributes:
        kind: of their conditionals.
        sites: which they are, int64 [g].
        spikes: where their atoms' scores lie among all outputs, int64 [g, M].
        own: where the other outputs lie, int64 [g, K].
    """

    kind: Kind
    sites: Tensor
    spikes: Tensor
    own: Tensor


class Parts:
    """Where each column's inputs and outputs begin and end.

    A column's inputs are a flag of missing (if it may be), one for each atom, and its number or
    one for each category; its outputs a log-odds of missing, a score for each atom, and those of
    its own kind.

    Args:
        columns: the columns, in the order of generation.
        real: how many outputs describe a real entry.
        components: of mixtures of whole numbers.
    """

    def __init__(self, columns: Sequence[Column], real: int, components: int) -> None:
        self.kinds = [kind_of(column) for column in columns]
        self.gone = [int(column.missing) for column in columns]
        self.atoms = [len(column.atoms) for column in columns]
        levels = [column.space.size or 0 for column in columns]
        numbers = {REAL: real, WHOLE: 3 * components}
        self.own = [
            numbers.get(kind.family, k) for kind, k in zip(self.kinds, levels, strict=True)
        ]
        category = [kind.family == CATEGORY for kind in self.kinds]
        values = [k if c else 1 for c, k in zip(category, levels, strict=True)]
        flags = [m + a for m, a in zip(self.gone, self.atoms, strict=True)]
        self.inputs = [f + v for f, v in zip(flags, values, strict=True)]
        self.sizes = [f + k for f, k in zip(flags, self.own, strict=True)]
        #: Where each column's inputs, and outputs, begin among those of all.
        self.enters = [0, *itertools.accumulate(self.inputs)]
        self.begins = [0, *itertools.accumulate(self.sizes)]
        self.values = [e + f for e, f in zip(self.enters, flags, strict=False)]
        self.owns = [b + f for b, f in zip(self.begins, flags, strict=False)]

    @cached_property
    def groups(self) -> list[Group]:
        """The columns by the form of their outputs."""
        forms: dict[tuple[Kind, int, int], list[int]] = {}
        for site, form in enumerate(zip(self.kinds, self.atoms, self.own, strict=True)):
            forms.setdefault(form, []).append(site)
        found = []
        for (kind, atoms, own), sites in forms.items():
            begin = torch.tensor([self.owns[site] for site in sites])[:, None]
            spikes, rest = begin - atoms + torch.arange(atoms), begin + torch.arange(own)
            found.append(Group(kind, torch.tensor(sites), spikes, rest))
        return found


def kind_of(column: Column) -> Kind:
    """Of what kind the conditionals of a column are."""
    space = column.space
    if space.kind == "categorical":
        return Kind(CATEGORY)
    if isinstance(space, Interval):
        return Kind(REAL, space.low, space.high)
    if space.kind == "real":
        return Kind(REAL)
    low = -math.inf if space.kind == "integer" else 0.0
    return Kind(WHOLE, low, math.inf if space.size is None else space.size - 1.0)
