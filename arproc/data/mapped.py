"""Symbols in files larger than the memory: whole numbers that NumPy maps."""

from __future__ import annotations

import mmap
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from arproc.data.form import Form
from arproc.errors import DataError
from arproc.spaces import Categorical

__all__ = ["check_symbols", "extremes", "is_mapped", "read_mapped"]

#: How many numbers are looked at at once.
_PIECE = 1 << 22


def is_mapped(data: Any) -> bool:
    """Whether these are whole numbers in a file that NumPy maps, [T] or [N, T].

    Example:
        >>> is_mapped(np.arange(3))
        False
    """
    return (
        isinstance(data, np.memmap)
        and data.dtype.kind in "iu"
        and data.dtype.itemsize < 8 + (data.dtype.kind == "i")
        and data.dtype.isnative
        and data.flags.c_contiguous
        and data.ndim in (1, 2)
        and data.size > 0
    )


def read_mapped(data: np.memmap, space: Categorical) -> tuple[torch.Tensor, torch.Tensor, Form]:
    """The numbers as they lie in the file, lengths, and the form: text where they are tokens."""
    rows, length = data.shape if data.ndim == 2 else (1, len(data))
    form = Form("numpy" if space.vocabulary is None else "text", single=data.ndim == 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it is read-only: nothing here writes
        values = torch.from_numpy(data.reshape(-1))
    return values, torch.full((rows,), length, dtype=torch.int64), form


def extremes(data: np.memmap) -> tuple[int, int]:
    """The least and the greatest number; what was read does not stay in memory."""
    pieces = [(int(piece.min()), int(piece.max())) for piece in _pieces(data)]
    return min(low for low, _ in pieces), max(high for _, high in pieces)


def check_symbols(data: np.memmap, space: Categorical, name: str) -> None:
    """Raise `DataError` unless all numbers are symbols of a space, none of them the end."""
    (low, high), size, end = extremes(data), space.size, space.end
    if low < 0 or high >= size:
        raise DataError(
            f"{name} does not fit the model's space (categorical with {size} symbols): expected "
            f"symbols from 0 to {size - 1}, got values from {low} to {high}."
        )
    if end is not None and any(bool((piece == end).any()) for piece in _pieces(data)):
        raise DataError(
            f"{name} has the end symbol {end} among its elements; it is added by itself to every "
            "complete sequence, so leave it out."
        )


def _pieces(data: np.memmap) -> Iterator[np.ndarray]:
    flat, mapping = data.reshape(-1), getattr(data, "_mmap", None)
    for begin in range(0, len(flat), _PIECE):
        yield flat[begin : begin + _PIECE]
        if mapping is not None and hasattr(mmap, "MADV_DONTNEED") and not data.flags.writeable:
            mapping.madvise(mmap.MADV_DONTNEED)  # of a file: it can be read again
