"""The conditionals that the checks take apart: of several places, unlikely ones among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import distributions as td

from arproc.data.tables import Table
from arproc.distributions import MaybeMissing, Varied, index
from arproc.spaces import Binary, Real, RealVector, Space
from arproc.testing.subject import Subject

__all__ = ["Scalars", "conditionals", "scalars", "taken_apart", "vectors"]

_COLUMNS = 40  # columns of a table that are looked at
_PLACES = 16  # conditionals of others
_VECTORS = 6  # conditionals of vectors that are drawn from
_SYMBOLS = 2**16  # symbols of a space over which one step is summed


@dataclass(frozen=True)
class Scalars:
    """Conditionals [*batch] of one number each, of a space.

    Attributes:
        d: the conditionals.
        space: what one of their values is.
        where: what they are of, in words for messages.
        place: of a table, how many columns come before theirs.
    """

    d: Any
    space: Space
    where: str
    place: int = 0


def conditionals(subject: Subject) -> tuple[Any, torch.Tensor]:
    """Conditionals [B] of a batch's start and other places, and how many elements came before.

    Half of the rows are examples, half unlikely elements; of real ones some lie far out.
    """
    varies = subject.space.varies
    batch = subject.batch(6, subject.short(_COLUMNS if varies else 8), "steps")
    columns = subject.columns(batch)
    width = columns.batch_shape[1]
    chosen = subject.rng("columns").permutation(6 * width)[:_PLACES]
    chosen = np.arange(2 * width) if varies else np.append(chosen, 0)
    rows, places = torch.as_tensor(chosen // width), torch.as_tensor(chosen % width)
    return index(columns, (rows, places)), places + subject.given


def scalars(subject: Subject) -> Iterator[Scalars]:
    """`conditionals` as numbers: by column of a table, by component of an independent vector."""
    yield from taken_apart(subject, *conditionals(subject))


def taken_apart(subject: Subject, d: Any, places: torch.Tensor) -> Iterator[Scalars]:
    """Conditionals [B] of elements at these places as numbers; nothing where they are none."""
    space = subject.space
    if isinstance(space, Table):
        for site in places.unique().tolist():
            column = subject.columns_of_table[site]
            where = f" of column {column.name!r}"
            yield Scalars(_of_one_kind(index(d, places == site)), column.space, where, site)
    elif not space.event_shape:
        if space.size is None or space.size <= _SYMBOLS:
            yield Scalars(d, space, "")
    elif isinstance(d, td.Independent) and d.reinterpreted_batch_ndims == 1:
        of = Real(space.precision) if isinstance(space, RealVector) else Binary()
        yield Scalars(d.base_dist, of, " of the components of a vector")


def _of_one_kind(d: Any) -> Any:
    """Conditionals that differ in kind, all of one here, of which some may be missing."""
    kinds = d.which.unique().tolist() if isinstance(d, Varied) else []
    if len(kinds) == 1 and isinstance(d.parts[kinds[0]], MaybeMissing):
        return d.parts[kinds[0]]
    return d


def vectors(subject: Subject) -> Any:
    """A few of `conditionals` [B] of vectors whose components are not independent; else None."""
    if not subject.space.event_shape or subject.space.measure != "density":
        return None
    d, _ = conditionals(subject)
    return None if isinstance(d, td.Independent) else index(d, slice(0, _VECTORS))
