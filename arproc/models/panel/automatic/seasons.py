"""Which seasons a panel has, and what each series' season is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from arproc.models.panel.data import PanelData

__all__ = ["find_periods", "season_of"]

_SERIES = 2000  # so many, spread over the panel, are enough to find its seasons
_LONGEST = 400
_CLEAR = 0.15  # a difference of autocorrelations below this is no season
_FAR = 4.0  # usual deviations, beyond which one counts no more than there


def find_periods(table: PanelData) -> list[int]:
    """The lengths of the seasons that the changes of the series have in common, increasing.

    The autocorrelations of the changes (of logarithms where all values are positive) are averaged
    over the series. A season is a lag at whose multiples they are clearly higher than half way
    between these; a longer one is a multiple of it at which, and at twice which, they are higher
    than at the multiples beside.

    Example:
        >>> from arproc.models.panel.data import read
        >>> t, rng = np.arange(120), np.random.default_rng(0)
        >>> rows = [np.sin(2 * np.pi * t / 12) + 0.3 * rng.normal(size=120) for _ in range(5)]
        >>> find_periods(read(rows))
        [12]
    """
    mean, weight = _autocorrelations(table)
    top = len(mean) - 1
    strength = np.zeros(max(top // 2 + 1, 1))
    for k in range(2, top // 2):
        at = np.arange(k, top + 1, k)
        between = at - k // 2
        clear = mean[at] @ weight[at] / weight[at].sum()
        clear -= mean[between] @ weight[between] / weight[between].sum()
        if clear > max(_CLEAR, 4 / np.sqrt(weight[at].sum())) and min(mean[k], mean[2 * k]) > 0:
            strength[k] = clear
    peaks = (strength[1:-1] > strength[:-2]) & (strength[1:-1] >= strength[2:])
    found = np.flatnonzero(peaks & (strength[1:-1] > 0.6 * strength.max())) + 1
    if not len(found):
        return []
    short, error = int(found[0]), 1 / np.sqrt(np.maximum(weight, 1.0))
    for k in range(2 * short, (top - short) // 2 + 1, short):
        twice = 2 * k
        if all(
            mean[m] > max(mean[m - short], mean[m + short]) + max(4 * error[m], 0.005)
            for m in (k, twice)
        ):
            return [short, k]
    return [short]


def _autocorrelations(table: PanelData) -> tuple[np.ndarray, np.ndarray]:
    """The mean autocorrelation of the changes by lag, and of how many pairs it is."""
    longest = int(min(table.lengths.max() // 2, _LONGEST)) if len(table) else 0
    total, weight = np.zeros(longest + 1), np.zeros(longest + 1)
    for i in np.unique(np.linspace(0, len(table) - 1, min(_SERIES, len(table))).astype(int)):
        x = table.row(int(i))
        lags = min(len(x) // 2, longest)
        if lags < 4:
            continue
        x = np.log(x) if bool((x > 0).all()) else x
        change = np.diff(x)
        seen = ~np.isnan(change)
        size = 1.4826 * np.median(np.abs(change[seen])) if seen.any() else 0.0
        if not size > 0:
            continue
        change = np.where(seen, np.clip(change, -4 * size, 4 * size), 0.0)
        change[seen] -= change[seen].mean()
        padded = 2 ** int(np.ceil(np.log2(2 * len(change))))
        power = np.abs(np.fft.rfft(change, padded)) ** 2
        found = np.fft.irfft(power, padded)[: lags + 1]
        if not found[0] > 0:
            continue
        pairs = len(change) - np.arange(lags + 1)
        total[: lags + 1] += found / found[0] * len(change)
        weight[: lags + 1] += pairs
    with np.errstate(invalid="ignore"):
        return np.where(weight > 0, total / weight, 0.0), weight


def season_of(x: np.ndarray, periods: Sequence[int]) -> np.ndarray:
    """The sum of a series' seasons, for one cycle of the longest that it is long enough for.

    Classical decomposition about a moving average, one season after the other; each is shrunk
    by how much of its variance is more than the noise of its means would give.

    Args:
        x: a series [n], nan where a value is missing.
        periods: the seasons' lengths, increasing.

    Returns:
        What to take from x_t, at t modulo its length: [period], or [1] of 0 without a season.

    Example:
        >>> season_of(np.tile([0.0, 1.0], 20), [2])
        array([-0.5,  0.5])
    """
    found = np.zeros(1)
    for period in periods:
        if len(x) < 2 * period + 1:
            break
        size = period if period % len(found) == 0 else period * len(found)
        found = np.resize(found, size)
        rest = x - np.resize(found, len(x))
        found = found + np.resize(_one_season(rest, period), size)
    return found


def _one_season(x: np.ndarray, period: int) -> np.ndarray:
    window = np.ones(period + 1 - period % 2) / period
    if period % 2 == 0:
        window[[0, -1]] /= 2
    half = period // 2
    if np.isnan(x).any():  # the level through a gap is that beside it
        at = np.flatnonzero(~np.isnan(x))
        whole = np.interp(np.arange(len(x)), at, x[at])
    else:
        whole = x
    around = x[half : len(x) - half] - np.convolve(whole, window, "valid")
    place = (np.arange(len(around)) + half) % period
    seen = ~np.isnan(around)
    counts = np.bincount(place[seen], minlength=period)
    if (counts == 0).any():
        return np.zeros(period)
    place, around = place[seen], around[seen]
    means = np.bincount(place, around, minlength=period) / counts
    for _ in range(3):  # a wild value would be its season's
        rest = around - means[place]
        far = _FAR * 1.4826 * np.median(np.abs(rest))
        if not (np.abs(rest) > far).any() or not far > 0:
            break
        held = means[place] + np.clip(rest, -far, far)
        means = np.bincount(place, held, minlength=period) / counts
    means -= means.mean()
    rest = around - means[place]
    noise = rest @ rest / max(len(rest) - period, 1) / counts.mean()
    spread = means @ means / (period - 1)
    return means * (max(spread - noise, 0.0) / spread if spread > 0 else 0.0)
