"""A decoder's pass over a few inputs, compiled; import inside functions (numba takes its time)."""

from __future__ import annotations

from math import erf

import numpy as np

from arproc.compiled.exponential import exp_in_place
from arproc.compiled.few_rows import PANEL, dots, product, weighed
from arproc.compiled.vectors import LANES
from arproc.models.neural.kernels import loose_jit

__all__ = ["run"]

_TINY = np.float32(1e-12)
_ONE, _TWO, _HALF, _ZERO = np.float32(1), np.float32(2), np.float32(0.5), np.float32(0)
_GELU, _CUBE, _ROOT = np.float32(0.7978845608), np.float32(0.044715), np.float32(0.5**0.5)


@loose_jit
def run(
    x: np.ndarray,
    first_gain: np.ndarray,
    first_constant: np.ndarray,
    qkv: np.ndarray,
    qkv_bias: np.ndarray,
    out: np.ndarray,
    out_bias: np.ndarray,
    second_gain: np.ndarray,
    second_constant: np.ndarray,
    up: np.ndarray,
    up_bias: np.ndarray,
    down: np.ndarray,
    down_bias: np.ndarray,
    gain: np.ndarray,
    constant: np.ndarray,
    center: bool,
    epsilon: float,
    unit_heads: bool,
    activation: int,
    scale: float,
    slopes: np.ndarray,
    angles: np.ndarray,
    cache: np.ndarray,
    rows: np.ndarray,
    table: np.ndarray,
    shift: int,
    stop: int,
    window: int,
) -> None:
    """All layers over T inputs of each of N rows, whose keys and values join the cache.

    Matrices are in panels (`compiled.few_rows.pack`); of biases and of the norms' constants
    there may be none, [layers, 0].

    Args:
        x: the inputs, embedded, [N T, width]: what the last layer says comes in their place.
        first_gain: of the norm before attention, [layers, width].
        first_constant: likewise, or none.
        qkv: [layers, panels, width, PANEL]; outputs are the heads of queries, those of keys and
            those of values.
        qkv_bias: [layers, panels * PANEL], or none.
        out: likewise, as all of these.
        out_bias: likewise.
        second_gain: of the norm before the MLP.
        second_constant: likewise.
        up: likewise.
        up_bias: likewise.
        down: likewise.
        down_bias: likewise.
        gain: of the last norm, [width].
        constant: likewise, or none, [0].
        center: whether the norms take the mean away.
        epsilon: added to the mean square in them.
        unit_heads: whether queries and keys are brought to length one.
        activation: a number of `ACTIVATIONS` in `layout`.
        scale: of the scores of attention.
        slopes: how fast a head's scores fall with the distance, float32 [heads].
        angles: cosines and sines of the places, float32 [T, dim / 2, 2] or [N T, dim / 2, 2];
            [0, 0, 2] where nothing is turned.
        cache: [layers, 2, rows, kv_heads, capacity, dim].
        rows: which of its rows these are, int64 [N].
        table: positions of the slots before stop + T, int64 [N, slots], negative where a slot
            holds nothing; [0, 0] where slot s is position s + shift in all rows.
        shift: see there.
        stop: how many slots are written.
        window: how many positions a query sees, its own included.
    """
    layers, _, _, kv_heads, _, dim = cache.shape
    inputs, width = x.shape
    count, heads, hidden = inputs // len(rows), len(slopes), down.shape[2]
    y = np.empty((inputs, width), np.float32)
    heads_wide = np.empty((inputs, qkv.shape[1] * PANEL), np.float32)
    taken = np.empty((inputs, heads * dim), np.float32)
    added = np.empty((inputs, max(out.shape[1], down.shape[1]) * PANEL), np.float32)
    wide = np.empty((inputs, up.shape[1] * PANEL), np.float32)
    units = np.empty((inputs, hidden), np.float32)
    scores = np.empty(stop + count, np.float32)
    for layer in range(layers):
        _normed(x, center, epsilon, first_gain[layer], first_constant[layer], y)
        _mapped(y, qkv[layer], qkv_bias[layer], heads_wide)
        for r in range(inputs):
            row = heads_wide[r]
            for h in range(heads + kv_heads):
                head = row[h * dim : (h + 1) * dim]
                if unit_heads:
                    _to_length_one(head)
                if len(angles):
                    _turn(head, angles[r % len(angles)])
            slot = stop + r % count
            for h in range(kv_heads):
                at = (heads + h) * dim
                cache[layer, 0, rows[r // count], h, slot] = row[at : at + dim]
                at += kv_heads * dim
                cache[layer, 1, rows[r // count], h, slot] = row[at : at + dim]
        for r in range(inputs):
            i, slot = r // count, stop + r % count
            own = table[i] if len(table) else table[:0].reshape(-1)
            for h in range(heads):
                kv = h * kv_heads // heads
                _attend(
                    heads_wide[r, h * dim : (h + 1) * dim], cache[layer, 0, rows[i], kv],
                    cache[layer, 1, rows[i], kv], own, slot, shift, window, np.float32(scale),
                    slopes[h], scores, taken[r, h * dim : (h + 1) * dim],
                )  # fmt: skip
        _add(taken, out[layer], out_bias[layer], added, x)
        _normed(x, center, epsilon, second_gain[layer], second_constant[layer], y)
        _mapped(y, up[layer], up_bias[layer], wide)
        for r in range(inputs):
            _activate(wide[r], activation, units[r])
        _add(units, down[layer], down_bias[layer], added, x)
    _normed(x, center, epsilon, gain, constant, y)
    x[:] = y


@loose_jit
def _mapped(x: np.ndarray, w: np.ndarray, bias: np.ndarray, out: np.ndarray) -> None:
    product(x, w, out)
    if len(bias):
        for r in range(len(out)):
            for j in range(len(bias)):
                out[r, j] += bias[j]


@loose_jit
def _add(y: np.ndarray, w: np.ndarray, bias: np.ndarray, room: np.ndarray, x: np.ndarray) -> None:
    """`x + y w + bias` in the place of x."""
    out = room.reshape(-1)[: len(x) * w.shape[0] * PANEL].reshape(len(x), w.shape[0] * PANEL)
    _mapped(y, w, bias, out)
    for r in range(len(x)):
        for j in range(x.shape[1]):
            x[r, j] += out[r, j]


@loose_jit
def _normed(
    x: np.ndarray,
    center: bool,
    epsilon: float,
    gain: np.ndarray,
    constant: np.ndarray,
    y: np.ndarray,
) -> None:
    """Each row over its root mean square, without its mean first if `center`; with the gain."""
    width = x.shape[1]
    for r in range(len(x)):
        mean = _ZERO
        if center:
            for j in range(width):
                mean += x[r, j]
            mean /= np.float32(width)
        square = _ZERO
        for j in range(width):
            square += (x[r, j] - mean) * (x[r, j] - mean)
        over = _ONE / max(np.sqrt(square / np.float32(width) + np.float32(epsilon)), _TINY)
        for j in range(width):
            y[r, j] = (x[r, j] - mean) * over * gain[j]
        for j in range(len(constant)):
            y[r, j] += constant[j]


@loose_jit
def _to_length_one(head: np.ndarray) -> None:
    square = _ZERO
    for j in range(len(head)):
        square += head[j] * head[j]
    over = _ONE / max(np.sqrt(square), _TINY)
    for j in range(len(head)):
        head[j] *= over


@loose_jit
def _turn(head: np.ndarray, angles: np.ndarray) -> None:
    for k in range(len(angles)):
        a, b, c, s = head[2 * k], head[2 * k + 1], angles[k, 0], angles[k, 1]
        head[2 * k], head[2 * k + 1] = a * c - b * s, a * s + b * c


@loose_jit
def _attend(
    query: np.ndarray,
    keys: np.ndarray,
    values: np.ndarray,
    table: np.ndarray,
    slot: int,
    shift: int,
    window: int,
    scale: np.float32,
    slope: np.float32,
    scores: np.ndarray,
    taken: np.ndarray,
) -> None:
    """What the query in a slot takes of the values that it sees, [dim]."""
    rows_differ = len(table) > 0
    own = table[slot] if rows_differ else slot + shift
    first = 0 if rows_differ else max(slot + 1 - window, 0)
    count, dim = slot + 1 - first, len(query)
    if dim % LANES == 0:
        dots(query, keys, scores, first, count)
    else:
        for s in range(count):
            scores[s] = _dot(query, keys[first + s])
    top = np.float32(-np.inf)
    for s in range(count):
        at = table[first + s] if rows_differ else first + s + shift
        if at < 0 or own - at >= window:
            scores[s] = -np.inf
        else:
            scores[s] = scores[s] * scale - slope * np.float32(own - at)
            top = max(top, scores[s])
    for s in range(count):
        scores[s] -= top
    exp_in_place(scores, count)
    total = _ZERO
    for s in range(count):
        if rows_differ and (table[first + s] < 0 or own - table[first + s] >= window):
            scores[s] = _ZERO  # the exponential of minus infinity is not quite that
        total += scores[s]
    over = _ONE / total
    for s in range(count):
        scores[s] *= over
    if dim % LANES == 0:
        weighed(scores, values, taken, first, count)
    else:
        taken[:] = _ZERO
        for s in range(count):
            for j in range(dim):
                taken[j] += scores[s] * values[first + s, j]


@loose_jit
def _dot(a: np.ndarray, b: np.ndarray) -> np.float32:
    found = _ZERO
    for j in range(len(a)):
        found += a[j] * b[j]
    return found


@loose_jit
def _activate(wide: np.ndarray, activation: int, units: np.ndarray) -> None:
    """The hidden units [hidden] of what `up` makes, [at least hidden]."""
    hidden = len(units)
    if activation == 0:  # squared ReLU
        for j in range(hidden):
            v = wide[j]
            units[j] = _ZERO if v < _ZERO else v * v  # what is no number stays none
    elif activation == 1:  # GELU
        for j in range(hidden):
            units[j] = _HALF * wide[j] * (_ONE + np.float32(erf(wide[j] * _ROOT)))
    elif activation == 2:  # GELU by the hyperbolic tangent: (1 + tanh(u)) / 2 is 1 / (1 + e^-2u)
        for j in range(hidden):
            v = wide[j]
            units[j] = -_TWO * _GELU * (v + _CUBE * v * v * v)
        exp_in_place(units, hidden)
        for j in range(hidden):
            units[j] = wide[j] / (_ONE + units[j])
    else:  # SwiGLU
        for j in range(hidden):
            units[j] = -wide[j]
        exp_in_place(units, hidden)
        for j in range(hidden):
            units[j] = wide[j] / (_ONE + units[j]) * wide[hidden + j]
