"""Estimation of threshold autoregressions: the search, the regimes it gives, linearity's test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from arproc.contract.randomness import Uniforms
from arproc.errors import DataError
from arproc.models.regimes.setar_law import SETARLaw
from arproc.models.regimes.threshold_fit import Rows, Split, search
from arproc.process import Fit

if TYPE_CHECKING:
    import torch

__all__ = ["ThresholdFit", "ThresholdSearch", "bootstrap"]


class ThresholdFit(NamedTuple):
    """A search's result; regressors and target are (values - shift) / scale, time in units."""

    delay: int
    rows: Rows
    split: Split
    shift: float
    scale: float
    unit: float

    @property
    def linearity_statistic(self) -> float:
        """The statistic n (S_1 - S_k) / S_k, the sums of squares of one regime and of all."""
        x, y = self.rows.regressors, self.rows.target
        alone = float(np.sum((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2))
        return len(y) * (alone / self.split.squares - 1)

    def learnt(self, q: int, given: np.ndarray | None) -> tuple[SETARLaw, Fit]:
        """Least squares in each regime, back in the data's own units.

        Args:
            q: how many columns the trend has.
            given: the thresholds, where they were given.
        """
        rows, shift, scale = self.rows, self.shift, self.scale
        k, p = len(rows.columns), rows.regressors.shape[1] - q
        coef, trend, sigma2 = np.zeros((k, p)), np.zeros((k, 2)), np.empty(k)
        names: list[str] = []
        values: list[float] = []
        blocks = []
        for r, own in enumerate(rows.columns):
            inside = slice(self.split.bounds[r], self.split.bounds[r + 1])
            x, y = rows.regressors[inside][:, own], rows.target[inside]
            beta, _, rank, _ = np.linalg.lstsq(x, y, rcond=None)
            if rank < len(own):
                raise DataError(
                    f"regime {r} has collinear lags ({len(y)} elements, rank {rank} of "
                    f"{len(own)}), so its coefficients are not determined. Lower order or trim."
                )
            variance = float(np.mean((y - x @ beta) ** 2))
            if not variance > 1e-24:
                raise DataError(
                    f"regime {r} follows its recursion without any innovation, so it has no "
                    "density."
                )
            # from units of the search to the data's own, which is linear
            change = np.diag([scale, scale * self.unit][:q] + [1.0] * (len(own) - q))
            if q:
                change[0, q:] = -shift
            beta = change @ beta
            if q:
                beta[0] += shift
            covariance = change @ (variance * np.linalg.inv(x.T @ x)) @ change.T
            coef[r, : len(own) - q], trend[r, :q] = beta[q:], beta[:q]
            sigma2[r] = variance * scale**2
            labels = ["intercept", "drift"][:q] + [f"ar.L{i + 1}" for i in range(len(own) - q)]
            names += [f"{label}[{r}]" for label in (*labels, "sigma2")]
            values += [*beta.tolist(), float(sigma2[r])]
            blocks += [covariance, np.array([[2 * sigma2[r] ** 2 / len(y)]])]
        limits = rows.variable[self.split.bounds[1:-1] - 1] if given is None else given
        counts = np.diff(self.split.bounds)
        law = SETARLaw(limits, self.delay, coef, trend[:, 0].copy(), trend[:, 1].copy(), sigma2)
        profiles = [part * [1, scale**2] for part in self.split.profiles]
        return law, Fit(
            names=names,
            estimates=np.array(values),
            covariance=_block_diagonal(blocks),
            log_likelihood=-0.5 * float((counts * (np.log(2 * np.pi * sigma2) + 1)).sum()),
            n_observations=len(rows.target),
            notes={"counts": counts, "profiles": profiles},
        )


@dataclass(frozen=True)
class ThresholdSearch:
    """What is searched.

    Attributes:
        orders: how many lags each regime has.
        delay: which past element decides; None to choose it.
        thresholds: those that are given, ascending, [k - 1]; None to search them.
        q: how many columns the trend has.
        trim: the share of the elements that each regime must keep.
    """

    orders: list[int]
    delay: int | None
    thresholds: np.ndarray | None
    q: int
    trim: float

    @property
    def skip(self) -> int:
        """How many first values of a sequence are needed, whatever delay is chosen."""
        return max(*self.orders, self.delay or 1)

    def best(self, values: np.ndarray, offsets: np.ndarray) -> ThresholdFit:
        """Thresholds and delay by least squares.

        Args:
            values: the series one after the other.
            offsets: where each begins.
        """
        p, q = max(self.orders), self.q
        shift = float(values.mean()) if q else 0.0
        scale = float(np.sqrt(np.mean((values - shift) ** 2)))
        if not 1e-150 < scale < 1e150 or scale <= 1e-13 * float(np.abs(values).max()):
            raise DataError(
                "data does not vary (or by less than float64 can tell, or by more than it can "
                f"hold: standard deviation {scale:.3g}), so no threshold can be found."
            )
        unit = 1.0 / int(np.diff(offsets).max())
        at, times = _scored(offsets, self.skip)
        own = values[at[:, None] - np.arange(self.skip + 1)]
        lags = (own - shift) / scale
        trend = np.stack([np.ones(len(times)), times * unit], axis=1)[:, :q]
        regressors = np.hstack([trend, lags[:, 1 : p + 1]])
        columns = [np.append(np.arange(q), q + np.arange(n)).astype(int) for n in self.orders]
        found = []
        for delay in range(1, max(p, 1) + 1) if self.delay is None else [self.delay]:
            rows = Rows.sorted(regressors, lags[:, 0], own[:, delay], columns, self.trim)
            split = search(rows) if self.thresholds is None else _cut(rows, self.thresholds)
            found.append(ThresholdFit(delay, rows, split, shift, scale, unit))
        return min(found, key=lambda one: one.split.squares)

    def fit(self, values: np.ndarray, offsets: np.ndarray) -> tuple[SETARLaw, Fit]:
        """The law of the best thresholds and delay, and what there is to tell of it."""
        law, fit = self.best(values, offsets).learnt(self.q, self.thresholds)
        split = len(law.threshold)
        searched = split * (self.thresholds is None) + (self.delay is None and split > 0)
        return law, replace(fit, notes={**fit.notes, "n_searched": searched})


def bootstrap(
    plan: ThresholdSearch,
    values: np.ndarray,
    offsets: np.ndarray,
    count: int,
    seed: int | torch.Generator | None,
) -> tuple[float, np.ndarray]:
    """The statistic of linearity of the data, and of draws of the linear fit.

    Args:
        plan: finds the regimes, anew in every draw.
        values: the series one after the other.
        offsets: where each begins; its first values are kept in every draw.
        count: how many draws.
        seed: of the draws.

    Returns:
        The statistic, and those of the draws, [count].
    """
    first, p, q = plan.best(values, offsets), max(plan.orders), plan.q
    shift, scale = first.shift, first.scale
    y = (values - shift) / scale
    at, times = _scored(offsets, plan.skip)
    trend = np.stack([np.ones(len(at)), times * first.unit], axis=1)[:, :q]
    regressors = np.hstack([trend, y[at[:, None] - np.arange(1, p + 1)]])
    beta = np.linalg.lstsq(regressors, y[at], rcond=None)[0]
    residuals = y[at] - regressors @ beta
    residuals -= residuals.mean() if q else 0.0

    uniforms = Uniforms(seed, "bootstrap").block(np.arange(count), 0, len(at)).numpy()
    noise = residuals[(uniforms * len(at)).astype(int)]
    drawn, level = np.tile(y, (count, 1)), trend @ beta[:q]
    for j, t in enumerate(at.tolist()):
        drawn[:, t] = level[j] + drawn[:, t - p : t][:, ::-1] @ beta[q:] + noise[:, j]
    fits = [plan.best(row * scale + shift, offsets) for row in drawn]
    return first.linearity_statistic, np.array([fit.linearity_statistic for fit in fits])


def _scored(offsets: np.ndarray, skip: int) -> tuple[np.ndarray, np.ndarray]:
    """The places of all values but each sequence's first `skip`, and their times in it, [n]."""
    times = np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
    at = np.flatnonzero(times >= skip)
    return at, times[at].astype(float)


def _cut(rows: Rows, thresholds: np.ndarray) -> Split:
    """The rows at given thresholds."""
    k, n = len(rows.columns), len(rows.target)
    inner = np.searchsorted(rows.variable, thresholds, side="right")
    bounds = np.concatenate([[0], inner, [n]])
    for r, own in enumerate(rows.columns):
        if bounds[r + 1] - bounds[r] <= len(own):
            raise DataError(
                f"regime {r} has {bounds[r + 1] - bounds[r]} element(s) at the given threshold; "
                f"expected more than its {len(own)} coefficients."
            )
    total = sum(rows.squares(r, int(bounds[r]), int(bounds[r + 1])) for r in range(k))
    return Split(bounds, total, [])


def _block_diagonal(blocks: list[np.ndarray]) -> np.ndarray:
    size = sum(len(block) for block in blocks)
    found, at = np.zeros((size, size)), 0
    for block in blocks:
        found[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return found
