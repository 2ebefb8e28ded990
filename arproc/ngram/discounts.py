"""Kneser-Ney's discounts: in closed form where that exists, else by leaving one out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["FALLBACK", "DiscountWarning", "closed_form", "maximise"]


class DiscountWarning(UserWarning):
    """The closed form of Kneser-Ney's discounts does not exist, and something else was taken."""


# KenLM's fallback discounts for the counts 1, 2, 3 and more, after an entry for count 0.
FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])
_SCALES = (0.1, 1.9)  # away from 0 and 2, so that neither order gets all the mass
_GOLDEN = (5**0.5 - 1) / 2


def closed_form(n: np.ndarray) -> np.ndarray | None:
    """The three discounts of modified Kneser-Ney (Chen and Goodman 1998, equation 26).

    D_j = j - (j + 1) Y n_{j+1} / n_j with Y = n_1 / (n_1 + 2 n_2).

    Args:
        n: int64 [5], how many n-grams have (adjusted) count 1, 2, 3, 4; entry 0 is not used.

    Returns:
        float64 [4] with entry 0 zero; or None where, as in KenLM, a discount would divide by zero
        or fall outside 0 to j.
    """
    if (n[1:4] == 0).any():
        return None
    y = n[1] / (n[1] + 2 * n[2])
    j = np.arange(1, 4)
    discount = j - (j + 1) * y * n[2:5] / n[1:4]
    if (discount < 0).any() or (discount > j).any():
        return None
    return np.concatenate([[0.0], discount])


def maximise(log_likelihood: Callable[[np.ndarray], float]) -> np.ndarray:
    """Discounts, float64 [4], of largest (leave-one-out) log-likelihood.

    They keep the proportions of KenLM's fallback values, 1 : 2 : 3, and their scale is searched
    for: three free discounts would be fitted to a handful of n-grams.
    """
    scale, reached = _golden_section(lambda s: log_likelihood(s * FALLBACK), *_SCALES)
    start = log_likelihood(FALLBACK)
    return scale * FALLBACK if reached > start + 1e-9 * abs(start) else FALLBACK.copy()


def _golden_section(f: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    """Where f is largest on [low, high], and its value there."""
    a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    fa, fb = f(a), f(b)
    while high - low > 1e-4:
        if fa >= fb:
            high, b, fb = b, a, fa
            a = high - _GOLDEN * (high - low)
            fa = f(a)
        else:
            low, a, fa = a, b, fb
            b = low + _GOLDEN * (high - low)
            fb = f(b)
    return max((a, fa), (b, fb), (low, f(low)), (high, f(high)), key=lambda pair: pair[1])
