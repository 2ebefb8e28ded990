"""Images: PixelCNN and its kin."""
