"""Heads for the symbols after the next: what a network guesses without a pass of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.models.neural.sequences.blocks import squared_relu, unit
from arproc.models.neural.sequences.crops import IGNORED
from arproc.models.neural.sequences.network import SequenceNetwork

__all__ = ["HeadAhead", "ahead_loss", "heads_ahead", "matrices"]


class HeadAhead(nn.Module):
    r"""From what the last layer says of the next symbol to what it would say of a later one.

    With :math:`h` of the last layer after :math:`x_{\le t}` and the embeddings
    :math:`e_1 \ldots e_k` of the k symbols that come next, it is :math:`h` with
    :math:`W_d\,\mathrm{relu}(W_u [h, e_1, \ldots, e_k])^2` added, brought to the length of h. A
    head that looks at the symbols between guesses as one sequence what several would guess each
    for itself.

    Source: Gloeckle et al. 2024 (multi-token prediction); Ankner et al. 2024 (that heads look at
    what lies between).

    Args:
        width: of the network.
        between: how many symbols come between, k.
    """

    def __init__(self, width: int, between: int) -> None:
        super().__init__()
        self.up = nn.Linear((1 + between) * width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)
        nn.init.zeros_(self.down.weight)  # it begins as the head for the next symbol

    def forward(self, hidden: Tensor, between: Tensor) -> Tensor:
        """Of hidden [..., width] and embeddings [..., k, width] it makes [..., width]."""
        root = hidden.shape[-1] ** 0.5
        length = hidden.norm(dim=-1, keepdim=True)
        own = unit(hidden) * root
        known = (unit(between) * root).flatten(-2)
        added = self.down(squared_relu(self.up(torch.cat([own, known], dim=-1))))
        found: Tensor = length * unit(own + added)
        return found


def heads_ahead(count: int, width: int) -> nn.ModuleList:
    """The heads for the `count` symbols after the next, the nearest first."""
    return nn.ModuleList(HeadAhead(width, k) for k in range(1, count + 1))


def matrices(heads: nn.ModuleList) -> list[tuple[Tensor, Tensor]]:
    """The matrices `up` and `down` of each head."""
    return [(head.up.weight, head.down.weight) for head in heads]  # type: ignore[union-attr, misc]


def ahead_loss(
    network: SequenceNetwork, hidden: Tensor, targets: Tensor, weights: object
) -> Tensor:
    """What the heads' guesses cost: nats a term, the mean over the heads.

    Terms after which nothing comes cost nothing, so that the loss of a batch is the mean of its
    parts' by their numbers of terms.

    Args:
        network: with at least one head.
        hidden: of the last layer [N, T, width], before each of the targets.
        targets: int64 [N, T]; `IGNORED` beyond the ends.
        weights: those of `network.weights()`.
    """
    known, total = targets.clamp(min=0), hidden.new_zeros((), dtype=torch.float32)
    for k in range(1, min(len(network.ahead), targets.shape[1] - 1) + 1):
        between = known.unfold(1, k, 1)[:, :-1]  # [N, T - k, k]
        scores = network.scores(network.further(hidden[:, :-k], between), weights)
        wanted = targets[:, k:].flatten()
        total = total + F.cross_entropy(scores.flatten(0, 1).float(), wanted, reduction="sum")
    return total / (len(network.ahead) * (targets != IGNORED).sum())
