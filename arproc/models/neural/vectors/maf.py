"""MAF: a masked autoregressive flow over real vectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from arproc.contract.law import WholeLaw
from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.contract.storable import storable
from arproc.data.arrays import to_tensor
from arproc.data.form import Form, Layout, restore
from arproc.data.vectors import order_of, vectors_of
from arproc.errors import DataError, ParameterError, check_choice, check_integer
from arproc.models.neural.base import NeuralLaw, NeuralModel
from arproc.models.neural.vectors.flow_network import FlowNetwork
from arproc.models.neural.vectors.vectors import hidden_sizes
from arproc.process import Fit
from arproc.spaces import Real, Space
from arproc.training import Training, seed_of

__all__ = ["MAF", "MAFLaw"]

#: How many vectors are scored at once.
_ROWS = 4096


@storable
@dataclass(frozen=True, eq=False, repr=False)
class MAFLaw(NeuralLaw, WholeLaw):
    """The density of real vectors that a flow gives; see `MAF`."""

    no_conditional = (
        "its layers take the sites in different orders, so the conditionals of no one order are "
        "tractable"
    )

    network: FlowNetwork
    layout: Layout = field(kw_only=True)

    def log_prob(self, sequences: Sequences, context: Tensor | None) -> Tensor:
        network = self.network
        sequences.require_length(network.sites)
        x = sequences.padded()[0].to(self.device)
        parts = [
            network.log_density(x[rows], None if context is None else context[rows])
            for rows in torch.arange(len(x), device=x.device).split(_ROWS)
        ]
        return _sound(torch.cat(parts))

    def draw(self, n: int, uniforms: Uniforms, context: Tensor | None) -> Tensor:
        u = uniforms.block(torch.arange(n), 0, self.network.sites)
        return self.network.invert(torch.special.ndtri(u).to(self.device), context)

    def iterate(
        self,
        n: int,
        uniforms: Uniforms,
        context: Tensor | None,
        tolerance: float,
        passed: Callable[[int, int], None],
    ) -> Tensor:
        u = uniforms.block(torch.arange(n), 0, self.network.sites)
        noise = torch.special.ndtri(u).to(self.device)
        return self.network.iterate(noise, context, tolerance, passed)


class MAF(NeuralModel):
    r"""Masked autoregressive flow (Papamakarios, Pavlakou and Murray 2017).

    A density of real vectors, :math:`p(x) = N(f(x); 0, I) |\det f'(x)|`, whose map f is a stack
    of MADEs with normal conditionals: each gives the standardised residuals of its input, in
    another order than the one before, and the last one's are noise. A density costs one pass of
    each layer; so does a draw, site by site.

    Args:
        hidden: sizes of the hidden layers of each autoregressive layer.
        layers: how many autoregressive layers there are.
        reordering: how the ordering of the sites changes from each layer to the next: "reverse",
            or "random" from the training's seed.
        normalisation: what stands after each layer: "batch" (batch normalisation, with the
            statistics of the training data once training is over, so that the density is exact),
            "activation" (fixed at the start of training) or "none".
        residual: whether each hidden layer but the first adds to the one before it.
        ordering: the first layer's order: "natural", "random" or a permutation.
        conditioned: whether each vector is conditioned on another: `context` is then [N, c], in
            every call that takes data.
        classes: how many classes there are, where each vector is conditioned on its label:
            `context` is then the labels [N], 0 ... classes-1.
        training: how it is trained.

    Example:
        >>> import arproc, numpy as np
        >>> x = np.random.default_rng(0).normal(size=(200, 2)) @ [[1.0, 2.0], [0.0, 0.5]]
        >>> plan = arproc.Training(steps=200, lr=0.01, batch_size=64)
        >>> model = arproc.MAF((16,), layers=2, training=plan).fit(x)
        >>> z = model.to_noise(x)
        >>> bool(np.abs(model.from_noise(z) - x).max() < 1e-3)
        True
    """

    no_conditional = MAFLaw.no_conditional

    law_: MAFLaw
    network_: FlowNetwork
    shape_: tuple[int, ...]
    _shape: tuple[int, ...]

    def __init__(
        self,
        hidden: int | Sequence[int] = (100, 100),
        layers: int = 5,
        *,
        reordering: str = "reverse",
        normalisation: str = "batch",
        residual: bool = False,
        ordering: str | Sequence[int] = "natural",
        conditioned: bool = False,
        classes: int | None = None,
        training: Training | None = None,
    ) -> None:
        self.hidden = hidden
        self.layers = layers
        self.reordering = reordering
        self.normalisation = normalisation
        self.residual = residual
        self.ordering = ordering
        self.conditioned = conditioned
        self.classes = classes
        self.training = training

    # ---- space and layout ---------------------------------------------------------------------

    def _infer_space(self, data: Any) -> Space:
        self._check_parameters()
        if isinstance(data, Sequences):
            if not isinstance(data.space, Real) or data.space.length is None:
                raise DataError(
                    f"data are {data.space.describe()} sequences; MAF models real vectors of one "
                    "length."
                )
            self._shape = (data.space.length,)
            return data.space
        x, self._shape = vectors_of(data)
        if self.normalisation == "batch" and len(x) == 1:
            raise DataError(
                "data has 1 vector, which has no variance; normalisation='batch' needs 2 or more."
            )
        return Real(length=math.prod(self._shape))

    def _check_parameters(self) -> None:
        sizes = hidden_sizes(self.hidden)
        self._check_context_parameters()
        check_integer("layers", self.layers, minimum=1)
        check_choice("reordering", self.reordering, ("reverse", "random"))
        check_choice("normalisation", self.normalisation, ("batch", "activation", "none"))
        if self.residual and len(set(sizes)) > 1:
            raise ParameterError(
                f"residual=True adds each hidden layer to the one before it, so they must have "
                f"equal sizes; got hidden={self.hidden!r}."
            )
        if self.normalisation == "batch" and self._settings.batch_size < 2:
            raise ParameterError(
                "normalisation='batch' needs batches of at least 2 vectors; got "
                f"batch_size={self._settings.batch_size}."
            )

    def _layout_of(self, space: Space) -> Layout:
        length = space.length or 0
        order = order_of(self.ordering, length, self._settings.seed)
        return Layout(vars(self).get("_shape", (length,)), order)

    def _orders(self, sites: int) -> list[list[int]]:
        """In which order each layer takes what the layer before it gives."""
        orders = [list(range(sites))]
        for layer in range(1, self.layers):
            if self.reordering == "reverse":
                orders.append(list(range(sites))[::-1])
            else:
                seed = seed_of(self._settings.seed, layer)
                orders.append(list(order_of("random", sites, seed) or ()))
        return orders

    # ---- learning -----------------------------------------------------------------------------

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> tuple[MAFLaw, Fit]:
        space = sequences.space
        sites = space.length or 0

        normalisation: Any = self.normalisation  # one of the network's: `fit` looked

        def build() -> FlowNetwork:
            return FlowNetwork(
                sites,
                hidden_sizes(self.hidden),
                self._orders(sites),
                normalisation=normalisation,
                residual=self.residual,
                context=0 if context is None else context.shape[1],
            )

        network, fit = self._trained_on_examples(build, sequences, validation, context)
        form, layout = self._learnt_form(context), self._layout_of(space)
        return MAFLaw(network, space, form, layout=layout), fit

    # ---- the noise behind vectors -------------------------------------------------------------

    def to_noise(self, data: Any, *, context: Any = None) -> Any:
        """The standard normal noise [N, D] behind vectors, in the order of the last layer.

        Args:
            data: vectors.
            context: what they are conditioned on.

        Returns:
            An array [N, D] ([D] for one vector); a tensor for a tensor, differentiable.
        """
        network, sequences = self.law_.network, self.sequences(data)
        sequences.require_length(network.sites)
        form = sequences.form
        prepared = self.read_context(context, sequences, 0)
        with torch.set_grad_enabled(torch.is_grad_enabled() and form.kind == "tensor"):
            noise, _ = network(sequences.padded()[0].to(self.device), prepared)
            noise = noise.double()
        if form.kind != "tensor":
            rows: Any = noise.detach().cpu().numpy()
        else:
            rows = noise.to(form.device)
        return rows[0] if form.single else rows

    def from_noise(self, noise: Any, *, context: Any = None) -> Any:
        """The vectors whose noise this is: the inverse of `to_noise`, without gradients.

        Args:
            noise: [N, D], or [D] for one vector.
            context: what the vectors are conditioned on.

        Returns:
            Vectors in the shape of the data; a tensor for a tensor.
        """
        network = self.law_.network
        kind = "tensor" if isinstance(noise, Tensor) else "numpy"
        z = to_tensor(noise, "noise").double()
        if z.ndim not in (1, 2) or z.shape[-1] != network.sites:
            raise DataError(
                f"noise has shape {list(z.shape)}; expected [N, {network.sites}], or "
                f"[{network.sites}] for one vector."
            )
        if not bool(torch.isfinite(z).all()):
            raise DataError("noise has values that are not finite; expected finite numbers.")
        form = Form(kind, single=z.ndim == 1, device=z.device)
        z = z.detach().to(self.device).reshape(-1, network.sites)
        x = network.invert(z, self.read_context(context, len(z), 0))
        lengths = torch.full((len(z),), network.sites)
        return restore(x, lengths, self.space, form, self.layout)


def _sound(found: Tensor) -> Tensor:
    """The log-densities [N], or `DataError` where a layer's numbers were beyond float32."""
    if bool(torch.isnan(found).any()):
        row = int(torch.isnan(found).nonzero()[0, 0])
        raise DataError(
            f"data has a vector (number {row}) so far from the training data that float32 can not "
            "tell its density; leave it out, or fit on data that have such values."
        )
    return found
