"""Panel: many series, each with parameters of its own, fitted as one computation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from arproc.contract.parameters import Parameters
from arproc.contract.randomness import derived_seed, resolve_seed
from arproc.errors import (
    ArprocError,
    DataError,
    NotFittedError,
    ParameterError,
    check_choice,
    check_integer,
)
from arproc.models.panel.data import Table, jacobians, logarithms, read
from arproc.models.panel.estimation import Estimates, estimate
from arproc.models.panel.labels import end_of, restore_end
from arproc.models.panel.prediction import Prediction, predict, tails
from arproc.models.panel.settings import Settings, settings_of
from arproc.models.panel.tables import forecast_table, future

if TYPE_CHECKING:
    import pandas as pd

    from arproc.process import Process

__all__ = ["Panel"]


class Panel(Parameters):
    """Many series, each with parameters of its own, as one object.

    Autoregressions (`AR` of any lags with trend "n", "c" or "ct", by "ols", shrunk by ridge or
    not, or "mle", of the values or of their logarithms by `Transformed`) are fitted in one
    compiled computation over all series, and so are their likelihoods and forecasts; any other
    process is fitted to one series after the other, behind the same calls. (To fit one process to
    all series, as draws from one law, give them to `AR.fit`.)

    A panel is no `Law`: what a sequence's law is depends on which series it is. `panel[name]` is
    the process of one series, with the whole contract.

    The data of `fit` and of the other calls are a wide DataFrame (time down, a column for each
    series), an array [N, T], a list of series of any lengths, a dict of them by name, or a long
    DataFrame with the columns unique_id, ds and y. NaN is a missing value, cut off at the ends of
    a series. With gaps inside, "ols" drops the rows that lack the target or a lag; "mle" and all
    likelihoods and forecasts are exactly those of what was observed.

    Args:
        process: what is fitted to each series.
        pooling: "none", each series alone; or "partial": the coefficients of each series are
            drawn towards what is typical of the panel, as far as they are uncertain (see
            `arproc.models.panel.pooling`; for `AR` by "ols").
        errors: what becomes of series without a fit (constant ones, say): "raise" names them;
            "keep" leaves nan in their rows and the reason in `status_`.

    Attributes:
        names_: what the series are called, [N].
        status_: "ok", or why there is no fit, [N].
        prior_mean_: the mean of the coefficients' common law, where pooling is "partial", [k].
        prior_covariance_: its covariance, [k, k].
        log_likelihoods_: of each series, nats; of their logarithms where these are modelled. [N]
        lengths_: how many values each has from the first known to the last, int64 [N].

    Example:
        >>> from arproc import AR
        >>> x = np.random.default_rng(0).normal(size=(3, 200)).cumsum(axis=1)
        >>> panel = Panel(AR(1)).fit(dict(zip("abc", x)))
        >>> panel.coefficients_["ar.L1"].round(2).tolist()
        [0.98, 0.99, 0.96]
        >>> panel["b"]
        AR(1)
        >>> panel.forecast(horizon=2).shape
        (6, 4)
    """

    names_: list[Any]
    status_: list[str]
    lengths_: np.ndarray

    def __init__(self, process: Process, pooling: str = "none", errors: str = "raise") -> None:
        self.process = process
        self.pooling = pooling
        self.errors = errors

    # ---- fitting --------------------------------------------------------------------------------

    def fit(self, data: Any, y: None = None) -> Self:
        """Learn every series' parameters.

        Args:
            data: the panel, see the class.
            y: not used.

        Raises:
            DataError: some series have no fit and `errors` is "raise"; or `data` is no panel.
        """
        self._check_parameters()
        table = read(data)
        settings = self._settings
        if settings is None:
            self._fit_each(table)
        else:
            self._fit_batch(table, settings)
        self.names_, self.named_ = list(table.names), table.named
        self.lengths_ = table.lengths
        self.ends_ = [end_of(index) for index in table.indexes]
        failed = [i for i, status in enumerate(self.status_) if status != "ok"]
        if failed and self.errors == "raise":
            shown = "; ".join(f"{self.names_[i]!r}: {self.status_[i]}" for i in failed[:3])
            raise DataError(
                f"{len(failed)} of {len(table)} series have no fit, {shown}"
                f"{' ...' if len(failed) > 3 else ''} Leave them out, or use errors='keep', "
                "which leaves nan in their place."
            )
        return self

    def _check_parameters(self) -> None:
        from arproc.process import Process

        if not isinstance(self.process, Process):
            raise ParameterError(f"process must be a Process; got {self.process!r}.")
        check_choice("pooling", self.pooling, ("none", "partial"))
        check_choice("errors", self.errors, ("raise", "keep"))
        if self.process.context_kind is not None:
            raise ParameterError(f"a panel takes no context; {self.process!r} needs one.")
        if self.pooling == "none":
            return
        known = self._settings
        if known is None or known.method != "ols" or known.one.ridge or not known.order:
            raise ParameterError(
                "pooling='partial' is for AR of order 1 or more with method='ols', a trend 'n', "
                f"'c' or 'ct', and no ridge of its own; got {self.process!r}."
            )

    @property
    def _settings(self) -> Settings | None:
        """How the series are fitted at once; None where they are fitted one by one."""
        return settings_of(self.process)

    def _fit_batch(self, table: Table, settings: Settings) -> None:
        low: list[int] = []
        if settings.log is not None:
            table, low = logarithms(table, settings.log)
        if self.pooling == "partial":
            from arproc.models.panel.pooling import estimate_pooled

            found, prior = estimate_pooled(table, settings)
            self.prior_mean_, self.prior_covariance_ = prior.mean, prior.covariance
        elif settings.one.ridge:
            from arproc.models.panel.shrunken import estimate_shrunken

            found = estimate_shrunken(table, settings)
        else:
            found = estimate(table, settings)
        for i in low:
            found.drop(i)
            found.status[i] = "a logarithm needs values above -shift; it has others"
        self._learn(found)
        self.tails_, self.tail_offsets_, self.tail_positions_ = tails(table, settings.order)

    def _learn(self, found: Estimates) -> None:
        self.parameters_, self.means_ = found.parameters, found.mean
        self.log_likelihoods_, self.n_observations_ = found.log_likelihood, found.used
        self.covariances_, self.status_ = found.covariance, found.status
        self.strengths_, self.effective_ = found.strength, found.effective

    @property
    def _found(self) -> Estimates:
        return Estimates(
            self.parameters_, self.means_, self.log_likelihoods_, self.n_observations_,
            self.covariances_, self.status_, self.strengths_, self.effective_,
            np.ones(len(self.status_), dtype=bool),
        )  # fmt: skip

    def _fit_each(self, table: Table) -> None:
        self.processes_: list[Process] = []
        self.status_ = []
        for i in range(len(table)):
            model, status = self.process.clone(), "ok"
            try:
                model.fit(table.series(i))
            except ArprocError as error:
                status = str(error)
            self.processes_.append(model)
            self.status_.append(status)

    # ---- what was fitted ------------------------------------------------------------------------

    def __len__(self) -> int:
        self._require_fitted()
        return len(self.names_)

    def __iter__(self) -> Iterator[Any]:
        """The series' names, as of a dict."""
        self._require_fitted()
        return iter(self.names_)

    def _require_fitted(self) -> None:
        if "names_" not in self.__dict__:
            raise NotFittedError("this Panel is not fitted yet; call fit(data) first.")

    def __getitem__(self, key: Any) -> Process:
        """The process of the series called `key`, or of that number."""
        self._require_fitted()
        i = self._number(key)
        if self.status_[i] != "ok":
            raise DataError(f"series {self.names_[i]!r} has no fit: {self.status_[i]}")
        return self._process(i)

    def _number(self, key: Any) -> int:
        places = self._places
        try:
            if key in places:
                return places[key]
        except TypeError:  # a list, say, is no name
            pass
        if isinstance(key, (int, np.integer)) and -len(places) <= key < len(places):
            return int(key) % len(places)
        raise ParameterError(f"there is no series {key!r}; the panel has {len(places)} series.")

    @property
    def _places(self) -> dict[Any, int]:
        cached = self.__dict__.get("_places_of")
        if cached is None or cached[0] is not self.names_:
            self._places_of = cached = (self.names_, {v: i for i, v in enumerate(self.names_)})
        return cached[1]

    def _process(self, i: int) -> Process:
        settings = self._settings
        return self.processes_[i] if settings is None else settings.process_of(self._found, i)

    @property
    def coefficients_(self) -> pd.DataFrame:
        """The parameters, a row for each series."""
        import pandas as pd

        self._require_fitted()
        index = pd.Index(self.names_, name="series", tupleize_cols=False)
        settings = self._settings
        if settings is None:
            rows = [self._row_of(i) for i in range(len(self))]
            return pd.DataFrame(rows, index=index)
        lags, q = [f"ar.L{lag}" for lag in settings.lags], settings.n_columns
        columns: dict[str, Any] = dict(zip(["mean", "slope"][:q], self.means_.T, strict=False))
        columns |= dict(zip(["intercept", "drift"][:q], self.parameters_.T, strict=False))
        columns |= dict(zip([*lags, "sigma2"], self.parameters_.T[2:], strict=True))
        columns |= {"log_likelihood": self.log_likelihoods_, "n": self.n_observations_}
        return pd.DataFrame(columns | {"status": self.status_}, index=index)

    def _row_of(self, i: int) -> dict[str, Any]:
        model: Any = self.processes_[i]
        known = self.status_[i] == "ok" and hasattr(model, "estimates_")
        row = dict(zip(model.names_, model.estimates_, strict=True)) if known else {}
        return row | {"status": self.status_[i]}

    # ---- likelihoods ----------------------------------------------------------------------------

    def log_prob(self, data: Any) -> Any:
        """The log-probability of each series of `data` under that series' own parameters, nats.

        Args:
            data: a panel; by name where it has names, else as many series as were fitted.

        Returns:
            A Series by name where `data` has names, else an array [N].
        """
        table, rows = self._matched(data)
        values = self._likelihoods(table, rows)[0]
        if not table.named:
            return values
        import pandas as pd

        return pd.Series(values, index=pd.Index(table.names, name="series", tupleize_cols=False))

    def score(self, data: Any, y: None = None) -> float:
        """Mean log-probability per value in nats over all series, higher is better."""
        table, rows = self._matched(data)
        values, counts = self._likelihoods(table, rows)
        return float(values.sum() / counts.sum())

    def _likelihoods(self, table: Table, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        settings = self._settings
        if settings is not None:
            found = self._predict(table, rows, 0, settings)
            if settings.log is None:
                return found.log_likelihood, found.counts
            given = 0 if settings.stationary else settings.order
            volume = jacobians(table, settings.log, given)
            return found.log_likelihood + volume, found.counts
        values, counts = np.empty(len(rows)), np.empty(len(rows), np.int64)
        for j, i in enumerate(rows.tolist()):
            model = self.processes_[i]
            values[j] = model.log_prob(table.row(j))
            counts[j] = (~np.isnan(table.row(j))).sum() - model.n_given
        return values, counts

    def _predict(
        self, table: Table, rows: np.ndarray, horizon: int, settings: Settings
    ) -> Prediction:
        bad = ~np.isfinite(table.values) & ~np.isnan(table.values)
        if bad.any():
            raise DataError(f"data has {int(bad.sum())} infinite value(s); remove them.")
        if settings.log is not None:
            table, low = logarithms(table, settings.log)
            if low:
                raise DataError(f"series {table.names[low[0]]!r} has values of -shift or less.")
        every = len(rows) == len(self.names_) and bool((rows == np.arange(len(rows))).all())
        parameters = self.parameters_ if every else self.parameters_[rows]
        means = self.means_ if every else self.means_[rows]
        found = predict(table, settings.lags, settings.stationary, parameters, means, horizon)
        if not found.begun.all():
            j = int(np.flatnonzero(~found.begun)[0])
            raise DataError(
                f"series {table.names[j]!r} is too short, or has gaps, for its first "
                f"{settings.order} values to be given; use initial='stationary'."
            )
        return found

    def _matched(self, data: Any) -> tuple[Table, np.ndarray]:
        """The data and the numbers of the fitted series that they are of."""
        self._require_fitted()
        table = read(data)
        places = self._places
        if table.named and self.named_:
            strange = [name for name in table.names if name not in places]
            if strange:
                raise DataError(
                    f"data has {len(strange)} series that were not fitted: {strange[:3]}"
                )
            rows = np.array([places[name] for name in table.names])
        elif len(table) != len(places):
            raise DataError(
                f"data has {len(table)} series without names; expected {len(places)}, as in fit."
            )
        else:
            rows = np.arange(len(table))
        if not bool((table.lengths > 0).all()):
            empty = table.names[int(np.argmin(table.lengths))]
            raise DataError(f"series {empty!r} has no values; leave it out.")
        for i in rows.tolist():
            if self.status_[i] != "ok":
                raise DataError(
                    f"series {self.names_[i]!r} has no fit: {self.status_[i]} Leave it out."
                )
        return table, rows

    # ---- what follows ---------------------------------------------------------------------------

    def forecast(
        self,
        history: Any = None,
        horizon: int = 1,
        quantiles: tuple[float, ...] = (0.05, 0.5, 0.95),
        seed: int | torch.Generator | None = None,
    ) -> pd.DataFrame:
        """Forecast the next `horizon` values of every series.

        Args:
            history: what is known, a panel; by default the data of `fit` (autoregressions keep
                of them what that needs). Each series is continued from its last known value.
            horizon: how many steps.
            quantiles: which quantiles, each in (0, 1).
            seed: of the simulation, for processes whose forecasts are simulated.

        Returns:
            A DataFrame with a row for each series and step (series without a fit have none) and
            the columns "mean" and one for each quantile.
        """
        from arproc.forecasting.forecast import levels_of

        horizon = check_integer("horizon", horizon, minimum=1)
        levels = levels_of(quantiles)
        settings = self._settings
        if settings is None:
            return self._forecast_each(history, horizon, levels, seed)
        names, labels, mean, deviation = self._next(history, horizon, settings)
        z = torch.special.ndtri(torch.tensor(levels, dtype=torch.float64)).numpy()
        values = np.concatenate([mean[..., None], mean[..., None] + deviation[..., None] * z], -1)
        if settings.log is not None:
            values[..., 0] += deviation**2 / 2  # of the lognormal law
            with np.errstate(over="ignore"):  # an explosive recursion's forecast may be infinite
                values = np.exp(values) - settings.log.shift
        return forecast_table(names, labels, values, ["mean", *levels])

    def _next(
        self, history: Any, horizon: int, settings: Settings
    ) -> tuple[list[Any], list[Any], np.ndarray, np.ndarray]:
        """Names, labels, means and standard deviations of what follows, the last [N, horizon]."""
        self._require_fitted()
        if history is not None:
            table, rows = self._matched(history)
            found = self._predict(table, rows, horizon, settings)
            shared = len(table.indexes) <= 1 and len(set(table.lengths.tolist())) == 1
            count = 1 if shared else len(table)
            lengths = table.lengths.tolist()
            labels = [future(table.index(j), lengths[j], horizon) for j in range(count)]
            return table.names, labels, found.mean, np.sqrt(found.variance)
        rows = np.array([i for i, status in enumerate(self.status_) if status == "ok"])
        if not len(rows):
            raise DataError("none of the series has a fit.")
        names = [self.names_[i] for i in rows]
        tail = Table(self.tails_, self.tail_offsets_, self.names_, self.named_, (), True)
        whole = len(rows) == len(self.names_)
        found = predict(
            tail if whole else tail.select(rows),
            settings.lags,
            settings.stationary,
            self.parameters_[rows],
            self.means_[rows],
            horizon,
            self.tail_positions_[rows],
        )
        lengths = self.lengths_[rows].tolist()
        shared = len(self.ends_) <= 1 and len(set(lengths)) == 1
        ends = [restore_end(end) for end in self.ends_]
        labels = []
        for j, i in enumerate(rows[:1] if shared else rows):
            end = None if not ends else ends[0 if len(ends) == 1 else i]
            labels.append(future(end, lengths[j], horizon))
        return names, labels, found.mean, np.sqrt(found.variance)

    def _forecast_each(
        self, history: Any, horizon: int, levels: list[float], seed: Any
    ) -> pd.DataFrame:
        import pandas as pd

        if history is None:
            raise ParameterError(
                f"a panel of {self.process!r} needs the history to forecast from."
            )
        table, rows = self._matched(history)
        base, parts = resolve_seed(seed), []
        for j, i in enumerate(rows.tolist()):
            own = derived_seed(base, i)
            model = self.processes_[i]
            parts.append(model.forecast(table.series(j), horizon, tuple(levels), own))
        step = parts[0].index.name or "step"
        keys = pd.Index(table.names, tupleize_cols=False)
        return pd.concat(parts, keys=keys, names=["series", step])

    def sample(
        self,
        n: int = 1,
        length: int | None = None,
        prefix: Any = None,
        seed: int | torch.Generator | None = None,
    ) -> np.ndarray:
        """Draw n sequences from the law of every series.

        Args:
            n: how many for each series.
            length: how many values.
            prefix: what comes before them, a panel; they begin at the start without one.
            seed: an int or a `torch.Generator`; a series' draws depend on it and on the series'
                number, and on nothing else.

        Returns:
            Draws [N, n, length], a row for each series of `prefix`, or of the panel.
        """
        self._require_fitted()
        table = None
        rows = np.arange(len(self))
        if prefix is not None:
            table, rows = self._matched(prefix)
        base, draws = resolve_seed(seed), []
        for j, i in enumerate(rows.tolist()):
            before = None if table is None else table.row(j)
            draws.append(
                self[self.names_[i]].sample(n, length, before, seed=derived_seed(base, i))
            )
        return np.stack(draws)

    def forget_covariances(self) -> None:
        """Drop the covariances of the estimates, which take most of the room where lags are many.

        Standard errors are nan then; forecasts and likelihoods stay as they are.
        """
        self._require_fitted()
        if self._settings is not None:
            self.covariances_ = self.covariances_[:0]

    def save(self, path: str | Path) -> None:
        """Write the whole panel to one file, which `arproc.load` reads."""
        self._require_fitted()
        from arproc.process.persistence import save

        save(self, path)
