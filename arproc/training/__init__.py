"""Training: the one loop for every neural model, with its schedule, optimizers and checkpoints."""

from __future__ import annotations

from arproc.training.augmentation import Augmentation, Binarise, Dequantise
from arproc.training.batches import Batches, seed_of
from arproc.training.loop import History, Loss, train
from arproc.training.settings import Training

__all__ = [
    "Augmentation",
    "Batches",
    "Binarise",
    "Dequantise",
    "History",
    "Loss",
    "Training",
    "seed_of",
    "train",
]
