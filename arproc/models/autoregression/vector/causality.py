"""Wald and F tests that some parameters of a vector autoregression are zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import chdtrc, fdtrc

from arproc.errors import DataError

__all__ = ["granger_names", "instantaneous_names", "zero_test"]


def granger_names(order: int, caused: Sequence[str], causing: Sequence[str]) -> list[str]:
    """The coefficients that are zero where `causing` do not help to predict `caused`."""
    return [f"L{i}.{b}.{a}" for i in range(1, order + 1) for a in caused for b in causing]


def instantaneous_names(
    components: Sequence[str], caused: Sequence[str], causing: Sequence[str]
) -> list[str]:
    """The covariances that are zero where innovations of the two groups are uncorrelated."""
    place = {name: i for i, name in enumerate(components)}
    pairs = [sorted((a, b), key=place.__getitem__) for a in caused for b in causing]
    return [f"cov.{first}.{second}" for first, second in pairs]


def zero_test(
    estimates: np.ndarray, covariance: np.ndarray, freedom: int | None, correction: float
) -> dict[str, float]:
    """Whether all of these parameters are zero.

    Args:
        estimates: [r].
        covariance: theirs, [r, r].
        freedom: the denominator's degrees of freedom for an F test; None for Wald's.
        correction: by how much an F test multiplies the covariance.

    Returns:
        statistic, df, df_residual (inf for Wald's test) and p_value.
    """
    try:
        wald = float(estimates @ np.linalg.solve(covariance, estimates))
    except np.linalg.LinAlgError:
        raise DataError("the estimates' covariance is singular, so nothing is tested.") from None
    r = len(estimates)
    if freedom is None:
        p_value = float(chdtrc(r, wald))
        return {"statistic": wald, "df": r, "df_residual": np.inf, "p_value": p_value}
    f = wald / correction / r
    p_value = float(fdtrc(r, freedom, f))
    return {"statistic": f, "df": r, "df_residual": freedom, "p_value": p_value}
