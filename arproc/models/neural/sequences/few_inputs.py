"""Passes of a decoder over few inputs at a time, as generation makes them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from arproc.models.neural.panels import MOST, fits, kept_panels, numbers
from arproc.models.neural.sequences.layout import ACTIVATIONS, Layout
from arproc.models.neural.sequences.network import SequenceNetwork

__all__ = ["FewInputs", "Known", "Weights"]

#: About how many microseconds a layer takes, and how many weights are read in one.
_LAYER, _WEIGHTS = 100, 5000


class Weights:
    """The weights of a network as its passes read them, taken once for many of them.

    Args:
        network: whose weights.
    """

    __slots__ = ("_few", "_plain", "_tried", "network")

    def __init__(self, network: SequenceNetwork) -> None:
        self.network = network
        self._plain: tuple[Any] | None = None
        self._few: FewInputs | None = None
        self._tried = False

    @property
    def plain(self) -> Any:
        """Those of `network.weights()`."""
        if self._plain is None:
            self._plain = (self.network.weights(),)
        return self._plain[0]

    def traced(self) -> bool:
        """Whether gradients in these weights are asked for."""
        return torch.is_grad_enabled() and any(p.requires_grad for p in self.network.parameters())

    def few(self, inputs: int) -> FewInputs | None:
        """What makes a pass over so many inputs; None where the network itself makes it."""
        if not 0 < inputs <= MOST or torch.is_autocast_enabled("cpu"):
            return None
        if not self._tried:  # what is found then is so for as long as these weights are used
            fitting = fits(self.network)
            if fitting and not _worth_compiling(self.network):
                return None
            self._few = _panels_of(self.network) if fitting else None
            self._tried = True
        return self._few

    def scores(self, hidden: Tensor) -> Tensor:
        """The scores [..., symbols] of what the last layer says, [..., width]."""
        few, rows = self._of(hidden)
        if few is None:
            return self.network.scores(hidden, self.plain)
        return few.scores(hidden.reshape(rows, -1)).view(*hidden.shape[:-1], -1)

    def further(self, hidden: Tensor, between: Tensor) -> Tensor:
        """See `SequenceNetwork.further`."""
        few, rows = self._of(hidden)
        if few is None:
            return self.network.further(hidden, between)
        known = between.reshape(rows, between.shape[-1])
        return few.further(hidden.reshape(rows, -1), known).view(hidden.shape)

    def _of(self, hidden: Tensor) -> tuple[FewInputs | None, int]:
        """What computes for hidden [..., width], if it is not the network; how many they are."""
        rows = hidden.numel() // hidden.shape[-1]
        plain = not 0 < rows <= MOST or hidden.requires_grad or self.traced()
        return (None if plain else self._few), rows


class Known(NamedTuple):
    """What a `KeyValueCache` holds before some inputs.

    Attributes:
        cache: keys and values, [layers, 2, rows, kv_heads, capacity, dim].
        rows: which of its rows these are, int64 [N]; None for all.
        table: positions of the slots, those of the inputs included; None where rows agree.
        shift: the position in slot 0 where they do.
        stop: how many slots are written.
    """

    cache: Tensor
    rows: Tensor | None
    table: Tensor | None
    shift: int
    stop: int


class FewInputs:
    """A network in panels (`compiled.few_rows`), for products with few rows.

    Args:
        layout: of the network.
        scale: of the scores of attention.
    """

    def __init__(self, layout: Layout, scale: float) -> None:
        from arproc.compiled.few_rows import pack

        # a symbol that is none is refused where torch looks it up
        self.table = None if layout.table is None else torch.from_numpy(numbers(layout.table))
        self.rotary, self.symbols = layout.rotary, len(layout.head)
        self._places: np.ndarray | None = None
        self._ahead = [
            (pack(numbers(up)), pack(numbers(down)), up.shape[0]) for up, down in layout.ahead
        ]
        self._head, self._sharpness = pack(numbers(layout.head)), np.float32(layout.sharpness)
        parts: list[np.ndarray] = []
        for kind in zip(*layout.layers, strict=True):
            matrices, constants = zip(*kind, strict=True)
            parts += [_together([numbers(matrix) for matrix in matrices]), _constants(constants)]
        gain, constant = layout.norm
        last = numbers(gain), numbers(gain.new_zeros(0) if constant is None else constant)
        self._parts = (*parts, *last)
        self._settings = (
            layout.center, float(layout.epsilon), layout.unit_heads,
            ACTIVATIONS.index(layout.activation), float(scale), numbers(layout.slopes),
        )  # fmt: skip

    def run(
        self,
        network: SequenceNetwork,
        inputs: Tensor,
        offset: Tensor | None,
        known: Known,
    ) -> Tensor:
        """What the last layer says after each of some inputs; keys and values are written.

        Args:
            network: whose panels these are.
            inputs: symbols [N, T], or vectors [N, T, width].
            offset: see `network.entered`.
            known: what came before.

        Returns:
            [N, T, width].
        """
        from arproc.models.neural.sequences.decoder_kernels import run

        cache, rows, table, shift, stop = known
        own = np.arange(len(inputs)) if rows is None else rows.numpy()
        slots = _NO_TABLE if table is None else np.ascontiguousarray(table.numpy())
        count = inputs.shape[1]
        positions = np.arange(stop, stop + count) + shift if table is None else slots[:, stop:]
        places = self._places_of(network, positions)
        looked_up = inputs if self.table is None else F.embedding(inputs, self.table)
        x = np.array(looked_up.detach().numpy(), np.float32)
        if not self.rotary and places.size:
            x += places
        if offset is not None:
            added = offset.detach().numpy()
            x += added if added.ndim == 3 else added[:, None]
        shape = x.shape
        x = x.reshape(-1, shape[-1])
        angles = places.reshape(-1, *places.shape[-2:]) if self.rotary else _NO_ANGLES
        run(
            x, *self._parts, *self._settings, angles, cache.numpy(), own, slots, shift, stop,
            network.window,
        )  # fmt: skip
        return torch.from_numpy(x).view(shape)

    def _places_of(self, network: SequenceNetwork, positions: np.ndarray) -> np.ndarray:
        """What the layers, or the first, read of positions: `network.places`, real numbers."""
        most = int(positions.max(initial=0)) + 1
        if most > _MOST_PLACES:
            return _real(network.places(torch.from_numpy(positions)))
        if self._places is None or len(self._places) < most:
            self._places = _real(network.places(torch.arange(max(2 * most, 64))))
        return self._places[positions]

    def scores(self, hidden: Tensor) -> Tensor:
        """The scores [R, symbols] of what the last layer says of few inputs, [R, width]."""
        x = hidden.detach().numpy() * self._sharpness
        return torch.from_numpy(_times(x, self._head, self.symbols))

    def further(self, hidden: Tensor, between: Tensor) -> Tensor:
        """See `HeadAhead`; of hidden [R, width] and symbols between [R, k]."""
        assert self.table is not None
        h = hidden.detach().numpy()
        up, down, wide = self._ahead[between.shape[1] - 1]
        root = np.float32(h.shape[1] ** 0.5)
        length = np.linalg.norm(h, axis=1, keepdims=True)
        own = _unit(h) * root
        known = _unit(F.embedding(between, self.table).numpy()) * root
        seen = np.concatenate([own, known.reshape(len(h), -1)], axis=1)
        units = np.maximum(_times(seen, up, wide), 0)
        return torch.from_numpy(length * _unit(own + _times(units * units, down, h.shape[1])))


#: The places of so many positions at most are kept.
_MOST_PLACES = 2**16
_NO_ANGLES = np.empty((0, 0, 2), np.float32)
_NO_TABLE = np.empty((0, 0), np.int64)


def _worth_compiling(network: SequenceNetwork) -> bool:
    from arproc.compiled.interpreted import suited
    from arproc.models.neural.sequences import decoder_kernels

    weights = sum(p.numel() for p in network.parameters())
    work = _LAYER * len(network.layers) + weights / _WEIGHTS
    return suited(decoder_kernels, work) is decoder_kernels


def _panels_of(network: SequenceNetwork) -> FewInputs | None:
    def make() -> FewInputs | None:
        layout = network.layout()
        return None if layout is None else FewInputs(layout, network.scale)

    return kept_panels(network, make)


def _together(parts: list[np.ndarray]) -> np.ndarray:
    """The same of each layer: gains [layers, width], or matrices in panels."""
    from arproc.compiled.few_rows import pack

    return np.stack(parts) if parts[0].ndim == 1 else pack(np.stack(parts))


def _constants(constants: tuple[Tensor | None, ...]) -> np.ndarray:
    """Of each layer, [layers, outputs]; [layers, 0] where there are none."""
    if any(constant is None for constant in constants):
        return np.empty((len(constants), 0), np.float32)
    return np.stack([numbers(constant) for constant in constants if constant is not None])


def _times(x: np.ndarray, panels: np.ndarray, outputs: int) -> np.ndarray:
    """`x w` [R, outputs], of few rows x [R, inputs]."""
    from arproc.compiled.few_rows import PANEL, product

    found = np.empty((len(x), len(panels) * PANEL), np.float32)
    product(np.ascontiguousarray(x), panels, found)
    return found[:, :outputs]


def _unit(x: np.ndarray) -> np.ndarray:
    """The last axis brought to length one; see `blocks.unit`."""
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), np.float32(1e-12))


def _real(places: Tensor) -> np.ndarray:
    """Places as real numbers: of a complex one its parts, in an axis of their own."""
    places = torch.view_as_real(places) if places.is_complex() else places
    return places.detach().numpy()
