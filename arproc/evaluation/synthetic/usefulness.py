"""Whether a model learnt from synthetic data does on real data what one of real data does.

The model is the best linear predictor of an element (or of each column) from others, which follows
from means of products, or a table of pairs of symbols. So it can be learnt anew for each way of
dealing train and synthetic units, and what is lost by learning from the synthetic ones is judged
against what is lost by learning from any other units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from arproc.evaluation.synthetic.columns import indicators
from arproc.evaluation.synthetic.pool import Pool
from arproc.evaluation.synthetic.relabelling import Relabelling, p_of
from arproc.evaluation.synthetic.sets import HOLDOUT
from arproc.evaluation.synthetic.statistics import columns, kernels_for
from arproc.evaluation.synthetic.symbols import bigrams

__all__ = ["Use", "usefulness"]

#: The most numbers that are predicted from each other.
MOST_PREDICTORS = 32
#: How many elements before it an element is predicted from.
ORDER = 5
_RIDGE = 1e-3


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
    own = pool.of(HOLDOUT)
    if pool.codes is not None:
        moments = bigrams(pool)
        size = round(moments.sums.shape[1] ** 0.5)
        held = moments.sums[own].sum(0).reshape(size, size)
        tables = [part.reshape(-1, size, size) for part in dealt.sums(moments.sums)]
        mine, theirs = (_loss_of_table(table, held) for table in tables)
        return Use(theirs[0], mine[0], p_of(mine - theirs), "nats per symbol, of pairs of symbols")
    products, counts, width = _products(pool)
    if width < (1 if pool.dependent else 2):
        return "there is nothing to predict from"
    size = round(products.shape[1] ** 0.5)
    held = (products[own].sum(0) / counts[own].sum()).reshape(size, size)
    means = [
        (part / number).reshape(-1, size, size)
        for part, number in zip(dealt.sums(products), dealt.sums(counts), strict=True)
    ]
    loss = _loss_of_forecasts if pool.dependent else _loss_of_columns
    mine, theirs = (loss(mean, held, width) for mean in means)
    what = "linear forecast" if pool.dependent else "linear prediction by other columns"
    return Use(theirs[0], mine[0], p_of(mine - theirs), f"squared error of a {what}, in variances")


def _loss_of_table(table: np.ndarray, held: np.ndarray) -> np.ndarray:
    """-log p of held pairs under tables of pairs [ways, k, k], smoothed by single symbols."""
    single = table.sum(-2) + 0.5
    single = single / single.sum(-1, keepdims=True)
    row = table.sum(-1, keepdims=True)
    weight = row / (row + 20.0)
    p = weight * table / np.maximum(row, 1) + (1 - weight) * single[:, None, :]
    return -(held * np.log(np.maximum(p, 1e-12))).sum((-2, -1)) / held.sum()


def _products(pool: Pool) -> tuple[np.ndarray, np.ndarray, int]:
    """Sums of products of what predicts and is predicted, of each unit [N, m * m], with counts.

    Returns:
        Also how many columns are predicted: the first ones.
    """
    if pool.dependent:
        places = [pool.numeric.index(j) for j in columns(pool)]
        x = np.nan_to_num(pool.centred[:, places[: MOST_PREDICTORS // (ORDER + 1)]])
        order = min(ORDER, max(int(np.median(pool.lengths)) // 4, 1))
    else:
        x, order = np.nan_to_num(indicators(pool)[0])[:, :MOST_PREDICTORS], 0
    kernels = kernels_for(len(x) * (x.shape[1] * (order + 1) + 1) ** 2)
    sums, counts = kernels.predicting(np.ascontiguousarray(x), pool.offsets, order)
    return sums, counts, x.shape[1]


def _loss_of_forecasts(mean: np.ndarray, held: np.ndarray, width: int) -> np.ndarray:
    """Mean squared errors of a step by those before it; held products [m, m], of others [w, m, m].

    They are in held variances, and averaged over columns.
    """
    gram = mean[:, width:, width:] + _RIDGE * np.eye(mean.shape[1] - width)
    lines = np.linalg.solve(gram, mean[:, width:, :width])  # [ways, predictors, width]
    square = np.einsum("wij,wij->wj", lines, held[width:, width:] @ lines)
    cross = np.einsum("wij,ij->wj", lines, held[width:, :width])
    level = held.diagonal()[:width]
    return ((level - 2 * cross + square) / np.maximum(level, 1e-12)).mean(-1)


def _loss_of_columns(mean: np.ndarray, held: np.ndarray, width: int) -> np.ndarray:
    """The same of each column by all others: the lines are the rows of the inverse."""
    inverse = np.linalg.inv(mean + _RIDGE * np.eye(mean.shape[1]))
    square = np.einsum("wij,wij->wj", inverse, held @ inverse)
    scale = np.einsum("wjj->wj", inverse) ** 2
    level = np.maximum(held.diagonal(), 1e-12)
    return (square / scale / level)[:, :width].mean(-1)
