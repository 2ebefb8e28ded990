"""What `fit` is given beside the data: a validation pair, contexts, weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.errors import DataError, ParameterError

__all__ = ["pair", "require_one_each", "weights_of"]


def pair(validation: Any, model: str) -> tuple[Any, Any]:
    """The validation data and their context, or `ParameterError`."""
    if isinstance(validation, tuple) and len(validation) == 2 and validation[1] is not None:
        data, context = validation
        return data, context
    came = type(validation).__name__
    if isinstance(validation, tuple):
        came = f"a tuple of {len(validation)}"
        came = "(data, None)" if len(validation) == 2 else came
    raise ParameterError(
        f"validation must be a pair (data, context), since this {model} takes a context; got "
        f"{came}."
    )


def require_one_each(context: Any, n: int) -> None:
    """Raise `DataError` for a row of another length than n, which would be one vector for all.

    Nothing can be learnt of a vector that all sequences share; labels of other data look like one.
    """
    shape = tuple(np.shape(context))
    if n > 1 and len(shape) == 1 and shape[0] != n:
        raise DataError(
            f"context has {shape[0]} entries for {n} sequences; fit expects one for each: [{n}], "
            f"or [{n}, c] for vectors."
        )


def weights_of(weights: Any, n: int) -> torch.Tensor:
    """The user's weights of n sequences, checked, float64 [n]."""
    try:
        found = torch.from_numpy(np.array(weights, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise DataError(f"sample_weight can not be read as numbers: {error}.") from None
    sound = bool(torch.isfinite(found).all()) and bool((found >= 0).all())
    if tuple(found.shape) != (n,) or not sound or not float(found.sum()) > 0:
        raise DataError(
            f"sample_weight must be {n} finite numbers, one a sequence, none negative and not "
            f"all zero; got an array of shape {list(found.shape)}"
            + (f" from {float(found.min()):g} to {float(found.max()):g}." if len(found) else ".")
        )
    return found
