"""Vector autoregression against statsmodels: `python -m benchmarks vector`.

The exact likelihood and its maximum against VARMAX's state space, least squares and impulse
responses with their errors against statsmodels' VAR. Each call is made as the user makes it.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from arproc.models.autoregression.vector.var import VAR
from benchmarks.timing import REDUCED, side_by_side

COEF = [[[0.5, 0.1, 0.0], [0.0, 0.4, 0.2], [0.1, 0.0, 0.3]]]


def series(n: int, seed: int = 0) -> np.ndarray:
    """A draw of three components, order 1."""
    return VAR.from_parameters(COEF).sample(length=n, seed=seed)[0]


def state_space(x: np.ndarray, order: int) -> Any:
    """statsmodels' exact likelihood."""
    from statsmodels.tsa.statespace.varmax import VARMAX

    return VARMAX(x, order=(order, 0), trend="c")


def log_likelihood(n: int) -> None:
    """The exact log-likelihood of known parameters."""
    x = series(n)
    model, peer = VAR(1).fit(x), state_space(x, 1)
    root = np.linalg.cholesky(model.sigma_)[np.tril_indices(3)]
    theta = np.concatenate([model.intercept_, model.coef_[0].ravel(), root])
    ratio = side_by_side(
        lambda: model.log_prob(x), lambda: peer.loglike(theta), rounds=5, repeat_ours=10
    )
    gap = model.log_prob(x) / peer.loglike(theta) - 1
    print(f"exact log-likelihood, n = {n}, d = 3: {ratio} (relative difference {gap:.1e})")


def exact_fit(n: int) -> None:
    """Exact maximum likelihood with standard errors, two lags."""
    x = series(n)
    peer = state_space(x, 2)
    gain = VAR(2).fit(x).log_likelihood_ - peer.fit(disp=False).llf
    ratio = side_by_side(
        lambda: VAR(2).fit(x), lambda: peer.fit(disp=False), rounds=1, repeat_ours=5
    )
    print(f"exact ML, n = {n}, d = 3, p = 2: {ratio}; log-likelihood higher by {gain:.2g} nats")


def least_squares(n: int) -> None:
    """Least squares with standard errors, four lags."""
    from statsmodels.tsa.api import VAR as Peer

    x = series(n)
    ratio = side_by_side(
        lambda: VAR(4, method="ols", initial="given").fit(x).parameter_table(),
        lambda: Peer(x).fit(4).bse,
        repeat_ours=5,
        repeat_peer=5,
    )
    print(f"least squares, n = {n}, d = 3, p = 4: {ratio}")


def responses(n: int) -> None:
    """Orthogonal impulse responses over 20 steps with asymptotic errors."""
    from statsmodels.tsa.api import VAR as Peer

    x = series(n)
    ours, peer = VAR(4, method="ols", initial="given").fit(x), Peer(x).fit(4)
    ratio = side_by_side(
        lambda: ours.impulse_response(20, orthogonal=True),
        lambda: peer.irf(20).stderr(orth=True),
        rounds=3,
    )
    print(f"impulse responses with errors, 20 steps, d = 3, p = 4: {ratio}")


def main() -> None:
    """Print all of it."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log_likelihood(100 if REDUCED else 1_000)
        if not REDUCED:
            log_likelihood(20_000)
        exact_fit(60 if REDUCED else 500)
        least_squares(200 if REDUCED else 1_000)
        responses(200 if REDUCED else 1_000)
