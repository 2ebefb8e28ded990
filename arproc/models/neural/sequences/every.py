"""The models of elements of any kind: a file that holds an `ElementLaw` asks for their networks."""

from __future__ import annotations

from arproc.models.neural.sequences.rnn import RNN
from arproc.models.neural.sequences.transformer import Transformer

__all__ = ["RNN", "Transformer"]
