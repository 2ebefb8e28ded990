"""Maximum likelihood of logistic autoregressions by Newton's method on distinct contexts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from arproc.errors import DataError

__all__ = ["LogisticFit", "Contexts", "fit"]

_SEPARATED = 18.0  # a fitted log-odds that no finite maximum reaches where a symbol was seen


@dataclass(frozen=True)
class Contexts:
    """How often each symbol followed each distinct context.

    Attributes:
        codes: the contexts, lag 1 first, symbols 0 ... k - 1 and k for what is before the
            sequence, int64 [u, p].
        counts: [u, k].
        frequencies: what stands for a missing symbol, [k].
    """

    codes: np.ndarray
    counts: np.ndarray
    frequencies: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, offsets: np.ndarray, k: int, p: int, skip: int) -> Contexts:
        """The contexts of sequences that stand one after the other, int64 [total]."""
        starts = np.repeat(offsets[:-1], np.diff(offsets))
        times = np.arange(len(values)) - starts
        at = np.flatnonzero(times >= skip)
        lags = np.arange(1, p + 1)
        inside = times[at, None] >= lags
        codes = np.where(inside, values[np.maximum(at[:, None] - lags, 0)], k)
        if p:
            distinct, number = np.unique(codes, axis=0, return_inverse=True)
        else:
            distinct, number = np.zeros((1, 0), dtype=int), np.zeros(len(at), dtype=int)
        cells = number.reshape(-1) * k + values[at]
        counts = np.bincount(cells, minlength=len(distinct) * k).reshape(-1, k)
        frequencies = np.bincount(values, minlength=k) / max(len(values), 1)
        return cls(distinct, counts.astype(float), frequencies)

    def features(self, full: bool) -> np.ndarray:
        """A constant and the one-hot lags (without symbol 0 unless `full`), [u, 1 + p (k - 1)]."""
        k = len(self.frequencies)
        hot = np.vstack([np.eye(k), self.frequencies])[:, 0 if full else 1 :]
        rows = hot[self.codes].reshape(len(self.codes), -1)
        return np.hstack([np.ones((len(rows), 1)), rows])


class LogisticFit(NamedTuple):
    """Weights against symbol 0 [k - 1, 1 + p (k - 1)], their covariance, and what they cost."""

    weights: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    n_effective: float


def fit(table: Contexts, ridge: float) -> LogisticFit:
    """The maximum of the likelihood, less ridge / 2 times the sum of the squared weights.

    Without a ridge symbol 0 is the reference in contexts and outcomes; with one every symbol has
    its weight in both, so that the shrinkage prefers none, and constants are not shrunk.

    Args:
        table: the data.
        ridge: the strength, 0 or more.
    """
    if ridge:
        return _shrunk(table, ridge)
    k = len(table.frequencies)
    if (table.counts.sum(axis=0) == 0).any():
        missing = int(np.argmax(table.counts.sum(axis=0) == 0))
        raise DataError(
            f"symbol {missing} is never to be predicted in data, so its maximum-likelihood "
            "estimates are infinite. Pass ridge=1.0 (or another positive number)."
        )
    x = table.features(full=False)
    weight = np.sqrt(table.counts.sum(axis=1))[:, None]
    if np.linalg.matrix_rank(x * weight) < x.shape[1]:
        raise DataError(
            "the lags in data are collinear (a symbol that is never at a lag, or always after "
            "another), so the estimates are not determined. Pass ridge=1.0 (or another positive "
            "number), or lower order."
        )
    theta = np.zeros((k - 1, x.shape[1]))
    penalty = np.zeros(theta.size)
    theta, information, _ = _newton(x, table.counts, theta, penalty, reference=True)
    scores = np.hstack([np.zeros((len(x), 1)), x @ theta.T])
    if np.ptp(scores, axis=1).max(initial=0.0) > _SEPARATED:
        raise DataError(
            "the data are separated: after some contexts a symbol always, or never, follows, so "
            "maximum-likelihood estimates are infinite. Pass ridge=1.0 (or another positive "
            "number)."
        )
    value = _value(table.counts, scores)
    return LogisticFit(theta, np.linalg.inv(information), value, float(theta.size))


def _shrunk(table: Contexts, ridge: float) -> LogisticFit:
    k, p = len(table.frequencies), table.codes.shape[1]
    x = table.features(full=True)
    theta = np.zeros((k, x.shape[1]))
    penalty = np.full(theta.shape, ridge)
    penalty[:, 0] = 0.0
    theta, information, _ = _newton(x, table.counts, theta, penalty.reshape(-1), reference=False)
    # from weights for all symbols to those against symbol 0, in outcomes and in contexts
    inner = np.zeros((1 + p * (k - 1), 1 + p * k))
    inner[0] = np.append(1.0, np.tile(np.eye(k)[0], p))
    for i in range(p):
        for s in range(1, k):
            row, at = 1 + i * (k - 1) + s - 1, 1 + i * k
            inner[row, at + s], inner[row, at] = 1.0, -1.0
    outer = np.hstack([-np.ones((k - 1, 1)), np.eye(k - 1)])
    change = np.kron(outer, inner)
    inverse = np.linalg.inv(information)
    bare = information - np.diag(penalty.reshape(-1)) - _direction(k, x.shape[1])
    return LogisticFit(
        (change @ theta.reshape(-1)).reshape(k - 1, -1),
        change @ inverse @ change.T,
        _value(table.counts, x @ theta.T),
        float(np.trace(bare @ inverse)),
    )


def _direction(k: int, width: int) -> np.ndarray:
    """The square of the constants' sum, which the likelihood does not know: [k f, k f]."""
    found = np.zeros((k, width))
    found[:, 0] = 1.0
    return np.outer(found.reshape(-1), found.reshape(-1))


def _value(counts: np.ndarray, scores: np.ndarray) -> float:
    top = scores.max(axis=1, keepdims=True)
    log_p = scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
    return float((counts * log_p).sum())


def _newton(
    x: np.ndarray, counts: np.ndarray, theta: np.ndarray, penalty: np.ndarray, reference: bool
) -> tuple[np.ndarray, np.ndarray, float]:
    """Newton's method with step halving: the weights, the information there, and the objective."""
    m, f = theta.shape
    total = counts.sum(axis=1)
    first = int(reference)
    fixed = np.diag(penalty) + (0.0 if reference else _direction(m, f))

    def scores(w: np.ndarray) -> np.ndarray:
        own = x @ w.T
        return np.hstack([np.zeros((len(x), 1)), own]) if reference else own

    def objective(w: np.ndarray) -> float:
        flat = w.reshape(-1)
        return _value(counts, scores(w)) - 0.5 * float(flat @ fixed @ flat)

    value, information = objective(theta), fixed
    for _ in range(100):
        raw = scores(theta)
        p = np.exp(raw - raw.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        rest = (counts - total[:, None] * p)[:, first:]
        gradient = (rest.T @ x).reshape(-1) - fixed @ theta.reshape(-1)
        p = p[:, first:]
        information = np.empty((m, f, m, f))
        for a in range(m):
            for b in range(a + 1):
                w = total * p[:, a] * ((a == b) - p[:, b])
                block = x.T @ (w[:, None] * x)
                information[a, :, b] = block
                information[b, :, a] = block.T
        information = information.reshape(m * f, m * f) + fixed
        try:
            step = np.linalg.solve(information, gradient).reshape(m, f)
        except np.linalg.LinAlgError:  # probabilities of 0 and 1: the scores say so to the caller
            break
        share = 1.0
        while share > 1e-6 and not objective(theta + share * step) >= value - 1e-12 * abs(value):
            share *= 0.5
        moved = objective(theta + share * step)
        if not math.isfinite(moved) or share <= 1e-6:
            break
        theta, value = theta + share * step, moved
        if np.abs(raw).max(initial=0.0) > 3 * _SEPARATED:
            break
        if np.abs(step).max(initial=0.0) < 1e-12 * (1 + np.abs(theta).max(initial=0.0)):
            break
        if float(gradient @ step.reshape(-1)) < 1e-22 * (1 + abs(value)):
            break
    return theta, information, value
