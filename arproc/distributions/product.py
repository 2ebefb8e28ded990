"""Products of two laws' powers, renormalised: p(x)^s q(x)^(1-s)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import distributions as td

from arproc.distributions.counted import PoweredCount, is_count
from arproc.distributions.powered import Powered, anchors, limits
from arproc.distributions.shape import map_parameters
from arproc.errors import UnsupportedError

__all__ = ["geometric_mixture"]


def geometric_mixture(p: Any, q: Any, scale: float) -> Any:
    """The law with the density (or mass of counts) p(x)^scale q(x)^(1 - scale) / Z.

    Of two normal laws, of scalars or vectors, in closed form; of other densities of scalars by
    quadrature (see `Powered`), of counts by summation; of vectors of independent components each
    component for itself.

    Args:
        p: one law.
        q: another over the same values, of the same batch.
        scale: at least 0; above 1 it takes q away.

    Raises:
        UnsupportedError: the product has no finite integral, as where q is narrower than p and
            taken away; or it is of laws for which it is not known.

    Example:
        >>> both = geometric_mixture(td.Normal(0.0, 1.0), td.Normal(2.0, 1.0), 1.5)
        >>> round(float(both.loc), 6), round(float(both.scale), 6)
        (-1.0, 1.0)
    """
    if isinstance(p, td.Normal) and isinstance(q, td.Normal):
        precision = scale / p.scale**2 + (1 - scale) / q.scale**2
        _require(bool((precision > 0).all()), p, scale)
        pull = scale * p.loc / p.scale**2 + (1 - scale) * q.loc / q.scale**2
        return td.Normal(pull / precision, precision**-0.5, validate_args=False)
    if isinstance(p, td.MultivariateNormal) and isinstance(q, td.MultivariateNormal):
        return _normal_vectors(p, q, scale)
    if isinstance(p, td.Independent) and isinstance(q, td.Independent):
        base = geometric_mixture(p.base_dist, q.base_dist, scale)
        return td.Independent(base, p.reinterpreted_batch_ndims, validate_args=False)
    if p.event_shape or q.event_shape:
        raise UnsupportedError(
            f"the product of the powers of a {type(p).__name__} and a {type(q).__name__} of "
            "vectors is not known: only of normal ones, and of independent components."
        )
    both = _Product(p, q, scale)
    return PoweredCount(both) if is_count(p) and is_count(q) else Powered(both, 1.0)


def _normal_vectors(
    p: td.MultivariateNormal, q: td.MultivariateNormal, scale: float
) -> td.MultivariateNormal:
    precision = scale * p.precision_matrix + (1 - scale) * q.precision_matrix
    factor, failed = torch.linalg.cholesky_ex(precision)
    _require(not bool(failed.any()), p, scale)
    pulls = [
        (law.precision_matrix @ law.loc[..., None]) * share
        for law, share in ((p, scale), (q, 1 - scale))
    ]
    loc = torch.cholesky_solve(pulls[0] + pulls[1], factor)[..., 0]
    tril = torch.linalg.cholesky(torch.cholesky_inverse(factor))
    return td.MultivariateNormal(loc, scale_tril=tril, validate_args=False)


def _require(finite: bool, p: Any, scale: float) -> None:
    if not finite:
        raise UnsupportedError(
            f"p(x)^{scale:g} q(x)^{1 - scale:g} has no finite integral: q is taken away from a "
            f"{type(p).__name__} that is wider than it; take a lower scale, or a wider q."
        )


class _Product(td.Distribution):
    """p(x)^scale q(x)^(1 - scale), not normalised: what `Powered` and `PoweredCount` sum up."""

    arg_constraints: dict[str, td.constraints.Constraint] = {}

    def __init__(self, p: Any, q: Any, scale: float) -> None:
        self.p, self.q, self.scale = p, q, scale
        super().__init__(p.batch_shape, validate_args=False)

    @property
    def support(self) -> Any:
        return self.p.support

    @property
    def mean(self) -> torch.Tensor:
        return torch.maximum(self.p.mean, self.q.mean)

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> _Product:
        return _Product(self.p.expand(batch_shape), self.q.expand(batch_shape), self.scale)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        own, other = self.p.log_prob(value), self.q.log_prob(value)
        mixed = self.scale * own + (1 - self.scale) * other
        # what the process itself holds impossible stays so, whatever the other says
        return mixed.masked_fill(~(own > -torch.inf), -torch.inf)


@anchors.register
def _(law: _Product) -> tuple[torch.Tensor, torch.Tensor]:
    parts = [anchors(part) for part in (law.p, law.q)]
    centres, scales = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
    return centres, scales


@limits.register
def _(law: _Product) -> tuple[list[float], list[float]]:
    parts = [limits(part) for part in (law.p, law.q)]
    return [low for part in parts for low in part[0]], [high for p in parts for high in p[1]]


@map_parameters.register
def _(first: _Product, rest: Sequence[Any], change: Any) -> _Product:
    p = map_parameters(first.p, [part.p for part in rest], change)
    q = map_parameters(first.q, [part.q for part in rest], change)
    return _Product(p, q, first.scale)
