"""Images: PixelCNN and its kin."""

from __future__ import annotations

# all of them, since a file that holds an `ImageLaw` asks for the layers of any
from arproc.models.neural.images import pixelcnn, pixelcnnpp, pixelsnail
from arproc.models.neural.images.law import ImageLaw

__all__ = ["ImageLaw", "pixelcnn", "pixelcnnpp", "pixelsnail"]
