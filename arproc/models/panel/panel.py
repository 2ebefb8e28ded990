"""Panel: many series, each with parameters of its own, fitted as one computation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from arproc.contract.randomness import derived_seed, resolve_seed
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_choice,
)
from arproc.models.panel.coming import Known
from arproc.models.panel.data import LONG, PanelData, require_values
from arproc.models.panel.fitted import FittedSeries
from arproc.models.panel.holding import PanelModel
from arproc.models.panel.learning import learn
from arproc.models.panel.settings import settings_of
from arproc.models.panel.updating import by_name
from arproc.process import Process
from arproc.process.reading import first_steps

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Panel"]


class Panel(PanelModel):
    """Many series, each with parameters of its own, as one object.

    Autoregressions (`AR` of any lags with trend "n", "c" or "ct", by "ols", shrunk by ridge or
    not, "mle", "yule-walker" or "burg", of the values or of their logarithms by `Transformed`) are
    fitted in one compiled computation over all series, and so are their likelihoods and
    forecasts; with regressors in the recursion by "ols" or in the mean by "mle". So are `ARIMA`
    processes with all their terms, of series with gaps too. Seasonal and Fourier terms and
    parabolas of `AR` by "mle", and any of these after `Difference`, `Standardize` or `BoxCox` of a
    given lambda, are fitted at once; their likelihoods and forecasts are made one series after the
    other. So is all of any other process, behind the same calls. (To fit one process to all
    series, as draws from one law, give them to `AR.fit`.)

    A panel is no `Law`: what a sequence's law is depends on which series it is. `panel[name]` is
    the process of one series, with the whole contract.

    The data of `fit` and of the other calls are a wide DataFrame (time down, a column for each
    series), an array [N, T], a list of series of any lengths, a dict of them by name, or a long
    DataFrame with the columns unique_id, ds and y (or others, see `columns`); of pandas, polars or
    Arrow, whose forecasts are tables of the same library; or the path of such a file (.parquet,
    .arrow, .csv). Other columns are not used; where they are of numbers, a warning says so once.
    NaN is a missing value, and so is a step
    that dates leave out; those at the ends of a series are cut off. With gaps inside, "ols"
    drops the rows that lack the target or a lag; "mle" and all likelihoods and forecasts are
    exactly those of what was observed.

    Args:
        process: what is fitted to each series.
        pooling: "none", each series alone; or "partial": the coefficients of each series are
            drawn towards what is typical of the panel, as far as they are uncertain (see
            `arproc.models.panel.pooling`; for `AR` by "ols").
        errors: what becomes of series without a fit, or that can not be read: "raise" names them;
            "keep" leaves nan in their rows and the reason in `status_`.
        columns: what a long table calls its columns of names, times and values.
        freq: the step of the times, in pandas' words ("D", "MS") or a number; by default the one
            that they go by.
        covariates: the columns of a long table that a process with regressors takes, such as
            ["price", "promo"], known at every step and at those to come (`forecast(future=)`).
            What is constant in a series is in its constant already, and has no coefficient.

    Attributes:
        learnt_: what was learnt, an immutable value that `fit` replaces whole.
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

    learnt_: FittedSeries | None
    names_: list[Any]
    status_: list[str]
    lengths_: np.ndarray
    log_likelihoods_: np.ndarray
    prior_mean_: np.ndarray
    prior_covariance_: np.ndarray
    parameters_: np.ndarray
    covariances_: np.ndarray

    def __init__(
        self,
        process: Process,
        pooling: str = "none",
        errors: str = "raise",
        *,
        columns: Sequence[str] = LONG,
        freq: Any = None,
        covariates: Sequence[str] | None = None,
    ) -> None:
        self.process = process
        self.pooling = pooling
        self.errors = errors
        self.columns = columns
        self.freq = freq
        self.covariates = covariates

    # ---- fitting --------------------------------------------------------------------------------

    def fit(self, data: Any, y: None = None) -> Self:
        """Learn every series' parameters.

        Args:
            data: the panel, see the class.
            y: not taken (scikit-learn passes it second).

        Raises:
            DataError: some series have no fit and `errors` is "raise"; or `data` is no panel.
            ParameterError: a parameter has a wrong value, or there is a y.
        """
        if y is not None:
            raise ParameterError("fit takes no y: a panel models the series themselves.")
        self._check_parameters()
        table, process = self._read(data, fitting=True), self.process.clone()
        learnt = learn(process, table, self.pooling == "partial")
        failed = [i for i, status in enumerate(learnt.status) if status != "ok"]
        if failed and self.errors == "raise":
            shown = "; ".join(
                f"{learnt.names[i]!r}: {learnt.status[i].rstrip('.')}" for i in failed[:3]
            )
            raise DataError(
                f"{len(failed)} of {len(table)} series have no fit, {shown}"
                f"{' ...' if len(failed) > 3 else '.'} Leave them out, or use errors='keep', "
                "which leaves nan in their place."
            )
        self.learnt_ = replace(learnt, beyond=table.beyond)
        return self

    def others(self, data: Any) -> Self:
        """The same process fitted to other series.

        Args:
            data: a panel, see the class.

        Raises:
            UnsupportedError: the series are drawn towards one another.
        """
        if self.pooling != "none":
            raise UnsupportedError(
                "with pooling='partial' the series are drawn towards one another; others would "
                "be towards themselves. Fit a Panel to all of them."
            )
        return self.clone().fit(data)

    def check_parts(self) -> None:
        self._check_parameters()
        if self.pooling != "none" or settings_of(self.process) is None:
            raise UnsupportedError(
                "a Panel is forecast in parts where it is of autoregressions, each series alone; "
                f"got {self!r}, in which a series' forecasts depend on the others or on its place."
            )

    def _check_parameters(self) -> None:
        self.check_kinds()
        if not isinstance(self.process, Process):
            raise ParameterError(f"process must be a Process; got {self.process!r}.")
        check_choice("pooling", self.pooling, ("none", "partial"))
        check_choice("errors", self.errors, ("raise", "keep"))
        self._check_context()
        if self.pooling == "none":
            return
        known = settings_of(self.process)
        if known is None or known.method != "ols" or known.one.ridge or not known.order:
            raise ParameterError(
                "pooling='partial' is for AR of order 1 or more with method='ols', a trend 'n', "
                f"'c' or 'ct', and no ridge of its own; got {self.process!r}."
            )

    def _check_context(self) -> None:
        """Whether the covariates are what the process takes."""
        kind, named = self.process.context_kind, self._covariates
        if kind == "steps" and not named:
            raise ParameterError(
                f"{self.process!r} takes regressors, and the panel has none; name the columns of "
                "a long table that they are, as covariates=['price']."
            )
        if kind == "static":
            raise ParameterError(
                f"a panel takes no context that is constant in a series; {self.process!r} needs "
                "one. For one law of all series fit it to them itself, with context=."
            )
        if named and kind is None:
            raise ParameterError(
                f"covariates are given, and {self.process!r} takes none; use a process with "
                "regressors, such as AR(1, regressors='mean')."
            )

    # ---- what was fitted ------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._learnt)

    def __iter__(self) -> Iterator[Any]:
        """The series' names, as of a dict."""
        return iter(self._learnt.names)

    def __getitem__(self, key: Any) -> Process:
        """The process of the series called `key`, or of that number."""
        learnt = self._learnt
        return learnt.fitted(learnt.number(key))

    @property
    def coefficients_(self) -> pd.DataFrame:
        """The parameters, a row for each series."""
        import pandas as pd

        index = pd.Index(self._learnt.names, name="series", tupleize_cols=False)
        return pd.DataFrame(self._learnt.rows(), index=index)

    # ---- likelihoods ----------------------------------------------------------------------------

    def log_prob(self, data: Any, *, offset: Any = None) -> Any:
        """The log-probability of each series of `data` under that series' own parameters, nats.

        Args:
            data: a panel; by name where it has names, else as many series as were fitted.
            offset: for processes with a trend or seasons, how many steps after the first known
                value of the data of `fit` each series begins, one for all or [N]; where their
                labels do not tell.

        Returns:
            A Series by name where `data` has names, else an array [N].
        """
        table, rows = self._learnt.matched(self._read(data, offset))
        values = self._learnt.likelihoods(table, rows)[0]
        if not table.named:
            return values
        import pandas as pd

        return pd.Series(values, index=pd.Index(table.names, name="series", tupleize_cols=False))

    def score(self, data: Any, y: None = None, *, offset: Any = None) -> float:
        """Mean log-probability per value in nats over all series, higher is better."""
        table, rows = self._learnt.matched(self._read(data, offset))
        values, counts = self._learnt.likelihoods(table, rows)
        return float(values.sum() / counts.sum())

    # ---- what follows ---------------------------------------------------------------------------

    def _history(self, history: Any, offset: Any = None) -> PanelData | None:
        return None if history is None else self._read(history, offset)

    def _ahead(
        self, known: PanelData | None, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None,
    ) -> pd.DataFrame:  # fmt: skip
        learnt = self._learnt
        ahead = learnt.every if self.errors == "keep" else learnt.forecast
        return ahead(known, horizon, levels, seed, future)

    def update(self, data: Any) -> Panel:
        """The same with values that came later: forecasts go on from there.

        What was learnt stays, and this panel stays what it is.

        Args:
            data: a panel of what came, of all series or some of them, by name. Labels tell at
                which steps: of what is known already the newer value counts, and steps between
                are missing values. Without labels they follow what is known, or are whole series
                if they begin with it.

        Raises:
            DataError: it is of series that were not fitted, has other labels, or is from before
                the data of `fit`.
        """
        later, learnt = self._read(data), self._learnt
        if not learnt.named:  # those of the user tell nothing
            later = replace(later, named=False)
        later = by_name(later, learnt.names, "data")
        require_values(later)
        return self._went_on(later)

    def sample(
        self,
        n: int = 1,
        length: int | None = None,
        prefix: Any = None,
        seed: int | torch.Generator | None = None,
        *,
        offset: Any = None,
    ) -> np.ndarray:
        """Draw n sequences from the law of every series.

        Args:
            n: how many for each series.
            length: how many values.
            prefix: what comes before them, a panel; they begin at the start without one.
            seed: an int or a `torch.Generator`; a series' draws depend on it and on the series'
                number, and on nothing else.
            offset: at which step each series of draws, or of the prefix, begins, as for
                `log_prob`.

        Returns:
            Draws [N, n, length], a row for each series of `prefix`, or of the panel.
        """
        if self._covariates:
            raise UnsupportedError(
                "a panel with covariates draws nothing by itself, as the covariates of the draws "
                "are not known; panel[name].sample(..., context=) takes them."
            )
        learnt = self._learnt
        rows = np.arange(len(learnt))
        placed: list[tuple[Any, int | None]]
        if prefix is not None:
            table, rows = learnt.matched(self._read(prefix, offset))
            placed = learnt.placed(table, rows)
        elif offset is not None:
            placed = [(None, step) for step in first_steps(offset, len(learnt)).tolist()]
        else:
            placed = [(None, None)] * len(learnt)
        base, draws = resolve_seed(seed), []
        for (before, step), i in zip(placed, rows.tolist(), strict=True):
            own = derived_seed(base, i)
            draws.append(learnt.fitted(i).sample(n, length, before, seed=own, offset=step))
        return np.stack(draws)

    def paths_of(self, table: PanelData, horizon: int, n: int, seed: int) -> np.ndarray:
        return self.sample(n, horizon, table, seed)

    def forget_covariances(self) -> None:
        """Drop the covariances of the estimates, which take most of the room where lags are many.

        Standard errors are nan then; forecasts and likelihoods stay as they are.
        """
        self.learnt_ = self._learnt.without_covariances()
