"""What is known of a partial vector: how much weight each training vector still has."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.state import State
from arproc.errors import DataError
from arproc.models.kernel_density.kernels import Kernel

__all__ = ["KernelState"]


class KernelState(State):
    """The posterior weights of the training vectors given the known sites.

    Args:
        kernel: around the training vectors.
        bandwidth: of each site, [sites].
        log_weights: their logarithms for each row, up to a constant, float64 [N, M].
    """

    def __init__(self, kernel: Kernel, bandwidth: Tensor, log_weights: Tensor) -> None:
        self.kernel, self.bandwidth, self.log_weights = kernel, bandwidth, log_weights

    def _site(self) -> Tensor:
        # of a whole vector nothing comes next; the clamp serves rows that ended in a mixed batch
        return self.lengths.clamp(max=len(self.bandwidth) - 1)

    def _conditional(self) -> Distribution:
        return self.kernel.mixture(self.log_weights, self._site(), self.bandwidth)

    def _append(self, x: Tensor) -> KernelState:
        sites = len(self.bandwidth)
        if self.history.stop == sites:
            raise DataError(f"a vector has {sites} sites, and all are known.")
        seen = self.kernel.log_kernel(x, self._site(), self.bandwidth)
        weights = torch.log_softmax(self.log_weights + seen, dim=1)
        return KernelState(self.kernel, self.bandwidth, weights)

    def _select(self, rows: Tensor) -> KernelState:
        return KernelState(self.kernel, self.bandwidth, self.log_weights[rows])
