"""Permutation tests: what differs between two sets of units, against all ways of dealing them.

Where two sets are of one law, and their units independent, every way of dealing the pooled units
to sets of these sizes is as likely as the one that came. So a statistic's rank among random ones
is a p-value that is right whatever the law, and however the statistics depend on each other
(Lehmann and Romano 2005, "Testing Statistical Hypotheses", section 15.2). Everything that a
statistic is made of, such as quantiles or the most frequent words, has to come from the pool as a
whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

__all__ = ["Difference", "Moments", "Relabelling", "p_of", "ranks"]

#: How many random ways are computed at once, in numbers of units times ways.
_BLOCK = 1 << 24


@dataclass(frozen=True)
class Moments:
    """Means over units, and what is made of them.

    Attributes:
        names: what each statistic is called.
        sums: of each unit, [N, k].
        counts: how many elements they are over, [N, k] or [N, 1]; a mean is the ratio.
        transform: means [..., k] to statistics [..., m]; None where the means are these.
    """

    names: list[str]
    sums: np.ndarray
    counts: np.ndarray
    transform: Callable[[np.ndarray], np.ndarray] | None = None

    def of(self, units: np.ndarray) -> np.ndarray:
        """The statistics of some units, [m]."""
        with np.errstate(all="ignore"):
            means = self.sums[units].sum(0) / self.counts[units].sum(0)
        return self.made(means)

    def made(self, means: np.ndarray) -> np.ndarray:
        """The statistics that these means [..., k] give, [..., m]."""
        with np.errstate(all="ignore"):
            return means if self.transform is None else self.transform(means)

    @property
    def ratios(self) -> np.ndarray:
        """Each unit's own means, [N, k]; those of all units where it has none."""
        with np.errstate(all="ignore"):
            own = self.sums / self.counts
            return np.where(np.isfinite(own), own, self.sums.sum(0) / self.counts.sum(0))


class Difference(NamedTuple):
    """What differs most.

    Attributes:
        at: the number of the statistic.
        p_value: of the largest standardised difference among all statistics.
        standardised: that difference, in standard deviations over the random ways.
    """

    at: int
    p_value: float
    standardised: float


class Relabelling:
    """Two sets of units, and random ways of dealing them.

    Args:
        tested: the units of the one set, int64.
        others: those of the other.
        times: how many random ways.
        rng: draws them.
    """

    def __init__(
        self, tested: np.ndarray, others: np.ndarray, times: int, rng: np.random.Generator
    ) -> None:
        self.tested, self.others = tested, others
        self.units = np.concatenate([tested, others])
        n, m = len(self.units), len(tested)
        # the first way is the one that came
        self.dealt = np.zeros((times + 1, n), dtype=np.bool_)
        self.dealt[0, :m] = True
        few = min(m, n - m)
        for way in self.dealt[1:]:
            chosen = np.argpartition(rng.random(n, dtype=np.float32), few - 1)[:few]
            if few == m:
                way[chosen] = True
            else:
                way[:] = True
                way[chosen] = False

    def sums(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums over the tested units of each way, and over the others; [1 + times, k] each.

        Args:
            values: of all units of the pool, [N, k].
        """
        own = np.ascontiguousarray(values[self.units])
        total = own.sum(0)
        step = max(_BLOCK // len(self.units), 1)
        parts = [
            self.dealt[i : i + step].astype(own.dtype) @ own
            for i in range(0, len(self.dealt), step)
        ]
        tested = np.concatenate(parts)
        return tested, total - tested

    def statistics(self, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
        """The statistics of both sets under each way, [1 + times, m] each."""
        with np.errstate(all="ignore"):
            level = moments.sums[self.units].sum(0) / moments.counts[self.units].sum(0)
        level = np.nan_to_num(level)
        # small numbers keep their digits in float32, which is twice as fast
        sums = (moments.sums - level * moments.counts).astype(np.float32)
        counts = moments.counts.astype(np.float32)
        result = []
        shared = bool((counts[self.units] == counts[self.units[0]]).all())
        for part, number, size in zip(
            self.sums(sums),
            (None, None) if shared else self.sums(counts),
            (len(self.tested), len(self.others)),
            strict=True,
        ):
            count = counts[self.units[0]] * size if number is None else number
            with np.errstate(all="ignore"):
                result.append(moments.made(level + part.astype(np.float64) / count))
        return result[0], result[1]

    def largest(self, moments: Moments, side: int = 0) -> Difference:
        """The largest difference of the tested set from the other one.

        Args:
            moments: of all units of the pool.
            side: 1 where only more than the others counts, -1 where only less, 0 for both.
        """
        mine, theirs = self.statistics(moments)
        return self.largest_of(mine - theirs, side)

    def largest_of(self, difference: np.ndarray, side: int = 0) -> Difference:
        """The same of differences that are computed, [1 + times, m], the first as it came."""
        difference = np.where(np.isfinite(difference[0]), np.nan_to_num(difference), 0.0)
        size = np.abs(difference) if side == 0 else side * difference
        spread = np.sqrt((difference**2).mean(0))
        # what never differs by more than rounding does not differ
        rounding = 1e-6 * (np.abs(difference).max() + 1e-12)
        size = np.where(spread > rounding, size / np.where(spread > 0, spread, 1.0), 0.0)
        at = int(size[0].argmax())
        return Difference(at, p_of(size.max(1)), float(size[0, at]))


def ranks(x: np.ndarray) -> np.ndarray:
    """The ranks 1 ... n of numbers [n], equal ones having their mean; NaN has none.

    Example:
        >>> ranks(np.array([0.5, 0.1, 0.5])).tolist()
        [2.5, 1.0, 2.5]
    """
    found, place, number = np.unique(x, return_inverse=True, return_counts=True)
    mean = number.cumsum() - (number - 1) / 2
    return np.where(np.isnan(found), np.nan, mean)[place]


def p_of(statistic: np.ndarray) -> float:
    """The share of ways whose statistic is no less than the first's, [1 + times]."""
    close = 1e-6 * (1 + abs(float(statistic[0])))
    return float((statistic >= statistic[0] - close).mean())
