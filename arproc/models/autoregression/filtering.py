r"""The Kalman filter of an autoregression: exact conditionals where elements are missing.

What is known of the past, the `Belief`, is the normal law of the last p deviations from the mean,
newest first: their mean a and covariance P. The next deviation has

.. math:: \text{loc} = c_t + w_t^\top a, \qquad F = v_t + w_t^\top P w_t,

with the weights, variance and constant of the `Recursion` at its place. If it is observed, a and P
are conditioned on it; if not, it joins them as it was predicted. After p observed elements P is 0
and the filter says what the recursion says.

References:
    Jones (1980), Maximum likelihood fitting of ARMA models to time series with missing
    observations, Technometrics 22.
"""

from __future__ import annotations

from typing import NamedTuple, NoReturn

import torch

from arproc.contract.sequences import Sequences
from arproc.errors import DataError
from arproc.models.autoregression.recursion import Recursion

__all__ = ["Belief", "refuse_given", "residuals", "run"]


class Belief(NamedTuple):
    """What is known of the last p deviations from the mean: a normal law of p d numbers.

    Newest first where they are numbers (d = 1), oldest first where they are vectors.

    Attributes:
        mean: float64 [N, p d].
        covariance: float64 [N, p d, p d]; 0 where all of them were observed.
    """

    mean: torch.Tensor
    covariance: torch.Tensor

    @classmethod
    def known(cls, mean: torch.Tensor) -> Belief:
        """The belief after deviations that were all observed, [N, p d]."""
        return cls(mean, mean.new_zeros((*mean.shape, mean.shape[1])))

    @property
    def certain(self) -> bool:
        """Whether every one of the last elements is known."""
        return not bool((self.covariance.detach() != 0).any())

    def select(self, rows: torch.Tensor) -> Belief:
        """The belief of these rows."""
        return Belief(self.mean[rows], self.covariance[rows])

    def detach(self) -> Belief:
        """The same numbers without their gradients."""
        return Belief(self.mean.detach(), self.covariance.detach())


def run(
    x: torch.Tensor,
    positions: torch.Tensor,
    belief: Belief,
    recursion: Recursion,
    context: torch.Tensor | None = None,
    lengths: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, Belief]:
    """The normal law of every next element along x.

    Args:
        x: elements [N, K], float64, NaN where one is missing.
        positions: how many elements came before them, int64 [N].
        belief: after these.
        recursion: weights, variances and what is added.
        context: the rows' regressors [N, T, c], for recursions that have some.
        lengths: after how many of the K elements the new belief is, int64 [N]; all by default.

    Returns:
        Means and variances [N, K + 1], column j given the first j of x; and the new belief.
    """
    recursion = recursion.observed()
    place = positions[:, None] + torch.arange(x.shape[1] + 1, device=x.device)
    level, driven = recursion.level.at(place, context), recursion.driven(place, context)
    rows = place.clamp(max=recursion.order)
    constants = recursion.constants[rows] if driven is None else recursion.constants[rows] + driven
    y = x - (level if level.ndim == 0 else level[:, :-1])
    if lengths is None:
        lengths = torch.full_like(positions, x.shape[1])
    parts = (y, belief.mean, belief.covariance, recursion.weights, recursion.variances, constants)
    wanted = torch.is_grad_enabled() and any(part.requires_grad for part in parts)
    if wanted or x.is_cuda:
        loc, variance, belief = _by_steps(y, rows, constants, belief, recursion, lengths)
        return loc + level, variance, belief
    from arproc.compiled.interpreted import suited
    from arproc.gaussian import lag_kernels

    p = recursion.order
    kernels = suited(lag_kernels, 4 * y.numel() * (p + 1) ** 2)
    loc, variance, mean, covariance = (
        torch.from_numpy(part)
        for part in kernels.run(
            y.detach().contiguous().numpy(),
            rows.contiguous().numpy(),
            constants.detach().contiguous().numpy(),
            belief.mean.detach().contiguous().numpy(),
            belief.covariance.detach().contiguous().numpy(),
            recursion.weights.detach().contiguous().numpy(),
            recursion.variances.detach().contiguous().numpy(),
            lengths.contiguous().numpy(),
        )
    )
    return loc + level.detach(), variance, Belief(mean, covariance)


def _by_steps(
    y: torch.Tensor,
    rows: torch.Tensor,
    constants: torch.Tensor,
    belief: Belief,
    recursion: Recursion,
    lengths: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, Belief]:
    """`run` in torch, so that gradients go through data and parameters; y [N, K] deviations."""
    mean, covariance = belief
    locs, variances, beliefs = [], [], [belief]
    for k in range(y.shape[1] + 1):
        weights = recursion.weights[rows[:, k]]
        spread = (covariance @ weights[..., None])[..., 0]  # with the next element, [N, p]
        locs.append(constants[:, k] + (weights * mean).sum(1))
        variances.append(recursion.variances[rows[:, k]] + (weights * spread).sum(1))
        if k < y.shape[1]:
            beliefs.append(_updated(beliefs[-1], y[:, k], locs[-1], variances[-1], spread))
            mean, covariance = beliefs[-1]
    own = torch.arange(len(y), device=y.device)
    mean = torch.stack([m.mean for m in beliefs])[lengths, own]
    covariance = torch.stack([m.covariance for m in beliefs])[lengths, own]
    return torch.stack(locs, 1), torch.stack(variances, 1), Belief(mean, covariance)


def _updated(
    belief: Belief,
    y: torch.Tensor,
    loc: torch.Tensor,
    variance: torch.Tensor,
    spread: torch.Tensor,
) -> Belief:
    """The belief after a deviation y [N], of which N(loc, variance) was said."""
    mean, covariance = belief
    p = mean.shape[1]
    if p == 0:
        return belief
    gone = torch.isnan(y)[:, None]
    newest = torch.where(gone[:, 0], loc, y)
    error = (newest - loc)[:, None]  # 0 where nothing was observed
    gain = spread / variance[:, None]
    mean = torch.cat([newest[:, None], (mean + gain * error)[:, : p - 1]], 1)
    learnt = torch.where(gone[..., None], 0.0, gain[..., None] * spread[:, None])
    kept = (covariance - learnt)[:, : p - 1, : p - 1]
    border = torch.where(gone, torch.cat([variance[:, None], spread[:, : p - 1]], 1), 0.0)
    below = torch.cat([border[:, 1:, None], kept], 2)
    return Belief(mean, torch.cat([border[:, None], below], 1))


def residuals(
    sequences: Sequences, recursion: Recursion, skip: int, context: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Innovations of sequences with missing elements, NaN for these, and their variances.

    Args:
        sequences: independent sequences.
        recursion: that of the series.
        skip: 0, or p where the first elements are given and have none.
        context: the sequences' regressors [N, T, c], for recursions that have some.

    Returns:
        Twice [total - N skip].
    """
    device = sequences.values.device
    flat, rests, sizes = [], [], []
    for rows in sequences.batches(max_elements=2**20):
        x, lengths = sequences.padded(rows)
        x, n = x.to(torch.float64), len(rows)
        if skip and bool(torch.isnan(x[:, :skip]).any()):
            refuse_given(skip)
        start = Belief.known(x.new_zeros((n, recursion.order)))
        position = torch.zeros(n, dtype=torch.int64, device=device)
        own = None if context is None else context[rows.to(context.device)]
        loc, variance, _ = run(x, position, start, recursion, own)
        column = torch.arange(x.shape[1], device=device)
        inside = (column < lengths[:, None].to(device)) & (column >= skip)
        flat.append((sequences.offsets[rows].to(device)[:, None] + column)[inside])
        rests.append((x - loc[:, :-1])[inside])
        sizes.append(variance[:, :-1][inside])
    order = torch.cat(flat).argsort()
    return torch.cat(rests)[order], torch.cat(sizes)[order]


def refuse_given(given: int) -> NoReturn:
    """Say that a law that begins after given values needs them all."""
    raise DataError(
        f"data has a missing value among the first {given} of a sequence, which are given in this "
        "law; expected them to be observed. Begin the sequence later, or use initial='stationary'."
    )
