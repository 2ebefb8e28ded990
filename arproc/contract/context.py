"""What a law is conditioned on: its form, and how a user's is read into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F

from arproc.contract.checked import Number
from arproc.contract.storable import storable
from arproc.data.arrays import plain_tensor
from arproc.errors import DataError, check_array

__all__ = ["ContextForm", "context_problems", "split_clock", "with_clock"]


@storable
@dataclass(frozen=True)
class ContextForm:
    """What a law takes as context: one vector (or one label) a sequence, or one vector a step.

    Attributes:
        kind: "static", [N, c], or "steps", [N, T, c].
        size: how many numbers c a vector has; None where that is yet to be learnt.
        classes: how many labels there are, where a static context is a label 0 ... classes - 1;
            the law itself sees the row of the identity matrix that it names.
        least: what no number may be below, where there is such a bound.
        sizes: how many of the first numbers are sizes, which are above 0.
    """

    kind: Literal["static", "steps"]
    size: Annotated[int | None, Number(low=0)] = None
    classes: Annotated[int | None, Number(low=1)] = None
    least: Annotated[float | None, Number()] = None
    sizes: Annotated[int, Number(low=0)] = 0

    def read(self, context: Any, n: int, length: int, device: torch.device) -> torch.Tensor:
        """A user's context, float64: [N, c] where static, [N, T, c] where per step.

        Args:
            context: what the user gave; one for all or one for each sequence.
            n: how many sequences there are.
            length: how many steps a context by steps must at least have.
            device: where the law computes.

        Raises:
            DataError: it has another shape, another size, or values that are not finite or below
                `least`.
        """
        given = _numbers(context).to(device)
        if given is context:  # states keep it, whatever becomes of the user's tensor
            given = given.clone()
        x = _arranged(given, self.kind, n)
        if self.kind == "steps" and x.shape[1] < length:
            raise DataError(
                f"context has {x.shape[1]} steps; expected at least {length}, one for each "
                "element (the future ones included where one samples or forecasts)."
            )
        if not bool(torch.isfinite(x.double()).all()):
            raise DataError("context has values that are not finite; remove or fill them first.")
        if self.classes is not None:
            return _one_hot(x, self.classes, context)
        if self.size is not None and x.shape[-1] != self.size:
            each = "example" if self.kind == "static" else "step"
            raise DataError(
                f"context has {x.shape[-1]} numbers for each {each}; the model takes {self.size}."
            )
        if self.least is not None and bool((x < self.least).any()):
            wrong = "negative values" if self.least == 0 else f"values below {self.least:g}"
            raise DataError(
                f"context has {wrong} (the least is {float(x.min()):g}), which this model does "
                "not take with the parameters it has: shift them, or choose other parameters."
            )
        self._check_sizes(x)
        return x

    def _check_sizes(self, x: torch.Tensor) -> None:
        if x.shape[-1] < self.sizes:
            raise DataError(
                f"context has {x.shape[-1]} numbers; the first {self.sizes} must be scales."
            )
        wrong = ~(x[..., : self.sizes] > 0)
        if self.sizes and bool(wrong.any()):
            row, value = int(wrong.nonzero()[0, 0]), float(x[..., : self.sizes][wrong][0])
            raise DataError(
                f"context has {value:g} as a scale (sequence {row}); the first number of each "
                "context is the size of its sequence's values, and must be above 0."
            )

    def learnt(self, context: torch.Tensor | None) -> ContextForm:
        """The same form with the size that the training data's context has."""
        if context is None:
            return self
        return replace(self, size=context.shape[-1])


def context_problems(form: ContextForm | None, kind: str, size: int) -> Iterator[tuple[bool, str]]:
    """Whether a law's context is of another kind or size than what it has coefficients for."""
    have = 0 if form is None else (form.classes or form.size or 0)
    yield (
        have != size or (form is not None and form.kind != kind),
        f"the context has {have} numbers, and there are coefficients for {size} of one by {kind}"
        if kind == "steps"
        else f"the context has {have} numbers, and the law takes {size} of a static one",
    )


def with_clock(context: torch.Tensor | None, first: torch.Tensor) -> torch.Tensor | None:
    """A context whose last column is t, for laws that count time (`Law.clocked`).

    Without any other column, and where all begin at 0, there is none.

    Args:
        context: [N, c] or [N, T, c], or None.
        first: the t at which each sequence begins, int64 [N].

    Example:
        >>> with_clock(None, torch.tensor([7, 0])).tolist()
        [[7.0], [0.0]]
    """
    t = first.to(torch.float64)
    if context is None:
        return t[:, None] if bool(t.any()) else None
    t = t.to(context.device)
    if context.ndim == 3:
        t = t[:, None] + torch.arange(context.shape[1], device=t.device)
    return torch.cat([context.to(torch.float64), t[..., None]], dim=-1)


def split_clock(
    context: torch.Tensor | None, size: int
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """The inverse of `with_clock`: the context of `size` columns, and the first t of each [N].

    None where there is no context, and where t begins at 0.

    Example:
        >>> context, first = split_clock(with_clock(torch.ones(2, 3, 1), torch.tensor([7, 0])), 1)
        >>> context.shape, first.tolist()
        (torch.Size([2, 3, 1]), [7, 0])
    """
    if context is None or context.shape[-1] <= size:
        return context, None
    last = context[..., -1]
    steps = last.ndim == 2
    first = (last[:, 0] if last.shape[1] else last.new_zeros(len(last))) if steps else last
    return (context[..., :size] if size else None), first.round().to(torch.int64)


def _arranged(x: torch.Tensor, kind: str, n: int) -> torch.Tensor:
    """A context of any shape that a user may give as [n, c] or [n, T, c]."""
    axes = 2 if kind == "static" else 3
    if kind == "static" and x.ndim == 0:
        x = x.expand(n)
    if kind == "static" and x.ndim == 1:
        x = x[:, None] if len(x) == n else x[None]
    if kind == "steps" and x.ndim == 1:
        x = x[:, None]
    if x.ndim == axes - 1:
        x = x[None]
    if x.ndim == axes and len(x) == 1:
        x = x.expand(n, *x.shape[1:])
    if x.ndim != axes or len(x) != n:
        shape = "[N, c]" if kind == "static" else "[N, T, c]"
        raise DataError(f"context has shape {tuple(x.shape)}; expected {shape} with N = {n}.")
    return x


def _numbers(context: Any) -> torch.Tensor:
    """The numbers of a context, float64."""
    if isinstance(context, torch.Tensor):
        x = plain_tensor(context, "context")
    else:
        values = context.to_numpy() if hasattr(context, "to_numpy") else context
        _check_even(values)
        x = torch.from_numpy(check_array("context", values, DataError))
    if x.is_complex():
        raise DataError(f"context is complex ({x.dtype}); expected real numbers.")
    return x.double()


def _check_even(context: Any) -> None:
    """Raise `DataError` for a list of contexts by steps that have unequally many of these."""
    if not isinstance(context, (list, tuple)):
        return
    sizes = {len(one) for one in context if hasattr(one, "__len__") and not isinstance(one, str)}
    if len(sizes) > 1:
        raise DataError(
            f"context is a list of items of unequal lengths ({min(sizes)} to {max(sizes)}); "
            "expected one array, [N, T, c] where it is by steps: fill the shorter ones up to the "
            "longest with zeros; no likelihood reads what stands behind the end of a sequence."
        )


def _one_hot(x: torch.Tensor, classes: int, context: Any) -> torch.Tensor:
    """Labels [N, 1] as one-hot rows [N, classes].

    Args:
        x: the labels.
        classes: how many there are.
        context: what the user gave.
    """
    expected = f"whole numbers 0 ... {classes - 1}, the label of each example"
    if x.shape[1] != 1:
        shape = tuple(context.shape) if hasattr(context, "shape") else np.shape(context)
        raise DataError(f"context has shape {shape} for {len(x)} examples; expected {expected}.")
    wrong = (x != x.floor()) | (x < 0) | (x >= classes)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0, 0])
        raise DataError(
            f"context has the label {float(x[row]):g} (example {row}); expected {expected}."
        )
    return F.one_hot(x[:, 0].long(), classes).to(torch.get_default_dtype())
