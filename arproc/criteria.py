"""Information criteria of fitted models; smaller is better."""

from __future__ import annotations

import math

from arproc.errors import DataError, check_choice

__all__ = ["CRITERIA", "information_criterion"]

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
    k, n = n_parameters, n_observations
    if name == "aic":
        charge = 2.0 * k
    elif name == "aicc":
        if n - k - 1 <= 0:
            raise DataError(
                f"aicc needs more observations than parameters + 1; got {n} for {k} parameters."
            )
        charge = 2.0 * k * n / (n - k - 1)
    elif name == "bic":
        charge = k * math.log(n)
    else:
        charge = 2.0 * k * math.log(math.log(n)) if n > 1 else math.nan
    return charge - 2.0 * log_likelihood
