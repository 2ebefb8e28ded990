"""Scenarios: the future given that some of its values are known.

Where the joint law is normal, its conditional law is exact, and a draw x of the whole becomes a
draw of the conditional law by x + gain (known - x_known) (Matheron's rule; Journel and Huijbregts
1978). Elsewhere paths are drawn step by step, a known value taking the place of a draw and its
conditional probability weighing the path, and resampled when the weights grow unequal: a particle
filter (Gordon, Salmond and Smith 1993).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributions as td

from arproc.contract.randomness import Uniforms
from arproc.contract.state import State
from arproc.distributions import from_uniform, index
from arproc.errors import DataError, UnsupportedError

__all__ = ["ConditionedNormal", "Particles", "condition_joint"]

#: Fewer equally weighted paths than this do not tell a quantile.
_FEWEST = 30


@dataclass(frozen=True)
class ConditionedNormal:
    """Normal vectors given some of their numbers.

    Attributes:
        known: the numbers, NaN where unknown, [N, m].
        loc: the conditional means, [N, m].
        scale: the conditional standard deviations, 0 where known, [N, m].
        log_prob: the log-density of what is known, [N].
        gain: what a departure of the known numbers adds to each, [N, m, m]; the columns of
            unknown ones are 0.
    """

    known: torch.Tensor
    loc: torch.Tensor
    scale: torch.Tensor
    log_prob: torch.Tensor
    gain: torch.Tensor

    def correct(self, x: torch.Tensor) -> torch.Tensor:
        """Draws of the unconditional law [N, *, m] turned into draws of the conditional one."""
        known = self.known.reshape(len(self.known), *[1] * (x.ndim - 2), -1)
        departure = (known - x).nan_to_num(nan=0.0)
        gain = self.gain.mT if x.ndim > 2 else self.gain
        moved = departure @ gain if x.ndim > 2 else (gain @ departure[..., None])[..., 0]
        return torch.where(known.isnan(), x + moved, known)


def condition_normal(normal: td.MultivariateNormal, known: torch.Tensor) -> ConditionedNormal:
    """The normal vectors [N, m] given their numbers `known` [N, m], NaN where unknown."""
    loc = normal.loc.expand(known.shape).clone()
    factor = normal.scale_tril.expand(*known.shape, known.shape[-1])
    scale = (factor**2).sum(-1).sqrt()
    log_prob, gain = loc.new_zeros(len(loc)), torch.zeros_like(factor)
    masks, which = (~known.isnan()).unique(dim=0, return_inverse=True)
    for number, mask in enumerate(masks):
        places, rows = mask.nonzero()[:, 0], (which == number).nonzero()[:, 0]
        if not len(places):
            continue
        part = factor[rows]
        across = part @ part[:, places].mT
        within, failed = torch.linalg.cholesky_ex(across[:, places])
        if bool(failed.any()):
            raise DataError(
                "known has values that determine one another under this model, so they have no "
                "joint density; leave out what follows from the others."
            )
        departure = known[rows][:, places] - loc[rows][:, places]
        own_gain = torch.cholesky_solve(across.mT, within).mT
        white = torch.linalg.solve_triangular(within, departure[..., None], upper=False)[..., 0]
        log_scale = within.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        log_prob[rows] = (
            -0.5 * (white**2).sum(-1) - log_scale - 0.5 * len(places) * math.log(2 * math.pi)
        )
        loc[rows] += (own_gain @ departure[..., None])[..., 0]
        left = scale[rows] ** 2 - (own_gain * across).sum(-1)
        scale[rows] = left.clamp(min=0).sqrt()
        gain[rows[:, None], :, places] = own_gain.mT
    fixed = ~known.isnan()
    return ConditionedNormal(
        known, torch.where(fixed, known, loc), scale.masked_fill(fixed, 0.0), log_prob, gain
    )


def condition_joint(joint: Any, known: torch.Tensor) -> tuple[ConditionedNormal, list[Any]]:
    """The joint law given `known` [N, m]: a normal part, and the maps that follow it.

    Raises:
        DataError: a known value is none that the model's maps can reach.
    """
    if isinstance(joint, td.MultivariateNormal):
        return condition_normal(joint, known), []
    inner = known
    for transform in reversed(joint.transforms):
        inner = transform.inv(inner)
    impossible = ~inner.isfinite() & ~known.isnan()
    if bool(impossible.any()):
        raise DataError(
            f"known has the value {float(known[impossible][0]):g}, which is impossible under this "
            "model."
        )
    return condition_normal(joint.base_dist, inner), list(joint.transforms)


class Particles:
    """Sample paths of which some values are known, weighted and resampled.

    Args:
        state: the state to begin from, one row a series.
        known: the known values [N, horizon, *event], NaN where unknown.
        n_paths: how many paths a series has.
        seed: of the draws.

    Attributes:
        paths: equally weighted paths [N, n_paths, horizon, *event].
        effective: for each series, how many equally weighted independent paths its own are
            worth, [N]; n_paths where nothing is known. Counted at the first step, where paths
            that descend from one another are one.
    """

    def __init__(self, state: State, known: torch.Tensor, n_paths: int, seed: Any) -> None:
        self.n, self.m = state.n, n_paths
        self.known = known.to(state.history.slots.device)
        self.event = known.shape[2:]
        draws = Uniforms(seed)
        self._choices = Uniforms(draws.seed, "resample")
        rows = torch.arange(self.n).repeat_interleave(n_paths)
        numbers = rows * n_paths + torch.arange(n_paths).repeat(self.n)
        self.state = state.select(rows)
        first = self.state.positions.cpu().numpy()
        u = draws.block(numbers, first, known.shape[1], tuple(self.event))
        u = u.to(self.known.device)
        self.log_weights = torch.zeros((self.n, n_paths), dtype=torch.float64)
        self.lineage = torch.arange(n_paths).repeat(self.n, 1)
        self.paths = u.new_zeros((self.n, n_paths, 0, *self.event))
        free = known.isnan().reshape(self.n, known.shape[1], -1).all(2).all(0).tolist()
        step = 0
        while step < len(free):
            stop = step + 1
            while free[step] and stop < len(free) and free[stop]:
                stop += 1
            if free[step]:
                x, self.state = self.state.advance(u[:, step:stop])
                self._add(x)
            else:
                self._weigh(u[:, step], step)
            step = stop
        self._finish()

    def _add(self, x: torch.Tensor) -> None:
        x = x.reshape(self.n, self.m, -1, *self.event).double()
        self.paths = torch.cat([self.paths, x], dim=2)

    def _weigh(self, u: torch.Tensor, step: int) -> None:
        """One step at which something is known."""
        known = self.known[:, step].repeat_interleave(self.m, dim=0)
        x, terms = draw_given(self.state.conditional, u, known)
        x = x.to(self.state.history.slots.dtype)
        self.state = self.state.append(x)
        self._add(x)
        self.log_weights = self.log_weights + terms.double().reshape(self.n, self.m).cpu()
        best = self.log_weights.amax(1)
        if not bool(best.isfinite().all()):
            row = int((~best.isfinite()).nonzero()[0])
            raise DataError(
                f"known has values at step {step + 1} (series {row}) that are impossible under "
                "this model given what comes before."
            )
        weights = torch.softmax(self.log_weights, dim=1)
        poor = 1 / (weights**2).sum(1) < self.m / 2
        self._resample(weights, poor, step)

    def _resample(self, weights: torch.Tensor, rows: torch.Tensor, step: int) -> None:
        """Systematic resampling of the paths of some series, which then weigh the same."""
        if not bool(rows.any()):
            return
        numbers = torch.arange(self.n)
        u = self._choices.block(numbers, step, 1)
        ladder = (torch.arange(self.m) + u) / self.m
        upper = weights.cumsum(1)
        chosen = torch.searchsorted(upper / upper[:, -1:], ladder).clamp(max=self.m - 1)
        chosen = torch.where(rows[:, None], chosen, torch.arange(self.m))
        self.lineage = self.lineage.gather(1, chosen)
        self.log_weights = torch.where(rows[:, None], 0.0, self.log_weights)
        flat = (numbers[:, None] * self.m + chosen).reshape(-1).to(self.paths.device)
        self.state = self.state.select(flat)
        self.paths = self.paths.reshape(self.n * self.m, *self.paths.shape[2:])[flat].reshape(
            self.paths.shape
        )

    def _finish(self) -> None:
        weights = torch.softmax(self.log_weights, dim=1)
        families = torch.zeros_like(weights).scatter_add_(1, self.lineage, weights)
        self.effective = 1 / (families**2).sum(1)
        uneven = (self.log_weights != self.log_weights[:, :1]).any(1)
        self._resample(weights, uneven, self.known.shape[1])
        if float(self.effective.min()) < min(_FEWEST, self.m / 2):
            raise DataError(
                f"known is so unlikely under this model that the {self.m} sample paths are worth "
                f"{float(self.effective.min()):.1f}; expected at least {_FEWEST}. Raise n_paths, "
                "or give values nearer to what the model expects."
            )


def draw_given(
    conditional: Any, u: torch.Tensor, known: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A draw of which some numbers are known, and the log-probability of those.

    Args:
        conditional: of batch shape [R].
        u: uniforms [R, *event].
        known: [R, *event], NaN where unknown.

    Returns:
        The draws [R, *event] and the log-probabilities [R], 0 where nothing is known.
    """
    fixed = ~known.isnan()
    x = from_uniform(conditional, u).to(known.dtype)
    if not conditional.event_shape:
        filled = torch.where(fixed, known, x)
        return filled, torch.where(fixed, conditional.log_prob(filled), 0.0)
    all_fixed, some = fixed.all(-1), fixed.any(-1)
    filled = torch.where(fixed, known, x)
    terms = torch.where(all_fixed, conditional.log_prob(filled).double(), 0.0)
    partly = (some & ~all_fixed).nonzero()[:, 0]
    if not len(partly):
        return filled, terms
    part, given = index(conditional, partly), known[partly]
    if isinstance(part, td.MultivariateNormal):
        normal = condition_normal(part, given.to(part.loc.dtype))
        filled[partly] = normal.correct(x[partly].to(part.loc.dtype)).to(filled.dtype)
        terms[partly] = normal.log_prob.double()
    elif isinstance(part, td.Independent) and part.reinterpreted_batch_ndims == 1:
        each = part.base_dist.log_prob(filled[partly]).double()
        terms[partly] = torch.where(fixed[partly], each, 0.0).sum(-1)
    else:
        raise UnsupportedError(
            f"known= gives some components of a vector whose law is a {type(part).__name__}; "
            "arproc can condition normal and independent components. Give all components of a "
            "step, or none."
        )
    return filled, terms
