"""What the log-densities alone say of conditionals of vectors: mass, mean, covariance, draws."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import distributions as td

from arproc.distributions import from_uniform
from arproc.spaces import Space
from arproc.testing.compare import agree
from arproc.testing.integrals import each
from arproc.testing.report import fail
from arproc.testing.statistics import two_samples
from arproc.testing.subject import Subject

__all__ = ["Weighted", "draws_of_vectors", "moments_of_vectors", "normal_density", "weighted"]

_POINTS = 20_000  # of importance sampling


@dataclass(frozen=True)
class Weighted:
    """Points with the weights that densities [B] of vectors [d] give them.

    Attributes:
        x: the points, [P, B, d].
        weights: of each, which sum to the mass, [P, B].
        how: what the points are.
        close: how exact sums over them are: their rounding, or six standard errors.
    """

    x: torch.Tensor
    weights: torch.Tensor
    how: str
    close: float

    @property
    def mass(self) -> torch.Tensor:
        return self.weights.sum(0)

    @property
    def mean(self) -> torch.Tensor:
        """[B, d]."""
        return (self.weights[..., None] * self.x).sum(0) / self.mass[:, None]

    @property
    def covariance(self) -> torch.Tensor:
        """[B, d, d]."""
        away = self.x - self.mean
        total = torch.einsum("pb,pbi,pbj->bij", self.weights, away, away)
        return total / self.mass[:, None, None]

    def drawn(self, n: int, rng: np.random.Generator) -> torch.Tensor:
        """Draws [n, B, d] among the points, by their weights."""
        edges = self.weights.cumsum(0).T.contiguous()
        u = torch.as_tensor(rng.random((len(edges), n))) * edges[:, -1:]
        which = torch.searchsorted(edges, u).clamp(max=len(self.x) - 1).T
        return self.x.gather(0, which[..., None].expand(*which.shape, self.x.shape[-1]))


def weighted(d: Any, space: Space, rng: np.random.Generator) -> Weighted:
    """Densities [B] of vectors on a grid (in one and two dimensions) or by importance sampling.

    On coordinates whitened by what the conditional says of its mean and its covariance: wrong
    ones cost exactness, which `close` tells, and nothing else.
    """
    dimension = d.event_shape[0]
    centre, scale = d.mean.double(), d.variance.double().sqrt()
    covariance = getattr(d, "covariance_matrix", None)
    root = torch.diag_embed(scale) if covariance is None else torch.linalg.cholesky(covariance)
    root = root.double()
    volume = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    if dimension <= 2:
        line = torch.linspace(-9, 9, 121, dtype=torch.float64)
        z = torch.cartesian_prod(*[line] * dimension).reshape(-1, dimension)
        log_weight = torch.full((len(z),), dimension * float(torch.log(line[1] - line[0])))
        how = f"quadrature in {dimension} dimensions"
    else:
        # Student's t of 4 degrees of freedom has heavier tails than most
        proposal = torch.distributions.StudentT(torch.tensor(4.0, dtype=torch.float64))
        z = torch.as_tensor(rng.standard_t(4, size=(_POINTS, dimension)))
        log_weight = -proposal.log_prob(z).sum(-1) - np.log(len(z))
        how = "importance sampling"
    x = centre + torch.einsum("bij,pj->pbi", root, z)
    score = d.log_prob(x.to(space.dtype)).double() + volume + log_weight[:, None]
    weights = score.exp()
    # six standard errors of the estimate: a false alarm in 10^8
    spread = len(z) ** 0.5 * weights.std(dim=0)
    return Weighted(x, weights, how, 2e-6 if dimension <= 2 else 1e-4 + 6 * float(spread.max()))


# ---- checks of vectors --------------------------------------------------------------------------


def normal_density(subject: Subject, d: Any) -> str:
    """Fail unless a multivariate normal's density is that of its `loc` and `scale_tril`."""
    x = subject.random_elements((24, *d.batch_shape), "normal density")
    white = whitened(d, x)
    volume = d.scale_tril.double().diagonal(dim1=-2, dim2=-1).log().sum(-1)
    want = -0.5 * (white**2).sum(-1) - volume - 0.5 * math.log(2 * math.pi) * x.shape[-1]
    off = agree(
        d.log_prob(x),
        want,
        1e-9 if subject.dtype == torch.float64 else 1e-5,
        "the density of vectors to be the normal density of loc and scale_tril, which draw",
        "a log_prob of other parameters than those of the draws",
        ("value", "conditional"),
    )
    return f"{off:.1e} over {len(x)} vectors of each"


def whitened(d: Any, x: torch.Tensor) -> torch.Tensor:
    """The standard normal numbers that a multivariate normal makes x [..., d] of."""
    centred = (x - d.loc).double()[..., None]
    root = d.scale_tril.double().expand(*centred.shape[:-2], -1, -1)
    return torch.linalg.solve_triangular(root, centred, upper=False)[..., 0]


def draws_of_vectors(subject: Subject, d: Any) -> str:
    """Fail unless the vectors [B, d] that uniforms draw, and torch's own, follow the density."""
    n, (dimension,) = 200, d.event_shape
    rng = subject.rng("vectors of uniforms")
    u = torch.as_tensor(rng.random((n, *d.batch_shape, dimension))).clamp(1e-12, 1 - 1e-12)
    far = torch.tensor([1e-9, 1e-4, 0.5, 1 - 1e-4, 1 - 1e-9], dtype=torch.float64)
    u[: len(far)] = far[:, None, None]
    x = each(from_uniform, d, u)
    cause = "a sampler that cuts tails, or has other parameters than the density"
    if isinstance(d, td.MultivariateNormal):
        reach = whitened(d, x[: len(far)]).abs().flatten(2).amax((0, 2))
        if bool((reach < 5.9).any()):
            fail(
                "draws of vectors to reach six standard deviations where their uniforms do",
                f"those of uniforms of 1e-9 from 0 and 1 reach {float(reach.min()):.2f}",
                cause,
            )
    wanted = weighted(d, subject.space, rng).drawn(n, rng)
    found = [_alike(d, x[len(far) :], wanted, "draws of vectors to follow log_prob", cause)]
    for name in ["sample"] + ["rsample"] * bool(d.has_rsample):
        with torch.random.fork_rng(devices=[]), suppress(NotImplementedError):
            torch.manual_seed(subject.seed)
            own = getattr(d, name)((n,)).double()
            expected = f"draws of {name}() to follow log_prob"
            found.append(_alike(d, own, wanted, expected, f"a {name} of another law"))
    return f"{n} vectors of each, p = {min(found):.2g}"


def _alike(d: Any, x: torch.Tensor, wanted: torch.Tensor, expected: str, cause: str) -> float:
    """The least p-value of two samples [n, B, d] being one law's: their scores and components."""
    dtype = d.mean.dtype
    figures = [(d.log_prob(x.to(dtype)), d.log_prob(wanted.to(dtype)))]
    figures += list(zip(x.unbind(-1), wanted.unbind(-1), strict=True))
    return min(two_samples(a, b, expected, cause) for a, b in figures)


def moments_of_vectors(subject: Subject, d: Any) -> str:
    """Fail unless mean, variance and covariance of vectors are their density's."""
    law = weighted(d, subject.space, subject.rng("moments of vectors"))
    spread = law.covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    close = 1e-4 if law.how.startswith("quadrature") else 60 * law.close
    cause = "moments of another law than the density"
    agree(d.mean / spread, law.mean / spread, close, "the mean to be the density's", cause)
    found, unit = "mean, variance", spread[:, :, None] * spread[:, None]
    variance = d.variance / spread**2
    agree(variance, torch.ones_like(variance), close, "the variance to be the density's", cause)
    covariance = getattr(d, "covariance_matrix", None)
    if covariance is not None:
        expected = "the covariance to be the density's"
        agree(covariance / unit, law.covariance / unit, close, expected, cause)
        found += ", covariance"
    return found
