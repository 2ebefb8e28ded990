"""AR against statsmodels: `python -m benchmarks ar`.

Every call is measured as the user makes it. numba's loop is compiled before the clock starts, and
the time of that is printed apart.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import torch

from arproc.contract.randomness import Uniforms
from arproc.contract.state import State
from arproc.gaussian.levinson import pacf_to_coef
from arproc.models.autoregression.ar import AR
from arproc.models.autoregression.selection import select_order
from arproc.warming import warm_up
from benchmarks.timing import REDUCED, side_by_side

LONG, PATH = (2_000, 2_000) if REDUCED else (100_000, 1_000_000)
PACF = np.array([0.7, -0.4, 0.2, -0.1, 0.15])


def series(n: int) -> np.ndarray:
    """A draw of an AR(5) about 3."""
    return AR.from_parameters(pacf_to_coef(PACF), mean=3.0).sample(1, length=n, seed=0)[0]


def reference(x: np.ndarray) -> Any:
    """statsmodels' state-space model of order 5."""
    from statsmodels.tsa.arima.model import ARIMA

    return ARIMA(x, order=(5, 0, 0))


def likelihood() -> None:
    """The exact log-likelihood of one long series."""
    x = series(LONG)
    model, peer = AR(5).fit(x), reference(x)
    parameters = np.r_[model.mean_, model.coef_, model.sigma2_]
    ratio = side_by_side(
        lambda: model.log_prob(x), lambda: peer.loglike(parameters), rounds=15, repeat_ours=10
    )
    ours, theirs = model.log_prob(x), peer.loglike(parameters)
    print(f"exact log-likelihood, n = {LONG:,}, p = 5: {ratio}")
    print(f"    {ours:.6f} and {theirs:.6f}: relative difference {abs(ours / theirs - 1):.1e}")


def fit(n: int, rounds: int, repeat: int) -> None:
    """Exact maximum likelihood, statsmodels with its standard errors and without."""
    x = series(n)
    for label, options in (("", {}), ("; peer without standard errors", {"cov_type": "none"})):
        ratio = side_by_side(
            lambda: AR(5).fit(x),
            lambda options=options: reference(x).fit(**options),
            rounds,
            repeat_ours=repeat,
        )
        print(f"exact ML fit, n = {n:,}, p = 5{label}: {ratio}")
    ours, theirs = AR(5).fit(x), reference(x).fit(cov_type="none")
    print(
        f"    log-likelihood {ours.log_likelihood_:.6f} and {theirs.llf:.6f} (ours higher by "
        f"{ours.log_likelihood_ - theirs.llf:.1e}); coefficients within "
        f"{np.abs(ours.coef_ - theirs.arparams).max():.1e}"
    )


def selection() -> None:
    """The order by AIC."""
    from statsmodels.tsa.ar_model import ar_select_order

    x = series(2000)
    warm_up(["select_order", "select_order by least squares"])
    for method in ("ols", "mle"):
        ratio = side_by_side(
            lambda method=method: select_order(x, 20, method=method),
            lambda: ar_select_order(x, 20, ic="aic"),
            repeat_ours=10,
        )
        print(f"order 0 to 20 by AIC, n = 2,000 (ours {method}, peer least squares): {ratio}")


def sampling() -> None:
    """A million values in one path."""
    from statsmodels.tsa.arima_process import arma_generate_sample

    n = PATH
    model = AR(5).fit(series(1000))
    state, uniforms = model.start(1), Uniforms(1).block([0], 0, n)
    begin = time.perf_counter()
    x, _ = state.advance(uniforms)
    print(f"    (loading and compiling the loop: {time.perf_counter() - begin:.2f} s)")
    polynomial = np.r_[1.0, -model.coef_]
    ratio = side_by_side(
        lambda: state.advance(uniforms), lambda: arma_generate_sample(polynomial, [1.0], n)
    )
    print(f"{n:,} values from given uniforms, p = 5: {ratio}")
    ratio = side_by_side(
        lambda: model.sample(1, length=n, seed=1),
        lambda: arma_generate_sample(polynomial, [1.0], n),
    )
    print(f"{n:,} values by sample(), uniforms included: {ratio}")
    paths, long = (2, 100) if REDUCED else (1_000, 1_000)
    simulator = reference(series(200))
    parameters = np.r_[model.mean_, model.coef_, model.sigma2_]

    def simulate() -> None:
        for _ in range(paths // 50 or 1):
            simulator.simulate(parameters, long)

    ratio = side_by_side(lambda: model.sample(paths, length=long, seed=1), simulate, rounds=5)
    share = paths / (paths // 50 or 1)
    print(
        f"{paths:,} paths of {long:,}; ARIMA.simulate (a fiftieth of them, scaled): "
        f"{ratio.median * share:.0f} times as fast"
    )
    begin = time.perf_counter()
    generic, _ = State.advance(state, uniforms[:, :2000])
    seconds = (time.perf_counter() - begin) / 2000 * n
    off = float((generic - x[:, :2000]).abs().max())
    print(f"    element by element: {seconds:.0f} s for as many; the same values to {off:.0e}")


def main() -> None:
    """All rows; about a minute and a half on two cores."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        likelihood()
        fit(1000, rounds=15, repeat=5)
        fit(LONG, rounds=3, repeat=5)
        selection()
        sampling()
