"""Choosing the order of a vector autoregression by an information criterion."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from arproc.contract.sequences import Sequences
from arproc.errors import ParameterError
from arproc.inference.criteria import CRITERIA, charges
from arproc.models.autoregression.vector.inputs import default_names
from arproc.models.autoregression.vector.regression import (
    N_COLUMNS,
    check_enough,
    nested_covariances,
    regression_root,
    standardise,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["VectorOrderSelection", "select_order"]

M = TypeVar("M")


@dataclass(frozen=True)
class VectorOrderSelection(Generic[M]):
    """What `VAR.select_order` found.

    Attributes:
        order: the chosen order.
        criterion: the criterion that chose it.
        log_likelihoods: of the orders 0, 1, ..., all of the same elements, nats.
        n_parameters: estimated by each order, the innovations' covariance included.
        n_observations: how many elements the likelihoods are of.
        model: the VAR of the chosen order, fitted to all of the data.
    """

    order: int
    criterion: str
    log_likelihoods: np.ndarray
    n_parameters: np.ndarray
    n_observations: int
    model: M = field(repr=False)

    @property
    def table(self) -> pd.DataFrame:
        """The log-likelihood and every criterion, a row for each order."""
        import pandas as pd

        columns = {"log_likelihood": self.log_likelihoods, "parameters": self.n_parameters}
        n, twice = self.n_observations, 2 * self.log_likelihoods
        columns |= {name: charges(name, self.n_parameters, n) - twice for name in CRITERIA}
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self.log_likelihoods), name="order"))


def select_order(
    sequences: Sequences, max_order: int, criterion: str, trend: str, fit: Callable[[int], M]
) -> VectorOrderSelection[M]:
    """The order from 0 to `max_order` with the smallest criterion, least squares of all compared.

    Args:
        sequences: the data.
        max_order: the largest order to try.
        criterion: one of `CRITERIA`.
        trend: "n", "c" or "ct".
        fit: gives the fitted model of an order.
    """
    values = sequences.values.detach().cpu().numpy().astype(float)
    d, q = values.shape[1], N_COLUMNS[trend]
    scaled = standardise(values, sequences.lengths.numpy(), trend, default_names(d))
    root, used = regression_root(scaled, max_order)
    check_enough(used, q + max_order * d, d)
    covariances = nested_covariances(root, used, d, q, max_order)
    volume = np.array([np.linalg.slogdet(sigma)[1] for sigma in covariances])
    volume = volume + 2 * np.log(scaled.size).sum()
    likelihoods = -0.5 * used * (volume + d * (1 + math.log(2 * math.pi)))
    parameters = d * (q + np.arange(max_order + 1) * d) + d * (d + 1) // 2
    scores = charges(criterion, parameters, used) - 2 * likelihoods
    if np.isnan(scores).all():
        raise ParameterError(f"{criterion} is not defined for {used} elements; use 'aic'.")
    order = int(np.nanargmin(scores))
    return VectorOrderSelection(order, criterion, likelihoods, parameters, used, fit(order))
