"""Compiled loops shared out to threads: they run without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

__all__ = ["shares", "threaded"]


def threaded(call: Callable[..., Any], parts: Iterable[tuple]) -> list[Any]:
    """`call(*part)` for each part, on as many threads as torch uses; the results in order."""
    listed = list(parts)
    threads = min(torch.get_num_threads(), len(listed))
    if threads <= 1:
        return [call(*part) for part in listed]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda part: call(*part), listed))


def shares(ends: np.ndarray, smallest: int = 1 << 16) -> list[tuple[int, int]]:
    """Ranges of items, each with about as much work; a few for each thread.

    Args:
        ends: the work up to and with each item, [n], not decreasing.
        smallest: work that is not worth dividing.

    Returns:
        (first, last) of each range, last excluded.
    """
    n, work = len(ends), int(ends[-1]) if len(ends) else 0
    threads = torch.get_num_threads()
    if threads == 1 or work <= smallest:
        return [(0, n)] if n else []
    pieces = 8 * threads
    cuts = np.searchsorted(ends, work * np.arange(1, pieces) / pieces, side="left") + 1
    edges = np.unique(np.concatenate([[0], np.minimum(cuts, n), [n]]))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
