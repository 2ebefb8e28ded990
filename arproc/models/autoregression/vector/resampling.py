"""Draws of a vector autoregression's parameters: from their normal law, and by the bootstrap."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import gammaincinv, ndtri

from arproc.contract.randomness import Uniforms
from arproc.errors import DataError
from arproc.models.autoregression.vector.regression import N_COLUMNS

__all__ = ["bootstrap", "normal_draws"]

_BLOCK = 2**22  # numbers that the resampled series of one block hold


def normal_draws(
    coef: np.ndarray,
    covariance: np.ndarray,
    sigma: np.ndarray,
    used: int,
    draws: int,
    seed: int | torch.Generator | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients from their asymptotic normal law and sigma from Wishart's.

    Args:
        coef: the estimate, [p, d, d].
        covariance: of the coefficients by (equation, lag, component), `[d p d] * 2`.
        sigma: the innovations' covariance [d, d]; the draws are sigma^1/2 W / n sigma^1/2', which
            has the asymptotic law of the estimate and is a covariance.
        used: how many elements were predicted.
        draws: how many.
        seed: an int or a `torch.Generator`.

    Returns:
        Coefficients [draws, p, d, d] and covariances [draws, d, d].
    """
    p, d = coef.shape[:2]
    k, lower = d * p * d, np.tril_indices(d)
    uniforms = Uniforms(seed, "bootstrap").block(np.arange(draws), 0, 1, (k + len(lower[0]),))
    u = uniforms.numpy()[:, 0]
    center = coef.transpose(1, 0, 2).reshape(k)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(values.clip(min=0))
    moved = (center + ndtri(u[:, :k]) @ root.T).reshape(draws, d, p, d).transpose(0, 2, 1, 3)
    # Bartlett's decomposition: the Cholesky factor of a Wishart matrix
    factor = np.zeros((draws, d, d))
    factor[:, *lower] = ndtri(u[:, k:])
    freedom = used - np.arange(d)
    at = [int(i) for i in np.flatnonzero(lower[0] == lower[1])]
    for a, j in enumerate(at):
        factor[:, a, a] = np.sqrt(2 * gammaincinv(freedom[a] / 2, u[:, k + j]))
    factor = np.linalg.cholesky(sigma) @ factor / np.sqrt(used)
    return moved, factor @ factor.mT


def bootstrap(
    sequences: list[np.ndarray],
    coef: np.ndarray,
    lines: list[np.ndarray],
    regressors: list[np.ndarray],
    trend: str,
    draws: int,
    seed: int | torch.Generator | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Estimates by least squares from series made of resampled residuals.

    Every series begins with the data's own first p elements and runs the recursion with residuals
    drawn with replacement from all of them (centred).

    Args:
        sequences: the data, each [T, d] with T > p.
        coef: the recursion's coefficients [p, d, d].
        lines: what it adds to the lags at each element, [T, d] for each sequence.
        regressors: the columns that it is fitted with beside the trend, [T, c] each.
        trend: "n", "c" or "ct".
        draws: how many.
        seed: an int or a `torch.Generator`.

    Returns:
        Coefficients [draws, p, d, d] and covariances [draws, d, d].
    """
    p, d = coef.shape[:2]
    kept = [i for i, x in enumerate(sequences) if len(x) > p]
    if not kept:
        raise DataError(f"data are too short: expected a sequence longer than the order {p}.")
    sequences, lines, regressors = (
        [part[i] for i in kept] for part in (sequences, lines, regressors)
    )
    size = np.concatenate(sequences).std(axis=0)
    coef = coef * (size / size[:, None])
    scaled = [x / size for x in sequences]
    lines = [line / size for line in lines]
    spread = np.concatenate(regressors).std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)  # of a constant
    columns = [u / spread for u in regressors]
    lags = coef.transpose(1, 0, 2).reshape(d, p * d)
    rest = [x[p:] - line[p:] - _lagged(x[None], p)[0] @ lags.T
            for x, line in zip(scaled, lines, strict=True)]  # fmt: skip
    pool = np.concatenate(rest)
    pool = pool - (pool.mean(axis=0) if trend != "n" else 0.0)
    uniforms = Uniforms(seed, "bootstrap")
    step = max(1, _BLOCK // (len(pool) * (d * (p + 1) + 2)))
    parts = [
        _refit(
            (scaled, lines, columns),
            lags,
            pool,
            trend,
            uniforms,
            np.arange(i, min(i + step, draws)),
        )
        for i in range(0, draws, step)
    ]
    moved = np.concatenate([part[0] for part in parts]) * (size[:, None] / size)
    return moved, np.concatenate([part[1] for part in parts]) * np.outer(size, size)


def _lagged(x: np.ndarray, p: int) -> np.ndarray:
    """The p elements before each from element p on, lag 1 first: [N, T, d] to [N, T - p, p d]."""
    n, length = x.shape[:2]
    parts = [x[:, p - i : length - i] for i in range(1, p + 1)]
    return np.concatenate(parts, axis=2) if parts else np.zeros((n, length, 0))


def _refit(
    series: tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]],
    lags: np.ndarray,
    pool: np.ndarray,
    trend: str,
    uniforms: Uniforms,
    rows: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    d = len(lags)
    p = lags.shape[1] // d
    q = N_COLUMNS[trend] + series[2][0].shape[1]
    u = uniforms.block(rows, 0, len(pool)).numpy()
    chosen = pool[np.minimum((u * len(pool)).astype(np.int64), len(pool) - 1)]
    width = q + p * d + d
    gram, at = np.zeros((len(rows), width, width)), 0
    backwards = lags.reshape(d, p, d)[:, ::-1].reshape(d, p * d).T
    for x, line, columns in zip(*series, strict=True):
        steps = len(x) - p
        y = np.empty((len(rows), len(x), d))
        y[:, :p] = x[:p]
        y[:, p:] = chosen[:, at : at + steps] + line[p:]
        at += steps
        for t in range(p, len(x)):
            y[:, t] += y[:, t - p : t].reshape(len(rows), p * d) @ backwards
        time = np.stack([np.ones(steps), np.arange(p, len(x)) / len(x)], axis=1)
        time = np.hstack([time[:, : N_COLUMNS[trend]], columns[p:]])
        table = np.concatenate(
            [np.broadcast_to(time, (len(rows), *time.shape)), _lagged(y, p), y[:, p:]], axis=2
        )
        gram += table.mT @ table
    k = width - d
    theta = np.linalg.solve(gram[:, :k, :k], gram[:, :k, k:]) if k else np.zeros((len(rows), 0, d))
    sigma = (gram[:, k:, k:] - theta.mT @ gram[:, :k, k:]) / len(pool)
    moved = theta[:, q:].reshape(len(rows), p, d, d).transpose(0, 1, 3, 2)
    return moved, (sigma + sigma.mT) / 2
