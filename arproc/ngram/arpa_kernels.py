"""Compiled loop that completes a trie read from a file."""

from __future__ import annotations

import numpy as np

from arproc.ngram.jit import jit
from arproc.ngram.query_kernels import child


@jit
def connect(model: tuple) -> None:
    """Fill each node's link, and the log-probability (NaN so far) where the file has none.

    The longest suffix of an n-gram hw that is here continues by w one of the suffixes of h, the
    longest that can; a probability that the file leaves out is that of backing off.
    """
    symbol, link, first_child, log_prob, back_off = model[1:6]
    for h in range(len(back_off)):
        for i in range(first_child[h], first_child[h + 1]):
            if h == 0:
                link[i] = 0
                continue
            total = back_off[h]
            s = np.int64(link[h])
            c = child(model, s, symbol[i])
            while c < 0:
                total += back_off[s]
                s = np.int64(link[s])
                c = child(model, s, symbol[i])
            link[i] = c
            if np.isnan(log_prob[i]):
                log_prob[i] = total + log_prob[c]
