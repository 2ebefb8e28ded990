"""The exponential function of many numbers in single precision, by vector instructions.

Import inside functions (numba takes its time).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from arproc.compiled.jit import FORMS, jit

__all__ = ["exp_in_place"]

# ln 2 in two parts, of which the first has few digits: k times it is exact.
_HIGH, _LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_LARGEST, _SMALLEST = np.float32(88.0), np.float32(-87.0)
_TURNS, _HALF, _ONE = np.float32(1.44269504), np.float32(0.5), np.float32(1.0)
# exp(r) = 1 + r + r^2 P(r) for |r| <= ln(2) / 2 (the minimax polynomial of Cephes' expf)
_P0, _P1 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3)
_P2, _P3 = np.float32(8.3334519073e-3), np.float32(4.1665795894e-2)
_P4, _P5 = np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)


def _float_of_bits(typing: Any, bits: Any) -> Any:  # noqa: ARG001
    """`float_of_bits(i)`: the float32 that has the bits of an int32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


float_of_bits: Any = intrinsic(_float_of_bits)
FORMS[float_of_bits] = lambda bits: np.int32(bits).view(np.float32)


@partial(jit, fastmath={"contract"})
def exp_in_place(x: np.ndarray, count: int) -> None:
    """The exponentials of the first `count` of float32 numbers.

    To three units in the last place; to one where the processor multiplies and adds at once.
    Below -87 it is exp(-87), 1.6e-38, and above 88 exp(88).
    """
    for j in range(count):
        v = x[j]
        v = _SMALLEST if v < _SMALLEST else v  # what is no number stays none
        v = _LARGEST if v > _LARGEST else v
        k = np.floor(v * _TURNS + _HALF)
        r = v - k * _HIGH - k * _LOW
        p = ((((_P0 * r + _P1) * r + _P2) * r + _P3) * r + _P4) * r + _P5
        scale = float_of_bits(np.int32((np.int32(k) + np.int32(127)) << np.int32(23)))
        x[j] = (p * r * r + r + _ONE) * scale
