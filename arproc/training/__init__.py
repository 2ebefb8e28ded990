"""Training: the one loop for every neural model, with its schedule, optimizers and checkpoints."""

from __future__ import annotations

from arproc.contract.randomness import seed_of
from arproc.training.augmentation import Augmentation, Binarise, Dequantise, Transpose
from arproc.training.batches import Batches
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
    "Transpose",
    "seed_of",
    "train",
]
