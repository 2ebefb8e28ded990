"""Markov chains of regimes: their stationary distribution, memories and paths of regimes."""

from __future__ import annotations

import sys
from functools import cache
from typing import NoReturn

import numpy as np

from arproc.errors import DataError, UnsupportedError

__all__ = ["MOST_PATHS", "check_paths", "longest_gap", "memories", "refuse_given", "stationary"]

MOST_PATHS = 2048  # of regimes, over which is summed; a forecast over more is simulated


def stationary(transition: np.ndarray) -> np.ndarray:
    """The stationary distribution of a chain with p(to | from) in its rows, [k].

    Example:
        >>> stationary(np.array([[0.9, 0.1], [0.3, 0.7]])).round(2).tolist()
        [0.75, 0.25]
    """
    k = len(transition)
    system = np.eye(k) - transition.T + 1.0
    try:
        found = np.linalg.solve(system, np.ones(k))
    except np.linalg.LinAlgError:  # a chain that falls into parts: one distribution of many
        found = np.linalg.lstsq(system, np.ones(k), rcond=None)[0]
    found = np.maximum(found, 0.0)
    return found / found.sum()


@cache
def memories(k: int, m: int) -> np.ndarray:
    """The regimes (s_t, ..., s_{t-m+1}) of each memory, the newest first: int64 [k^m, m]."""
    number = np.arange(k**m)[:, None]
    return number // k ** np.arange(m - 1, -1, -1) % k


def longest_gap(k: int, count: int, p: int) -> int:
    """How many elements there may be between p observed ones in a row and the next such.

    Args:
        k: how many regimes.
        count: how many memories, k^m.
        p: how many lags.
    """
    return _most_beyond(k, count) - (p - 1)


def check_paths(beyond: int, k: int, count: int, p: int) -> None:
    """Raise where paths of so many regimes beyond those of a memory are too many to sum over."""
    if beyond > _most_beyond(k, count):
        raise UnsupportedError(
            f"data has a gap that is too long for {k} regimes and {p} lag(s): what follows a "
            "missing value depends on the path of regimes until as many elements in a row as "
            f"there are lags are observed again, and there would be more than {MOST_PATHS} paths. "
            f"Expected at most {max(longest_gap(k, count, p), 0)} element(s) between such "
            "observed ones; pass the pieces between the longer gaps as a list, or use fewer "
            "regimes or lags."
        )


def refuse_given(p: int) -> NoReturn:
    """Say that the first elements can not be missing."""
    raise DataError(
        f"data has a missing value among the first {p} of a sequence, which are given in this "
        "law; expected them to be observed. Begin the sequence later."
    )


def _most_beyond(k: int, count: int) -> int:
    """How many regimes beyond a memory's may be told apart."""
    if k == 1:
        return sys.maxsize
    most = 0
    while count * k ** (most + 1) <= MOST_PATHS:
        most += 1
    return most
