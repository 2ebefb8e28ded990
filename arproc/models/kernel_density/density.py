"""KernelDensity: Parzen's windows as a process, with exact conditionals in any order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arproc.contract.sequences import Sequences
from arproc.data.form import Layout
from arproc.data.vectors import level_count, order_of, vectors_of
from arproc.errors import ParameterError, check_array, check_integer, check_number
from arproc.models.kernel_density.kernels import BLOCK, GaussianKernel, Kernel, RedrawKernel
from arproc.models.kernel_density.law import KernelDensityLaw
from arproc.process import Process
from arproc.spaces import Binary, Categorical, Real, Space

__all__ = ["KernelDensity"]

_QUERIES = 4096  # vectors on which the bandwidths are learnt, at most


class KernelDensity(Process):
    r"""Kernel density estimation of vectors (Rosenblatt 1956; Parzen 1962), as a process.

    .. math:: p(x) = \sum_i w_i \prod_j k_j(x_j; x_{ij})

    with a training vector i for each component and its share w_i of the sample weights (equal
    ones are merged). A mixture of products has exact conditionals in every order, which weigh the
    training vectors by how well they fit what is known, and all orders give one law.

    The kernel of a real value is normal. That of a discrete one keeps the training vector's value
    with probability :math:`1 - \lambda_j` and else draws from the site's frequencies (Aitchison
    and Aitken 1976, but for the distribution that is drawn from).

    It is a baseline that says how much of a model's quality is memory: data with vectors that
    occur twice reward it. `OrderEnsemble` mixes it with other models.

    Discrete training vectors are held as indicators of their levels, 8 bytes for each level of
    each site of each vector: a thousand images of 28 by 28 bytes take 1.6 GB.

    Args:
        bandwidth: of a real site the kernel's standard deviation, in the unit of the data; of a
            discrete one the probability of a redraw. One number, or one for each position. None
            finds one a site by maximum likelihood of the training vectors, each left out of its
            own density (Habbema, Hermans and van den Broek 1974), by EM.
        levels: how many values a discrete site takes; None takes one more than the largest.
        min_scale: what the standard deviations are at least, in the unit of the data, one number
            or one for each position. Half the rounding step is a sound choice for rounded data.
        iterations: of EM, at most.
        tolerance: EM stops when an iteration gains less than this, in nats a vector.
        ordering: "natural", "random" or a permutation, as in `MADE`. It says in which order sites
            are drawn and does not change the law.

    Attributes:
        bandwidth_: float64 [sites], in the order of the sites.
        values_: the distinct training vectors [M, sites].
        log_weights_: the logarithms of their weights, float64 [M].

    Example:
        >>> import arproc, numpy as np
        >>> x = np.array([[0.0, 0.0], [0.1, 0.1], [5.0, 5.0], [5.2, 5.1]])
        >>> model = arproc.KernelDensity(min_scale=0.05).fit(x)
        >>> bool(model.log_prob([5.1, 5.0]) > model.log_prob([5.1, 0.0]))
        True
        >>> float(model.conditional([5.1]).mean.round(decimals=1))     # of the second value
        5.0
    """

    takes_weights = True

    law_: KernelDensityLaw
    bandwidth_: Tensor
    values_: Tensor
    log_weights_: Tensor
    frequencies_: Tensor
    shape_: tuple[int, ...]
    _shape: tuple[int, ...] = ()  # of the data, noted while they are read

    def __init__(
        self,
        bandwidth: float | Sequence[float] | None = None,
        *,
        levels: int | None = None,
        min_scale: float | Sequence[float] = 0.0,
        iterations: int = 50,
        tolerance: float = 1e-4,
        ordering: str | Sequence[int] = "natural",
    ) -> None:
        self.bandwidth = bandwidth
        self.levels = levels
        self.min_scale = min_scale
        self.iterations = iterations
        self.tolerance = tolerance
        self.ordering = ordering

    # ---- space and layout ---------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        check_integer("iterations", self.iterations, minimum=1)
        check_number("tolerance", self.tolerance, low=0)
        if isinstance(data, Sequences):
            self._shape = (data.space.length or 0,)
            return data.space
        x, self._shape = vectors_of(data)
        length = math.prod(self._shape)
        if self.levels is not None:
            levels = check_integer("levels", self.levels, minimum=2)
        elif x.is_floating_point() and bool((x != x.floor()).any()):
            return Real(length=length)
        else:
            levels = level_count(x, "Data are taken for real where they have fractions.")
        return Binary(length=length) if levels == 2 else Categorical(levels, length=length)

    def _layout_of(self, space: Space) -> Layout:
        shape = self._shape or (space.length or 0,)
        return Layout(shape, order_of(self.ordering, math.prod(shape), seed=0))

    def _per_site(self, name: str, given: float | Sequence[float], layout: Layout) -> Tensor:
        """What the user gave for all positions or each, in the order of the sites."""
        sites = layout.length
        found = torch.from_numpy(check_array(name, given)).flatten()
        sound = len(found) in (1, sites) and bool((torch.isfinite(found) & (found >= 0)).all())
        if not sound:
            raise ParameterError(
                f"{name} must be a number, 0 or more, or {sites} of them, one for each position; "
                f"got {given!r}."
            )
        return layout.to_sites(found.expand(sites).reshape(1, *layout.shape))[0]

    def _spreads(self) -> bool:
        return self.bandwidth is not None or bool(
            np.any(check_array("min_scale", self.min_scale) > 0)
        )

    # ---- learning -------------------------------------------------------------------------------

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> KernelDensityLaw:
        if validation is not None:
            raise ParameterError(
                "KernelDensity leaves each vector out of its own density to choose bandwidths, "
                "and takes no validation; add these vectors to the data."
            )
        x, _ = sequences.padded()
        given = sequences.weights
        values, where = x.unique(dim=0, return_inverse=True)
        each = torch.ones(len(x), dtype=torch.float64) if given is None else given.double()
        weights = torch.zeros(len(values), dtype=torch.float64).index_add(0, where, each)
        values, weights = values[weights > 0], weights[weights > 0]
        layout = self._layout_of(sequences.space)
        frequencies = _frequencies(values, weights, sequences.space)
        kernel: Kernel
        if sequences.space.measure == "density":
            kernel = GaussianKernel(values, self._per_site("min_scale", self.min_scale, layout))
        else:
            kernel = RedrawKernel(values, frequencies)
        if self.bandwidth is not None:
            bandwidth = kernel.admitted(self._per_site("bandwidth", self.bandwidth, layout))
        else:
            bandwidth = self._bandwidth(kernel, weights)
        log_weights = (weights / weights.sum()).log()
        return KernelDensityLaw(
            sequences.space, values, log_weights, bandwidth, frequencies, layout.shape,
            layout.order,
        )  # fmt: skip

    def _bandwidth(self, kernel: Kernel, weights: Tensor) -> Tensor:
        """EM for the bandwidths, under the likelihood of each vector given all the others.

        Habbema et al. (1974); the component that a vector comes from is what is not observed.
        """
        usable = (
            kernel.plain.nonzero()[:, 0]
            if bool(kernel.plain.any())
            else torch.arange(len(weights))
        )
        count = min(_QUERIES, len(usable))
        spread = usable[torch.linspace(0, len(usable) - 1, count, dtype=torch.float64).long()]
        bandwidth, last = kernel.first(weights), -torch.inf
        if len(weights) == 1:
            return bandwidth
        for _ in range(self.iterations):
            gain, mass, sums = torch.zeros(()), torch.zeros(()), kernel.nothing()
            for rows in spread.split(max(1, BLOCK // len(weights))):
                scores = kernel.log_kernels(kernel.values[rows], bandwidth)
                others = weights.expand(len(rows), -1).clone()
                own = weights[rows]
                others[torch.arange(len(rows)), rows] = own - own.clamp(max=1.0)
                scores = scores + (others / (weights.sum() - own.clamp(max=1.0))[:, None]).log()
                total = scores.logsumexp(1, keepdim=True)
                share = (scores - total).exp() * own[:, None]
                gain, mass = gain + own @ total[:, 0], mass + own.sum()
                sums = sums + kernel.sums(kernel.values[rows], share, bandwidth)
            bandwidth = kernel.updated(sums, mass)
            if float(gain / mass) - last < self.tolerance:
                break
            last = float(gain / mass)
        return bandwidth


def _frequencies(values: Tensor, weights: Tensor, space: Space) -> Tensor:
    """How often each level is seen at each site, one of each added, [sites, levels]."""
    levels = space.size
    if levels is None or space.measure == "density":
        return torch.zeros((values.shape[1], 0), dtype=torch.float64)
    hits = torch.nn.functional.one_hot(values.long(), levels).double()
    counts = torch.einsum("i,ijk->jk", weights, hits) + 1.0
    return counts / counts.sum(1, keepdim=True)
