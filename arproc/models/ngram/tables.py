"""Tables of probabilities as distributions."""

from __future__ import annotations

import numpy as np
import torch

from arproc.distributions import Categorical

__all__ = ["NO_TABLE", "NO_UNIFORMS", "categorical"]

#: What kernels that may fill a table, or draw from uniforms, are given where they shall not.
NO_TABLE, NO_UNIFORMS = np.empty((0, 0, 0)), np.empty((0, 0))


def categorical(table: np.ndarray, device: torch.device) -> Categorical:
    """The distributions with the probabilities `table` [..., V], none of them zero."""
    return Categorical(torch.from_numpy(np.log(table)).to(device))
