"""The law of a count autoregression, and its state: the last counts and the last predictors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
import torch
from torch.distributions import Distribution, NegativeBinomial, Poisson

from arproc.contract.checked import Array, Number, sentences
from arproc.contract.context import ContextForm, context_problems
from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.models.discrete.count_fit import CountData, flat_context
from arproc.spaces import Count

__all__ = ["CountARLaw"]


#: Of a coefficient: beyond, means are no numbers that can be drawn.
_LARGEST = 1e15


@storable
@dataclass(frozen=True, eq=False, repr=False)
class CountARLaw(ChainLaw):
    """A Poisson or negative-binomial autoregression; the recursion is in `CountAR`.

    Attributes:
        intercept: omega.
        coef: alpha, lag 1 first, float64 [p].
        feedback: beta, lag 1 first, float64 [q].
        regression: gamma, float64 [c].
        dispersion: of the negative binomial; 0 for Poisson.
        start_mean: the mean that stands for what came before the first count.
        log_link: whether the predictor is the logarithm of the mean.
        n_given: how many first counts are given.
        context: of the regressors, or None.
    """

    space = Count()

    intercept: Annotated[float, Number()]
    coef: Annotated[np.ndarray, Array("p")]
    feedback: Annotated[np.ndarray, Array("q")]
    regression: Annotated[np.ndarray, Array("c")]
    dispersion: Annotated[float, Number(low=0)]
    start_mean: Annotated[float, Number(above=0)]
    log_link: bool
    n_given: Annotated[int, Number(low=0)] = 0
    context: ContextForm | None = None

    def problems(self) -> Iterator[str]:
        linear = [self.intercept, *self.coef, *self.feedback, *self.regression]
        yield from sentences(
            (not self.log_link and min(linear) < 0, "a coefficient of the mean is negative"),
            (not self.log_link and not max(linear) > 0, "all coefficients of the mean are 0"),
            (max(map(abs, linear)) > _LARGEST, f"a coefficient is beyond {_LARGEST:g}"),
            (self.n_given > max(len(self.coef), len(self.feedback)), f"n_given is {self.n_given}"),
            *context_problems(self.context, "steps", len(self.regression)),
        )

    @cached_property
    def weights(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Alpha, beta and gamma as tensors."""
        alpha, beta, gamma = map(torch.tensor, (self.coef, self.feedback, self.regression))
        return alpha, beta, gamma

    def at(self, predictor: torch.Tensor) -> Distribution:
        """The counts' distribution at some predictors (means, or their logarithms)."""
        if not self.dispersion:
            rate = predictor.exp() if self.log_link else predictor
            return Poisson(rate, validate_args=False)
        log_rate = predictor if self.log_link else predictor.log()
        size = torch.full_like(predictor, 1 / self.dispersion)
        logits = log_rate + math.log(self.dispersion)
        return NegativeBinomial(size, logits=logits, validate_args=False)

    def start(self, n: int, context: torch.Tensor | None) -> State:
        mean, log, double = self.start_mean, self.log_link, torch.float64
        lag, past = (math.log1p(mean), math.log(mean)) if log else (mean, mean)
        return CountState(
            torch.full((n, len(self.coef)), lag, dtype=double),
            torch.full((n, len(self.feedback)), past, dtype=double),
        )

    def log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        counts = sequences.values.detach().cpu().numpy().astype(np.float64)
        data = CountData(
            counts, flat_context(context, sequences), sequences.offsets.numpy(), len(self.coef),
            len(self.feedback), self.log_link, self.dispersion > 0, self.start_mean, self.n_given,
        )  # fmt: skip
        theta = np.concatenate([[self.intercept], self.coef, self.feedback, self.regression])
        return torch.from_numpy(data.terms(theta, self.dispersion))


class CountState(State):
    """What a count autoregression remembers.

    Args:
        lags: the last p counts as they enter the predictor, newest first, [N, p].
        past: the last q predictors, newest first, [N, q].
    """

    law: CountARLaw

    def __init__(self, lags: torch.Tensor, past: torch.Tensor) -> None:
        self.lags = lags
        self.past = past

    def _predictor(
        self, lags: torch.Tensor, past: torch.Tensor, position: torch.Tensor
    ) -> torch.Tensor:
        """The next element's predictor, [N]."""
        alpha, beta, gamma = self.law.weights
        eta = self.law.intercept + lags @ alpha + past @ beta
        if self.context is not None:
            last = self.context.shape[1] - 1
            rows = torch.arange(len(position))
            values = self.context[rows, position.clamp(max=last)]
            # beyond the context nothing is known: NaN there, and the caller sees it at once
            values = values.masked_fill((position > last)[:, None], torch.nan)
            eta = eta + values.double() @ gamma
        return eta

    def _conditional(self) -> Distribution:
        return self.law.at(self._predictor(self.lags, self.past, self.lengths))

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
        columns = self.law.at(torch.stack(predictors, dim=1))
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
        if lags.shape[1]:
            entered = x.log1p() if self.law.log_link else x
            lags = torch.cat([entered[:, None], lags[:, :-1]], dim=1)
        if past.shape[1]:
            moved = torch.cat([eta[:, None], past[:, :-1]], dim=1)
            # given elements have no predictor
            past = torch.where((position >= self.law.n_given)[:, None], moved, past)
        return lags, past

    def _select(self, rows: torch.Tensor) -> State:
        return CountState(self.lags[rows], self.past[rows])
