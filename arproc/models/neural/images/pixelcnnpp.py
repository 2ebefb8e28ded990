"""PixelCNN++: two streams at several resolutions, and a mixture of logistics over colours."""

from __future__ import annotations

from arproc.errors import check_integer
from arproc.models.neural.images.images import ImageProcess
from arproc.models.neural.images.plus_stacks import PlusStacks
from arproc.training import Training

__all__ = ["PixelCNNPP"]


class PixelCNNPP(ImageProcess):
    """PixelCNN++ (Salimans, Karpathy, Chen and Kingma 2017).

    A law of images in raster order, as `PixelCNN`. One stream of gated residual blocks reads the
    rows above, another one the pixels to the left too; both are taken down to lower resolutions
    and up again, with shortcuts between blocks of the same one, so that a pixel sees far at little
    cost. An upsampled feature is a linear map of the one that covers it, for each of its four
    places. Colours and grey levels come from a mixture of logistics, one component for all of a
    pixel's channels.

    An element is one channel of a pixel, of which the mixture gives the exact conditional. Drawing
    computes each feature of each block once.

    Args:
        blocks: residual blocks of each stream at each resolution, on the way down.
        width: features of each block.
        resolutions: how many resolutions, each of half the rows and columns of the one before.
        head: "discretised_logistic" (the paper's) or "categorical" (a softmax); zeros and ones
            have a Bernoulli law in either case.
        head_width: hidden units, for each channel, between the features and a softmax.
        levels: how many levels an element has, 0 ... levels-1; see `PixelCNN`.
        components: how many components a mixture has.
        dropout: the share of the blocks' inner features that is dropped in training.
        channel_axis: "first", "last" or None; see `PixelCNN`.
        conditioned: whether each image is conditioned on a vector, `context` [N, c].
        classes: how many classes there are, where `context` is the images' labels [N].
        training: how it is trained.

    Example:
        >>> import arproc, numpy as np
        >>> x = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
        >>> quick = arproc.Training(steps=2, batch_size=4)
        >>> model = arproc.PixelCNNPP(1, 8, resolutions=2, channel_axis="last", training=quick)
        >>> model.fit(x).sample(2, seed=0).shape
        (2, 4, 4, 3)
    """

    def __init__(
        self,
        blocks: int = 5,
        width: int = 160,
        *,
        resolutions: int = 3,
        head: str = "discretised_logistic",
        head_width: int = 32,
        levels: int | None = None,
        components: int = 10,
        dropout: float = 0.0,
        channel_axis: str | None = None,
        conditioned: bool = False,
        classes: int | None = None,
        training: Training | None = None,
    ) -> None:
        self.blocks = blocks
        self.width = width
        self.resolutions = resolutions
        self.head = head
        self.head_width = head_width
        self.levels = levels
        self.components = components
        self.dropout = dropout
        self.channel_axis = channel_axis
        self.conditioned = conditioned
        self.classes = classes
        self.training = training

    def _check_parameters(self) -> None:
        super()._check_parameters()
        for name in ("blocks", "resolutions"):
            check_integer(name, getattr(self, name), minimum=1)

    def _stacks(self, inputs: int, shape: tuple[int, int], context: int) -> PlusStacks:
        return PlusStacks(
            inputs,
            shape[1],
            width=self.width,
            blocks=self.blocks,
            resolutions=self.resolutions,
            context=context,
            dropout=self.dropout,
        )
