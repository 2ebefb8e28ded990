"""Log-likelihoods of vector autoregressions of every order, by least squares."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.errors import check_choice
from arproc.models.autoregression.candidates import Placed, observed_log_likelihoods
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
) -> tuple[np.ndarray, int, np.ndarray]:
    """Of the orders 0, 1, ..., all of the elements with `max_order` predecessors.

    Of data with missing values they are the exact ones of all that was observed.

    Args:
        data: sequences in any form that `VAR.fit` takes; several are pooled.
        max_order: the largest order.
        trend: as for `VAR`.
        method: as for `VAR`.
        initial: "stationary" or "given".

    Returns:
        The log-likelihoods, nats; of how many elements they are; and how many parameters each
        order estimates, the innovations' covariance included.
    """
    check_choice("initial", initial, ("stationary", "given"))
    space = vector_space(data)
    d, q = space.dimension, N_COLUMNS.get(trend, 0)
    VAR(max_order, trend, method, initial)._check_parameters(d)
    sequences = Sequences.of(data, space, missing=True)
    parameters = d * (q + np.arange(max_order + 1) * d) + d * (d + 1) // 2
    if sequences.missing:
        return *_observed(sequences, max_order, (trend, method, initial)), parameters
    values = sequences.values.detach().cpu().numpy().astype(float)
    scaled = standardise(values, sequences.lengths.numpy(), trend, default_names(d))
    root, used = regression_root(scaled, max_order)
    check_enough(used, q + max_order * d, d)
    covariances = nested_covariances(root, used, d, q, max_order)
    volume = np.array([np.linalg.slogdet(sigma)[1] for sigma in covariances])
    volume = volume + 2 * np.log(scaled.size).sum()
    found = -0.5 * used * (volume + d * (1 + math.log(2 * math.pi)))
    return found, used, parameters


def _observed(
    sequences: Sequences,
    max_order: int,
    settings: tuple[str, str, Literal["stationary", "given"]],
) -> tuple[np.ndarray, int]:
    """The exact likelihoods of all that was observed."""
    orders = range(max_order + 1)
    models = [VAR(order, *settings) for order in orders]
    placed = Placed(sequences, None, torch.zeros(len(sequences), dtype=torch.int64))
    return observed_log_likelihoods(models, list(orders), placed, given=False)
