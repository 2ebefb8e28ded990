"""Normal laws given linear evidence, in closed form.

Where the joint law of what comes is normal, its conditional law is exact: given some of its
numbers, and a draw x of the whole becomes a draw of it by x + gain (known - x_known) (Matheron's
rule; Journel and Huijbregts 1978); or given any linear evidence, such as a sum measured with an
error, by Bayes' rule, as a law of its own whose conditionals come from a Cholesky factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch import distributions as td

from arproc.contract.law import ChainLaw
from arproc.contract.state import State
from arproc.distributions import transformed
from arproc.errors import DataError
from arproc.sampling.evidence import Linear, Setting, Terms
from arproc.spaces import Space

__all__ = ["BridgeLaw", "ConditionedNormal", "bridge", "condition_joint", "condition_normal"]


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

    known: Tensor
    loc: Tensor
    scale: Tensor
    log_prob: Tensor
    gain: Tensor

    def correct(self, x: Tensor) -> Tensor:
        """Draws of the unconditional law [N, *, m] turned into draws of the conditional one."""
        known = self.known.reshape(len(self.known), *[1] * (x.ndim - 2), -1)
        departure = (known - x).nan_to_num(nan=0.0)
        gain = self.gain.mT if x.ndim > 2 else self.gain
        moved = departure @ gain if x.ndim > 2 else (gain @ departure[..., None])[..., 0]
        return torch.where(known.isnan(), x + moved, known)


def condition_normal(normal: td.MultivariateNormal, known: Tensor) -> ConditionedNormal:
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


def condition_joint(joint: Any, known: Tensor) -> tuple[ConditionedNormal, list[Any]]:
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


#: A variance that is less than this share of what it was before the evidence is rounding.
_ROUNDING = 1e-11


@dataclass(frozen=True, eq=False, repr=False)
class BridgeLaw(ChainLaw):
    """The law of the next numbers of a linear-Gaussian law given linear evidence.

    Attributes:
        space: the elements, of a fixed number.
        loc: the means of all numbers, [D].
        factor: lower triangular, `factor @ factor.T` their covariance, [D, D]. A number that is
            known for certain has a row of zeros.
        maps: what makes elements of the normal numbers, one after the other.
        log_evidence: the log-density of the evidence, nats.
    """

    space: Space
    loc: Tensor
    factor: Tensor
    maps: tuple[Any, ...]
    log_evidence: float

    @property
    def device(self) -> torch.device:
        return self.loc.device

    def start(self, n: int, context: Tensor | None) -> State:
        return _BridgeState(self.loc.new_zeros((n, 0)))

    def marginals(self) -> Any:
        """The distributions of the elements, batch [T, *event]."""
        shape = (-1, *self.space.event_shape)
        scale = (self.factor**2).sum(1).sqrt()
        normal = td.Normal(self.loc.reshape(shape), scale.reshape(shape), validate_args=False)
        return reduce(transformed, self.maps, normal)


class _BridgeState(State):
    """How far the numbers so far are from their means, in standard deviations, [N, d t]."""

    law: BridgeLaw

    def __init__(self, white: Tensor) -> None:
        self.white = white

    def _conditional(self) -> Any:
        at, width = self.white.shape[1], math.prod(self.law.space.event_shape)
        here = slice(at, at + width)
        loc = self.law.loc[here] + self.white @ self.law.factor[here, :at].mT
        inner = self.law.factor[here, here]
        if self.law.space.event_shape:
            normal: Any = td.MultivariateNormal(loc, scale_tril=inner, validate_args=False)
        else:
            scale = inner[0].expand(len(loc))
            normal = td.Normal(loc[:, 0], scale, validate_args=False)
        return reduce(transformed, self.law.maps, normal)

    def _append(self, x: Tensor) -> State:
        for one in reversed(self.law.maps):
            x = one.inv(x)
        x, white, factor = x.reshape(len(x), -1), self.white, self.law.factor
        for j in range(x.shape[1]):
            at = white.shape[1]
            away = x[:, j].to(white) - self.law.loc[at] - white @ factor[at, :at]
            scale = factor[at, at]
            step = away / scale if float(scale) > 0 else torch.zeros_like(away)
            white = torch.cat([white, step[:, None]], dim=1)
        return _BridgeState(white)

    def _select(self, rows: Tensor) -> State:
        return _BridgeState(self.white[rows])


def bridge(setting: Setting, parts: tuple[Terms, ...], state: State) -> BridgeLaw | None:
    """The law of the next elements given evidence; None where it is not normal and linear.

    Args:
        setting: what the evidence is about.
        parts: the evidence.
        state: where the elements begin, one row.
    """
    law, steps = setting.law, setting.steps
    if steps is None or law.space.measure != "density":
        return None
    found = [part.linear(steps) for part in parts]
    linear = [one for one in found if one is not None]
    joint: Any = law.joint(state, steps) if len(linear) == len(found) else None
    if joint is None:
        return None
    maps = () if isinstance(joint, td.MultivariateNormal) else tuple(joint.transforms)
    every = Linear(*(torch.cat(column) for column in zip(*linear, strict=True)))
    size = 0.0
    if maps:
        inner = _before_maps(every, maps)
        if inner is None:
            return None
        every, size = inner
    normal: Any = joint.base_dist if maps else joint
    loc, factor, log_prob = _given(normal, every)
    space = replace(law.space, length=steps)
    return BridgeLaw(space, loc, factor, maps, log_prob + size)


def _before_maps(linear: Linear, maps: tuple[Any, ...]) -> tuple[Linear, float] | None:
    """Known values before they were mapped, and the log-slopes there; None for other evidence."""
    single = (linear.matrix != 0).sum(1) == 1
    known = bool(single.all()) and not bool(linear.variance.any())
    if not known or getattr(maps[0], "reaches", None) is not None:
        return None
    value, size = linear.value, 0.0
    for one in reversed(maps):
        before = one.inv(value)
        if not bool(before.isfinite().all()):
            wrong = float(linear.value[~before.isfinite()][0])
            raise DataError(f"evidence has the value {wrong:g}, which is impossible here.")
        size -= float(one.log_abs_det_jacobian(before, value).sum())
        value = before
    return Linear(linear.matrix, value, linear.variance), size


def _given(normal: Any, linear: Linear) -> tuple[Tensor, Tensor, float]:
    """The mean [D] and the factor [D, D] given linear evidence, and the log-density of that."""
    prior, loc = normal.scale_tril[0].double(), normal.loc[0].double()
    across = prior @ (linear.matrix @ prior).mT  # the covariances of all with the evidence
    within = linear.matrix @ across + linear.variance.diag()
    inner, failed = torch.linalg.cholesky_ex(within)
    if bool(failed):
        raise DataError(
            "evidence has values that determine one another under this model, so they have no "
            "joint density; leave out what follows from the others."
        )
    away = (linear.value - linear.matrix @ loc)[:, None]
    white = torch.linalg.solve_triangular(inner, away, upper=False)[:, 0]
    log_prob = -0.5 * white @ white - inner.diagonal().log().sum()
    log_prob = float(log_prob - 0.5 * len(white) * math.log(2 * math.pi))
    gain = torch.linalg.solve_triangular(inner, across.mT, upper=False)
    loc = loc + gain.mT @ white
    variance = (prior**2).sum(1)
    covariance = prior @ prior.mT - gain.mT @ gain
    certain = (linear.matrix != 0).sum(1) == 1  # single numbers, known without an error
    certain &= linear.variance == 0
    at = linear.matrix[certain].abs().argmax(1)
    loc[at] = linear.value[certain] / linear.matrix[certain].gather(1, at[:, None])[:, 0]
    covariance[at], covariance[:, at] = 0.0, 0.0
    return loc, _factor(covariance, _ROUNDING * variance), log_prob


def _factor(covariance: Tensor, least: Tensor) -> Tensor:
    """The Cholesky factor [D, D] of a covariance that may be singular.

    Args:
        covariance: [D, D].
        least: variances below which a number is known for certain, [D].
    """
    factor = torch.zeros_like(covariance)
    for j in range(len(covariance)):
        left = covariance[j:, j] - factor[j:, :j] @ factor[j, :j]
        if float(left[0]) > float(least[j]):
            factor[j:, j] = left / left[0].sqrt()
    return factor
