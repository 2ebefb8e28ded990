"""The network behind `RNN`: recurrent layers between elements and their laws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from arproc.contract.checked import sentences
from arproc.data.form import Layout
from arproc.errors import check_choice
from arproc.models.neural.panels import MOST
from arproc.models.neural.sequences.element_network import ElementNetwork, Stepper
from arproc.models.neural.sequences.elements import Element, SymbolElement
from arproc.models.neural.sequences.few_cells import FewCells, few_cells
from arproc.models.neural.sequences.scaling import Scale
from arproc.spaces import Space

__all__ = ["CELLS", "Hidden", "RecurrentNetwork"]

#: What the layers remember, [layers, N, width] each: of an LSTM the units and the cells.
Hidden = tuple[Tensor, ...]
#: The same of each layer, [N, width].
Layers = list[tuple[Tensor, ...]]

CELLS: dict[str, Any] = {"elman": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
_STEPS: dict[str, Any] = {"elman": torch.rnn_tanh_cell, "gru": torch.gru_cell,
                          "lstm": torch.lstm_cell}  # fmt: skip


class RecurrentNetwork(ElementNetwork):
    """Recurrent layers over the elements of a sequence.

    Args:
        element: how elements enter and are described; its width is that of all layers.
        cell: "elman" (Elman 1990), "gru" (Cho et al. 2014) or "lstm" (Hochreiter and Schmidhuber
            1997).
        layers: how many layers.
        dropout: the share of inputs, of units between layers and of the last ones that is
            dropped in training (Zaremba, Sutskever and Vinyals 2014).
        context: see `ElementNetwork`.
        scaled: likewise.

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
        super().__init__(element, context, scaled)
        check_choice("cell", cell, tuple(CELLS))
        width = element.width
        self.cell, self.dropout = cell, dropout
        between = dropout if layers > 1 else 0.0
        self.core = CELLS[cell](width, width, layers, batch_first=True, dropout=between)
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
        zero = self.start.new_zeros((self.core.num_layers, n, self.core.hidden_size))
        return (zero, zero) if self.cell == "lstm" else (zero,)

    def select(self, memory: Hidden, rows: Tensor) -> Hidden:
        return tuple(part[:, rows] for part in memory)

    def run(
        self, inputs: Tensor, memory: Hidden, lengths: Tensor | None = None
    ) -> tuple[Tensor, Hidden]:
        dropped = bool(self.dropout) and self.training
        x = F.dropout(inputs, self.dropout) if dropped else inputs
        before = memory if self.cell == "lstm" else memory[0]
        tensors = (x, *memory, *self.core.parameters())
        wanted = torch.is_grad_enabled() and any(part.requires_grad for part in tensors)
        with torch.set_grad_enabled(wanted):  # torch's fastest layers have no gradients
            if lengths is None:
                units, after = self.core(x, before)
            else:
                packed = pack_padded_sequence(x, lengths.clamp(min=1).cpu(), True, False)
                units, after = self.core(packed, before)
                units = pad_packed_sequence(units, batch_first=True, total_length=x.shape[1])[0]
        units = F.dropout(units, self.dropout) if dropped else units
        after = after if isinstance(after, tuple) else (after,)
        if lengths is not None:
            none = (lengths == 0)[:, None]
            pairs = zip(memory, after, strict=True)
            after = tuple(torch.where(none, old, new) for old, new in pairs)
        return units, after

    def step(self, inputs: Tensor, memory: Hidden) -> tuple[Tensor, Hidden]:
        units, layers = self.step_layers(inputs, by_layers(memory))
        return units, together(layers)

    def step_layers(
        self, inputs: Tensor, layers: Layers, *, gates: bool = False
    ) -> tuple[Tensor, Layers]:
        """`step` for what each layer remembers: a layer at a time costs less than all at once.

        Args:
            inputs: [N, width]; or what they add to the gates of the first layer, [N, 4 width].
            layers: what each layer remembers.
            gates: whether it is these; see `symbol_gates`.
        """
        cell, many, x = _STEPS[self.cell], self.cell == "lstm", inputs
        after: Layers = []
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
        if self.cell != "lstm" or self.given is not None or element.numbers > draws:
            return None
        if not isinstance(element, SymbolElement):
            return None
        return F.linear(element.embedding.weight, own[0], own[2] + own[3])

    def stepper(self, memory: Hidden, draws: int, panels: Any = None) -> Stepper:
        if not torch.is_grad_enabled() and memory[0].shape[1] <= MOST:
            panels = panels or few_cells(self.core, draws)
            if panels is not None:
                return _FewSteps(self, memory, panels)
        return _RecurrentStepper(self, memory, draws)


class _RecurrentStepper(Stepper):
    """Takes elements a layer at a time, and symbols by a table of their gates."""

    network: RecurrentNetwork

    def __init__(self, network: RecurrentNetwork, memory: Hidden, draws: int) -> None:
        super().__init__(network, None)
        self.layers, self.table = by_layers(memory), network.symbol_gates(draws)

    @property
    def memory(self) -> Hidden:
        return together(self.layers)

    def feed(self, x: Tensor, scale: Scale | None, added: Tensor | None) -> Tensor:
        network, table = self.network, self.table
        if table is not None:
            units, self.layers = network.step_layers(table[x], self.layers, gates=True)
            return units
        inputs = network.element.embed(x, scale)
        inputs = inputs if added is None else inputs + added
        units, self.layers = network.step_layers(inputs, self.layers)
        return units


class _FewSteps(Stepper):
    """Takes elements of few rows, by panels."""

    panels: FewCells

    def __init__(self, network: RecurrentNetwork, memory: Hidden, panels: FewCells) -> None:
        super().__init__(network, None)
        self.panels = panels
        self._parts = [np.array(part.detach().numpy(), np.float32) for part in memory]

    @property
    def memory(self) -> Hidden:
        return tuple(torch.from_numpy(part.copy()) for part in self._parts)

    def feed(self, x: Tensor, scale: Scale | None, added: Tensor | None) -> Tensor:
        inputs = self.network.element.embed(x, scale)
        return self.panels.step(inputs if added is None else inputs + added, self._parts)


def by_layers(memory: Hidden) -> Layers:
    """What each layer remembers, [N, width] each."""
    return list(zip(*(part.unbind(0) for part in memory), strict=True))


def together(layers: Layers) -> Hidden:
    """The inverse of `by_layers`."""
    return tuple(torch.stack(parts) for parts in zip(*layers, strict=True))


def _lstm_from_gates(gates: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Units and cells [N, width] from the inputs of the gates [N, 4 width], in torch's order."""
    write, keep, value, read = gates.chunk(4, dim=1)
    cells = torch.addcmul(keep.sigmoid() * cells, write.sigmoid(), value.tanh())
    return read.sigmoid() * cells.tanh(), cells
