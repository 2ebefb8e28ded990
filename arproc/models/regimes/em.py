"""Compiled steps of estimation: EM and the score. Importing this module imports numba.

Locations are the free trends and coefficients; `tie` [k (q + p), free] turns them into those of
all regimes, trends first.
"""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit
from arproc.models.regimes.hamilton import sums, weigh

__all__ = ["climb", "score"]


@jit
def _stationary(chain: np.ndarray) -> np.ndarray:
    k = len(chain)
    found = np.linalg.solve(np.eye(k) - chain.T + 1.0, np.ones(k))
    return np.maximum(found, 1e-300)


@jit
def _pull(chain: np.ndarray, oldest: np.ndarray) -> np.ndarray:
    """The derivative of sum oldest log pi in the chain's probabilities, [k, k].

    d pi = pi dP Z with Z = (I - P + 1 pi)^-1 (Schweitzer 1968).
    """
    k = len(chain)
    pi = _stationary(chain)
    towards = np.linalg.solve(np.eye(k) - chain + pi, oldest / pi)
    return pi.reshape(k, 1) * towards


@jit
def _expect(
    values: np.ndarray,
    columns: np.ndarray,
    offsets: np.ndarray,
    centred: bool,
    digits: np.ndarray,
    tie: np.ndarray,
    chain: np.ndarray,
    location: np.ndarray,
    sigma2: np.ndarray,
    deviations: np.ndarray,
    joint: np.ndarray,
    first: np.ndarray,
) -> float:
    """The smoother at some parameters: `joint` and `first` are set; the log-likelihood."""
    k, q = chain.shape[0], columns.shape[1]
    n = len(values)
    every = tie @ location
    trend = every[: k * q].reshape(k, q)
    coef = every[k * q :].reshape(k, -1)
    for t in range(n):
        for r in range(k):
            level = 0.0
            for c in range(q):
                level += columns[t, c] * trend[r, c]
            deviations[t, r] = values[t] - level
    lags = deviations if centred else values.reshape(n, 1)
    pi = _stationary(chain)
    initial = np.empty(len(digits))
    for j in range(len(digits)):
        initial[j] = pi[digits[j, -1]]
        for i in range(digits.shape[1] - 1):
            initial[j] *= chain[digits[j, i + 1], digits[j, i]]
    return weigh(
        deviations, lags, offsets, centred, digits, coef, sigma2, chain, initial, joint, first
    )


@jit
def _gather(
    products: np.ndarray,
    columns: np.ndarray,
    centred: bool,
    digits: np.ndarray,
    tie: np.ndarray,
    unit: float,
    chain: np.ndarray,
    location: np.ndarray,
    joint: np.ndarray,
    first: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Expected transitions, oldest regimes, sizes, squares, slopes and curvatures."""
    k, q, count = chain.shape[0], columns.shape[1], len(digits)
    every = tie @ location
    trend = every[: k * q].copy().reshape(k, q)
    coef = every[k * q :].copy().reshape(k, -1)
    moments = joint.T @ products
    width = q + 1 + coef.shape[1]
    transitions, oldest, sizes = np.zeros((k, k)), np.zeros(k), np.zeros(k)
    for t in range(len(joint)):
        for s in range(k):
            for j in range(count):
                w = joint[t, s * count + j]
                transitions[digits[j, 0], s] += w
    for s in range(k):
        sizes[s] = transitions[:, s].sum()
    for j in range(count):
        oldest[digits[j, -1]] += first[j]
        # the memories before the first element hold steps of the chain too
        for i in range(digits.shape[1] - 1):
            transitions[digits[j, i + 1], digits[j, i]] += first[j]
    d = k * q + coef.shape[1]
    squares, slopes, curvatures = np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d))
    sums(
        moments.reshape(-1, width, width), centred, digits, trend, coef, unit, squares, slopes,
        curvatures,
    )  # fmt: skip
    return transitions, oldest, sizes, squares, slopes, curvatures


@jit
def _view(tie: np.ndarray, k: int, q: int, r: int) -> np.ndarray:
    """The rows of `tie` that regime r's innovation depends on, [k q + p, free]."""
    p = tie.shape[0] // k - q
    view = np.empty((k * q + p, tie.shape[1]))
    view[: k * q] = tie[: k * q]
    view[k * q :] = tie[k * q + r * p : k * q + (r + 1) * p]
    return view


@jit
def climb(
    values: np.ndarray,
    columns: np.ndarray,
    products: np.ndarray,
    offsets: np.ndarray,
    centred: bool,
    digits: np.ndarray,
    tie: np.ndarray,
    unit: float,
    shared: bool,
    floor: float,
    limit: int,
    tolerance: float,
    chain: np.ndarray,
    location: np.ndarray,
    sigma2: np.ndarray,
) -> tuple[float, int, bool]:
    """EM (Hamilton 1990) until a step gains less than `tolerance`.

    Where lags are taken about switching levels, levels and coefficients enter as a product: their
    step is that of Gauss and Newton, halved while the likelihood falls. The chain's step counts
    what the start says of the chain (P proportional to counts + P d log pi/dP, by iteration),
    which Hamilton's leaves out: this one climbs to the maximum.

    Args:
        values: the series one after the other, [total].
        columns: the trend's columns, [total, q].
        products: w w' of every scored element; see `hamilton.sums`.
        offsets: where each series begins.
        centred: see `hamilton.filter_series`.
        digits: the memories.
        tie: see above.
        unit: what a step of time counts.
        shared: whether all regimes have one variance.
        floor: the least variance.
        limit: how many steps at most.
        tolerance: in nats.
        chain: p(to | from), [k, k]; moved in place.
        location: moved in place.
        sigma2: variances, [k]; moved in place.

    Returns:
        The log-likelihood, the number of steps, and whether it stopped by itself.
    """
    k, q, n = chain.shape[0], columns.shape[1], len(values)
    free = tie.shape[1]
    deviations = np.empty((n, k))
    joint = np.empty((len(products), k * len(digits)))
    first = np.empty(len(digits))
    value = _expect(
        values, columns, offsets, centred, digits, tie, chain, location, sigma2, deviations, joint,
        first,
    )  # fmt: skip
    new_chain, new_sigma2 = np.empty_like(chain), np.empty_like(sigma2)
    for step in range(1, limit + 1):
        transitions, oldest, sizes, squares, slopes, curvatures = _gather(
            products, columns, centred, digits, tie, unit, chain, location, joint, first
        )
        new_chain[:] = chain
        for _ in range(3):  # the start's share is of order 1/n, and so is what each leaves
            pull = _pull(new_chain, oldest)
            for i in range(k):
                new_chain[i] = transitions[i] + new_chain[i] * (pull[i] - pull[i].min())
                new_chain[i] = np.maximum(new_chain[i], 1e-12)
                new_chain[i] /= new_chain[i].sum()
                new_chain[i] = np.maximum(new_chain[i], 1e-9)
                new_chain[i] /= new_chain[i].sum()
        total, matrix = np.zeros(free), np.zeros((free, free))
        for r in range(k):
            view = _view(tie, k, q, r)
            total += view.T @ slopes[r] / sigma2[r]
            matrix += view.T @ (curvatures[r] @ view) / sigma2[r]
        for i in range(free):
            matrix[i, i] += 1e-12 * (matrix[i, i] + 1.0)
        move = np.linalg.solve(matrix, total) if free else total
        share, moved = 1.0, value
        while True:
            new_location = location + share * move
            summed = 0.0
            for r in range(k):
                change = _view(tie, k, q, r) @ (share * move)
                left = squares[r] - 2.0 * np.dot(slopes[r], change)
                left += np.dot(change, curvatures[r] @ change)
                summed += left
                new_sigma2[r] = max(left / max(sizes[r], 1e-12), floor)
            if shared:
                new_sigma2[:] = max(summed / sizes.sum(), floor)
            moved = _expect(
                values, columns, offsets, centred, digits, tie, new_chain, new_location,
                new_sigma2, deviations, joint, first,
            )  # fmt: skip
            if moved >= value - 1e-10 or share < 0.1:
                break
            share *= 0.5
        gain = moved - value
        if not gain >= 0.0:
            return value, step, gain > -tolerance
        chain[:], location[:], sigma2[:] = new_chain, new_location, new_sigma2
        value = moved
        if gain < tolerance:
            return value, step, True
    return value, limit, False


@jit
def score(
    values: np.ndarray,
    columns: np.ndarray,
    products: np.ndarray,
    offsets: np.ndarray,
    centred: bool,
    digits: np.ndarray,
    tie: np.ndarray,
    unit: float,
    shared: bool,
    chain: np.ndarray,
    location: np.ndarray,
    sigma2: np.ndarray,
) -> tuple[float, np.ndarray]:
    """The log-likelihood and its gradient, by Fisher's identity.

    Args:
        values: see `climb`, as for the others.
        columns: the trend's columns.
        products: second moments.
        offsets: where each series begins.
        centred: whether lags are taken about the regimes' levels.
        digits: the memories.
        tie: from free locations to all.
        unit: what a step of time counts.
        shared: whether all regimes have one variance.
        chain: p(to | from).
        location: free trends and coefficients.
        sigma2: variances.

    Returns:
        Nats, and the derivatives in the chain's logits (against the last), the locations and the
        logarithms of the variances.
    """
    k, q = chain.shape[0], columns.shape[1]
    deviations = np.empty((len(values), k))
    joint = np.empty((len(products), k * len(digits)))
    first = np.empty(len(digits))
    value = _expect(
        values, columns, offsets, centred, digits, tie, chain, location, sigma2, deviations, joint,
        first,
    )  # fmt: skip
    transitions, oldest, sizes, squares, slopes, _ = _gather(
        products, columns, centred, digits, tie, unit, chain, location, joint, first
    )
    free, a = tie.shape[1], k * (k - 1)
    gradient = np.zeros(a + free + (1 if shared else k))
    pull = transitions + chain * _pull(chain, oldest)
    for i in range(k):
        for j in range(k - 1):
            gradient[i * (k - 1) + j] = pull[i, j] - chain[i, j] * pull[i].sum()
    for r in range(k):
        gradient[a : a + free] += _view(tie, k, q, r).T @ slopes[r] / sigma2[r]
        place = a + free + (0 if shared else r)
        gradient[place] += 0.5 * (squares[r] / sigma2[r] - sizes[r])
    return value, gradient
