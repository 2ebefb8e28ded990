"""ARIMA processes of all series of a panel as one value, fitted by one computation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

import numpy as np
import torch

from arproc.contract.checked import Array, sentences
from arproc.contract.context import ContextForm
from arproc.contract.storable import storable
from arproc.data.labels import Labels
from arproc.errors import ArprocError, DataError
from arproc.gaussian.arma import Orders
from arproc.gaussian.arma_ahead import Ahead, follow
from arproc.gaussian.arma_regression import fit_each
from arproc.models.panel.coming import Known, about_constants, to_come
from arproc.models.panel.data import PanelData, jacobians, logarithms, require_finite
from arproc.models.panel.kept import Kept
from arproc.models.panel.labels import end_of
from arproc.models.panel.tables import forecast_table
from arproc.models.statespace.arima import ARIMA, coefficient_names, law_of
from arproc.models.statespace.design import Design, trend_of
from arproc.models.statespace.law import UNDETERMINED
from arproc.models.transformed.elementwise import Log
from arproc.models.transformed.process import Transformed, TransformedLaw
from arproc.process import Process
from arproc.process.fit import Fit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FittedMoving", "Moving", "moving_of"]

_LARGEST = 1e98  # of a variance of innovations: a law takes none beyond 1e100


class Moving(NamedTuple):
    """An ARIMA process that is fitted to all series at once.

    Attributes:
        one: the process of the values, or of their logarithms.
        log: the logarithm, if these are modelled.
        orders: its orders.
        design: the columns of its mean, covariates left out.
    """

    one: ARIMA
    log: Log | None
    orders: Orders
    design: Design


def moving_of(process: Process) -> Moving | None:
    """How the process is fitted to all series at once; None where it is not.

    Example:
        >>> moving_of(ARIMA((0, 1, 1), seasonal=12)).orders.q
        1
    """
    one: Any = process
    log = None
    if type(one) is Transformed and type(one.transform) is Log:
        one, log = one.process, one.transform
    if type(one) is not ARIMA or one.regressors not in (None, "mean"):
        return None
    orders = Orders.checked(one.order, one.seasonal_order)
    return Moving(one, log, orders, one.design(orders))


@storable
@dataclass(frozen=True, eq=False)
class FittedMoving(Kept):
    """Series whose ARIMA processes were fitted in one computation.

    Attributes:
        estimates: of each series (trend and terms, covariates, coefficients, sigma2), [N, k]; nan
            where there is no fit.
        covariance: of these, [N, k, k]; of no series where they were forgotten.
        log_likelihoods: nats [N]; of the logarithms where these are modelled.
        n_observations: of how many values that is, int64 [N].
        values: the series one after the other, from which forecasts go on, [total].
        covariates: what is known beside them, [total, c]; None where there is nothing.
        covariate_names: what they are called, [c].
    """

    estimates: Annotated[np.ndarray, Array("n_series", "k", nan=True)]
    covariance: Annotated[np.ndarray, Array("c", "k", "k", nan=True)]
    log_likelihoods: Annotated[np.ndarray, Array("n_series", nan=True)]
    n_observations: Annotated[np.ndarray, Array("n_series", kind="int64", low=0)]
    values: Annotated[np.ndarray, Array("v", nan=True)]
    covariates: Annotated[np.ndarray | None, Array("v", "c")] = None
    covariate_names: tuple[str, ...] = ()

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        plan = moving_of(self.process)
        if plan is None:
            yield f"{self.process!r} is no ARIMA that is fitted to all series at once"
            return
        size = sum(plan.orders.blocks) + plan.design.n + len(self.covariate_names) + 1
        there = [i for i, status in enumerate(self.status) if status == "ok"]
        known = self.estimates[there]
        yield from sentences(
            (self.estimates.shape[1] != size, f"the estimates are {self.estimates.shape[1]} "
             f"numbers, those of the process {size}"),
            (len(self.covariance) not in (0, len(self)), "the covariances are of other series"),
            (bool(np.isnan(known).any()), "estimates of a series that has a fit are nan"),
            (bool((known[:, -1:] <= 0).any()), "a variance of innovations is not positive"),
        )  # fmt: skip

    @classmethod
    def fit(cls, process: Process, plan: Moving, data: PanelData) -> FittedMoving:
        """Fit the process to every series."""
        series, low = (data, []) if plan.log is None else logarithms(data, plan.log)
        beside: np.ndarray | None = None
        names: tuple[str, ...] = ()
        if plan.one.regressors is not None:
            beside, names = data.covariates, data.covariate_names
        n, size = len(data), sum(plan.orders.blocks) + plan.design.n + len(names) + 1
        status = ["ok"] * n
        found = cls(
            process, data.names, data.named, data.lengths, status,
            [end_of(index) for index in data.indexes], np.full((n, size), np.nan),
            np.full((n, size, size), np.nan), np.full(n, np.nan), np.zeros(n, np.int64),
            data.values, beside, names, form=data.form,
        )  # fmt: skip
        for i in range(n):
            if i in data.faults:
                status[i] = data.faults[i]
            elif i in low:
                status[i] = "a logarithm needs values above -shift; it has others"
            elif not data.lengths[i]:
                status[i] = "all its values are missing"
        found._estimate(series, [i for i in range(n) if status[i] == "ok"])
        return found

    def _estimate(self, series: PanelData, which: list[int]) -> None:
        """Fit these series, of which the covariates are those of the values."""
        plan, problems = self.plan, []
        columns = plan.design.columns(0, int(series.lengths.max(initial=0)))
        for i in which:
            x, own = series.row(i), columns[: series.lengths[i]]
            if self.covariates is not None:
                first, stop = series.offsets[i : i + 2]
                own = np.concatenate([own, self.covariates[first:stop]], axis=1)
            problems.append([(x, own)])
        made = fit_each(plan.orders, problems, [*plan.design.names, *self.covariate_names])
        status: Any = self.status
        for j, i in enumerate(which):
            if j in made.faults:
                status[i] = f"{made.faults[j]}{about_constants(series, i)}"
        some = np.array([j not in made.faults for j in range(len(which))], dtype=np.bool_)
        rows = np.array(which, dtype=np.int64)[some]
        parts = (made.beta, made.coef, made.sigma2[:, None])
        self.estimates[rows] = np.concatenate(parts, axis=1)[some]
        self.covariance[rows] = made.covariance[some]
        self.log_likelihoods[rows] = made.log_likelihood[some]
        self.n_observations[rows] = made.used[some]
        for i in rows[~(self.estimates[rows, -1] < _LARGEST)].tolist():
            try:
                self._fitted(i)
            except ArprocError as error:
                status[i] = str(error)
                self.estimates[i], self.log_likelihoods[i] = np.nan, np.nan

    def without_covariances(self) -> FittedMoving:
        return replace(self, covariance=np.empty((0, *self.covariance.shape[1:])))

    @cached_property
    def plan(self) -> Moving:
        """How the series were fitted."""
        return cast(Moving, moving_of(self.process))

    def _fitted(self, i: int) -> Process:
        orders, row, q = self.plan.orders, self.estimates[i], self._linear
        size, c = len(row), len(self.covariate_names)
        form = ContextForm("steps", c) if c else None
        coef = orders.split(row[q:-1])
        law = law_of(orders, self.plan.design, row[:q], coef, float(row[-1]), form)
        kept = len(self.covariance) > 0
        fit = Fit(
            names=self._names(),
            estimates=row.copy(),
            covariance=self.covariance[i].copy() if kept else np.full((size, size), np.nan),
            log_likelihood=float(self.log_likelihoods[i]),
            n_observations=int(self.n_observations[i]),
            notes={"trend": trend_of(self.plan.design.powers)},
            labels=Labels(regressors=self.covariate_names),
        )
        one = ARIMA.of(law, fit, **self.plan.one.get_params(deep=False))
        first = float(self.values[int(self.lengths[:i].sum())]) if self.lengths[i] else np.nan
        if self.plan.log is None:
            return self.placed_at(one, i, first, self.covariate_names)
        parameters = self.process.get_params(deep=False)
        law_here = TransformedLaw(one.law_, self.plan.log.clone())
        whole = Transformed.of(law_here, Fit(notes={"process": one}), **parameters)
        return self.placed_at(whole, i, first, self.covariate_names)

    def _names(self) -> list[str]:
        named = [*self.plan.design.names, *self.covariate_names]
        return [*named, *coefficient_names(self.plan.orders), "sigma2"]

    @property
    def _linear(self) -> int:
        """How many terms the mean has, covariates among them."""
        return self.plan.design.n + len(self.covariate_names)

    def rows(self) -> dict[str, Any]:
        columns: dict[str, Any] = dict(zip(self._names(), self.estimates.T, strict=True))
        columns |= {"log_likelihood": self.log_likelihoods, "n": self.n_observations}
        return columns | {"status": self.status}

    def likelihoods(self, data: PanelData, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = self._follow(data, rows, 0)
        if self.plan.log is None:
            return found.log_likelihood, found.used
        volume = jacobians(data, self.plan.log, self.plan.orders.n_given)
        return found.log_likelihood + volume, found.used

    def _follow(
        self,
        data: PanelData,
        rows: np.ndarray,
        horizon: int,
        after: np.ndarray | None = None,
        own: bool = False,
    ) -> Ahead:
        """Log-likelihoods, and the law of what follows; of logarithms where these are modelled.

        Args:
            data: the series.
            rows: their numbers.
            horizon: how many elements ahead.
            after: the covariates of these, [n, horizon, c].
            own: whether the data are those of `fit`.
        """
        require_finite(data)
        plan, series = self.plan, data
        if plan.log is not None:
            series, low = logarithms(data, plan.log)
            if low:
                raise DataError(f"series {data.names[low[0]]!r} has values of -shift or less.")
        short = np.flatnonzero(data.lengths < plan.orders.n_given)
        if len(short):  # its process says why that will not do
            j = int(short[0])
            self._fitted(int(rows[j])).log_prob(data.row(j), context=data.context(j))
        first = None
        if self.process._counts_time and not own:
            first = self.first_steps(data, rows, lambda: self._are_own(data, rows))
        pushes, ahead = self._pushes(series, rows, horizon, after, first)
        estimates = self.estimates[rows]
        found = follow(
            plan.orders, estimates[:, self._linear : -1], estimates[:, -1].copy(),
            series.values - pushes, series.offsets, horizon,
        )  # fmt: skip
        lost = np.flatnonzero(np.isinf(found.variance).any(axis=1))
        if len(lost):
            raise DataError(f"series {data.names[int(lost[0])]!r}: {UNDETERMINED}")
        found.mean[:] += ahead
        return found

    def _pushes(
        self,
        data: PanelData,
        rows: np.ndarray,
        horizon: int,
        after: np.ndarray | None,
        first: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The mean of each element, [total], and of what follows, [n, horizon]; see `_follow`."""
        design, c = self.plan.design, len(self.covariate_names)
        pushes, ahead = np.zeros(len(data.values)), np.zeros((len(data), horizon))
        if not self._linear:
            return pushes, ahead
        begin = np.zeros(len(data), np.int64) if first is None else first
        least = int(begin.min()) if len(begin) else 0
        last = int((begin + data.lengths).max(initial=least)) + horizon
        columns, q = design.columns(least, last - least), design.n
        for j, i in enumerate(rows.tolist()):
            at, n = int(begin[j]) - least, int(data.lengths[j])
            level = columns[at : at + n + horizon] @ self.estimates[i, :q]
            cut = slice(*data.offsets[j : j + 2].tolist())
            pushes[cut], ahead[j] = level[:n], level[n:]
            if c and data.covariates is not None:
                beta = self.estimates[i, q : q + c]
                pushes[cut] += data.covariates[cut] @ beta
                if after is not None:
                    ahead[j] += after[j] @ beta
        return pushes, ahead

    def _are_own(self, data: PanelData, rows: np.ndarray) -> bool:
        """Whether the data are those of `fit`."""
        if not bool((data.lengths == self.lengths[rows]).all()):
            return False
        return np.array_equal(data.values, self.own.select(rows).values, equal_nan=True)

    def forecast(
        self, history: Any, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        data, rows, labels = self.known(history, horizon)
        after = to_come(future, data.names, labels) if self.covariate_names else None
        found = self._follow(data, rows, horizon, after, own=history is None)
        mean, variance, log = found.mean, found.variance, self.plan.log
        deviation = np.sqrt(variance)
        z = torch.special.ndtri(torch.tensor(levels, dtype=torch.float64)).numpy()
        values = np.concatenate([mean[..., None], mean[..., None] + deviation[..., None] * z], -1)
        if log is not None:
            values[..., 0] += variance / 2  # of the lognormal law
            with np.errstate(over="ignore"):
                values = np.exp(values) - log.shift
        return forecast_table(data.names, labels, values, ["mean", *levels])
