"""Estimation of Markov-switching autoregressions: EM from several starts, then quasi-Newton."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from arproc.errors import DataError
from arproc.models.regimes.chain import memories
from arproc.models.regimes.gaps import Gaps
from arproc.models.regimes.switching_law import MarkovSwitchingARLaw
from arproc.process import Fit

__all__ = ["Design", "fit"]

_LOGIT = 18.0  # transition probabilities are kept above about 1e-8
_EM_STEPS = 15  # for every start, times one less than the regimes
_FINISHED = 3  # how many starts are carried to the end
_ENOUGH, _BLOCK = 300, 75  # elements a regime by which starts are compared, in such blocks


@dataclass(frozen=True, eq=False)
class Design:
    """What is estimated from what, in units in which the values have variance one.

    Attributes:
        values: series one after the other, less `shift` and over `scale`, float64 [total].
        offsets: where each begins.
        columns: the trend's columns for every value, [total, q].
        k: how many regimes.
        order: how many lags.
        centred: see `MarkovSwitchingARLaw`.
        switching: whether the regimes differ in trend, coefficients and variance.
        least: the least variance a regime may have, relative to that of one regime.
        shift: zero of the values.
        scale: their unit.
        unit: what a step of time counts.
    """

    values: np.ndarray
    offsets: np.ndarray
    columns: np.ndarray
    k: int
    order: int
    centred: bool
    switching: tuple[bool, bool, bool]
    least: float
    shift: float
    scale: float
    unit: float

    @classmethod
    def of(
        cls,
        x: np.ndarray,
        offsets: np.ndarray,
        k: int,
        order: int,
        q: int,
        centred: bool,
        switching: tuple[bool, bool, bool],
        least: float,
    ) -> Design:
        """The design of series x in the data's own unit, about a trend of q columns."""
        trend, coef, _ = switching
        seen = x[~np.isnan(x)]
        if not len(seen):
            raise DataError("data has no observed element (all are missing); expected some.")
        # the law moves along with the data only where every regime's constant is free
        moves = q > 0 and (centred or trend or not coef)
        shift = float(seen.mean()) if moves else 0.0
        scale = float(np.sqrt(np.mean((seen - shift) ** 2)))
        if not 1e-150 < scale < 1e150 or scale <= 1e-13 * float(np.abs(seen).max()):
            raise DataError(
                "data does not vary (or varies by less than float64 can tell, or by more than it "
                f"can hold: standard deviation {scale:.3g}), so no regimes can be told apart."
            )
        lengths = np.diff(offsets)
        unit = 1.0 / max(float(lengths.max()), 1.0)
        t = (np.arange(len(x)) - np.repeat(offsets[:-1], lengths)) * unit
        columns = np.ascontiguousarray(np.stack([np.ones(len(t)), t], axis=1)[:, :q])
        values = (x - shift) / scale
        return cls(
            values, offsets, columns, k, order, centred, switching, least, shift, scale, unit
        )

    def part(self, rows: np.ndarray, offsets: np.ndarray) -> Design:
        """The same design on some of the values, each at its own time."""
        return replace(self, values=self.values[rows], offsets=offsets, columns=self.columns[rows])

    @property
    def q(self) -> int:
        """How many columns the trend has."""
        return int(self.columns.shape[1])

    @property
    def n_terms(self) -> int:
        """How many elements are scored; missing ones are not."""
        missing = int(np.isnan(self.values).sum())
        return len(self.values) - self.order * (len(self.offsets) - 1) - missing

    @cached_property
    def tie(self) -> np.ndarray:
        """0 and 1: all regimes' trends and coefficients from the free ones, [k (q + p), free]."""
        parts = []
        for width, switches in zip((self.q, self.order), self.switching[:2], strict=True):
            one = np.eye(width)
            parts.append(np.kron(np.eye(self.k), one) if switches else np.tile(one, (self.k, 1)))
        (a, b), (c, d) = parts[0].shape, parts[1].shape
        return np.block([[parts[0], np.zeros((a, d))], [np.zeros((c, b)), parts[1]]])

    @cached_property
    def rows(self) -> np.ndarray:
        """The trend's columns and the lags 0 to p of every scored element, [terms, q + 1 + p]."""
        inside = np.ones(len(self.values), dtype=bool)
        for i in range(self.order):
            inside[self.offsets[:-1] + i] = False
        at = np.flatnonzero(inside)
        return np.hstack([self.columns[at], self.values[at[:, None] - np.arange(self.order + 1)]])

    @cached_property
    def products(self) -> np.ndarray:
        """The products w w' of the rows w, [terms, (q + 1 + p)^2]; 0 of what is missing."""
        rows = np.where(np.isnan(self.rows).any(axis=1, keepdims=True), 0.0, self.rows)
        return (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)

    # ---- parameters as one vector: logits, free trend, free coefficients, log variances ---------

    @cached_property
    def arrays(self) -> tuple[Any, ...]:
        """What the compiled code reads of the data; see `em.climb`."""
        digits = memories(self.k, max(self.order, 1) if self.centred else 1)
        gaps = Gaps.of(
            self.values, self.offsets, self.columns, digits, self.k, self.order, self.centred,
            self.unit,
        )  # fmt: skip
        return (
            self.values.reshape(-1, 1), self.columns, self.products, self.offsets, self.centred,
            digits, self.tie, self.unit, gaps,
        )  # fmt: skip

    @cached_property
    def sizes(self) -> tuple[int, int, int]:
        """How many logits, locations and variances are free."""
        return self.k * (self.k - 1), self.tie.shape[1], self.k if self.switching[2] else 1

    def unpack(self, theta: np.ndarray) -> MarkovSwitchingARLaw:
        """The law of a vector of free parameters."""
        k, (a, b, _) = self.k, self.sizes
        location = self.tie @ theta[a : a + b]
        return MarkovSwitchingARLaw(
            self.chain(theta),
            location[: k * self.q].reshape(k, self.q),
            location[k * self.q :].reshape(k, self.order),
            np.broadcast_to(np.exp(theta[a + b :]), (k,)).copy(),
            self.centred,
            self.unit,
        )

    def chain(self, theta: np.ndarray) -> np.ndarray:
        """The chain of a vector of free parameters, [k, k]."""
        k = self.k
        logits = np.zeros((k, k))
        logits[:, :-1] = theta[: k * (k - 1)].reshape(k, k - 1)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def pack(self, law: MarkovSwitchingARLaw) -> np.ndarray:
        """The free parameters of a law (of the first regime, where all share one)."""
        p = np.maximum(law.transition, 1e-12)
        logits = np.log(p[:, :-1] / p[:, -1:]).clip(-_LOGIT, _LOGIT)
        trend, coef, variance = self.switching
        parts = (
            logits,
            law.trend if trend else law.trend[:1],
            law.coef if coef else law.coef[:1],
            np.log(law.sigma2 if variance else law.sigma2[:1]),
        )
        return np.concatenate([part.reshape(-1) for part in parts])

    def natural(self, theta: np.ndarray) -> MarkovSwitchingARLaw:
        """The law in the data's own units, counting time in steps."""
        own = self.unpack(theta)
        trend = own.trend * self.scale
        if self.q > 0:
            rest = 1.0 if self.centred else 1 - own.coef.sum(axis=1)
            trend[:, 0] += self.shift * rest
        if self.q > 1:
            trend[:, 1] *= self.unit
        return replace(own, trend=trend, sigma2=own.sigma2 * self.scale**2, unit=1.0)

    def estimates(self, theta: np.ndarray) -> np.ndarray:
        """The free parameters in the data's own units, in the order of `names`."""
        r = self.natural(theta)
        trend, coef, variance = self.switching
        parts = (
            r.transition[:, :-1].T,
            (r.trend if trend else r.trend[:1]).T,
            r.sigma2 if variance else r.sigma2[:1],
            (r.coef if coef else r.coef[:1]).T,
        )
        return np.concatenate([part.reshape(-1) for part in parts])

    @property
    def names(self) -> list[str]:
        """The free parameters' names, in statsmodels' order."""
        k = self.k

        def each(name: str, switches: bool) -> list[str]:
            return [f"{name}[{r}]" for r in range(k)] if switches else [name]

        trend, coef, variance = self.switching
        found = [f"p[{i}->{j}]" for j in range(k - 1) for i in range(k)]
        for name in (("mean", "slope") if self.centred else ("intercept", "drift"))[: self.q]:
            found += each(name, trend)
        found += each("sigma2", variance)
        for i in range(self.order):
            found += each(f"ar.L{i + 1}", coef)
        return found


def fit(
    design: Design, method: str, n_starts: int, seed: int, tolerance: float
) -> tuple[MarkovSwitchingARLaw, Fit]:
    """The maximum of the likelihood given the first values.

    Every start gets some steps of EM; the best few go on, by EM alone or by a quasi-Newton method
    with the analytic score (Fisher's identity: Cappe, Moulines and Ryden 2005, 10.1.3).

    Args:
        design: what is estimated.
        method: "em" or "mle".
        n_starts: how many starts.
        seed: of the starts.
        tolerance: EM stops when a step gains less than this, in nats.

    Returns:
        The law and its circumstances, in the data's own units.
    """
    floor = design.least * _one_regime(design)[2]
    ended = []
    for theta in _promising(design, n_starts, seed, floor):
        if method == "em":
            ended.append(_em(design, theta, floor, 20_000, tolerance))
        else:
            ended.append(_quasi_newton(design, theta, floor))
    theta, best, steps, converged = max(ended, key=lambda found: found[1])
    own = design.unpack(theta)
    theta = design.pack(own.permuted(_order(design, own)))
    return design.natural(theta), Fit(
        names=design.names,
        estimates=design.estimates(theta),
        covariance=_covariance(design, theta, floor),
        log_likelihood=best - design.n_terms * math.log(design.scale),
        n_observations=design.n_terms,
        notes={"n_iterations": steps, "converged": converged},
    )


def _order(design: Design, own: MarkovSwitchingARLaw) -> np.ndarray:
    """The regimes by mean or intercept; where these agree, by variance; else by coefficients."""
    trend, coef, variance = design.switching
    if trend and design.q:
        return np.argsort(own.trend[:, 0], kind="stable")
    if variance:
        return np.argsort(own.sigma2, kind="stable")
    if coef and design.order:
        return np.lexsort(own.coef.T[::-1])
    return np.arange(design.k)


def _promising(design: Design, n_starts: int, seed: int, floor: float) -> list[np.ndarray]:
    """The best few of the starts after some steps of EM, the best first.

    Long data are first seen through blocks spread over them; then the better half of the starts
    takes a few steps on all of them. Starts that have met count once.
    """
    starts = _starts(design, n_starts, seed)
    sample, steps = _blocks(design), _EM_STEPS * (design.k - 1)
    begun = [_em(sample, theta, floor, steps, 0.1) for theta in starts]
    begun.sort(key=lambda found: -found[1])
    if sample is not design:
        better = begun[: max(_FINISHED, n_starts // 3)]
        begun = [_em(design, theta, floor, steps // 3, 0.1) for theta, _, _, _ in better]
        begun.sort(key=lambda found: -found[1])
    chosen: list[np.ndarray] = []
    for theta, _, _, _ in begun:
        own = design.unpack(theta)
        sorted_ = design.pack(own.permuted(_order(design, own)))
        if all(np.abs(sorted_ - other).max() > 0.1 for other in chosen):
            chosen.append(sorted_)
    return chosen[:_FINISHED]


def _blocks(design: Design) -> Design:
    """The design on blocks spread evenly over the data; itself where the data are short."""
    enough = _ENOUGH * design.k
    if design.n_terms <= 1.5 * enough:
        return design
    whole = design.order + _BLOCK
    lengths = np.diff(design.offsets)
    starts = zip(design.offsets[:-1], lengths, strict=True)
    places = np.concatenate([np.arange(a, a + n - whole + 1, whole) for a, n in starts])
    given = design.values[places[:, None] + np.arange(design.order)]
    places = places[~np.isnan(given).any(axis=1)]
    if len(places) * _BLOCK < enough:
        return design
    chosen = places[np.linspace(0, len(places) - 1, enough // _BLOCK).round().astype(int)]
    rows = (chosen[:, None] + np.arange(whole)).reshape(-1)
    sample = design.part(rows, whole * np.arange(len(chosen) + 1))
    return sample if 2 * sample.n_terms > enough else design  # gaps may have taken most of it


# ---- starts -------------------------------------------------------------------------------------


def _one_regime(design: Design) -> tuple[np.ndarray, np.ndarray, float]:
    """Least squares without regimes: trend [q], coefficients [p] and variance."""
    q, rows = design.q, design.rows
    rows = rows[~np.isnan(rows).any(axis=1)]
    regressors, target = np.delete(rows, q, axis=1), rows[:, q]
    found = np.linalg.lstsq(regressors, target, rcond=None)[0]
    variance = float(np.mean((target - regressors @ found) ** 2))
    if variance <= 1e-24:
        raise DataError(
            "data follows one linear recursion without any innovation, so no regimes can be told "
            "apart."
        )
    return found[:q], found[q:], variance


def _starts(design: Design, count: int, seed: int) -> list[np.ndarray]:
    """Starting values: levels at quantiles of the data, coefficients about those of one regime."""
    rng = np.random.default_rng(seed)
    k, q = design.k, design.q
    trend, coef, variance = _one_regime(design)
    rest = max(1 - float(coef.sum()), 0.05)
    found = []
    for i in range(count):
        # the first spreads the regimes evenly over the data
        shares = (np.arange(k) + 0.5) / k if i == 0 else np.sort(rng.uniform(0.02, 0.98, k))
        level = np.nanquantile(design.values, shares)
        levels = np.zeros((k, q))
        if q > 0:
            levels[:, 0] = level * (1.0 if design.centred else rest)
        if q > 1:
            levels[:, 1] = trend[1] / (rest if design.centred else 1.0)
            levels[:, 0] -= levels[:, 1] * 0.5
        noise = rng.normal(size=(k, design.order)) * (0.0 if i == 0 else 0.4)
        spread = np.exp(rng.uniform(-1.5, 1.5, k)) if i else np.geomspace(0.3, 1.5, k)
        stay = 0.9 if i == 0 else rng.uniform(0.6, 0.98)
        chain = np.full((k, k), (1 - stay) / max(k - 1, 1))
        np.fill_diagonal(chain, stay)
        sigma2 = variance * (spread if design.switching[2] else np.full(k, rng.uniform(0.3, 1)))
        start = MarkovSwitchingARLaw(
            chain, levels, coef * rng.uniform(0.3, 1) + noise, sigma2, design.centred
        )
        found.append(design.pack(start))
    return found


# ---- climbing -----------------------------------------------------------------------------------


def _em(
    design: Design, theta: np.ndarray, floor: float, limit: int, tolerance: float
) -> tuple[np.ndarray, float, int, bool]:
    """EM from some parameters: where it ends, log-likelihood, steps, and if it stopped itself."""
    kernels = _kernels(design)
    own, (a, b, _) = design.unpack(theta), design.sizes
    location = theta[a : a + b].copy()
    value, steps, converged = kernels.climb(
        *design.arrays, not design.switching[2], floor, limit, tolerance, own.transition, location,
        own.sigma2,
    )  # fmt: skip
    logits = np.log(own.transition[:, :-1] / own.transition[:, -1:]).reshape(-1)
    variances = own.sigma2 if design.switching[2] else own.sigma2[:1]
    moved = np.concatenate([logits.clip(-_LOGIT, _LOGIT), location, np.log(variances)])
    return moved, value, steps, converged


def _kernels(design: Design) -> Any:
    """The steps of estimation: some hundred, each of which goes through all elements."""
    from arproc.compiled.interpreted import suited
    from arproc.models.regimes import em

    states = design.k ** (len(design.arrays[5][0]) + 1)
    return suited(em, 15 * design.n_terms * states)


def _score(design: Design, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """The log-likelihood and its gradient in the free parameters."""
    kernels = _kernels(design)
    (a, b, _), k = design.sizes, design.k
    given = (
        *design.arrays, not design.switching[2], design.chain(theta), theta[a : a + b],
        np.broadcast_to(np.exp(theta[a + b :]), (k,)).copy(),
    )  # fmt: skip
    return kernels.score(*given)


def _bounds(design: Design, floor: float) -> list[tuple[float | None, float | None]]:
    a, b, c = design.sizes
    low = math.log(floor) if floor > 0 else None
    return [(-_LOGIT, _LOGIT)] * a + [(None, None)] * b + [(low, None)] * c


def _quasi_newton(
    design: Design, theta: np.ndarray, floor: float
) -> tuple[np.ndarray, float, int, bool]:
    """L-BFGS-B (Byrd, Lu, Nocedal and Zhu 1995), then Newton's steps from its gradient."""
    from scipy.optimize import minimize

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = _score(design, x)
        return -value / design.n_terms, -gradient / design.n_terms

    found = minimize(
        loss, theta, jac=True, method="L-BFGS-B", bounds=_bounds(design, floor),
        options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-15, "gtol": 1e-7, "maxcor": 20},
    )  # fmt: skip
    best = -float(found.fun) * design.n_terms
    free = _free(design, found.x, floor)
    off = float(np.abs(_score(design, found.x)[1][free]).max(initial=0.0)) / design.n_terms
    return np.asarray(found.x), best, int(found.nit), off < 1e-4


def _free(design: Design, theta: np.ndarray, floor: float) -> np.ndarray:
    """Which parameters do not stand at a bound."""
    bounds = _bounds(design, floor)
    return np.array([
        (low is None or x > low + 1e-6) and (high is None or x < high - 1e-6)
        for x, (low, high) in zip(theta, bounds, strict=True)
    ])  # fmt: skip


def _covariance(design: Design, theta: np.ndarray, floor: float) -> np.ndarray:
    """The inverse observed information, in the data's own units; nan for what is at a bound."""
    free = np.flatnonzero(_free(design, theta, floor))
    information = np.zeros((len(free), len(free)))
    for i, place in enumerate(free.tolist()):
        step = np.zeros(len(theta))
        step[place] = 1e-5 * max(1.0, abs(theta[place]))
        rise = _score(design, theta + step)[1] - _score(design, theta - step)[1]
        information[i] = -rise[free] / (2 * step[place])
    information = (information + information.T) / 2
    jacobian = np.empty((len(theta), len(theta)))
    for place in range(len(theta)):
        step = np.zeros(len(theta))
        step[place] = 1e-5 * max(1.0, abs(theta[place]))
        change = design.estimates(theta + step) - design.estimates(theta - step)
        jacobian[:, place] = change / (2 * step[place])
    known = np.full((len(theta), len(theta)), math.nan)
    if not len(free) or np.linalg.eigvalsh(information)[0] <= 0:
        return known
    inner = jacobian[:, free]
    covariance = inner @ np.linalg.inv(information) @ inner.T
    # what only moves with a parameter at its bound has no standard error
    stuck = np.abs(inner).max(axis=1, initial=0.0) == 0
    covariance[stuck] = math.nan
    covariance[:, stuck] = math.nan
    return covariance
