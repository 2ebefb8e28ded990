"""Log-likelihoods of vector autoregressions of every order, by least squares."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from arproc.contract.sequences import Sequences
from arproc.errors import check_choice
from arproc.models.autoregression.vector.inputs import default_names, vector_space
from arproc.models.autoregression.vector.regression import (
    N_COLUMNS,
    check_enough,
    nested_covariances,
    regression_root,
    standardise,
)
from arproc.models.autoregression.vector.var import VAR

__all__ = ["log_likelihoods"]


def log_likelihoods(
    data: Any,
    max_order: int,
    trend: str,
    method: str,
    initial: Literal["stationary", "given"],
) -> tuple[np.ndarray, np.ndarray, int]:
    """Of the orders 0, 1, ..., all of the elements with `max_order` predecessors.

    Args:
        data: sequences in any form that `VAR.fit` takes; several are pooled.
        max_order: the largest order.
        trend: as for `VAR`.
        method: as for `VAR`.
        initial: "stationary" or "given".

    Returns:
        The log-likelihoods, nats; how many parameters each order estimates, the innovations'
        covariance included; and of how many elements the likelihoods are.
    """
    check_choice("initial", initial, ("stationary", "given"))
    space = vector_space(data)
    d, q = space.dimension, N_COLUMNS.get(trend, 0)
    VAR(max_order, trend, method, initial)._check_parameters(d)
    sequences = Sequences.of(data, space)
    values = sequences.values.detach().cpu().numpy().astype(float)
    scaled = standardise(values, sequences.lengths.numpy(), trend, default_names(d))
    root, used = regression_root(scaled, max_order)
    check_enough(used, q + max_order * d, d)
    covariances = nested_covariances(root, used, d, q, max_order)
    volume = np.array([np.linalg.slogdet(sigma)[1] for sigma in covariances])
    volume = volume + 2 * np.log(scaled.size).sum()
    found = -0.5 * used * (volume + d * (1 + math.log(2 * math.pi)))
    parameters = d * (q + np.arange(max_order + 1) * d) + d * (d + 1) // 2
    return found, parameters, used
