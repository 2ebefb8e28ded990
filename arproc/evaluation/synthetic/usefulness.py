"""Whether a model learnt from synthetic data does on real data what one of real data does.

The model is the best linear predictor of an element (or of each column) from others, which follows
from means of products, or a table of pairs of symbols. So it can be learnt anew for each way of
dealing train and synthetic units, and what is lost by learning from the synthetic ones is judged
against what is lost by learning from any other units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from arproc.evaluation.synthetic.pool import HOLDOUT, Pool
from arproc.evaluation.synthetic.relabelling import Relabelling, p_of
from arproc.evaluation.synthetic.statistics import columns, indicators, kernels_for
from arproc.evaluation.synthetic.symbols import bigrams

__all__ = ["Use", "usefulness"]

#: The most numbers that are predicted from each other, and how many ways are dealt.
MOST_PREDICTORS, WAYS = 48, 400
#: How many elements before it an element is predicted from.
ORDER = 5


class Use(NamedTuple):
    """Losses on the hold-out.

    Attributes:
        real: the loss of what was learnt from train.
        synthetic: of what was learnt from synthetic data.
        p_value: one-sided, of the latter being no higher than that of as many real units.
        unit: what the loss is.
    """

    real: float
    synthetic: float
    p_value: float
    unit: str


def usefulness(pool: Pool, dealt: Relabelling) -> Use | str:
    """Learn from synthetic and from train, and score both on the hold-out.

    Args:
        pool: with a hold-out.
        dealt: synthetic units against those of train.
    """
    ways = Relabelling.__new__(Relabelling)
    ways.tested, ways.others, ways.units = dealt.tested, dealt.others, dealt.units
    ways.dealt = dealt.dealt[: WAYS + 1]
    own = pool.of(HOLDOUT)
    if pool.codes is not None:
        moments = bigrams(pool)
        size = int(round(moments.sums.shape[1] ** 0.5))
        held = moments.sums[own].sum(0).reshape(size, size)
        tables = [part.reshape(-1, size, size) for part in ways.sums(moments.sums)]
        mine, theirs = (_loss_of_table(table, held) for table in tables)
        return Use(theirs[0], mine[0], p_of(mine - theirs), "nats per symbol, of pairs of symbols")
    products, counts, targets = _products(pool)
    if not targets:
        return "there is nothing to predict from"
    held = products[own].sum(0) / counts[own].sum()
    size = int(round(products.shape[1] ** 0.5))
    means = [
        (part / number).reshape(-1, size, size)
        for part, number in zip(ways.sums(products), ways.sums(counts), strict=True)
    ]
    mine, theirs = (_loss_of_lines(mean, held.reshape(size, size), targets) for mean in means)
    what = "squared error of a linear forecast" if pool.dependent else "squared error by the others"
    return Use(theirs[0], mine[0], p_of(mine - theirs), f"{what}, in variances")


def _loss_of_table(table: np.ndarray, held: np.ndarray) -> np.ndarray:
    """-log p of held pairs under tables of pairs [ways, k, k], smoothed by their single symbols."""
    single = table.sum(-2) + 0.5
    single = single / single.sum(-1, keepdims=True)
    row = table.sum(-1, keepdims=True)
    weight = row / (row + 20.0)
    p = weight * table / np.maximum(row, 1) + (1 - weight) * single[:, None, :]
    return -(held * np.log(np.maximum(p, 1e-12))).sum((-2, -1)) / held.sum()


def _products(pool: Pool) -> tuple[np.ndarray, np.ndarray, list[tuple[list[int], int]]]:
    """Sums of products of what predicts and is predicted, of each unit [N, m * m], with counts.

    Returns:
        Also the targets: which columns predict, and which is predicted.
    """
    places = [pool.numeric.index(j) for j in columns(pool)]
    x = np.nan_to_num(pool.centred[:, places])
    if pool.dependent:
        x = x[:, : max(MOST_PREDICTORS // (ORDER + 1), 1)]
        width, order = x.shape[1], min(ORDER, max(int(np.median(pool.lengths)) // 4, 1))
        past = list(range(width, width * (order + 1) + 1))
        targets = [(past, j) for j in range(width)]
    else:
        x, order = np.nan_to_num(indicators(pool)[0])[:, :MOST_PREDICTORS], 0
        width = x.shape[1]
        every = range(width + 1)
        targets = [([i for i in every if i != j], j) for j in range(width)] if width > 1 else []
    kernels = kernels_for(len(x) * (width * (order + 1) + 1) ** 2)
    sums, counts = kernels.predicting(np.ascontiguousarray(x), pool.offsets, order)
    return sums, counts, targets


def _loss_of_lines(
    mean: np.ndarray, held: np.ndarray, targets: list[tuple[list[int], int]]
) -> np.ndarray:
    """Mean squared errors on held products [m, m] of lines learnt from others [ways, m, m]."""
    total = np.zeros(len(mean))
    for past, j in targets:
        gram = mean[:, past][:, :, past] + 1e-3 * np.eye(len(past))
        line = np.linalg.solve(gram, mean[:, past, j][..., None])[..., 0]
        cross = line @ held[past, j]
        square = np.einsum("wi,ij,wj->w", line, held[np.ix_(past, past)], line)
        total += (held[j, j] - 2 * cross + square) / max(held[j, j], 1e-12)
    return total / len(targets)
