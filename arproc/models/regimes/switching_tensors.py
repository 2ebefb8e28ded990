"""What comes next in a Markov-switching autoregression, in torch: mixtures one and more ahead."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import distributions as td

__all__ = ["SwitchingTensors"]


@dataclass(frozen=True, eq=False)
class SwitchingTensors:
    """The parameters of a `MarkovSwitchingARLaw` as tensors, float64.

    Attributes:
        level: the regimes' trends at t = 0, [k].
        rise: their coefficients of t, [k].
        coef: coefficients, lag 1 first, [k, p].
        scale: the innovations' standard deviations, [k].
        log_transition: log p(to | from), [k, k].
        joint_transition: log p(to | memory), [k, M].
        log_initial: log-probabilities of the memories at the start, [M].
        digits: the last p regimes of each memory (the last one where p is 0), newest first.
        centred: whether lags are taken about the regimes' trends.
    """

    level: torch.Tensor
    rise: torch.Tensor
    coef: torch.Tensor
    scale: torch.Tensor
    log_transition: torch.Tensor
    joint_transition: torch.Tensor
    log_initial: torch.Tensor
    digits: torch.Tensor
    centred: bool

    def trend(self, time: torch.Tensor) -> torch.Tensor:
        """The regimes' trends at times [...], [..., k]."""
        return self.level + self.rise * time[..., None].double()

    def locations(self, before: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """The next element's mean in every joint state.

        Args:
            before: the last p elements, oldest first, [..., p].
            position: how many elements came before, int64 [...].

        Returns:
            [..., k, M].
        """
        trend, lags = self.trend(position), before.flip(-1)
        p = self.coef.shape[1]
        if not self.centred or not p:
            mean = trend + lags @ self.coef.T
            return mean[..., None].expand(*mean.shape, self.joint_transition.shape[1])
        past = self.trend(position[..., None] - torch.arange(1, p + 1))
        deviation = lags[..., None] - past
        chosen = deviation[..., torch.arange(p), self.digits]  # [..., M, p]
        return trend[..., None] + (chosen @ self.coef.T).transpose(-1, -2)

    def densities(
        self, before: torch.Tensor, position: torch.Tensor, x: torch.Tensor
    ) -> torch.Tensor:
        """The log-density of x [...] in every joint state but for a constant, [..., k, M]."""
        error = (x[..., None, None] - self.locations(before, position)) / self.scale[:, None]
        return -0.5 * error * error - self.scale.log()[:, None]

    def following(
        self, memory: torch.Tensor, before: torch.Tensor, position: torch.Tensor
    ) -> td.MixtureSameFamily:
        """The next elements' mixtures, batch shape [...].

        Args:
            memory: log p(memory | elements so far), [..., M].
            before: the last p elements, oldest first, [..., p].
            position: how many elements came before, [...].
        """
        weights = memory[..., None, :] + self.joint_transition  # [..., k, M]
        loc = self.locations(before, position)
        if self.centred:
            scale = self.scale[:, None].expand(loc.shape)
            weights, loc, scale = (part.flatten(-2) for part in (weights, loc, scale))
        else:
            weights, loc = weights.logsumexp(-1), loc[..., 0]
            scale = self.scale.expand(loc.shape)
        return _mixture(weights, loc, scale)

    def ahead(
        self, memory: torch.Tensor, before: torch.Tensor, position: torch.Tensor, horizon: int
    ) -> td.MixtureSameFamily:
        """The marginal laws of the next elements: mixtures over all paths of regimes.

        Given a path the process is linear and normal, so its means and covariances follow by
        recursion (Hamilton 1994, 22.4, where means alone are given).

        Args:
            memory: log p(memory | elements so far), [N, M].
            before: the last p elements, oldest first, [N, p].
            position: how many elements came before, [N].
            horizon: how many steps.

        Returns:
            Batch shape [N, horizon], of M k^horizon components (those of fewer paths have weight
            0).
        """
        n, count = memory.shape
        k, p = self.coef.shape
        states = torch.arange(count)
        weights = memory
        means = before.flip(-1)[:, None].expand(n, count, p)  # of the last p, newest first
        spread = torch.zeros(count, p, p, dtype=torch.float64)
        parts = []
        for step in range(horizon):
            time = position + step
            lags = means
            if self.centred and p:
                held = self.digits[states]  # the last p regimes of each path, [C, p]
                times = (time[:, None] - torch.arange(1, p + 1)).double()[:, None]
                lags = means - (self.level[held] + self.rise[held] * times)
            centre = self.trend(time)[:, None] + lags @ self.coef.T  # [N, C, k]
            towards = spread @ self.coef.T  # covariance of the last p with the next, [C, p, k]
            variance = (self.coef.T * towards).sum(1) + self.scale**2  # [C, k]
            log_p = self.log_transition[states // (count // k)]
            weights = (weights[..., None] + log_p).flatten(1)
            parts.append((weights, centre.flatten(1), variance.sqrt().flatten()))
            # every path goes on with every regime
            states = (torch.arange(k) * (count // k) + (states // k)[:, None]).flatten()
            before_it = means[:, :, None, : max(p - 1, 0)].expand(-1, -1, k, -1)
            means = torch.cat([centre[..., None], before_it], dim=-1)[..., :p].flatten(1, 2)
            if p:
                old = spread[:, None, : p - 1, : p - 1].expand(-1, k, -1, -1)
                cross = towards.transpose(1, 2)[..., : p - 1]  # [C, k, p - 1]
                top = torch.cat([variance[..., None], cross], dim=-1)[..., None, :]
                rest = torch.cat([cross[..., None], old], dim=-1)
                spread = torch.cat([top, rest], dim=-2)
            spread = spread.reshape(len(states), p, p)
        logits = torch.full((n, horizon, len(states)), -torch.inf, dtype=torch.float64)
        loc, scale = torch.zeros_like(logits), torch.ones_like(logits)
        for step, (weight, centre, deviation) in enumerate(parts):
            own = weight.shape[1]
            logits[:, step, :own], loc[:, step, :own] = weight, centre
            scale[:, step, :own] = deviation
        return _mixture(logits, loc, scale)


def _mixture(logits: torch.Tensor, loc: torch.Tensor, scale: torch.Tensor) -> td.MixtureSameFamily:
    """Mixtures of normal laws, the components last."""
    return td.MixtureSameFamily(
        td.Categorical(logits=logits, validate_args=False),
        td.Normal(loc, scale, validate_args=False),
        validate_args=False,
    )
