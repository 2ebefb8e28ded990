"""One origin of a backtest: fit to what is known, forecast, and score by what came."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from arproc.evaluation.backtests.contexts import Covariates
from arproc.evaluation.backtests.timeline import Timeline
from arproc.forecasting.scored import Predicted, predict
from arproc.process import Process

__all__ = ["Asked", "Forecaster", "OfProcess"]


class Asked(NamedTuple):
    """What is asked of a model at an origin.

    Attributes:
        rows: which series are forecast, [n].
        first: the step of the axis that their histories begin with.
        origin: the step after the last that is known.
        actual: what came, for the scores alone, [n, horizon] or [n, horizon, d].
        levels: which quantiles.
        seed: of simulations.
    """

    rows: np.ndarray
    first: int
    origin: int
    actual: np.ndarray
    levels: Sequence[float]
    seed: int


class Forecaster(ABC):
    """A model as a backtest sees it: nothing reaches it but what is cut at the origin."""

    @abstractmethod
    def fit(self, rows: np.ndarray, first: int, origin: int) -> None:
        """Fit anew to some series, from one step of the axis up to the origin."""

    def known(self, rows: np.ndarray) -> np.ndarray:
        """Those of some series that it can forecast."""
        return rows

    @abstractmethod
    def predict(self, asked: Asked) -> Predicted:
        """Forecast what follows each of some series at the origin."""


@dataclass
class OfProcess(Forecaster):
    """One law for all series.

    Attributes:
        model: the process, which stays as it is.
        series: the series.
        context: what they are conditioned on.
        n_paths: how many paths are simulated where that is needed.
        fitted: the law in use.
    """

    model: Process
    series: Timeline
    context: Covariates | None
    n_paths: int
    fitted: Process

    def fit(self, rows: np.ndarray, first: int, origin: int) -> None:
        data = self._cut(rows, first, origin)
        context = self.context and self.context.cut(rows, first, origin)
        self.fitted = self.model.clone().fit(data, context=context)

    def _cut(self, rows: np.ndarray, first: int, origin: int) -> Any:
        items = [self.series.cut(i, first, origin) for i in rows.tolist()]
        return items[0] if len(self.series) == 1 else items

    def predict(self, asked: Asked) -> Predicted:
        rows, first, origin, actual, levels, seed = asked
        history = self._cut(rows, first, origin)
        more = actual.shape[1]
        context = self.context and self.context.cut(rows, first, origin, more)
        return predict(self.fitted, history, actual, levels, seed, context, self.n_paths)
