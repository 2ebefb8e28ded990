"""Jelinek-Mercer interpolation: the weights, by EM on held-out or deleted text."""

from __future__ import annotations

import numpy as np

from arproc.models.ngram.backoff.index import index_of
from arproc.models.ngram.counting.counts import Counts

__all__ = ["deleted_events", "held_out_events", "weights_by_em"]

#: Contexts are alike when their counts have the same number of binary digits.
BUCKETS = 40
_ROUNDS = 500


def weights_by_em(
    counts: Counts,
    total: np.ndarray,
    events: tuple[np.ndarray, np.ndarray, np.ndarray],
    deleted: int,
) -> tuple[np.ndarray, float]:
    """The weights of the longer context's frequency, by order and count of the context.

    p(w | h) = lambda c(hw) / c(h) + (1 - lambda) p(w | h'), with one lambda for each order and
    each number of binary digits of c(h) (Jelinek and Mercer 1980; Bahl, Jelinek and Mercer 1983).
    EM climbs the likelihood of the events times a Beta(2, 2) density of each weight: as if it had
    succeeded and failed once, so that none becomes 0 or 1.

    Args:
        counts: the n-grams.
        total: int64 [contexts], c(h).
        events: contexts, the longest n-grams found, and how often, each int64 [M].
        deleted: 0, or where the events are those counted, how many copies of each there are, which
            are taken away before it is predicted.

    Returns:
        The weights, float64 [N, BUCKETS], and the events' log-likelihood under them, in nats.
    """
    from arproc.models.ngram.smoothing import mercer_kernels as kernels

    weights = np.full((counts.order, BUCKETS), 0.5)
    model = (counts.levels, counts.count, counts.link, total)
    uniform = 1.0 / counts.alphabet.symbols
    reached = np.zeros_like(weights)
    objective = -np.inf
    for _ in range(_ROUNDS):
        stopped, log_likelihood = kernels.expect(
            model, *events, deleted, uniform, weights, reached
        )
        penalty = float(np.log(weights * (1 - weights)).sum())
        if log_likelihood + penalty - objective < 1e-9 * abs(log_likelihood):
            break
        objective = log_likelihood + penalty
        weights = (stopped + 1) / (reached + 2)
    return weights, log_likelihood


def held_out_events(counts: Counts, text: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What happens in a text: contexts, the longest n-grams found, and how often.

    Args:
        counts: the n-grams.
        text: as `lay_out` gives it.
    """
    from arproc.models.ngram.smoothing import mercer_kernels as kernels

    nothing = np.zeros(0)
    model = (
        counts.levels, counts.symbol, counts.link, counts.first_child, nothing, nothing, True,
        counts.alphabet.symbols, index_of(counts.symbol, counts.first_child),
    )  # fmt: skip
    pairs = kernels.events(model, text, counts.alphabet.begin, int(counts.levels[counts.order]))
    unique, times = np.unique(pairs, axis=0, return_counts=True)
    return unique[:, 0].copy(), unique[:, 1].copy(), times


def deleted_events(counts: Counts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The events that were counted: n-grams of the highest order, and what begins with `<s>`."""
    levels, alphabet = counts.levels, counts.alphabet
    found = [np.arange(levels[counts.order], levels[counts.order + 1])]
    if alphabet.terminates and counts.order > 1:
        low, high = 1 + alphabet.begin, 2 + alphabet.begin
        for _ in range(counts.order - 2):
            low, high = int(counts.first_child[low]), int(counts.first_child[high])
            found.append(np.arange(low, high))
    nodes = np.concatenate(found)
    nodes = nodes[counts.count[nodes] > 0]
    if alphabet.terminates:
        nodes = nodes[nodes != 1 + alphabet.begin]
    parents = np.searchsorted(counts.first_child, nodes, side="right") - 1
    return parents, nodes, counts.count[nodes]
