"""Compiled drawing and scoring by a `NADENetwork`; import inside functions (numba takes time)."""

from __future__ import annotations

from functools import partial

import numpy as np

from arproc.models.neural.kernels import loose_jit, value_of

__all__ = ["draw", "gradients", "score"]

#: How many rows go through all sites together, so that their inputs stay in the cache.
_ROWS = 64


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
    binary: bool,
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
        binary: whether a site has one input, its value, rather than one a level.

    Returns:
        Values int64 [N, K].
    """
    n, count = uniforms.shape
    x = np.zeros((n, count), np.int64)
    units = np.empty(inputs.shape[1], np.float32)
    scores = np.empty(out.shape[1], np.float32)
    for begin in range(0, n, _ROWS):
        for k in range(count):
            site = first + k
            for i in range(begin, min(begin + _ROWS, n)):
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
                        _add(inputs[i], np.float32(1), weight[site, 0])
                else:
                    _add(inputs[i], np.float32(1), weight[site, value])
                if len(mask):
                    _add(inputs[i], np.float32(1), mask[site])
    return x


@loose_jit
def score(
    inputs: np.ndarray,
    encoded: np.ndarray,
    first: int,
    weight: np.ndarray,
    mask: np.ndarray,
    out: np.ndarray,
    bias: np.ndarray,
) -> np.ndarray:
    """The outputs for given values, by rectifiers, at O(H) a site.

    Args:
        inputs: of the hidden layer, from the sites before `first`, float32 [N, H]; overwritten by
            those after the last site.
        encoded: the values, float32 [N, K, channels].
        first: the first site.
        weight: see `draw`.
        mask: see `draw`.
        out: see `draw`.
        bias: of the outputs, [sites, outputs].

    Returns:
        float32 [N, K, outputs].
    """
    n, count, channels = encoded.shape
    raw = np.empty((n, count, out.shape[1]), np.float32)
    units = np.empty(inputs.shape[1], np.float32)
    for begin in range(0, n, _ROWS):
        for k in range(count):
            site = first + k
            for i in range(begin, min(begin + _ROWS, n)):
                _activate(inputs[i], np.float32(1), False, units)
                for c in range(raw.shape[2]):
                    raw[i, k, c] = bias[site, c] + _product(out[site, c], units)
                for c in range(channels):
                    value = encoded[i, k, c]
                    if value != 0:
                        _add(inputs[i], value, weight[site, c])
                if len(mask):
                    _add(inputs[i], np.float32(1), mask[site])
    return raw


@loose_jit
def gradients(
    inputs: np.ndarray,
    encoded: np.ndarray,
    of_raw: np.ndarray,
    of_inputs: np.ndarray,
    first: int,
    weight: np.ndarray,
    mask: np.ndarray,
    out: np.ndarray,
    of_weight: np.ndarray,
    of_mask: np.ndarray,
    of_out: np.ndarray,
    of_encoded: np.ndarray,
) -> None:
    """The backward pass of `score`, from the last site to the first.

    The inputs before a site are found again by taking its weights off, so nothing is kept of the
    forward pass but where it ended.

    Args:
        inputs: after the last site, [N, H]; overwritten by those before the first.
        encoded: the values, [N, K, channels].
        of_raw: the gradient of the outputs, [N, K, outputs].
        of_inputs: the gradient of the inputs after the last site, [N, H]; overwritten by that of
            the inputs before the first.
        first: the first site.
        weight: see `draw`, as the next two.
        mask: likewise.
        out: likewise.
        of_weight: what the gradient of `weight` is added to, as the next two.
        of_mask: likewise.
        of_out: likewise.
        of_encoded: is set to the gradient of the values; or [0, 0, 0], where nobody asks.
    """
    n, count, channels = encoded.shape
    for begin in range(0, n, _ROWS):
        for k in range(count - 1, -1, -1):
            site = first + k
            for i in range(begin, min(begin + _ROWS, n)):
                for c in range(channels):
                    value = encoded[i, k, c]
                    if value != 0:
                        _add(of_weight[site, c], value, of_inputs[i])
                        _add(inputs[i], -value, weight[site, c])
                    if len(of_encoded):
                        of_encoded[i, k, c] = _product(weight[site, c], of_inputs[i])
                if len(mask):
                    _add(of_mask[site], np.float32(1), of_inputs[i])
                    _add(inputs[i], np.float32(-1), mask[site])
                for c in range(of_raw.shape[2]):
                    _back(inputs[i], of_raw[i, k, c], out[site, c], of_out[site, c], of_inputs[i])


@loose_jit
def _back(
    inputs: np.ndarray,
    of_raw: np.float32,
    out: np.ndarray,
    of_out: np.ndarray,
    of_inputs: np.ndarray,
) -> None:
    """The gradients that one output's gives to its weights and to the inputs."""
    zero = np.float32(0)
    for h in range(len(inputs)):
        of_out[h] += of_raw * max(inputs[h], zero)
        of_inputs[h] += of_raw * out[h] if inputs[h] > zero else zero


def _plain_activate(
    inputs: np.ndarray, scale: np.float32, sigmoid: bool, units: np.ndarray
) -> None:
    moved = scale * inputs
    units[:] = 1 / (1 + np.exp(-moved)) if sigmoid else np.maximum(moved, 0)


@partial(loose_jit, plain=_plain_activate)
def _activate(inputs: np.ndarray, scale: np.float32, sigmoid: bool, units: np.ndarray) -> None:
    one, zero = np.float32(1), np.float32(0)
    if sigmoid:
        for h in range(len(units)):
            units[h] = one / (one + np.exp(-scale * inputs[h]))
    else:
        for h in range(len(units)):
            units[h] = max(scale * inputs[h], zero)


def _plain_product(a: np.ndarray, b: np.ndarray) -> np.float32:
    return a @ b


@partial(loose_jit, plain=_plain_product)
def _product(a: np.ndarray, b: np.ndarray) -> np.float32:
    total = np.float32(0)
    for h in range(len(a)):
        total += a[h] * b[h]
    return total


def _plain_add(to: np.ndarray, times: np.float32, what: np.ndarray) -> None:
    to += times * what


@partial(loose_jit, plain=_plain_add)
def _add(to: np.ndarray, times: np.float32, what: np.ndarray) -> None:
    for h in range(len(to)):
        to[h] += times * what[h]
