"""Units as points, and the nearest ones: closeness to training data, coverage, self-similarity."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from arproc.evaluation.synthetic.pool import Pool
from arproc.evaluation.synthetic.relabelling import Moments
from arproc.evaluation.synthetic.sets import HOLDOUT, SYNTHETIC, TRAIN
from arproc.evaluation.synthetic.statistics import kernels_for
from arproc.evaluation.synthetic.symbols import coded

__all__ = ["NEAREST", "Graph", "Points", "embedded"]

#: The dimension that units are projected to, and how many nearest ones the graph holds.
DIMENSION, NEAREST = 128, 5
#: How many units of a set are looked at; training data are always looked at whole.
MOST_QUERIES, MOST_IN_GRAPH = 4_000, 1_500
#: With more units than this, pairs of all are not looked for.
MOST_PAIRED = 8_000
#: How many distances are computed at once: they stay in the processor's cache.
_BLOCK = 1 << 21


class Graph(NamedTuple):
    """The nearest units of each unit among all of two sets.

    Attributes:
        units: which units of the pool, int64 [n].
        near: the places in `units` of the nearest ones, the nearest first, [n, k].
    """

    units: np.ndarray
    near: np.ndarray


def embedded(pool: Pool, described: np.ndarray) -> torch.Tensor:
    """Units as points, float32 [N, d]: by their values where they have one shape.

    Units of unequal lengths, and text, by their n-grams (the square roots of frequencies, hashed)
    or by `described`, what else is known of each, [N, k].
    """
    if pool.codes is not None:
        x = _hashed(pool)
    elif pool.even:
        x = _flat(pool)
    else:
        x = _standardised(described)
    return _projected(torch.from_numpy(x.astype(np.float32)))


def _flat(pool: Pool) -> np.ndarray:
    """Standardised values, missing ones at the mean, and categories as zeros and ones."""
    assert pool.values is not None
    parts = [np.nan_to_num(pool.scores if pool.kind == "table" else pool.centred)]
    if pool.kind == "images":  # one scale for all pixels: those that hardly vary are no louder
        x = np.nan_to_num(pool.values)
        parts = [(x - x.mean()) / (x.std() or 1.0)]
    for j, labels in enumerate(pool.labels):
        if labels is not None:
            code = np.nan_to_num(pool.values[:, j], nan=len(labels)).astype(np.int64)
            parts.append(_one_hot(code, len(labels) + 1))
    gone = ~np.isfinite(pool.values[:, list(pool.numeric)])
    if gone.any():
        parts.append(gone[:, gone.any(0)].astype(float))
    return np.concatenate(parts, axis=1).reshape(pool.n, -1)


def _one_hot(code: np.ndarray, symbols: int) -> np.ndarray:
    if symbols > 64:  # many labels: hashed, as columns of their own would be many
        code, symbols = (code * 2654435761) % 64, 64
    return np.eye(symbols)[code]


def _hashed(pool: Pool, size: int = 1024) -> np.ndarray:
    """Square roots of the frequencies of n-grams of up to three symbols."""
    code, parts = coded(pool).astype(np.uint64), []
    for n in (1, 2, 3):
        slot = np.zeros(max(len(code) - n + 1, 0), np.uint64)
        for i in range(n):
            slot = (slot + code[i : i + len(slot)] + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
            slot ^= slot >> np.uint64(29)
        inside = pool.unit[n - 1 :] == pool.unit[: len(slot)]
        flat = pool.unit[n - 1 :][inside] * size + (slot[inside] % np.uint64(size)).astype(
            np.int64
        )
        tally = np.bincount(flat, minlength=pool.n * size).reshape(pool.n, size)
        parts.append(np.sqrt(tally / np.maximum(tally.sum(1, keepdims=True), 1)))
    return np.concatenate(parts, axis=1)


def _standardised(x: np.ndarray) -> np.ndarray:
    scale = x.std(0)
    return (x - x.mean(0)) / np.where(scale > 0, scale, 1.0)


def _projected(x: torch.Tensor) -> torch.Tensor:
    """At most `DIMENSION` numbers each, by random directions (Johnson and Lindenstrauss 1984)."""
    if x.shape[1] <= DIMENSION:
        return x
    draws = torch.randn(x.shape[1], DIMENSION, generator=torch.Generator().manual_seed(0))
    return x @ (draws / DIMENSION**0.5)


class Points:
    """The units as points, and their distances.

    Args:
        pool: the units.
        x: where they lie, float32 [N, d].
        rng: chooses some where there are too many.
    """

    def __init__(self, pool: Pool, x: torch.Tensor, rng: np.random.Generator) -> None:
        self.pool, self.x, self.rng = pool, x, rng

    def some(self, group: int, most: int) -> np.ndarray:
        """Units of a set, at most so many."""
        units = self.pool.of(group)
        return (
            units if len(units) <= most else np.sort(self.rng.choice(units, most, replace=False))
        )

    def nearest(
        self, queries: np.ndarray, among: np.ndarray, k: int, itself: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Distances to the k nearest of `among`, and their places in it, [n, k].

        Args:
            queries: units.
            among: units.
            k: how many.
            itself: whether the two are the same, and nothing is its own neighbour.
        """
        others = self.x[torch.from_numpy(among)].contiguous()
        norms = (others**2).sum(1).numpy()
        k = min(k, len(among) - itself)
        kernels = kernels_for(len(queries) * len(among) // 4)
        value = np.empty((len(queries), k), np.float32)
        place = np.empty((len(queries), k), np.int64)
        step = max(_BLOCK // max(len(among), 1), 1)
        buffer = torch.empty(min(step, len(queries)), len(among))

        distance = np.empty(value.shape, np.float32)
        for i in range(0, len(queries), step):
            at = slice(i, i + step)
            own = self.x[torch.from_numpy(queries[at])]
            product = torch.mm(own, others.T, out=buffer[: len(own)]).numpy()
            kernels.nearest(product, norms, i if itself else -1, value[at], place[at])
            # squares that are subtracted from each other are right to seven digits only
            apart = own[:, None] - others[torch.from_numpy(place[at])]
            distance[at] = torch.linalg.vector_norm(apart, dim=2).numpy()
        return distance, place

    @cached_property
    def to_train(self) -> Moments:
        """The distance to the nearest unit of train over that to the second nearest.

        It is small for what was made of one unit of train alone, whatever the scale: data that
        vary too little lie nearer to all of train, and are no copies.
        """
        queries = np.concatenate([self.some(g, MOST_QUERIES) for g in (HOLDOUT, SYNTHETIC)])
        distance, _ = self.nearest(queries, self.pool.of(TRAIN), 2)
        first, second = distance[:, 0], distance[:, -1]
        ratio = np.where(first > 0, first / np.where(second > 0, second, 1.0), 0.0)
        at = np.unique(np.quantile(ratio, [0.01, 0.05, 0.1, 0.25], method="lower"))
        names = ["mean ratio of the distances to the nearest and second nearest of train"]
        names += [f"share of units with a ratio above {a:.3g}" for a in at]
        return self._of(queries, names, np.stack([ratio, *(ratio > a for a in at)], 1))

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Each unit's nearest one of all, and whether it is much nearer than the second.

        Returns:
            Units int64 [N] and flags bool [N, k]; None where there are too many units.
        """
        if self.pool.n > MOST_PAIRED:
            return None
        every = self.rng.permutation(self.pool.n)  # as for the graph
        distance, place = self.nearest(every, every, 2, itself=True)
        back = np.argsort(every)
        first, second = distance[back, 0], distance[back, -1]
        ratio = np.where(first > 0, first / np.where(second > 0, second, 1.0), 0.0)
        at = np.unique(np.quantile(ratio, [0.01, 0.03, 0.1], method="lower"))
        return every[place[back, 0]], ratio[:, None] <= at

    @cached_property
    def membership(self) -> Moments:
        """How near units of train and hold-out lie to their nearest synthetic ones."""
        queries = np.concatenate([self.some(g, MOST_QUERIES) for g in (TRAIN, HOLDOUT)])
        distance, _ = self.nearest(queries, self.pool.of(SYNTHETIC), 1)
        return self._of(queries, ["distance to the nearest synthetic unit"], distance)

    def _of(self, queries: np.ndarray, names: list[str], values: np.ndarray) -> Moments:
        sums = np.zeros((self.pool.n, values.shape[1]))
        counts = np.zeros((self.pool.n, 1))
        sums[queries], counts[queries] = values, 1.0
        return Moments(names, sums, counts)

    def graph(self, tested: int, others: tuple[int, ...]) -> Graph:
        """The nearest units among some of the tested set and as many of the others."""
        found: Graph = self.pool.once(("graph", tested), lambda: self._graph(tested, others))
        return found

    def _graph(self, tested: int, others: tuple[int, ...]) -> Graph:
        mine = self.some(tested, MOST_IN_GRAPH)
        rest = self.pool.of(*others)
        if len(rest) > MOST_IN_GRAPH:
            rest = np.sort(self.rng.choice(rest, MOST_IN_GRAPH, replace=False))
        # of equally near ones the next in the order is taken, so sets must not lie together
        units = self.rng.permutation(np.concatenate([mine, rest]))
        return Graph(units, self.nearest(units, units, NEAREST, itself=True)[1])
