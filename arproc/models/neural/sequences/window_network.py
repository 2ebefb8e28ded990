"""The network behind `NeuralAR`: layers over a window of the last elements."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.contract.checked import sentences
from arproc.data.form import Layout
from arproc.models.neural.sequences.element_network import ElementNetwork
from arproc.models.neural.sequences.elements import Element
from arproc.spaces import Space

__all__ = ["WindowNetwork"]

#: The root mean square of the units is below this.
_BOUND = 8.0


class WindowNetwork(ElementNetwork):
    """A linear map of the last elements, and layers that add to it what is not linear.

    The units are `u = A w + B e`, with the window w of the first `entry` numbers of each of the
    last `order` inputs and the last input e in full, which alone has the context in it; then each
    layer adds `D gelu(C u)`. Its D begins at zero, so a linear autoregression is learnt first and
    is what a network without layers is. A window that reaches beyond the start is filled with
    zeros there. In the end units are shrunk, those of usual size hardly, so that none of their
    mean squares is beyond 64: what is drawn and fed back can not grow without bounds.

    Args:
        element: how elements enter and are described; its width is that of the units.
        order: how many inputs the window holds.
        layers: how many layers.
        entry: how many numbers of each input the window has, at most all.
        dropout: the share of a layer's inner units that is dropped in training.
        context: see `ElementNetwork`.
        scaled: likewise.

    Example:
        >>> from arproc.models.neural.sequences.elements import SymbolElement
        >>> network = WindowNetwork(SymbolElement(5, 8), order=2, layers=1, entry=8)
        >>> x = network.element.embed(torch.tensor([[0, 4, 1]]), None)
        >>> units, window = network.run(x, network.begin(1))
        >>> units.shape, window.shape
        (torch.Size([1, 3, 8]), torch.Size([1, 1, 8]))
    """

    def __init__(
        self,
        element: Element,
        order: int,
        layers: int,
        entry: int,
        *,
        dropout: float = 0.0,
        context: int = 0,
        scaled: bool = False,
    ) -> None:
        width = element.width
        # where a window has less than the whole of an input, the context stays out of it
        super().__init__(element, context, scaled, width - entry or None)
        self.order, self.entry, self.dropout = order, entry, dropout
        self.window = nn.Linear(order * entry, width)
        self.last = nn.Linear(width, width, bias=False)
        self.inner = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(layers))
        self.back = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(layers))
        for layer in self.back:
            assert isinstance(layer, nn.Linear)
            nn.init.zeros_(layer.weight)

    def problems(self, space: Space, layout: Layout | None) -> Iterator[str]:
        """What does not fit together; see `NeuralLaw.problems`."""
        width = self.element.width
        yield from sentences(
            (not 0 < self.entry <= width, "the window has more numbers of an input than it has"),
            (
                self.window.in_features != self.order * self.entry
                or self.window.out_features != width,
                "the window's map is of another window",
            ),
        )

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices of the layers, which Muon trains."""
        return [part.weight for part in (*self.inner, *self.back)]

    def begin(self, n: int) -> Tensor:
        return self.start.new_zeros((n, self.order - 1, self.entry))

    @property
    def numbers(self) -> int:
        return max(self.element.width, self.order * self.entry)

    def described(self, inputs: Tensor, chosen: Tensor) -> Tensor:
        """See `ElementNetwork`: no window is made up to the first input that any row chose."""
        first = int(chosen.any(0).to(torch.uint8).argmax())
        seen = inputs[:, max(first - self.order + 1, 0) : first, : self.entry]
        before = self.begin(len(inputs))[:, seen.shape[1] :]
        units, _ = self.run(inputs[:, first:], torch.cat([before, seen], dim=1))
        return units[chosen[:, first:]]

    def select(self, memory: Tensor, rows: Tensor) -> Tensor:
        return memory[rows]

    def run(
        self, inputs: Tensor, memory: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        many = inputs.shape[1]
        entries = torch.cat([memory, inputs[..., : self.entry]], dim=1)
        windows = entries.unfold(1, self.order, 1).transpose(2, 3).flatten(2)
        units = self._layered(self.window(windows) + self.last(inputs))
        if lengths is None:
            return units, entries[:, many:]
        rows = torch.arange(len(inputs), device=inputs.device)[:, None]
        kept = lengths[:, None] + torch.arange(self.order - 1, device=inputs.device)
        return units, entries[rows, kept]

    def step(self, inputs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        entries = torch.cat([memory, inputs[:, None, : self.entry]], dim=1)
        units = self.window(entries.flatten(1)) + self.last(inputs)
        return self._layered(units), entries[:, 1:]

    def _layered(self, units: Tensor) -> Tensor:
        for inner, back in zip(self.inner, self.back, strict=True):
            found = F.gelu(inner(units))
            if self.dropout:
                found = F.dropout(found, self.dropout, self.training)
            units = units + back(found)
        return units * torch.rsqrt(1 + units.square().mean(-1, keepdim=True) / _BOUND**2)
