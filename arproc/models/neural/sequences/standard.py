"""The decoder as published models have it: pre-normalised layers, with the usual choices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.errors import ParameterError, check_choice
from arproc.models.neural.given import Given
from arproc.models.neural.sequences.ahead import heads_ahead, matrices
from arproc.models.neural.sequences.blocks import (
    alibi_slopes,
    rotary_angles,
    rotate,
    squared_relu,
    window_mask,
)
from arproc.models.neural.sequences.layout import Layout, Maps, affine
from arproc.models.neural.sequences.network import Attend, SequenceNetwork
from arproc.models.neural.sequences.ngrams import NGramEmbedding

__all__ = ["ACTIVATIONS", "BIASES", "NORMS", "POSITIONS", "StandardDecoder"]

POSITIONS = ("rotary", "learned", "alibi")
NORMS = ("rms", "layer")
BIASES = ("qkv", "out", "mlp")


def _swiglu(x: Tensor) -> Tensor:
    """`silu(gate) * up` of the two halves of the last axis (Shazeer 2020)."""
    gate, up = x.chunk(2, dim=-1)
    return F.silu(gate) * up


def _gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "swiglu": _swiglu,
    "gelu": F.gelu,
    "gelu_tanh": _gelu_tanh,
    "squared_relu": squared_relu,
}
ACTIVATIONS = tuple(_FUNCTIONS)
#: What the compiled pass has for modules.
_KINDS = (nn.Embedding, nn.Identity, nn.Linear, nn.RMSNorm, nn.LayerNorm)


class StandardLayer(nn.Module):
    """Attention and an MLP, each after a norm and added to the residual stream."""

    def __init__(
        self, width: int, queries: int, keys: int, hidden: int, gated: bool,
        biases: Sequence[str], norm: Callable[[], nn.Module],
    ) -> None:  # fmt: skip
        super().__init__()
        self.attention_norm = norm()
        self.qkv = nn.Linear(width, queries + 2 * keys, bias="qkv" in biases)
        self.out = nn.Linear(queries, width, bias="out" in biases)
        self.mlp_norm = norm()
        self.up = nn.Linear(width, hidden * (1 + gated), bias="mlp" in biases)
        self.down = nn.Linear(hidden, width, bias="mlp" in biases)


class StandardDecoder(SequenceNetwork):
    r"""A decoder of the family of GPT-2 and Llama, a plain `nn.Module` of linear layers.

    Each layer adds to the residual stream

    .. math:: h \leftarrow h + W_o\,\mathrm{attend}(W_{qkv}\,\mathrm{norm}(h)),\qquad
              h \leftarrow h + W_d\,\sigma(W_u\,\mathrm{norm}(h)),

    with scores scaled by the root of the head's size. Since every matrix is applied by calling
    its module, adapters that replace modules (LoRA) take effect in every call of the law.

    Args:
        symbols: how many symbols there are.
        layers: how many layers.
        heads: attention heads of a layer.
        width: size of the residual stream.
        window: how many positions a layer sees, its own included.
        hidden: the MLP's hidden size; None takes 4 times the width.
        kv_heads: heads of keys and values, a divisor of `heads` (Ainslie et al. 2023); None takes
            as many.
        dim: size of a head, even; None takes `width / heads`.
        positions: "rotary" (Su et al. 2021), "learned", or "alibi" (Press et al. 2022).
        limit: how many learned positions there are.
        norm: "rms" or "layer".
        epsilon: added to the mean square (or the variance) in it.
        activation: "swiglu", "gelu", "gelu_tanh" or "squared_relu".
        biases: which linear maps have one: some of "qkv", "out" and "mlp".
        tied: whether the head is the embedding.
        start: the symbol at position 0; None takes one more symbol, an input only.
        rotary_base: see `rotary_angles`.
        rotary_scaling: see `rotary_angles`.
        dropout: the share of each layer's additions that is dropped in training.
        context: how many numbers each sequence is conditioned on; see `Decoder`.
        embedded: see `SequenceNetwork`.
        ahead: how many symbols after the next have a head.
        ngrams: see `Decoder`.

    Example:
        >>> network = StandardDecoder(9, layers=1, heads=2, width=8, window=4, kv_heads=1)
        >>> network(torch.tensor([[9, 0, 3]])).shape
        torch.Size([1, 3, 9])
    """

    def __init__(
        self,
        symbols: int,
        *,
        layers: int,
        heads: int,
        width: int,
        window: int,
        hidden: int | None = None,
        kv_heads: int | None = None,
        dim: int | None = None,
        positions: str = "rotary",
        limit: int | None = None,
        norm: str = "rms",
        epsilon: float = 1e-5,
        activation: str = "swiglu",
        biases: Sequence[str] = (),
        tied: bool = False,
        start: int | None = None,
        rotary_base: float = 10_000.0,
        rotary_scaling: Sequence[float] | None = None,
        dropout: float = 0.0,
        context: int = 0,
        embedded: bool = False,
        ahead: int = 0,
        ngrams: int = 1,
    ) -> None:
        super().__init__()
        check_choice("positions", positions, POSITIONS)
        check_choice("norm", norm, NORMS)
        check_choice("activation", activation, ACTIVATIONS)
        for name in biases:
            check_choice("biases", name, BIASES)
        if (limit is None) != (positions != "learned"):
            raise ParameterError(f"limit is for learned positions; got {limit} of {positions}.")
        kv_heads = heads if kv_heads is None else kv_heads
        hidden = 4 * width if hidden is None else hidden
        if kv_heads < 1 or heads % kv_heads:
            raise ParameterError(f"kv_heads must divide heads, {heads}; got {kv_heads}.")
        if embedded and tied:
            raise ParameterError(
                "tied must be False where inputs are vectors: nothing embeds them."
            )
        self.embedded = embedded
        self.symbols, self.start = symbols, symbols if start is None else start
        self.heads, self.kv_heads, self.window, self.limit = heads, kv_heads, window, limit
        self.dim = width // heads if dim is None else dim
        self.scale, self.dropout = self.dim**-0.5, dropout
        self.positions, self.activation, self.epsilon = positions, activation, epsilon
        self.rotary_base, self.rotary_scaling = rotary_base, rotary_scaling
        self.plain = positions != "alibi"

        def normed() -> nn.Module:
            kind = nn.RMSNorm if norm == "rms" else nn.LayerNorm
            return kind(width, eps=epsilon)

        rows = max(symbols, self.start + 1)
        table = nn.Identity() if embedded else nn.Embedding(rows, width)
        self.embedding = cast(nn.Embedding, table)
        self.position = None if limit is None else nn.Embedding(limit, width)
        queries, keys, gated = heads * self.dim, kv_heads * self.dim, activation == "swiglu"
        self.layers = nn.ModuleList(
            StandardLayer(width, queries, keys, hidden, gated, biases, normed)
            for _ in range(layers)
        )
        self.norm = normed()
        self.head = None if tied else nn.Linear(width, symbols, bias=False)
        self.given = Given(context, width) if context else None
        self._begin(layers)
        self.ahead = heads_ahead(ahead, width)
        self.ngrams = NGramEmbedding(rows, ngrams, width) if ngrams > 1 else None

    def _begin(self, layers: int) -> None:
        """Random weights: normal ones, smaller where many layers are added up (GPT-2's)."""
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif p.ndim == 2 and not name.startswith("given"):
                added = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * layers) if added else 0.02)

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices inside the layers and the heads ahead, which Muon trains."""
        inside = [*self.layers.parameters(), *self.ahead.parameters()]
        return [p for p in inside if p.ndim == 2]

    def weights(self) -> None:
        """Nothing: the modules themselves are called."""

    def places(self, position: Tensor) -> Tensor:
        if self.positions == "rotary":
            return rotary_angles(position, self.dim, self.rotary_base, self.rotary_scaling)
        if self.position is None or self.limit is None:
            return torch.empty((*position.shape, 0), device=position.device)
        # slots that no input will take, or that hold none, have one all the same
        found: Tensor = self.position(position.clamp(0, self.limit - 1))
        return found

    def mask(self, query: Tensor, key: Tensor, both_sides: bool = False) -> Tensor:
        if self.positions != "alibi":
            return super().mask(query, key, both_sides)
        seen = window_mask(query, key, self.window, both_sides).unsqueeze(-3)
        lag = (query.unsqueeze(-1) - key.unsqueeze(-2)).unsqueeze(-3).abs()
        slopes = alibi_slopes(self.heads).to(query.device)[:, None, None]
        bias = (-slopes * lag).masked_fill(~seen, -math.inf)
        return bias if bias.ndim == 4 else bias[None]

    def layout(self) -> Layout | None:
        layers = cast("list[StandardLayer]", self.layers)
        parts = [part for whole in (*layers, *self.ahead) for part in whole.children()]
        parts += [part for part in (self.embedding, self.norm, self.head) if part is not None]
        if any(type(part) not in _KINDS for part in parts):
            return None  # an adapter stands in the place of one
        table = None if self.embedded else self.embedding.weight
        return Layout(
            table,
            [
                Maps(*map(affine, (layer.attention_norm, layer.qkv, layer.out,
                                   layer.mlp_norm, layer.up, layer.down)))
                for layer in layers
            ],
            affine(self.norm),
            self.embedding.weight[: self.symbols] if self.head is None else self.head.weight,
            sharpness=1.0,
            center=isinstance(self.norm, nn.LayerNorm),
            epsilon=self.epsilon,
            unit_heads=False,
            activation=self.activation,
            slopes=alibi_slopes(self.heads) if self.positions == "alibi"
            else torch.zeros(self.heads),
            rotary=self.positions == "rotary",
            ahead=matrices(self.ahead),
        )  # fmt: skip

    def embedded_by(self, inputs: Tensor, weights: None) -> Tensor:
        found: Tensor = self.embedding(inputs)
        return found

    def entered(self, x: Tensor, places: Tensor, offset: Tensor | None = None) -> Tensor:
        return super().entered(x + places if self.positions == "learned" else x, places, offset)

    def through(self, x: Tensor, places: Tensor, weights: None, attend: Attend) -> Tensor:
        activation = _FUNCTIONS[self.activation]
        layers = cast("list[StandardLayer]", self.layers)
        for number, layer in enumerate(layers):
            q, k, v = self._heads(layer.qkv(layer.attention_norm(x)), places)
            y = attend(number, q, k, v).transpose(1, 2).flatten(2)
            x = x + self._dropped(layer.out(y))
            x = x + self._dropped(layer.down(activation(layer.up(layer.mlp_norm(x)))))
        return x

    def finished(self, x: Tensor) -> Tensor:
        found: Tensor = self.norm(x)
        return found

    def scores(self, hidden: Tensor, weights: None) -> Tensor:
        if self.head is not None:
            found: Tensor = self.head(hidden)
            return found
        return F.linear(hidden, self.embedding.weight[: self.symbols])

    def _heads(self, qkv: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [N, heads, T, dim], and keys and values [N, kv_heads, T, dim]."""
        both = self.heads + self.kv_heads
        parts = qkv.unflatten(-1, (-1, self.dim))  # [N, T, heads + 2 kv_heads, dim]
        qk, v = parts[:, :, :both], parts[:, :, both:]
        if self.positions == "rotary":
            qk = rotate(qk, places.unsqueeze(-2)).to(v.dtype)
        qk = qk.transpose(1, 2)
        return qk[:, : self.heads], qk[:, self.heads :], v.transpose(1, 2)

    def _dropped(self, added: Tensor) -> Tensor:
        return F.dropout(added, self.dropout, self.training) if self.dropout else added
