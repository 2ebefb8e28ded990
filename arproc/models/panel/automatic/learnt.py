"""What `AutoPanel()` has learnt of a panel, and what it says of what follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import ndtri

from arproc.contract.checked import Array, Number, sentences
from arproc.contract.randomness import Uniforms, derived_seed
from arproc.contract.storable import storable
from arproc.errors import UnsupportedError
from arproc.models.panel.automatic.candidates import Frame, forecasts, usable
from arproc.models.panel.automatic.deviations import spread_of
from arproc.models.panel.automatic.effects import Regressed
from arproc.models.panel.automatic.smoothing import FAMILIES
from arproc.models.panel.automatic.spread import SHARE, ErrorSpread, Tails
from arproc.models.panel.automatic.weights import combine
from arproc.models.panel.coming import InOrder, Known, to_come
from arproc.models.panel.data import PanelData
from arproc.models.panel.fitted import FittedSeries
from arproc.models.panel.labels import end_of, restore_end
from arproc.models.panel.tables import future
from arproc.models.panel.updating import Series

__all__ = ["Automatic", "Common", "Laws"]

_PARTS = 200  # of a law, of which a mean is taken
_DIGITS = 1e-14  # of a series' size: less is lost in rounding
_OF_ZEROS = 1e-12  # the least spread of a series of zeros, which tells no unit


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

    def select(self, rows: np.ndarray) -> Laws:
        """Those of some of the series."""
        return Laws(*(part[rows] for part in self))


@storable
@dataclass(frozen=True, eq=False)
class Common:
    """What the series of a panel have in common; given it, each is learnt by itself.

    Attributes:
        periods: the lengths of the seasons, increasing.
        horizon: how many of the last values choose.
        lags: of the autoregressions among the candidates.
        weights: of the candidates over the panel, [K].
        equal: the share of equal weights in a series'.
        power: how much a series' own errors matter.
        heed: how much what a candidate says of its errors counts beside its weight, [K].
        spread: of the errors.
        typical: a common spread of one step, of logarithms and relative.
    """

    periods: Sequence[int]
    horizon: Annotated[int, Number(low=1)]
    lags: Sequence[Sequence[int]]
    weights: Annotated[np.ndarray, Array("k", low=0, high=1 + 1e-9)]
    equal: Annotated[float, Number(low=0, high=1)]
    power: Annotated[float, Number(low=0)]
    heed: Annotated[np.ndarray, Array("k", above=0)]
    spread: ErrorSpread
    typical: Annotated[float, Number(above=0)]

    def problems(self) -> Iterator[str]:
        """What does not fit together; see `arproc.contract.checked`."""
        k = len(self.weights)
        yield from sentences(
            (k not in (self.once, 2 * self.once), f"the weights are of {k} candidates"),
            (any(not 2 <= p < 10**6 for p in self.periods), "a season is no number of steps"),
            (any(not 1 <= lag < 10**6 for one in self.lags for lag in one), "a lag is no lag"),
        )

    @property
    def once(self) -> int:
        """How many candidates there are without covariates."""
        return 2 * len(FAMILIES) + len(self.lags)

    @property
    def frame(self) -> Frame:
        """What is settled before anything is fitted."""
        return Frame(list(self.periods), self.horizon, [list(one) for one in self.lags])


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
        log: of which series the logarithms are modelled, [N].
        bounded: which series have no values below 0, but some of 0: what is below is 0, [N].
        whole: which are small whole numbers: their laws are rounded, [N].
        weights: of the candidates in each series, [N, K].
        own: how much larger than the panel's a series' errors are, [N].
        common: what the series have in common.
        fits: of the autoregressions among the candidates.
        regressed: of the same, to what the covariates leave; none where there are none.
        beta: what the covariates do to each series, in its scale, [N, c].
        base: from which covariates on that is counted, [N, c].
        covariates: what is known beside the values, [total, c].
        covariate_names: what they are called, [c].
    """

    names: Sequence[Any]
    values: Annotated[np.ndarray, Array("v", nan=True)]
    lengths: Annotated[np.ndarray, Array("n", kind="int64", low=0)]
    ends: Sequence[dict[str, Any]]
    status: Sequence[str]
    log: Annotated[np.ndarray, Array("n", kind="bool")]
    bounded: Annotated[np.ndarray, Array("n", kind="bool")]
    whole: Annotated[np.ndarray, Array("n", kind="bool")]
    weights: Annotated[np.ndarray, Array("n", "k", low=0, high=1 + 1e-9)]
    own: Annotated[np.ndarray, Array("n", low=0)]
    common: Common
    fits: Sequence[FittedSeries]
    regressed: Sequence[FittedSeries] = ()
    beta: Annotated[np.ndarray | None, Array("n", "c")] = None
    base: Annotated[np.ndarray | None, Array("n", "c")] = None
    covariates: Annotated[np.ndarray | None, Array("v", "c")] = None
    covariate_names: tuple[str, ...] = ()

    def problems(self) -> Iterator[str]:
        """What does not fit together; see `arproc.contract.checked`."""
        n, k = self.weights.shape
        total = sum(self.lengths.tolist())  # of Python, which does not overflow
        beside, width = self.covariates, len(self.covariate_names)
        copies = 1 if beside is None else 2
        yield from sentences(
            (not len(self.names) == len(self.status) == n, f"there are {n} series, other names"),
            (total != len(self.values), f"the series are of {total} values by their lengths; "
             f"there are {len(self.values)}"),
            (bool((self.log & (self.bounded | self.whole)).any()), "logarithms of counts"),
            (k != copies * self.common.once or len(self.fits) != len(self.common.lags),
             f"the weights are of {k} candidates"),
            (any(len(one.names) != n for one in [*self.fits, *self.regressed]),
             "a candidate has other series"),
            (width != (0 if beside is None else beside.shape[1])
             or (beside is None) != (self.beta is None)
             or (beside is None) != (self.base is None),
             f"there are {width} names of covariates, and other numbers of columns"),
            (len(self.regressed) != (copies - 1) * len(self.fits), "candidates with covariates "
             "are not as many as those without"),
            (len(self.common.weights) != k, "the panel's weights are of other candidates"),
            (len(self.ends) not in (0, 1, n), f"there are {len(self.ends)} ends"),
        )  # fmt: skip
        if total == len(self.values) and len(self.log) == n:
            with np.errstate(invalid="ignore"):
                low = bool((self.values[np.repeat(self.log, self.lengths)] <= 0).any())
            yield from sentences((low, "a series of logarithms has values of 0 or less"))

    @property
    def periods(self) -> Sequence[int]:
        """The lengths of the seasons."""
        return self.common.periods

    @property
    def tails(self) -> Tails:
        """The law of standardised errors."""
        return self.common.spread.tails

    @property
    def candidates(self) -> list[str]:
        """What the candidates are called, [K]."""
        lags = [f"AR({list(one.process.get_params()['order'])})" for one in self.fits]
        plain = [*FAMILIES, *[f"{name}, of levels" for name in FAMILIES], *lags]
        if self.covariates is None:
            return plain
        return [*plain, *[f"{name}, with covariates" for name in plain]]

    @property
    def own_data(self) -> PanelData:
        """The series that were fitted."""
        return PanelData.kept(
            self.values, self.lengths, self.names, self.covariates, self.covariate_names
        )

    def laws(self, table: PanelData, horizon: int, after: np.ndarray | None = None) -> Laws:
        """The laws of the next steps of the series, which are those of `fit`, maybe longer.

        Args:
            table: the series.
            horizon: how many steps.
            after: the covariates of these, if there are any, [N, horizon, c].
        """
        none, beside = np.zeros(len(table), np.int64), None
        if self.beta is not None:
            assert after is not None
            assert self.base is not None
            beside = Regressed(self.beta, self.base, after, self.regressed)
        made = forecasts(table, self.log, self.periods, none, horizon, self.fits, beside)
        weights = usable(self.weights, made.mean)
        middle = combine(made.mean, weights)
        spread = spread_of(made.deviation, weights, self.common.heed)
        left = np.einsum("nk,nkh->nh", weights, np.nan_to_num(made.shocks))
        spread *= self.tails.sizes(horizon) * self.own[:, None]
        self._without_candidates(table, middle, spread, left)
        self._within_reach(table, middle, spread)
        return Laws(middle, spread, _factors(left), self.log)

    @property
    def series(self) -> Series:
        """What the series are called, how long they are, how their labels end."""
        return Series(self.names, self.lengths, self.ends)

    def of_data(self, table: PanelData) -> Automatic:
        """The same of longer series: what was learnt stays, forecasts go on from their ends."""
        ends = [end_of(index) for index in table.indexes]
        return replace(
            self, values=table.values, lengths=table.lengths, ends=ends,
            covariates=table.covariates,
        )  # fmt: skip

    def ahead(
        self, history: PanelData | None, horizon: int, levels: Sequence[float], seed: Any,
        future: Known | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Means and quantiles of what follows: [N, horizon, 1 + levels]."""
        return self._told(self._next(history, horizon, future), levels)

    def _next(self, history: PanelData | None, horizon: int, future: Known | None) -> Laws:
        """The laws of what follows a history, or the series of `fit`."""
        after = None
        if self.covariates is not None:
            after = to_come(future, self.names, self.labels(history, horizon))
        return self.laws(self.own_data if history is None else history, horizon, after)

    def scored(
        self, history: PanelData, came: np.ndarray, levels: Sequence[float],
        future: Known | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """What `ahead` gives, and the log-density or mass of what came under the law of its step.

        Args:
            history: of all series.
            came: what came at each step, nan where nothing did, [N, horizon].
            levels: which quantiles.
            future: the covariates of these steps, if there are any.

        Returns:
            Means and quantiles [N, horizon, 1 + levels], and nats [N, horizon].
        """
        laws = self._next(history, came.shape[1], future)
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
        for k, z in enumerate(self.tails.quantiles(np.array(levels)).tolist()):
            found[..., 1 + k] = self._shaped(laws.at(z))
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
            rows = np.flatnonzero(shaped)
            part, total = laws.select(rows), np.zeros((len(rows), found.shape[1]))
            for z in self.tails.quantiles((np.arange(_PARTS) + 0.5) / _PARTS).tolist():
                total += self._shaped(part.at(z), rows)
            found[rows] = total / _PARTS
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
            return [future(index, n, horizon) for index, n in zip(indexes, lengths, strict=True)]
        ends = list(self.ends) or [end_of(None)]
        ends = ends * len(lengths) if len(ends) == 1 else ends
        made: dict[str, Any] = {}  # many series end alike
        found = []
        for end, n in zip(ends, lengths, strict=True):
            key = f"{end} {n if end['kind'] == 'none' else ''}"
            if key not in made:
                made[key] = future(restore_end(end), n, horizon)
            found.append(made[key])
        return found

    def sample(
        self, history: PanelData | None, horizon: int, n: int, seed: int,
        future: Known | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Draw paths [N, n, horizon]; series i's depend on the seed and on i alone."""
        laws = self._next(history, horizon, future)
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
        laws = self._next(history, horizon, InOrder.of(later))
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
            size = 1.0 if self.log[i] else abs(last) or _OF_ZEROS
            spread[i] = self.common.typical * size * steps

    def _within_reach(self, table: PanelData, middle: np.ndarray, spread: np.ndarray) -> None:
        """No forecast is further from the values so far than these are from one another."""
        starts, rows = table.offsets[:-1], table.lengths >= 3
        low, high = np.fmin.reduceat(table.values, starts), np.fmax.reduceat(table.values, starts)
        for end in (low, high):
            np.log(end, out=end, where=self.log)
        low, high = low[rows, None], high[rows, None]
        reach = high - low
        middle[rows] = np.clip(middle[rows], low - reach, high + reach)
        size = np.maximum(np.abs(low), np.abs(high))
        size = np.where(self.log[rows, None], np.maximum(size, 1e-3), size)
        # of what a series moves: one far from 0 may move by little of its size
        least = np.where(reach > 0, np.maximum(1e-9 * reach, _DIGITS * size), 1e-9 * size)
        least = np.where(size > 0, least, _OF_ZEROS)
        spread[rows] = np.clip(spread[rows], least, np.maximum(reach, least))


def _factors(left: np.ndarray) -> np.ndarray:
    """L of the correlations of the errors that shocks leave behind: rows of length 1."""
    n, horizon = left.shape
    found = np.zeros((n, horizon, horizon))
    for h in range(horizon):
        found[:, h, : h + 1] = left[:, h::-1]
    size = np.sqrt((found**2).sum(axis=2, keepdims=True))
    return np.asarray(found / np.maximum(size, 1e-300))
