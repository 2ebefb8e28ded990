"""What all models of symbols share: their vocabulary, their ends, tables of probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.data.tokenizers import categorical_space
from arproc.distributions import Categorical
from arproc.errors import DataError
from arproc.process import Process
from arproc.spaces import Categorical as CategoricalSpace
from arproc.spaces import Space

__all__ = [
    "NO_TABLE",
    "NO_UNIFORMS",
    "SymbolModel",
    "categorical",
    "symbol_problems",
    "symbol_space",
    "with_ends",
]

#: What kernels that may fill a table, or draw from uniforms, are given where they shall not.
NO_TABLE, NO_UNIFORMS = np.empty((0, 0, 0)), np.empty((0, 0))


class SymbolModel(Process):
    """A model of symbols, cut out of the data as its parameter `tokens` says."""

    tokens: Any

    @property
    def vocabulary(self) -> Any:
        """The vocabulary, or None where the data are numbers."""
        return symbol_space(self.law_.space).vocabulary

    def _check_parameters(self) -> None:
        """Raise `ParameterError` where a parameter of the constructor is wrong."""

    def _infer_space(self, data: Any) -> Space:
        self._check_parameters()
        return categorical_space(data, self.tokens)


def symbol_space(space: Space) -> CategoricalSpace:
    """The space, which must be one of symbols."""
    if not isinstance(space, CategoricalSpace):
        raise DataError(f"This is a model of symbols; got {space.describe()} elements.")
    return space


def symbol_problems(space: Space, symbols: int) -> Iterator[tuple[bool, str]]:
    """Whether a law's space is none of so many symbols; see `arproc.contract.checked.sentences`.

    Compiled code takes a symbol for an index into tables of that size.
    """
    yield space.size != symbols, f"the space is of {space.size} symbols, the tables of {symbols}"
    yield space.length is not None, f"the space is of sequences of {space.length} symbols"
    end = space.end
    yield end is not None and end != symbols - 1, f"the end is symbol {end}, and not the last one"


def with_ends(sequences: Sequences) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The symbols with their ends among them, flat; where each sequence begins; its length."""
    space = symbol_space(sequences.space)
    values, offsets = sequences.values.cpu().numpy(), sequences.offsets.numpy()
    ends = sequences.complete.numpy() & (space.end is not None)
    lengths = np.diff(offsets)
    steps = lengths + ends
    begin = np.cumsum(steps) - steps
    out = np.full(int(steps.sum()), 0 if space.end is None else space.end, np.int64)
    out[np.arange(len(values)) + np.repeat(begin - offsets[:-1], lengths)] = values
    return out, begin, steps


def categorical(table: np.ndarray, device: torch.device) -> Categorical:
    """The distributions with the probabilities `table` [..., V], none of them zero."""
    return Categorical(torch.from_numpy(np.log(table)).to(device))
