"""Sequences: the transformer."""
