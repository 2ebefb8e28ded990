"""Completing half-known examples of a fixed size: the unknown part drawn given the known one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.errors import DataError, ParameterError, UnsupportedError, check_integer
from arproc.intake import opened, unmasked
from arproc.process import Process, require_process
from arproc.sequences import Layout, Sequences
from arproc.spaces import check_values

__all__ = ["complete"]


def complete(
    model: Process,
    data: Any,
    known: Any = None,
    n: int = 1,
    seed: int | torch.Generator | None = None,
    *,
    context: Any = None,
) -> np.ndarray:
    """Draw what is unknown of images (or other examples of a fixed size) given what is known.

    It is exact: the unknown elements come from their joint law given the known ones. That needs
    the known elements to come first in the order of generation, for an image the rows from the top
    and the pixels from the left; where they do not, it is an error that says which element is in
    the way. A model with another order (MADE's `ordering=`) completes other parts.

    Args:
        model: a fitted process whose sequences have a fixed size.
        data: examples [N, *shape], or one [*shape]. What stands at unknown places is not read.
        known: which elements are known, bool, of the shape of one example or of all; None takes
            what is neither NaN nor masked.
        n: how many completions of each example.
        seed: an int or a `torch.Generator`.
        context: of each example, for models that take one.

    Returns:
        [N, n, *shape] for several examples and [n, *shape] for one: the known elements as they
        are, the others drawn.

    Raises:
        UnsupportedError: an element is known that comes after one that is not.

    Example:
        >>> import arproc
        >>> x = np.tile(np.arange(2).repeat(6), (30, 1)).reshape(30, 4, 3)
        >>> training = arproc.Training(steps=60, lr=0.05)
        >>> model = arproc.MADE((8,), training=training).fit(x)
        >>> known = np.arange(4)[:, None] < [2, 2, 2]        # the two upper rows
        >>> complete(model, x[0], known, seed=0)[0].tolist()
        [[0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1]]
    """
    process = require_process(model, "complete")
    layout, n = process.layout, check_integer("n", n, minimum=1)
    if layout is None:
        raise UnsupportedError(
            f"complete is for examples of a fixed size; the sequences of this "
            f"{type(process).__name__} have none. sample(prefix=...) goes on from a prefix."
        )
    x, single = _examples(data, layout)
    mask = _mask(known, x, layout)
    sites = layout.to_sites(torch.from_numpy(np.where(mask, x, 0.0)))
    seen = layout.to_sites(torch.tensor(mask))
    lengths = _leading(seen, layout)
    check_values(sites[seen], process.space, "data")
    rows = torch.arange(len(x)).repeat_interleave(n)
    heads = [sites[i, : int(lengths[i])] for i in rows.tolist()]
    given = _repeated(process, context, rows, len(x))
    drawn = process.sample(len(rows), prefix=_prefix(process, heads), seed=seed, context=given)
    tails = [torch.as_tensor(np.asarray(rest)).double() for rest in drawn]
    whole = torch.stack([torch.cat(pair) for pair in zip(heads, tails, strict=True)])
    found = layout.from_sites(whole).numpy().astype(process.space.user_dtype)
    return found if single else found.reshape(len(x), n, *layout.shape)


def _examples(data: Any, layout: Layout) -> tuple[np.ndarray, bool]:
    """The examples as float64 [N, *shape], NaN where masked; whether one alone was given."""
    data = opened(data)
    data = data.detach().cpu() if isinstance(data, torch.Tensor) else data
    try:
        x = np.asarray(unmasked(data)).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"data can not be read as numbers: {error}.") from None
    if x.shape == layout.shape:
        return x[None], True
    if x.shape[1:] != layout.shape or not len(x):
        expected = ", ".join(map(str, layout.shape))
        raise DataError(
            f"data has shape {x.shape}; expected [{expected}] for one example or [N, {expected}] "
            "for several."
        )
    return x, False


def _mask(known: Any, x: np.ndarray, layout: Layout) -> np.ndarray:
    """Which elements are known, bool of the shape of x."""
    if known is None:
        return ~np.isnan(x)
    mask = np.asarray(known.detach().cpu() if isinstance(known, torch.Tensor) else known)
    if mask.dtype != np.bool_ or mask.shape not in (layout.shape, x.shape):
        raise ParameterError(
            f"known has dtype {mask.dtype} and shape {mask.shape}; expected truth values of shape "
            f"{layout.shape} (the same for all) or {x.shape}."
        )
    return np.broadcast_to(mask, x.shape)


def _leading(seen: torch.Tensor, layout: Layout) -> torch.Tensor:
    """How many first sites are known of each example [N, sites]; an error if others are too."""
    lengths = seen.long().cumprod(dim=1).sum(dim=1)
    wrong = seen.sum(dim=1) != lengths
    if not bool(wrong.any()):
        return lengths
    row = int(wrong.nonzero()[0])
    gap = int(lengths[row])
    late = gap + int(seen[row, gap:].nonzero()[0])
    places = [_place(layout, site) for site in (late, gap)]
    raise UnsupportedError(
        f"the element {places[0]} of example {row} is known, and {places[1]}, which the model "
        "generates before it, is not. A completion is exact only where the known elements come "
        "first in the order of generation; give fewer, or use a model of another order (MADE's "
        "ordering=)."
    )


def _prefix(process: Process, heads: list[torch.Tensor]) -> Sequences:
    """The first sites of each example as prefixes."""
    ends = torch.tensor([len(head) for head in heads]).cumsum(0)
    values = torch.cat(heads).to(process.space.dtype).to(process.device)
    offsets = torch.cat([ends.new_zeros(1), ends])
    return Sequences(values, offsets, process.space, torch.zeros(len(heads), dtype=torch.bool))


def _place(layout: Layout, site: int) -> tuple[int, ...]:
    """Where a site of the order of generation lies in the user's array."""
    flat = site if layout.order is None else layout.order[site]
    return tuple(int(i) for i in np.unravel_index(flat, layout.shape))


def _repeated(process: Process, context: Any, rows: torch.Tensor, n: int) -> Any:
    """The context of each completion."""
    if process.context_kind is None or context is None:
        return context
    values = np.asarray(context.detach().cpu() if isinstance(context, torch.Tensor) else context)
    return values[rows.numpy()] if values.ndim and len(values) == n else values
