"""Where a process stops being what it was: change points of surprisal."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.contract.randomness import resolve_seed
from arproc.errors import (
    UnsupportedError,
    check_choice,
    check_count,
    check_number,
    warn,
)
from arproc.evaluation.analysis.surprise import surprise
from arproc.evaluation.calibration import pit_terms
from arproc.evaluation.terms import Reading, read_terms
from arproc.process import Process
from arproc.spaces import Categorical

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ChangePoints", "change_points"]

#: How many numbers a block of permutations may hold.
_NUMBERS = 2**22
#: Below this, scores within segments are said to depend on each other.
_DEPENDENT = 0.001
#: Chances below this are told as this.
_LEAST_CHANCE = 1e-12


@dataclass(frozen=True)
class ChangePoints:
    """What `change_points` found.

    Attributes:
        table: a row for each change: `series`, `step`, the first of the new regime (and `time`,
            where the data have an index), `p_value`, and `before` and `after`, the mean of what
            was looked at on both sides, up to the next changes.
        scores: a row for each element: `series`, `step`, (`time`,) `value` (the surprisal in nats,
            or the PIT value), `score` (standard normal if the model is right) and `segment`, from
            0.
        rate: the chance of a change in a sequence that has none.
        of: "surprisal" or "pit".
        independence_p_value: that of Ljung and Box's test of the scores within segments; where it
            is small, the rate does not hold.
    """

    table: pd.DataFrame
    scores: pd.DataFrame = field(repr=False)
    rate: float
    of: str
    independence_p_value: float


def change_points(
    model: Process,
    data: Any,
    *,
    rate: float = 0.05,
    of: str = "surprisal",
    least: int = 10,
    context: Any = None,
    offset: Any = None,
    n_permutations: int = 499,
    draws: int = 199,
    seed: int | torch.Generator | None = 0,
) -> ChangePoints:
    """Where the surprisal of a sequence moves to another level.

    Each element has a score, the normal quantile of its surprisal's place among what its
    conditional draws. A sequence is cut where the ranks of scores before and after differ most,
    weighted by the lengths (a CUSUM), if no more than `rate` of random orders of these scores show
    as much; and so are its parts (binary segmentation, Vostrikova 1981). Under any law for which
    scores are exchangeable, so certainly if the model is right, a sequence without a change is cut
    with a chance of at most `rate`; a sequence with k of them has up to k + 1 parts that could be
    cut falsely.

    Args:
        model: a fitted process of any elements.
        data: sequences in any form the model takes.
        rate: of false alarms, for each sequence.
        of: "surprisal", which rises where the model no longer fits in any way and falls where
            things calm down; or "pit", for the direction of a change of level, of ordered scalars.
        least: how many elements there are between changes at least.
        context: what the sequences are conditioned on, for models that take it.
        offset: at which step the sequences begin, as for `log_prob`.
        n_permutations: how many orders of the scores are compared; p-values are multiples of
            1 / (n_permutations + 1).
        draws: how many elements are drawn from each conditional that has no closed form.
        seed: of draws, ties and permutations.

    Returns:
        The changes and the scores. Missing elements have NaN, and are left out.

    Example:
        >>> import arproc
        >>> rng = np.random.default_rng(0)
        >>> x = np.concatenate([rng.normal(size=150), rng.normal(scale=3.0, size=100)])
        >>> found = change_points(arproc.AR.from_parameters([]), x)
        >>> found.table["step"].tolist()      # the first surprise after the change
        [158]
    """
    import pandas as pd

    rate = check_number("rate", rate, above=0, below=1)
    check_choice("of", of, ("surprisal", "pit"))
    least = check_count("least", least, minimum=1)
    n_permutations = check_count("n_permutations", n_permutations, minimum=19)
    draws = check_count("draws", draws, minimum=19)
    reading, number = read_terms(model, data, context, offset, "change_points"), resolve_seed(seed)
    value, u = _places(reading, of, draws, number)
    _warn_of_impossible(u, least)
    score = _normal(u)
    rng = np.random.default_rng(number)
    segment, rows = np.zeros(len(score), dtype=np.int64), []
    for a, b in pairwise(reading.bounds.tolist()):
        known = a + np.flatnonzero(~np.isnan(score[a:b]))
        cuts = sorted(_cuts(score[known], least, rate, n_permutations, rng))
        ends = [0, *(cut for cut, _ in cuts), len(known)]
        for k, (cut, p) in enumerate(cuts, start=1):
            segment[known[cut] : b] = k
            sides = (known[ends[k - 1] : cut], known[cut : ends[k + 1]])
            rows.append((known[cut], p, *(float(value[side].mean()) for side in sides)))
    scores = reading.frame({"value": value, "score": score, "segment": segment})
    at = [row[0] for row in rows]
    where = [name for name in ("series", "step", "time") if name in scores]
    table = scores.loc[at, where].reset_index(drop=True)
    more = pd.DataFrame([row[1:] for row in rows], columns=["p_value", "before", "after"])
    p_value = _independence(score, segment, reading)
    return ChangePoints(pd.concat([table, more.astype(float)], axis=1), scores, rate, of, p_value)


def _places(reading: Reading, of: str, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What is looked at, and its places in (0, 1), high where there is much of it; [terms]."""
    if of == "surprisal":
        found = surprise(reading, draws, seed)
        return found.surprisal, 1 - found.uniform(seed)
    space = reading.process.space
    if space.event_shape or isinstance(space, Categorical) or space.measure == "mixed":
        raise UnsupportedError(
            f'of="pit" is for ordered scalars; this process has {space.describe()} elements. '
            'of="surprisal" is for any.'
        )
    u = pit_terms(*reading, seed).numpy()
    return u, u


def _normal(u: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    return ndtri(np.clip(u, _LEAST_CHANCE, 1 - _LEAST_CHANCE))


def _warn_of_impossible(u: np.ndarray, least: int) -> None:
    """Warn where most elements are beyond what scores can tell apart."""
    known = u[~np.isnan(u)]
    beyond = int(((known <= _LEAST_CHANCE) | (known >= 1 - _LEAST_CHANCE)).sum())
    if 2 * beyond > len(known) and beyond >= 2 * least:
        warn(
            f"{beyond} of {len(known)} elements have a chance below {_LEAST_CHANCE:g} under the "
            "model, so their scores are equal and changes among them are not seen: the model does "
            "not fit, or the data are in another unit than those it was fitted to.",
            UserWarning,
        )


def _cuts(
    z: np.ndarray, least: int, rate: float, count: int, rng: np.random.Generator
) -> list[tuple[int, float]]:
    """Where the scores [n] of one sequence are cut, with the p-values."""
    found, parts = [], [(0, len(z))]
    while parts:
        a, b = parts.pop()
        if b - a < 2 * least:
            continue
        cut, p = _best(z[a:b], least, count, rng)
        if p <= rate:
            found.append((a + cut, p))
            parts += [(a, a + cut), (a + cut, b)]
    return found


def _best(z: np.ndarray, least: int, count: int, rng: np.random.Generator) -> tuple[int, float]:
    """The best cut of scores [n], and the share of random orders that have one as good."""
    from scipy.stats import rankdata

    n = len(z)
    ranks = rankdata(z) - (n + 1) / 2  # equal scores share a rank: their order says nothing
    t = np.arange(least, n - least + 1)
    weight = 1 / np.sqrt(t * (n - t))
    curve = np.abs(ranks.cumsum()[t - 1]) * weight
    best, as_good, left = float(curve.max()), 1, count
    while left:
        some = min(left, max(1, _NUMBERS // n))
        orders = rng.permuted(np.broadcast_to(ranks, (some, n)), axis=1)
        most = (np.abs(orders.cumsum(axis=1)[:, t - 1]) * weight).max(axis=1)
        as_good += int((most >= best * (1 - 1e-12)).sum())
        left -= some
    return int(t[curve.argmax()]), as_good / (count + 1)


def _independence(score: np.ndarray, segment: np.ndarray, reading: Reading) -> float:
    """The p-value of the scores' independence within segments, and a warning where it is small."""
    from scipy.special import chdtrc

    parts = []
    for a, b in pairwise(reading.bounds.tolist()):
        known = ~np.isnan(score[a:b])
        own, which = score[a:b][known], segment[a:b][known]
        parts += [own[which == k] for k in np.unique(which)]
    # the mean of equal numbers may be off by a rounding, which is no score
    parts = [own - (own.mean() if np.ptp(own) > 0 else own[0]) for own in parts if len(own) > 2]
    lags = min(10, max(map(len, parts), default=0) // 5)
    if lags < 1:
        return 1.0
    p_value = float(chdtrc(lags, _dependence(parts, lags)))
    if p_value < _DEPENDENT:
        warn(
            f"scores depend on each other within segments (p = {p_value:.2g}): the model does not "
            "fit, and more changes may be found than there are. Fit a better model, or say a "
            "smaller rate=.",
            UserWarning,
        )
    return p_value


def _dependence(parts: list[np.ndarray], lags: int) -> float:
    """Ljung and Box's statistic of segments about their own means.

    Of exchangeable numbers about their mean, two have the covariance -S / (n (n - 1)), S the sum
    of the n squares; without that many short segments would look dependent.
    """
    squares = np.array([float(z @ z) for z in parts])
    sizes = np.array([len(z) for z in parts])
    variance = float(squares.sum()) / int((sizes - 1).sum())
    total = 0.0
    for k in range(1, lags + 1):
        long = sizes > k
        pairs = int((sizes[long] - k).sum())
        products = sum(float(z[k:] @ z[:-k]) for z, some in zip(parts, long, strict=True) if some)
        expected = ((sizes - k) * squares / (sizes * (sizes - 1)))[long].sum()
        if variance > 0 and pairs:
            total += ((products + float(expected)) / variance) ** 2 / pairs
    return total
