"""Compiled inversion of a layer of MAF; import inside functions (numba takes its time)."""

from __future__ import annotations

from functools import partial

import numpy as np

from arproc.models.neural.kernels import loose_jit

__all__ = ["invert"]

#: How many rows go through the network together: vectors of this many numbers stay in the cache.
_ROWS = 64


@loose_jit
def invert(
    noise: np.ndarray,
    weights: tuple[np.ndarray, ...],
    biases: tuple[np.ndarray, ...],
    settled: np.ndarray,
    residual: bool,
    bound: float,
    far: float,
) -> np.ndarray:
    """The values whose standardised residuals are `noise`, site by site.

    Each unit is computed once, as soon as the sites that it sees are known, from the units before
    it that are settled: the work of one pass through the half of the weights that the masks leave.

    Args:
        noise: float32 [N, sites].
        weights: of the hidden layers and of the head, float32 [outputs, inputs] each; the head's
            rows are, for each site, its place and its width.
        biases: of the same, [1 or N, outputs] each.
        settled: int64 [layers, sites + 1], how many of a layer's inputs the first k sites settle.
        residual: whether each hidden layer but the first adds to the one before.
        bound: of the logarithms of the scales, see `flow_network.log_scale`.
        far: where the values that the network sees end, on either side.

    Returns:
        float32 [N, sites].
    """
    n, sites = noise.shape
    one, limit, most = np.float32(1), np.float32(bound), np.float32(far)
    layers, widest = len(weights) - 1, sites
    for layer in range(layers):
        widest = max(widest, weights[layer].shape[0])
    # units[l, k, r]: unit k of layer l (0: the inputs) in row r of the block
    units = np.zeros((layers + 1, widest, _ROWS), np.float32)
    loc, width = np.empty(_ROWS, np.float32), np.empty(_ROWS, np.float32)
    x = np.empty((n, sites), np.float32)
    for begin in range(0, n, _ROWS):
        rows = min(_ROWS, n - begin)
        for t in range(sites):
            seen = settled[layers, t]
            _product(weights[layers], biases[layers], 2 * t, units[layers], seen, begin, loc)
            _product(weights[layers], biases[layers], 2 * t + 1, units[layers], seen, begin, width)
            for r in range(rows):
                scale = np.exp(width[r] / (one + abs(width[r]) / limit))
                value = loc[r] + scale * noise[begin + r, t]
                x[begin + r, t] = value
                units[0, t, r] = min(max(value, -most), most)
            for layer in range(layers):
                seen = settled[layer, t + 1]
                for unit in range(settled[layer + 1, t], settled[layer + 1, t + 1]):
                    found = units[layer + 1, unit]
                    _product(weights[layer], biases[layer], unit, units[layer], seen, begin, found)
                    for r in range(_ROWS):
                        found[r] = max(found[r], np.float32(0))
                    if residual and layer:
                        for r in range(_ROWS):
                            found[r] += units[layer, unit, r]
    return x


def _plain_product(
    weight: np.ndarray,
    bias: np.ndarray,
    row: int,
    units: np.ndarray,
    seen: int,
    begin: int,
    out: np.ndarray,
) -> None:
    out[:] = bias[(begin + np.arange(_ROWS)) % len(bias), row] + weight[row, :seen] @ units[:seen]


@partial(loose_jit, plain=_plain_product)
def _product(
    weight: np.ndarray,
    bias: np.ndarray,
    row: int,
    units: np.ndarray,
    seen: int,
    begin: int,
    out: np.ndarray,
) -> None:
    """Output `row` of a layer for a block of rows, from the first `seen` units before it."""
    for r in range(_ROWS):
        out[r] = bias[(begin + r) % len(bias), row]
    for k in range(seen):
        w, u = weight[row, k], units[k]
        for r in range(_ROWS):
            out[r] += w * u[r]
