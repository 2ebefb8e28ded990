"""ARIMA processes of all series of a panel as one value, fitted by one computation."""

from __future__ import annotations

import warnings
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
from arproc.gaussian.arma import Orders, follow, maximise
from arproc.models.panel.coming import Known, about_constants, to_come
from arproc.models.panel.data import PanelData, jacobians, logarithms, require_finite
from arproc.models.panel.fitted import Kept
from arproc.models.panel.labels import end_of
from arproc.models.panel.pushes import pushes_of
from arproc.models.panel.tables import forecast_table
from arproc.models.statespace.arima import ARIMA, coefficient_names, law_of, trend_of
from arproc.models.transformed.elementwise import Log
from arproc.models.transformed.process import Transformed, TransformedLaw
from arproc.process import Process
from arproc.process.fit import Fit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FittedMoving", "Moving", "moving_of"]

_ROUNDING = 1e-13  # against the data, what is no noise
_LARGEST = 1e49  # of a series: a law takes no variance beyond 1e100
_ONE_SIGMA = float(torch.special.ndtr(torch.ones((), dtype=torch.float64)))
_FEWEST = 3  # elements for each parameter; what has fewer is fitted alone, with more care


class Moving(NamedTuple):
    """An ARIMA process that is fitted to all series at once.

    Attributes:
        one: the process of the values, or of their logarithms.
        log: the logarithm, if these are modelled.
        orders: its orders.
        powers: the powers of t that its trend has: none, or one that is constant once differenced.
    """

    one: ARIMA
    log: Log | None
    orders: Orders
    powers: tuple[int, ...]

    @property
    def rise(self) -> float:
        """What one unit of the trend's coefficient adds to each difference; 1 without a trend."""
        if not self.powers:
            return 1.0
        t = np.arange(self.orders.n_given + 1.0) ** self.powers[0]
        return float(self.orders.difference(t)[-1])


def moving_of(process: Process) -> Moving | None:
    """How the process is fitted to all series at once; None where it is not.

    Example:
        >>> moving_of(ARIMA((0, 1, 1))).orders.q
        1
        >>> moving_of(ARIMA((1, 0, 0), trend="ct")) is None
        True
    """
    one: Any = process
    log = None
    if type(one) is Transformed and type(one.transform) is Log:
        one, log = one.process, one.transform
    if type(one) is not ARIMA or one.regressors not in (None, "mean"):
        return None
    orders = Orders.checked(one.order, one.seasonal_order)
    powers = one.powers(orders)
    if len(powers) > 1 or (powers and powers[0] != orders.d + orders.seasonal_d):
        return None
    return Moving(one, log, orders, powers)


@storable
@dataclass(frozen=True, eq=False)
class FittedMoving(Kept):
    """Series whose ARIMA processes were fitted in one computation.

    Attributes:
        estimates: of each series (trend, covariates, coefficients, sigma2), [N, k]; nan where
            there is no fit.
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
        size = sum(plan.orders.blocks) + len(plan.powers) + len(self.covariate_names) + 1
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
        n, size = len(data), sum(plan.orders.blocks) + len(plan.powers) + len(names) + 1
        status = ["ok"] * n
        found = cls(
            process, data.names, data.named, data.lengths, status,
            [end_of(index) for index in data.indexes], np.full((n, size), np.nan),
            np.full((n, size, size), np.nan), np.full(n, np.nan), np.zeros(n, np.int64),
            data.values, beside, names, form=data.form,
        )  # fmt: skip
        done = _together(plan, series, found)
        for i in range(n):
            if i in data.faults:
                status[i] = data.faults[i]
            elif i in low:
                status[i] = "a logarithm needs values above -shift; it has others"
            elif not done[i]:
                status[i] = _alone(plan, series, found, i)
        for i in {*low, *data.faults}:
            found.estimates[i], found.log_likelihoods[i] = np.nan, np.nan
        return found

    def without_covariances(self) -> FittedMoving:
        return replace(self, covariance=np.empty((0, *self.covariance.shape[1:])))

    @cached_property
    def plan(self) -> Moving:
        """How the series were fitted."""
        return cast(Moving, moving_of(self.process))

    def _fitted(self, i: int) -> Process:
        orders, powers = self.plan.orders, self.plan.powers
        row, q, size = self.estimates[i], self._linear, self.estimates.shape[1]
        coef, c = orders.split(row[q:-1]), len(self.covariate_names)
        form = ContextForm("steps", c) if c else None
        law = law_of(orders, powers, row[:q], coef, float(row[-1]), form)
        kept = len(self.covariance) > 0
        fit = Fit(
            names=self._names(),
            estimates=row.copy(),
            covariance=self.covariance[i].copy() if kept else np.full((size, size), np.nan),
            log_likelihood=float(self.log_likelihoods[i]),
            n_observations=int(self.n_observations[i]),
            notes={"trend": trend_of(powers)},
            labels=Labels(regressors=self.covariate_names),
        )
        one = ARIMA.of(law, fit, **self.plan.one.get_params(deep=False))
        if self.plan.log is None:
            return one
        parameters = self.process.get_params(deep=False)
        whole = TransformedLaw(one.law_, self.plan.log.clone())
        return Transformed.of(whole, Fit(notes={"process": one}), **parameters)

    def _names(self) -> list[str]:
        trend = [("mean", "slope")[power] for power in self.plan.powers]
        named = [*trend, *self.covariate_names]
        return [*named, *coefficient_names(self.plan.orders), "sigma2"]

    @property
    def _linear(self) -> int:
        """How many terms the mean has: of the trend, and covariates."""
        return len(self.plan.powers) + len(self.covariate_names)

    def _betas(self, rows: np.ndarray) -> np.ndarray:
        """The covariates' coefficients in some series, [n, c]."""
        return self.estimates[rows, len(self.plan.powers) : self._linear]

    def rows(self) -> dict[str, Any]:
        columns: dict[str, Any] = dict(zip(self._names(), self.estimates.T, strict=True))
        columns |= {"log_likelihood": self.log_likelihoods, "n": self.n_observations}
        return columns | {"status": self.status}

    def likelihoods(self, data: PanelData, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        given, log = self.plan.orders.n_given, self.plan.log
        values, _, _ = self._follow(data, rows, 0)
        if log is not None:
            whole = _whole(data, given)
            values[whole] += jacobians(data, log, given)[whole]
        seen = np.concatenate([[0], np.cumsum(~np.isnan(data.values))])
        return values, seen[data.offsets[1:]] - seen[data.offsets[:-1]] - given

    def _follow(
        self, data: PanelData, rows: np.ndarray, horizon: int, after: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log-likelihoods [n], means and variances of what follows [n, horizon].

        Where logarithms are modelled they are of these; but the likelihoods of series with gaps
        are those of the values, as their processes say them. `after` are the covariates of what
        follows, [n, horizon, c].
        """
        require_finite(data)
        plan, series = self.plan, data
        if plan.log is not None:
            series, low = logarithms(data, plan.log)
            if low:
                raise DataError(f"series {data.names[low[0]]!r} has values of -shift or less.")
        likely = np.empty(len(rows))
        mean, variance = np.empty((len(rows), horizon)), np.empty((len(rows), horizon))
        whole = _whole(data, plan.orders.n_given)
        some = np.flatnonzero(whole)
        if len(some):
            part = series if len(some) == len(data) else series.select(some)
            pushes = pushes_of(part, self._betas(rows[some]))
            if pushes is not None:
                part = replace(part, values=part.values - pushes)
            own, q = self.estimates[rows[some]], self._linear
            level = own[:, 0] * plan.rise if plan.powers else np.zeros(len(some))
            found = follow(
                plan.orders, own[:, q:-1], level, own[:, -1].copy(), part.values, part.offsets,
                horizon,
            )  # fmt: skip
            likely[some], mean[some], variance[some] = found
            if after is not None:
                beta = self._betas(rows[some])
                mean[some] += np.einsum("nhc,nc->nh", after[some], beta)
        for j in np.flatnonzero(~whole).tolist():
            process = self._fitted(int(rows[j]))
            context = data.context(j) if self.covariate_names else None
            likely[j] = np.nan if horizon else process.log_prob(data.row(j), context=context)
            if horizon:
                one: Any = process if plan.log is None else process.fit_.notes["process"]
                if after is not None:
                    context = data.context(j, after[j])
                made = one.forecast(
                    series.row(j), horizon, (_ONE_SIGMA,), context=context
                ).to_numpy()
                mean[j], variance[j] = made[:, 0], (made[:, 1] - made[:, 0]) ** 2
        return likely, mean, variance

    def forecast(
        self, history: Any, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        if history is None:
            rows = np.array([i for i, status in enumerate(self.status) if status == "ok"])
            if not len(rows):
                raise DataError("none of the series has a fit.")
            data = self.own.select(rows)
            labels = self.labels(None, rows, horizon)
        else:
            data, rows = self.matched(history)
            labels = self.labels(data, rows, horizon)
        after = to_come(future, data.names, labels) if self.covariate_names else None
        _, mean, variance = self._follow(data, rows, horizon, after)
        deviation, log = np.sqrt(variance), self.plan.log
        z = torch.special.ndtri(torch.tensor(levels, dtype=torch.float64)).numpy()
        values = np.concatenate([mean[..., None], mean[..., None] + deviation[..., None] * z], -1)
        if log is not None:
            values[..., 0] += variance / 2  # of the lognormal law
            with np.errstate(over="ignore"):
                values = np.exp(values) - log.shift
        return forecast_table(data.names, labels, values, ["mean", *levels])


def _whole(data: PanelData, given: int) -> np.ndarray:
    """Which series have no gaps, and more elements than are given, bool [N]."""
    gone = np.concatenate([[0], np.cumsum(np.isnan(data.values))])
    return (gone[data.offsets[1:]] == gone[data.offsets[:-1]]) & (data.lengths > given)


class _Row(NamedTuple):
    """One series as it is fitted: w = terms (rough + unit beta) + unit value, once differenced.

    Attributes:
        value: [n].
        terms: the trend's column and the covariates, of size 1 and orthogonal, [q, n].
        rough: least squares, [q].
        unit: a number.
        back: from coefficients of these terms to those of the user's, [q, q].
    """

    value: np.ndarray
    terms: np.ndarray
    rough: np.ndarray
    unit: float
    back: np.ndarray


def _prepared(plan: Moving, x: np.ndarray, beside: np.ndarray) -> _Row | None:
    """A series and its covariates [n, c] as they are fitted; None where that takes more care."""
    orders, q, c = plan.orders, len(plan.powers), beside.shape[1]
    w, moved = orders.difference(x), orders.difference(beside.T)
    back, terms = np.eye(q + c), np.ones((q + c, len(w)))
    back[:q, :q] /= plan.rise
    if c:
        middle = moved.mean(axis=1) if q else np.zeros(c)
        terms[q:] = moved - middle[:, None]
        size = np.sqrt((terms[q:] ** 2).mean(axis=1))
        if not (size > 1e-10 * np.abs(beside).max(axis=0)).all():
            return None
        right = np.linalg.qr(terms[q:].T / size, mode="r")
        diagonal = np.abs(np.diag(right))
        if not diagonal.min() > 1e-8 * diagonal.max():
            return None
        own = np.linalg.inv(right) * np.sqrt(len(w)) / size[:, None]
        terms[q:], back[q:, q:] = own.T @ terms[q:], own
        back[:q, q:] = -(middle @ own) / plan.rise
    rough = terms @ w / len(w)
    w = w - rough @ terms
    with np.errstate(over="ignore"):
        unit = float(np.sqrt(np.dot(w, w) / len(w)))
    least = max(_ROUNDING * float(np.abs(x).max()), 1 / _LARGEST)
    return _Row(w / unit, terms, rough, unit, back) if least < unit < _LARGEST else None


def _together(plan: Moving, data: PanelData, found: FittedMoving) -> np.ndarray:
    """Fit the series that are in good order, into `found`; gives which they are, bool [N]."""
    orders, q = plan.orders, found._linear
    done = _whole(data, orders.n_given + _FEWEST * (sum(orders.blocks) + q + 1))
    parts, rows = [], []
    beside = np.empty((len(data.values), 0)) if found.covariates is None else found.covariates
    for i in np.flatnonzero(done).tolist():
        part = _prepared(plan, data.row(i), beside[data.offsets[i] : data.offsets[i + 1]])
        if part is None:
            done[i] = False
            continue
        parts.append(part)
        rows.append(i)
    if not rows:
        return done
    at, unit = np.array(rows), np.array([part.unit for part in parts])
    columns = np.concatenate([np.vstack([part.value, part.terms]) for part in parts], axis=1)
    sizes = [len(part.value) for part in parts]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    best = maximise(orders, columns, offsets, np.arange(len(rows) + 1))
    noise = best.squares / np.maximum(best.used, 1)
    good = np.isfinite(best.value) & (noise > _ROUNDING**2)
    done[at[~good]] = False
    back, size = np.stack([part.back for part in parts]), found.estimates.shape[1]
    rough = np.stack([part.rough for part in parts])
    level = (back @ (rough + unit[:, None] * best.beta)[..., None])[..., 0]
    coef = orders.coefficients(best.z)
    own = np.concatenate([level, *coef, (noise * unit**2)[:, None]], axis=1)
    n = np.maximum(best.used, 1)
    likely = -0.5 * n * (best.value + 1 + np.log(2 * np.pi / n)) - n * np.log(unit)
    if good.any():
        kept = type(best)(*(part[good] for part in best))
        move = np.tile(np.eye(size), (int(good.sum()), 1, 1))
        move[:, :q, :q] = back[good] * unit[good, None, None]
        move[:, -1, -1] = unit[good] ** 2
        found.covariance[at[good]] = move @ kept.covariances(orders) @ np.swapaxes(move, 1, 2)
    found.estimates[at[good]], found.log_likelihoods[at[good]] = own[good], likely[good]
    found.n_observations[at[good]] = best.used[good]
    return done


def _alone(plan: Moving, data: PanelData, found: FittedMoving, i: int) -> str:
    """Fit one series by its own process; what went wrong, or "ok"."""
    row = data.row(i)
    if not len(row):
        return "all its values are missing"
    model = plan.one.clone()
    try:
        with warnings.catch_warnings():  # of standard errors: the others come without a word too
            warnings.simplefilter("ignore", UserWarning)
            model.fit(row, context=data.context(i) if found.covariate_names else None)
    except ArprocError as error:
        return f"{error}{about_constants(data, i)}"
    found.estimates[i], found.covariance[i] = model.estimates_, model.covariance_
    found.log_likelihoods[i] = model.log_likelihood_
    found.n_observations[i] = model.n_observations_
    return "ok"
