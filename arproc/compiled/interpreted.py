"""Small inputs by the same code without compiling it.

Compiling takes seconds, once a machine. Where a loop has few steps to do, and was not compiled
here yet, the interpreter is done before the compiler would be: it runs the very source of the
kernel, in the same order of operations, so there is nothing else to keep equal. Who calls again
and again gets it compiled.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic

from arproc.compiled.jit import FORMS

__all__ = ["ALL", "FEW", "interpreted", "nothing_interpreted", "suited"]

#: So many steps, each about a microsecond, the interpreter does at once, and so many of a module's
#: in all before it is compiled after all: less than the seconds that compiling takes.
FEW, ALL = 500_000, 3_000_000
_done: dict[str, float] = {}
_known: dict[str, bool] = {}


def suited(kernels: ModuleType, steps: float) -> Any:
    """A module of kernels; the same ones interpreted while they wait to be compiled.

    That is where none of them was compiled on this machine, and there is little to do.

    Args:
        kernels: a module of compiled functions.
        steps: about how many microseconds the interpreter takes.
    """
    if _compiled(kernels):
        return kernels
    done = _done.get(kernels.__name__, 0.0) + steps
    if steps > FEW or done > ALL:
        return kernels
    _done[kernels.__name__] = done
    return _interpreter(kernels)


@contextmanager
def nothing_interpreted() -> Iterator[None]:
    """While it lasts, everything is compiled, however little there is to do."""
    global ALL
    before, ALL = ALL, -1
    try:
        yield
    finally:
        ALL = before


def _compiled(kernels: ModuleType) -> bool:
    """Whether some of a module's functions are compiled, in this process or in its cache."""
    name = kernels.__name__
    found = _known.get(name)
    if found:
        return True
    own = _dispatchers(kernels)
    # the folder is read once: what another process compiles meanwhile, this one does without
    found = any(v.signatures for v in own) or (found is None and any(map(_cached, own)))
    _known[name] = found
    return found


@functools.cache
def _dispatchers(kernels: ModuleType) -> list[Dispatcher]:
    """The compiled functions that a module defines."""
    every = [v for v in vars(kernels).values() if isinstance(v, Dispatcher)]
    return [v for v in every if v.py_func.__module__ == kernels.__name__]


def _cached(kernel: Dispatcher) -> bool:
    """Whether there is a compiled form of a function's present source on disk."""
    index = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    return index is not None and bool(index._load_index())


class _Interpreted:
    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        value = interpreted(value) if callable(value) else value
        setattr(self, name, value)
        return value


@functools.cache
def _interpreter(module: ModuleType) -> _Interpreted:
    return _Interpreted(module)


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
        value = names.get(name)
        if isinstance(value, (Dispatcher, _Intrinsic)) or _calls_kernels(value, source):
            names[name] = _plain(value)
    return plain


def _calls_kernels(value: Any, source: Any) -> bool:
    """Whether it is a function beside `source`, which calls kernels in turn."""
    own = isinstance(value, FunctionType) and value.__module__ == source.__module__
    return own and value is not source
