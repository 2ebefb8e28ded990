"""What a neural law of examples is conditioned on: a vector for each, or a label."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from arproc.errors import DataError, ParameterError, check_integer
from arproc.models.neural.base import NeuralLaw

__all__ = ["ContextLaw"]


class ContextLaw(NeuralLaw):
    """Base of the neural laws that take a static context.

    A subclass stores `conditioned` and `classes`. Networks see vectors [N, c] alone; a label is
    the row of the identity matrix that it names.

    Attributes:
        n_context_: how many numbers an example is conditioned on; as many as there are classes
            where these are labels.
    """

    conditioned: bool
    classes: int | None
    n_context_: int

    @property
    def context_kind(self) -> Literal["static"] | None:  # type: ignore[override]
        return "static" if self.conditioned or self.classes is not None else None

    def _check_context_parameters(self) -> None:
        """Raise `ParameterError` unless it is clear what the context is."""
        if self.classes is None:
            return
        check_integer("classes", self.classes, minimum=2)
        if self.conditioned:
            raise ParameterError(
                "classes says that the context is a label, conditioned=True that it is a vector; "
                "use one of them."
            )

    def _context(self, context: Any, n: int, length: int) -> Tensor | None:
        x = super()._context(context, n, length)
        if x is None:
            return None
        if self.classes is not None:
            return _one_hot(x, self.classes, context)
        known = self.__dict__.get("n_context_")
        if known is not None and not self._fitting and x.shape[1] != known:
            raise DataError(
                f"context has {x.shape[1]} numbers for each example; the model takes {known}."
            )
        return x


def _one_hot(x: Tensor, classes: int, context: Any) -> Tensor:
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
