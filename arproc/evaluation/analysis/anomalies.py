"""Elements that are more surprising than they should be, at a stated rate of false alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.errors import DataError, check_choice, check_count, check_number
from arproc.evaluation.analysis.surprise import surprise
from arproc.evaluation.terms import read_terms
from arproc.process import Process

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["anomalies"]

CONTROLS = ("each", "any", "share")


def anomalies(
    model: Process,
    data: Any,
    *,
    rate: float = 0.01,
    control: str = "each",
    normal: Any = None,
    context: Any = None,
    offset: Any = None,
    normal_context: Any = None,
    draws: int = 999,
    seed: int | torch.Generator | None = 0,
) -> pd.DataFrame:
    """Which elements are too surprising, given those before them.

    An element's p-value is the chance that its conditional draws one at least as improbable, so it
    allows for how predictable each moment is: in a restless time a large step is no alarm.

    Args:
        model: a fitted process of any elements.
        data: sequences in any form the model takes.
        rate: of false alarms, in the sense of `control`.
        control: "each", the share of sound elements that raise an alarm; "any", the chance that
            one of them all does (Holm 1979); "share", the expected share of alarms that are false
            (Benjamini and Hochberg 1995).
        normal: sequences that are known to be sound, and that the model was not fitted on. Without
            them the rate holds if the model is right; with them whatever the model, as long as
            sound elements are as surprising in `data` as there (p-values are ranks among theirs:
            conformal anomaly detection, Laxhammar and Falkman 2014).
        context: what the sequences are conditioned on, for models that take it.
        offset: at which step the sequences begin, as for `log_prob`.
        normal_context: the context of `normal`.
        draws: how many elements are drawn from each conditional that has no closed form; p-values
            are at least 1 / (draws + 1).
        seed: of these draws.

    Returns:
        A row for each element that is not given: `series`, `step` (and `time`, where the data have
        an index), `surprisal` (nats), `p_value` and `alarm`; missing elements have NaN and raise
        none. `.attrs` has `rate`, `control`, `n_alarms` and what the rate rests on, `calibrated`.

    Raises:
        DataError: there are too few elements in `normal` to reach the rate.

    Example:
        >>> import arproc
        >>> model = arproc.AR.from_parameters([0.9])
        >>> table = anomalies(model, [0.0, 0.5, 6.0, 5.2], rate=0.001)
        >>> table["step"][table["alarm"]].tolist()
        [2]
    """
    rate = check_number("rate", rate, above=0, below=1)
    check_choice("control", control, CONTROLS)
    draws = check_count("draws", draws, minimum=19)
    reading = read_terms(model, data, context, offset, "anomalies")
    found = surprise(reading, draws, seed)
    p = found.p_values
    if normal is not None:
        known = read_terms(model, normal, normal_context, None, "anomalies")
        p = _among(p, surprise(known, draws, seed).p_values, rate)
    alarm = _alarms(p, rate, control)
    table = reading.frame({"surprisal": found.surprisal, "p_value": p, "alarm": alarm})
    table.attrs = {
        "rate": rate,
        "control": control,
        "n_alarms": int(alarm.sum()),
        "calibrated": "by the model" if normal is None else "by the normal data",
    }
    return table


def _among(p: np.ndarray, sound: np.ndarray, rate: float) -> np.ndarray:
    """The rank of each p-value among those of sound elements, (1 + those below) / (n + 1)."""
    sound = np.sort(sound[~np.isnan(sound)])
    least = 1 / (len(sound) + 1)
    if least > rate:
        raise DataError(
            f"normal has {len(sound)} elements, so no p-value is below {least:.3g}; expected at "
            f"least {int(np.ceil(1 / rate)) - 1} for a rate of {rate:g}."
        )
    ranks = (1 + np.searchsorted(sound, p, side="right")) * least
    return np.where(np.isnan(p), np.nan, ranks)


def _alarms(p: np.ndarray, rate: float, control: str) -> np.ndarray:
    """Which p-values raise an alarm; NaN raises none."""
    alarm = np.zeros(len(p), dtype=bool)
    known = np.flatnonzero(~np.isnan(p))
    if control == "each" or not len(known):
        alarm[known] = p[known] <= rate
        return alarm
    order = known[np.argsort(p[known], kind="stable")]
    m, rank = len(order), np.arange(1, len(order) + 1)
    if control == "any":  # from the smallest on, as long as each is below its level
        too_high = np.flatnonzero(p[order] > rate / (m - rank + 1))
        count = int(too_high[0]) if len(too_high) else m
    else:  # all up to the last that is
        passed = np.flatnonzero(p[order] <= rate * rank / m)
        count = int(passed[-1]) + 1 if len(passed) else 0
    alarm[order[:count]] = True
    return alarm
