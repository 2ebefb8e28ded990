"""The law of ARIMA, a trend and regressors under a Kalman filter; and the state that runs it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, cast

import numpy as np
import torch
from torch.distributions import Distribution, MultivariateNormal, Normal

from arproc.contract.checked import Array, Number, sentences
from arproc.contract.context import ContextForm, context_problems, split_clock
from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.errors import DataError
from arproc.gaussian.filtering import Filter, Spread
from arproc.gaussian.levinson import is_stationary
from arproc.gaussian.representation import NOTHING, represent
from arproc.gaussian.terms import Terms
from arproc.spaces import Real

__all__ = ["UNDETERMINED", "ARIMALaw", "FilterState"]

#: How many steps back a state space may reach; its matrices have so many rows.
_MOST_LAGS = 2**13
UNDETERMINED = (
    "so many elements are missing that one to come has no law yet: each difference needs an "
    "element to start from. Give a longer prefix."
)
_AT_ONCE = 2**20  # elements that one call draws, in all rows together


@storable
@dataclass(frozen=True, eq=False, repr=False)
class ARIMALaw(ChainLaw):
    """A seasonal ARIMA process about a trend and regressors; see `ARIMA` for the formula.

    Attributes:
        ar: autoregressive coefficients, lag 1 first, [p].
        ma: moving-average coefficients, lag 1 first, [q].
        seasonal_ar: lag s first, [P].
        seasonal_ma: lag s first, [Q].
        sigma2: the innovation variance.
        d: how many differences.
        seasonal_d: how many seasonal differences.
        period: s; of no meaning where nothing is seasonal.
        mean: the mean at t = 0 but for the terms of `beta`.
        slope: the mean's coefficient of t.
        beta: the coefficients of the further terms, then those of the regressors.
        design: the terms, the first two powers of t among them.
    """

    ar: Annotated[np.ndarray, Array("p")]
    ma: Annotated[np.ndarray, Array("q")]
    seasonal_ar: Annotated[np.ndarray, Array("P")]
    seasonal_ma: Annotated[np.ndarray, Array("Q")]
    sigma2: Annotated[float, Number(above=0)]
    d: Annotated[int, Number(low=0)] = 0
    seasonal_d: Annotated[int, Number(low=0)] = 0
    period: Annotated[int, Number(low=0)] = 0
    mean: Annotated[float, Number()] = 0.0
    slope: Annotated[float, Number()] = 0.0
    beta: Annotated[np.ndarray, Array("c")] = field(default_factory=lambda: np.zeros(0))
    design: Terms = Terms("c")  # noqa: RUF009 (it is immutable)
    context: ContextForm | None = None

    space = Real()
    takes_missing = True

    def problems(self) -> Iterator[str]:
        poles = (("ar", self.ar), ("seasonal_ar", self.seasonal_ar))
        lost = [name for name, coef in poles if not is_stationary(coef)]
        seasonal = len(self.seasonal_ar) + len(self.seasonal_ma) + self.seasonal_d
        lags = self.d + len(self.ar) + len(self.ma) + self.period * max(seasonal, 1)
        yield from sentences(
            (bool(seasonal) and self.period < 2, f"period is {self.period} beside seasonal terms"),
            (lags > _MOST_LAGS, f"differences and coefficients reach {lags} steps back, more than "
             f"{_MOST_LAGS}"),
            (bool(lost), f"{' and '.join(lost)} has no stationary law"),
            (self.further > len(self.beta), f"beta has {len(self.beta)} coefficients, the design "
             f"{self.further} further terms"),
            *context_problems(self.context, "steps", max(len(self.beta) - self.further, 0)),
        )  # fmt: skip

    @property
    def line(self) -> int:
        """How many of the terms are `mean` and `slope`."""
        return self.design.line

    @property
    def further(self) -> int:
        """How many terms there are besides, the first of `beta`."""
        return self.design.n - self.line

    @property
    def terms(self) -> list[str]:
        """The names of what `beta` is of."""
        return self.design.beside_line(len(self.beta))

    @property
    def moves(self) -> bool:
        """Whether the trend and the terms are other than a constant."""
        return self.slope != 0.0 or self.further > 0

    @property
    def clocked(self) -> bool:  # type: ignore[override]
        # differences know no level, so they do not see where a line begins
        return self.moves and (self.design.periodic or not self.n_given)

    @property
    def n_given(self) -> int:  # type: ignore[override]
        return self.d + self.seasonal_d * self.period

    @cached_property
    def filter(self) -> Filter:
        """The Kalman filter of what is left when trend and regression are taken off."""
        differences = (self.d, self.seasonal_d)
        return Filter(
            represent(
                self.ar, self.ma, self.seasonal_ar, self.seasonal_ma, differences, self.period
            )
        )

    def level(self, position: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor:
        """Trend and regression at positions [N, K]; nan beyond the context's steps."""
        context, first = split_clock(context, len(self.beta) - self.further)
        t = position if first is None else position + first[:, None]
        level = self.mean + self.slope * t.double()
        if self.further:
            columns = self.design.columns(t)[..., self.line :]
            level = level + columns @ torch.from_numpy(self.beta[: self.further])
        if context is None:
            return level
        last = context.shape[1] - 1
        if last < 0:
            return torch.full_like(level, math.nan)
        pushed = context.double() @ torch.from_numpy(self.beta[self.further :])
        pushed = pushed.gather(1, position.clamp(max=last))
        return level + pushed.masked_fill(position > last, math.nan)

    def start(self, n: int, context: torch.Tensor | None) -> State:
        return FilterState(torch.zeros((n, self.filter.form.size), dtype=torch.float64))

    def log_prob_terms(self, sequences: Sequences, context: torch.Tensor | None) -> torch.Tensor:
        if torch.is_grad_enabled() and sequences.values.requires_grad:
            return self.derived_log_prob_terms(sequences, context)
        m = self.n_given
        counts = (sequences.lengths - m).clamp(min=0)
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        out = np.empty(int(offsets[-1]))
        for rows in sequences.batches(max_elements=2**20):
            x, lengths = sequences.padded(rows)
            position = torch.arange(x.shape[1])[None].expand(x.shape)
            level = self.level(position, None if context is None else context[rows])
            y = (x.double() - level).numpy()
            missing = torch.isnan(x).any(dim=1).numpy()
            rest, scale = np.empty(y.shape), np.empty(y.shape)
            if not missing.all():
                whole = np.ascontiguousarray(y[~missing])
                rest[~missing], scale[~missing] = self.filter.innovations(whole)
            for i in missing.nonzero()[0].tolist():
                seen = ~np.isnan(x[i].numpy())
                rest[i], scale[i] = self.filter.innovations(y[i : i + 1], seen)
            terms = self._terms(rest, scale)
            for i, row in enumerate(rows.tolist()):
                out[offsets[row] : offsets[row + 1]] = terms[i, m : int(lengths[i])]
        return torch.from_numpy(out)

    def _terms(self, rest: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """The terms of innovations and their scaled variances; 0 for what is given or missing."""
        variance = scale * self.sigma2
        with np.errstate(invalid="ignore"):
            terms = -0.5 * (np.log(2 * np.pi * variance) + rest**2 / variance)
        return np.where(np.isfinite(variance) & ~np.isnan(rest), terms, 0.0)

    def predictive(self, state: State, horizon: int) -> Distribution | None:
        mean, spread = self._following(state, horizon)
        variance = self.filter.forecast_variance(spread, horizon) * self.sigma2
        return Normal(mean, torch.from_numpy(variance).sqrt(), validate_args=False)

    def joint(self, state: State, horizon: int) -> Distribution | None:
        mean, spread = self._following(state, horizon)
        covariance = self.filter.forecast_covariance(spread, horizon) * self.sigma2
        return MultivariateNormal(mean, torch.from_numpy(covariance), validate_args=False)

    def _following(self, state: State, horizon: int) -> tuple[torch.Tensor, Spread]:
        """Means of the next elements [N, horizon], and the covariances of the states now."""
        assert isinstance(state, FilterState)
        _ = state.conditional  # refuses a history shorter than what must be given
        nothing = np.full((state.n, horizon), math.nan)
        zero, still = np.zeros(state.n, dtype=np.int64), np.zeros((1, self.filter.form.size))
        loc, _ = self.filter.run(nothing, zero, state.mean.detach().numpy(), still, zero)
        position = state.lengths[:, None] + torch.arange(horizon)
        mean = torch.from_numpy(loc[:, :horizon]) + self.level(position, state.context)
        spread = state.spread or self.filter.spread_at(state.lengths.numpy())
        if not self.filter.determines(spread, horizon):
            raise DataError(UNDETERMINED)
        return mean, spread


class FilterState(State):
    """The Kalman filter's state before the next element: its mean, and its covariance if needed.

    While no element is missing, covariances follow from the position; they are carried only from
    the first missing element on.

    Args:
        mean: the states' means, [N, k].
        spread: their covariances, or None.
    """

    law: ARIMALaw

    def __init__(self, mean: torch.Tensor, spread: Spread | None = None) -> None:
        self.mean = mean
        self.spread = spread
        self.block = max(16, _AT_ONCE // max(len(mean), 1))

    def _conditional(self) -> Distribution:
        law = self.law
        loc = self.mean @ law.filter.loading
        loc = loc + (self._level() if self.context is not None or law.moves else law.mean)
        scale = (self._variance() * law.sigma2).sqrt()
        return Normal(loc, scale.expand(loc.shape), validate_args=False)

    def _level(self) -> torch.Tensor:
        """The next elements' trend and regression, [N]."""
        level = self.law.level(self.lengths[:, None], self.context)[:, 0]
        if bool(torch.isnan(level).any()):
            at = int(self.lengths[torch.isnan(level)][0])
            raise DataError(
                f"context has no step {at} for the element that comes next; expected one for each "
                "element, the next one included."
            )
        return level

    def _by_position(self, table: np.ndarray) -> torch.Tensor:
        """The rows of a table by position that are the next elements': [N, ...] or [1, ...]."""
        uniform = self.history.uniform_length
        if uniform is not None:
            at = min(uniform, len(table) - 1)
            return torch.from_numpy(table[at : at + 1])
        return torch.from_numpy(table[self.lengths.numpy().clip(max=len(table) - 1)])

    def _variance(self) -> torch.Tensor:
        """The next elements' variances in units of sigma2, [N] or [1]."""
        if self.spread is None:
            return self._by_position(self.law.filter.table(self.history.stop + 1)[1])
        z = self.law.filter.form.loading
        variance = (self.spread.finite @ z) @ z
        infinite = (self.spread.infinite @ z) @ z
        top = self.spread.infinite.max(axis=(1, 2), initial=0.0)
        unknown = (self.spread.rank > 0) & (infinite > NOTHING * top)
        return torch.from_numpy(np.where(unknown, np.inf, variance))

    def _check_place(self) -> None:
        super()._check_place()
        if self.spread is not None and bool(torch.isinf(self._variance()).any()):
            raise DataError(UNDETERMINED)

    def _append(self, x: torch.Tensor) -> State:
        if self.spread is not None or bool(torch.isnan(x).any()):
            return self._extend(x[:, None], None)[1]
        rest = x - cast(Normal, self._next()).loc
        gain = self._by_position(self.law.filter.table(self.history.stop + 1)[0])
        moved = gain * rest[:, None]
        return FilterState(torch.addmm(moved, self.mean, self.law.filter.transition.T))

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        n, steps = x.shape
        kalman = self.law.filter
        position = self.lengths[:, None] + torch.arange(steps + 1)
        level = self.law.level(position, self.context)
        counts = np.full(n, steps) if lengths is None else lengths.numpy()
        spread = self.spread
        if spread is None and bool(torch.isnan(x).any()):
            spread = self._spread()
        if spread is None:
            gain, variance = kalman.table(int(position.max()) + 1 if n else 0)
            start = self.lengths.numpy()
            variance = variance[position.numpy().clip(max=len(variance) - 1)]
        else:
            seen = ~torch.isnan(x).numpy()
            gain, variance, spread = kalman.gains(seen, counts, spread)
            start = np.zeros(n, dtype=np.int64)
        y = x - level[:, :-1]
        if torch.is_grad_enabled() and (y.requires_grad or self.mean.requires_grad):
            loc, mean = self._differentiable(y, counts, gain, start)
        else:
            numbers = kalman.run(
                y.detach().numpy(), counts, self.mean.detach().numpy(), gain, start
            )
            loc, mean = (torch.from_numpy(part) for part in numbers)
        scale = torch.from_numpy(np.sqrt(variance * self.law.sigma2))
        return Normal(loc + level, scale, validate_args=False), FilterState(mean, spread)

    def _differentiable(
        self, y: torch.Tensor, counts: np.ndarray, gain: np.ndarray, start: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`Filter.run` in torch's own operations."""
        table, state, kalman = torch.from_numpy(gain), self.mean, self.law.filter
        missing = torch.isnan(y)
        locs, states = [], []
        for t in range(y.shape[1] + 1):
            locs.append(state @ kalman.loading)
            states.append(state)
            if t == y.shape[1]:
                break
            rest = torch.where(missing[:, t], 0.0, y[:, t] - locs[-1])
            if gain.ndim == 3:
                now = table[:, t]
            else:
                now = table[(start + t).clip(max=len(table) - 1)]
            state = torch.addmm(now * rest[:, None], state, kalman.transition.T)
        rows = torch.arange(len(y))
        return torch.stack(locs, dim=1), torch.stack(states, dim=1)[rows, torch.from_numpy(counts)]

    def _spread(self) -> Spread:
        """The covariances after the history; what was missing in it is known by nan."""
        x, lengths = self.history.padded()
        fresh = self.law.filter.fresh(self.n)
        return self.law.filter.gains(~torch.isnan(x).numpy(), lengths.numpy(), fresh)[2]

    def _select(self, rows: torch.Tensor) -> State:
        return FilterState(
            self.mean[rows], None if self.spread is None else self.spread.select(rows.numpy())
        )

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        if self.spread is not None or self.n == 0:
            return super().advance(uniforms)
        from arproc.compiled.interpreted import suited
        from arproc.gaussian import state_kernels

        _ = self.conditional  # refuses a state shorter than what must be given
        steps, law = uniforms.shape[1], self.law
        gain, variance = law.filter.table(self.history.stop + steps)
        form, z = law.filter.form, torch.special.ndtri(uniforms).numpy()
        mean = np.ascontiguousarray(self.mean.detach().numpy())
        scale = np.sqrt(variance * law.sigma2)
        loops = suited(state_kernels, 5 * z.size * form.size)
        y, after = loops.draw(z, mean, gain, scale, self.lengths.numpy(), form.delta, form.phi)
        level = law.level(self.lengths[:, None] + torch.arange(steps), self.context)
        x = torch.from_numpy(y) + level
        return x, self._carry(
            FilterState(torch.from_numpy(after)), self.history.extend(x), self.context
        )
