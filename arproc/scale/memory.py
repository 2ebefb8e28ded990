"""How many series a partition may have, so that what is held stays below a ceiling."""

from __future__ import annotations

from typing import Any

import numpy as np

from arproc.errors import ParameterError, check_bytes

__all__ = ["rows_at_once", "size_of"]

#: Bytes that Python, the libraries, the compiled loops and a row group being read take.
BASE = 800_000_000
#: Bytes for each row that is read, for each series, and for each step of its forecasts.
ROW, SERIES, STEP = 250, 60_000, 1_500
#: And for each covariate of a row or a step.
COLUMN = 120
_LEAST, _MOST = 1, 20_000  # series of a partition


def size_of(memory: Any) -> int:
    """A number of bytes, from such as "2GB" (units of 1000) or a whole number.

    Example:
        >>> size_of("2GB"), size_of("1.5 GB"), size_of(4_000_000_000)
        (2000000000, 1500000000, 4000000000)
    """
    found = check_bytes("memory", memory)
    if found <= BASE:
        raise ParameterError(
            f"memory is {memory!r}; expected more than {BASE / 1e9:g} GB, which Python and the "
            "libraries take."
        )
    return min(found, 2**60)  # more is no ceiling


def rows_at_once(
    starts: np.ndarray, horizon: int, ceiling: int, workers: int, local: bool, beside: int = 0
) -> np.ndarray:
    """Where partitions of whole series begin, and the number of series, int64 [P + 1].

    Args:
        starts: where each series begins, and the number of rows, int64 [N + 1].
        horizon: how many steps are forecast.
        ceiling: bytes of all together.
        workers: how many partitions are held at once.
        local: whether they are in this process.
        beside: how many covariates there are.
    """
    each = (ceiling - BASE) // max(workers, 1) if local else ceiling - BASE
    # candidates are there twice where there are covariates, and some copies of these
    row, step = (1 + bool(beside)) * ROW + COLUMN * beside, (1 + bool(beside)) * STEP
    cost = np.diff(starts) * row + SERIES + (step + COLUMN * beside) * horizon
    total = np.concatenate([[0], np.cumsum(cost)])
    cuts = [0]
    while cuts[-1] < len(cost):
        first = cuts[-1]
        last = int(np.searchsorted(total, total[first] + each, side="right")) - 1
        cuts.append(min(max(last, first + _LEAST), first + _MOST, len(cost)))
    return np.array(cuts, np.int64)
