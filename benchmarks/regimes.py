"""Markov-switching autoregression against statsmodels: `python -m benchmarks regimes`.

Every call is measured as the user makes it, standard errors included on our side; statsmodels
computes its own when they are asked for. The compiled code is loaded before the clock starts.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import torch

from arproc.models.regimes.switching import MarkovSwitchingAR
from benchmarks.timing import REDUCED, side_by_side

LENGTH, LONG = (150, 300) if REDUCED else (2_000, 20_000)
CHAIN = [[0.95, 0.05], [0.1, 0.9]]


def series(n: int, seed: int = 0) -> np.ndarray:
    """A draw of two regimes of order 1, about 0 and 3."""
    truth = MarkovSwitchingAR.from_parameters(CHAIN, [[0.3], [0.7]], mean=[0.0, 3.0])
    return truth.sample(1, length=n, prefix=[0.0], seed=seed)[0]


def reference(x: np.ndarray, order: int, **options: Any) -> Any:
    """statsmodels' model."""
    from statsmodels.tsa.regime_switching.markov_autoregression import MarkovAutoregression

    return MarkovAutoregression(x, k_regimes=2, order=order, **options)


def fit(order: int, rounds: int, **options: Any) -> None:
    """Maximum likelihood, two regimes: time and the likelihood that is reached."""
    x = series(LENGTH)
    ratio = side_by_side(
        lambda: MarkovSwitchingAR(order, **options).fit(x),
        lambda: reference(x, order, **options).fit(disp=False),
        rounds,
    )
    ours = MarkovSwitchingAR(order, **options).fit(x)
    theirs = reference(x, order, **options).fit(disp=False)
    print(f"fit of 2 regimes, order {order}, n = {LENGTH:,} {options or ''}: {ratio}")
    print(
        f"    log-likelihood {ours.log_likelihood_:.6f} and {theirs.llf:.6f} "
        f"(ours higher by {ours.log_likelihood_ - theirs.llf:.1e})"
    )


def likelihood() -> None:
    """The likelihood of a long series at given parameters."""
    x = series(LONG)
    model, peer = MarkovSwitchingAR(1).fit(x[:LENGTH]), reference(x, 1)
    theta = model.estimates_
    ratio = side_by_side(lambda: model.log_prob(x), lambda: peer.loglike(theta), rounds=7)
    print(f"log-likelihood, order 1, n = {LONG:,}: {ratio}")
    print(f"    relative difference {abs(model.log_prob(x) / peer.loglike(theta) - 1):.1e}")


def main() -> None:
    """All rows; about half a minute."""
    torch.set_num_threads(1)
    begin = time.perf_counter()
    MarkovSwitchingAR(1).fit(series(200))
    print(f"(loading and compiling: {time.perf_counter() - begin:.2f} s)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(1, rounds=9)
        fit(1, rounds=5, switching_variance=True)
        if not REDUCED:
            fit(4, rounds=3, switching_ar=False)
        likelihood()
