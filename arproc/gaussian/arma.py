"""Maximum likelihood of seasonal ARIMA processes, for many problems at once.

What is compiled is in `arma_fit`; here its arrays are made, and covariances of what it found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from arproc.compiled.threads import shares, threaded
from arproc.errors import ParameterError, check_integer
from arproc.gaussian.levinson import pacf_to_coef
from arproc.gaussian.quasi_newton import minimise
from arproc.gaussian.representation import Representation, represent

__all__ = ["FAR", "Maxima", "Orders", "Point", "at_zero", "joined", "maximise"]

_STEP = 1e-40  # of a complex step: nothing is subtracted
_APART = 3e-6  # of the differences of gradients that give the Hessian, right to five digits
_INSIDE = 1.5  # |z| of a start where there are gaps: nothing moves any more far out
_NEAR = 1e-2  # how far a search may be from the maximum that a step of Newton's finds
_LIMIT = 9.0  # of |z| in a search: a partial autocorrelation of 1 - 3e-8
FAR = 12.0  # |z| beyond which tanh z is one but for 1e-10


class Orders(NamedTuple):
    """The orders of a seasonal ARIMA process: (p, d, q) and (P, D, Q, s)."""

    p: int
    d: int
    q: int
    seasonal_p: int
    seasonal_d: int
    seasonal_q: int
    period: int

    @classmethod
    def checked(cls, order: Any, seasonal_order: Any) -> Orders:
        """The orders that a user gave, checked."""
        for name, value, form in (
            ("order", order, "(p, d, q)"), ("seasonal_order", seasonal_order, "(P, D, Q, s)")
        ):  # fmt: skip
            if not isinstance(value, (tuple, list)) or len(value) != form.count(",") + 1:
                raise ParameterError(f"{name} must be {form}; got {value!r}.")
            for part in value:
                check_integer(name, part, minimum=0)
        found = cls(*map(int, (*order, *seasonal_order)))
        if any(seasonal_order[:3]) and found.period < 2:
            raise ParameterError(
                f"seasonal_order must have a period s of at least 2; got {seasonal_order!r}."
            )
        return found

    @property
    def n_given(self) -> int:
        return self.d + self.seasonal_d * self.period

    @property
    def blocks(self) -> tuple[int, int, int, int]:
        """How many coefficients each polynomial has: AR, MA, seasonal AR, seasonal MA."""
        return self.p, self.q, self.seasonal_p, self.seasonal_q

    def split(self, z: np.ndarray) -> list[np.ndarray]:
        """Numbers in the order of `blocks`, by polynomial."""
        return np.split(z, np.cumsum(self.blocks)[:-1], axis=-1)

    @property
    def reach(self) -> np.ndarray:
        """The lag of each coefficient, int64 [k]."""
        steps = (1, 1, self.period, self.period)
        lags = [s * np.arange(1, n + 1) for s, n in zip(steps, self.blocks, strict=True)]
        return np.concatenate(lags).astype(np.int64)

    def coefficients(self, z: np.ndarray) -> list[np.ndarray]:
        """The four polynomials' coefficients [..., p], ... from unconstrained numbers [..., k]."""
        parts = [pacf_to_coef(np.tanh(_clipped(part))) for part in self.split(z)]
        return [parts[0], -parts[1], parts[2], -parts[3]]

    def represent(self, coef: list[np.ndarray], differenced: bool = False) -> Representation:
        """The state space of the process, or of its differences."""
        d, seasonal_d = (0, 0) if differenced else (self.d, self.seasonal_d)
        return represent(coef[0], coef[1], coef[2], coef[3], (d, seasonal_d), self.period)

    def difference(self, x: np.ndarray) -> np.ndarray:
        """The differences along the last axis, shorter by `n_given`."""
        for _ in range(self.d):
            x = x[..., 1:] - x[..., :-1]
        for _ in range(self.seasonal_d):
            x = x[..., self.period :] - x[..., : -self.period]
        return x


def _clipped(z: np.ndarray) -> np.ndarray:
    return np.clip(z.real, -FAR, FAR) + 1j * z.imag if np.iscomplexobj(z) else z.clip(-FAR, FAR)


class Maxima(NamedTuple):
    """What `maximise` finds for G problems, in the units of their data.

    Attributes:
        z: unconstrained numbers of the coefficients, [G, k].
        value: the concentrated objective, log S + mean log F; infinite where there is none. [G]
        squares: S, the sum of squares of the innovations over F, [G].
        used: of how many elements it is, int64 [G].
        beta: the regressions' coefficients, [G, c].
        precision: theirs, times sigma2, [G, c, c].
        hessian: of the objective, [G, k, k].
        squares_slope: the gradient of S, [G, k].
        beta_slope: how beta moves with z, [G, k, c].
    """

    z: np.ndarray
    value: np.ndarray
    squares: np.ndarray
    used: np.ndarray
    beta: np.ndarray
    precision: np.ndarray
    hessian: np.ndarray
    squares_slope: np.ndarray
    beta_slope: np.ndarray

    def covariances(self, orders: Orders) -> np.ndarray:
        """Of (beta, coefficients, sigma2), [G, c + k + 1, c + k + 1]; see `arma_objective`.

        The inverse Hessian in z, carried to the parameters by how they move with z, plus what the
        regression and the variance vary given z. nan where the maximum lies on a boundary.
        """
        (n, k), c = self.z.shape, self.beta.shape[1]
        sigma2 = self.squares / self.used
        out = np.zeros((n, c + k + 1, c + k + 1))
        if c:
            out[:, :c, :c] = sigma2[:, None, None] * np.linalg.inv(self.precision)
        out[:, -1, -1] = 2 * sigma2**2 / self.used
        if not k:
            return out
        moved = np.zeros((n, k, c + k + 1))
        moved[:, :, :c] = self.beta_slope
        for j in range(k):
            ahead = orders.coefficients(self.z + 1j * _STEP * np.eye(k)[j])
            moved[:, j, c:-1] = np.concatenate(ahead, axis=-1).imag / _STEP
        moved[:, :, -1] = self.squares_slope / self.used[:, None]
        inside, hessian = _inside(self.z, self.hessian)
        share = (2 / self.used)[:, None, None]
        out += share * np.swapaxes(moved, 1, 2) @ np.linalg.inv(hessian) @ moved
        out[~inside] = math.nan
        return out


def maximise(
    orders: Orders,
    columns: np.ndarray,
    offsets: np.ndarray,
    groups: np.ndarray,
    torn: np.ndarray | None = None,
) -> Maxima:
    """Fit each of G problems, by exact maximum likelihood, on all cores.

    Args:
        orders: of all of them.
        columns: data of unit size and regressors, one row after the other, [1 + c, total]: their
            differences, but in rows with gaps.
        offsets: where each row begins, int64 [R + 1].
        groups: the rows of each problem, which share one law, int64 [G + 1].
        torn: which rows have gaps, nan in the data, bool [R]; None where none has.
    """
    n, k = len(groups) - 1, sum(orders.blocks)
    torn = np.zeros(len(offsets) - 1, dtype=np.bool_) if torn is None else torn
    problems = _Problems(orders, columns, offsets, groups, torn)
    every, best = np.arange(n), _search(problems, _starts(problems)) if k else np.zeros((n, 0))
    at = problems.at(best, every)
    hessian, beta_slope = np.zeros((n, k, k)), np.zeros((n, k, at.beta.shape[1]))
    for j in range(k):
        ahead = problems.at(best + _APART * np.eye(k)[j], every)
        hessian[:, j] = (ahead.gradient - at.gradient) / _APART
        beta_slope[:, j] = (ahead.beta - at.beta) / _APART
    hessian = (hessian + np.swapaxes(hessian, 1, 2)) / 2
    best, at = _polished(problems, best, at, hessian)
    return Maxima(
        best, at.value, at.squares, at.used, at.beta, at.precision, hessian, at.squares_slope,
        beta_slope,
    )  # fmt: skip


def at_zero(
    orders: Orders, columns: np.ndarray, offsets: np.ndarray, groups: np.ndarray, torn: np.ndarray
) -> Point:
    """Problems where nothing is correlated (z = 0); see `maximise`."""
    orders, n = orders._replace(p=0, q=0, seasonal_p=0, seasonal_q=0), len(groups) - 1
    problems = _Problems(orders, columns, offsets, groups, torn, evaluations=1)
    return problems.at(np.zeros((n, 0)), np.arange(n))


def _search(problems: _Problems, starts: np.ndarray) -> np.ndarray:
    """The maxima that searches from the starts find, [G, k]; or better ones from elsewhere."""
    best, value = minimise(problems.slopes, starts, _LIMIT)
    # a search from elsewhere, as there may be other maxima
    second, lower = minimise(problems.slopes, np.full(starts.shape, 0.05), _LIMIT, (best, value))
    better = lower < value
    best[better] = second[better]
    return best


def _inside(z: np.ndarray, hessian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which maxima lie on no boundary, and bend, bool [G]; and the Hessians, 1 for the others."""
    inside = np.isfinite(hessian).all(axis=(1, 2)) & (np.abs(z) < 6.0).all(axis=1)
    hessian = np.where(inside[:, None, None], hessian, np.eye(z.shape[1]))
    inside &= np.linalg.eigvalsh(hessian)[:, 0] > 1e-9
    hessian[~inside] = np.eye(z.shape[1])
    return inside, hessian


def _polished(
    problems: _Problems, z: np.ndarray, at: Point, hessian: np.ndarray
) -> tuple[np.ndarray, Point]:
    """A step of Newton's from where searches ended, by which all digits are right."""
    if not z.size:
        return z, at
    inside, bent = _inside(z, hessian)
    move = -np.linalg.solve(bent, np.nan_to_num(at.gradient)[..., None])[..., 0]
    inside &= np.abs(move).max(axis=1) < _NEAR
    move[~inside] = 0.0
    after = problems.at(z + move, np.arange(len(z)))
    taken = after.value <= at.value + 1e-13
    every = (np.where(taken.reshape(-1, *[1] * (new.ndim - 1)), new, old)
             for new, old in zip(after, at, strict=True))  # fmt: skip
    return np.where(taken[:, None], z + move, z), Point(*every)


def _starts(problems: _Problems) -> np.ndarray:
    """Where searches begin, [G, k]: with gaps at the maximum where straight lines fill these."""
    if not problems.problem.torn.any():
        return problems.starts()
    with_gaps = np.add.reduceat(problems.problem.torn, problems.groups[:-1]) > 0
    filled = problems.filled()
    found = filled.starts()
    some = np.flatnonzero(with_gaps)
    found[some] = _search(filled.only(some), found[some]).clip(-_INSIDE, _INSIDE)
    return found


class Point(NamedTuple):
    """The objectives of some problems; see `arma_fit.evaluate_each`."""

    value: np.ndarray
    squares: np.ndarray
    used: np.ndarray
    beta: np.ndarray
    precision: np.ndarray
    gradient: np.ndarray
    squares_slope: np.ndarray
    bend: np.ndarray


class _Problems:
    """Problems as the compiled loops take them; see `maximise`."""

    def __init__(
        self,
        orders: Orders,
        columns: np.ndarray,
        offsets: np.ndarray,
        groups: np.ndarray,
        torn: np.ndarray,
        evaluations: int | None = None,
    ) -> None:
        from arproc.compiled.interpreted import suited
        from arproc.gaussian import arma_fit
        from arproc.gaussian.arma_objective import Problem

        self.orders, self.k, self.c = orders, sum(orders.blocks), len(columns) - 1
        form = orders.represent(orders.coefficients(np.zeros(self.k)), differenced=True)
        self.problem = Problem(
            np.array([*orders.blocks, orders.period], dtype=np.int64),
            np.ascontiguousarray(columns, dtype=np.float64), offsets, form.size,
            torn, orders.represent(orders.coefficients(np.zeros(self.k))).delta,
        )  # fmt: skip
        self.groups, self.reach = groups, orders.reach
        self.counts = np.diff(offsets[groups])
        self.kernels = suited(arma_fit, self._work(evaluations, form.size))

    def _work(self, evaluations: int | None, size: int) -> float:
        """About how many microseconds the interpreter takes: measured, within a factor of two.

        A search takes about forty evaluations for each z. In each the columns pass the filter, and
        the data once more with the slopes for every z; with gaps there are gains for each of them
        (at a quarter of what they take, as long as they take to compile).
        """
        lengths, torn, k = np.diff(self.problem.offsets), self.problem.torn, self.k
        times = 1 + 40 * k if evaluations is None else evaluations
        whole = float(lengths[~torn].sum()) * size * (1 + self.c + 2 * k)
        gains = (1 + 2 * k) * 2 * (size + self.orders.n_given) ** 2
        return times * (whole + float(lengths[torn].sum()) * gains)

    def filled(self) -> _Problems:
        """The same with straight lines in the gaps, so of differences alone."""
        columns, offsets, torn = self.problem.columns, self.problem.offsets, self.problem.torn
        parts = []
        for row in range(len(torn)):
            part = columns[:, offsets[row] : offsets[row + 1]]
            if torn[row]:
                seen, place = np.isfinite(part[0]), np.arange(part.shape[1])
                full = np.interp(place, place[seen], part[0, seen]) if seen.any() else part[0]
                part = self.orders.difference(np.concatenate([full[None], part[1:]]))
            parts.append(part)
        whole = np.zeros(len(torn), dtype=np.bool_)
        return _Problems(self.orders, *joined(parts), self.groups, whole)

    def only(self, which: np.ndarray) -> _Problems:
        """The problems with these numbers."""
        columns, offsets, groups = self.problem.columns, self.problem.offsets, self.groups
        parts = [columns[:, offsets[groups[g]] : offsets[groups[g + 1]]] for g in which.tolist()]
        rows = np.concatenate([np.arange(groups[g], groups[g + 1]) for g in which.tolist()])
        sizes = np.diff(groups)[which]
        return _Problems(
            self.orders, np.concatenate(parts, axis=1), _offsets(np.diff(offsets)[rows]),
            _offsets(sizes), self.problem.torn[rows],
        )  # fmt: skip

    def starts(self) -> np.ndarray:
        """Where to begin, by regressions of rows without gaps, [G, k]."""
        z = np.zeros((len(self.counts), self.k))

        def job(first: int, last: int) -> None:
            self.kernels.starts(self.problem, self.groups, first, last, self.reach, z)

        threaded(job, shares(np.cumsum(self.counts)))
        return z

    def at(self, z: np.ndarray, which: np.ndarray) -> Point:
        """The problems with the numbers `which` [n], each at a z of its own [n, k]."""
        n, k, c = len(which), self.k, self.c
        found = Point(
            np.empty(n), np.empty(n), np.empty(n, np.int64), np.zeros((n, c)),
            np.zeros((n, c, c)), np.zeros((n, k)), np.zeros((n, k)), np.zeros((n, k, k)),
        )  # fmt: skip
        z = np.ascontiguousarray(z)

        def job(first: int, last: int) -> None:
            self.kernels.evaluate_each(
                self.problem, self.groups, which, first, last, z, *found
            )  # fmt: skip

        threaded(job, shares(np.cumsum(self.counts[which]) * (1 + k)))
        return found

    def slopes(
        self, z: np.ndarray, which: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values, gradients and about the Hessians; see `at`."""
        found = self.at(z, which)
        return found.value, found.gradient, found.bend


def joined(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows [c, T] one after the other, [c, total], and where each begins, int64."""
    return np.concatenate(parts, axis=1), _offsets([part.shape[1] for part in parts])


def _offsets(sizes: Any) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
