"""PixelSNAIL: convolutions for what is near, attention for all that came before."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arproc.errors import check_integer
from arproc.models.neural.images.images import ImageProcess
from arproc.models.neural.images.pixel_network import Stacks
from arproc.models.neural.images.raster import Carry, PlaneConv
from arproc.models.neural.images.residual import GatedResidual, place, square

__all__ = ["PixelSNAIL", "SnailStacks", "attend"]

Offsets = list[list[Tensor | None]]


@dataclass(eq=False, repr=False)
class PixelSNAIL(ImageProcess):
    """PixelSNAIL (Chen, Mishra, Rohaninejad and Abbeel 2018).

    A law of images in raster order, as `PixelCNN`. Each block has some gated residual blocks of
    causal convolutions, then attention of every pixel to all those before it, so nothing is out of
    reach.

    Drawing keeps rows of features for the convolutions, and keys and values for the attention.

    Args:
        blocks: how many blocks.
        width: features of a pixel.
        residuals: residual blocks in each.
        keys: size of the keys of attention.
        values: size of its values.
        dropout: the share of the blocks' inner features that is dropped in training.
        head, head_width, levels, components, channel_axis, conditioned, classes, training: as of
            every model of images; see `PixelCNN`.

    Example:
        >>> import arproc, numpy as np
        >>> x = np.random.default_rng(0).integers(0, 2, (20, 4, 4))
        >>> quick = arproc.Training(steps=2, batch_size=4)
        >>> model = arproc.PixelSNAIL(1, 8, residuals=1, training=quick).fit(x)
        >>> model.sample(2, seed=0).shape
        (2, 4, 4)
    """

    blocks: int = 8
    width: int = 64
    _: KW_ONLY
    residuals: int = 2
    keys: int = 16
    values: int = 32
    dropout: float = 0.0

    def _check_parameters(self) -> None:
        super()._check_parameters()
        for name in ("blocks", "keys", "values"):
            check_integer(name, getattr(self, name), minimum=1)
        check_integer("residuals", self.residuals, minimum=0)

    def _stacks(self, inputs: int, shape: tuple[int, int], context: int) -> SnailStacks:
        return SnailStacks(
            inputs,
            shape,
            width=self.width,
            blocks=self.blocks,
            residuals=self.residuals,
            keys=self.keys,
            values=self.values,
            context=context,
            dropout=self.dropout,
        )


class _Block(nn.Module):
    """Residual blocks, then attention, whose result enters through another one."""

    def __init__(
        self,
        name: str,
        inputs: int,
        width: int,
        residuals: int,
        keys: int,
        values: int,
        context: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.name, self.keys, self.values = name, keys, values
        self.residuals = nn.ModuleList(
            GatedResidual(f"{name}.{i}", width, 2, 2, context=context, dropout=dropout)
            for i in range(residuals)
        )
        content = width + inputs + 2
        self.content = GatedResidual(f"{name}.content", content, dropout=dropout)
        self.question = GatedResidual(f"{name}.question", width + 2, dropout=dropout)
        self.known = PlaneConv(content, keys + values)
        self.query = PlaneConv(width + 2, keys)
        self.mix = GatedResidual(
            f"{name}.mix", width, extra=values, context=context, dropout=dropout
        )

    def parts(self) -> list[GatedResidual]:
        """The parts that a context reaches."""
        return [*cast("list[GatedResidual]", self.residuals), self.mix]

    def forward(
        self,
        h: Tensor,
        x: Tensor,
        places: Tensor,
        carry: Carry,
        width: int,
        offsets: list[Tensor | None],
    ) -> Tensor:
        """The features h [N, R, K, width] one block on.

        Args:
            h: features.
            x: the pixels before these, [N, R, K, inputs].
            places: rows' and columns' numbers, scaled, [N, R, K, 2].
            carry: of the pixels before.
            width: how many columns an image has.
            offsets: of the context, for each of `parts`.
        """
        look = square(carry, width)
        for residual, offset in zip(self.residuals, offsets, strict=False):
            h = residual(h, look, offset=offset)
        known = self.known(self.content(torch.cat([h, x, places], dim=-1), place))
        query = self.query(self.question(torch.cat([h, places], dim=-1), place))
        past = carry.past(f"{self.name}.past", known, width)
        mixed = attend(query.flatten(1, 2), past, self.keys).view(*h.shape[:3], self.values)
        return self.mix(h, place, mixed, offsets[-1])


class SnailStacks(Stacks):
    """PixelSNAIL's layers (Chen, Mishra, Rohaninejad and Abbeel 2018).

    The features of a pixel come from the pixels above and to the left, by residual blocks of two
    by two convolutions, and from all pixels before it, by attention: the place of pixel q stands
    for the pixels up to the one before q, so a pixel attends to its own place and those before.

    Args:
        inputs: numbers a pixel.
        shape: rows and columns of an image.
        width: features of a pixel.
        blocks: how many blocks.
        residuals: residual blocks in each.
        keys: size of the keys of attention.
        values: size of its values.
        context: how many numbers each image is conditioned on.
        dropout: the share of the inner features that is dropped in training.
    """

    def __init__(
        self,
        inputs: int,
        shape: tuple[int, int],
        *,
        width: int,
        blocks: int,
        residuals: int,
        keys: int,
        values: int,
        context: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.features, self.shape = width, shape
        self.up = PlaneConv(inputs, width, 1, 3, padding=1)
        self.before = PlaneConv(inputs, width, bias=False)
        self.blocks = nn.ModuleList(
            _Block(str(i), inputs, width, residuals, keys, values, context, dropout)
            for i in range(blocks)
        )

    @property
    def _blocks(self) -> list[_Block]:
        return cast("list[_Block]", self.blocks)

    def offsets(self, context: Tensor | None) -> Offsets:
        return [[part.offset(context) for part in block.parts()] for block in self._blocks]

    def above(self, x: Tensor, carry: Carry, offsets: Offsets) -> tuple[Tensor, Tensor]:
        return self.up(x), x[:, :, -1:]

    def along(
        self, x: Tensor, links: tuple[Tensor, Tensor], carry: Carry, offsets: Offsets
    ) -> Tensor:
        width, (up, last) = self.shape[1], links
        columns = slice(carry.column, carry.column + x.shape[2])
        h = up[:, :, columns] + self.before(x)
        if carry.column == 0:  # the pixel before the first of a row is the last of the row above
            x = torch.cat([last.to(x.dtype), x[:, :, 1:]], dim=2)
        places = self._places(carry, x)
        for block, own in zip(self._blocks, offsets, strict=True):
            h = block(h, x, places, carry, width, own)
        return h

    def _places(self, carry: Carry, x: Tensor) -> Tensor:
        """The rows' and columns' numbers from -1/2 to 1/2, [N, R, K, 2]."""
        axes = [
            (first + torch.arange(count, device=x.device)) / size - 0.5
            for first, count, size in zip(
                (carry.row, carry.column), x.shape[1:3], self.shape, strict=True
            )
        ]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).to(x.dtype)
        return grid.expand(len(x), *grid.shape)


def attend(query: Tensor, past: list[Tensor], keys: int) -> Tensor:
    """Attention of the last places to themselves and to all places before them.

    Args:
        query: of the last Q places, [N, Q, keys].
        past: keys and values of all places up to them, parts [N, T, keys + values].
        keys: the size of the keys.

    Returns:
        [N, Q, values].
    """
    if query.shape[1] == 1 and len(past) > 1:  # without joining the parts, the first being long
        parts = [(part[..., :keys], part[..., keys:]) for part in past]
        scores = torch.cat([query @ k.mT for k, _ in parts], dim=-1) / keys**0.5
        weights = torch.softmax(scores, dim=-1).split([k.shape[1] for k, _ in parts], dim=-1)
        pairs = [w @ v for w, (_, v) in zip(weights, parts, strict=True)]
        return torch.stack(pairs).sum(0)
    known = past[0] if len(past) == 1 else torch.cat(past, dim=1)
    k, v = known[..., :keys], known[..., keys:]
    size, count, values = k.shape[1], query.shape[1], v.shape[2]
    place_of_key = torch.arange(size, device=k.device)
    causal = size == count
    mask = None if causal else place_of_key <= place_of_key[size - count :, None]
    # padded to one size and with an axis of heads, which the fast kernels ask for
    q, k, v = (F.pad(x, (0, max(keys, values) - x.shape[2]))[:, None] for x in (query, k, v))
    found = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=causal, scale=keys**-0.5
    )
    return found[:, 0, :, :values]
