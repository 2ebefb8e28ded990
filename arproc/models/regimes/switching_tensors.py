"""What comes next in a Markov-switching autoregression, in torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import distributions as td

__all__ = ["SwitchingTensors", "mixture"]


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

    @property
    def count(self) -> int:
        """How many memories there are."""
        return self.joint_transition.shape[1]

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
        return mixture(weights, loc, scale)


def mixture(logits: torch.Tensor, loc: torch.Tensor, scale: torch.Tensor) -> td.MixtureSameFamily:
    """Mixtures of normal laws, the components last."""
    return td.MixtureSameFamily(
        td.Categorical(logits=logits, validate_args=False),
        td.Normal(loc, scale, validate_args=False),
        validate_args=False,
    )
