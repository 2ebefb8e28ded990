r"""Everything the conditionals of a vector autoregression need.

With :math:`y_t = x_t - \text{center}`, from element p on

.. math:: y_t = \text{intercept} + \text{drift} \, t + \sum_i A_i y_{t-i} + L z_t, \quad
    z_t \sim N(0, I),

and the first p elements together are normal; the Cholesky factor of their covariance (block
Toeplitz where the start is stationary) holds the conditional of each given those before it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import torch
from torch.distributions import MultivariateNormal

from arproc.errors import ParameterError
from arproc.gaussian.companion import largest_modulus, stationary_covariance

__all__ = ["VectorRecursion", "build"]


@dataclass(frozen=True)
class VectorRecursion:
    """A vector autoregression's recursion as float64 tensors.

    Attributes:
        coef: A_1 ... A_p, [p, d, d].
        factor: L, the innovations' Cholesky factor, [d, d].
        intercept: its constants, [d].
        drift: its coefficients of t, [d].
        center: what is subtracted from every element first, [d].
        start_loc: the mean of the first p elements less `center`, [p, d].
        start_factor: the Cholesky factor of their covariance [p d, p d]; nan where they are given.
    """

    coef: torch.Tensor
    factor: torch.Tensor
    intercept: torch.Tensor
    drift: torch.Tensor
    center: torch.Tensor
    start_loc: torch.Tensor
    start_factor: torch.Tensor

    @property
    def order(self) -> int:
        """The number of lags p."""
        return self.coef.shape[0]

    @property
    def dimension(self) -> int:
        """The number of components d."""
        return self.factor.shape[0]

    @cached_property
    def starts(self) -> bool:
        """Whether the first elements have a law, rather than being given."""
        return not bool(torch.isnan(self.start_factor.detach()).any())

    @cached_property
    def backwards(self) -> torch.Tensor:
        """The coefficients side by side, the oldest lag first, [d, p d]."""
        d = self.dimension
        return self.coef.flip(0).transpose(0, 1).reshape(d, self.order * d)

    @cached_property
    def inverse_factor(self) -> torch.Tensor:
        """L^-1, [d, d]."""
        return _inverse(self.factor)

    @cached_property
    def start_whitening(self) -> torch.Tensor:
        """The inverse of `start_factor`, [p d, p d]."""
        return _inverse(self.start_factor)

    @cached_property
    def start_factors(self) -> torch.Tensor:
        """The Cholesky factor of each first element's innovations, [p, d, d]."""
        p, d = self.order, self.dimension
        blocks = self.start_factor.reshape(p, d, p, d)
        return blocks.diagonal(dim1=0, dim2=2).permute(2, 0, 1)

    @cached_property
    def start_weights(self) -> torch.Tensor:
        """Row t [d, p d]: the weights of elements 0 ... p - 1 in element t's mean, [p, d, p d]."""
        p, d = self.order, self.dimension
        rows = -self.start_factors @ self.start_whitening.reshape(p, d, p * d)
        place = torch.arange(p * d) // d
        return torch.where(place < torch.arange(p)[:, None, None], rows, 0.0)

    @cached_property
    def start_constants(self) -> torch.Tensor:
        """What is added to the weighted first elements, [p, d]."""
        return self.start_loc - self.start_weights @ self.start_loc.reshape(-1)

    def conditional(
        self, ctx: torch.Tensor, position: torch.Tensor, driven: torch.Tensor | None = None
    ) -> MultivariateNormal:
        """The next elements' laws from the last p elements [N, K, p, d]; batch [N, K].

        `position` [N, K] says how many elements came before; what is missing counts for nothing.
        `driven` [N, K, d] is what regressors add to each from element p on.
        """
        p, d = self.order, self.dimension
        y = (ctx - self.center).flatten(2)
        loc = y @ self.backwards.mT + self.intercept + position[..., None] * self.drift
        if driven is not None:
            loc = loc + driven
        factor = self.factor.expand(*position.shape, -1, -1)
        if not bool((position >= p).all()):
            for t in range(p):
                here = (position == t)[..., None]
                # the first t elements are the last t of the window
                past, weights = y[..., (p - t) * d :], self.start_weights[t, :, : t * d]
                loc = torch.where(here, past @ weights.mT + self.start_constants[t], loc)
                factor = torch.where(here[..., None], self.start_factors[t], factor)
        return MultivariateNormal(loc + self.center, scale_tril=factor, validate_args=False)

    def detach(self) -> VectorRecursion:
        """The same numbers without their gradients."""
        tensors = [getattr(self, part.name) for part in fields(self)]
        if not any(tensor.requires_grad for tensor in tensors):
            return self
        return VectorRecursion(*(tensor.detach() for tensor in tensors))


def _inverse(factor: torch.Tensor) -> torch.Tensor:
    eye = torch.eye(len(factor), dtype=factor.dtype)
    return torch.linalg.solve_triangular(factor, eye, upper=False)


def build(
    initial: str | MultivariateNormal,
    coef: torch.Tensor,
    sigma: torch.Tensor,
    mean: torch.Tensor,
    slope: torch.Tensor,
    intercept: torch.Tensor,
    drift: torch.Tensor,
) -> VectorRecursion:
    """The recursion of parameters as a VAR has them, with the start that `initial` names.

    Where there is a mean, it is what counts, and intercept and drift follow from it.
    """
    if isinstance(initial, str) and initial == "stationary":
        return stationary_start(coef, sigma, mean, slope)
    center = mean
    if bool(torch.isnan(mean).any()):  # a unit root: the recursion is all there is
        center = torch.zeros_like(mean)
    else:
        intercept, drift = _about_line(coef, slope)
    then = given_start(coef, sigma, intercept, drift, center)
    return normal_start(initial, then) if isinstance(initial, MultivariateNormal) else then


def _about_line(coef: torch.Tensor, slope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(intercept, drift) of the elements less their mean at t = 0."""
    steps = torch.arange(1, len(coef) + 1, dtype=coef.dtype)
    return torch.einsum("iab,b,i->a", coef, slope, steps), slope - coef.sum(0) @ slope


def stationary_start(
    coef: torch.Tensor, sigma: torch.Tensor, mean: torch.Tensor, slope: torch.Tensor
) -> VectorRecursion:
    """The autoregression about the line mean + slope t, from its stationary start.

    Raises:
        ParameterError: the coefficients have no stationary law.
    """
    p = len(coef)
    largest = largest_modulus(coef.detach().numpy())
    if not largest < 1 - 1e-12:
        raise ParameterError(
            f"the coefficients have a root of modulus {largest:.6g} (1 or more), so there is no "
            "stationary law. Use initial='given'."
        )
    factor = cholesky(sigma, "sigma")
    start = coef.new_zeros((0, 0))
    if p:
        start = cholesky(stationary_covariance(coef, sigma), "the stationary covariance")
    start_loc = torch.arange(p, dtype=coef.dtype)[:, None] * slope
    return VectorRecursion(coef, factor, *_about_line(coef, slope), mean, start_loc, start)


def given_start(
    coef: torch.Tensor,
    sigma: torch.Tensor,
    intercept: torch.Tensor,
    drift: torch.Tensor,
    center: torch.Tensor,
) -> VectorRecursion:
    """y_t = intercept + drift t + sum_i A_i y_{t-i} + innovation after p given elements."""
    p, d = coef.shape[0], sigma.shape[0]
    nothing = coef.new_full((p * d, p * d), torch.nan)
    factor = cholesky(sigma, "sigma")
    return VectorRecursion(coef, factor, intercept, drift, center, nothing[:p, :d], nothing)


def normal_start(initial: MultivariateNormal, then: VectorRecursion) -> VectorRecursion:
    """The recursion `then` after first elements of a given joint normal distribution."""
    p, d = then.order, then.dimension
    loc = initial.loc.to(then.factor).reshape(p, d) - then.center
    return replace(then, start_loc=loc, start_factor=initial.scale_tril.to(then.factor))


def cholesky(matrix: torch.Tensor, name: str) -> torch.Tensor:
    """The lower Cholesky factor of a covariance.

    Raises:
        ParameterError: it is not positive definite.
    """
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if int(failed) or not bool(torch.isfinite(factor).all()):
        raise ParameterError(
            f"{name} is not a positive definite matrix to double precision, so the law has no "
            "density. Leave out components that the others determine, or use initial='given' "
            "where a root lies close to 1."
        )
    return factor
