"""What is taken from each count: in closed form where that exists, else by leaving one out.

A table of discounts, D[0] = 0, D[1], D[2] ..., says what is taken from a count of 1, 2 ...; its
last entry holds for all counts from there on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from arproc.errors import ParameterError

__all__ = [
    "FALLBACK",
    "ONE",
    "DiscountWarning",
    "absolute",
    "closed_form",
    "fallback",
    "good_turing",
    "maximise",
    "of_one_copy",
]


class DiscountWarning(UserWarning):
    """The closed form of the discounts does not exist, and something else was taken."""


# KenLM's fallback discounts for the counts 1, 2, 3 and more, after an entry for count 0.
FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])
_SCALES = (0.1, 1.9)  # away from 0 and 2, so that neither order gets all the mass
# The same for one discount that all counts share.
ONE = np.array([0.0, 0.5])
_GOLDEN = (5**0.5 - 1) / 2


def closed_form(n: np.ndarray) -> np.ndarray | None:
    """The three discounts of modified Kneser-Ney (Chen and Goodman 1998, equation 26).

    D_j = j - (j + 1) Y n_{j+1} / n_j with Y = n_1 / (n_1 + 2 n_2), in single precision as
    `lmplz` has it: rounding decides what becomes of a discount that is zero but for it.

    Args:
        n: int64 [5], how many n-grams have (adjusted) count 1, 2, 3, 4; entry 0 is not used.

    Returns:
        float64 [4] with entry 0 zero; or None where, as in KenLM, a discount would divide by zero
        or fall outside 0 to j.
    """
    if (n[1:4] == 0).any():
        return None
    j = np.arange(1, 4, dtype=np.float32)
    y = np.float32(n[1]) / np.float32(n[1] + 2 * n[2])
    discount = j - (j + 1) * y * n[2:5].astype(np.float32) / n[1:4].astype(np.float32)
    if (discount < 0).any() or (discount > j).any():
        return None
    return np.concatenate([[0.0], discount.astype(np.float64)])


def absolute(n: np.ndarray) -> np.ndarray | None:
    """One discount for all counts, D = n_1 / (n_1 + 2 n_2) (Ney, Essen and Kneser 1994).

    Args:
        n: int64 [at least 3], how many n-grams have count 1, 2.

    Returns:
        float64 [2], 0 and D; or None where n_1 or n_2 is 0.
    """
    if n[1] == 0 or n[2] == 0:
        return None
    return np.array([0.0, n[1] / (n[1] + 2 * n[2])])


def good_turing(n: np.ndarray, most: int) -> np.ndarray | None:
    """What Katz (1987) takes from counts of 1 to k, in the proportions of Good and Turing.

    r - r d_r with d_r = (r*/r - t) / (1 - t), r* = (r+1) n_{r+1} / n_r, t = (k+1) n_{k+1} / n_1.
    Where the formula gives no discount between 0 and 1 for some r, a smaller k is taken.

    Args:
        n: int64 [most + 2], how many n-grams have count 1, 2 ...
        most: the largest k.

    Returns:
        float64 [k + 2] with zeros first and last; or None where no k will do.
    """
    for k in range(most, 0, -1):
        r = np.arange(1, k + 1)
        if (n[1 : k + 1] == 0).any():
            continue
        rest = (k + 1) * n[k + 1] / n[1]
        if rest >= 1:
            continue
        ratio = ((r + 1) * n[2 : k + 2] / (r * n[1 : k + 1]) - rest) / (1 - rest)
        if (ratio > 0).all() and (ratio < 1).all():
            return np.concatenate([[0.0], r * (1 - ratio), [0.0]])
    return None


def fallback(given: str | float | Sequence[float]) -> np.ndarray | None:
    """The discounts to take where a closed form does not exist, from what the user gave.

    Args:
        given: "leave-one-out", or one to three numbers for the counts 1, 2, 3 and more; where
            there are fewer, the last one holds for the counts beyond (`lmplz
            --discount_fallback`). A number alone is one.

    Returns:
        float64 [4] with entry 0 zero, or None for leave-one-out.

    Raises:
        ParameterError: it is neither; or a discount is negative, or larger than its count.
    """
    if isinstance(given, str) and given == "leave-one-out":
        return None
    numbers = list(given) if isinstance(given, (Sequence, np.ndarray)) else [given]
    known = all(isinstance(d, (int, float, np.number)) for d in numbers)
    if not 1 <= len(numbers) <= 3 or not known:
        raise ParameterError(
            'discount_fallback must be "leave-one-out", or one to three discounts, for the counts '
            f"1, 2, 3 and more, such as (0.5, 1, 1.5); got {given!r}."
        )
    values = np.array([0.0, *numbers, *[numbers[-1]] * (3 - len(numbers))], np.float64)
    for count, discount in enumerate(values):
        if not 0 <= discount <= count:
            raise ParameterError(
                f"What is taken from a count of {count} lies between 0 and {count}; "
                f"discount_fallback has {discount:g}: {given!r}."
            )
    return values


def of_one_copy(
    tally: Callable[[int], np.ndarray],
    copies: int,
    most: int,
    formula: Callable[[np.ndarray], np.ndarray | None],
    shape: np.ndarray,
) -> tuple[np.ndarray, str]:
    """The discounts of a text that stands there so many times: those of one copy, times that.

    With counts and discounts multiplied alike the law is that of the text once.

    Args:
        tally: how many n-grams have count 1, 2 ... up to a given one.
        copies: how often the text stands there.
        most: up to which count the formula reads.
        formula: the closed form.
        shape: what is taken where it does not exist.

    Returns:
        The discounts for the counts 0, 1, 2 ... and where they come from.

    Example:
        >>> once = np.array([0, 60, 20, 10, 5])
        >>> thrice = np.zeros(13, int)
        >>> thrice[::3] = once
        >>> table, source = of_one_copy(lambda most: thrice, 3, 4, closed_form, FALLBACK)
        >>> source, (table[[3, 6, 9]] / 3).round(3).tolist(), closed_form(once).round(3).tolist()
        ('closed form of one copy', [0.6, 1.1, 1.8], [0.0, 0.6, 1.1, 1.8])
    """
    every = tally(copies * most)
    n = np.zeros(most + 1, np.int64)
    np.add.at(n, -(-np.arange(len(every)) // copies), every)
    n[0] = 0
    found = formula(n)
    own = shape if found is None else found
    counts = np.arange(copies * (len(own) - 1) + 1)
    table = np.minimum(copies * own[-(-counts // copies)], counts)
    return table, "fallback" if found is None else "closed form of one copy"


def maximise(
    log_likelihood: Callable[[np.ndarray], float], shape: np.ndarray = FALLBACK
) -> np.ndarray:
    """Discounts, float64, of largest (leave-one-out) log-likelihood.

    They keep the proportions of `shape` (KenLM's fallback values, 1 : 2 : 3), and their scale is
    searched for: three free discounts would be fitted to a handful of n-grams.
    """
    scale, reached = _golden_section(lambda s: log_likelihood(s * shape), *_SCALES)
    start = log_likelihood(shape)
    return scale * shape if reached > start + 1e-9 * abs(start) else shape.copy()


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
