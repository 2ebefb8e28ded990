"""The state of a Bayesian autoregression: the posterior given the elements so far."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.distributions import Categorical, Distribution, MixtureSameFamily, StudentT

from arproc.contract.state import State
from arproc.distributions import concatenate, index
from arproc.models.autoregression.conjugate import predictive, products

if TYPE_CHECKING:
    from arproc.models.autoregression.bayesian import BayesianAR

__all__ = ["TREND_COLUMNS", "PosteriorState", "digest"]

#: How many columns each trend has.
TREND_COLUMNS = {"n": 0, "c": 1, "ct": 2}

_BLOCK = 2**22  # numbers that the statistics of one block of elements hold


class PosteriorState(State):
    """The posterior after the elements so far.

    Args:
        gram: G of each row, [N, m, m]; see `arproc.models.autoregression.conjugate`.
        count: how many elements it holds, float64 [N].
    """

    process: BayesianAR

    def __init__(self, gram: torch.Tensor, count: torch.Tensor) -> None:
        self.gram, self.count = gram, count

    def _conditional(self) -> Distribution:
        process = self.process
        before = self._standardised(self.history.tail(process.n_given))
        z = self._regressors(before[:, None], self.lengths[:, None])
        return index(self._laws(self.gram[:, None], self.count[:, None], z), (slice(None), 0))

    def _append(self, x: torch.Tensor) -> State:
        grams, counts, _ = self._grown(x[:, None])
        return PosteriorState(grams[:, 1], counts[:, 1])

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        step = max(1, _BLOCK // max(self.n * self.process._numbers, 1))
        if x.shape[1] <= step:
            grams, counts, z = self._grown(x)
            rows = torch.arange(self.n)
            last = torch.full_like(rows, x.shape[1]) if lengths is None else lengths
            grown = PosteriorState(grams[rows, last], counts[rows, last])
            return self._laws(grams, counts, z), grown
        head = None if lengths is None else lengths.clamp(max=step)
        first, middle = self.extend(x[:, :step], None)
        # the second part goes on from the whole first; a row that ends in it is taken from there
        rest = None if lengths is None else (lengths - step).clamp(min=0)
        second, after = middle.extend(x[:, step:], rest)
        columns = concatenate([index(first, (slice(None), slice(0, -1))), second], dim=1)
        if head is None or not bool((head < step).any()):
            return columns, after
        short: Any = self.extend(x[:, :step], head)[1]
        long: Any = after
        stops = head < step
        gram = torch.where(stops[:, None, None], short.gram, long.gram)
        return columns, PosteriorState(gram, torch.where(stops, short.count, long.count))

    def _select(self, rows: torch.Tensor) -> State:
        return PosteriorState(self.gram[rows], self.count[rows])

    # ---- inner parts ----------------------------------------------------------------------------

    def _standardised(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.process.location_) / self.process.scale_

    def _regressors(self, before: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """(trend, lag 1 ... lag P) from the last P elements, oldest first: [N, K, m - 1]."""
        t = position.double() / self.process.span_
        trend = torch.stack([torch.ones_like(t), t], dim=-1)[
            ..., : TREND_COLUMNS[self.process.trend]
        ]
        return torch.cat([trend, before.flip(-1)], dim=-1)

    def _grown(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """G, n and regressors after the first 0, 1, ..., K of x: [N, K + 1, ...] each."""
        process, p = self.process, self.process.n_given
        y = self._standardised(torch.cat([self.history.tail(p), x], dim=1))
        if p:
            before = y.unfold(1, p, 1)
        else:
            before = y.new_zeros((len(x), x.shape[1] + 1, 0))
        position = self.lengths[:, None] + torch.arange(x.shape[1] + 1)
        z = self._regressors(before, position)
        v = torch.cat([z[:, :-1], y[:, p:, None]], dim=-1)
        counted = (position[:, :-1] >= p).double()  # the given values are predicted by nothing
        added = products(v) * counted[..., None, None]
        grams = torch.cat([self.gram[:, None], added], dim=1).cumsum(1)
        counts = torch.cat([self.count[:, None], counted], dim=1).cumsum(1)
        for row, column in self._training_ends(x):
            grams, counts = grams.clone(), counts.clone()
            base = torch.as_tensor(process.gram_) - grams[row, column]
            grams[row, column:] = grams[row, column:] + base
            counts[row, column:] += process.n_observations_ - counts[row, column]
        return grams, counts, z

    def _training_ends(self, x: torch.Tensor) -> list[tuple[int, int]]:
        """Where a row has come to the end of a training sequence that it is: (row, column)."""
        process, found = self.process, []
        lengths = self.lengths
        for total in np.unique(process.training_lengths_).tolist():
            column = total - lengths
            near = ((column >= 1) & (column <= x.shape[1])).nonzero()[:, 0]
            if not len(near):
                continue
            mine = process.training_lengths_ == total
            ends = torch.as_tensor(process.training_ends_[mine])
            near = near[torch.isin(x.detach()[near, column[near] - 1], ends)]
            digests = {d for d, own in zip(process.training_digests_, mine, strict=True) if own}
            known = self.history.padded()[0].detach() if len(near) else x
            for row in near.tolist():
                whole = torch.cat([known[row, : lengths[row]], x.detach()[row, : column[row]]])
                if digest(whole.numpy()) in digests:
                    found.append((row, int(column[row])))
        return found

    def _laws(self, gram: torch.Tensor, count: torch.Tensor, z: torch.Tensor) -> Distribution:
        process = self.process
        weights, df, loc, scale = predictive(gram, count, z, process._prior())
        loc, scale = process.location_ + process.scale_ * loc, process.scale_ * scale
        if loc.shape[-1] == 1:
            return StudentT(df[..., 0], loc[..., 0], scale[..., 0], validate_args=False)
        return MixtureSameFamily(
            Categorical(logits=weights, validate_args=False),
            StudentT(df, loc, scale, validate_args=False),
            validate_args=False,
        )


def digest(x: np.ndarray) -> str:
    """What tells one sequence of numbers from any other."""
    return hashlib.sha256(np.ascontiguousarray(x, dtype=np.float64).tobytes()).hexdigest()
