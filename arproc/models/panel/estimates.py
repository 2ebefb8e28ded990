"""The parameters of every series of a panel, and how loops over the series are shared out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from arproc.contract.storable import storable

__all__ = ["Estimates", "empty", "in_threads", "time_columns"]

_SMALL = 200_000  # values; below, a second thread costs more than it saves


@storable
@dataclass(frozen=True, eq=False)
class Estimates:
    """The parameters of N autoregressions with the same lags; their rows are filled while fitting.

    Attributes:
        parameters: (constant, drift, coefficients of the lags, sigma2), [N, 2 + k + 1].
        mean: level and slope of the mean; nan where a unit root leaves none. [N, 2]
        log_likelihood: nats [N].
        used: of how many values that is, int64 [N].
        covariance: of the constant and the drift as far as they were estimated (or of level and
            slope, where the mean was), the coefficients and sigma2, [N, k + q + 1, k + q + 1].
        status: "ok", or why there is no fit, [N].
        strength: of a ridge penalty, [N].
        effective: the effective number of parameters, [N].
        done: whether the series were fitted together with others, [N].
    """

    parameters: np.ndarray
    mean: np.ndarray
    log_likelihood: np.ndarray
    used: np.ndarray
    covariance: np.ndarray
    status: list[str]
    strength: np.ndarray
    effective: np.ndarray
    done: np.ndarray

    def drop(self, i: int) -> None:
        """Series i has no fit."""
        self.parameters[i], self.mean[i], self.covariance[i] = np.nan, np.nan, np.nan
        self.log_likelihood[i], self.used[i] = np.nan, 0


def empty(n: int, k: int, q: int) -> Estimates:
    """Room for n series, k lags and q columns."""
    return Estimates(
        np.empty((n, k + 3)),
        np.empty((n, 2)),
        np.empty(n),
        np.zeros(n, np.int64),
        np.empty((n, k + q + 1, k + q + 1)),
        ["ok"] * n,
        np.zeros(n),
        np.full(n, k + q + 1.0),
        np.zeros(n, dtype=bool),
    )


def in_threads(job: Callable[[int, int], None], count: int, size: int) -> None:
    """Run `job(begin, end)` over 0 ... count, in parts on as many threads as torch is given.

    Args:
        job: compiled code that does not hold the interpreter's lock.
        count: how many series there are.
        size: how many values.
    """
    threads = min(torch.get_num_threads(), count) if size > _SMALL else 1
    if threads <= 1:
        job(0, count)
        return
    # more parts than threads: one that is held up leaves its parts to the others
    parts = min(4 * threads, count)
    bounds = np.linspace(0, count, parts + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(job, bounds[:-1], bounds[1:]))


def time_columns(trend: str, longest: int) -> tuple[np.ndarray, float]:
    """The trend's columns by position: none, 1, or 1 and t / span, [q, longest]; and the span."""
    q, span = {"n": 0, "c": 1, "ct": 2}[trend], float(max(longest - 1, 1))
    columns = np.ones((q, longest))
    if q == 2:
        columns[1] = np.arange(longest) / span
    return columns, span
