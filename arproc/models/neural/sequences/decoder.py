"""The network behind `Transformer`: a decoder with rotary positions and a sliding window."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.models.neural.given import Given
from arproc.models.neural.sequences.ahead import heads_ahead, matrices
from arproc.models.neural.sequences.blocks import rotate, squared_relu, unit
from arproc.models.neural.sequences.layout import Layout, Maps
from arproc.models.neural.sequences.network import Attend, SequenceNetwork
from arproc.models.neural.sequences.ngrams import NGramEmbedding

__all__ = ["Decoder", "Layer", "Weights"]

# Queries and keys have length one, so a score is this times the cosine of their angle. The usual
# scale would hold it below the root of the head's size, too soft to single out one key of many.
_SHARPNESS = 10.0


class Layer(NamedTuple):
    """The matrices of one layer, [inputs, outputs]."""

    qkv: Tensor
    out: Tensor
    up: Tensor
    down: Tensor


class Weights(NamedTuple):
    """What `Decoder` computes by: the root of the width is in the matrices that follow a norm."""

    embedding: Tensor | None
    layers: list[Layer]
    head: Tensor


class Decoder(SequenceNetwork):
    r"""A stack of attention and MLP layers over a sequence of symbols.

    Each layer adds to the residual stream

    .. math:: h \leftarrow h + W_o\,\mathrm{attend}(W_{qkv}\,\bar h),\qquad
              h \leftarrow h + W_d\,\mathrm{relu}(W_u\,\bar h)^2,

    where the bar divides by the root mean square. Queries and keys are brought to length one
    (Henry et al. 2020) and rotated by their positions (Su et al. 2021). The outputs
    :math:`W_o, W_d` and the head start at zero (so the first predictions are uniform).

    Args:
        symbols: how many symbols there are; number `symbols` is the start symbol, an input only.
        layers: how many layers.
        heads: attention heads of a layer.
        width: size of the residual stream; a multiple of twice the heads.
        window: how many positions a layer sees, its own included.
        expansion: the MLP's hidden size as a multiple of the width.
        dropout: the share of each layer's additions that is dropped in training.
        context: how many numbers each sequence is conditioned on; a linear map of them is added
            to the embedding of every input, so that they stay in sight of every window.
        embedded: see `SequenceNetwork`.
        ahead: how many symbols after the next have a head.
        ngrams: of how many of the last symbols the longest n-grams with a vector are; 1 for none.
    """

    def __init__(
        self,
        symbols: int,
        *,
        layers: int,
        heads: int,
        width: int,
        window: int,
        expansion: int = 4,
        dropout: float = 0.0,
        context: int = 0,
        embedded: bool = False,
        ahead: int = 0,
        ngrams: int = 1,
    ) -> None:
        super().__init__()
        self.symbols, self.embedded = symbols, embedded
        self.heads, self.window, self.dropout = heads, window, dropout
        self.start, self.kv_heads, self.dim = symbols, heads, width // heads
        self.scale = _SHARPNESS
        self.embedding = None if embedded else nn.Embedding(symbols + 1, width)
        self.layers = nn.ModuleList(
            nn.ParameterDict(
                {
                    "qkv": _uniform(3 * width, width),
                    "out": torch.zeros(width, width),
                    "up": _uniform(expansion * width, width),
                    "down": torch.zeros(width, expansion * width),
                }
            )
            for _ in range(layers)
        )
        self.head = nn.Parameter(torch.zeros(symbols, width))
        self.given = Given(context, width) if context else None
        self.ahead = heads_ahead(ahead, width)
        self.ngrams = NGramEmbedding(symbols + 1, ngrams, width) if ngrams > 1 else None

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices inside the layers and the heads ahead, which Muon trains."""
        return [*self.layers.parameters(), *self.ahead.parameters()]

    def weights(self) -> Weights:
        """The weights as `hidden` and `scores` read them; whoever calls often takes them once."""
        root = self.head.shape[1] ** 0.5
        layers = [
            Layer((w["qkv"] * root).T, w["out"].T, (w["up"] * root).T, w["down"].T)  # type: ignore[index]
            for w in self.layers
        ]
        table = None if self.embedding is None else unit(self.embedding.weight) * root
        return Weights(table, layers, (self.head * root).T)

    def layout(self) -> Layout:
        width = self.head.shape[1]
        root, one = width**0.5, (torch.ones(width), None)
        layers = [
            Maps(one, (w["qkv"], None), (w["out"], None), one, (w["up"], None), (w["down"], None))
            for w in cast("list[nn.ParameterDict]", self.layers)
        ]
        table = None if self.embedding is None else unit(self.embedding.weight) * root
        return Layout(
            table, layers, (torch.full((width,), 1 / root), None), self.head, sharpness=root,
            center=False, epsilon=0.0, unit_heads=True, activation="squared_relu",
            slopes=torch.zeros(self.heads), rotary=True, ahead=matrices(self.ahead),
        )  # fmt: skip

    def embedded_by(self, inputs: Tensor, weights: Weights) -> Tensor:
        table = weights.embedding
        return inputs if table is None else F.embedding(inputs, table)

    def through(self, x: Tensor, places: Tensor, weights: Weights, attend: Attend) -> Tensor:
        n, t, width = x.shape
        angles = places.unflatten(-2, (-1, 1, 1))  # [(N,) T, 1, 1, dim / 2]
        x = x.reshape(n * t, width)
        for number, w in enumerate(weights.layers):
            qkv = torch.mm(unit(x), w.qkv).view(n, t, 3, self.heads, self.dim)
            q, k = rotate(unit(qkv[:, :, :2]), angles).transpose(1, 3).unbind(2)
            y = attend(number, q, k, qkv[:, :, 2].transpose(1, 2))  # [N, heads, T, dim]
            x = self._add(x, y.transpose(1, 2).reshape(n * t, self.heads * self.dim), w.out)
            x = self._add(x, squared_relu(torch.mm(unit(x), w.up)), w.down)
        return x.view(n, t, width)

    def finished(self, x: Tensor) -> Tensor:
        return unit(x)

    def scores(self, hidden: Tensor, weights: Weights) -> Tensor:
        flat = torch.mm(hidden.reshape(-1, hidden.shape[-1]), weights.head)
        return flat.view(*hidden.shape[:-1], self.symbols)

    def _add(self, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """`x + y weight`, with dropout of what is added where the network is in training."""
        if not self.training:
            return torch.addmm(x, y, weight)
        added = torch.mm(y, weight)  # apart, so that x keeps its precision under autocast
        return x + (F.dropout(added, self.dropout) if self.dropout else added)


def _uniform(outputs: int, inputs: int) -> Tensor:
    """Uniform entries of variance 1 / (3 inputs), as torch's linear layers have."""
    return torch.empty(outputs, inputs).uniform_(-1, 1) / inputs**0.5
