"""The one way in which this package compiles: numba, cached on disk where that is possible.

Import this module, and the kernels that use it, inside functions: numba takes a third of a
second to load, and `import arproc` must not pay for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.types.misc import unliteral
from numba.extending import intrinsic

from arproc.compiled.notice import NOTICE

__all__ = ["FORMS", "Int", "jit", "prefetch"]

#: What the interpreter runs instead of a kernel's own source: the same in NumPy, or nothing.
FORMS: dict[Any, Callable[..., Any]] = {}

#: A symbol's or a node's number inside compiled code.
Int = int | np.int64


def jit(
    function: Callable[..., Any], plain: Callable[..., Any] | None = None, **options: Any
) -> Callable[..., Any]:
    """Compile on first call, without the interpreter's lock; cached if a folder can be written.

    Args:
        function: what is compiled.
        plain: what stands for it where small inputs are interpreted (`compiled.interpreted`);
            None for the function's own source.
        options: more of numba's own options.
    """
    kernel = _unspecialised(_compiled(function, options))
    if plain is not None:
        FORMS[kernel] = plain
    return kernel


def _compiled(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    # nobody takes a kernel's address for C, so no wrapper is compiled for that
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, **options}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder for the cache: a read-only install
        NOTICE.kept = False
        return numba.njit(**options)(function)


def _unspecialised(kernel: Any) -> Any:
    """The same, compiled once for all integers: numba would do it anew for 0, and for 1."""
    resolve = kernel.get_call_template

    def call(arguments: Any, named: dict[str, Any]) -> Any:
        return resolve(
            tuple(map(unliteral, arguments)),
            {name: unliteral(kind) for name, kind in named.items()},
        )

    kernel.get_call_template = call
    return kernel


def _prefetch(typing: Any, array: Any, index: Any) -> Any:  # noqa: ARG001  (numba's form)
    """`prefetch(array, i)`: ask the processor for element i, which will be read soon."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        made = context.make_array(kind)(context, builder, arguments[0])
        element = cgutils.get_item_pointer(
            context, builder, kind, made, [arguments[1]], wraparound=False
        )
        address = builder.bitcast(element, ir.IntType(8).as_pointer())
        word = ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [address.type, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, shape, "llvm.prefetch.p0")
        builder.call(function, [address, word(0), word(3), word(1)])  # to read, to keep, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


prefetch: Any = intrinsic(_prefetch)
FORMS[prefetch] = lambda _array, _index: None
