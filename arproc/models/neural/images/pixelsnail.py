"""PixelSNAIL: convolutions for what is near, attention for all that came before."""

from __future__ import annotations

from arproc.errors import check_integer
from arproc.models.neural.images.images import ImageProcess
from arproc.models.neural.images.snail_stacks import SnailStacks
from arproc.training import Training

__all__ = ["PixelSNAIL"]


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
        head: "bernoulli", "categorical", "discretised_logistic" or "auto"; see `PixelCNN`.
        head_width: hidden units, for each channel, between the features and the distribution.
        levels: how many levels an element has, 0 ... levels-1; see `PixelCNN`.
        components: how many components a mixture has.
        dropout: the share of the blocks' inner features that is dropped in training.
        channel_axis: "first", "last" or None; see `PixelCNN`.
        conditioned: whether each image is conditioned on a vector, `context` [N, c].
        classes: how many classes there are, where `context` is the images' labels [N].
        training: how it is trained.

    Example:
        >>> import arproc, numpy as np
        >>> x = np.random.default_rng(0).integers(0, 2, (20, 4, 4))
        >>> quick = arproc.Training(steps=2, batch_size=4)
        >>> model = arproc.PixelSNAIL(1, 8, residuals=1, training=quick).fit(x)
        >>> model.sample(2, seed=0).shape
        (2, 4, 4)
    """

    def __init__(
        self,
        blocks: int = 8,
        width: int = 64,
        *,
        residuals: int = 2,
        keys: int = 16,
        values: int = 32,
        head: str = "auto",
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
        self.residuals = residuals
        self.keys = keys
        self.values = values
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
