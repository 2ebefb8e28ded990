"""What the rows share: the pool, the ways of dealing it, and what was computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from arproc.evaluation.synthetic.copies import Copies, longest_copies
from arproc.evaluation.synthetic.neighbours import Points, embedded
from arproc.evaluation.synthetic.pool import Pool
from arproc.evaluation.synthetic.relabelling import Moments, Relabelling
from arproc.evaluation.synthetic.sets import HOLDOUT, SYNTHETIC, TRAIN
from arproc.evaluation.synthetic.symbols import words_of

__all__ = ["Finding", "Study"]

Maker = Callable[[Pool], "Moments | str"]


class Finding(NamedTuple):
    """What a row found.

    Attributes:
        statistic: what the values are, in words.
        train: its value there; NaN where there is none, as for the other two.
        holdout: the zero point.
        synthetic: what is judged.
        p_value: of synthetic data being fresh real data; NaN where it is not tested.
        verdict: what it means where it is rejected.
        p_holdout: the same of the hold-out against train.
        low95: of the synthetic value's interval, where the row has one.
        high95: likewise.
    """

    statistic: str
    train: float
    holdout: float
    synthetic: float
    p_value: float
    verdict: str
    p_holdout: float = float("nan")
    low95: float = float("nan")
    high95: float = float("nan")


class Study:
    """Three sets under examination.

    Args:
        pool: their units.
        given: the user's data by set, for the judge.
        judge: a fitted model, or None.
        season: how many steps it has, or None where it is looked for.
        permutations: how many random ways.
        seed: of all that is random.
    """

    def __init__(
        self,
        pool: Pool,
        given: dict[int, Any],
        judge: Any,
        season: int | None,
        permutations: int,
        seed: int,
    ) -> None:
        self.pool, self.given, self.judge, self.season = pool, given, judge, season
        self.permutations, self.seed = permutations, seed
        self.has_holdout = pool.has(HOLDOUT)
        self.real = (TRAIN, HOLDOUT) if self.has_holdout else (TRAIN,)
        self._made: dict[Maker, Moments | str] = {}

    def rng(self, stream: int) -> np.random.Generator:
        """Random numbers of their own for each use, so that rows do not depend on their order."""
        return np.random.default_rng([self.seed, stream])

    def dealing(self, tested: np.ndarray, others: np.ndarray, stream: int) -> Relabelling:
        """Random ways of dealing these units."""
        return Relabelling(tested, others, self.permutations, self.rng(stream))

    @cached_property
    def against_real(self) -> Relabelling:
        """Synthetic units against all real ones."""
        return self.dealing(self.pool.of(SYNTHETIC), self.pool.of(*self.real), 0)

    @cached_property
    def zero(self) -> Relabelling:
        """Hold-out units against those of train."""
        return self.dealing(self.pool.of(HOLDOUT), self.pool.of(TRAIN), 1)

    @cached_property
    def against_train(self) -> Relabelling:
        """Synthetic units against those of train."""
        return self.dealing(self.pool.of(SYNTHETIC), self.pool.of(TRAIN), 2)

    @cached_property
    def against_holdout(self) -> Relabelling:
        """Synthetic units against those of the hold-out."""
        return self.dealing(self.pool.of(SYNTHETIC), self.pool.of(HOLDOUT), 8)

    @cached_property
    def words(self) -> Pool | None:
        """Text by words."""
        return words_of(self.pool)

    @cached_property
    def copies(self) -> tuple[Copies, Copies]:
        """The longest copies of train, and of any other units."""
        return longest_copies(self.pool)

    @cached_property
    def points(self) -> Points:
        """The units as points."""
        return Points(self.pool, embedded(self.pool, self.described), self.rng(3))

    @cached_property
    def described(self) -> np.ndarray:
        """Each unit's own statistics, of all rows that have been computed, [N, k]."""
        found = [m.ratios for m in self._made.values() if isinstance(m, Moments)]
        return np.concatenate(found, axis=1) if found else np.zeros((self.pool.n, 0))

    @cached_property
    def features(self) -> np.ndarray:
        """What a classifier is shown, [N, d]."""
        x = self.points.x.double().numpy()
        return np.concatenate([x, _some_columns(self.described, 96)], axis=1)

    @cached_property
    def labels(self) -> np.ndarray:
        """The set of each unit, and ways of dealing all units to the three, int8 [1 + R, N]."""
        rng, group = self.rng(16), self.pool.group
        return np.stack([group, *(rng.permutation(group) for _ in range(self.permutations))])

    def between(self, near: np.ndarray, chosen: np.ndarray) -> float:
        """The p-value of how many pairs have one unit synthetic and the other of train.

        Whoever made synthetic units of single ones of train has made such pairs; fresh ones are
        as close to each other, or to the hold-out, as to train.

        Args:
            near: the unit that each one is paired with, int64 [N].
            chosen: which pairs count, bool [N, k]: the most extreme of k counts is judged.
        """
        used = np.flatnonzero(chosen.any(1))
        if not len(used):
            return 1.0
        mine, theirs = self.labels[:, used], self.labels[:, near[used]]
        across = (mine == SYNTHETIC) & (theirs == TRAIN) | (mine == TRAIN) & (theirs == SYNTHETIC)
        counts = across.astype(np.float32) @ chosen[used].astype(np.float32)
        return self.against_real.largest_of(counts - counts.mean(0), side=1).p_value

    def moments(self, make: Maker, pool: Pool | None = None) -> Moments | str:
        """What `make` gives, computed once."""
        if make not in self._made:
            self._made[make] = make(self.pool if pool is None else pool)
        return self._made[make]

    def differs(self, moments: Moments | str) -> Finding | str:
        """Whether synthetic units differ from real ones in means; the worst of them is shown."""
        if isinstance(moments, str):
            return moments
        worst = self.against_real.largest(moments)
        values = [float(moments.of(self.pool.of(group))[worst.at]) for group in self.real]
        mine = float(moments.of(self.pool.of(SYNTHETIC))[worst.at])
        real = float(moments.of(self.pool.of(*self.real))[worst.at])
        name = moments.names[worst.at]
        verdict = f"{name} is too {'high' if mine > real else 'low'}"
        nan = float("nan")
        return Finding(
            name,
            values[0],
            values[1] if self.has_holdout else nan,
            mine,
            worst.p_value,
            verdict,
            self.zero.largest(moments).p_value if self.has_holdout else nan,
        )


def _some_columns(x: np.ndarray, most: int) -> np.ndarray:
    """At most so many columns: all, or random sums of them."""
    if x.shape[1] <= most:
        return x
    scale = x.std(0)
    z = torch.from_numpy((x - x.mean(0)) / np.where(scale > 0, scale, 1.0))
    draws = torch.randn(x.shape[1], most, generator=torch.Generator().manual_seed(0)).double()
    return (z @ (draws / most**0.5)).numpy()
