"""The network behind `RNN`: recurrent layers between elements and their laws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from arproc.contract.checked import sentences
from arproc.contract.storable import StorableModule
from arproc.data.form import Layout
from arproc.errors import check_choice
from arproc.models.neural.given import Given
from arproc.models.neural.sequences.elements import Element
from arproc.spaces import Space

__all__ = ["CELLS", "Hidden", "RecurrentNetwork"]

#: What the layers remember, [layers, N, width] each: of an LSTM the units and the cells.
Hidden = tuple[Tensor, ...]

CELLS: dict[str, Any] = {"elman": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
_STEPS: dict[str, Any] = {"elman": torch.rnn_tanh_cell, "gru": torch.gru_cell,
                          "lstm": torch.lstm_cell}  # fmt: skip


class RecurrentNetwork(StorableModule):
    """Recurrent layers over the elements of a sequence.

    The input at position 0 is learned, that at position j + 1 stands for element j; a context
    is added to it (a context by steps: that of the element which comes next). After the input at
    position j the last layer's units describe element j.

    Args:
        element: how elements enter and are described; its width is that of all layers.
        cell: "elman" (Elman 1990), "gru" (Cho et al. 2014) or "lstm" (Hochreiter and Schmidhuber
            1997).
        layers: how many layers.
        dropout: the share of inputs, of units between layers and of the last ones that is
            dropped in training (Zaremba, Sutskever and Vinyals 2014).
        context: how many numbers each sequence, or each of its steps, is conditioned on.
        scaled: whether the first of these is the scale of the series rather than an input.

    Example:
        >>> from arproc.models.neural.sequences.elements import SymbolElement
        >>> network = RecurrentNetwork(SymbolElement(5, 8), "gru", 2)
        >>> x = network.element.embed(torch.tensor([[0, 4, 1]]), None)
        >>> units, hidden = network.run(x, network.begin(1))
        >>> units.shape, hidden[0].shape
        (torch.Size([1, 3, 8]), torch.Size([2, 1, 8]))
    """

    def __init__(
        self,
        element: Element,
        cell: str,
        layers: int,
        *,
        dropout: float = 0.0,
        context: int = 0,
        scaled: bool = False,
    ) -> None:
        super().__init__()
        check_choice("cell", cell, tuple(CELLS))
        width = element.width
        self.element, self.cell, self.scaled, self.dropout = element, cell, scaled, dropout
        between = dropout if layers > 1 else 0.0
        self.core = CELLS[cell](width, width, layers, batch_first=True, dropout=between)
        self.start = nn.Parameter(torch.zeros(width))
        inputs = context - scaled
        self.given = Given(inputs, width) if inputs > 0 else None
        if cell == "lstm":
            with torch.no_grad():  # gates of forgetting begin open (Jozefowicz et al. 2015)
                for name, bias in self.core.named_parameters():
                    if name.startswith("bias_ih"):
                        bias[width : 2 * width] = 1.0

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit together; see `NeuralLaw.problems`."""
        wrong = self.core.hidden_size != self.element.width
        yield from sentences((wrong, "the layers have another width than the elements"))

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices inside the layers, which Muon trains."""
        return [p for p in self.core.parameters() if p.ndim == 2]

    def begin(self, n: int) -> Hidden:
        """What the layers remember of n sequences before any input."""
        zero = self.start.new_zeros((self.core.num_layers, n, self.core.hidden_size))
        return (zero, zero) if self.cell == "lstm" else (zero,)

    def inputs(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Inputs [N, K, width] with what a context [N, c] or [N, K, c] adds to them."""
        if context is None or self.given is None:
            return x
        context = context[..., self.scaled :]
        added = self.given(context)
        return x + (added[:, None] if added.ndim == 2 else added)

    def run(
        self, inputs: Tensor, hidden: Hidden, lengths: Tensor | None = None
    ) -> tuple[Tensor, Hidden]:
        """The last layer's units [N, K, width] after each of the inputs, and what is remembered.

        Args:
            inputs: [N, K, width].
            hidden: before them.
            lengths: after how many of a row's inputs, from 1 on; all by default. Units beyond
                say nothing.
        """
        x = F.dropout(inputs, self.dropout, self.training) if self.dropout else inputs
        if lengths is None:
            units, after = self.core(x, self._given(hidden))
        else:
            packed = pack_padded_sequence(x, lengths.cpu(), True, enforce_sorted=False)
            units, after = self.core(packed, self._given(hidden))
            units = pad_packed_sequence(units, batch_first=True, total_length=x.shape[1])[0]
        units = F.dropout(units, self.dropout, self.training) if self.dropout else units
        return units, after if isinstance(after, tuple) else (after,)

    def step(self, inputs: Tensor, hidden: Hidden) -> tuple[Tensor, Hidden]:
        """One input [N, width]: the last layer's units [N, width], and what is remembered.

        In evaluation: there is no dropout. A layer at a time, which for one step costs less than
        to call all of them.
        """
        cell, weights = _STEPS[self.cell], self.core.all_weights
        x, after = inputs, []
        for layer, own in enumerate(weights):
            before = [part[layer] for part in hidden]
            found = cell(x, before if self.cell == "lstm" else before[0], *own)
            parts = found if self.cell == "lstm" else (found,)
            x = parts[0]
            after.append(parts)
        return x, tuple(torch.stack(parts) for parts in zip(*after, strict=True))

    def _given(self, hidden: Hidden) -> Any:
        return hidden if self.cell == "lstm" else hidden[0]
