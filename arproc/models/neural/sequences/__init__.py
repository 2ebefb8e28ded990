"""Sequences: transformers and recurrent networks."""
