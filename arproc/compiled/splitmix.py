"""The uniforms of `arproc.contract.randomness` in one compiled loop, for blocks that are large."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit

__all__ = ["uniforms"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_12, _27, _30, _31 = np.uint64(12), np.uint64(27), np.uint64(30), np.uint64(31)


@jit
def uniforms(keys: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` float64 [N, K]: entry k of a row is hashed from its key + (k + 1) golden.

    Args:
        keys: uint64 [N].
        out: is filled.
    """
    for row in range(len(keys)):
        z = keys[row]
        for k in range(out.shape[1]):
            z += _GOLDEN
            bits = z ^ (z >> _30)
            bits *= _MIX_1
            bits ^= bits >> _27
            bits *= _MIX_2
            bits ^= bits >> _31
            out[row, k] = (np.float64(bits >> _12) + 0.5) * 2.0**-52
