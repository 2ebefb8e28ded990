"""ARGARCH against arch, and ARIMA against statsmodels: `python -m benchmarks volatility`.

Every call is measured as the user makes it, standard errors included; compiled loops are warm.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from arproc import ARGARCH, ARIMA
from benchmarks.timing import REDUCED, side_by_side


def returns(n: int) -> np.ndarray:
    """A draw of an AR(1)-GARCH(1, 1) with Student-t innovations."""
    true = ARGARCH.from_parameters(
        [0.2], 0.1, omega=0.1, alpha=[0.08], beta=[0.88], innovations="student_t", nu=6.0
    )
    return true.sample(1, n, prefix=[0.0], seed=1)[0]


def garch(n: int, rounds: int) -> None:
    """AR(1)-GARCH(1, 1) with Student-t innovations, by joint maximum likelihood."""
    from arch.univariate import ARX, GARCH, StudentsT

    x = returns(n)

    def peer() -> Any:
        model = ARX(x, lags=1, volatility=GARCH(1, 0, 1), distribution=StudentsT(), rescale=False)
        found = model.fit(disp="off")
        return found, found.std_err

    ratio = side_by_side(lambda: ARGARCH(1, "student_t").fit(x), peer, rounds)
    ours, theirs = ARGARCH(1, "student_t").fit(x).log_likelihood_, peer()[0].loglikelihood
    print(f"fit of AR(1)-GARCH(1, 1)-t, n = {n:,}, peer arch: {ratio}")
    print(f"    log-likelihoods {ours:.6f} and {theirs:.6f}")


def arima(n: int, rounds: int) -> None:
    """ARIMA(1, 1, 1) by exact maximum likelihood."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    x = returns(n).cumsum()

    def peer() -> Any:
        return SARIMAX(x, order=(1, 1, 1), use_exact_diffuse=True).fit(disp=0)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ratio = side_by_side(lambda: ARIMA((1, 1, 1)).fit(x), peer, rounds)
        model = ARIMA((1, 1, 1)).fit(x)
        theirs = float(peer().llf_obs[1:].sum())
    print(f"fit of ARIMA(1, 1, 1), n = {n:,}, peer statsmodels: {ratio}")
    print(f"    log-likelihoods {model.log_likelihood_:.6f} and {theirs:.6f}")


def main() -> None:
    n = 300 if REDUCED else 2_000
    garch(n, 15)
    if not REDUCED:
        garch(20_000, 7)
    arima(n, 7)
