"""Conformal intervals: a backtest's own past errors say how wide intervals have to be."""

from __future__ import annotations

import math
from bisect import insort
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import DataError, check_count, check_number, check_table, warn
from arproc.evaluation.backtests.losses import keys_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["conformal_intervals", "exchangeability"]

#: Below this p-value the scores are said not to be exchangeable.
_LEVEL = 0.01


def conformal_intervals(
    table: pd.DataFrame, level: float = 0.9, *, gamma: float = 0.0, least: int = 1
) -> pd.DataFrame:
    """Intervals that the errors of earlier origins have calibrated, at each origin.

    The score of an outcome y is max(q_low - y, y - q_high), how far it lies outside the widest
    pair of the table's quantiles (below 0 inside); the interval at an origin is that pair moved
    out by the ceil((n + 1) level)-th smallest of the n scores of the same series and step whose
    outcomes were known there (split conformal, Vovk; Romano, Patterson and Candès 2019,
    Conformalized quantile regression). If the scores are exchangeable it holds the next outcome
    with a chance of at least `level`, whatever the model; with fewer than level / (1 - level)
    scores only the whole line does, and the interval is infinite.

    Where the world drifts they are not exchangeable: a test says so in a warning
    (`exchangeability`). With `gamma` the level in use then follows what was covered, a <- a +
    gamma (1 - level - miss), a the chance of a miss that is asked for, which brings the long-run
    coverage to `level` for any sequence (Gibbs and Candès 2021, Adaptive conformal inference under
    distribution shift); 0.005 to 0.05 are usual.

    Args:
        table: what `backtest` gives, with two quantiles or more.
        level: the coverage asked for, in (0, 1).
        gamma: how fast the level adapts; 0 for split conformal intervals.
        least: how many scores an interval needs; its ends are NaN before there are as many.

    Returns:
        The rows of the table in their order, with the columns that say which they are, `actual`,
        `low`, `high`, `inside` (NaN where nothing came) and `n_scores`. `.attrs` has the share
        inside, and the p-value of the test of exchangeability.

    Example:
        >>> import arproc
        >>> x = np.random.default_rng(0).normal(size=400)
        >>> narrow = arproc.AR.from_parameters([0.0], sigma2=0.25)  # half the true deviation
        >>> table = arproc.backtest(narrow, x, start=100, refit="never")
        >>> found = conformal_intervals(table, level=0.8)
        >>> float(table["actual"].between(table[0.05], table[0.95]).mean())
        0.587
        >>> round(found.attrs["coverage"], 2)
        0.81
    """
    import pandas as pd

    level = check_number("level", level, above=0, below=1)
    gamma = check_number("gamma", gamma, low=0)
    least = check_count("least", least, minimum=1)
    check_table("table", table, ("series", "origin", "step", "time", "actual"))
    low, high = _pair(table)
    y = table["actual"].to_numpy(dtype=float)
    scores = np.maximum(low - y, y - high)
    parts = [name for name in keys_of(table) if name != "origin"]
    reach, counts = np.full(len(table), np.nan), np.zeros(len(table), dtype=np.int64)
    grouped = table.groupby(parts, sort=False).indices.values()
    for where in grouped:
        order = where[np.argsort(table["origin"].to_numpy()[where], kind="stable")]
        origins, times = (table[name].to_numpy()[order] for name in ("origin", "time"))
        known = np.searchsorted(times, origins, side="right")  # outcomes up to each origin
        reach[order], counts[order] = _reaches(scores[order], known, level, gamma, least)
    kept = table[[*keys_of(table), "time", "actual"]].reset_index(drop=True)
    inside = np.where(np.isnan(y) | np.isnan(reach), np.nan, scores <= reach)
    found = kept.assign(low=low - reach, high=high + reach, inside=inside, n_scores=counts)
    said = exchangeability(pd.DataFrame(table).assign(score=scores))
    some = inside[~np.isnan(inside)]
    found.attrs = {"level": level, "gamma": gamma, "exchangeability_p_value": said}
    found.attrs["coverage"] = float(some.mean()) if len(some) else math.nan
    if said < _LEVEL and not gamma:
        warn(
            f"the errors of this backtest are not exchangeable over time (p = {said:.2g}): they "
            "drift, or depend on each other, so conformal intervals may cover less than "
            f"{level:g}. Use gamma=0.01, refit more often, or a window.",
            UserWarning,
        )
    return found


def _pair(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest quantile."""
    columns: list[Any] = list(table.columns)
    levels = sorted(name for name in columns if isinstance(name, float))
    if len(levels) < 2:
        raise DataError(
            f"table has the quantiles {levels}; expected two or more: backtest with "
            "quantiles=(0.05, 0.95), say."
        )
    return table[levels[0]].to_numpy(dtype=float), table[levels[-1]].to_numpy(dtype=float)


def _reaches(
    scores: np.ndarray, known: np.ndarray, level: float, gamma: float, least: int
) -> tuple[np.ndarray, np.ndarray]:
    """How far intervals reach beyond the quantiles at each origin, and by how many scores.

    Args:
        scores: of one series and step in the order of the origins, [K]; NaN where nothing came.
        known: how many of them have come at each origin, [K].
        level: the coverage asked for.
        gamma: how fast it adapts.
        least: how many scores an interval needs.
    """
    reach, counts = np.full(len(scores), np.nan), np.zeros(len(scores), dtype=np.int64)
    miss, told = 1 - level, 0
    past: list[float] = []  # sorted
    for k, came in enumerate(known.tolist()):
        for j in range(told, came):  # what has shown since the last origin
            if np.isnan(scores[j]):
                continue
            insort(past, float(scores[j]))
            if not np.isnan(reach[j]):
                miss += gamma * (1 - level - float(scores[j] > reach[j]))
        told = max(told, came)
        counts[k] = n = len(past)
        if n < least:
            continue
        rank = math.ceil((n + 1) * (1 - miss) - 1e-9)
        reach[k] = math.inf if rank > n else -math.inf if rank < 1 else past[rank - 1]
    return reach, counts


def exchangeability(table: pd.DataFrame, n_permutations: int = 499) -> float:
    """The p-value of a permutation test of whether scores could have come in any order.

    Of the mean scores of origins that are a horizon apart (others share steps), the statistics are
    the rank correlation with time, for drifts, and with the score before, for dependence; the
    p-value is twice the smaller of the two.

    Args:
        table: what `backtest` gives, with a column `score`.
        n_permutations: how many orders it is compared with.

    Returns:
        The p-value; 1 with fewer than 8 such origins, which can show nothing.
    """
    from scipy.stats import rankdata

    by_origin = table.groupby("origin", sort=True)["score"].mean()
    step = int(table.attrs.get("step") or 1)
    apart = -(-int(table["step"].max()) // step)
    x = by_origin.to_numpy(dtype=float)[::apart]
    x = x[np.isfinite(x)]
    if len(x) < 8:
        return 1.0
    ranks = rankdata(x) - (len(x) + 1) / 2  # equal scores share a rank
    rng = np.random.default_rng(0)
    orders = np.stack([ranks, *(rng.permutation(ranks) for _ in range(n_permutations))])
    drift = np.abs(orders @ (np.arange(len(x)) - (len(x) - 1) / 2))
    dependence = np.abs((orders[:, 1:] * orders[:, :-1]).sum(axis=1))
    p_values = [float((found >= found[0] - 1e-9).mean()) for found in (drift, dependence)]
    return min(1.0, 2 * min(p_values))
