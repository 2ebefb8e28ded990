"""Products of a few rows with a matrix: as fast as the matrix can be read.

A library's product of one to some ten vectors with a matrix reads the matrix at a third of the
speed of memory, and of five vectors at half of that. Here the matrix is kept in panels of 32
columns, so that it is read from its first byte to its last, and of up to eight rows all sums of a
panel stay in the processor's registers meanwhile: five vectors cost what one costs. Each sum is
taken in the order of the inputs, however many rows there are beside it.

Import inside functions (numba takes its time).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from arproc.compiled.jit import FORMS, jit
from arproc.compiled.vectors import (
    LANES,
    ZERO,
    fused,
    load,
    load_upper,
    loop,
    spread,
    store,
    total,
)

__all__ = ["PANEL", "dots", "fingerprint", "pack", "product", "weighed"]

#: How many columns a panel has.
PANEL = 2 * LANES


def pack(weight: np.ndarray) -> np.ndarray:
    """Matrices [..., outputs, inputs] in panels, [..., panels, inputs, PANEL].

    What is missing in the last panel is zero. Where the weights all are bfloat16 numbers, as the
    published ones of many models are, they are held as such: the upper halves of float32, uint16.
    Products are the same, of half the memory.

    Example:
        >>> pack(np.ones((40, 3), np.float32)).shape
        (2, 3, 32)
    """
    *many, outputs, inputs = weight.shape
    panels = -(-outputs // PANEL)
    whole = np.zeros((*many, panels * PANEL, inputs), np.float32)
    whole[..., :outputs, :] = weight
    parts = whole.reshape(*many, panels, PANEL, inputs).swapaxes(-1, -2)
    bits = whole.view(np.uint32)
    if not (bits & np.uint32(0xFFFF)).any():
        return np.ascontiguousarray(_upper(parts))
    return np.ascontiguousarray(parts)


def _upper(x: np.ndarray) -> np.ndarray:
    """The upper halves of float32 numbers."""
    return (np.ascontiguousarray(x).view(np.uint32) >> np.uint32(16)).astype(np.uint16)


def _whole(panel: np.ndarray) -> np.ndarray:
    """The numbers of a panel, float32."""
    if panel.dtype != np.uint16:
        return panel
    return (panel.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _panel_of(rows: int) -> Any:
    """`(x, w, out, r, p)`: rows r ... r + rows - 1 of x [R, inputs] times panel p of w.

    All arrays are contiguous, x and out float32; the sums go to the panel's columns of out.
    """

    def sums(typing: Any, x: Any, w: Any, out: Any, r: Any, p: Any) -> Any:  # noqa: ARG001
        return types.void(x, w, out, types.intp, types.intp), generate

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, w, out = _arrays(context, builder, signature, arguments, 3)
        r, p = arguments[3:]
        inputs, width = builder.extract_value(x.shape, 1), builder.extract_value(out.shape, 1)
        parts, one = range(PANEL // LANES), r.type
        read = load if signature.args[1].dtype == types.float32 else load_upper
        lines = [builder.mul(builder.add(r, one(k)), inputs) for k in range(rows)]
        panel = builder.mul(builder.mul(p, inputs), one(PANEL))

        def step(i: Any, held: list[Any]) -> list[Any]:
            at = builder.add(panel, builder.mul(i, one(PANEL)))
            weights = [read(builder, w.data, builder.add(at, one(part * LANES))) for part in parts]
            inputs = [spread(builder, x.data, builder.add(line, i)) for line in lines]
            sums = iter(held)
            return [fused(builder, a, b, next(sums)) for a in inputs for b in weights]

        sums = iter(loop(builder, inputs, [ZERO] * (rows * len(parts)), step))
        first = builder.mul(p, one(PANEL))
        for k in range(rows):
            line = builder.add(builder.mul(builder.add(r, one(k)), width), first)
            for part in parts:
                store(builder, next(sums), out.data, builder.add(line, one(part * LANES)))
        return context.get_dummy_value()

    def plain(x: np.ndarray, w: np.ndarray, out: np.ndarray, r: int, p: int) -> None:
        out[r : r + rows, p * PANEL : (p + 1) * PANEL] = x[r : r + rows] @ _whole(w[p])

    found = intrinsic(sums)
    FORMS[found] = plain
    return found


def _arrays(context: Any, builder: Any, signature: Any, arguments: Any, count: int) -> list[Any]:
    """The first arguments of an intrinsic, which are arrays."""
    pairs = zip(signature.args[:count], arguments[:count], strict=True)
    return [context.make_array(kind)(context, builder, value) for kind, value in pairs]


_one, _two, _three, _four = (_panel_of(k) for k in (1, 2, 3, 4))
_five, _six, _seven, _eight = (_panel_of(k) for k in (5, 6, 7, 8))


@jit
def product(x: np.ndarray, w: np.ndarray, out: np.ndarray) -> None:
    """`out = x w`, of x [rows, inputs] and w of `pack`; contiguous, x and out float32.

    Args:
        x: the rows.
        w: a matrix in panels, [panels, inputs, PANEL].
        out: [rows, panels * PANEL], which is written.
    """
    rows = x.shape[0]
    for p in range(w.shape[0]):
        r = 0
        while r + 8 <= rows:
            _eight(x, w, out, r, p)
            r += 8
        left = rows - r
        if left == 1:
            _one(x, w, out, r, p)
        elif left == 2:
            _two(x, w, out, r, p)
        elif left == 3:
            _three(x, w, out, r, p)
        elif left == 4:
            _four(x, w, out, r, p)
        elif left == 5:
            _five(x, w, out, r, p)
        elif left == 6:
            _six(x, w, out, r, p)
        elif left == 7:
            _seven(x, w, out, r, p)


def _dots(typing: Any, query: Any, keys: Any, out: Any, first: Any, count: Any) -> Any:  # noqa: ARG001
    """`(query, keys, out, first, count)`: out[s] = query . keys[first + s] for s < count.

    All float32 and contiguous: query [dim], keys [slots, dim]; dim is a multiple of `LANES`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        query, keys, out = _arrays(context, builder, signature, arguments, 3)
        first, count = arguments[3:]
        dim, one = builder.extract_value(query.shape, 0), first.type
        blocks = builder.sdiv(dim, one(LANES))

        def score(s: Any, _: list[Any]) -> list[Any]:
            line = builder.mul(builder.add(first, s), dim)

            def step(b: Any, held: list[Any]) -> list[Any]:
                at = builder.mul(b, one(LANES))
                key = load(builder, keys.data, builder.add(line, at))
                return [fused(builder, load(builder, query.data, at), key, held[0])]

            (found,) = loop(builder, blocks, [ZERO], step)
            builder.store(total(builder, found), builder.gep(out.data, [s]))
            return []

        loop(builder, count, [], score)
        return context.get_dummy_value()

    return types.void(query, keys, out, types.intp, types.intp), generate


def _weighed(typing: Any, weights: Any, values: Any, out: Any, first: Any, count: Any) -> Any:  # noqa: ARG001
    """`(weights, values, out, first, count)`: the sum of weights[s] values[first + s], s < count.

    All float32 and contiguous: values [slots, dim], out [dim]; dim is a multiple of `LANES`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weights, values, out = _arrays(context, builder, signature, arguments, 3)
        first, count = arguments[3:]
        dim, one = builder.extract_value(out.shape, 0), first.type

        def column(b: Any, _: list[Any]) -> list[Any]:
            at = builder.mul(b, one(LANES))

            def step(s: Any, held: list[Any]) -> list[Any]:
                line = builder.add(builder.mul(builder.add(first, s), dim), at)
                value = load(builder, values.data, line)
                return [fused(builder, spread(builder, weights.data, s), value, held[0])]

            (found,) = loop(builder, count, [ZERO], step)
            store(builder, found, out.data, at)
            return []

        loop(builder, builder.sdiv(dim, one(LANES)), [], column)
        return context.get_dummy_value()

    return types.void(weights, values, out, types.intp, types.intp), generate


def _plain_dots(
    query: np.ndarray, keys: np.ndarray, out: np.ndarray, first: int, count: int
) -> None:
    out[:count] = keys[first : first + count] @ query


def _plain_weighed(
    weights: np.ndarray, values: np.ndarray, out: np.ndarray, first: int, count: int
) -> None:
    out[:] = weights[:count] @ values[first : first + count]


dots: Any = intrinsic(_dots)
weighed: Any = intrinsic(_weighed)
FORMS[dots], FORMS[weighed] = _plain_dots, _plain_weighed


@jit
def fingerprint(bits: np.ndarray) -> np.int64:
    """A number of all the bits of an array and of their places, int32 [n]."""
    found = np.int64(0)
    for i in range(len(bits)):
        found += (2 * i + 1) * np.int64(bits[i])
    return found
