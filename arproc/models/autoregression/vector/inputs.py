"""What users give a vector autoregression: parameters as arrays, data that name their space."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.distributions import MultivariateNormal

from arproc.contract.sequences import Sequences
from arproc.errors import DataError, ParameterError, check_array, check_choice
from arproc.spaces import RealVector

__all__ = [
    "check_initial",
    "check_regressors",
    "component_names",
    "default_names",
    "law_parameters",
    "plain",
    "regressor_weights",
    "vector",
    "vector_space",
]


def vector_space(data: Any) -> RealVector:
    """The space of data that are still to be read."""
    if isinstance(data, Sequences):
        data = data.values
    elif isinstance(data, (list, tuple)) and len(data) and len(_shape(data[0])) == 2:
        data = data[0]
    shape = _shape(data)
    if len(shape) not in (2, 3) or not shape[-1]:
        raise DataError(
            f"data have the shape {tuple(shape)}; expected vectors over time: an array [T, d], "
            "a DataFrame with a column for each component, [N, T, d], or a list of such arrays. "
            "A single series is for AR; as a VAR it needs the shape [T, 1]."
        )
    return RealVector(dimension=int(shape[-1]))


def _shape(data: Any) -> tuple[int, ...]:
    """The shape of an array or of nested lists; () for ragged ones and for no data."""
    try:
        return tuple(data.shape if hasattr(data, "shape") else np.shape(data))
    except Exception:  # of a ragged list, a group of rows, a tensor of tensors
        return ()


def component_names(sequences: Sequences, dimension: int) -> list[str]:
    """The components' names as text: those of the data's columns, or else y1, y2, ..."""
    names = [str(name) for name in sequences.form.components]
    if len(names) == dimension and len(set(names)) == dimension:
        return names
    return default_names(dimension)


def default_names(dimension: int) -> list[str]:
    """y1, y2, ..."""
    return [f"y{i}" for i in range(1, dimension + 1)]


def law_parameters(coef: Any, mean: Any, sigma: Any, slope: Any) -> tuple[Any, Any, Any, Any]:
    """(coef [p, d, d], mean [d], slope [d], sigma [d, d]) as arrays, or tensors where given so.

    Raises:
        ParameterError: shapes that do not fit, or a covariance that is not symmetric.
    """
    coef = array(coef, "coef")
    if coef.ndim != 3 or coef.shape[1] != coef.shape[2] or not coef.shape[1]:
        raise ParameterError(
            f"coef must have the shape [p, d, d]; got {tuple(coef.shape)} (coef[i - 1] holds "
            "the weights of lag i)."
        )
    d = int(coef.shape[1])
    level, rise = vector(mean, "mean", d), vector(slope, "slope", d)
    noise = array(sigma, "sigma")
    if noise.ndim < 2:
        spread = vector(noise, "sigma", d)
        noise = torch.diag(spread) if isinstance(spread, torch.Tensor) else np.diag(spread)
    if tuple(noise.shape) != (d, d):
        raise ParameterError(f"sigma must have the shape ({d}, {d}); got {noise.shape}.")
    table = plain(noise)
    if not np.allclose(table, table.T, rtol=1e-8, atol=0):
        raise ParameterError("sigma must be symmetric.")
    return coef, level, rise, noise


def check_initial(initial: Any, order: int, dimension: int) -> None:
    """Raise `ParameterError` unless this is a law of the first `order` elements."""
    if isinstance(initial, MultivariateNormal):
        shape = tuple(initial.batch_shape + initial.event_shape)
        if shape != (order * dimension,):
            raise ParameterError(
                f"initial must be a distribution of the {order * dimension} numbers of the first "
                f"{order} elements; got a MultivariateNormal of shape {shape}."
            )
    elif not isinstance(initial, str) or initial not in ("stationary", "given"):
        raise ParameterError(
            "initial must be 'stationary', 'given' or a torch MultivariateNormal over the first "
            f"elements; got {initial!r}."
        )


def check_regressors(regressors: Any, initial: Any) -> None:
    """Raise `ParameterError` unless regressors of this meaning go with this start."""
    if regressors is None:
        return
    check_choice("regressors", regressors, ("mean", "recursion"))
    if regressors == "mean" and isinstance(initial, MultivariateNormal):
        raise ParameterError(
            "initial can not be a distribution of the first elements where regressors='mean' "
            "move their mean; use 'stationary' or 'given'."
        )
    if regressors == "recursion" and isinstance(initial, str) and initial == "stationary":
        raise ParameterError(
            "initial must be 'given' where regressors='recursion': the regressors before a "
            "sequence are not known, so its first elements have no law. (With "
            "regressors='mean', regression with autoregressive errors, they have one.)"
        )


def regressor_weights(beta: Any, regressors: Any, dimension: int) -> Any:
    """The regressors' coefficients [d, c]; None where there are none."""
    if (beta is None) != (regressors is None):
        raise ParameterError(
            "beta and regressors go together: beta [d, c] holds the coefficients, regressors "
            f"('mean' or 'recursion') what they are part of; got beta={beta!r} and regressors="
            f"{regressors!r}."
        )
    if beta is None:
        return None
    found = array(beta, "beta")
    if found.ndim != 2 or found.shape[0] != dimension:
        raise ParameterError(
            f"beta must have the shape [{dimension}, c], a row for each component; got "
            f"{tuple(found.shape)}."
        )
    return found


def array(value: Any, name: str) -> Any:
    """Finite floating numbers as an array of its own; a tensor stays one."""
    if not isinstance(value, torch.Tensor):
        value = check_array(name, value)
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
