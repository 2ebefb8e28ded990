"""The learning-rate finder: the loss while the learning rate rises (Smith 2017)."""

from __future__ import annotations

import math
import warnings
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.errors import ParameterError, TrainingError, check_integer, check_number
from arproc.training import Row, StopTraining, Training

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LearningRates", "swept"]

#: How many losses are looked at before one can end the sweep.
_LEAST = 10
#: How much each loss counts in the smoothed curve.
_WEIGHT = 0.1


@dataclass(frozen=True)
class LearningRates:
    """What `model.find_lr` found.

    Attributes:
        curve: a row a step: "learning_rate", "loss" of its batch and "smoothed", nats per element.
        suggestion: the learning rate at which the smoothed loss falls fastest in its logarithm.
        training: the model's settings with it: `lr`, and `matrix_lr` in proportion.
    """

    curve: pd.DataFrame
    suggestion: float
    training: Training


def swept(
    model: Any, settings: Training, data: Any, context: Any, steps: int, low: float, high: float
) -> LearningRates:
    """Train a copy while its learning rate rises from step to step, and look at the loss.

    The model itself is not changed. The sweep ends early where the loss has risen above where it
    began.

    Args:
        model: a model that trains a network, with its `training` settings.
        settings: these settings.
        data: as `fit` takes them.
        context: likewise.
        steps: how many updates it takes at most.
        low: where the learning rate of AdamW begins; Muon's keeps its proportion to it.
        high: where it would end.

    Raises:
        ParameterError: the rates are not in order.
        TrainingError: the loss never fell.
    """
    check_integer("steps", steps, minimum=10)
    check_number("low", low, above=0)
    if not check_number("high", high, above=0) > low:
        raise ParameterError(f"high must be above low ({low:g}); got {high!r}.")
    rows: list[Row] = []
    plan = settings.set_params(
        steps=steps, schedule="sweep", final_lr=low / high, lr=high, warmup=0.0,
        matrix_lr=settings.matrix_lr * high / settings.peak_lr, checkpoint=None, resume=False,
        progress=False, ema=None, swa=None, snapshots=0, callbacks=(_sweep(rows),),
    )  # fmt: skip
    trial = copy(model).set_params(training=plan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it diverges is the point
        try:
            trial.fit(data, context=context)
        except TrainingError:
            if len(rows) < 2:
                raise
    curve = _curve(rows)
    best = _steepest(curve)
    ratio = best / settings.peak_lr
    found = settings.set_params(lr=best, matrix_lr=settings.matrix_lr * ratio)
    return LearningRates(curve, best, found)


def _sweep(rows: list[Row]) -> Any:
    """A callback that notes the rows, and stops where the loss is above where it began."""
    smoothed: list[float] = []

    def note(row: Row) -> None:
        rows.append(row)
        last = smoothed[-1] if smoothed else row["loss"]
        smoothed.append(last + _WEIGHT * (row["loss"] - last))
        lowest = min(smoothed)
        begun = len(rows) > _LEAST and lowest < smoothed[0]
        if begun and row["loss"] > 2 * smoothed[0] - lowest:  # as far above as it has been below
            raise StopTraining

    return note


def _curve(rows: list[Row]) -> pd.DataFrame:
    """The rates and losses of a sweep, the losses smoothed without a bias towards the first."""
    import pandas as pd

    rates = np.array([row["learning_rate"] for row in rows])
    losses = np.array([row["loss"] for row in rows])
    smoothed, mean = np.empty_like(losses), 0.0
    for i, loss in enumerate(losses):
        mean += _WEIGHT * (loss - mean)
        smoothed[i] = mean / (1 - (1 - _WEIGHT) ** (i + 1))
    return pd.DataFrame({"learning_rate": rates, "loss": losses, "smoothed": smoothed})


def _steepest(curve: pd.DataFrame) -> float:
    """The rate at which the smoothed loss falls fastest in the logarithm of the rate."""
    smoothed, rates = curve["smoothed"].to_numpy(), curve["learning_rate"].to_numpy()
    last = int(np.argmin(smoothed)) + 1
    if last < 3:
        raise TrainingError(
            "the loss never fell while the learning rate rose; begin lower (low=), or take more "
            "steps."
        )
    slopes = np.gradient(smoothed[:last], np.log(rates[:last]))
    best = float(rates[int(np.argmin(slopes))])
    return float(f"{best:.2g}") if math.isfinite(best) else best
