r"""Impulse responses of a vector autoregression and how sure they are.

:math:`\Psi_h` is the response after h steps to a unit innovation, :math:`\Psi_h P` (P lower
triangular, :math:`P P^\top = \Sigma`) to orthogonal innovations of one standard deviation each.
Their derivatives are closed: :math:`\partial \Psi_h / \partial A_i[a, b] = \sum_j \Psi_j e_a
e_b^\top \Psi_{h-i-j}` and :math:`dP = P \, \phi(P^{-1} d\Sigma \, P^{-\top})`, where :math:`\phi`
takes the lower triangle with half the diagonal.

References:
    Luetkepohl (2005), sections 2.3 and 3.7 (propositions 3.6). Sims, Zha (1999), Error bands for
    impulse responses, Econometrica 67.
"""

from __future__ import annotations

import numpy as np

from arproc.models.autoregression.vector.simulation import psi_weights

__all__ = ["decomposition", "effects", "jacobian"]


def effects(
    coef: np.ndarray, sigma: np.ndarray, horizon: int, orthogonal: bool, cumulative: bool
) -> np.ndarray:
    """Responses after 0 ... horizon steps, [horizon + 1, response, impulse]."""
    found = psi_weights(coef, horizon + 1)
    if orthogonal:
        found = found @ np.linalg.cholesky(sigma)
    return found.cumsum(axis=0) if cumulative else found


def jacobian(
    coef: np.ndarray, sigma: np.ndarray, horizon: int, orthogonal: bool, cumulative: bool
) -> np.ndarray:
    """Derivatives of `effects` [horizon + 1, d, d, k].

    k runs over the coefficients [d, p, d] (equation, lag, component), then the lower triangle of
    sigma.
    """
    p, d = coef.shape[:2]
    lower = np.tril_indices(d)
    psi = psi_weights(coef, horizon + 1)
    pairs = np.zeros((horizon + 1, d, d, d, d))  # [k, r, a, b, c]: sum_j Psi_j[r, a] Psi_k-j[b, c]
    for k in range(horizon + 1):
        pairs[k] = np.einsum("jra,jbc->rabc", psi[: k + 1], psi[k::-1])
    table = np.zeros((horizon + 1, d, d, d, p, d))  # [h, r, c, a, i, b]
    for i in range(1, p + 1):
        shifted = pairs[: max(horizon + 1 - i, 0)].transpose(0, 1, 4, 2, 3)
        table[i:, :, :, :, i - 1, :] = shifted
    flat = table.reshape(horizon + 1, d, d, d * p * d)
    by_sigma = np.zeros((horizon + 1, d, d, len(lower[0])))
    if orthogonal:
        root = np.linalg.cholesky(sigma)
        flat = np.einsum("hrck,cs->hrsk", flat, root)
        inverse = np.linalg.inv(root)
        for j, (a, b) in enumerate(zip(*lower, strict=True)):
            change = np.zeros((d, d))
            change[a, b] = change[b, a] = 1.0
            inner = np.tril(inverse @ change @ inverse.T)
            inner[np.diag_indices(d)] /= 2
            by_sigma[..., j] = psi @ (root @ inner)
    found = np.concatenate([flat, by_sigma], axis=-1)
    return found.cumsum(axis=0) if cumulative else found


def decomposition(coef: np.ndarray, sigma: np.ndarray, horizon: int) -> np.ndarray:
    """Shares of each orthogonal innovation in the forecast error variance: [horizon, d, d].

    Entry [h - 1, a, b] is component b's share in the variance of component a's error h steps
    ahead; rows sum to one.
    """
    squares = (effects(coef, sigma, horizon - 1, True, False) ** 2).cumsum(axis=0)
    return squares / squares.sum(axis=2, keepdims=True)
