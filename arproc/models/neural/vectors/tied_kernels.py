"""Compiled drawing by `TiedFrames`; import inside functions (numba takes time)."""

from __future__ import annotations

import numpy as np

from arproc.models.neural.kernels import loose_jit

__all__ = ["draw"]


@loose_jit
def draw(
    units: np.ndarray,
    uniforms: np.ndarray,
    reached: np.ndarray,
    told: np.ndarray,
    inner: np.ndarray,
    bias: np.ndarray,
    out: np.ndarray,
    level: float,
) -> np.ndarray:
    """Draw sites from the lowest to the highest, by the inverse of their distribution functions.

    Args:
        units: what the frames before say, float32 [N, sites, width]; overwritten.
        uniforms: float64 [N, sites].
        reached: what a site that is on adds to the units of those above it, by its distance from
            1 on, [below, width].
        told: what each site that is on below adds, and what none adds, [2, width].
        inner: from the units to those of the second layer, [width, width], by column.
        bias: of these, [width].
        out: from the units to the log-odds, [width].
        level: the constant of these.

    Returns:
        Zeros and ones, float64 [N, sites].
    """
    n, sites = uniforms.shape
    width, x = units.shape[2], np.zeros((n, sites))
    first, second = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(n):
        so_far = np.float32(0)
        for site in range(sites):
            for k in range(width):
                value = units[i, site, k] + so_far * told[0, k]
                if so_far == 0:
                    value += told[1, k]
                first[k] = max(value, np.float32(0))
                second[k] = bias[k]
            for j in range(width):
                if first[j] > 0:
                    for k in range(width):
                        second[k] += first[j] * inner[j, k]
            odds = np.float64(level)
            for k in range(width):
                odds += out[k] * (first[k] + max(second[k], np.float32(0)))
            if uniforms[i, site] >= 1.0 / (1.0 + np.exp(odds)):
                x[i, site] = 1.0
                so_far += np.float32(1)
                for d in range(min(len(reached), sites - site - 1)):
                    for k in range(width):
                        units[i, site + 1 + d, k] += reached[d, k]
    return x
