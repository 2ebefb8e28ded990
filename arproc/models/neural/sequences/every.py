"""The models of elements of any kind, for files that hold an `ElementLaw` of either's network."""

from __future__ import annotations

from arproc.models.neural.sequences.rnn import RNN
from arproc.models.neural.sequences.transformer import Transformer

__all__ = ["RNN", "Transformer"]
