"""Panels in a backtest: all series fitted and forecast at once, each by its own parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arproc.contract.randomness import derived_seed
from arproc.evaluation.backtests.forecaster import Asked, Forecaster
from arproc.evaluation.backtests.timeline import Timeline
from arproc.forecasting.scored import Predicted, predict
from arproc.models.panel import AutoPanel, Panel
from arproc.models.panel.automatic.learnt import Automatic
from arproc.models.panel.coming import InOrder
from arproc.models.panel.data import PanelData, trimmed
from arproc.models.panel.settings import Settings, settings_of
from arproc.process import Process

__all__ = ["OfPanel"]

#: The levels of a normal law's median and of one deviation above it.
_ONE_SIGMA = (0.5, 0.8413447460685429)


@dataclass
class OfPanel(Forecaster):
    """A `Panel` or an `AutoPanel`.

    Attributes:
        model: the panel, which stays as it is.
        series: the series.
        n_paths: how many paths are simulated where that is needed.
        fitted: the panel in use.
    """

    model: Panel | AutoPanel
    series: Timeline
    n_paths: int
    fitted: Panel | AutoPanel

    def fit(self, rows: np.ndarray, first: int, origin: int) -> None:
        self.fitted = self.model.clone().fit(self._cut(rows, first, origin))

    def _cut(self, rows: np.ndarray, first: int, origin: int) -> PanelData:
        """What is known of some series before an origin, without missing values at their ends."""
        series = self.series
        low, high = series.bounds(rows, first, origin)
        counts = high - low
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        place = np.repeat(series.offsets[rows] + low - offsets[:-1], counts)
        values = series.values[place + np.arange(int(offsets[-1]))]
        indexes: tuple[Any, ...] = ()
        alike = len(series.indexes) == 1 and bool(
            (low == low[0]).all() and (high == high[0]).all()
        )
        if series.indexes:
            pairs = list(zip(rows.tolist(), low.tolist(), high.tolist(), strict=True))
            indexes = tuple(series.index(i)[a:b] for i, a, b in (pairs[:1] if alike else pairs))
        names = [series.names[i] for i in rows.tolist()]
        gaps = bool(np.isnan(values).any())
        beside = series.covariates
        if beside is not None:
            beside = beside[place + np.arange(int(offsets[-1]))]
        table = PanelData(
            values, offsets, names, True, indexes, gaps, covariates=beside,
            covariate_names=series.covariate_names,
        )  # fmt: skip
        return trimmed(table) if gaps else table

    def _context(self, i: int, first: int, origin: int, horizon: int) -> Any:
        """The covariates of one series up to an origin and of the horizon, for its process."""
        series = self.series
        low, high = series.bounds(i, first, origin)
        row = np.array([i])
        future = self._future(row, series.begins[row] + high, horizon)
        if future is None or series.covariates is None:
            return None
        import pandas as pd

        start, name = int(series.offsets[i]), series.names[i]
        known = series.covariates[start + int(low) : start + int(high)]
        after = future.rows(name, range(horizon))
        return pd.DataFrame(np.concatenate([known, after]), columns=list(series.covariate_names))

    def _future(self, rows: np.ndarray, reached: np.ndarray, horizon: int) -> InOrder | None:
        """The covariates of the next steps of some series, and of no others."""
        series = self.series
        if series.covariates is None:
            return None
        found = {}
        for i, step in zip(rows.tolist(), reached.tolist(), strict=True):
            start = int(series.offsets[i]) + min(step, int(series.ends[i]) - 1) - series.begins[i]
            stop = min(start + horizon, int(series.offsets[i + 1]))
            found[series.names[i]] = series.covariates[start:stop].copy()
        return InOrder(found, series.covariates.shape[1])

    def known(self, rows: np.ndarray) -> np.ndarray:
        fitted = set(self.fitted.names_)
        return np.array([i for i in rows.tolist() if self.series.names[i] in fitted], dtype=int)

    def predict(self, asked: Asked) -> Predicted:
        if isinstance(self.fitted, Panel) and settings_of(self.fitted.process) is None:
            return self._one_by_one(asked)
        rows, first, origin, actual, levels, seed = asked
        taken = rows
        if isinstance(self.fitted, AutoPanel):  # it takes the histories of all its series
            place = {name: i for i, name in enumerate(self.series.names)}
            taken = np.array([place[name] for name in self.fitted.names_])
        table = self._cut(taken, first, origin)
        # a forecast goes on from the last known value, which may lie before the origin
        reached = self._reached(taken, first, origin)
        of = {i: j for j, i in enumerate(taken.tolist())}
        at = np.array([of[i] for i in rows.tolist()])
        late = origin - reached[at]
        horizon = actual.shape[1]
        where = at[:, None], late[:, None] + np.arange(horizon)
        total = horizon + int(late.max(initial=0))
        future = self._future(taken, reached, total)
        held = self.fitted.learnt_ if isinstance(self.fitted, AutoPanel) else None
        inner = None if held is None else held.inner
        if isinstance(inner, Automatic):
            came = np.full((len(taken), total), np.nan)
            came[where] = actual
            made, score = inner.scored(table, came, levels, future)
            return Predicted(made[where][..., 0], made[where][..., 1:], score[where])
        made = self._forecast(table, total, levels, seed, future)[where]
        score = self._log_score(made[..., -2], made[..., -1], actual)
        return Predicted(made[..., 0], made[..., 1:-2], score)

    def _reached(self, rows: np.ndarray, first: int, origin: int) -> np.ndarray:
        """The step of the axis after the last known value of each series, [n]."""
        series, high = self.series, self.series.bounds(rows, first, origin)[1]
        last = series.last_known[series.offsets[rows] + high - 1] - series.offsets[rows]
        return series.begins[rows] + last + 1

    def _forecast(
        self, table: PanelData, horizon: int, levels: Sequence[float], seed: int,
        future: InOrder | None,
    ) -> np.ndarray:  # fmt: skip
        """Means, quantiles, and those that tell the law, [n, horizon, 1 + levels + 2]."""
        quantiles = (*levels, *_ONE_SIGMA)
        made = self.fitted.forecast(
            history=table, horizon=horizon, quantiles=quantiles, seed=seed, future=future
        )
        return made.to_numpy().reshape(len(table), horizon, -1)

    def _log_score(self, middle: np.ndarray, above: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Log-densities of the normal or log-normal law that has these two quantiles."""
        laws = self._laws()
        logs = [None if one is None else one.log for one in laws]
        if None in laws or (isinstance(self.fitted, AutoPanel) and any(logs)):
            return np.full(y.shape, np.nan)
        log = logs[0]
        shift = 0.0 if log is None else float(log.shift)
        outside, slope = np.zeros(y.shape, dtype=bool), np.zeros(())
        if log is not None:
            outside = y + shift <= 0
            with np.errstate(invalid="ignore", divide="ignore"):
                middle, above, y = (np.log(x + shift) for x in (middle, above, y))
            slope = y
        z = (y - middle) / (above - middle)
        score = -0.5 * z**2 - np.log(above - middle) - 0.5 * np.log(2 * np.pi) - slope
        return np.where(outside, -np.inf, score)

    def _laws(self) -> list[Settings | None]:
        if isinstance(self.fitted, Panel):
            return [settings_of(self.fitted.process)]
        given = self.fitted.candidates or ()  # told nothing, its laws are mixtures
        return [settings_of(one) if isinstance(one, Process) else None for one in given]

    def _one_by_one(self, asked: Asked) -> Predicted:
        """Forecasts by the process of each series."""
        rows, first, origin, actual, levels, seed = asked
        made = []
        status = dict(zip(self.fitted.names_, self.fitted.status_, strict=True))
        for j, i in enumerate(rows.tolist()):
            y = actual[j : j + 1]
            if status[self.series.names[i]] != "ok":
                none = np.full(y.shape, np.nan)
                made.append(Predicted(none, np.repeat(none[..., None], len(levels), -1), none))
                continue
            assert isinstance(self.fitted, Panel)
            process = self.fitted[self.series.names[i]]
            history, own = self.series.cut(i, first, origin), derived_seed(seed, i)
            context = self._context(i, first, origin, y.shape[1])
            made.append(predict(process, history, y, levels, own, context, self.n_paths))
        return Predicted(*(np.concatenate(parts) for parts in zip(*made, strict=True)))
