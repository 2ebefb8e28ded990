"""What the checks are made with: batches, examples of contexts, and the precision of a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.distributions import Transform, biject_to, identity_transform

from arproc.contract.law import Law
from arproc.contract.parameters import is_learnt
from arproc.errors import ParameterError
from arproc.process import Model, Process
from arproc.spaces import Space

__all__ = [
    "Batch",
    "examples_of_context",
    "holds_network",
    "line_of",
    "marked",
    "numbers_of",
    "precisions",
]


@dataclass(frozen=True)
class Batch:
    """Rows of equal length: elements x [n, T, *event] in the order of generation, and contexts."""

    x: torch.Tensor
    context: np.ndarray | None

    @property
    def n(self) -> int:
        return self.x.shape[0]

    @property
    def length(self) -> int:
        return self.x.shape[1]

    def rows(self, rows: Any) -> Batch:
        """The rows with these numbers."""
        rows = torch.as_tensor(rows)
        context = None if self.context is None else self.context[rows.numpy()]
        return Batch(self.x[rows.to(self.x.device)], context)


def numbers_of(process: Process, x: Any) -> list[torch.Tensor]:
    """The rows of what `sample` gave, as numbers; of a DataFrame in the order of generation."""
    if hasattr(x, "iloc"):
        return list(process.sequences(x, name="prefix").padded()[0])
    return [torch.as_tensor(np.asarray(row)).to(process.space.dtype) for row in x]


def line_of(space: Space) -> Transform:
    """The map of the whole real line onto the numbers of real elements; else none."""
    real = space.measure == "density" and not space.varies
    return biject_to(space.support) if real else identity_transform


def marked(x: torch.Tensor) -> torch.Tensor:
    """The elements with missing ones, which do not equal themselves, as infinity."""
    return torch.where(torch.isnan(x), torch.inf, x) if x.is_floating_point() else x


def precisions(value: Any) -> Iterator[torch.dtype]:
    """The dtypes of the real numbers that a model, its networks and its parts hold."""
    if isinstance(value, torch.nn.Module):
        yield from (p.dtype for p in value.parameters())
    elif isinstance(value, torch.Tensor) and value.is_floating_point():
        yield value.dtype
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from precisions(part)
    elif isinstance(value, Model):
        held = vars(value).items()
        yield from precisions([part for name, part in held if is_learnt(name)])
    elif isinstance(value, Law):
        yield from precisions(list(vars(value).values()))


def examples_of_context(process: Process, context: Any) -> np.ndarray | None:
    """The contexts that the user gave as examples, checked."""
    form = process.law_.context
    if form is None:
        if context is not None:
            raise ParameterError(f"{type(process).__name__} takes no context; leave it out.")
        return None
    kind = form.kind
    axes = 2 if kind == "static" else 3
    if context is None:
        raise ParameterError(
            f"{type(process).__name__} takes a context ({kind}): pass examples of it to "
            f"check_process as context=, an array {'[M, c]' if axes == 2 else '[M, T, c]'}."
        )
    values = np.asarray(context, dtype=np.float64)
    if values.ndim != axes:
        raise ParameterError(
            f"context has shape {values.shape}; expected examples "
            f"{'[M, c]' if axes == 2 else '[M, T, c]'}."
        )
    return values


def holds_network(value: Any) -> bool:
    """Whether a law, or a model in one class, holds a network of torch's."""
    if isinstance(value, torch.nn.Module):
        return True
    if isinstance(value, (list, tuple)):
        return any(map(holds_network, value))
    return isinstance(value, (Model, Law)) and any(map(holds_network, vars(value).values()))
