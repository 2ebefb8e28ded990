"""What users give a vector autoregression: parameters as arrays, data that name their space."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.errors import DataError, ParameterError
from arproc.sequences import Sequences
from arproc.spaces import RealVector

__all__ = ["array", "component_names", "plain", "vector", "vector_space"]


def vector_space(data: Any) -> RealVector:
    """The space of data that are still to be read."""
    if isinstance(data, Sequences):
        data = data.values
    elif isinstance(data, (list, tuple)) and len(data) and np.ndim(data[0]) == 2:
        data = data[0]
    shape = data.shape if hasattr(data, "shape") else np.shape(data)
    if len(shape) not in (2, 3) or not shape[-1]:
        raise DataError(
            f"data have the shape {tuple(shape)}; expected vectors over time: an array [T, d], "
            "a DataFrame with a column for each component, [N, T, d], or a list of such arrays. "
            "A single series is for AR; as a VAR it needs the shape [T, 1]."
        )
    return RealVector(dimension=int(shape[-1]))


def component_names(sequences: Sequences, dimension: int) -> list[str]:
    """The components' names as text: those of the data's columns, or else y1, y2, ..."""
    names = [str(name) for name in sequences.form.components]
    if len(names) == dimension and len(set(names)) == dimension:
        return names
    return [f"y{i}" for i in range(1, dimension + 1)]


def array(value: Any, name: str) -> Any:
    """Finite floating numbers as an array; a tensor stays one."""
    if not isinstance(value, torch.Tensor):
        try:
            value = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            raise ParameterError(f"{name} must be numbers; got {value!r}.") from None
    if not bool((abs(value) < np.inf).all()):
        raise ParameterError(f"{name} must be finite numbers; got {value!r}.")
    return value


def vector(value: Any, name: str, dimension: int) -> Any:
    """Finite numbers [d]; one number stands for all."""
    value = array(value, name)
    if value.ndim == 0:
        if isinstance(value, torch.Tensor):
            return value.expand(dimension)
        return np.full(dimension, float(value))
    if tuple(value.shape) != (dimension,):
        raise ParameterError(f"{name} must have {dimension} numbers; got {value!r}.")
    return value


def plain(value: Any) -> np.ndarray:
    """The value without its gradient."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
