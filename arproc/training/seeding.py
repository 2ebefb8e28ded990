"""Global generators: torch's, and those from which users' functions draw."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["generators_kept", "seed_all"]


def seed_all(seed: int, *, users: bool = False) -> None:
    """Seed torch's global generators; and those that `users` of augmentations may draw from."""
    torch.manual_seed(seed)
    if users:
        np.random.seed(seed % 2**32)  # noqa: NPY002 (it is theirs that counts)
        random.seed(seed)


@contextmanager
def generators_kept(devices: list[torch.device]) -> Iterator[None]:
    """While inside, global generators may be seeded; afterwards they are as they were."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
