"""The base of `Panel` and `AutoPanel`: what holds a value of what was learnt of a panel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence, Sized
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from arproc.contract.parameters import Parameters, is_learnt
from arproc.contract.randomness import resolve_seed
from arproc.data.frames import native
from arproc.errors import (
    DataError,
    NotFittedError,
    ParameterError,
    ReadOnlyError,
    UnsupportedError,
    check_count,
    shown,
)
from arproc.models.panel.coherent import as_quantiles, coherent_paths
from arproc.models.panel.coming import (
    Continued,
    Future,
    InOrder,
    Known,
)
from arproc.models.panel.covariates import check_covariates
from arproc.models.panel.data import PanelData, check_columns, read, require_values
from arproc.models.panel.tables import forecast_table, future
from arproc.models.panel.updating import beyond_after, filled_between

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["PanelModel"]


class PanelModel(Parameters, ABC):
    """Parameters, and one immutable value that `fit` replaces whole on its last line.

    Its `names_` is the value's `names`, and so on: arrays are seen as read-only views, sequences
    as copies.

    Attributes:
        learnt_: the value; None before there is one.
    """

    learnt_: Any = None
    columns: Sequence[str]
    freq: Any
    errors: str
    covariates: Sequence[str] | None

    @classmethod
    def of(cls, learnt: Any, **parameters: Any) -> Self:
        """One that holds what was learnt elsewhere."""
        model = cls(**parameters)
        model.learnt_ = learnt
        return model

    def _read(
        self, data: Any, offset: Any = None, name: str = "data", *, fitting: bool = False
    ) -> PanelData:
        """The user's panel; series that can not be read stay without values if errors do.

        Of columns that are not used the user is told once: by `fit`, and later of others alone.
        """
        told = () if fitting or self.learnt_ is None else self.learnt_.form.unused
        keep, beside = self.errors == "keep", self._covariates
        found = read(
            data, name, self.columns, freq=self.freq, keep=keep, covariates=beside, told=told
        )
        return found.begun(offset)

    @property
    def _covariates(self) -> tuple[str, ...]:
        """The columns of a long table that are read beside the values."""
        return check_covariates(self.covariates, check_columns(self.columns))

    def _future(self, future: Any, history: PanelData | None = None) -> Known | None:
        """The covariates of the steps to come, where there are any.

        Those that are known beside missing last values, of the history or of the data of `fit`,
        need not be told again.
        """
        if not self._covariates:
            if future is not None:
                raise ParameterError(
                    "future is for a panel with covariates; this one has none. Their columns "
                    "are named by covariates=, as AutoPanel(covariates=['price'])."
                )
            return None
        if isinstance(future, InOrder):  # of the very next steps
            return future
        known = (self._learnt if history is None else history).beyond.rows()
        if future is None and not known:
            raise ParameterError(
                f"the panel has the covariates {list(self._covariates)!r}, and a forecast needs "
                "those of the steps to come: give future=, a long table with them."
            )
        then = future
        if future is not None and not isinstance(future, Known):
            columns = check_columns(self.columns)
            then = Future.of(future, columns, self._covariates, self.freq)
        return Continued(known, then) if known else then

    def _went_on(self, later: PanelData) -> Self:
        """The same with what came later."""
        learnt = self._learnt
        later = filled_between(learnt.beyond, learnt.series, later)
        updated = learnt.updated(later)
        beyond = beyond_after(learnt.beyond, learnt.series, later, updated.series.lengths)
        return type(self).of(replace(updated, beyond=beyond), **self.get_params(deep=False))

    def forecast(
        self,
        horizon: int,
        quantiles: tuple[float, ...] = (0.05, 0.5, 0.95),
        seed: int | torch.Generator | None = None,
        *,
        history: Any = None,
        offset: Any = None,
        future: Any = None,
    ) -> pd.DataFrame:
        """Forecast the next `horizon` values of every series.

        Args:
            horizon: how many steps.
            quantiles: which quantiles, each in (0, 1).
            seed: of the simulation, for processes whose forecasts are simulated.
            history: what is known, a panel; by default the data of `fit` (autoregressions keep
                of them what that needs). Each series is continued from its last known value. Of
                an `AutoPanel` it has all series.
            offset: at which step each series of the history begins, as for `Panel.log_prob`.
            future: of a panel with covariates those of the steps to come: a long table with names,
                times and covariates, and a row for each series and step. Others may be there, and
                those of steps whose values alone are missing need not.

        Returns:
            A DataFrame with a row for each series and step and the columns "mean" and one for
            each quantile; nan for series without a fit, and why in `.attrs["status"]`.
        """
        from arproc.forecasting.forecast import levels_of

        if offset is not None and history is None:
            raise ParameterError(
                "offset says where the history begins, and there is none; the data of fit begin "
                "where they did."
            )
        if isinstance(horizon, Sized) and not isinstance(horizon, str):
            raise ParameterError(
                f"horizon must be an integer; got {shown(horizon)}. What is known of a panel is "
                "named: forecast(3, history=data)."
            )
        learnt, steps = self._learnt, check_count("horizon", horizon, minimum=1)
        levels, known = levels_of(quantiles), self._history(history, offset)
        form = learnt.form if known is None else known.form
        return form.restore(self._ahead(known, steps, levels, seed, self._future(future, known)))

    @abstractmethod
    def _history(self, history: Any, offset: Any = None) -> PanelData | None:
        """What the user says is known; None for the data of `fit`."""

    @abstractmethod
    def _ahead(
        self, known: PanelData | None, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None,
    ) -> pd.DataFrame:  # fmt: skip
        """A table of what follows."""

    @abstractmethod
    def paths_of(self, table: PanelData, horizon: int, n: int, seed: int) -> np.ndarray:
        """Draws of what follows each series of a panel, [N, n, horizon]."""

    def reconcile(
        self,
        history: Any,
        summing: Any,
        horizon: int,
        method: str = "mint-shrink",
        quantiles: tuple[float, ...] = (0.05, 0.5, 0.95),
        n_paths: int = 1000,
        seed: Any = None,
    ) -> Any:
        """Forecasts of series that are sums of one another, which add up as they do.

        Means are reconciled as by `arproc.reconcile`; quantiles are those of `coherent_paths`.

        Args:
            history: what is known, a panel with all series, which end together.
            summing: how they add up: the summing matrix of `arproc.aggregate`, or a dict from
                each total to its parts.
            horizon: how many steps.
            method: "bottom-up", "ols", "wls" or "mint-shrink", the latter two by the errors of
                forecasts of one step over the end of the history.
            quantiles: which quantiles, each in (0, 1).
            n_paths: how many paths these are taken of.
            seed: of the paths.

        Returns:
            A table as that of `forecast`, of all levels' series by name.
        """
        from arproc.forecasting.forecast import levels_of

        levels = levels_of(quantiles)
        table, means, paths = self._coherent(history, summing, horizon, method, n_paths, seed)
        values = np.concatenate([means[..., None], as_quantiles(paths, levels)], axis=-1)
        labels = [
            future(table.index(i), int(table.lengths[i]), horizon) for i in range(len(table))
        ]
        made = forecast_table(list(table.names), labels, values, ["mean", *levels])
        return table.form.restore(made)

    def coherent_paths(
        self,
        history: Any,
        summing: Any,
        horizon: int,
        n: int = 1000,
        method: str = "mint-shrink",
        seed: Any = None,
    ) -> np.ndarray:
        """Draw paths of series that are sums of one another, each of which adds up.

        Args:
            history: as for `reconcile`.
            summing: as for `reconcile`.
            horizon: how many steps.
            n: how many paths.
            method: as for `reconcile`.
            seed: an int or a `torch.Generator`.

        Returns:
            Draws [N, n, horizon], the series in the order of `names_`.
        """
        return self._coherent(history, summing, horizon, method, n, seed)[2]

    def _coherent(
        self, history: Any, summing: Any, horizon: int, method: str, n: int, seed: Any
    ) -> tuple[PanelData, np.ndarray, np.ndarray]:
        learnt, horizon = self._learnt, check_count("horizon", horizon, minimum=1)
        if self._covariates:
            raise UnsupportedError("series with covariates are not reconciled; leave these out.")
        n = check_count("n_paths", n, minimum=2)
        for name, status in zip(learnt.names, learnt.status, strict=True):
            if status != "ok":
                raise DataError(f"series {name!r} has no fit, so nothing adds up: {status}")
        if history is None:
            raise DataError(
                "history is needed, with all series: what their errors of one step have in common "
                "is seen there. The data of fit will do."
            )
        known = self._read(history, name="history")
        place = {name: i for i, name in enumerate(known.names)}
        if set(place) != set(learnt.names):
            odd = sorted(set(place) ^ set(learnt.names), key=str)
            raise DataError(
                f"history and the panel do not name the same series: {odd[:5]} differ."
            )
        table = replace(known.select(np.array([place[x] for x in learnt.names])), named=True)
        require_values(table)
        summing = native(summing, "summing")
        base = resolve_seed(seed)
        return table, *coherent_paths(self, table, summing, horizon, method, n, base)

    @property
    def _learnt(self) -> Any:
        """What was learnt; `NotFittedError` before there is anything."""
        if self.learnt_ is None:
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted yet; call fit(data) first."
            )
        return self.learnt_

    def __sklearn_is_fitted__(self) -> bool:
        return self.learnt_ is not None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            own = getattr(type(self), name, None)
            if isinstance(own, property):  # one that raised AttributeError: let it say so
                return own.fget(self)
            value = getattr(self._learnt, name[:-1], None) if is_learnt(name) else None
            if value is None or callable(value):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            if isinstance(value, np.ndarray):
                value = value.view()
                value.flags.writeable = False
            return list(value) if isinstance(value, (list, tuple)) else value

    def __setattr__(self, name: str, value: Any) -> None:
        if is_learnt(name) and name != "learnt_":
            raise ReadOnlyError(f"{name} was learnt and is read-only; fit again.")
        super().__setattr__(name, value)

    @abstractmethod
    def others(self, data: Any) -> Self:
        """The same of other series, with what those of `fit` have in common."""

    @abstractmethod
    def check_parts(self) -> None:
        """Raise `UnsupportedError` where a panel in parts would not give what it gives in one."""

    def save(self, path: str | Path) -> None:
        """Write all to one file, which `arproc.load` reads."""
        _ = self._learnt
        from arproc.process.persistence import save

        save(self, path)
