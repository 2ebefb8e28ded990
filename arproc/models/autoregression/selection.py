"""Choosing the order of an AR or a VAR by an information criterion or by its predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.errors import ParameterError, check_choice, check_count, check_list
from arproc.gaussian.terms import Terms
from arproc.inference.candidates import (
    Placed,
    first_parts,
    later_scores,
    observed_log_likelihoods,
)
from arproc.inference.criteria import CRITERIA, charges
from arproc.models.autoregression.ar import AR, as_lags, flat_regressors
from arproc.models.autoregression.estimation import check_enough
from arproc.models.autoregression.moments import scale
from arproc.models.autoregression.nested import candidates, log_likelihoods
from arproc.models.autoregression.vector.selection import log_likelihoods as of_vectors
from arproc.models.autoregression.vector.var import VAR
from arproc.spaces import Real

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OrderSelection", "select_order"]


@dataclass(frozen=True)
class OrderSelection:
    """What `select_order` found.

    Attributes:
        order: the chosen order.
        lags: the lags of the chosen candidate.
        criterion: the criterion that chose it.
        values: the criterion of the orders 0, 1, ...; smaller is better, nan where it is not
            defined. For "oos" the negative log-score of a later element, nats.
        log_likelihoods: of the orders, all of the same elements, nats.
        n_parameters: estimated by each order.
        n_observations: how many elements the likelihoods are of.
    """

    order: int
    lags: list[int] = field(repr=False)
    criterion: str
    values: np.ndarray = field(repr=False)
    log_likelihoods: np.ndarray = field(repr=False)
    n_parameters: np.ndarray = field(repr=False)
    n_observations: int
    _prototype: AR | VAR = field(repr=False)  # of the largest order
    _data: Any = field(repr=False)
    _context: Any = field(repr=False)

    @cached_property
    def model(self) -> AR | VAR:
        """The model of the chosen order, fitted to all of the data when it is first asked for."""
        plain = self.lags == list(range(1, self.order + 1))
        chosen = self._prototype.clone().set_params(order=self.order if plain else self.lags)
        return chosen.fit(self._data, context=self._context)

    @property
    def table(self) -> pd.DataFrame:
        """The log-likelihood and every criterion, a row for each order."""
        import pandas as pd

        columns = {"log_likelihood": self.log_likelihoods, "parameters": self.n_parameters}
        n, twice = self.n_observations, 2 * self.log_likelihoods
        columns |= {name: charges(name, self.n_parameters, n) - twice for name in CRITERIA}
        if self.criterion == "oos":
            columns["oos"] = self.values
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self.values), name="order"))


def select_order(
    data: Any,
    max_order: int,
    criterion: str = "aic",
    trend: str = "c",
    method: str = "mle",
    initial: Literal["stationary", "given"] = "stationary",
    *,
    model: type[AR] | type[VAR] = AR,
    lags: Sequence[int] = (),
    seasonal: int | None = None,
    fourier: Mapping[float, int] | None = None,
    regressors: str | None = None,
    context: Any = None,
) -> OrderSelection:
    """The order from 0 to `max_order` with the smallest criterion.

    The likelihoods compared are all of the same elements: with "mle" the exact one of every
    element; with "ols" (or `initial="given"`) that of the elements with all predecessors that any
    candidate has; with the others the usual approximation -n/2 (log 2 pi sigma2 + 1) of every
    element. Of data with missing values (NaN) it is the exact likelihood of what was observed,
    by method "mle". For `VAR` whose data are whole, and without regressors in the mean, they are
    always those of least squares over the elements with `max_order` predecessors. The model of the
    chosen order is fitted to all of the data, by `method`, once it is asked for.

    Args:
        data: sequences in any form that `fit` takes; several are pooled.
        max_order: the largest order to try, 0 or more.
        criterion: "aic", "aicc", "bic", "hqic"; or "oos": each candidate is fitted to all but the
            last fifth of each sequence, whose elements it then predicts one step ahead (the mean
            log-score decides; for `AR`).
        trend: as for `AR`.
        method: as for `AR`.
        initial: as for `AR`: "stationary" or "given".
        model: `AR`, or `VAR`, which takes no lags, seasonal and fourier.
        lags: lags that every candidate has besides 1 to its order, such as [12].
        seasonal: as for `AR`.
        fourier: as for `AR`.
        regressors: as for `AR`.
        context: the regressors [N, T, c], as for `fit`.

    Example:
        >>> x = AR.from_parameters([0.5, -0.6]).sample(length=400, seed=0)[0]
        >>> found = select_order(x, max_order=6, criterion="bic")
        >>> found.order, found.model.coef_.round(1).tolist()
        (2, [0.5, -0.6])
    """
    max_order = check_count("max_order", max_order, minimum=0)
    check_choice("criterion", criterion, (*CRITERIA, "oos"))
    if not isinstance(initial, str):
        raise ParameterError(
            "select_order compares likelihoods of the same elements, which a distribution of the "
            f"first p values does not give; got initial={initial!r}. Use 'stationary' or 'given'."
        )
    options = {"seasonal": seasonal, "fourier": fourier, "regressors": regressors}
    if isinstance(model, type) and issubclass(model, VAR):
        _require_plain(criterion, {"lags": lags or None, "seasonal": seasonal, "fourier": fourier})
        meaning: Any = regressors
        found, count, parameters = of_vectors(
            data, max_order, trend, method, initial, meaning, context
        )
        scores = charges(criterion, parameters, count) - 2 * found
        order = _least(scores, criterion, count)
        prototype_var = VAR(max_order, trend, method, initial, regressors=meaning)
        own = list(range(1, order + 1))
        return OrderSelection(
            order, own, criterion, scores, found, parameters, count, prototype_var, data, context
        )
    if model is not AR:
        raise ParameterError(
            f"model must be arproc.AR or arproc.VAR; got {model!r}. The orders of an ARIMA are "
            "chosen by arproc.select_arima."
        )
    always = as_lags(check_list("lags", lags))
    every = candidates(max_order, always)
    largest: Any = every[-1].tolist() if len(always) else max_order
    prototype = AR(largest, trend, method, initial, **options)  # type: ignore[arg-type]
    prototype.check_parameters()
    sequences = Sequences.of(data, Real(), missing=True)
    placed = Placed.of(sequences, prototype, context)
    prepared = placed.context
    lengths, first = sequences.lengths.numpy(), placed.first.numpy()
    if not lengths.all():
        first, lengths = first[lengths > 0], lengths[lengths > 0]
    terms = Terms.of(trend, seasonal, fourier)
    columns = None if prepared is None else flat_regressors(prepared, sequences.lengths)
    n_columns = terms.n + (0 if columns is None else columns.shape[1])
    check_enough(lengths, every[-1], len(every[-1]) + n_columns + 1)
    given = method in ("ols", "conditional-mle") or (method == "mle" and initial == "given")
    start = "given" if given else initial

    def models() -> list[AR]:
        return [AR(each, trend, method, start, **options) for each in every]  # type: ignore[arg-type]

    deepest = int(every[-1].max(initial=0))
    if sequences.missing:
        orders = [int(each.max(initial=0)) for each in every]
        found, count = observed_log_likelihoods(models(), orders, placed, given)
    else:
        values, in_mean = sequences.values.detach().cpu().numpy(), regressors == "mean"
        scaled = scale(values, lengths, terms, columns, in_mean, first)
        rule = "conditional-mle" if given else method
        found, count = log_likelihoods(scaled, max_order, always, rule, in_mean)
        found = found - count * math.log(scaled.size)
    parameters = np.array([len(each) for each in every]) + n_columns + 1
    if criterion == "oos":
        kept = torch.from_numpy(first_parts(sequences.lengths.numpy(), deepest))
        scores = later_scores(models(), placed, kept)
    else:
        scores = charges(criterion, parameters, count) - 2 * found
    order = _least(scores, criterion, count)
    return OrderSelection(
        order, every[order].tolist(), criterion, scores, found, parameters, count, prototype,
        data, context,
    )  # fmt: skip


def _require_plain(criterion: str, options: Mapping[str, Any]) -> None:
    """Raise `ParameterError` for what the order of a VAR is not chosen by."""
    check_choice("criterion", criterion, CRITERIA)
    for name, value in options.items():
        if value is not None:
            raise ParameterError(f"{name} is for AR; with model=VAR leave it out.")


def _least(scores: np.ndarray, criterion: str, count: int) -> int:
    """The order of the least score, of those that are defined."""
    if np.isnan(scores).all():
        raise ParameterError(f"{criterion} is not defined for {count} elements; use 'aic'.")
    return int(np.where(np.isnan(scores), math.inf, scores).argmin())
