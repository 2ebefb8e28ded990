"""Gaps in a switching autoregression, summed over all paths of regimes, for smoothers and EM.

A *gap* goes from a missing element to the last of p observed ones in a row, or to the series' end;
before it and after it nothing but the memory counts, so to a filter it is one step, with p(memory
after, what was observed in the gap | memory before) in place of a transition. Given a path the
innovations of a gap are linear in the missing elements: their law is normal by least squares, and
so is what EM needs of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from arproc.models.regimes.chain import check_paths, refuse_given

__all__ = ["Crossed", "Crossing", "Gap", "Gaps"]


@dataclass(frozen=True, eq=False)
class Gap:
    """All gaps in which the same elements are missing.

    Attributes:
        missing: which elements are, bool [L].
        over: whether it ends with p observed elements, and not with the series.
        places: where each begins, among all values, [G].
        terms: where each begins, among the scored ones, [G].
    """

    missing: np.ndarray
    over: bool
    places: np.ndarray
    terms: np.ndarray

    @property
    def offsets(self) -> np.ndarray:
        """Which elements of the gap are missing, [g]."""
        return np.flatnonzero(self.missing)


def _find(values: np.ndarray, offsets: np.ndarray, p: int) -> list[Gap]:
    """The gaps of series one after the other, those that are alike together."""
    found: dict[tuple[bytes, bool], list[tuple[int, int]]] = {}
    gone = np.isnan(values)
    for row in range(len(offsets) - 1):
        begin, end = int(offsets[row]), int(offsets[row + 1])
        places = begin + np.flatnonzero(gone[begin:end])
        if len(places) and places[0] < begin + p:
            refuse_given(p)
        while len(places):
            first = last = int(places[0])
            for t in places[1:].tolist():
                if t - last > p:
                    break
                last = t
            stop = min(last + 1 + p, end)
            key = (gone[first:stop].tobytes(), last + 1 + p <= end)
            found.setdefault(key, []).append((first, first - (row + 1) * p))
            places = places[places > last]
    return [
        Gap(np.frombuffer(mask, dtype=bool), over, *np.array(at).T)
        for (mask, over), at in found.items()
    ]


def _innovation_weights(
    centred: bool, digits: np.ndarray, trend: np.ndarray, coef: np.ndarray, unit: float
) -> np.ndarray:
    """An innovation in each joint state as a sum over (trend columns, x_t, ..., x_{t-p}).

    Args:
        centred: whether lags are taken about the regimes' levels.
        digits: the memories, [M, m].
        trend: constants and slopes, [k, q].
        coef: coefficients, [k, p].
        unit: what a step of time counts.

    Returns:
        [k M, q + 1 + p].
    """
    (k, q), p, count = trend.shape, coef.shape[1], len(digits)
    regime, memory = np.arange(k * count) // count, np.arange(k * count) % count
    columns = -trend[regime]
    for i in range(p if centred else 0):
        line = trend[digits[memory, i]]
        past = line.copy()
        if q > 1:
            past[:, 0] -= line[:, 1] * (i + 1) * unit
        columns += coef[regime, i, None] * past
    return np.hstack([columns, np.ones((k * count, 1)), -coef[regime]])


@dataclass(frozen=True, eq=False)
class Crossing:
    """What lies between the memories before and after some like gaps, at some parameters.

    Attributes:
        gap: the gaps.
        rows: (trend columns, x_t, ..., x_{t-p}) with some value for what is missing, [G, L, w].
        k: how many regimes.
        p: how many lags.
        count: how many memories, M.
        logs: log p(path, what was observed | memory before), [G, A, ways, M] by the memory after
            (A is 1 where nothing comes after), what lies between and the memory before.
        moved: means of what is missing, less the value in `rows`, [G, P, g].
        covariance: of what is missing given the path, [P, g, g].
    """

    gap: Gap
    rows: np.ndarray
    k: int
    p: int
    count: int
    logs: np.ndarray
    moved: np.ndarray
    covariance: np.ndarray

    def step(self) -> tuple[np.ndarray, np.ndarray]:
        """Log p(observed | before) [G, M], and p(after | before, observed) [G, M before, M]."""
        logs = np.logaddexp.reduce(self.logs, axis=2)  # [G, A, M]
        heights = np.logaddexp.reduce(logs, axis=1)
        after = np.zeros((len(logs), self.count, self.count))
        after[:, :, : logs.shape[1]] = np.exp(logs - heights[:, None]).transpose(0, 2, 1)
        return heights, after

    def paths(self, pairs: np.ndarray) -> np.ndarray:
        """p(path | all) [G, P], from p(before, after | all) [G, M, M]."""
        shares = np.exp(self.logs - np.logaddexp.reduce(self.logs, axis=2, keepdims=True))
        ends = pairs[:, :, : self.logs.shape[1]].transpose(0, 2, 1)
        return (shares * ends[:, :, None]).reshape(len(shares), -1)

    def joint(self, shares: np.ndarray) -> np.ndarray:
        """p(joint state | all) of every element of the gaps, [G, L, k M]."""
        groups, length, states = len(shares), self.rows.shape[1], self.k * self.count
        sorted_ = [shares.reshape(groups, -1, states, self.k**j) for j in range(length)]
        return np.stack([part.sum(axis=(1, 3)) for part in sorted_], axis=1)

    def moments(self, shares: np.ndarray) -> np.ndarray:
        """The expected sum of w w' over all elements in each joint state, [k M, w^2]."""
        length, width = self.rows.shape[1:]
        offsets, first = self.gap.offsets, width - self.p - 1
        total = np.zeros((self.k * self.count, width, width))
        weight = shares.sum(axis=0)  # of the covariances, which all gaps share
        for j in range(length):
            lag = j - offsets
            near = np.flatnonzero((lag >= 0) & (lag <= self.p))
            places = first + lag[near]
            w = np.repeat(self.rows[:, None, j], shares.shape[1], axis=1)  # [G, P, w]
            w[:, :, places] += self.moved[:, :, near]
            parts = (self._by_state(w, j), self._by_state(w * shares[..., None], j))
            total += parts[0].transpose(0, 2, 1) @ parts[1]
            spread = self.covariance[:, near[:, None], near] * weight[:, None, None]
            n = len(near)
            summed = self._by_state(spread.reshape(1, -1, n * n), j).sum(axis=1)
            total[:, places[:, None], places] += summed.reshape(-1, n, n)
        return total.reshape(len(total), -1)

    def _by_state(self, values: np.ndarray, j: int) -> np.ndarray:
        """Values [G, P, v] by the joint state at element j, [k M, n, v]."""
        groups, _, width = values.shape
        sorted_ = values.reshape(groups, -1, self.k * self.count, self.k**j, width)
        return sorted_.transpose(2, 0, 1, 3, 4).reshape(self.k * self.count, -1, width)


def _cross(
    gap: Gap,
    rows: np.ndarray,
    weights: np.ndarray,
    sigma2: np.ndarray,
    log_transition: np.ndarray,
    digits: np.ndarray,
    p: int,
) -> Crossing:
    """What some parameters say of like gaps.

    Args:
        gap: the gaps.
        rows: see `Crossing`.
        weights: see `_innovation_weights`.
        sigma2: innovation variances, [k].
        log_transition: log p(to | from), [k, k].
        digits: the memories, [M, m].
        p: how many lags.
    """
    k, count = len(sigma2), len(digits)
    length, width = rows.shape[1:]
    paths = np.arange(count * k**length)
    # the joint state at each element: the new regime and the memory before it
    states = paths // k ** np.arange(length)[:, None] % (k * count)  # [L, P]
    scale = np.sqrt(sigma2)[states // count].T  # [P, L]
    own = weights[states].transpose(1, 0, 2) / scale[..., None]  # [P, L, w]
    lag = np.arange(length)[:, None] - gap.offsets  # [L, g]
    inside = (lag >= 0) & (lag <= p)
    effects = np.where(
        inside, own[:, np.arange(length)[:, None], width - p - 1 + lag.clip(0, p)], 0
    )
    precision = effects.transpose(0, 2, 1) @ effects
    covariance = np.linalg.inv(precision)
    rest = np.einsum("plw,glw->gpl", own, rows)
    pull = np.einsum("gpl,plf->gpf", rest, effects)
    moved = -np.einsum("gpf,pfh->gph", pull, covariance)
    left = rest + np.einsum("gph,plh->gpl", moved, effects)
    seen = length - len(gap.offsets)
    logs = -0.5 * np.einsum("gpl,gpl->gp", left, left) - 0.5 * seen * np.log(2 * np.pi)
    logs -= np.log(scale).sum(axis=1) + 0.5 * np.linalg.slogdet(precision)[1]
    logs += log_transition[digits[states % count, 0], states // count].sum(axis=0)
    shape = (count, -1, count) if gap.over else (1, -1, count)
    return Crossing(gap, rows, k, p, count, logs.reshape(len(rows), *shape), moved, covariance)


@dataclass(frozen=True, eq=False)
class Gaps:
    """The gaps of some series, at any parameters.

    Attributes:
        kinds: those that are alike together.
        rows: of each kind; see `Crossing`.
        digits: the memories, [M, m].
        k: how many regimes.
        p: how many lags.
        centred: whether lags are taken about the regimes' levels.
        unit: what a step of time counts.
    """

    kinds: list[Gap]
    rows: list[np.ndarray]
    digits: np.ndarray
    k: int
    p: int
    centred: bool
    unit: float

    @classmethod
    def of(
        cls,
        values: np.ndarray,
        offsets: np.ndarray,
        columns: np.ndarray,
        digits: np.ndarray,
        k: int,
        p: int,
        centred: bool,
        unit: float,
    ) -> Gaps:
        """Those of series one after the other, [total], with the trend's columns [total, q]."""
        kinds = _find(values, offsets, p) if p else []
        for gap in kinds:
            check_paths(len(gap.missing) - gap.over, k, len(digits), p)
        # what is missing is counted from the last that was seen, so that no digits are lost
        seen = np.flatnonzero(~np.isnan(values))
        last = (
            seen[np.searchsorted(seen, np.arange(len(values)), side="right") - 1]
            if kinds
            else seen
        )
        lags = np.arange(p + 1)
        rows = []
        for gap in kinds:
            at = gap.places[:, None] + np.arange(len(gap.missing))
            own = values[last[at[..., None] - lags]]
            rows.append(np.concatenate([columns[at], own], axis=-1))
        return cls(kinds, rows, digits, k, p, centred, unit)

    @cached_property
    def _order(self) -> np.ndarray:
        """Which of all gaps, kind by kind, comes when."""
        begins = [gap.terms for gap in self.kinds]
        return np.argsort(np.concatenate([np.zeros(0, int), *begins]), kind="stable")

    def at(
        self, trend: np.ndarray, coef: np.ndarray, sigma2: np.ndarray, log_transition: np.ndarray
    ) -> Crossed:
        """What these parameters say of all gaps; see `MarkovSwitchingARLaw` for them."""
        weights = _innovation_weights(self.centred, self.digits, trend, coef, self.unit)
        return Crossed(
            [
                _cross(gap, rows, weights, sigma2, log_transition, self.digits, self.p)
                for gap, rows in zip(self.kinds, self.rows, strict=True)
            ],
            self._order,
            len(self.digits),
        )


class Crossed:
    """All gaps of some series at some parameters, as `hamilton.weigh` reads and leaves them.

    Attributes:
        kinds: like gaps together.
        arrays: where the gaps begin, their sizes, the heights and the pairs, in the order of time.
    """

    def __init__(self, kinds: list[Crossing], order: np.ndarray, count: int) -> None:
        self.kinds, self._order = kinds, order
        begins = [np.zeros(0, int), *(c.gap.terms for c in kinds)]
        sizes = [np.zeros(0, int), *(np.full(len(c.rows), c.rows.shape[1]) for c in kinds)]
        steps = [c.step() for c in kinds]
        heights = np.concatenate([np.zeros((0, count)), *(step[0] for step in steps)])
        pairs = np.concatenate([np.zeros((0, count, count)), *(step[1] for step in steps)])
        self.arrays = (
            np.concatenate(begins)[order], np.concatenate(sizes)[order], heights[order],
            pairs[order],
        )  # fmt: skip

    def shares(self) -> Iterator[tuple[Crossing, np.ndarray]]:
        """p(path | all) of each kind, once `weigh` has left the pairs given all elements."""
        pairs = np.empty_like(self.arrays[3])
        pairs[self._order] = self.arrays[3]
        begin = 0
        for crossing in self.kinds:
            stop = begin + len(crossing.rows)
            yield crossing, crossing.paths(pairs[begin:stop])
            begin = stop

    def fill(self, joint: np.ndarray) -> None:
        """Put in p(joint state | all) of the elements in gaps, [terms, k M]."""
        for crossing, shares in self.shares():
            places = crossing.gap.terms[:, None] + np.arange(crossing.rows.shape[1])
            joint[places] = crossing.joint(shares)

    def missing(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places, means and variances given all that was observed, of what is missing."""
        found = [(np.zeros(0, int), np.zeros(0), np.zeros(0))]
        for crossing, shares in self.shares():
            offsets, own = crossing.gap.offsets, np.diagonal(crossing.covariance, axis1=1, axis2=2)
            moved = np.einsum("gp,gpf->gf", shares, crossing.moved)
            spread = (crossing.moved - moved[:, None]) ** 2 + own
            start = crossing.rows[:, offsets, crossing.rows.shape[2] - crossing.p - 1]
            places = crossing.gap.places[:, None] + offsets
            variances = np.einsum("gp,gpf->gf", shares, spread)
            found.append((places.ravel(), (start + moved).ravel(), variances.ravel()))
        places, means, variances = (np.concatenate(part) for part in zip(*found, strict=True))
        return places, means, variances

    def moments(self) -> np.ndarray | float:
        """The expected sum of w w' over all elements in gaps, [k M, w^2]; 0 without gaps."""
        return sum(crossing.moments(shares) for crossing, shares in self.shares())
