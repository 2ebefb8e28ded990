"""The law of a kernel density estimate, and what is known of a partial vector under it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

import torch
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.checked import Array, Number, sentences
from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.data.form import Layout
from arproc.data.vectors import order_of, relative_order
from arproc.errors import DataError
from arproc.models.kernel_density.kernels import BLOCK, GaussianKernel, Kernel, RedrawKernel
from arproc.spaces import Space

__all__ = ["KernelDensityLaw"]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class KernelDensityLaw(ChainLaw):
    """A mixture of products of kernels around the training vectors; see `KernelDensity`.

    Attributes:
        space: of the sites.
        values: the distinct training vectors [M, sites].
        log_weights: the logarithms of their weights, float64 [M].
        bandwidth: float64 [sites], in the order of the sites.
        frequencies: of the levels at each site, [sites, levels]; of real sites no levels.
        shape: of the user's arrays.
        order: the position of each site, or None where it is their own.
    """

    takes_any_order = orders_agree = True

    space: Space
    values: Annotated[Tensor, Array("m", "space.length", kind="float32 float64 int64")]
    log_weights: Annotated[Tensor, Array("m", infinite=True)]
    bandwidth: Annotated[Tensor, Array("space.length", low=0)]
    frequencies: Annotated[Tensor, Array("space.length", "levels", low=0, high=1)]
    shape: tuple[int, ...]
    order: tuple[int, ...] | None = None

    def problems(self) -> Iterator[str]:
        layout, levels = self.layout, self.frequencies.shape[1]
        yield from sentences(
            (layout.length != self.space.length, f"shape {self.shape} is another length"),
            (not len(self.values), "values has no vectors"),
            (abs(float(self.log_weights.detach().logsumexp(0))) > 1e-4,
             "the weights do not sum to one"),
        )  # fmt: skip
        if self.space.measure == "density":
            wrong = Number(above=0).problem(self.bandwidth)
            yield from sentences((wrong is not None, f"bandwidth {wrong}"))
            return
        yield from sentences(
            (bool((self.bandwidth > 1).any()), "a bandwidth is above 1, and is a probability"),
            (levels < (self.space.size or 0), f"frequencies are of {levels} levels"),
            (self.space.problem(self.values) is not None, "values are not elements of the space"),
        )

    @property
    def layout(self) -> Layout:
        return Layout(self.shape, self.order)

    @property
    def numbers(self) -> int:
        return len(self.log_weights)

    @cached_property
    def kernel(self) -> Kernel:
        """Around the training vectors."""
        if self.space.measure == "density":
            return GaussianKernel(self.values, torch.zeros(math.prod(self.shape)))
        return RedrawKernel(self.values, self.frequencies)

    def start(self, n: int, context: Tensor | None) -> State:
        return KernelState(self.kernel, self.bandwidth, self.log_weights.expand(n, -1))

    def log_prob(self, sequences: Sequences, context: Tensor | None) -> Tensor:
        if bool((sequences.lengths < (self.space.length or 0)).any()):
            return super().log_prob(sequences, context)  # of the first sites of some
        x = sequences.padded()[0]
        kernel = replace(self).kernel  # of a copy, so that what it holds of the levels goes again
        blocks = x.split(max(1, BLOCK // len(self.log_weights)))
        return torch.cat(
            [
                (kernel.log_kernels(part, self.bandwidth) + self.log_weights).logsumexp(1)
                for part in blocks
            ]
        )

    def in_order(self, ordering: str | Sequence[int]) -> KernelDensityLaw:
        """The same law with its sites drawn in another order.

        Args:
            ordering: "natural", "random" or a permutation, as for the constructor.
        """
        layout = self.layout
        order = order_of(ordering, layout.length, seed=0)
        index = relative_order(layout, order or range(layout.length))
        return replace(
            self,
            values=self.values[:, index],
            bandwidth=self.bandwidth[index],
            frequencies=self.frequencies[index],
            order=order,
        )


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
