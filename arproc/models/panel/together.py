"""Autoregressions of all series of a panel as one value: likelihoods and forecasts at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
import torch

from arproc.contract.checked import Array, sentences
from arproc.contract.storable import storable
from arproc.errors import DataError
from arproc.models.panel.coming import Known, to_come
from arproc.models.panel.data import PanelData, jacobians, logarithms, require_finite
from arproc.models.panel.estimates import Estimates
from arproc.models.panel.estimation import estimate
from arproc.models.panel.fitted import FittedSeries
from arproc.models.panel.labels import end_of
from arproc.models.panel.pooling import estimate_pooled
from arproc.models.panel.prediction import Prediction, predict, tails
from arproc.models.panel.pushes import pushes_of, without_pushes
from arproc.models.panel.settings import Settings, settings_of
from arproc.models.panel.shrunken import estimate_shrunken
from arproc.models.panel.tables import forecast_table, future
from arproc.models.panel.updating import begins_with, joined, require_steps, steps_of
from arproc.process import Process

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FittedTogether"]

#: Names of some series, labels of their future steps, means and variances [n, horizon].
_Ahead = tuple[list[Any], list[Any], np.ndarray, np.ndarray]


@storable
@dataclass(frozen=True, eq=False)
class FittedTogether(FittedSeries):
    """Series that were fitted in one computation.

    Attributes:
        estimates: the parameters of all series, of their logarithms where these are modelled.
        tail_values: of each series what a forecast needs of its last values, one after the other.
        tail_offsets: where each begins, int64 [N + 1].
        tail_positions: how many values came before, int64 [N].
        first_values: the first value of each series, by which it is known again, [N].
        prior_mean: the mean of the coefficients' common law, where they are pooled, [k].
        prior_covariance: its covariance, [k, k].
        tail_pushes: what covariates add to each of the tail's values, [v]; see `pushes_of`.
        covariate_names: what these are called, [c].
    """

    estimates: Estimates
    tail_values: Annotated[np.ndarray, Array("v", nan=True)]
    tail_offsets: Annotated[np.ndarray, Array("n_series + 1", kind="int64", low=0)]
    tail_positions: Annotated[np.ndarray, Array("n_series", kind="int64", low=0)]
    first_values: Annotated[np.ndarray, Array("n_series", nan=True)]
    prior_mean: Annotated[np.ndarray | None, Array("k")] = None
    prior_covariance: Annotated[np.ndarray | None, Array("k", "k")] = None
    tail_pushes: Annotated[np.ndarray | None, Array("v")] = None
    covariate_names: tuple[str, ...] = ()

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        settings, found, offsets = settings_of(self.process), self.estimates, self.tail_offsets
        if settings is None:
            yield f"{self.process!r} is no process that is fitted to all series at once"
            return
        lags, size = len(settings.lags), found.covariance.shape[1]
        width = len(self.covariate_names)
        kept = offsets[1:] - offsets[:-1]
        yield from sentences(
            (found.parameters.shape != (len(self), lags + 3), f"the parameters are of "
             f"{found.parameters.shape[1] - 3} lags and {len(found.parameters)} series, the "
             f"process of {lags} and {len(self)}"),
            (size != lags + settings.n_columns + width + 1,
             f"the covariances are of {size} estimates"),
            (found.beta.shape[1] != width or settings.width != bool(width)
             or (self.tail_pushes is not None) != bool(width),
             f"there are {width} names of covariates, and other numbers of columns"),
            (found.status != list(self.status), "the estimates have another status"),
            (offsets[0] != 0 or offsets[-1] != len(self.tail_values) or bool((kept < 0).any()),
             "tail_offsets do not rise from 0 to the end of tail_values"),
            (bool((kept < np.minimum(self.lengths, settings.order)).any()),
             f"tails are shorter than the lags, which reach {settings.order} steps back"),
            (bool((self.tail_positions + kept != self.lengths).any()), "the tails are no ends of "
             "series of these lengths"),
            (len(self.ends) not in (0, 1, len(self)), f"there are {len(self.ends)} ends"),
        )  # fmt: skip

    @classmethod
    def fit(
        cls, process: Process, settings: Settings, data: PanelData, pooled: bool
    ) -> FittedTogether:
        """Fit an autoregression to every series, pooled or not."""
        series, low = (data, []) if settings.log is None else logarithms(data, settings.log)
        prior: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
        if pooled:
            found, prior = estimate_pooled(series, settings)
        elif settings.one.ridge:
            found = estimate_shrunken(series, settings)
        else:
            found = estimate(series, settings)
        for i in low:
            found.drop(i)
            found.status[i] = "a logarithm needs values above -shift; it has others"
        for i, reason in data.faults.items():
            found.drop(i)
            found.status[i] = reason
        ends = [end_of(index) for index in data.indexes]
        pushes = pushes_of(series, found.beta)
        pick, offsets, positions = tails(series, settings.order)
        return cls(
            process, data.names, data.named, data.lengths, found.status, ends, found,
            series.values[pick], offsets, positions, _firsts(data), *prior,
            None if pushes is None else np.nan_to_num(pushes[pick]),
            data.covariate_names if settings.width else (), form=data.form,
        )  # fmt: skip

    def without_covariances(self) -> FittedTogether:
        covariance = self.estimates.covariance
        none = np.empty((0, *covariance.shape[1:]))
        return replace(self, estimates=replace(self.estimates, covariance=none))

    def updated(self, later: PanelData) -> Self:
        tail = self._tail
        came = steps_of(self.series, later, lambda i, x: self._is_whole(i, x, tail))
        if self.settings.log is not None:
            logged, low = logarithms(later, self.settings.log)
            if low:
                raise DataError(f"series {later.names[low[0]]!r} has values of -shift or less.")
            rows = dict(zip(later.names, range(len(later)), strict=True))
            came = {i: (at, logged.row(rows[self.names[i]])) for i, (at, _) in came.items()}
        table = joined(tail, self.tail_positions, came)
        lengths = self.tail_positions + table.lengths
        pick, offsets, before = tails(table, self.settings.order)
        pushes = self._pushes_with(later, came)
        return replace(
            self,
            lengths=lengths,
            ends=self.series.ends_after(lengths),
            tail_values=table.values[pick],
            tail_offsets=offsets,
            tail_positions=self.tail_positions + before,
            tail_pushes=None if pushes is None else pushes[pick],
        )

    def _pushes_with(
        self, later: PanelData, came: Mapping[int, tuple[int, np.ndarray]]
    ) -> np.ndarray | None:
        """What covariates add to each value of the tail and of what came later; see `updated`."""
        if self.tail_pushes is None:
            return None
        rows = np.array([self.places[name] for name in later.names])
        new = pushes_of(later, self.estimates.beta[rows])
        assert new is not None
        parts = dict(zip(rows.tolist(), np.split(new, later.offsets[1:-1]), strict=True))
        known = replace(self._tail, values=self.tail_pushes)
        own = {i: (at, np.nan_to_num(parts[i])) for i, (at, _) in came.items()}
        table = joined(known, self.tail_positions, own)
        require_steps(table, self.names, self.covariate_names)
        return table.values

    @property
    def _tail(self) -> PanelData:
        return PanelData(self.tail_values, self.tail_offsets, list(self.names), True, (), True)

    def _is_whole(self, i: int, values: np.ndarray, tail: PanelData) -> bool:
        """Whether values are those of series i from its first on."""
        log, begun = self.settings.log, values[:1] == self.first_values[i]
        if len(values) < self.lengths[i] or not begun.any():
            return False
        values = values[self.tail_positions[i] :]
        if log is not None:
            with np.errstate(invalid="ignore", divide="ignore"):
                values = np.log(values + log.shift)
        return begins_with(values, tail.row(i)) or not len(tail.row(i))

    # ---- the estimates under their public names ------------------------------------------------

    @property
    def parameters(self) -> np.ndarray:
        """(constant, drift, coefficients of the lags, sigma2), [N, 2 + k + 1]."""
        return self.estimates.parameters

    @property
    def means(self) -> np.ndarray:
        """Level and slope of the mean, [N, 2]."""
        return self.estimates.mean

    @property
    def covariances(self) -> np.ndarray:
        """Of the estimates of each series, [N, k + q + 1, k + q + 1]."""
        return self.estimates.covariance

    @property
    def log_likelihoods(self) -> np.ndarray:
        """Of each series [N], nats; of their logarithms where these are modelled."""
        return self.estimates.log_likelihood

    @property
    def n_observations(self) -> np.ndarray:
        """Of how many values that is, int64 [N]."""
        return self.estimates.used

    # ---- what a panel asks ---------------------------------------------------------------------

    @cached_property
    def settings(self) -> Settings:
        """How the series were fitted."""
        settings = settings_of(self.process)
        assert settings is not None
        return settings

    def _fitted(self, i: int) -> Process:
        one = self.settings.process_of(self.estimates, i, self.covariate_names)
        return self.placed_at(one, i, float(self.first_values[i]), self.covariate_names)

    def rows(self) -> dict[str, Any]:
        found, settings = self.estimates, self.settings
        lags, q = [f"ar.L{lag}" for lag in settings.lags], settings.n_columns
        columns: dict[str, Any] = dict(zip(["mean", "slope"][:q], found.mean.T, strict=False))
        columns |= dict(zip(["intercept", "drift"][:q], found.parameters.T, strict=False))
        columns |= dict(zip(self.covariate_names, found.beta.T, strict=True))
        columns |= dict(zip([*lags, "sigma2"], found.parameters.T[2:], strict=True))
        columns |= {"log_likelihood": found.log_likelihood, "n": found.used}
        return columns | {"status": self.status}

    def likelihoods(self, data: PanelData, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, settings = self._predict(data, rows, 0), self.settings
        if settings.log is None:
            return found.log_likelihood, found.counts
        given = 0 if settings.stationary else settings.order
        volume = jacobians(data, settings.log, given)
        return found.log_likelihood + volume, found.counts

    def _predict(
        self, data: PanelData, rows: np.ndarray, horizon: int, after: np.ndarray | None = None
    ) -> Prediction:
        settings, beta = self.settings, self.estimates.beta[rows]
        require_finite(data)
        if settings.log is not None:
            data, low = logarithms(data, settings.log)
            if low:
                raise DataError(f"series {data.names[low[0]]!r} has values of -shift or less.")
        every = len(rows) == len(self) and bool((rows == np.arange(len(rows))).all())
        parameters = self.parameters if every else self.parameters[rows]
        means = self.means if every else self.means[rows]
        if self.process._counts_time:
            parameters, means = self._from(data, rows, parameters, means)
        pushes, ahead = pushes_of(data, beta), _times(after, beta)
        data, ahead = without_pushes(data, pushes, settings, parameters, ahead)
        found = predict(data, settings.lags, settings.stationary, parameters, means, horizon)
        if ahead is not None:
            found.mean[:] += ahead
        if not found.begun.all():
            j = int(np.flatnonzero(~found.begun)[0])
            raise DataError(
                f"series {data.names[j]!r} is too short, or has gaps, for its first "
                f"{settings.order} values to be given; use initial='stationary'."
            )
        return found

    def _from(
        self, data: PanelData, rows: np.ndarray, parameters: np.ndarray, means: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The parameters as they are where t = 0 is the first of the data; see `begins`."""
        first = self.first_steps(data, rows, lambda: self._are_own(data, rows))
        if first is None:
            return parameters, means
        parameters, means = parameters.copy(), means.copy()
        parameters[:, 0] += parameters[:, 1] * first
        means[:, 0] += means[:, 1] * first
        return parameters, means

    def _are_own(self, data: PanelData, rows: np.ndarray) -> bool:
        """Whether the data end and are as long as those of `fit`."""
        if not bool((data.lengths == self.lengths[rows]).all()):
            return False
        tail, pick = self._tail, tails(data, self.settings.order)[0]
        values = data.values[pick]
        return np.array_equal(values, tail.select(rows).values, equal_nan=True)

    def forecast(
        self, history: Any, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        if history is None:
            known = self._next(horizon, future)
        else:
            known = self._after(history, horizon, future)
        names, labels, mean, variance = known
        deviation, log = np.sqrt(variance), self.settings.log
        z = torch.special.ndtri(torch.tensor(levels, dtype=torch.float64)).numpy()
        values = np.concatenate([mean[..., None], mean[..., None] + deviation[..., None] * z], -1)
        if log is not None:
            values[..., 0] += deviation**2 / 2  # of the lognormal law
            with np.errstate(over="ignore"):  # an explosive recursion's forecast may be infinite
                values = np.exp(values) - log.shift
        return forecast_table(names, labels, values, ["mean", *levels])

    def _after(self, history: Any, horizon: int, to_be: Known | None) -> _Ahead:
        """What follows data of the user's."""
        data, rows = self.matched(history)
        lengths = data.lengths.tolist()
        shared = len(data.indexes) <= 1 and len(set(lengths)) == 1
        count = 1 if shared else len(data)
        labels = [future(data.index(j), lengths[j], horizon) for j in range(count)]
        after = to_come(to_be, data.names, labels) if self.covariate_names else None
        found = self._predict(data, rows, horizon, after)
        return data.names, labels, found.mean, found.variance

    def _next(self, horizon: int, to_be: Known | None) -> _Ahead:
        """What follows the data of `fit`."""
        rows = self.fitted_rows()
        names = [self.names[i] for i in rows]
        lengths = self.lengths[rows].tolist()
        shared = len(self.ends) <= 1 and len(set(lengths)) == 1
        labels = self.labels(None, rows[:1] if shared else rows, horizon)
        tail, settings = self._tail, self.settings
        pushes, ahead, parameters = self.tail_pushes, None, self.parameters[rows]
        if pushes is not None:
            ahead = _times(to_come(to_be, names, labels), self.estimates.beta[rows])
            pushes = replace(tail, values=pushes).select(rows).values
        tail = tail if len(rows) == len(self) else tail.select(rows)
        tail, ahead = without_pushes(tail, pushes, settings, parameters, ahead)
        found = predict(
            tail,
            settings.lags,
            settings.stationary,
            parameters,
            self.means[rows],
            horizon,
            self.tail_positions[rows],
        )
        if ahead is not None:
            found.mean[:] += ahead
        return names, labels, found.mean, found.variance


def _times(after: np.ndarray | None, beta: np.ndarray) -> np.ndarray | None:
    """Covariates of the next steps [n, horizon, c] times their coefficients, [n, horizon]."""
    return None if after is None else np.einsum("nhc,nc->nh", after, beta)


def _firsts(data: PanelData) -> np.ndarray:
    """The first value of each series, nan of those that have none, [N]."""
    found, some = np.full(len(data), np.nan), data.lengths > 0
    found[some] = data.values[data.offsets[:-1][some]]
    return found
