"""The state of a state-space process: the Kalman filter's mean, and its covariance if needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch.distributions import Distribution, Normal

from arproc.contract.state import State
from arproc.errors import DataError
from arproc.models.statespace.filtering import Filter, Spread

if TYPE_CHECKING:
    from arproc.models.statespace.arima import ARIMA

__all__ = ["FilterState"]

_AT_ONCE = 2**20  # elements that one call draws, in all rows together


class FilterState(State):
    """The filtered state before the next element.

    While no element is missing, covariances follow from the position; they are carried only from
    the first missing element on.

    Args:
        law: the filter.
        mean: the states' means, [N, k].
        spread: their covariances, or None.
    """

    def __init__(self, law: Filter, mean: torch.Tensor, spread: Spread | None = None) -> None:
        self.law = law
        self.mean = mean
        self.spread = spread
        self.block = max(16, _AT_ONCE // max(len(mean), 1))

    @property
    def _arima(self) -> ARIMA:
        return cast("ARIMA", self.process)

    def _conditional(self) -> Distribution:
        process = self._arima
        loc = self.mean @ self.law.loading
        if self.context is None and not process.slope_:
            loc = loc + process.mean_
        else:
            loc = loc + self._level()
        scale = (self._variance() * process.sigma2_).sqrt()
        return Normal(loc, scale.expand(loc.shape), validate_args=False)

    def _level(self) -> torch.Tensor:
        """The next elements' trend and regression, [N]."""
        level = self._arima._level(self.lengths[:, None], self.context)[:, 0]
        if bool(torch.isnan(level).any()):
            at = int(self.lengths[torch.isnan(level)][0])
            raise DataError(
                f"context has no step {at} for the element that comes next; expected one for each "
                "element, the next one included."
            )
        return level

    def _variance(self) -> torch.Tensor:
        """The next elements' variances in units of sigma2, [N] or [1]."""
        if self.spread is None:
            uniform = self.history.uniform_length
            longest = self.history.stop
            table = self.law.table(longest + 1)[1]
            if uniform is not None:
                return torch.tensor([table[min(uniform, len(table) - 1)]])
            return torch.from_numpy(table[self.lengths.numpy().clip(max=len(table) - 1)])
        z = self.law.form.loading
        variance = (self.spread.finite @ z) @ z
        infinite = (self.spread.infinite @ z) @ z
        top = self.spread.infinite.max(axis=(1, 2), initial=0.0)
        unknown = (self.spread.rank > 0) & (infinite > 1e-9 * top)
        return torch.from_numpy(np.where(unknown, np.inf, variance))

    def _check_place(self) -> None:
        super()._check_place()
        if self.spread is not None and bool(torch.isinf(self._variance()).any()):
            raise DataError(
                "so many of the first elements are missing that the next one has no law yet: "
                "each difference needs an element to start from. Give a longer prefix."
            )

    def _append(self, x: torch.Tensor) -> State:
        if self.spread is not None or bool(torch.isnan(x).any()):
            return self._extend(x[:, None], None)[1]
        rest = x - cast(Normal, self._next()).loc
        gain = self.law.table(self.history.stop + 1)[0]
        uniform = self.history.uniform_length
        if uniform is not None:
            moved = torch.from_numpy(gain[min(uniform, len(gain) - 1)]) * rest[:, None]
        else:
            place = self.lengths.numpy().clip(max=len(gain) - 1)
            moved = torch.from_numpy(gain[place]) * rest[:, None]
        return FilterState(self.law, torch.addmm(moved, self.mean, self.law.transition.T))

    def _extend(self, x: torch.Tensor, lengths: torch.Tensor | None) -> tuple[Distribution, State]:
        n, steps = x.shape
        position = self.lengths[:, None] + torch.arange(steps + 1)
        level = self._arima._level(position, self.context)
        counts = np.full(n, steps) if lengths is None else lengths.numpy()
        spread = self.spread
        if spread is None and bool(torch.isnan(x).any()):
            spread = self._spread()
        if spread is None:
            gain, variance = self.law.table(int(position.max()) + 1 if n else 0)
            start = self.lengths.numpy()
            variance = variance[position.numpy().clip(max=len(variance) - 1)]
        else:
            seen = ~torch.isnan(x).numpy()
            gain, variance, spread = self.law.gains(seen, counts, spread)
            start = np.zeros(n, dtype=np.int64)
        y = x - level[:, :-1]
        if torch.is_grad_enabled() and (y.requires_grad or self.mean.requires_grad):
            loc, mean = self._differentiable(y, counts, gain, start)
        else:
            numbers = self.law.run(
                y.detach().numpy(), counts, self.mean.detach().numpy(), gain, start
            )
            loc, mean = (torch.from_numpy(part) for part in numbers)
        scale = torch.from_numpy(np.sqrt(variance * self._arima.sigma2_))
        return Normal(loc + level, scale, validate_args=False), FilterState(self.law, mean, spread)

    def _differentiable(
        self, y: torch.Tensor, counts: np.ndarray, gain: np.ndarray, start: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`Filter.run` in torch's own operations."""
        table, state = torch.from_numpy(gain), self.mean
        missing = torch.isnan(y)
        locs, states = [], []
        for t in range(y.shape[1] + 1):
            locs.append(state @ self.law.loading)
            states.append(state)
            if t == y.shape[1]:
                break
            rest = torch.where(missing[:, t], 0.0, y[:, t] - locs[-1])
            if gain.ndim == 3:
                now = table[:, t]
            else:
                now = table[(start + t).clip(max=len(table) - 1)]
            state = torch.addmm(now * rest[:, None], state, self.law.transition.T)
        rows = torch.arange(len(y))
        return torch.stack(locs, dim=1), torch.stack(states, dim=1)[rows, torch.from_numpy(counts)]

    def _spread(self) -> Spread:
        """The covariances after the history; what was missing in it is known by nan."""
        if self.spread is not None:
            return self.spread
        x, lengths = self.history.padded()
        fresh = self.law.fresh(self.n)
        return self.law.gains(~torch.isnan(x).numpy(), lengths.numpy(), fresh)[2]

    def _select(self, rows: torch.Tensor) -> State:
        spread = None if self.spread is None else self.spread.select(rows.numpy())
        return FilterState(self.law, self.mean[rows], spread)

    def advance(self, uniforms: torch.Tensor) -> tuple[torch.Tensor, State]:
        if self.spread is not None or self.n == 0:
            return super().advance(uniforms)
        from arproc.models.statespace import kernels

        _ = self.conditional  # refuses a state shorter than what must be given
        steps = uniforms.shape[1]
        longest = self.history.stop + steps
        gain, variance = self.law.table(longest)
        form, z = self.law.form, torch.special.ndtri(uniforms).numpy()
        mean = np.ascontiguousarray(self.mean.detach().numpy())
        scale = np.sqrt(variance * self._arima.sigma2_)
        y, after = kernels.draw(z, mean, gain, scale, self.lengths.numpy(), form.delta, form.phi)
        level = self._arima._level(self.lengths[:, None] + torch.arange(steps), self.context)
        x = torch.from_numpy(y) + level
        state = FilterState(self.law, torch.from_numpy(after))
        return x, self._carry(state, self.history.extend(x), self.context)
