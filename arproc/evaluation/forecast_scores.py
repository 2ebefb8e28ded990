"""The CRPS of forecasts given as quantiles or as sample paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.data.frames import native
from arproc.data.labels import require_same_labels
from arproc.errors import DataError, check_array
from arproc.evaluation.verification.scores import path_weights, pinball_loss

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["crps_paths", "crps_quantiles"]


def crps_quantiles(
    forecast: pd.DataFrame, actual: Any, *, levels: Sequence[float] | None = None
) -> np.ndarray:
    """The CRPS of forecasts given as quantiles, approximately.

    CRPS = 2 integral_0^1 pinball_q dq, each level standing for the levels nearest to it. The
    error falls with the square of their distance: for a normal forecast and 99 evenly spaced
    levels it is below 0.5% on average; the usual three give an index to rank by, not the CRPS.

    Args:
        forecast: a table with a row for each step and a column for each quantile, named by its
            level, as `Process.forecast` gives it (other columns are ignored); or an array [T, Q].
        actual: what came, [T]; a Series must have the forecast's index.
        levels: the levels of an array's columns.

    Returns:
        The score of each step, [T].

    Example:
        >>> import pandas as pd
        >>> forecast = pd.DataFrame({"mean": [0.0], 0.25: [-1.0], 0.75: [1.0]})
        >>> crps_quantiles(forecast, [3.0]).tolist()
        [2.5]
    """
    forecast = native(forecast, "forecast")
    names, table = _quantile_table(forecast, levels)
    require_same_labels(forecast=forecast, actual=actual)
    y = _actual(actual, len(table))
    order = np.argsort(names)
    q, table = np.asarray(names)[order], table[:, order]
    edges = np.concatenate([[0.0], (q[1:] + q[:-1]) / 2, [1.0]])
    return 2 * (pinball_loss(table, y[:, None], q) * np.diff(edges)).sum(axis=1)


def _quantile_table(forecast: Any, levels: Any) -> tuple[list[float], np.ndarray]:
    if hasattr(forecast, "columns") and levels is None:
        names = [name for name in forecast.columns if isinstance(name, float)]
        table = check_array("forecast", forecast[names], DataError)
    else:
        names = np.atleast_1d(check_array("levels", () if levels is None else levels)).tolist()
        table = check_array("forecast", forecast, DataError)
    if not names or table.ndim != 2 or table.shape[1] != len(names):
        raise DataError(
            f"forecast has shape {table.shape} and {len(names)} quantile level(s); expected a "
            "DataFrame of Process.forecast, or an array [T, Q] with Q levels=."
        )
    if not all(0 < name < 1 for name in names):
        raise DataError(f"quantile levels must lie in (0, 1); got {names}.")
    return names, table


def crps_paths(paths: Any, actual: Any, *, weights: Any = None) -> np.ndarray:
    """The CRPS of forecasts given as sample paths: unbiased for that of their law.

    1/M sum_i |x_i - y| - 1/(2 M (M - 1)) sum_ij |x_i - x_j| (the "fair" score; Ferro 2014). With
    weights it is the CRPS of the weighted sample itself, sum_i w_i |x_i - y| - 1/2 sum_ij w_i w_j
    |x_i - x_j|, which is larger than that of their law.

    Args:
        paths: draws [M, T], such as `model.sample(M, length=T, prefix=history)`; M at least 2.
        actual: what came, [T].
        weights: how much each path counts, [M], as those of particles; equal by default.

    Returns:
        The score of each step, [T]. Its Monte Carlo error falls as M^(-1/2); at M = 1000 it is
        about 2% of the score of a normal forecast.

    Example:
        >>> crps_paths([[0.0], [2.0]], [1.0]).tolist()
        [0.0]
    """
    x = check_array("paths", paths, DataError)
    if x.ndim != 2 or len(x) < 2:
        raise DataError(f"paths has shape {x.shape}; expected [M, T] with at least 2 paths.")
    y = _actual(actual, x.shape[1])
    m, w = len(x), path_weights(weights, len(x))
    if w is not None:
        order = np.argsort(x, axis=0, kind="stable")
        x, w = np.take_along_axis(x, order, axis=0), w[order]
        # sum_ij w_i w_j |x_i - x_j| / 2 = sum_i w_i x_i (2 W_i - w_i - 1), W cumulated
        spread = (w * x * (2 * w.cumsum(axis=0) - w - 1)).sum(axis=0)
        return (w * np.abs(x - y)).sum(axis=0) - spread
    ranks = 2 * np.arange(1, m + 1) - m - 1
    spread = (ranks[:, None] * np.sort(x, axis=0)).sum(axis=0) / (m * (m - 1))
    return np.abs(x - y).mean(axis=0) - spread


def _actual(actual: Any, length: int) -> np.ndarray:
    y = check_array("actual", actual, DataError).reshape(-1)
    if len(y) != length:
        raise DataError(f"actual has {len(y)} value(s); the forecast has {length} step(s).")
    return y
