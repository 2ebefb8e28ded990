"""Changing the examples of each batch: dynamic binarisation, flips, shifts, noise."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arproc.errors import DataError, check_integer

__all__ = ["Augment", "Augmentation", "Binarise", "Dequantise", "Transpose", "augment_name"]

#: What `Training(augment=)` takes: `f(x, rows, generator) -> x`, see `Augmentation.__call__`.
Augment = Callable[[Tensor, Tensor, torch.Generator], Any]


class Augmentation(ABC):
    """What `Training(augment=)` takes besides a plain function: it can check the data first."""

    @abstractmethod
    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> Any:
        """The examples of one batch, changed.

        Args:
            x: the examples in the shape of the user's array, [n, *shape]; a copy.
            rows: which examples of the training data these are, int64 [n].
            generator: a function of the training's seed and the step. All that is drawn from it
                is the same when the run is repeated or resumed.

        Returns:
            Examples of the same shape, with values that the model's space has.
        """

    def check(self, shape: tuple[int, ...]) -> None:  # noqa: B027 (most have nothing to check)
        """Raise `DataError` if training data of this shape, [N, *shape], can not be augmented."""

    def fingerprint(self) -> str:
        """What tells this from others, for checkpoints."""
        return f"{type(self).__module__}.{type(self).__qualname__}"


class Binarise(Augmentation):
    """Dynamic binarisation: each time an image is used its pixels are drawn afresh.

    Pixel j of image i is one with the probability `intensities[i, j]` (Salakhutdinov and Murray
    2008, section 5). The model is fitted to a binary version of the same images, which tells it
    that pixels are zeros and ones, and sees new draws in every batch.

    Args:
        intensities: [N, *shape], from 0 to 1, in the order and the shape of the training data.

    Example:
        >>> import arproc
        >>> grey = np.tile([0.0, 0.5, 1.0], (50, 1))
        >>> plan = arproc.Training(steps=200, lr=0.05, augment=Binarise(grey))
        >>> model = arproc.MADE((4,), training=plan).fit(grey > 0.9)
        >>> bool(abs(np.exp(model.log_prob([0, 1, 1])) - 0.5) < 0.1)
        True
    """

    def __init__(self, intensities: Any) -> None:
        try:
            array = intensities if isinstance(intensities, Tensor) else np.asarray(intensities)
            found = torch.as_tensor(array).detach().cpu()
        except (TypeError, ValueError) as error:
            raise DataError(f"intensities can not be read as numbers: {error}.") from None
        if found.ndim < 2 or not found.numel() or found.is_complex():
            raise DataError(
                f"intensities has shape {list(found.shape)}; expected real numbers [N, *shape], "
                "one for each pixel of each image."
            )
        self.intensities = found if found.is_floating_point() else found.float()
        low, high = float(self.intensities.min()), float(self.intensities.max())
        if not (low >= 0 and high <= 1):  # NaN fails as well
            hint = " Divide grey values of 8 bits by 255." if 1 < high <= 255 else ""
            raise DataError(
                f"intensities goes from {low:g} to {high:g}; expected probabilities, numbers from "
                f"0 to 1.{hint}"
            )

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
        chance = self.intensities[rows]
        return torch.rand(chance.shape, generator=generator, dtype=chance.dtype) < chance

    def check(self, shape: tuple[int, ...]) -> None:
        if tuple(self.intensities.shape) != shape:
            raise DataError(
                f"augment is a Binarise of intensities {list(self.intensities.shape)}, and the "
                f"training data have shape {list(shape)}; give the intensities of just these "
                "examples, in their order and shape."
            )

    def fingerprint(self) -> str:
        data = np.ascontiguousarray(self.intensities.numpy()).data
        return f"Binarise({hashlib.blake2b(data, digest_size=16).hexdigest()})"

    def __repr__(self) -> str:
        return f"Binarise({list(self.intensities.shape)})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Binarise:
        return self  # it never changes, and scikit-learn's clone copies parameters


class Dequantise(Augmentation):
    r"""Uniform dequantisation: each time a level is used, noise from [0, 1) is added afresh.

    A density p of the sums bounds the law of the levels from below, :math:`\log P(k) \ge
    E_u \log p(k + u)` (Theis, van den Oord and Bethge 2016, eq. 4), so that the bits a dimension
    of `x + u` are an upper bound of those of a law of the levels. The model is fitted to levels
    with any noise in [0, 1), which tells it that they are real.

    Example:
        >>> import arproc
        >>> levels = np.random.default_rng(0).integers(0, 4, (200, 2))
        >>> plan = arproc.Training(steps=200, lr=0.01, augment=Dequantise())
        >>> flow = arproc.MAF((8,), layers=2, training=plan).fit(levels + 0.5)
        >>> bool(-flow.log_prob(levels + 0.5).mean() / np.log(2) < 2 * 2.3)  # two dimensions
        True
    """

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
        return x.floor() + torch.rand(x.shape, generator=generator, dtype=torch.float64)

    def __repr__(self) -> str:
        return "Dequantise()"


class Transpose(Augmentation):
    """Transposition of music: each time a piece is used it is moved up or down by some keys.

    Of pieces [n, T, keys] of zeros and ones each is moved by a whole number from -most to most, as
    likely as each other among those by which no note of it falls off (Walder 2016).

    Args:
        most: by how many keys at most.

    Example:
        >>> piece = torch.tensor([[[0, 1, 0], [0, 1, 0]]])
        >>> moved = Transpose(1)(piece, torch.tensor([0]), torch.Generator().manual_seed(1))
        >>> moved.shape, int(moved.sum())
        (torch.Size([1, 2, 3]), 2)
    """

    def __init__(self, most: int) -> None:
        self.most = check_integer("most", most, minimum=1)

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
        sounds, keys = x.flatten(1, -2).bool().any(1), x.shape[-1]
        key = torch.arange(keys)
        low = torch.where(sounds, key, keys - 1).amin(1)  # a silent piece has nothing to lose
        high = torch.where(sounds, key, 0).amax(1).maximum(low)
        down, up = low.clamp(max=self.most), (keys - 1 - high).clamp(max=self.most)
        u = torch.rand(len(x), generator=generator, dtype=torch.float64)
        shift = (u * (down + up + 1)).long() - down
        source = key - shift[:, None]
        inside = ((source >= 0) & (source < keys)).reshape(len(x), *[1] * (x.ndim - 2), keys)
        index = source.clamp(0, keys - 1).reshape(inside.shape).expand(x.shape)
        return x.gather(-1, index) * inside

    def check(self, shape: tuple[int, ...]) -> None:
        if len(shape) < 3:
            raise DataError(
                f"augment is a Transpose, for pieces of frames [N, T, keys]; the training data "
                f"have the shape {list(shape)}."
            )

    def fingerprint(self) -> str:
        return f"Transpose({self.most})"

    def __repr__(self) -> str:
        return f"Transpose({self.most})"


def augment_name(augment: Augment | None) -> str | None:
    """What tells one augmentation from another: a function's name, or what it says itself."""
    if augment is None:
        return None
    if isinstance(augment, Augmentation):
        return augment.fingerprint()
    named = augment if hasattr(augment, "__qualname__") else type(augment)
    return f"{named.__module__}.{named.__qualname__}"
