"""The law of a Markov-switching autoregression."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

import numpy as np
import torch
from torch.distributions import Distribution

from arproc.contract.checked import Array, Number, sentences
from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.distributions import index
from arproc.models.regimes.chain import MOST_PATHS, longest_gap, memories, stationary
from arproc.models.regimes.gaps import Crossed, Gaps
from arproc.models.regimes.paths import ahead
from arproc.models.regimes.switching_state import SwitchingState
from arproc.models.regimes.switching_tensors import SwitchingTensors
from arproc.spaces import Real

__all__ = ["MarkovSwitchingARLaw", "arrays"]

_LEAST = 1e-300  # so that no logarithm of a probability is infinite
_ROWS = 512  # that are filtered at once where each may have thousands of paths
#: How many memories there may be: k to the power of the lags, which the filter goes through.
_MOST_MEMORIES = 2**16


@storable
@dataclass(frozen=True, eq=False, repr=False)
class MarkovSwitchingARLaw(ChainLaw):
    """An autoregression whose parameters follow a hidden Markov chain; see `MarkovSwitchingAR`.

    Attributes:
        transition: p(to | from), rows sum to one, [k, k].
        trend: each regime's mean and its slope where `centred`, else the recursion's intercept and
            drift, [k, q], q = 0, 1 or 2.
        coef: coefficients, lag 1 first, [k, p].
        sigma2: innovation variances, [k].
        centred: whether lags are taken about the regimes' trends.
        unit: what a step of time counts in the trend.
    """

    transition: Annotated[np.ndarray, Array("k", "k", low=0, high=1 + 1e-9)]
    trend: Annotated[np.ndarray, Array("k", "q")]
    coef: Annotated[np.ndarray, Array("k", "p")]
    sigma2: Annotated[np.ndarray, Array("k", above=0)]
    centred: bool
    unit: Annotated[float, Number(above=0)] = 1.0

    space = Real()

    def problems(self) -> Iterator[str]:
        k, p = self.n_regimes, self.n_given
        many = (p if self.centred else 1) * math.log(max(k, 1))
        yield from sentences(
            (k == 0, "there are no regimes"),
            (self.trend.shape[1] > 2, f"trend has {self.trend.shape[1]} columns, at most 2"),
            (k > 0 and bool((abs(self.transition.sum(1) - 1) > 1e-6).any()), "the rows of "
             "transition do not sum to one"),
            (many > math.log(_MOST_MEMORIES), f"{k} regimes under {p} lags are more than "
             f"{_MOST_MEMORIES} memories"),
        )  # fmt: skip

    @property
    def counts_from_zero(self) -> bool:  # type: ignore[override]
        return bool(self.line[:, 1].any())

    @property
    def n_given(self) -> int:  # type: ignore[override]
        return int(self.coef.shape[1])

    @property
    def takes_missing(self) -> bool:  # type: ignore[override]
        """Exactly; not where there are too many memories for a gap of even one."""
        return self.longest_gap is None or self.longest_gap > 0

    @property
    def longest_gap(self) -> int | None:  # type: ignore[override]
        """As long as the paths of regimes since before the gap can be summed over."""
        if self.n_given == 0 or self.n_regimes == 1:
            return None
        return longest_gap(self.n_regimes, len(self.digits), self.n_given)

    @property
    def n_regimes(self) -> int:
        """How many regimes there are."""
        return len(self.sigma2)

    @property
    def line(self) -> np.ndarray:
        """The trend with zeros for what it has not, [k, 2]."""
        return np.pad(self.trend, ((0, 0), (0, 2 - self.trend.shape[1])))

    # ---- the chain -----------------------------------------------------------------------------

    @cached_property
    def digits(self) -> np.ndarray:
        """The memories: the last p regimes where levels switch under the lags, else the last."""
        return memories(self.n_regimes, max(self.n_given, 1) if self.centred else 1)

    @cached_property
    def log_transition(self) -> np.ndarray:
        """The logarithms of the chain's probabilities, [k, k]."""
        return np.log(np.maximum(self.transition, _LEAST))

    @property
    def log_initial(self) -> np.ndarray:
        """The memories' log-probabilities when the chain has run for ever, [M]."""
        digits, log_p = self.digits, self.log_transition
        total = np.log(np.maximum(stationary(self.transition), _LEAST))[digits[:, -1]]
        for i in range(digits.shape[1] - 1):
            total = total + log_p[digits[:, i + 1], digits[:, i]]
        return total

    def permuted(self, order: np.ndarray) -> MarkovSwitchingARLaw:
        """The same law with the regimes in another order."""
        parts = {name: getattr(self, name)[order] for name in ("trend", "coef", "sigma2")}
        return replace(self, transition=self.transition[np.ix_(order, order)], **parts)

    def filter(
        self, values: np.ndarray, offsets: np.ndarray, keep: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The terms log p(x_t | past), and the joint states' filtered probabilities.

        Args:
            values: series one after the other, float64.
            offsets: where each begins, int64 [N + 1].
            keep: whether the joint states' probabilities [terms, k M] are wanted.
        """
        from arproc.models.regimes import hamilton

        digits = self.digits
        times = np.arange(len(values)) - np.repeat(offsets[:-1], np.diff(offsets))
        level = np.vander(times * self.unit, self.trend.shape[1], increasing=True) @ self.trend.T
        deviations = values[:, None] - level
        lags = deviations if self.centred else values[:, None]
        rows = len(values) - (len(offsets) - 1) * self.n_given if keep else 0
        joint = np.empty((rows, self.n_regimes * len(digits)))
        terms = hamilton.filter_series(
            deviations, lags, offsets, self.centred, digits, self.coef, self.sigma2,
            self.log_transition, self.log_initial, joint,
        )  # fmt: skip
        return terms, joint

    def probabilities(self, sequences: Sequences, smoothed: bool) -> np.ndarray:
        """Of the regime of every element but the given ones, flat [terms, k].

        Args:
            sequences: the elements.
            smoothed: whether given all elements of the sequence, or those up to this one.
        """
        from arproc.models.regimes import hamilton

        if self.n_given and bool(torch.isnan(sequences.values).any()):
            if smoothed:
                return self.crossed(*arrays(sequences))[0]
            return self._filtered_regimes(sequences)
        values, offsets = arrays(sequences)
        joint = self.filter(values, offsets, keep=True)[1]
        if smoothed:
            starts, count = offsets - self.n_given * np.arange(len(offsets)), len(self.digits)
            hamilton.smooth(joint, starts, count, np.empty((len(sequences), count)))
        paths = joint.shape[1] // self.n_regimes  # said, as there may be no rows
        return joint.reshape(len(joint), self.n_regimes, paths).sum(axis=2)

    def crossed(self, values: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, Crossed]:
        """p(regime | all elements) of sequences with gaps [terms, k], and what these gaps hold."""
        from arproc.compiled.interpreted import suited
        from arproc.models.regimes import hamilton

        digits, p, trend = self.digits, self.n_given, self.trend
        times = np.arange(len(values)) - np.repeat(offsets[:-1], np.diff(offsets))
        columns = np.vander(times * self.unit, trend.shape[1], increasing=True)
        gaps = Gaps.of(
            values, offsets, columns, digits, self.n_regimes, p, self.centred, self.unit
        )
        crossed = gaps.at(trend, self.coef, self.sigma2, self.log_transition)
        deviations = values[:, None] - columns @ trend.T
        joint = np.empty((len(values) - p * (len(offsets) - 1), self.n_regimes * len(digits)))
        suited(hamilton, 15 * joint.size).weigh(
            deviations, deviations if self.centred else values[:, None], offsets, self.centred,
            digits, self.coef, self.sigma2, np.exp(self.log_transition), np.exp(self.log_initial),
            joint, np.empty(len(digits)), *crossed.arrays,
        )  # fmt: skip
        crossed.fill(joint)
        paths = joint.shape[1] // self.n_regimes  # said, as there may be no rows
        return joint.reshape(len(joint), self.n_regimes, paths).sum(axis=2), crossed

    def missing_given_observed(
        self, values: np.ndarray, offsets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations of all elements given what was observed, flat [total].

        Given the path of regimes what is missing is normal; these are the moments of the mixture
        over all paths.
        """
        regimes, crossed = self.crossed(values, offsets)
        places, means, squares = crossed.missing()
        if self.n_given == 0:
            places = np.flatnonzero(np.isnan(values))
            times = places - np.repeat(offsets[:-1], np.diff(offsets))[places]
            level = np.vander(times * self.unit, 2, increasing=True) @ self.line.T
            means = (regimes[places] * level).sum(axis=1)
            spread = (level - means[:, None]) ** 2 + self.sigma2
            squares = (regimes[places] * spread).sum(axis=1)
        mean, deviation = values.copy(), np.zeros(len(values))
        mean[places], deviation[places] = means, np.sqrt(squares)
        return mean, deviation

    def regimes(self, memory: torch.Tensor) -> torch.Tensor:
        """The last regime's probabilities from those of memories, [..., M] logs to [..., k]."""
        return memory.exp().unflatten(-1, (self.n_regimes, -1)).sum(-1)

    def _filtered_regimes(self, sequences: Sequences) -> np.ndarray:
        """p(regime | elements so far) of sequences with gaps, flat [terms, k]."""
        parts = []
        for i in range(len(sequences)):
            x, state = sequences.row(i).detach().cpu().double()[None], self.fresh(1, None)
            found = []
            for begin, stop in self._pieces(x):
                assert isinstance(state, SwitchingState)
                found.append(state.memories(x[:, begin:stop])[0, 1:])
                state = state.extend(x[:, begin:stop])[1]
            parts.append(self.regimes(torch.cat(found)[self.n_given :]))
        return torch.cat(parts).numpy()

    # ---- what comes next -----------------------------------------------------------------------

    @cached_property
    def tensors(self) -> SwitchingTensors:
        """The parameters as the state reads them."""
        digits, log_p = self.digits, self.log_transition

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(array))

        return SwitchingTensors(
            level=tensor(self.line[:, 0]),
            rise=tensor(self.line[:, 1]),
            coef=tensor(self.coef),
            scale=tensor(np.sqrt(self.sigma2)),
            log_transition=tensor(log_p),
            joint_transition=tensor(log_p[digits[:, 0]].T),
            log_initial=tensor(self.log_initial),
            digits=tensor(digits[:, : max(self.n_given, 1)]),
            centred=self.centred,
        )

    def start(self, n: int, context: torch.Tensor | None) -> State:
        return SwitchingState(self.tensors.log_initial.expand(n, -1))

    def log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        if self.n_given and bool(torch.isnan(sequences.values).any()):
            return self._terms_with_gaps(sequences)
        if sequences.values.requires_grad:
            return self.derived_log_prob_terms(sequences, context)
        return torch.from_numpy(self.filter(*arrays(sequences))[0])

    def _terms_with_gaps(self, sequences: Sequences) -> torch.Tensor:
        """The terms of sequences with missing elements, flat; differentiable."""
        parts, places = [], []
        starts = sequences.offsets - self.n_given * torch.arange(len(sequences) + 1)
        for rows in _alike(sequences):
            x = torch.stack([sequences.row(i) for i in rows]).cpu().double()
            state, found = self.fresh(len(rows), None), []
            for begin, stop in self._pieces(x):
                piece = x[:, begin:stop]
                columns, state = state.extend(piece)
                gone = torch.isnan(piece)
                before = index(columns, (slice(None), slice(0, -1)))
                found.append(before.log_prob(piece.nan_to_num()).masked_fill(gone, 0.0))
            terms = torch.cat(found, dim=1)[:, self.n_given :]
            parts.append(terms.flatten())
            places.append((starts[rows][:, None] + torch.arange(terms.shape[1])).flatten())
        return torch.cat(parts)[torch.cat(places).argsort()]

    def _pieces(self, x: torch.Tensor) -> list[tuple[int, int]]:
        """Where gaps of x [N, T] begin and are over, and what lies between: (begin, stop)."""
        gone = torch.isnan(x).any(0).nonzero()[:, 0].tolist()
        p, ends = self.n_given, [0]
        for t in gone if p else []:
            if len(ends) % 2 and t >= ends[-1]:
                ends += [t, t + 1 + p]
            else:
                ends[-1] = max(ends[-1], t + 1 + p)
        whole = x.shape[1]
        ends = [min(t, whole) for t in ends] + [whole]
        return [(a, b) for a, b in itertools.pairwise(ends) if b > a]

    def predictive(self, state: State, horizon: int) -> Distribution | None:
        assert isinstance(state, SwitchingState)
        _ = state.conditional  # refuses a history shorter than what must be given
        paths = state.known.detach()
        if paths.weights.shape[1] * self.n_regimes**horizon > MOST_PATHS:
            return None
        return ahead(paths, state.lengths, horizon)

    def after(self, sequences: Sequences, context: torch.Tensor | None) -> State:
        # by pieces, for the mixtures of a gap have so many parts that a long history beside them
        # would not fit into memory
        x, lengths = sequences.padded()
        state = self.fresh(len(sequences), context)
        for begin, stop in self._pieces(x):
            state = state.extend(x[:, begin:stop], (lengths - begin).clamp(0, stop - begin))[1]
        return state


def _alike(sequences: Sequences) -> list[list[int]]:
    """The numbers of sequences that are as long and miss the same elements, some at a time."""
    found: dict[bytes, list[int]] = {}
    for i in range(len(sequences)):
        mask = torch.isnan(sequences.row(i).detach()).cpu().numpy().tobytes()
        found.setdefault(mask, []).append(i)
    begins = [(rows, begin) for rows in found.values() for begin in range(0, len(rows), _ROWS)]
    return [rows[begin : begin + _ROWS] for rows, begin in begins]


def arrays(sequences: Sequences) -> tuple[np.ndarray, np.ndarray]:
    """Values and offsets as compiled code reads them."""
    values = sequences.values.detach().cpu().numpy().astype(np.float64)
    return np.ascontiguousarray(values), sequences.offsets.numpy()
