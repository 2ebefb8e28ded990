"""What regressors of a recursion have done to each element, compiled (with numba)."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit

__all__ = ["run"]


@jit
def run(
    pushes: np.ndarray,
    ahead: np.ndarray,
    offsets: np.ndarray,
    lags: np.ndarray,
    coef: np.ndarray,
    done: np.ndarray,
    after: np.ndarray,
) -> None:
    """m_t = push_t + sum of coefficients times the m before, 0 at the given first values.

    Args:
        pushes: of each element, the series one after the other, [total].
        ahead: of the next steps, [N, horizon].
        offsets: where each series begins, int64 [N + 1].
        lags: the lags, increasing [k].
        coef: their coefficients in each series, [N, k].
        done: m of each element, [total].
        after: m of the next steps, [N, horizon].
    """
    k = len(lags)
    given = lags[k - 1] if k else 0
    for s in range(len(offsets) - 1):
        begin = offsets[s]
        n = offsets[s + 1] - begin
        for t in range(n + ahead.shape[1]):
            value = 0.0
            if t >= given:
                value = pushes[begin + t] if t < n else ahead[s, t - n]
                for i in range(k):
                    at = t - lags[i]
                    value += coef[s, i] * (done[begin + at] if at < n else after[s, at - n])
            if t < n:
                done[begin + t] = value
            else:
                after[s, t - n] = value
