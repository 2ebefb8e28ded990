"""Attention over elements other than symbols: a decoder between values and their laws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from arproc.contract.checked import sentences
from arproc.data.form import Layout
from arproc.models.neural.sequences.cache import KeyValueCache
from arproc.models.neural.sequences.element_network import ElementNetwork
from arproc.models.neural.sequences.elements import Element
from arproc.models.neural.sequences.few_inputs import Weights
from arproc.models.neural.sequences.network import SequenceNetwork
from arproc.spaces import Space

__all__ = ["AttentionNetwork"]

#: Inputs that are fed at once: the scores of more would take much room.
_LARGEST = 1024


class Attended(NamedTuple):
    """What attention remembers: keys and values; and the weights, taken once."""

    cache: KeyValueCache
    weights: Weights


class AttentionNetwork(ElementNetwork):
    """The layers of a decoder over the elements of a sequence.

    Args:
        element: how elements enter and are described.
        decoder: one of vectors (`embedded`), of as many outputs as the element is wide.
        context: see `ElementNetwork`.
        scaled: likewise.
    """

    in_vain = 1

    def __init__(
        self, element: Element, decoder: SequenceNetwork, *, context: int = 0, scaled: bool = False
    ) -> None:
        super().__init__(element, context, scaled)
        self.decoder = decoder

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit together; see `NeuralLaw.problems`."""
        decoder, width = self.decoder, self.element.width
        yield from sentences(
            (decoder.symbols != width, "the layers have another width than the elements"),
            (not decoder.embedded or decoder.limit is not None, "the decoder is one of symbols"),
        )

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices inside the layers, which Muon trains."""
        found: list[nn.Parameter] = self.decoder.hidden_weights()  # type: ignore[operator]
        return found

    def begin(self, n: int) -> Attended:
        return Attended(KeyValueCache.empty(self.decoder, n), Weights(self.decoder))

    def select(self, memory: Attended, rows: Tensor) -> Attended:
        return Attended(memory.cache.select(rows), memory.weights)

    def run(
        self, inputs: Tensor, memory: Attended, lengths: Tensor | None = None
    ) -> tuple[Tensor, Attended]:
        if self.training:  # whole stretches, of which nothing need be remembered
            return self.decoder(inputs), memory
        cache, weights = memory
        chunk = max(min(cache.network.window, _LARGEST), 128)
        units, parts = [], []
        for begin in range(0, inputs.shape[1], chunk):
            block = inputs[:, begin : begin + chunk]
            found, cache = cache.feed(block, weights)
            units.append(weights.scores(found))
            if lengths is not None:
                parts += cache.rows_that_end(lengths, begin, begin + block.shape[1])
        if lengths is not None:
            order = torch.cat([rows for rows, _ in parts]).argsort()
            cache = KeyValueCache.concatenate([part for _, part in parts]).select(order)
        return torch.cat(units, dim=1), Attended(cache, weights)
