"""Maximum likelihood of laws that torch can differentiate by their parameters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from arproc.contract.law import Law
from arproc.contract.sequences import Sequences
from arproc.errors import DataError
from arproc.process import Fit

__all__ = ["maximum_likelihood"]

L = TypeVar("L", bound=Law)


def maximum_likelihood(
    law_at: Callable[[Any], L],
    sequences: Sequences,
    names: Sequence[str],
    start: Sequence[float],
    positive: Collection[str] = (),
    context: torch.Tensor | None = None,
) -> tuple[L, Fit]:
    """The law of the greatest likelihood, and its fit: what `_fit` of a model returns.

    By BFGS with torch's gradients, then Newton's steps; the covariance is the inverse of the
    observed information, nan where that is not positive definite.

    Args:
        law_at: the law with parameters [k] in the order of `names`, an array, or a tensor through
            which its `log_prob` is differentiated (twice).
        sequences: the data.
        names: what the parameters are called [k].
        start: where the search begins [k].
        positive: the names of those that lie above 0, which are searched by their logarithms.
        context: what the data are conditioned on.

    Raises:
        DataError: there are no more elements to score than parameters.
    """
    from scipy.optimize import minimize

    given = law_at(np.asarray(start, dtype=float)).n_given
    sequences.require_length(given + 1)
    count = int(sequences.n_scored(given).sum())
    if count <= len(names):
        raise DataError(
            f"data has {count} element(s) to score; expected more than the {len(names)} "
            f"parameters ({', '.join(names)}). Lower order, or give more data."
        )
    above = torch.tensor([name in positive for name in names])
    first = torch.as_tensor(start, dtype=torch.float64)
    z = torch.where(above, first.clamp(min=1e-300).log(), first).numpy()

    def natural(z: torch.Tensor) -> torch.Tensor:
        return torch.where(above, torch.where(above, z, 0.0).exp(), z)

    def loss(z: torch.Tensor) -> torch.Tensor:
        return -law_at(natural(z)).log_prob(sequences, context).sum() / count

    def with_slope(z: np.ndarray) -> tuple[float, np.ndarray]:
        point = torch.tensor(z, requires_grad=True)
        value = loss(point)
        slope = torch.autograd.grad(value, point)[0]
        finite = bool(torch.isfinite(value)) and bool(torch.isfinite(slope).all())
        return (float(value.detach()), slope.numpy()) if finite else (1e300, np.zeros_like(z))

    with torch.enable_grad():
        z = minimize(with_slope, z, jac=True, method="BFGS", options={"gtol": 1e-6}).x
        converged, curvature = False, np.full((len(z), len(z)), np.nan)
        for _ in range(8):
            curvature = torch.autograd.functional.hessian(loss, torch.tensor(z)).numpy()
            if not np.isfinite(curvature).all() or np.linalg.eigvalsh(curvature)[0] <= 0:
                curvature = np.full_like(curvature, np.nan)
                break
            slope = with_slope(z)[1]
            step = np.linalg.solve(curvature, slope)
            z = z - step
            if converged := bool(slope @ step < 1e-12):  # twice what there was to gain, nats
                break
    estimates = natural(torch.tensor(z)).numpy()
    unit = np.where(above.numpy(), estimates, 1.0)  # d parameter / d z
    covariance = np.linalg.inv(curvature) / count * np.outer(unit, unit)
    law = law_at(estimates)
    with torch.no_grad():
        likelihood = float(law.log_prob(sequences, context).sum())
    found = Fit(
        names=list(names),
        estimates=estimates,
        covariance=covariance,
        log_likelihood=likelihood,
        n_observations=count,
        notes={"converged": converged},
    )
    return law, found
