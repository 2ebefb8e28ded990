"""Training: the one loop for every neural model, with its schedule, optimizers and checkpoints."""

from __future__ import annotations

from arproc.contract.randomness import seed_of
from arproc.training.augmentation import Augmentation, Binarise, Dequantise, Transpose
from arproc.training.batches import Batches
from arproc.training.callbacks import Callback, CSVLog, StopTraining, TensorBoardLog
from arproc.training.history import History, Row
from arproc.training.loop import Trained, train
from arproc.training.objective import Objective
from arproc.training.parallel import Team, joined
from arproc.training.settings import Training
from arproc.training.state import Weights
from arproc.training.token_files import write_tokens

__all__ = [
    "Augmentation",
    "Batches",
    "Binarise",
    "CSVLog",
    "Callback",
    "Dequantise",
    "History",
    "Objective",
    "Row",
    "StopTraining",
    "Team",
    "Trained",
    "Training",
    "TensorBoardLog",
    "Weights",
    "joined",
    "Transpose",
    "seed_of",
    "train",
    "write_tokens",
]
