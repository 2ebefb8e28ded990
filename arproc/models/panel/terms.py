"""Autoregressions about seasons, Fourier terms and parabolas, fitted to all series at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.gaussian.arma import Orders
from arproc.gaussian.arma_regression import fit_each
from arproc.gaussian.terms import Terms, recursion_form
from arproc.models.panel.data import PanelData

if TYPE_CHECKING:
    from arproc.process import Process

__all__ = ["of_terms", "terms_together"]


def terms_together(process: Process) -> bool:
    """Whether a process is an autoregression by exact likelihood about such terms.

    Example:
        >>> import arproc
        >>> terms_together(arproc.AR(1, seasonal=12))
        True
        >>> terms_together(arproc.AR(1, seasonal=12, method="ols"))
        False
    """
    from arproc.models.autoregression.ar import AR, as_lags

    if type(process) is not AR or process.method != "mle" or process.initial != "stationary":
        return False
    process.check_parameters()
    lags = as_lags(process.order)
    whole = len(lags) == lags.max(initial=0)
    return bool(whole and not process.ridge and process.regressors in (None, "mean"))


def of_terms(process: Any, table: PanelData) -> dict[int, Process]:
    """The fitted processes of the series, by their numbers, but of those that need more care."""
    from arproc.models.autoregression.ar import as_lags, fitted
    from arproc.models.autoregression.estimation import Estimate

    terms = Terms.of(process.trend, process.seasonal, process.fourier)
    columns = terms.columns(torch.arange(int(table.lengths.max(initial=0)))).numpy()
    beside = table.covariates if process.regressors is not None else None
    problems, which = [], []
    for i in range(len(table)):
        first, stop = table.offsets[i : i + 2]
        own = columns[: stop - first]
        if beside is not None:
            own = np.concatenate([own, beside[first:stop]], axis=1)
        if i not in table.faults and stop > first and bool(np.isfinite(own).all()):
            problems.append([(table.row(i), own)])
            which.append(i)
    if not which:
        return {}
    lags = as_lags(process.order)
    width = 0 if beside is None else beside.shape[1]
    line = [{"const": "mean", "t": "slope"}.get(name, name) for name in terms.names]
    names = [*line, *(table.covariate_names if width else ())]
    made = fit_each(Orders(len(lags), 0, 0, 0, 0, 0, 0), problems, names)
    names += [*[f"ar.L{lag}" for lag in lags], "sigma2"]
    good = np.isfinite(made.covariance).all(axis=(1, 2)) & np.isfinite(made.log_likelihood)
    ready: dict[int, Process] = {}
    for j in np.flatnonzero(good).tolist():
        coef, beta, noise = made.coef[j].copy(), made.beta[j].copy(), float(made.sigma2[j])
        values = np.concatenate([beta, coef, [noise]])
        gamma = recursion_form(coef, beta[: terms.n], terms)
        used = int(made.used[j])
        found = Estimate(
            coef, beta, gamma, noise, used, list(names), values, made.covariance[j].copy(),
            0.0, float(len(values)),
        )  # fmt: skip
        ready[which[j]] = fitted(process, found, float(made.log_likelihood[j]), used)
    return ready
