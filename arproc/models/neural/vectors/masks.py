"""A network whose output j depends on the inputs before j alone, by masks on its weights."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.models.neural.vectors.heads import Head
from arproc.models.neural.vectors.masked_linear import MaskedLinear
from arproc.models.neural.vectors.vectors import VectorNetwork

__all__ = ["MaskedNetwork"]


class MaskedNetwork(VectorNetwork):
    r"""The masked autoencoder of Germain et al. 2015: all conditionals of a vector in one pass.

    Input j (0, 1, ...) has the degree j + 1, and a hidden unit of degree d depends on the first d
    sites: it sees what has a degree of at most d. The output of site j sees degrees of at most j.
    Degrees rise along a layer, so the units that the first k sites settle are its first ones, and
    an incremental state only ever appends.

    Args:
        sites: how many sites there are.
        head: how a site's value enters the network, and what its outputs say of it.
        hidden: sizes of the hidden layers.
        residual: whether each hidden layer but the first adds to the one before it, as in a
            residual network; they must have equal sizes.
        direct: whether the outputs also depend on the inputs directly.
        context: how many numbers each vector is conditioned on; they reach every unit.

    Example:
        >>> from arproc.models.neural.vectors.heads import BernoulliHead
        >>> network = MaskedNetwork(3, BernoulliHead(), (4,))
        >>> network(torch.tensor([[0.0, 1.0, 1.0]])).shape
        torch.Size([1, 3, 1])
    """

    def __init__(
        self,
        sites: int,
        head: Head,
        hidden: Sequence[int],
        *,
        residual: bool = False,
        direct: bool = False,
        context: int = 0,
    ) -> None:
        super().__init__()
        self.sites, self.residual = sites, residual
        self.channels, self.outputs = head.channels, head.outputs
        self.values = head
        inputs, outputs = head.widths(sites)
        site = torch.arange(sites).repeat_interleave(torch.tensor(inputs))
        out = torch.arange(sites).repeat_interleave(torch.tensor(outputs))
        # the outputs of site k are those from rows[k] to before rows[k + 1]
        self.rows = [0, *itertools.accumulate(outputs)]
        degrees = [site + 1]
        degrees += [1 + torch.arange(size) * max(sites - 1, 1) // size for size in hidden]
        self.layers = nn.ModuleList(
            MaskedLinear(after[:, None] >= before) for before, after in itertools.pairwise(degrees)
        )
        self.head = MaskedLinear(out[:, None] >= degrees[-1])
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():
            start = head.biases(sites)
            self.head.bias.copy_(torch.zeros(len(out)) if start is None else start)
        self.direct = MaskedLinear(out[:, None] > site, bias=False) if direct else None
        if self.direct is not None:
            nn.init.zeros_(self.direct.weight)
        sizes = [*hidden, len(out)] if context else []
        self.given = nn.ModuleList(nn.Linear(context, size, bias=False) for size in sizes)
        # settled[l][k]: how many inputs (l = 0) or units of layer l have a degree of at most k
        k = torch.arange(sites + 1)
        self.settled = [torch.searchsorted(d, k, right=True).tolist() for d in degrees]

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices between hidden layers, which Muon trains."""
        return [layer.weight for layer in self.layers[1:]]  # type: ignore[misc]

    def reordered(self, order: Sequence[int], hidden: Sequence[Tensor] = ()) -> dict[str, Tensor]:
        """See `VectorNetwork`; with the hidden units in other places other weights count."""
        site = torch.tensor(list(order))
        blocks = [
            site[:, None] * size + torch.arange(size) for size in (self.channels, self.outputs)
        ]
        inputs, outputs = (block.flatten() for block in blocks)
        tensors = dict(self.named_parameters()) | dict(self.named_buffers())
        before = inputs
        for i in range(len(self.layers)):
            size = len(tensors[f"layers.{i}.weight"])
            after = hidden[i] if hidden else torch.arange(size)
            tensors[f"layers.{i}.weight"] = tensors[f"layers.{i}.weight"][after][:, before]
            tensors[f"layers.{i}.bias"] = tensors[f"layers.{i}.bias"][after]
            if self.given:
                tensors[f"given.{i}.weight"] = tensors[f"given.{i}.weight"][after]
            before = after
        tensors["head.weight"] = tensors["head.weight"][outputs][:, before]
        tensors["head.bias"] = tensors["head.bias"][outputs]
        if self.direct is not None:
            tensors["direct.weight"] = tensors["direct.weight"][outputs][:, inputs]
        if self.given:
            last = f"given.{len(self.layers)}.weight"
            tensors[last] = tensors[last][outputs]
        return self.reordered_values(tensors, site.tolist())

    def offsets(self, context: Tensor | None) -> list[Tensor]:
        """What a context [N, c] adds to each hidden layer and to the outputs, [N, size] each."""
        if context is None:
            return []
        context = context.to(self.head.weight.dtype)
        return [layer(context) for layer in self.given]

    def activations(self, x: Tensor, offsets: Sequence[Tensor] = ()) -> list[Tensor]:
        """The inputs and every hidden layer's units for whole vectors x [N, sites]."""
        found = [self.values.encode(x)]
        for i, layer in enumerate(self.layers):
            before = layer(found[-1])
            after = F.relu(before + offsets[i] if offsets else before)
            found.append(found[-1] + after if self.residual and i else after)
        return found

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The parameters of every site given those before it, for vectors x [N, sites].

        Returns:
            [N, sites, outputs], finished: what `values.distribution` takes.
        """
        offsets = self.offsets(context)
        return self.scores(self.activations(x, offsets), offsets)

    def scores(self, units: list[Tensor], offsets: Sequence[Tensor] = ()) -> Tensor:
        """The parameters [N, sites, outputs] from `activations`."""
        raw = self.head(units[-1])
        if self.direct is not None:
            raw = raw + self.direct(units[0])
        if offsets:
            raw = raw + offsets[-1]
        return self.values.finish(self.values.split(raw))

    # ---- one site at a time -------------------------------------------------------------------

    def settle(
        self, buffers: list[Tensor], x: Tensor, k: int, offsets: Sequence[Tensor] = ()
    ) -> None:
        """Write the value x [N] of site k - 1 and the units that the first k sites settle.

        Args:
            buffers: inputs and units of each layer, [N, size], those of degrees below k in place.
            x: values.
            k: how many sites are known then.
            offsets: of the context.
        """
        begin, end = self.settled[0][k - 1], self.settled[0][k]
        buffers[0][:, begin:end] = self.values.encode(x[:, None], k - 1)
        for i, layer in enumerate(self.layers):
            before, units, settled = buffers[i], buffers[i + 1], self.settled[i + 1]
            low, high = settled[k - 1], settled[k]
            if high > low:
                # no mask: these units see all that has been settled, and nothing else is there
                weight = layer.weight[low:high, :end]  # type: ignore[index]
                bias = layer.bias[low:high]  # type: ignore[index]
                found = F.linear(before[:, :end], weight, bias)
                found = F.relu(found + offsets[i][:, low:high] if offsets else found)
                residual = self.residual and i
                units[:, low:high] = found + before[:, low:high] if residual else found
            end = high

    def site_scores(self, units: list[Tensor], k: int, offsets: Sequence[Tensor] = ()) -> Tensor:
        """The parameters [N, outputs] of site k, from buffers that k sites have settled."""
        rows = slice(self.rows[k], self.rows[k + 1])
        seen = self.settled[-1][k]
        raw = F.linear(units[-1][:, :seen], self.head.weight[rows, :seen], self.head.bias[rows])
        if self.direct is not None:
            seen = self.settled[0][k]
            raw = raw + F.linear(units[0][:, :seen], self.direct.weight[rows, :seen])
        if offsets:
            raw = raw + offsets[-1][:, rows]
        return self.values.finish(self.values.split(raw, k), k)
