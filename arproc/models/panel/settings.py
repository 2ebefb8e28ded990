"""Which processes of a panel are fitted to all series at once, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.gaussian.terms import TRENDS
from arproc.models.panel.estimates import Estimates
from arproc.process.fit import Fit

if TYPE_CHECKING:
    from arproc.models.transformed.elementwise import Log
    from arproc.process import Process

__all__ = ["MOMENTS", "Settings", "settings_of"]

#: The methods that take what they estimate from autocovariances, or from errors both ways.
MOMENTS = ("yule-walker", "yule-walker-adjusted", "burg")


@dataclass(frozen=True)
class Settings:
    """An autoregression that is fitted to all series at once.

    Attributes:
        process: what the user gave.
        one: the autoregression of the values, or of their logarithms.
        log: the logarithm, if these are modelled.
        lags: the lags, increasing int64 [k].
        method: "ols", "mle", or one of `MOMENTS`.
    """

    process: Process
    one: Any
    log: Log | None
    lags: np.ndarray
    method: str

    @property
    def order(self) -> int:
        """The largest lag."""
        return int(self.lags.max(initial=0))

    @property
    def trend(self) -> str:
        """The trend: "n", "c" or "ct"."""
        return str(self.one.trend)

    @property
    def stationary(self) -> bool:
        """Whether the first values have their stationary law; they are given otherwise."""
        return bool(self.one.initial == "stationary")

    @property
    def n_columns(self) -> int:
        """How many terms the mean has."""
        return TRENDS[self.trend]

    @property
    def width(self) -> bool:
        """Whether there are covariates."""
        return self.one.regressors is not None

    @property
    def in_mean(self) -> bool:
        """Whether these are of the mean; they are of the recursion otherwise."""
        return bool(self.one.regressors != "recursion")

    @property
    def line_names(self) -> list[str]:
        """What the estimated terms are called: those of the recursion, or of the mean."""
        names = ["intercept", "drift"] if self.method == "ols" else ["mean", "slope"]
        return names[: self.n_columns]

    def process_of(self, found: Estimates, i: int, covariates: Sequence[str]) -> Process:
        """Series i's own process, fitted."""
        from arproc.models.autoregression.ar import fitted
        from arproc.models.autoregression.estimation import Estimate
        from arproc.models.transformed.process import Transformed, TransformedLaw

        q = self.n_columns
        line, noise = found.parameters[i, :2], float(found.parameters[i, -1])
        coef = np.zeros(self.order)
        coef[self.lags - 1] = found.parameters[i, 2:-1]
        beta = found.beta[i]
        size = len(self.lags) + q + len(beta) + 1
        kept = len(found.covariance) > 0  # see `Panel.forget_covariances`
        covariance = found.covariance[i].copy() if kept else np.full((size, size), np.nan)
        named = line if self.method == "ols" else found.mean[i]
        estimate = Estimate(
            coef,
            np.concatenate([found.mean[i, :q], beta]),
            line[:q].copy() if self.in_mean else np.concatenate([line[:q], beta]),
            noise,
            int(found.used[i]),
            [*self.line_names, *covariates, *[f"ar.L{lag}" for lag in self.lags], "sigma2"],
            np.concatenate([named[:q], beta, found.parameters[i, 2:-1], [noise]]),
            covariance,
            float(found.strength[i]),
            float(found.effective[i]),
        )
        one = fitted(self.one, estimate, float(found.log_likelihood[i]), int(found.used[i]))
        if self.log is None:
            return one
        law = TransformedLaw(one.law_, self.log.clone())
        parameters = self.process.get_params(deep=False)
        return Transformed.of(law, Fit(notes={"process": one}), **parameters)


def settings_of(process: Process) -> Settings | None:
    """How the process is fitted to all series at once; None where it is not.

    Example:
        >>> import arproc
        >>> settings_of(arproc.AR([1, 7], method="ols")).method
        'ols'
        >>> settings_of(arproc.AR(1, regressors="mean")).in_mean
        True
        >>> settings_of(arproc.AR(1, seasonal=12)) is None
        True
    """
    from arproc.models.autoregression.ar import AR, as_lags
    from arproc.models.transformed.elementwise import Log
    from arproc.models.transformed.process import Transformed

    one: Any = process
    log = None
    if type(one) is Transformed and type(one.transform) is Log:
        one, log = one.process, one.transform
    if type(one) is not AR or not isinstance(one.initial, str):
        return None
    one.check_parameters()
    lags = as_lags(one.order)
    conditional = one.method in ("mle", "conditional-mle") and one.initial == "given"
    method = "ols" if conditional else str(one.method)
    if one.seasonal is not None or one.fourier is not None:
        return None
    if one.regressors is not None and (
        one.ridge or (one.regressors == "mean") != (method == "mle" and one.initial != "given")
    ):
        return None
    if one.trend not in ("n", "c", "ct") or one.ridge == "oos":
        return None
    whole = len(lags) == lags.max(initial=0)
    if method == "mle" and not whole:
        return None
    return Settings(process, one, log, lags, method)
