"""The law of a network over elements, and its state: what the network remembers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.checked import Number, sentences
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.distributions import from_uniform
from arproc.models.neural.base import NetworkLaw
from arproc.models.neural.sequences.element_network import ElementNetwork
from arproc.models.neural.sequences.scaling import Scale, context_scale, prefix_scale
from arproc.spaces import Count

__all__ = ["ElementLaw", "ElementState"]

#: How many numbers a block of conditionals may hold while a likelihood is computed.
_BLOCK_NUMBERS = 2**22


@storable
@dataclass(frozen=True, eq=False, repr=False)
class ElementLaw(NetworkLaw):
    """The law of elements of any kind that recurrent layers, or attention, give.

    Attributes:
        network: over the elements.
        n_given: how many first elements are given, off which the scale of a series is read; 0
            where all have one scale, or it comes with the context.
    """

    network: ElementNetwork
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
        return max(super().numbers, self.network.element.numbers, self.network.numbers)

    def start(self, n: int, context: Tensor | None) -> State:
        return ElementState(None)

    def log_prob_terms(self, sequences: Sequences, context: Tensor | None) -> Tensor:
        """Whole sequences by one pass of the network, in blocks of columns."""
        if self.n_given or self.network.scaled or not len(sequences):
            return super().log_prob_terms(sequences, context)
        counts, total = sequences.n_terms, int(sequences.n_terms.sum())
        offsets = counts.cumsum(0) - counts
        found = torch.zeros(total, dtype=torch.float64, device=self.device)
        for rows in sequences.batches(max_rows=max(1, _BLOCK_NUMBERS // self.numbers)):
            given = None if context is None else context[rows]
            for first, terms in self._blocks(sequences, rows, given):
                column = first + torch.arange(terms.shape[1])
                inside = column < counts[rows][:, None]
                index = (offsets[rows][:, None] + column)[inside].to(found.device)
                found = found.index_put((index,), terms[inside.to(terms.device)])
        return found

    def _blocks(
        self, sequences: Sequences, rows: Tensor, context: Tensor | None
    ) -> Iterator[tuple[int, Tensor]]:
        """The terms of some rows in blocks of columns: the first column, and [n, T] float64."""
        network, element = self.network, self.network.element
        width = int(sequences.n_terms[rows].max())
        chunk = max(1, _BLOCK_NUMBERS // (len(rows) * self.numbers))
        hidden, before = network.begin(len(rows)), network.start.expand(len(rows), 1, -1)
        for first in range(0, width, chunk):
            stop = min(first + chunk, width)
            x = sequences.padded(rows, ends=True, columns=(first, stop))[0].to(self.device)
            inputs = torch.cat([before, element.embed(x[:, :-1], None)], dim=1)
            if context is not None and context.ndim == 3:
                inputs = network.inputs(inputs, context[:, first:stop])
            else:
                inputs = network.inputs(inputs, context)
            before = element.embed(x[:, -1:], None) if stop < width else before
            units, hidden = network.run(inputs, hidden)
            yield first, element.log_prob(units, x, None).double()

    def prefix_scale(self, x: Tensor) -> Scale | None:
        """The scale of series by their first elements x [N, at least n_given]."""
        if not self.n_given:
            return None
        return prefix_scale(x[:, : self.n_given], isinstance(self.space, Count))


class Memory(NamedTuple):
    """What a network knows of some sequences.

    Attributes:
        units: those that describe the next element, [N, width].
        hidden: what the network remembers.
        scale: of the series, where it is read off their first elements.
        panels: the network's weights as its stepper reads them, if it has any.
    """

    units: Tensor
    hidden: Any
    scale: Scale | None
    panels: Any = None


class ElementState(State):
    """What the network remembers after some elements, and the units that describe the next.

    Args:
        memory: that; None finds it from the history when it is asked for. It stays None while a
            row has fewer elements than those that its scale is read off.
    """

    law: ElementLaw

    def __init__(self, memory: Memory | None) -> None:
        self.memory = memory

    def _conditional(self) -> Distribution:
        memory = self._known()
        scale = self._scales(self.lengths[:, None], memory.scale)[0]
        return self.law.network.element.distribution(memory.units, scale)

    def _append(self, x: Tensor) -> ElementState:
        if self._too_short():
            return ElementState(None)
        memory, network = self._known(), self.law.network
        scale = self._scales(self.lengths[:, None], memory.scale)[0]
        inputs = network.element.embed(x, scale)
        added = network.added(self.context_at(self.lengths[:, None] + 1), 1)
        inputs = inputs if added is None else inputs + added[:, 0]
        units, hidden = network.step(inputs, memory.hidden)
        return ElementState(Memory(units, hidden, memory.scale))

    def _extend(self, x: Tensor, lengths: Tensor | None) -> tuple[Distribution, ElementState]:
        if self._too_short():
            return self._extend_short(x, lengths)
        memory, network = self._known(), self.law.network
        if not x.shape[1]:
            return self._columns(memory.units[:, None], memory.scale), ElementState(memory)
        positions = self.lengths[:, None] + torch.arange(x.shape[1] + 1, device=x.device)
        inputs = network.element.embed(x, self._scale(positions[:, :-1], memory.scale))
        inputs = network.inputs(inputs, self.context_at(positions[:, 1:]))
        units, hidden = network.run(inputs, memory.hidden)
        columns = torch.cat([memory.units[:, None], units], dim=1)
        last = columns[:, -1]
        if lengths is not None:  # columns beyond a row's length have laws too
            last = columns[torch.arange(len(x), device=x.device), lengths]
            hidden = network.run(inputs, memory.hidden, lengths)[1]
        after = ElementState(Memory(last, hidden, memory.scale))
        return self._columns(columns, memory.scale), after

    def _extend_short(
        self, x: Tensor, lengths: Tensor | None
    ) -> tuple[Distribution, ElementState]:
        """`_extend` where the scale of a row is yet to be read: from its first element on."""
        joined, counts = self.history.extend(x).padded()
        units, scale, hidden = self._replay(joined, counts)
        positions = self.lengths[:, None] + torch.arange(x.shape[1] + 1, device=x.device)
        rows = torch.arange(len(x), device=x.device)
        after = ElementState(None)
        if lengths is None and bool((counts >= self.law.n_given).all()):
            after = ElementState(Memory(units[rows, counts], hidden, scale))
        return self._columns(units[rows[:, None], positions], scale), after

    @property
    def in_vain(self) -> int:  # type: ignore[override]
        return self.law.network.in_vain

    @property
    def block(self) -> int:  # type: ignore[override]
        """How many elements to draw at once: a row that has ended goes on to the block's end."""
        return 4 if self.law.space.terminates else 32

    def advance(self, uniforms: Tensor) -> tuple[Tensor, State]:
        """See `State`; a loop over the network alone, without the states in between."""
        if self._too_short() or not uniforms.shape[1]:
            return super().advance(uniforms)
        memory, network = self._known(), self.law.network
        element, dtype, count = network.element, self.law.space.dtype, uniforms.shape[1]
        positions = self.lengths[:, None] + torch.arange(count + 1, device=uniforms.device)
        scales = self._scales(positions[:, :-1], memory.scale)
        added = network.added(self.context_at(positions[:, 1:]), count)
        stepper = network.stepper(memory.hidden, self.n * count, memory.panels)
        units, drawn = memory.units, []
        for k, u in enumerate(uniforms.unbind(1)):
            x = from_uniform(element.distribution(units, scales[k]), u).to(dtype)
            units = stepper.feed(x, scales[k], None if added is None else added[:, k])
            drawn.append(x)
        x = torch.stack(drawn, dim=1)
        after = ElementState(Memory(units, stepper.memory, memory.scale, stepper.panels))
        return x, self._carry(after, self.history.extend(x), self.context)

    def _select(self, rows: Tensor) -> ElementState:
        if self.memory is None:
            return ElementState(None)
        units, hidden, scale, panels = self.memory
        hidden = self.law.network.select(hidden, rows)
        scale = None if scale is None else scale.select(rows)
        return ElementState(Memory(units[rows], hidden, scale, panels))

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

    def _replay(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Scale | None, Any]:
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

    def _scales(self, positions: Tensor, read: Scale | None) -> list[Scale | None]:
        """The scale [N] of the elements of each column of positions [N, K]."""
        scale = self._scale(positions, read)
        if scale is None:
            return [None] * positions.shape[1]
        columns = (part.expand(positions.shape).unbind(1) for part in scale)
        return [Scale(*parts) for parts in zip(*columns, strict=True)]

    def _scale(self, positions: Tensor, read: Scale | None) -> Scale | None:
        """The scale of elements at positions [N, K]; `read` is that read off the prefix."""
        if not self.law.network.scaled:
            return read
        context = self.context_at(positions)
        assert context is not None
        return context_scale(context)
