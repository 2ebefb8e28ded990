"""PixelCNN: gated convolutions over an image in raster order.

A vertical stack of them reads the rows above a pixel, a horizontal one the row itself.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import cast

import torch
from torch import Tensor, nn

from arproc.contract.sequences import Sequences
from arproc.errors import ParameterError, check_flag, check_integer
from arproc.models.neural.base import NetworkLaw
from arproc.models.neural.given import Given
from arproc.models.neural.images.any_order import AgnosticImageLaw, AgnosticImageNetwork
from arproc.models.neural.images.images import ImageProcess
from arproc.models.neural.images.pixel_heads import LevelHead
from arproc.models.neural.images.pixel_network import Stacks
from arproc.models.neural.images.raster import Carry, PlaneConv, gated
from arproc.models.neural.vectors.heads import BernoulliHead, DiscretisedLogisticHead, Head
from arproc.process import Fit
from arproc.spaces import Binary, Ordinal, Space

__all__ = ["GatedStacks", "PixelCNN"]

# Features keep their size through the layers at first: the half in the hyperbolic tangent (whose
# argument is halved) begins so much larger, and a gate's outputs, of size 0.42 then, are doubled.
_TANGENT, _AFTER_GATE = 3.5, 2.0

#: What a context adds to the vertical and to the horizontal gates of a layer.
Offset = tuple[Tensor, Tensor] | None


@dataclass(eq=False, repr=False)
class PixelCNN(ImageProcess):
    r"""Gated PixelCNN (van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves 2016b).

    A law of images, :math:`p(x) = \prod_i p(x_i | x_{<i})` in raster order, row by row; a pixel's
    channels in their order, each given those before it (van den Oord et al. 2016a). A vertical
    stack of convolutions reads the rows above and a horizontal one the row itself, so that no
    pixel before is out of sight (there is no blind spot). Each layer's output is
    :math:`\tanh(W_f * x + V_f c) \odot \sigma(W_g * x + V_g c)`, c being the context.

    An element is one channel of a pixel. Drawing an image computes each feature of each layer
    once, as one pass over the whole image does (Ramachandran et al. 2017).

    Args:
        layers: gated layers after the first.
        width: features of each layer.
        kernel: the layers' kernel, odd: they see so many columns, and half as many rows above.
        first_kernel: that of the first layer, odd.
        head_width: hidden units, for each channel, between the features and the distribution.
        head: the distribution of an element: "bernoulli" for zeros and ones, "categorical" (a
            softmax over the levels), or "discretised_logistic" (a mixture of `components` over
            ordered levels, in which a channel's place is linear in those before it, Salimans et
            al. 2017). "auto" takes the first for zeros and ones, and else the second.
        levels: how many levels an element has, 0 ... levels-1; None takes 2 for zeros and ones,
            256 where the data use more than 64 of 8 bits, and else one more than the largest.
        components: how many components a mixture has.
        channel_axis: "first" for images [N, C, H, W] or "last" for [N, H, W, C]; None takes the
            axis that has 1, 3 or 4 entries.
        conditioned: whether each image is conditioned on a vector: `context` [N, c] in every call
            that takes data.
        classes: how many classes there are, where each image is conditioned on its label:
            `context` is then the labels [N], 0 ... classes-1.
        order_agnostic: whether it is trained for all orders of the elements at once, by another
            network of as many layers: convolutions of all that is known of an image and of which
            elements these are (Hoogeboom et al. 2022, ARDM). It can then be asked in any order
            (`in_order`), completes images given any of their pixels, and draws several at once
            (`in_steps`, `arproc.sampling.step_curve`); a likelihood costs a pass for each element.
        training: how it is trained; `precision="bfloat16"` halves the time on many processors.

    Example:
        >>> import arproc, numpy as np
        >>> x = np.random.default_rng(0).integers(0, 2, (40, 4, 4))
        >>> x[:, :, 2:] = x[:, :, :2]
        >>> model = arproc.PixelCNN(1, 8, training=arproc.Training(steps=150, lr=0.01)).fit(x)
        >>> model.sample(2, seed=0).shape
        (2, 4, 4)
        >>> bool(model.score(x) > -0.5)      # half of the pixels follow from the others
        True
    """

    layers: int = 10
    width: int = 128
    _: KW_ONLY
    kernel: int = 3
    first_kernel: int = 7
    order_agnostic: bool = False

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_flag("order_agnostic", self.order_agnostic)
        check_integer("layers", self.layers, minimum=0)
        for name in ("kernel", "first_kernel"):
            if check_integer(name, getattr(self, name), minimum=3) % 2 == 0:
                raise ParameterError(f"{name} must be odd; got {getattr(self, name)}.")

    def _stacks(self, inputs: int, shape: tuple[int, int], context: int) -> GatedStacks:
        return GatedStacks(
            inputs,
            layers=self.layers,
            width=self.width,
            kernel=self.kernel,
            first_kernel=self.first_kernel,
            context=context,
        )

    # ---- every order --------------------------------------------------------------------------

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> tuple[NetworkLaw, Fit]:
        if not self.order_agnostic:
            return super()._fit(sequences, validation=validation, context=context)
        space, form = sequences.space, self._learnt_form(context)
        (shape, axis), given = self._image, 0 if form is None else form.size or 0
        channels = 1 if axis is None else shape[axis]
        rows, columns = (side for i, side in enumerate(shape) if i != axis)

        def made() -> AgnosticImageNetwork:
            return AgnosticImageNetwork(
                (rows, columns, channels), self._element_head(space), layers=self.layers,
                width=self.width, kernel=self.kernel, first_kernel=self.first_kernel,
                context=given,
            )  # fmt: skip

        network, fit = self._trained_on_examples(made, sequences, validation, context)
        layout, seed = self._layout_of(space), self._settings.seed
        law = AgnosticImageLaw(network, space, form, channel_axis=axis, layout=layout, seed=seed)
        return law, fit

    def _element_head(self, space: Space) -> Head:
        """The distribution of one element, a channel of a pixel."""
        if isinstance(space, Binary):
            return BernoulliHead()
        assert isinstance(space, Ordinal)
        if self.head == "discretised_logistic":
            return DiscretisedLogisticHead(space.levels, self.components)
        return LevelHead(space.levels)


class _GatedLayer(nn.Module):
    """One layer of both stacks (van den Oord et al. 2016b, figure 2).

    Args:
        name: under which its convolutions carry.
        inputs: features in.
        width: features out.
        kernel: an odd k: the vertical stack sees the last k // 2 + 1 rows, k columns wide, and
            the horizontal one the last k // 2 + 1 columns (k // 2 in the first layer).
        first: whether it is the first layer, without residual connection.
    """

    def __init__(self, name: str, inputs: int, width: int, kernel: int, first: bool) -> None:
        super().__init__()
        self.name, self.reach, self.first = name, kernel // 2, first
        # biases stand only where no other one follows in a linear map
        self.across = PlaneConv(inputs, width, 1, kernel, bias=False, padding=self.reach)
        self.down = PlaneConv(width, 2 * width, self.reach + 1)
        self.link = PlaneConv(2 * width, 2 * width)
        taps = self.reach if first else self.reach + 1
        self.along = PlaneConv(inputs, 2 * width, 1, taps, bias=False)
        outputs = width if first else 2 * width
        self.out = PlaneConv(width, outputs, bias=False, gain=_AFTER_GATE)
        self.skip = PlaneConv(width, width, bias=False, gain=_AFTER_GATE) if first else None
        with torch.no_grad():
            for gate in (self.down, self.along):
                gate.weight[:width] *= _TANGENT

    def vertical(self, x: Tensor, carry: Carry, offset: Offset) -> tuple[Tensor, Tensor]:
        """What new rows give [N, R, W, 2 width]: before the gates, and to the row below each."""
        u = self.down(carry.rows(self.name, self.across(x), self.reach))
        if offset is None:
            return u, self.link(u)
        u = u + offset[0]
        return u, self.link(u, add=offset[1].expand(u.shape))

    def horizontal(
        self, x: Tensor, skip: Tensor | None, link: Tensor, carry: Carry
    ) -> tuple[Tensor, Tensor]:
        """New columns [N, R, K, inputs] to features, and the skip connections' sum so far.

        Args:
            x: what the stack's layer below gives; for the first layer the pixels *before* these.
            skip: the sum of the layers below.
            link: of the row above these columns, [N, R, K, 2 width].
            carry: of the columns.
        """
        taps = self.along.kernel[1]
        g = gated(self.along(carry.columns(self.name, x, taps - 1), add=link))
        if self.skip is not None:
            return self.out(g), self.skip(g)
        assert skip is not None
        out, more = self.out(g).chunk(2, dim=-1)
        return x + out, skip + more


class GatedStacks(Stacks):
    """Gated PixelCNN's layers, without a blind spot (van den Oord et al. 2016b).

    The vertical stack reads whole rows and tells the row below what is above it; the horizontal
    stack reads the columns to the left. So the features of a pixel depend on all pixels before
    it in raster order, within reach, and on nothing else. Both stacks add to what they got (the
    paper's vertical one does not), which lets what lies far above through at first.

    Args:
        inputs: features of a pixel.
        layers: how many layers follow the first.
        width: features of a layer.
        kernel: the layers' kernel, odd.
        first_kernel: that of the first layer, odd.
        context: how many numbers each image is conditioned on; they reach every gate.
    """

    def __init__(
        self, inputs: int, *, layers: int, width: int, kernel: int, first_kernel: int, context: int
    ) -> None:
        super().__init__()
        self.width = self.features = width
        sizes = [(inputs, first_kernel)] + [(width, kernel)] * layers
        self.layers = nn.ModuleList(
            _GatedLayer(str(i), size, width, k, i == 0) for i, (size, k) in enumerate(sizes)
        )
        count = 4 * width * len(self.layers)
        self.given = Given(context, count) if context else None

    @property
    def _layers(self) -> list[_GatedLayer]:
        return cast("list[_GatedLayer]", self.layers)

    def hidden_weights(self) -> list[nn.Parameter]:
        """The matrices inside the layers, which Muon trains."""
        return [
            p
            for layer in self._layers
            for name, p in layer.named_parameters()
            if p.ndim == 2 and not (layer.first and name.split(".")[0] in ("across", "along"))
        ]

    def offsets(self, context: Tensor | None) -> list[Offset]:
        """What a context [N, c] adds to both stacks of each layer, [N, 1, 1, 2 width] each."""
        if context is None or self.given is None:
            return [None] * len(self.layers)
        added = self.given(context)[:, None, None]
        parts = added.split(2 * self.width, dim=-1)
        return list(zip(parts[::2], parts[1::2], strict=True))

    def above(self, x: Tensor, carry: Carry, offsets: list[Offset]) -> list[Tensor]:
        """What rows of pixels tell the row below each, layer by layer, [N, R, W, 2 width] each.

        Args:
            x: rows [N, R, W, inputs]; zeros stand for the one above the image.
            carry: of the rows before.
            offsets: of the context.
        """
        links = []
        for layer, offset in zip(self._layers, offsets, strict=True):
            before_gates, link = layer.vertical(x, carry, offset)
            links.append(link)
            if len(links) < len(self._layers):
                x = gated(before_gates) if layer.first else x + gated(before_gates)
        return links

    def along(self, x: Tensor, links: list[Tensor], carry: Carry, offsets: list[Offset]) -> Tensor:
        """The features [N, R, K, width] of the pixels that follow the pixels x in their rows.

        Args:
            x: pixels [N, R, K, inputs]; zeros stand for the one before the first of a row.
            links: what these rows get from above, [N, R, W, 2 width] each.
            carry: of the columns before.
            offsets: of the context.
        """
        skip: Tensor | None = None
        columns = slice(carry.column, carry.column + x.shape[2])
        for layer, link in zip(self._layers, links, strict=True):
            x, skip = layer.horizontal(x, skip, link[:, :, columns], carry)
        assert skip is not None
        return skip
