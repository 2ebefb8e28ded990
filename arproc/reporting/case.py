"""What is reported on: the models, the data as each of them reads it, and the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from arproc.contract.sequences import Sequences
from arproc.errors import ParameterError
from arproc.process import Model

__all__ = ["Case"]


@dataclass(frozen=True)
class Case:
    """The subject of a report.

    Attributes:
        models: fitted models by name.
        data: what they are judged by, in the user's form, not an iterator.
        context: for the models that take one.
        offset: at which step the sequences begin.
        given: how many first elements are not scored; None leaves it to the models.
        complete: as for `log_prob`.
        samples: how many draws of each model are shown.
        length: of the draws; None is that of the data.
        shape: of one image; None leaves it to the models.
        seed: of the draws.
    """

    models: dict[str, Model]
    data: Any
    context: Any = None
    offset: Any = None
    given: int | None = None
    complete: bool | None = None
    samples: int = 3
    length: int | None = None
    shape: tuple[int, ...] | None = None
    seed: int = 0
    _read: dict[str, Sequences] = field(default_factory=dict)

    def sequences(self, name: str) -> Sequences:
        """The data as a model reads it."""
        if name not in self._read:
            law = self.models[name]
            found = law.sequences(
                self.data, complete=self.complete, missing=law.law_.takes_missing
            )
            if self.complete is not None and isinstance(self.data, Sequences):
                found = found.ended(self.complete)
            self._read[name] = found
        return self._read[name]

    def image_shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of one example, if it is an image."""
        layout = self.models[name].layout
        image = layout is not None and len(layout.shape) in (2, 3)
        return layout.shape if self.shape is None and layout is not None and image else self.shape

    def first(self, name: str) -> tuple[Any, Any]:
        """One sequence of the data, and its context: the first, or the only one."""
        found = self.sequences(name)
        if len(found) == 1:
            return self.data, self.context_of(name)
        return found.select(torch.tensor([0])), self.context_of(name, 1)

    def context_of(self, name: str, rows: int | None = None) -> Any:
        """The context for a model; None for one that takes none.

        Args:
            name: of the model.
            rows: of the first so many sequences alone.
        """
        if self.context is None or self.models[name].law_.context is None:
            return None
        if rows is None or len(self.sequences(name)) == 1:
            return self.context
        try:
            cut = getattr(self.context, "iloc", self.context)
            return cut[:rows]
        except (TypeError, KeyError) as error:
            raise ParameterError(
                f"a context of the form {type(self.context).__name__} is not taken apart by rows."
            ) from error

    def starts_at(self, name: str) -> int:
        """How many first elements of each sequence are not scored."""
        own = self.models[name].n_given
        return own if self.given is None else max(own, self.given)
