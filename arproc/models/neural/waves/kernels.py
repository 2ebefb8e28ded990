"""Compiled drawing from a `WaveNetwork`; import inside functions (numba takes its time)."""

from __future__ import annotations

from functools import partial

import numpy as np

from arproc.models.neural.kernels import loose_jit, value_of

__all__ = ["draw"]


@loose_jit
def draw(
    queue: np.ndarray,
    total: np.ndarray,
    given: np.ndarray,
    uniforms: np.ndarray,
    offsets: np.ndarray,
    table: np.ndarray,
    dilations: np.ndarray,
    kept: np.ndarray,
    gates: np.ndarray,
    biases: np.ndarray,
    outs: np.ndarray,
    hidden: np.ndarray,
    hidden_bias: np.ndarray,
    last: np.ndarray,
    last_bias: np.ndarray,
    levels: int,
) -> np.ndarray:
    """Go on by samples that are given, or drawn by the inverse of their distribution functions.

    A sample costs one pass through the layers. While it runs each layer's queue is a ring, whose
    oldest input is overwritten.

    Args:
        queue: the last inputs of each layer, layer after layer, float32 [N, sum of kept, width];
            overwritten by those at the end.
        total: the sum over layers at the next sample's position, [N, skip]; overwritten too.
        given: samples, int64 [N, K]; or [N, 0].
        uniforms: for those to draw, float64 [N, K]; or [N, 0].
        offsets: what the context adds before the gates, [N or 1, K or 1, layers, 2 width].
        table: the input of each level, [levels + 1, width].
        dilations: of the layers.
        kept: how many inputs each layer's queue has.
        gates: weights before the gates, [layers, kernel width, 2 width].
        biases: of the same, [layers, 2 width].
        outs: weights behind the gates, [layers, width, skip + width].
        hidden: weights of the hidden layer behind the sum, [skip, skip].
        hidden_bias: of the same.
        last: weights of the outputs, [skip, outputs].
        last_bias: of the same.
        levels: of a mixture of logistics; 0 where the outputs are the scores of the levels.

    Returns:
        The samples, int64 [N, K].
    """
    n, width, skip = queue.shape[0], queue.shape[2], total.shape[1]
    count, taps = max(given.shape[1], uniforms.shape[1]), gates.shape[1] // width
    x = np.zeros((n, count), np.int64)
    place = np.zeros(len(kept), np.int64)  # the oldest input of each ring
    features = np.zeros((n, width), np.float32)
    z = np.empty(2 * width, np.float32)
    units = np.empty(skip, np.float32)
    scores = np.empty(len(last_bias), np.float32)
    for k in range(count):
        for i in range(n):
            if given.shape[1]:
                x[i, k] = given[i, k]
            else:
                _described(total[i], hidden, hidden_bias, last, last_bias, units, scores)
                if levels:
                    x[i, k] = _mixture_value(scores, uniforms[i, k], levels)
                else:
                    x[i, k] = value_of(scores, uniforms[i, k], False)
            for c in range(width):
                features[i, c] = table[x[i, k], c]
            for c in range(skip):
                total[i, c] = np.float32(0)
        begin = 0
        for layer in range(len(kept)):
            size, at = kept[layer], place[layer]
            for i in range(n):
                _add(offsets[i % len(offsets), k % offsets.shape[1], layer], biases[layer], z)
                for tap in range(taps - 1):
                    lag = (taps - 1 - tap) * dilations[layer]
                    old = begin + (at - lag) % size
                    _product(gates[layer, tap * width : (tap + 1) * width], queue[i, old], z)
                _product(gates[layer, (taps - 1) * width :], features[i], z)
                for c in range(width):
                    queue[i, begin + at, c] = features[i, c]
                _gated(z, width)
                _product(outs[layer, :, :skip], z[:width], total[i])
                _product(outs[layer, :, skip:], z[:width], features[i])
            place[layer] = (at + 1) % size
            begin += size
    _straighten(queue, kept, place)
    return x


def _plain_add(one: np.ndarray, other: np.ndarray, result: np.ndarray) -> None:
    result[:] = one + other


@partial(loose_jit, plain=_plain_add)
def _add(one: np.ndarray, other: np.ndarray, result: np.ndarray) -> None:
    """The sum of two vectors, written into a third."""
    for i in range(len(result)):
        result[i] = one[i] + other[i]


def _plain_product(weight: np.ndarray, x: np.ndarray, result: np.ndarray) -> None:
    result += x @ weight


@partial(loose_jit, plain=_plain_product)
def _product(weight: np.ndarray, x: np.ndarray, result: np.ndarray) -> None:
    """Add `x weight` to the result: four rows of the weight [inputs, outputs] at a time."""
    whole = len(x) // 4 * 4
    for i in range(0, whole, 4):
        a, b, c, d = x[i], x[i + 1], x[i + 2], x[i + 3]
        first, second, third, fourth = weight[i], weight[i + 1], weight[i + 2], weight[i + 3]
        for j in range(len(result)):
            result[j] += a * first[j] + b * second[j] + c * third[j] + d * fourth[j]
    for i in range(whole, len(x)):
        a, first = x[i], weight[i]
        for j in range(len(result)):
            result[j] += a * first[j]


def _plain_gated(z: np.ndarray, width: int) -> None:
    a, b = 1 / (1 + np.exp(-z[:width])), 1 / (1 + np.exp(-z[width:]))
    z[:width] = 2 * a * b - b


@partial(loose_jit, plain=_plain_gated)
def _gated(z: np.ndarray, width: int) -> None:
    """`tanh(a / 2) sigmoid(b)` of the halves of z, written into the first."""
    one = np.float32(1)
    for c in range(2 * width):
        z[c] = one / (one + np.exp(-z[c]))
    for c in range(width):
        z[c] = (z[c] + z[c] - one) * z[width + c]


def _plain_described(
    total: np.ndarray,
    hidden: np.ndarray,
    hidden_bias: np.ndarray,
    last: np.ndarray,
    last_bias: np.ndarray,
    units: np.ndarray,
    scores: np.ndarray,
) -> None:
    units[:] = np.maximum(np.maximum(total, 0) @ hidden + hidden_bias, 0)
    scores[:] = units @ last + last_bias


@partial(loose_jit, plain=_plain_described)
def _described(
    total: np.ndarray,
    hidden: np.ndarray,
    hidden_bias: np.ndarray,
    last: np.ndarray,
    last_bias: np.ndarray,
    units: np.ndarray,
    scores: np.ndarray,
) -> None:
    """The outputs, from the sum over layers."""
    none = np.float32(0)
    for c in range(len(total)):
        total[c] = max(total[c], none)
        units[c] = hidden_bias[c]
    _product(hidden, total, units)
    for c in range(len(units)):
        units[c] = max(units[c], none)
    for c in range(len(scores)):
        scores[c] = last_bias[c]
    _product(last, units, scores)


@loose_jit
def _mixture_value(raw: np.ndarray, u: float, levels: int) -> int:
    """The smallest level whose distribution function reaches u; see `DiscretisedLogisticHead`."""
    low, high = -1, levels - 1
    while high - low > 1:
        middle = (low + high) // 2
        if _mixture_below(raw, middle + 0.5, levels) < u:
            low = middle
        else:
            high = middle
    return high


@loose_jit
def _mixture_below(raw: np.ndarray, x: float, levels: int) -> float:
    """The distribution function of a mixture of logistics at x."""
    components, half = len(raw) // 3, max((levels - 1) / 2, 0.5)
    top = np.float64(raw[0])
    for k in range(1, components):
        top = max(top, np.float64(raw[k]))
    below, weights = 0.0, 0.0
    for k in range(components):
        weight = np.exp(np.float64(raw[k]) - top)
        loc = (levels - 1) / 2 + half * np.float64(raw[components + k])
        log_scale = max(np.float64(raw[2 * components + k]) + np.log(half), -5.0)
        weights += weight
        below += weight / (1.0 + np.exp((loc - x) * np.exp(-log_scale)))
    return below / weights


def _plain_straighten(queue: np.ndarray, kept: np.ndarray, place: np.ndarray) -> None:
    begin = 0
    for size, at in zip(kept, place, strict=True):
        queue[:, begin : begin + size] = np.roll(queue[:, begin : begin + size], -at, axis=1)
        begin += size


@partial(loose_jit, plain=_plain_straighten)
def _straighten(queue: np.ndarray, kept: np.ndarray, place: np.ndarray) -> None:
    """Turn each ring so that its oldest input comes first."""
    begin = 0
    for layer in range(len(kept)):
        size = kept[layer]
        turned = np.empty((size, queue.shape[2]), np.float32)
        for i in range(queue.shape[0]):
            for j in range(size):
                for c in range(queue.shape[2]):
                    turned[j, c] = queue[i, begin + (place[layer] + j) % size, c]
            for j in range(size):
                for c in range(queue.shape[2]):
                    queue[i, begin + j, c] = turned[j, c]
        begin += size
