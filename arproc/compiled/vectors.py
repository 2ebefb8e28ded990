"""Instructions for sixteen numbers at once, where a compiler would not find them itself.

A loop over an array becomes vector instructions by itself; sums of several rows that should all
stay in registers do not. Intrinsics are made of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

__all__ = ["LANES", "ZERO", "fused", "load", "load_upper", "loop", "spread", "store", "total"]

#: How many float32 a vector holds; a processor without registers so wide takes it in parts.
LANES = 16
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_UNSET = ir.Constant(_VECTOR, ir.Undefined)
_FIRST = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
#: A vector of zeros.
ZERO = ir.Constant(_VECTOR, [0.0] * LANES)


def load(builder: Any, data: Any, index: Any) -> Any:
    """The vector that begins at an element."""
    place = builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())
    return builder.load(place, align=4)


def load_upper(builder: Any, data: Any, index: Any) -> Any:
    """The vector of which the upper halves begin at an element of uint16."""
    half, whole = (ir.VectorType(ir.IntType(bits), LANES) for bits in (16, 32))
    place = builder.bitcast(builder.gep(data, [index]), half.as_pointer())
    bits = builder.zext(builder.load(place, align=2), whole)
    return builder.bitcast(builder.shl(bits, ir.Constant(whole, [16] * LANES)), _VECTOR)


def store(builder: Any, vector: Any, data: Any, index: Any) -> None:
    """Write a vector from an element on."""
    place = builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())
    builder.store(vector, place, align=4)


def spread(builder: Any, data: Any, index: Any) -> Any:
    """A vector full of one element."""
    one = builder.insert_element(_UNSET, builder.load(builder.gep(data, [index])), index.type(0))
    return builder.shuffle_vector(one, _UNSET, _FIRST)


def fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """`a b + c`, rounded once."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    name = f"llvm.fma.v{LANES}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


def total(builder: Any, vector: Any) -> Any:
    """The sum of a vector's numbers."""
    number = ir.FloatType()
    kind = ir.FunctionType(number, [number, _VECTOR])
    name = f"llvm.vector.reduce.fadd.v{LANES}f32"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [number(0.0), vector], fastmath=("reassoc",))


def loop(
    builder: Any, count: Any, begin: Sequence[Any], step: Callable[[Any, list[Any]], Sequence[Any]]
) -> list[Any]:
    """`for i in range(count): held = step(i, held)`, from `begin` on; what is held at the end."""
    before, index = builder.basic_block, count.type
    head, body = builder.append_basic_block(), builder.append_basic_block()
    after = builder.append_basic_block()
    builder.branch(head)
    builder.position_at_end(head)
    i, held = builder.phi(index), [builder.phi(value.type) for value in begin]
    builder.cbranch(builder.icmp_signed("<", i, count), body, after)
    builder.position_at_end(body)
    grown = step(i, held)
    following = builder.add(i, index(1))
    for phi, first, new in zip([i, *held], [index(0), *begin], [following, *grown], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(new, builder.basic_block)
    builder.branch(head)
    builder.position_at_end(after)
    return held
