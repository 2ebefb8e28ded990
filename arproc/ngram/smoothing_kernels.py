"""Compiled loops of estimation: probabilities of all n-grams of one order from their counts."""

from __future__ import annotations

import numpy as np

from arproc.jit import jit


@jit
def kneser_ney(
    first: int,
    last: int,
    first_child: np.ndarray,
    count: np.ndarray,
    link: np.ndarray,
    skip: int,
    discount: np.ndarray,
    low: float,
    p: np.ndarray,
    weight: np.ndarray,
) -> None:
    """Interpolated Kneser-Ney with discounts by count (Chen and Goodman 1998, section 4.1.6).

    p(w | h) = (c(hw) - D[c]) / c(h) + weight(h) p(w | h'),  weight(h) = sum of discounts / c(h)

    Args:
        first: the first context h.
        last: one beyond the last context.
        first_child: where each n-gram's continuations begin.
        link: each n-gram without its first symbol.
        count: int64 [n], adjusted counts.
        skip: an n-gram that is never predicted (`<s>`), or -1.
        discount: float64 [4], D[0] = 0, D[1], D[2], and D[3] for 3 and more.
        low: the probability at order 0 for the single symbols; not used for longer n-grams.
        p: float64 [n], gets the probabilities; those of lower orders are there.
        weight: float64 [contexts], gets the weights of the lower order.
    """
    for h in range(first, last):
        total = np.int64(0)
        taken = 0.0
        for i in range(first_child[h], first_child[h + 1]):
            if i != skip:
                total += count[i]
                taken += discount[min(count[i], 3)]
        if total == 0:
            weight[h] = 1.0
            if h > 0:
                continue
        else:
            weight[h] = taken / total
        for i in range(first_child[h], first_child[h + 1]):
            if i == skip:
                p[i] = 0.0
                continue
            below = p[link[i]] if h > 0 else low
            own = (count[i] - discount[min(count[i], 3)]) / total if total > 0 else 0.0
            p[i] = own + weight[h] * below


@jit
def additive(
    contexts: int,
    first_child: np.ndarray,
    count: np.ndarray,
    skip: int,
    alpha: float,
    symbols: int,
    p: np.ndarray,
    weight: np.ndarray,
) -> None:
    """Additive smoothing: p(w | h) = (c(hw) + alpha) / (c(h) + alpha V).

    Args:
        contexts: how many n-grams are contexts (the first ones).
        first_child: the trie.
        count: int64 [n], plain counts.
        skip: an n-gram that is never predicted (`<s>`), or -1.
        alpha: what is added to each count.
        symbols: V, how many symbols can be predicted.
        p: float64 [n], gets the probabilities.
        weight: float64 [contexts], gets the probability of a symbol not seen after h.
    """
    for h in range(contexts):
        total = np.int64(0)
        for i in range(first_child[h], first_child[h + 1]):
            if i != skip:
                total += count[i]
        scale = 1.0 / (total + alpha * symbols)
        weight[h] = alpha * scale
        for i in range(first_child[h], first_child[h + 1]):
            p[i] = (count[i] + alpha) * scale if i != skip else 0.0


@jit
def tally(first: int, last: int, count: np.ndarray, skip: int) -> np.ndarray:
    """How many n-grams have count 1, 2, 3, 4: int64 [5] (entry 0 is not used)."""
    n = np.zeros(5, np.int64)
    for i in range(first, last):
        if i != skip and count[i] < 5:
            n[count[i]] += 1
    return n


@jit
def leave_one_out(
    first: int,
    last: int,
    first_child: np.ndarray,
    count: np.ndarray,
    link: np.ndarray,
    skip: int,
    discount: np.ndarray,
    low: float,
    p: np.ndarray,
) -> float:
    """Log-likelihood of the counts when each event is predicted from all the others.

    Taking one event hw away leaves c(hw)-1 and c(h)-1; where c(h) was 1, the context is gone
    and the discounts do not matter. Summed over events, in nats; the arguments are those of
    `kneser_ney`, and p holds the probabilities of the lower orders.
    """
    log_likelihood = 0.0
    for h in range(first, last):
        total = np.int64(0)
        taken = 0.0
        for i in range(first_child[h], first_child[h + 1]):
            if i != skip:
                total += count[i]
                taken += discount[min(count[i], 3)]
        if total < 2:
            continue
        for i in range(first_child[h], first_child[h + 1]):
            c = count[i]
            if i == skip or c == 0:
                continue
            rest = discount[min(c - 1, 3)]
            below = p[link[i]] if h > 0 else low
            mass = c - 1 - rest + (taken - discount[min(c, 3)] + rest) * below
            log_likelihood += c * np.log(max(mass, 1e-300) / (total - 1))
    return log_likelihood
