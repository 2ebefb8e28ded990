"""Estimation of Markov-switching autoregressions: EM from several starts, then quasi-Newton."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from arproc.errors import DataError
from arproc.regimes.chain import Regimes, stationary

__all__ = ["Design", "Fit", "fit"]

_LOGIT = 18.0  # transition probabilities are kept above about 1e-8
_EM_STEPS = 25  # for every start
_FINISHED = 3  # how many starts are carried to the end


@dataclass(frozen=True)
class Design:
    """What is estimated from what, in units in which the values have variance one.

    Args:
        values: series one after the other, float64.
        offsets: where each begins.
        k: how many regimes.
        order: how many lags.
        q: how many columns the trend has.
        centred: see `Regimes`.
        switching: whether the regimes differ in trend, coefficients and variance.
        least: the least variance a regime may have, relative to that of one regime.
    """

    values: np.ndarray
    offsets: np.ndarray
    k: int
    order: int
    q: int
    centred: bool
    switching: tuple[bool, bool, bool]
    least: float
    unit: float = field(init=False)
    shift: float = field(init=False)
    scale: float = field(init=False)

    def __post_init__(self) -> None:
        x = self.values
        trend, coef, _ = self.switching
        # the law moves along with the data only where every regime's constant is free
        moves = self.q > 0 and (self.centred or trend or not coef)
        shift = float(x.mean()) if moves else 0.0
        scale = float(np.sqrt(np.mean((x - shift) ** 2)))
        if not 1e-150 < scale < 1e150 or scale <= 1e-13 * float(np.abs(x).max()):
            raise DataError(
                "data does not vary (or varies by less than float64 can tell, or by more than it "
                f"can hold: standard deviation {scale:.3g}), so no regimes can be told apart."
            )
        lengths = np.diff(self.offsets)
        object.__setattr__(self, "shift", shift)
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "unit", 1.0 / max(float(lengths.max()), 1.0))
        object.__setattr__(self, "values", (x - shift) / scale)

    @property
    def n_terms(self) -> int:
        return len(self.values) - self.order * (len(self.offsets) - 1)

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
    def columns(self) -> np.ndarray:
        """The trend's columns for every value, [total, q]."""
        starts = np.repeat(self.offsets[:-1], np.diff(self.offsets))
        t = (np.arange(len(self.values)) - starts) * self.unit
        return np.stack([np.ones(len(t)), t], axis=1)[:, : self.q]

    @cached_property
    def products(self) -> np.ndarray:
        """The products w w' of every scored element, w its trend columns and lags 0 to p.

        [terms, (q + 1 + p)^2].
        """
        inside = np.ones(len(self.values), dtype=bool)
        for i in range(self.order):
            inside[self.offsets[:-1] + i] = False
        at = np.flatnonzero(inside)
        lags = self.values[at[:, None] - np.arange(self.order + 1)]
        w = np.hstack([self.columns[at], lags])
        return (w[:, :, None] * w[:, None, :]).reshape(len(w), -1)

    # ---- parameters as one vector: logits, free trend, free coefficients, log variances ---------

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many logits, locations and variances are free."""
        return self.k * (self.k - 1), self.tie.shape[1], self.k if self.switching[2] else 1

    def unpack(self, theta: np.ndarray) -> Regimes:
        """The regimes of a vector of free parameters."""
        k, (a, b, _) = self.k, self.sizes
        logits = np.hstack([theta[:a].reshape(k, k - 1), np.zeros((k, 1))])
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        location = self.tie @ theta[a : a + b]
        return Regimes(
            weights / weights.sum(axis=1, keepdims=True),
            location[: k * self.q].reshape(k, self.q),
            location[k * self.q :].reshape(k, self.order),
            np.broadcast_to(np.exp(theta[a + b :]), (k,)).copy(),
            self.centred,
            self.unit,
        )

    def pack(self, regimes: Regimes) -> np.ndarray:
        """The free parameters of regimes (of the first, where all share one)."""
        p = np.maximum(regimes.transition, 1e-12)
        logits = np.log(p[:, :-1] / p[:, -1:]).clip(-_LOGIT, _LOGIT)
        trend, coef, variance = self.switching
        parts = (
            logits,
            regimes.trend if trend else regimes.trend[:1],
            regimes.coef if coef else regimes.coef[:1],
            np.log(regimes.sigma2 if variance else regimes.sigma2[:1]),
        )
        return np.concatenate([part.reshape(-1) for part in parts])

    def natural(self, theta: np.ndarray) -> Regimes:
        """The regimes in the data's own units, counting time in steps."""
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
        """The names that statsmodels gives, in its order."""
        k = self.k

        def each(name: str, switches: bool) -> list[str]:
            return [f"{name}[{r}]" for r in range(k)] if switches else [name]

        trend, coef, variance = self.switching
        found = [f"p[{i}->{j}]" for j in range(k - 1) for i in range(k)]
        for name in ("const", "slope")[: self.q]:
            found += each(name, trend)
        found += each("sigma2", variance)
        for i in range(self.order):
            found += each(f"ar.L{i + 1}", coef)
        return found


class Fit(NamedTuple):
    """What `fit` found: regimes, log-likelihood and covariance in the data's own units."""

    regimes: Regimes
    names: list[str]
    values: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    n_iterations: int
    converged: bool


class _Sums(NamedTuple):
    """What the smoother gives at some parameters; see `hamilton.sums`."""

    log_likelihood: float
    transitions: np.ndarray
    oldest: np.ndarray
    sizes: np.ndarray
    squares: np.ndarray
    slopes: np.ndarray
    curvatures: np.ndarray


def fit(design: Design, method: str, n_starts: int, seed: int, tolerance: float) -> Fit:
    """The maximum of the likelihood given the first values.

    Every start gets some steps of EM; the best few go on, by EM alone or by a quasi-Newton method
    with the analytic score (Fisher's identity: Cappe, Moulines and Ryden 2005, 10.1.3).

    Args:
        design: what is estimated.
        method: "em" or "mle".
        n_starts: how many starts.
        seed: of the starts.
        tolerance: EM stops when a step gains less than this, in nats.
    """
    floor = design.least * _one_regime(design)[2]
    begun = []
    for theta in _starts(design, n_starts, seed):
        begun.append(_em(design, theta, floor, _EM_STEPS, 1e-3))
    begun.sort(key=lambda found: -found[1])
    ended = []
    for theta, _, _, _ in begun[:_FINISHED]:
        if method == "em":
            ended.append(_em(design, theta, floor, 20_000, tolerance))
        else:
            ended.append(_quasi_newton(design, theta, floor))
    theta, best, steps, converged = max(ended, key=lambda found: found[1])
    own = design.unpack(theta)
    theta = design.pack(own.permuted(_order(design, own)))
    covariance = _covariance(design, theta, floor)
    return Fit(
        design.natural(theta),
        design.names,
        design.estimates(theta),
        covariance,
        best - design.n_terms * math.log(design.scale),
        steps,
        converged,
    )


def _order(design: Design, own: Regimes) -> np.ndarray:
    """The regimes by their constant; where these agree, by variance; else by coefficients."""
    trend, coef, variance = design.switching
    if trend and design.q:
        return np.argsort(own.trend[:, 0], kind="stable")
    if variance:
        return np.argsort(own.sigma2, kind="stable")
    if coef and design.order:
        return np.lexsort(own.coef.T[::-1])
    return np.arange(design.k)


# ---- starts -------------------------------------------------------------------------------------


def _one_regime(design: Design) -> tuple[np.ndarray, np.ndarray, float]:
    """Least squares without regimes: trend [q], coefficients [p] and variance."""
    p, q = design.order, design.q
    rows, targets = [], []
    for a, b in zip(design.offsets[:-1], design.offsets[1:], strict=True):
        x = design.values[a:b]
        t = np.arange(p, len(x))
        if len(t):
            z = np.stack([np.ones(len(t)), t * design.unit], axis=1)[:, :q]
            rows.append(np.hstack([z, *(x[p - i : len(x) - i, None] for i in range(1, p + 1))]))
            targets.append(x[p:])
    regressors, target = np.vstack(rows), np.concatenate(targets)
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
        level = np.quantile(design.values, shares)
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
        start = Regimes(chain, levels, coef * rng.uniform(0.3, 1) + noise, sigma2, design.centred)
        found.append(design.pack(start))
    return found


# ---- EM -----------------------------------------------------------------------------------------


def _sums(design: Design, own: Regimes) -> _Sums:
    from arproc.regimes import hamilton

    k, digits = design.k, own.digits
    trend = design.columns @ own.trend.T if design.q else np.zeros((1, k))
    x = design.values[:, None]
    deviations = np.ascontiguousarray(np.broadcast_to(x - trend, (len(x), k)))
    lags = deviations if design.centred else np.ascontiguousarray(np.broadcast_to(x, (len(x), k)))
    joint = np.empty((design.n_terms, k * len(digits)))
    first = np.empty(len(digits))
    total = hamilton.weigh(
        deviations, lags, design.offsets, design.centred, digits, own.coef, own.sigma2,
        own.transition, np.exp(own.log_initial), joint, first,
    )  # fmt: skip
    counts = joint.sum(axis=0).reshape(k, len(digits))
    transitions = np.zeros((k, k))
    np.add.at(transitions, digits[:, 0], counts.T)
    # the memories before the first element hold steps of the chain too
    for i in range(digits.shape[1] - 1):
        np.add.at(transitions, (digits[:, i + 1], digits[:, i]), first)
    oldest = np.bincount(digits[:, -1], first, minlength=k)
    width = design.q + 1 + design.order
    moments = (joint.T @ design.products).reshape(-1, width, width)
    d = k * design.q + design.order
    squares, slopes, curvatures = np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d))
    hamilton.sums(
        moments, design.centred, digits, own.trend, own.coef, own.unit, squares, slopes, curvatures
    )
    return _Sums(total, transitions, oldest, counts.sum(axis=1), squares, slopes, curvatures)


def _em(
    design: Design, theta: np.ndarray, floor: float, limit: int, tolerance: float
) -> tuple[np.ndarray, float, int, bool]:
    """EM (Hamilton 1990) until a step gains less than `tolerance`.

    Where lags are taken about switching levels, levels and coefficients enter as a product: their
    step is that of Gauss and Newton, halved while the likelihood falls. The chain's step counts
    what the start says of the chain (P proportional to counts + P d log pi/dP, by iteration),
    which Hamilton's leaves out: this one climbs to the maximum.

    Returns:
        Parameters, log-likelihood, steps, and whether it stopped by itself.
    """
    sums = _sums(design, design.unpack(theta))
    for step in range(1, limit + 1):
        for share in (1.0, 0.5, 0.25, 0.125):
            moved = _m_step(design, theta, sums, floor, share)
            after = _sums(design, design.unpack(moved))
            if after.log_likelihood >= sums.log_likelihood - 1e-10:
                break
        gain = after.log_likelihood - sums.log_likelihood
        if gain < 0:
            return theta, sums.log_likelihood, step, gain > -tolerance
        theta, sums = moved, after
        if gain < tolerance:
            return theta, sums.log_likelihood, step, True
    return theta, sums.log_likelihood, limit, False


def _m_step(
    design: Design, theta: np.ndarray, sums: _Sums, floor: float, share: float
) -> np.ndarray:
    """The parameters that the expected likelihood is highest at (a share of the way there)."""
    own = design.unpack(theta)
    _, b, _ = design.sizes
    tie = design.tie
    total, matrix = np.zeros(b), np.zeros((b, b))
    views = []
    for r in range(design.k):
        view = tie[_columns(design, r)]  # of the regime's d numbers, from the free ones
        views.append(view)
        total += view.T @ sums.slopes[r] / own.sigma2[r]
        matrix += view.T @ sums.curvatures[r] @ view / own.sigma2[r]
    move = share * np.linalg.lstsq(matrix, total, rcond=1e-12)[0] if b else total
    squares = np.empty(design.k)
    for r, view in enumerate(views):
        d = view @ move
        squares[r] = sums.squares[r] - 2 * sums.slopes[r] @ d + d @ sums.curvatures[r] @ d
    if design.switching[2]:
        sigma2 = squares / np.maximum(sums.sizes, 1e-12)
    else:
        sigma2 = np.array([squares.sum() / sums.sizes.sum()])
    chain = own.transition
    for _ in range(
        3
    ):  # the start's share is of the order of 1/n, and so is what is left each time
        pull = _start_pull(chain, sums.oldest)
        counts = sums.transitions + chain * (pull - pull.min(axis=1, keepdims=True))
        chain = np.maximum(counts, 1e-12)
        chain /= chain.sum(axis=1, keepdims=True)
    logits = np.log(chain[:, :-1] / chain[:, -1:]).clip(-_LOGIT, _LOGIT).reshape(-1)
    location = theta[len(logits) : len(logits) + b] + move
    return np.concatenate([logits, location, np.log(np.maximum(sigma2, floor))])


def _columns(design: Design, r: int) -> np.ndarray:
    """Where the d numbers of regime r's innovation stand among all trends and coefficients."""
    trends = np.arange(design.k * design.q)
    return np.append(trends, design.k * design.q + r * design.order + np.arange(design.order))


# ---- quasi-Newton -------------------------------------------------------------------------------


def _score(design: Design, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """The log-likelihood and its gradient in the free parameters."""
    own = design.unpack(theta)
    sums = _sums(design, own)
    p = own.transition
    pull = sums.transitions + p * _start_pull(p, sums.oldest)
    logits = pull - p * pull.sum(axis=1, keepdims=True)
    location = np.zeros(design.tie.shape[0])
    for r in range(design.k):
        location[_columns(design, r)] += sums.slopes[r] / own.sigma2[r]
    variance = 0.5 * (sums.squares / own.sigma2 - sums.sizes)
    if not design.switching[2]:
        variance = np.array([variance.sum()])
    gradient = np.concatenate([logits[:, :-1].reshape(-1), design.tie.T @ location, variance])
    return sums.log_likelihood, gradient


def _start_pull(chain: np.ndarray, oldest: np.ndarray) -> np.ndarray:
    """The derivative of sum oldest log pi in the chain's probabilities, [k, k].

    d pi = pi dP Z with Z = (I - P + 1 pi)^-1 (Schweitzer 1968).
    """
    pi = stationary(chain)
    fundamental = np.linalg.inv(np.eye(len(pi)) - chain + pi)
    return np.outer(pi, fundamental @ (oldest / np.maximum(pi, 1e-300)))


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
