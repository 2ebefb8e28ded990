r"""Exact maximum likelihood of an autoregression where some elements were not observed.

The likelihood of what was observed comes from the Kalman filter (see `filtering`), through which
the columns of the mean go beside the data: their coefficients and the innovation variance are
concentrated out by least squares of the standardised innovations. What is left is a function of
the partial autocorrelations :math:`\tanh z` (of the coefficients themselves, where lags are left
out or the first values are given). It is analytic, so its gradient is exact by a complex step;
Newton's method finds the maximum.

References:
    Jones (1980), Maximum likelihood fitting of ARMA models to time series with missing
    observations, Technometrics 22.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arproc.errors import DataError
from arproc.gaussian.levinson import durbin, pacf_to_coef, predictors, step_down
from arproc.gaussian.terms import Terms
from arproc.models.autoregression.estimation import Estimate, check_enough, of_mean, of_recursion
from arproc.models.autoregression.exact import LIMIT, STEP
from arproc.models.autoregression.filtering import refuse_given
from arproc.models.autoregression.least_squares import LeastSquares
from arproc.models.autoregression.moments import Scaled, lag_sums, positions, scale
from arproc.models.autoregression.score import expected_score

__all__ = ["estimate_observed"]

Array = np.ndarray


@dataclass(frozen=True)
class _Point:
    """The concentrated likelihood at one place, and what was concentrated out; may be complex."""

    objective: complex  # -2 log L but for a constant
    coef: Array  # [p]
    beta: Array  # [q]
    sigma2: complex
    precision: Array  # of beta, times sigma2 [q, q]


@dataclass(frozen=True)
class _Problem:
    """What is maximised.

    Attributes:
        data: the data, scaled; what is missing stands on its least-squares mean.
        observed: which elements are, bool [total].
        lags: those whose coefficients are free [k].
        given: how many first elements of a sequence are given, 0 or p.
        in_mean: whether the columns are of the mean, rather than of the recursion.
    """

    data: Scaled
    observed: Array
    lags: Array
    given: int
    in_mean: bool

    @property
    def order(self) -> int:
        return int(self.lags.max(initial=0))

    @property
    def by_pacf(self) -> bool:
        """Whether z is of partial autocorrelations, rather than the coefficients."""
        return not self.given and len(self.lags) == self.order

    def start(self, z: Array) -> tuple[Array, Array, Array]:
        """The filter at z [..., k], maybe complex: coefficients [..., p], weights and variances.

        The weights are [..., p + 1, p], the variances [..., p + 1], in units of sigma2; nan where
        there is no stationary law.
        """
        p, batch = self.order, z.shape[:-1]
        if self.by_pacf:
            coef, r = z, np.tanh(z)
        else:
            coef = np.zeros((*batch, p), z.dtype)
            coef[..., self.lags - 1] = z
            if self.given:
                weights = np.zeros((*batch, p + 1, p), z.dtype)
                weights[..., p, :] = coef
                return coef, weights, np.ones((*batch, p + 1), z.dtype)
            r = step_down(coef)
        if not bool((np.abs(r.real) < 1 - 1e-13).all()):
            nowhere = np.full((*batch, p + 1), np.nan, z.dtype)
            return coef, np.zeros((*batch, p + 1, p), z.dtype), nowhere
        levels, weights = predictors(r), np.zeros((*batch, p + 1, p), r.dtype)
        for t, level in enumerate(levels):
            weights[..., t, :t] = level
        variances = np.ones((*batch, p + 1), r.dtype)
        variances[..., :p] = 1 / np.cumprod((1 - r**2)[..., ::-1], axis=-1)[..., ::-1]
        return levels[-1], weights, variances

    def at(self, z: Array) -> _Point:
        """The concentrated likelihood at z [k]; infinite where there is no stationary law."""
        from arproc.compiled.interpreted import suited
        from arproc.gaussian import lag_kernels

        coef, weights, variances = self.start(z)
        if bool(np.isnan(variances).any()):
            return _Point(np.inf, coef, coef, np.inf, coef)
        data = self.data
        columns = np.column_stack([data.values, data.columns])
        inputs = np.zeros_like(columns)
        if not self.in_mean:
            columns[:, 1:], inputs[:, 1:] = 0.0, -data.columns
        kernels = suited(lag_kernels, 3 * columns.size * (weights.shape[-1] + 1))
        rest, logs = kernels.whiten(
            columns, inputs, self.observed, data.lengths, weights, variances, self.given
        )
        left = rest[:, 1:]
        gram = left.T @ left
        beta = np.linalg.solve(gram, left.T @ rest[:, 0]) if len(gram) else rest[0, :0]
        error = rest[:, 0] - left @ beta
        sigma2 = error @ error / len(rest)
        objective = len(rest) * np.log(sigma2) + logs.sum()
        return _Point(objective, coef, beta, sigma2, gram)

    def bounded(self, z: Array) -> Array:
        """The place within what double precision tells from a unit root."""
        return np.clip(z, -LIMIT, LIMIT) if self.by_pacf else z

    def around(self, z: Array) -> list[_Point]:
        """The likelihood at z + i h e_j for every j: imaginary parts are derivatives, times h."""
        return [self.at(z + 1j * STEP * unit) for unit in np.eye(len(z))]

    def gradient(self, z: Array, at: _Point | None = None) -> Array:
        """Of the objective, [k]; that of the law's weights and variances, carried on to z."""
        at = self.at(z) if at is None else at
        if not np.isfinite(at.objective.real):
            return np.full(len(z), np.nan)
        _, weights, variances = self.start(z)
        level = self.data.columns @ at.beta.real
        nothing = np.zeros(len(level))
        y, added = self.data.values, level
        if self.in_mean:
            y, added = y - level, nothing
        try:
            by_weights, by_variances = expected_score(
                y, added, self.observed, positions(self.data.lengths), weights, variances,
                float(at.sigma2.real), self.given,
            )  # fmt: skip
        except (
            np.linalg.LinAlgError,
            ValueError,
        ):  # nothing is left to chance in double precision
            return np.full(len(z), np.nan)
        _, w, v = self.start(z + 1j * STEP * np.eye(len(z)))  # one derivative a row
        moved = np.einsum("jab,ab->j", w.imag / STEP, by_weights)
        return moved + (v.imag / STEP) @ by_variances


def estimate_observed(
    values: Array,
    lengths: Array,
    lags: Array,
    terms: Terms,
    given: int = 0,
    regressors: Array | None = None,
    in_mean: bool = True,
    first: Array | None = None,
) -> Estimate:
    """Fit an autoregression by exact maximum likelihood to sequences with missing elements.

    Args:
        values: the sequences one after the other, NaN where an element is missing, [total].
        lengths: elements in each, [N].
        lags: those whose coefficients are estimated, increasing, [k].
        terms: the terms of the mean.
        given: how many first elements of each sequence are given: 0 (a stationary start) or p.
        regressors: further columns, [total, c].
        in_mean: whether they are of the mean, or of the recursion.
        first: the t at which each sequence begins, [N]; 0 by default.

    Raises:
        DataError: too few elements, collinear columns, a missing one among the given, or data
            without innovations.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    first = np.zeros(len(lengths), np.int64) if first is None else first
    first, lengths = first[lengths > 0], lengths[lengths > 0]
    observed = ~np.isnan(values)
    count = 0 if regressors is None else regressors.shape[1]
    if given:
        keep = np.repeat(lengths > given, lengths)  # a shorter sequence says nothing
        values, observed, first = values[keep], observed[keep], first[lengths > given]
        lengths = lengths[lengths > given]
        regressors = None if regressors is None else regressors[keep]
        if not observed[positions(lengths) < given].all():
            refuse_given(given)
    starts = lengths.cumsum() - lengths
    seen = np.add.reduceat(observed, starts, dtype=np.int64) if len(lengths) else lengths
    check_enough(seen, lags, len(lags) + terms.n + count + 1)
    if seen.sum() - given * len(seen) < len(lags) + terms.n + count + 1:
        check_enough(seen[:0], lags, len(lags) + terms.n + count + 1)
    data = _scaled(values, observed, lengths, terms, regressors, in_mean, first)
    # given the first values, terms are estimated in the recursion's form: unit roots have no other
    means = in_mean and not (given and not count)
    fit = _maximum(_Problem(data, observed, lags, given, means))
    return (of_mean if means else of_recursion)(data, terms, lags, fit)


def _scaled(
    values: Array,
    observed: Array,
    lengths: Array,
    terms: Terms,
    regressors: Array | None,
    in_mean: bool,
    first: Array | None = None,
) -> Scaled:
    """`scale` of the observed elements: what is missing stands on their least-squares mean."""
    largest = float(np.abs(values[observed]).max()) or 1.0
    filled = np.where(observed, values, 0.0)
    rough = scale(filled, lengths, terms, regressors, in_mean, first).columns
    columns = rough[observed]
    line, _, rank, _ = np.linalg.lstsq(columns, values[observed] / largest, rcond=1e-10)
    if rank < columns.shape[1]:
        raise DataError(
            f"the columns of the mean are collinear over the {len(columns)} elements of data that "
            "were observed (a season that never was, for one). Leave one out."
        )
    filled = np.where(observed, values, rough @ line * largest)
    return scale(filled, lengths, terms, regressors, in_mean, first)


def _maximum(problem: _Problem) -> LeastSquares:
    """The fit to scaled data: free coefficients, beta, sigma2 and their covariance."""

    def height(z: Array) -> float:
        return float(problem.at(z).objective.real)

    # where much is missing there are several maxima: signs of coefficients are hard to tell
    starts = sorted(_starts(problem), key=height)
    tries = 1 if problem.observed.mean() > 0.7 else 3
    z = min((_descended(problem, start) for start in starts[:tries]), key=height)
    z, curvature, left = _newton(problem, z)
    best = problem.at(z)
    k, q, sigma2 = len(z), len(best.beta), float(best.sigma2.real)
    count = int((problem.observed & (positions(problem.data.lengths) >= problem.given)).sum())
    pacf = z if problem.by_pacf else np.zeros(0)
    through = count <= 2 * (k + q + 1) and np.abs(pacf).max(initial=0) > 6
    # what is left of products as large as the data, times what rounding does to them
    rounding = 2.3e-16 * (1 + np.abs(best.coef.real).sum()) ** 2 / sigma2
    if left > 1e-3 and 0 < rounding < 1e-4:
        raise DataError(
            "the exact likelihood of data has no maximum among stationary laws: it grows towards "
            "a unit root. Use initial='given', which needs none, or another order."
        )
    if through or not 0 < rounding < 1e-4 or left > 1e-3:
        raise DataError(
            "the exact likelihood of data has no maximum: a deterministic recursion of order "
            f"{problem.order} passes through the {count} values observed. Use a lower order or "
            "more data."
        )
    covariance = np.zeros((k + q + 1, k + q + 1))
    covariance[k:-1, k:-1] = sigma2 * np.linalg.inv(best.precision.real)
    covariance[-1, -1] = 2 * sigma2**2 / count
    if k:
        free = problem.lags - 1
        moved = np.array(
            [np.concatenate([p.coef[free], p.beta, [p.sigma2]]).imag for p in problem.around(z)]
        )
        covariance += 2 * (moved / STEP).T @ curvature @ (moved / STEP)
    coef = best.coef[problem.lags - 1].real
    return LeastSquares(coef, best.beta.real, sigma2, count, covariance)


def _starts(problem: _Problem) -> list[Array]:
    """Yule-Walker with zeros for what is missing, or each lag's mean over pairs; and others."""
    data, observed, order = problem.data, problem.observed, problem.order
    both = np.column_stack([np.where(observed, data.values, 0.0), observed.astype(float)])
    sums = lag_sums(both, data.lengths, order)  # [p + 1, 2, 2]
    products, pairs = sums[:, 0, 0], np.maximum(sums[:, 1, 1], 1.0)
    found = []
    for gamma in (products, products / pairs):
        with np.errstate(invalid="ignore", divide="ignore"):  # a recursion without innovations
            pacf = np.nan_to_num(np.clip(durbin(gamma), -0.95, 0.95))
        if problem.by_pacf:
            found.append(np.arctanh(pacf))
        elif len(problem.lags) == order:
            found.append(pacf_to_coef(pacf))
        else:
            lags = problem.lags
            gram = gamma[np.abs(np.subtract.outer(lags, lags))]
            phi = np.linalg.lstsq(gram, gamma[lags], rcond=None)[0]
            found += [phi * shrink**lags for shrink in (1.0, 0.9, 0.5)]
    for j in range(min(len(problem.lags), 2)):
        unit = np.eye(len(problem.lags))[j]
        found += [size * unit for size in (-1.0, -0.5, 0.5, 1.0)]
    found = [z if problem.by_pacf else np.clip(z, -0.9, 0.9) for z in found]
    return [*found, np.zeros(len(problem.lags))]


def _descended(problem: _Problem, z: Array) -> Array:
    """Near the maximum, by BFGS: Newton's steps cost k gradients each."""
    from scipy.optimize import minimize

    def both(z: Array) -> tuple[float, Array]:
        z = problem.bounded(z)
        at = problem.at(z)
        return at.objective.real, problem.gradient(z, at)

    if not len(z):
        return z
    with np.errstate(all="ignore"):  # infinite beyond the stationary laws
        found = minimize(both, z, jac=True, method="BFGS", options={"gtol": 1e-3, "maxiter": 200})
    nearer = problem.bounded(found.x)
    return nearer if problem.at(nearer).objective.real < problem.at(z).objective.real else z


def _newton(problem: _Problem, z: Array, max_steps: int = 200) -> tuple[Array, Array, float]:
    """The maximum by Newton's method from z [k], the inverse Hessian, and the descent left."""
    inverse, decrement = np.zeros((len(z), len(z))), 0.0
    for _ in range(max_steps if len(z) else 0):
        value, gradient = problem.at(z).objective.real, problem.gradient(z)
        if not np.isfinite(gradient).all():
            return z, inverse, np.inf
        inverse = _inverse_hessian(problem, z)
        move = -inverse @ gradient
        decrement = float(-gradient @ move)
        if np.isnan(decrement):
            return z, inverse, np.inf
        if decrement < 1e-9:  # so near, the next step is right to rounding, and can't be judged
            return problem.bounded(z + move), inverse, 0.0
        move *= min(1.0, 2.0 / float(np.abs(move).max()))
        while not problem.at(problem.bounded(z + move)).objective.real < value - 1e-6 * decrement:
            move /= 2
            if not np.abs(move).max() >= 1e-10:  # no descent is left within rounding
                return z, inverse, decrement
        z = problem.bounded(z + move)
    return z, inverse, decrement


def _inverse_hessian(problem: _Problem, z: Array) -> Array:
    """By central differences of exact gradients; moduli of eigenvalues where it isn't positive."""
    step = 1e-5
    while True:
        ahead = np.array([problem.gradient(z + step * unit) for unit in np.eye(len(z))])
        behind = np.array([problem.gradient(z - step * unit) for unit in np.eye(len(z))])
        hessian = (ahead - behind) / (2 * step)
        if np.isfinite(hessian).all() or step < 1e-9:
            break
        step /= 10  # too near the edge of the stationary laws
    if not np.isfinite(hessian).all():
        return np.full_like(hessian, np.nan)
    sizes, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    sizes = np.maximum(np.abs(sizes), 1e-10 * np.abs(sizes).max() + 1e-300)
    return (vectors / sizes) @ vectors.T
