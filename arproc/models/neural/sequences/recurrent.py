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
from arproc.models.neural.sequences.elements import Element, SymbolElement
from arproc.spaces import Space

__all__ = ["CELLS", "Hidden", "Layers", "RecurrentNetwork"]

#: What the layers remember, [layers, N, width] each: of an LSTM the units and the cells.
Hidden = tuple[Tensor, ...]
#: The same of each layer, [N, width].
Layers = list[tuple[Tensor, ...]]

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
        added = self.added(context, x.shape[1])
        return x if added is None else x + added

    def added(self, context: Tensor | None, count: int) -> Tensor | None:
        """What a context [N, c] or [N, K, c] adds to `count` inputs, [N, count, width]."""
        if context is None or self.given is None:
            return None
        found: Tensor = self.given(context[..., self.scaled :])
        return found[:, None].expand(-1, count, -1) if found.ndim == 2 else found

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

        In evaluation: there is no dropout.
        """
        units, layers = self.step_layers(inputs, self.by_layers(hidden))
        return units, self.together(layers)

    def step_layers(
        self, inputs: Tensor, layers: Layers, *, gates: bool = False
    ) -> tuple[Tensor, Layers]:
        """`step` for what each layer remembers: a layer at a time costs less than all at once.

        Args:
            inputs: [N, width]; or what they add to the gates of the first layer, [N, 4 width].
            layers: what each layer remembers.
            gates: whether it is these; see `symbol_gates`.
        """
        cell, many = _STEPS[self.cell], self.cell == "lstm"
        x, after = inputs, []
        for before, own in zip(layers, self.core.all_weights, strict=True):
            if gates and not after:
                after.append(_lstm_from_gates(torch.addmm(x, before[0], own[1].T), before[1]))
            else:
                found = cell(x, before if many else before[0], *own)
                after.append(found if many else (found,))
            x = after[-1][0]
        return x, after

    def symbol_gates(self, draws: int) -> Tensor | None:
        """What each symbol adds to the gates of an LSTM's first layer, [symbols, 4 width].

        None where the network has other inputs, or so many symbols that a table of them costs
        more than the products of so many draws.
        """
        element, own = self.element, self.core.all_weights[0]
        table = isinstance(element, SymbolElement) and element.numbers <= draws
        if self.cell != "lstm" or self.given is not None or not table:
            return None
        weight: Tensor = element.embedding.weight  # type: ignore[union-attr, assignment]
        return F.linear(weight, own[0], own[2] + own[3])

    @staticmethod
    def by_layers(hidden: Hidden) -> Layers:
        """What each layer remembers, [N, width] each."""
        return list(zip(*(part.unbind(0) for part in hidden), strict=True))

    @staticmethod
    def together(layers: Layers) -> Hidden:
        """The inverse of `by_layers`."""
        return tuple(torch.stack(parts) for parts in zip(*layers, strict=True))

    def _given(self, hidden: Hidden) -> Any:
        return hidden if self.cell == "lstm" else hidden[0]


def _lstm_from_gates(gates: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Units and cells [N, width] from the inputs of the gates [N, 4 width], in torch's order."""
    write, keep, value, read = gates.chunk(4, dim=1)
    cells = torch.addcmul(keep.sigmoid() * cells, write.sigmoid(), value.tanh())
    return read.sigmoid() * cells.tanh(), cells
