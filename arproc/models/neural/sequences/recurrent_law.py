"""The law of a recurrent network, and its state: what the layers remember."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple, Self

import torch
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.checked import Number, sentences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.models.neural.base import NetworkLaw
from arproc.models.neural.sequences.recurrent import Hidden, RecurrentNetwork
from arproc.models.neural.sequences.scaling import Scale, context_scale, prefix_scale
from arproc.spaces import Count

__all__ = ["RecurrentLaw", "RecurrentState"]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class RecurrentLaw(NetworkLaw):
    """The law that recurrent layers give.

    Attributes:
        network: the layers.
        n_given: how many first elements are given, off which the scale of a series is read; 0
            where all have one scale, or it comes with the context.
    """

    network: RecurrentNetwork
    n_given: Annotated[int, Number(low=0)] = 0

    context_kinds: ClassVar[tuple[str, ...]] = ("static", "steps")

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        scaled = self.network.scaled
        yield from sentences(
            (bool(self.n_given) and scaled, "scales are given twice"),
            (
                scaled != (self.context is not None and self.context.sizes == 1),
                "the scale is not where the network looks for it",
            ),
        )

    @property
    def numbers(self) -> int:
        return max(super().numbers, self.network.element.numbers, self.network.element.width)

    def start(self, n: int, context: Tensor | None) -> State:
        return RecurrentState(None)

    def prefix_scale(self, x: Tensor) -> Scale | None:
        """The scale of series by their first elements x [N, at least n_given]."""
        if not self.n_given:
            return None
        return prefix_scale(x[:, : self.n_given], isinstance(self.space, Count))


class Memory(NamedTuple):
    """What a recurrent network knows of some sequences.

    Attributes:
        units: the last layer's, which describe the next element, [N, width].
        hidden: what the layers remember.
        scale: of the series, where it is read off their first elements.
    """

    units: Tensor
    hidden: Hidden
    scale: Scale | None

    def select(self, rows: Tensor) -> Self:
        """Of these rows."""
        scale = None if self.scale is None else self.scale.select(rows)
        hidden = tuple(part[:, rows] for part in self.hidden)
        return type(self)(self.units[rows], hidden, scale)


class RecurrentState(State):
    """What the layers remember after some elements, and the units that describe the next.

    Args:
        memory: that; None finds it from the history when it is asked for. It stays None while a
            row has fewer elements than those that its scale is read off.
    """

    law: RecurrentLaw

    def __init__(self, memory: Memory | None) -> None:
        self.memory = memory

    def _conditional(self) -> Distribution:
        memory = self._known()
        scale = self._scale(self.lengths[:, None], memory.scale)
        scale = None if scale is None else Scale(scale.place[:, 0], scale.size[:, 0])
        return self.law.network.element.distribution(memory.units, scale)

    def _append(self, x: Tensor) -> RecurrentState:
        if self._too_short():
            return RecurrentState(None)
        memory, network = self._known(), self.law.network
        scale = self._scale(self.lengths[:, None], memory.scale)
        inputs = network.element.embed(x[:, None], scale)
        inputs = network.inputs(inputs, self.context_at(self.lengths[:, None] + 1))
        units, hidden = network.step(inputs[:, 0], memory.hidden)
        return RecurrentState(Memory(units, hidden, memory.scale))

    def _extend(self, x: Tensor, lengths: Tensor | None) -> tuple[Distribution, RecurrentState]:
        if self._too_short():
            return self._extend_short(x, lengths)
        memory, network = self._known(), self.law.network
        if not x.shape[1]:
            return self._columns(memory.units[:, None], memory.scale), RecurrentState(memory)
        positions = self.lengths[:, None] + torch.arange(x.shape[1] + 1, device=x.device)
        inputs = network.element.embed(x, self._scale(positions[:, :-1], memory.scale))
        inputs = network.inputs(inputs, self.context_at(positions[:, 1:]))
        units, hidden = network.run(inputs, memory.hidden)
        columns = torch.cat([memory.units[:, None], units], dim=1)
        last = columns[:, -1]
        if lengths is not None:
            last = columns[torch.arange(len(x), device=x.device), lengths]
            counted = network.run(inputs, memory.hidden, lengths.clamp(min=1))[1]
            none = (lengths == 0)[:, None]
            pairs = zip(memory.hidden, counted, strict=True)
            hidden = tuple(torch.where(none, before, after) for before, after in pairs)
        after = RecurrentState(Memory(last, hidden, memory.scale))
        return self._columns(columns, memory.scale), after

    def _extend_short(
        self, x: Tensor, lengths: Tensor | None
    ) -> tuple[Distribution, RecurrentState]:
        """`_extend` where the scale of a row is yet to be read: from its first element on."""
        joined, counts = self.history.extend(x).padded()
        units, scale, hidden = self._replay(joined, counts)
        positions = self.lengths[:, None] + torch.arange(x.shape[1] + 1, device=x.device)
        rows = torch.arange(len(x), device=x.device)
        after = RecurrentState(None)
        if lengths is None and bool((counts >= self.law.n_given).all()):
            after = RecurrentState(Memory(units[rows, counts], hidden, scale))
        return self._columns(units[rows[:, None], positions], scale), after

    def _select(self, rows: Tensor) -> RecurrentState:
        return RecurrentState(None if self.memory is None else self.memory.select(rows))

    # ---- inner parts --------------------------------------------------------------------------

    def _too_short(self) -> bool:
        given = self.law.n_given
        return bool(given) and self.memory is None and bool((self.lengths < given).any())

    def _known(self) -> Memory:
        if self.memory is None:
            x, lengths = self.history.padded()
            units, scale, hidden = self._replay(x, lengths)
            last = units[torch.arange(self.n, device=x.device), lengths]
            self.memory = Memory(last, hidden, scale)
        return self.memory

    def _replay(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Scale | None, Hidden]:
        """Units [N, T + 1, width] from the start on, along x [N, T], and what is remembered.

        Args:
            x: the elements from the first on.
            lengths: how many of a row's there are; what is remembered is of these.
        """
        network, n = self.law.network, len(x)
        scale = self.law.prefix_scale(x)
        positions = torch.arange(x.shape[1] + 1, device=x.device).expand(n, -1)
        inputs = network.start.expand(n, 1, -1)
        if x.shape[1]:
            embedded = network.element.embed(x, self._scale(positions[:, :-1], scale))
            inputs = torch.cat([inputs, embedded], dim=1)
        inputs = network.inputs(inputs, self.context_at(positions))
        even = not len(lengths) or bool((lengths == x.shape[1]).all())
        hidden = network.begin(n)
        if even and x.shape[1] == 0:
            units, hidden = network.step(inputs[:, 0], hidden)
            return units[:, None], scale, hidden
        units, hidden = network.run(inputs, hidden, None if even else lengths + 1)
        return units, scale, hidden

    def _columns(self, units: Tensor, scale: Scale | None) -> Distribution:
        """The laws that units [N, K, width] from this state's place on describe."""
        positions = self.lengths[:, None] + torch.arange(units.shape[1], device=units.device)
        scale = self._scale(positions, scale)
        if scale is not None:
            scale = Scale(*(part.expand(units.shape[:2]) for part in scale))
        return self.law.network.element.distribution(units, scale)

    def _scale(self, positions: Tensor, read: Scale | None) -> Scale | None:
        """The scale of elements at positions [N, K]; `read` is that read off the prefix."""
        if not self.law.network.scaled:
            return read
        context = self.context_at(positions)
        assert context is not None
        return context_scale(context)
