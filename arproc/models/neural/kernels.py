"""What the compiled samplers share; import inside functions (numba takes its time)."""

from __future__ import annotations

from functools import partial

import numpy as np

from arproc.compiled.jit import jit

__all__ = ["loose_jit", "value_of"]

# Sums may be taken in any order, which lets the compiler use vector instructions.
loose_jit = partial(jit, fastmath={"reassoc", "contract", "nsz"})


@loose_jit
def value_of(scores: np.ndarray, u: float, binary: bool) -> int:
    """The value that u stands for: the smallest whose distribution function exceeds it."""
    if binary:
        return 1 if u >= 1.0 / (1.0 + np.exp(np.float64(scores[0]))) else 0
    top = np.float64(scores[0])
    for k in range(1, len(scores)):
        top = max(top, np.float64(scores[k]))
    total = 0.0
    for k in range(len(scores)):
        total += np.exp(np.float64(scores[k]) - top)
    below, last = 0.0, 0
    for k in range(len(scores)):
        mass = np.exp(np.float64(scores[k]) - top)
        if mass > 0:
            last = k
        below += mass
        if below > u * total:
            return k
    return last
