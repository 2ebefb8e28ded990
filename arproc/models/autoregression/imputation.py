r"""What missing elements of an autoregression were: their law given all that was observed.

The joint density of a sequence is that of its standardised innovations, so the precision of the
missing elements given the others is :math:`Q = A^\top A`, A being the columns of the map from
deviations to standardised innovations that belong to the missing ones. Q is banded (p elements on
each side), so its Cholesky factor, the means, the variances and joint draws all cost a constant
for each missing element, however long the sequence and its gaps.

References:
    Rue, Held (2005), Gaussian Markov Random Fields, section 2.4. Takahashi, Fagan, Chen (1973):
    the variances from the factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from arproc.models.autoregression.filtering import refuse_given
from arproc.models.autoregression.recursion import Recursion

__all__ = ["Missing", "inverse_band", "missing_given_observed", "solved"]


@dataclass(frozen=True)
class Missing:
    """The joint normal law of the missing elements of one sequence.

    Attributes:
        places: their positions in the sequence [m].
        mean: their means [m].
        factor: the Cholesky factor of their precision, lower, by diagonals: `factor[d, i]` is row
            i + d, column i, [band, m].
    """

    places: np.ndarray
    mean: np.ndarray
    factor: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        """Their standard deviations, [m]."""
        return np.sqrt(inverse_band(self.factor)[0])

    def draws(self, normals: np.ndarray) -> np.ndarray:
        """Joint draws from independent standard normals, [n, m] to [n, m]."""
        from scipy.linalg import solve_banded

        m = len(self.places)
        # the transpose of the factor, in the order of diagonals that solve_banded takes
        upper = np.zeros_like(self.factor)
        for d in range(len(self.factor)):
            upper[len(self.factor) - 1 - d, d:] = self.factor[d, : m - d]
        return self.mean + solve_banded((0, len(upper) - 1), upper, normals.T).T


def missing_given_observed(
    x: torch.Tensor, recursion: Recursion, given: int, context: torch.Tensor | None = None
) -> Missing:
    """The law of the missing elements of one sequence given the observed ones.

    Args:
        x: the sequence, NaN where an element is missing, float64 [T].
        recursion: that of the sequence.
        given: 0, or p where the first elements are given.
        context: its regressors [T, c], for recursions that have some.
    """
    gone = torch.isnan(x).numpy()
    if gone[:given].any():
        refuse_given(given)
    recursion, length, p = recursion.observed(), len(x), recursion.order
    position = torch.arange(length)
    own = None if context is None else context[None]
    level = torch.atleast_2d(recursion.level.at(position[None], own)).expand(1, length)[0].numpy()
    driven = recursion.driven(position[None], own)
    rows = np.minimum(np.arange(length), p)
    weights = recursion.weights.numpy()[rows]  # [T, p]
    scales = recursion.scales.numpy()[rows]  # [T]
    constants = recursion.constants.numpy()[rows]
    if driven is not None:
        constants = constants + driven.expand(1, length)[0].numpy()
    y = np.where(gone, 0.0, x.numpy() - level)
    rest = y - constants
    effects = np.zeros((p + 1, length))  # of the element s on the innovation k later, [k, s]
    effects[0] = 1 / scales
    for k in range(1, min(p, length - 1) + 1):
        rest[k:] -= weights[k:, k - 1] * y[:-k]
        effects[k, :-k] = -weights[k:, k - 1] / scales[k:]
    rest /= scales
    effects[0, :given], rest[:given] = 0.0, 0.0  # of given elements there is no density
    return solved(np.flatnonzero(gone), rest, effects, level)


def solved(
    places: np.ndarray, rest: np.ndarray, effects: np.ndarray, level: np.ndarray
) -> Missing:
    """Mean and factor from innovations where the missing are 0 [T] and the effects [p + 1, T]."""
    from scipy.linalg import cho_solve_banded, cholesky_banded

    from arproc.compiled.interpreted import suited
    from arproc.gaussian import lag_kernels

    m, p, length = len(places), len(effects) - 1, len(rest)
    if m == 0:
        return Missing(places, np.zeros(0), np.zeros((1, 0)))
    pull = np.zeros(length)
    for k in range(min(p, length - 1) + 1):
        pull[: length - k] -= effects[k, : length - k] * rest[k:]
    band = min(p, m - 1)
    kernels = suited(lag_kernels, 2 * m * (p + 1) ** 2)
    precision = kernels.precision(effects, places, band)
    factor = cholesky_banded(precision, lower=True)
    mean = cho_solve_banded((factor, True), pull[places])
    return Missing(places, mean + level[places], factor)


def inverse_band(factor: np.ndarray) -> np.ndarray:
    """The inverse within the band of its factor; see `lag_kernels.inverse_band`."""
    from arproc.compiled.interpreted import suited
    from arproc.gaussian import lag_kernels

    return suited(lag_kernels, factor.shape[0] * factor.size).inverse_band(factor)
