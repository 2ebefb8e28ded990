"""The law of waveforms, and its states: a queue of the last inputs of each layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.state import State
from arproc.contract.storable import storable
from arproc.models.neural.base import NetworkLaw
from arproc.models.neural.vectors.heads import DiscretisedLogisticHead
from arproc.models.neural.vectors.networks import plain
from arproc.models.neural.waves.network import SLACK, WaveNetwork

__all__ = ["WaveNetLaw", "WaveState"]

#: About how many microseconds the interpreter takes for a layer of one sample.
_INTERPRETED = 60


@storable
@dataclass(frozen=True, eq=False, repr=False)
class WaveNetLaw(NetworkLaw):
    """The law of samples that dilated causal convolutions give.

    Attributes:
        network: the convolutions.
    """

    context_kinds: ClassVar[tuple[str, ...]] = ("static", "steps")

    network: WaveNetwork

    def start(self, n: int, context: Tensor | None) -> State:
        network = self.network
        empty = network.start.new_zeros((n, sum(network.kept), network.width))
        first = torch.full((n, 1), network.levels, device=self.device)
        total, grown = network.feed(first, empty, _at(context, torch.zeros(n, 1).long()))
        queue = _cut(network, grown, 1, torch.ones(n, dtype=torch.int64, device=self.device))
        return WaveState(_Weights(network), queue, total[:, 0], SLACK - 1)


class _Weights:
    """A network, and its weights as the compiled sampler reads them, which states share.

    Args:
        network: the network.
    """

    def __init__(self, network: WaveNetwork) -> None:
        self.network = network

    @cached_property
    def plain(self) -> tuple[Any, ...]:
        """The weights, copied when they are first asked for."""
        return _plain_weights(self.network)


class WaveState(State):
    """The last inputs of each layer, that of the next element's position included.

    Nothing in it is ever written to, so states share it.

    Args:
        weights: the network and its weights.
        queue: the last inputs of each layer, one layer after another, [N, kept, width].
        total: the sum over layers at the next element's position, [N, skip].
        slack: how many elements every row can be taken back by.
    """

    #: How many elements to draw at once: as often is the queue copied.
    block = 512

    def __init__(self, weights: _Weights, queue: Tensor, total: Tensor, slack: int) -> None:
        self.weights, self.queue, self.total, self.slack = weights, queue, total, slack

    @property
    def network(self) -> WaveNetwork:
        return self.weights.network

    def _conditional(self) -> Distribution:
        return self.network.values.distribution(self.network.described(self.total))

    def _append(self, x: Tensor) -> State:
        if self._compiles:
            return self._drawn(np.empty((self.n, 0)), x[:, None])[1]
        return self._fed(x[:, None], None)[1]

    def _extend(self, x: Tensor, lengths: Tensor | None) -> tuple[Distribution, State]:
        total, state = self._fed(x, lengths)
        every = torch.cat([self.total[:, None], total], dim=1)
        network = self.network
        return network.values.distribution(network.described(every)), state

    def _select(self, rows: Tensor) -> State:
        return WaveState(self.weights, self.queue[rows], self.total[rows], self.slack)

    def _truncate(self, lengths: Tensor) -> State:
        back = self.lengths - lengths
        most = int(back.max()) if len(back) else 0
        if most > self.slack:
            return super()._truncate(lengths)
        # the queue without the input of the new position, which is then fed again
        network, rows = self.network, torch.arange(self.n, device=back.device)
        before = _cut(network, self.queue, 0, -(back + 1))
        slots = self.history.slots
        place = (slots.shape[1] - back - 1).clamp(min=0)
        x = slots[rows, place].masked_fill(lengths == 0, network.levels)
        context = _at(self.context, lengths[:, None])
        total, grown = network.feed(x[:, None], before, context)
        queue = _cut(network, grown, 1, torch.ones_like(back))
        return WaveState(self.weights, queue, total[:, 0], self.slack - most)

    def advance(self, uniforms: Tensor) -> tuple[Tensor, State]:
        if not self._compiles:
            return super().advance(uniforms)
        x, state = self._drawn(uniforms.numpy(), self.history.slots[:, :0])
        return x, self._carry(state, self.history.extend(x), self.context)

    # ---- inner parts --------------------------------------------------------------------------

    @property
    def _compiles(self) -> bool:
        """Whether compiled loops can go on: numbers in memory, and nobody asks for gradients."""
        like, context = self.queue, self.context
        if like.device.type != "cpu" or like.dtype != torch.float32:
            return False
        if not torch.is_grad_enabled():
            return True
        held = [like] if context is None else [like, context]
        return not any(t.requires_grad for t in (*held, *self.network.parameters()))

    def _fed(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, State]:
        """The sums over layers [N, K, skip] behind each of x [N, K], and the state after them."""
        network, count = self.network, x.shape[1]
        if not count:
            return self.total[:, None][:, :0], self._select(torch.arange(self.n))
        steps = self.lengths[:, None] + 1 + torch.arange(count, device=x.device)
        total, grown = network.feed(x.long(), self.queue, _at(self.context, steps))
        read = torch.full((self.n,), count, device=x.device) if lengths is None else lengths
        queue = _cut(network, grown, count, read)
        rows = torch.arange(self.n, device=x.device)
        last = torch.cat([self.total[:, None], total], dim=1)[rows, read]
        slack = min(self.slack + int(read.min()) if self.n else 0, SLACK - 1)
        return total, WaveState(self.weights, queue, last, slack)

    def _drawn(self, uniforms: np.ndarray, given: Tensor) -> tuple[Tensor, State]:
        """Elements given [N, K], or drawn from uniforms [N, K], and the state after them."""
        from arproc.compiled.interpreted import suited
        from arproc.models.neural.waves import kernels

        network, count = self.network, max(uniforms.shape[1], given.shape[1])
        steps = self.lengths[:, None] + 1 + torch.arange(count)
        loops = suited(kernels, _INTERPRETED * self.n * count * len(network.layers))
        queue = self.queue.detach().clone(memory_format=torch.contiguous_format)
        total = self.total.detach().clone(memory_format=torch.contiguous_format)
        drawn = loops.draw(
            queue.numpy(),
            total.numpy(),
            given.long().contiguous().numpy(),
            np.ascontiguousarray(uniforms),
            _offsets(network, _at(self.context, steps)),
            *self.weights.plain,
        )
        slack = min(self.slack + count, SLACK - 1)
        x = torch.from_numpy(drawn).to(self.law.space.dtype)
        return x, WaveState(self.weights, queue, total, slack)


def _at(context: Tensor | None, steps: Tensor) -> Tensor | None:
    """The context of these steps [N, K]: [N, c] where it is static, else [N, K, c].

    Beyond a context by steps nothing is known: NaN there, and the caller sees it at once.
    """
    if context is None or context.ndim == 2:
        return context
    steps, last = steps.to(context.device), context.shape[1] - 1
    rows = torch.arange(len(steps), device=context.device)[:, None]
    if last < 0:
        return context.new_full((*steps.shape, context.shape[2]), torch.nan)
    found = context[rows, steps.clamp(max=last)]
    return found.masked_fill((steps > last)[..., None], torch.nan)


def _cut(network: WaveNetwork, grown: Tensor, count: int, read: Tensor) -> Tensor:
    """The queue of which `read[i]` more inputs count in row i.

    Args:
        network: whose queue it is.
        grown: each layer's queue followed by `count` inputs, layer after layer.
        count: how many inputs follow.
        read: how many of them count, [N]; below zero, how many of the queue do not.
    """
    if count and bool((read == count).all()):
        parts = grown.split([kept + count for kept in network.kept], dim=1)
        return torch.cat([part[:, count:] for part in parts], dim=1)
    begin, columns = 0, []
    for kept in network.kept:
        columns.append(
            begin + (torch.arange(kept, device=read.device) + read[:, None]).clamp(min=0)
        )
        begin += kept + count
    rows = torch.arange(len(read), device=read.device)[:, None]
    return grown[rows, torch.cat(columns, dim=1)]


def _offsets(network: WaveNetwork, context: Tensor | None) -> np.ndarray:
    """What a context adds before the gates, [N or 1, K or 1, layers, 2 width]."""
    if context is None:
        return np.zeros((1, 1, len(network.layers), 2 * network.width), np.float32)
    steps = context[:, None] if context.ndim == 2 else context
    with torch.no_grad():
        parts = [layer.given(steps) for layer in network.stack if layer.given is not None]
    return plain(torch.stack(parts, dim=2))


def _plain_weights(network: WaveNetwork) -> tuple[Any, ...]:
    """What the compiled sampler reads."""
    with torch.no_grad():
        stack, head = network.stack, network.values
        mixture = isinstance(head, DiscretisedLogisticHead)
        # the last layer has nothing for a next one
        outs, wide = [layer.out.weight for layer in stack], network.skip + network.width
        return (
            plain(network.table()),
            np.array([layer.dilation for layer in stack]),
            np.array(network.kept),
            np.stack([plain(layer.gate.weight.T) for layer in stack]),
            np.stack([plain(layer.gate.bias) for layer in stack]),
            np.stack([plain(F.pad(weight.T, (0, wide - len(weight)))) for weight in outs]),
            plain(network.hidden.weight.T),
            plain(network.hidden.bias),
            plain(network.last.weight.T),
            plain(network.last.bias),
            network.levels if mixture else 0,
        )
