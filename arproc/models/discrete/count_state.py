"""The state of a count autoregression: the last counts and the last predictors."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch.distributions import Distribution

from arproc.contract.state import State

if TYPE_CHECKING:
    from arproc.models.discrete.count import CountAR

__all__ = ["CountState"]


class CountState(State):
    """What a count autoregression remembers.

    Args:
        lags: the last p counts as they enter the predictor, newest first, [N, p].
        past: the last q predictors, newest first, [N, q].
    """

    def __init__(self, lags: torch.Tensor, past: torch.Tensor) -> None:
        self.lags = lags
        self.past = past

    @property
    def _process(self) -> CountAR:
        return cast("CountAR", self.process)

    def _predictor(
        self, lags: torch.Tensor, past: torch.Tensor, position: torch.Tensor
    ) -> torch.Tensor:
        """The next element's predictor, [N]."""
        process = self._process
        eta = process.const_ + lags @ torch.from_numpy(process.coef_)
        eta = eta + past @ torch.from_numpy(process.feedback_)
        if self.context is not None:
            last = self.context.shape[1] - 1
            rows = torch.arange(len(position))
            values = self.context[rows, position.clamp(max=last)]
            # beyond the context nothing is known: NaN there, and the caller sees it at once
            values = values.masked_fill((position > last)[:, None], torch.nan)
            eta = eta + values.double() @ torch.from_numpy(process.regression_)
        return eta

    def _conditional(self) -> Distribution:
        return self._process.law_at(self._predictor(self.lags, self.past, self.lengths))

    def _append(self, x: torch.Tensor) -> State:
        eta = self._predictor(self.lags, self.past, self.lengths)
        return CountState(*self._moved(self.lags, self.past, self.lengths, eta, x))

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        lags, past, position = self.lags, self.past, self.lengths
        predictors, every = [], [(lags, past)]
        for t in range(x.shape[1]):
            eta = self._predictor(lags, past, position)
            lags, past = self._moved(lags, past, position, eta, x[:, t])
            position = position + 1
            predictors.append(eta)
            if lengths is not None:
                every.append((lags, past))
        predictors.append(self._predictor(lags, past, position))
        columns = self._process.law_at(torch.stack(predictors, dim=1))
        if lengths is None:
            return columns, CountState(lags, past)
        rows = torch.arange(len(x))
        lags, past = (torch.stack(part, dim=1)[rows, lengths] for part in zip(*every, strict=True))
        return columns, CountState(lags, past)

    def _moved(
        self,
        lags: torch.Tensor,
        past: torch.Tensor,
        position: torch.Tensor,
        eta: torch.Tensor,
        x: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        process = self._process
        if lags.shape[1]:
            entered = x.log1p() if process.link == "log" else x
            lags = torch.cat([entered[:, None], lags[:, :-1]], dim=1)
        if past.shape[1]:
            moved = torch.cat([eta[:, None], past[:, :-1]], dim=1)
            # given elements have no predictor
            past = torch.where((position >= process.n_given)[:, None], moved, past)
        return lags, past

    def _select(self, rows: torch.Tensor) -> State:
        return CountState(self.lags[rows], self.past[rows])
