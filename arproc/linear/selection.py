"""Choosing the order of an autoregression by an information criterion."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.criteria import CRITERIA, information_criterion
from arproc.errors import ParameterError, check_choice, check_integer
from arproc.linear.ar import AR
from arproc.linear.autocovariance import burg_pacf, sample_autocovariances
from arproc.linear.estimation import check_enough
from arproc.linear.exact import exact_ml
from arproc.linear.least_squares import nested_sums_of_squares
from arproc.linear.levinson import durbin
from arproc.linear.mean import Terms
from arproc.linear.moments import Scaled, moments, restrict, scale
from arproc.sequences import Sequences
from arproc.spaces import Real

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OrderSelection", "select_order"]


@dataclass(frozen=True)
class OrderSelection:
    """What `select_order` found.

    Attributes:
        order: the chosen order.
        criterion: the criterion that chose it.
        log_likelihoods: of the orders 0, 1, ..., all of the same elements, nats.
        n_parameters: estimated by each order.
        n_observations: how many elements the likelihoods are of.
        model: the AR of the chosen order, fitted to all of the data.
    """

    order: int
    criterion: str
    log_likelihoods: np.ndarray
    n_parameters: np.ndarray
    n_observations: int
    model: AR = field(repr=False)

    @property
    def table(self) -> pd.DataFrame:
        """The log-likelihood and every criterion, a row for each order."""
        import pandas as pd

        columns = {"log_likelihood": self.log_likelihoods, "parameters": self.n_parameters}
        columns |= {name: self._values(name) for name in CRITERIA}
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self.log_likelihoods), name="order"))

    def _values(self, name: str) -> np.ndarray:
        return _criterion(name, self.log_likelihoods, self.n_parameters, self.n_observations)


def select_order(
    data: Any,
    max_order: int,
    criterion: str = "aic",
    trend: str = "c",
    method: str = "mle",
    initial: str = "stationary",
) -> OrderSelection:
    """The order from 0 to `max_order` with the smallest criterion, and its fitted model.

    The likelihoods compared are all of the same elements: with "mle" the exact one of every
    element; with "ols" (or `initial="given"`) that of the elements with `max_order`
    predecessors; with the others the usual approximation -n/2 (log 2 pi sigma2 + 1) of every
    element. The chosen order is then fitted to all of the data.

    Args:
        data: sequences in any form that `fit` takes; several are pooled.
        max_order: the largest order to try, 0 or more.
        criterion: "aic", "aicc", "bic" or "hqic".
        trend: as for `AR`.
        method: as for `AR`.
        initial: as for `AR`: "stationary" or "given".

    Example:
        >>> x = AR.from_parameters([0.5, -0.6]).sample(length=400, seed=0)[0]
        >>> select_order(x, max_order=6, criterion="bic").order
        2
    """
    max_order = check_integer("max_order", max_order, minimum=0)
    check_choice("criterion", criterion, CRITERIA)
    if not isinstance(initial, str):
        raise ParameterError(
            "select_order compares likelihoods of the same elements, which a distribution of the "
            f"first p values does not give; got initial={initial!r}. Use 'stationary' or 'given'."
        )
    AR(max_order, trend, method, initial)._check_parameters()
    sequences = Sequences.of(data, Real())
    lengths = sequences.lengths.numpy()
    lengths = lengths[lengths > 0]
    terms = Terms.of(trend)
    check_enough(lengths, np.arange(1, max_order + 1), max_order + terms.n + 1)
    scaled = scale(sequences.values.detach().cpu().numpy(), lengths, terms)
    given = method in ("ols", "conditional-mle") or (method == "mle" and initial == "given")
    if given:
        likelihoods, count = _least_squares(scaled, max_order)
    elif method == "mle":
        likelihoods, count = _exact(scaled, max_order), len(scaled.values)
    else:
        likelihoods, count = _approximate(scaled, max_order, method), len(scaled.values)
    likelihoods = likelihoods - count * math.log(scaled.size)
    parameters = np.arange(max_order + 1) + scaled.columns.shape[1] + 1
    values = _criterion(criterion, likelihoods, parameters, count)
    if np.isnan(values).all():
        raise ParameterError(f"{criterion} is not defined for {count} elements; use 'aic'.")
    order = int(np.nanargmin(values))
    model = AR(order, trend, method, initial).fit(data)
    return OrderSelection(order, criterion, likelihoods, parameters, count, model)


def _criterion(name: str, likelihoods: np.ndarray, parameters: np.ndarray, n: int) -> np.ndarray:
    """The criterion of every order; nan where there are too few elements for it."""
    defined = [name != "aicc" or n - int(k) - 1 > 0 for k in parameters]
    return np.array(
        [
            information_criterion(name, float(value), int(k), n) if ok else math.nan
            for value, k, ok in zip(likelihoods, parameters, defined, strict=True)
        ]
    )


def _gaussian(sigma2: np.ndarray, n: int) -> np.ndarray:
    return -0.5 * n * (np.log(2 * np.pi * sigma2) + 1)


def _exact(data: Scaled, max_order: int) -> np.ndarray:
    sums = moments(data, max_order)
    lags = np.arange(1, max_order + 1)
    fits = (exact_ml(data, lags[:p], restrict(sums, p)) for p in range(max_order + 1))
    return np.array([fit.log_likelihood for fit in fits])


def _least_squares(data: Scaled, max_order: int) -> tuple[np.ndarray, int]:
    count = int((data.lengths - max_order).clip(min=0).sum())
    return _gaussian(nested_sums_of_squares(data, max_order) / count, count), count


def _approximate(data: Scaled, max_order: int, method: str) -> np.ndarray:
    total = len(data.values)
    if method == "burg":
        return _gaussian(burg_pacf(data, max_order)[1], total)
    gamma = sample_autocovariances(data, max_order, method == "yule-walker-adjusted")
    shrink = np.cumprod(1 - durbin(gamma) ** 2)
    sigma2 = gamma[0] * np.concatenate([[1.0], shrink])
    # adjusted autocovariances may be those of no process from some order on
    return _gaussian(np.where(np.minimum.accumulate(sigma2) > 0, sigma2, math.nan), total)
