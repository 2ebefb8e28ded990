"""The parameters of every series of a panel, and how loops over the series are shared out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch

from arproc.contract.checked import Array, sentences
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
            slope, where the mean was), the covariates' coefficients, those of the lags and sigma2,
            [N, s, s].
        status: "ok", or why there is no fit, [N].
        strength: of a ridge penalty, [N].
        effective: the effective number of parameters, [N].
        done: whether the series were fitted together with others, [N].
        beta: the coefficients of the covariates, in the mean or in the recursion, [N, c].
    """

    parameters: Annotated[np.ndarray, Array("n", "k", nan=True)]
    mean: Annotated[np.ndarray, Array("n", 2, nan=True)]
    log_likelihood: Annotated[np.ndarray, Array("n", nan=True, infinite=True)]
    used: Annotated[np.ndarray, Array("n", kind="int64")]
    covariance: Annotated[np.ndarray, Array("c", "s", "s", nan=True, infinite=True)]
    status: list[str]
    strength: Annotated[np.ndarray, Array("n", nan=True, infinite=True)]
    effective: Annotated[np.ndarray, Array("n", nan=True, infinite=True)]
    done: Annotated[np.ndarray, Array("n", kind="bool")]
    beta: Annotated[np.ndarray, Array("n", "b", nan=True)]

    def problems(self) -> Iterator[str]:
        """What does not fit together; see `arproc.contract.checked`."""
        n, kept = len(self.parameters), len(self.covariance)
        there = [i for i, status in enumerate(self.status) if status == "ok"]
        every = np.concatenate([self.parameters, self.beta], axis=1)
        bad = len(self.status) == n and not np.isfinite(every[there]).all()
        likely = self.log_likelihood[there] if len(self.status) == n else np.ones(0)
        noise = self.parameters[there, -1] if len(self.status) == n else np.ones(0)
        yield from sentences(
            (len(self.status) != n or kept not in (0, n), f"status is of {len(self.status)} "
             f"series, parameters of {n}, covariance of {kept}"),
            (bad, "parameters of a series that has a fit are not finite"),
            (bool(np.isnan(likely).any()), "the log-likelihood of a series that has a fit is nan"),
            (not bad and bool((noise <= 0).any()), "a variance of innovations is not positive"),
        )  # fmt: skip

    def drop(self, i: int) -> None:
        """Series i has no fit."""
        self.parameters[i], self.mean[i], self.covariance[i] = np.nan, np.nan, np.nan
        self.log_likelihood[i], self.used[i], self.beta[i] = np.nan, 0, np.nan


def empty(n: int, k: int, q: int, c: int = 0) -> Estimates:
    """Room for n series, k lags, q terms of the trend and c covariates."""
    size = k + q + c + 1
    return Estimates(
        np.empty((n, k + 3)),
        np.empty((n, 2)),
        np.empty(n),
        np.zeros(n, np.int64),
        np.empty((n, size, size)),
        ["ok"] * n,
        np.zeros(n),
        np.full(n, float(size)),
        np.zeros(n, dtype=bool),
        np.empty((n, c)),
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
