"""How `AutoPanel()` learns: what a panel has in common, and what follows for each series."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from arproc.models.panel.automatic import autoregressions as ar
from arproc.models.panel.automatic.candidates import (
    NAIVE,
    Frame,
    forecasts,
    in_scale,
    on_users_scale,
    usable,
)
from arproc.models.panel.automatic.deviations import Combined, heeded
from arproc.models.panel.automatic.effects import Regressed, effects, first_of, following, without
from arproc.models.panel.automatic.learnt import Automatic, Common
from arproc.models.panel.automatic.seasons import find_periods
from arproc.models.panel.automatic.smoothing import FAMILIES, next_of_walk, scaled
from arproc.models.panel.automatic.spread import fit_spread
from arproc.models.panel.automatic.weights import (
    choose,
    combine,
    errors_of,
    of_the_panel,
    of_the_series,
)
from arproc.models.panel.data import PanelData
from arproc.models.panel.fitted import FittedSeries
from arproc.models.panel.labels import end_of

__all__ = ["learn", "learn_others"]

_SMALL = 50  # whole numbers from here on are as good as reals
_TYPICAL = 0.1  # the relative spread of a series about which nobody knows anything


def learn(
    table: PanelData, count: int | None, periods: list[int] | None, log: bool | None
) -> Automatic:
    """Learn everything of a panel; see `AutoPanel`.

    Args:
        table: the panel, each series with one known value at least.
        count: how many of the last values choose; None for the seasons' own.
        periods: the seasons; None where they are to be found.
        log: whether logarithms are modelled; None for those of the series that are positive.
    """
    found = find_periods(table) if periods is None else periods
    longest = int(table.lengths.max())
    found = [period for period in found if 2 * period <= longest]  # no series shows others
    horizon = _horizon(table, found) if count is None else count
    frame = Frame(found, horizon, ar.lags_of(table.lengths, found))
    kinds = _kinds(table, log)
    trials = _try(table, kinds, frame)
    return _each(table, kinds, trials, _common(table, kinds, trials, frame))


def learn_others(table: PanelData, log: bool | None, common: Common) -> Automatic:
    """The same of other series, with what those of another panel have in common.

    What is learnt of each depends on it and on `common` alone, not on the others.
    """
    kinds = _kinds(table, log)
    return _each(table, kinds, _try(table, kinds, common.frame), common)


# ---- each series --------------------------------------------------------------------------------


class Kinds(NamedTuple):
    """What sort of numbers each series has, bool [N] each.

    Attributes:
        log: its logarithms are modelled.
        bounded: there are none below 0, but some of 0.
        whole: they are small whole numbers.
    """

    log: np.ndarray
    bounded: np.ndarray
    whole: np.ndarray


def _kinds(table: PanelData, log: bool | None) -> Kinds:
    x, starts = table.values, table.offsets[:-1]
    known = ~np.isnan(x)
    with np.errstate(invalid="ignore"):
        least, most = np.fmin.reduceat(x, starts), np.fmax.reduceat(x, starts)
        counts = np.logical_and.reduceat((x == np.rint(x)) | ~known, starts) & (least >= 0)
        below = np.add.reduceat((x < _SMALL).astype(np.int64), starts)
    seen = np.add.reduceat(known.astype(np.int64), starts)
    whole = counts & (2 * below > seen)
    for i in np.flatnonzero(counts & (2 * below == seen)).tolist():  # half of them are
        whole[i] = float(np.nanmedian(table.row(i))) < _SMALL
    whole &= seen > 2
    bounded = whole | ((least == 0) & (most > 0))
    positive = least > 0
    return Kinds((positive if log is None else positive & log) & ~whole, bounded, whole)


class Trial(NamedTuple):
    """What the candidates said of one stretch at the end of each series, not having seen it.

    Attributes:
        made: medians on the users' scale, [N, K, h].
        actual: what came, nan where nothing was left out, [N, h].
        errors: mean absolute ones in units of the series' size, [N, K].
        middle: the medians in the scale of each series.
        deviation: and how far they may be off.
    """

    made: np.ndarray
    actual: np.ndarray
    errors: np.ndarray
    middle: np.ndarray
    deviation: np.ndarray


class Trials(NamedTuple):
    """The last two stretches of each series.

    Attributes:
        size: what an error is large beside, [N].
        later: the last stretch.
        earlier: the stretch before, forecast from what was known then.
    """

    size: np.ndarray
    later: Trial
    earlier: Trial


def _try(table: PanelData, kinds: Kinds, frame: Frame) -> Trials:
    size = _sizes(table, frame.periods[0] if frame.periods else 1)
    parts = [_tried(table, kinds, frame, times * frame.horizon, size) for times in (1, 2)]
    return Trials(size, *parts)


def _tried(table: PanelData, kinds: Kinds, frame: Frame, count: int, size: np.ndarray) -> Trial:
    """The first of the last `count` values, forecast from what was before them."""
    periods, horizon = frame.periods, frame.horizon
    least = max(4, 2 * periods[0] + 1 if periods else 4)  # values, to forecast the others from
    left_out = np.where(table.lengths - count >= least, count, 0)
    fits = ar.fit(in_scale(table, kinds.log, left_out), frame.lags)
    beside = None
    if table.covariates is not None:
        beta, base, others = _regressed(table, kinds, frame, left_out)
        beside = Regressed(beta, base, following(table, left_out, horizon), others)
    made = forecasts(table, kinds.log, periods, left_out, horizon, fits, beside)
    users, came = on_users_scale(made.mean, kinds.log), _later(table, left_out, horizon)
    return Trial(users, came, errors_of(users, came, size), made.mean, made.deviation)


def _regressed(
    table: PanelData, kinds: Kinds, frame: Frame, left_out: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[FittedSeries]]:
    """What covariates do to the known part of each series, from where, and AR fits of the rest."""
    period = frame.periods[0] if frame.periods else 1
    beta = effects(in_scale(table, kinds.log, left_out), period)
    base = first_of(table)
    rest = without(table, kinds.log, beta, base)
    return beta, base, ar.fit(in_scale(rest, kinds.log, left_out), frame.lags)


def _later(table: PanelData, left_out: np.ndarray, horizon: int) -> np.ndarray:
    """The first `horizon` of the values that were left out, [N, horizon]; nan where none were."""
    found = np.full((len(table), horizon), np.nan)
    rows = np.flatnonzero(left_out)
    begin = table.offsets[1:][rows] - left_out[rows]
    found[rows] = table.values[begin[:, None] + np.arange(horizon)]
    return found


def _sizes(table: PanelData, period: int) -> np.ndarray:
    """The mean absolute change over a season of each series, what its errors are large beside."""
    x, starts, lengths = table.values, table.offsets[:-1], table.lengths
    step = np.repeat(np.where(lengths > period, period, 1), lengths)
    place = np.arange(len(x))
    inside = place - np.repeat(starts, lengths) >= step
    change = np.abs(x - x[np.where(inside, place - step, place)])
    counted = inside & ~np.isnan(change)
    total = np.add.reduceat(np.where(counted, change, 0.0), starts)
    change_of = total / np.maximum(np.add.reduceat(counted.astype(np.int64), starts), 1)
    known = ~np.isnan(x)
    level = np.add.reduceat(np.where(known, np.abs(x), 0.0), starts)
    level /= np.add.reduceat(known.astype(np.int64), starts)
    return np.maximum(np.maximum(change_of, 1e-6 * level), 1e-300)


def _each(table: PanelData, kinds: Kinds, trials: Trials, common: Common) -> Automatic:
    """What each series has learnt of its own trials."""
    last, before = trials.later.errors, trials.earlier.errors
    errors = np.where(np.isnan(before), last, (last + before) / 2)
    shape = common.weights, common.equal, common.power
    weights = of_the_series(shape[0], errors, NAIVE, *shape[1:])
    own = common.spread.own(_standard(_combined(table, kinds, trials, *shape), common.heed))
    none = np.zeros(len(table), np.int64)
    fits = ar.fit(in_scale(table, kinds.log, none), common.frame.lags)
    status, ends = ["ok"] * len(table), [end_of(index) for index in table.indexes]
    beta: np.ndarray | None = None
    base: np.ndarray | None = None
    others: list[FittedSeries] = []
    if table.covariates is not None:
        beta, base, others = _regressed(table, kinds, common.frame, none)
    return Automatic(
        table.names, table.values, table.lengths, ends, status, *kinds, weights, own, common, fits,
        others, beta, base, table.covariates, table.covariate_names,
    )  # fmt: skip


def _combined(
    table: PanelData, kinds: Kinds, trials: Trials, weights: np.ndarray, equal: float, power: float
) -> list[Combined]:
    """Errors as those to come are, of both stretches.

    Of the earlier where at least as many values lie before the two as in them, for the errors of
    forecasts from next to nothing say little of others. The combination has chosen nothing; or, as
    candidates with covariates may be surer by far than others, by the errors in the other stretch.
    """
    found, log = [], kinds.log[:, None]
    for one, other in ((trials.later, trials.earlier), (trials.earlier, trials.later)):
        seen = np.nan if table.covariates is None else other.errors
        unknown = np.where(np.isinf(one.errors), np.inf, seen)
        even = usable(of_the_series(weights, unknown, NAIVE, equal, power), one.middle)
        with np.errstate(invalid="ignore", divide="ignore"):
            come = np.where(log, np.log(np.where(log, one.actual, 1.0)), one.actual)
        found.append(Combined(come - combine(one.middle, even), one.deviation, even))
    found[1].gap[table.lengths < 4 * trials.later.actual.shape[1]] = np.nan
    return found


def _standard(parts: list[Combined], heed: np.ndarray) -> np.ndarray:
    """Errors of the stretches in units of the deviations that the candidates said, [N, 2, h]."""
    return np.stack([one.standard(heed) for one in parts], axis=1)


# ---- the panel ----------------------------------------------------------------------------------


def _common(table: PanelData, kinds: Kinds, trials: Trials, frame: Frame) -> Common:
    """What the series of a panel have in common."""
    size, later, earlier = trials
    allowed = np.ones(later.made.shape[1], bool)  # the naive one is there to be better than
    allowed[[NAIVE, NAIVE + len(FAMILIES)]] = False  # that of what covariates leave may be used
    first = of_the_panel(earlier.made, earlier.actual, size, allowed)
    untested = np.isnan(earlier.actual).all(axis=1, keepdims=True)
    tested = np.where(untested, np.nan, later.actual)
    equal, power = choose(first, earlier.errors, later.made, tested, size, NAIVE)
    made = np.concatenate([earlier.made, later.made])
    came = np.concatenate([earlier.actual, later.actual])
    weights = of_the_panel(made, came, np.tile(size, 2), allowed)
    parts = _combined(table, kinds, trials, weights, equal, power)
    heed = heeded(parts)
    spread = fit_spread(_standard(parts, heed))
    typical = _typical(table, kinds, frame.periods)
    return Common(*frame, weights, equal, power, heed, spread, typical)


def _typical(table: PanelData, kinds: Kinds, periods: list[int]) -> float:
    """The median spread of one step: of logarithms, or beside the last value."""
    none = np.zeros(len(table), np.int64)
    mean, deviation = next_of_walk(scaled(table, kinds.log, periods, none))
    with np.errstate(divide="ignore", invalid="ignore"):  # beside 0 any spread is large
        found = deviation / np.where(kinds.log, 1.0, np.abs(mean))
    found = found[found > 0]
    return float(np.clip(np.median(found), 1e-9, 1.0)) if len(found) else _TYPICAL


def _horizon(table: PanelData, periods: list[int]) -> int:
    """How many of the last values choose: two seasons, or six, but no more than a quarter."""
    wanted = 2 * periods[0] if periods else 6
    return int(max(1, min(wanted, np.median(table.lengths) // 4)))
