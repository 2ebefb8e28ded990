"""Compiled drawing from a `NADENetwork`; import inside functions (numba takes its time)."""

from __future__ import annotations

import numpy as np

from arproc.neural.kernels import loose_jit, value_of

__all__ = ["draw"]


@loose_jit
def draw(
    inputs: np.ndarray,
    uniforms: np.ndarray,
    first: int,
    weight: np.ndarray,
    mask: np.ndarray,
    scale: np.ndarray,
    out: np.ndarray,
    bias: np.ndarray,
    forbidden: np.ndarray,
    sigmoid: bool,
) -> np.ndarray:
    """Draw sites by the inverse of their distribution functions, at O(H) each.

    Args:
        inputs: of the hidden layer, from the sites before `first`, float32 [N, H]; overwritten.
        uniforms: for the sites to draw, float64 [N, K].
        first: the first site to draw.
        weight: what a value adds to the inputs, float32 [sites, channels, H].
        mask: what it adds that a site is known, [sites, H]; or [0, H].
        scale: of the inputs, [sites].
        out: from the hidden layer to the outputs, [sites, outputs, H].
        bias: of the outputs, [1 or N, sites, outputs].
        forbidden: bool [sites, outputs], the levels that a site does not have.
        sigmoid: whether the hidden units are sigmoids; else rectifiers.

    Returns:
        Values int64 [N, K].
    """
    n, count = uniforms.shape
    channels = weight.shape[1]
    binary = channels == 1
    x = np.zeros((n, count), np.int64)
    units = np.empty(inputs.shape[1], np.float32)
    scores = np.empty(out.shape[1], np.float32)
    for k in range(count):
        site = first + k
        for i in range(n):
            _activate(inputs[i], scale[site], sigmoid, units)
            for c in range(len(scores)):
                if forbidden[site, c]:
                    scores[c] = -np.inf
                else:
                    scores[c] = bias[i % len(bias), site, c] + _product(out[site, c], units)
            value = value_of(scores, uniforms[i, k], binary)
            x[i, k] = value
            if binary:
                if value == 1:
                    _add(inputs[i], weight[site, 0])
            else:
                _add(inputs[i], weight[site, value])
            if len(mask):
                _add(inputs[i], mask[site])
    return x


@loose_jit
def _activate(inputs: np.ndarray, scale: np.float32, sigmoid: bool, units: np.ndarray) -> None:
    one, zero = np.float32(1), np.float32(0)
    if sigmoid:
        for h in range(len(units)):
            units[h] = one / (one + np.exp(-scale * inputs[h]))
    else:
        for h in range(len(units)):
            units[h] = max(scale * inputs[h], zero)


@loose_jit
def _product(a: np.ndarray, b: np.ndarray) -> np.float32:
    total = np.float32(0)
    for h in range(len(a)):
        total += a[h] * b[h]
    return total


@loose_jit
def _add(to: np.ndarray, what: np.ndarray) -> None:
    for h in range(len(to)):
        to[h] += what[h]
