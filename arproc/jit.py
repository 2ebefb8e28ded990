"""The one way in which this package compiles: numba, cached on disk where that is possible.

Import this module, and the kernels that use it, inside functions: numba takes a third of a
second to load, and `import arproc` must not pay for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

#: A symbol's or a node's number inside compiled code.
Int = int | np.int64


def jit(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compile on first call, without the interpreter's lock; cached if a folder can be written.

    Args:
        function: what is compiled.
        options: more of numba's own options.
    """
    options = {"nogil": True, "error_model": "numpy", **options}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder for the cache: a read-only install
        return numba.njit(**options)(function)
