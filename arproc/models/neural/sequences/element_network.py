"""Networks over elements: what a law of elements asks of recurrent layers and of attention."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.contract.storable import StorableModule
from arproc.models.neural.given import Given
from arproc.models.neural.sequences.elements import Element
from arproc.models.neural.sequences.scaling import Scale

__all__ = ["ElementNetwork", "Stepper"]


class ElementNetwork(StorableModule):
    """Base of the networks over elements: inputs one after another, units for what comes next.

    The input at position 0 is learned, that at position j + 1 stands for element j; a context
    is added to it (a context by steps: that of the element which comes next). After the input at
    position j the units describe element j. What is *remembered* of the inputs so far is the
    network's own matter, and a value.

    A subclass writes `begin`, `run` and `select`, and `step`, `described` and `stepper` where it
    has a faster way.

    Args:
        element: how elements enter and are described.
        context: how many numbers each sequence, or each of its steps, is conditioned on.
        scaled: whether the first of these is the scale of the series rather than an input.
        reached: how many of an input's numbers, the last ones, the context is added to; all of
            them by default.
    """

    def __init__(
        self, element: Element, context: int, scaled: bool, reached: int | None = None
    ) -> None:
        super().__init__()
        self.element, self.scaled = element, scaled
        self.start = nn.Parameter(torch.zeros(element.width))
        inputs = context - scaled
        units = element.width if reached is None else reached
        self.given = Given(inputs, units) if inputs > 0 else None

    @abstractmethod
    def begin(self, n: int) -> Any:
        """What is remembered of n sequences before any input."""

    @abstractmethod
    def run(
        self, inputs: Tensor, memory: Any, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Units [N, K, width] after each of K > 0 inputs, and what is then remembered.

        Args:
            inputs: [N, K, width].
            memory: of those before them.
            lengths: of how many of a row's inputs it is to be, from 0 on; all by default. Units
                beyond say nothing.
        """

    def described(self, inputs: Tensor, chosen: Tensor) -> Tensor:
        """The units [n, width] after chosen inputs of whole sequences, in the order of rows.

        Args:
            inputs: [N, K, width], from the first on.
            chosen: which, bool [N, K].
        """
        return self.run(inputs, self.begin(len(inputs)))[0][chosen]

    #: See `State`.
    in_vain: int = 64

    @property
    def numbers(self) -> int:
        """How many numbers one input takes on its way, about."""
        return self.element.width

    @abstractmethod
    def select(self, memory: Any, rows: Tensor) -> Any:
        """What is remembered of some rows."""

    def step(self, inputs: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """One input [N, width]: the units [N, width], and what is remembered."""
        units, memory = self.run(inputs[:, None], memory)
        return units[:, 0], memory

    def stepper(self, memory: Any, draws: int, panels: Any = None) -> Stepper:
        """What takes single elements.

        Args:
            memory: of the elements before them.
            draws: how many there are to be, of all rows together.
            panels: those of an earlier stepper, if there was one.
        """
        del draws, panels
        return Stepper(self, memory)

    def inputs(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Inputs [N, K, width] with what a context [N, c] or [N, K, c] adds to them."""
        added = self.added(context, x.shape[1])
        return x if added is None else x + added

    def added(self, context: Tensor | None, count: int) -> Tensor | None:
        """What a context [N, c] or [N, K, c] adds to `count` inputs, [N, count, width]."""
        if context is None or self.given is None:
            return None
        found: Tensor = self.given(context[..., self.scaled :])
        found = F.pad(found, (self.element.width - found.shape[-1], 0))
        return found[:, None].expand(-1, count, -1) if found.ndim == 2 else found


class Stepper:
    """Takes elements one after another.

    Args:
        network: whose inputs they are.
        memory: what it remembers; that after the last element is `memory`.

    Attributes:
        panels: the weights as it reads them, for the next one; None where it reads the network's.
    """

    panels: Any = None

    def __init__(self, network: ElementNetwork, memory: Any) -> None:
        self.network, self._memory = network, memory

    @property
    def memory(self) -> Any:
        """What the network remembers."""
        return self._memory

    def feed(self, x: Tensor, scale: Scale | None, added: Tensor | None) -> Tensor:
        """The units [N, width] after elements x [N, *event], with what a context adds to them."""
        inputs = self.network.element.embed(x, scale)
        units, self._memory = self.network.step(
            inputs if added is None else inputs + added, self._memory
        )
        return units
