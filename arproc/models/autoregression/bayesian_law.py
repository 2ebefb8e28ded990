"""The law of a Bayesian autoregression, and its states: the posterior given what came so far."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import torch
from torch.distributions import Categorical, Distribution, MixtureSameFamily, StudentT

from arproc.contract.checked import Array, Number, sentences
from arproc.contract.context import split_clock
from arproc.contract.law import ChainLaw
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.distributions import concatenate, index
from arproc.models.autoregression.conjugate import Prior, posterior, predictive, products
from arproc.spaces import Real

__all__ = ["BayesianARLaw", "digest"]

_BLOCK = 2**22  # numbers that the statistics of one block of elements hold


@storable
@dataclass(frozen=True, eq=False, repr=False)
class BayesianARLaw(ChainLaw):
    """The posterior predictive law of autoregressions of several orders: see `BayesianAR`.

    Attributes:
        prior: in standardised units, y = (x - location) / scale.
        gram: G given the training sequences, [m, m]; see `arproc.models.autoregression.conjugate`.
        n_observations: how many elements it holds.
        location: what is subtracted from values.
        scale: what they are divided by.
        span: by what the position is divided in the trend.
        training_lengths: of the training sequences [N].
        training_ends: their last elements [N].
        training_digests: what tells them from others [N].
    """

    prior: Prior
    gram: Annotated[np.ndarray, Array("prior.size", "prior.size")]
    n_observations: Annotated[int, Number(low=0)]
    location: Annotated[float, Number()]
    scale: Annotated[float, Number(above=0)]
    span: Annotated[float, Number(above=0)]
    training_lengths: Annotated[np.ndarray, Array("n", kind="whole", low=0)]
    training_ends: Annotated[np.ndarray, Array("n")]
    training_digests: tuple[str, ...]

    space = Real()
    carries_parameter_uncertainty = True

    def problems(self) -> Iterator[str]:
        gram, count = self.gram, len(self.training_digests)
        yield from sentences(
            (count != len(self.training_ends), f"there are {count} training_digests"),
            (not np.allclose(gram, gram.T) or not (np.linalg.eigvalsh(gram) > 0).all(),
             "gram is not a symmetric matrix of positive eigenvalues"),
        )  # fmt: skip

    @cached_property
    def n_given(self) -> int:  # type: ignore[override]
        return max(self.prior.orders)

    @property
    def clocked(self) -> bool:  # type: ignore[override]
        return self.prior.n_trend > 1

    @property
    def numbers(self) -> int:
        return len(self.gram) ** 2

    def start(self, n: int, context: torch.Tensor | None) -> State:
        gram = torch.as_tensor(self.gram).expand(n, -1, -1)
        return _PosteriorState(gram, torch.full((n,), float(self.n_observations)).double())

    def predictive(self, state: State, horizon: int) -> Distribution | None:
        return index(state.conditional, (slice(None), None)) if horizon == 1 else None

    # ---- what the training sequences say --------------------------------------------------------

    @cached_property
    def _posterior(self) -> tuple[np.ndarray, np.ndarray]:
        """Log evidence and 2 b of each order, standardised units, twice [M]."""
        count = torch.tensor(float(self.n_observations)).double()
        evidence, double_rate = posterior(torch.as_tensor(self.gram), count, self.prior)
        return evidence.numpy(), double_rate.numpy()

    @property
    def log_marginal_likelihoods(self) -> np.ndarray:
        """Of the training sequences by each order, nats [M]."""
        return self._posterior[0] - self.n_observations * math.log(self.scale)

    @property
    def log_marginal_likelihood(self) -> float:
        """With the orders averaged."""
        each = self.log_marginal_likelihoods
        return float(np.logaddexp.reduce(each)) - math.log(len(each))

    @cached_property
    def order_probabilities(self) -> np.ndarray:
        """Of the orders given the training sequences, [M]."""
        return torch.softmax(torch.as_tensor(self._posterior[0]), 0).numpy()

    @cached_property
    def _theta(self) -> np.ndarray:
        """Posterior means of the regressors' coefficients averaged over the orders [m - 1]."""
        theta = np.zeros(len(self.gram) - 1)
        for weight, order in zip(self.order_probabilities, self.prior.orders, strict=True):
            k = self.prior.n_trend + order
            theta[:k] += weight * np.linalg.solve(self.gram[:k, :k], self.gram[:k, -1])
        return theta

    @property
    def coef(self) -> np.ndarray:
        """The lags' coefficients [max p]."""
        return self._theta[self.prior.n_trend :]

    @property
    def intercept(self) -> float:
        """The recursion's constant."""
        first = self._theta[0] * self.scale if self.prior.n_trend else 0.0
        return float(first + self.location * (1 - self.coef.sum()))

    @property
    def drift(self) -> float:
        """The recursion's coefficient of t."""
        return float(self._theta[1] * self.scale / self.span) if self.prior.n_trend > 1 else 0.0

    @property
    def sigma2(self) -> float:
        """The innovation variance; infinite with 2 degrees of freedom or fewer."""
        freedom = 2 * self.prior.shape + self.n_observations - 2
        mean = self.order_probabilities @ self._posterior[1]
        return float(mean / freedom) * self.scale**2 if freedom > 0 else math.inf


class _PosteriorState(State):
    """The posterior after the elements so far.

    Args:
        gram: G of each row, [N, m, m].
        count: how many elements it holds, float64 [N].
    """

    law: BayesianARLaw

    def __init__(self, gram: torch.Tensor, count: torch.Tensor) -> None:
        self.gram, self.count = gram, count

    def _conditional(self) -> Distribution:
        before = self._standardised(self.history.tail(self.law.n_given))
        z = self._regressors(before[:, None], self._times(self.lengths[:, None]))
        return index(self._laws(self.gram[:, None], self.count[:, None], z), (slice(None), 0))

    def _append(self, x: torch.Tensor) -> State:
        grams, counts, _ = self._grown(x[:, None])
        return _PosteriorState(grams[:, 1], counts[:, 1])

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        step = max(1, _BLOCK // max(self.n * self.law.numbers, 1))
        if x.shape[1] <= step:
            grams, counts, z = self._grown(x)
            rows = torch.arange(self.n)
            last = torch.full_like(rows, x.shape[1]) if lengths is None else lengths
            grown = _PosteriorState(grams[rows, last], counts[rows, last])
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
        return columns, _PosteriorState(gram, torch.where(stops, short.count, long.count))

    def _select(self, rows: torch.Tensor) -> State:
        return _PosteriorState(self.gram[rows], self.count[rows])

    # ---- inner parts ----------------------------------------------------------------------------

    def _standardised(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.law.location) / self.law.scale

    def _times(self, position: torch.Tensor) -> torch.Tensor:
        """The t of positions [N, K]."""
        first = split_clock(self.context, 0)[1]
        return position if first is None else position + first[:, None]

    def _regressors(self, before: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """(trend, lag 1 ... lag P) from the last P elements, oldest first: [N, K, m - 1]."""
        t = times.double() / self.law.span
        trend = torch.stack([torch.ones_like(t), t], dim=-1)[..., : self.law.prior.n_trend]
        return torch.cat([trend, before.flip(-1)], dim=-1)

    def _grown(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """G, n and regressors after the first 0, 1, ..., K of x: [N, K + 1, ...] each."""
        law, p = self.law, self.law.n_given
        y = self._standardised(torch.cat([self.history.tail(p), x], dim=1))
        if p:
            before = y.unfold(1, p, 1)
        else:
            before = y.new_zeros((len(x), x.shape[1] + 1, 0))
        position = self.lengths[:, None] + torch.arange(x.shape[1] + 1)
        z = self._regressors(before, self._times(position))
        v = torch.cat([z[:, :-1], y[:, p:, None]], dim=-1)
        counted = (position[:, :-1] >= p).double()  # the given values are predicted by nothing
        added = products(v) * counted[..., None, None]
        grams = torch.cat([self.gram[:, None], added], dim=1).cumsum(1)
        counts = torch.cat([self.count[:, None], counted], dim=1).cumsum(1)
        for row, column in self._training_ends(x):
            grams, counts = grams.clone(), counts.clone()
            base = torch.as_tensor(law.gram) - grams[row, column]
            grams[row, column:] = grams[row, column:] + base
            counts[row, column:] += law.n_observations - counts[row, column]
        return grams, counts, z

    def _training_ends(self, x: torch.Tensor) -> list[tuple[int, int]]:
        """Where a row has come to the end of a training sequence that it is: (row, column)."""
        law, lengths, found = self.law, self.lengths, []
        for total in np.unique(law.training_lengths).tolist():
            column = total - lengths
            near = ((column >= 1) & (column <= x.shape[1])).nonzero()[:, 0]
            if not len(near):
                continue
            mine = law.training_lengths == total
            ends = torch.as_tensor(law.training_ends[mine])
            near = near[torch.isin(x.detach()[near, column[near] - 1], ends)]
            digests = {d for d, own in zip(law.training_digests, mine, strict=True) if own}
            known = self.history.padded()[0].detach() if len(near) else x
            for row in near.tolist():
                whole = torch.cat([known[row, : lengths[row]], x.detach()[row, : column[row]]])
                if digest(whole.numpy()) in digests:
                    found.append((row, int(column[row])))
        return found

    def _laws(self, gram: torch.Tensor, count: torch.Tensor, z: torch.Tensor) -> Distribution:
        weights, df, loc, scale = predictive(gram, count, z, self.law.prior)
        loc, scale = self.law.location + self.law.scale * loc, self.law.scale * scale
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
