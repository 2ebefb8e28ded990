"""Compiled walks of an automaton over all symbols' bytes. Importing this module imports numba."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit

__all__ = ["walk"]


@jit
def walk(
    table: np.ndarray,
    start: int,
    blob: np.ndarray,
    begin: np.ndarray,
    shared: np.ndarray,
    numbers: np.ndarray,
    path: np.ndarray,
    out: np.ndarray,
) -> None:
    """The state after each symbol's bytes, for symbols in the order of their bytes.

    A symbol begins where it differs from the one before; where a byte has no way on, all symbols
    that share the bytes up to it are passed over.

    Args:
        table: the state after each byte, -1 for none, int32 [states, 256].
        start: the state before.
        blob: the bytes of all symbols, uint8.
        begin: where each symbol's bytes begin, int64 [symbols + 1].
        shared: how many bytes each has in common with the one before, int64 [symbols].
        numbers: the symbols' own numbers, int64 [symbols].
        path: room for the states along one symbol, int32 [longest + 1].
        out: gets the states after the symbols, by their numbers; filled with -1 before.
    """
    path[0] = start
    i, n = 0, len(numbers)
    while i < n:
        first, length = begin[i], begin[i + 1] - begin[i]
        depth = shared[i]
        state = path[depth]
        while depth < length:
            state = table[state, blob[first + depth]]
            if state < 0:
                break
            depth += 1
            path[depth] = state
        if state >= 0:
            out[numbers[i]] = state
            i += 1
            continue
        i += 1
        while i < n and shared[i] > depth:
            i += 1
