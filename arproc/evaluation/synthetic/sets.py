"""The three sets, as numbers or symbols."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["HOLDOUT", "NAMES", "SYNTHETIC", "TRAIN", "Raw"]

TRAIN, HOLDOUT, SYNTHETIC = 0, 1, 2
#: What the sets are called in messages.
NAMES = ("train", "holdout", "synthetic")


@dataclass(frozen=True)
class Raw:
    """One of the three sets.

    Attributes:
        lengths: of its sequences, int64 [n].
        values: numbers [total, d], NaN where missing; None for symbols and text.
        codes: symbols [total], the same ones for all sets; None for numbers.
    """

    lengths: np.ndarray
    values: np.ndarray | None = None
    codes: np.ndarray | None = None
