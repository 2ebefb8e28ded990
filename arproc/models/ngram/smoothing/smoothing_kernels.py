"""Compiled loops of estimation: probabilities of all n-grams of one order from their counts."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import jit


@jit
def discounted(
    first: int,
    last: int,
    first_child: np.ndarray,
    count: np.ndarray,
    plain: np.ndarray,
    cut: int,
    link: np.ndarray,
    skip: int,
    discount: np.ndarray,
    low: float,
    p: np.ndarray,
    weight: np.ndarray,
) -> None:
    """Interpolation with discounts by count (Chen and Goodman 1998, section 4.1.6).

    p(w | h) = (c(hw) - D[c]) / c(h) + weight(h) p(w | h'),  weight(h) = sum of discounts / c(h)

    An n-gram that is cut off is discounted by its whole count, as in KenLM's `lmplz --prune`.

    Args:
        first: the first context h.
        last: one beyond the last context.
        first_child: where each n-gram's continuations begin.
        count: int64 [n], plain or adjusted counts.
        plain: int64 [n], plain counts.
        cut: n-grams whose plain count is at most this are cut off.
        link: each n-gram without its first symbol.
        skip: an n-gram that is never predicted (`<s>`), or -1.
        discount: float64 [m], D[0] = 0, D[1] ...; the last one for all counts from there on.
        low: the probability at order 0 for the single symbols; not used for longer n-grams.
        p: float64 [n], gets the probabilities; those of lower orders are there.
        weight: float64 [contexts], gets the weights of the lower order.
    """
    most = len(discount) - 1
    for h in range(first, last):
        total = np.int64(0)
        taken = 0.0
        for i in range(first_child[h], first_child[h + 1]):
            if i != skip:
                total += count[i]
                taken += count[i] if plain[i] <= cut else discount[min(count[i], most)]
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
            own = 0.0
            if total > 0 and plain[i] > cut:
                own = (count[i] - discount[min(count[i], most)]) / total
            p[i] = own + weight[h] * below


@jit
def totals(
    contexts: int, first_child: np.ndarray, count: np.ndarray, skip: int
) -> tuple[np.ndarray, np.ndarray]:
    """How many symbols followed each context, and how many different ones: int64 [contexts]."""
    total, distinct = np.zeros(contexts, np.int64), np.zeros(contexts, np.int64)
    for h in range(contexts):
        for i in range(first_child[h], first_child[h + 1]):
            if i != skip and count[i] > 0:
                total[h] += count[i]
                distinct[h] += 1
    return total, distinct


@jit
def interpolate(
    first_child: np.ndarray,
    count: np.ndarray,
    total: np.ndarray,
    link: np.ndarray,
    skip: int,
    low: float,
    p: np.ndarray,
    weight: np.ndarray,
) -> None:
    """p(w | h) = (1 - weight(h)) c(hw) / c(h) + weight(h) p(w | h'), with weights that are given.

    Args:
        first_child: where each n-gram's continuations begin.
        count: int64 [n], plain counts.
        total: int64 [contexts], c(h).
        link: each n-gram without its first symbol.
        skip: an n-gram that is never predicted (`<s>`), or -1.
        low: the probability at order 0.
        p: float64 [n], gets the probabilities.
        weight: float64 [contexts], 1 where c(h) is 0.
    """
    for h in range(len(weight)):
        for i in range(first_child[h], first_child[h + 1]):
            if i == skip:
                p[i] = 0.0
                continue
            below = p[link[i]] if h > 0 else low
            own = count[i] / total[h] if total[h] > 0 else 0.0
            p[i] = (1.0 - weight[h]) * own + weight[h] * below


@jit
def seen(
    first: int,
    last: int,
    first_child: np.ndarray,
    count: np.ndarray,
    skip: int,
    discount: np.ndarray,
    symbols: int,
    p: np.ndarray,
) -> None:
    """What backing off gives to what was seen: p(w | h) = (c(hw) - D[c]) / c(h).

    Where nothing is taken and symbols are left that did not follow h, c(h) is raised by one, so
    that these have a probability too (as SRILM's `ngram-count` does). Arguments: `discounted`.
    """
    most = len(discount) - 1
    for h in range(first, last):
        total, distinct = np.int64(0), 0
        taken = 0.0
        for i in range(first_child[h], first_child[h + 1]):
            if i != skip and count[i] > 0:
                total += count[i]
                distinct += 1
                taken += discount[min(count[i], most)]
        if taken == 0.0 and distinct < symbols:
            total += 1
        for i in range(first_child[h], first_child[h + 1]):
            if i != skip and count[i] > 0:
                p[i] = (count[i] - discount[min(count[i], most)]) / total


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
def tally(first: int, last: int, count: np.ndarray, skip: int, most: int = 4) -> np.ndarray:
    """How many n-grams have count 1, 2 ... most: int64 [most + 1] (entry 0 is not used)."""
    n = np.zeros(most + 1, np.int64)
    for i in range(first, last):
        if i != skip and count[i] <= most:
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
    `discounted`, and p holds the probabilities of the lower orders.
    """
    log_likelihood = 0.0
    most = len(discount) - 1
    for h in range(first, last):
        total = np.int64(0)
        taken = 0.0
        for i in range(first_child[h], first_child[h + 1]):
            if i != skip:
                total += count[i]
                taken += discount[min(count[i], most)]
        if total < 2:
            continue
        for i in range(first_child[h], first_child[h + 1]):
            c = count[i]
            if i == skip or c == 0:
                continue
            rest = discount[min(c - 1, most)]
            below = p[link[i]] if h > 0 else low
            mass = c - 1 - rest + (taken - discount[min(c, most)] + rest) * below
            log_likelihood += c * np.log(max(mass, 1e-300) / (total - 1))
    return log_likelihood
