"""Small inputs by the same code without compiling it.

Compiling takes seconds, once a machine. Where a loop has few steps to do, the interpreter is done
before the compiler would be: it runs the very source of the kernel, so there is nothing else to
keep equal. What decides is the size of the input alone, never what has been compiled already.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic

from arproc.compiled.jit import FORMS

__all__ = ["FEW", "interpreted", "suited"]

#: So many steps of an innermost loop, each about half a microsecond, the interpreter does.
FEW = 50_000


def suited(kernels: ModuleType, steps: float) -> Any:
    """A module of kernels, or the same ones interpreted where there is little to do.

    Args:
        kernels: a module of compiled functions.
        steps: about how many steps of an innermost loop the call takes, from sizes alone.
    """
    return _Interpreted(kernels) if steps <= FEW else kernels


class _Interpreted:
    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        return interpreted(value) if callable(value) else value


@functools.cache
def interpreted(kernel: Any) -> Callable[..., Any]:
    """A kernel's source as a plain function, which calls plain functions in turn.

    Division by zero and the like are silent, as they are in compiled code.
    """
    plain = _plain(kernel)

    @functools.wraps(plain)
    def call(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return plain(*arguments)

    return call


@functools.cache
def _plain(kernel: Any) -> Callable[..., Any]:
    if kernel in FORMS:
        return FORMS[kernel]
    source = getattr(kernel, "py_func", kernel)
    names = dict(source.__globals__)
    plain = FunctionType(source.__code__, names, source.__name__, source.__defaults__)
    for name in source.__code__.co_names:
        if isinstance(names.get(name), (Dispatcher, _Intrinsic)):
            names[name] = _plain(names[name])
    return plain
