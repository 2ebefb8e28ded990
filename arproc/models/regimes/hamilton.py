"""Compiled loops of regime filters and smoothers. Importing this module imports numba.

A *memory* is the regimes (s_t, ..., s_{t-m+1}) written as one number in base k, the newest regime
first; a *joint* state is a new regime before a memory, so there are k^(m + 1) of them. Everything
runs on logarithms, which no outlier can make vanish. A value that is NaN was not observed (where
there are no lags): it says nothing, and the chain goes on.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from arproc.compiled.arrays import put
from arproc.compiled.jit import jit
from arproc.models.regimes.plain import weigh as plain_weigh

__all__ = ["filter_memory", "filter_series", "smooth", "sums", "weigh"]

_LOG_2PI = 1.8378770664093453
_NOTHING = 1e-290  # a probability below this counts as none where it would divide


@jit
def _innovations(
    deviations: np.ndarray,
    lags: np.ndarray,
    t: int,
    centred: bool,
    digits: np.ndarray,
    coef: np.ndarray,
    out: np.ndarray,
) -> None:
    """The innovation of element t in every joint state, [k M]."""
    k, p = coef.shape
    count = digits.shape[0]
    for s in range(k):
        for j in range(count):
            e = deviations[t, s]
            if centred:
                for i in range(p):
                    e -= coef[s, i] * lags[t - 1 - i, digits[j, i]]
            elif j == 0:
                for i in range(p):
                    e -= coef[s, i] * lags[t - 1 - i, 0]
            else:
                e = out[s * count]  # without levels under the lags the past does not matter
            out[s * count + j] = e


@jit
def _step(joint: np.ndarray, memory: np.ndarray, weights: np.ndarray) -> float:
    """One step of the filter on logarithms: the evidence; `memory` and `weights` are set.

    Args:
        joint: log p(joint state, x_t | past), [k M].
        memory: gets log p(memory | past, x_t), [M].
        weights: gets p(joint state | past, x_t), [k M].
    """
    most = joint[0]
    for j in range(1, len(joint)):
        most = max(most, joint[j])
    total = 0.0
    for j in range(len(joint)):
        weights[j] = np.exp(joint[j] - most)
        total += weights[j]
    k = len(joint) // len(memory)
    evidence = most + np.log(total)
    for new in range(len(memory)):  # the oldest regime, the last digit, is summed out
        part = 0.0
        for r in range(k):
            part += weights[new * k + r]
        if part > 1e-280:
            memory[new] = np.log(part / total)
            continue
        largest = joint[new * k]  # so unlikely beside the rest that only its logarithm is left
        for r in range(1, k):
            largest = max(largest, joint[new * k + r])
        part = 0.0
        for r in range(k):
            part += np.exp(joint[new * k + r] - largest)
        memory[new] = largest + np.log(part) - evidence
    for j in range(len(joint)):
        weights[j] /= total
    return evidence


@jit
def filter_series(
    deviations: np.ndarray,
    lags: np.ndarray,
    offsets: np.ndarray,
    centred: bool,
    digits: np.ndarray,
    coef: np.ndarray,
    sigma2: np.ndarray,
    log_transition: np.ndarray,
    log_initial: np.ndarray,
    joint: np.ndarray,
) -> np.ndarray:
    """Hamilton's filter (1989) along independent series; the first p values of each are given.

    Args:
        deviations: the values less each regime's trend, [total, k].
        lags: what the lags are taken of: `deviations`, or the values, [total, k or 1].
        offsets: where each series begins, [N + 1].
        centred: whether the autoregression is of deviations from the regimes' levels.
        digits: the regimes that each memory stands for, newest first, [M, m].
        coef: coefficients, lag 1 first, [k, p].
        sigma2: innovation variances, [k].
        log_transition: log p(to | from), [k from, k to].
        log_initial: log-probabilities of the memories before the first scored element, [M].
        joint: gets p(joint state | elements up to this one), [terms, k M]; or has no rows.

    Returns:
        log p(x_t | past), nats, one for each element but the given ones.
    """
    k, p = coef.shape
    count = digits.shape[0]
    size = k * count
    n = len(offsets) - 1
    terms = np.empty(len(deviations) - n * p)
    scores, weights, memory = np.empty(size), np.empty(size), np.empty(count)
    errors, heights, halves = np.empty(size), np.empty(size), np.empty(size)
    for s in range(k):
        for j in range(count):
            J = s * count + j
            halves[J] = 0.5 / sigma2[s]
            constant = -0.5 * (_LOG_2PI + np.log(sigma2[s]))
            heights[J] = constant + log_transition[digits[j, 0], s]
    keep = joint.shape[0] > 0
    at = 0
    for row in range(n):
        put(log_initial, memory)
        for t in range(offsets[row] + p, offsets[row + 1]):
            _innovations(deviations, lags, t, centred, digits, coef, errors)
            gone = np.isnan(deviations[t, 0])
            for J in range(size):
                e = errors[J]
                if gone:
                    scores[J] = (
                        memory[J % count] + log_transition[digits[J % count, 0], J // count]
                    )
                else:
                    scores[J] = memory[J % count] + heights[J] - e * e * halves[J]
            evidence = _step(scores, memory, weights)
            terms[at] = 0.0 if gone else evidence
            if keep:
                put(weights, joint[at])
            at += 1
    return terms


@jit
def filter_memory(
    densities: np.ndarray, initial: np.ndarray, log_transition: np.ndarray, out: np.ndarray
) -> None:
    """The filter's memories from log-densities that are known already.

    Args:
        densities: log p(x_t | joint state), [N, K, k, M].
        initial: log-probabilities of the memories before, [N, M].
        log_transition: log p(to | from), [k, k].
        out: gets the memories after each element, `initial` first, [N, K + 1, M].
    """
    rows, steps, k, count = densities.shape
    scores, weights, memory = np.empty(k * count), np.empty(k * count), np.empty(count)
    for n in range(rows):
        put(initial[n], memory)
        put(memory, out[n, 0])
        for t in range(steps):
            for s in range(k):
                for j in range(count):
                    past = memory[j] + log_transition[j // (count // k), s]
                    scores[s * count + j] = past + densities[n, t, s, j]
            _step(scores, memory, weights)
            put(memory, out[n, t + 1])


@jit
def smooth(joint: np.ndarray, starts: np.ndarray, count: int, first: np.ndarray) -> None:
    """Kim's smoother (1994): filtered probabilities become smoothed ones, in place.

    Args:
        joint: p(joint state | elements up to this one), [terms, k M]; becomes
            p(joint state | all elements).
        starts: where each series' terms begin, [N + 1].
        count: how many memories there are.
        first: gets p(memory before the first scored element | all elements), [N, M].
    """
    size = joint.shape[1]
    k = size // count
    after, now = np.empty(count), np.empty(count)
    for row in range(len(starts) - 1):
        for at in range(starts[row + 1] - 1, starts[row] - 1, -1):
            if at < starts[row + 1] - 1:
                now[:] = 0.0
                for j in range(size):
                    now[j // k] += joint[at, j]
                for j in range(size):
                    held = now[j // k]
                    joint[at, j] *= after[j // k] / held if held > _NOTHING else 0.0
            after[:] = 0.0
            for j in range(size):
                after[j % count] += joint[at, j]
        put(after, first[row])


@jit
def _over(heights: np.ndarray, pairs: np.ndarray, memory: np.ndarray) -> float:
    """The filter's one step over a gap; `pairs` becomes p(before, after | elements so far).

    Args:
        heights: log p(what was observed | memory before), [M].
        pairs: p(memory after | memory before, observed), [M, M].
        memory: the memories' probabilities before the gap, [M]; becomes those after it.

    Returns:
        log p(what was observed | past).
    """
    count, most = len(memory), -np.inf
    scores = np.empty(count)
    for j in range(count):
        scores[j] = heights[j] + np.log(memory[j]) if memory[j] > 0.0 else -np.inf
        most = max(most, scores[j])
    evidence = 0.0
    for j in range(count):
        scores[j] = np.exp(scores[j] - most)
        evidence += scores[j]
    memory[:] = 0.0
    for j in range(count):
        for i in range(count):
            pairs[j, i] *= scores[j] / evidence
            memory[i] += pairs[j, i]
    return most + np.log(evidence)


@jit
def _back_over(pairs: np.ndarray, held: np.ndarray, after: np.ndarray, last: bool) -> None:
    """The smoother's step back over a gap; see `_over`.

    Args:
        pairs: p(before, after | elements so far), [M, M]; becomes that given all elements.
        held: room for M numbers.
        after: p(memory after the gap | all elements), [M]; becomes that of the one before it.
        last: whether nothing comes after the gap.
    """
    count = len(held)
    held[:] = 0.0
    for j in range(count):
        for i in range(count):
            held[i] += pairs[j, i]
    for i in range(count):
        share = after[i] / held[i] if held[i] > _NOTHING else 0.0
        for j in range(count):
            pairs[j, i] *= 1.0 if last else share
    for j in range(count):
        after[j] = 0.0
        for i in range(count):
            after[j] += pairs[j, i]


@partial(jit, plain=plain_weigh)
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
    """Filter and smoother in one, without logarithms: what a step of an estimation needs.

    Args:
        deviations: see `filter_series`; so for the next five.
        lags: what the lags are taken of.
        offsets: where each series begins.
        centred: whether lags are taken about the regimes' levels.
        digits: the memories.
        coef: coefficients.
        sigma2: innovation variances.
        transition: p(to | from), [k, k], all positive.
        initial: the memories' probabilities before the first scored element, [M].
        joint: gets p(joint state | all elements), [terms, k M]; not of elements in gaps.
        first: gets p(memory before the first scored element | all elements), summed over the
            series, [M].
        begins: the scored elements with which gaps begin (see `gaps`), one after the other.
        sizes: how many elements each has.
        heights_over: log p(what was observed in the gap | memory before), [G, M].
        pairs: p(memory after | memory before, observed) of each gap, [G, M before, M]; becomes
            p(memory before, memory after | all elements).

    Returns:
        The log-likelihood given the first p values of each series, nats.
    """
    k, p = coef.shape
    count = digits.shape[0]
    size = k * count
    steps, halves, heights = np.empty(size), np.empty(size), np.empty(size)
    least = sigma2[0]
    for s in range(1, k):
        least = min(least, sigma2[s])
    top = 0.5 * np.log(least)
    for s in range(k):
        for j in range(count):
            steps[s * count + j] = transition[digits[j, 0], s]
            halves[s * count + j] = 0.5 / sigma2[s]
            heights[s * count + j] = top - 0.5 * np.log(sigma2[s])
    squares, weights = np.empty(size), np.empty(size)
    memory, after = np.empty(count), np.empty(count)
    total, product, at, unseen, gap = 0.0, 1.0, 0, 0, 0
    first[:] = 0.0
    for row in range(len(offsets) - 1):
        begin, gaps_before = at, gap
        put(initial, memory)
        t = offsets[row] + p
        while t < offsets[row + 1]:
            if gap < len(begins) and begins[gap] == at:
                total += _over(heights_over[gap], pairs[gap], memory)
                unseen += sizes[gap]
                at += sizes[gap]
                t += sizes[gap]
                gap += 1
                continue
            _innovations(deviations, lags, t, centred, digits, coef, squares)
            gone = np.isnan(deviations[t, 0])
            if gone:
                unseen += 1
            for J in range(size):
                squares[J] = 0.0 if gone else heights[J] - squares[J] * squares[J] * halves[J]
            shift, evidence = 0.0, 0.0
            for J in range(size):
                weights[J] = memory[J % count] * steps[J] * np.exp(squares[J])
                evidence += weights[J]
            if not evidence > 1e-200:  # an outlier: the best joint state becomes the unit
                shift = -np.inf
                for J in range(size):
                    squares[J] += np.log(memory[J % count] * steps[J])
                    shift = max(shift, squares[J])
                evidence = 0.0
                for J in range(size):
                    weights[J] = np.exp(squares[J] - shift)
                    evidence += weights[J]
                total += shift
            product *= evidence
            if product < 1e-90:
                total += np.log(product)
                product = 1.0
            scale = 1.0 / evidence
            memory[:] = 0.0
            for J in range(size):
                weights[J] *= scale
                joint[at, J] = weights[J]
                memory[J // k] += weights[J]
            at += 1
            t += 1
        back, last = at - 1, gap - 1
        while back >= begin:
            if last >= gaps_before and back == begins[last] + sizes[last] - 1:
                _back_over(pairs[last], memory, after, back == at - 1)
                back -= sizes[last]
                last -= 1
                continue
            if back < at - 1:
                memory[:] = 0.0
                for J in range(size):
                    memory[J // k] += joint[back, J]
                for j in range(count):
                    after[j] = after[j] / memory[j] if memory[j] > _NOTHING else 0.0
                for J in range(size):
                    joint[back, J] *= after[J // k]
            after[:] = 0.0
            for J in range(size):
                after[J % count] += joint[back, J]
            back -= 1
        if at > begin:
            for j in range(count):
                first[j] += after[j]
    return total + np.log(product) - (at - unseen) * (0.5 * _LOG_2PI + top)


@jit
def sums(
    moments: np.ndarray,
    centred: bool,
    digits: np.ndarray,
    trend: np.ndarray,
    coef: np.ndarray,
    unit: float,
    squares: np.ndarray,
    slopes: np.ndarray,
    curvatures: np.ndarray,
) -> None:
    """From second moments in each joint state to those of innovations and their derivatives.

    An innovation e and v = -de/d(trend of all regimes, coefficients of its own regime), of
    d = k q + p entries, are linear in w = (trend columns at t, x_t, x_{t-1}, ..., x_{t-p}).

    Args:
        moments: the expected sum of w w' in each joint state, [k M, (q + 1 + p)^2].
        centred: see `filter_series`, as for `digits` and `coef`.
        digits: the memories.
        trend: constants and slopes.
        coef: coefficients.
        unit: what a step of time counts.
        squares: gets the sum of e^2 in each regime, [k].
        slopes: gets the sum of e v in each regime, [k, d].
        curvatures: gets the sum of v v', [k, d, d].
    """
    k, p = coef.shape
    q, count = trend.shape[1], digits.shape[0]
    d, width = k * q + p, q + 1 + p
    a, e, v = np.empty(width), np.empty(width), np.empty((d, width))
    squares[:] = 0.0
    slopes[:] = 0.0
    curvatures[:] = 0.0
    for s in range(k):
        for j in range(count):
            a[:] = 0.0
            v[:] = 0.0
            a[q] = 1.0
            for c in range(q):
                a[c] -= trend[s, c]
                v[s * q + c, c] += 1.0
            for i in range(p):
                a[q + 1 + i] = -coef[s, i]
                v[k * q + i, q + 1 + i] = 1.0
                if centred:
                    r = digits[j, i]
                    for c in range(q):
                        a[c] += coef[s, i] * trend[r, c]
                        v[k * q + i, c] -= trend[r, c]
                        v[r * q + c, c] -= coef[s, i]
                    if q > 1:  # the line one unit of time earlier for each lag
                        earlier = (i + 1) * unit
                        a[0] -= coef[s, i] * trend[r, 1] * earlier
                        v[k * q + i, 0] += trend[r, 1] * earlier
                        v[r * q + 1, 0] += coef[s, i] * earlier
            own = moments[s * count + j]
            e[:] = 0.0
            for x in range(width):
                for y in range(width):
                    e[x] += own[x * width + y] * a[y]
            for x in range(width):
                squares[s] += a[x] * e[x]
            for x in range(d):
                for y in range(width):
                    slopes[s, x] += v[x, y] * e[y]
            for x in range(d):
                for y in range(width):
                    part = 0.0
                    for z in range(width):
                        part += v[x, z] * own[z * width + y]
                    for z in range(x + 1):
                        curvatures[s, x, z] += part * v[z, y]
    for s in range(k):
        for x in range(d):
            for z in range(x):
                curvatures[s, z, x] = curvatures[s, x, z]
