"""Compiled decomposition of many series: their seasons, and the values that stand alone."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import Int, jit

__all__ = ["correlate", "decompose"]

_FAR = 4.0  # usual deviations, beyond which one counts no more than there
_NORMAL = 1.4826  # a normal deviation over the median absolute one
_ENOUGH, _SPIKE = 12, 12.0  # values, among which one stands out by so many median changes
_FADE = 0.8  # what a cycle counts beside the next one: seasons change slowly
_UNSURE = 10.0  # over the degrees of freedom: by how much noise is taken for larger than it seems


def _selected(x: np.ndarray, n: Int) -> float:
    """The median of the first n, which are put in another order (Hoare's selection)."""
    low, high, k = 0, n - 1, n // 2
    while low < high:
        pivot, i, j = x[(low + high) // 2], low, high
        while i <= j:
            while x[i] < pivot:
                i += 1
            while x[j] > pivot:
                j -= 1
            if i <= j:
                x[i], x[j] = x[j], x[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    if n % 2:
        return x[k]
    below = x[0]
    for i in range(1, k):
        below = max(below, x[i])
    return (below + x[k]) / 2


def _plain_selected(x: np.ndarray, n: int) -> float:
    return float(np.median(x[:n]))


_median = jit(_selected, _plain_selected)


def _around(whole: np.ndarray, n: Int, period: Int, found: np.ndarray) -> None:
    """Moving averages over a period, an even one's ends by halves, from period // 2 on."""
    half = period // 2
    for t in range(half, n - half):
        total = 0.0
        for s in range(t - half, t + half + 1):
            total += whole[s]
        if period % 2 == 0:
            total -= (whole[t - half] + whole[t + half]) / 2
        found[t] = total / period


def _plain_around(whole: np.ndarray, n: int, period: int, found: np.ndarray) -> None:
    half, window = period // 2, np.ones(period + 1 - period % 2) / period
    if period % 2 == 0:
        window[[0, -1]] /= 2
    found[half : n - half] = np.convolve(whole[:n], window, "valid")


_average = jit(_around, _plain_around, fastmath={"contract", "reassoc"})


@jit
def _bridge(x: np.ndarray, n: Int, whole: np.ndarray) -> None:
    """Write x, through its gaps the straight line between the values beside them."""
    last = -1
    for t in range(n):
        whole[t] = x[t]
        if np.isnan(x[t]):
            continue
        if last < 0:
            for s in range(t):
                whole[s] = x[t]
        elif t > last + 1:
            slope = (x[t] - x[last]) / (t - last)
            for s in range(last + 1, t):
                whole[s] = slope * (s - last) + x[last]
        last = t
    for s in range(last + 1, n):
        whole[s] = x[last]


@jit
def _means(
    rest: np.ndarray, place: np.ndarray, weights: np.ndarray, m: Int, far: float,
    means: np.ndarray, found: np.ndarray, counts: np.ndarray,
) -> None:  # fmt: skip
    """Weighted means by place, of what is no further than `far` from those before."""
    for j in range(len(found)):
        found[j] = 0.0
    for t in range(m):
        j = place[t]
        found[j] += weights[t] * (means[j] + min(max(rest[t] - means[j], -far), far))
    for j in range(len(found)):
        means[j] = found[j] / counts[j]


@jit
def _one_season(
    x: np.ndarray, n: Int, period: Int, work: np.ndarray, place: np.ndarray, found: np.ndarray
) -> None:
    """The season of one length of x[:n], by ratio to a moving average, shrunk: found[:period].

    The last cycles count more. It is shrunk by the share of its variance that noise of the means
    would give, and more where few values tell how large that is.
    """
    whole, rest, sizes = work[0], work[1], work[2]
    means, sums, counts, squares = found[:, :period]
    for j in range(period):
        means[j], counts[j], squares[j] = 0.0, 0.0, 0.0
    _bridge(x, n, whole)
    _average(whole, n, period, sizes)
    half, m, weight, fade = period // 2, 0, 1.0, _FADE ** (1 / period)
    weights = whole  # which is not needed any more
    for t in range(n - half - 1, half - 1, -1):
        if not np.isnan(x[t]):
            rest[m], place[m], weights[m] = x[t] - sizes[t], t % period, weight
            counts[place[m]] += weight
            squares[place[m]] += weight * weight
            m += 1
        weight *= fade
    if m <= period:
        return
    for j in range(period):
        if counts[j] == 0:
            return
    for k in range(4):  # a wild value would be its season's
        far, widest = np.inf, np.inf
        if k > 0:
            widest = 0.0
            for t in range(m):
                sizes[t] = abs(rest[t] - means[place[t]])
                widest = max(widest, sizes[t])
            far = _FAR * _NORMAL * _median(sizes, m)
        if k > 0 and (not widest > far or not far > 0):
            break
        _means(rest, place, weights, m, far, means, sums, counts)
    level = 0.0
    for j in range(period):
        level += means[j] / period
    spread, noise, freedom, error = 0.0, 0.0, 0.0, 0.0
    for j in range(period):
        means[j] -= level
        spread += means[j] * means[j] / (period - 1)
        freedom += counts[j] - squares[j] / counts[j]
        error += squares[j] / (counts[j] * counts[j] * period)
    for t in range(m):
        noise += weights[t] * (rest[t] - means[place[t]]) ** 2
    noise *= (1 + _UNSURE / (m - period)) * error / freedom
    share = max(spread - noise, 0.0) / spread if spread > 0 else 0.0
    for j in range(period):
        means[j] *= share


@jit
def _seasons(
    x: np.ndarray, n: Int, periods: np.ndarray, cycle: np.ndarray, work: np.ndarray,
    place: np.ndarray, found: np.ndarray,
) -> None:  # fmt: skip
    """The sum of the seasons of x[:n], as far as it is long enough, into `cycle`."""
    cycle[0], length, rest = 0.0, 1, work[3]
    for period in periods:
        if n < 2 * period + 1:
            break
        size = period if period % length == 0 else period * length
        for j in range(length, size):
            cycle[j] = cycle[j % length]
        for t in range(n):
            rest[t] = x[t] - cycle[t % size]
        _one_season(rest, n, period, work, place, found)
        for j in range(size):
            cycle[j] += found[0, j % period]
        length = size


@jit
def _take_spikes(x: np.ndarray, n: Int, cycle: np.ndarray, work: np.ndarray) -> bool:
    """Make what stands alone, far from both neighbours, missing: it tells nothing of later."""
    if n < _ENOUGH:
        return False
    rest, sizes, m, beside = work[0], work[1], 0, 0
    for t in range(n):
        rest[t] = x[t] - cycle[t % len(cycle)]
        if t and not np.isnan(rest[t] - rest[t - 1]):
            sizes[m] = abs(rest[t] - rest[t - 1])
            beside += 1 if t < n - 1 else 0
            m += 1
    if beside == 0:
        return False
    size, some = _median(sizes, m), False
    if not size > 0:
        return False
    for t in range(1, n - 1):
        up, down = rest[t] - rest[t - 1], rest[t] - rest[t + 1]
        if up * down > 0 and min(abs(up), abs(down)) > _SPIKE * size:
            x[t] = np.nan
            some = True
    return some


@jit
def decompose(
    values: np.ndarray,
    offsets: np.ndarray,
    lengths: np.ndarray,
    begin: Int,
    end: Int,
    periods: np.ndarray,
    cycles: np.ndarray,
    edges: np.ndarray,
) -> None:
    """Take off the seasons of the series from `begin` to `end`, and what stands alone.

    Args:
        values: the series one after the other, nan where a value is missing; changed in place.
        offsets: where each begins, [N + 1].
        lengths: how many values of each are known, [N].
        begin: the first series.
        end: the last, excluded.
        periods: the seasons' lengths, increasing.
        cycles: where the sums of the seasons go, one after the other.
        edges: where each series' begins, [N + 1]; as long as all that it is long enough for.
    """
    longest, widest = 1, 1
    for i in range(begin, end):
        longest = max(longest, lengths[i])
    for period in periods:
        widest = max(widest, period)
    work, place = np.empty((4, longest)), np.empty(longest, np.int64)
    found = np.empty((4, widest))
    for i in range(begin, end):
        n, cycle = lengths[i], cycles[edges[i] : edges[i + 1]]
        x = values[offsets[i] : offsets[i] + n]
        for k in range(2):  # the second time without the values that stand alone
            _seasons(x, n, periods, cycle, work, place, found)
            if k > 0 or not _take_spikes(x, n, cycle, work):
                break
        if len(cycle) > 1:
            for t in range(n):
                x[t] -= cycle[t % len(cycle)]


def _correlated(x: np.ndarray, n: Int, lags: Int, found: np.ndarray) -> None:
    """Sums of products of x[:n] with itself, by lag from 0 to `lags`."""
    for lag in range(lags + 1):
        total = 0.0
        for t in range(n - lag):
            total += x[t] * x[t + lag]
        found[lag] = total


def _plain_correlated(x: np.ndarray, n: int, lags: int, found: np.ndarray) -> None:
    found[: lags + 1] = np.correlate(x[:n], x[:n], "full")[n - 1 : n + lags]


_products = jit(_correlated, _plain_correlated, fastmath={"contract", "reassoc"})


@jit
def correlate(
    values: np.ndarray,
    offsets: np.ndarray,
    rows: np.ndarray,
    longest: Int,
    total: np.ndarray,
    weight: np.ndarray,
) -> None:
    """Add up the autocorrelations of the changes of some series, and of how many pairs they are.

    Args:
        values: the series one after the other, nan where a value is missing.
        offsets: where each begins, [N + 1].
        rows: the numbers of the series.
        longest: the largest lag.
        total: where the autocorrelations are added, each as often as its series has changes.
        weight: where the numbers of pairs are added.
    """
    most = 1
    for i in rows:
        most = max(most, offsets[i + 1] - offsets[i])
    change, sizes, found = np.empty(most), np.empty(most), np.empty(longest + 1)
    for i in rows:
        x = values[offsets[i] : offsets[i + 1]]
        n = len(x)
        lags = min(n // 2, longest)
        if lags < 4:
            continue
        positive = True
        for t in range(n):
            positive &= x[t] > 0
        m, before = 0, 0.0
        for t in range(n):
            now = np.log(x[t]) if positive else x[t]
            if t > 0:
                change[t - 1] = now - before
                if not np.isnan(change[t - 1]):
                    sizes[m] = abs(change[t - 1])
                    m += 1
            before = now
        far = 4 * (_NORMAL * _median(sizes, m)) if m else 0.0
        if not far > 0:
            continue
        level = 0.0
        for t in range(n - 1):
            if not np.isnan(change[t]):
                change[t] = min(max(change[t], -far), far)
                level += change[t]
        level /= m
        for t in range(n - 1):
            change[t] = 0.0 if np.isnan(change[t]) else change[t] - level
        _products(change, n - 1, lags, found)
        if not found[0] > 0:
            continue
        for lag in range(lags + 1):
            total[lag] += found[lag] / found[0] * (n - 1)
            weight[lag] += n - 1 - lag
