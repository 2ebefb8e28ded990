"""Vectors of a fixed size: how the user's are read, and the orders of their sites."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from arproc.contract.randomness import seed_of
from arproc.data.arrays import numbers_of, to_tensor
from arproc.data.form import Layout
from arproc.errors import DataError, ParameterError

__all__ = ["level_count", "order_of", "relative_order", "vectors_of"]

_STREAM_ORDER = 4
_MOST_LEVELS = 2**16


def vectors_of(data: Any) -> tuple[Tensor, tuple[int, ...]]:
    """The user's array [N, *shape] as a tensor, and the shape of an example; for `fit`."""
    if hasattr(data, "iloc"):
        data = numbers_of(data, "data", " MADE takes tables of mixed columns.")
    x = to_tensor(data, "data")
    if x.ndim < 2:
        raise DataError(
            f"data is one vector of {x.numel()} numbers, and a density is learnt from several, "
            "[N, D]; a sample of single numbers is data[:, None] (of a Series: data.to_frame()), "
            "one vector data[None], and for a series there are arproc.AR and others."
        )
    shape = tuple(x.shape[1:])
    if math.prod(shape) == 0:
        raise DataError(f"data has shape {tuple(x.shape)}; expected vectors [N, D] of some size.")
    return x, shape


def level_count(x: Tensor, hint: str) -> int:
    """How many levels 0, 1, 2 ... whole numbers take, at least two.

    Args:
        x: the values.
        hint: what the error message for others ends with.
    """
    highest = float(x.double().max()) if len(x) else 1.0
    if highest > _MOST_LEVELS:
        raise DataError(
            f"data has values up to {highest:g}; a site has at most {_MOST_LEVELS} levels, "
            f"0, 1, 2 ... {hint}"
        )
    return 2 if not highest > 1 else int(highest) + 1


def order_of(ordering: str | Sequence[int], length: int, seed: int) -> tuple[int, ...] | None:
    """The permutation that the user's `ordering` means; None is the natural order.

    Args:
        ordering: "natural", "random" (a function of the seed) or a permutation.
        length: how many sites there are.
        seed: of a random one.
    """
    if isinstance(ordering, str):
        if ordering == "natural":
            return None
        if ordering == "random":
            generator = torch.Generator().manual_seed(seed_of(seed, _STREAM_ORDER))
            return tuple(torch.randperm(length, generator=generator).tolist())
    elif _permutes(ordering, length):
        return tuple(int(j) for j in ordering)
    raise ParameterError(
        f'ordering must be "natural", "random" or a permutation of 0 ... {length - 1}; got '
        f"{ordering!r}."
    )


def _permutes(ordering: Any, length: int) -> bool:
    try:
        return sorted(ordering) == list(range(length))
    except Exception:  # no list of numbers at all
        return False


def relative_order(layout: Layout, order: Sequence[int]) -> list[int]:
    """Which site of the layout's order each site of another order is."""
    own = range(layout.length) if layout.order is None else layout.order
    place = {position: site for site, position in enumerate(own)}
    return [place[position] for position in order]
