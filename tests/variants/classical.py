"""Variants of the models of real series, of counts and of transformed values."""

from collections.abc import Callable
from typing import Any

import numpy as np

import arproc
from arproc import (
    AR,
    ARIMA,
    VAR,
    BayesianAR,
    Mixture,
    Transformed,
)
from arproc.sampling import Temperature
from arproc.transforms import BoxCox, Difference, Log, Standardize

from .makers import (
    PUSH,
    REGRESSORS,
    RETURNS,
    TEXT,
    ar,
    counts,
    digits,
    first_values,
    gappy_vectors,
    gaps,
    jumps,
    positive_context,
    regressed,
    returns,
    series,
    var,
    vector_regressed,
)

CLASSICAL: dict[str, tuple[Callable[[], arproc.Process], dict[str, Any]]] = {
    "AR(0)": (lambda: ar(0), {}),
    "AR(1) by least squares": (lambda: ar(1, method="ols"), {}),
    "AR(2)": (lambda: ar(2), {}),
    "AR(2) fitted with gaps": (
        lambda: AR(2).fit(np.where(np.arange(120) % 9, series(), np.nan)), {}
    ),
    "AR(2) with data": (lambda: ar(2), {"data": series(40, seed=3)}),
    "AR(3) with a line, by Yule-Walker": (lambda: ar(3, trend="ct", method="yule-walker"), {}),
    "AR(2) without a mean, given": (lambda: ar(2, trend="n", initial="given"), {}),
    "AR(2) from a law of its own": (lambda: ar(2, initial=first_values(2)), {}),
    "AR with a unit root": (lambda: AR.from_parameters([1.5, -0.5], initial="given"), {}),
    "AR of lags 1 and 4": (lambda: ar([1, 4], method="ols"), {}),
    "AR of lags 2 and 5, exact": (lambda: ar([2, 5]), {}),
    "AR of many lags, shrunk": (
        lambda: ar(8, method="ols", initial="given", ridge="marginal"), {}
    ),
    "AR about a parabola": (lambda: ar(2, trend="ctt"), {}),
    "AR with seasons": (lambda: ar(1, seasonal=4), {}),
    "AR with seasons and no constant, given": (
        lambda: ar(2, trend="n", seasonal=3, initial="given"), {}
    ),
    "AR with Fourier terms": (lambda: ar(1, trend="ct", fourier={6: 3, 7.5: 1}), {}),
    "AR about a regression": (lambda: regressed("mean"), REGRESSORS),
    "AR about a regression, given": (
        lambda: regressed("mean", trend="ct", method="ols", initial="given"), REGRESSORS
    ),
    "AR driven by regressors": (
        lambda: regressed("recursion", initial="given", seasonal=3), REGRESSORS
    ),
    "Bayesian AR(2)": (lambda: BayesianAR(2).fit(series()), {}),
    "Bayesian AR, orders averaged": (lambda: BayesianAR(range(4), "ct").fit(series()), {}),
    "Bayesian AR of a few values": (
        lambda: BayesianAR((0, 1), "n", shape=3.0).fit(series(8)), {"data": series(40, seed=3)}
    ),
    "VAR(0)": (lambda: var(0), {}),
    "VAR(2)": (lambda: var(2), {}),
    "VAR(2) with a line": (lambda: var(2, trend="ct"), {}),
    "VAR(2) of data with gaps": (lambda: arproc.VAR(2).fit(gappy_vectors()), {}),
    "VAR about a regression, of data with gaps": (
        lambda: vector_regressed("mean", trend="ct", gaps=True), REGRESSORS
    ),
    "VAR about a regression, given": (
        lambda: vector_regressed("mean", initial="given"), REGRESSORS
    ),
    "VAR driven by regressors": (
        lambda: vector_regressed("recursion", trend="ct", initial="given"), REGRESSORS
    ),
    "VAR(1) by least squares, given": (
        lambda: var(1, trend="n", method="ols", initial="given"), {}
    ),
    "VAR(1) from a law of its own": (lambda: var(1, initial=first_values(2)), {}),
    "VAR(2), shrunk": (lambda: var(2, shrinkage="minnesota", cross=0.5), {}),
    "VAR with unit roots": (lambda: VAR.from_parameters([np.eye(3)], initial="given"), {}),
    "VAR after a prefix": (lambda: var(2).condition([[0.5, -1.0], [2.0, 0.0]]), {}),
    "ARMA(1, 1)": (lambda: ARIMA((1, 0, 1)).fit(series()), {}),
    "ARIMA(1, 1, 1)": (
        lambda: ARIMA((1, 1, 1)).fit(series().cumsum()), {"data": series(60, seed=3).cumsum()}
    ),
    "ARIMA of data with gaps": (
        lambda: ARIMA((1, 1, 1)).fit(gaps(series().cumsum())), {"data": series(60).cumsum()}
    ),
    "seasonal ARIMA": (
        lambda: ARIMA((0, 1, 1), (1, 1, 1, 4)).fit(series().cumsum()), {"data": series(60)}
    ),
    "ARIMA about a regression": (
        lambda: ARIMA((1, 0, 1), trend="ct", regressors="mean").fit(series(), context=PUSH),
        REGRESSORS,
    ),
    "ARIMA with seasons and waves": (
        lambda: ARIMA((0, 1, 1), seasonal=3, fourier={7.5: 1}).fit(gaps(series().cumsum())),
        {"data": series(60).cumsum()},
    ),
    "integrated ARIMA with regressors": (
        lambda: ARIMA((0, 1, 2), regressors="mean").fit(series().cumsum(), context=PUSH),
        REGRESSORS,
    ),
    "AR with Student-t innovations": (lambda: returns("student_t", "constant"), RETURNS),
    "AR with Laplace innovations": (lambda: returns("laplace", "constant", order=2), {}),
    "AR with innovations of a mixture": (lambda: returns("mixture", "constant"), RETURNS),
    "AR-ARCH": (lambda: returns("normal", "arch", volatility_order=(2, 0, 0)), RETURNS),
    "AR-GARCH": (lambda: returns("normal", "garch"), RETURNS),
    "AR-GARCH with Student-t innovations": (lambda: returns("student_t", "garch"), RETURNS),
    "GJR with Laplace innovations": (lambda: returns("laplace", "gjr", order=0), {}),
    "AR-GJR with innovations of a mixture, about a line": (
        lambda: returns("mixture", "gjr", trend="ct"), RETURNS
    ),
    "Markov-switching AR(1)": (lambda: arproc.MarkovSwitchingAR(1).fit(jumps()), {}),
    "Markov-switching AR(2) about lines": (
        lambda: arproc.MarkovSwitchingAR(2, trend="ct", switching_variance=True).fit(jumps()), {}
    ),
    "Markov-switching intercepts": (
        lambda: arproc.MarkovSwitchingAR(2, 3, switching_ar=False, form="intercept").fit(
            jumps()
        ),
        {},
    ),
    "Markov-switching variance": (
        lambda: arproc.MarkovSwitchingAR(0, trend="n", switching_variance=True).fit(jumps()), {}
    ),
    "Markov-switching normals, of data with gaps": (
        lambda: arproc.MarkovSwitchingAR(0).fit(gaps(jumps())), {}
    ),
    "SETAR": (lambda: arproc.SETAR(2).fit(jumps()), {}),
    "SETAR of three regimes about lines": (
        lambda: arproc.SETAR((1, 2, 0), 3, delay=3, trend="ct").fit(jumps()), {}
    ),
    "BetaAR": (lambda: arproc.BetaAR(2).fit(1 / (1 + np.exp(-series() / 3))), {}),
    "CountAR": (lambda: arproc.CountAR().fit(counts()), {}),
    "CountAR, log-linear": (lambda: arproc.CountAR((2, 1), link="log").fit(counts()), {}),
    "CountAR, negative binomial": (
        lambda: arproc.CountAR.from_parameters(1.0, [0.4, 0.1], [0.2], dispersion=0.5), {}
    ),
    "CountAR, given": (
        lambda: arproc.CountAR((2, 1), initial="given", family="negative_binomial").fit(counts()),
        {},
    ),
    "CountAR with regressors": (
        lambda: arproc.CountAR((1, 1), link="log", regressors="recursion").fit(
            counts(), context=positive_context(1)
        ),
        {"context": positive_context()},
    ),
    "LogisticAR": (lambda: arproc.LogisticAR(2).fit(digits(symbols=2)), {}),
    "LogisticAR, given": (lambda: arproc.LogisticAR(3, initial="given").fit(digits()), {}),
    "LogisticAR of characters": (
        lambda: arproc.LogisticAR(2, symbols="char", ridge=1.0).fit("".join(TEXT)), {}
    ),
    "Mixture of AR": (lambda: Mixture([ar(1), ar(3)]).fit(series(60, seed=5)), {}),
    "AR of logarithms": (lambda: Transformed(AR(1), Log()).fit(np.exp(series())), {}),
    "AR of standardised values": (
        lambda: Transformed(AR(2), Standardize()).fit(5 + 3 * series()), {}
    ),
    "AR of differences": (lambda: Transformed(AR(1), Difference()).fit(series().cumsum()), {}),
    "AR of seasonal differences": (
        lambda: Transformed(AR(1), Difference(3)).fit(series().cumsum()), {"data": series(30)}
    ),
    "AR of logarithms of counts and one": (
        lambda: Transformed(AR(1), Log(shift=1.0)).fit(np.exp(series()) - 0.9), {}
    ),
    "AR(2) of logarithms with gaps": (
        lambda: Transformed(AR(2), Log()).fit(np.exp(series())), {"data": np.exp(series(40))}
    ),
    "ARIMA of logarithms": (
        lambda: Transformed(ARIMA((1, 1, 1)), Log()).fit(np.exp(series().cumsum() / 9)),
        {"data": np.exp(series(40) / 2)},
    ),
    "BayesianAR of Box-Cox values": (
        lambda: Transformed(BayesianAR(1), BoxCox(0.4)).fit(np.exp(series())),
        {"data": np.exp(series(40))},
    ),
    "AR of roots, cut": (lambda: Transformed(AR(1), BoxCox(0.5)).fit(np.exp(series())), {}),
    "AR of reciprocals, cut": (
        lambda: Transformed(AR(1), BoxCox(-1.0)).fit(2 + np.exp(series() / 4)), {}
    ),
    "AR under a fitted Box-Cox transform": (
        lambda: Transformed(AR(2), BoxCox()).fit((8 + series()) ** 3), {}
    ),
    "AR of seasonal differences of differences of logarithms": (
        lambda: Transformed(AR(1), Log() | Difference() | Difference(3)).fit(
            np.exp(series().cumsum() / 9)), {"data": np.exp(series(30))}
    ),
    "AR of differences of Box-Cox values": (
        lambda: Transformed(AR(1), BoxCox(0.3) | Difference()).fit(np.exp(series())),
        {"data": np.exp(series(30))},
    ),
    "Mixture of transformed": (
        lambda: Mixture([ar(1), Transformed(AR(2), Standardize()).fit(series())]).fit(series(50)),
        {},
    ),
    "AR after a prefix": (lambda: ar(2).condition([0.5, -1.0, 2.0]), {}),
    "AR at a temperature": (lambda: ar(2).with_policy(Temperature(0.5)), {}),
}  # fmt: skip
