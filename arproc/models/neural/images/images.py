"""What the models of images share: their parameters, space and layout, and their networks."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from arproc.contract.sequences import Sequences
from arproc.data.arrays import to_tensor
from arproc.data.form import Layout
from arproc.data.images import image_axes, image_layout
from arproc.errors import DataError, ParameterError, check_choice, check_integer, check_number
from arproc.models.neural.base import NetworkLaw, NeuralProcess
from arproc.models.neural.images.any_order import AgnosticImageLaw, AgnosticImageNetwork
from arproc.models.neural.images.law import ImageLaw
from arproc.models.neural.images.pixel_heads import (
    ChannelHead,
    ColourMixtureHead,
    LevelHead,
    PixelHead,
)
from arproc.models.neural.images.pixel_network import PixelNetwork, Stacks
from arproc.models.neural.vectors.heads import BernoulliHead
from arproc.process import Fit
from arproc.spaces import Binary, Ordinal, Space
from arproc.training import Training

__all__ = ["ImageParameters", "ImageProcess"]

_MOST_LEVELS = 2**16
_HEADS = ("auto", "bernoulli", "categorical", "discretised_logistic")


@dataclass(eq=False, repr=False, kw_only=True)
class ImageParameters:
    """The keywords that all models of images take; `PixelCNN` tells what they mean."""

    head: str = "auto"
    head_width: int = 32
    levels: int | None = None
    components: int = 10
    channel_axis: str | None = None
    conditioned: bool = False
    classes: int | None = None
    training: Training | None = None


class ImageProcess(ImageParameters, NeuralProcess):
    """Base of the models of images in raster order.

    A subclass is a dataclass of its own parameters (`width`, the size of a pixel's features, is
    one of them), and writes `_stacks`.
    """

    width: int
    dropout: float = 0.0

    law_: ImageLaw | AgnosticImageLaw
    network_: PixelNetwork | AgnosticImageNetwork
    shape_: tuple[int, ...]

    @property
    def channel_axis_(self) -> int | None:
        """Which axis of an image holds the channels, or None."""
        return self.law_.channel_axis

    @abstractmethod
    def _stacks(self, inputs: int, shape: tuple[int, int], context: int) -> Stacks:
        """New layers for images of this many rows and columns, of pixels of so many inputs."""

    def _check_parameters(self) -> None:
        """Raise `ParameterError` for parameters that make no model."""
        check_choice("head", self.head, _HEADS)
        for name in ("width", "head_width", "components"):
            check_integer(name, getattr(self, name), minimum=1)
        if self.levels is not None:
            check_integer("levels", self.levels, minimum=2)
        check_number("dropout", self.dropout, low=0, below=1)
        self._check_context_parameters()

    # ---- space, layout ----------------------------------------------------------------

    #: While a fit reads its data: the shape of an image, and the axis of its channels.
    _image: tuple[tuple[int, ...], int | None]

    def _infer_space(self, data: Any) -> Space:
        self._check_parameters()
        if isinstance(data, Sequences):
            raise DataError("data are Sequences without a shape; pass the images as an array.")
        x = to_tensor(data.to_numpy() if hasattr(data, "to_numpy") else data, "data")
        if x.ndim < 3 or not x.numel():
            raise DataError(
                f"data has shape {tuple(x.shape)}; expected images [N, H, W], [N, C, H, W] or "
                "[N, H, W, C]."
            )
        shape = tuple(x.shape[1:])
        self._image = shape, image_axes(shape, self.channel_axis)
        length = math.prod(shape)
        levels = self.levels or _levels_of(x)
        if self.head == "bernoulli" and levels != 2:
            raise ParameterError(
                f'head="bernoulli" is for zeros and ones; the data have {levels} levels.'
            )
        return Binary(length=length) if levels == 2 else Ordinal(levels, length=length)

    def _layout_of(self, space: Space) -> Layout:
        return image_layout(*self._image)

    # ---- learning -------------------------------------------------------------------------------

    def _fit(
        self, sequences: Sequences, *, validation: Sequences | None, context: Tensor | None
    ) -> tuple[NetworkLaw, Fit]:
        space, form = sequences.space, self._learnt_form(context)
        (shape, axis), given = self._image, 0 if form is None else form.size or 0
        network, fit = self._trained_on_examples(
            lambda: self._network(space, shape, axis, given), sequences, validation, context
        )
        return ImageLaw(network, space, form, self._layout_of(space), axis), fit

    def _network(
        self, space: Space, shape: tuple[int, ...], axis: int | None, context: int
    ) -> PixelNetwork:
        channels = 1 if axis is None else shape[axis]
        rows, columns = (side for i, side in enumerate(shape) if i != axis)
        head = self._pixel_head(space, channels)
        stacks = self._stacks(head.inputs, (rows, columns), context)
        return PixelNetwork((rows, columns, channels), stacks, head)

    def _pixel_head(self, space: Space, channels: int) -> PixelHead:
        """The distributions of a pixel's channels from its features."""
        if isinstance(space, Binary):
            return ChannelHead(BernoulliHead(), channels, self.width, self.head_width)
        assert isinstance(space, Ordinal)
        if self.head == "discretised_logistic":
            return ColourMixtureHead(space.levels, self.components, channels, self.width)
        return ChannelHead(LevelHead(space.levels), channels, self.width, self.head_width)


def _levels_of(x: Tensor) -> int:
    """How many levels the data have: 256 where they use more than 64 of the levels of 8 bits."""
    highest = float(x.double().max())
    if math.isnan(highest):
        raise DataError(
            "data has NaN; expected whole numbers 0, 1, 2 ... Images are learnt from whole ones: "
            "leave those with gaps out, or fill them."
        )
    if not highest < _MOST_LEVELS:
        raise DataError(
            f"data has values up to {highest:g}; expected whole numbers 0, 1, 2 ... below "
            f"{_MOST_LEVELS}."
        )
    if x.is_floating_point() and bool((x != x.floor()).any()):
        raise DataError(
            "data has values with a fractional part; expected whole numbers 0, 1, 2 ... For "
            "levels in [0, 1] pass (255 * data).round()."
        )
    levels = 2 if highest <= 1 else int(highest) + 1
    return 256 if 64 < levels <= 256 else levels
