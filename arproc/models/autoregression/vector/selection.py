"""Log-likelihoods of vector autoregressions of every order, by least squares."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from arproc.contract.sequences import Sequences
from arproc.errors import check_choice
from arproc.inference.candidates import Placed, observed_log_likelihoods
from arproc.models.autoregression.ar import flat_regressors
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
    regressors: Literal["mean", "recursion"] | None = None,
    context: Any = None,
) -> tuple[np.ndarray, int, np.ndarray]:
    """Of the orders 0, 1, ..., all of the elements with `max_order` predecessors.

    Of data with missing values, and with regressors in the mean, they are those of `method`, which
    may be of all that was observed.

    Args:
        data: sequences in any form that `VAR.fit` takes; several are pooled.
        max_order: the largest order.
        trend: as for `VAR`.
        method: as for `VAR`.
        initial: "stationary" or "given".
        regressors: as for `VAR`.
        context: the regressors, as for `fit`.

    Returns:
        The log-likelihoods, nats; of how many elements they are; and how many parameters each
        order estimates, the innovations' covariance included.
    """
    check_choice("initial", initial, ("stationary", "given"))
    space = vector_space(data)
    d, orders = space.dimension, range(max_order + 1)
    given = method == "ols" or initial == "given"
    start: Literal["stationary", "given"] = "given" if given else initial
    models = [VAR(k, trend, method, start, regressors=regressors) for k in orders]
    VAR(max_order, trend, method, initial, regressors=regressors)._check_parameters(d)
    placed = Placed.of(Sequences.of(data, space, missing=True), models[-1], context)
    sequences, prepared = placed.sequences, placed.context
    columns = None if prepared is None else flat_regressors(prepared, sequences.lengths)
    q = N_COLUMNS[trend] + (0 if columns is None else columns.shape[1])
    parameters = d * (q + np.arange(max_order + 1) * d) + d * (d + 1) // 2
    if sequences.missing or regressors == "mean":
        return *observed_log_likelihoods(models, list(orders), placed, given), parameters
    values = sequences.values.detach().cpu().numpy().astype(float)
    lengths, names = sequences.lengths.numpy(), default_names(d)
    scaled = standardise(values, lengths, trend, names, columns, placed.first.numpy())
    root, used = regression_root(scaled, max_order)
    check_enough(used, q + max_order * d, d)
    covariances = nested_covariances(root, used, d, q, max_order)
    volume = np.array([np.linalg.slogdet(sigma)[1] for sigma in covariances])
    volume = volume + 2 * np.log(scaled.size).sum()
    found = -0.5 * used * (volume + d * (1 + math.log(2 * math.pi)))
    return found, used, parameters
