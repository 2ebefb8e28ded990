"""Compiled drawing from a `MaskedNetwork`; import inside functions (numba takes its time)."""

from __future__ import annotations

from typing import Any

import numpy as np

from arproc.jit import jit

__all__ = ["Tables", "draw"]


class Tables:
    """A network's numbers as the kernel reads them: inputs by rows, all layers in one array.

    Args:
        network: a `MaskedNetwork`.
    """

    def __init__(self, network: Any) -> None:
        layers = [*network.layers, network.head]
        weights = [layer.masked_weight().detach().cpu().numpy().T for layer in layers]
        biases = [layer.bias.detach().cpu().numpy().copy() for layer in layers]
        biases[-1][network.forbidden.flatten().cpu().numpy()] = -np.inf
        self.weights = np.concatenate([np.ascontiguousarray(w).ravel() for w in weights])
        self.sizes = np.array([w.shape[1] for w in weights])
        self.begins = np.cumsum([0] + [w.size for w in weights])[:-1]
        self.biases = np.concatenate(biases)
        # outputs count as settled after their own site: those beyond k sites follow
        outputs = [network.channels * k for k in range(network.sites + 1)]
        self.settled = np.array([*network.settled[1:], outputs])
        self.binary, self.channels = network.binary, network.channels

    def draw(self, known: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """Draw values [N, K] by uniforms [N, K] after known values [N, T]."""
        known = np.ascontiguousarray(known, dtype=np.int64)
        return draw(
            known, np.ascontiguousarray(uniforms), self.weights, self.begins, self.sizes,
            self.biases, self.settled, self.channels, self.binary,
        )  # fmt: skip


@jit
def draw(
    known: np.ndarray,
    uniforms: np.ndarray,
    weights: np.ndarray,
    begins: np.ndarray,
    sizes: np.ndarray,
    biases: np.ndarray,
    settled: np.ndarray,
    channels: int,
    binary: bool,
) -> np.ndarray:
    """Draw sites by the inverse of their distribution functions, row after row.

    Each value, and each unit as soon as it is settled, is added at once to all that sees it: in
    all, the work of one pass through the half of the weights that the masks leave, and zeros
    (of values and of rectified units) are skipped.

    Args:
        known: values of the first T sites, [N, T].
        uniforms: for the sites to draw, [N, K].
        weights: of all layers, each [inputs, outputs], flat; masked ones are zero.
        begins: where each layer's weights begin.
        sizes: how many outputs each layer has.
        biases: of all layers, flat.
        settled: [layers, sites + 1], how many outputs the first k sites settle.
        channels: inputs of a site.
        binary: whether a site has one input, its value, rather than one a level.
    """
    n, given = known.shape
    count = uniforms.shape[1]
    layers = len(sizes)
    offsets = np.zeros(layers + 1, np.int64)
    for j in range(layers):
        offsets[j + 1] = offsets[j] + sizes[j]
    head = offsets[layers - 1]
    sums = np.empty_like(biases)
    drawn = np.empty((n, count), np.int64)
    for i in range(n):
        sums[:] = biases
        for t in range(given + count):
            if t < given:
                x = known[i, t]
            else:
                x = _value(sums[head + t * channels : head + (t + 1) * channels],
                           uniforms[i, t - given], binary)  # fmt: skip
                drawn[i, t - given] = x
            if not binary or x != 0:
                row = t if binary else t * channels + x
                _add(sums, weights, 1.0, row, begins[0], sizes[0], offsets[0],
                     _later(settled, 0, t, layers))  # fmt: skip
            for j in range(layers - 1):
                for unit in range(settled[j, t], settled[j, t + 1]):
                    value = sums[offsets[j] + unit]
                    if value > 0:
                        _add(sums, weights, value, unit, begins[j + 1], sizes[j + 1],
                             offsets[j + 1], _later(settled, j + 1, t, layers))  # fmt: skip
    return drawn


@jit
def _later(settled: np.ndarray, layer: int, t: int, layers: int) -> int:
    """The first output of a layer that may see site t: units of degree t + 1, or site t + 1."""
    return settled[layer, t + 1] if layer == layers - 1 else settled[layer, t]


@jit
def _add(
    sums: np.ndarray,
    weights: np.ndarray,
    value: float,
    row: int,
    begin: int,
    size: int,
    offset: int,
    low: int,
) -> None:
    base = begin + row * size
    scale = np.float32(value)
    for k in range(low, size):
        sums[offset + k] += scale * weights[base + k]


@jit
def _value(scores: np.ndarray, u: float, binary: bool) -> int:
    """The value that u stands for: the smallest whose distribution function exceeds it."""
    if binary:
        return 1 if u >= 1.0 / (1.0 + np.exp(np.float64(scores[0]))) else 0
    top = np.float64(scores.max())
    total = 0.0
    for k in range(len(scores)):
        total += np.exp(np.float64(scores[k]) - top)
    below = 0.0
    last = 0
    for k in range(len(scores)):
        mass = np.exp(np.float64(scores[k]) - top)
        if mass > 0:
            last = k
        below += mass
        if below > u * total:
            return k
    return last
