"""Compiled drawing from a `MaskedNetwork`; import inside functions (numba takes its time)."""

from __future__ import annotations

from functools import partial

import numpy as np

from arproc.models.neural.kernels import loose_jit, value_of

__all__ = ["draw"]


@loose_jit
def draw(
    known: np.ndarray,
    uniforms: np.ndarray,
    weights: tuple[np.ndarray, ...],
    biases: tuple[np.ndarray, ...],
    direct: np.ndarray,
    forbidden: np.ndarray,
    binary: bool,
    settled: np.ndarray,
    residual: bool,
) -> np.ndarray:
    """Draw sites by the inverse of their distribution functions.

    Each unit is computed once, as soon as the sites that it sees are known, from the units before
    it that are settled; masked weights are never read. So in all this is the work of one pass
    through the half of the weights that the masks leave.

    Args:
        known: values of the first T sites, int64 [N, T].
        uniforms: for the sites to draw, float64 [N, K].
        weights: of the hidden layers and of the head, float32 [outputs, inputs] each.
        biases: of the same, [1 or N, outputs] each.
        direct: from the inputs to the head [outputs, inputs], or [0, 0].
        forbidden: bool [sites, channels], the levels that a site does not have.
        binary: whether a site has one input, its value, rather than one a level.
        settled: int64 [layers, sites + 1], how many of a layer's inputs the first k sites settle.
        residual: whether each hidden layer but the first adds to the one before.

    Returns:
        Values int64 [N, K].
    """
    n, given = known.shape
    total, channels = given + uniforms.shape[1], forbidden.shape[1]
    layers = len(weights) - 1
    widest = 1
    for layer in range(layers):
        widest = max(widest, weights[layer].shape[0])
    units = np.zeros((layers + 1, n, widest), np.float32)
    x = np.zeros((n, total), np.int64)
    for i in range(n):
        for t in range(given):
            x[i, t] = known[i, t]
    scores = np.empty(channels, np.float32)
    for t in range(total):
        if t >= given:
            for i in range(n):
                for c in range(channels):
                    row = t * channels + c
                    bias = biases[layers][i % len(biases[layers]), row]
                    if layers:
                        seen = settled[layers, t]
                        scores[c] = bias + _from_units(
                            weights[layers], row, units[layers - 1, i], seen
                        )
                    else:
                        scores[c] = bias + _from_sites(
                            weights[layers], row, x[i], t, channels, binary
                        )
                    if len(direct):
                        scores[c] += _from_sites(direct, row, x[i], t, channels, binary)
                    if forbidden[t, c]:
                        scores[c] = -np.inf
                x[i, t] = value_of(scores, uniforms[i, t - given], binary)
        if t + 1 == total:
            break
        for layer in range(layers):
            for unit in range(settled[layer + 1, t], settled[layer + 1, t + 1]):
                for i in range(n):
                    score = biases[layer][i % len(biases[layer]), unit]
                    if layer:
                        seen = settled[layer, t + 1]
                        score += _from_units(weights[layer], unit, units[layer - 1, i], seen)
                    else:
                        score += _from_sites(weights[layer], unit, x[i], t + 1, channels, binary)
                    found = max(score, np.float32(0))
                    if residual and layer:
                        found += units[layer - 1, i, unit]
                    units[layer, i, unit] = found
    return x[:, given:]


def _plain_units(weight: np.ndarray, row: int, before: np.ndarray, inputs: int) -> np.float32:
    return weight[row, :inputs] @ before[:inputs]


@partial(loose_jit, plain=_plain_units)
def _from_units(weight: np.ndarray, row: int, before: np.ndarray, inputs: int) -> np.float32:
    """Output `row` of a layer from the first `inputs` units of the layer before."""
    w, u = weight[row, :inputs], before[:inputs]
    total = np.float32(0)
    for k in range(len(w)):
        total += w[k] * u[k]
    return total


def _plain_sites(
    weight: np.ndarray, row: int, x: np.ndarray, sites: int, channels: int, binary: bool
) -> np.float32:
    if binary:
        return np.float32(weight[row, :sites] @ x[:sites].astype(np.float32))
    return np.float32(weight[row, np.arange(sites) * channels + x[:sites]].sum())


@partial(loose_jit, plain=_plain_sites)
def _from_sites(
    weight: np.ndarray, row: int, x: np.ndarray, sites: int, channels: int, binary: bool
) -> np.float32:
    """Output `row` of a layer from the values of the first sites."""
    total = np.float32(0)
    if binary:
        w, values = weight[row, :sites], x[:sites]
        for k in range(len(w)):
            total += w[k] * np.float32(values[k])
        return total
    w = weight[row]
    for site in range(sites):
        total += w[site * channels + x[site]]
    return total
