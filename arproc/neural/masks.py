"""A network whose output j depends on the inputs before j alone, by masks on its weights."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.neural.blocks import MaskedLinear

__all__ = ["MaskedNetwork"]


class MaskedNetwork(nn.Module):
    r"""The masked autoencoder of Germain et al. 2015: all conditionals of a vector in one pass.

    Input j (0, 1, ...) has the degree j + 1, and a hidden unit of degree d depends on the first d
    sites: it sees what has a degree of at most d. The output of site j sees degrees of at most j.
    Degrees rise along a layer, so the units that the first k sites settle are its first ones, and
    an incremental state only ever appends.

    Args:
        sites: how many sites there are.
        levels: how many values each site takes; None for binary sites, which have one input (the
            value) and one output (the log-odds) each. Others have one of each a level.
        hidden: sizes of the hidden layers.

    Example:
        >>> network = MaskedNetwork(3, None, (4,))
        >>> network(torch.tensor([[0.0, 1.0, 1.0]])).shape
        torch.Size([1, 3, 1])
    """

    forbidden: Tensor

    def __init__(self, sites: int, levels: Sequence[int] | None, hidden: Sequence[int]) -> None:
        super().__init__()
        self.sites, self.binary = sites, levels is None
        self.channels = 1 if levels is None else max(levels)
        site = torch.arange(sites).repeat_interleave(self.channels)
        degrees = [site + 1]
        degrees += [1 + torch.arange(size) * max(sites - 1, 1) // size for size in hidden]
        self.layers = nn.ModuleList(
            MaskedLinear(after[:, None] >= before) for before, after in itertools.pairwise(degrees)
        )
        self.head = MaskedLinear(site[:, None] >= degrees[-1])
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        # settled[l][k]: how many inputs (l = 0) or units of layer l have a degree of at most k
        k = torch.arange(sites + 1)
        self.settled = [torch.searchsorted(d, k, right=True).tolist() for d in degrees]
        taken = torch.tensor(levels if levels is not None else [1] * sites)
        forbidden = torch.arange(self.channels) >= taken[:, None]
        self.register_buffer("forbidden", forbidden, persistent=False)

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices between hidden layers, which Muon trains."""
        return [layer.weight for layer in self.layers[1:]]  # type: ignore[misc]

    def encode(self, x: Tensor) -> Tensor:
        """The inputs for values x [N, T] of the first T sites: [N, T * channels]."""
        if self.binary:
            return x.to(self.head.weight.dtype)
        return F.one_hot(x.long(), self.channels).flatten(1).to(self.head.weight.dtype)

    def activations(self, x: Tensor) -> list[Tensor]:
        """The inputs and every hidden layer's units for whole vectors x [N, sites]."""
        found = [self.encode(x)]
        for layer in self.layers:
            found.append(F.relu(layer(found[-1])))
        return found

    def forward(self, x: Tensor) -> Tensor:
        """The scores of every site given those before it, for vectors x [N, sites].

        Returns:
            [N, sites, channels]: log-odds of a binary site, else unnormalised log-probabilities
            of its levels (minus infinity for those that it does not have).
        """
        return self.scores(self.activations(x)[-1])

    def scores(self, last: Tensor) -> Tensor:
        """The scores [N, sites, channels] from the last layer's units."""
        scores = self.head(last).unflatten(-1, (self.sites, self.channels))
        return scores.masked_fill(self.forbidden, -torch.inf)

    # ---- one site at a time -------------------------------------------------------------------

    def settle(self, buffers: list[Tensor], x: Tensor, k: int) -> None:
        """Write the value x [N] of site k - 1 and the units that the first k sites settle.

        Args:
            buffers: inputs and units of each layer, [N, size], those of degrees below k in place.
            x: values.
            k: how many sites are known then.
        """
        begin, end = self.settled[0][k - 1], self.settled[0][k]
        buffers[0][:, begin:end] = self.encode(x[:, None])
        for layer, before, units, settled in zip(
            self.layers, buffers[:-1], buffers[1:], self.settled[1:], strict=True
        ):
            low, high = settled[k - 1], settled[k]
            if high > low:
                # no mask: these units see all that has been settled, and nothing else is there
                weight = layer.weight[low:high, :end]  # type: ignore[index]
                bias = layer.bias[low:high]  # type: ignore[index]
                units[:, low:high] = F.linear(before[:, :end], weight, bias).relu_()
            end = high

    def site_scores(self, last: Tensor, k: int) -> Tensor:
        """The scores [N, channels] of site k from the last layer, which k sites have settled."""
        begin, end = self.channels * k, self.channels * (k + 1)
        units = self.settled[-1][k]
        weight, bias = self.head.weight[begin:end, :units], self.head.bias[begin:end]
        scores = F.linear(last[:, :units], weight, bias)
        return scores.masked_fill(self.forbidden[k], -torch.inf)
