"""Likelihoods of many ARIMA processes, and what follows them, on all cores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from arproc.compiled.threads import shares, threaded
from arproc.gaussian.arma import Orders

__all__ = ["Ahead", "follow"]


class Ahead(NamedTuple):
    """What `follow` finds of N series.

    Attributes:
        log_likelihood: of what follows the given elements, nats, [N].
        used: of how many elements that is, int64 [N].
        mean: of the next elements, [N, horizon].
        variance: theirs, [N, horizon]; infinite where gaps leave one undetermined.
    """

    log_likelihood: np.ndarray
    used: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


def follow(
    orders: Orders,
    coef: np.ndarray,
    sigma2: np.ndarray,
    values: np.ndarray,
    offsets: np.ndarray,
    horizon: int,
) -> Ahead:
    """Likelihoods of series under laws of their own, and what follows them, on all cores.

    Args:
        orders: of all of them.
        coef: their coefficients in the order of `Orders.blocks`, [N, k].
        sigma2: their innovation variances, [N].
        values: the series less their means, one after the other, nan where an element is missing.
        offsets: where each begins, int64 [N + 1].
        horizon: how many elements ahead.
    """
    from arproc.compiled.interpreted import suited
    from arproc.gaussian import arma_forecast

    n, k = len(offsets) - 1, sum(orders.blocks)
    form = orders.represent(orders.coefficients(np.zeros(k)))
    found = Ahead(
        np.empty(n), np.empty(n, np.int64), np.empty((n, horizon)), np.empty((n, horizon))
    )
    signs = np.repeat([1.0, -1.0, 1.0, -1.0], orders.blocks)
    each = 3 * form.size if np.isnan(values).any() else 3  # gains of every gap's own
    work = form.size * (each * len(values) + n * (50 + horizon * form.size))
    kernels = suited(arma_forecast, work)
    blocks = np.array([*orders.blocks, orders.period], dtype=np.int64)
    coef, values = np.ascontiguousarray(coef * signs), np.ascontiguousarray(values)

    def job(first: int, last: int) -> None:
        kernels.run(
            coef, sigma2, blocks, form.delta, len(form.phi), values, offsets, first, last, *found
        )  # fmt: skip

    threaded(job, shares(offsets[1:]))
    return found
