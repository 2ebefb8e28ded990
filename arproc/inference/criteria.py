"""Information criteria of fitted models; smaller is better."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arproc.errors import DataError, check_choice, check_count, check_number

__all__ = ["CRITERIA", "charges", "information_criterion"]

CRITERIA = ("aic", "aicc", "bic", "hqic")


def information_criterion(
    name: str, log_likelihood: float, n_parameters: float, n_observations: int
) -> float:
    """-2 log L plus the criterion's charge for each estimated parameter.

    Args:
        name: "aic" (Akaike 1974), "aicc" (Hurvich and Tsai 1989), "bic" (Schwarz 1978) or "hqic"
            (Hannan and Quinn 1979).
        log_likelihood: nats.
        n_parameters: all that were estimated, the innovation variance included.
        n_observations: how many elements the likelihood is of.

    Example:
        >>> information_criterion("aic", -100.0, 3, 50)
        206.0
    """
    check_choice("criterion", name, CRITERIA)
    check_count("n_observations", n_observations, minimum=1)
    check_number("n_parameters", n_parameters, low=0)
    if name == "aicc" and n_observations - n_parameters - 1 <= 0:
        raise DataError(
            f"aicc needs more observations than parameters + 1; got {n_observations} for "
            f"{n_parameters} parameters."
        )
    return float(charges(name, n_parameters, n_observations)) - 2.0 * log_likelihood


def charges(name: str, n_parameters: Any, n_observations: int) -> np.ndarray:
    """What a criterion charges for numbers of parameters [...]; nan where it is not defined."""
    k, n = np.asarray(n_parameters, dtype=float), n_observations
    if name == "aic":
        return 2 * k
    if name == "aicc":
        left = n - k - 1
        return np.where(left > 0, 2 * k * n / np.where(left > 0, left, 1), math.nan)
    if name == "bic":
        return k * math.log(n)
    return 2 * k * math.log(math.log(n)) if n > 1 else np.full(k.shape, math.nan)
