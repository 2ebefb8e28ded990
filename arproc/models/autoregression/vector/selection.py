"""Choosing the order of a vector autoregression by an information criterion."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.contract.sequences import Sequences
from arproc.errors import check_choice, check_integer
from arproc.inference.criteria import CRITERIA, information_criterion
from arproc.models.autoregression.vector.inputs import vector_space
from arproc.models.autoregression.vector.least_squares import check_enough, nested_covariances
from arproc.models.autoregression.vector.moments import N_COLUMNS, regression_root, standardise
from arproc.models.autoregression.vector.var import VAR

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["VectorOrderSelection", "select_order"]


@dataclass(frozen=True)
class VectorOrderSelection:
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
    model: VAR = field(repr=False)

    @property
    def table(self) -> pd.DataFrame:
        """The log-likelihood and every criterion, a row for each order."""
        import pandas as pd

        columns = {"log_likelihood": self.log_likelihoods, "parameters": self.n_parameters}
        columns |= {
            name: _criterion(name, self.log_likelihoods, self.n_parameters, self.n_observations)
            for name in CRITERIA
        }
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self.log_likelihoods), name="order"))


def select_order(
    data: Any,
    max_order: int,
    criterion: str = "aic",
    trend: str = "c",
    method: str = "mle",
    initial: str = "stationary",
) -> VectorOrderSelection:
    """See `VAR.select_order`."""
    max_order = check_integer("max_order", max_order, minimum=0)
    check_choice("criterion", criterion, CRITERIA)
    check_choice("initial", initial, ("stationary", "given"))
    space = vector_space(data)
    d = space.dimension
    VAR(max_order, trend, method, initial)._check_parameters(d)
    sequences = Sequences.of(data, space)
    values = sequences.values.detach().cpu().numpy().astype(float)
    names = [f"y{i}" for i in range(1, d + 1)]
    scaled = standardise(values, sequences.lengths.numpy(), trend, names)
    root, used = regression_root(scaled, max_order)
    q = N_COLUMNS[trend]
    check_enough(used, q + max_order * d, d)
    covariances = nested_covariances(root, used, d, q, max_order)
    volume = np.array([np.linalg.slogdet(sigma)[1] for sigma in covariances])
    volume = volume + 2 * np.log(scaled.size).sum()
    likelihoods = -0.5 * used * (volume + d * (1 + math.log(2 * math.pi)))
    parameters = d * (q + np.arange(max_order + 1) * d) + d * (d + 1) // 2
    values_of = _criterion(criterion, likelihoods, parameters, used)
    order = int(np.nanargmin(values_of))
    model = VAR(order, trend, method, initial).fit(data)
    return VectorOrderSelection(order, criterion, likelihoods, parameters, used, model)


def _criterion(name: str, likelihoods: np.ndarray, parameters: np.ndarray, n: int) -> np.ndarray:
    """The criterion of every order; nan where there are too few elements for it."""
    defined = [name != "aicc" or n - int(k) - 1 > 0 for k in parameters]
    return np.array(
        [
            information_criterion(name, float(value), int(k), n) if ok else math.nan
            for value, k, ok in zip(likelihoods, parameters, defined, strict=True)
        ]
    )
