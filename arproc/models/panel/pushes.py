"""What covariates do to series that are fitted together: what they add to each element."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from arproc.models.panel.data import PanelData
from arproc.models.panel.settings import Settings

__all__ = ["pushes_of", "without_pushes"]


def pushes_of(table: PanelData, beta: np.ndarray) -> np.ndarray | None:
    """The covariates of each element times the coefficients of its series, [total]; or None.

    Args:
        table: the panel.
        beta: the coefficients, [N, c].
    """
    if table.covariates is None or not beta.shape[1]:
        return None
    return (table.covariates * np.repeat(beta, table.lengths, axis=0)).sum(axis=1)


def without_pushes(
    table: PanelData,
    pushes: np.ndarray | None,
    settings: Settings,
    parameters: np.ndarray,
    ahead: np.ndarray | None = None,
) -> tuple[PanelData, np.ndarray | None]:
    """The series without what the covariates do to them, and what these do to the next steps.

    What is left is the autoregression without covariates. Those of the mean are taken off; what
    those of the recursion have done goes on in the lags, from the given first values on.

    Args:
        table: the panel.
        pushes: of its elements, [total]; None where there are no covariates.
        settings: how the series were fitted.
        parameters: of the series; see `Estimates`.
        ahead: those of the next steps, [N, horizon].
    """
    if pushes is None:
        return table, ahead
    if settings.in_mean:
        return replace(table, values=table.values - pushes), ahead
    from arproc.compiled.interpreted import suited
    from arproc.models.panel import driven

    coming = np.zeros((len(table), 0)) if ahead is None else ahead
    kernels = suited(driven, 10.0 * (len(pushes) + coming.size))
    done, after = np.empty(len(pushes)), np.empty(coming.shape)
    coef = np.ascontiguousarray(parameters[:, 2:-1])
    kernels.run(pushes, coming, table.offsets, settings.lags, coef, done, after)
    return replace(table, values=table.values - done), after
