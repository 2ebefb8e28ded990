"""What compiled loops do with whole arrays.

Numba's own `a[:] = b` first compiles seconds of code that words the error of unequal shapes, for
every pair of types anew; a loop compiles in a tenth of a second and runs as fast.
"""

from __future__ import annotations

import functools

import numpy as np

from arproc.compiled.jit import jit

__all__ = ["put", "put_table"]


def _plain_put(source: np.ndarray, target: np.ndarray) -> None:
    target[: len(source)] = source


@functools.partial(jit, plain=_plain_put)
def put(source: np.ndarray, target: np.ndarray) -> None:
    """Write `source` into the first elements of `target`."""
    for i in range(len(source)):
        target[i] = source[i]


@functools.partial(jit, plain=_plain_put)
def put_table(source: np.ndarray, target: np.ndarray) -> None:
    """Write a matrix into one of the same shape."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]
