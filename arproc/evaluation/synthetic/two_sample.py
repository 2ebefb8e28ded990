"""Tests that look at everything at once: a classifier, a kernel, another model's likelihood."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from arproc.errors import NotComparableError
from arproc.evaluation.synthetic.pool import Pool
from arproc.evaluation.synthetic.relabelling import Moments, p_of, ranks
from arproc.evaluation.tally import count
from arproc.process import Process

__all__ = ["Auc", "area", "classified", "judged", "mean_discrepancy"]

#: How many units of a set the kernel test takes.
MOST_IN_KERNEL = 500
#: How many of a set the classifier learns from, and is tested on.
MOST_LEARNT = 2000


class Auc(NamedTuple):
    """An area under the curve: the chance that a tested unit scores above another one.

    Attributes:
        value: 0.5 where nothing tells the sets apart.
        low95: of its 95% interval.
        high95: likewise.
        p_value: one-sided, of 0.5 or less.
    """

    value: float
    low95: float
    high95: float
    p_value: float


def area(tested: np.ndarray, others: np.ndarray, rng: np.random.Generator, times: int) -> Auc:
    """The area under the curve of scores, its interval and its permutation p-value.

    The interval is that of DeLong, DeLong and Clarke-Pearson (1988).
    """
    m, n = len(tested), len(others)
    both = np.concatenate([tested, others])
    rank = ranks(both)
    value = (rank[:m].sum() - m * (m + 1) / 2) / (m * n)
    wins = (rank[:m] - ranks(tested)) / n
    losses = 1 - (rank[m:] - ranks(others)) / m
    spread = np.sqrt(np.var(wins, ddof=1) / m + np.var(losses, ddof=1) / n)
    totals = [rank[:m].sum(), *(rng.permutation(rank)[:m].sum() for _ in range(times))]
    low, high = max(value - 1.96 * spread, 0.0), min(value + 1.96 * spread, 1.0)
    return Auc(float(value), float(low), float(high), p_of(np.array(totals)))


def classified(
    x: np.ndarray, tested: np.ndarray, others: np.ndarray, rng: np.random.Generator, times: int
) -> Auc:
    """How well a classifier that learnt on one half of two sets tells the other half apart.

    Ridge regression on the features, their squares and random cosines of them (Rahimi and Recht
    2007). The half that is scored was not learnt from, so the test is exact (Lopez-Paz and Oquab
    2017, "Revisiting classifier two-sample tests").

    Args:
        x: features of all units of the pool, [N, d].
        tested: the units of the one set.
        others: those of the other.
        rng: divides them.
        times: how many permutations.
    """
    halves = [
        np.array_split(rng.permutation(units)[: 2 * MOST_LEARNT], 2) for units in (tested, others)
    ]
    learnt = np.concatenate([halves[0][0], halves[1][0]])
    label = np.repeat([1.0, -1.0], [len(halves[0][0]), len(halves[1][0])])
    weight = np.where(label > 0, 0.5 / len(halves[0][0]), 0.5 / len(halves[1][0]))
    level, scale = x[learnt].mean(0), x[learnt].std(0)
    keep = scale > 1e-9 * (1 + np.abs(level))
    used = np.concatenate([*halves[0], *halves[1]])
    where = np.zeros(len(x), np.int64)
    where[used] = np.arange(len(used))
    scaled = ((x[used] - level)[:, keep] / scale[keep]).clip(-10, 10)
    d = scaled.shape[1]
    waves = rng.normal(size=(d, 128)) / np.sqrt(max(d, 1))
    cosines = np.cos(scaled @ waves + rng.uniform(0, 2 * np.pi, 128))
    features = torch.from_numpy(
        np.concatenate([scaled, (scaled**2 - 1) / 2, cosines, np.ones((len(used), 1))], axis=1)
    )
    own, w = features[where[learnt]], torch.from_numpy(weight)[:, None]
    target = torch.from_numpy(label)[:, None]
    gram = own.T @ (w * own)
    strength = 3.0 * own.shape[1] / len(learnt)
    gram += torch.eye(len(gram), dtype=gram.dtype) * (1e-6 + min(strength, 3.0) * 0.1)
    solved = torch.linalg.solve(gram, own.T @ (w * target))
    score = (features @ solved).numpy().ravel()
    return area(score[where[halves[0][1]]], score[where[halves[1][1]]], rng, times)


def mean_discrepancy(
    x: torch.Tensor, tested: np.ndarray, others: np.ndarray, rng: np.random.Generator, times: int
) -> tuple[float, float]:
    """The squared maximum mean discrepancy of two sets, and its permutation p-value.

    Gretton et al. (2012), "A kernel two-sample test"; Gaussian kernels of a quarter, one and four
    times the median squared distance, added up.
    """
    some = [
        units if len(units) <= MOST_IN_KERNEL else rng.choice(units, MOST_IN_KERNEL, replace=False)
        for units in (tested, others)
    ]
    own = x[np.concatenate(some)].double()
    square = torch.cdist(own, own) ** 2
    middle = float(square[square > 0].median()) if bool((square > 0).any()) else 1.0
    kernel = sum((torch.exp(-square * s / middle) for s in (0.25, 1.0, 4.0)), torch.zeros(()))
    kernel.fill_diagonal_(0)
    m, n = len(some[0]), len(some[1])
    ways = np.zeros((times + 1, m + n))
    ways[0, :m] = 1
    for way in ways[1:]:
        way[rng.permutation(m + n)[:m]] = 1
    one = torch.from_numpy(ways)
    inside = ((one @ kernel) * one).sum(1)
    row = kernel.sum(1)
    across = one @ row - inside
    outside = row.sum() - inside - 2 * across
    found = inside / (m * (m - 1)) + outside / (n * (n - 1)) - 2 * across / (m * n)
    return float(found[0]), p_of(found.numpy())


def judged(judge: Any, sets: dict[int, Any], pool: Pool) -> Moments:
    """How probable each unit is under another model, nats per element.

    Raises:
        NotComparableError: the judge reads the data as other sequences.
    """
    log_prob, counts = [], []
    for group, data in sets.items():
        tally = count(judge, data, name="judge")
        own = pool.of(group)
        if not pool.blocks:
            if len(tally.sequences) != len(own):
                raise NotComparableError(
                    f"judge reads {len(tally.sequences)} sequences where there are {len(own)}; "
                    "expected a model of the same sequences."
                )
            log_prob.append(tally.log_prob)
            counts.append(tally.counts)
            continue
        if not isinstance(judge, Process) or tally.terms is None:
            raise NotComparableError(
                "judge has no conditionals, and the sequences were cut into blocks; expected a "
                "process."
            )
        lengths = pool.lengths[own]
        if int(lengths.sum()) + tally.ends != len(tally.terms):
            raise NotComparableError(
                f"judge scores {len(tally.terms)} elements where there are {int(lengths.sum())}; "
                "expected a model of the same elements, with none given or missing."
            )
        terms = tally.terms if not tally.ends else _without_ends(tally)
        log_prob.append(np.add.reduceat(terms, np.cumsum(lengths) - lengths))
        counts.append(lengths)
    total, number = np.concatenate(log_prob), np.concatenate(counts).astype(float)
    total = np.where(np.isfinite(total), total, -1e6)
    own = total / number
    at = np.unique(np.quantile(own, [0.05, 0.25, 0.5, 0.75, 0.95], method="lower"))
    names = ["mean log-probability per element, nats"]
    names += [f"share of units at or below {a:.4g} nats per element" for a in at]
    columns = [total, *((own <= a) * number for a in at)]
    return Moments(names, np.stack(columns, 1), number[:, None])


def _without_ends(tally: Any) -> np.ndarray:
    sequences = tally.sequences
    last = (sequences.term_offsets[1:] - 1)[sequences.complete].numpy()
    return np.delete(tally.terms, last)
