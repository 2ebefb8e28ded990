"""Gaussian maximum likelihood of a vector autoregression: exact, or given the first values.

The data are whitened by the innovations of least squares, where the information is nearly block
diagonal and known; BFGS starts from it, and Newton's method with the observed information ends
it. With a stationary start a step that leaves the stationary region is refused; the likelihood
falls to minus infinity at its edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from arproc.errors import DataError
from arproc.gaussian.companion import largest_modulus
from arproc.inference.delta import carried
from arproc.models.autoregression.vector.exact_likelihood import ExactLikelihood
from arproc.models.autoregression.vector.observed import ObservedLikelihood
from arproc.models.autoregression.vector.regression import VectorData, VectorRegression

__all__ = ["ExactFit", "exact_ml"]


@dataclass(frozen=True)
class ExactFit:
    """A maximum of the likelihood, in the units of the data given.

    Attributes:
        coef: [p, d, d].
        beta: coefficients of the columns, in the mean or in the recursion, [q, d].
        sigma: [d, d].
        covariance: of (for each equation: beta, coefficients; then the lower triangle of sigma).
    """

    coef: np.ndarray
    beta: np.ndarray
    sigma: np.ndarray
    covariance: np.ndarray


def exact_ml(
    data: VectorData,
    order: int,
    first: VectorRegression,
    beta: np.ndarray,
    given: bool = False,
    in_mean: bool = True,
) -> ExactFit:
    """The maximum likelihood fit, started from least squares.

    Args:
        data: the sequences.
        order: p.
        first: least squares about the regressors' part of the mean; of all columns where they are
            the recursion's.
        beta: the regressors' coefficients in the mean, where the search starts, [c, d].
        given: whether the likelihood is that given the first p elements.
        in_mean: whether the columns are the mean's, or the recursion's.

    Raises:
        DataError: the likelihood has no maximum that could be found.
    """
    d, start = data.dimension, data.n_trend if in_mean else data.q
    unwhiten = np.linalg.cholesky(first.sigma)
    whitening = solve_triangular(unwhiten, np.eye(d), lower=True)
    gaps = bool(np.isnan(data.values).any())
    kind = ObservedLikelihood if gaps else ExactLikelihood
    likelihood = kind(data, order, whitening, given, in_mean)
    coef = first.theta[start:].reshape(order, d, d).transpose(0, 2, 1)
    coef = whitening @ coef @ unwhiten
    largest = largest_modulus(coef)
    if largest > 0.999 and not given:  # roots scaled to lie inside
        coef = coef * (0.99 / largest) ** np.arange(1, order + 1)[:, None, None]
    constants = first.theta[:start] @ whitening.T
    if in_mean:
        line = _mean_of(constants, coef, data.span)
        constants = np.concatenate([line, beta @ whitening.T])
    lags = first.inverse[start:, start:]
    guess = _guess(likelihood, lags, first.used, coef, unwhiten)
    theta = _maximise(likelihood, likelihood.pack(coef, constants, np.zeros((d, d))), guess)
    theta, covariance = _finish(likelihood, theta, guess)
    return _own_units(likelihood, theta, covariance, unwhiten)


def _mean_of(constants: np.ndarray, coef: np.ndarray, span: float) -> np.ndarray:
    """The mean's coefficients [q, d] of a recursion with these constants (1, t / span)."""
    if not len(constants):
        return constants
    left = np.eye(coef.shape[1]) - coef.sum(axis=0)
    if len(constants) == 1:
        return np.linalg.lstsq(left, constants[0], rcond=None)[0][None]
    slope = np.linalg.lstsq(left, constants[1], rcond=None)[0]
    lagged = np.einsum("i,iab,b->a", np.arange(1, len(coef) + 1) / span, coef, slope)
    return np.stack([np.linalg.lstsq(left, constants[0] - lagged, rcond=None)[0], slope])


def _guess(
    likelihood: ExactLikelihood,
    lags: np.ndarray,
    used: int,
    coef: np.ndarray,
    unwhiten: np.ndarray,
) -> np.ndarray:
    """The covariance of the flat vector that least squares suggests [k, k].

    Args:
        likelihood: of the flat vector.
        lags: the lags' part of the inverse gram.
        used: how many elements were predicted.
        coef: the coefficients, whitened.
        unwhiten: the inverse of the whitening.
    """
    d, p, q = likelihood.d, likelihood.order, likelihood.q
    unturn = np.kron(np.eye(p), unwhiten.T)  # lags of W x: their inverse gram turns the other way
    lags = unturn @ lags @ unturn.T
    row = q + p * d
    guess = np.zeros((d * row + len(likelihood.lower[0]),) * 2)
    columns = _columns_guess(likelihood, coef)
    for a in range(d):
        at = a * row
        guess[at + q : at + row, at + q : at + row] = lags
        for b in range(d):
            guess[at : at + q, b * row : b * row + q] = columns[a, :, b]
    spread = np.where(likelihood.lower[0] == likelihood.lower[1], 0.5, 1.0) / used
    guess[d * row :, d * row :] = np.diag(spread)
    return guess


def _columns_guess(likelihood: ExactLikelihood, coef: np.ndarray) -> np.ndarray:
    """The covariance of the columns' coefficients where all else is known, [d, q, d, q].

    Raises:
        DataError: the columns do not determine them.
    """
    d, q, (_, z, _) = likelihood.d, likelihood.q, likelihood.shifts.shape
    top, leads = likelihood.root[:, :z], likelihood.leads(coef)
    gram = np.einsum(
        "iea,jeb,izk,zw,jwl->akbl",
        leads, leads, likelihood.shifts, top.T @ top, likelihood.shifts, optimize=True,
    ).reshape(d * q, d * q)  # fmt: skip
    size = np.sqrt(np.diag(gram).clip(min=1e-300))
    values, vectors = np.linalg.eigh(gram / np.outer(size, size))
    if q and values[0] <= 1e-13:
        raise DataError(
            f"the {likelihood.used} elements of data beyond the first {likelihood.order} of each "
            "sequence do not determine the coefficients of trend and regressors (context): some "
            "of these are collinear, or the data have a unit root. Leave regressors out, use "
            "another trend, or differences."
        )
    vectors = vectors / size[:, None]
    return ((vectors / values) @ vectors.T).reshape(d, q, d, q)


def _maximise(likelihood: ExactLikelihood, theta: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """BFGS from a good inverse Hessian, until the gain promised by a step is rounding."""
    value, gradient = likelihood(theta)
    for _ in range(1000):
        direction = inverse @ gradient
        promised = float(gradient @ direction)
        if not promised > 1e-11:
            break
        step = min(1.0, 50.0 / promised**0.5)
        after, new = likelihood(theta + step * direction)
        while not after >= value + 1e-4 * step * promised:
            step /= 2
            if step < 1e-10:
                return theta
            after, new = likelihood(theta + step * direction)
        moved, changed = step * direction, gradient - new
        theta, value, gradient = theta + moved, after, new
        curvature = float(moved @ changed)
        if curvature > 1e-12 * float(np.linalg.norm(moved) * np.linalg.norm(changed)):
            half = inverse @ changed
            inverse = inverse + (1 + float(changed @ half) / curvature) / curvature * np.outer(
                moved, moved
            )
            cross = np.outer(half, moved) / curvature
            inverse = inverse - cross - cross.T
    return theta


def _finish(
    likelihood: ExactLikelihood, theta: np.ndarray, guess: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method from near the maximum, and the inverse observed information there."""
    spread = np.sqrt(np.diag(guess))
    value, gradient = likelihood(theta)
    for _ in range(20):
        information = likelihood.information(theta, spread)
        try:
            factor = cho_factor(information)
        except np.linalg.LinAlgError:
            break
        covariance = cho_solve(factor, np.eye(len(theta)))
        direction = covariance @ gradient
        promised = float(gradient @ direction)
        if promised < 1e-9:  # the step's own error is of its square
            after, _ = likelihood(theta + direction)
            return (theta + direction if after >= value - 1e-9 else theta), covariance
        step = 1.0
        after, new = likelihood(theta + step * direction)
        while not after > value:
            step /= 2
            if step < 1e-8:
                break
            after, new = likelihood(theta + step * direction)
        if not after > value:
            break
        theta, value, gradient = theta + step * direction, after, new
        spread = np.sqrt(np.diag(covariance))
    largest = largest_modulus(likelihood.unpack(theta)[0])
    if likelihood.given:
        raise DataError(
            "no maximum of the likelihood of data given the first values was found (the largest "
            f"root is {largest:.6g}). Use a lower order, another trend, fewer regressors, or "
            "differences."
        )
    raise DataError(
        "no maximum of the exact likelihood of data was found inside the stationary region (the "
        f"largest root is {largest:.6g}). Use a lower order, differences, or initial='given'."
    )


def _own_units(
    likelihood: ExactLikelihood, theta: np.ndarray, covariance: np.ndarray, unwhiten: np.ndarray
) -> ExactFit:
    """From whitened components W x to x, the covariance by the delta method."""
    d, p, q = likelihood.d, likelihood.order, likelihood.q
    coef, beta, k = likelihood.unpack(theta)
    factor = likelihood.factor(k)
    row, count = q + p * d, len(likelihood.lower[0])
    # rows of equations mix by U; within a row beta stays and lags are taken of W x
    within = np.eye(row)
    for i in range(p):
        place = slice(q + i * d, q + (i + 1) * d)
        within[place, place] = likelihood.whitening.T
    jacobian = np.zeros((d * row + count,) * 2)
    jacobian[: d * row, : d * row] = np.kron(unwhiten, within)
    for j, (a, b) in enumerate(zip(*likelihood.lower, strict=True)):
        change = np.zeros((d, d))
        change[a, b] = factor[a, a] if a == b else 1.0
        moved = change @ factor.T
        moved = unwhiten @ (moved + moved.T) @ unwhiten.T
        jacobian[d * row :, d * row + j] = moved[likelihood.lower]
    sigma = unwhiten @ factor @ factor.T @ unwhiten.T
    return ExactFit(
        unwhiten @ coef @ likelihood.whitening,
        beta @ unwhiten.T,
        (sigma + sigma.T) / 2,
        carried(jacobian, covariance),
    )
