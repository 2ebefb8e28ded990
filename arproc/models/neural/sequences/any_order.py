"""Attention over symbols of fixed-size examples that come in any order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from arproc.contract.checked import sentences
from arproc.data.form import Layout
from arproc.models.neural.images.pixel_heads import LevelHead
from arproc.models.neural.sequences.network import SequenceNetwork
from arproc.models.neural.vectors.known_sites import KnownSitesNetwork
from arproc.spaces import Space

__all__ = ["AgnosticSequenceNetwork"]


class AgnosticSequenceNetwork(KnownSitesNetwork):
    """A decoder's layers whose positions see both sides, over what is known of an example.

    The number after the last symbol, which elsewhere begins a sequence, stands for what is not
    known (the mask token of Hoogeboom et al. 2022). Rotary and linear positions tell distances
    alone, of which masks say nothing: each position has a vector of its own as well.

    Args:
        decoder: its layers, its symbols and its head.
        sites: how many elements an example has.
    """

    def __init__(self, decoder: SequenceNetwork, sites: int) -> None:
        table = cast(nn.Embedding, decoder.embedding)
        width = table.embedding_dim
        super().__init__(sites, width)
        self.values, self.decoder = LevelHead(decoder.symbols), decoder
        self.own: nn.Embedding | None = None
        if decoder.limit is None:  # learned positions are such vectors already
            self.own = nn.Embedding(sites, width)
            nn.init.normal_(self.own.weight, std=float(table.weight.detach().std()))

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        yield from super().problems(space, layout)
        decoder = self.decoder
        yield from sentences(
            (decoder.limit is not None and decoder.limit < self.sites,
             f"the network has {decoder.limit} positions for {self.sites} sites"),
            (decoder.start != decoder.symbols, "a symbol stands for what is not known"),
        )  # fmt: skip

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices inside the layers, which Muon trains."""
        found: list[nn.Parameter] = self.decoder.hidden_weights()  # type: ignore[operator]
        return found

    def every(self, a: Tensor, count: Tensor, context: Tensor | None = None) -> Tensor:
        weights = self.decoder.weights()
        hidden = self._hidden(a, weights, context)[:, self.place]
        return self.decoder.scores(hidden, weights).float()

    def one(self, a: Tensor, site: Tensor, context: Tensor | None) -> Tensor:
        weights = self.decoder.weights()
        rows = torch.arange(len(a), device=a.device)
        hidden = self._hidden(a, weights, context)[rows, self.place[site]]
        return self.decoder.scores(hidden, weights).float()

    def _hidden(self, a: Tensor, weights: object, context: Tensor | None) -> Tensor:
        """What the last layer says at each position, [N, sites, width]."""
        value, known = a.chunk(2, dim=1)
        inputs = torch.where(known > 0, value, self.decoder.start).long()
        offset = self.decoder.offset(context)
        if self.own is not None:
            own = self.own.weight.expand(len(a), -1, -1)
            offset = own if offset is None else own + offset[:, None]
        return self.decoder.around(inputs, weights, offset)
