"""Compiled loops of Jelinek-Mercer's EM."""

from __future__ import annotations

import numpy as np

from arproc.compiled.jit import Int, jit
from arproc.models.ngram.backoff.query_kernels import child, level_of


@jit
def events(model: tuple, text: np.ndarray, begin: Int, contexts: Int) -> np.ndarray:
    """For each predicted symbol its context and the longest n-gram found: int64 [M, 2].

    Args:
        model: as `Trie.arrays`.
        text: int32, as `lay_out` gives it.
        begin: the begin symbol, or -1.
        contexts: how many n-grams can be contexts.
    """
    link = model[2]
    out = np.empty((len(text), 2), np.int64)
    n = 0
    s = np.int64(0)
    for w in text:
        if w < 0:
            s = np.int64(0)
            continue
        t = s
        c = child(model, t, w)
        while c < 0:
            t = np.int64(link[t])
            c = child(model, t, w)
        if w != begin:
            out[n, 0], out[n, 1] = s, c
            n += 1
        s = c if c < contexts else np.int64(link[c])
    return out[:n].copy()


@jit
def expect(
    model: tuple,
    context: np.ndarray,
    node: np.ndarray,
    times: np.ndarray,
    deleted: int,
    uniform: float,
    weights: np.ndarray,
    reached: np.ndarray,
) -> tuple[np.ndarray, float]:
    """The expectation step: how often each weight was asked, and how often it was taken.

    Args:
        model: levels, count, link, and total, how often something followed each context.
        context: int64 [M], contexts.
        node: int64 [M], the longest n-gram that ends the context and the symbol after it.
        times: int64 [M], how often.
        deleted: how many copies of an event are taken out of the counts before it is predicted;
            all that there are, where there are fewer.
        uniform: the probability at order 0.
        weights: float64 [N, B].
        reached: float64 [N, B], gets how often each weight was asked.

    Returns:
        How often each was taken, float64 [N, B], and the log-likelihood.
    """
    levels, count, link, total = model
    stopped = np.zeros(weights.shape)
    reached[:] = 0.0
    depth = len(levels)
    frequency, p = np.empty(depth), np.empty(depth)
    bucket = np.empty(depth, np.int64)
    log_likelihood = 0.0
    for m in range(len(context)):
        t, c = context[m], node[m]
        k = level_of(levels, t)  # the context's length; its weight stands in row k
        longest, have = k, level_of(levels, c)
        away = min(deleted, count[c])
        for j in range(longest, -1, -1):
            n = total[t] - away
            frequency[j] = 0.0
            bucket[j] = -1
            if n > 0:
                while n >> (bucket[j] + 1):
                    bucket[j] += 1
            if have == j + 1:
                if n > 0:
                    frequency[j] = (count[c] - away) / n
                c = np.int64(link[c])
                have -= 1
            t = np.int64(link[t])
        below = uniform
        for j in range(longest + 1):
            if bucket[j] >= 0:
                weight = weights[j, bucket[j]]
                below = weight * frequency[j] + (1.0 - weight) * below
            p[j] = below
        log_likelihood += times[m] * np.log(p[longest])
        rest = float(times[m])
        for j in range(longest, -1, -1):
            if bucket[j] >= 0:
                taken = rest * weights[j, bucket[j]] * frequency[j] / p[j]
                reached[j, bucket[j]] += rest
                stopped[j, bucket[j]] += taken
                rest -= taken
    return stopped, log_likelihood
