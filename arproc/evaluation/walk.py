"""Going through all conditionals of given sequences, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.sequences import Sequences
from arproc.distributions import index
from arproc.errors import DataError
from arproc.process import Process

__all__ = ["Block", "per_term", "stand_in"]

#: How many numbers a block of conditionals may hold.
_BLOCK_NUMBERS = 2**21


class Block(NamedTuple):
    """The conditionals of some elements of some sequences, and the elements themselves.

    Attributes:
        conditionals: batch shape [n, k].
        x: the elements they are of, [n, k, *event]; the end symbol included.
        rows: the sequences' numbers, int64 [n].
        positions: the first column's position in each row, from the process's start, int64 [n].
    """

    conditionals: Distribution
    x: torch.Tensor
    rows: torch.Tensor
    positions: torch.Tensor


def per_term(
    process: Process,
    sequences: Sequences,
    context: torch.Tensor | None,
    function: Callable[[Block], torch.Tensor],
) -> torch.Tensor:
    """`function` of every term of the chain rule, flat in the order of the sequences.

    Args:
        process: a fitted process.
        sequences: of the process's space.
        context: as `Law._context` prepares it.
        function: from a block to numbers [n, k, ...].

    Returns:
        float64 [total terms, ...] on the CPU; given elements have no term.
    """
    if process.n_given:
        sequences.split_prefix(process.n_given)  # refuses what is too short
    counts = sequences.n_terms - process.n_given
    if not int(counts.sum()):
        raise DataError(f"data has no element beyond the first {process.n_given} given.")
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    indices, values = [], []
    with torch.no_grad():
        for rows in sequences.batches(max_rows=max(1, _BLOCK_NUMBERS // _size(process))):
            x, lengths = sequences.padded(rows, ends=True)
            known = None if context is None else context[rows]
            column = 0
            for block in _blocks(process, x, rows, known):
                value = function(block).double().cpu()
                at = column + torch.arange(value.shape[1])
                inside = at < (lengths - process.n_given)[:, None]
                indices.append((offsets[rows][:, None] + at)[inside])
                values.append(value[inside])
                column += value.shape[1]
    order = torch.cat(indices).argsort()
    return torch.cat(values)[order]


def stand_in(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Elements with a number of the law's in the place of each missing one, and where these are.

    Example:
        >>> stand_in(torch.tensor([2.0, torch.nan]))
        (tensor([2., 2.]), tensor([False,  True]))
    """
    gone = torch.isnan(x)
    if not bool(gone.any()):
        return x, gone
    observed = x[~gone]
    return x.masked_fill(gone, float(observed[0]) if len(observed) else 1.0), gone


def _blocks(
    process: Process, x: torch.Tensor, rows: torch.Tensor, context: torch.Tensor | None
) -> Iterator[Block]:
    """The blocks of a padded batch x [n, T, *event], from the first element not given."""
    x = x.to(process.device)
    state = process.law_.fresh(len(x), context)
    first = process.n_given
    if first:
        state = state.extend(x[:, :first])[1]
    chunk = max(1, _BLOCK_NUMBERS // (max(len(x), 1) * _size(process)))
    for begin in range(first, x.shape[1], chunk):
        part = x[:, begin : begin + chunk]
        last = begin + chunk >= x.shape[1]
        positions = state.positions
        columns, state = state.extend(part[:, :-1] if last else part)
        columns = columns if last else index(columns, (slice(None), slice(0, -1)))
        yield Block(columns, part, rows, positions)


def _size(process: Process) -> int:
    """How many numbers describe one conditional, about."""
    return max(process.space.size or 1, int(np.prod(process.space.event_shape)) ** 2)
