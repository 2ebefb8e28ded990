r"""The Kalman filter of a vector autoregression: exact conditionals where components are missing.

What is known of the past, the `Belief`, is the normal law of the last p deviations from the
center, oldest first: their mean a and covariance P. The next deviation is normal with

.. math:: \text{loc} = c_t + W_t a, \qquad F = W_t P W_t^\top + L_t L_t^\top.

The components of it that are observed condition both; then it joins the window, of which the
oldest element leaves. After p elements that were observed whole P is 0, and the filter says what
the recursion says; it runs no longer than until then.

References:
    Luetkepohl (2005), section 18.3. Jones (1980), Maximum likelihood fitting of ARMA models to
    time series with missing observations, Technometrics 22.
"""

from __future__ import annotations

import torch
from torch.distributions import MultivariateNormal

from arproc.models.autoregression.filtering import Belief
from arproc.models.autoregression.vector.recursion import VectorRecursion

__all__ = ["run", "windows"]


def run(
    x: torch.Tensor,
    before: torch.Tensor,
    positions: torch.Tensor,
    belief: Belief | None,
    recursion: VectorRecursion,
    lengths: torch.Tensor | None = None,
    driven: torch.Tensor | None = None,
) -> tuple[MultivariateNormal, Belief]:
    """The law of every next element along x.

    Args:
        x: elements [N, K, d], float64, NaN where a component is missing.
        before: the p elements before them, [N, p, d].
        positions: how many elements came before x, int64 [N].
        belief: of `before`; None where all of it is known.
        recursion: of the process.
        lengths: after how many of the K elements the new belief is, int64 [N]; all by default.
        driven: what regressors add to each element from element p on, [N, K + 1, d].

    Returns:
        Laws of batch [N, K + 1], column j given the first j of x; and the new belief.
    """
    p, steps = recursion.order, x.shape[1]
    y = torch.cat([before, x], dim=1) - recursion.center
    place = positions[:, None] + torch.arange(steps + 1, device=x.device)
    past = windows(y, p)
    sure = ~torch.isnan(past).flatten(2).any(-1)  # [N, K + 1]
    known = torch.nan_to_num(past)
    plain = recursion.conditional(known + recursion.center, place, driven)
    added = y.new_zeros((*place.shape, y.shape[2]))
    if driven is not None:
        added = torch.where(place[..., None] < p, added, driven)
    locs, factors = list(plain.loc.unbind(1)), list(plain.scale_tril.unbind(1))
    last = torch.full_like(positions, steps) if lengths is None else lengths
    after = Belief.known(known[torch.arange(len(y), device=x.device), last].flatten(1))
    held = belief
    for j in range(steps + 1):
        if bool(sure[:, j].all()):
            held = None
            continue
        if j:
            then = Belief.known(known[:, j - 1].flatten(1)) if held is None else held
            held = _advance(then, y[:, j - 1 + p], place[:, j - 1], added[:, j - 1], recursion)
        assert held is not None
        loc, covariance = _next(held, place[:, j], added[:, j], recursion)
        given = (place[:, j] < p) & (not recursion.starts)  # these have no conditional
        locs[j] = (loc + recursion.center).masked_fill(given[:, None], torch.nan)
        factors[j] = torch.linalg.cholesky(covariance)
        here = (last == j)[:, None]
        after = Belief(
            torch.where(here, held.mean, after.mean),
            torch.where(here[..., None], held.covariance, after.covariance),
        )
    laws = MultivariateNormal(
        torch.stack(locs, dim=1), scale_tril=torch.stack(factors, dim=1), validate_args=False
    )
    return laws, after


def windows(y: torch.Tensor, p: int) -> torch.Tensor:
    """The last p elements before each of y [N, p + K, d] and the next, [N, K + 1, p, d]."""
    if p:
        return y.unfold(1, p, 1).movedim(-1, 2)
    return y.new_zeros((len(y), y.shape[1] + 1, 0, y.shape[2]))


def _at(
    place: torch.Tensor, recursion: VectorRecursion
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights of the window [N, d, p d], constants [N, d] and factors [N, d, d] at positions."""
    p, d = recursion.order, recursion.dimension
    weights = recursion.backwards.expand(len(place), d, p * d)
    constants = recursion.intercept + place[:, None] * recursion.drift
    factors = recursion.factor.expand(len(place), d, d)
    early = place[place < p].unique().tolist() if p and recursion.starts else []
    for t in early:
        here = (place == t)[:, None]
        row = weights.new_zeros((d, p * d))
        row = torch.cat([row[:, t * d :], recursion.start_weights[t, :, : t * d]], dim=1)
        weights = torch.where(here[..., None], row, weights)
        constants = torch.where(here, recursion.start_constants[t], constants)
        factors = torch.where(here[..., None], recursion.start_factors[t], factors)
    return weights, constants, factors


def _next(
    belief: Belief, place: torch.Tensor, added: torch.Tensor, recursion: VectorRecursion
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean [N, d] and covariance [N, d, d] of the next deviation."""
    weights, constants, factors = _at(place, recursion)
    loc = (weights @ belief.mean[..., None])[..., 0] + constants + added
    return loc, weights @ belief.covariance @ weights.mT + factors @ factors.mT


def _advance(
    belief: Belief,
    y: torch.Tensor,
    place: torch.Tensor,
    added: torch.Tensor,
    recursion: VectorRecursion,
) -> Belief:
    """The belief after the deviation y [N, d], NaN where a component is missing."""
    d = recursion.dimension
    weights, _, _ = _at(place, recursion)
    loc, covariance = _next(belief, place, added, recursion)
    carried = belief.covariance @ weights.mT  # with the next one, [N, p d, d]
    joint = torch.cat(
        [
            torch.cat([belief.covariance, carried], dim=2),
            torch.cat([carried.mT, covariance], dim=2),
        ],
        dim=1,
    )
    mean = torch.cat([belief.mean, loc], dim=1)
    gone = torch.isnan(y)
    eye = torch.eye(d, dtype=y.dtype, device=y.device)
    seen = torch.where(gone[..., None] | gone[..., None, :], eye, covariance)
    cross = joint[:, :, -d:].masked_fill(gone[:, None], 0.0)
    rest = (torch.nan_to_num(y) - loc).masked_fill(gone, 0.0)
    gain = torch.linalg.solve(seen, cross.mT).mT
    mean = mean + (gain @ rest[..., None])[..., 0]
    joint = joint - gain @ cross.mT
    # what was observed is known to the last digit, and what was known stays so
    sure = torch.cat([belief.covariance.diagonal(dim1=1, dim2=2) == 0, ~gone], dim=1)
    joint = joint.masked_fill(sure[:, None] | sure[..., None], 0.0)
    exact = torch.cat([belief.mean, torch.nan_to_num(y)], dim=1)
    mean = torch.where(sure, exact, mean)
    return Belief(mean[:, d:], ((joint + joint.mT) / 2)[:, d:, d:])
