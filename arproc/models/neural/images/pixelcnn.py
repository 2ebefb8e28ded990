"""PixelCNN: gated convolutions over an image in raster order."""

from __future__ import annotations

from arproc.errors import ParameterError, check_integer
from arproc.models.neural.images.gated import GatedStacks
from arproc.models.neural.images.images import ImageProcess
from arproc.training import Training

__all__ = ["PixelCNN"]


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

    def __init__(
        self,
        layers: int = 10,
        width: int = 128,
        *,
        kernel: int = 3,
        first_kernel: int = 7,
        head_width: int = 32,
        head: str = "auto",
        levels: int | None = None,
        components: int = 10,
        channel_axis: str | None = None,
        conditioned: bool = False,
        classes: int | None = None,
        training: Training | None = None,
    ) -> None:
        self.layers = layers
        self.width = width
        self.kernel = kernel
        self.first_kernel = first_kernel
        self.head_width = head_width
        self.head = head
        self.levels = levels
        self.components = components
        self.channel_axis = channel_axis
        self.conditioned = conditioned
        self.classes = classes
        self.training = training

    def _check_parameters(self) -> None:
        super()._check_parameters()
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
