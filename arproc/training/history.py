"""What happened along a training: one row for each update of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from torch import Tensor

from arproc.contract.checked import Array, Number, check_fields
from arproc.contract.storable import storable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["History", "Recorder", "Row"]

#: What a callback gets, by name: the columns of `History.table`.
Row = dict[str, float]


@storable
@dataclass(frozen=True, eq=False)
class History:
    """The course of a training; `table` shows it.

    Attributes:
        loss: of each step's batch before its update, nats per element [n].
        validation: the loss on held-out data after the update [n]; nan where it was not asked.
        seconds: since the training began, breaks between resumed runs left out [n].
        learning_rate: of AdamW, in that update [n].
        epoch: how many steps see all of the data; None where that is not known.
    """

    loss: Annotated[np.ndarray, Array("n", infinite=True)]
    validation: Annotated[np.ndarray, Array("n", nan=True, infinite=True)]
    seconds: Annotated[np.ndarray, Array("n", low=0)]
    learning_rate: Annotated[np.ndarray, Array("n", low=0)]
    epoch: Annotated[int | None, Number(low=1)] = None

    def __post_init__(self) -> None:
        check_fields(self)

    def __len__(self) -> int:
        return len(self.loss)

    def problems(self) -> Iterator[str]:
        """What does not fit together, in sentences without their full stop."""
        if bool((np.diff(self.seconds) < 0).any()):
            yield "its seconds go backwards"

    def table(self) -> pd.DataFrame:
        """The course as a DataFrame, a row for each update.

        Returns:
            Columns "step" (updates made, from 1), "epoch" (how often all data have been seen; nan
            where that is not known), "loss", "validation" (nan where it was not asked), "seconds"
            and "learning_rate".
        """
        import pandas as pd

        steps = np.arange(1, len(self) + 1)
        epochs = np.full(len(self), np.nan) if self.epoch is None else steps / self.epoch
        return pd.DataFrame(
            {
                "step": steps,
                "epoch": epochs,
                "loss": self.loss,
                "validation": self.validation,
                "seconds": self.seconds,
                "learning_rate": self.learning_rate,
            }
        )


class Recorder:
    """A history that is being written.

    Args:
        epoch: how many steps see all of the data, if that is known.
    """

    def __init__(self, epoch: int | None) -> None:
        self.epoch = epoch
        self.loss: list[float] = []
        self.seconds: list[float] = []
        self.rates: list[float] = []
        self.validation: dict[int, float] = {}

    def cut(self, step: int) -> None:
        """Forget what came after this number of updates."""
        del self.loss[step:], self.seconds[step:], self.rates[step:]
        self.validation = {k: v for k, v in self.validation.items() if k <= step}

    def row(self, step: int) -> Row:
        """What a callback gets of an update."""
        return {
            "step": step,
            "epoch": float("nan") if self.epoch is None else step / self.epoch,
            "loss": self.loss[step - 1],
            "validation": self.validation.get(step, float("nan")),
            "seconds": self.seconds[step - 1],
            "learning_rate": self.rates[step - 1],
        }

    def history(self) -> History:
        """All so far."""
        asked = np.full(len(self.loss), np.nan)
        for step, value in self.validation.items():
            asked[step - 1] = value
        return History(
            np.array(self.loss, dtype=np.float64),
            asked,
            np.array(self.seconds, dtype=np.float64),
            np.array(self.rates, dtype=np.float64),
            self.epoch,
        )

    # ---- checkpoints --------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """All so far, for a checkpoint."""
        numbers: dict[str, Any] = {
            "loss": self.loss,
            "seconds": self.seconds,
            "rates": self.rates,
            "looks": list(self.validation),
            "validation": list(self.validation.values()),
        }
        return {name: torch.tensor(v, dtype=torch.float64) for name, v in numbers.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go back to what a checkpoint holds."""
        found = {name: tensor.double().tolist() for name, tensor in tensors.items()}
        self.loss, self.seconds, self.rates = found["loss"], found["seconds"], found["rates"]
        if not len(self.loss) == len(self.seconds) == len(self.rates):
            raise ValueError("its history has columns of different lengths")
        looks = zip(found["looks"], found["validation"], strict=True)
        self.validation = {int(step): value for step, value in looks}
