"""What is minimised: the batch of a step, and the loss of a batch or of a part of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Objective", "part_of", "rows_of"]


def rows_of(batch: Any) -> int:
    """How many rows a batch has: the size of its first tensor.

    Example:
        >>> rows_of((torch.zeros(5, 2), None))
        5
    """
    first = batch if isinstance(batch, Tensor) else batch[0]
    return len(first)


@dataclass(frozen=True)
class Objective:
    """What a module is trained by, in pieces that one process or many can share.

    Args:
        batch: the batch of a step, `batch(step, generator)`: a tensor, or a (named) tuple of
            tensors and Nones, all with one row an example. It must be a function of the step and
            of draws from the generator, which is seeded from (seed, step), as are the global
            generators of torch, NumPy and Python.
        loss: the mean loss of a batch or of some of its rows (nats per element), a scalar tensor,
            `loss(batch, generator)`.
        terms: of how many terms the loss of such rows is the mean.
        validation: gives the loss on held-out data; called without gradients, in evaluation mode.
            With it, the weights with the lowest one are kept at the end.
        refresh: brings the module's statistics up to date before it is scored, kept or used.

    Example:
        >>> x = torch.arange(6.0)[:, None]
        >>> line = torch.nn.Linear(1, 1)
        >>> fit = Objective(lambda step, generator: x, lambda x, _: (line(x) - x).square().mean())
        >>> fit.terms(fit.batch(0, torch.Generator()))
        6
    """

    batch: Callable[[int, torch.Generator], Any]
    loss: Callable[[Any, torch.Generator], Tensor]
    terms: Callable[[Any], int] = rows_of
    validation: Callable[[], float] | None = None
    refresh: Callable[[], None] | None = None


def part_of(batch: Any, index: int, parts: int) -> tuple[Any, bool]:
    """Part `index` of a batch cut into `parts` of about as many rows; and whether it has any.

    One that would have no rows is the first row, so that every part has a loss.

    Example:
        >>> [part_of(torch.arange(5), k, 2)[0].tolist() for k in range(2)]
        [[0, 1, 2], [3, 4]]
        >>> part_of(torch.arange(1), 1, 2)
        (tensor([0]), False)
    """
    rows = rows_of(batch)
    size, more = divmod(rows, parts)
    begin = index * size + min(index, more)
    end = begin + size + (index < more)
    if begin == end:
        return _rows(batch, 0, 1), False
    return _rows(batch, begin, end), True


def _rows(batch: Any, begin: int, end: int) -> Any:
    if batch is None:
        return None
    if isinstance(batch, Tensor):
        return batch[begin:end]
    cut = [_rows(piece, begin, end) for piece in batch]
    return type(batch)(*cut) if hasattr(batch, "_fields") else tuple(cut)
