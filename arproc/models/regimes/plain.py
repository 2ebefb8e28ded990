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
    begins: np.ndarray,
    sizes: np.ndarray,
    heights_over: np.ndarray,
    pairs: np.ndarray,
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
    densities = (np.exp(logs) * steps).tolist()
    logs += np.log(steps)
    gaps = dict(
        zip(begins.tolist(), zip(sizes.tolist(), heights_over, pairs, strict=True), strict=True)
    )
    total, at = 0.0, 0
    first[:] = 0.0
    for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        stop = at + max(end - begin - p, 0)
        own = {a - at: gap for a, gap in gaps.items() if at <= a < stop}
        filtered = joint[at:stop]
        total += _filter(densities[at:stop], logs[at:stop], initial, k, own, filtered)
        if stop > at:
            first += _smooth(filtered, own, k)
        at = stop
    unseen = int(gone.sum()) if not p else int(sizes.sum())
    return total - (at - unseen) * (0.5 * _LOG_2PI + top)


_Gaps = dict[int, tuple[int, np.ndarray, np.ndarray]]  # size, heights and pairs by the beginning


def _filter(
    densities: list[list[float]],
    logs: np.ndarray,
    initial: np.ndarray,
    k: int,
    gaps: _Gaps,
    out: np.ndarray,
) -> float:
    """Filtered probabilities of one series into `out`; the log-likelihood."""
    count, size = len(initial), k * len(initial)
    before = [J % count for J in range(size)]
    memory, total, t = initial.tolist(), 0.0, 0
    weighted: list[list[float]] = []
    while t < len(densities):
        if t in gaps:
            length, heights, pairs = gaps[t]
            evidence, memory = _over(heights, pairs, np.array(memory))
            total += evidence
            weighted += [[0.0] * size] * length
            t += length
            continue
        weights = [memory[j] * d for j, d in zip(before, densities[t], strict=True)]
        evidence = sum(weights)
        if not evidence > 1e-200:  # an outlier: the best joint state becomes the unit
            scores = logs[t] + np.log(np.array(memory)[before])
            shift = float(scores.max())
            weights = np.exp(scores - shift).tolist()
            evidence = sum(weights)
            total += shift
        total += math.log(evidence)
        weights = [w / evidence for w in weights]
        weighted.append(weights)
        memory = [sum(weights[j : j + k]) for j in range(0, size, k)]
        t += 1
    if weighted:
        out[:] = weighted
    return total


def _smooth(joint: np.ndarray, gaps: _Gaps, k: int) -> np.ndarray:
    """Smoothed probabilities of one series in place; those of the memory before it, [M]."""
    size = joint.shape[1]
    count = size // k
    rows, after = joint.tolist(), [0.0] * count
    ends = {begin + gap[0] - 1: (gap[0], gap[2]) for begin, gap in gaps.items()}
    at = len(rows) - 1
    while at >= 0:
        if at in ends:
            length, pairs = ends[at]
            after = _back_over(pairs, np.array(after), at == len(rows) - 1)
            at -= length
            continue
        row = rows[at]
        if at < len(rows) - 1:
            held = [sum(row[j : j + k]) for j in range(0, size, k)]
            share = [a / h if h > _NOTHING else 0.0 for a, h in zip(after, held, strict=True)]
            rows[at] = row = [w * share[J // k] for J, w in enumerate(row)]
        after = [sum(row[j::count]) for j in range(count)]
        at -= 1
    joint[:] = rows
    return np.array(after)


def _over(heights: np.ndarray, pairs: np.ndarray, memory: np.ndarray) -> tuple[float, list[float]]:
    """See `hamilton._over`: the evidence, and the memories after the gap."""
    scores = heights + np.log(memory)
    most = scores.max()
    weights = np.exp(scores - most)
    pairs *= (weights / weights.sum())[:, None]
    return float(most + np.log(weights.sum())), pairs.sum(axis=0).tolist()


def _back_over(pairs: np.ndarray, after: np.ndarray, last: bool) -> list[float]:
    """See `hamilton._back_over`: the memories before the gap."""
    held = pairs.sum(axis=0)
    if not last:
        pairs *= np.where(held > _NOTHING, after / np.where(held > _NOTHING, held, 1.0), 0.0)
    return pairs.sum(axis=1).tolist()
