"""Published weights: folders in transformers' layout, read and written."""
