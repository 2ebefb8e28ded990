"""The law of images in raster order, and its states: a pixel costs its own column of layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.checked import sentences
from arproc.contract.state import GroupedState, State
from arproc.contract.storable import storable
from arproc.distributions import from_uniform, index
from arproc.errors import DataError
from arproc.models.neural.base import NetworkLaw
from arproc.models.neural.channels import axis_problems
from arproc.models.neural.images.pixel_network import PixelCache, PixelNetwork

__all__ = ["ImageLaw", "PixelState"]

#: How many elements a state can be truncated by from what its caches still hold.
_SLACK = 64


@storable
@dataclass(frozen=True, eq=False, repr=False)
class ImageLaw(NetworkLaw):
    """The law of images in raster order.

    An element is one channel of a pixel: a grey pixel, or the red, then the green given the red,
    then the blue given both. Each has a scalar conditional, so that all that works on scalar
    elements (policies, coding, exact quantiles) works on colours, and their product is the joint
    law of the pixel.

    Attributes:
        network: gives the channels' distributions.
        channel_axis: which axis of the user's images holds the channels, or None.
    """

    network: PixelNetwork
    channel_axis: int | None = None

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        network, layout = self.network, self.layout
        shape = () if layout is None else layout.shape
        axis = self.channel_axis
        channels = 1 if axis is None or axis >= len(shape) else shape[axis]
        sides = tuple(side for i, side in enumerate(shape) if i != axis)
        yield from sentences(
            (layout is None, "there is no layout of images"),
            *axis_problems(axis, layout),
            ((*sides, channels) != (network.rows, network.columns, network.channels),
             f"the images are {list(shape)}, the network is for {network.rows} by "
             f"{network.columns} pixels of {network.channels} channels"),
        )  # fmt: skip

    def start(self, n: int, context: Tensor | None) -> State:
        cache = self.network.start(n, context)
        return PixelState(self.network, cache, starts=((0, cache),))


class PixelState(State):
    """What the network keeps of some images, all at the same element.

    Nothing that is kept is ever written to, so states share it. Caches of the last rows' starts
    stay at hand, from which a truncated state is read anew.

    Args:
        network: the network.
        cache: of the whole pixels so far.
        known: how many channels of the next pixel are known.
        starts: earlier caches by their number of elements, oldest first.
    """

    def __init__(
        self,
        network: PixelNetwork,
        cache: PixelCache,
        known: int = 0,
        starts: tuple[tuple[int, PixelCache], ...] = (),
    ) -> None:
        self.network, self.cache, self.known, self.starts = network, cache, known, starts

    @property
    def block(self) -> int:  # type: ignore[override]
        """How many elements to draw at once: all of an image."""
        return self.network.sites

    @property
    def _count(self) -> int:
        """How many elements each image has so far."""
        return self.cache.pixels(self.network.columns) * self.network.channels + self.known

    def _conditional(self) -> Distribution:
        return self.network.head.channel(self.cache.features, self.history.tail(self.known))

    def _append(self, x: Tensor) -> State:
        self._require_room(1)
        if self.known + 1 < self.network.channels:
            return PixelState(self.network, self.cache, self.known + 1, self.starts)
        pixel = torch.cat([self.history.tail(self.known), x[:, None]], dim=1)
        _, cache = self.network.read(self.cache, pixel[:, None])
        return PixelState(self.network, cache, 0, self._with_start(cache))

    def _extend(self, x: Tensor, lengths: Tensor | None) -> tuple[Distribution, State]:
        self._require_room(x.shape[1] if lengths is None else int(lengths.max()))
        if lengths is not None:
            return self._columns(x)[0], self._ragged(x, lengths)
        return self._columns(x)

    def _columns(self, x: Tensor) -> tuple[Distribution, State]:
        """The conditionals along x [N, K], and the state after all of it."""
        network, channels = self.network, self.network.channels
        sites = torch.cat([self.history.tail(self.known), x], dim=1)
        whole = min(sites.shape[1] // channels, network.pixels - self._count // channels)
        pixels = sites[:, : whole * channels].unflatten(1, (whole, channels))
        features, cache = network.read(self.cache, pixels)
        features = torch.cat([self.cache.features[:, None], features], dim=1)
        column = self.known + torch.arange(x.shape[1] + 1, device=x.device)
        # a column behind the last element says nothing, and nobody may ask for it
        column = column.clamp(max=features.shape[1] * channels - 1)
        values = F.pad(sites, (0, features.shape[1] * channels - sites.shape[1]))
        every = network.head.distribution(
            features, values.unflatten(1, (features.shape[1], channels))
        )
        columns = index(every, (slice(None), column // channels, column % channels))
        known = (self.known + x.shape[1]) % channels
        return columns, PixelState(network, cache, known, self._with_start(cache))

    def _ragged(self, x: Tensor, lengths: Tensor) -> State:
        """The states after unequal numbers of elements, read one by one."""
        parts: list[tuple[Tensor, State]] = []
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero()[:, 0]
            parts.append((rows, self.select(rows).extend(x[rows, :length])[1]))
        return GroupedState(parts)

    def _select(self, rows: Tensor) -> State:
        starts = tuple((count, cache.select(rows)) for count, cache in self.starts)
        return PixelState(self.network, self.cache.select(rows), self.known, starts)

    def _truncate(self, lengths: Tensor) -> State:
        fewest = int(lengths.min()) if len(lengths) else 0
        start = next(((c, m) for c, m in reversed(self.starts) if c <= fewest), None)
        if start is None:
            return super()._truncate(lengths)
        count, cache = start
        starts = tuple(s for s in self.starts if s[0] <= count)
        before = PixelState(self.network, cache, 0, starts)
        history = self.history.truncate(torch.full_like(lengths, count))
        self._carry(before, history, self.context)
        x = self.history.tail(self._count - count)[:, : int(lengths.max()) - count]
        if bool((lengths == fewest).all()):
            return before.extend(x)[1]
        return before._ragged(x, lengths - count)

    def advance(self, uniforms: Tensor) -> tuple[Tensor, State]:
        network, cache, starts = self.network, self.cache, self.starts
        self._require_room(uniforms.shape[1])
        dtype, drawn = self.law.space.dtype, [self.history.slots[:, :0]]
        pixel = self.history.tail(self.known)
        for u in uniforms.unbind(1):
            x = from_uniform(network.head.channel(cache.features, pixel), u).to(dtype)[:, None]
            drawn.append(x)
            pixel = torch.cat([pixel, x], dim=1)
            if pixel.shape[1] == network.channels:
                cache = network.read(cache, pixel[:, None])[1]
                starts = self._with_start(cache, starts)
                pixel = pixel[:, :0]
        joined = torch.cat(drawn, dim=1)
        state = PixelState(network, cache, pixel.shape[1], starts)
        return joined, self._carry(state, self.history.extend(joined), self.context)

    # ---- inner parts --------------------------------------------------------------------------

    def _with_start(
        self, cache: PixelCache, starts: tuple[tuple[int, PixelCache], ...] | None = None
    ) -> tuple[tuple[int, PixelCache], ...]:
        """The earlier caches with this one, if it is a row's start; too old ones dropped."""
        starts = self.starts if starts is None else starts
        if cache.column:
            return starts
        count = cache.pixels(self.network.columns) * self.network.channels
        kept = [s for s in starts if s[0] < count]
        # one that lies 64 elements back reaches as far as any draft is taken back
        old = [i for i, s in enumerate(kept) if s[0] <= count - _SLACK]
        return (*kept[old[-1] if old else 0 :], (count, cache))

    def _require_room(self, count: int) -> None:
        if self._count + count > self.network.sites:
            raise DataError(
                f"an image has {self.network.sites} elements, {self._count} are known, and these "
                f"are {count} more."
            )
