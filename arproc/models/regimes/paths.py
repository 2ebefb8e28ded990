"""Paths of regimes since before a gap, and the normal law of the last elements given each.

Given a path of regimes a switching autoregression is linear and normal, so what is known of
missing lags is a mean and a covariance, and an element that was observed moves both as in Kalman's
filter. As long as one of the last p elements is missing, each path has a law of its own and each
step multiplies the paths by the regimes; once the last p are observed nothing but the last regimes
counts, and the paths that share them are one again. Nothing is approximated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.distributions import MixtureSameFamily
from torch.nn.functional import pad

from arproc.models.regimes.chain import check_paths, refuse_given
from arproc.models.regimes.switching_tensors import SwitchingTensors, mixture

__all__ = ["Paths", "ahead", "joined"]


@dataclass(frozen=True, eq=False)
class Paths:
    """What is known after some elements, for each row and path.

    A path is the number of its regimes in base k, the newest first, as a memory is; rows that tell
    fewer regimes apart have 0 for the others, and weight 0 where these are not 0.

    Attributes:
        tensors: the law's parameters.
        weights: log p(path | elements so far), [N, C].
        means: of the last p elements given the path, the newest first, [N, C, p].
        spread: their covariances, 0 where observed, [N, C, p, p], or [1, C, p, p] for all rows.
        gone: which of the last p elements are missing, the newest first, bool [N, p].
        unsettled: how many regimes each row tells apart beyond those of a memory, int64 [N].
    """

    tensors: SwitchingTensors
    weights: torch.Tensor
    means: torch.Tensor
    spread: torch.Tensor
    gone: torch.Tensor
    unsettled: torch.Tensor

    @classmethod
    def of(cls, tensors: SwitchingTensors, memory: torch.Tensor, before: torch.Tensor) -> Paths:
        """The paths of rows whose last elements `before` [N, p], oldest first, are observed.

        Args:
            tensors: the law's parameters.
            memory: log p(memory | elements so far), [N, M].
            before: the last elements.
        """
        (n, count), p = memory.shape, before.shape[1]
        return cls(
            tensors,
            memory,
            before.flip(-1)[:, None].expand(n, count, p),
            memory.new_zeros((1, count, p, p)),
            torch.zeros((n, p), dtype=torch.bool),
            torch.zeros(n, dtype=torch.int64),
        )

    @property
    def beyond(self) -> int:
        """How many regimes more than a memory the widest row tells apart."""
        return int(self.unsettled.max()) if len(self.unsettled) else 0

    @property
    def memory(self) -> torch.Tensor:
        """Log p(memory | elements so far), [N, M]."""
        n, count = len(self.weights), self.tensors.count
        return self.weights.reshape(n, count, -1).logsumexp(-1)

    @property
    def held(self) -> torch.Tensor:
        """Each path's memory, [C]."""
        width = self.weights.shape[1]
        return torch.arange(width) // (width // self.tensors.count)

    def following(self, position: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The next element's law given path and regime.

        Args:
            position: how many elements came before, int64 [N].

        Returns:
            Means [N, C, k], variances [N or 1, C, k], and the covariances of the last p elements
            with the next one [N or 1, C, p, k].
        """
        own, held = self.tensors, self.held
        lags, p = self.means, self.means.shape[-1]
        if own.centred and p:
            times = position[:, None] - torch.arange(1, p + 1)  # [N, p]
            levels = own.trend(times).transpose(1, 2)  # [N, k, p]
            lags = lags - levels[:, own.digits[held], torch.arange(p)]
        loc = own.trend(position)[:, None] + lags @ own.coef.T
        towards = self.spread @ own.coef.T
        return loc, (own.coef.T * towards).sum(-2) + own.scale**2, towards

    def mixture(self, position: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Log-weights, means and standard deviations of the next element's mixture, [N, C k]."""
        loc, variance, _ = self.following(position)
        weights = self.weights[..., None] + self.tensors.joint_transition.T[self.held]
        return weights.flatten(1), loc.flatten(1), variance.sqrt().expand_as(loc).flatten(1)

    def step(self, x: torch.Tensor, position: torch.Tensor) -> Paths:
        """The paths after one more element of each row; those that are alike again are one."""
        return self.grown(x, position)._merged(self.beyond + 1)

    def grown(self, x: torch.Tensor, position: torch.Tensor) -> Paths:
        """The paths after one more element of each row, each with every regime.

        Args:
            x: the elements, NaN where missing, [N].
            position: how many elements came before, int64 [N].
        """
        own = self.tensors
        p, k = self.means.shape[-1], len(own.scale)
        gone, early = torch.isnan(x), position < p
        if bool((gone & early).any()):
            refuse_given(p)
        loc, variance, towards = self.following(position)
        error = x.masked_fill(gone, 0.0)[:, None, None] - loc
        density = -0.5 * (error * error / variance + variance.log() + math.log(2 * math.pi))
        density = density.masked_fill(gone[:, None, None], 0.0)
        joint = self.weights[..., None] + own.joint_transition.T[self.held] + density
        joint = joint.transpose(1, 2).flatten(1)  # the new regime is the first digit
        joint = joint - joint.logsumexp(-1, keepdim=True)
        if bool(early.any()):  # given elements say nothing of the regimes
            same = torch.full_like(joint, -torch.inf)
            same[:, ::k] = self.weights
            joint = torch.where(early[:, None], same, joint)
        means = self._means(x, gone, loc, error, towards / variance[..., None, :])
        spread = self._spread(gone, variance, towards)
        lags = torch.cat([gone[:, None], self.gone], dim=1)[:, :p]
        unsettled = torch.where(lags.any(1), self.unsettled + 1, 0)
        return Paths(own, joint, means, spread, lags, unsettled)

    def _means(
        self,
        x: torch.Tensor,
        gone: torch.Tensor,
        loc: torch.Tensor,
        error: torch.Tensor,
        gain: torch.Tensor,
    ) -> torch.Tensor:
        """Means of the last p elements after one more, [N, k C, p]."""
        moved = (gain * error[..., None, :]).transpose(-1, -2)  # [N, C, k, p]
        older = self.means[:, :, None] + moved.masked_fill(gone[:, None, None, None], 0.0)
        newest = torch.where(gone[:, None, None], loc, x.nan_to_num()[:, None, None])
        means = torch.cat([newest[..., None], older], dim=-1)[..., : older.shape[-1]]
        return means.transpose(1, 2).flatten(1, 2)

    def _spread(
        self, gone: torch.Tensor, variance: torch.Tensor, towards: torch.Tensor
    ) -> torch.Tensor:
        """Covariances of the last p elements after one more, [N or 1, k C, p, p]."""
        if bool((gone == gone[:1]).all()):
            gone = gone[:1]
        cross = towards.transpose(-1, -2)  # [., C, k, p]
        seen = (
            self.spread[:, :, None]
            - cross[..., None] * cross[..., None, :] / (variance[..., None, None])
        )
        which, p = gone[:, None, None, None], cross.shape[-1]
        older = torch.where(which[..., None], self.spread[:, :, None], seen)
        top = torch.cat([variance[..., None], cross], dim=-1).masked_fill(~which, 0.0)
        rest = torch.cat([top[..., 1:, None], older], dim=-1)
        spread = torch.cat([top[..., None, :], rest], dim=-2)[..., :p, :p]
        return spread.transpose(1, 2).flatten(1, 2)

    def _merged(self, digits: int) -> Paths:
        """Sum over what settled rows no longer tell apart; paths come with so many digits more."""
        own, k = self.tensors, len(self.tensors.scale)
        check_paths(self.beyond, k, own.count, self.means.shape[-1])
        folded = torch.full_like(self.weights, -torch.inf)
        folded[:, :: k**digits] = self.memory
        weights = torch.where((self.unsettled == 0)[:, None], folded, self.weights)
        return Paths(own, weights, self.means, self.spread, self.gone, self.unsettled)._telling(
            self.beyond
        )

    def _telling(self, digits: int) -> Paths:
        """The same with paths of so many digits more than a memory's; no row needs others."""
        width = self.tensors.count * len(self.tensors.scale) ** digits
        now = self.weights.shape[1]
        if width == now:
            return self
        if width < now:
            at = slice(None, None, now // width)
            weights, means, spread = self.weights[:, at], self.means[:, at], self.spread[:, at]
        else:
            times = width // now
            weights = self.weights.new_full((len(self.weights), width), -torch.inf)
            weights[:, ::times] = self.weights
            means = self.means.repeat_interleave(times, 1)
            spread = self.spread.repeat_interleave(times, 1)
        return Paths(self.tensors, weights, means, spread, self.gone, self.unsettled)

    def detach(self) -> Paths:
        """The same without gradients."""
        return replace(self, **{
            name: getattr(self, name).detach() for name in ("weights", "means", "spread")
        })  # fmt: skip

    # ---- rows -----------------------------------------------------------------------------------

    def select(self, rows: torch.Tensor) -> Paths:
        """The paths of some rows."""
        spread = self.spread if len(self.spread) == 1 else self.spread[rows]
        chosen = Paths(
            self.tensors, self.weights[rows], self.means[rows], spread, self.gone[rows],
            self.unsettled[rows],
        )  # fmt: skip
        return chosen._telling(chosen.beyond)

    @staticmethod
    def at(steps: Sequence[Paths], lengths: torch.Tensor) -> Paths:
        """Row i as it was after `lengths[i]` of the steps."""
        chosen = [(rows, steps[t].select(rows)) for t, rows in _by_length(lengths)]
        most = max(part.beyond for _, part in chosen)
        parts = [(rows, part._telling(most)) for rows, part in chosen]
        order = torch.cat([rows for rows, _ in parts]).argsort()
        fields = [
            torch.cat([getattr(part, name) for _, part in parts])[order]
            for name in ("weights", "means", "gone", "unsettled")
        ]
        spread = torch.cat([p.spread.expand(len(r), *p.spread.shape[1:]) for r, p in parts])[order]
        weights, means, gone, unsettled = fields
        return Paths(steps[0].tensors, weights, means, spread, gone, unsettled)


def ahead(paths: Paths, position: torch.Tensor, horizon: int) -> MixtureSameFamily:
    """The marginal laws of the next elements: mixtures over all paths of regimes.

    Given a path the process is linear and normal, so its means and covariances follow by
    recursion (Hamilton 1994, 22.4, where means alone are given).

    Args:
        paths: what is known so far.
        position: how many elements came before, int64 [N].
        horizon: how many steps.

    Returns:
        Batch shape [N, horizon], of C k^horizon components (those of fewer paths have weight 0).
    """
    parts = [paths.mixture(position)]
    unknown = torch.full(position.shape, torch.nan, dtype=torch.float64)
    for step in range(1, horizon):
        paths = paths.grown(unknown, position + step - 1)
        parts.append(paths.mixture(position + step))
    return joined(parts)


def joined(parts: Sequence[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]) -> MixtureSameFamily:
    """Mixtures of steps as one distribution, batch shape [N, steps].

    Args:
        parts: log-weights, means and standard deviations of each step, [N, C] with a C of its own.
    """
    width = max(weights.shape[-1] for weights, _, _ in parts)

    def filled(field: int, value: float) -> torch.Tensor:
        return torch.stack(
            [pad(part[field], (0, width - part[field].shape[-1]), value=value) for part in parts],
            1,
        )

    return mixture(filled(0, -torch.inf), filled(1, 0.0), filled(2, 1.0))


def _by_length(lengths: torch.Tensor) -> list[tuple[int, torch.Tensor]]:
    return [(t, (lengths == t).nonzero()[:, 0]) for t in lengths.unique().tolist()]
