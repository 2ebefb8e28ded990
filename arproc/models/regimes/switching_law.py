"""The law of a Markov-switching autoregression, and its state: Hamilton's filter on logarithms."""

from __future__ import annotations

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
from arproc.models.regimes.chain import memories, stationary
from arproc.models.regimes.switching_tensors import SwitchingTensors
from arproc.spaces import Real

__all__ = ["MarkovSwitchingARLaw", "SwitchingState"]

_LEAST = 1e-300  # so that no logarithm of a probability is infinite
_PATHS = 2048  # of regimes, that a forecast sums over; beyond that it is simulated
#: How many memories there may be: k to the power of the lags, which the filter goes through.
_MOST_MEMORIES = 2**16
_COMPILE_FROM = 512  # steps, from which on compiled code saves more than loading it costs


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
    def n_given(self) -> int:  # type: ignore[override]
        return int(self.coef.shape[1])

    @property
    def takes_missing(self) -> bool:  # type: ignore[override]
        """Without lags the filter leaves out what a missing element would have said."""
        return self.n_given == 0

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

        values, offsets = _arrays(sequences)
        joint = self.filter(values, offsets, keep=True)[1]
        if smoothed:
            starts, count = offsets - self.n_given * np.arange(len(offsets)), len(self.digits)
            hamilton.smooth(joint, starts, count, np.empty((len(sequences), count)))
        return joint.reshape(len(joint), self.n_regimes, joint.shape[1] // self.n_regimes).sum(
            axis=2
        )

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
        if sequences.values.requires_grad:
            return self.derived_log_prob_terms(sequences, context)
        return torch.from_numpy(self.filter(*_arrays(sequences))[0])

    def predictive(self, state: State, horizon: int) -> Distribution | None:
        assert isinstance(state, SwitchingState)
        if len(self.digits) * self.n_regimes**horizon > _PATHS:
            return None
        _ = state.conditional  # refuses a history shorter than what must be given
        before = state.history.tail(self.n_given).detach()
        return self.tensors.ahead(state.memory.detach(), before, state.lengths, horizon)


class SwitchingState(State):
    """What is known of the last regimes.

    Args:
        memory: log p(memory | elements so far), [N, M]; see `hamilton`.
    """

    law: MarkovSwitchingARLaw

    def __init__(self, memory: torch.Tensor) -> None:
        self.memory = memory

    @property
    def regimes(self) -> torch.Tensor:
        """p(regime of the last element | elements so far), [N, k]."""
        return self.memory.exp().reshape(len(self.memory), self.law.n_regimes, -1).sum(-1)

    def _conditional(self) -> Distribution:
        before = self.history.tail(self.law.n_given)
        return self.law.tensors.following(self.memory, before, self.lengths)

    def _append(self, x: torch.Tensor) -> State:
        before = self.history.tail(self.law.n_given)[:, None]
        return SwitchingState(self._filtered(before, self.lengths[:, None], x[:, None])[:, 1])

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        p, steps = self.law.n_given, x.shape[1]
        joined = torch.cat([self.history.tail(p), x], dim=1)
        if p:
            before = joined.unfold(1, p, 1)  # [N, K + 1, p], oldest first
        else:
            before = joined.new_empty((x.shape[0], steps + 1, 0))
        position = self.lengths[:, None] + torch.arange(steps + 1)
        memory = self._filtered(before[:, :steps], position[:, :steps], x)
        columns = self.law.tensors.following(memory, before, position)
        if lengths is None:
            return columns, SwitchingState(memory[:, -1])
        return columns, SwitchingState(memory[torch.arange(len(x)), lengths])

    def _select(self, rows: torch.Tensor) -> State:
        return SwitchingState(self.memory[rows])

    def _filtered(
        self, before: torch.Tensor, position: torch.Tensor, x: torch.Tensor
    ) -> torch.Tensor:
        """The memories before and after each of the elements x [N, K]: [N, K + 1, M]."""
        gone = torch.isnan(x)  # it says nothing of the regimes
        density = self.law.tensors.densities(before, position, x.masked_fill(gone, 0.0))
        density = density.masked_fill(gone[..., None, None], 0.0)
        early = position < self.law.n_given
        if density.requires_grad or x.shape[1] < _COMPILE_FROM or bool(early.any()):
            return self._by_steps(density, early)
        from arproc.models.regimes import hamilton

        n, steps, _, count = density.shape
        out = torch.empty(n, steps + 1, count, dtype=torch.float64)
        log_p = self.law.tensors.log_transition.numpy()
        hamilton.filter_memory(density.numpy(), self.memory.numpy(), log_p, out.numpy())
        return out

    def _by_steps(self, density: torch.Tensor, early: torch.Tensor) -> torch.Tensor:
        log_p = self.law.tensors.joint_transition  # [k, M]
        memory, found = self.memory, [self.memory]
        n, steps, k, count = density.shape
        given = early.any(dim=0).tolist()
        for t in range(steps):
            joint = memory[:, None, :] + log_p + density[:, t]
            now = joint.reshape(n, count, k).logsumexp(-1)  # the oldest regime is summed out
            now = now - now.logsumexp(-1, keepdim=True)
            memory = torch.where(early[:, t, None], memory, now) if given[t] else now
            found.append(memory)
        return torch.stack(found, dim=1)


def _arrays(sequences: Sequences) -> tuple[np.ndarray, np.ndarray]:
    """Values and offsets as compiled code reads them."""
    values = sequences.values.detach().cpu().numpy().astype(np.float64)
    return np.ascontiguousarray(values), sequences.offsets.numpy()
