"""The whole of what `AutoPanel()` learns of a panel, and what it says of what follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import ndtri

from arproc.contract.checked import Array, sentences
from arproc.contract.randomness import Uniforms, derived_seed
from arproc.contract.storable import storable
from arproc.errors import UnsupportedError
from arproc.models.panel.automatic import autoregressions as ar
from arproc.models.panel.automatic.seasons import find_periods
from arproc.models.panel.automatic.smoothing import FAMILIES, ahead, scaled
from arproc.models.panel.automatic.spread import SHARE, Tails, fit_tails
from arproc.models.panel.automatic.weights import (
    choose,
    combine,
    errors_of,
    of_the_panel,
    of_the_series,
)
from arproc.models.panel.data import PanelData
from arproc.models.panel.fitted import FittedSeries
from arproc.models.panel.labels import end_of, restore_end
from arproc.models.panel.tables import future

__all__ = ["Automatic", "Laws", "learn"]

_NAIVE = FAMILIES.index("walk")
_PARTS = 200  # of a law, of which a mean is taken
_SMALL = 50  # whole numbers from here on are as good as reals
_TYPICAL = 0.1  # the relative spread of a series about which nobody knows anything


class Laws(NamedTuple):
    """The joint laws of what follows each series, normal mixtures in its own scale.

    Attributes:
        middle: medians in the scale, [N, horizon].
        deviation: of the narrow part, [N, horizon].
        correlation: the factor L of the correlations L L', [N, horizon, horizon].
        log: of which series the scale is the logarithm, [N].
    """

    middle: np.ndarray
    deviation: np.ndarray
    correlation: np.ndarray
    log: np.ndarray

    def at(self, z: float) -> np.ndarray:
        """So many narrow deviations above the medians, as users' values, [N, horizon]."""
        found, log = self.middle + z * self.deviation, self.log[:, None]
        with np.errstate(over="ignore"):
            return np.where(log, np.exp(np.where(log, found, 0.0)), found)


@storable
@dataclass(frozen=True, eq=False)
class Automatic:
    """What an `AutoPanel()` without candidates has learnt.

    Attributes:
        names: what the series are called, [N].
        values: the series one after the other, from which forecasts go on, [total].
        lengths: how many values each has, int64 [N].
        ends: how each series' index ends, or that of all.
        status: "ok", or what a series was too short for, [N].
        periods: the lengths of the seasons.
        log: of which series the logarithms are modelled, [N].
        bounded: which series have no values below 0, but some of 0: what is below is 0, [N].
        whole: which are small whole numbers: their laws are rounded, [N].
        weights: of the candidates in each series, [N, K].
        own: how much larger than the panel's a series' errors are, [N].
        tails: the law of standardised errors.
        typical: a common spread of one step, of logarithms and relative.
        fits: of the autoregressions among the candidates.
    """

    names: Sequence[Any]
    values: Annotated[np.ndarray, Array("v", nan=True)]
    lengths: Annotated[np.ndarray, Array("n", kind="int64", low=0)]
    ends: Sequence[dict[str, Any]]
    status: Sequence[str]
    periods: Sequence[int]
    log: Annotated[np.ndarray, Array("n", kind="bool")]
    bounded: Annotated[np.ndarray, Array("n", kind="bool")]
    whole: Annotated[np.ndarray, Array("n", kind="bool")]
    weights: Annotated[np.ndarray, Array("n", "k", low=0, high=1 + 1e-9)]
    own: Annotated[np.ndarray, Array("n", low=0)]
    tails: Tails
    typical: float
    fits: Sequence[FittedSeries]

    def problems(self) -> Iterator[str]:
        """What does not fit together; see `arproc.contract.checked`."""
        n, k = self.weights.shape
        total = sum(self.lengths.tolist())  # of Python, which does not overflow
        yield from sentences(
            (not len(self.names) == len(self.status) == n, f"there are {n} series, other names"),
            (total != len(self.values), f"the series are of {total} values by their lengths; "
             f"there are {len(self.values)}"),
            (bool((self.log & (self.bounded | self.whole)).any()), "logarithms of counts"),
            (k != 2 * len(FAMILIES) + len(self.fits), f"the weights are of {k} candidates"),
            (any(len(one.names) != n for one in self.fits), "a candidate has other series"),
            (any(not 2 <= p < 10**6 for p in self.periods), "a season is no number of steps"),
            (len(self.ends) not in (0, 1, n), f"there are {len(self.ends)} ends"),
        )  # fmt: skip
        if total == len(self.values) and len(self.log) == n:
            with np.errstate(invalid="ignore"):
                low = bool((self.values[np.repeat(self.log, self.lengths)] <= 0).any())
            yield from sentences((low, "a series of logarithms has values of 0 or less"))

    @property
    def candidates(self) -> list[str]:
        """What the candidates are called, [K]."""
        lags = [f"AR({list(one.process.get_params()['order'])})" for one in self.fits]
        return [*FAMILIES, *[f"{name}, of levels" for name in FAMILIES], *lags]

    @property
    def own_data(self) -> PanelData:
        """The series that were fitted."""
        offsets = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        gaps = bool(np.isnan(self.values).any())
        return PanelData(self.values, offsets, list(self.names), True, (), gaps)

    def laws(self, table: PanelData, horizon: int) -> Laws:
        """The laws of the next steps of the series, which are those of `fit`, maybe longer."""
        made, deviation, shocks = _candidates(
            table, self.log, list(self.periods), np.zeros(len(table), np.int64), horizon, self.fits
        )
        weights = _usable(self.weights, made)
        middle = combine(made, weights)
        spread = np.einsum("nk,nkh->nh", weights, np.nan_to_num(deviation))
        left = np.einsum("nk,nkh->nh", weights, np.nan_to_num(shocks))
        spread *= self.tails.sizes(horizon) * self.own[:, None]
        self._without_candidates(table, middle, spread, left)
        self._within_reach(table, middle, spread)
        return Laws(middle, spread, _factors(left), self.log)

    def of_data(self, table: PanelData) -> Automatic:
        """The same of longer series: what was learnt stays, forecasts go on from their ends."""
        ends = [end_of(index) for index in table.indexes]
        return replace(self, values=table.values, lengths=table.lengths, ends=ends)

    def ahead(
        self, history: PanelData | None, horizon: int, levels: Sequence[float], seed: Any
    ) -> np.ndarray:
        """Means and quantiles of what follows: [N, horizon, 1 + levels]."""
        return self._told(
            self.laws(self.own_data if history is None else history, horizon), levels
        )

    def scored(
        self, history: PanelData, came: np.ndarray, levels: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """What `ahead` gives, and the log-density or mass of what came under the law of its step.

        Args:
            history: of all series.
            came: what came at each step, nan where nothing did, [N, horizon].
            levels: which quantiles.

        Returns:
            Means and quantiles [N, horizon, 1 + levels], and nats [N, horizon].
        """
        laws = self.laws(history, came.shape[1])
        return self._told(laws, levels), self._scores(laws, came)

    def _scores(self, laws: Laws, x: np.ndarray) -> np.ndarray:
        """See `scored`. Values that are rounded have a mass, and so has 0 where it bounds."""
        log, bounded, whole = laws.log[:, None], self.bounded[:, None], self.whole[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            volume = np.where(log, np.log(x), 0.0)  # -inf at 0, nan below
            z = (np.where(log, volume, x) - laws.middle) / laws.deviation
            found = self.tails.log_density(z) - np.log(laws.deviation) - volume
            half = np.where(whole, 0.5, 0.0)
            above = self.tails.below((x + half - laws.middle) / laws.deviation)
            under = self.tails.below((x - half - laws.middle) / laws.deviation)
            at_zero = bounded & (x == 0)
            mass = np.log(np.where(at_zero, above, above - under))
            found = np.where(whole | at_zero, mass, found)
            impossible = (log & (x <= 0)) | (bounded & (x < 0)) | (whole & (x != np.rint(x)))
        found = np.where(impossible, -np.inf, found)
        return np.where(np.isnan(x), np.nan, found)

    def _told(self, laws: Laws, levels: Sequence[float]) -> np.ndarray:
        """Means and quantiles: [N, horizon, 1 + levels]."""
        found = np.empty((*laws.middle.shape, 1 + len(levels)))
        found[..., 0] = self._means(laws)
        for k, level in enumerate(levels):
            found[..., 1 + k] = self._shaped(laws.at(self.tails.quantile(level)))
        return found

    def _means(self, laws: Laws) -> np.ndarray:
        """The means of all steps, [N, horizon]."""
        wide, log = laws.deviation * self.tails.wider, laws.log[:, None]
        with np.errstate(over="ignore"):
            growth = (1 - SHARE) * np.exp(np.where(log, laws.deviation**2 / 2, 0.0))
            growth += SHARE * np.exp(np.where(log, wide**2 / 2, 0.0))
            found = laws.at(0.0) * growth
        shaped = self.bounded | self.whole
        if shaped.any():  # the mean of the quantiles
            levels = (np.arange(_PARTS) + 0.5) / _PARTS
            parts = [self._shaped(laws.at(self.tails.quantile(one)))[shaped] for one in levels]
            found[shaped] = np.mean(parts, axis=0)
        return np.asarray(found)

    def _shaped(self, values: np.ndarray, rows: Any = slice(None)) -> np.ndarray:
        """Values as the series have them: none below 0 where there are none, rounded if whole."""
        axes = (slice(None),) + (None,) * (values.ndim - 1)
        values = np.where(self.bounded[rows][axes], np.maximum(values, 0.0), values)
        return np.where(self.whole[rows][axes], np.rint(values), values)

    def labels(self, history: PanelData | None, horizon: int) -> list[Any]:
        """The labels of the steps that follow, one index for each series, or one for all."""
        lengths = (self.lengths if history is None else history.lengths).tolist()
        if history is not None:
            indexes: list[Any] = [history.index(i) for i in range(len(lengths))]
        else:
            ends = [restore_end(end) for end in self.ends]
            indexes = ends * len(lengths) if len(ends) == 1 else ends or [None] * len(lengths)
        return [future(index, n, horizon) for index, n in zip(indexes, lengths, strict=True)]

    def sample(self, history: PanelData | None, horizon: int, n: int, seed: int) -> np.ndarray:
        """Draw paths [N, n, horizon]; series i's depend on the seed and on i alone."""
        laws = self.laws(self.own_data if history is None else history, horizon)
        found = np.empty((len(self.names), n, horizon))
        for i in range(len(found)):
            # the first says how wide a path is, so that a longer one begins as a shorter does
            u = Uniforms(derived_seed(seed, i)).block(np.arange(n), 0, horizon + 1).numpy()
            width = np.where(u[:, :1] < SHARE, self.tails.wider, 1.0)
            shock = ndtri(u[:, 1:])
            path = laws.middle[i] + laws.deviation[i] * width * (shock @ laws.correlation[i].T)
            found[i] = np.exp(path) if laws.log[i] else path
        return self._shaped(found)

    def log_prob(
        self, history: PanelData | None, later: PanelData, rows: np.ndarray
    ) -> np.ndarray:
        """Of what came of some series, all steps together, nats [n]."""
        horizon = int(later.lengths.max())
        for i in rows.tolist():
            if self.bounded[i] or self.whole[i]:
                what = "small whole numbers" if self.whole[i] else "bounded by 0"
                raise UnsupportedError(
                    f"the values of series {self.names[i]!r} are {what}; the probability of "
                    "several of its steps together has no closed form here. Leave it out of later."
                )
        laws = self.laws(self.own_data if history is None else history, horizon)
        found = np.empty(len(rows))
        for j, i in enumerate(rows.tolist()):
            x = later.row(j)
            seen = np.flatnonzero(~np.isnan(x))
            x, volume = x[seen], 0.0
            if laws.log[i]:
                if bool((x <= 0).any()):
                    found[j] = -np.inf
                    continue
                x = np.log(x)
                volume = -float(x.sum())
            deviation = laws.deviation[i, seen]
            factor = laws.correlation[i, seen]
            root = np.linalg.cholesky(factor @ factor.T)
            z = solve_triangular(root, (x - laws.middle[i, seen]) / deviation, lower=True)
            half, k = float(z @ z) / 2, len(seen)
            scale = volume - np.log(deviation).sum() - np.log(np.diag(root)).sum()
            scale -= k / 2 * np.log(2 * np.pi)
            wider = self.tails.wider
            found[j] = scale + np.logaddexp(
                np.log1p(-SHARE) - half,
                np.log(SHARE) - half / wider**2 - k * np.log(wider),
            )
        return found

    def _without_candidates(
        self, table: PanelData, middle: np.ndarray, spread: np.ndarray, left: np.ndarray
    ) -> None:
        """Series of one or two values stay where they are, as uncertain as others of the panel."""
        steps = np.sqrt(np.arange(1, middle.shape[1] + 1))
        for i in np.flatnonzero(np.isnan(middle).any(axis=1)).tolist():
            known = table.row(i)
            last = float(known[~np.isnan(known)][-1])
            middle[i], left[i] = (np.log(last) if self.log[i] else last), 1.0
            size = 1.0 if self.log[i] else max(abs(last), 1e-12)
            spread[i] = self.typical * size * steps

    def _within_reach(self, table: PanelData, middle: np.ndarray, spread: np.ndarray) -> None:
        """No forecast is further from the values so far than these are from one another."""
        for i in range(len(middle)):
            known = table.row(i)
            known = np.log(known) if self.log[i] else known
            low, high = np.fmin.reduce(known), np.fmax.reduce(known)
            reach = high - low
            if len(known) < 3:
                continue
            np.clip(middle[i], low - reach, high + reach, out=middle[i])
            least = 1e-9 * max(abs(low), abs(high), 1e-3)
            np.clip(spread[i], least, max(reach, least), out=spread[i])


def _candidates(
    table: PanelData,
    log: np.ndarray,
    periods: list[int],
    left_out: np.ndarray,
    horizon: int,
    fits: Sequence[FittedSeries],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, deviations and shocks of all candidates in the series' scales, [N, K, horizon]."""
    series = scaled(table, log, periods, left_out)
    made = ahead(series, horizon)
    parts = [(made.mean, made.deviation, made.shocks)]
    for one in fits:
        mean, deviation = ar.forecasts(one, _in_scale(table, log, left_out), horizon)
        shocks = made.shocks[:, FAMILIES.index("level")]
        parts.append((mean[:, None], deviation[:, None], shocks[:, None]))
    mean, deviation, shocks = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    return mean, deviation, shocks


def _in_scale(table: PanelData, log: np.ndarray, left_out: np.ndarray) -> PanelData:
    """The series without their last values, in their scales."""
    keep = np.ones(len(table.values), bool)
    for stop, count in zip(table.offsets[1:].tolist(), left_out.tolist(), strict=True):
        keep[stop - count : stop] = False
    logged = np.repeat(log, table.lengths)
    values = np.where(logged, np.log(np.where(logged, table.values, 1.0)), table.values)[keep]
    offsets = np.concatenate([[0], np.cumsum(table.lengths - left_out)]).astype(np.int64)
    return PanelData(values, offsets, table.names, True, (), table.gaps)


def _usable(weights: np.ndarray, made: np.ndarray) -> np.ndarray:
    """The weights of candidates that have forecasts, adding up to one where there are any."""
    kept = np.where(np.isnan(made).any(axis=2), 0.0, weights)
    lost = (kept.sum(axis=1) == 0) & (weights.sum(axis=1) > 0)
    kept[lost] = ~np.isnan(made[lost]).any(axis=2)
    total = kept.sum(axis=1, keepdims=True)
    return np.where(total > 0, kept / np.maximum(total, 1e-300), 0.0)


def _factors(left: np.ndarray) -> np.ndarray:
    """L of the correlations of the errors that shocks leave behind: rows of length 1."""
    n, horizon = left.shape
    found = np.zeros((n, horizon, horizon))
    for h in range(horizon):
        found[:, h, : h + 1] = left[:, h::-1]
    size = np.sqrt((found**2).sum(axis=2, keepdims=True))
    return np.asarray(found / np.maximum(size, 1e-300))


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
    with np.errstate(invalid="ignore"):
        positive = np.fmin.reduceat(table.values, table.offsets[:-1]) > 0
    bounded, whole = _kinds(table)
    logged = (positive if log is None else positive & log) & ~whole
    found = find_periods(table) if periods is None else periods
    horizon = _horizon(table, found) if count is None else count
    least = max(4, 2 * found[0] + 1 if found else 4)  # values, from which to forecast the others
    lags = ar.lags_of(table.lengths, found)
    size = _sizes(table, found[0] if found else 1)

    once = np.where(table.lengths - horizon >= least, horizon, 0)
    made, deviation, _ = _tried(table, logged, found, once, horizon, lags)
    actual, users = _later(table, once, horizon), _on_users_scale(made, logged)
    errors = errors_of(users, actual, size)
    twice = np.where(table.lengths - 2 * horizon >= least, 2 * horizon, 0)
    earlier = _on_users_scale(_tried(table, logged, found, twice, horizon, lags)[0], logged)
    sooner = _later(table, twice, horizon)
    before = errors_of(earlier, sooner, size)

    allowed = _allowed(made.shape[1])
    panel = of_the_panel(earlier, sooner, size, allowed)
    tested = np.where(twice[:, None] > 0, actual, np.nan)
    shape = choose(panel, before, users, tested, size, _NAIVE)
    both = np.concatenate([earlier, users]), np.concatenate([sooner, actual]), np.tile(size, 2)
    panel = of_the_panel(*both, allowed)
    mean_error = np.where(np.isnan(before), errors, (errors + before) / 2)
    weights = of_the_series(panel, mean_error, _NAIVE, *shape)

    even = of_the_series(panel, np.where(np.isinf(errors), np.inf, np.nan), _NAIVE, *shape)
    even = _usable(even, made)
    middle = combine(made, even)  # chosen by nothing of the series, as errors to come are
    spread = np.einsum("nk,nkh->nh", even, np.nan_to_num(deviation))
    with np.errstate(invalid="ignore", divide="ignore"):
        come = np.where(logged[:, None], np.log(np.where(logged[:, None], actual, 1.0)), actual)
        standard = (come - middle) / np.where(spread > 0, spread, np.nan)
    tails, own = fit_tails(standard)
    fits = ar.fit(_in_scale(table, logged, np.zeros(len(table), np.int64)), lags)
    first = _first_spread(table, logged, found, fits)
    status = ["ok"] * len(table)
    ends = [end_of(index) for index in table.indexes]
    return Automatic(
        table.names, table.values, table.lengths, ends, status, found, logged, bounded, whole,
        weights, own, tails, first, fits,
    )  # fmt: skip


def _kinds(table: PanelData) -> tuple[np.ndarray, np.ndarray]:
    """Which series are bounded by 0, which they reach, and which are small whole numbers."""
    bounded, whole = np.zeros((2, len(table)), bool)
    for i in range(len(table)):
        x = table.row(i)
        x = x[~np.isnan(x)]
        least = x.min()
        counts = bool((x == np.rint(x)).all()) and least >= 0 and float(np.median(x)) < _SMALL
        whole[i] = counts and len(x) > 2
        bounded[i] = whole[i] or (least == 0 and bool((x > 0).any()))
    return bounded, whole


def _allowed(k: int) -> np.ndarray:
    """Which candidates may have a weight: the naive one is there to be better than."""
    found = np.ones(k, bool)
    found[[_NAIVE, _NAIVE + len(FAMILIES)]] = False
    return found


def _tried(
    table: PanelData,
    log: np.ndarray,
    periods: list[int],
    left_out: np.ndarray,
    horizon: int,
    lags: list[list[int]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the candidates say of the last values, which they have not seen."""
    fits = ar.fit(_in_scale(table, log, left_out), lags)
    return _candidates(table, log, periods, left_out, horizon, fits)


def _first_spread(
    table: PanelData, log: np.ndarray, periods: list[int], fits: Sequence[FittedSeries]
) -> float:
    """The median spread of one step: of logarithms, or beside the last value."""
    none = np.zeros(len(table), np.int64)
    mean, deviation, _ = _candidates(table, log, periods, none, 1, fits)
    size = np.where(log, 1.0, np.maximum(np.abs(mean[:, _NAIVE, 0]), 1e-12))
    found = deviation[:, _NAIVE, 0] / size
    found = found[np.isfinite(found) & (found > 0)]
    return float(np.clip(np.median(found), 1e-9, 1.0)) if len(found) else _TYPICAL


def _horizon(table: PanelData, periods: list[int]) -> int:
    """How many of the last values choose: two seasons, or six, but no more than a quarter."""
    wanted = 2 * periods[0] if periods else 6
    return int(max(1, min(wanted, np.median(table.lengths) // 4)))


def _later(table: PanelData, left_out: np.ndarray, horizon: int) -> np.ndarray:
    """The first `horizon` of the values that were left out, [N, horizon]; nan where none were."""
    found = np.full((len(table), horizon), np.nan)
    rows = np.flatnonzero(left_out)
    begin = table.offsets[1:][rows] - left_out[rows]
    found[rows] = table.values[begin[:, None] + np.arange(horizon)]
    return found


def _on_users_scale(made: np.ndarray, log: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.where(log[:, None, None], np.exp(np.where(log[:, None, None], made, 0.0)), made)


def _sizes(table: PanelData, period: int) -> np.ndarray:
    """The mean absolute change over a season of each series, what its errors are large beside."""
    found = np.ones(len(table))
    for i in range(len(table)):
        x = table.row(i)
        step = period if len(x) > period else 1
        change = np.abs(x[step:] - x[:-step]) if len(x) > step else np.zeros(0)
        change = change[~np.isnan(change)]
        level = float(np.nanmean(np.abs(x)))
        found[i] = max(float(change.mean()) if len(change) else 0.0, 1e-6 * level, 1e-300)
    return found
