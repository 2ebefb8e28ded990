"""What the networks of sequences share: how they are fed, and how far a position sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.contract.checked import sentences
from arproc.contract.storable import StorableModule
from arproc.data.form import Layout
from arproc.errors import UnsupportedError
from arproc.models.neural.given import Given
from arproc.models.neural.sequences.blocks import rotary_angles, window_mask
from arproc.models.neural.sequences.layout import Layout as Compiled
from arproc.models.neural.sequences.ngrams import NGramEmbedding
from arproc.spaces import Space

__all__ = ["Attend", "SequenceNetwork"]

#: Attention of layer l: `attend(l, queries, keys, values)`, each [N, heads, T, dim].
Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]


class SequenceNetwork(StorableModule):
    """Base of the decoders: symbols in, the scores of the next symbol out.

    A subclass sets the attributes and writes `weights`, `layout`, `embedded_by`,
    `through`, `finished` and `scores`; where its positions are not rotary it writes `places`,
    `entered` and `mask` as well.

    Attributes:
        symbols: how many symbols there are.
        start: the input at position 0: one of the symbols, or the number after the last.
        heads, kv_heads: how many heads queries have, and keys and values.
        dim: the size of a head.
        window: how many positions a layer sees, its own included.
        limit: how many positions there are; None where there is no end to them. A sequence that
            needs more goes on in a fresh pass over its last `carried` inputs.
        scale: of the scores of attention.
        embedded: whether the inputs are vectors [N, T, width] rather than symbols; the outputs
            are then whatever is made of them.
        layers: the layers.
        given: the map of the context, or None.
        ahead: the heads for the symbols after the next, the nearest first; see `further`.
        ngrams: the vectors of n-grams, or None.
    """

    symbols: int
    start: int
    heads: int
    kv_heads: int
    dim: int
    window: int
    limit: int | None = None
    embedded: bool = False
    scale: float
    layers: nn.ModuleList
    given: Given | None
    ahead: nn.ModuleList
    ngrams: NGramEmbedding | None

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit together; see `NeuralLaw.problems`."""
        yield from sentences(
            (not self.embedded and space.size != self.symbols,
             f"the network is of {self.symbols} symbols, the space of {space.size}"),
            (self.window < 1 or self.dim < 2 or self.dim % 2 != 0, f"window is {self.window}, a "
             f"head {self.dim} wide"),
        )  # fmt: skip

    @property
    def carried(self) -> int:
        """How many inputs a sequence takes with it where its positions come to their limit."""
        return 0 if self.limit is None else self.limit // 2

    def weights(self) -> Any:
        """The weights as passes read them; whoever calls often takes them once."""
        raise NotImplementedError

    def layout(self) -> Compiled | None:
        """How a compiled pass computes what this network does; None where none does."""
        raise NotImplementedError

    def embedded_by(self, inputs: Tensor, weights: Any) -> Tensor:
        """The embeddings [N, T, width] of inputs [N, T]; of vectors, they themselves."""
        raise NotImplementedError

    def entered(self, x: Tensor, places: Tensor, offset: Tensor | None = None) -> Tensor:
        """What the first layer reads, [N, T, width].

        Args:
            x: the inputs' embeddings, [N, T, width].
            places: of their positions, [T, ...] or [N, T, ...]; see `places`.
            offset: added to them: that of the context, [N, width], or one of each input,
                [N, T, width].
        """
        return x if offset is None else x + (offset if offset.ndim == 3 else offset[:, None])

    def through(self, x: Tensor, places: Tensor, weights: Any, attend: Attend) -> Tensor:
        """What the last layer adds up to, [N, T, width].

        Args:
            x: what the first layer reads; see `entered`.
            places: of the inputs' positions.
            weights: those of `weights()`.
            attend: how a layer's queries meet the keys: those of the inputs and of what came
                before them.
        """
        raise NotImplementedError

    def finished(self, x: Tensor) -> Tensor:
        """What the last layer says, of what it adds up to: [N, T, width], normalised."""
        raise NotImplementedError

    def scores(self, hidden: Tensor, weights: Any) -> Tensor:
        """The scores [..., symbols] of the next symbol that the last layer's [..., width] give."""
        raise NotImplementedError

    def further(self, hidden: Tensor, between: Tensor) -> Tensor:
        """A guess at what the last layer would say after some more symbols.

        Args:
            hidden: what it says now, [..., width].
            between: the next symbols, int64 [..., k], k from 1 to the number of `ahead`.

        Returns:
            [..., width], of which `scores` makes the scores of the symbol after them.
        """
        found: Tensor = self.ahead[between.shape[-1] - 1](hidden, self._vectors(between))
        return found

    def _vectors(self, inputs: Tensor) -> Tensor:
        """The embeddings [..., width] of symbols."""
        table: Tensor = self.embedding.weight  # type: ignore[union-attr, assignment]
        return F.embedding(inputs, table)

    def places(self, position: Tensor) -> Tensor:
        """What layers read of positions [...]: numbers [..., k]."""
        return rotary_angles(position, self.dim)

    def mask(self, query: Tensor, key: Tensor, both_sides: bool = False) -> Tensor:
        """Which keys queries see, for all heads alike: [Q, K], or [N, 1, Q, K] of rows."""
        seen = window_mask(query, key, self.window, both_sides)
        return seen if seen.ndim == 2 else seen[:, None]

    #: Whether a query that sees all keys there are needs no mask.
    plain: bool = True

    def attention(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool = False
    ) -> Tensor:
        """What queries [N, heads, Q, dim] take of values [N, kv_heads, K, dim]."""
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=causal, scale=self.scale,
            enable_gqa=bool(self.kv_heads != self.heads),
        )  # fmt: skip

    def offset(self, context: Tensor | None) -> Tensor | None:
        """What a context [N, c] adds to the embedding of each input, [N, width]."""
        if context is None or self.given is None:
            return None
        found: Tensor = self.given(context)
        return found

    @property
    def reach(self) -> int:
        """How many symbols before an input are looked up with it; see `added`."""
        return 0 if self.ngrams is None else self.ngrams.reach

    def added(self, inputs: Tensor, before: Tensor | None, offset: Tensor | None) -> Tensor | None:
        """What is added to the embedding of each input: the context's, and that of n-grams.

        Args:
            inputs: symbols [N, T].
            before: the `reach` symbols before them, int64 [N, reach]; None where they are the
                first ones.
            offset: that of the context, [N, width].
        """
        if self.ngrams is None:
            return offset
        if before is None:
            before = inputs.new_full((len(inputs), self.reach), self.start)
        found: Tensor = self.ngrams(inputs, before)
        return found if offset is None else found + offset[:, None]

    def forward(self, inputs: Tensor, context: Tensor | None = None) -> Tensor:
        """Scores of what comes after each input.

        Args:
            inputs: symbols from position 0 on, int64 [N, T].
            context: what each sequence is conditioned on, [N, c].

        Returns:
            Unnormalised log-probabilities, [N, T, symbols].

        Raises:
            UnsupportedError: there are more inputs than positions; the law goes on beyond them.
        """
        weights = self.weights()
        return self.scores(self.whole(inputs, weights, context), weights)

    def whole(self, inputs: Tensor, weights: Any, context: Tensor | None = None) -> Tensor:
        """What the last layer says after each of some inputs from position 0 on; see `hidden`."""
        offset = self.added(inputs, None, self.offset(context))
        return self._pass(inputs, weights, offset, False)

    def around(self, inputs: Tensor, weights: Any, offset: Tensor | None = None) -> Tensor:
        """What the last layer says at each of some inputs that see those on both sides."""
        return self._pass(inputs, weights, offset, True)

    def _pass(
        self, inputs: Tensor, weights: Any, offset: Tensor | None, both_sides: bool
    ) -> Tensor:
        position = torch.arange(inputs.shape[1], device=inputs.device)
        if self.limit is not None and len(position) > self.limit:
            raise UnsupportedError(
                f"inputs has {len(position)} symbols in a row; the network has {self.limit} "
                "positions. The model's log_prob and sample go on beyond them."
            )
        plain = self.plain and bool(len(position) <= self.window)
        causal = plain and not both_sides
        mask = None if plain else self.mask(position, position, both_sides)

        def attend(_: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return self.attention(q, k, v, mask, causal)

        places = self.places(position)
        x = self.entered(self.embedded_by(inputs, weights), places, offset)
        return self.finished(self.through(x, places, weights, attend))
