"""The exact likelihoods of autoregressions of all orders from one set of sums, compiled.

Importing this imports numba.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit
from arproc.gaussian.ar_search import make_room, maximise
from arproc.gaussian.small_kernels import step_down

__all__ = ["objectives"]

_ENOUGH = 1e-7  # what a step promises where it need not be taken: half of it is gained
_INSIDE = 0.9999  # how large a partial autocorrelation may be


@jit
def objectives(e: np.ndarray, n: float, total: float, found: np.ndarray) -> None:
    """The least objective of each order: see `ar_search.maximise` for it, and for n and total.

    Args:
        e: the statistics for the highest order, [p + 1, m, p + 1, m]; a lower one has its corner.
        n: the length of the sequences, all longer than p.
        total: the number of elements in all.
        found: result, [p + 1]; nan where the search needs more care than there is here.
    """
    m = e.shape[1]
    for p in range(len(found)):
        phi, room = np.empty(p), make_room(p, m)
        best = maximise(e[: p + 1, :, : p + 1].copy(), n, total, phi, room, _ENOUGH)
        good = best.ended and best.promised >= 0.0
        if good and p:
            good = step_down(phi, room.levels) < _INSIDE
        # what the last step would gain is half its promise, to within a small power of it
        found[p] = best.value - best.promised / 2 if good else np.nan
