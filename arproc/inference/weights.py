"""The weights of mixtures with fixed parts: given by the user, or learnt by EM."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from arproc.errors import DataError, ParameterError, check_array

__all__ = ["fit_weights", "given_weights"]


def given_weights(weights: Sequence[float], count: int) -> torch.Tensor:
    """The user's weights of so many parts, checked, float64 [count]."""
    given = torch.from_numpy(check_array("weights", weights))
    if tuple(given.shape) != (count,) or not bool((given >= 0).all()):
        raise ParameterError(f"weights must be {count} numbers, none negative; got {weights!r}.")
    if abs(float(given.sum()) - 1) > 1e-6:
        raise ParameterError(f"weights must sum to 1; they sum to {float(given.sum()):g}.")
    return given / given.sum()


def fit_weights(
    terms: torch.Tensor, weights: torch.Tensor, tolerance: float, limit: int = 10_000
) -> tuple[torch.Tensor, int]:
    """EM for the weights of a mixture with fixed parts (Dempster, Laird and Rubin 1977, 4.3).

    The log-likelihood is concave in the weights, so EM finds its maximum.

    Args:
        terms: log p_k(x_t | x_<t), float64 [M, total].
        weights: where to start, [M], positive.
        tolerance: the least gain, in nats per element, that lets it go on.
        limit: how many iterations at most.

    Returns:
        The weights [M], and how many iterations there were.
    """
    best = terms.max(dim=0).values
    if not bool(torch.isfinite(best).all()):
        where = int((~torch.isfinite(best)).nonzero()[0])
        raise DataError(
            f"every part of the mixture gives element {where} of the data probability zero (or a "
            "likelihood that is not a number), so no weights can be fitted."
        )
    scaled = (terms - best).exp()
    last = -torch.inf
    for step in range(1, limit + 1):
        total = weights @ scaled
        gain = float(total.log().mean())
        weights = weights * (scaled / total).mean(dim=1)
        if gain - last < tolerance:
            return weights / weights.sum(), step
        last = gain
    return weights / weights.sum(), limit
