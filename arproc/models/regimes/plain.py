"""A regime filter and smoother for short series, by the interpreter: `hamilton.weigh`'s equal."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["weigh"]

_LOG_2PI = 1.8378770664093453
_NOTHING = 1e-290  # a probability below this counts as none where it would divide


def weigh(
    deviations: np.ndarray,
    lags: np.ndarray,
    offsets: np.ndarray,
    centred: bool,
    digits: np.ndarray,
    coef: np.ndarray,
    sigma2: np.ndarray,
    transition: np.ndarray,
    initial: np.ndarray,
    joint: np.ndarray,
    first: np.ndarray,
) -> float:
    """See `hamilton.weigh`. What does not run along time is done for all elements at once."""
    k, p = coef.shape
    count = len(digits)
    memories = np.arange(k * count) % count
    regimes = np.arange(k * count) // count
    steps = transition[digits[memories, 0], regimes]
    top = 0.5 * math.log(sigma2.min())
    ends = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    scored = np.concatenate([np.arange(a + p, b) for a, b in ends])
    errors = deviations[scored][:, regimes]
    for i in range(p):
        past = lags[scored - 1 - i]
        errors -= coef[regimes, i] * (past[:, digits[memories, i]] if centred else past)
    logs = top - 0.5 * np.log(sigma2[regimes]) - errors * errors * (0.5 / sigma2[regimes])
    gone = np.isnan(deviations[scored, 0])
    logs[gone] = 0.0
    filtered, total = joint[: len(scored)], 0.0
    densities, at = (np.exp(logs) * steps).tolist(), 0
    logs += np.log(steps)
    for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        stop = at + max(end - begin - p, 0)
        total += _filter(densities[at:stop], logs[at:stop], initial, k, filtered[at:stop])
        at = stop
    first[:] = 0.0
    at = 0
    for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        stop = at + max(end - begin - p, 0)
        if stop > at:
            first += _smooth(filtered[at:stop], k)
        at = stop
    return total - (at - int(gone.sum())) * (0.5 * _LOG_2PI + top)


def _filter(
    densities: list[list[float]], logs: np.ndarray, initial: np.ndarray, k: int, out: np.ndarray
) -> float:
    """Filtered probabilities of one series into `out`; the log-likelihood."""
    count, size = len(initial), k * len(initial)
    before = [J % count for J in range(size)]
    memory, total, weighted = initial.tolist(), 0.0, []
    for t, density in enumerate(densities):
        weights = [memory[j] * d for j, d in zip(before, density, strict=True)]
        evidence = sum(weights)
        if not evidence > 1e-200:  # an outlier: the best joint state becomes the unit
            heights = logs[t] + np.log(np.array(memory)[before])
            shift = float(heights.max())
            weights = np.exp(heights - shift).tolist()
            evidence = sum(weights)
            total += shift
        total += math.log(evidence)
        weights = [w / evidence for w in weights]
        weighted.append(weights)
        memory = [sum(weights[j : j + k]) for j in range(0, size, k)]
    if weighted:
        out[:] = weighted
    return total


def _smooth(joint: np.ndarray, k: int) -> np.ndarray:
    """Smoothed probabilities of one series in place; those of the memory before it, [M]."""
    size = joint.shape[1]
    count = size // k
    rows, after = joint.tolist(), [0.0] * count
    for at in range(len(rows) - 1, -1, -1):
        row = rows[at]
        if at < len(rows) - 1:
            held = [sum(row[j : j + k]) for j in range(0, size, k)]
            share = [a / h if h > _NOTHING else 0.0 for a, h in zip(after, held, strict=True)]
            rows[at] = row = [w * share[J // k] for J, w in enumerate(row)]
        after = [sum(row[j::count]) for j in range(count)]
    joint[:] = rows
    return np.array(after)
